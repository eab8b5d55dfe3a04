"""Collecting loses nothing, doubles nothing, and says what it could not read."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from db.errors import BudgetSpent, DatabaseError, NotAuthorised, RateLimited, SourceUnavailable, StreamRefused
from db.filters import Filter
from db.records import Batch, Gap, Position
from db.store import Store
from jobs.collect import Source, collect
from jobs.meter import StoreMeter, next_month
from models.query import parse
from monitor.collectors.x import build
from monitor.plugins import Brand
from tests import x_rig
from tests.fake_x import FakeX
from tests.support import DAY, HOUR, MINUTE, NOW, Script, batch, brand, coverage, ids, mention, rows, source
from tests.x_rig import TOKEN, Clock

ACME = [brand()]


# --- what is kept ---------------------------------------------------------------------------------------------------


def test_posts_that_name_a_brand_are_stored_and_others_are_not(store: Store) -> None:
    posts = batch(
        mention(1, "my acme broke"), mention(2, "acmes are plants"), mention(3, "bolt"), cursor="3", fetched=5
    )
    outcome = collect(store, source(Script({"all": [posts]})), [brand(), brand("Bolt")], NOW)
    assert outcome.error is None
    assert outcome.counts == {"fetched": 5, "stored": 2, "known": 0, "matched": 2, "passed_over": 3}
    assert [(m.mention.source_id, m.brand) for m in store.mentions.every(Filter())] == [("1", "Acme"), ("3", "Bolt")]


def test_what_a_brands_own_account_writes_is_no_mention_of_it(store: Store) -> None:
    acme = brand(accounts={"x": "AcmeCare"})
    posts = [
        mention(1, author="acmecare"),
        mention(2, author="acmecare", source="reddit"),  # somebody else's name there
        mention(3, "acme against bolt", author="ACMEcare"),
        mention(4, author=None),
    ]
    collect(store, source(Script({"all": [batch(*posts)]})), [acme, brand("Bolt")], NOW)
    assert {(m.mention.source_id, m.brand) for m in store.mentions.every(Filter())} == {
        ("2", "Acme"),
        ("3", "Bolt"),
        ("4", "Acme"),
    }


def test_a_post_that_addresses_a_brands_own_account_is_about_the_brand_whatever_it_says(store: Store) -> None:
    acme = brand(accounts={"x": "AcmeCare"}, hide=parse("giveaway"))
    posts = [
        mention(1, "where is my parcel?", addressed=["acmecare"]),
        mention(2, "where is my parcel?", addressed=["boltcare"]),
        mention(3, "where is my parcel?", source="reddit", addressed=["acmecare"]),  # somebody else's name there
        mention(4, "on it", author="acmecare", addressed=["acmecare"]),
        mention(5, "bolt is better", addressed=["acmecare"]),
        mention(6, "join our giveaway", addressed=["acmecare"]),
    ]
    collect(store, source(Script({"all": [batch(*posts)]})), [acme, brand("Bolt")], NOW)
    sql = "SELECT source_id, brand, about FROM matches JOIN mentions m ON m.id = mention_id"
    assert set(rows(store.path, sql)) == {("1", "Acme", 1), ("5", "Acme", 1), ("5", "Bolt", 1), ("6", "Acme", 0)}


def test_a_post_read_again_is_known(store: Store) -> None:
    script = Script({"all": [batch(mention(1))]})
    collect(store, source(script), ACME, NOW)
    assert collect(store, source(script), ACME, NOW).counts == {"fetched": 1, "stored": 0, "known": 1, "matched": 0}


def test_a_post_that_two_streams_find_is_stored_once(store: Store) -> None:
    script = Script({"Acme": [batch(mention(1, "acme bolt"))], "Bolt": [batch(mention(1, "acme bolt"))]})
    outcome = collect(store, source(script), [brand(), brand("Bolt")], NOW)
    assert outcome.counts == {"fetched": 2, "stored": 1, "known": 1, "matched": 2}


# --- cursors --------------------------------------------------------------------------------------------------------


def test_the_cursor_moves_with_the_last_page_only(store: Store) -> None:
    down = SourceUnavailable("x: away")
    script = Script({"all": [batch(mention(1), resume="after 1"), batch(mention(2), resume="after 2"), down]})
    collect(store, source(script), ACME, NOW)
    assert store.sources.position("x-main", "all") == Position(None, "after 2")
    assert ids(store) == ["1", "2"]
    script.play["all"] = [batch(mention(3), cursor="3")]
    collect(store, source(script), ACME, NOW)
    assert script.asked[-1] == ("all", Position(None, "after 2"))
    assert store.sources.position("x-main", "all") == Position("3", None)


def test_a_cursor_stays_while_later_pages_are_read(store: Store) -> None:
    script = Script({"all": [batch(cursor="1")]})
    collect(store, source(script), ACME, NOW)
    script.play["all"] = [batch(mention(2), resume="half"), SourceUnavailable("x: away")]
    collect(store, source(script), ACME, NOW)
    assert store.sources.position("x-main", "all") == Position("1", "half")


def test_each_stream_has_a_cursor_of_its_own(store: Store) -> None:
    script = Script({"a": [batch(cursor="1")], "b": [batch(cursor="2")]})
    collect(store, source(script), ACME, NOW)
    collect(store, source(script, name="x-other"), ACME, NOW)
    collect(store, source(script), ACME, NOW)
    assert script.asked[2:4] == [("a", Position()), ("b", Position())]
    assert script.asked[4:] == [("a", Position("1")), ("b", Position("2"))]


def test_a_crash_between_batch_and_cursor_keeps_neither(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    script = Script({"all": [batch(mention(1), cursor="1")]})
    with monkeypatch.context() as patch:
        patch.setattr(store.sources, "move", crash)
        with pytest.raises(KeyboardInterrupt):
            collect(store, source(script), ACME, NOW)
    assert store.mentions.counts() == (0, 0)
    collect(store, source(script), ACME, NOW)
    assert script.asked[-1] == ("all", Position())
    assert ids(store) == ["1"]


def test_a_crash_while_a_gap_is_written_down_keeps_neither_cursor_nor_posts(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    script = Script({"all": [batch(mention(1), cursor="1", gap=Gap(None, NOW, "too old"))]})
    monkeypatch.setattr(store.sources, "cover", crash)
    with pytest.raises(KeyboardInterrupt):
        collect(store, source(script), ACME, NOW)
    assert store.mentions.counts() == (0, 0)
    assert store.sources.position("x-main", "all") == Position()


# --- faults ---------------------------------------------------------------------------------------------------------


def test_a_rate_limit_is_waited_for_without_asking(store: Store) -> None:
    script = Script({"all": [batch(mention(1), resume="1"), RateLimited("x asks to wait", NOW + 15 * MINUTE)]})
    outcome = collect(store, source(script), ACME, NOW)
    assert (outcome.error, outcome.note) == (None, "x asks to wait")
    script.play["all"] = [batch(mention(2), cursor="2")]
    early = collect(store, source(script), ACME, NOW + 15 * MINUTE - timedelta(seconds=1))
    assert early.note == "waits until 2026-03-04 12:15 UTC: x asks to wait"
    assert len(script.asked) == 1
    assert collect(store, source(script), ACME, NOW + 15 * MINUTE).error is None
    assert ids(store) == ["1", "2"]
    state = store.sources.state("x-main")
    assert state is not None
    assert (state.not_before, state.last_error, state.last_ok_at) == (None, None, NOW + 15 * MINUTE)


def test_a_rate_limit_holds_the_other_streams_of_the_source_but_no_other_source(store: Store) -> None:
    script = Script({"a": [RateLimited("wait", NOW + HOUR)], "b": [batch(mention(1))]})
    collect(store, source(script), ACME, NOW)
    assert [stream for stream, _ in script.asked] == ["a"]
    assert collect(store, source(Script({"b": [batch(mention(2))]}), name="other"), ACME, NOW).error is None


def test_a_refusal_pauses_the_source_until_a_person_resumes_it(store: Store) -> None:
    script = Script({"a": [NotAuthorised("x refuses the token")], "b": [batch(mention(1))]})
    assert collect(store, source(script), ACME, NOW).error == "x refuses the token"
    paused = collect(store, source(script), ACME, NOW + 30 * DAY)
    assert paused.error == "paused: x refuses the token; mend it, then `sentimon resume x-main`"
    assert len(script.asked) == 1
    store.sources.resume("x-main")
    script.play["a"] = [batch(mention(2))]
    assert collect(store, source(script), ACME, NOW).error is None
    assert ids(store) == ["1", "2"]


def test_streams_that_are_refused_are_told_and_the_source_goes_on(store: Store) -> None:
    gone: dict[str, list[Batch | BaseException]] = {name: [StreamRefused(f"{name} is gone")] for name in "abcde"}
    outcome = collect(store, source(Script({**gone, "f": [batch(mention(1), cursor="1")]})), ACME, NOW)
    assert outcome.error == "a is gone; b is gone; c is gone; and 2 more; 1 of 6 streams was read"
    state = store.sources.state("x-main")
    assert state is not None
    assert (state.paused, state.last_error, state.last_ok_at) == (None, outcome.error, NOW)


def test_a_source_all_of_whose_streams_are_refused_is_paused(store: Store) -> None:
    collect(store, source(Script({name: [StreamRefused(f"{name} is gone")] for name in "ab"})), ACME, NOW)
    state = store.sources.state("x-main")
    assert state is not None
    assert (state.paused, state.last_ok_at) == ("a is gone; b is gone", None)


def test_a_stream_that_is_refused_takes_nothing_from_a_limit_that_another_one_meets(store: Store) -> None:
    script = Script({"a": [StreamRefused("a is gone")], "b": [RateLimited("wait", NOW + DAY)]})
    outcome = collect(store, source(script), ACME, NOW)
    assert (outcome.error, outcome.note) == ("a is gone", "wait")
    state = store.sources.state("x-main")
    assert state is not None
    assert (state.paused, state.last_error, state.not_before) == (None, "wait", NOW + DAY)


@pytest.mark.parametrize("fault", [NotAuthorised("no"), RateLimited("wait", NOW + 30 * DAY)])
def test_changed_options_are_tried_at_once(store: Store, fault: BaseException) -> None:
    script = Script({"all": [fault]})
    collect(store, source(script), ACME, NOW)
    script.play["all"] = [batch(mention(1))]
    held = collect(store, source(script), ACME, NOW + MINUTE)
    assert (held.counts, bool(held.error or held.note)) == ({}, True)
    assert collect(store, source(script, fingerprint="2"), ACME, NOW + MINUTE).counts["stored"] == 1


def test_a_stream_that_cannot_be_read_does_not_hold_the_others(store: Store) -> None:
    script = Script(
        {"a": [SourceUnavailable("a: away")], "b": [batch(mention(1))], "c": [SourceUnavailable("c: away")]}
    )
    outcome = collect(store, source(script), ACME, NOW)
    assert outcome.error == "a: away; c: away; 1 of 3 streams was read"
    assert ids(store) == ["1"]
    assert [stream for stream, _ in script.asked] == ["a", "b", "c"]
    assert [state for _, _, _, state, *_ in coverage(store)] == ["missing", "complete", "missing"]
    state = store.sources.state("x-main")
    assert state is not None
    assert (state.last_error, state.last_ok_at) == (outcome.error, NOW), "it was read, and not wholly"
    assert collect(store, source(script), ACME, NOW + MINUTE).counts["known"] == 1  # nothing holds it back


def test_a_source_none_of_whose_streams_can_be_read_keeps_the_time_of_its_last_reading(store: Store) -> None:
    collect(store, source(Script({"a": [batch()], "b": [batch()]})), ACME, NOW)
    gone = Script({"a": [SourceUnavailable("a: away")], "b": [StreamRefused("b is gone")]})
    outcome = collect(store, source(gone), ACME, NOW + MINUTE)
    state = store.sources.state("x-main")
    assert state is not None
    assert (state.last_error, state.last_ok_at, state.paused) == ("a: away; b is gone", NOW, None)
    assert outcome.error == state.last_error


def test_a_bug_in_a_collector_stays_a_bug(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        collect(store, source(Script({"all": [batch(mention(1)), ZeroDivisionError()]})), ACME, NOW)
    assert ids(store) == ["1"]


def test_a_bug_in_one_stream_keeps_no_other_from_its_turn(store: Store) -> None:
    script = Script({"a": [ZeroDivisionError()], "b": [batch(mention(1))]})
    for minute in range(2):
        with pytest.raises(ZeroDivisionError):
            collect(store, source(script), ACME, NOW + minute * MINUTE)
    assert [stream for stream, _ in script.asked] == ["a", "b"] * 2
    assert ids(store) == ["1"]


def test_streams_are_read_longest_ago_first(store: Store) -> None:
    script = Script({"a": [batch()], "b": [RateLimited("wait", NOW + MINUTE)], "c": [batch()]})
    collect(store, source(script), ACME, NOW)
    script.play["b"] = [batch()]
    collect(store, source(script), ACME, NOW + MINUTE)
    script.play["d"] = [batch()]
    collect(store, source(script), ACME, NOW + 2 * MINUTE)
    assert [stream for stream, _ in script.asked] == ["a", "b", "b", "c", "a", "d", "a", "b", "c"]


def test_streams_read_at_the_same_time_follow_the_one_read_before(store: Store) -> None:
    script = Script({"a": [batch()], "b": [SourceUnavailable("away")], "c": [batch()]})
    collect(store, source(script), ACME, NOW)
    script.play["b"] = [batch()]
    script.play["a"] = [SourceUnavailable("away")]
    collect(store, source(script), ACME, NOW + MINUTE)
    collect(store, source(script), ACME, NOW + 2 * MINUTE)
    assert [stream for stream, _ in script.asked] == ["a", "b", "c", "b", "a", "c", "a", "b", "c"]


# --- money ----------------------------------------------------------------------------------------------------------

CENT = Decimal("0.01")


def meter(store: Store, budget: Decimal | None, now: datetime = NOW) -> StoreMeter:
    store.sources.configured("x-main", "x", "1")
    return StoreMeter(store, "x-main", budget, now)


def test_a_reservation_that_was_never_settled_counts_as_spent(store: Store) -> None:
    meter(store, 10 * CENT).reserve(6 * CENT)  # and then a crash
    with Store(store.path) as reopened:
        again = meter(reopened, 10 * CENT)
        assert again.left() == 4 * CENT
        with pytest.raises(BudgetSpent, match=r"monthly budget of 0\.10 is used up \(0\.04\d* left\)") as spent:
            again.reserve(5 * CENT)
        assert spent.value.not_before == datetime(2026, 4, 1, tzinfo=UTC)
        again.reserve(4 * CENT)
        assert again.left() == 0


def test_what_a_request_cost_replaces_its_reservation(store: Store) -> None:
    purse = meter(store, 10 * CENT)
    purse.reserve(8 * CENT)
    purse.settle(3 * CENT)
    purse.reserve(7 * CENT)
    purse.settle(Decimal(0))
    assert (purse.left(), purse.cost) == (7 * CENT, 3 * CENT)


def test_fractions_of_a_cent_add_up_exactly(store: Store) -> None:
    purse = meter(store, Decimal(1))
    for _ in range(30):
        purse.reserve(Decimal("0.0333"))
        purse.settle(Decimal("0.000001"))
    assert purse.left() == Decimal("0.99997")


def test_each_month_and_each_source_has_a_budget_of_its_own(store: Store) -> None:
    meter(store, CENT).reserve(CENT)
    assert meter(store, CENT).left() == 0
    assert meter(store, CENT, NOW + 31 * DAY).left() == CENT
    store.sources.configured("other", "x", "1")
    assert StoreMeter(store, "other", CENT, NOW).left() == CENT
    assert meter(store, None).left() is None


def test_next_month_begins_at_midnight_utc_also_after_december() -> None:
    assert next_month(datetime(2026, 12, 31, 23, 59, tzinfo=UTC)) == datetime(2027, 1, 1, tzinfo=UTC)


def test_two_meters_on_one_budget_never_exceed_it(store: Store) -> None:
    meter(store, None)
    granted, errors = list[Decimal](), list[BaseException]()

    def spend() -> None:
        try:
            with Store(store.path) as own:
                purse = StoreMeter(own, "x-main", 50 * CENT, NOW)
                while True:
                    purse.reserve(3 * CENT)
                    granted.append(CENT)
                    purse.settle(CENT)
        except BudgetSpent:
            pass
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=spend) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert 47 * CENT <= sum(granted) == store.sources.spent("x-main", "2026-03") <= 50 * CENT


def test_nobody_else_can_spend_between_the_look_at_a_budget_and_the_reservation(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    purse, look = meter(store, CENT), store.sources.spent

    with Store(store.path) as other:
        other._db.execute("PRAGMA busy_timeout = 0").fetchone()

        def meanwhile(source: str, month: str) -> Decimal:
            with pytest.raises(DatabaseError, match="locked"):
                StoreMeter(other, "x-main", CENT, NOW).reserve(CENT)
            return look(source, month)

        monkeypatch.setattr(store.sources, "spent", meanwhile)
        purse.reserve(CENT)
    assert look("x-main", "2026-03") == CENT


def test_a_source_whose_budget_is_spent_waits_for_the_next_month_or_more_money(store: Store) -> None:
    script = Script({"all": [batch(mention(1), resume="1"), batch(mention(2), cursor="2")]}, reserve=CENT)
    outcome = collect(store, source(script, budget=CENT), ACME, NOW)
    assert outcome.note is not None
    assert "monthly budget" in outcome.note
    assert ids(store) == ["1"]
    assert coverage(store)[0][3] == "partial"
    collect(store, source(script, budget=CENT), ACME, NOW + 20 * DAY)
    assert len(script.asked) == 1
    script.play["all"] = [batch(mention(2), cursor="2")]
    assert collect(store, source(script, fingerprint="2", budget=2 * CENT), ACME, NOW + 20 * DAY).error is None
    assert script.asked[-1] == ("all", Position(None, "1"))
    assert [row[-1] for row in coverage(store)] == ["0.01", "0.01"]


# --- the real collector ---------------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def x(clock: Clock) -> Iterator[FakeX]:
    with FakeX(token=TOKEN, now=clock) as fake:
        yield fake


def from_x(fake: FakeX) -> Source:
    return source(build(x_rig.options(fake.url), [Brand("Acme", parse("acme"))]))


def test_bursts_on_x_with_faults_between_lose_and_double_nothing(store: Store, x: FakeX, clock: Clock) -> None:
    posted: set[str] = set()
    for count, faults in ((5, ()), (2500, (503, 429, "drop")), (5, ())):
        clock.now += 20 * MINUTE
        posted |= x_rig.burst(x, clock, count)
        for fault in faults:
            x.script(fault, after=6)
        errors = []
        while told := (outcome := collect(store, from_x(x), ACME, clock.now)).error or outcome.note:
            errors.append(told)
            state = store.sources.state("x-main")
            assert state is not None
            clock.now = max(clock.now + MINUTE, state.not_before or clock.now)
        assert len(errors) == len(faults)
    assert ids(store) == sorted(posted)
    assert rows(store.path, "SELECT count(*), count(DISTINCT source_id) FROM mentions") == [(2510, 2510)]
    assert [row[3] for row in coverage(store)] == ["complete", "partial", "partial", "partial", "complete", "complete"]
    assert x.scripted == 0


def test_x_is_not_asked_again_before_its_rate_limit_ends(store: Store, x: FakeX, clock: Clock) -> None:
    x.script(429)
    collect(store, from_x(x), ACME, clock.now)
    collect(store, from_x(x), ACME, clock.now + 14 * MINUTE)
    assert len(x.requests) == 1
    clock.now += 15 * MINUTE
    assert collect(store, from_x(x), ACME, clock.now).error is None


def test_a_source_that_slept_for_ten_days_writes_down_what_x_no_longer_shows(
    store: Store, x: FakeX, clock: Clock
) -> None:
    x_rig.burst(x, clock, 5)
    collect(store, from_x(x), ACME, clock.now)
    clock.now += 10 * DAY
    posted = x_rig.burst(x, clock, 3)
    collect(store, from_x(x), ACME, clock.now)
    (gap,) = store.sources.gaps(10)
    assert gap.state == "missing"
    assert gap.until is not None
    assert gap.until - clock.now < -6 * DAY
    assert set(ids(store)) > posted
