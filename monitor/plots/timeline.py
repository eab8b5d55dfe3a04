"""Net sentiment and volume over time: alerts are marked, hours that were not read hatched."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from db.desk import Labels
from db.filters import Filter
from db.records import Alert
from db.times import to_text
from jobs.trends.figures import Gap, Step
from monitor.plots.draw import KEY, Drawing, signed, ticks, when, whole
from monitor.plots.style import NARROW, WIDE, Plot

Address = Callable[[Filter], str]
FEW = 10  # rated posts of a step, below which its net sentiment is a ring and not joined to the others
TOP, FELT, BETWEEN, COUNTED, FOOT = 62, 150, 34, 110, 30
KINDS = (("negative", 0.92), ("neutral", 0.5), ("positive", 0.92), ("not_rated", 0.16))
SIGNS = {"negative": "− negative", "neutral": "○ neutral", "positive": "+ positive", "not_rated": "? not rated"}
BRIEF = {"negative": "− neg.", "neutral": "○ neut.", "positive": "+ pos.", "not_rated": "? unrated"}


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where times and values lie."""

    since: datetime
    until: datetime
    left: float
    right: float
    reach: float  # of net sentiment, up and down
    most: float  # mentions

    def across(self, at: datetime) -> float:
        part = (min(max(at, self.since), self.until) - self.since) / (self.until - self.since)
        return self.left + part * (self.right - self.left)

    def felt(self, net: float) -> float:
        return TOP + FELT / 2 * (1 - max(min(net / self.reach, 1), -1))

    def counted(self, mentions: float) -> float:
        return TOP + FELT + BETWEEN + COUNTED * (1 - mentions / self.most)


def timeline(
    steps: Sequence[Step],
    title: str,
    address: Address | None = None,
    alerts: Sequence[Alert] = (),
    alert_address: Callable[[Alert], str] | None = None,
    gaps: Sequence[Gap] = (),
    narrow: bool = False,
) -> Plot:
    """Draw the steps of a span: net sentiment with its 95 % interval, and below it mentions by sentiment."""
    width = NARROW if narrow else WIDE
    plan = Drawing(width, TOP + FELT + BETWEEN + COUNTED + FOOT, title)
    if not steps:
        plan.text(width / 2, TOP + FELT / 2, "nothing to draw", "soft", "middle")
        return plan.plot(())
    frame = _frame(steps, width)
    with plan.unheard():
        _gaps(plan, frame, gaps)
        _axes(plan, frame, steps, narrow)
        _legend(plan, frame, steps, bool(gaps), narrow)
        _alert_spans(plan, frame, alerts)
        _feeling(plan, frame, steps)
    _columns(plan, frame, steps, address)
    _flags(plan, frame, alerts, alert_address)
    return plan.plot([_row(step) for step in steps])


def _frame(steps: Sequence[Step], width: float) -> _Frame:
    nets = [step.net for step in steps if step.net and step.net.n >= FEW]
    widest = max([max(abs(net.low), abs(net.high)) for net in nets] + [0.05])
    reach = next(edge for edge in (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 2.0) if widest <= edge)
    most = ticks(max(max(step.counts.mentions for step in steps), 4), 4)[-1]
    return _Frame(steps[0].start, steps[-1].end, 44, width - 12, min(reach, 1.0), most)


def _axes(plan: Drawing, frame: _Frame, steps: Sequence[Step], narrow: bool) -> None:
    for value in (-frame.reach, -frame.reach / 2, 0.0, frame.reach / 2, frame.reach):
        y = frame.felt(value)
        plan.line(frame.left, y, frame.right, y, "edge" if not value else "line")
        plan.text(frame.left - 6, y + 4, signed(value, 1 if round(value, 1) == round(value, 2) else 2), "soft", "end")
    for value in ticks(frame.most, 4):
        y = frame.counted(value)
        plan.line(frame.left, y, frame.right, y, "edge" if not value else "line")
        plan.text(frame.left - 6, y + 4, _short(value), "soft", "end")
    foot = frame.counted(0)
    for at, words in _dates(steps, 4 if narrow else 9):
        x = frame.across(at)
        plan.line(x, foot, x, foot + 4, "edge")
        plan.text(x, foot + 17, words, "soft", "start" if x < frame.left + 14 else "middle")


