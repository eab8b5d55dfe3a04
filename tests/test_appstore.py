"""The App Store collector with the real feedparser against a store on a loopback socket."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from db.errors import CollectorError, InputError, NotAuthorised, RateLimited, SourceUnavailable
from db.filters import Filter
from db.records import Batch, Position, Reach
from db.store import Store
from jobs.collect import collect
from jobs.collector import Collector
from jobs.source import Source
from models.query import parse
from monitor.collectors.appstore import AppStoreOptions, build, explain, register_collectors
from monitor.plugins import Brand, CollectorKind
from tests.fake_feeds import FakeAppStore
from tests.fake_site import Free
from tests.support import HOUR, MINUTE

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ACME = Brand("Acme", parse("acme"))
START = Position()


@pytest.fixture
def store() -> Iterator[FakeAppStore]:
    with FakeAppStore() as fake:
        yield fake


def made(store: FakeAppStore, **options: Any) -> Collector:
    given = {"app_id": [123], "base_url": store.url, "timeout": 5} | options
    return build(AppStoreOptions.model_validate(given), [ACME])


def run(collector: Collector, position: Position = START, stream: str = "123:us", now: datetime = NOW) -> list[Batch]:
    return list(collector.collect(stream, position, Free(), now))


def after(batches: Sequence[Batch]) -> Position:
    return Position(batches[-1].cursor)


def ids(batches: Sequence[Batch]) -> list[str]:
    return [mention.source_id for batch in batches for mention in batch.mentions]


def some_reviews(store: FakeAppStore, count: int, newest: datetime = NOW - HOUR) -> list[str]:
    """Their ids, the newest first."""
    return [store.review(123, "us", f"Review {n}", "Fine.", at=newest - n * MINUTE) for n in range(count)]


# --- what is read -----------------------------------------------------------------------------------------------------


def test_a_review_becomes_a_mention_that_begins_with_the_name_of_the_app(store: FakeAppStore) -> None:
    number = store.review(123, "us", "Leaks & <b>", "I <3 it\nnot.", at=NOW - HOUR, author="Jo\n7", votes=4, stars=1)
    batches = run(made(store))
    (mention,) = batches[0].mentions
    assert (mention.source, mention.source_id, mention.author) == ("appstore", number, "Jo 7")
    assert mention.text == "Acme: Kettle & Co\n\nLeaks & <b>\n\nI <3 it\nnot."
    assert mention.url == "https://itunes.apple.com/us/review?id=123&type=Purple%20Software"
    assert (mention.created_at, mention.collected_at) == (NOW - HOUR, NOW)
    assert mention.created_at.tzinfo is UTC
    assert mention.reach == Reach(likes=4)


def test_each_app_in_each_country_is_a_stream_of_its_own(store: FakeAppStore) -> None:
    store.names[77] = "Acme Two"
    store.review(77, "de", "Undicht", "Nein.", at=NOW - HOUR)
    collector = made(store, app_id=[123, 77], countries=["US", "de", "us"])
    assert collector.streams() == ["123:us", "123:de", "77:us", "77:de"]
    (first, _) = run(collector, stream="77:de")
    assert [mention.text for mention in first.mentions] == ["Acme Two\n\nUndicht\n\nNein."]
    with pytest.raises(InputError, match="no stream"):
        run(collector, stream="1:us")


def test_the_text_begins_with_another_name_or_none_if_that_is_asked_for(store: FakeAppStore) -> None:
    store.review(123, "us", "Leaks", "Acme, mend it.", at=NOW - HOUR)
    for options, text in (
        ({"app_name": "The Acme app"}, "The Acme app\n\nLeaks\n\nAcme, mend it."),
        ({"with_name": False}, "Leaks\n\nAcme, mend it."),
    ):
        batch, _ = run(made(store, **options))
        assert [mention.text for mention in batch.mentions] == [text]
    assert store.pages() == [request.path for request in store.requests]  # no name was looked up


def test_a_name_that_no_brand_is_looked_for_by_is_told(store: FakeAppStore, caplog: pytest.LogCaptureFixture) -> None:
    store.names[123] = "Kettle"
    store.review(123, "us", "Leaks", "Much.", at=NOW - HOUR)
    run(made(store))
    assert "no brand's query matches the app's name 'Kettle'" in caplog.text
    with pytest.raises(InputError, match="matched by no brand's query"):
        made(store, app_name="Kettle")


def test_an_app_that_is_renamed_edits_no_review(store: FakeAppStore, tmp_path: Path) -> None:
    store.review(123, "us", "Leaks", "Much.", at=NOW - HOUR)
    source = Source("apps", "appstore", made(store), "1")
    with Store(tmp_path / "s.db") as database:
        collect(database, source, [ACME], NOW)
        store.names[123] = "Acme Reborn"
        collect(database, source, [ACME], NOW + MINUTE)
        (match,) = database.mentions.every(Filter())
    assert match.mention.text == "Acme: Kettle & Co\n\nLeaks\n\nMuch."


def test_the_app_itself_is_no_review(store: FakeAppStore) -> None:
    store.older = True
    number = store.review(123, "us", "Leaks", "Much.", at=NOW - HOUR)
    assert ids(run(made(store))) == [number]


# --- what is new ------------------------------------------------------------------------------------------------------


def test_pages_are_read_until_the_cursor(store: FakeAppStore) -> None:
    old = some_reviews(store, 120, NOW - 9 * HOUR)
    collector = made(store)
    first = run(collector)
    assert ids(first) == old
    assert [batch.cursor is not None for batch in first] == [False, False, False, True]
    new = some_reviews(store, 60)
    asked = len(store.pages())
    second = run(collector, after(first), now=NOW + MINUTE)
    assert ids(second)[:60] == new
    assert len(store.pages()) == asked + 2
    assert [batch.gap for batch in second] == [None, None]


def test_an_edited_review_is_read_again(store: FakeAppStore, tmp_path: Path) -> None:
    number = store.review(123, "us", "Leaks", "Much.", at=NOW - 2 * HOUR)
    source = Source("apps", "appstore", made(store), "1")
    with Store(tmp_path / "s.db") as database:
        collect(database, source, [ACME], NOW)
        store.edit(123, "us", number, text="No more.", at=NOW)
        collect(database, source, [ACME], NOW + MINUTE)
        (match,) = database.mentions.every(Filter())
    assert match.mention.text == "Acme: Kettle & Co\n\nLeaks\n\nNo more."


def test_more_than_the_store_lists_is_told_as_a_gap() -> None:
    with FakeAppStore(page=5) as store:
        collector = made(store)
        some_reviews(store, 70, NOW - 9 * HOUR)
        first = run(collector)
        assert len(ids(first)) == 50
        assert [batch.gap for batch in first] == [None] * 10
        new = some_reviews(store, 55)
        second = run(collector, after(first), now=NOW + MINUTE)
        assert ids(second) == new[:50]
        (gap,) = [batch.gap for batch in second if batch.gap]
    assert (gap.since, gap.until, gap.cause) == (NOW - 9 * HOUR, NOW - HOUR - 49 * MINUTE, "saturated")
    assert second[-1].gap == gap
    assert second[-1].cursor is not None


def test_a_burst_after_an_empty_list_shows_as_a_gap_only_where_it_overflows() -> None:
    for count, gaps in ((30, 0), (55, 1)):
        with FakeAppStore(page=5) as store:
            collector = made(store)
            first = run(collector)
            assert (ids(first), first[0].cursor is not None) == ([], True)
            some_reviews(store, count, NOW + 2 * HOUR)
            second = run(collector, after(first), now=NOW + 3 * HOUR)
            assert len([batch for batch in second if batch.gap]) == gaps


def test_an_empty_answer_where_reviews_were_is_a_fault_and_loses_nothing(store: FakeAppStore) -> None:
    some_reviews(store, 3)
    collector = made(store)
    first = run(collector)
    store.empty = True
    with pytest.raises(SourceUnavailable, match="sent no review, though it had some"):
        run(collector, after(first))
    store.empty = False
    new = store.review(123, "us", "New", "One.", at=NOW)
    assert ids(run(collector, after(first)))[0] == new


def test_a_run_that_is_cut_off_is_read_again(store: FakeAppStore, tmp_path: Path) -> None:
    some_reviews(store, 120)
    source = Source("apps", "appstore", made(store), "1")
    with Store(tmp_path / "s.db") as database:
        store.faults.extend(["", "", "drop"])  # the name, the first page
        outcome = collect(database, source, [ACME], NOW)
        assert (outcome.counts["stored"], outcome.error is not None) == (50, True)
        outcome = collect(database, source, [ACME], NOW + MINUTE)
        assert (outcome.counts["stored"], outcome.error) == (70, None)
        assert collect(database, source, [ACME], NOW + HOUR).counts["fetched"] == 50


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        ("429:7", RateLimited, "asks to wait until 2026-11-21 12:00:07"),
        ("403", RateLimited, "asks to wait until 2026-11-21 12:15:00"),
        ("404", NotAuthorised, "nothing at this address"),
        ("400", SourceUnavailable, "answered 400"),
        ("502", SourceUnavailable, "answered 502"),
        ("html", SourceUnavailable, "no RSS or Atom feed"),
        ("json", SourceUnavailable, "no RSS or Atom feed"),
        ("half", SourceUnavailable, "did not answer"),
        ("drop", SourceUnavailable, "did not answer"),
        ("slow", SourceUnavailable, "did not answer"),
    ],
)
@pytest.mark.parametrize("before", [0, 1])
def test_every_fault_is_one_line_that_names_the_app(
    store: FakeAppStore, before: int, fault: str, error: type[CollectorError], says: str
) -> None:
    some_reviews(store, 1)
    store.faults.extend([*[""] * before, fault])
    if before == 0 and fault in ("html", "json"):
        says = "no JSON" if fault == "html" else "did not tell the app's name"
    with pytest.raises(error, match=says) as caught:
        run(made(store, timeout=0.3 if fault == "slow" else 5))
    assert "\n" not in str(caught.value)
    assert "the App Store (us, app 123)" in str(caught.value)


def test_an_app_that_the_store_does_not_have_is_for_a_person_to_correct(store: FakeAppStore) -> None:
    with pytest.raises(NotAuthorised, match=r"\(us, app 9\) knows no such app; correct app_id or countries"):
        run(made(store, app_id=[9]), stream="9:us")


def test_an_odd_review_is_left_out_and_a_page_of_them_is_a_fault(
    store: FakeAppStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.review(123, "us", "secret", "secret", at=NOW - HOUR, id=None)
    store.review(123, "us", "secret", "secret", at=None)
    store.review(123, "us", "", "", at=NOW - HOUR)
    with pytest.raises(SourceUnavailable, match="nothing but reviews that cannot be read"):
        run(made(store))
    fine = store.review(123, "us", "Leaks", "Much.", at=NOW - HOUR)
    caplog.clear()
    assert ids(run(made(store))) == [fine]
    assert {"lacks id", "lacks posted", "lacks a text"} <= {line.split("left out, it ")[-1] for line in caplog.messages}
    assert "secret" not in caplog.text


def test_a_review_of_the_future_is_cut_to_now(store: FakeAppStore) -> None:
    store.review(123, "us", "Leaks", "Much.", at=NOW + timedelta(days=1))
    batch, _ = run(made(store))
    assert batch.mentions[0].created_at == NOW


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"app_id": []},
        {"app_id": [0]},
        {"app_id": [1], "countries": []},
        {"app_id": [1], "countries": ["usa"]},
        {"app_id": [1], "countries": ["../"]},
        {"app_id": [1], "base_url": "itunes.apple.com"},
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AppStoreOptions.model_validate(wrong)


def test_it_is_explained_without_contacting_the_store(store: FakeAppStore) -> None:
    assert explain(AppStoreOptions(app_id=[123]), [ACME]) == ["123:us: the newest reviews"]
    kinds: list[CollectorKind] = []
    register_collectors(kinds.append)
    assert [(kind.kind, kind.first_look) for kind in kinds] == [("appstore", None)]
    assert store.requests == []
