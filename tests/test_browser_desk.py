"""The desk in a real browser: what a team does there, by the keyboard, two at once, on a phone, without scripts."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from playwright.sync_api import Browser, Page

from db.cases import Asked
from db.records import Mention
from jobs.schedule import run_job
from monitor import config, plugins
from monitor.app import App
from tests import browser_rig
from tests.browser_rig import PHONE, World, expect, opened
from tests.cli_rig import sentimon
from tests.fake_mastodon import TOKEN, FakeMastodon
from tests.support import HOUR, NOW, keep, mention

chromium, demo, world = browser_rig.chromium, browser_rig.demo, browser_rig.world

URGENT = re.compile("Open the most urgent")


def open_first(page: Page, world: World) -> None:
    page.goto(f"{world.url}/desk")
    page.get_by_role("link", name=URGENT).click()
    expect(page.locator("#case")).to_be_visible()


def button(page: Page, name: str) -> None:
    page.get_by_role("button", name=re.compile(f"^{name}")).first.click()


def test_from_the_first_user_to_the_first_reply(world: World) -> None:
    command = ("users", "add", "ann", "--role", "admin", "--password-stdin")
    settings = str(world.folder / "sentimon.toml")
    made = sentimon("--config", settings, *command, stdin=f"{browser_rig.PASSWORD}\n")
    assert made.exit_code == 0, made.output
    page = world.logged_in("ann")
    open_first(page, world)
    button(page, "Claim")
    expect(page.get_by_text("Assigned to you")).to_be_visible()
    page.get_by_label("Your reply").fill("Sorry about that. The second charge goes back today.")
    button(page, "Mark as replied")
    page.goto(f"{world.url}/desk?tab=done")
    expect(page.locator("li.item")).to_have_count(1)
    page.locator("li.item a.title").click()
    expect(page.locator(".replies")).to_contain_text("The second charge goes back today.")
    trail = page.locator(".trail")
    expect(trail).to_contain_text("claimed")
    expect(trail).to_contain_text("ann")
    page.goto(f"{world.url}/care")
    expect(page.locator("main")).to_contain_text("1 answered")


def test_two_people_cannot_work_on_one_post(world: World) -> None:
    world.person("ann", "responder")
    world.person("bob", "responder")
    ann, bob = world.logged_in("ann"), world.logged_in("bob")
    open_first(ann, world)
    bob.goto(ann.url)
    bob.get_by_label(re.compile("Internal note")).fill("I know her, I take this one")
    button(ann, "Claim")
    expect(ann.get_by_text("Assigned to you")).to_be_visible()
    expect(bob.locator("#changed")).to_contain_text("ann")  # told without reloading
    button(bob, "Claim")
    expect(bob.locator("main")).to_contain_text("with ann")
    with world.store() as store:
        case = store.cases.get(int(ann.url.split("/")[-1].split("?")[0]))
    assert case is not None
    assert case.assignee == "ann"


def test_what_was_typed_on_an_old_page_is_not_lost(world: World) -> None:
    world.person("ann", "approver")
    world.person("bob", "approver")
    ann, bob = world.logged_in("ann"), world.logged_in("bob", scripts=False)
    open_first(ann, world)
    bob.goto(ann.url)
    button(ann, "Escalate")
    expect(ann.locator("#case header")).to_contain_text("escalated")
    bob.locator("#level > summary").click()
    bob.get_by_role("button", name="Low", exact=True).click()
    expect(bob.locator("main")).to_contain_text("ann")
    expect(bob.locator("main")).to_contain_text(re.compile("meanwhile|changed", re.I))


def test_a_reply_is_approved_by_another_person_and_sent(demo: Path, chromium: Browser, tmp_path: Path) -> None:
    with FakeMastodon() as fake, opened(demo, tmp_path / "d", chromium, mastodon(fake.url)) as world:
        case_id = world_post(world, fake)
        world.person("ann", "responder")
        world.person("lea", "approver")
        ann, lea = world.logged_in("ann"), world.logged_in("lea")
        ann.goto(f"{world.url}/desk/cases/{case_id}")
        ann.get_by_label("Your reply").fill("We look at it")
        button(ann, "Submit for approval")
        lea.goto(f"{world.url}/desk?tab=waiting")
        lea.locator("li.item a.title").click()
        lea.get_by_label(re.compile("Remark")).fill("Say that we are sorry")
        button(lea, "Send back")
        ann.goto(f"{world.url}/desk/cases/{case_id}")
        expect(ann.locator("#reply")).to_contain_text("Say that we are sorry")
        ann.get_by_label("Your reply").fill("Sorry! We look at it now")
        button(ann, "Submit for approval")
        lea.goto(f"{world.url}/desk/cases/{case_id}")
        button(lea, "Approve and send")
        app = App(config.load(world.folder / "sentimon.toml", plugins.load()))
        (job,) = [job for job in app.jobs() if job.name == "reply"]
        with world.store() as store:
            run_job(job, store, lambda: NOW)
            (reply,) = store.replies.of_case(case_id)
        assert (reply.state, reply.author, reply.decided_by) == ("sent", "ann", "lea")
        assert [each.text for each in fake.sent] == [f"@dan@{fake.host} Sorry! We look at it now"]
        ann.goto(f"{world.url}/desk/cases/{case_id}")
        expect(ann.locator(".replies")).to_contain_text("Sorry! We look at it now")


def mastodon(url: str) -> str:
    return (
        f'[desk]\napproval = true\n[[sources]]\nkind = "mastodon"\nname = "masto"\ninstance = "{url}"\n'
        f'access_token = "{TOKEN}"\nreplies = true\nhashtags = ["norvane"]\n'
    )


def world_post(world: World, fake: FakeMastodon) -> int:
    """Store a post of the instance, as a case."""
    post = fake.post("norvane is broken again?", at=NOW - HOUR, author="dan")
    told = mention(post.uri, post.text, NOW - HOUR, source="mastodon", author=f"dan@{fake.host}")
    return case_of(world, told)


def case_of(world: World, told: Mention) -> int:
    """Store a post about Norvane, as a case."""
    with world.store() as store:
        keep(store, told, brands=("Norvane",))
        match = store.mentions.named(told.source, told.source_id, "Norvane")
        assert match is not None
        with store.transaction():
            store.cases.open(match, None, "asks for an answer", 1.0, NOW)
        case = store.cases.of_match(match.id)
        assert case is not None
        return case.id


def test_what_is_snoozed_comes_back_by_itself(world: World) -> None:
    world.person("ann", "responder")
    page = world.logged_in("ann")
    open_first(page, world)
    case = int(re.findall(r"/desk/cases/(\d+)", page.url)[0])
    page.keyboard.press("z")
    page.get_by_role("button", name="1 hour").click()
    page.goto(f"{world.url}/desk")
    expect(page.locator(f'li.item[data-id="{case}"]')).to_have_count(0)
    world.now = NOW + HOUR + timedelta(minutes=1)
    page.goto(f"{world.url}/desk")
    expect(page.locator(f'li.item[data-id="{case}"]')).to_have_count(1)


def test_a_corrected_label_moves_the_trend_at_once(world: World) -> None:
    world.person("ann", "responder")
    page = world.logged_in("ann")
    page.goto(f"{world.url}/posts?brand=Norvane&sentiment=negative")
    before = int(re.findall(r"\d+", page.locator("h1").inner_text())[0])
    open_first(page, world)
    expect(page.locator("#case-title")).to_contain_text("Norvane")
    page.keyboard.press("3")
    expect(page.locator('button[value="positive"]')).to_have_attribute("aria-pressed", "true")
    page.goto(f"{world.url}/posts?brand=Norvane&sentiment=negative")
    assert int(re.findall(r"\d+", page.locator("h1").inner_text())[0]) == before - 1


def test_the_desk_is_worked_with_the_keyboard(world: World) -> None:
    world.person("ann", "responder")
    page = world.logged_in("ann")
    page.goto(f"{world.url}/desk")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("o")
    expect(page.locator("#case")).to_be_visible()
    page.wait_for_load_state("load")  # keys are heard from then on
    with world.store() as store:
        second = store.cases.queue(Asked(), NOW, 2)[1].id
    assert f"/desk/cases/{second}" in page.url
    page.keyboard.press("c")
    expect(page.get_by_text("Assigned to you")).to_be_visible()
    page.keyboard.press("r")
    expect(page.get_by_label("Your reply")).to_be_focused()
    page.keyboard.type("cx?/")  # keys are text where one types
    expect(page.get_by_label("Your reply")).to_have_value("cx?/")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("x")
    expect(page.locator("#dismiss select")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.get_by_label("Search the texts of posts")).to_be_focused()


def test_new_posts_are_told_and_move_nothing(world: World) -> None:
    world.person("ann", "responder")
    page = world.logged_in("ann")
    open_first(page, world)
    first = page.locator("li.item").first.get_attribute("data-id")
    page.get_by_label("Your reply").fill("half a sentence")
    case_of(world, mention("new-1", "norvane where is my money?", author="newcomer"))
    expect(page.locator("#news")).to_contain_text("1 new post")
    assert page.locator("li.item").first.get_attribute("data-id") == first
    expect(page.get_by_label("Your reply")).to_have_value("half a sentence")


def test_every_tool_of_a_case_opens_within_the_window(world: World) -> None:
    world.person("lea", "approver")
    page = world.logged_in("lea")
    open_first(page, world)
    tools = [str(tool.get_attribute("id")) for tool in page.locator(".strip > details").all()]
    assert tools == ["dismiss", "snooze", "assign", "level"]
    for width in (1280, 1366, 1440, 960, 700, 390):
        page.set_viewport_size({"width": width, "height": 800})
        for tool in tools:
            page.locator(f"#{tool} > summary").click()
            box = page.locator(f"#{tool} .panel").bounding_box()
            assert box is not None
            assert box["x"] >= 0, (width, tool)
            assert box["x"] + box["width"] <= width, (width, tool)
            assert page.evaluate("document.documentElement.scrollWidth") == width, (width, tool)
            page.locator(f"#{tool} > summary").click()


def test_authors_are_read_in_the_list_beside_when_they_are_due(world: World) -> None:
    with world.store() as store, store.transaction():
        for case in store.cases.queue(Asked(), NOW, 1_000):
            # Nobody is there for most of that time, which takes more words to say.
            store.cases.save(replace(case, due=NOW + timedelta(days=1)))
    world.person("ann", "responder")
    page = world.logged_in("ann", size=(1280, 800))
    page.goto(f"{world.url}/desk")
    expect(page.locator(".item .due").first).to_contain_text("of business hours")
    read = page.locator(".item .author").evaluate_all("all => all.map(one => one.clientWidth >= one.scrollWidth)")
    assert len(read) > 10
    assert all(read)


def test_a_phone_shows_the_list_and_then_the_post(world: World) -> None:
    world.person("ann", "responder")
    page = world.logged_in("ann", size=PHONE)
    page.goto(f"{world.url}/desk")
    page.locator("li.item a.title").first.click()
    expect(page.locator("#case")).to_be_visible()
    expect(page.locator("li.item").first).to_be_hidden()
    button(page, "Claim")
    expect(page.get_by_text("Assigned to you")).to_be_visible()
    page.get_by_role("link", name="← List").click()
    expect(page.locator("li.item").first).to_be_visible()


def test_everything_can_be_done_without_scripts(world: World) -> None:
    world.person("ann", "responder")
    page = world.logged_in("ann", scripts=False)
    open_first(page, world)
    button(page, "Claim")
    expect(page.get_by_text("Assigned to you")).to_be_visible()
    page.locator('button[value="neutral"]').click()
    page.wait_for_load_state("load")
    page.go_back()
    open_first(page, world)
    page.get_by_label(re.compile("Internal note")).fill("She wrote twice")
    button(page, "Add note")
    expect(page.locator(".notes")).to_contain_text("She wrote twice")
    page.goto(f"{world.url}/desk")
    for box in page.locator("li.item input[type=checkbox]").all()[:3]:
        box.check()
    page.locator(".bulk").get_by_role("button", name="Dismiss").click()
    expect(page.locator("main")).to_contain_text("3")
    with world.store() as store:
        assert len(store.cases.queue(Asked(states=("dismissed",)), NOW, 10)) == 3


def test_who_may_only_look_sees_no_button_that_changes_anything(world: World) -> None:
    world.person("vera", "viewer")
    page = world.logged_in("vera")
    open_first(page, world)
    forms = page.locator('main form[method="post"]')
    texts = [form.text_content() or "" for form in forms.all()]
    assert all("Save view" in text or "Remove" in text for text in texts), texts  # their own views, and nothing else
