"""Reddit by praw: submissions by search or listing, and all comments of the watched subreddits, newest first."""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, SecretStr, ValidationError, model_validator

from db.errors import CollectorError, InputError, NotAuthorised, RateLimited, SourceUnavailable
from db.records import Batch, Checked, Gap, Mention, Position, Reach
from jobs.collector import Meter
from monitor.collectors.addresses import secret_address
from monitor.collectors.dialects import reddit_query
from monitor.collectors.reddit_reply import RedditReplier
from monitor.plugins import Brand, CollectorKind, RegisterCollector, hookimpl

if TYPE_CHECKING:
    import praw
    import requests

log = logging.getLogger(__name__)

PAGE = 100  # the most that Reddit sends at once
CUT_SHORT = 200  # a listing that ends after this many posts may have been cut: about 1,000, in searches at times 250
MOST_PAGES = 30  # far beyond what Reddit lists: an end for a server that never gives one
DEFAULT_WAIT = timedelta(minutes=10)  # Reddit counts requests over ten minutes
LONGEST_WAIT = timedelta(days=1)
WITHOUT_PACING = 10**9  # praw sleeps up to 10 s before a request to spread them over this many seconds; we never sleep

_SUBREDDIT = re.compile(r"(?:/?r/)?([A-Za-z0-9_]{2,23})/?")
_SURROGATE = re.compile("[\ud800-\udfff]")  # half a character, which JSON can spell and no database stores
_GONE = frozenset({"[deleted]", "[removed]", "[deleted by user]"})
_POST = re.compile("t[13]_[a-z0-9]+")  # a comment or a submission


def _subreddits(names: list[str]) -> list[str]:
    """Without "r/", and each once."""
    found: dict[str, str] = {}
    for name in names:
        match = _SUBREDDIT.fullmatch(name.strip())
        if not match:
            raise ValueError(f'{name!r} is no name of a subreddit; write "acme" or "r/acme"')
        found.setdefault(match[1].lower(), match[1])
    return list(found.values())


class RedditOptions(BaseModel, extra="forbid", hide_input_in_errors=True):
    """The options of a source of kind "reddit"."""

    subreddits: Annotated[list[str], Field(min_length=1), AfterValidator(_subreddits)]
    client_id: SecretStr
    client_secret: SecretStr
    user_agent: Annotated[str, Field(min_length=7)] = "sentimon/0.1 (self-hosted brand monitor)"
    reddit_url: Annotated[str, AfterValidator(secret_address)] = "https://www.reddit.com"
    oauth_url: Annotated[str, AfterValidator(secret_address)] = "https://oauth.reddit.com"
    timeout: Annotated[float, Field(gt=0, le=300)] = 15  # seconds
    overlap: Annotated[int, Field(ge=0, le=10_080)] = 60  # minutes read again before the cursor: search lags behind
    submissions: Literal["search", "all"] = "search"  # a search for each brand, or one poll of all that is new
    replies: bool = False  # posts are answered in the name of this account
    username: Annotated[str, Field(pattern="^[A-Za-z0-9_-]{3,20}$")] | None = None
    password: SecretStr | None = None
    refresh_token: SecretStr | None = None

    @model_validator(mode="after")
    def _replies_need_an_account(self) -> Self:
        if self.replies and not ((self.username and self.password) or self.refresh_token):
            raise ValueError("`replies` needs an account: give `username` and `password`, or a `refresh_token`")
        return self


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC)


class _Post(BaseModel):
    """What is read of a submission or a comment. Plain JSON: praw's objects may send a request for any attribute."""

    name: str
    created_at: Annotated[AwareDatetime, AfterValidator(_utc)] = Field(alias="created_utc")
    author: str | None = None
    title: str = ""
    selftext: str = ""
    body: str = ""
    permalink: str = ""
    parent_id: str | None = None
    score: int | None = None
    num_comments: int | None = None
    removed_by_category: str | None = None
    score_hidden: bool = False
    hide_score: bool = False


class _Thing(BaseModel):
    kind: str
    data: dict[str, Any]


