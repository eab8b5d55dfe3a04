"""Copies: posts that say nearly the same are found, and counts can be shown without them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from db.copies import Text
from db.filters import Filter
from db.records import Answer, Mention, Score
from db.store import Store
from jobs.group import group
from models.alike import are_alike, bands_of, runs_of

T0 = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CAMPAIGN = "Boycott acme until they bring back the old recipe, sign the petition and tell your friends"
BAD = Score("m", True, "en", {"sentiment": Answer("negative", {"negative": 1.0})})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as opened:
        yield opened


def post(
    number: int, text: str = CAMPAIGN, at: datetime = T0, source: str = "x", repost_of: str | None = None
) -> Mention:
    return Mention(source, str(number), f"a{number}", text, at, at, repost_of=repost_of)


def add(store: Store, *posts: Mention) -> None:
    with store.transaction():
        store.mentions.add([(each, ["Acme"]) for each in posts])


def copies(store: Store) -> dict[str, str]:
    rows = store._db.execute(
        "SELECT m.source_id, o.source_id FROM mentions m JOIN mentions o ON o.id = m.copy_of ORDER BY m.id"
    ).fetchall()
    return dict(rows)


@pytest.mark.parametrize(
    "text",
    [
        CAMPAIGN.upper(),
        f"@acme {CAMPAIGN} https://t.co/abc",
        f"RT @ann: {CAMPAIGN}",
        CAMPAIGN.replace(",", " –") + "!!!",
        CAMPAIGN + " now",
    ],
)
def test_the_same_words_in_another_dress_are_a_copy(store: Store, text: str) -> None:
    add(store, post(1), post(2, text))
    assert group(store).counts == {"looked_at": 2, "copies": 1}
    assert copies(store) == {"2": "1"}


@pytest.mark.parametrize(
    "text",
    [
        "I will not boycott acme, the new recipe is fine and my friends like it too",
        "thank you so much",
        "",
        "https://t.co/abc @acme",
    ],
)
def test_other_words_and_few_words_are_no_copy(store: Store, text: str) -> None:
    add(store, post(1), post(2, text), post(3, text, T0 + timedelta(minutes=1)) if len(text) < 30 else post(4, "acme"))
    group(store)
    assert copies(store) == {}


def test_all_copies_name_the_first_whatever_copy_they_were_found_by(store: Store) -> None:
    add(store, *(post(n) for n in range(1, 30)))
    group(store)
    assert set(copies(store).values()) == {"1"}
    add(store, post(99, CAMPAIGN + " today"))
    assert group(store).counts == {"looked_at": 1, "copies": 1}
    assert copies(store)["99"] == "1"


def test_a_copy_on_another_platform_is_found(store: Store) -> None:
    add(store, post(1), post(2, source="mastodon"))
    group(store)
    assert copies(store) == {"2": "1"}


def test_the_same_words_weeks_apart_are_no_copy_also_when_they_are_imported_together(store: Store) -> None:
    add(store, post(1, at=T0 - 30 * DAY), post(2, at=T0 - 24 * DAY), post(3, at=T0))
    group(store)
    assert copies(store) == {"2": "1"}


def test_a_repost_is_linked_to_its_original_however_short(store: Store) -> None:
    add(store, post(1, "acme!"), post(2, "acme!", repost_of="1"), post(3, "acme!", repost_of="unknown"))
    group(store)
    assert copies(store) == {"2": "1"}


def test_an_edited_post_is_looked_at_again(store: Store) -> None:
    add(store, post(1), post(2))
    group(store)
    edited = replace(post(2), text="acme is really quite all right after all, we think", collected_at=T0 + DAY)
    add(store, edited)
    group(store)
    assert copies(store) == {}
    assert group(store).counts == {"looked_at": 0, "copies": 0}


def test_counts_are_shown_with_and_without_copies(store: Store) -> None:
    add(store, *(post(n) for n in range(1, 6)), post(7, "acme broke my phone"), post(8, "acme broke", repost_of="7"))
    with store.transaction():
        store.scores.save([(match, BAD) for match in store.mentions.pending(99)], T0)
    group(store)
    assert [trend.negative for trend in store.trends.by(("day",), Filter())] == [7]
    assert [trend.negative for trend in store.trends.by(("day",), Filter(), copies=False)] == [2]
    (found,) = store.trends.by(("week", "source", "stage"), Filter(brands=("Acme",), sources=("x",)), copies=False)
    assert (found.bucket, dict(found.keys), found.mentions) == ("2026-11-16", {"source": "x", "stage": "none"}, 2)


def test_a_run_that_is_stopped_goes_on_where_it_was(store: Store) -> None:
    add(store, *(post(n, f"acme post with its own words number {n} and nothing else") for n in range(450)))
    answers = iter([False, True])
    assert group(store, lambda: next(answers)).counts["looked_at"] == 200
    assert group(store).counts["looked_at"] == 250


def test_bands_are_the_same_in_every_process() -> None:
    assert bands_of(runs_of("one two three four five six seven"))[:2] == FIRST_BANDS
    assert not are_alike(frozenset(), frozenset())


FIRST_BANDS = [-5618880498547057374, 1346710045591131743]


def test_of_a_campaign_a_few_are_looked_at_and_all_name_the_first(store: Store) -> None:
    add(store, *(post(number, f"{CAMPAIGN} {number % 3 or ''}") for number in range(100)))
    group(store)
    assert copies(store) == {str(number): "0" for number in range(1, 100)}
    bands = bands_of(runs_of(CAMPAIGN))
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    store._db.conn.set_progress_handler(count, 10)
    assert len(store.copies.alike(bands, T0 - DAY, T0 + DAY)) == 20
    store._db.conn.set_progress_handler(None, 0)
    few, steps = steps, 0
    add(store, *(post(number) for number in range(100, 1100)))
    group(store)
    store._db.conn.set_progress_handler(count, 10)
    assert len(store.copies.alike(bands, T0 - DAY, T0 + DAY)) == 20
    assert steps < 2 * few


def test_a_post_that_is_erased_before_it_was_looked_at_leaves_no_bands(store: Store) -> None:
    """Between the look whether there is anything to do and the transaction, another process may erase."""
    add(store, post(1))

    ungrouped = store.copies.ungrouped

    def then_erased(limit: int) -> list[Text]:
        found = ungrouped(limit)
        if not store._db.conn.in_transaction:
            with Store(store.path) as other, other.transaction():
                other.forgotten.erase_named("x", ["1"], T0, "deleted")
        return found

    store.copies.ungrouped = then_erased  # type: ignore[method-assign]
    group(store)
    assert store._db.execute("SELECT count(*) FROM shingles").fetchone() == (0,)
