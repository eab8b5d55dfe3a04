"""Collecting: what is written down of how far each stream was read, gaps included."""

from datetime import datetime
from decimal import Decimal

from db.backfills import ASKED
from db.errors import RateLimited, SourceUnavailable, StreamRefused
from db.records import Gap, Position
from db.store import Store
from jobs.backfill import backfill
from jobs.collect import collect
from tests.fake_archive import Archive
from tests.support import DAY, HOUR, MINUTE, NOW, Script, batch, brand, coverage, ids, mention, source

ACME = [brand()]


T = "2026-03-04T12:{:02}:00Z".format


def test_coverage_tells_what_was_read_and_what_was_not(store: Store) -> None:
    script = Script({"all": [batch(mention(1), cursor="1", fetched=10)]})
    collect(store, source(script), ACME, NOW)
    script.play["all"] = [batch(mention(2), resume="2"), SourceUnavailable("away")]
    collect(store, source(script), ACME, NOW + MINUTE)
    script.play["all"] = [RateLimited("wait", NOW + 3 * MINUTE)]
    collect(store, source(script), ACME, NOW + 2 * MINUTE)
    script.play["all"] = [batch(mention(3), cursor="3")]
    collect(store, source(script), ACME, NOW + 3 * MINUTE)
    assert coverage(store) == [
        ("all", None, T(0), "complete", None, 10, 1, "0"),
        ("all", T(0), T(1), "partial", "away", 1, 1, "0"),
        ("all", T(0), T(2), "missing", "wait", 0, 0, "0"),
        ("all", T(0), T(3), "complete", None, 1, 1, "0"),
    ]
    assert store.sources.gaps(10) == []  # the last run read what the others had not


def test_a_gap_that_a_collector_tells_of_is_written_down_for_good(store: Store) -> None:
    gap = Gap(NOW - 9 * DAY, NOW - 7 * DAY, "older than X searches")
    collect(store, source(Script({"all": [batch(mention(1), cursor="1", gap=gap)]})), ACME, NOW)
    (kept,) = store.sources.gaps(10)
    assert (kept.since, kept.until, kept.state, kept.reason) == (gap.since, gap.until, "missing", gap.reason)
    assert [row[3] for row in coverage(store)] == ["missing", "complete"]


def states(store: Store, since: datetime, until: datetime) -> list[str]:
    return [hour.state for hour in store.sources.hours("x-main", since, until, until)]


def test_a_gap_that_a_run_told_of_before_it_failed_is_not_read_by_the_next(store: Store) -> None:
    collect(store, source(Script({"all": [batch(cursor="1")]})), ACME, NOW)
    gap = Gap(NOW, NOW + 3 * HOUR, "older than what is kept", "capped")
    reading = [batch(mention(1), resume="2", gap=gap), SourceUnavailable("time was up")]
    collect(store, source(Script({"all": reading})), ACME, NOW + 6 * HOUR)
    collect(store, source(Script({"all": [batch(cursor="3")]})), ACME, NOW + 7 * HOUR)
    assert states(store, NOW, NOW + 7 * HOUR) == ["missing"] * 3 + ["complete"] * 4
    assert [(told.since, told.until) for told in store.sources.gaps(9)] == [(gap.since, gap.until)]
    assert store.sources.covered_until("x-main") == {"all": NOW + 7 * HOUR}


def test_a_gap_that_was_read_before_the_next_run_is_a_gap_no_more(store: Store) -> None:
    collect(store, source(Script({"all": [batch(cursor="1")]})), ACME, NOW)
    gap = Gap(NOW + HOUR, NOW + 3 * HOUR, "more than it lists")
    reading = [batch(mention(1), resume="2", gap=gap), SourceUnavailable("away")]
    collect(store, source(Script({"all": reading})), ACME, NOW + 6 * HOUR)
    past = source(Archive([], names=["all"]))
    assert backfill(store, [past], ACME, NOW + 6 * HOUR).counts["done"] == 1
    collect(store, source(Script({"all": [batch(cursor="3")]})), ACME, NOW + 7 * HOUR)
    assert states(store, NOW, NOW + 7 * HOUR) == ["complete"] * 7
    assert store.sources.gaps(9) == store.sources.told_gaps("x-main") == []
    assert [row[1:4] for row in coverage(store)][-1] == (T(0), "2026-03-04T19:00:00Z", "complete")


