"""How commands print: a table for people, JSON for programs."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from db.errors import InputError
from db.records import Alert, Case, Match
from db.times import to_text, to_text_or_none
from db.trends import Trend

if TYPE_CHECKING:
    from models.evaluate import Measure, Report


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(to_json(value, indent=2))


def print_line(value: Mapping[str, Any]) -> None:
    """Print one line of JSON."""
    click.echo(to_json(value))


def standard_input() -> BinaryIO:
    """Return it, where there is one: a service manager may give none."""
    if sys.stdin is None:
        raise InputError("standard input is closed; name a file, or send something to -")
    return sys.stdin.buffer


def to_json(value: Any, indent: int | None = None) -> str:
    """Write JSON as readable as standard output can show it."""
    return json.dumps(value, ensure_ascii=(sys.stdout.encoding or "").lower() != "utf-8", indent=indent)


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[str] = ()
) -> None:
    """Print a table as wide as the terminal; text from outside is shown as it is, never read as markup."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(str(cell))) for cell in row))
    # Without a terminal there is no width to keep to: a pipe or a log gets whole lines.
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    console.print(table)


def print_report(task: str, model: str, report: "Report") -> None:
    """Print how well a model did."""
    rows: list[list[object]] = [
        [c.label, f"{c.precision:.3f}", f"{c.recall:.3f}", f"{c.f1:.3f}", c.support] for c in report.labels if c.support
    ]
    numbers = ["precision", "recall", "F1", "posts"]
    print_table(
        f"{task}, {model}: {report.posts} posts, {report.coverage:.1%} rated", ["label", *numbers], rows, numbers
    )
    for name, measure in _measures(report).items():
        click.echo(f"{name:<13}{measure.value:.3f}  (95 %: {measure.low:.3f} to {measure.high:.3f})")
    click.echo()


def report_json(task: str, model: str, report: "Report") -> dict[str, Any]:
    """Write how well a model did for programs."""
    return {
        "task": task,
        "model": model,
        "posts": report.posts,
        "coverage": report.coverage,
        **{
            name.replace(" ", "_").lower(): {"value": m.value, "low": m.low, "high": m.high}
            for name, m in _measures(report).items()
        },
        "labels": {
            c.label: {"precision": c.precision, "recall": c.recall, "f1": c.f1, "posts": c.support}
            for c in report.labels
        },
        "confusion": [list(row) for row in report.confusion],
    }


def _measures(report: "Report") -> dict[str, "Measure"]:
    return {"macro recall": report.macro_recall, "macro F1": report.macro_f1, "accuracy": report.accuracy}


def printable(text: str) -> str:
    """Take out control characters, with which a post could rewrite the terminal."""
    return "".join(ch if ch.isprintable() else " " for ch in text)


def shorten(text: str, longest: int = 100) -> str:
    """Write a text on one line, cut where it is long."""
    text = printable(" ".join(text.split()))
    return text if len(text) <= longest else text[: longest - 1] + "…"


def local(time: datetime | None) -> str:
    """Write a time for people; all times are UTC."""
    return "-" if time is None else f"{time:%Y-%m-%d %H:%M}"


def percent(share: float) -> str:
    """Write a share."""
    return f"{share:.0%}"


MATCH_KEYS = (
    "id",
    "source",
    "author",
    "created_at",
    "text",
    "url",
    "in_reply_to",
    "brand",
    "sentiment",
    "stage",
    "rated",
    "negative_probability",
    "model",
    "followers",
    "likes",
    "reposts",
    "replies",
)  # of match_json: an export of no posts has a header too


def match_json(match: Match) -> dict[str, Any]:
    """Write a matched post for programs."""
    mention = match.mention
    return {
        "id": mention.source_id,
        "source": mention.source,
        "author": mention.author,
        "created_at": to_text(mention.created_at),
        "text": mention.text,
        "url": mention.url,
        "in_reply_to": mention.in_reply_to,
        "brand": match.brand,
        "sentiment": match.sentiment,
        "stage": match.stage,
        "rated": None if match.model is None else match.sentiment is not None,
        "negative_probability": match.negative,
        "model": match.model,
        "followers": mention.reach.followers,
        "likes": mention.reach.likes,
        "reposts": mention.reach.reposts,
        "replies": mention.reach.replies,
    }


def trend_json(trend: Trend) -> dict[str, Any]:
    """Write counts for programs."""
    return {
        "bucket": trend.bucket,
        "brand": trend.brand,
        **trend.keys,
        "mentions": trend.mentions,
        "negative": trend.negative,
        "neutral": trend.neutral,
        "positive": trend.positive,
        "not_rated": trend.not_rated,
        "net_sentiment": trend.net_sentiment,
    }


def alert_json(alert: Alert, posts: Sequence[Match]) -> dict[str, Any]:
    """Write an alert for programs, with the ids of its posts."""
    return {
        "id": alert.id,
        "brand": alert.brand,
        "rule": alert.rule,
        "severity": alert.severity,
        "starts": to_text(alert.starts),
        "last_seen": to_text(alert.last_seen),
        "ends": to_text_or_none(alert.ends),
        "observed": alert.observed,
        "expected": alert.expected,
        "factor": alert.factor,
        "probability": alert.probability,
        "window_minutes": alert.window_minutes,
        "mentions": alert.mentions,
        "share": alert.share,
        "usual_share": alert.usual_share,
        "summary": alert.summary,
        "in_common": list(alert.in_common),
        "posts": [{"source": post.mention.source, "id": post.mention.source_id} for post in posts],
    }


def case_json(case: Case) -> dict[str, Any]:
    """Write a post that waits for an answer for programs."""
    return {"case": case.id, "state": case.state, "reason": case.reason, "alert": case.alert_id} | match_json(
        case.match
    )
