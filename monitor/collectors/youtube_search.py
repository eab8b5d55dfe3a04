"""Videos that name a brand: found by YouTube's search, remembered for some days, and their comments read."""

from collections.abc import Iterator, MutableMapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, BaseModel

from db.errors import InputError, SourceUnavailable
from db.records import Batch, Gap, Position
from models.query import And, Near, Node, Not, Or, Phrase, Query, Word
from models.tokens import wild
from monitor.collectors.youtube_parse import read_videos
from monitor.collectors.youtube_read import FIRST, Mark, Rest, begin, parsed, read

if TYPE_CHECKING:
    from monitor.collectors.youtube_api import Api

SEARCH_EVERY = timedelta(hours=4)  # a search takes 100 units
SEARCH_PAGES = 4
REMEMBERED = timedelta(days=7)  # that the comments on a found video are read
MOST_VIDEOS = 200  # of a brand
LATE = timedelta(days=1)  # read again by each search: videos show up late
IN_A_ROW = 3  # videos that cannot be read, one after the other: it is YouTube then, and not the videos


class _Video(Mark):
    """A video that a search found; `rest` says where a reading of it that failed goes on."""

    found: AwareDatetime
    rest: Rest | None = None


class _Found(BaseModel):
    """The cursor of a search; `left` and `rest` say where a reading that was cut off goes on."""

    searched: AwareDatetime | None = None
    videos: dict[str, _Video] = {}
    left: list[str] = []
    rest: Rest | None = None


def collect_found(
    api: "Api", stream: str, query: str, overlap: timedelta, position: Position, now: datetime
) -> Iterator[Batch]:
    """Search for videos when that is due, then read the new comments on all that are remembered.

    Raises the first error of a video that cannot be read when the others have had their turn.
    """
    failed: dict[str, SourceUnavailable] = {}
    cut_off = parsed(_Found, position.resume, stream)
    if cut_off is not None:
        yield from _read_found(api, cut_off, overlap, now, failed)
    state = cut_off or parsed(_Found, position.cursor, stream) or _Found()
    if state.searched is None or now - state.searched >= SEARCH_EVERY:
        gap = _search(api, query, state, now)
        yield Batch((), resume=state.model_dump_json(), gap=gap)
    state.left = [video for video in state.videos if video not in failed]
    yield from _read_found(api, state, overlap, now, failed)
    if failed:
        video, fault = next(iter(failed.items()))
        raise SourceUnavailable(f"video:{video} cannot be read: {fault}") from fault
    yield Batch((), cursor=state.model_dump_json())


def _search(api: "Api", query: str, state: _Found, now: datetime) -> Gap | None:
    """Note the videos that were published since the last search, and forget those found long ago."""
    after = (state.searched or now - FIRST) - (LATE if state.searched else timedelta(0))
    found: dict[str, datetime] = {}
    token: str | None = None
    for _ in range(SEARCH_PAGES):
        page = api.search(query, after, token)
        found |= dict(read_videos(page.items))
        token = page.next
        if token is None or not page.items:
            break
    state.searched = now
    newest = sorted(found, key=lambda video: found[video], reverse=True)
    videos = {video: state.videos.get(video) or _Video(found=now) for video in newest}
    kept = {video: mark for video, mark in state.videos.items() if now - mark.found < REMEMBERED}
    state.videos = dict(list((videos | kept).items())[:MOST_VIDEOS])
    if not token or not found:
        return None
    return Gap(after, min(found.values()), f"a search gives {len(found)} videos, older ones are not watched")


def _read_found(
    api: "Api", state: _Found, overlap: timedelta, now: datetime, failed: MutableMapping[str, SourceUnavailable]
) -> Iterator[Batch]:
    """Read the videos that are left; each leaves the list with its last comment.

    One that cannot be read, `failed` tells why, leaves it too, and is the last to be read by the next run.
    """
    from monitor.collectors.youtube_api import CommentsOff, NotThere

    in_a_row = 0
    while state.left:
        video = state.left[0]
        known = state.videos.get(video) or _Video(found=now)
        rest = state.rest = state.rest or known.rest or begin(known, overlap, now)
        began = rest.model_copy(deep=True)
        try:
            for batch, last in read(api, f"video:{video}", {"videoId": video}, rest, now):
                if last:
                    state.videos[video] = _Video(found=known.found, **rest.mark(now).model_dump())
                    state.left, state.rest = state.left[1:], None
                yield replace(batch, resume=state.model_dump_json())
            in_a_row = 0
        except (CommentsOff, NotThere):
            state.videos.pop(video, None)
            state.left, state.rest = state.left[1:], None
        except SourceUnavailable as fault:
            failed[video] = fault
            in_a_row += 1
            state.videos.pop(video, None)
            # What failed where it began last time begins anew, or nothing would ever be read of it again.
            state.videos[video] = known.model_copy(update={"rest": rest if rest != began else None})
            state.left, state.rest = state.left[1:], None
            yield Batch((), resume=state.model_dump_json())
            if in_a_row == IN_A_ROW:
                raise


def youtube_query(query: Query) -> str:
    """Write a query for YouTube's search: one of several words, wider than the query itself."""
    words = _wanted(query.root)
    if not words:
        raise InputError(
            "YouTube needs a whole word in every branch of an OR, without wildcards, to search for videos by; "
            f"write the forms out, or leave out search: {str(query)[:80]}"
        )
    return "|".join(dict.fromkeys(words))


def _wanted(node: Node) -> list[str] | None:
    """Words of which one must be there; None where the node asks for none that can be searched."""
    match node:
        case Word(text):
            word = text.lstrip("@#").replace('"', " ").strip()
            plain = word if word.isalnum() else f'"{word}"'
            return None if wild(text) or not word else [plain]
        case Phrase(words):
            if any(wild(word.text) for word in words):
                return next((found for word in words if (found := _wanted(word))), None)
            return ['"' + " ".join(word.text.replace('"', " ") for word in words) + '"']
        case And(parts):
            choices = [found for part in parts if (found := _wanted(part))]
            return min(choices, key=len, default=None)
        case Near(left, right, _):
            return _wanted(left) or _wanted(right)
        case Or(parts):
            each = [_wanted(part) for part in parts]
            return [word for found in each for word in found or ()] if all(each) else None
        case Not(_):
            return None
