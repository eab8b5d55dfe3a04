"""How pages say numbers, labels and places: thin spaces, real minus signs, plain words."""

from datetime import UTC, datetime

from db.labels import UNSURE
from db.posts import NOT_RATED

THIN = "\u202f"  # a narrow space at which no line breaks
MINUS = "\u2212"

_LABELS = {
    NOT_RATED: "not rated",
    UNSURE: "unsure",
    "none": "not named",
    "contact_centre": "contact centre",
    "appstore": "App Store",
    "hackernews": "Hacker News",
    "x": "X",
    "youtube": "YouTube",
}


def number(value: int | float) -> str:
    """Write a whole number in groups of three: 12 345."""
    return f"{value:,.0f}".replace(",", THIN).replace("-", MINUS)


def signed(value: float) -> str:
    """Write net sentiment, from -1 to 1, with its sign: +0.12."""
    rounded = round(value, 2)
    return "0.00" if rounded == 0 else f"{rounded:+.2f}".replace("-", MINUS)


def plain(value: float) -> str:
    """Write how large a difference is, without its sign."""
    return f"{abs(value):.2f}"


def around(low: float, high: float) -> str:
    """Write between what net sentiment lies."""
    return f"{signed(low)} to {signed(high)}"


def percent(share: float) -> str:
    """Write a share: 12 %, and below one percent with a digit more."""
    shown = f"{share * 100:.1f}" if 0 < share < 0.01 else f"{share * 100:.0f}"
    return f"{shown}{THIN}%"


def label(name: str) -> str:
    """Write a label, a source or a stage as people say it."""
    return _LABELS.get(name, name.replace("_", " "))


def title(name: str) -> str:
    """Write a label at the beginning of a line."""
    said = label(name)
    return f"{said[:1].upper()}{said[1:]}"


def stage(name: str) -> str:
    """Write a stage at the beginning of a line."""
    return {"none": "No stage", UNSURE: "Unsure"}.get(name) or title(name)


def day(at: datetime) -> str:
    """Write a day: 4 Mar 2026."""
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b %Y}"


def moment(at: datetime) -> str:
    """Write a time: 2026-03-04 12:00, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"
