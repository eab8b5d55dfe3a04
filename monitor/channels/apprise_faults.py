"""Why apprise could not send. It answers yes or no; what it writes into its log tells the rest.

Measured with apprise 2.2: nearly every service logs "error=" and the status of a refused HTTP request, and, at debug
level, what the server said; e-mail logs the reply of the mail server. Headers, Retry-After among them, are not logged.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote, unquote

from db.errors import DeliveryFailed
from monitor.channels.lines import harmless_line

SHOWN = 200  # characters of apprise's own words
LONGEST_WAIT = timedelta(days=1)
FOR_GOOD = frozenset({401, 403, 404, 410})  # 400 and the like blame the message, which is not the next one's fault

_STATUS = re.compile(r"\berror=(\d{3})\b")
_ASKED = re.compile(r'"retry_after"\s*:\s*(\d{1,9}(?:\.\d{1,9})?)')  # Discord and Telegram, in seconds
# Replies that only a person can mend, and what to call them. Slack's come with status 200, Telegram's with 400.
_REPLIES = (
    (
        re.compile(
            r'"error"\s*:\s*"(account_inactive|channel_not_found|invalid_auth|is_archived|missing_scope|not_authed|'
            r'not_in_channel|token_expired|token_revoked)"'
        ),
        "it says",
    ),
    (re.compile(r'"description"\s*:\s*"Bad Request: (chat not found)"'), "it says"),
    (re.compile(r"^Socket Exception: \((530|534|535|538), "), "login refused"),
    (re.compile(r"(?:^Socket Exception: \{'[^']*': \(| was refused: )(550|551|553)\b"), "recipient refused"),
)
_TEXT_SENT = re.compile(r"Sent .*(notification|[Mm]essage)\b")


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of apprise's log."""

    level: str
    text: str


def text_taken(entries: Iterable[Entry]) -> bool:
    """Whether the service took the text before it refused the picture."""
    return any(entry.level == "INFO" and _TEXT_SENT.match(entry.text) for entry in entries)


def failure(service: str, entries: Sequence[Entry], url: str) -> DeliveryFailed:
    """Make the error of a message that was not taken; no piece of the service's address is in it."""
    loud = [entry.text for entry in entries if entry.level not in ("TRACE", "DEBUG", "INFO")]
    said = harmless_line(_blotted(loud[-1], url), SHOWN) if loud else "the service did not take the message"
    statuses = [int(status) for text in loud for status in _STATUS.findall(text)]
    every = [entry.text for entry in entries]
    replies = [f"{name}: {found[1]}" for text in every for reply, name in _REPLIES if (found := reply.search(text))]
    permanent = bool(replies) or (bool(statuses) and FOR_GOOD.issuperset(statuses))
    waits = [float(seconds) for text in every for seconds in _ASKED.findall(text)] if 429 in statuses else []
    wait = min(timedelta(seconds=max(waits)), LONGEST_WAIT) if waits else None
    return DeliveryFailed(f"{service}: {said}" + (f" ({replies[0]})" if replies else ""), permanent, wait)


def _blotted(text: str, url: str) -> str:
    pieces = [piece for piece in re.split(r"[/?&=:@,#\s]+", url) if len(piece) > 3]
    forms = {form for piece in pieces for form in (piece, quote(piece), unquote(piece))}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "…")
    return text
