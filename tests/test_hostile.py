"""Sixty hostile posts go through every page, every export and every notification: whole, and harmless."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString, PreformattedString
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from db.desk import Session, User
from db.filters import Filter
from db.records import Match, Story
from db.store import Store
from jobs.compose import compose
from jobs.decide import Reason
from jobs.desk import acts, answer
from jobs.links import Links
from monitor import config, plugins
from monitor.channels.apprise import fitted
from monitor.channels.console import ConsoleChannel
from monitor.mail.page import page as letter_page
from monitor.web.app import build
from monitor.web.auth import COOKIE, hashed
from tests.cli_rig import configure, said, sentimon
from tests.hostile import HOSTILE, IDS, LINKS, NAMES
from tests.support import DAY, MINUTE, NOW, Keywords, judge, rows
from tests.web_rig import SPIKE

HOSTILE_BRAND = HOSTILE["attribute break"][:60]  # as an imported file may name one
TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\\s]+")
OURS = "https://desk.example/"
STREAMS = ("/desk/live",)  # they never end; tests of the desk read them
CASES = 4  # every fourth is looked at: a page takes a while to be read
ASKED = ("title break", "attribute break", "jinja", "sql", "nul", "right to left override", "header injection")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The application, asked by an admin, over posts that came in as any other: by an import."""
    folder = tmp_path_factory.mktemp("hostile")
    configure(folder)
    posts = [
        {
            "id": f"{IDS[number % len(IDS)]}{number}",
            "source": ("x", "reddit")[number % 2],
            "author": NAMES[number % len(NAMES)],
            "created_at": (NOW - number * MINUTE).isoformat(),
            "text": text,
            "url": LINKS[number % len(LINKS)],
            "followers": 10**6,
            "brand": HOSTILE_BRAND if name == "jinja" else "Acme",
        }
        for number, (name, text) in enumerate(HOSTILE.items())
    ]
    (folder / "posts.jsonl").write_text("".join(json.dumps(post) + "\n" for post in posts))
    said(sentimon("--config", str(folder / "sentimon.toml"), "import", str(folder / "posts.jsonl")))
    fill(folder / "posts.db")
    app = build(config.load(folder / "sentimon.toml", plugins.load()), lambda: NOW)
    with TestClient(app, follow_redirects=True, raise_server_exceptions=False) as made:
        made.cookies.set(COOKIE, "key")
        yield made


def fill(database: Path) -> None:
    """Put the posts everywhere: into an alert with its story, on the desk, with notes, tags, replies."""
    with Store(database) as store:
        judge(store, Keywords(negative=("",)))
        found = list(store.mentions.every(Filter()))
        assert len(found) == len(HOSTILE)
        words = tuple(match.mention.text[:200] for match in found)
        story = replace(SPIKE.story or Story(), terms=words, new_terms=words, posts=tuple(m.id for m in found[:9]))
        with store.transaction():
            user = store.users.add(User(0, "ann", "admin"), None, NOW)
            store.sessions.add(Session(hashed("key"), user.id, NOW, NOW, NOW + DAY))
            alert = replace(SPIKE, in_common=words, story=story, summary=HOSTILE["script"], found_at=NOW)
            store.alerts.save(alert, found)
            store.alerts.save(replace(alert, brand=HOSTILE_BRAND, scope="source <b>x</b>"), found[:3])
            for number, match in enumerate(found, 1):
                store.cases.open(match, 1, HOSTILE["image handler"], 1.0, NOW)
                text = match.mention.text[:5000]
                acts.note(store, number, user, NOW, text=text)
                answer.draft(store, number, user, NOW, text=text)
            acts.tag(store, 1, user, NOW, tag="<b>tag</b>")
            acts.dismiss(store, 2, user, NOW, reason="spam")


@pytest.fixture(scope="module")
def stored(client: TestClient) -> Mapping[int, Match]:
    with client.app.state.site.store() as store:  # type: ignore[attr-defined]
        return {match.id: match for match in store.mentions.every(Filter())}


def addresses(client: TestClient) -> Iterator[str]:
    """Every address that is looked at, with numbers and names that are there."""
    for route in client.app.routes:  # type: ignore[attr-defined]
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()) and route.path not in STREAMS:
            path = re.sub(r"\{number[^}]*\}", "1", route.path)
            path = path.replace("{name}", "timeline").replace("{kind}", "svg")
            yield re.sub(r"\{[^}]*\}", "1", path)


def bare(text: str) -> str:
    """A text as far as a page can show it: without control characters, each gap one blank."""
    return UNSEEN.sub(" ", text).strip()


