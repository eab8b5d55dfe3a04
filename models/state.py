"""What a detector remembers of its series at the start of a day, as it is computed with and as it is stored.

A `Past` is one table of float32: a row a series, the columns named by a `Layout`. Whatever is remembered goes through
float32 at every midnight, so that a detector that was restarted from the store gives the scores, to the last bit, of
one that was not.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_HEAD = struct.Struct("<16sI")  # name of the layout, the day as an ordinal


@dataclass(frozen=True)
class Layout:
    """The named parts of a row. `name` (16 bytes of ASCII at most) changes with every change of parts or meaning."""

    name: str
    shapes: Mapping[str, tuple[int, ...]]
    places: Mapping[str, slice] = field(init=False)
    size: int = field(init=False)  # of a row, in numbers

    def __post_init__(self) -> None:
        places, at = {}, 0
        for part, shape in self.shapes.items():
            places[part] = slice(at, at + math.prod(shape))
            at += math.prod(shape)
        object.__setattr__(self, "places", places)
        object.__setattr__(self, "size", at)


@dataclass(frozen=True)
class Past:
    """What is remembered of S series when `day` (in UTC) begins. `values` is [S, layout.size], float32."""

    layout: Layout
    day: date
    values: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, part: str) -> Array:
        """One part of all series, [S, *shape], as float64: computing is done in double precision."""
        shape = (len(self.values), *self.layout.shapes[part])
        return self.values[:, self.layout.places[part]].reshape(shape).astype(np.float64)

    def rows(self, chosen: slice | Sequence[int] | NDArray[np.intp]) -> "Past":
        """The past of some of the series, in the order asked for."""
        return Past(self.layout, self.day, self.values[chosen])


def blank(layout: Layout, series: int, day: date) -> Past:
    """A past in which nothing is known yet."""
    return Past(layout, day, np.zeros((series, layout.size), dtype=np.float32))


def remember(layout: Layout, day: date, parts: Mapping[str, Array]) -> Past:
    """Put parts ([S, *shape] each) into a past."""
    series = len(next(iter(parts.values())))
    values = np.zeros((series, layout.size), dtype=np.float32)
    for part, array in parts.items():
        values[:, layout.places[part]] = array.reshape(series, -1)
    return Past(layout, day, values)


def joined(pasts: Sequence[Past]) -> Past:
    """The series of several pasts of one day, one after the other."""
    if len({(past.layout.name, past.day) for past in pasts}) != 1:
        raise ValueError("only pasts of one detector and one day can be looked at together")
    return Past(pasts[0].layout, pasts[0].day, np.concatenate([past.values for past in pasts]))


def pack(past: Past, row: int) -> bytes:
    """One series, as it is stored."""
    head = _HEAD.pack(past.layout.name.encode(), past.day.toordinal())
    values: bytes = past.values[row].astype("<f4").tobytes()
    return head + values


def unpack(layout: Layout, stored: Sequence[bytes]) -> Past:
    """Series that were stored at the start of one day. ValueError if they are not of this layout, or of two days."""
    size = _HEAD.size + 4 * layout.size
    heads = {blob[: _HEAD.size] for blob in stored}
    if len(heads) != 1 or {len(blob) for blob in stored} != {size}:
        raise ValueError(f"these are no states of {layout.name} of one day")
    name, day = _HEAD.unpack(heads.pop())
    if name.rstrip(b"\0").decode("ascii", "replace") != layout.name:
        raise ValueError(f"these are no states of {layout.name}")
    table = np.frombuffer(b"".join(stored), dtype=np.uint8).reshape(len(stored), size)
    values = np.ascontiguousarray(table[:, _HEAD.size :]).view("<f4").astype(np.float32, copy=False)
    return Past(layout, date.fromordinal(day), values)
