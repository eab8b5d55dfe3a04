"""Requests to YouTube through google-api-python-client: each out of the day's ration, with a timeout, and each fault
as one of our errors.

Imported by the function that needs it, since the client is slow to load.
"""

import http.client
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import httplib2
from googleapiclient.discovery import build
from googleapiclient.errors import Error

from db.errors import CollectorError, NotAuthorised, RateLimited, SourceUnavailable
from jobs.collector import Meter
from monitor.collectors.deadline import PATIENCE, Deadline, Watched
from monitor.collectors.fetch import wait_until
from monitor.collectors.youtube_parse import UNREADABLE, Page, read_page

PAGE, VIDEOS = 100, 50  # the most that YouTube sends at once
CHEAP, SEARCH = 1, 100  # units of the ration that a request takes
PACIFIC = "America/Los_Angeles"  # at midnight there, the ration is renewed

_DAY = {"quotaExceeded", "dailyLimitExceeded"}
_MINUTE = {"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"}
_KEY = {"keyInvalid", "keyExpired", "accessNotConfigured", "SERVICE_DISABLED", "ipRefererBlocked", "CONSUMER_SUSPENDED"}
_GONE = {"channelNotFound", "videoNotFound", "commentNotFound", "commentThreadNotFound", "notFound"}


class CommentsOff(SourceUnavailable):
    """Comments are turned off there: nothing is to be read."""


class NotThere(SourceUnavailable):
    """No such channel, video or comment, or none that is public."""


class PageExpired(SourceUnavailable):
    """YouTube no longer knows the page that reading was to go on from."""


class _Http(Watched, httplib2.HTTPConnectionWithTimeout):  # type: ignore[misc]  # httplib2 has no types
    pass


class _Https(Watched, httplib2.HTTPSConnectionWithTimeout):  # type: ignore[misc]
    pass


class Transport(httplib2.Http):  # type: ignore[misc]
    """Puts in the key, which the client would write to its log and into its errors, and refuses what is no answer.

    Redirects are not followed: the key would go along.
    """

    def __init__(self, key: str, timeout: float, now: datetime) -> None:
        super().__init__(timeout=timeout)
        self.follow_redirects = False
        self._key, self._now, self._seconds = key, now, PATIENCE * timeout

    def request(self, uri: str, *args: Any, **kwargs: Any) -> tuple[Any, bytes]:
        """Send a request. Raises what a status other than 200 means, and TimeoutError for an answer without end."""
        kwargs["connection_type"] = _Https if uri.startswith("https:") else _Http
        with Deadline(self._seconds) as deadline:
            answer, content = super().request(f"{uri}&{urlencode({'key': self._key})}", *args, **kwargs)
        if deadline.over:  # shut in the middle, an answer without a length looks whole
            raise TimeoutError(f"no whole answer in {self._seconds:g} seconds")
        if answer.status != 200:
            raise _fault(answer.status, answer, content, self._now)
        return answer, content


