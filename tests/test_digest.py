"""A digest comes when its day or week is over, once, and tells what happened in it and how sure that is."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta, tzinfo
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from db.filters import Filter
from db.records import Coverage, Delivery, Feedback, Hour, Registered, Verdict
from db.store import Store
from jobs.channel import Message
from jobs.digest import LATE, compose_digest, due
from jobs.links import Links
from jobs.moods import Mood, Moods, moods, together
from jobs.outlet import DigestTime
from jobs.period import About, BrandPeriod
from monitor.charts import digest_chart
from monitor.mail.page import page
from tests.support import DAY, HOUR, MINUTE, NOW, judge, keep, mention
from tests.test_compose import ATTACKS, POWERS, SPIKE, TURNS, acting, of_rule, strings

BERLIN, KOLKATA, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata"), ZoneInfo("America/New_York")


def draw_digest(drawn: Moods, hours: Sequence[Hour]) -> bytes | None:
    chart = digest_chart(drawn, hours)
    return chart.png() if chart else None


UNTIL = NOW.replace(hour=8)
SINCE = UNTIL - DAY
ACME = About(["Acme"], ["Bolt"])


def sent(until: datetime | None, state: str = "sent", every: str = "daily") -> Delivery:
    since = until - DAY if until else None
    return Delivery(7, None, "mail", every, state, 1, 0, until or NOW, since=since, until=until)


def at(hour: int, minute: int = 0, day: int = 4, month: int = 3, zone: tzinfo = UTC) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=zone)  # the 4th of March 2026 is a Wednesday


# --- when -----------------------------------------------------------------------------------------------------------

DAILY, WEEKLY = DigestTime("daily"), DigestTime("weekly")
BERLIN_AT_8 = DigestTime("daily", time(8), BERLIN)


@pytest.mark.parametrize(
    ("last", "when", "now", "span"),
    [
        pytest.param(None, DAILY, at(7, 59), None, id="its time has not come"),
        pytest.param(None, DAILY, at(8), (at(8, day=3), at(8)), id="the first one comes at its time"),
        pytest.param(None, DAILY, at(8, 59), (at(8, day=3), at(8)), id="or a little later"),
        pytest.param(None, DAILY, at(9), None, id="but not at once when somebody asks for digests during the day"),
        pytest.param(at(8, day=3), DAILY, at(7, 59), None, id="the last one is the one before"),
        pytest.param(at(8, day=3), DAILY, at(8), (at(8, day=3), at(8)), id="every day"),
        pytest.param(at(8), DAILY, at(8, 1), None, id="once"),
        pytest.param(at(8, day=3), DAILY, at(23), (at(8, day=3), at(8)), id="late rather than never"),
        pytest.param(at(8, day=1), DAILY, at(23), (at(8, day=3), at(8)), id="after a pause the last full day only"),
        pytest.param(at(8), DigestTime("daily", time(10)), at(10), None, id="told at eight already, then set to ten"),
        pytest.param(
            at(8), DigestTime("daily", time(22)), at(22), (at(22, day=3), at(22)), id="told at eight, then set to 22"
        ),
        pytest.param(at(9, day=5), DAILY, at(12), None, id="the clock was wrong and is right again"),
        pytest.param(None, WEEKLY, at(8, day=4), None, id="no week ends on a Wednesday"),
        pytest.param(None, WEEKLY, at(8, 5, day=2), (at(8, day=23, month=2), at(8, day=2)), id="but on a Monday"),
        pytest.param(at(8, day=23, month=2), WEEKLY, at(7, day=2), None, id="a week is not over before its time"),
        pytest.param(
            at(8, day=9, month=2), WEEKLY, at(1, day=8), (at(8, day=23, month=2), at(8, day=2)), id="the last full week"
        ),
        pytest.param(at(8, day=2), WEEKLY, at(8, day=8), None, id="on Sunday the week goes on"),
        pytest.param(at(7, day=3), BERLIN_AT_8, at(7), (at(7, day=3), at(7)), id="eight in Berlin is seven in winter"),
        pytest.param(
            at(7, day=28), BERLIN_AT_8, at(6, day=29), (at(7, day=28), at(6, day=29)), id="a day of 23 hours in spring"
        ),
        pytest.param(
            at(6, day=24, month=10),
            BERLIN_AT_8,
            at(7, day=25, month=10),
            (at(6, day=24, month=10), at(7, day=25, month=10)),
            id="a day of 25 hours in autumn",
        ),
        pytest.param(
            at(6, day=24, month=10), BERLIN_AT_8, at(6, day=25, month=10), None, id="in autumn eight is an hour later"
        ),
        pytest.param(
            at(1, 30, day=28),
            DigestTime("daily", time(2, 30), BERLIN),
            at(1, 30, day=29),
            (at(1, 30, day=28), at(1, 30, day=29)),
            id="a time that the clock leaves out that night",
        ),
        pytest.param(
            at(0, 30, day=24, month=10),
            DigestTime("daily", time(2, 30), BERLIN),
            at(1, 30, day=25, month=10),
            (at(0, 30, day=24, month=10), at(0, 30, day=25, month=10)),
            id="a time that comes twice that night is the first",
        ),
        pytest.param(
            at(2, 30, day=3),
            DigestTime("daily", time(8), KOLKATA),
            at(2, 30),
            (at(2, 30, day=3), at(2, 30)),
            id="where hours begin at half past",
        ),
        pytest.param(
            None,
            DigestTime("weekly", time(20), NEW_YORK),
            at(1, day=3),
            (at(1, day=24, month=2), at(1, day=3)),
            id="Monday evening in New York is Tuesday here",
        ),
    ],
)
def test_when_a_digest_is_due(
    last: datetime | None, when: DigestTime, now: datetime, span: tuple[datetime, datetime] | None
) -> None:
    assert due(sent(last, every=when.every) if last else None, when, now) == span


@pytest.mark.parametrize("every", ["daily", "weekly"])
@pytest.mark.parametrize("zone", [UTC, BERLIN, KOLKATA, NEW_YORK])
def test_through_a_year_every_span_is_told_once_and_they_join(every: str, zone: tzinfo) -> None:
    when, now, last = DigestTime(every, time(8), zone), datetime(2026, 1, 1, tzinfo=UTC), None
    spans = []
    while now.year == 2026:
        span = due(last, when, now)
        if span:
            spans.append(span)
            last = sent(span[1], every=every)
        now += 30 * MINUTE
    assert len(spans) == (365 if every == "daily" else 52)
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    assert {until.astimezone(zone).time() for _, until in spans} == {time(8)}


@pytest.mark.parametrize("state", ["sending", "failed", "dead"])
def test_one_that_did_not_arrive_is_not_made_a_second_time(state: str) -> None:
    assert due(sent(at(8), state), DAILY, at(9)) is None
    assert due(sent(at(8), state), DAILY, at(8, day=5)) == (at(8), at(8, day=5))


def test_a_first_digest_waits_no_longer_than_it_says() -> None:
    assert due(None, DAILY, at(8) + LATE - MINUTE) is not None
    assert due(None, DAILY, at(8) + LATE) is None


# --- what -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "sentimon.db") as store:
        yield store


def write(store: Store, count: int, text: str, when: datetime, brand: str = "Acme", source: str = "x") -> None:
    """Posts by as many authors, a minute after each other."""
    name = f"{brand} {text} {when:%d%H} {source}"
    posts = [
        mention(f"{name} {n}", f"{text} {n}", when + n * MINUTE, source=source, author=f"{name} {n}")
        for n in range(count)
    ]
    keep(store, *posts, brands=[brand])
    judge(store)


@pytest.fixture
def week(store: Store) -> Store:
    """Two days of Acme and of Bolt: the second is worse for Acme."""
    write(store, 30, "love it", SINCE - 20 * HOUR)
    write(store, 10, "awful thing", SINCE - 10 * HOUR)
    write(store, 12, "love it", SINCE + HOUR)
    write(store, 28, "awful, charged twice", SINCE + 3 * HOUR, source="reddit")
    write(store, 4, "123", SINCE + 5 * HOUR)
    write(store, 10, "love it", SINCE + HOUR, brand="Bolt")
    return store


def digest(store: Store, about: About | None = ACME, **more: Any) -> Message:
    every = more.pop("every", "daily")
    since = more.pop("since", SINCE)
    delivery = Delivery(7, None, "mail", every, "sending", 0, 0, UNTIL, since=since, until=UNTIL)
    return compose_digest(store, delivery, "sentimon-digest-7", about=about, **more)


def test_a_digest_tells_how_a_brand_fared_and_against_what(week: Store) -> None:
    message = digest(week)
    assert message.title == "Daily digest, Tue 2026-03-03 08:00 to Wed 2026-03-04 08:00 UTC"
    assert message.body.startswith("44 mentions, 0 alerts.\n\nAcme\n")
    for line in (
        "Mentions: 44, 40 in the period before",
        "Net sentiment: -0.40, +0.50 before (40 and 40 rated posts)",
        "Negative: 28, 70% of the rated",
        "Not rated: 4",
        "Waiting for an answer: 0",
        "Its negatives: all on reddit (28 of 28), about its processes (28 of 28).",
        "Competitors' net sentiment: Bolt +1.00 (10 mentions).",
        "Net sentiment is (positive - negative) / all rated posts, from -1 to +1. Times are in UTC.",
    ):
        assert line in message.body.splitlines(), line
    assert "charged" in next(line for line in message.body.splitlines() if line.startswith("New words: "))
    assert message.key == "sentimon-digest-7"
    assert not message.urgent


def test_a_change_that_may_be_chance_is_called_so() -> None:
    few, many = Mood(SINCE, UNTIL, 5, 4, 6), Mood(SINCE, UNTIL, 500, 400, 600)
    better = Mood(SINCE, UNTIL, 4, 4, 7)
    assert BrandPeriod("Acme", better, few).may_be_chance
    assert not BrandPeriod("Acme", replace(better, negative=400, neutral=400, positive=700), many).may_be_chance
    assert BrandPeriod("Acme", few, Mood(SINCE, UNTIL)).change is None


def test_a_period_without_posts_has_no_net_sentiment(week: Store) -> None:
    message = digest(week, About(["Nobody"], ["No one"]))
    assert message.body.startswith("0 mentions, 0 alerts.\n\nNobody\nMentions: 0, 0 in the period before\nWaiting")
    assert "Competitors' net sentiment: No one not rated (0 mentions)." in message.body
    first = digest(week, since=SINCE - DAY)
    assert "on 80 rated posts, nothing to compare with" in first.body
    assert first.facts["brands"][0]["change"] is None


def test_alerts_are_told_with_what_became_of_them(week: Store) -> None:
    spike = replace(SPIKE, id=0, brand="Acme", starts=SINCE + 3 * HOUR, last_seen=SINCE + 4 * HOUR)
    with week.transaction():
        over = week.alerts.save(replace(spike, ends=SINCE + 5 * HOUR), ())
        week.alerts.save(replace(of_rule("volume spike"), id=0, brand="Acme", starts=SINCE, last_seen=UNTIL), ())
        week.alerts.save(replace(spike, rule="share shift", held="silenced by Ann"), ())
        week.alerts.save(replace(spike, brand="Bolt"), ())
        week.alerts.save(replace(spike, starts=SINCE - 9 * DAY, last_seen=SINCE - 8 * DAY), ())
        week.alerts.take(over.id, "Ann", UNTIL)
        week.alerts.say(Feedback(over.id, "Ben", UNTIL, "useful"))
    lines = [line for line in digest(week).body.splitlines() if line.startswith("- ")]
    assert lines[0].startswith("- Negative spike of Tue 03 Mar 11:00: Acme: 46 negative posts in 3 h")
    assert lines[0].endswith("(over after 2 h, taken by Ann, useful, says Ben)")
    assert lines[1].startswith("- Volume spike of Tue 03 Mar 08:00: ")
    assert lines[1].endswith("(going on, not judged yet)")
    assert lines[2:] == ["- 1 held back"]
    assert digest(week).body.startswith("44 mentions, 2 alerts.")


def test_many_alerts_are_counted_rather_than_listed(week: Store) -> None:
    with week.transaction():
        for number in range(9):
            start = SINCE + number * HOUR
            week.alerts.save(replace(SPIKE, id=0, brand="Acme", starts=start, last_seen=start, ends=start + HOUR), ())
    lines = [line for line in digest(week).body.splitlines() if line.startswith("- ")]
    assert len(lines) == 7
    assert lines[-1] == "- 3 more"


def test_what_was_not_read_is_told(week: Store) -> None:
    with week.transaction():
        week.sources.configured("reddit-main", "reddit", "1")
        for number in range(24):
            start = SINCE + number * HOUR
            state, cause = ("missing", "unavailable") if number in (5, 6) else ("complete", None)
            span = (start, start, start + HOUR)
            week.sources.cover(Coverage("reddit-main", "new", *span, state, None, 0, 0, Decimal(0), cause))
    about = About(["Acme"], sources=["reddit-main", "never-read"])
    message = digest(week, about, draw=draw_digest)
    assert "Not read:\n- reddit-main: of 24 hours 2 not at all (unavailable)" in message.body
    assert message.facts["hours"] == {"reddit-main": {"complete": 22, "missing": 2}, "never-read": {}}
    assert "Not read" not in digest(week, About(["Acme"])).body


def test_what_waits_for_an_answer_is_counted(week: Store) -> None:
    with week.transaction():
        for match in week.mentions.find(None, Filter(brands=("Acme",), sentiments=("negative",)), 3):
            week.cases.open(match, None, "asked", 1.0, UNTIL)
    assert "Waiting for an answer: 3\n" in digest(week).body
    later = Delivery(7, None, "mail", "weekly", "sent", 0, 0, UNTIL + 9 * DAY, since=SINCE, until=UNTIL)
    assert "Waiting for an answer: 3, as of Fri 2026-03-13 08:00\n" in compose_digest(week, later, "k", about=ACME).body


def verdicts(store: Store, count: int, wrong: int, random: bool = True, when: datetime = UNTIL) -> None:
    posts = store.mentions.find(None, Filter(brands=("Acme",), sentiments=("negative",)), count)
    with store.transaction():
        store.verdicts.give(
            [
                Verdict(match.id, "Ann", when, {"sentiment": "neutral" if number < wrong else "negative"}, random)
                for number, match in enumerate(posts)
            ]
        )


def test_how_good_the_model_is_is_told_from_posts_drawn_at_random(week: Store) -> None:
    verdicts(week, 38, 6)
    body = digest(week).body
    assert "of 38 posts drawn at random and judged by people, it had the sentiment of 84% right (70% to 93%)." in body
    assert digest(week).facts["accuracy"]["agreed"] == 32


@pytest.mark.parametrize(("count", "random"), [(29, True), (38, False), (0, True)])
def test_nothing_is_said_of_the_model_from_few_posts_or_chosen_ones(week: Store, count: int, random: bool) -> None:
    verdicts(week, count, 1, random)
    assert "How good the model is" not in digest(week).body


def test_posts_that_a_model_may_have_learned_from_do_not_speak_for_it(week: Store) -> None:
    verdicts(week, 38, 6)
    with week.transaction():
        week.models.register(Registered("own-1", "own-1", "bundled", UNTIL, 38, {}, in_force=True))
    assert "How good the model is" not in digest(week).body


def test_without_a_word_on_what_it_is_about_every_brand_is_told(week: Store) -> None:
    assert digest(week, None).body.startswith("54 mentions, 0 alerts, 2 brands.")


def test_a_week_is_told_by_the_day(week: Store) -> None:
    message = digest(week, since=UNTIL - 7 * DAY, every="weekly", draw=draw_digest, page=page)
    assert message.title.startswith("Weekly report, Wed 2026-02-25 08:00 to ")
    steps = message.facts["brands"][0]["steps"]
    assert [step["mentions"] for step in steps] == [0, 0, 0, 0, 0, 40, 44]
    assert message.image is not None
    assert message.image.startswith(b"\x89PNG")
    assert "A chart is attached." in message.body


@pytest.mark.parametrize("off", [timedelta(0), 30 * MINUTE, 45 * MINUTE])
@pytest.mark.parametrize("hours", [23, 24, 25, 167, 168, 169])
def test_steps_hold_every_post_of_the_span_and_none_beside_it(store: Store, off: timedelta, hours: int) -> None:
    since = SINCE - 10 * DAY + off
    until = since + hours * HOUR
    write(store, 3 * 60, "love it", since - HOUR)  # an hour before the span, and two in it
    write(store, 60, "fine", until - 30 * MINUTE)  # half an hour in it, and half an hour after
    steps = moods(store, ["Acme"], since, until)["Acme"]
    assert len(steps) == (hours if hours < 48 else 7)
    assert (steps[0].start, steps[-1].end) == (since, until)
    assert all(before.end == after.start for before, after in pairwise(steps))
    assert (together(steps).positive, together(steps).neutral) == (120, 30)
    assert (steps[0].neutral, steps[-1].neutral, steps[-1].positive) == (0, 30, 0)


def test_facts_are_json_and_hold_what_the_text_says(week: Store) -> None:
    facts = json.loads(json.dumps(digest(week).facts))
    assert (facts["kind"], facts["version"], facts["every"], facts["key"]) == (
        "digest",
        1,
        "daily",
        "sentimon-digest-7",
    )
    (acme,) = facts["brands"]
    assert (acme["mentions"], acme["negative"], acme["net_sentiment"], acme["change"]) == (44, 28, -0.4, -0.9)
    assert acme["before"]["net_sentiment"] == 0.5
    assert acme["may_be_chance"] is False
    assert len(acme["steps"]) == 24
    assert [one["brand"] for one in facts["competitors"]] == ["Bolt"]


def test_the_e_mail_says_the_same_and_leads_to_the_desk(week: Store) -> None:
    message = digest(week, page=page, links=Links("https://desk.example"))
    tags, values = acting(message.html)
    assert tags.isdisjoint({"img", "script", "link", "style", "iframe", "form"})
    assert [value for value in values if "://" in value] == ["href=https://desk.example"]
    for text in ("-0.40, +0.50 before", "28, 70% of the rated", "all on reddit (28 of 28)"):
        assert text in str(message.html)


@pytest.mark.parametrize("attack", [ATTACKS[0] + ATTACKS[3], ATTACKS[10], ATTACKS[12], ATTACKS[14], ATTACKS[21]])
def test_nothing_that_a_stranger_writes_acts_in_a_digest(store: Store, attack: str) -> None:
    write(store, 9, f"awful {attack}", SINCE + HOUR, brand=attack, source=attack)
    with store.transaction():
        saved = store.alerts.save(replace(SPIKE, id=0, brand=attack, starts=SINCE, last_seen=UNTIL), ())
        store.alerts.take(saved.id, attack, UNTIL)
        store.alerts.say(Feedback(saved.id, attack, UNTIL, "noise"))
    message = digest(store, About([attack], [attack], [attack]), page=page)
    told = [message.title, message.body, *(text for _, text in strings(message.facts))]
    for text in told:
        for power in (*POWERS, *TURNS):
            assert power not in text, power
    assert acting(message.html)[0] <= {"html", "head", "meta", "title", "body", "div", "table", "tr", "td"}


def test_many_brands_stay_within_what_a_message_takes(store: Store) -> None:
    names = [f"Brand {number}" for number in range(40)]
    body = digest(store, About(names, names)).body
    assert len(body) < 3_500
    assert "0 mentions, 0 alerts, 40 brands." in body
