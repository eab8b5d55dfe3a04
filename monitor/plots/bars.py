"""Rows of negative and positive shares that part at a line, each with its net sentiment, now and before."""

from collections.abc import Mapping, Sequence

from jobs.trends.changes import Move
from jobs.trends.figures import Estimate, Row
from monitor.plots.draw import KEY, Drawing, part, signed, whole
from monitor.plots.style import NARROW, WIDE, Plot
from monitor.plots.timeline import FEW, Address, counts_row, mentions

ROW, TALL, HEAD, FOOT = 34, 42, 30, 8  # on a narrow screen a row is as high as a finger needs
NAMES: Mapping[str, str] = {"contact_centre": "contact centre", "none": "none of these", "unsure": "unsure"}


def shown(name: str) -> str:
    """Write a label as people read it."""
    return NAMES.get(name, name)


def rows_chart(
    rows: Sequence[Row], title: str, address: Address | None = None, mark: str = "", narrow: bool = False
) -> Plot:
    """Draw parts below each other: shares of negative and positive posts, net sentiment with its interval, and before.

    `mark` names the part that is pointed out.
    """
    width = NARROW if narrow else WIDE
    high = TALL if narrow else ROW
    plan = Drawing(width, HEAD + high * max(len(rows), 1) + FOOT, title)
    left, middle, reach = (0, 158, 62) if narrow else (0, 330, 170)
    net_left, net_right = (240, 318) if narrow else (530, 730)
    axis = reach_of([row.compared.net for row in rows] + [row.compared.net_before for row in rows])
    with plan.unheard():
        plan.text(middle - 6, 14, "− negative", "negative", "end")
        plan.text(middle + 6, 14, "positive +", "positive")
        plan.text((net_left + net_right) / 2, 14, "net sentiment", "soft", "middle")
        if not narrow:
            plan.text(width - 4, 14, "change", "soft", "end")
        zero = (net_left + net_right) / 2
        foot = HEAD + high * len(rows)
        plan.line(middle, HEAD - 6, middle, foot, "edge")
        plan.line(zero, HEAD - 6, zero, foot, "edge")
        for edge, value in ((net_left, -axis), (net_right, axis)):
            plan.line(edge, HEAD - 6, edge, foot, "line")
            plan.text(edge, HEAD - 10 if narrow else 14, "" if narrow else signed(value, 1), "soft", "middle")
    most = max([_most(row) for row in rows] + [0.1])
    for number, row in enumerate(rows):
        y = HEAD + high * number + (high - ROW) / 2
        counts, net = row.compared.counts, row.compared.net
        with plan.link(address(row.link) if address and counts.mentions else None, told_of(row)):
            top = HEAD + high * number
            marked = row.name == mark
            plan.rect(0, top, width, high, "negative" if marked else "none", 0.09 if marked else 1.0, 4)
            plan.text(left + 4, y + 15, shown(row.name), bold=marked, room=92 if narrow else 150)
            plan.text(left + 4, y + 28, f"n {whole(counts.rated)}", "soft", size=11)
            if not counts.rated:
                plan.text(middle + 8, y + 21, "nothing rated", "soft")
                continue
            few = counts.rated < FEW
            for share, side, fill in (
                (counts.negative / counts.rated, -1, "negative"),
                (counts.positive / counts.rated, 1, "positive"),
            ):
                length = share / most * reach
                plan.rect(middle - length if side < 0 else middle, y + 9, length, 16, fill, 0.3 if few else 0.92, 2)
                if not narrow:
                    at = middle + side * (length + 5)
                    plan.text(at, y + 21, part(share), "soft", "end" if side < 0 else "start", 11)
            if net:
                _interval(plan, net, row.compared.net_before, axis, (net_left, net_right), y + 17, few)
                words = signed(net.value)
                plan.text(width - 4 if narrow else net_right + 14, y + 21, words, anchor="end" if narrow else "start")
            if not narrow and row.compared.change:
                _change(plan, row.compared.change, width - 4, y + 21)
    return plan.plot([row_data(row) for row in rows])