class _Page(BaseModel):
    children: list[object]
    after: str | None = None

    def posts(self) -> list[_Post]:
        """The posts that can be read: one odd post must not stop the stream for ever. A page of them is refused."""
        posts: list[_Post] = []
        odd: list[ValidationError] = []
        for child in self.children:
            try:
                thing = _Thing.model_validate(child)
                if thing.kind in ("t1", "t3"):
                    posts.append(_Post.model_validate(thing.data))
            except ValidationError as error:
                odd.append(error)
        if odd and not posts:
            raise odd[0]
        for why in odd:  # told by the fields only: the error's own text quotes the post
            fields = ", ".join(sorted({".".join(map(str, each["loc"])) or "all of it" for each in why.errors()}))
            log.warning("Reddit: a post is left out, it cannot be read: %s", fields)
        return posts

    def names(self) -> set[str]:
        """The names of all that was sent, of posts that cannot be read too."""
        found = (child.get("data") for child in self.children if isinstance(child, dict))
        return {str(data.get("name")) for data in found if isinstance(data, dict)}


class _Answer(BaseModel):
    data: _Page


@dataclass(slots=True)
class _Last:
    """The last answer's status and headers, which praw's errors do not always carry."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    token: bool = False  # it answered the request for a token

    def number(self, header: str) -> float | None:
        try:
            number = float(self.headers.get(header, ""))
        except ValueError:
            return None
        return number if number == number else None  # not NaN


class _Exhausted(Exception):
    """Reddit failed and allows no further request now: without this, praw would sleep until it does."""


class RedditCollector:
    """Reads submissions by search or listing and comments by listing; the collect job matches what was read."""

    platform = "reddit"
    check_size = PAGE

    def __init__(self, options: RedditOptions, brands: Sequence[Brand]) -> None:
        self._options = options
        self._where = f"r/{'+'.join(options.subreddits)}"
        searched = brands if options.submissions == "search" else ()
        self._queries = {f"search:{brand.name}": reddit_query(brand.query) for brand in searched}
        self._last = _Last()
        self._reddit: praw.Reddit | None = None
        self._session: requests.Session | None = None
        self._not_before: datetime | None = None

    def streams(self) -> Sequence[str]:
        listed = ("comments",) if self._options.submissions == "search" else ("submissions", "comments")
        return (*self._queries, *listed)

    def explain(self) -> Sequence[str]:
        searches = [f"{stream}: {query} in {self._where}" for stream, query in self._queries.items()]
        listed = [stream for stream in self.streams() if stream not in self._queries]
        return (*searches, *(f"{stream}: all in {self._where}, matched here" for stream in listed))

    def check(self, ids: Sequence[str], resume: str | None, meter: Meter, now: datetime) -> Checked:
        """Ask for posts by name, a hundred at once; Reddit leaves out what it no longer knows."""
        asked = [name for name in ids if _POST.fullmatch(name)]  # others were imported
        if not asked:
            return Checked()
        try:
            posts, page = self._page("api/info", {"id": ",".join(asked), "limit": PAGE}, now)
        finally:
            self._disconnect()
        seen = {post.name: mention for post in posts if (mention := _mention(post, now))}
        unread = page.names() - {post.name for post in posts}  # there, but not to be read: neither gone nor seen
        gone = [name for name in asked if name not in seen and name not in unread]
        return Checked(gone=gone, seen=list(seen.values()))

    def collect(self, stream: str, position: Position, meter: Meter, now: datetime) -> Iterator[Batch]:
        """Page from the newest post back to the cursor and a little further."""
        try:
            yield from self._read(stream, position, now)
        finally:
            self._disconnect()

    def _read(self, stream: str, position: Position, now: datetime) -> Iterator[Batch]:
        path, params = self._listing(stream)
        cursor = datetime.fromisoformat(position.cursor) if position.cursor else None
        stop = cursor - timedelta(minutes=self._options.overlap) if cursor else None
        newest, oldest, seen = cursor, None, 0
        asked_after: set[str] = set()
        while True:
            posts, page = self._page(path, params, now)
            after = page.after
            times = [post.created_at for post in posts]
            seen += len(posts)
            newest = max([*times, newest] if newest else times, default=None)
            oldest = min([*times, oldest] if oldest else times, default=None)
            wanted = [post for post in posts if stop is None or post.created_at >= stop]
            mentions = tuple(mention for post in wanted if (mention := _mention(post, now)))
            reached = stop is not None and bool(times) and times[-1] < stop
            if reached or after is None or after in asked_after or len(asked_after) == MOST_PAGES:
                gap = None
                if cursor and oldest and oldest > cursor and seen >= CUT_SHORT:
                    gap = Gap(cursor, oldest, f"Reddit lists only the newest 1,000 posts, here {seen:,}")
                # An empty listing was read up to now: a burst that overflows it later must show as a gap.
                yield Batch(mentions, cursor=(newest or now).isoformat(), fetched=len(posts), gap=gap)
                return
            yield Batch(mentions, fetched=len(posts))
            asked_after.add(after)
            params = {**params, "after": after}

    def _listing(self, stream: str) -> tuple[str, dict[str, str | int]]:
        if stream not in self.streams():
            raise InputError(f"the source has no stream {stream!r}")
        if stream not in self._queries:
            return f"{self._where}/{'comments' if stream == 'comments' else 'new'}/", {"limit": PAGE}
        everywhere = self._where.lower() == "r/all"
        return f"{self._where}/search/", {
            "q": self._queries[stream],
            "restrict_sr": "False" if everywhere else "True",
            "sort": "new",
            "syntax": "lucene",
            "t": "all",
            "limit": PAGE,
        }

    def _page(self, path: str, params: dict[str, str | int], now: datetime) -> tuple[list[_Post], _Page]:
        import praw.exceptions
        import prawcore
        import requests

        if self._not_before and now < self._not_before:
            raise RateLimited("Reddit allows no further request now", self._not_before)
        if self._reddit is None:
            self._session = _session(self._options.timeout, self._last)
            self._reddit = _client(self._options, self._session)
        self._last.status = None
        try:
            answer = self._reddit.request(method="GET", path=path, params=params)
            page = _Answer.model_validate(answer).data
            posts = page.posts()
        except (
            prawcore.PrawcoreException,
            praw.exceptions.PRAWException,
            requests.RequestException,
            AssertionError,  # praw's own, on some answers with status 400
            LookupError,  # praw raises a bare KeyError(401), among others
            OSError,
            TypeError,
            ValueError,
        ) as error:
            raise self._fault(error, now) from error
        remaining = self._last.number("x-ratelimit-remaining")
        if remaining is not None and remaining < 1:
            self._wait(now)
        return posts, page

    def _disconnect(self) -> None:
        """Close the connections, which are of no use until the next run; the client keeps its token."""
        if self._session:
            self._session.close()

    def _wait(self, now: datetime) -> datetime:
        """Send nothing more before the limit is lifted; the next client starts without the old one's sleep."""
        self._reddit = None
        self._not_before = now + self._asked_to_wait(now)
        return self._not_before

    def _asked_to_wait(self, now: datetime) -> timedelta:
        written = self._last.headers.get("retry-after", "")
        seconds = self._last.number("retry-after")
        if seconds is None and written:
            try:
                seconds = (parsedate_to_datetime(written) - now).total_seconds()
            except (TypeError, ValueError):
                seconds = None
        if seconds is None:
            seconds = self._last.number("x-ratelimit-reset")
        if seconds is None or seconds < 0:
            return DEFAULT_WAIT
        return timedelta(seconds=min(max(seconds, 1), LONGEST_WAIT.total_seconds()))

    def _fault(self, error: Exception, now: datetime) -> CollectorError:
        """One line that says what to do. It quotes no error text: that could hold an address or a secret."""
        import prawcore

        status, where = self._last.status, self._where
        if isinstance(error, prawcore.RequestException):  # no answer to the last try, whatever came before
            cause = error.original_exception
            if isinstance(cause, _Exhausted):
                return RateLimited("Reddit allows no further request now", self._wait(now))
            return SourceUnavailable(
                f"Reddit did not answer for {where} ({type(cause).__name__}); the next run tries again"
            )
        if status == 429:
            return RateLimited("Reddit asks to wait (429)", self._wait(now))
        refused = status is not None and 400 <= status < 500
        if isinstance(error, prawcore.OAuthException) or status == 401 or (self._last.token and refused):
            return NotAuthorised("Reddit refuses the credentials: check client_id and client_secret")
        if status in (403, 451):
            return NotAuthorised(
                f"Reddit forbids reading {where} ({status}): one may be private, or the app is not approved"
            )
        if status in (301, 302, 404):
            return NotAuthorised(f"no such subreddit, or it is banned: {where} ({status}); correct `subreddits`")
        if status is not None and status >= 500:
            return SourceUnavailable(f"Reddit is in trouble ({status}); it is tried again later")
        if refused:
            return SourceUnavailable(f"Reddit refuses the request for {where} ({status}); it is tried again later")
        return SourceUnavailable(f"Reddit's answer for {where} cannot be read; it is tried again later")


