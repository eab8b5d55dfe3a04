"""Digests: when one is due, and what it says of a day or a week."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from db.coverage import COMPLETE, MISSING
from db.records import Alert, Delivery, Hour
from db.store import Store
from db.times import to_text, to_text_or_none
from jobs import report
from jobs.channel import Message
from jobs.facts import VERSION, name
from jobs.letter import CHART, Block, Letter, Page, plain
from jobs.links import NO_LINKS, Links
from jobs.moods import Mood, Moods
from jobs.outlet import DigestTime
from jobs.period import About, BrandPeriod, Period, everything, gather
from jobs.wording import (
    BRAND_SHOWN,
    NAME_SHOWN,
    between,
    harmless,
    length,
    parts,
    percent,
    posts,
    summary,
)

Draw = Callable[[Moods, Sequence[Hour]], bytes | None]  # a PNG, of each brand's steps and the hours of all sources

LONG = 3_500  # characters of plain text
# After its time a first digest is not sent any more (it comes at the next one), and what is true of now is dated.
LATE = timedelta(hours=1)
ALERTS_SHOWN = 6
ALERT_SHOWN = 160  # characters
GAPS_SHOWN = 6
BRANDS_SHOWN = 12
PART_LEAST = 0.25  # of the negatives, from which on a slice is named
JUDGED_LEAST = 30  # posts, below which nothing is said of accuracy

_DAYS = {"daily": 1, "weekly": 7}
_TITLES = {"daily": "Daily digest", "weekly": "Weekly report"}


def due(last: Delivery | None, when: DigestTime, now: datetime) -> tuple[datetime, datetime] | None:
    """Return the span of the digest to be sent now, or None.

    A day ends at the time of day `when.at` in its zone, a week on Monday at that time. After a long pause the last full
    one is told, those before it are not. The first digest is sent when its time comes, not at once.
    """
    local = now.astimezone(when.zone)
    day = local.date() - timedelta(days=local.weekday() if when.every == "weekly" else 0)
    until = datetime.combine(day, when.at, when.zone).astimezone(UTC)
    days = timedelta(days=_DAYS[when.every])
    if until > now:
        day -= days
        until = datetime.combine(day, when.at, when.zone).astimezone(UTC)
    since = datetime.combine(day - days, when.at, when.zone).astimezone(UTC)
    if last is None or last.until is None:
        return (since, until) if now - until < LATE else None
    # Where the time of day was changed, what has mostly been told is not told again.
    return (since, until) if until - last.until > days / 2 else None


def compose_digest(
    store: Store,
    delivery: Delivery,
    key: str,
    links: Links = NO_LINKS,
    about: About | None = None,
    draw: Draw | None = None,
    page: Page | None = None,
    draw_journey: report.DrawJourney | None = None,
) -> Message:
    """Write the digest of a delivery's span, about every brand unless `about` says which; of a week a report."""
    until = delivery.until or delivery.created_at
    since = delivery.since or until - timedelta(days=1)
    about = about or everything(store)
    period = gather(store, about, since, until, delivery.created_at)
    chart = draw(period.moods, [hour for hours in period.hours.values() for hour in hours]) if draw else None
    facts, pictures, more = _facts(period, key, delivery.reason), dict[str, bytes](), list[Block]()
    if delivery.reason == "weekly":
        told = report.gather(store, about, since, until, delivery.created_at)
        journey = draw_journey(told.journey) if draw_journey else None
        if journey:
            pictures[report.JOURNEY] = journey
        more = report.blocks(told, journey is not None)
        facts |= report.facts(told)
    letter = _letter(period, delivery.reason, links, chart is not None, more)
    return Message(
        key=key,
        title=letter.title,
        body=plain(replace(letter, notes=[*letter.notes, "A chart is attached."]) if chart else letter, LONG),
        html=page(letter) if page else None,
        image=chart,
        pictures=pictures,
        facts=facts,
    )


