"""Charts hold what was counted, fetch nothing, and say what was not read."""

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from db.buckets import Counts
from db.coverage import HOUR
from db.records import RULES, Coverage, Hour
from db.store import Store
from jobs.moods import Mood
from monitor.canvas import ALARM, PALE, SHADE, USUAL, Picture
from monitor.charts import AIR, Expected, alert_chart, digest_chart, step_of
from monitor.views import picture_of
from tests.support import DAY, MINUTE, Hook, judge, keep, mention
from tests.test_compose import AT, ATTACKS, OVER, SPIKE, of_rule

NOW = SPIKE.last_seen + 5 * MINUTE


def counts(since: datetime = AT - 30 * HOUR, until: datetime = NOW) -> list[Counts]:
    """Every five minutes two posts, one of them negative; a third during the alert."""
    steps = int((until - since) / (5 * MINUTE))
    starts = [since + number * 5 * MINUTE for number in range(steps)]
    return [Counts(start, 1 + (AT <= start < AT + 80 * MINUTE), 1) for start in starts]


def gap(hours: Sequence[int], state: str = "missing", source: str = "x") -> list[Hour]:
    return [Hour(source, AT.replace(minute=0) - number * HOUR, state, "unavailable") for number in hours]


def rows(picture: Picture, *keys: str) -> list[dict[str, Any]]:
    """The rows of all layers that have these keys."""

    def walk(found: Any) -> Iterator[dict[str, Any]]:
        if isinstance(found, dict):
            if keys[0] in found and set(keys) <= found.keys():
                yield found
            for value in found.values():
                yield from walk(value)
        elif isinstance(found, list):
            for value in found:
                yield from walk(value)

    return list(walk(picture.specification))


def bars(picture: Picture) -> list[dict[str, Any]]:
    return rows(picture, "value", "alarming")


def texts(picture: Picture) -> set[str]:
    return {row["text"] for row in rows(picture, "text", "start", "y")}


def time(text: str) -> datetime:
    return datetime.fromisoformat(text)


# --- an alert -------------------------------------------------------------------------------------------------------


def test_an_alert_is_drawn_for_a_message_and_for_a_page() -> None:
    picture = alert_chart(counts(), SPIKE, NOW, gap([9, 8]))
    png = picture.png()
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = (int.from_bytes(png[at : at + 4]) for at in (16, 20))
    assert 1600 <= width <= 2000
    assert 800 <= height <= 1100
    ET.fromstring(picture.svg())


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_can_be_drawn(rule: str) -> None:
    picture = alert_chart(counts(), of_rule(rule), NOW)
    assert bars(picture)
    assert ET.fromstring(picture.svg()).tag.endswith("svg")


def test_the_bars_hold_every_negative_from_a_day_before_on() -> None:
    picture = alert_chart(counts(), SPIKE, NOW)
    since = min(time(bar["start"]) for bar in bars(picture))
    step = step_of(SPIKE, NOW)
    assert AT - DAY - step <= since <= AT - DAY + step
    counted = sum(one.negative for one in counts() if one.start >= since - step * AIR)
    assert sum(bar["value"] for bar in bars(picture)) == counted


def test_of_other_rules_mentions_or_shares_are_drawn() -> None:
    volume = bars(alert_chart(counts(), of_rule("volume spike"), NOW))
    assert {bar["value"] for bar in volume if not bar["alarming"]} == {6}  # two posts in each of three steps
    shares = bars(alert_chart(counts(), of_rule("share shift"), NOW))
    assert {bar["value"] for bar in shares if not bar["alarming"]} == {0.5}


def test_nothing_is_drawn_of_what_is_yet_to_come() -> None:
    early = AT + 40 * MINUTE
    picture = alert_chart(counts(until=AT + DAY), replace(SPIKE, last_seen=early), early)
    assert max(time(bar["end"]) for bar in bars(picture)) <= early + 5 * MINUTE
    late = alert_chart(counts(until=AT + 3 * DAY), OVER, AT + 9 * DAY)
    assert max(time(bar["end"]) for bar in bars(late)) <= (OVER.ends or AT) + DAY + step_of(OVER, AT + 9 * DAY)


def test_bars_of_the_alert_are_marked_and_of_one_that_is_over_none_straddles_its_start() -> None:
    picture = alert_chart(counts(until=AT + DAY), OVER, AT + 2 * DAY)
    alarming = [bar for bar in bars(picture) if bar["alarming"]]
    assert AT <= min(time(bar["start"]) for bar in alarming) < AT + 5 * MINUTE
    assert max(bar["value"] for bar in bars(picture)) in {bar["value"] for bar in alarming}
    assert "the alert, 2 h 5 min" in texts(picture)
    assert "the alert, 1 h 25 min so far" in texts(alert_chart(counts(), SPIKE, NOW))


