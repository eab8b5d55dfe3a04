"""Share of voice, net sentiment of several in one picture, and touchpoints by source."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from db.desk import Labels
from db.times import to_text
from jobs.trends.compare import Column
from jobs.trends.experience import Cell
from jobs.trends.figures import Estimate, Step, net_of
from jobs.trends.overview import Voice
from monitor.plots.bars import reach_of, shown
from monitor.plots.draw import Drawing, part, signed, whole
from monitor.plots.style import NARROW, WIDE, Plot
from monitor.plots.timeline import FEW, Address, counts_row, mentions

ROW, HEAD = 42, 28
CELL = 44
JOINED: Mapping[timedelta, tuple[int, ...]] = {  # how many steps may make one point of a line, by the length of a step
    timedelta(hours=1): (1, 2, 3, 4, 6, 12, 24),
    timedelta(days=1): (1, 2, 3, 4, 7, 14),
    timedelta(days=7): (1, 2, 4),
}
LOOKS = (
    ("accent", ""),
    ("warning", "7 4"),
    ("positive", "2 4"),
    ("negative", "10 3 2 3"),
    ("neutral", "1 3"),
    ("ink", "14 4"),
)


def voices_chart(voices: Sequence[Voice], title: str, address: Address | None = None, narrow: bool = False) -> Plot:
    """Draw each brand's share of all their mentions, with its interval; own brands are filled, others pale."""
    width = NARROW if narrow else WIDE
    plan = Drawing(width, HEAD + ROW * max(len(voices), 1) + 8, title)
    left, right = (96, width - 84) if narrow else (180, width - 210)
    most = max([voice.share.high for voice in voices if voice.share] + [0.05])
    with plan.unheard():
        plan.text(left, 14, "share of mentions", "soft")
        if not narrow:
            plan.text(width - 4, 14, "net sentiment", "soft", "end")
    for number, voice in enumerate(voices):
        y = HEAD + ROW * number
        counts = voice.compared.counts
        with plan.link(address(voice.link) if address and counts.mentions else None, _voiced(voice)):
            plan.rect(0, y, width, ROW, "none")
            plan.text(4, y + 17, voice.brand, bold=voice.own, room=left - 12)
            plan.text(4, y + 30, f"n {whole(counts.mentions)}", "soft", size=11)
            if voice.share is None:
                continue
            x = left + voice.share.value / most * (right - left)
            plan.rect(left, y + 9, x - left, 18, "accent", 0.92 if voice.own else 0.42, 2)
            low, high = (left + edge / most * (right - left) for edge in (voice.share.low, voice.share.high))
            if high - low > 3:
                plan.line(low, y + 18, high, y + 18, "ink", 1.5)
            plan.text(high + 6, y + 22, part(voice.share.value))
            if not narrow:
                if voice.change and voice.change.certain:
                    rise = voice.change.value > 0
                    points = f"{'▲' if rise else '▼'} {abs(voice.change.value) * 100:.1f} points"
                    plan.text(width - 100, y + 22, points, "soft", "end", 11)
                if voice.compared.net:
                    plan.text(width - 4, y + 22, signed(voice.compared.net.value), anchor="end")
    return plan.plot(
        [
            {
                "brand": voice.brand,
                "own": voice.own,
                **counts_row(voice.compared.counts),
                "share_of_voice": round(voice.share.value, 4) if voice.share else None,
                "share_low": round(voice.share.low, 4) if voice.share else None,
                "share_high": round(voice.share.high, 4) if voice.share else None,
                "change": round(voice.change.value, 4) if voice.change else None,
                "net_sentiment": round(voice.compared.net.value, 4) if voice.compared.net else None,
            }
            for voice in voices
        ]
    )


