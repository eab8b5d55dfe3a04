"""Pictures of an alert and of a digest: rows go in, an image comes out. Nothing is fetched, times are in UTC."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import sqrt
from typing import TYPE_CHECKING

from db.buckets import Counts
from db.coverage import HOUR
from db.records import Alert, Hour
from db.times import FIVE_MINUTES, floor
from jobs.moods import Mood, Moods
from jobs.wording import harmless, length, number, percent, subject, summary
from monitor.canvas import (
    ALARM,
    GREY,
    INK,
    PALE,
    SHADE,
    USUAL,
    WIDTH,
    Frame,
    Picture,
    across,
    picture,
    rows,
    text,
    unchecked,
    unread,
    up,
)

if TYPE_CHECKING:
    import altair as alt

HEIGHT = 320  # pixels of an alert's plot: with title and axes the picture has about 860 x 460
AROUND = timedelta(hours=24)
STEPS = tuple(timedelta(minutes=minutes) for minutes in (5, 10, 15, 20, 30, 60, 180, 360, 1440))
BARS, SHARES = 110, 48  # at the most; a share of few posts says little
AIR = 0.08  # of a step, on either side of its bar
NAME_SHOWN = 30  # characters of what an alert is about
BRANDS_SHOWN = 3  # in a digest
COUNTED, FELT = 140, 120  # pixels of a digest's two plots
FEW = 5  # rated posts, below which their net sentiment is not drawn


@dataclass(frozen=True, slots=True)
class Expected:
    """What was expected of a span, with its 95 % interval: counts of a step, or shares where the chart is of shares."""

    start: datetime
    end: datetime
    expected: float
    low: float
    high: float


def step_of(alert: Alert, now: datetime) -> timedelta:
    """Return how long each bar of an alert's chart is: what its `band` must be counted by."""
    most = SHARES if alert.rule == "share shift" else BARS
    span = _until(alert, now) - (alert.starts - AROUND)
    return next((step for step in STEPS if span / step <= most), STEPS[-1])


def alert_chart(
    counts: Sequence[Counts],
    alert: Alert,
    now: datetime,
    gaps: Sequence[Hour] = (),
    band: Sequence[Expected] = (),
) -> Picture:
    """Draw the day before an alert, the alert, and the day after as far as it is over.

    `counts` are five-minute counts of the brand or slice, `gaps` hours of its sources, of which those that were not
    read wholly are hatched. Without `band` what the alert expected is drawn over the alert itself.
    """
    import altair as alt

    plot = _Plot.of(counts, alert, now)
    known = band or _own_band(plot)
    values = [bar.value for bar in plot.bars] + [one.high for one in known] + [0.1 if plot.of_shares else 4.0]
    frame = Frame(plot.since, plot.until, 0.0, max(values) * 1.15, HEIGHT, "%" if plot.of_shares else ",d")
    with unchecked():
        shade = alt.Chart(rows([{"start": plot.begins, "end": plot.ends}])).mark_rect(color=SHADE)
        layers = [
            *unread(frame, gaps),
            shade.encode(x=across(frame), x2="end:T"),
            _bars(plot, frame),
            *_expectation(plot, frame, known, derived=not band),
            *_labels(plot, frame),
        ]
        chart = alt.layer(*layers).properties(
            title=_title(plot), width=WIDTH, height=HEIGHT, description=summary(alert)
        )
        return picture(chart)


def digest_chart(moods: Moods, gaps: Sequence[Hour] = ()) -> Picture | None:
    """Draw how often brands were mentioned and how that felt, step by step; the first three of them.

    None where there is nothing to draw.
    """
    import altair as alt

    drawn = [(brand, steps) for brand, steps in moods.items() if steps][:BRANDS_SHOWN]
    if not drawn:
        return None
    with unchecked():
        panels = [panel for brand, steps in drawn for panel in _two(brand, steps, gaps)]
        return picture(alt.vconcat(*panels, spacing=18).properties(description="Mentions and net sentiment"))


@dataclass(frozen=True, slots=True)
class _Bar:
    start: datetime
    end: datetime
    value: float
    alarming: bool


