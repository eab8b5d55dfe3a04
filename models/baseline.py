"""What is usual for a series: how many posts each step of a day should have, from what was known when the day began.

Usual is what was counted at that time of day on past days, the same weekday counting threefold and every day a little
less than the next, shrunk to a wider span of the day and then to the series' own mean. The level of the last 24 hours
comes on top, and the mood of the last seven. Past bursts are cut down to size before they are learnt.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.counts import DAY, RECENT, Array, Counts, Flags, between, centred, running
from models.state import Past

QUARTERS = 96  # what is usual is remembered by weekday and quarter of an hour
QUARTER = 3  # steps
KEEP = 0.955  # of what was known is left a day later: worth 22 days in all
SAME_WEEKDAY = 3.0
EVENTS = 10.0  # posts that the wider estimate counts for when a narrower one is made
TYPICAL_SHARE, TYPICAL_WEIGHT = 0.25, 8.0  # of negatives, until the brand has shown its own
HOUR, MOOD = 12, 72  # steps
MOOD_LASTS = 0.7  # of the logarithm by which the share was off
SURE_OF_MOOD = 50.0  # posts of either kind, as usual, that are added to what was seen of it
EDGE = 8  # quarters of the days before and after that smoothing needs


@dataclass(frozen=True)
class Usual:
    """Of one day, [S, steps]: counts per step if everything is read, before the level of the last day."""

    negatives: Array
    others: Array
    support: Array  # (weighted) negatives that the first rests on
    others_support: Array
    mentions: Array  # [S, 1], (weighted) that are remembered in all


@dataclass(frozen=True)
class Expected:
    """Of one day, [S, steps]: counts per step as far as it was seen, at the level of the last 24 hours less three."""

    negatives: Array
    others: Array
    calmed: tuple[Array, Array]  # the counts, past bursts cut down to size


def usual(past: Past, young: Array | None = None) -> Usual:
    """What the whole of the day that begins should have.

    `young` [S, 3] are negatives, others and steps seen to be known beside the past, where a series has next to none.
    """
    weekday = past.day.weekday()
    sums = {name: past[name] for name in ("negatives", "others", "exposure")}
    total = {name: values.sum(axis=(1, 2))[:, None] for name, values in sums.items()}
    if young is not None:
        for index, name in enumerate(total):
            total[name] = total[name] + young[:, index : index + 1]
    mentions = total["negatives"] + total["others"]
    rate = (mentions + 0.5) / np.maximum(total["exposure"], 1.0)
    share = (total["negatives"] + TYPICAL_SHARE * TYPICAL_WEIGHT) / (mentions + TYPICAL_WEIGHT)
    steps = _spans(_around(sums["exposure"], weekday))
    bad, bad_support = _seasonal(_spans(_around(sums["negatives"], weekday)), steps, rate * share)
    good, good_support = _seasonal(_spans(_around(sums["others"], weekday)), steps, rate * (1.0 - share))
    return Usual(bad, good, bad_support, good_support, mentions)


def _around(sums: Array, weekday: int) -> Array:
    """The weighted sum over the weekdays, by quarter, with some of the days before and after; [S, EDGE + 96 + EDGE]."""
    every = sums[:, 0].copy()
    for other in range(1, 7):
        every += sums[:, other]
    extra = SAME_WEEKDAY - 1.0
    yesterday, today, tomorrow = ((weekday + shift) % 7 for shift in (-1, 0, 1))
    return np.concatenate(
        (
            (every + extra * sums[:, yesterday])[:, -EDGE:],
            every + extra * sums[:, today],
            (every + extra * sums[:, tomorrow])[:, :EDGE],
        ),
        axis=1,
    )


def _spans(sums: Array) -> tuple[Array, Array]:
    """Sums over 90 and 30 minutes either side of each quarter from the last of yesterday to the first of tomorrow."""
    total = running(sums)
    first, end = EDGE - 1, EDGE + QUARTERS + 1

    def around(half: int) -> Array:
        return total[:, first + half + 1 : end + half + 1] - total[:, first - half : end - half]

    return around(6), (around(1) + around(2)) / 2.0


def _seasonal(events: tuple[Array, Array], steps: tuple[Array, Array], rate: Array) -> tuple[Array, Array]:
    mean = rate
    for seen, exposure in zip(events, steps, strict=True):
        mean = (seen + EVENTS) / (exposure + EVENTS / mean)
    return _by_step(mean), np.repeat(events[0][:, 1:-1], QUARTER, axis=1)


def _by_step(quarters: Array) -> Array:
    """From the means of quarters (one more at either end) to steps, in straight lines between their middles."""
    middle = quarters[:, 1:-1]
    steps = np.repeat(middle, QUARTER, axis=1)
    steps[:, 0::QUARTER] += (quarters[:, :-2] - middle) / QUARTER
    steps[:, 2::QUARTER] += (quarters[:, 2:] - middle) / QUARTER
    return steps


def expected(past: Past, today: Counts, day: Usual) -> Expected:
    """Bring what is usual to the level and the mood of late. Nothing later than a step takes part in what it is due."""
    end = today.steps
    counts = (today.negatives, today.others)
    due = [values[:, :end] * today.seen for values in (day.negatives, day.others)]
    due_lately = _lately(past, ("usual_negatives", "usual_others"), due)
    raw = _levels(_lately(past, ("day_negatives", "day_others"), counts), due_lately, end)
    calmed = _calmed(counts, [mean * level for mean, level in zip(due, raw, strict=True)], past["watched"] >= DAY)
    had_lately = _lately(past, ("calm_negatives", "calm_others"), calmed)
    levels = _levels(had_lately, due_lately, end)
    mood = _mood(had_lately, due_lately, levels, end)
    return Expected(due[0] * levels[0] * mood, due[1] * levels[1], calmed)


def _lately(past: Past, names: tuple[str, str], today: Sequence[Array]) -> list[Array]:
    """Running sums over the last day and this one, of negatives and others."""
    return [running(np.concatenate((past[name], now), axis=1)) for name, now in zip(names, today, strict=True)]


def _levels(had: list[Array], due: list[Array], steps: int) -> tuple[Array, Array]:
    """The last day, less three hours, against what was usual.

    All talk has a level, which few negatives may follow; only then have they one of their own.
    """
    was = [between(sums, DAY, DAY + steps, DAY, RECENT) for sums in had]
    should = [between(sums, DAY, DAY + steps, DAY, RECENT) for sums in due]
    together = _level(was[0] + was[1], should[0] + should[1])
    bad, good = (together * _level(seen, mean * together) for seen, mean in zip(was, should, strict=True))
    return bad, good


def _mood(had: list[Array], due: list[Array], levels: tuple[Array, Array], steps: int) -> Array:
    """How far the share of negatives was off in the six hours before the last one, as far as that tends to last."""
    off = []
    for sums, means, level in zip(had, due, levels, strict=True):
        was, should = (between(total, DAY, DAY + steps, MOOD + HOUR, HOUR) for total in (sums, means))
        off.append((was + SURE_OF_MOOD) / (should * level + SURE_OF_MOOD))
    mood: Array = np.clip(off[0] / off[1], 0.5, 2.0) ** MOOD_LASTS
    return mood


def _level(had: Array, due: Array) -> Array:
    level: Array = np.clip((had + EVENTS) / (due + EVENTS), 0.4, 2.5)
    return level


def _calmed(counts: tuple[Array, Array], means: list[Array], known: Flags) -> tuple[Array, Array]:
    """The counts, scaled down where the hour around them is far above what was expected.

    First both alike, so that busy days leave the share as it was; then the negatives that the others do not explain.
    A series that is not `known` [S, 1] for a day yet is left as it is.
    """
    hours = [centred(values, 6) for values in (*counts, *means)]
    talk = _calming(hours[0] + hours[1], hours[2] + hours[3])
    follows = (hours[1] * talk + EVENTS) / (hours[3] + EVENTS)
    alone = talk * _calming(hours[0] * talk, hours[2] * follows)
    return counts[0] * np.where(known, alone, 1.0), counts[1] * np.where(known, talk, 1.0)


def _calming(hour: Array, mean: Array) -> Array:
    limit = mean + 3.0 * np.sqrt(1.5 * mean + 0.1 * mean**2) + 3.0
    return np.minimum(1.0, limit / np.maximum(hour, 1.0))
