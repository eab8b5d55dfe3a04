"""What the answer to a web hook means: taken, try again, or a person must act."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from db.errors import DeliveryFailed
from monitor.channels.lines import harmless_line

SHOWN = 100  # characters of what the receiver said
LONGEST_WAIT = timedelta(days=1)
PASSING = frozenset({408, 425, 429})  # of the answers 4xx; all others say that a person must act
FOR_GOOD = frozenset({301, 308})  # of the redirects


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, the header Retry-After and the beginning of the body."""

    status: int
    retry_after: str = ""
    text: str = ""


def judged(answer: Answer, now: datetime, hidden: set[str]) -> DeliveryFailed | None:
    """Return None where the message was taken. What the receiver said is left out if it holds anything in `hidden`."""
    status = answer.status
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return DeliveryFailed(
            f"the receiver answered {status}, a redirect, which is not followed; give the address that it leads to",
            permanent=status in FOR_GOOD,
        )
    said = "" if any(piece in answer.text for piece in hidden) else harmless_line(answer.text, SHOWN)
    return DeliveryFailed(
        f"the receiver answered {status}" + (f": {said}" if said else ""),
        permanent=400 <= status < 500 and status not in PASSING,
        wait=wait_of(answer.retry_after, now) if status in (429, 503) else None,
    )


def wait_of(said: str, now: datetime) -> timedelta | None:
    """Read a Retry-After header, seconds or a date, a day at most; None where it asks for nothing."""
    try:
        wait = timedelta(seconds=int(said))
    except OverflowError:
        wait = LONGEST_WAIT
    except ValueError:
        try:
            date = parsedate_to_datetime(said)  # without a zone where it says -0000
        except (TypeError, ValueError, OverflowError):
            return None
        wait = (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
    return min(wait, LONGEST_WAIT) if wait > timedelta(0) else None
