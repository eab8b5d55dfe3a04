"""Reading the past: spans that people ask for, gaps that fill themselves, and what the live runs are left."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from db.backfills import DONE, GAP, OPEN, REFUSED
from db.errors import NotAuthorised, RateLimited, SourceUnavailable
from db.records import Coverage, Gap
from db.store import Store
from jobs.collect import collect
from jobs.outcome import Outcome
from jobs.schedule import due
from jobs.spare import likely_need, spare
from tests.backfill_rig import BRANDS, WEEK, archive, ask, hours, ids, source, turn
from tests.fake_archive import Archive
from tests.support import DAY, HOUR, MINUTE, NOW, Script, batch, mention, rows


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as opened:
        yield opened


class TestAsking:
    def test_the_same_span_is_not_asked_for_twice(self, store: Store) -> None:
        assert len(ask(store)) == 1
        assert ask(store) == []

    def test_only_what_is_new_of_a_span_is_asked_for(self, store: Store) -> None:
        ask(store, NOW - 3 * DAY, NOW - 2 * DAY)
        assert [(span.since, span.until) for span in ask(store)] == [
            (WEEK, NOW - 3 * DAY),
            (NOW - 2 * DAY, NOW),
        ]

    def test_what_was_read_is_asked_for_again_only_where_a_person_says_so(self, store: Store) -> None:
        (span,) = ask(store)
        with store.transaction():
            store.backfills.close(span, DONE)
        assert ask(store) == []
        assert len(ask(store, again=True)) == 1

    def test_what_was_refused_a_person_may_ask_for_again_but_no_gap(self, store: Store) -> None:
        (span,) = ask(store)
        with store.transaction():
            store.backfills.close(span, REFUSED, "no")
        assert ask(store, cause=GAP) == []
        assert len(ask(store)) == 1

    def test_streams_and_sources_have_spans_of_their_own(self, store: Store) -> None:
        assert [len(ask(store, stream=stream, name=name)) for name in "ab" for stream in "cd"] == [1, 1, 1, 1]


class TestReading:
    def test_a_span_is_read_to_its_end_and_its_hours_are_complete(self, store: Store) -> None:
        ask(store)
        outcome = turn(store, source(archive()))
        assert outcome == Outcome({"requests": 5, "fetched": 23, "stored": 23, "done": 1})
        assert ids(store) == [str(number) for number in range(23)]
        (span,) = store.backfills.all()
        assert (span.state, span.fetched, span.stored, span.resume) == (DONE, 23, 23, None)
        assert span.reached == NOW - MINUTE - 22 * 7 * HOUR
        assert hours(store) == {("complete", None)}

    def test_a_turn_ends_after_its_requests_and_the_next_goes_on(self, store: Store) -> None:
        (span,) = ask(store)
        past = archive()
        assert turn(store, source(past), most=2).counts["requests"] == 2
        assert [past.asked[0][3], store.backfills.named(span.id).state] == [None, OPEN]
        assert hours(store) == set()
        turn(store, source(past), most=2)
        turn(store, source(past), most=2)
        assert [asked[3] is None for asked in past.asked] == [True, False, False]
        assert (past.pages, store.backfills.named(span.id).state, len(ids(store))) == (5, DONE, 23)

    def test_a_collector_that_marks_no_last_batch_comes_to_an_end_too(self, store: Store) -> None:
        ask(store)
        turn(store, source(archive(with_cursor=False)))
        assert [span.state for span in store.backfills.all()] == [DONE]

    def test_a_collector_that_cannot_go_on_where_it_stood_is_read_to_its_end_at_once(self, store: Store) -> None:
        ask(store)
        turn(store, source(archive(with_resume=False)), most=2)
        assert [span.state for span in store.backfills.all()] == [DONE]

    def test_posts_that_name_no_brand_are_not_stored(self, store: Store) -> None:
        ask(store)
        past = Archive([mention(1, "nothing of note", NOW - HOUR), mention(2, at=NOW - HOUR)])
        assert turn(store, source(past)).counts["stored"] == 1

    def test_the_cheapest_source_comes_first_then_the_oldest_request(self, store: Store) -> None:
        order: list[tuple[str, int]] = []
        ask(store, name="dear")
        ask(store, NOW - 2 * DAY, name="free")
        ask(store, name="free")
        free, dear = source(archive(), "free"), source(archive(), "dear", price=Decimal("0.01"))
        turn(store, dear, free, most=99, told=lambda span, _: order.append((span.source, span.id)))
        assert list(dict.fromkeys(order)) == [("free", 2), ("free", 3), ("dear", 1)]

    def test_a_source_whose_live_reading_is_due_is_left_alone(self, store: Store) -> None:
        live = source(Script({"Acme": [batch(cursor="1")]}))
        every = {"x-main": 5 * MINUTE}
        assert due(store, every, NOW) == {"x-main"}
        collect(store, live, BRANDS, NOW)
        assert due(store, every, NOW + 4 * MINUTE) == set()
        assert due(store, every, NOW + 5 * MINUTE) == {"x-main"}
        ask(store)
        assert turn(store, source(archive()), busy={"x-main"}).counts["requests"] == 0

    def test_a_span_of_a_source_that_is_not_configured_any_more_waits(self, store: Store) -> None:
        ask(store, name="old")
        assert turn(store, source(archive())).counts["requests"] == 0
        assert [span.state for span in store.backfills.all()] == [OPEN]

    def test_a_stream_that_has_no_past_is_refused(self, store: Store) -> None:
        ask(store, stream="gone")
        outcome = turn(store, source(archive()))
        assert [(span.state, span.note) for span in store.backfills.all()] == [
            (REFUSED, "x-main cannot read the past of gone")
        ]
        assert outcome.error == "x-main (gone): x-main cannot read the past of gone"

    def test_a_past_that_was_read_does_not_stand_for_the_live_runs(self, store: Store) -> None:
        ask(store, until=NOW - DAY)
        turn(store, source(archive()))
        assert store.sources.covered_until("x-main") == {}

    def test_hours_of_a_long_span_are_the_same_as_of_many_short_ones(self, store: Store) -> None:
        """A year is worked out in one go; what is missing inside it stays visible."""
        store.sources.configured("x-main", "x", "1")
        short = Coverage("x-main", "Acme", NOW, None, None, "missing", "no", 0, 0, Decimal(0), "unavailable")
        with store.transaction():
            for day in range(300, 0, -3):
                start = NOW - day * DAY
                store.sources.cover(replace(short, since=start, until=start + HOUR))
            until = NOW - 30 * DAY
            store.sources.cover(replace(short, since=NOW - 330 * DAY, until=until, state="complete", cause=None))
        found = store.sources.hours("x-main", NOW - 331 * DAY, NOW - 29 * DAY, NOW)
        missing = [hour.start for hour in found if (hour.state, hour.cause) == ("missing", "unavailable")]
        complete = [hour for hour in found if hour.state == "complete"]
        assert len(complete) >= 300 * 24
        assert all(start >= until for start in missing)


class TestLimits:
    def test_what_is_older_than_the_platform_gives_is_cut_off_and_told(self, store: Store) -> None:
        ask(store)
        past = archive(first=NOW - 2 * DAY)
        turn(store, source(past))
        assert past.asked[0][1:3] == (NOW - 2 * DAY, NOW)
        reason = "older than what the platform gives, which begins at 2026-03-02 12:00 UTC"
        assert {(span.since, span.state, span.note) for span in store.backfills.all()} == {
            (NOW - 2 * DAY, DONE, None),
            (WEEK, REFUSED, reason),
        }
        assert hours(store, WEEK, NOW - 2 * DAY) == {("missing", "capped")}
        assert hours(store, NOW - 2 * DAY, NOW) == {("complete", None)}

    def test_a_span_that_was_begun_is_not_cut_while_the_limit_moves_on(self, store: Store) -> None:
        ask(store)
        past = archive(first=WEEK)
        turn(store, source(past), most=2)
        past.first = WEEK + HOUR
        turn(store, source(past), now=NOW + HOUR)
        assert [(span.since, span.state) for span in store.backfills.all()] == [(WEEK, DONE)]

    def test_a_span_that_is_too_old_altogether_is_refused(self, store: Store) -> None:
        ask(store, until=NOW - 6 * DAY)
        turn(store, source(archive(first=NOW - 2 * DAY)))
        assert [span.state for span in store.backfills.all()] == [REFUSED]
        assert hours(store, WEEK, NOW - 6 * DAY) == {("missing", "capped")}

    def test_what_the_platform_leaves_out_on_the_way_is_a_gap(self, store: Store) -> None:
        ask(store)
        past = archive(gap=Gap(WEEK, NOW - 3 * DAY, "only the newest 1,000"))
        turn(store, source(past))
        assert {(span.since, span.until, span.state) for span in store.backfills.all()} == {
            (WEEK, NOW - 3 * DAY, REFUSED),
            (NOW - 3 * DAY, NOW, DONE),
        }
        assert hours(store, WEEK, NOW - 3 * DAY) == {("missing", "saturated")}
        assert turn(store, source(past)).counts["requests"] == 0  # it is not tried over and over

    @pytest.mark.parametrize(
        ("gap", "read"),
        [
            ((NOW - 4 * DAY, NOW - 3 * DAY), [(WEEK, NOW - 4 * DAY), (NOW - 3 * DAY, NOW)]),
            ((NOW - 3 * DAY, NOW + DAY), [(WEEK, NOW - 3 * DAY)]),
        ],
    )
    def test_around_a_gap_inside_a_span_all_is_read(
        self, store: Store, gap: tuple[datetime, datetime], read: list[tuple[datetime, datetime]]
    ) -> None:
        ask(store)
        turn(store, source(archive(gap=Gap(*gap, "lost", "capped"))))
        left_out = (gap[0], min(gap[1], NOW))
        assert {(span.since, span.until, span.state) for span in store.backfills.all()} == {
            (*left_out, REFUSED),
            *((*part, DONE) for part in read),
        }
        assert sum(span.fetched for span in store.backfills.all()) == 23
        assert hours(store, *left_out) == {("missing", "capped")}
        assert [hours(store, *part) for part in read] == [{("complete", None)}] * len(read)
        assert [(span.since, span.until) for span in ask(store)] == [left_out]  # a person may ask for it again

    def test_gaps_that_leave_nothing_of_a_span_refuse_it(self, store: Store) -> None:
        ask(store, NOW - DAY)
        pages = [Gap(NOW - HOUR, NOW, "lost", "capped"), Gap(NOW - DAY, NOW - HOUR, "lost", "capped")]
        assert turn(store, source(archive(gaps=pages))).counts["done"] == 0
        assert {span.state for span in store.backfills.all()} == {REFUSED}
        assert hours(store, NOW - DAY) == {("missing", "capped")}

    def test_a_rate_limit_lets_the_source_wait_and_keeps_what_came_before(self, store: Store) -> None:
        ask(store)
        past = archive(faults={3: RateLimited("slow down", NOW + HOUR)})
        outcome = turn(store, source(past))
        assert (outcome.error, outcome.note) == (None, "x-main (Acme): slow down")
        state = store.sources.state("x-main")
        assert state
        assert state.not_before == NOW + HOUR
        assert len(ids(store)) == 10
        assert turn(store, source(past), now=NOW + MINUTE).counts["requests"] == 0
        turn(store, source(past), now=NOW + HOUR)
        assert (len(ids(store)), past.pages) == (23, 6)

    def test_a_refusal_ends_the_span_and_not_the_live_runs(self, store: Store) -> None:
        ask(store)
        turn(store, source(archive(faults={2: NotAuthorised("the plan has no archive")})))
        (span,) = store.backfills.all()
        assert (span.state, span.note, span.stored) == (REFUSED, "the plan has no archive", 5)
        state = store.sources.state("x-main")
        assert state
        assert state.paused is None

    def test_a_platform_in_trouble_is_asked_again_in_the_next_turn_only(self, store: Store) -> None:
        ask(store)
        ask(store, stream="Acme2")
        past = archive(faults={1: SourceUnavailable("no answer")}, names=("Acme", "Acme2"))
        outcome = turn(store, source(past))
        assert outcome.error == "x-main (Acme): no answer"
        assert past.pages == 1
        assert [span.note for span in store.backfills.open()] == ["no answer", None]
        turn(store, source(past), most=99)
        assert [(span.state, span.note) for span in store.backfills.all()] == [(DONE, None)] * 2

    def test_a_bug_of_one_source_keeps_no_other_from_its_turn(self, store: Store) -> None:
        ask(store, name="broken")
        ask(store)
        with pytest.raises(ZeroDivisionError):
            turn(store, source(archive(faults={1: ZeroDivisionError()}), "broken"), source(archive()))
        assert [span.state for span in store.backfills.all()] == [OPEN, DONE]

    def test_a_paused_source_is_left_alone(self, store: Store) -> None:
        ask(store)
        with store.transaction():
            store.sources.pause("x-main", NOW, "no credit")
        assert turn(store, source(archive())).counts["requests"] == 0


class TestMoney:
    def test_live_runs_are_likely_to_need_what_they_did(self) -> None:
        assert likely_need(Decimal(30), 10 * DAY, 5 * DAY, Decimal(100)) == Decimal(15)
        assert likely_need(Decimal(0), 10 * DAY, 5 * DAY, Decimal(100)) == 0

    def test_half_of_the_budget_is_kept_while_nobody_knows_what_they_need(self) -> None:
        assert likely_need(Decimal(3), 23 * HOUR, 5 * DAY, Decimal(100)) == 50
        assert likely_need(Decimal(0), timedelta(0), 5 * DAY, None) == 0

    def live(self, store: Store, name: str, days: int, cost: Decimal) -> None:
        """Live runs that cost so much a day until now."""
        for day in range(days):
            at = NOW - (day + 1) * DAY
            run = Coverage(name, "Acme", at, at - DAY, at, "complete", None, 1, 1, cost)
            with store.transaction():
                store.sources.configured(name, "x", "1")
                store.sources.cover(run)
                store.sources.reserve(name, "2026-03", cost if at.month == 3 else Decimal(0))

    def test_the_past_stops_where_the_live_runs_need_the_rest(self, store: Store) -> None:
        self.live(store, "x-main", 10, Decimal("0.5"))  # in March three days: 1.5; 27.5 days to come
        budget = Decimal("1.5") + Decimal("13.75") + Decimal("0.35")
        ask(store)
        past = source(archive(price=Decimal("0.1")), monthly_budget=budget, price=Decimal("0.02"))
        outcome = turn(store, past)
        assert outcome.counts["requests"] == 3
        assert outcome.note is not None
        assert "budget" in outcome.note
        state = store.sources.state("x-main")
        assert state
        assert state.not_before is None  # the live runs go on
        assert [span.state for span in store.backfills.all()] == [OPEN]

    def test_of_a_common_budget_what_the_others_need_is_left_too(self, store: Store) -> None:
        self.live(store, "x-main", 10, Decimal("0.5"))
        self.live(store, "y", 10, Decimal("0.2"))
        sources = [source(archive(), name, total_budget=Decimal(30), price=Decimal(1)) for name in ("x-main", "y")]
        spent, needed = Decimal("2.1"), Decimal("0.7") * Decimal("27.5")
        assert [spare(store, one, sources, NOW).left() for one in sources] == [Decimal(30) - spent - needed] * 2

    def test_half_of_a_daily_ration_is_left_to_the_live_runs(self, store: Store) -> None:
        ask(store)
        past = archive(units=5)
        turn(store, source(past))
        assert past.pages == 3  # the third finds ten of the twenty used
        assert [span.state for span in store.backfills.all()] == [OPEN]
        turn(store, source(past), now=NOW + DAY)
        assert len(ids(store)) == 20


class TestGaps:
    def live(self, store: Store, gap: Gap | None) -> None:
        collect(store, source(Script({"Acme": [batch(cursor="1", gap=gap)]})), BRANDS, NOW)

    def test_a_gap_is_filled_by_itself_and_heals(self, store: Store) -> None:
        self.live(store, None)
        self.live(store, Gap(NOW - 2 * DAY, NOW - DAY, "only the newest 1,000"))
        assert [gap.state for gap in store.sources.gaps(9)] == ["missing"]
        past = archive()
        assert turn(store, source(past)).counts["done"] == 1
        assert past.asked == [("Acme", NOW - 2 * DAY, NOW - DAY, None)]
        assert store.sources.gaps(9) == []
        assert hours(store, NOW - 2 * DAY, NOW - DAY) == {("complete", None)}
        assert turn(store, source(past)).counts["requests"] == 0

    def test_of_a_gap_what_the_platform_still_gives_is_filled(self, store: Store) -> None:
        self.live(store, Gap(NOW - 2 * DAY, NOW - DAY, "older", "capped"))
        past = archive(first=NOW - 30 * HOUR)
        turn(store, source(past))
        past.first = NOW - 29 * HOUR  # an hour later
        assert turn(store, source(past)).counts["requests"] == 0
        assert [asked[1:3] for asked in past.asked] == [(NOW - 30 * HOUR, NOW - DAY)]
        assert hours(store, NOW - 2 * DAY, NOW - 31 * HOUR) == {("missing", "capped")}

    @pytest.mark.parametrize("first", [NOW - DAY, NOW])
    def test_a_gap_that_the_platform_does_not_reach_is_left(self, store: Store, first: datetime) -> None:
        self.live(store, Gap(NOW - 2 * DAY, NOW - DAY, "older", "capped"))
        turn(store, source(archive(first=first)))
        assert store.backfills.all() == []

    def test_a_gap_whose_past_is_refused_is_asked_for_again_a_day_later(self, store: Store) -> None:
        self.live(store, Gap(NOW - 2 * DAY, NOW - DAY, "older"))
        past = archive(faults={1: NotAuthorised("no archive"), 2: NotAuthorised("no archive")})
        assert turn(store, source(past)).error == "x-main (Acme): no archive"
        assert turn(store, source(past), now=NOW + 23 * HOUR).error is None
        assert past.pages == 1
        turn(store, source(past), now=NOW + DAY)
        turn(store, source(past), now=NOW + 25 * HOUR)
        assert past.pages == 2
        turn(store, source(past), now=NOW + 2 * DAY)
        assert [span.state for span in store.backfills.all()] == [DONE]

    def test_a_gap_whose_past_is_refused_is_asked_for_again_as_soon_as_the_source_reads_again(
        self, store: Store
    ) -> None:
        self.live(store, Gap(NOW - 2 * DAY, NOW - DAY, "older"))
        past = archive(faults={1: NotAuthorised("401")})
        turn(store, source(past))
        collect(store, source(Script({"Acme": [NotAuthorised("401")]})), BRANDS, NOW + MINUTE)
        with store.transaction():
            store.sources.resume("x-main")
        turn(store, source(past), now=NOW + 2 * MINUTE)
        assert past.pages == 1
        collect(store, source(Script({"Acme": [batch(cursor="1")]})), BRANDS, NOW + 3 * MINUTE)
        turn(store, source(past), now=NOW + 3 * MINUTE)
        assert [(span.state, span.note) for span in store.backfills.all()] == [(DONE, None)]

    def test_what_failed_for_another_reason_is_no_gap_to_fill(self, store: Store) -> None:
        collect(store, source(Script({"Acme": [SourceUnavailable("no answer")]})), BRANDS, NOW)
        turn(store, source(archive()))
        assert store.backfills.all() == []


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("at", range(1, 7))
def test_killed_at_any_commit_nothing_is_lost_and_nothing_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    past = archive()
    with Store(tmp_path / "s.db") as store:
        ask(store)
        transaction, count = store.transaction, [0]

        def fragile() -> Any:
            count[0] += 1
            if count[0] == at:
                raise Killed
            return transaction()

        monkeypatch.setattr(store, "transaction", fragile)
        try:
            turn(store, source(past), most=2)
            turn(store, source(past), most=99)
        except Killed:
            pass
    killed = count[0] == at
    with Store(tmp_path / "s.db") as store:
        while store.backfills.open():
            turn(store, source(past), most=2)
        (span,) = store.backfills.all()
        assert (span.state, span.fetched, span.stored) == (DONE, 23, 23)
        assert ids(store) == [str(number) for number in range(23)]
        assert hours(store) == {("complete", None)}
        assert rows(store.path, "SELECT count(*) FROM coverage WHERE state = 'complete'") == [(1,)]
    assert past.pages <= 6
    assert killed == (at <= 5)
