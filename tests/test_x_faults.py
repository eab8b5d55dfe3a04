"""What the X collector spends, and what it does when X or the network fails."""

import logging
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from db.errors import BudgetSpent, CollectorError, NotAuthorised, RateLimited, SourceUnavailable
from db.records import Position
from tests.fake_x import FakeX, Fault
from tests.x_rig import MINUTE, PRICE, T0, TOKEN, Clock, Job, Purse, burst, collector


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakeX]:
    with FakeX(token=TOKEN, now=clock) as fake:
        yield fake


@pytest.fixture
def job(fake: FakeX, clock: Clock) -> Job:
    return Job(collector(fake.url), clock)


# --- money ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("posts", [10, 37, 100, 101, 199, 250])
def test_the_budget_is_never_exceeded_and_spent_to_the_last_ten_posts(
    fake: FakeX, job: Job, clock: Clock, posts: int
) -> None:
    burst(fake, clock, 400)
    job.meter.budget = posts * PRICE
    with pytest.raises(BudgetSpent) as spent:
        job.run()
    assert spent.value.not_before == datetime(2026, 12, 1, tzinfo=UTC)
    assert posts - 10 < fake.billed <= posts
    assert job.meter.spent == fake.billed * PRICE
    assert len(job.mentions) == fake.billed


def test_a_budget_for_fewer_than_ten_posts_asks_nothing(fake: FakeX, job: Job, clock: Clock) -> None:
    burst(fake, clock, 20)
    job.meter.budget = 9 * PRICE
    clock.now = datetime(2026, 12, 31, 23, tzinfo=UTC)
    with pytest.raises(BudgetSpent) as spent:
        job.run()
    assert spent.value.not_before == datetime(2027, 1, 1, tzinfo=UTC)
    assert fake.requests == []


def test_next_month_goes_on_without_paying_again(fake: FakeX, job: Job, clock: Clock) -> None:
    clock.now = datetime(2026, 11, 30, 23, tzinfo=UTC)
    posted = burst(fake, clock, 150)
    job.meter.budget = 60 * PRICE
    with pytest.raises(BudgetSpent) as spent:
        job.run()
    job.meter, clock.now = Purse(100 * PRICE), spent.value.not_before
    job.run()
    assert job.mentions.keys() == posted
    assert fake.billed == 150


def test_a_price_of_nothing_needs_no_budget(fake: FakeX, clock: Clock) -> None:
    job = Job(collector(fake.url, price_per_post="0"), clock, Purse(Decimal(0)))
    posted = burst(fake, clock, 5)
    job.run()
    assert job.mentions.keys() == posted


@pytest.mark.parametrize(
    ("fault", "cost"),
    [
        (503, 0),
        ("html503", 0),
        (429, 0),
        (402, 0),
        (401, 0),
        ("list", 0),
        ("drop", 100),
        ("html200", 100),
        ("cut", 100),
    ],
)
def test_a_request_that_failed_costs_only_what_x_may_have_billed(
    fake: FakeX, job: Job, clock: Clock, fault: Fault, cost: int
) -> None:
    burst(fake, clock, 100)
    fake.script(fault)
    with pytest.raises(CollectorError):
        job.run()
    assert job.meter.spent == cost * PRICE


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_night_without_network_costs_nothing(clock: Clock, scheme: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    job = Job(collector(f"{scheme}://127.0.0.1:{port}"), clock)
    with pytest.raises(SourceUnavailable, match=r"did not answer \(ConnectionError\)"):
        job.run()
    assert job.meter.spent == 0


def test_a_name_that_is_not_found_costs_nothing(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    job = Job(collector("https://api.twitter.com"), clock)
    with pytest.raises(SourceUnavailable, match="ConnectionError"):
        job.run()
    assert job.meter.spent == 0


def test_a_connection_that_cannot_be_secured_costs_nothing(fake: FakeX, clock: Clock) -> None:
    job = Job(collector(fake.url.replace("http:", "https:")), clock)
    with pytest.raises(SourceUnavailable, match="SSLError"):
        job.run()
    assert job.meter.spent == 0


# --- faults ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (400, SourceUnavailable, "query"),
        (401, NotAuthorised, "401"),
        (402, NotAuthorised, "credits are used up"),
        (403, NotAuthorised, "attached to a Project"),
        (404, SourceUnavailable, "404"),
        (302, SourceUnavailable, "302"),
        (500, SourceUnavailable, "500"),
        (503, SourceUnavailable, "Service Unavailable"),
        ("html503", SourceUnavailable, "503"),
        ("html200", SourceUnavailable, "not JSON"),
        ("list", SourceUnavailable, "503"),
        ("empty", SourceUnavailable, "neither data nor meta"),
        ("drop", SourceUnavailable, "ConnectionError"),
        ("cut", SourceUnavailable, "Error"),
    ],
)
def test_each_fault_is_told_in_one_line(
    fake: FakeX, job: Job, clock: Clock, fault: Fault, kind: type[CollectorError], words: str
) -> None:
    burst(fake, clock, 5)
    fake.script(fault)
    with pytest.raises(CollectorError, match=words) as raised:
        job.run()
    assert type(raised.value) is kind
    assert "\n" not in str(raised.value)
    assert TOKEN not in str(raised.value)
    assert job.position == Position()
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    ("fault", "not_before"),
    [
        (429, T0 + timedelta(minutes=15)),
        ("429-bare", T0 + timedelta(minutes=15)),
        ("429-cap", datetime(2026, 12, 1, tzinfo=UTC)),
    ],
)
def test_a_rate_limit_says_when_to_come_back(fake: FakeX, job: Job, fault: Fault, not_before: datetime) -> None:
    fake.script(fault)
    with pytest.raises(RateLimited) as limited:
        job.run()
    assert limited.value.not_before == not_before
    assert type(limited.value) is RateLimited


def test_the_reset_time_of_x_is_kept(fake: FakeX, job: Job, clock: Clock) -> None:
    burst(fake, clock, 500)
    fake.limit = 2
    fake.rate()
    clock.now += 4 * MINUTE
    with pytest.raises(RateLimited) as limited:
        job.run()
    assert limited.value.not_before == T0 + 15 * MINUTE
    assert len(job.mentions) == 100


def test_a_slow_answer_times_out(fake: FakeX, clock: Clock) -> None:
    job = Job(collector(fake.url, timeout=0.1), clock)
    fake.script("slow")
    with pytest.raises(SourceUnavailable, match="ReadTimeout"):
        job.run()


def test_partial_errors_are_logged_and_the_posts_kept(
    fake: FakeX, job: Job, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    posted = burst(fake, clock, 5)
    fake.script("partial")
    job.run()
    assert job.mentions.keys() == posted
    assert [each.message for each in caplog.records if each.levelno == logging.WARNING] == [
        "X left something out of the search for Acme: Authorization Error"
    ]


@pytest.mark.parametrize("fault", ["ok", 401, 503, "drop", "html200"])
def test_the_bearer_token_is_in_no_log(
    fake: FakeX, job: Job, clock: Clock, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    burst(fake, clock, 5)
    fake.script(fault)
    try:
        job.run()
    except CollectorError:
        logging.getLogger("test").exception("with its causes")
    assert "Making API request" in caplog.text
    assert TOKEN not in caplog.text


def test_a_token_that_x_repeats_is_masked(fake: FakeX, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fake_x_http.problem_of", lambda status: ("Forbidden", f"who is\n{TOKEN}?"))
    fake.script(403)
    with pytest.raises(NotAuthorised, match=r"who is \*\*\*\?"):
        job.run()
