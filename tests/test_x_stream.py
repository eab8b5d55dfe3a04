"""X's filtered stream: a look at what is posted just now."""

from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from db.errors import BudgetSpent, NotAuthorised, SourceUnavailable
from db.store import Store
from jobs.collect import Source, collect
from jobs.collector import Collector
from models.query import parse
from monitor.collectors.x import build
from monitor.plugins import Brand
from tests.fake_x import FakeX
from tests.x_rig import MINUTE, PRICE, TOKEN, Clock, Job, options

BRANDS = [Brand("Acme", parse("acme")), Brand("Bolt", parse("bolt NOT nut"))]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakeX]:
    with FakeX(token=TOKEN, now=clock) as fake:
        yield fake


def source(fake: FakeX, brands: list[Brand] = BRANDS, **others: object) -> Collector:
    return build(options(fake.url, **({"stream": True, "listen": 10} | others)), brands)


@pytest.fixture
def job(fake: FakeX, clock: Clock) -> Job:
    return Job(source(fake), clock, stream="filtered")


@pytest.mark.parametrize("style", ["old", "new"])
def test_what_is_posted_while_it_listens_is_heard_and_paid(fake: FakeX, job: Job, clock: Clock, style: str) -> None:
    fake.style = style
    heard = {fake.air("acme is down"), fake.air("a bolt, please", reply_to="12")}
    fake.air("bolt and nut")
    fake.air("nothing of note")
    job.run()
    assert job.mentions.keys() == heard
    assert {mention.in_reply_to for mention in job.mentions.values()} == {None, "12"}
    assert job.position.cursor == clock.now.isoformat()
    assert job.meter.spent == fake.billed * PRICE == 2 * PRICE


def test_the_search_brings_it_too_and_it_is_stored_once(fake: FakeX, clock: Clock, tmp_path: Path) -> None:
    fake.air("acme is down")
    with Store(tmp_path / "posts.db") as store:
        for _ in range(2):
            assert collect(store, Source("x", "x", source(fake), "1"), BRANDS, clock.now).error is None
            clock.now += 15 * MINUTE
        assert store.mentions.counts() == (1, 1)


def test_there_is_a_rule_for_each_search_and_those_of_others_are_left_alone(
    fake: FakeX, job: Job, clock: Clock
) -> None:
    fake.rules = {"1": ("kettle", "theirs"), "2": ("acme old", "sentimon: Acme"), "3": ("bolt -nut -is:retweet", "")}
    job.run()
    assert fake.rules.pop("1") == ("kettle", "theirs")
    assert fake.rules.pop("3") == ("bolt -nut -is:retweet", "")  # the same as ours, and X takes no rule twice
    assert list(fake.rules.values()) == [("acme -is:retweet", "sentimon: Acme")]
    asked = len(fake.asked("rules"))
    fake.rules = {"4": ("acme -is:retweet", "sentimon: Acme"), "5": ("bolt -nut -is:retweet", "sentimon: Bolt")}
    job.run()
    assert len(fake.asked("rules")) == asked + 1  # nothing to add, nothing to delete
    job.collector = source(fake, BRANDS[:1])
    job.run()
    assert fake.rules == {"4": ("acme -is:retweet", "sentimon: Acme")}


@pytest.mark.parametrize("chatter", [b"", b"\r\n", b"x"], ids=["silent", "alive", "a line without end"])
def test_it_hangs_up_in_time_whether_x_is_silent_or_not(fake: FakeX, clock: Clock, chatter: bytes) -> None:
    fake.hold, fake.chatter = 30, chatter
    heard = fake.air("acme is down")
    job = Job(source(fake, listen=0.3, timeout=2), clock, stream="filtered")
    began = monotonic()
    job.run()
    assert monotonic() - began < 20
    assert job.mentions.keys() == {heard}
    assert len(fake.asked("stream")) == 1
    assert fake.ended == 0  # X would have gone on


def test_it_hears_no_more_than_the_budget_pays(fake: FakeX, job: Job) -> None:
    for number in range(30):
        fake.air(f"acme {number}")
    fake.hold = 30
    job.meter.budget = 12 * PRICE
    job.run()
    assert len(job.mentions) == 12
    assert job.meter.spent == 12 * PRICE
    with pytest.raises(BudgetSpent):
        job.run()
    assert fake.ended == 0
    assert len(fake.asked("stream")) == 1


@pytest.mark.parametrize(
    ("on", "fault", "says"),
    [
        ("stream", 403, r"streams \(403\).*`stream = false`"),
        ("rules", 403, r"stream rules \(403\).*`stream = false`"),
        ("stream", 429, "the filtered stream is left out: X asks to wait"),
        ("stream", 503, "503"),
        ("stream", "html503", "503"),
        ("stream", "html200", "not JSON"),
        ("stream", "drop", "did not answer"),
        ("rules", "drop", "did not answer"),
        ("rules", "list", "503"),
    ],
)
def test_a_stream_that_cannot_be_heard_stops_no_search_and_is_tried_once(
    fake: FakeX, job: Job, on: str, fault: int | str, says: str
) -> None:
    fake.script(fault, on=on)
    with pytest.raises(SourceUnavailable, match=says) as told:
        job.run()
    assert "\n" not in str(told.value)
    assert TOKEN not in str(told.value)
    assert len(fake.asked(on)) <= (3 if on == "rules" else 1)
    assert fake.scripted == 0


def test_hours_that_the_searches_read_are_read_whether_the_stream_was_heard_or_not(
    fake: FakeX, clock: Clock, tmp_path: Path
) -> None:
    since = clock.now
    with Store(tmp_path / "posts.db") as store:
        for _ in range(2):
            fake.script(403, on="stream")
            outcome = collect(store, Source("x", "x", source(fake), "1"), BRANDS, clock.now)
            assert (outcome.error or "").endswith("; 2 of 2 streams were read")
            clock.now += 60 * MINUTE
        state = store.sources.state("x")
        assert state is not None
        assert state.last_ok_at == since + 60 * MINUTE
        read = store.sources.hours("x", since, since + 60 * MINUTE, since + 60 * MINUTE)
        assert [hour.state for hour in read] == ["complete"] * len(read)


def test_searches_that_fail_are_not_made_up_for_by_the_stream(fake: FakeX, clock: Clock, tmp_path: Path) -> None:
    fake.air("acme is down")
    with Store(tmp_path / "posts.db") as store:
        fake.script(503, on="search")
        fake.script(503, on="search")
        outcome = collect(store, Source("x", "x", source(fake), "1"), BRANDS, clock.now)
        assert (outcome.counts["stored"], "read" in (outcome.error or "read")) == (1, False)
        state = store.sources.state("x")
        assert state is not None
        assert state.last_ok_at is None


def test_what_was_heard_before_the_connection_broke_is_kept(fake: FakeX, job: Job) -> None:
    heard = fake.air("acme is down")
    fake.script("cut", on="stream")
    job.run()
    assert job.mentions.keys() == {heard}


def test_a_token_that_is_wrong_pauses_the_source(fake: FakeX, job: Job) -> None:
    fake.script(401, on="stream")
    with pytest.raises(NotAuthorised):
        job.run()


def test_the_bearer_token_is_in_no_log_of_the_stream(fake: FakeX, job: Job, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    fake.air("acme is down")
    job.run()
    assert "Making API request" in caplog.text
    assert TOKEN not in caplog.text
