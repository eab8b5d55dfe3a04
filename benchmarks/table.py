"""One line of the result, and how a duration is taken."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from models.evaluate import Measure


@dataclass(frozen=True, slots=True)
class Line:
    """What was measured, how much of it a second, and what it is held against."""

    what: str
    rate: float
    unit: str
    beside: tuple[str, ...] = ()  # the lines that it is compared with, in the same run


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """The shortest of a few runs: whatever else the machine does only ever adds to it."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def write(lines: list[Line]) -> list[list[object]]:
    """The rows of the table, each with its ratio to what it is held against."""
    rates = {line.what: line.rate for line in lines}
    return [
        [
            line.what,
            f"{line.rate:,.0f}" if line.rate >= 10 else f"{line.rate:.2f}",
            line.unit,
            ", ".join(_ratio(line.rate / rates[name], name) for name in line.beside),
        ]
        for line in lines
    ]


def _ratio(ratio: float, name: str) -> str:
    return f"{ratio:.1f} times {name}" if ratio >= 1 else f"1/{1 / ratio:.1f} of {name}"


def measured(measure: Measure, sign: str = "") -> str:
    """Write a value and its interval; `sign` "+" also where it is positive."""
    return f"{measure.value:{sign}.3f} ({measure.low:{sign}.3f} to {measure.high:{sign}.3f})"
