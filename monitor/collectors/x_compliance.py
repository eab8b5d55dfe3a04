"""Which stored posts X no longer shows: by looking them up, a hundred at a time, or by its compliance jobs, for free.

A compliance job takes a file of ids and some minutes. tweepy makes the job and asks how it stands; the file goes to an
address that X names, without the bearer token.
"""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from db.errors import SourceUnavailable
from db.records import Checked, Mention
from monitor.collectors.deadline import PATIENCE, Deadline
from monitor.collectors.x_parse import read_mentions, versions
from monitor.collectors.x_search import tell

if TYPE_CHECKING:
    from monitor.collectors.x_api import Api
    from monitor.collectors.x_options import XOptions

log = logging.getLogger(__name__)

AT_ONCE = {"lookup": 100, "batch": 10_000}  # posts
AGAIN = timedelta(minutes=5)  # a job is asked for again
LONGEST = timedelta(hours=6)  # whatever X estimates
STORAGE = "storage.googleapis.com"
LARGEST = 20_000_000  # bytes of a result
_GONE = {"deleted", "protected", "suspended", "deactivated", "bounced"}  # and not "scrub_geo"


def look_up(api: "Api", ids: Sequence[str], now: datetime) -> Checked:
    """Ask for posts by their ids; each that is still shown is paid for, an edited one twice."""
    found = api.posts(ids)
    tell(found.page, "a lookup of posts")
    gone = list(found.gone)
    shown = {mention.source_id: mention for mention in read_mentions(found.page, now)}
    # X gives the version that was asked for: what an edited post says now stands in its newest.
    edited = {
        newest: versions(post)[0] for post in found.page.posts if (newest := versions(post)[-1]) != str(post["id"])
    }
    if edited:
        newer = api.posts(list(edited))
        tell(newer.page, "a lookup of edited posts")
        for first in edited.values():
            shown.pop(first, None)
        shown |= {mention.source_id: mention for mention in read_mentions(newer.page, now)}
        gone += [edited[each] for each in newer.gone if edited[each] in ids]
    return Checked(gone, [mention for mention in shown.values() if _asked(mention, ids)])


def _asked(mention: Mention, ids: Sequence[str]) -> bool:
    return mention.source_id in ids


@dataclass(frozen=True, slots=True)
class ComplianceJob:
    """One compliance job, from the file of ids to its result."""

    api: "Api"
    options: "XOptions"
    now: datetime

    def check(self, ids: Sequence[str], resume: str | None) -> Checked:
        """Begin a job, or ask how it stands; `resume` is its id."""
        if resume is None:
            return self._begin(ids)
        job = self.api.job(resume)
        if job["status"] == "complete":
            told = _result(self._transfer("GET", _address(job, "download_url")))
            wanted = set(ids)
            return Checked([each for each in told if each in wanted])
        if job["status"] in ("failed", "expired"):
            log.warning("X's compliance job %s has %s; another one is begun", resume, job["status"])
            return self._begin(ids)
        return self._later(job)

    def _begin(self, ids: Sequence[str]) -> Checked:
        job = self.api.job()
        self._transfer("PUT", _address(job, "upload_url"), "".join(f"{each}\n" for each in ids).encode())
        return self._later(job)

    def _later(self, job: Mapping[str, Any]) -> Checked:
        try:
            again = datetime.fromisoformat(str(job.get("estimated_completion")))
            again = again.replace(tzinfo=UTC) if again.tzinfo is None else again.astimezone(UTC)
        except (ValueError, OverflowError):
            again = self.now
        if not self.now < again <= self.now + LONGEST:
            again = self.now + AGAIN
        return Checked(resume=str(job["id"]), again_at=again)

    def _transfer(self, method: Literal["GET", "PUT"], url: str, body: bytes | None = None) -> bytes:
        """Send the ids, or fetch the result. No header of ours goes along, and no redirect is followed."""
        import requests

        from monitor.collectors.adapter import Timely

        if not self._is_safe(url):
            raise SourceUnavailable("X names a place for a compliance job that is neither its own nor Google's storage")
        headers = {"Content-Type": "text/plain"} if body is not None else {}
        received = bytearray()
        timely = Timely(self.options.timeout)
        try:
            with Deadline(PATIENCE * self.options.timeout) as deadline, requests.Session() as session:
                session.mount("https://", timely)
                session.mount("http://", timely)
                with session.request(
                    method, url, data=body, headers=headers, allow_redirects=False, stream=True
                ) as answer:
                    status = answer.status_code
                    for part in answer.iter_content(65_536):
                        received += part
                        if len(received) > LARGEST:
                            most = LARGEST // 1_000_000
                            raise SourceUnavailable(f"X sent a compliance result of more than {most} MB")
        except (requests.RequestException, ValueError) as error:
            raise SourceUnavailable(
                f"X's store of compliance jobs did not answer ({type(error).__name__}); the next run tries again"
            ) from error
        if deadline.over:
            raise SourceUnavailable(
                f"X's store of compliance jobs did not send all of its answer in {deadline.seconds:g} seconds; "
                "the next run tries again"
            )
        if not 200 <= status < 300:
            raise SourceUnavailable(f"X's store of compliance jobs answered {status}; the next run tries again")
        return bytes(received)

    def _is_safe(self, url: str) -> bool:
        try:
            asked, ours = urlsplit(url), urlsplit(self.options.api_url)
            place = (asked.scheme, asked.hostname, asked.port)
        except ValueError:
            return False
        if asked.username or asked.password:
            return False
        own = place == (ours.scheme, ours.hostname, ours.port)
        return own or (asked.scheme == "https" and asked.hostname == STORAGE and asked.port is None)


def _address(job: Mapping[str, Any], name: str) -> str:
    address = job.get(name)
    if not isinstance(address, str):
        raise SourceUnavailable(f"X's compliance job has no {name}; the next run tries again")
    return address


def _result(lines: bytes) -> Sequence[str]:
    """Read the ids of posts that are gone from a result; a line that cannot be read makes it unreadable."""
    gone = []
    for line in lines.splitlines():
        if not line.strip():
            continue
        try:
            told = json.loads(line)
            if str(told["reason"]) in _GONE and re.fullmatch("[0-9]{1,19}", str(told["id"])):
                gone.append(str(told["id"]))
        except (ValueError, KeyError, TypeError) as error:
            raise SourceUnavailable("X's compliance result could not be read; the next run tries again") from error
    return gone
