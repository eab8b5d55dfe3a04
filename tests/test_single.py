"""Single posts that matter alone are told one by one, once, and in one message where there are too many."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from db.filters import Filter
from db.records import Alert, Mention, Reach
from db.store import Store
from jobs.channel import Message
from jobs.notify import Telling, notify
from jobs.outlet import Outlet
from jobs.rules import Watching
from jobs.watch import watch
from models.urgent import Urgent, word_list
from tests.support import DAY, HOUR, MINUTE, NOW, judge, keep, mention, rows

RULE = "single post"
LEGAL = "awful acme, you will hear from my lawyer"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as store:
        yield store


@dataclass
class Desk:
    """A channel that keeps what it is sent."""

    sent: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> None:
        self.sent.append(message)


def post(number: int | str, text: str = LEGAL, at: datetime = NOW - MINUTE, **more: Any) -> Mention:
    return mention(number, text, at, **{"author": f"author {number}"} | more)


def look(store: Store, *posts: Mention, now: datetime = NOW, brand: str = "Acme", **watching: Any) -> list[Alert]:
    """Store, judge and watch; return the alerts, the newest first."""
    keep(store, *posts, brands=[brand])
    judge(store)
    outcome = watch(store, Watching(**{"names": (RULE,)} | watching), now)
    assert outcome.error is None
    return store.alerts.find(Filter())


def numbered(count: int, start: int = 0, **more: Any) -> list[Mention]:
    """Posts of which each is about its own matter, so that none is a copy."""
    return [post(n, f"{LEGAL} about order {n}", **more) for n in range(start, start + count)]


@pytest.mark.parametrize(
    ("one", "why", "severity"),
    [
        pytest.param(post(1), "'lawyer'", "high", id="a word of a list"),
        pytest.param(post(1, "awful acme", reach=Reach(followers=52_000)), "52,000 followers", "warning", id="reach"),
        pytest.param(post(1, "awful acme", reach=Reach(likes=500)), "0 reposts and 500 likes", "warning", id="shares"),
        pytest.param(post(1, "acme is fine", author="Daily reporter"), "an author named", "high", id="a journalist"),
        pytest.param(post(1, "acme, any word before tomorrow? emergency"), "'emergency'", "warning", id="urgency"),
    ],
)
def test_each_rule_makes_an_alert_that_says_why(store: Store, one: Mention, why: str, severity: str) -> None:
    (alert,) = look(store, one)
    assert (alert.rule, alert.scope, alert.severity, alert.observed) == (RULE, "x 1", severity, 1)
    assert alert.starts == alert.last_seen == alert.ends == NOW - MINUTE
    assert alert.found_at == NOW
    assert why in alert.in_common[0]
    assert why in alert.summary
    assert store.alerts.posts_of([alert.id]) == {1}
    assert store.cases.count() == 1
    assert store.cases.waiting(Filter(), 1)[0].reason == "single post of 2026-03-04 11:59 UTC"


def test_a_post_is_told_once_whatever_becomes_of_it(store: Store) -> None:
    desk = {"desk": Outlet(Desk())}
    look(store, post(1))
    notify(store, desk, Telling(), NOW)
    for hours in (1, 2, 20):
        now = NOW + hours * HOUR
        edited = post(1, f"{LEGAL} still {hours}", collected_at=now)
        assert [alert.scope for alert in look(store, edited, now=now)] == ["x 1"]
        notify(store, desk, Telling(), now)
    assert len(desk["desk"].channel.sent) == 1  # type: ignore[attr-defined]
    assert store.cases.count() == 1


def test_its_message_shows_the_post_though_it_is_not_negative(store: Store) -> None:
    desk = Desk()
    look(store, post(1, "I'm a journalist writing about acme", reach=Reach(followers=10)))
    assert store.mentions.of_alert(1)[0].sentiment == "neutral"
    notify(store, {"desk": Outlet(desk)}, Telling(), NOW)
    assert "writing about acme" in desk.sent[0].body
    assert desk.sent[0].facts["post_count"] == 1


@pytest.mark.parametrize(
    "quiet",
    [
        pytest.param(post(1, "acme is fine"), id="nothing of note"),
        pytest.param(post(1, "awful acme", reach=Reach(followers=49_999, likes=499)), id="not far enough"),
        pytest.param(post(1, "love acme and its lawyer", reach=Reach(followers=10**7)), id="praise"),
        pytest.param(post(1, at=NOW - 25 * HOUR), id="history"),
        pytest.param(post(1, "12345", reach=Reach(followers=10**7)), id="what cannot be rated"),
    ],
)
def test_other_posts_make_none(store: Store, quiet: Mention) -> None:
    assert look(store, quiet) == []


def test_an_import_of_a_year_tells_of_its_last_day_only(store: Store) -> None:
    posts = [post(n, f"{LEGAL} {n}", NOW - n * 20 * HOUR) for n in range(100)]
    assert {alert.scope for alert in look(store, *posts)} == {"x 0", "x 1"}


def test_rules_can_be_turned_off_and_words_be_the_teams_own(store: Store) -> None:
    assert look(store, post(1), names=("negative spike",)) == []
    own = Urgent(followers=None, shares=None, lists={"ours": word_list("ours", ["kettle"])})
    fine = Reach(followers=10**7, likes=10**7)
    (alert,) = look(store, post(2, "awful acme lawyer", reach=fine), post(3, "acme kettle", reach=fine), urgent=own)
    assert (alert.scope, alert.in_common) == ("x 3", ("'kettle'",))


def test_a_competitors_post_is_listed_and_told_to_nobody(store: Store) -> None:
    desk = Desk()
    (alert,) = look(store, post(1), brand="Bolt", competitors=("Bolt",))
    assert alert.brand == "Bolt"
    assert store.cases.count() == 0
    notify(store, {"desk": Outlet(desk)}, Telling(untold=("Bolt",)), NOW)
    assert desk.sent == []


def test_hostile_posts_do_no_harm(store: Store) -> None:
    desk = Desk()
    attack = "awful acme lawyer @everyone <!channel> [click](http://evil.example) \u202e\x07" + "lawyer " * 15_000
    (alert,) = look(store, post("@here\n<b>`1`", attack, author="@channel <script>"))
    notify(store, {"desk": Outlet(desk)}, Telling(), NOW)
    shown = alert.summary + desk.sent[0].title + desk.sent[0].body
    for sign in ("@everyone", "@here", "<", "[click]", "http://evil", "\u202e", "\x07"):
        assert sign not in shown, sign
    assert len(desk.sent[0].body) < 4000


def test_a_deleted_post_is_not_told(store: Store) -> None:
    keep(store, post(1))
    judge(store)
    with store.transaction():
        store.forgotten.erase_named("x", ["1"], NOW, "deleted")
    assert look(store) == []


def test_the_worst_five_of_an_hour_are_told_alone_and_the_others_counted(store: Store) -> None:
    desk = Desk()
    far = [post(f"far {n}", f"awful acme number {n}", reach=Reach(followers=10 ** (5 + n))) for n in range(3)]
    found = look(store, *numbered(4), *far)
    assert {alert.scope for alert in found} == {"x 0", "x 1", "x 2", "x 3", "x far 2", ""}
    (many,) = [alert for alert in found if not alert.scope]
    assert (many.observed, many.severity) == (2, "warning")
    assert many.summary.startswith("Acme: 2 more posts that matter alone (1,000,000 followers, 100,000 followers)")
    assert store.cases.count() == 7
    notify(store, {"desk": Outlet(desk)}, Telling(), NOW)
    (message,) = desk.sent
    assert "2 more posts that matter alone" in message.body


def test_two_thousand_urgent_posts_in_an_hour_are_six_alerts_and_two_messages(store: Store) -> None:
    desk = Desk()
    done = 0
    for minute, batch in enumerate((3, 997, 1000)):
        now = NOW + 20 * minute * MINUTE
        look(store, *numbered(batch, done, at=now - MINUTE), now=now)
        notify(store, {"desk": Outlet(desk)}, Telling(), now)
        done += batch
    found = store.alerts.find(Filter())
    assert len(found) == 6
    (many,) = [alert for alert in found if not alert.scope]
    assert (many.observed, many.severity, many.starts) == (1995, "high", NOW + 19 * MINUTE)
    assert many.last_seen == NOW + 39 * MINUTE
    assert many.in_common == ("'lawyer'",)
    assert store.mentions.count_of_alert(many.id) == 1995
    assert store.cases.count() == 2000
    assert len(desk.sent) == 2
    assert look(store, now=NOW + 41 * MINUTE) == found  # looking again changes nothing
    assert rows(store.path, "SELECT count(*) FROM alert_posts") == [(2000,)]


def test_after_an_hour_five_more_are_told(store: Store) -> None:
    look(store, *numbered(8))
    later = NOW + HOUR
    found = look(store, *numbered(8, 100, at=later - MINUTE), now=later)
    assert sum(bool(alert.scope) for alert in found) == 10
    assert [alert.observed for alert in found if not alert.scope] == [3, 3]


def test_each_brand_has_its_own_five(store: Store) -> None:
    look(store, *numbered(6))
    found = look(store, *numbered(6, 100), brand="Bolt")
    assert sorted(alert.brand for alert in found if alert.scope) == ["Acme"] * 5 + ["Bolt"] * 5


def test_who_takes_the_alert_on_many_keeps_it_while_it_grows(store: Store) -> None:
    (many,) = [alert for alert in look(store, *numbered(7)) if not alert.scope]
    with store.transaction():
        store.alerts.take(many.id, "ann", NOW)
    look(store, *numbered(2, 50), now=NOW + timedelta(minutes=5))
    grown = store.alerts.get(many.id)
    assert grown is not None
    assert (grown.observed, grown.taken_by, grown.found_at) == (4, "ann", NOW)


def test_a_post_from_the_future_is_told_once(store: Store) -> None:
    ahead = post(1, at=NOW + 3 * DAY)
    assert len(look(store, ahead, now=NOW + 3 * DAY)) == 1
    assert len(look(store, post(2, "acme is fine", at=NOW + 3 * DAY), now=NOW + 3 * DAY + HOUR)) == 1
