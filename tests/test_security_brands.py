"""What belongs to another brand is not there: no page, file or answer of any address shows it, and none changes it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from db.desk import Snippet, Token
from db.store import Store
from db.tokens import hashed
from jobs.desk import snippet
from jobs.desk.rules import version
from monitor import accounts
from monitor.web.auth import COOKIE
from tests.brands_rig import (
    CHARTS,
    MARK,
    OTHER,
    OURS,
    STREAMS,
    Walled,
    addresses,
    dump,
    everything,
    fill_other,
    routes,
    walled,
)
from tests.support import NOW

Asked = Mapping[str, str | Sequence[str]]

# What an address is asked beside nothing: the other's things by their numbers, every state, every order.
NUMBERED: Asked = dict.fromkeys(("edit", "use", "like", "alert", "match", "case", "done", "of", "skip"), "2")
WIDE: Asked = {"tab": "all", "state": ["new", "replied", "dismissed"], "by": "source", "order": "reach", "copies": "no"}
NAMED: Asked = {"brand": ["Acme", OTHER], "against": "nothing", "days": "1"}
TRENDS = "journey|experience|compare"
PICKY = re.compile(f"/($|{TRENDS}|charts|desk|posts|care|api/v1/({TRENDS}|overview|trends|care))")


@pytest.fixture(scope="module")
def mia(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walled]:
    """Somebody who sees Acme, where there is another brand."""
    yield from walled(tmp_path_factory.mktemp("two"), other=True)


def gets(place: Walled) -> list[str]:
    found = [(method, path) for method, path in routes(place.app) if method == "GET" and path not in STREAMS]
    return [address for _, path in found for address in addresses(path)]


def without_echo(text: str, asked: Asked) -> str:
    """An answer less what was asked."""
    return text.replace(OTHER, "") if OTHER in asked.get("brand", ()) else text


def leaks(client: TestClient, asked: Sequence[tuple[str, Asked]]) -> list[str]:
    found = []
    for path, params in asked:
        text = without_echo(client.get(path, params=dict(params)).text, params)
        place = text.lower().find(MARK)
        if place >= 0:
            found.append(f"{path} {params}: …{text[max(place - 100, 0) : place + 60]}…")
    return found


def test_no_page_and_no_file_shows_anything_of_another_brand(mia: Walled) -> None:
    paths = gets(mia)
    assert {"/", "/desk/cases/6", "/alerts/2", "/api/v1/cases/6", "/charts/brands.csv"} <= set(paths)
    assert leaks(mia.client, [(path, {}) for path in paths]) == []


@pytest.mark.parametrize("asked", [NUMBERED, WIDE, NAMED], ids=["numbered", "wide", "named"])
def test_no_question_brings_it_out(mia: Walled, asked: Asked) -> None:
    pages = [path for path in gets(mia) if not path.startswith("/charts/") and not re.search("/[5-9]|/1[0-9]", path)]
    pages += [f"/charts/{name}.json" for name in CHARTS]
    assert leaks(mia.client, [(path, asked) for path in pages]) == []
    alone = [{name: value} for name, value in asked.items()]  # of several, some pages refuse all for the sake of one
    assert leaks(mia.client, [(path, one) for path in pages if PICKY.match(path) for one in alone]) == []


def test_who_sees_all_sees_it_on_the_same_pages(mia: Walled) -> None:
    boss = TestClient(mia.app, cookies={COOKIE: "bosss"})
    for path in ("/desk", "/desk/rules", "/desk/snippets", "/posts", "/alerts", "/status", "/api/v1/cases", "/care"):
        assert MARK in boss.get(path).text.lower(), path


def test_what_is_seen_stays_the_same_when_posts_of_another_brand_come(tmp_path: Path) -> None:
    """So no count, rank or order tells of them either."""
    shown = ("/", "/posts", "/desk", "/desk/cases/1", "/alerts", "/alerts/1", "/journey", "/experience", "/compare")
    told = ("/status", "/status.json", "/care", "/care.json", "/care.csv", "/label", "/desk/rules", "/desk/snippets")
    for place in walled(tmp_path, other=False):
        paths = [*shown, *told, *(path for path in gets(place) if path.startswith("/api/v1/"))]
        before = {path: seen(place, path) for path in paths}
        with Store(place.database) as store:
            fill_other(store)
        after = {path: seen(place, path) for path in paths}
        assert [path for path in paths if before[path] != after[path]] == []


def seen(place: Walled, path: str) -> str:
    """A page less the number of the newest event, by which pages that are open know what is new."""
    return re.sub(r'data-seen="[0-9]+"', "", place.client.get(path).text)


def others_rows(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What the database holds of the other brand: everything that was stored after Acme's, and names it."""
    return {
        table: [row for row in found if MARK in json.dumps(row, default=str).lower()]
        for table, found in dump(database).items()
    } | {table: [row for row in dump(database)[table] if row[0] > OURS] for table in ("cases", "matches", "scores")}


