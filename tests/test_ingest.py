"""Importing keeps every post under a brand, once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.filters import Filter
from db.mentions import Added
from db.records import NO_BRAND, Mention
from db.store import Store
from jobs.ingest import BATCH, ingest
from tests.support import brand, judge, keep, mention

BRANDS = [brand(), brand("Bolt", accounts={"x": "boltcare"})]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as store:
        yield store


def kept(store: Store) -> list[tuple[str, str]]:
    return sorted((match.mention.source_id, match.brand) for match in store.mentions.every(Filter()))


@pytest.mark.parametrize(
    ("text", "given", "brands"),
    [
        pytest.param("acme is down", None, ["Acme"], id="the brand that it names"),
        pytest.param("acme or bolt?", None, ["Acme", "Bolt"], id="each brand that it names"),
        pytest.param("acme is down", "Bolt", ["Bolt"], id="the brand given, whatever it names"),
        pytest.param("nothing", "bOLT", ["Bolt"], id="the brand given in any case"),
        pytest.param("acme is down", "Initech", ["Initech"], id="a brand that is not configured, under its name"),
        pytest.param("nothing", None, [NO_BRAND], id="no brand"),
        pytest.param("nothing", "", [NO_BRAND], id="an empty brand is none"),
    ],
)
def test_a_post_is_kept_under(store: Store, text: str, given: str | None, brands: list[str]) -> None:
    ingest(store, [(mention(1, text), given)], BRANDS)
    assert kept(store) == [("1", name) for name in brands]


def test_a_brands_own_post_is_no_mention_of_it(store: Store) -> None:
    ingest(store, [(mention(1, "bolt says hello", author="boltcare"), None)], BRANDS)
    assert kept(store) == [("1", NO_BRAND)]


def test_importing_twice_adds_nothing(store: Store) -> None:
    posts = [(mention(number, "acme" if number % 2 else "nothing"), None) for number in range(BATCH + 10)]
    assert ingest(store, posts, BRANDS) == Added(BATCH + 10, 0, BATCH + 10)
    before = kept(store)
    judge(store)
    assert ingest(store, posts, BRANDS) == Added(0, BATCH + 10, 0)
    assert kept(store) == before
    assert store.mentions.pending_count() == 0


def test_a_post_that_was_collected_under_a_brand_gains_no_none(store: Store) -> None:
    keep(store, mention(1, "known by its thread"), brands=["Acme"])
    ingest(store, [(mention(1, "known by its thread"), None)], BRANDS)
    assert kept(store) == [("1", "Acme")]


def test_what_came_before_an_unreadable_line_is_kept(store: Store) -> None:
    def posts() -> Iterator[tuple[Mention, str | None]]:
        for number in range(BATCH):
            yield mention(number), None
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(store, posts(), BRANDS)
    assert store.mentions.counts()[0] == BATCH
