"""The counts that detection looks at: a brand and each of its slices, by five minutes, and how far they were read."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from db.coverage import HOUR
from db.times import FIVE_MINUTES
from db.voices import ALL, Voice
from jobs.reading import Reading

WHOLE = ""  # the name of the series that is all of a brand
SLICES = ("stage", "pillar")  # kinds of slices, beside sources
UNTOLD = "none"  # what has no stage or pillar is no slice
STEPS = HOUR // FIVE_MINUTES  # of an hour

Array = NDArray[np.float64]


def slices(voices: Sequence[Voice]) -> list[str]:
    """Name the series that the posts make: the whole first, then sources, stages and pillars ("source x").

    A slice that holds all of the brand says nothing of its own, and is left out.
    """
    posts = Counter[str]()
    for voice in voices:
        for name in _names(voice):
            posts[name] += voice.negative + voice.other
    return [WHOLE, *sorted(name for name, count in posts.items() if name and count < posts[WHOLE])]


def tally(voices: Sequence[Voice], names: Sequence[str], start: datetime, steps: int) -> tuple[Array, Array]:
    """Count negatives and other posts, [series, steps] each, five minutes a step from `start` on."""
    rows = {name: row for row, name in enumerate(names)}
    negatives, others = np.zeros((len(names), steps)), np.zeros((len(names), steps))
    for voice in voices:
        step = (voice.start - start) // FIVE_MINUTES
        if 0 <= step < steps:
            for name in _names(voice):
                if name in rows:
                    negatives[rows[name], step] += voice.negative
                    others[rows[name], step] += voice.other
    return negatives, others


def seen(names: Sequence[str], parts: Mapping[str, float], read: Reading, start: datetime, steps: int) -> Array:
    """Say which part (0 to 1) of the usual posts of each series could be read in each step, [series, steps].

    What a platform that was not read would have brought is its part of the brand's posts (`parts_of`).
    """
    result = np.ones((len(names), steps))
    for platform, hours in read.missing.items():
        for hour in hours:
            first = (hour - start) // FIVE_MINUTES
            here = slice(max(first, 0), max(first + STEPS, 0))
            for row, name in enumerate(names):
                of_source = name.startswith("source ")
                result[row, here] -= float(name == f"source {platform}") if of_source else parts.get(platform, 0.0)
    return np.clip(result, 0.0, 1.0)


def parts_of(totals: Mapping[tuple[str, str], tuple[int, int]]) -> Mapping[str, float]:
    """The part of a brand's posts that each platform brings, from the totals of a longer time (`Voices.totals`)."""
    posts = {name: sum(heard) for (kind, name), heard in totals.items() if kind == "source"}
    every = sum(posts.values())
    return {platform: count / every for platform, count in posts.items()} if every else {}


def _names(voice: Voice) -> tuple[str, ...]:
    """The series that a row of counts belongs to."""
    if voice.kind == ALL:
        return WHOLE, f"source {voice.source}"
    return (f"{voice.kind} {voice.name}",) if voice.kind in SLICES and voice.name != UNTOLD else ()
