"""Reading the comments of one place on YouTube, from the newest thread back to a time, and how far that came."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from pydantic import AwareDatetime, BaseModel, ValidationError

from db.errors import SourceUnavailable
from db.records import Batch, Mention
from monitor.collectors.youtube_parse import Page, Thread, mention_of, mentions_of, read_comments, read_threads

if TYPE_CHECKING:
    from monitor.collectors.youtube_api import Api

log = logging.getLogger(__name__)

FIRST = timedelta(days=7)  # how far back a first reading goes
M = TypeVar("M", bound=BaseModel)


class Mark(BaseModel):
    """What is known of a place: its newest thread, and how many replies were read of threads that have many."""

    newest: AwareDatetime | None = None
    replies: dict[str, int] = {}


class Rest(BaseModel):
    """A reading under way: threads down to `stop`, from `page` on (None: from the newest)."""

    stop: AwareDatetime
    known: Mark = Mark()  # before it began
    page: str | None = None
    newest: AwareDatetime | None = None
    replies: dict[str, int] = {}

    def mark(self, now: datetime) -> Mark:
        """What is known when it is done. Where there is nothing at all, that is known up to now."""
        return Mark(newest=self.newest or self.known.newest or now, replies=self.replies)


def begin(mark: Mark, overlap: timedelta, now: datetime) -> Rest:
    """Begin with the newest thread, to read back to the mark and a little further."""
    return Rest(stop=mark.newest - overlap if mark.newest else now - FIRST, known=mark)


def parsed(model: type[M], text: str | None, stream: str) -> M | None:
    """Read a cursor; one that cannot be read costs reading again, no more."""
    try:
        return model.model_validate_json(text) if text else None
    except ValidationError:
        log.warning("YouTube: cannot tell where the reading of %s stood; it is read again", stream)
        return None


def read(
    api: "Api", stream: str, where: Mapping[str, str], rest: Rest, now: datetime, until: datetime | None = None
) -> Iterator[tuple[Batch, bool]]:
    """Read a place; from its newest thread again where YouTube has forgotten the page to go on from.

    Yields what each request brings, and whether it was the last; `rest` comes along as it stands after each. Raises
    CommentsOff and NotThere beside what every reading can raise.
    """
    from monitor.collectors.youtube_api import NotThere, PageExpired

    resumed = rest.page is not None
    try:
        try:
            yield from _read(api, where, rest, now, until)
        except PageExpired:
            if not resumed:
                raise
            log.warning("YouTube: the page to go on from in %s has expired; it is read from the start", stream)
            rest.page = None
            yield from _read(api, where, rest, now, until)
    except NotThere as why:
        raise NotThere(f"YouTube does not show {stream}: {why}; correct the source's options") from why


def _read(
    api: "Api", where: Mapping[str, str], rest: Rest, now: datetime, until: datetime | None
) -> Iterator[tuple[Batch, bool]]:
    """Page back to `rest.stop`.

    Replies that did not come with their thread are asked for, unless there are as many as before; `until` spares those
    of threads that are no older.
    """
    from monitor.collectors.youtube_api import NotThere

    asked = {rest.page}
    while True:
        page = api.threads(where, rest.page)
        threads = read_threads(page.items)
        times = [thread.top.snippet.posted for thread in threads]
        rest.newest = max((min(time, now) for time in [*times, *([rest.newest] if rest.newest else [])]), default=None)
        more = [thread for thread in threads if _has_more(thread, rest, until)]
        # The last thread tells: an old one at the top (a pinned one) must not end the reading.
        last = page.next is None or (bool(times) and times[-1] < rest.stop)
        if not more and not last:
            rest.page = page.next
        sent = page.sent + sum(thread.came for thread in threads)
        yield Batch(mentions_of(threads, now), fetched=sent), last and not more
        for thread in more:
            token: str | None = None
            seen: set[str] = set()
            while True:
                try:
                    answers = api.replies(thread.top.id, token)
                except NotThere:  # the thread was deleted meanwhile
                    answers = Page((), None, 0)
                token = _onwards(answers, seen)
                if token is None:
                    rest.replies[thread.top.id] = thread.total
                    if thread is more[-1] and not last:
                        rest.page = page.next
                found = _replies(answers, thread, now)
                yield Batch(found, fetched=answers.sent), last and thread is more[-1] and token is None
                if token is None:
                    break
        if last:
            return
        if page.next in asked:
            raise SourceUnavailable("YouTube sends the same page again and again; the next run tries again")
        asked.add(page.next)


def _has_more(thread: Thread, rest: Rest, until: datetime | None) -> bool:
    """Whether replies are to be asked for. What is known already is taken over, so that it costs nothing again."""
    posted = thread.top.snippet.posted
    if thread.total <= thread.came or posted < rest.stop or (until is not None and posted >= until):
        return False
    if rest.replies.get(thread.top.id) == thread.total:
        return False
    if rest.known.replies.get(thread.top.id) == thread.total:
        rest.replies[thread.top.id] = thread.total
        return False
    return True


def _onwards(answers: Page, seen: set[str]) -> str | None:
    """Where the next page of replies is; None at the end, and where it was already."""
    if answers.next is None or answers.next in seen:
        return None
    seen.add(answers.next)
    return answers.next


def _replies(answers: Page, thread: Thread, now: datetime) -> Sequence[Mention]:
    known = {each.id for each in thread.replies}
    news = [each for each in read_comments(answers.items) if each.id not in known]
    found = (mention_of(each, thread.video, None, now) for each in news)
    return [each for each in found if each]
