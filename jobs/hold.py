"""Why nobody is told of an alert now: another one explains it, or somebody has silenced it. Pure."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from db.records import Alert, Silence

# An alert of these rules is inhibited while a negative spike of the brand goes on: it is told there. So is a single
# post that only carries far; one that is severe is told alone.
EXPLAINED_BY_SPIKE = ("volume spike", "share shift", "single post")

SILENCED = "silenced"


def held(
    alert: Alert, others: Iterable[Alert], silences: Sequence[Silence], untold: Sequence[str], now: datetime
) -> str | None:
    """Say why nobody is told of an alert, or None. First it may be inhibited, then silenced.

    `others` are all alerts of late, or the `causes` among them; `untold` are the brands that are watched but not told
    of (competitors).
    """
    if alert.brand in untold:
        return "a competitor's: competitors = true in [alerts] tells of them"
    return _inhibited(alert, others, lambda other: silenced(other, silences, now) is not None) or silenced(
        alert, silences, now
    )


def stories(alerts: Sequence[Alert]) -> list[Alert]:
    """Return the alerts that no other one explains, in their order: what people are shown unless they want all.

    A silence changes who is told, not what explains what. `Alerts.find` (db/alerts.py) says the same of stored ones.
    """
    others = causes(alerts)
    return [alert for alert in alerts if _inhibited(alert, others, lambda other: False) is None]


def causes(alerts: Iterable[Alert]) -> list[Alert]:
    """Return those that others may be part of. They are few: thousands, each asked of each, would take seconds."""
    return [alert for alert in alerts if _explains(alert)]


def _explains(alert: Alert) -> bool:
    """Whether others may be part of it: it is a spike of a whole brand, or a source that is not read."""
    if alert.rule == "stale source":
        return not alert.stream  # where one stream lacks, the hours count as partly read, and nobody is silent in them
    return alert.rule == "negative spike" and not alert.scope


def _inhibited(alert: Alert, others: Iterable[Alert], is_silenced: Callable[[Alert], bool]) -> str | None:
    """What nobody is told of explains nothing."""
    for other in others:
        if other.id == alert.id or not _explains(other) or not at_the_same_time(alert, other):
            continue
        if other.rule == "stale source":
            if alert.rule == "silence":
                return f"inhibited: the source {other.scope} was not read"
            continue
        is_slice = alert.rule == "negative spike" and alert.scope
        explained = alert.rule in EXPLAINED_BY_SPIKE and not (
            alert.rule == "single post" and alert.severity != "warning"
        )
        if other.brand == alert.brand and (is_slice or explained) and not is_silenced(other):
            return f"inhibited: part of alert {other.id}, {other.rule}"
    return None


def at_the_same_time(alert: Alert, other: Alert) -> bool:
    """Whether two alerts overlap."""
    return (alert.ends is None or other.starts <= alert.ends) and (other.ends is None or alert.starts <= other.ends)


def silenced(alert: Alert, silences: Iterable[Silence], now: datetime) -> str | None:
    """Say who has silenced an alert at present, or None."""
    for silence in silences:
        if (
            silence.starts <= now < silence.ends
            and silence.brand in (None, alert.brand)
            and silence.rule in (None, alert.rule)
            and silence.scope in (None, "", alert.scope)  # one on all of a brand holds its slices too
        ):
            return f"{SILENCED} by {silence.author} until {silence.ends:%Y-%m-%d %H:%M} UTC (silence {silence.id})"
    return None