class Api:
    """YouTube for one run. `limit` is the most units that all requests of a day may take."""

    def __init__(self, url: str, key: str, timeout: float, meter: Meter, limit: int, now: datetime) -> None:
        self._meter, self._limit = meter, limit
        self._day, self._renewed_at = day_of(now)
        self._youtube: Any = build(
            "youtube",
            "v3",
            http=Transport(key, timeout, now),
            client_options={"api_endpoint": f"{url}/"},
            static_discovery=True,
            cache_discovery=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._youtube.close()

    def threads(self, where: Mapping[str, str], page: str | None = None) -> Page:
        """A page of threads, newest first. `where` is a channel (allThreadsRelatedToChannelId) or a videoId."""
        asked = {**where, "part": "snippet,replies", "order": "time", "textFormat": "plainText", "maxResults": PAGE}
        return self._list(self._youtube.commentThreads(), CHEAP, asked, page)

    def replies(self, parent: str, page: str | None = None) -> Page:
        """A page of the replies to a comment."""
        asked = {"part": "snippet", "parentId": parent, "textFormat": "plainText", "maxResults": PAGE}
        return self._list(self._youtube.comments(), CHEAP, asked, page)

    def comments(self, ids: Sequence[str]) -> Page:
        """The comments with these ids, as far as they are still there."""
        asked = {"part": "snippet", "id": ",".join(ids), "textFormat": "plainText"}
        return self._list(self._youtube.comments(), CHEAP, asked)

    def search(self, query: str, after: datetime, page: str | None = None) -> Page:
        """A page of videos that were published since `after`, newest first."""
        asked = {"part": "snippet", "type": "video", "order": "date", "q": query, "maxResults": VIDEOS}
        asked["publishedAfter"] = after.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return self._list(self._youtube.search(), SEARCH, asked, page)

    def _list(self, resource: Any, units: int, asked: Mapping[str, Any], page: str | None = None) -> Page:
        self._meter.use(units, self._limit, self._day, self._renewed_at)
        request = resource.list(**asked, **({"pageToken": page} if page else {}))
        try:
            return read_page(request.execute(num_retries=0))
        except CollectorError:
            raise
        except (Error, httplib2.HttpLib2Error, http.client.HTTPException, OSError) as error:
            raise SourceUnavailable(
                f"YouTube did not answer ({type(error).__name__}); the next run tries again"
            ) from error
        except (ValueError, RecursionError) as error:  # HTML, half an answer
            raise SourceUnavailable(UNREADABLE) from error


def day_of(now: datetime) -> tuple[str, datetime]:
    """Name the day of YouTube's ration, and say when the next one begins, UTC."""
    pacific = ZoneInfo(PACIFIC)
    day = now.astimezone(pacific).date()
    renewed_at = datetime.combine(day + timedelta(days=1), time(), pacific)
    return f"{day.isoformat()} Pacific", renewed_at.astimezone(UTC)


def _fault(status: int, headers: Mapping[str, str], content: bytes, now: datetime) -> CollectorError:
    """What a status means, in one line. It quotes nothing that YouTube wrote."""
    reasons, a_day = _reasons(content)
    if reasons & _DAY or (a_day and reasons & _MINUTE):
        _, again = day_of(now)
        return RateLimited(f"YouTube: the day's units are used up until {again:%Y-%m-%d %H:%M} UTC ({status})", again)
    if status == 429 or reasons & _MINUTE:
        again = wait_until(headers, now)
        return RateLimited(f"YouTube asks to wait until {again:%Y-%m-%d %H:%M:%S} UTC ({status})", again)
    if reasons & _KEY or any(reason.startswith("API_KEY_") for reason in reasons):
        return NotAuthorised(
            f"YouTube refuses the API key ({status}): check api_key, and in Google's console that the key may use the "
            "YouTube Data API v3"
        )
    if "commentsDisabled" in reasons:
        return CommentsOff("comments are turned off there")
    if reasons & _GONE:
        return NotThere("it is deleted, private or misspelt")
    if status == 403 and "forbidden" in reasons:
        return NotThere("it is not public")
    if status in (401, 403):
        return NotAuthorised(f"YouTube refuses to be read ({status}); check api_key in Google's console")
    if status == 400:
        return PageExpired("YouTube refuses the request (400); the next run tries again")
    return SourceUnavailable(f"YouTube answered {status}; the next run tries again")


def _reasons(content: bytes) -> tuple[set[str], bool]:
    """The reasons that an error names, in its old form and its new one, and whether it is about a limit of a day."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):  # HTML: the status says enough
        return set(), False
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return set(), False
    lists = [error.get(name) for name in ("errors", "details")]
    told = [each for some in lists if isinstance(some, list) for each in some if isinstance(each, dict)]
    reasons = {each["reason"] for each in told if isinstance(each.get("reason"), str)}
    if "API key not valid" in str(error.get("message")):
        reasons.add("keyInvalid")
    return reasons, any("PerDay" in str(each.get("metadata")) for each in told)