def _letter(period: Period, every: str, links: Links, charted: bool, more: Sequence[Block]) -> Letter:
    own = period.own[:BRANDS_SHOWN]
    mentions = sum(each.now.mentions for each in period.own)
    alerts = [alert for each in period.own for alert in each.alerts if not alert.held]
    lead = f"{posts(mentions, 'mention')}, {posts(len(alerts), 'alert')}"
    if len(period.own) > 1:
        lead += f", {len(period.own)} brands"
    blocks = [Block([], picture=CHART, alt="Mentions and net sentiment, step by step")] if charted else []
    blocks += [block for each in own for block in _brand(each, period)]
    blocks += [
        *more,
        Block([_rivals(period.competitors)] if period.competitors else [], spare=2),
        Block(_gaps(period.hours), "Not read", listed=True, spare=1),
        Block(_accuracy(period), spare=3),
    ]
    notes = ["Net sentiment is (positive - negative) / all rated posts, from -1 to +1. Times are in UTC."]
    return Letter(
        title=f"{_TITLES[every]}, {between(period.since, period.until)}",
        lead=f"{lead}.",
        blocks=blocks,
        links=[("All of it", links.base)] if links.base else [],
        notes=notes,
    )


def _brand(each: BrandPeriod, period: Period) -> list[Block]:
    now, before = each.now, each.before
    figures = [("Mentions", f"{now.mentions:,}, {before.mentions:,} in the period before")]
    if now.net is not None:
        figures.append(("Net sentiment", _feeling(each)))
        figures.append(("Negative", f"{now.negative:,}, {percent(now.negative / now.rated)} of the rated"))
    if now.not_rated:
        figures.append(("Not rated", f"{now.not_rated:,}"))
    as_of = f", as of {period.now:%a %Y-%m-%d %H:%M}" if period.now - period.until > LATE else ""
    figures.append(("Waiting for an answer", f"{each.waiting:,}{as_of}"))
    lines = _where(each)
    if each.new_terms:
        lines.append("New words: " + ", ".join(harmless(term, NAME_SHOWN) for term in each.new_terms))
    told = [alert for alert in each.alerts if not alert.held]
    listed = [_alert(alert, period) for alert in told[:ALERTS_SHOWN]]
    more = len(told) - len(listed)
    held = len(each.alerts) - len(told)
    if more or held:
        listed.append(" and ".join([f"{more} more"] * bool(more) + [f"{held} held back"] * bool(held)))
    return [
        Block(lines, harmless(each.brand, BRAND_SHOWN), figures=figures, spare=1),
        Block(listed, "Alerts", listed=True, spare=2),
    ]


def _feeling(each: BrandPeriod) -> str:
    now, before = each.now, each.before
    text = f"{now.net:+.2f}"
    if each.change is None:
        return f"{text} on {now.rated:,} rated posts, nothing to compare with"
    text += f", {before.net:+.2f} before ({now.rated:,} and {before.rated:,} rated posts"
    return text + ("; the change may be chance)" if each.may_be_chance else ")")


def _where(each: BrandPeriod) -> list[str]:
    """Name the stage and the pillar that most of the negatives had, where there is one that stands out."""
    chosen = []
    for kind in ("source", "stage", "pillar"):
        found = [part for part in each.parts if part.kind == kind]
        most = max(found, key=lambda part: part.observed, default=None)
        total = sum(part.observed for part in found)
        if most and total and most.observed >= PART_LEAST * total and most.name != "none" and len(found) > 1:
            chosen.append(most)
    text = parts(chosen, each.parts)
    return [f"Its negatives: {text[0].lower()}{text[1:]}."] if text else []


def _alert(alert: Alert, period: Period) -> str:
    """Tell of an alert what it was and what became of it."""
    outcome = f"over after {length(alert.ends - alert.starts)}" if alert.ends else "going on"
    if alert.rule == "single post":
        outcome = ""
    said = period.said.get(alert.id)
    judged = f"{said.word}, says {harmless(said.who, NAME_SHOWN)}" if said else "not judged yet"
    taken = f"taken by {harmless(alert.taken_by, NAME_SHOWN)}" if alert.taken_by else ""
    told = harmless(f"{alert.rule.capitalize()} of {alert.starts:%a %d %b %H:%M}: {summary(alert)}", ALERT_SHOWN)
    return f"{told} ({', '.join(text for text in (outcome, taken, judged) if text)})"


