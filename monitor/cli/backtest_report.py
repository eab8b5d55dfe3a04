"""What a backtest shows: alerts at each threshold, the list of them, and the simple rules of others beside it."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import click

from db.records import WORDS, Alert, Feedback
from db.times import FIVE_MINUTES, to_text, to_text_or_none
from jobs.raise_alert import NEGATIVE, VOLUME
from jobs.replay import SETTLING, Replayed, Told
from jobs.rules import Sensitivity
from jobs.wording import length, number, place, window
from models import backtest, volume
from models.backtest import THRESHOLDS, Series
from models.counts import Array
from models.rivals import RIVALS, Rival
from monitor.cli import output
from monitor.words import counted

KINDS = {backtest.NEGATIVE: NEGATIVE, backtest.VOLUME: VOLUME}
NEEDS_SHARES = "share up in 3 hours"  # of the rivals: all mentions are no share
Shown = Mapping[float, Sequence[Told]]  # by threshold of negative spikes


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to know of a brand. `own` is how closely it is watched now."""

    brand: str
    since: datetime
    until: datetime
    threshold: float
    minimum: int
    own: Sensitivity
    remarks: Sequence[str]
    config: str | None  # the file in which the brand has an entry


@dataclass(frozen=True, slots=True)
class Beside:
    """What a rival would have sent, and when."""

    rival: Rival
    at: Sequence[datetime]


def of_series(name: str, series: Series, threshold: float, minimum: int) -> None:
    """Print what was found in a file."""
    times, start = series.rows.times, series.counts.start + FIVE_MINUTES * series.rows.before
    span = series.until - start
    when = f"{output.utc(times[0])} to {output.utc(times[-1])} UTC, {length(span)}"
    click.echo(output.printable(f"{name}: {counted(len(times), 'row')}, {when}"))
    if span <= SETTLING:
        click.echo("48 hours of history are needed before anything can be told from chance.")
        return
    kinds = {look.kind: KINDS[look.kind] for look in series.looks}
    shown: dict[float, Sequence[Told]] = {}
    for least in _ladder(threshold):
        thresholds = {backtest.NEGATIVE: least, backtest.VOLUME: volume.THRESHOLD}
        told = [Told(rule, "", story) for kind, rule in kinds.items() for story in series.told(kind, thresholds)]
        shown[least] = sorted(told, key=lambda one: one.at)
    watched = backtest.NEGATIVE in kinds
    if watched:
        _print_ladder(shown, Sensitivity().threshold, "default", minimum)
    _print_list(shown[threshold], length(span), f"threshold {threshold:g}" if watched else None, series.offset)
    here = slice(series.rows.before, None)
    negatives, others = series.counts.negatives[0, here], series.counts.others[0, here]
    _print_rivals(_beside(negatives, others, start, start, watched), watched)


