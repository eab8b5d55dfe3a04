"""Which stored posts X no longer shows."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from db.errors import CollectorError, SourceUnavailable
from db.records import Checked
from jobs.collector import Checker
from monitor.collectors.x_compliance import ComplianceJob
from monitor.collectors.x_options import XOptions
from tests.fake_x import FakeX
from tests.x_rig import MINUTE, PRICE, T0, TOKEN, Clock, Purse, collector


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakeX]:
    with FakeX(token=TOKEN, now=clock) as fake:
        yield fake


def checker(fake: FakeX, compliance: str = "lookup", **others: str) -> Checker:
    made = collector(fake.url, compliance=compliance, **others)
    assert isinstance(made, Checker)
    return made


def posts(fake: FakeX) -> list[str]:
    """Ten posts; the first four are gone, each for a reason of its own, and the last was never there."""
    made = [fake.add(f"acme {number}", T0 - number * MINUTE) for number in range(1, 10)]
    for number, reason in zip(made, ("deleted", "protected", "suspended", "deactivated"), strict=False):
        fake.remove(number, reason)
    return [*made, "77"]


@pytest.mark.parametrize("style", ["old", "new"])
def test_a_lookup_tells_what_is_gone_and_shows_the_rest_for_the_price_of_the_rest(
    fake: FakeX, clock: Clock, style: str
) -> None:
    fake.style = style
    asked, purse = posts(fake), Purse()
    reader = checker(fake)
    assert (reader.platform, reader.check_size) == ("x", 100)
    found = reader.check(asked, None, purse, clock.now)
    assert sorted(found.gone) == sorted([*asked[:4], "77"])
    assert [mention.source_id for mention in found.seen] == asked[4:9]
    assert purse.spent == 5 * PRICE
    assert len(fake.requests) == 1


@pytest.mark.parametrize("compliance", ["lookup", "batch"])
def test_imported_posts_whose_ids_are_none_of_xs_keep_no_other_from_being_checked(
    fake: FakeX, clock: Clock, compliance: str
) -> None:
    gone, kept = fake.add("acme 1", T0 - 2 * MINUTE), fake.add("acme 2", T0 - MINUTE)
    fake.remove(gone, "deleted")
    imported, reader = ["row-17", "1" * 20, "17,18", "\u0661", f"{kept}\n"], checker(fake, compliance)
    asked = [*imported, gone, kept]
    found = reader.check(asked, None, Purse(), clock.now)
    if found.resume:
        clock.now += timedelta(hours=1)
        found = reader.check(asked, found.resume, Purse(), clock.now)
    assert list(found.gone) == [gone]
    before = len(fake.requests)
    assert reader.check(imported, None, Purse(), clock.now) == Checked()
    assert len(fake.requests) == before


def test_an_edited_post_is_seen_as_it_is_now_under_the_id_it_is_known_by(fake: FakeX, clock: Clock) -> None:
    first, other = fake.add("acme is grate", T0 - 9 * MINUTE), fake.add("acme", T0 - 8 * MINUTE)
    fake.edit(first, "acme is great")
    purse = Purse()
    found = checker(fake).check([first, other], None, purse, clock.now)
    assert found.gone == []
    assert {mention.source_id: mention.text for mention in found.seen} == {first: "acme is great", other: "acme"}
    assert purse.spent == 3 * PRICE == fake.billed * PRICE


@pytest.mark.parametrize("fault", ["empty", 503, 429, "drop", "html200", "cut", 401])
def test_an_answer_that_cannot_be_read_is_told_in_one_line(fake: FakeX, clock: Clock, fault: int | str) -> None:
    asked = posts(fake)
    fake.script(fault)
    with pytest.raises(CollectorError) as told:
        checker(fake).check(asked, None, Purse(), clock.now)
    assert "\n" not in str(told.value)


def test_an_error_that_says_nothing_of_the_posts_erases_none(fake: FakeX, clock: Clock) -> None:
    asked = posts(fake)
    fake.script("troubled")
    found = checker(fake).check(asked, None, Purse(), clock.now)
    assert (found.gone, found.seen) == ([], [])


def test_posts_that_cannot_be_read_are_not_gone(fake: FakeX, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = posts(fake)
    show = FakeX.show
    monkeypatch.setattr(FakeX, "show", lambda self, post, params: show(self, post, params) | {"text": None})
    found = checker(fake).check(asked, None, Purse(), clock.now)
    assert sorted(found.gone) == sorted([*asked[:4], "77"])
    assert found.seen == []


def test_without_compliance_there_is_no_checker(fake: FakeX) -> None:
    assert not isinstance(collector(fake.url, compliance="off"), Checker)


# --- compliance jobs ------------------------------------------------------------------------------------------------


def run(fake: FakeX, clock: Clock, asked: list[str], most: int = 10) -> tuple[Checked, int]:
    """Come back as often as told; returns what was found and in how many turns."""
    reader, purse, resume = checker(fake, compliance="batch"), Purse(), None
    for turn in range(1, most):
        found = reader.check(asked, resume, purse, clock.now)
        assert purse.spent == 0
        if found.resume is None:
            return found, turn
        assert found.again_at is not None
        assert clock.now < found.again_at <= clock.now + timedelta(hours=6)
        resume, clock.now = found.resume, found.again_at
    pytest.fail("never done")


def test_a_compliance_job_tells_what_is_gone_for_nothing(fake: FakeX, clock: Clock) -> None:
    asked = posts(fake)
    assert checker(fake, compliance="batch").check_size == 10_000
    found, turns = run(fake, clock, asked)
    assert sorted(found.gone) == sorted([*asked[:4], "77"])
    assert found.seen == ()
    assert turns == 2
    assert not fake.bill
    assert [request.what for request in fake.requests] == ["jobs", "upload", "jobs", "download"]
    assert fake.jobs["1000"].ids == asked


def test_a_job_that_takes_longer_is_asked_for_again(fake: FakeX, clock: Clock) -> None:
    fake.job_time = timedelta(hours=1)
    found, turns = run(fake, clock, posts(fake))
    assert len(found.gone) == 5
    assert turns == 3  # begun; five minutes later, when X tells how long it takes; and then


@pytest.mark.parametrize("status", ["failed", "expired"])
def test_a_job_that_fails_is_begun_again(fake: FakeX, clock: Clock, status: str) -> None:
    asked = posts(fake)
    reader = checker(fake, compliance="batch")
    begun = reader.check(asked, None, Purse(), clock.now)
    fake.jobs["1000"].status = status
    again = reader.check(asked, begun.resume, Purse(), clock.now)
    assert (again.resume, again.gone) == ("1001", ())
    clock.now += 10 * MINUTE
    assert len(reader.check(asked, again.resume, Purse(), clock.now).gone) == 5


def test_the_bearer_token_goes_to_no_store(fake: FakeX, clock: Clock) -> None:
    run(fake, clock, posts(fake))
    assert [request.authorised for request in fake.asked("upload") + fake.asked("download")] == [False, False]
    assert all(request.authorised for request in fake.asked("jobs"))


@pytest.mark.parametrize(
    "place",
    [
        "http://127.0.0.1:9",
        "https://evil.example",
        "https://storage.googleapis.com.evil.example",
        "https://storage.googleapis.com@evil.example",
        "http://storage.googleapis.com",
        "https://user:word@storage.googleapis.com",
        "file:///etc",
        "https://[",
        "elsewhere",
    ],
)
def test_a_place_that_is_neither_xs_nor_googles_gets_no_ids(fake: FakeX, clock: Clock, place: str) -> None:
    fake.store = place
    with pytest.raises(SourceUnavailable, match="neither its own nor Google's storage"):
        checker(fake, compliance="batch").check(["1"], None, Purse(), clock.now)


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://storage.googleapis.com/twttr/1?X-Goog-Signature=2", True),
        ("https://api.twitter.com/upload/1", True),
        ("http://api.twitter.com/upload/1", False),
        ("https://api.twitter.com.evil.example/1", False),
    ],
)
def test_xs_own_host_and_googles_storage_are_trusted(url: str, safe: bool) -> None:
    given = XOptions.model_validate({"bearer_token": TOKEN})
    assert ComplianceJob(None, given, T0)._is_safe(url) is safe  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("on", "fault", "says"),
    [
        ("jobs", 403, r'compliance jobs \(403\).*`compliance = "lookup"`'),
        ("jobs", "empty", "no compliance job"),
        ("jobs", 503, "503"),
        ("upload", 302, "answered 302"),
        ("upload", "drop", "did not answer"),
        ("download", 403, "answered 403"),
        ("download", "drop", "did not answer"),
        ("download", "html200", "result could not be read"),
        ("download", "cut", "did not answer"),
    ],
)
def test_each_fault_of_a_job_is_told_in_one_line_and_erases_nothing(
    fake: FakeX, clock: Clock, on: str, fault: int | str, says: str
) -> None:
    fake.script(fault, on=on)
    with pytest.raises(SourceUnavailable, match=says) as told:
        run(fake, clock, posts(fake))
    assert "\n" not in str(told.value)
    assert TOKEN not in str(told.value)


def test_nothing_is_spent_on_a_lookup_beyond_the_budget(fake: FakeX, clock: Clock) -> None:
    asked = posts(fake)
    with pytest.raises(CollectorError):
        checker(fake).check(asked, None, Purse(Decimal("0.02")), clock.now)
    assert fake.requests == []