def test_what_the_past_did_not_give_says_nothing_of_a_first_reading(store: Store) -> None:
    with store.transaction():
        store.sources.configured("x-main", "x", "1")
        store.backfills.request("x-main", "all", NOW - 5 * HOUR, NOW - HOUR, ASKED, NOW)
    backfill(store, [source(Archive([], names=["all"], first=NOW - 3 * HOUR))], ACME, NOW)
    assert states(store, NOW - 5 * HOUR, NOW) == ["missing"] * 2 + ["complete"] * 2
    collect(store, source(Script({"all": [batch(cursor="1")]})), ACME, NOW + HOUR)
    assert coverage(store)[-1][1:4] == (None, "2026-03-04T13:00:00Z", "complete")


def test_a_gap_that_does_not_say_where_it_begins_begins_where_the_last_reading_ended(store: Store) -> None:
    collect(store, source(Script({"all": [batch(cursor="1")]})), ACME, NOW)
    reading = batch(cursor="2", gap=Gap(None, NOW + 3 * HOUR, "more than a run reads"))
    collect(store, source(Script({"all": [reading]})), ACME, NOW + 5 * HOUR)
    assert states(store, NOW, NOW + 5 * HOUR) == ["missing"] * 3 + ["complete"] * 2
    assert [(told.since, told.until) for told in store.sources.told_gaps("x-main")] == [(NOW, NOW + 3 * HOUR)]


# --- streams on which nothing rests ---------------------------------------------------------------------------------


class Ears(Script):
    """Listens to `live` too."""

    def beside(self) -> list[str]:
        return ["live"]


def test_a_source_of_which_a_stream_was_only_heard_was_not_read(store: Store) -> None:
    collect(store, source(Ears({"live": [batch()], "a": [batch()]})), ACME, NOW)
    script = Ears({"live": [batch(mention(1), cursor="1")], "a": [SourceUnavailable("a: away")]})
    outcome = collect(store, source(script), ACME, NOW + HOUR)
    state = store.sources.state("x-main")
    assert state is not None
    assert (outcome.error, state.last_error, state.last_ok_at) == ("a: away", "a: away", NOW)
    assert [stream for stream, _ in script.asked] == ["a", "live"], "it comes last"
    assert ids(store) == ["1"]
    assert store.sources.position("x-main", "live") == Position("1")
    collect(store, source(script), ACME, NOW + 2 * HOUR)
    assert states(store, NOW, NOW + 2 * HOUR) == ["missing"] * 2


def test_a_stream_that_is_not_heard_is_told_and_holds_no_hour_open(store: Store) -> None:
    collect(store, source(Ears({"a": [batch()], "live": [SourceUnavailable("no plan")]})), ACME, NOW)
    script = Ears({"a": [batch()], "live": [StreamRefused("no plan")]})
    outcome = collect(store, source(script), ACME, NOW + HOUR)
    state = store.sources.state("x-main")
    assert state is not None
    assert outcome.error == state.last_error == "no plan; 1 of 1 streams was read"
    assert (state.last_ok_at, state.paused) == (NOW + HOUR, None)
    assert states(store, NOW, NOW + HOUR) == ["complete"]
    assert store.sources.gaps(9) == []


def test_what_listening_costs_counts_as_what_live_runs_need(store: Store) -> None:
    script = Ears({"a": [batch()], "live": [batch()]}, reserve=Decimal("0.01"))
    collect(store, source(script), ACME, NOW)
    assert coverage(store)[-1] == ("live", None, None, "complete", None, 0, 0, "0.01")
    assert store.sources.live_cost("x-main", NOW - DAY) == (NOW, Decimal("0.02"))


def test_what_was_read_before_and_between_gaps_is_complete(store: Store) -> None:
    """Read from the newest to the oldest, the later gap comes first."""
    collect(store, source(Script({"all": [batch(cursor="1")]})), ACME, NOW)
    gaps = [Gap(NOW + hour * HOUR, NOW + hour * HOUR + MINUTE, "a burst") for hour in (6, 3)]
    reading = [batch(mention(1), gap=gaps[0]), batch(cursor="2", gap=gaps[1])]
    collect(store, source(Script({"all": reading})), ACME, NOW + 8 * HOUR)
    hours = store.sources.hours("x-main", NOW, NOW + 8 * HOUR, NOW + 8 * HOUR)
    assert [hour.state for hour in hours] == ["partial" if number in (3, 6) else "complete" for number in range(8)]
    assert store.sources.covered_until("x-main") == {"all": NOW + 8 * HOUR}