def lines_chart(columns: Sequence[Column], title: str, address: Address | None = None, narrow: bool = False) -> Plot:
    """Draw net sentiment of several, step by step from the first on; told apart by dashes and names too.

    Where one of them has too few posts in most of its steps, several steps make one point.
    """
    width, height = (NARROW, 200) if narrow else (WIDE, 230)
    drawn = columns[: len(LOOKS)]
    each = 1 if narrow else 3
    joined = _joined(drawn)
    courses = [_course(column.steps, joined) for column in drawn]
    head = 40 + 18 * -(-max(len(drawn), 1) // each)
    plan = Drawing(width, head + height + 26, title)
    left, right = 44, width - 12
    axis = reach_of([net for course in courses for _, net in course])
    most = max([len(column.steps) for column in drawn] + [1])

    def up(value: float) -> float:
        return head + height / 2 * (1 - max(min(value / axis, 1.0), -1.0))

    def across(number: float) -> float:
        return left + (number + 0.5) / most * (right - left)

    with plan.unheard():
        plan.text(left, 14, "Net sentiment", bold=True, size=13)
        plan.text(left, 30, _pointed(drawn, joined), "soft")
        for value in (-axis, -axis / 2, 0.0, axis / 2, axis):
            plan.line(left, up(value), right, up(value), "edge" if not value else "line")
            plan.text(left - 6, up(value) + 4, signed(value, 1), "soft", "end")
        if columns:
            steps = max(columns, key=lambda column: len(column.steps)).steps
            every = -(-len(steps) // (4 if narrow else 8))
            for number in range(0, len(steps), every):
                at = steps[number].start
                words = (
                    f"{at:%H:%M}"
                    if most > 1 and (steps[1].start - at).total_seconds() < 86_400 and at.hour
                    else f"{at.day} {at:%b}"
                )
                plan.text(across(number), head + height + 18, words, "soft", "middle")
    for number, (column, (ink, dash)) in enumerate(zip(drawn, LOOKS, strict=False)):
        x, y = left + (number % each) * 260, 50 + 18 * (number // each)
        counts = column.totals.counts
        net = f"; net sentiment {signed(column.totals.net.value)}" if column.totals.net else ""
        with plan.link(
            address(column.link) if address and counts.mentions else None, f"{column.name}: {mentions(counts)}{net}"
        ):
            plan.rect(x, y - 13, 240, 18, "none")
            plan.line(x, y - 4, x + 30, y - 4, ink, 2.5, dash)
            drawable = any(point and point.n >= FEW for _, point in courses[number])
            plan.text(x + 36, y, column.name if drawable else f"{column.name} (too few posts)", room=200)
    with plan.unheard():
        for course, (ink, dash) in zip(courses, LOOKS, strict=False):
            run: list[tuple[float, float]] = []
            for place, point in [*course, (0.0, None)]:
                if point and point.n >= FEW:
                    run.append((across(place), up(point.value)))
                    continue
                plan.course(run, ink, 2.2, dash)
                if len(run) == 1:
                    plan.dot(*run[0], 3, ink)
                run = []
    return plan.plot(
        [
            {
                "name": column.name,
                "start": to_text(step.start),
                **counts_row(step.counts),
                "net_sentiment": round(step.net.value, 4) if step.net else None,
            }
            for column in columns
            for step in column.steps
        ]
    )


def _joined(columns: Sequence[Column]) -> int:
    """Choose how many steps make one point: the fewest with which most points of each line have posts enough."""
    steps = max((column.steps for column in columns), key=len, default=())
    length = max((step.end - step.start for step in steps), default=timedelta(days=1))
    choices = JOINED.get(length, (1,))
    return next((many for many in choices if all(_told(column.steps, many) for column in columns)), choices[-1])


def _told(steps: Sequence[Step], many: int) -> bool:
    """Whether most points that stand for a post are drawn; always so where there are too few posts for any."""
    points = [net.n for _, net in _course(steps, many) if net]
    return sum(points) < FEW or sum(n >= FEW for n in points) * 3 >= len(points) * 2


def _course(steps: Sequence[Step], many: int) -> list[tuple[float, Estimate | None]]:
    """Join steps, counted back from the newest; returns where (in steps from the first) and what each point is."""
    points = []
    for end in range(len(steps), 0, -many):
        part = steps[max(end - many, 0) : end]
        middle = end - 1 - (len(part) - 1) / 2
        points.append((middle, net_of(sum((step.counts for step in part), Labels()))))
    return points[::-1]


def _pointed(columns: Sequence[Column], many: int) -> str:
    """Say what a point of a line stands for."""
    steps = max((column.steps for column in columns), key=len, default=())
    length = max((step.end - step.start for step in steps), default=timedelta(days=1))
    unit = "hour" if length <= timedelta(hours=1) else "day" if length <= timedelta(days=1) else "week"
    one = f"{many} {unit}s" if many > 1 else f"one {unit}"
    return f"each point: {one}, {FEW} rated posts at least"


def matrix_chart(cells: Sequence[Cell], title: str, address: Address | None = None, narrow: bool = False) -> Plot:
    """Draw net sentiment of touchpoints (down) by source (across); what has too few posts is grey."""
    width = NARROW if narrow else WIDE
    places = list(dict.fromkeys(cell.touchpoint for cell in cells))
    sources = list(dict.fromkeys(cell.source for cell in cells))
    left = 112 if narrow else 150
    wide = (width - left) / max(len(sources), 1)
    plan = Drawing(width, 26 + CELL * max(len(places), 1) + 4, title)
    found: Mapping[tuple[str, str], Cell] = {(cell.touchpoint, cell.source): cell for cell in cells}
    most = max([abs(cell.net.value) for cell in cells if cell.net and cell.enough] + [0.2])
    with plan.unheard():
        for number, source in enumerate(sources):
            plan.text(left + wide * (number + 0.5), 16, source, "soft", "middle", room=wide - 4)
        for number, place in enumerate(places):
            plan.text(4, 26 + CELL * number + CELL / 2 + 4, shown(place), room=left - 10)
    for row, place in enumerate(places):
        for column, source in enumerate(sources):
            cell = found.get((place, source))
            if cell is None:
                continue
            x, y = left + wide * column, 26 + CELL * row
            with plan.link(address(cell.link) if address and cell.counts.mentions else None, _cell_said(cell)):
                if not cell.enough or cell.net is None:
                    plan.rect(x + 1.5, y + 1.5, wide - 3, CELL - 3, "raised", radius=4)
                    words = f"n {whole(cell.counts.rated)}" if cell.counts.rated else "–"
                    plan.text(x + wide / 2, y + CELL / 2 + 4, words, "soft", "middle", 11)
                    continue
                strength = 0.12 + 0.34 * min(abs(cell.net.value) / most, 1.0)
                plan.rect(
                    x + 1.5, y + 1.5, wide - 3, CELL - 3, "positive" if cell.net.value > 0 else "negative", strength, 4
                )
                plan.text(x + wide / 2, y + 20, signed(cell.net.value), anchor="middle", bold=True)
                plan.text(x + wide / 2, y + 34, f"n {whole(cell.counts.rated)}", "ink", "middle", 10.5)
    return plan.plot(
        [
            {
                "touchpoint": cell.touchpoint,
                "source": cell.source,
                **counts_row(cell.counts),
                "net_sentiment": round(cell.net.value, 4) if cell.net else None,
                "enough": cell.enough,
            }
            for cell in cells
        ]
    )


def _voiced(voice: Voice) -> str:
    words = f"{voice.brand}: {mentions(voice.compared.counts)}"
    if voice.share:
        words += f"; {part(voice.share.value)} of all mentions of the brands"
    if voice.compared.net:
        words += f"; net sentiment {signed(voice.compared.net.value)}"
    return words


def _cell_said(cell: Cell) -> str:
    words = f"{shown(cell.touchpoint)} on {cell.source}: {mentions(cell.counts)}"
    if not cell.enough:
        return f"{words}; too few to say how they feel"
    return f"{words}; net sentiment {signed(cell.net.value)}" if cell.net else words