def _rivals(competitors: Sequence[BrandPeriod]) -> str:
    told = [
        f"{harmless(each.brand, NAME_SHOWN)} "
        + (f"{each.now.net:+.2f}" if each.now.net is not None else "not rated")
        + f" ({posts(each.now.mentions, 'mention')})"
        for each in competitors[:BRANDS_SHOWN]
    ]
    return "Competitors' net sentiment: " + ", ".join(told) + "."


def _gaps(sources: Mapping[str, Sequence[Hour]]) -> list[str]:
    """Tell of each source how many hours were not read wholly, and why the last of them was not."""
    lines = []
    for source, hours in sources.items():
        missing = [hour for hour in hours if hour.state == MISSING]
        partial = [hour for hour in hours if hour.state not in (COMPLETE, MISSING)]
        counts = [f"{len(missing)} not at all"] * bool(missing) + [f"{len(partial)} in part"] * bool(partial)
        if counts:
            why = next((hour.cause for hour in reversed([*partial, *missing]) if hour.cause), None)
            tail = f" ({why})" if why else ""
            lines.append(f"{harmless(source, NAME_SHOWN)}: of {len(hours)} hours {' and '.join(counts)}{tail}")
    more = len(lines) - GAPS_SHOWN
    return [*lines[:GAPS_SHOWN], f"and {more} more sources"] if more > 0 else lines


def _interval(period: Period) -> tuple[float, float]:
    """The 95 % interval of how often the model agrees with people, by Wilson."""
    from scipy.stats import binomtest

    found = binomtest(period.agreed, period.judged).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def _accuracy(period: Period) -> list[str]:
    if period.judged < JUDGED_LEAST:
        return []
    low, high = _interval(period)
    return [
        f"How good the model is: of {posts(period.judged)} drawn at random and judged by people, it had the sentiment "
        f"of {percent(period.agreed / period.judged)} right ({percent(low)} to {percent(high)})."
    ]


def _facts(period: Period, key: str, every: str) -> dict[str, Any]:
    """Write a digest for programs: `kind` "digest", numbers as in the text, `change` of net sentiment, steps."""
    low, high = _interval(period) if period.judged else (None, None)
    return {
        "kind": "digest",
        "version": VERSION,
        "key": key,
        "every": every,
        "since": to_text(period.since),
        "until": to_text(period.until),
        "brands": [_brand_facts(each, period) for each in period.own],
        "competitors": [{"brand": name(each.brand), **_mood(each.now)} for each in period.competitors],
        "hours": {
            name(source): {
                state: sum(hour.state == state for hour in hours) for state in sorted({h.state for h in hours})
            }
            for source, hours in period.hours.items()
        },
        "accuracy": {"judged": period.judged, "agreed": period.agreed, "low": low, "high": high},
    }


def _brand_facts(each: BrandPeriod, period: Period) -> dict[str, Any]:
    said = period.said
    return {
        "brand": name(each.brand),
        **_mood(each.now),
        "before": _mood(each.before),
        "change": None if each.change is None else round(each.change, 4),
        "may_be_chance": each.may_be_chance,
        "waiting": each.waiting,
        "new_terms": [harmless(term, NAME_SHOWN) for term in each.new_terms],
        "negatives": [
            {"kind": part.kind, "name": name(part.name), "negative": part.observed}
            for part in each.parts
            if part.observed
        ],
        "alerts": [
            {
                "alert_id": alert.id,
                "rule": alert.rule,
                "severity": alert.severity,
                "summary": summary(alert),
                "starts": to_text(alert.starts),
                "ends": to_text_or_none(alert.ends),
                "held": harmless(alert.held) if alert.held else None,
                "taken_by": harmless(alert.taken_by, NAME_SHOWN) if alert.taken_by else None,
                "word": said[alert.id].word if alert.id in said else None,
            }
            for alert in each.alerts
        ],
        "steps": [{"start": to_text(step.start), **_mood(step)} for step in period.moods.get(each.brand, ())],
    }


def _mood(mood: Mood) -> dict[str, Any]:
    return {
        "mentions": mood.mentions,
        "negative": mood.negative,
        "neutral": mood.neutral,
        "positive": mood.positive,
        "not_rated": mood.not_rated,
        "net_sentiment": None if mood.net is None else round(mood.net, 4),
    }