def test_no_act_changes_it_or_tells_of_it(tmp_path: Path) -> None:
    for place in walled(tmp_path, other=True):
        before, csrf = others_rows(place.database), place.csrf()
        theirs = ("5", "6")  # one with a draft, one that was answered
        wrong = []
        for method, path in routes(place.app):
            if method == "GET" or path in ("/logout", "/in/{name:path}"):
                continue
            numbers = theirs if "{number" in path and "alerts" not in path and "views" not in path else ("2",)
            for number in numbers:
                address = re.sub(r"\{[^}]*\}", number, path)
                for sent in everything(path, number):
                    headers = {"X-CSRF-Token": csrf}
                    given: Any = {"json": sent} if path.startswith("/api/") else {"data": {**sent, "csrf": csrf}}
                    answer = place.client.request(method, address, headers=headers, **given)
                    if MARK in answer.text.lower() or answer.status_code >= 500:
                        wrong.append(f"{address} {sent}: {answer.status_code} {answer.text[:200]}")
        assert wrong == []
        assert others_rows(place.database) == before


def test_a_token_sees_no_more_than_its_owner(mia: Walled) -> None:
    with Store(mia.database) as store, store.transaction():
        owner = accounts.known(store, "mia")
        store.tokens.add(Token(0, owner.id, "all", ("read", "desk", "admin"), NOW), hashed("sm_mias"))
    program = TestClient(mia.app, headers={"Authorization": "Bearer sm_mias"})
    assert program.get("/api/v1/posts").status_code == 200
    paths = [path for path in gets(mia) if path.startswith("/api/")]
    assert leaks(program, [(path, {}) for path in paths]) == []


def test_figures_by_person_are_for_approvers_in_every_form(tmp_path: Path) -> None:
    for role, shown in (("viewer", False), ("approver", True)):
        folder = tmp_path / role
        folder.mkdir()
        for place in walled(folder, other=False, role=role):
            assert bool(place.client.get("/api/v1/care").json()["by_person"]) == shown
            assert ("by_person" in place.client.get("/care.json").json()) == shown


def test_a_rule_moves_among_those_that_are_seen_and_leaves_the_others_in_their_order(tmp_path: Path) -> None:
    for place in walled(tmp_path, other=True):
        with Store(place.database) as store, store.transaction():
            first, hidden = store.rules.all()
            last = store.rules.save(first.__class__(0, "last", first.when))
        sent = {"csrf": place.csrf(), "do": "up", "id": str(last.id), "seen": version(last)}
        assert place.client.post("/desk/rules", data=sent).status_code == 303
        with Store(place.database) as store:
            assert [rule.id for rule in store.rules.all()] == [last.id, first.id, hidden.id]
        sent = {"csrf": place.csrf(), "do": "down", "id": str(hidden.id), "seen": version(hidden)}
        assert place.client.post("/desk/rules", data=sent).status_code == 404


def test_saved_replies_for_all_brands_are_changed_by_who_sees_all(mia: Walled) -> None:
    with Store(mia.database) as store, store.transaction():
        made = store.snippets.save(Snippet(0, "for all", "hello", None, "boss", NOW))
    assert "all brands" not in mia.client.get("/desk/snippets").text
    known = {"id": str(made.id), "seen": snippet.version(made), "csrf": mia.csrf()}
    for sent, status in (({"do": "remove"}, 403), ({"name": "x", "text": "x", "brand": "Acme"}, 409)):
        assert mia.client.post("/desk/snippets", data={**known, **sent}).status_code == status
    answer = mia.client.post("/desk/snippets", data={"name": "y", "text": "y", "brand": "", "csrf": mia.csrf()})
    assert answer.status_code == 403
    with Store(mia.database) as store:
        assert [one.text for one in store.snippets.all() if one.brand is None] == ["hello"]
