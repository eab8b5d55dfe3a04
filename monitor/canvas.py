"""What charts share: the frame they are drawn in, its axes, text in it, hours that were not read, and the image.

They are read on a phone and printed in grey: large type, dark against light, labels beside what they name.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from db.coverage import COMPLETE, HOUR, MISSING
from db.records import Hour
from db.times import floor, to_text

if TYPE_CHECKING:
    import altair as alt

WIDTH = 800  # pixels of the plot
SCALE = 2  # image pixels for each of these
FONT = "Liberation Sans, Arial, Helvetica, DejaVu Sans, sans-serif"
INK, PALE, GREY = "#1b1f23", "#a9b4bd", "#57606a"
ALARM, SHADE = "#9c1c14", "#fbe7e4"
USUAL = "#1f5fa8"
UNREAD, STRIPE = "#f0f0f0", "#8f8f8f"
STRIPES = 14  # pixels between two


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart as a Vega-Lite specification with everything in it: nothing is fetched."""

    specification: dict[str, Any]

    def png(self) -> bytes:
        """Draw it for a message."""
        import vl_convert

        return vl_convert.vegalite_to_png(self.specification, scale=SCALE, allowed_base_urls=[])

    def svg(self) -> str:
        """Draw it for a page."""
        import vl_convert

        return vl_convert.vegalite_to_svg(self.specification, allowed_base_urls=[])


@dataclass(frozen=True, slots=True)
class Frame:
    """The span of time, the values and the pixels that a plot has."""

    since: datetime
    until: datetime
    bottom: float
    top: float
    height: int
    form: str = ",d"  # of the values

    @property
    def pixel(self) -> timedelta:
        """How long a pixel is."""
        return (self.until - self.since) / WIDTH

    def at(self, time: datetime) -> float:
        """Where a time lies, from 0 to 1."""
        return (time - self.since) / (self.until - self.since)


@contextmanager
def unchecked() -> Iterator[None]:
    """Make charts without holding each part of them against the schema of Vega-Lite, which takes most of the time.

    What can vary in our charts are numbers, times and text; tests draw each kind.
    """
    from altair.utils.schemapi import debug_mode

    with debug_mode(False):
        yield


def rows(found: Sequence[dict[str, Any]]) -> "alt.InlineData":
    """Put rows into a chart, times as text."""
    import altair as alt

    return alt.InlineData(
        values=[{k: to_text(v) if isinstance(v, datetime) else v for k, v in row.items()} for row in found]
    )


def across(frame: Frame, labels: bool = True) -> "alt.X":
    """Make the axis of time, in UTC: whole days, or quarters of one."""
    import altair as alt

    span = frame.until - frame.since
    long = span > timedelta(days=4)
    every = timedelta(days=max(round(span / timedelta(days=8)), 1)) if long else timedelta(hours=6)
    tick = floor(frame.since, timedelta(days=1))
    ticks = []
    while tick <= frame.until:
        if tick >= frame.since:
            ticks.append(tick.timestamp() * 1000)
        tick += every
    label = "utcFormat(datum.value, utchours(datum.value) === 0 ? '%a %d %b' : '%H:%M')"
    axis = alt.Axis(
        title=None, labelExpr=label, values=ticks, grid=False, labels=labels, labelOverlap="greedy", labelFlush=False
    )
    edges = [to_text(frame.since), to_text(frame.until)]
    return alt.X("start:T", axis=axis, scale=alt.Scale(type="utc", domain=edges, nice=False))


def up(frame: Frame, field: str) -> "alt.Y":
    """Make the axis of values."""
    import altair as alt

    least = 1 if frame.form == ",d" else 0.05
    axis = alt.Axis(title=None, format=frame.form, tickCount=4, tickMinStep=least, domain=False, minExtent=60)
    return alt.Y(f"{field}:Q", axis=axis, scale=alt.Scale(domain=[frame.bottom, frame.top], nice=False))