def moves_chart(moves: Sequence[Move], title: str, address: Address | None = None, narrow: bool = False) -> Plot:
    """Draw what parts did to the change of net sentiment: solid what their feeling did, pale what their size did."""
    width, high = (NARROW, TALL) if narrow else (WIDE, ROW)
    plan = Drawing(width, HEAD + high * max(len(moves), 1) + FOOT, title)
    begin, end = (118, width - 60) if narrow else (220, width - 80)
    down = max([-min(move.rate, 0.0) - min(move.mix, 0.0) for move in moves] + [0.0005])
    up = max([max(move.rate, 0.0) + max(move.mix, 0.0) for move in moves] + [0.0005])
    unit = (end - begin) / (down + up)
    middle = begin + down * unit
    with plan.unheard():
        keys = [(KEY, "neutral", 0.92), ("by how its posts feel", "soft", 1.0)]
        plan.runs(0, 14, [*keys, (KEY, "neutral", 0.35), ("by how many there are", "soft", 1.0)])
        plan.line(middle, HEAD - 6, middle, HEAD + high * len(moves), "edge")
    for number, move in enumerate(moves):
        y = HEAD + high * number + (high - ROW) / 2
        with plan.link(address(move.link) if address else None, _moved(move)):
            plan.rect(0, HEAD + high * number, width, high, "none")
            plan.text(4, y + 15, shown(move.name), room=begin - 12)
            plan.text(4, y + 28, move.kind, "soft", size=11)
            ends = {-1: middle, 1: middle}
            for value, opacity in ((move.rate, 0.92), (move.mix, 0.35)):
                side = 1 if value >= 0 else -1
                length = abs(value) * unit
                x = ends[side] if side > 0 else ends[side] - length
                plan.rect(x, y + 9, length, 16, "positive" if side > 0 else "negative", opacity)
                ends[side] += side * length
            plan.text(ends[1] + 6, y + 21, signed(move.total, 3))
    return plan.plot(
        [
            {
                "kind": move.kind,
                "name": move.name,
                "n": move.counts.rated,
                "n_before": move.before.rated,
                "net_sentiment": _round(move.net),
                "net_before": _round(move.net_before),
                "by_feeling": round(move.rate, 5),
                "by_size": round(move.mix, 5),
                "total": round(move.total, 5),
                "mentions_more": move.volume,
            }
            for move in moves
        ]
    )


def reach_of(nets: Sequence[Estimate | None]) -> float:
    """Return how far an axis of net sentiment reaches, up and down."""
    widest = max([max(abs(net.low), abs(net.high)) for net in nets if net and net.n >= FEW] + [0.1])
    return next((edge for edge in (0.2, 0.4, 0.6, 0.8) if widest <= edge), 1.0)


def _most(row: Row) -> float:
    counts = row.compared.counts
    return max(counts.negative, counts.positive) / counts.rated if counts.rated else 0.0


def _interval(
    plan: Drawing, net: Estimate, before: Estimate | None, axis: float, ends: tuple[float, float], y: float, few: bool
) -> None:
    """Draw net sentiment as a dot, its interval as a line, and before as a ring."""

    def at(value: float) -> float:
        return ends[0] + (max(min(value / axis, 1.0), -1.0) + 1) / 2 * (ends[1] - ends[0])

    fill = "neutral" if net.low <= 0 <= net.high else "positive" if net.value > 0 else "negative"
    if before and before.n >= FEW:
        plan.dot(at(before.value), y, 4, "card", "edge")
    plan.line(at(net.low), y, at(net.high), y, fill, 2)
    plan.dot(at(net.value), y, 3 if few else 4.6, "card" if few else fill, fill)


def _change(plan: Drawing, change: Estimate, x: float, y: float) -> None:
    if not change.certain:
        plan.text(x, y, "may be chance", "soft", "end", 11)
        return
    rise = change.value > 0
    plan.text(x, y, f"{'▲' if rise else '▼'} {signed(change.value)}", "positive" if rise else "negative", "end")


def told_of(row: Row) -> str:
    """Say a part in words."""
    words = f"{shown(row.name)}: {mentions(row.compared.counts)}"
    net, change = row.compared.net, row.compared.change
    if net:
        words += f"; net sentiment {signed(net.value)}, between {signed(net.low)} and {signed(net.high)}"
    if change:
        words += f"; changed by {signed(change.value)}{'' if change.certain else ', which may be chance'}"
    return words


def _moved(move: Move) -> str:
    return (
        f"{shown(move.name)} ({move.kind}): moved net sentiment by {signed(move.total, 3)}, "
        f"{signed(move.rate, 3)} by how its posts feel, {signed(move.mix, 3)} by how many there are; "
        f"{whole(move.before.rated)} rated posts before, {whole(move.counts.rated)} now"
    )


def row_data(row: Row) -> Mapping[str, object]:
    """Return a part as a row of a table."""
    compared = row.compared
    return {
        "kind": row.kind,
        "name": row.name,
        **counts_row(compared.counts),
        "share": _round(row.share),
        "net_sentiment": _round(compared.net),
        "net_low": round(compared.net.low, 4) if compared.net else None,
        "net_high": round(compared.net.high, 4) if compared.net else None,
        "mentions_before": compared.before.mentions if compared.before else None,
        "net_before": _round(compared.net_before),
        "change": _round(compared.change),
        "change_low": round(compared.change.low, 4) if compared.change else None,
        "change_high": round(compared.change.high, 4) if compared.change else None,
    }


def _round(estimate: Estimate | None) -> float | None:
    return round(estimate.value, 4) if estimate else None