def of_brand(
    asked: Asked, found: Replayed | None, raised: Sequence[Alert], said: Mapping[int, Feedback], as_json: bool
) -> None:
    """Print what was found of a brand; `raised` are the alerts of that time, `said` is what people said of them."""
    raised = [alert for alert in raised if alert.rule in (NEGATIVE, VOLUME)]
    shown: dict[float, Sequence[Told]] = {}
    beside: Sequence[Beside] = ()
    if found:
        for least in _ladder(asked.threshold):
            thresholds = {NEGATIVE: least, VOLUME: volume.THRESHOLD}
            told = [one for rule in (NEGATIVE, VOLUME) for one in found.told(rule, thresholds)]
            shown[least] = sorted(told, key=lambda one: one.at)
        beside = _beside(found.negatives, found.others, found.start, asked.since, True)
    if as_json:
        output.print_json(_document(asked, found, shown, beside, raised, said))
        return
    brand = output.printable(asked.brand)
    span = length(asked.until - asked.since)
    click.echo(f"{brand}: {output.utc(asked.since)} to {output.utc(asked.until)} UTC, {span}")
    if found is None or found.until - found.first < SETTLING:
        _print_too_young(brand, found)
        return
    if found.first + SETTLING > asked.since:
        click.echo(f"its posts begin at {output.utc(found.first)} UTC; the 48 hours after that are learnt from")
    for remark in asked.remarks:
        click.echo(output.printable(remark))
    words = {least: [_word(one, raised, said) for one in told] for least, told in shown.items()}
    judged = words if any(word for said_of in words.values() for word in said_of) else None
    _print_ladder(shown, asked.own.threshold, "now", asked.minimum, judged)
    chosen = shown[asked.threshold]
    _print_list(
        chosen, span, f"threshold {asked.threshold:g}", timedelta(0), [_mark(one, raised, said) for one in chosen]
    )
    others = [alert for alert in raised if not alert.held and not any(one.is_told_by(alert) for one in chosen)]
    if others:
        click.echo("Really raised at that time, and not among these:")
    for alert in others:
        word = said[alert.id].word if alert.id in said else "not judged"
        click.echo(output.printable(f"  alert {alert.id} ({word}), {output.utc(alert.starts)} UTC: {alert.summary}"))
    _print_rivals(beside, True)
    if asked.config:
        minimum = f"\n  minimum = {asked.minimum}" if asked.minimum != asked.own.minimum else ""
        click.echo(
            output.printable(f"To save a threshold, write it into the entry of {asked.brand} in {asked.config}:")
            + f"\n  threshold = {asked.threshold:.1f}{minimum}"
        )


def _print_too_young(brand: str, found: Replayed | None) -> None:
    more = f"`sentimon backfill --brand {shlex.quote(brand)} --since 30d` reads what was posted before"
    if found is None:
        click.echo(f"There is no rated post on {brand} yet; {more}.")
        return
    click.echo(
        f"There are {length(found.until - found.first)} of history; 48 hours are needed before anything can be told "
        f"from chance. Ask again after {output.utc(found.first + SETTLING)} UTC; {more}."
    )


def _ladder(threshold: float) -> list[float]:
    return sorted({*THRESHOLDS, threshold})


def _print_ladder(
    shown: Shown,
    marked: float,
    mark: str,
    minimum: int,
    words: Mapping[float, Sequence[str | None]] | None = None,
) -> None:
    numbers = ["negative spikes", "volume spikes", "alerts"]
    rows = [
        [
            f"{least:g}{f' ({mark})' if least == marked else ''}",
            *(sum(one.rule == rule for one in told) for rule in (NEGATIVE, VOLUME)),
            len(told),
            *([words[least].count(word) for word in WORDS] if words else []),
        ]
        for least, told in shown.items()
    ]
    columns = [*numbers, *(f"said: {word}" for word in WORDS if words)]
    title = f"\nAlerts at each threshold, of {counted(minimum, 'negative post')} or more"
    output.print_table(title, ["threshold", *columns], rows, right=columns)


def _print_list(
    told: Sequence[Told],
    span: str,
    at: str | None,
    offset: timedelta,
    marks: Sequence[str] | None = None,
) -> None:
    where = f"At {at}: " if at else ""
    here = {0: "", 1: ", here it is"}.get(len(told), ", here they are")
    click.echo(f"{where}{counted(len(told), 'alert')} in {span}{here}")
    if not told:
        return
    rows = [
        [
            output.utc(one.at + offset),
            length(one.story.ends - one.story.starts) if one.story.ends else "goes on",
            _what(one),
            one.severity,
            f"{one.story.peak.observed:,} in {window(one.story.peak.window // timedelta(minutes=1))}",
            f"{number(one.story.peak.expected)} ({number(one.story.peak.low)} to {number(one.story.peak.high)})",
            f"{one.story.peak.factor:,.1f}",
            f"{one.story.peak.score:.1f}",
            len(one.story.notify) - 1 or "",
            *([marks[index]] if marks else []),
        ]
        for index, one in enumerate(told)
    ]
    numbers = ["observed", "expected", "factor", "score", "doubled"]
    columns = ["told (UTC)", "lasted", "what", "severity", *numbers, *(["really raised"] if marks else [])]
    output.print_table("", columns, rows, right=numbers)


