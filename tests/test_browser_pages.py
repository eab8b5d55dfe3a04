"""Every page in a browser: for everybody, in light and dark, on a phone, whatever strangers write; and the door."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from db.cases import Asked
from db.filters import Filter
from jobs.desk.surveys import link
from tests import browser_rig
from tests.browser_rig import PASSWORD, World, expect
from tests.case_rig import answer
from tests.hostile import HOSTILE, LINKS, NAMES
from tests.support import NOW, judge, keep, mention

chromium, demo, own = browser_rig.chromium, browser_rig.demo, browser_rig.world
world, cookies = browser_rig.shared(lea="admin", max="viewer")

SMALL = (360, 780)
PATHS = (
    "/",
    "/journey",
    "/experience",
    "/compare",
    "/posts",
    "/alerts",
    "/alerts/1",
    "/desk",
    "/desk/cases/1",
    "/desk/rules",
    "/desk/snippets",
    "/label",
    "/care",
    "/status",
    "/account",
    "/users",
    "/nowhere",
)
GRAVE = ("serious", "critical")
RULES = {"resultTypes": ["violations"]}
# What depends on the size: targets of 24 px (WCAG 2.2, 2.5.8), which axe does not look for by itself, among them.
ON_A_PHONE = {
    "runOnly": {
        "type": "rule",
        "values": ["target-size", "scrollable-region-focusable", "meta-viewport", "color-contrast", "label"],
    }
}
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}

SHORT_BUTTONS = """() => [...document.querySelectorAll("button, .button, select, textarea, input")]
  .filter(one => !["hidden", "checkbox", "radio"].includes(one.type) && !one.matches(".link, .unseen, .unseen *"))
  .filter(one => one.checkVisibility() && one.getBoundingClientRect().height < 40)
  .map(one => `${one.outerHTML.slice(0, 90)} ${one.getBoundingClientRect().height}`)"""
UNSEEN_FOCUS = """() => { const one = document.activeElement, look = getComputedStyle(one);
  return one === document.body || (look.outlineStyle !== "none" && parseFloat(look.outlineWidth) > 0)
    ? "" : one.outerHTML.slice(0, 120); }"""
# Words of ours, outside what strangers wrote, of which the last letter stands left of the first one on the same line.
TURNED = """() => { const turned = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let count = 0;
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const word = /[A-Za-z0-9]{2,}/.exec(node.data);
    if (!word || node.parentElement.closest("bdi, [dir], script, textarea, .unseen")) continue;
    const place = at => { const range = document.createRange();
      range.setStart(node, at); range.setEnd(node, at + 1); return range.getBoundingClientRect(); };
    const first = place(word.index), last = place(word.index + word[0].length - 1);
    if (!first.width || first.top !== last.top) continue;
    count += 1;
    if (last.left <= first.left) turned.push(node.data);
  }
  return [count, turned]; }"""


@pytest.fixture(scope="module")
def survey(world: World) -> str:
    """The path of a survey that somebody who was answered got."""
    with world.store() as store:
        case = store.cases.queue(Asked(), NOW, 1)[0]
        reply = answer(store, case, survey="csat")
        with store.transaction():
            return link(store, reply, world.url, NOW).removeprefix(world.url)


def visit(world: World, cookies: Any, survey: str, **look: Any) -> Iterator[tuple[str, Page]]:
    """Open every page, the door and the survey as a stranger."""
    stranger, page = world.page(**look), world.page(storage_state=cookies, **look)
    for path in ("/login", survey):
        stranger.goto(f"{world.url}{path}")
        yield path, stranger
    for path in PATHS:
        page.goto(f"{world.url}{path}")
        yield path, page
    for one in (stranger, page):
        one.context.close()


def violations(page: Page, options: dict[str, Any]) -> list[str]:
    """Say what axe finds, one line a kind."""
    from axe_playwright_python.sync_playwright import Axe

    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(Axe().axe_script)
    found = page.evaluate(f"axe.run(document, {json.dumps(options)})")["violations"]
    return [
        f"{one['impact']}: {one['id']}: {node['html'][:120]}: {node['failureSummary'][:300]}"
        for one in found
        for node in one["nodes"][:3]
    ]


def judged(found: list[tuple[str, str]]) -> None:
    """Print what is slight, fail for what is grave."""
    for path, words in found:
        print(path, words)
    grave = [f"{path} {words}" for path, words in found if words.startswith(GRAVE)]
    assert not grave, "\n".join(grave)


def test_every_page_is_for_everybody_and_legible_in_the_dark(world: World, cookies: Any, survey: str) -> None:
    found = []
    for path, page in visit(world, cookies, survey):
        found += [(path, words) for words in violations(page, RULES)]
        assert page.locator("h1:visible").count() == 1, path
        assert page.locator("html").get_attribute("lang") == "en", path
        assert re.fullmatch(r".{4,} · sentimon|Your answer to Norvane", page.title()), (path, page.title())
        page.emulate_media(color_scheme="dark")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert max(map(int, re.findall(r"\d+", ground)[:3])) < 60, (path, ground)
        found += [(f"{path} in the dark", words) for words in violations(page, COLOURS)]
        page.emulate_media(color_scheme="light")
    judged(found)


def test_every_page_fits_a_phone(world: World, cookies: Any, survey: str) -> None:
    found, wide, short = [], [], []
    for path, page in visit(world, cookies, survey, size=SMALL, has_touch=True, is_mobile=True):
        found += [(path, words) for words in violations(page, ON_A_PHONE)]
        if page.evaluate("document.documentElement.scrollWidth") > SMALL[0]:
            wide.append(path)
        short += [(path, one) for one in page.evaluate(SHORT_BUTTONS)]
    assert not wide, wide
    assert not short, short
    judged(found)


def test_what_has_the_focus_is_seen(world: World, cookies: Any) -> None:
    page = world.page(storage_state=cookies)
    for path in ("/", "/journey", "/desk", "/posts", "/alerts/1", "/label", "/account"):
        page.goto(f"{world.url}{path}")
        for _ in range(16):
            page.keyboard.press("Tab")
            assert page.evaluate(UNSEEN_FOCUS) == "", path


def test_the_first_key_skips_to_the_content(world: World, cookies: Any) -> None:
    page = world.page(storage_state=cookies)
    page.goto(f"{world.url}/posts")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_hostile_posts_do_nothing_in_a_browser(own: World) -> None:
    own.person("lea", "admin")
    texts = [*HOSTILE.values(), "<img src=x onerror=window.owned=1><script>window.owned=1</script>"]
    with own.store() as store:
        posts = [
            mention(
                f"h-{n}",
                text.encode(errors="replace").decode(),
                NOW,
                author=NAMES[n % len(NAMES)],
                url=LINKS[n % len(LINKS)],
            )
            for n, text in enumerate(texts)
        ]
        keep(store, *posts, brands=("Norvane",))
        judge(store)
        stored = [post for post in store.mentions.find(None, Filter(), 900) if post.mention.source_id.startswith("h-")]
        assert len(stored) == len(texts)
        with store.transaction():
            for post in stored:
                store.cases.open(post, None, "asks", 99.0, NOW, level="urgent")
        numbers = [case.id for case in (store.cases.of_match(post.id) for post in stored) if case]
    page = own.logged_in("lea")
    asked: list[str] = []
    page.on("dialog", lambda dialog: pytest.fail(f"a post opened a dialog: {dialog.message}"))
    page.on("request", lambda request: asked.append(request.url))
    page.on("popup", lambda popup: pytest.fail(f"a post opened {popup.url}"))
    paths = ["/posts", "/posts?q=acme&order=negative", "/desk", *(f"/desk/cases/{one}" for one in numbers[::7])]
    shown = 0
    for path in paths:
        page.goto(f"{own.url}{path}")
        shown += page.locator("main").inner_text().lower().count("alert(1)")
        assert page.evaluate("window.owned") is None, path
        seen, turned = page.evaluate(TURNED)
        assert seen > 5, path
        assert not turned, (path, turned)
        leads = page.evaluate("[...document.querySelectorAll('a[href]')].map(one => one.protocol)")
        assert set(leads) <= {"http:", "https:"}, path
    assert shown > 3  # their words are there, as words
    assert not [url for url in asked if not url.startswith((own.url, "data:"))]
    page.evaluate("document.querySelector('h1').textContent = '\\u202eturned'")
    assert page.evaluate(TURNED)[1] == ["\u202eturned"]  # it would be seen


def test_a_wrong_password_says_so_and_keeps_the_name(world: World) -> None:
    page = world.page()
    page.goto(f"{world.url}/care?span=7d")
    expect(page).to_have_url(re.compile(r"/login\?next="))
    page.get_by_label("Name").fill("lea")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("lea")
    expect(page.get_by_label("Password")).to_be_focused()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(re.compile(r"/care\?span=7d"))


def test_a_session_that_was_ended_elsewhere_leads_to_the_door(world: World) -> None:
    one, other = world.logged_in("max"), world.logged_in("max")
    one.goto(f"{world.url}/account")
    one.get_by_role("button", name="Log out everywhere else").click()
    expect(one.get_by_text("Log out everywhere else")).to_have_count(0)
    other.get_by_role("link", name="Journey", exact=True).click()
    expect(other.get_by_role("button", name="Log in")).to_be_visible()
    one.get_by_role("link", name="Journey", exact=True).click()
    expect(one.locator("h1")).to_contain_text("Journey")


def test_who_logs_out_is_out(world: World) -> None:
    page = world.logged_in("lea")
    page.locator(".me > summary").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    page.goto(f"{world.url}/posts")
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    page.go_back()
    assert page.locator("li.item").count() == 0


def test_a_page_that_is_not_there_says_so_and_leads_on(world: World, cookies: Any) -> None:
    page = world.page(storage_state=cookies)
    answered = page.goto(f"{world.url}/nowhere")
    assert answered is not None
    assert answered.status == 404
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Overview").click()
    expect(page.locator("h1")).to_contain_text("Overview")