def check_page(html: str, where: str) -> BeautifulSoup:
    """Nothing in a page acts, leads to code, or turns what stands beside it."""
    soup = BeautifulSoup(html, "html.parser")
    for tag in soup.find_all(True):
        assert isinstance(tag, Tag)
        try:
            check_tag(tag)
        except AssertionError as error:  # to write a tag out takes longer than to look at it
            raise AssertionError(f"{where}: {str(tag)[:300]}") from error
    for text in soup.find_all(string=TURNS):
        assert isinstance(text, NavigableString)
        if isinstance(text, PreformattedString):
            continue
        around = [parent.name for parent in text.parents] + [
            "bdi" for parent in text.parents if isinstance(parent, Tag) and parent.get("dir") == "auto"
        ]
        assert {"bdi", "textarea", "title", "option", "svg"} & set(around), f"{where}: not isolated: {text[:80]!r}"
    return soup


def check_tag(tag: Tag) -> None:
    assert tag.name not in ("iframe", "object", "embed", "base", "math", "animate", "foreignobject", "style")
    assert tag.name != "meta" or str(tag.get("http-equiv", "")).lower() != "refresh"
    if tag.name == "script":
        inert = tag.get("type") == "application/json" and "<" not in (tag.string or "")
        assert inert or (str(tag.get("src", "")).lstrip("./").startswith("static/") and not tag.string)
    for name, value in tag.attrs.items():
        given = " ".join(value) if isinstance(value, list) else str(value)
        assert not name.lower().startswith("on")
        assert name != "srcdoc"
        if name == "style":
            assert tag.find_parent("svg") or tag.name == "svg"
            assert "url(" not in given
        if name in ("href", "src", "action", "formaction", "xlink:href", "poster", "data"):
            check_address(tag, given)


def check_address(tag: Tag, address: str) -> None:
    plain = re.sub(r"[\x00-\x20]", "", address).lower()
    if plain.startswith("data:"):
        if tag.name == "link":
            assert plain == "data:,"
            return
        assert tag.name in ("img", "image")
        assert plain.startswith("data:image/")
        return
    assert re.match(r"(https?://|mailto:|[^:/?#]*([/?#]|$))", plain)
    assert not plain.startswith("//")
    if plain.startswith("http") and tag.name == "a" and not plain.startswith(OURS):
        assert {"noopener", "noreferrer"} <= set(tag.get("rel") or ())
    assert tag.name != "form" or not plain.startswith("http")


def check_csv(text: str, where: str) -> list[list[str]]:
    found = list(csv.reader(io.StringIO(text, newline="")))
    for row in found:
        for cell in row:
            number = re.fullmatch(r"[+-]?[0-9.]+(e[+-]?[0-9]+)?", cell)
            assert number or cell[:1] not in ("=", "+", "-", "@", "\t", "\r", "\n") or cell in ("", "-"), (
                f"{where}: {cell[:80]!r}"
            )
    return found


def check_answer(answer: Any, where: str) -> None:
    """Whatever is answered is no error of ours and of one kind, and does what its kind does."""
    assert answer.status_code < 500, f"{where}: {answer.status_code} {answer.text[:300]}"
    assert "owned" not in answer.headers.get("set-cookie", ""), where
    assert all(value.isprintable() for value in answer.headers.values()), where
    assert answer.headers["X-Content-Type-Options"] == "nosniff", where
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"], where
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if kind in ("text/html", "image/svg+xml"):
        check_page(answer.text, where)
    elif kind == "text/csv":
        check_csv(answer.text, where)
    elif kind.endswith("json"):
        json.loads(answer.text)
    elif kind == "application/x-ndjson":
        assert all(json.loads(line) for line in answer.text.splitlines())


def complain(asked: Sequence[tuple[str, Mapping[str, str]]], client: TestClient) -> None:
    """Ask them all, and tell of all that fail at once."""
    wrong = []
    for path, params in asked:
        try:
            check_answer(client.get(path, params=params), path)
        except AssertionError as error:
            wrong.append(str(error)[:600])
    assert wrong == []


def test_there_are_sixty_of_them() -> None:
    assert len(HOSTILE) == len(set(HOSTILE.values())) == 60


def test_no_page_and_no_export_acts_or_breaks(client: TestClient) -> None:
    seen = list(addresses(client))
    assert len(seen) > 15
    complain([(path, {}) for path in seen], client)


def test_what_is_asked_in_an_address_is_as_harmless(client: TestClient) -> None:
    words = " ".join(HOSTILE[name] for name in ASKED)
    keys = ("q", "text", "brand", "author", "source", "tag", "next", "since", "order", "alert")
    asked = dict.fromkeys(keys, words)
    complain([(path, asked) for path in addresses(client)], client)


def test_pages_of_posts_show_every_text_whole(client: TestClient, stored: Mapping[int, Match]) -> None:
    shown, path = "", "/posts?order=newest"
    for _ in range(10):
        soup = check_page(client.get(path).text, path)
        shown += bare(soup.get_text())
        following = soup.find("a", rel="next")
        if not isinstance(following, Tag):
            break
        path = "/posts" + str(following["href"])[str(following["href"]).index("?") :]
    missing = [match.mention.text[:60] for match in stored.values() if bare(match.mention.text[:4000]) not in shown]
    assert missing == []