@pytest.mark.parametrize(
    ("lasts", "step"), [(timedelta(0), 15), (3 * HOUR, 15), (26 * HOUR, 30), (5 * DAY, 180), (90 * DAY, 1440)]
)
def test_the_longer_the_span_the_longer_a_bar(lasts: timedelta, step: int) -> None:
    long = replace(SPIKE, last_seen=AT + lasts)
    assert step_of(long, AT + lasts) == timedelta(minutes=step)
    assert len(bars(alert_chart([], long, AT + lasts))) <= 130


def test_hours_that_were_not_read_are_hatched_and_named() -> None:
    whole = alert_chart(counts(), SPIKE, NOW)
    assert not texts(whole) & {"not read", "partly read"}
    assert "not read" in texts(alert_chart(counts(), SPIKE, NOW, gap([9, 8])))
    assert "partly read" in texts(alert_chart(counts(), SPIKE, NOW, gap([9], "partial")))
    one_of_two = gap([9]) + gap([9], "complete", "reddit")
    assert "partly read" in texts(alert_chart(counts(), SPIKE, NOW, one_of_two))
    assert not texts(alert_chart(counts(), SPIKE, NOW, gap([9], "complete"))) & {"not read", "partly read"}
    assert not texts(alert_chart(counts(), SPIKE, NOW, gap([200]))) & {"not read", "partly read"}
    hatched = rows(alert_chart(counts(), SPIKE, NOW, gap([9, 8])), "start", "end", "y", "y2")
    spans = [(time(line["start"]), time(line["end"])) for line in hatched]
    assert AT.replace(minute=0) - 9 * HOUR == min(start for start, _ in spans)
    assert max(end for _, end in spans) <= AT.replace(minute=0) - 7 * HOUR


def test_what_was_expected_is_drawn_over_the_alert_for_a_bar_not_for_the_window() -> None:
    hourly = replace(SPIKE, expected=8.0, low=4.0, high=14.0, window_minutes=60)
    (band,) = rows(alert_chart(counts(), hourly, NOW), "expected", "low", "high")
    assert band["expected"] == pytest.approx(2.0)  # a bar is a quarter of the window
    assert band["low"] == pytest.approx(0.0)
    assert band["high"] == pytest.approx(2.0 + 6.0 / 2)  # an interval shrinks with the square root
    assert time(band["start"]) == AT
    nothing = alert_chart(counts(), replace(SPIKE, expected=0.0), NOW)
    assert not rows(nothing, "expected", "low", "high")
    assert "usually 21%" in texts(alert_chart(counts(), of_rule("share shift"), NOW))


def test_a_given_band_takes_the_place_of_the_alerts_own() -> None:
    given = [Expected(AT - n * HOUR, AT - (n - 1) * HOUR, 2, 0.5, 4) for n in range(24, -2, -1)]
    drawn = rows(alert_chart(counts(), SPIKE, NOW, band=given), "expected", "low", "high")
    assert [band["high"] for band in drawn] == [4] * 26


def test_a_brand_without_a_post_is_drawn_too() -> None:
    assert {bar["value"] for bar in bars(alert_chart([], of_rule("silence"), NOW))} == {0}


@pytest.mark.parametrize("attack", ["".join(ATTACKS[:-1]), *ATTACKS[-4:], ATTACKS[8], ATTACKS[14]], ids=range(7))
def test_a_hostile_brand_is_nothing_but_a_short_title(attack: str) -> None:
    picture = alert_chart(counts(), replace(SPIKE, brand=attack), NOW)
    title = picture.specification["title"]["text"]
    assert len(title) < 70
    assert not set(title) & set("<>[]`*|\n\r\x00\x1b\u202e")


def test_a_hostile_brand_leaves_the_image_whole() -> None:
    hostile = "".join(ATTACKS[:-1])[:25] + "<script>alert(1)</script>&\x00]]>"
    svg = alert_chart(counts(), replace(SPIKE, brand=hostile), NOW).svg()
    tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(svg).iter()}
    assert tags <= {"svg", "g", "path", "text", "rect", "line", "defs", "clipPath", "style", "title", "desc", "tspan"}