def _what(told: Told) -> str:
    kind, _, name = told.scope.partition(" ")
    return f"{told.rule} {place(kind, name)}" if name else told.rule


def _print_rivals(beside: Sequence[Beside], watched: bool) -> None:
    counts = "negatives" if watched else "mentions"
    rows = [[each.rival.name, f"{each.rival.threshold:g}", len(each.at), each.rival.habit] for each in beside]
    title = f"What simple rules would have sent of the same {counts}, as they are usually set"
    output.print_table(title, ["rule", "k", "alerts", "alerts if"], rows, right=["k", "alerts"])


def _beside(negatives: Array, others: Array, start: datetime, since: datetime, watched: bool) -> list[Beside]:
    """Where there are no negatives, the rules look at all mentions."""
    found = []
    for rival in RIVALS:
        if watched or rival.name != NEEDS_SHARES:
            counts = (negatives, others) if watched else (negatives + others, 0.0 * others)
            steps = rival.alerts(*counts)
            ends = [start + FIVE_MINUTES * (int(step) + 1) for step in steps]
            found.append(Beside(rival, [end for end in ends if end > since]))
    return found


def _alert_of(told: Told, raised: Sequence[Alert]) -> Alert | None:
    return next((alert for alert in raised if told.is_told_by(alert)), None)


def _word(told: Told, raised: Sequence[Alert], said: Mapping[int, Feedback]) -> str | None:
    alert = _alert_of(told, raised)
    return said[alert.id].word if alert and alert.id in said else None


def _mark(told: Told, raised: Sequence[Alert], said: Mapping[int, Feedback]) -> str:
    alert, word = _alert_of(told, raised), _word(told, raised, said)
    return f"alert {alert.id}{f', {word}' if word else ''}" if alert else "no"


def _document(
    asked: Asked,
    found: Replayed | None,
    shown: Shown,
    beside: Sequence[Beside],
    raised: Sequence[Alert],
    said: Mapping[int, Feedback],
) -> dict[str, Any]:
    learning = found is None or found.until - found.first < SETTLING
    return {
        "brand": asked.brand,
        "since": to_text(asked.since),
        "until": to_text(asked.until),
        "history_since": to_text_or_none(found.first if found else None),
        "learning": learning,
        "threshold": asked.own.threshold,
        "minimum": asked.minimum,
        "thresholds": [
            {
                "threshold": least,
                "alerts": len(told),
                "episodes": [_episode(one, _alert_of(one, raised), _word(one, raised, said)) for one in told],
            }
            for least, told in shown.items()
        ],
        "rivals": [
            {
                "rule": each.rival.name,
                "habit": each.rival.habit,
                "threshold": each.rival.threshold,
                "alerts": len(each.at),
                "at": [to_text(time) for time in each.at],
            }
            for each in beside
        ],
        "raised": [
            {
                "alert": alert.id,
                "rule": alert.rule,
                "scope": alert.scope,
                "starts": to_text(alert.starts),
                "ends": to_text_or_none(alert.ends),
                "score": alert.score,
                "feedback": said[alert.id].word if alert.id in said else None,
            }
            for alert in raised
        ],
    }


def _episode(told: Told, alert: Alert | None, word: str | None) -> dict[str, Any]:
    story, peak = told.story, told.story.peak
    return {
        "rule": told.rule,
        "scope": told.scope,
        "severity": told.severity,
        "told": [to_text(finding.at) for finding in story.notify],
        "starts": to_text(story.starts),
        "ends": to_text_or_none(story.ends),
        "observed": peak.observed,
        "expected": round(peak.expected, 2),
        "low": round(peak.low, 2),
        "high": round(peak.high, 2),
        "factor": round(peak.factor, 1),
        "score": round(peak.score, 2),
        "window_minutes": peak.window // timedelta(minutes=1),
        "mentions": peak.mentions,
        "share": round(peak.share, 4),
        "usual_share": round(peak.usual_share, 4),
        "alert": alert.id if alert else None,
        "feedback": word,
    }