def test_the_desk_shows_cases_whole_and_harmless(client: TestClient, stored: Mapping[int, Match]) -> None:
    cases = rows(client.app.state.site.config.database, "SELECT id, match_id FROM cases")  # type: ignore[attr-defined]
    for number, match_id in cases[::CASES]:
        answered = client.get(f"/desk/cases/{number}")
        assert answered.status_code == 200
        shown = bare(check_page(answered.text, f"/desk/cases/{number}").get_text())
        assert bare(stored[match_id].mention.text[:1500]) in shown, stored[match_id].mention.text[:60]


def test_the_interface_for_programs_gives_every_text_as_it_is(client: TestClient, stored: Mapping[int, Match]) -> None:
    answered = client.get("/api/v1/posts", params={"limit": 500})
    found = {post["id"]: post for post in answered.json()["posts"]}
    assert set(found) == set(stored)
    for match_id, match in stored.items():
        assert (found[match_id]["text"], found[match_id]["author"]) == (match.mention.text, match.mention.author)
    for path, methods in client.get("/api/openapi.json").json()["paths"].items():
        if "get" in methods:
            check_answer(client.get("/api" + path.replace("{number}", "1")), path)


def test_texts_are_stored_as_they_came_but_for_what_no_database_stores(stored: Mapping[int, Match]) -> None:
    kept = {match.mention.text.strip() for match in stored.values()}
    for name, text in HOSTILE.items():
        if name not in ("nul", "lone surrogate"):
            assert text.strip() in kept, name
    assert any("before" in text and "after" in text and "\0" not in text for text in kept)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_exports_hold_every_text_and_no_formula(client: TestClient, stored: Mapping[int, Match], kind: str) -> None:
    path = client.app.state.site.config.path  # type: ignore[attr-defined]
    written = path.parent / f"out.{kind}"
    said(sentimon("--config", str(path), "export", "--format", kind, "--output", str(written)))
    text = written.read_bytes().decode()
    if kind == "jsonl":
        texts = [json.loads(line)["text"] for line in text.split("\n") if line]
    else:
        table = check_csv(text, "export")
        texts = [row[table[0].index("text")].removeprefix("'") for row in table[1:]]
    assert sorted(texts) == sorted(match.mention.text.removeprefix("'") for match in stored.values())


def check_message(text: str, where: str) -> None:
    """Plain text that no chat service and no terminal acts on."""
    assert not re.search(r"[@＠](everyone|here|channel|all)\b", text), where
    assert not re.search(r"<[!@#a-zA-Z/]", text), where
    assert "](" not in text, where
    assert not TURNS.search(text), where
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]", text), where
    assert "evil.example" not in text, where
    assert len(text) < 6000, where


@pytest.mark.parametrize("name", HOSTILE)
def test_notifications_are_harmless_in_every_channel(
    client: TestClient, stored: Mapping[int, Match], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import apprise

    match = list(stored.values())[-1 - list(HOSTILE).index(name)]
    words = (HOSTILE[name][:300], *NAMES[:3])
    story = replace(SPIKE.story or Story(), terms=words, new_terms=words)
    alert = replace(SPIKE, id=1, brand=HOSTILE[name][:300], in_common=words, story=story, taken_by=NAMES[0])
    links = Links("https://desk.example", lambda number: "t0ken")
    for told in (alert, replace(alert, rule="single post", scope="x 1"), replace(alert, rule="stale source")):
        message = compose("key-1", Reason.FIRST, told, [match], 1, links, page=letter_page)
        check_message(message.title, name)
        assert "\n" not in message.title
        check_message(message.body, name)
        check_page(without_style(message.html or ""), f"mail of {name}")
        assert json.loads(json.dumps(message.facts)) == message.facts  # what the webhook sends
        facts = re.sub(r'"(url|id)": "(\\.|[^"\\])*"', "", json.dumps(message.facts, ensure_ascii=False))
        check_message(facts, f"facts of {name}")  # addresses and ids stay as they are, to be of use
        ConsoleChannel().send(message)
        assert all(line.isprintable() for line in capsys.readouterr().out.splitlines())
        for url in ("json://localhost", "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "discord://1/a"):
            service: Any = apprise.Apprise.instantiate(url)
            if service:
                check_message(fitted(service, message.title, message.body)["body"], f"{url} of {name}")


def without_style(html: str) -> str:
    """A letter brings its own style, which no word of a post is in."""
    style = "".join(re.findall(r"<style>(.*?)</style>", html, re.DOTALL))
    assert "evil" not in style
    html = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    return re.sub(r' style="[^"<>]*"', "", html)


def names_of(found: Sequence[Match]) -> set[str | None]:
    return {match.mention.author for match in found}


def test_names_and_addresses_are_hostile_too(stored: Mapping[int, Match]) -> None:
    assert len(names_of(list(stored.values()))) >= 15
    assert {"javascript:alert(1)", "file:///etc/passwd"} & {match.mention.url for match in stored.values()} or all(
        match.mention.url is None or match.mention.url.startswith("http") for match in stored.values()
    )