def test_a_picture_names_no_address_and_would_not_fetch_one() -> None:
    specification = alert_chart(counts(), SPIKE, NOW).specification
    assert "://" not in repr({key: value for key, value in specification.items() if key != "$schema"})
    with Hook() as hook:
        address = hook.url("rows.json").replace("json://", "http://")
        picture = Picture({"data": {"url": address}, "mark": "bar", "encoding": {"x": {"field": "a"}}})
        for draw in (picture.png, picture.svg):
            with pytest.raises(ValueError, match="not allowed"):
                draw()
        assert hook.received == []


# --- a digest -------------------------------------------------------------------------------------------------------


def steps(count: int, step: timedelta, *posts: int) -> list[Mood]:
    start = AT.replace(hour=8, minute=0)
    return [Mood(start + n * step, start + (n + 1) * step, *posts) for n in range(count)]


def test_a_digest_shows_mentions_and_net_sentiment_of_each_brand() -> None:
    moods = {"Norvane": steps(24, HOUR, 6, 10, 3, 1), "Bolt": steps(24, HOUR, 1, 2, 3, 4)}
    picture = digest_chart(moods, gap([2]))
    assert picture is not None
    assert {row["high"] for row in rows(picture, "low", "high", "negative")} == {6, 20, 1, 10}
    assert {row["net"] for row in rows(picture, "start", "net")} == {round(-3 / 19, 4), round(2 / 6, 4), 0}
    written = repr(picture.specification)
    assert "Norvane: mentions per hour" in written
    assert "(positive - negative) / all rated" in written
    assert "not read" in written
    assert picture.png().startswith(b"\x89PNG")


def test_net_sentiment_of_too_few_posts_is_a_hole() -> None:
    picture = digest_chart({"Norvane": [*steps(6, DAY, 2, 2, 0), Mood(AT, AT + DAY, 9, 1, 0)]})
    assert picture is not None
    assert [row["net"] for row in rows(picture, "start", "net") if row["net"] != 0] == [None] * 6 + [-0.9]
    assert "mentions per day" in repr(picture.specification)


def test_of_many_brands_the_first_are_drawn_and_of_none_nothing() -> None:
    picture = digest_chart({f"Brand {n}": steps(7, DAY, 1, 2, 3) for n in range(9)})
    assert picture is not None
    assert [f"Brand {n}:" in repr(picture.specification) for n in range(4)] == [True, True, True, False]
    assert digest_chart({}) is None
    assert digest_chart({"Norvane": []}) is None


# --- from the store -------------------------------------------------------------------------------------------------


def test_a_slice_is_drawn_from_its_own_posts(tmp_path: Path) -> None:
    totals: dict[str, tuple[int, int]] = {}
    with Store(tmp_path / "sentimon.db") as store:
        for number, (source, text) in enumerate([("x", "awful"), ("x", "awful buy"), ("reddit", "fine buy")]):
            post = mention(number, f"{text} {number}", AT, source=source, author=str(number))
            keep(store, post, brands=["Norvane"])
        judge(store)
        for scope in ("", "source x", "source reddit", "stage purchase", "stage use", "pillar product"):
            negatives, mentions = (
                picture_of(store, replace(of_rule(rule), scope=scope), NOW)
                for rule in ("negative spike", "volume spike")
            )
            assert negatives
            assert mentions
            negative, all_of_it = (int(sum(bar["value"] for bar in bars(each))) for each in (negatives, mentions))
            totals[scope] = negative, all_of_it - negative
        assert picture_of(store, of_rule("stale source"), NOW) is None
    assert totals == {
        "": (2, 1),
        "source x": (2, 0),
        "source reddit": (0, 1),
        "stage purchase": (1, 1),
        "stage use": (1, 0),
        "pillar product": (2, 1),
    }


def test_where_one_of_two_sources_was_not_read_the_hour_is_partly_read(tmp_path: Path) -> None:
    with Store(tmp_path / "sentimon.db") as store:
        with store.transaction():
            for source in ("x", "reddit"):
                store.sources.configured(source, source, "1")
                for back in range(26, -2, -1):
                    start = AT.replace(minute=0) - back * HOUR
                    state = "missing" if (source, back) == ("x", 9) else "complete"
                    span = (start, start, start + HOUR)
                    store.sources.cover(Coverage(source, "new", *span, state, None, 0, 0, Decimal(0)))
        picture = picture_of(store, SPIKE, NOW)
    assert picture
    assert "partly read" in texts(picture)


def test_the_alert_is_dark_in_grey_and_the_rest_is_light() -> None:
    def grey(colour: str) -> float:
        red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
        return math.fsum((0.299 * red, 0.587 * green, 0.114 * blue))

    assert grey(ALARM) < 70 < grey(USUAL) < 130 < grey(PALE) < 200 < grey(SHADE)
