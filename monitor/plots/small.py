"""A course as small as a word, beside a number that says how it ended."""

from collections.abc import Sequence

from monitor.plots.draw import Drawing
from monitor.plots.style import Plot

WIDTH, HEIGHT = 120, 28


def spark(values: Sequence[float | None], title: str, around_zero: bool = False) -> Plot:
    """Draw values one after the other; None leaves a hole. `around_zero` draws the line of 0 too."""
    plan = Drawing(WIDTH, HEIGHT, title)
    known = [value for value in values if value is not None]
    low, high = min([*known, 0.0]), max([*known, 0.0])
    if high == low:
        high = low + 1
    step = (WIDTH - 8) / max(len(values) - 1, 1)

    def place(number: int, value: float) -> tuple[float, float]:
        return 4 + number * step, 3 + (HEIGHT - 6) * (1 - (value - low) / (high - low))

    if around_zero:
        y = place(0, 0.0)[1]
        plan.line(0, y, WIDTH, y, "line")
    run: list[tuple[float, float]] = []
    for number, value in enumerate([*values, None]):
        if value is not None:
            run.append(place(number, value))
            continue
        plan.course(run, "accent", 1.6)
        run = []
    if known and values[-1] is not None:
        plan.dot(*place(len(values) - 1, values[-1]), 2.6, "accent")
    return plan.plot([{"step": number, "value": value} for number, value in enumerate(values)])
