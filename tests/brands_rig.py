"""What the tests of the walls between brands share: two brands in one database, and somebody who sees one of them."""

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from starlette.routing import Mount

from db.desk import Conditions, Rule, Session, Snippet, User
from db.filters import Filter
from db.records import Alert, Feedback, Match, Part, Silence, Story
from db.store import Store
from db.tokens import hashed
from jobs.desk import acts, answer, surveys
from monitor import accounts, config, plugins
from monitor.web.app import build
from monitor.web.auth import COOKIE
from tests.cli_rig import configure
from tests.support import DAY, HOUR, MINUTE, NOW, judge, keep, mention
from tests.web_rig import SPIKE

MARK = "zyxq"  # in every name, text and address of the other brand, and nowhere else
OTHER = f"{MARK}brand"
BRANDS = f'[[brands]]\nname = "{OTHER}"\nquery = "{MARK}"\n'
SOURCE = '[[sources]]\nname = "hn"\nkind = "hackernews"\n'
STREAMS = ("/desk/live",)  # it never ends; it is read apart
CHARTS = ("timeline", "brands", "changes", "journey", "pillars", "matrix", "service", "compare")
OURS, THEIRS = 4, 7  # posts of the brand that is seen, and of the other
NUMBERS = ("1", "2", "5", "6", "7", "12")  # the other's alert, rule and view are 2, its posts and cases 5 to 13
DRAWN = ("timeline", "brands", "compare")  # charts that are looked at as pictures too


@dataclass
class Walled:
    """The application over one database, asked by somebody who sees Acme alone."""

    folder: Path
    app: FastAPI
    client: TestClient

    @property
    def database(self) -> Path:
        return self.folder / "posts.db"

    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.client.get("/account").text)
        assert found
        return found[1]


def walled(folder: Path, *, other: bool, role: str = "approver") -> Iterator[Walled]:
    """Start over a database with posts of Acme, and where `other`, more of another brand that came after them."""
    configure(folder, *([BRANDS] if other else []), SOURCE, '[web]\nurl = "https://desk.example"')
    with Store(folder / "posts.db") as store:
        with store.transaction():
            boss = store.users.add(User(0, "boss", "admin"), None, NOW)
            mia = store.users.add(User(0, "mia", role, ("Acme",)), None, NOW)
            store.sessions.add(Session(hashed("mias"), mia.id, NOW, NOW, NOW + DAY))
            store.sessions.add(Session(hashed("bosss"), boss.id, NOW, NOW, NOW + DAY))
        fill(store, boss, "Acme", "acme", OURS)
        if other:
            fill_other(store)
            _about_both(store)
    app = build(config.load(folder / "sentimon.toml", plugins.load()), lambda: NOW)
    with TestClient(app, follow_redirects=False, raise_server_exceptions=False) as client:
        client.cookies.set(COOKIE, "mias")
        yield Walled(folder, app, client)


def fill_other(store: Store) -> None:
    """Let posts of the other brand come."""
    fill(store, accounts.known(store, "boss"), OTHER, MARK, THEIRS)


def fill(store: Store, boss: User, brand: str, word: str, count: int) -> None:
    """Put posts of a brand everywhere that the pages look: alerts, the desk, replies, surveys, rules, views."""
    posts = [
        mention(
            f"{word}-id-{n}",
            f"awful {word} refund, charged twice? {word}word{n}",
            NOW - (n + 1) * 5 * MINUTE,
            author=f"{word}author",
            url=f"https://{word}.example/{n}",
            in_reply_to=f"{word}-id-0" if n == 2 else None,
        )
        for n in range(count)
    ]
    keep(store, *posts, brands=(brand,))
    judge(store)
    found = list(store.mentions.every(Filter(brands=(brand,))))
    with store.transaction():
        _alert(store, boss, brand, word, found)
        alert = max(alert.id for alert in store.alerts.open())
        for match in found:
            store.cases.open(match, alert, f"{word} reason", 1.0, NOW - HOUR, due=NOW + HOUR)
        cases = [case.id for match in found if (case := store.cases.of_match(match.id))]
        acts.note(store, cases[0], boss, NOW, text=f"{word} note")
        acts.tag(store, cases[0], boss, NOW, tag=f"{word}tag")
        answer.draft(store, cases[0], boss, NOW, text=f"{word} draft")
        answer.by_hand(store, cases[1], boss, NOW - MINUTE, text=f"{word} answer", url=f"https://{word}.example/reply")
        reply = store.replies.last(cases[1])
        assert reply
        survey = store.surveys.offer(reply.id, brand, "x", "csat", NOW - HOUR)
        surveys.answer(store, survey, 2, f"{word} comment", NOW - HOUR)
        acts.dismiss(store, cases[2], boss, NOW, reason="spam")
        store.snippets.save(Snippet(0, f"{word} snippet", f"{word} saved", brand, "boss", NOW))
        store.rules.save(Rule(0, f"{word} rule", Conditions(brands=(brand,), query=word), tag=f"{word}tag"))
        store.views.save("boss", f"{word} view", f"brand={brand}&tag={word}tag", True)