@dataclass(frozen=True, slots=True)
class _Plot:
    """What is drawn where. `begins` and `ends` are those of the alert, `since` and `until` those of the picture."""

    alert: Alert
    since: datetime
    until: datetime
    begins: datetime
    ends: datetime
    step: timedelta
    bars: Sequence[_Bar]

    @classmethod
    def of(cls, counts: Sequence[Counts], alert: Alert, now: datetime) -> "_Plot":
        step, until, begins = step_of(alert, now), _until(alert, now), alert.starts
        ends = max(min(_ceil(alert.ends or alert.last_seen), until), begins + step)
        # Of an alert that is over a bar begins with it; of one that goes on a bar ends now: none is cut off.
        first = begins if alert.ends else until
        first -= -((begins - AROUND - first) // step) * step
        count = max((max(until, ends) - first) // step, 1)
        within: list[list[Counts]] = [[] for _ in range(count)]
        for one in counts:
            if first <= one.start < first + count * step:
                within[(one.start - first) // step].append(one)
        edges = [first + number * step for number in range(count + 1)]
        bars = [
            _Bar(start, end, _value(alert, found), begins <= start + step / 2 < ends)
            for start, end, found in zip(edges, edges[1:], within, strict=False)
        ]
        return cls(alert, first, edges[-1], begins, ends, step, bars)

    @property
    def of_shares(self) -> bool:
        return self.alert.rule == "share shift"


def _ceil(time: datetime) -> datetime:
    """The end of the five minutes that a time lies in."""
    return floor(time, FIVE_MINUTES) + FIVE_MINUTES


def _until(alert: Alert, now: datetime) -> datetime:
    last = (alert.ends or alert.last_seen) + AROUND
    return max(_ceil(min(last, now)), _ceil(alert.last_seen))


def _value(alert: Alert, counts: Sequence[Counts]) -> float:
    negative, other = sum(count.negative for count in counts), sum(count.other for count in counts)
    if alert.rule == "share shift":
        return negative / (negative + other) if negative + other else 0.0
    return negative if alert.rule in ("negative spike", "single post") else negative + other


def _own_band(plot: _Plot) -> list[Expected]:
    """What the alert itself expected, for each step of it.

    The interval of a shorter span is narrower, but not in proportion: counts of spans that do not overlap stray
    independently, so it shrinks with the square root.
    """
    alert = plot.alert
    if plot.of_shares:
        usual = alert.usual_share
        return [Expected(plot.since, plot.until, usual, usual, usual)] if usual else []
    if not alert.expected or not alert.window_minutes:
        return []
    part = plot.step / timedelta(minutes=alert.window_minutes)
    mean = alert.expected * part
    if alert.high <= 0:
        return [Expected(plot.begins, plot.ends, mean, mean, mean)]
    low, high = (max(mean + sqrt(part) * (edge - alert.expected), 0.0) for edge in (alert.low, alert.high))
    return [Expected(plot.begins, plot.ends, mean, low, high)]


def _bars(plot: _Plot, frame: Frame) -> "alt.Chart":
    import altair as alt

    air = plot.step * AIR
    found = [
        {"start": bar.start + air, "end": bar.end - air, "zero": 0, "value": bar.value, "alarming": bar.alarming}
        for bar in plot.bars
    ]
    colour = alt.condition("datum.alarming", alt.value(ALARM), alt.value(PALE))
    marks = alt.Chart(rows(found)).mark_rect()
    bars: alt.Chart = marks.encode(x=across(frame), x2="end:T", y=up(frame, "value"), y2="zero:Q", color=colour)
    return bars


def _expectation(plot: _Plot, frame: Frame, band: Sequence[Expected], derived: bool) -> "list[alt.Chart]":
    import altair as alt

    if not band:
        return []
    data = rows(
        [
            {"start": one.start, "end": one.end, "expected": one.expected, "low": one.low, "high": one.high}
            for one in band
        ]
    )
    span = alt.Chart(data).mark_rect(color=USUAL, opacity=0.28)
    line = alt.Chart(data).mark_rule(color=USUAL, strokeDash=[7, 4], strokeWidth=3)
    first = band[0]
    words, left = "expected", True
    if plot.of_shares:
        words = f"usually {percent(first.expected)}"
    elif derived:
        words, left = f"expected about {number(first.expected)}", False
    look = {"align": "left" if left else "right", "baseline": "bottom", "dx": 6 if left else -6, "dy": -3}
    return [
        span.encode(x=across(frame), x2="end:T", y=up(frame, "low"), y2="high:Q"),
        line.encode(x=across(frame), x2="end:T", y=up(frame, "expected")),
        *text(frame, max(first.start, plot.since), first.high, words, color=USUAL, **look),
    ]


def _labels(plot: _Plot, frame: Frame) -> "list[alt.Chart]":
    """Name the shaded span, and say how high its highest bar is."""
    alert = plot.alert
    what = f"the alert, {length((alert.ends or alert.last_seen + FIVE_MINUTES) - alert.starts)}"
    if alert.ends is None:
        what += " so far"
    if alert.rule == "single post":
        what = "the post"
    late = frame.at(plot.begins) > 0.5
    look = {"align": "right" if late else "left", "baseline": "bottom", "dy": -4}
    layers = text(frame, plot.ends if late else plot.begins, frame.top, what, color=ALARM, **look)
    peak = max((bar for bar in plot.bars if bar.alarming), key=lambda bar: bar.value, default=None)
    if peak and peak.value and not plot.of_shares:
        middle = peak.start + plot.step / 2
        layers += text(frame, middle, peak.value, number(peak.value), color=ALARM, baseline="bottom", dy=-3)
    return layers


def _title(plot: _Plot) -> "alt.TitleParams":
    import altair as alt

    kinds = {"negative spike": "negative posts", "single post": "negative posts", "share shift": "share of negatives"}
    what = kinds.get(plot.alert.rule, "mentions")
    every = "hour" if plot.step == HOUR else length(plot.step)
    return alt.TitleParams(
        f"{_drawn(subject(plot.alert))}: {what} per {every}", subtitle=_dates(plot.since, plot.until)
    )


def _drawn(name: str) -> str:
    """A name as it is drawn. Nothing can be clicked: the marks that break links and mentions would be boxes."""
    return harmless(name, NAME_SHOWN).replace("\u200b", "")


def _dates(since: datetime, until: datetime) -> str:
    return f"{since.astimezone(UTC):%a %d %b %H:%M} to {until.astimezone(UTC):%a %d %b %Y %H:%M} UTC"


def _two(brand: str, steps: Sequence[Mood], gaps: Sequence[Hour]) -> "list[alt.LayerChart | alt.FacetChart]":
    """Draw one brand's mentions, and below them its net sentiment."""
    import altair as alt

    since, until = steps[0].start, steps[-1].end
    every = "hour" if steps[0].end - since <= HOUR else "day"
    most = max([step.mentions for step in steps] + [4])
    counted = Frame(since, until, 0.0, most * 1.15, COUNTED)
    widest = max([abs(step.net) for step in steps if step.net is not None and step.rated >= FEW] + [0.2]) * 1.2
    felt = Frame(since, until, -widest, widest, FELT, "+.2f")
    above = alt.TitleParams(
        f"{_drawn(brand)}: mentions per {every}, negative ones dark", subtitle=_dates(since, until), offset=12
    )
    below = alt.TitleParams("Net sentiment", subtitle="(positive - negative) / all rated", fontSize=20, offset=10)
    return [
        alt.layer(*unread(counted, gaps), *_columns(counted, steps)).properties(
            title=above, width=WIDTH, height=COUNTED
        ),
        alt.layer(*unread(felt, gaps), *_course(felt, steps)).properties(title=below, width=WIDTH, height=FELT),
    ]


def _columns(frame: Frame, steps: Sequence[Mood]) -> "list[alt.Chart]":
    import altair as alt

    found = []
    for step in steps:
        air = (step.end - step.start) * AIR
        base = {"start": step.start + air, "end": step.end - air}
        found.append({**base, "low": 0, "high": step.negative, "negative": True})
        found.append({**base, "low": step.negative, "high": step.mentions, "negative": False})
    colour = alt.condition("datum.negative", alt.value(ALARM), alt.value(PALE))
    marks = alt.Chart(rows(found)).mark_rect()
    return [marks.encode(x=across(frame), x2="end:T", y=up(frame, "low"), y2="high:Q", color=colour)]


def _course(frame: Frame, steps: Sequence[Mood]) -> "list[alt.Chart]":
    """Draw net sentiment as a line with a dot for each step; a step of too few posts leaves a hole."""
    import altair as alt

    found = [
        {
            "start": step.start + (step.end - step.start) / 2,
            "net": round(step.net, 4) if step.net is not None and step.rated >= FEW else None,
        }
        for step in steps
    ]
    nothing = alt.Chart(rows([{"start": frame.since, "end": frame.until, "net": 0}])).mark_rule(color=GREY)
    line = alt.Chart(rows(found)).mark_line(
        color=INK, strokeWidth=3, point=alt.OverlayMarkDef(color=INK, size=70), invalid="break-paths-show-path-domains"
    )
    return [
        nothing.encode(x=across(frame), x2="end:T", y=up(frame, "net")),
        line.encode(x=across(frame), y=up(frame, "net")),
    ]
