"""What an account reads of Bluesky, through the real atproto client: searches, notifications, checks, limits."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from db.errors import CollectorError, InputError, NotAuthorised, RateLimited, SourceUnavailable
from db.records import Position
from jobs.collector import Checker
from models.query import parse
from monitor.collectors import bluesky_search
from monitor.collectors.bluesky import build
from monitor.collectors.dialects import bluesky_queries
from monitor.plugins import Brand
from tests.bluesky_rig import BRANDS, SECOND, T0, Clock, Rig, live
from tests.fake_bluesky import DID, HANDLE, PASSWORD, SOMEONE, FakeBluesky, text_of
from tests.plugin_rig import connections
from tests.support import DAY, HOUR, MINUTE, rows


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakeBluesky]:
    with FakeBluesky(now=clock) as fake:
        yield fake


@pytest.fixture
def account(fake: FakeBluesky, clock: Clock, tmp_path: Path) -> Iterator[Rig]:
    """What an account can read, without the stream."""
    rig = Rig(fake, clock, tmp_path / "a.db", {"handle": HANDLE, "app_password": PASSWORD, "stream": False})
    yield rig
    rig.store.close()


# --- search -----------------------------------------------------------------------------------------------------------


def test_a_search_finds_posts_with_their_reach_and_the_same_identity_as_the_stream(account: Rig) -> None:
    uri = account.fake.post("acme leaks", T0 - HOUR, counts=(3, 2, 1))
    account.fake.post("an other thing", T0 - HOUR)
    account.run()
    sql = "SELECT source, source_id, author, text, likes, reposts, replies FROM mentions ORDER BY id"
    found = rows(account.path, sql)
    assert found[0] == ("bluesky", uri, SOMEONE, "acme leaks", 3, 2, 1)
    assert [row[3] for row in found] == ["acme leaks", "an other thing"]


def test_a_first_search_reads_a_day_and_the_next_only_what_is_new_and_a_little_more(account: Rig) -> None:
    account.fake.post("acme last week", T0 - 7 * DAY)
    account.fake.post("acme today", T0 - HOUR)
    account.run()
    account.fake.post("acme new", account.clock.now + SECOND)
    account.run(10 * MINUTE)
    assert account.texts() == ["acme today", "acme new"]
    asked = [each.params["since"] for each in account.fake.calls("searchPosts") if each.params["q"] == "acme"]
    assert asked == ["2026-11-19T12:01:00.000Z", "2026-11-20T11:01:00.000Z"]


def test_a_post_that_search_shows_late_and_out_of_order_is_found_by_the_overlap(account: Rig) -> None:
    account.fake.lag = 90 * SECOND
    for run in range(5):
        account.fake.post(f"acme {run}", account.clock.now + 50 * SECOND)
        account.run()
    account.run(2 * MINUTE)
    assert sorted(account.texts()) == [f"acme {run}" for run in range(5)]


def test_a_burst_deeper_than_the_search_pages_is_read_whole(account: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bluesky_search, "PAGES", 3)
    monkeypatch.setattr(bluesky_search, "CUT_SHORT", 300)
    for number in range(1000):
        account.fake.post(f"acme {number}", T0 - HOUR + number // 2 * SECOND)
    assert account.run().error is None
    assert len(account.texts()) == 1000
    assert {each.params.get("cursor") for each in account.fake.calls("searchPosts")} == {None, "100", "200"}


def test_an_interrupted_search_goes_on_where_it_stopped_and_reads_what_came_meanwhile(account: Rig) -> None:
    for number in range(450):
        account.fake.post(f"acme {number}", T0 - HOUR + number * SECOND)
    account.fake.faults += ["ok", "ok", 503]
    assert "503" in str(account.run().error)
    assert len(account.texts()) == 200
    account.fake.post("acme meanwhile", account.clock.now + SECOND)
    account.clock.now += 3 * HOUR
    asked = len(account.fake.asked)
    assert account.run().error is None
    assert len(account.texts()) == 451
    first = next(each for each in account.fake.asked[asked:] if each.params.get("q") == "acme")
    assert first.params["until"] == text_of(T0 - HOUR + 250 * SECOND).replace(".000000Z", ".001Z")


@pytest.mark.parametrize("ignored", ["since", "until", "both"])
def test_a_search_that_ignores_times_ends_all_the_same(
    account: Rig, monkeypatch: pytest.MonkeyPatch, ignored: str
) -> None:
    monkeypatch.setattr(bluesky_search, "PAGES", 2)
    monkeypatch.setattr(bluesky_search, "CUT_SHORT", 200)
    real = account.fake.search
    left_out = ("since", "until") if ignored == "both" else (ignored,)
    account.fake.search = lambda params: real({k: v for k, v in params.items() if k not in left_out})  # type: ignore[method-assign]
    for number in range(350):
        account.fake.post(f"acme {number}", T0 - number * 10 * MINUTE)
    account.run()
    assert len(account.fake.calls("searchPosts")) < 20
    assert len(account.texts()) >= 144


def test_the_past_can_be_searched_and_an_interruption_costs_nothing_twice(account: Rig) -> None:
    for day in range(30):
        for number in range(20):
            account.fake.post(f"acme {day} {number}", T0 - day * DAY - number * MINUTE - SECOND)
    assert account.collector.oldest("search:Acme", T0) is None
    since, until = T0 - 20 * DAY, T0 - 5 * DAY
    found: list[str] = []
    resume: str | None = None
    account.fake.faults += ["ok", 500]
    for _ in range(2):
        try:
            for batch in account.collector.history("search:Acme", since, until, resume, account.meter, T0):
                found += [each.source_id for each in batch.mentions]
                resume = batch.resume or resume
        except SourceUnavailable:
            continue
    assert len(set(found)) == 15 * 20
    assert len(found) == 15 * 20 + 1  # that on the border


@pytest.mark.parametrize(
    ("query", "searches"),
    [
        ("acme", ["acme"]),
        ("acme OR gadget", ["acme", "gadget"]),
        ('acme NOT (hiring OR "job offer")', ["acme"]),
        ("(acme AND phone) OR acme", ["acme"]),
        ("(acme OR gadget) AND (leaks OR burns)", ["acme leaks", "acme burns", "gadget leaks", "gadget burns"]),
        ("#acme OR @acme.test", ["acme", '"acme.test"']),
        ('"at & t" OR C++', ['"at t"', '"C++"']),
        ("acme AND phone*", ["acme"]),
        ("acme NEAR/3 (leak OR burn)", ["acme leak", "acme burn"]),
        ("acme AND NOT (NOT phone)", ["acme phone"]),
        ("acme AND or", ['acme "or"']),
    ],
)
def test_a_query_becomes_searches_that_find_no_less(query: str, searches: list[str]) -> None:
    assert bluesky_queries(parse(query)) == searches


def test_a_query_with_too_many_alternatives_is_widened_or_refused() -> None:
    letters = " OR ".join(f"w{number}" for number in range(30))
    assert bluesky_queries(parse(f"acme AND ({letters})")) == ["acme"]
    with pytest.raises(InputError, match="becomes 30 searches"):
        bluesky_queries(parse(letters))
    with pytest.raises(InputError, match="wildcards"):
        bluesky_queries(parse("acm*"))


def test_a_post_with_an_excluded_word_in_a_picture_alone_is_not_lost(account: Rig) -> None:
    account.fake.post("acme leaks", T0 - HOUR, embed={"images": [{"alt": "hiring"}]})
    account.run()
    assert account.texts() == ["acme leaks"]


# --- the account ------------------------------------------------------------------------------------------------------


def test_one_login_serves_many_runs(account: Rig) -> None:
    for _ in range(3):
        account.run()
    assert len(account.fake.calls("createSession")) == 1


def test_a_session_that_ran_out_is_renewed_without_the_password(account: Rig) -> None:
    account.fake.life = 60  # atproto renews a quarter of an hour ahead
    assert account.run().error is None
    assert len(account.fake.calls("createSession")) == 1
    assert len(account.fake.calls("refreshSession")) == len(account.fake.calls("searchPosts")) + 1


def test_a_session_that_was_ended_is_replaced_by_one_login(account: Rig) -> None:
    account.run()
    account.fake.end_sessions()
    assert account.run().error is None
    assert len(account.fake.calls("createSession")) == 2


def test_the_connection_of_a_session_that_was_ended_is_closed_too(
    account: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.run()
    account.fake.post("acme", T0)
    with connections(monkeypatch) as made:
        reading = account.collector.collect("search:Acme", Position(), account.meter, T0 + HOUR)
        account.fake.end_sessions()
        assert [each.text for batch in reading for each in batch.mentions] == ["acme"]
        assert len(made) == 2
        assert [each for each in made if each.fileno() >= 0] == []
    assert len(account.fake.calls("createSession")) == 2


def test_a_check_during_a_run_uses_its_connection_and_does_not_cut_it_off(
    account: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    uris = [account.fake.post(f"acme {number}", T0 - HOUR + number * SECOND) for number in range(150)]
    with connections(monkeypatch) as made:
        reading = account.collector.collect("search:Acme", Position(), account.meter, T0)
        assert len(next(reading).mentions) == 100
        assert account.collector.check(uris[:1], None, account.meter, T0).seen
        assert sum(len(batch.mentions) for batch in reading) == 50
        assert len(made) == 1
        assert made[0].fileno() < 0


def test_a_wrong_password_waits_for_a_person_and_is_not_told(account: Rig) -> None:
    account.collector = build(account.options(app_password="wrong-secret-1"), BRANDS)
    error = str(account.run().error)
    assert "app_password" in error
    assert "wrong-secret-1" not in error
    account.run()
    assert len(account.fake.calls("createSession")) == 1


FAULTS: list[tuple[int | str, type[CollectorError]]] = [
    (401, NotAuthorised),
    (403, NotAuthorised),
    (429, RateLimited),
    ("429-bare", RateLimited),
    (400, SourceUnavailable),
    (500, SourceUnavailable),
    (502, SourceUnavailable),
    ("html", SourceUnavailable),
    ("html503", SourceUnavailable),
    ("drop", SourceUnavailable),
    ("cut", SourceUnavailable),
    ("slow", SourceUnavailable),
    ("empty", SourceUnavailable),
]


@pytest.mark.parametrize(("fault", "error"), FAULTS, ids=[str(fault) for fault, _ in FAULTS])
def test_a_fault_of_the_api_is_one_of_our_errors_in_one_line(
    account: Rig, fault: int | str, error: type[CollectorError], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    if fault == "slow":
        account.collector = build(account.options(timeout=1), BRANDS)
    account.fake.faults += [fault, fault] if fault == 401 else [fault]
    with pytest.raises(error) as raised:
        account.read("search:Acme")
    assert type(raised.value) is error
    assert "\n" not in str(raised.value)
    assert "says the server" not in str(raised.value)
    assert PASSWORD not in caplog.text
    assert "eyJ" not in caplog.text  # how tokens begin


def test_a_limit_names_when_to_come_back(account: Rig) -> None:
    account.fake.faults += [429]
    with pytest.raises(RateLimited) as limit:
        account.read("search:Acme")
    assert limit.value.not_before == T0 + 5 * MINUTE
    account.fake.faults += ["429-bare"]
    account.clock.now += HOUR
    with pytest.raises(RateLimited) as limit:
        account.read("search:Acme")
    assert limit.value.not_before == account.clock.now + 15 * MINUTE


def test_no_request_is_sent_when_none_is_left(account: Rig) -> None:
    account.fake.limit = 3
    for number in range(450):
        account.fake.post(f"acme {number}", T0 - HOUR + number * SECOND)
    outcome = account.run()
    assert "no further request before 2026-11-20 12:06:00" in str(outcome.note)
    assert len(account.texts()) == 300
    account.run()
    assert [each.status for each in account.fake.calls("searchPosts")] == [200, 200, 200]
    account.run(5 * MINUTE)
    assert len(account.texts()) > 300
    account.fake.limit = 3_000
    account.run(5 * MINUTE)
    assert len(account.texts()) == 450


def test_odd_posts_of_a_page_are_left_out_and_a_page_of_them_is_refused(
    account: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    odd: list[dict[str, Any]] = [{"likeCount": "many"}, {"indexedAt": 5.5e99}, {"uri": None}, {"record": "acme"}]
    for more in odd:
        account.fake.post("acme odd", T0 - HOUR, more=more)
    with pytest.raises(SourceUnavailable, match="no post that can be read"):
        account.read("search:Acme")
    account.fake.post("acme \0\ud800", T0 - HOUR)
    account.fake.post("acme list", T0 - HOUR, more={"uri": "at://did:plc:x/app.bsky.graph.list/1"})
    caplog.clear()
    assert [each.text for batch in account.read("search:Acme") for each in batch.mentions] == ["acme \ufffd"]
    assert "cannot be read: likeCount" in caplog.text
    assert "odd" not in caplog.text.replace("test_odd", "")


def test_notifications_are_mentions_replies_and_quotes_of_the_account(account: Rig) -> None:
    for number, reason in enumerate(("mention", "reply", "quote", "like", "repost")):
        account.fake.notify(account.fake.post(f"@acme.test {reason}", T0 - HOUR + number * SECOND), reason)
    account.fake.notify(account.fake.post("@acme.test long ago", T0 - 3 * DAY), "mention")
    found = [each for batch in account.read("notifications") for each in batch.mentions]
    assert [each.text for each in found] == ["@acme.test quote", "@acme.test reply", "@acme.test mention"]
    assert found[0].reach.likes is None


def test_notifications_of_a_brands_own_account_are_kept_whatever_they_say(account: Rig) -> None:
    account.fake.notify(account.fake.post("where is my parcel?", T0 - MINUTE), "reply")
    account.brands = [Brand("Acme", parse("acme"), accounts={"bluesky": "did:plc:another"})]
    account.collector = build(account.options(search=False), account.brands)
    account.run()
    assert account.texts() == []
    account.brands = [Brand("Acme", parse("acme"), accounts={"bluesky": DID})]
    account.collector = build(account.options(search=False), account.brands)
    account.run()
    assert account.texts() == ["where is my parcel?"]


def test_many_notifications_are_paged_back_to_the_last_run(account: Rig) -> None:
    for number in range(250):
        account.fake.notify(account.fake.post(f"acme {number}", T0 - HOUR + number * SECOND), "mention")
    account.collector = build(account.options(search=False), BRANDS)
    account.run()
    assert len(account.texts()) == 250
    account.run(HOUR + 2 * MINUTE)
    assert len(account.fake.calls("listNotifications")) == 3 + 2


def test_a_check_tells_what_is_gone_and_what_reads_otherwise_now(account: Rig) -> None:
    uris = [account.fake.post(f"acme {number}", T0 - HOUR) for number in range(4)]
    account.fake.delete(uris[0])
    account.fake.edit(uris[1], "acme edited")
    account.fake.posts[uris[2]].more = {"likeCount": "many"}  # shown, though it cannot be read
    assert isinstance(account.collector, Checker)
    assert (account.collector.platform, account.collector.check_size) == ("bluesky", 25)
    checked = account.collector.check([*uris, "imported-7"], None, account.meter, T0)
    assert checked.gone == [uris[0]]
    assert [each.text for each in checked.seen] == ["acme edited", "acme 3"]
    assert account.collector.check(["imported-7"], None, account.meter, T0).gone == ()


def test_an_answer_without_a_list_is_not_taken_for_deletions(account: Rig) -> None:
    account.fake.faults.append("empty")
    with pytest.raises(SourceUnavailable, match="no list of posts"):
        account.collector.check([account.fake.post("acme", T0)], None, account.meter, T0)


def test_what_both_stream_and_search_bring_is_stored_once(fake: FakeBluesky, clock: Clock, tmp_path: Path) -> None:
    rig = Rig(fake, clock, tmp_path / "a.db", {"handle": f"@{HANDLE}", "app_password": PASSWORD, "replay": "1h"})
    assert rig.collector.streams() == ["posts", "search:Acme", "search:Other", "notifications"]
    fake.notify(fake.post("acme leaks", T0 + SECOND), "mention")
    assert live(rig).error is None
    assert rig.texts() == ["acme leaks"]
    rig.store.close()
