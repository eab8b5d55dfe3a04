"""The shapes of a drawing: text, boxes, lines, links and hatching, and the scales that they are placed by."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from html import escape

from monitor.plots.style import FONT, SMALL, Plot, colour

MINUS = "−"
KEY = "■"  # before what a colour means
_WIDE_LETTERS = 0.6  # of the type's size, on average
# Controls, marks that turn the direction of text, and private characters, which here are colours.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ue000-\uf8ff\ufeff\ufff9-\uffff\ud800-\udfff]"
)


class Drawing:
    """Collects shapes; all lengths are units of its width, from the top left."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self.width, self.height, self.title = width, height, plain(title)
        self._parts: list[str] = []
        self._links = 0

    def plot(self, data: Sequence[Mapping[str, object]]) -> Plot:
        """Finish it."""
        # Inside an image nothing can be reached: a drawing with links is a group.
        role = "group" if self._links else "img"
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(self.width)} {_n(self.height)}" '
            f'width="{_n(self.width)}" height="{_n(self.height)}" role="{role}" aria-label="{escape(self.title)}" '
            f'font-family="{FONT}" font-size="{SMALL}" fill="{colour("ink")}">'
        )
        return Plot(self.title, head + "".join(self._parts) + "</svg>", tuple(data))

    def include(self, other: "Drawing") -> None:
        """Draw what another one holds."""
        self._parts += other._parts
        self._links += other._links

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Hide what is drawn inside from screen readers: axes, and what links say in words."""
        self._parts.append('<g aria-hidden="true">')
        yield
        self._parts.append("</g>")

    @contextmanager
    def link(self, address: str | None, label: str) -> Iterator[None]:
        """Make what is drawn inside lead somewhere; without an address it only says its label."""
        words = escape(plain(label))
        if address is None:
            self._parts.append(f"<g><title>{words}</title>")
            yield
            self._parts.append("</g>")
            return
        self._links += 1
        self._parts.append(f'<a href="{escape(address)}" aria-label="{words}"><title>{words}</title>')
        yield
        self._parts.append("</a>")

    def rect(
        self, x: float, y: float, width: float, height: float, fill: str, opacity: float = 1.0, radius: float = 0.0
    ) -> None:
        """Fill a box; the fill "none" makes one that can be pointed at and not seen."""
        ink = 'fill-opacity="0" fill' if fill == "none" else "fill"
        self._parts.append(
            f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(max(width, 0))}" height="{_n(max(height, 0))}" '
            f'{ink}="{colour("ink" if fill == "none" else fill)}"{_if("fill-opacity", opacity, 1.0)}'
            f"{_if('rx', radius, 0.0)}/>"
        )

    def line(self, x: float, y: float, x2: float, y2: float, stroke: str, width: float = 1.0, dash: str = "") -> None:
        """Draw a line."""
        self._parts.append(
            f'<line x1="{_n(x)}" y1="{_n(y)}" x2="{_n(x2)}" y2="{_n(y2)}" stroke="{colour(stroke)}" '
            f'stroke-width="{_n(width)}"{_dash(dash)}/>'
        )

    def course(self, points: Sequence[tuple[float, float]], stroke: str, width: float = 2.0, dash: str = "") -> None:
        """Draw a line through points."""
        if len(points) > 1:
            self._parts.append(
                f'<polyline points="{_points(points)}" fill="none" stroke="{colour(stroke)}" '
                f'stroke-width="{_n(width)}" stroke-linejoin="round" stroke-linecap="round"{_dash(dash)}/>'
            )

    def area(self, points: Sequence[tuple[float, float]], fill: str, opacity: float = 1.0) -> None:
        """Fill what points enclose."""
        self._parts.append(
            f'<polygon points="{_points(points)}" fill="{colour(fill)}"{_if("fill-opacity", opacity, 1.0)}/>'
        )

    def dot(self, x: float, y: float, radius: float, fill: str, stroke: str = "") -> None:
        """Draw a dot; with a stroke, a ring."""
        rim = f' stroke="{colour(stroke)}" stroke-width="1.5"' if stroke else ""
        self._parts.append(f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}" fill="{colour(fill)}"{rim}/>')

    def text(
        self,
        x: float,
        y: float,
        words: str,
        fill: str = "ink",
        anchor: str = "start",
        size: float = SMALL,
        bold: bool = False,
        room: float | None = None,
        rim: bool = False,
    ) -> None:
        """Write text on a line, cut to the room that it has; over what is drawn a rim keeps it legible."""
        shown = plain(words) if room is None else fitted(words, room, size)
        look = (
            f"{'' if anchor == 'start' else f' text-anchor={chr(34)}{anchor}{chr(34)}'}{_if('font-size', size, SMALL)}"
        )
        weight = ' font-weight="600"' if bold else ""
        if rim:
            weight += f' stroke="{colour("card")}" stroke-width="4" stroke-linejoin="round" paint-order="stroke"'
        self._parts.append(
            f'<text x="{_n(x)}" y="{_n(y)}" fill="{colour(fill)}"{look}{weight}>{escape(shown, quote=False)}</text>'
        )

    def runs(self, x: float, y: float, words: Sequence[tuple[str, str, float]], bold: str = "") -> None:
        """Write pieces of text one after the other, however wide the letters are: each is text, colour, opacity.

        `bold` stands before them.
        """
        head = f'<tspan font-weight="600" font-size="13">{escape(plain(bold), quote=False)}</tspan>' if bold else ""
        body = "".join(
            f'<tspan dx="{8 if text == KEY else 3}" fill="{colour(fill)}"{_if("fill-opacity", opacity, 1.0)}>'
            f"{escape(plain(text), quote=False)}</tspan>"
            for text, fill, opacity in words
        )
        self._parts.append(f'<text x="{_n(x)}" y="{_n(y)}">{head}{body}</text>')

    def hatch(self, x: float, y: float, width: float, height: float, step: float = 6.0) -> None:
        """Hatch a box: what was not read."""
        self.rect(x, y, width, height, "raised")
        strokes = []
        for number in range(-int(height / step), int(width / step) + 1):
            left = number * step
            first, last = max(left, 0.0), min(left + height, width)
            if first < last:
                low, high = (y + height - (at - left) for at in (first, last))
                strokes.append(f"M{_n(x + first)},{_n(low)}L{_n(x + last)},{_n(high)}")
        if strokes:
            self._parts.append(f'<path d="{"".join(strokes)}" stroke="{colour("edge")}" stroke-width="0.8"/>')


def plain(words: str) -> str:
    """Take out of text what is not seen and could change how the rest is."""
    return _UNSEEN.sub("", words)


def fitted(words: str, room: float, size: float = SMALL) -> str:
    """Cut text to about the room that it has."""
    words = plain(words)
    letters = max(int(room / (size * _WIDE_LETTERS)), 1)
    return words if len(words) <= letters else words[: letters - 1].rstrip() + "…"


def signed(value: float, digits: int = 2) -> str:
    """Write a number with its sign, +0.12; what rounds to nothing has none."""
    shown = f"{abs(value):.{digits}f}"
    return shown if float(shown) == 0 else f"{'+' if value > 0 else MINUS}{shown}"


def whole(value: float) -> str:
    """Write a count."""
    return f"{value:,.0f}"


def part(value: float) -> str:
    """Write a share."""
    return f"{value * 100:.0f} %" if value >= 0.0995 or value == 0 else f"{value * 100:.1f} %"


def ticks(top: float, most: int = 4) -> list[float]:
    """Choose round numbers from 0 to where an axis ends; the last one lies at or above `top`."""
    top = max(top, 1e-9)
    size = 10 ** math.floor(math.log10(top / most))
    step = next(size * times for times in (1, 2, 5, 10) if size * times * most >= top * 0.999999)
    return [number * step for number in range(math.ceil(top / step - 1e-9) + 1)]


def when(start: datetime, end: datetime) -> str:
    """Name a step."""
    hour, day = timedelta(hours=1), timedelta(days=1)
    if end - start <= hour:
        return f"{start:%a} {start.day} {start:%b %H:%M} UTC"
    if end - start <= day:
        return f"{start:%a} {start.day} {start:%b %Y}"
    last = end - hour
    return f"{start.day} {start:%b} to {last.day} {last:%b %Y}"


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _if(name: str, value: float, usual: float) -> str:
    return "" if value == usual else f' {name}="{value:g}"'


def _dash(dash: str) -> str:
    return f' stroke-dasharray="{dash}"' if dash else ""


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
