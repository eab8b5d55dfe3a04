"""The colours of charts, as the pages have them (static/app.css), and what becomes of a drawing.

A colour stands in a drawing under its name, between two characters that no text can hold. It is put in at the end: the
page's own variables, so that one drawing is right by day and by night, or those of one of them for a file.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LIGHT: Mapping[str, str] = {
    "ink": "#1b1f23",
    "soft": "#545d66",
    "line": "#d8dce0",
    "edge": "#7d868f",
    "card": "#ffffff",
    "raised": "#eef1f4",
    "accent": "#1f5fa8",
    "negative": "#a8281e",
    "neutral": "#545d66",
    "positive": "#0f6b55",
    "warning": "#8a4a08",
    "urgent": "#9c1c14",
}
DARK: Mapping[str, str] = {
    "ink": "#e8eaed",
    "soft": "#a9b2bb",
    "line": "#333a41",
    "edge": "#87919b",
    "card": "#1a1e22",
    "raised": "#242a30",
    "accent": "#8bb9f0",
    "negative": "#ff9b8f",
    "neutral": "#b0b8c0",
    "positive": "#6fd3b5",
    "warning": "#f2b36b",
    "urgent": "#ff9b8f",
}
WIDE, NARROW = 860, 360  # units of a drawing's width; a unit is about a pixel
FONT = "system-ui, Liberation Sans, Arial, sans-serif"
SMALL = 12  # type, in units
SCALE = 2.0  # image pixels for each unit
_OPEN, _CLOSE = "\ue000", "\ue001"
_COLOUR = re.compile(f"{_OPEN}([a-z]+){_CLOSE}")


def colour(name: str) -> str:
    """Return what stands for a colour in a drawing."""
    return f"{_OPEN}{name}{_CLOSE}"


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawn chart. `data` are its rows, for who wants them as a table; `title` says what it shows.

    It has no scripts, no style attributes and no ids, so that many can stand in one page under any content policy.
    """

    title: str
    drawing: str
    data: tuple[Mapping[str, object], ...]

    def inline(self) -> str:
        """Return it for a page: its colours are the variables of app.css, light or dark as the page is."""
        return _COLOUR.sub(lambda found: f"var(--{found[1]})", self.drawing)

    def svg(self, dark: bool = False) -> str:
        """Return it as a file of its own, on its own ground."""
        colours = DARK if dark else LIGHT
        drawn = _COLOUR.sub(lambda found: colours[found[1]], self.drawing)
        head, _, rest = drawn.partition(">")
        return f'{head}><rect width="100%" height="100%" fill="{colours["card"]}"/>{rest}'

    def png(self, dark: bool = False) -> bytes:
        """Return it as a picture, for a download or a letter. Nothing is fetched."""
        import vl_convert

        return vl_convert.svg_to_png(self.svg(dark), scale=SCALE)


def columns(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """Name the columns of a chart's rows, in the order in which they come."""
    return list(dict.fromkeys(name for row in rows for name in row))