def text(frame: Frame, at: datetime, value: float, words: str, **look: Any) -> "list[alt.Chart]":
    """Write text over whatever lies there: a white rim keeps it legible."""
    import altair as alt

    layers = []
    row = rows([{"start": at, "y": value, "text": words}])
    for rim in ({"stroke": "white", "strokeWidth": 5, "strokeJoin": "round"}, {}):
        mark = alt.Chart(row).mark_text(fontSize=18, fontWeight="bold", **{**look, **rim})
        layers.append(mark.encode(x=across(frame), y=up(frame, "y"), text="text:N"))
    return layers


def unread(frame: Frame, hours: Sequence[Hour]) -> "list[alt.Chart]":
    """Hatch what was not read wholly on every source: an empty place would look like silence."""
    import altair as alt

    spans = _spans(frame, hours)
    if not spans:
        return []
    rise = (frame.top - frame.bottom) / frame.height  # of a pixel
    lines = []
    for start, end in spans:
        wide = (end - start) / frame.pixel
        for stripe in range(-int(frame.height / STRIPES), int(wide / STRIPES) + 1):
            left = stripe * STRIPES  # where the line would meet the bottom; it rises one pixel in one
            first, last = max(left, 0), min(left + frame.height, wide)
            if first < last:
                ends = {"start": start + first * frame.pixel, "end": start + last * frame.pixel}
                y, y2 = (frame.bottom + (x - left) * rise for x in (first, last))
                lines.append({**ends, "y": y, "y2": y2})
    ground = alt.Chart(rows([{"start": start, "end": end} for start, end in spans])).mark_rect(color=UNREAD)
    stripes = alt.Chart(rows(lines)).mark_rule(color=STRIPE, strokeWidth=1)
    widest = max(spans, key=lambda span: span[1] - span[0])
    late = frame.at(widest[0]) > 0.8
    look = {"align": "right" if late else "left", "baseline": "top", "dx": -5 if late else 5, "dy": 6}
    words = "not read" if _nothing_read(hours) else "partly read"
    return [
        ground.encode(x=across(frame), x2="end:T"),
        stripes.encode(x=across(frame), x2="end:T", y=up(frame, "y"), y2="y2:Q"),
        *text(frame, widest[1] if late else widest[0], frame.top, words, color=GREY, **look),
    ]


def _nothing_read(hours: Sequence[Hour]) -> bool:
    """Whether nothing at all was read in the hours that are not complete."""
    short = {hour.start for hour in hours if hour.state != COMPLETE}
    return all(hour.state == MISSING for hour in hours if hour.start in short)


def _spans(frame: Frame, hours: Sequence[Hour]) -> list[tuple[datetime, datetime]]:
    """Join the hours that were not read wholly on every source, as far as they are in the picture."""
    spans: list[tuple[datetime, datetime]] = []
    for start in sorted({hour.start for hour in hours if hour.state != COMPLETE}):
        first, last = max(start, frame.since), min(start + HOUR, frame.until)
        if first >= last:
            continue
        if spans and spans[-1][1] == first:
            spans[-1] = (spans[-1][0], last)
        else:
            spans.append((first, last))
    return spans


def picture(chart: "alt.LayerChart | alt.FacetChart | alt.VConcatChart") -> Picture:
    """Give a chart its looks."""
    styled = (
        chart.configure(font=FONT, background="white", padding={"left": 8, "right": 22, "top": 10, "bottom": 8})
        .configure_title(
            anchor="start",
            fontSize=25,
            subtitleFontSize=18,
            color=INK,
            subtitleColor=GREY,
            offset=32,
            subtitlePadding=6,
            limit=WIDTH,
        )
        .configure_axis(labelFontSize=18, labelColor=INK, gridColor="#e3e6e8", tickColor=GREY, domainColor=GREY)
        .configure_view(stroke=None)
    )
    return Picture(styled.to_dict(validate=False))
