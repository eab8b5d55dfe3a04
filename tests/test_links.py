"""Links that let their holder act on an alert."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from itsdangerous import URLSafeSerializer

from db.store import Store
from monitor.links import GOOD_FOR, KEY, admits, links
from tests.support import DAY, NOW, rows

BASE = "https://desk.example"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "posts.db") as store:
        yield store


def token(store: Store, number: int = 7, base: str = BASE) -> str:
    address = links(base, store, NOW).alert(number) or ""
    return parse_qs(urlsplit(address).query)["token"][0]


def test_without_an_address_there_are_no_links_and_no_key(store: Store) -> None:
    assert links(None, store, NOW).alert(7) is None
    assert rows(store.path, "SELECT count(*) FROM keys") == [(0,)]


def test_a_link_leads_to_the_page_of_its_alert(store: Store) -> None:
    for base in (BASE, "https://desk.example/", "http://127.0.0.1:8420", "https://desk.example/sentimon"):
        address = urlsplit(links(base, store, NOW).alert(7) or "")
        assert address._replace(query="").geturl() == f"{base.rstrip('/')}/alerts/7"
        assert set(parse_qs(address.query)) == {"token"}


def test_a_token_is_good_for_its_alert_for_two_weeks(store: Store) -> None:
    good = token(store)
    assert admits(store, good, 7, NOW)
    assert admits(store, good, 7, NOW + GOOD_FOR - timedelta(seconds=1))
    assert not admits(store, good, 7, NOW + GOOD_FOR)
    assert not admits(store, good, 8, NOW)
    assert timedelta(days=14) == GOOD_FOR


def test_links_made_later_leave_earlier_ones_good(store: Store) -> None:
    good = token(store)
    links(BASE, store, NOW + 5 * DAY).alert(7)
    assert admits(store, good, 7, NOW + 5 * DAY)


def test_a_token_is_good_in_its_own_database_alone(store: Store, tmp_path: Path) -> None:
    with Store(tmp_path / "other.db") as other:
        good = token(other)
        token(store)
        assert admits(other, good, 7, NOW)
        assert not admits(store, good, 7, NOW)


def test_every_change_to_a_token_spoils_it(store: Store) -> None:
    good = token(store)
    for place, sign in enumerate(good):
        if place == len(good) - 1:
            break  # of the last one some bits say nothing
        changed = good[:place] + ("A" if sign != "A" else "B") + good[place + 1 :]
        assert not admits(store, changed, 7, NOW), place
    for cut in range(len(good)):
        assert not admits(store, good[:cut], 7, NOW), cut


def test_what_is_no_token_is_refused(store: Store) -> None:
    token(store)
    signs = ("", ".", "..", "WzcsOV0", "WzcsOV0.", "\x00", "é", "\ud800", "a" * 100_000, ".eJw.x", "[7, 9999999999]")
    for bad in signs:
        assert not admits(store, bad, 7, NOW), bad[:50]


def test_what_is_signed_and_of_another_shape_is_refused(store: Store) -> None:
    token(store)
    with store.transaction():
        signer = URLSafeSerializer(store.keys.of(KEY), salt="alert")
    shapes: list[object] = [
        7,
        None,
        [],
        [7],
        [7, "9"],
        ["7", 9e12],
        [7, 9e12, 1],
        {"a": 1},
        [[7], 9e12],
        "7",
        [7, None],
    ]
    for held in shapes:
        assert not admits(store, signer.dumps(held), 7, NOW), held
    assert admits(store, signer.dumps([7, 9e12]), 7, NOW)


def test_what_is_signed_for_something_else_is_refused(store: Store) -> None:
    token(store)
    with store.transaction():
        signer = URLSafeSerializer(store.keys.of(KEY), salt="something else")
    assert not admits(store, signer.dumps([7, int((NOW + DAY).timestamp())]), 7, NOW)


def test_asking_makes_no_key(store: Store) -> None:
    assert not admits(store, "WzcsOV0.x", 7, NOW)
    assert store.keys.made(KEY) is None
    assert rows(store.path, "SELECT count(*) FROM keys") == [(0,)]


def test_a_key_is_made_once_and_is_long(store: Store) -> None:
    with store.transaction():
        first, again = store.keys.of(KEY), store.keys.of(KEY)
        other = store.keys.of("other")
    assert first == again == store.keys.made(KEY)
    assert len(first) == len(other) == 32
    assert first != other