def _dates(steps: Sequence[Step], most: int) -> list[tuple[datetime, str]]:
    """Choose the steps that are named: whole days where steps are hours."""
    starts = [step.start for step in steps]
    hourly = steps[0].end - steps[0].start <= timedelta(hours=1)
    if hourly and len(starts) > 48:
        starts, hourly = [start for start in starts if start.hour == 0], False
    weekly = any(step.end - step.start == timedelta(days=7) for step in steps)
    every = -(-len(starts) // most)
    every = next((whole for whole in (1, 2, 3, 4, 6, 8, 12, 24) if whole >= every), every) if hourly else every
    if not hourly and not weekly and every > 3:
        every = -(-every // 7) * 7  # the same day of each week
    chosen = starts[::every]
    if hourly:
        return [(at, f"{at:%H:%M}" if at.hour else f"{at.day} {at:%b}") for at in chosen]
    return [(at, f"{at.day} {at:%b}") for at in chosen]


def _legend(plan: Drawing, frame: _Frame, steps: Sequence[Step], gaps: bool, narrow: bool) -> None:
    said = "band: 95 % interval" if narrow else "(positive less negative) / all rated posts; band: its 95 % interval"
    plan.text(frame.left, 14, "Net sentiment", bold=True, size=13)
    plan.text(frame.left, 30, said, "soft")
    words = []
    for name, opacity in KINDS:
        if name != "not_rated" or any(step.counts.not_rated for step in steps):
            words.append((KEY, "neutral" if name == "not_rated" else name, opacity))
            words.append(((BRIEF if narrow else SIGNS)[name], "soft", 1.0))
    plan.runs(4 if narrow else frame.left, TOP + FELT + BETWEEN - 10, words, "Mentions")
    if gaps:
        plan.hatch(frame.right - 12, 4, 12, 11, 4)
        plan.text(frame.right - 17, 14, "not read" if narrow else "not wholly read", "soft", "end")


def _gaps(plan: Drawing, frame: _Frame, gaps: Sequence[Gap]) -> None:
    for start, end in _joined(gaps):
        x, x2 = frame.across(start), frame.across(end)
        if x2 > x:
            for y, height in ((TOP, FELT), (TOP + FELT + BETWEEN, COUNTED)):
                plan.hatch(x, y, max(x2 - x, 2), height)


def _joined(gaps: Sequence[Gap]) -> list[tuple[datetime, datetime]]:
    """Join gaps that touch, whichever source they are of."""
    found: list[tuple[datetime, datetime]] = []
    for gap in sorted(gaps, key=lambda gap: gap.start):
        if found and gap.start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], gap.end))
        else:
            found.append((gap.start, gap.end))
    return found


def _feeling(plan: Drawing, frame: _Frame, steps: Sequence[Step]) -> None:
    """Draw the band and the line, broken where too few posts say something."""
    run: list[tuple[float, float, float, float]] = []
    for step in [*steps, None]:
        if step is not None and step.net and step.net.n >= FEW:
            run.append(
                (_middle(frame, step), frame.felt(step.net.value), frame.felt(step.net.low), frame.felt(step.net.high))
            )
            continue
        if len(run) > 1:
            plan.area(
                [(x, low) for x, _, low, _ in run] + [(x, high) for x, _, _, high in reversed(run)], "accent", 0.16
            )
            plan.course([(x, y) for x, y, _, _ in run], "accent", 2.2)
        run = []


def _columns(plan: Drawing, frame: _Frame, steps: Sequence[Step], address: Address | None) -> None:
    """Draw each step as one link: its place in the line above, its column below."""
    for step in steps:
        link = address(step.link) if address and step.counts.mentions else None
        plan.include(_column(frame, step, link, len(steps) > 60))


