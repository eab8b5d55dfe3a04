"""What commands and pages say to programs."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from db.desk import Case, Reply
from db.records import Alert, Feedback, Match, Silence, Story
from db.times import to_text, to_text_or_none
from db.trends import Trend
from jobs.facts import figures

if TYPE_CHECKING:
    from models.evaluate import Measure, Report
    from models.measure import Measured

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
    "reply",
    "pillar",
    "touchpoint",
    "emotion",
    "offensive",
    "rated",
    "reviewed",
    "negative_probability",
    "model",
    "followers",
    "likes",
    "reposts",
    "replies",
    "gone",
)  # of match_json: an export of no posts has a header too


def match_json(match: Match) -> dict[str, Any]:
    """Write a matched post for programs, with the labels in force: `reviewed` where a person's word is among them.

    `gone` says why its text is no longer kept (deleted, forgotten, aged); `text` is then what people are shown instead.
    """
    mention = match.mention
    return {
        "id": mention.source_id,
        "source": mention.source,
        "author": mention.author,
        "created_at": to_text(mention.created_at),
        "text": mention.shown,
        "url": mention.url,
        "in_reply_to": mention.in_reply_to,
        "brand": match.brand,
        "sentiment": match.sentiment,
        "stage": match.stage,
        "reply": match.reply,
        "pillar": match.pillar,
        "touchpoint": match.touchpoint,
        "emotion": match.emotion,
        "offensive": match.offensive,
        "rated": None if match.model is None else match.sentiment is not None,
        "reviewed": match.reviewed,
        "negative_probability": match.negative,
        "model": match.model,
        "followers": mention.reach.followers,
        "likes": mention.reach.likes,
        "reposts": mention.reach.reposts,
        "replies": mention.reach.replies,
        "gone": mention.gone_reason,
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


def alert_json(
    alert: Alert, posts: Sequence[Match], post_count: int | None = None, feedback: Feedback | None = None
) -> dict[str, Any]:
    """Write an alert for programs, with the ids of these of its posts, how many it has in all, and what was said."""
    return {
        "id": alert.id,
        "brand": alert.brand,
        "rule": alert.rule,
        "scope": alert.scope,
        "severity": alert.severity,
        "starts": to_text(alert.starts),
        "last_seen": to_text(alert.last_seen),
        "ends": to_text_or_none(alert.ends),
        **figures(alert),
        "summary": alert.summary,
        "in_common": list(alert.in_common),
        "story": _story_json(alert.story) if alert.story else None,
        "held": alert.held,
        "taken_by": alert.taken_by,
        "feedback": feedback.word if feedback else None,
        "post_count": len(posts) if post_count is None else post_count,
        "posts": [{"source": post.mention.source, "id": post.mention.source_id} for post in posts],
    }


def _story_json(story: Story) -> dict[str, Any]:
    """Write why an alert was raised; `posts` are the numbers of matches."""
    return asdict(story) | {"baseline_since": to_text_or_none(story.baseline_since)}


def silence_json(silence: Silence) -> dict[str, Any]:
    """Write a silence for programs; None stands for all."""
    return {
        "id": silence.id,
        "starts": to_text(silence.starts),
        "ends": to_text(silence.ends),
        "author": silence.author,
        "comment": silence.comment,
        "brand": silence.brand,
        "rule": silence.rule,
        "scope": silence.scope,
    }


def case_json(case: Case) -> dict[str, Any]:
    """Write a post that waits for an answer, or has had one, for programs."""
    return {
        "case": case.id,
        "version": case.version,
        "state": case.state,
        "reason": case.reason,
        "level": case.level,
        "priority": case.priority,
        "assignee": case.assignee,
        "lease_until": to_text_or_none(case.lease_until),
        "due": to_text_or_none(case.due),
        "snoozed_until": to_text_or_none(case.snoozed_until),
        "opened": to_text(case.created_at),
        "triaged": to_text_or_none(case.triaged_at),
        "replied": to_text_or_none(case.replied_at),
        "closed": to_text_or_none(case.closed_at),
        "dismissed_for": case.dismissed_for,
        "escalated": case.escalated,
        "tags": list(case.tags),
        "alert": case.alert_id,
        "rule": case.rule_id,
    } | match_json(case.match)


def report_json(measured: "Measured") -> dict[str, Any]:
    """Write how well a model did for programs, and on each source where that was measured."""
    found = {"task": measured.question, "model": measured.model, **_report_json(measured.report)}
    sources = {source: _report_json(report) for source, report in measured.sources.items()}
    return found | ({"by_source": sources} if sources else {})


def _report_json(report: "Report") -> dict[str, Any]:
    return {
        "posts": report.posts,
        "coverage": report.coverage,
        "expected_calibration_error": None,  # where the model gives no probabilities
        **{
            name.replace(" ", "_").lower(): {"value": m.value, "low": m.low, "high": m.high}
            for name, m in measures(report).items()
        },
        "unsure": report.unsure,
        "labels": {
            c.label: {"precision": c.precision, "recall": c.recall, "f1": c.f1, "posts": c.support}
            for c in report.labels
        },
        "confusion": [list(row) for row in report.confusion],
    }


def measures(report: "Report") -> dict[str, "Measure"]:
    """Name the measures of a report as people read them."""
    found = {"macro recall": report.macro_recall, "macro F1": report.macro_f1, "accuracy": report.accuracy}
    if report.calibration_error:
        found["expected calibration error"] = report.calibration_error
    if report.unsure and report.sure_accuracy:
        found["accuracy when sure"] = report.sure_accuracy
    return found


def defused(value: Any) -> Any:
    """Keep a spreadsheet from running what a stranger wrote."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else value


def reply_json(reply: Reply, case: Case) -> dict[str, Any]:
    """Shape a reply and the post that it answers."""
    mention = case.match.mention
    return {
        "id": reply.id,
        "case": reply.case_id,
        "brand": case.match.brand,
        "source": mention.source,
        "post": mention.source_id,
        "state": reply.state,
        "author": reply.author,
        "text": reply.text,
        "updated_at": to_text(reply.updated_at),
        "decided_by": reply.decided_by,
        "remark": reply.remark,
        "not_before": to_text_or_none(reply.not_before),
        "sent_at": to_text_or_none(reply.sent_at),
        "url": reply.url,
        "error": reply.error,
    }
