"""The timelines of mentions of own accounts on X."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from db.errors import BudgetSpent, NotAuthorised, SourceUnavailable
from db.store import Store
from jobs.collect import Source, collect
from jobs.collector import Collector
from models.query import parse
from monitor.collectors.x import XCollector, build
from monitor.plugins import Brand
from tests.fake_x import FakeX
from tests.x_rig import MINUTE, PRICE, T0, TOKEN, Clock, Job, Purse, options

OWNED, USER = Decimal("0.001"), Decimal("0.010")
BRANDS = [
    Brand("Acme", parse("acme OR @acmecare"), accounts={"x": "@AcmeCare"}),
    Brand("Bolt", parse("bolt"), accounts={"x": "bolthelp"}),
    Brand("Rival", parse("rival"), own=False, accounts={"x": "rivalhelp"}),
    Brand("Silent", parse("silent")),
]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakeX]:
    with FakeX(token=TOKEN, now=clock, accounts={"acmecare": "42", "bolthelp": "43", "rivalhelp": "44"}) as fake:
        yield fake


def source(fake: FakeX, **others: object) -> Collector:
    return build(options(fake.url, **others), BRANDS)


@pytest.fixture
def job(fake: FakeX, clock: Clock) -> Job:
    return Job(source(fake), clock, stream="mentions:Acme")


def shout(fake: FakeX, clock: Clock, count: int) -> set[str]:
    start, step = clock.now - 13 * MINUTE, 10 * MINUTE / count
    return {fake.add(f"@acmecare help {number}", start + number * step) for number in range(count)}


def test_each_own_account_has_a_stream_unless_told_otherwise(fake: FakeX) -> None:
    searches = ["Acme", "Bolt", "Rival", "Silent"]
    assert source(fake).streams() == [*searches, "mentions:Acme", "mentions:Bolt"]
    assert source(fake, mentions=False).streams() == searches


def test_a_mention_of_an_own_account_is_about_its_brand_whatever_it_says(
    fake: FakeX, clock: Clock, tmp_path: Path
) -> None:
    fake.add("@bolthelp where is my parcel?", clock.now - MINUTE)
    fake.add("@rivalhelp where is my parcel?", clock.now - MINUTE)
    with Store(tmp_path / "a.db") as store:
        assert collect(store, Source("x", "x", source(fake), "1"), BRANDS, clock.now).error is None
        found = [(match.brand, match.mention.text) for match in store.mentions.pending(9)]
    assert found == [("Bolt", "@bolthelp where is my parcel?")]


def test_a_timeline_is_read_whole_at_its_own_price_and_accounts_are_looked_up_once(
    fake: FakeX, job: Job, clock: Clock
) -> None:
    posted = shout(fake, clock, 230)
    fake.add("acme without the handle", clock.now - 5 * MINUTE)
    for _ in range(3):
        job.run()
        clock.now += 15 * MINUTE
    posted |= shout(fake, clock, 5)
    job.collector = source(fake)  # started again: the ids are in the cursor
    job.run()
    assert job.mentions.keys() == posted
    assert fake.bill == {"owned": 235, "user": 2}
    assert job.meter.spent == 235 * OWNED + 2 * USER
    assert job.gaps == []


def test_an_interrupted_run_has_paid_for_its_accounts_once(fake: FakeX, job: Job, clock: Clock) -> None:
    posted = shout(fake, clock, 150)
    fake.script(503, on="mentions")
    with pytest.raises(SourceUnavailable):
        job.run()
    job.collector = source(fake)
    job.run(stop_after=1)
    assert len(job.mentions) == 100
    assert job.position.cursor is None
    job.collector = source(fake)
    job.run()
    assert job.mentions.keys() == posted
    assert fake.bill["user"] == 2


def test_the_same_post_met_by_search_and_in_the_timeline_is_stored_once(
    fake: FakeX, clock: Clock, tmp_path: Path
) -> None:
    fake.add("@acmecare my acme is broken", clock.now - 5 * MINUTE)
    fake.add("@AcmeCare help", clock.now - 4 * MINUTE)
    with Store(tmp_path / "posts.db") as store:
        outcome = collect(store, Source("x", "x", source(fake), "1"), BRANDS, clock.now)
        assert outcome.error is None
        assert (outcome.counts["stored"], outcome.counts["known"]) == (2, 2)


def test_mentions_that_turn_up_late_are_not_missed_and_old_ones_not_paid_again(
    fake: FakeX, job: Job, clock: Clock
) -> None:
    posted = {fake.add("@acmecare", clock.now - MINUTE), fake.add("@acmecare", clock.now - 20 * timedelta(seconds=1))}
    job.run()
    clock.now += MINUTE
    job.run()
    assert job.mentions.keys() == posted
    for _ in range(5):
        clock.now += 15 * MINUTE
        job.run()
    assert fake.bill["owned"] == 4


def test_a_retweet_is_linked_to_its_original_and_what_own_accounts_write_is_left_out(
    fake: FakeX, job: Job, clock: Clock
) -> None:
    original = fake.add("@acmecare is down", clock.now - 9 * MINUTE)
    repost = fake.add("RT @ann: @acmecare is down", clock.now - 8 * MINUTE, retweet_of=original)
    fake.add("RT @AcmeCare: we at @acmecare are great", clock.now - 7 * MINUTE, retweet_of="1")
    fake.add("@acmecare here, hello", clock.now - 6 * MINUTE, author_id="42")
    fake.add("our friends of @acmecare", clock.now - 6 * MINUTE, author_id="43")
    competitor = fake.add("@acmecare cannot do this", clock.now - 6 * MINUTE, author_id="44")
    job.run()
    found = {number: mention.repost_of for number, mention in job.mentions.items()}
    assert found == {original: None, repost: original, competitor: None}
    assert job.fetched == 6


def test_more_than_x_gives_leaves_a_gap(fake: FakeX, job: Job, clock: Clock) -> None:
    shout(fake, clock, 3)
    job.run()
    read = clock.now
    clock.now += 60 * MINUTE
    shout(fake, clock, 900)
    job.run()
    assert len(job.mentions) == 803
    (gap,) = job.gaps
    oldest = sorted(mention.created_at for mention in job.mentions.values())[3]
    assert (gap.since, gap.until, gap.cause) == (read, oldest, "saturated")


def test_the_past_of_a_timeline_is_read_as_far_as_it_goes(fake: FakeX, clock: Clock) -> None:
    reader = source(fake)
    assert isinstance(reader, XCollector)
    assert reader.oldest("mentions:Acme", T0) is None
    days = {fake.add("@acmecare", T0 - number * timedelta(days=1)): number for number in range(1, 40)}
    span = T0 - timedelta(days=30), T0 - timedelta(days=10)
    (batch,) = reader.history("mentions:Acme", *span, None, Purse(), T0)
    assert {post.source_id for post in batch.mentions} == {post for post, number in days.items() if 10 < number <= 30}
    assert batch.gap is None
    shout(fake, clock, 900)
    *_, last = reader.history("mentions:Acme", T0 - timedelta(days=30), T0, None, Purse(), T0)
    assert last.gap is not None
    assert last.gap.until > T0 - 15 * MINUTE


def test_an_account_given_by_its_number_is_not_looked_up(fake: FakeX, clock: Clock) -> None:
    brands = [Brand("Acme", parse("acme"), accounts={"x": "42"})]
    job = Job(build(options(fake.url), brands), clock, stream="mentions:Acme")
    posted = shout(fake, clock, 3)
    job.run()
    assert job.mentions.keys() == posted
    assert fake.bill == {"owned": 3}


def test_another_account_begins_anew(fake: FakeX, job: Job, clock: Clock) -> None:
    shout(fake, clock, 3)
    job.run()
    other = fake.add("@bolthelp", clock.now - 20 * MINUTE)
    job.collector = build(options(fake.url), [Brand("Acme", parse("acme"), accounts={"x": "bolthelp"})])
    job.run()
    assert other in job.mentions


@pytest.mark.parametrize(
    ("on", "fault", "says"),
    [
        ("mentions", 403, r"timelines of mentions \(403\).*`mentions = false`"),
        ("user", 403, r"accounts \(403\).*`mentions = false`"),
        ("mentions", 503, "503"),
        ("mentions", "html200", "not JSON"),
        ("mentions", "drop", "did not answer"),
        ("user", "empty", "holds no account"),
        ("mentions", 400, r"refuses a request for timelines of mentions \(400\)"),
    ],
)
def test_a_timeline_that_cannot_be_read_stops_no_search(
    fake: FakeX, job: Job, on: str, fault: int | str, says: str
) -> None:
    fake.script(fault, on=on)
    with pytest.raises(SourceUnavailable, match=says) as told:
        job.run()
    assert "\n" not in str(told.value)
    assert TOKEN not in str(told.value)
    assert job.position.cursor is None


def test_a_token_that_is_wrong_pauses_the_source(fake: FakeX, job: Job) -> None:
    fake.script(401, on="mentions")
    with pytest.raises(NotAuthorised):
        job.run()


def test_an_account_that_x_does_not_know_is_told_and_stops_no_other(fake: FakeX, clock: Clock) -> None:
    del fake.accounts["bolthelp"]
    posted = shout(fake, clock, 3)
    acme, bolt = (Job(source(fake), clock, stream=f"mentions:{name}") for name in ("Acme", "Bolt"))
    acme.run()
    assert acme.mentions.keys() == posted
    with pytest.raises(SourceUnavailable, match="no account @bolthelp; correct `accounts`"):
        bolt.run()


def test_a_server_that_repeats_its_next_token_ends_the_run(fake: FakeX, job: Job, clock: Clock) -> None:
    shout(fake, clock, 150)
    fake.repeat_token = True
    with pytest.raises(SourceUnavailable, match="again and again"):
        job.run()
    assert len(fake.asked("mentions")) <= 3


def test_the_budget_holds_for_mentions_too(fake: FakeX, job: Job, clock: Clock) -> None:
    shout(fake, clock, 300)
    job.meter.budget = 2 * USER + 33 * PRICE
    with pytest.raises(BudgetSpent):
        job.run()
    assert job.meter.spent == fake.bill["owned"] * OWNED + 2 * USER <= job.meter.budget
    assert fake.bill["owned"] == 165