def _mention(post: _Post, now: datetime) -> Mention | None:
    """A mention, or None for what was deleted or removed."""
    if post.removed_by_category or _GONE & {post.title, post.selftext, post.body}:
        return None
    comment = post.name.startswith("t1_")
    text = post.body if comment else "\n\n".join(part for part in (post.title, post.selftext) if part)
    hidden = post.score is None or post.score_hidden or post.hide_score
    return Mention(
        source="reddit",
        source_id=post.name,
        author=post.author if post.author not in _GONE else None,
        text=_SURROGATE.sub("\ufffd", text.replace("\0", "")),
        created_at=post.created_at,
        collected_at=now,
        url=f"https://www.reddit.com{post.permalink}" if post.permalink.startswith("/") else None,
        in_reply_to=post.parent_id if comment else None,
        reach=Reach(likes=None if hidden else max(post.score or 0, 0), replies=post.num_comments),
    )


class _Aside(logging.Filter):
    """Takes prawcore's warnings of its own tries aside: the run's error says what came of them.

    They name an address; the words before it go to the log for those who look for a fault.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        told = re.match(r"[\w ]*", record.getMessage())
        log.debug("prawcore: %s", told and told[0])
        return False


_ASIDE = _Aside()  # one: a filter that is there already is not added again


def _client(options: RedditOptions, session: "requests.Session") -> "praw.Reddit":
    import praw

    logging.getLogger("prawcore").addFilter(_ASIDE)
    return praw.Reddit(
        "DEFAULT",
        client_id=options.client_id.get_secret_value(),
        client_secret=options.client_secret.get_secret_value(),
        user_agent=options.user_agent,
        # praw reads accounts from praw.ini and the environment too; this source reads anonymously.
        username=None,
        password=None,
        refresh_token=None,
        reddit_url=options.reddit_url,
        oauth_url=f"{options.oauth_url}/",
        short_url=options.reddit_url,
        check_for_updates=False,
        check_for_async=False,
        ratelimit_seconds=0,
        window_size=WITHOUT_PACING,
        requestor_kwargs={"session": session},
    )


def _session(timeout: float, last: _Last) -> "requests.Session":
    """Note each answer in `last`, and set the timeout: praw's own option for it reaches no request."""
    import requests

    from monitor.collectors.adapter import Timely

    def note(response: requests.Response, *args: Any, **kwargs: Any) -> None:
        last.status = response.status_code
        last.headers = {name.lower(): value for name, value in response.headers.items()}
        last.token = response.request.method == "POST"
        remaining = last.number("x-ratelimit-remaining")
        if response.status_code != 200 and remaining is not None and remaining < 1:
            raise _Exhausted

    session = requests.Session()
    session.hooks["response"].append(note)
    session.mount("https://", Timely(timeout))
    session.mount("http://", Timely(timeout))
    return session


def _explain(options: RedditOptions, brands: Sequence[Brand]) -> Sequence[str]:
    return RedditCollector(options, brands).explain()


def _replier(options: RedditOptions, brands: Sequence[Brand]) -> RedditReplier | None:
    return RedditReplier(options) if options.replies else None


@hookimpl
def register_collectors(register: RegisterCollector) -> None:
    register(CollectorKind("reddit", RedditOptions, RedditCollector, _explain, replier=_replier))