@lru_cache(maxsize=4_096)  # of a chart that was drawn before, only the last step has changed since
def _column(frame: _Frame, step: Step, link: str | None, dense: bool) -> Drawing:
    plan = Drawing(0, 0, "")
    x, x2 = frame.across(step.start), frame.across(step.end)
    air = min((x2 - x) * 0.12, 3.0)
    with plan.link(link, told(step)):
        plan.rect(x, TOP, x2 - x, FELT + BETWEEN + COUNTED, "none")
        below = 0.0
        y = frame.counted(step.counts.mentions)  # so that what lies behind does not show through
        plan.rect(x + air, y, max(x2 - x - 2 * air, 0.8), frame.counted(0) - y, "card")
        for name, opacity in KINDS:
            count = getattr(step.counts, name)
            if count:
                y, y2 = frame.counted(below + count), frame.counted(below)
                fill = "neutral" if name == "not_rated" else name
                plan.rect(x + air, y, max(x2 - x - 2 * air, 0.8), y2 - y, fill, opacity)
                below += count
        if step.net:
            few = step.net.n < FEW
            middle, y = _middle(frame, step), frame.felt(step.net.value)
            if few:
                plan.dot(middle, y, 2.4, "card", "edge")
            else:
                plan.dot(middle, y, 2.0 if dense else 3.6, "accent")
    return plan


def _alert_spans(plan: Drawing, frame: _Frame, alerts: Sequence[Alert]) -> None:
    for alert in alerts:
        x, x2 = frame.across(alert.starts), frame.across(alert.ends or frame.until)
        plan.rect(x, TOP, max(x2 - x, 1.5), FELT, _colour_of(alert), 0.14)
        plan.line(x, TOP - 6, x, TOP + FELT, _colour_of(alert), 1, "3 3")


def _flags(plan: Drawing, frame: _Frame, alerts: Sequence[Alert], address: Callable[[Alert], str] | None) -> None:
    for alert in sorted(alerts, key=lambda alert: alert.starts):
        x, y = frame.across(alert.starts), TOP - 13
        label = (
            f"Alert, {alert.severity}: {alert.rule} of {alert.brand or alert.scope}, {alert.starts:%Y-%m-%d %H:%M} UTC"
        )
        with plan.link(address(alert) if address else None, f"{label}. {alert.summary}"):
            plan.rect(x - 12, y - 12, 24, 24, "none")
            plan.area([(x, y - 8), (x + 8, y + 6), (x - 8, y + 6)], _colour_of(alert))
            plan.text(x, y + 5, "!", "card", "middle", 10, bold=True)


def _colour_of(alert: Alert) -> str:
    return "urgent" if alert.severity in ("critical", "high") else "warning"


def _middle(frame: _Frame, step: Step) -> float:
    return (frame.across(step.start) + frame.across(step.end)) / 2


def told(step: Step) -> str:
    """Say a step in words."""
    words = f"{when(step.start, step.end)}: {mentions(step.counts)}"
    if step.net:
        words += f"; net sentiment {signed(step.net.value)}, between {signed(step.net.low)} and {signed(step.net.high)}"
    if step.read is not None and step.read < 1:
        words += f"; {step.read * 100:.0f} % of its hours were read wholly"
    return words


def mentions(counts: Labels) -> str:
    """Say counts in words."""
    said = [
        f"{whole(count)} {name}"
        for name, count in (
            ("negative", counts.negative),
            ("neutral", counts.neutral),
            ("positive", counts.positive),
            ("not rated", counts.not_rated),
        )
        if count
    ]
    posts = "1 mention" if counts.mentions == 1 else f"{whole(counts.mentions)} mentions"
    return f"{posts} ({', '.join(said)})" if said else "no mentions"


def _row(step: Step) -> Mapping[str, object]:
    return {
        "start": to_text(step.start),
        "end": to_text(step.end),
        **counts_row(step.counts),
        "net_sentiment": round(step.net.value, 4) if step.net else None,
        "net_low": round(step.net.low, 4) if step.net else None,
        "net_high": round(step.net.high, 4) if step.net else None,
        "read": None if step.read is None else round(step.read, 4),
    }


def counts_row(counts: Labels) -> Mapping[str, object]:
    """Return counts as columns of a table."""
    return {
        "mentions": counts.mentions,
        "rated": counts.rated,
        "negative": counts.negative,
        "neutral": counts.neutral,
        "positive": counts.positive,
        "not_rated": counts.not_rated,
    }


def _short(value: float) -> str:
    if value >= 10_000:
        return f"{value / 1000:g}k"
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"
