"""What a notification says to programs: JSON in a fixed shape, version 1.

Times are ISO 8601 in UTC, shares from 0 to 1, numbers plain. Names and texts that strangers wrote are harmless, as in
messages: mass mentions, markup and links in them are broken, and they are cut.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from db.records import Alert, Match, Story
from db.times import to_text, to_text_or_none
from jobs.decide import Reason
from jobs.links import Links
from jobs.wording import BRAND_SHOWN, NAME_SHOWN, harmless, subject, summary

VERSION = 1
TEXT_KEPT = 500  # characters of a post
URL_KEPT = 2_000

_NAME = re.compile(r"\w[\w .&'’!+-]*")
_IDENTIFIER = re.compile(r"[\w:/.\-#=+,%]{1,300}")  # a platform's id must stay as it is to be of use


def figures(alert: Alert) -> dict[str, float]:
    """Write the numbers of an alert, for messages and for every other program."""
    return {
        "observed": alert.observed,
        "expected": alert.expected,
        "low": alert.low,
        "high": alert.high,
        "factor": alert.factor,
        "probability": alert.probability,
        "score": alert.score,
        "window_minutes": alert.window_minutes,
        "mentions": alert.mentions,
        "share": alert.share,
        "usual_share": alert.usual_share,
    }


def alert_facts(
    key: str,
    reason: Reason,
    alert: Alert,
    shown: Sequence[Match],
    count: int,
    links: Links,
    others: Sequence[tuple[Reason, Alert]] = (),
) -> dict[str, Any]:
    """Write an alert for programs.

    `kind` is "alert" and `version` 1; `key` is the same at every attempt. `reason`, `alert_id`, `brand`, `rule`,
    `scope`, `severity`, `summary`; `starts`, `last_seen`, `ends` (null while it goes on), `found_at`; `observed`,
    `expected`, `low` and `high` (its 95 % interval), `factor`, `probability`, `score` (its -log10),
    `window_minutes`, `mentions`, `share`, `usual_share`, each 0 where the rule does not know it; `in_common`; `story`
    (null, or parts, confined_to, terms, new_terms, posts, authors, copies, reach, baseline_since, coverage; a part's
    `share` is of what parts of its own kind have more than expected: each kind adds up to 1, as every post is in all);
    `post_count` and `posts` (those that stand for it: match_id, source, id, url, author, created_at, text, followers,
    likes, reposts, replies); `taken_by`; `url` (the page of the alert, null where none is configured); `also` (alerts
    told with it: alert_id, rule, reason, summary).
    """
    return {
        "kind": "alert",
        "version": VERSION,
        "key": key,
        "reason": str(reason),
        "alert_id": alert.id,
        "brand": name(alert.brand),
        "rule": alert.rule,
        "scope": subject(alert) if alert.stream else name(alert.scope),
        "severity": alert.severity,
        "summary": summary(alert),
        "starts": to_text(alert.starts),
        "last_seen": to_text(alert.last_seen),
        "ends": to_text_or_none(alert.ends),
        "found_at": to_text_or_none(alert.found_at),
        **figures(alert),
        "in_common": [harmless(term, NAME_SHOWN) for term in alert.in_common],
        "story": _story(alert.story) if alert.story else None,
        "post_count": count,
        "posts": [_post(match) for match in shown],
        "taken_by": name(alert.taken_by) if alert.taken_by else None,
        "url": links.alert(alert.id),
        "also": [
            {"alert_id": other.id, "rule": other.rule, "reason": str(why), "summary": summary(other)}
            for why, other in others
        ],
    }


def name(text: str) -> str:
    """Write a name as it is, that programs know it; as harmless text where it is more than a name."""
    return text if len(text) <= BRAND_SHOWN and _NAME.fullmatch(text) else harmless(text, BRAND_SHOWN)


def safe_url(url: str | None) -> str | None:
    """Return an address of the web without power of its own, None where it is something else."""
    if not url or len(url) > URL_KEPT or not url.isprintable() or re.search(r"[\s<>\"'`|\\\[\]]", url):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        return None
    return url.replace("@", "%40")  # servers read it alike, chat services do not


def _post(match: Match) -> dict[str, Any]:
    mention = match.mention
    known = _IDENTIFIER.fullmatch(mention.source_id)
    return {
        "match_id": match.id,
        "source": name(mention.source),
        "id": mention.source_id if known else harmless(mention.source_id, TEXT_KEPT),
        "url": safe_url(mention.url),
        "author": harmless(mention.author, BRAND_SHOWN) if mention.author else None,
        "created_at": to_text(mention.created_at),
        "text": harmless(mention.shown, TEXT_KEPT),
        **asdict(mention.reach),
    }


def _story(story: Story) -> dict[str, Any]:
    found = asdict(story)
    found["baseline_since"] = to_text_or_none(story.baseline_since)
    found["coverage"] = harmless(story.coverage, TEXT_KEPT) if story.coverage else None
    for key in ("terms", "new_terms"):
        found[key] = [harmless(term, NAME_SHOWN) for term in found[key]]
    for each in [*found["parts"], *([found["confined_to"]] if found["confined_to"] else [])]:
        each["name"] = name(each["name"])
    found["parts"], found["posts"] = list(found["parts"]), list(found["posts"])
    return found
