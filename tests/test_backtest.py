"""A series is replayed row by row: what would have been told is told, and why nothing else."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from numpy.typing import NDArray

from db.errors import InputError
from models.backtest import NEGATIVE, THRESHOLDS, VOLUME, Row, backtest, looked
from models.counts import Series
from models.spikes import find_spikes

START = datetime(2026, 1, 5, tzinfo=UTC)
FIVE = timedelta(minutes=5)
DAY = 288
EVENT = 8 * DAY + 100  # a step by day
Ints = NDArray[np.int64]


def times(rows: int, step: timedelta = FIVE, start: datetime = START) -> list[datetime]:
    return [start + step * row for row in range(rows)]


def talk(seed: int, per_hour: float = 100, days: int = 10) -> Ints:
    """Poisson counts with a daily cycle."""
    mean = per_hour / 12 * (1 + 0.8 * np.sin(2 * np.pi * np.arange(days * DAY) / DAY))
    return np.random.default_rng(seed).poisson(mean)


def louder(seed: int = 1, more: int = 50, steps: int = 24) -> Ints:
    """Two hours in which everybody talks about the brand."""
    mentions = talk(seed)
    mentions[EVENT : EVENT + steps] += more
    return mentions


def angrier(seed: int = 1, more: int = 15, steps: int = 24) -> tuple[Ints, Ints]:
    """Two hours of more negatives. Returns all mentions and negatives."""
    mentions = talk(seed)
    negatives = np.random.default_rng(seed + 9).binomial(mentions, 0.2)
    negatives[EVENT : EVENT + steps] += more
    mentions[EVENT : EVENT + steps] += more
    return mentions, negatives


def alerts(rows: Sequence[Row]) -> list[int]:
    return [number for number, row in enumerate(rows) if row.alert]


def test_a_volume_spike_is_told_once_and_again_when_it_has_doubled() -> None:
    mentions = louder()
    rows = backtest(times(len(mentions)), mentions)
    first, *again = alerts(rows)
    assert EVENT <= first <= EVENT + 2
    assert all(number < EVENT + 4 for number in again)  # while its 15 minutes fill
    assert rows[first].kind == VOLUME
    assert rows[first].reason.endswith("expected")
    assert "mentions in 15 min, " in rows[first].reason
    assert all("; twice what was told at 2026-01-13 08:" in rows[number].reason for number in again)
    told = (again or [first])[-1]
    assert rows[EVENT + 12].reason == f"part of the spike told at {rows[told].timestamp:%Y-%m-%d %H:%M}"
    assert (rows[EVENT + 12].kind, rows[EVENT + 12].alert) == (VOLUME, False)
    mentions[EVENT + 12 : EVENT + 24] += 500
    assert len(alerts(backtest(times(len(mentions)), mentions))) > len([first, *again])


def test_each_row_has_its_reason() -> None:
    rows = backtest(times(10 * DAY), louder())
    assert {row.reason for row in rows[: 2 * DAY]} == {"learning: 48 hours of history are needed"}
    assert all(row.score == 0 for row in rows[: 2 * DAY])
    calm = [row for row in rows[2 * DAY : EVENT] if row.reason == "calm"]
    assert len(calm) > 0.95 * (EVENT - 2 * DAY)
    assert all((row.severity, row.kind) == (None, None) for row in calm)
    assert [row.timestamp for row in rows] == times(10 * DAY)


def test_what_is_larger_is_more_severe() -> None:
    severities = []
    for more in (25, 45, 900):
        rows = backtest(times(10 * DAY), louder(more=more))
        severities.append(rows[alerts(rows)[-1]].severity)
    assert severities == ["warning", "high", "critical"]


def test_negatives_are_told_where_the_detector_tells_them() -> None:
    mentions, negatives = angrier()
    rows = backtest(times(len(mentions)), mentions, negatives)
    episodes = find_spikes(Series(START, negatives, mentions - negatives), START)
    expected = [(finding.at - START) // FIVE - 1 for episode in episodes for finding in episode.notify]
    assert [n for n in alerts(rows) if rows[n].kind == NEGATIVE] == expected
    assert expected
    assert " negative in " in rows[expected[0]].reason
    assert rows[expected[0]].severity in ("warning", "high", "critical")
    assert not any(row.kind == NEGATIVE for row in backtest(times(len(mentions)), mentions))


def test_an_open_volume_spike_hides_no_negative_one() -> None:
    mentions = louder(steps=48)
    negatives = np.random.default_rng(3).binomial(mentions, 0.2)
    late = slice(EVENT + 24, EVENT + 48)
    negatives[late] += 60
    mentions[late] += 60
    rows = backtest(times(len(mentions)), mentions, negatives)
    kinds = [(number, rows[number].kind) for number in alerts(rows)]
    assert any(EVENT <= number < EVENT + 3 and kind == VOLUME for number, kind in kinds)
    assert any(EVENT + 24 <= number < EVENT + 30 and kind == NEGATIVE for number, kind in kinds)


def test_of_two_on_one_row_the_negative_one_is_told() -> None:
    mentions, negatives = angrier(more=400)
    rows = backtest(times(len(mentions)), mentions, negatives)
    assert rows[EVENT].alert
    assert rows[EVENT].kind == NEGATIVE
    alone = backtest(times(len(mentions)), mentions)
    assert alone[EVENT].alert
    assert alone[EVENT].kind == VOLUME


def test_a_volume_spike_that_is_part_of_a_negative_one_is_told_there() -> None:
    mentions, negatives = angrier(more=40)
    mentions[EVENT + 6 : EVENT + 24] += 400
    rows = backtest(times(len(mentions)), mentions, negatives)
    told = [number for number in alerts(rows) if EVENT <= number < EVENT + 24]
    assert {rows[number].kind for number in told} == {NEGATIVE}
    assert any(number >= EVENT + 6 for number in alerts(backtest(times(len(mentions)), mentions)))
    part = rows[EVENT + 9]
    assert (part.kind, part.severity, part.alert) == (VOLUME, "critical", False)
    assert part.reason == f"part of the spike told at {rows[told[0]].timestamp:%Y-%m-%d %H:%M}"
    for end in (EVENT + 7, EVENT + 20, EVENT + 40):
        assert backtest(times(end), mentions[:end], negatives[:end]) == rows[:end]


def test_whether_it_is_part_of_one_is_judged_by_what_was_known() -> None:
    mentions, negatives = angrier(steps=6, more=12)
    loud = EVENT + 58  # the negative spike has ended; it comes back soon after
    mentions[loud : loud + 6] += 400
    negatives[loud + 8 : loud + 14] += 40
    mentions[loud + 8 : loud + 14] += 40
    rows = backtest(times(len(mentions)), mentions, negatives)
    (story,) = looked(times(len(mentions)), mentions, negatives).told(NEGATIVE, {NEGATIVE: 4.0, VOLUME: 5.5})
    assert story.starts < START + FIVE * EVENT + FIVE * 12 < START + FIVE * loud < (story.ends or START)
    assert [rows[number].kind for number in alerts(rows) if loud <= number < loud + 3] == [VOLUME] * 2
    for end in (loud + 2, loud + 12, loud + 60):
        assert backtest(times(end), mentions[:end], negatives[:end]) == rows[:end]


def test_a_look_is_held_against_any_threshold() -> None:
    mentions, negatives = angrier(more=8)
    series = looked(times(len(mentions)), mentions, negatives)
    for threshold in (2.5, *THRESHOLDS, 300.0):
        rows = backtest(times(len(mentions)), mentions, negatives, threshold)
        told = series.told(NEGATIVE, {NEGATIVE: threshold, VOLUME: 5.5})
        ends = [finding.at for story in told for finding in story.notify]
        assert [row.timestamp + FIVE for row in rows if row.alert and row.kind == NEGATIVE] == ends


def test_what_comes_later_changes_no_row() -> None:
    mentions, negatives = angrier()
    whole = backtest(times(len(mentions)), mentions, negatives)
    for end in (EVENT, EVENT + 1, EVENT + 7, 9 * DAY):
        assert backtest(times(end), mentions[:end], negatives[:end]) == whole[:end]


@pytest.mark.parametrize("minutes", [1, 2, 3, 10, 15, 30, 60])
def test_rows_of_any_length_find_a_long_event_and_nothing_else(minutes: int) -> None:
    rng = np.random.default_rng(4)
    number = 10 * 1440 // minutes
    mean = 3.0 * minutes * (1 + 0.8 * np.sin(2 * np.pi * np.arange(number) * minutes / 1440))
    mentions = rng.poisson(mean)
    event = slice(EVENT * 5 // minutes, (EVENT + 36) * 5 // minutes)
    mentions[event] += rng.poisson(15 * minutes, mentions[event].shape)
    rows = backtest(times(number, timedelta(minutes=minutes)), mentions)
    told = alerts(rows)
    assert len(rows) == number
    assert told
    assert all(event.start <= row < event.stop for row in told)
    assert (told[0] - event.start) * minutes <= 60
    short = backtest(times(told[0] + 1, timedelta(minutes=minutes)), mentions[: told[0] + 1])
    assert short == rows[: told[0] + 1]  # rests on nothing later


def test_minutes_are_added_up_to_the_same_story_as_five_minutes() -> None:
    mentions = louder()
    minutes = np.zeros(5 * len(mentions))
    minutes[::5] = mentions  # the posts of the first of five minutes
    fives, ones = backtest(times(len(mentions)), mentions), backtest(times(len(minutes), FIVE / 5), minutes)
    assert [row // 5 for row in alerts(ones)] == alerts(fives)
    assert [row % 5 for row in alerts(ones)] == [4] * len(alerts(fives))
    assert [row.score for row in ones[4::5]] == [row.score for row in fives]


def test_rows_that_begin_off_the_five_minute_marks_are_replayed_as_they_are() -> None:
    mentions = louder()
    odd = times(len(mentions), start=START + timedelta(minutes=2, seconds=53))
    rows = backtest(odd, mentions)
    assert alerts(rows) == alerts(backtest(times(len(mentions)), mentions))
    assert [row.timestamp for row in rows] == odd
    naive = [time.replace(tzinfo=None) for time in odd]
    east = [time.astimezone(timezone(timedelta(hours=5, minutes=30))) for time in odd]
    assert backtest(naive, mentions) == backtest(east, mentions) == rows


def test_rows_that_are_left_out_or_empty_were_not_read() -> None:
    mentions, kept = talk(1), np.ones(10 * DAY, dtype=np.bool_)
    for day in range(8):
        kept[day * DAY + 60 : day * DAY + 96] = False  # the same three hours, but for the last days
    left = [time for time, keep in zip(times(10 * DAY), kept, strict=True) if keep]
    assert alerts(backtest(left, mentions[kept])) == []
    assert alerts(backtest(times(10 * DAY), np.where(kept, mentions, 0))) != []
    empty = backtest(times(10 * DAY), np.where(kept, mentions, np.nan))
    assert alerts(empty) == []
    assert {row.reason for row, keep in zip(empty, kept, strict=True) if not keep} == {"no value"}
    assert [row for row, keep in zip(empty, kept, strict=True) if keep] == backtest(left, mentions[kept])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, m, n: t.__setitem__(7, t[6]), "row 8: 2026-01-05 00:30:00 is there twice"),
        (
            lambda t, m, n: t.__setitem__(7, t[5] + FIVE / 2),
            "row 8: 2026-01-05 00:27:30 is earlier than the row before",
        ),
        (lambda t, m, n: t.__setitem__(7, t[7] + FIVE / 2), "row 8: .* after the row before"),
        (lambda t, m, n: t.__setitem__(0, datetime(1, 1, 1, tzinfo=UTC)), "row 1: 1 is no year"),
        (lambda t, m, n: t.__setitem__(-1, datetime(2100, 1, 1, tzinfo=UTC)), "row 20: .* more than 19 years"),
        (lambda t, m, n: m.__setitem__(3, -1.0), "row 4: -1 is no count"),
        (lambda t, m, n: m.__setitem__(3, float("inf")), "row 4: inf is no count"),
        (lambda t, m, n: n.__setitem__(4, 99.0), "row 5: 99 negative of 5 mentions"),
        (lambda t, m, n: t.pop(), "20 values for 19 timestamps"),
    ],
)
def test_what_is_wrong_is_named_by_its_row(change: object, message: str) -> None:
    stamps, mentions, negatives = times(20), [5.0] * 20, [1.0] * 20
    change(stamps, mentions, negatives)  # type: ignore[operator]
    with pytest.raises(InputError, match=message):
        backtest(stamps, mentions, negatives)


@pytest.mark.parametrize("step", [timedelta(seconds=30), timedelta(hours=2)])
def test_rows_of_less_than_a_minute_or_more_than_an_hour_are_refused(step: timedelta) -> None:
    with pytest.raises(InputError, match="1 to 60 minutes"):
        backtest(times(20, step), [5] * 20)


def test_a_single_row_is_refused_and_two_are_learning() -> None:
    with pytest.raises(InputError, match="two rows"):
        backtest(times(1), [5])
    assert [row.reason[:8] for row in backtest(times(2, FIVE / 5), [5, 5])] == ["learning"] * 2
