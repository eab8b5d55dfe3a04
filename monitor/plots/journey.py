"""The journey as a course: net sentiment from stage to stage, now and before, and where it breaks."""

from collections.abc import Callable, Sequence
from math import sqrt

from jobs.trends.figures import Estimate, Row
from jobs.trends.journey import WAY
from monitor.plots.bars import reach_of, row_data, rows_chart, told_of
from monitor.plots.draw import Drawing, signed, whole
from monitor.plots.style import WIDE, Plot
from monitor.plots.timeline import FEW, Address

HEAD, HEIGHT, FOOT = 58, 210, 52
LEFT, RIGHT = 52, 12
SMALLEST, LARGEST = 4.0, 15.0  # radius of a stage's dot: its area is its part of the rated posts


def journey_chart(
    rows: Sequence[Row], title: str, address: Address | None = None, mark: str = "", narrow: bool = False
) -> Plot:
    """Draw the eight stages of the way; `mark` names the one where it breaks. Narrow screens get rows."""
    way = [row for row in rows if row.name in WAY]
    if narrow or not way:
        return rows_chart(way, title, address, mark, narrow)
    plan = Drawing(WIDE, HEAD + HEIGHT + FOOT, title)
    axis = reach_of([row.compared.net for row in way] + [row.compared.net_before for row in way])
    wide = (WIDE - LEFT - RIGHT) / len(way)
    places = [LEFT + wide * (number + 0.5) for number in range(len(way))]
    most = max(row.compared.counts.rated for row in way) or 1

    def up(value: float) -> float:
        return HEAD + HEIGHT / 2 * (1 - max(min(value / axis, 1.0), -1.0))

    with plan.unheard():
        plan.text(LEFT, 14, "Net sentiment by stage", bold=True, size=13)
        rings = "; rings: the period before" if any(row.compared.net_before for row in way) else ""
        plan.text(LEFT, 30, f"dots as large as their part of the posts, with the 95 % interval{rings}", "soft")
        for value in (-axis, -axis / 2, 0.0, axis / 2, axis):
            plan.line(LEFT, up(value), WIDE - RIGHT, up(value), "edge" if not value else "line")
            plan.text(LEFT - 6, up(value) + 4, signed(value, 1), "soft", "end")
        if mark in [row.name for row in way]:
            x = places[[row.name for row in way].index(mark)]
            plan.rect(x - wide / 2, HEAD - 14, wide, HEIGHT + FOOT + 6, "negative", 0.09, 6)
            plan.text(x, HEAD - 2, "breaks here", "negative", "middle", bold=True)
        plan.course(_course(way, places, up, before=True), "edge", 1.5, "4 4")
        plan.course(_course(way, places, up, before=False), "accent", 2.2)
    for x, row in zip(places, way, strict=True):
        net, past = row.compared.net, row.compared.net_before
        with plan.link(address(row.link) if address and row.compared.counts.mentions else None, told_of(row)):
            plan.rect(x - wide / 2, HEAD - 14, wide, HEIGHT + FOOT + 6, "none")
            foot = HEAD + HEIGHT
            plan.text(x, foot + 20, row.name, anchor="middle", bold=row.name == mark)
            plan.text(x, foot + 36, f"n {whole(row.compared.counts.rated)}", "soft", "middle", 11)
            if past and past.n >= FEW:
                plan.dot(x, up(past.value), 4, "card", "edge")
            if net is None:
                continue
            fill = "neutral" if net.low <= 0 <= net.high else "positive" if net.value > 0 else "negative"
            plan.line(x, up(net.low), x, up(net.high), fill, 2)
            radius = max(LARGEST * sqrt(net.n / most), SMALLEST)
            plan.dot(x, up(net.value), radius, "card" if net.n < FEW else fill, fill)
            plan.text(x, _beyond(up, net, past, radius), signed(net.value), fill, "middle", bold=True, rim=True)
    return plan.plot([row_data(row) for row in rows])


def _course(
    way: Sequence[Row], places: Sequence[float], up: Callable[[float], float], before: bool
) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for x, row in zip(places, way, strict=True):
        net: Estimate | None = row.compared.net_before if before else row.compared.net
        if net and net.n >= FEW:
            found.append((x, up(net.value)))
    return found


def _beyond(up: Callable[[float], float], net: Estimate, past: Estimate | None, radius: float) -> float:
    """Find where the number of a stage is out of the way: above its interval, else below it.

    Below too where the ring of the past would be behind it.
    """
    above = min(up(net.high), up(net.value) - radius) - 6
    crowded = past is not None and above - 16 < up(past.value) < above + 6
    return max(up(net.low), up(net.value) + radius) + 15 if crowded or above < HEAD + 14 else above