def _alert(store: Store, boss: User, brand: str, word: str, found: list[Match]) -> None:
    told = replace(
        SPIKE,
        brand=brand,
        scope=f"source {word}",
        summary=f"{word} summary",
        in_common=(f"{word}term",),
        taken_by="boss",
        story=Story(
            parts=(Part("source", "x", 40, 0.4, 0.9),),
            terms=(f"{word}term",),
            new_terms=(f"{word}new",),
            posts=tuple(match.id for match in found),
            authors=12,
            copies=2,
            reach=123456,
        ),
    )
    saved = _saved(store, told, found)
    store.alerts.say(Feedback(saved, "boss", NOW, "noise", f"{word} feedback"))
    store.silences.add(Silence(0, NOW, NOW + HOUR, "boss", f"{word} silence", brand, told.rule, told.scope))


def _saved(store: Store, alert: Alert, found: list[Match]) -> int:
    store.alerts.save(alert, found)
    return max(each.id for each in store.alerts.open())


def _about_both(store: Store) -> None:
    """Let a post of the other brand answer one that is seen, and the author that is seen write about both."""
    keep(
        store,
        mention(f"{MARK}-under", f"awful {MARK}", NOW - MINUTE, author=f"{MARK}author", in_reply_to="acme-id-0"),
        mention(f"{MARK}-same", f"awful {MARK}", NOW - MINUTE, author="acmeauthor"),
        brands=(OTHER,),
    )
    judge(store)


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Every method and path of the application, those of the programming interface too."""
    for route in app.routes:
        if isinstance(route, APIRoute):
            for method in sorted((route.methods or set()) - {"HEAD"}):
                yield method, route.path
        elif isinstance(route, Mount) and isinstance(route.app, FastAPI):
            for path, methods in route.app.openapi()["paths"].items():
                for method in methods:
                    yield method.upper(), route.path + path


def addresses(path: str) -> Iterator[str]:
    """Every address of a path: with each number that there is, each chart, each kind of file."""
    if "{number" in path:
        for number in NUMBERS:
            yield from addresses(re.sub(r"\{number[^}]*\}", number, path, count=1))
    elif "{name}.{kind}" in path:
        for name in CHARTS:
            for kind in ("csv", "json", *(["svg"] if name in DRAWN else [])):
                yield path.replace("{name}.{kind}", f"{name}.{kind}")
    else:
        yield re.sub(r"\{[^}]*\}", "1", path)


ACTS = (
    *("claim", "release", "take over", "assign", "dismiss", "snooze", "reopen", "level", "escalate", "tag", "untag"),
    *("note", "correct", "draft", "submit", "by hand", "approve", "send back", "withdraw", "say sent", "say not sent"),
    *("useful", "take", "1 hour", "unsilence", "up", "down", "enable", "disable", "remove", "try", "save"),
)
BODIES: dict[str, dict[str, Any]] = {
    "tag": {"tag": "x"},
    "level": {"level": "high"},
    "note": {"text": "x"},
    "reply": {"text": "x"},
}
BODIES |= {"dismiss": {"reason": "spam"}, "snooze": {"until": "2026-03-05"}, "mark": {"word": "noise"}}
BODIES |= {"silence": {"hours": 1.0}, "assign": {"to": "mia"}}


def everything(path: str, number: str) -> Iterator[dict[str, Any]]:
    """Everything that can be sent to an address, about the thing of this number."""
    last = path.rpartition("/")[2]
    if path.startswith("/api/"):
        yield {"post": int(number), "labels": {"sentiment": "positive"}} if last == "verdicts" else BODIES.get(last, {})
        return
    fields = {"case": number, "id": number, "match": number, "which": number, "version": "1", "text": "x", "name": "x"}
    fields |= {"tag": "x", "level": "high", "reason": "spam", "until": "1h", "sentiment": "positive", "assignee": "mia"}
    for act in ACTS if "desk" in path or "alerts" in path else ("other",):
        yield {**fields, "do": act}


def dump(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that the database holds, less what merely being here changes."""
    connection = sqlite3.connect(database)
    try:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        kept = [name for name in names if not name.startswith(("sqlite_", "mentions_fts", "sessions", "attempts"))]
        return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in kept}
    finally:
        connection.close()
