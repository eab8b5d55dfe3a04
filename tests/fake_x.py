"""A stateful fake of X's API v2 on a real loopback socket, as far as a monitor sees it, with faults to order.

Recent search, counts, lookup, accounts, timelines of mentions, compliance jobs, the filtered stream and its rules.
with FakeX() as fake: fake.add("acme is down", time); fake.script(503, "drop", after=2); … XOptions(api_url=fake.url)
By hand: python -m tests.fake_x --port 8801 --posts posts.jsonl (lines with text and what else add() takes).
"""

import argparse
import base64
import html
import json
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from tests.fake_x_http import Server, create, handler
from tests.fake_x_query import PROBLEMS, Post, Refusal, compile_query, named

EPOCH_MS = 1288834974657
WEEK = timedelta(days=7)
DEPTH = 800  # posts of a timeline of mentions
SPAN = {"since_id", "until_id", "start_time", "end_time"}
SHOWN = {"tweet.fields", "expansions", "user.fields"}
PARAMETERS = {
    "search": {"query", "max_results", "next_token", "pagination_token", "sort_order", *SPAN, *SHOWN},
    "mentions": {"max_results", "pagination_token", *SPAN, *SHOWN},
    "counts": {"query", "granularity", *SPAN},
    "lookup": {"ids", *SHOWN},
    "user": SHOWN,
    "stream": SHOWN,
    "own": {"max_results", *SHOWN},
}
NEW_NAMES = {
    "edit_history_tweet_ids": "edit_history_post_ids",
    "note_tweet": "note_post",
    "referenced_tweets": "referenced_posts",
    "retweet_count": "repost_count",
    "total_tweet_count": "total_post_count",
}
POST_FIELDS = {"id", "text", "created_at", "author_id", "conversation_id", "lang", "public_metrics", "entities"}
POST_FIELDS |= {"in_reply_to_user_id", "edit_history_tweet_ids", "note_tweet", "referenced_tweets"}
ANY_TOKEN = "b26v89c19zqg8o3f"
Fault = int | str  # a status, or one of the names in FakeX.script


@dataclass(frozen=True, slots=True)
class Request:
    params: Mapping[str, str]
    status: int  # 0 where no whole answer was sent
    posts: int  # sent, and so billed
    what: str = "search"  # one of the keys of PARAMETERS, or "jobs", "rules", "upload", "download"
    authorised: bool = True  # the bearer token came along


@dataclass
class Job:
    """A compliance job."""

    id: str
    status: str = "created"
    ids: Sequence[str] = ()
    begun: datetime | None = None  # when the ids came


@dataclass
class FakeX:
    """X, as far as a search for mentions sees it. Posts show after `lag`, and are searched for seven days."""

    token: str = "test-token"
    style: str = "old"  # or "new": the field names of August 2026
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    lag: timedelta = timedelta(seconds=30)
    port: int = 0
    limit: int = 450  # requests a quarter of an hour, of each kind
    slow: float = 1.0  # seconds that a "slow" answer takes
    hold: float = 0.0  # seconds that the stream stays open when it has told all
    chatter: bytes = b""  # what it sends meanwhile, all the time
    ended: int = 0  # streams that X closed
    listened: Callable[[], None] | None = None  # called when somebody listens to the stream
    repeat_token: bool = False  # every page names the same next page
    leak_retweets: bool = False  # -is:retweet is not honoured
    job_time: timedelta = timedelta(minutes=5)
    store: str | None = None  # where files of compliance jobs are to go, this server where it is None
    accounts: dict[str, str] = field(default_factory=dict)  # name -> id
    keys: tuple[str, str] = ("api-key", "77-access-token")  # OAuth 1.0a: the app's, and of an account
    summoned: bool = True  # it lets an app answer only posts that mention its account
    sent: list[str] = field(default_factory=list)  # ids of the posts made through the API
    rules: dict[str, tuple[str, str]] = field(default_factory=dict)  # id -> value, tag
    jobs: dict[str, Job] = field(default_factory=dict)
    bill: Counter[str] = field(default_factory=Counter)  # "post", "owned", "user", "count" -> how many
    requests: list[Request] = field(default_factory=list)
    _posts: dict[int, Post] = field(default_factory=dict)
    _gone: dict[int, str] = field(default_factory=dict)  # id -> deleted, protected, …
    _air: list[Post] = field(default_factory=list)
    _faults: dict[str | None, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    _windows: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    _lock: threading.RLock = field(default_factory=threading.RLock)
    closing: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._server = Server(("127.0.0.1", self.port), handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def billed(self) -> int:
        """Posts sent in answers, at the full price."""
        return self.bill["post"]

    # --- what people do on X ---

    def add(self, text: str, created_at: datetime | None = None, number: int | None = None, **others: Any) -> str:
        """Post something; returns its id, a snowflake of that time unless told another."""
        with self._lock:
            time = created_at or self.now()
            number = id_at(time) if number is None else number
            while number in self._posts:
                number += 1
            self._posts[number] = Post(number, text, time, **others)
            return str(number)

    def air(self, text: str, **others: Any) -> str:
        """Post something that whoever listens to the stream next hears."""
        with self._lock:
            number = self.add(text, **others)
            self._air.append(self._posts[int(number)])
            return number

    def silence(self) -> None:
        """What was on the air is over: nobody listened."""
        with self._lock:
            self._air.clear()

    def edit(self, number: str, text: str, aired: bool = False) -> str:
        """Edit a post: X makes a new one of it, and finds that one only. Returns the new id."""
        with self._lock:
            old = self._posts[int(number)]
            new = int(self.add(text, author_id=old.author_id, username=old.username, lang=old.lang))
            history = (*(old.history or (old.id,)), new)
            for each in history:
                self._posts[each] = replace(self._posts[each], history=history)
            if aired:
                self._air.append(self._posts[new])
            return str(new)

    def remove(self, number: str, reason: str = "deleted") -> None:
        """A post is shown no more: deleted, protected, suspended, deactivated."""
        self._gone[int(number)] = reason

    # --- faults ---

    def script(self, *faults: Fault, after: int = 0, on: str | None = None) -> None:
        """What happens to the coming requests (of a kind), one each, after so many good ones.

        A status; "ok"; "429-bare" (no headers), "429-cap" (the month's cap); "html200", "html503"; "drop" (nothing
        is sent), "cut" (half the answer is sent, and billed), "slow"; "partial" (posts and errors), "empty" ({}),
        "list" (a status 503 whose body is a JSON list), "troubled" (errors that say nothing of the posts).
        """
        with self._lock:
            self._faults[on] += ["ok"] * after + list(faults)

    def next_fault(self, what: str) -> Fault:
        with self._lock:
            for faults in (self._faults[what], self._faults[None]):
                if faults:
                    return faults.pop(0)
            return "ok"

    @property
    def scripted(self) -> int:
        """Faults that have not happened yet."""
        return sum(map(len, self._faults.values()))

    def rate(self, what: str = "search") -> tuple[int, int]:
        """Requests left in this quarter of an hour (-1 when there were too many), and when it ends."""
        with self._lock:
            now, window = self.now(), self._windows[what]
            if not window or now - window[0] >= timedelta(minutes=15):
                window.clear()
            window.append(now)
            return max(-1, self.limit - len(window)), int(window[0].timestamp()) + 900

    def seen(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)

    def asked(self, what: str) -> list[Request]:
        """The requests of a kind."""
        return [request for request in self.requests if request.what == what]

    # --- what it answers ---

    def answer(self, what: str, path: str, params: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """The answer to a request, which is billed; raises Refusal, KeyError where there is no such thing."""
        with self._lock:
            if what in PARAMETERS:
                self._known(what, params)
            last = path.rsplit("/", 1)[-1]
            match what:
                case "search":
                    return self._billed("post", self._search(params))
                case "mentions":
                    return self._billed("owned", self._mentions(path.split("/")[3], params))
                case "counts":
                    self.bill["count"] += 1
                    return self._count(params)
                case "lookup":
                    return self._billed("post", self._look_up(params))
                case "user":
                    return self._user(last)
                case "jobs":
                    return self._job(None if last == "jobs" else last, body)
                case "create":
                    return create(self, json.loads(body))
                case "own":
                    mine = [post for post in self._visible({}) if str(post.id) in self.sent]
                    return self._billed("owned", self._page(params, mine, fewest=5))
            return self._rules(body)

    def _known(self, what: str, params: Mapping[str, str]) -> None:
        known = PARAMETERS[what] | ({"post.fields"} if self.style == "new" else set())
        for name in params.keys() - known:
            raise Refusal(name, params[name], f"The query parameter [{name}] is not one of the known ones")
        for name in self._wanted(params) - POST_FIELDS:
            raise Refusal("tweet.fields", name, f"The `tweet.fields` query parameter value [{name}] is not known")

    def _wanted(self, params: Mapping[str, str]) -> set[str]:
        wanted = {*params.get("tweet.fields", "").split(","), *params.get("post.fields", "").split(",")} - {""}
        old_names = {new: old for old, new in NEW_NAMES.items()}
        return {old_names.get(name, name) for name in wanted}

    def _billed(self, kind: str, answer: dict[str, Any]) -> dict[str, Any]:
        self.bill[kind] += len(answer.get("data", ()))
        return answer

    def _search(self, params: Mapping[str, str]) -> dict[str, Any]:
        return self._page(params, self._found(params), fewest=10)

    def _found(self, params: Mapping[str, str]) -> list[Post]:
        """All that a search finds, newest first."""
        now = self.now()
        for name in ("since_id", "until_id"):
            if name in params and time_of(int(params[name])) < now - WEEK:
                least = id_at(now - WEEK)
                message = f"'{name}' must be a tweet id created after {now - WEEK:%Y-%m-%dT%H:%MZ}. "
                message += f"Please use a '{name}' that is larger than {least}"
                raise Refusal(name, params[name], message)
        if "start_time" in params and "since_id" not in params and _time(params, "start_time") < now - WEEK:
            message = f"Invalid 'start_time':'{params['start_time']}'. 'start_time' must be within the last 7 days."
            raise Refusal("start_time", params["start_time"], message)
        matches = compile_query(params.get("query", ""), self.leak_retweets)
        return [
            post
            for post in self._visible(params)
            if post.created_at >= now - WEEK
            and post.created_at <= now - max(self.lag, timedelta(seconds=post.late))
            and matches(post)
        ]

    def _visible(self, params: Mapping[str, str]) -> Iterator[Post]:
        """The posts of a span that are shown, newest first, each in its newest version."""
        end = _time(params, "end_time") if "end_time" in params else None
        if end and end > self.now() - timedelta(seconds=10):
            message = "'end_time' must be a minimum of 10 seconds prior to the request time."
            raise Refusal("end_time", params["end_time"], message)
        # X leaves start_time aside where there is a since_id.
        start = _time(params, "start_time") if "start_time" in params and "since_id" not in params else None
        since, until = int(params.get("since_id", 0)), int(params.get("until_id", 1 << 63))
        for number, post in sorted(self._posts.items(), reverse=True):
            if number in self._gone or (post.history and post.history[-1] != number) or not since < number < until:
                continue
            if (start is None or post.created_at >= start) and (end is None or post.created_at < end):
                yield post

    def _mentions(self, user: str, params: Mapping[str, str]) -> dict[str, Any]:
        name = next((name for name, number in self.accounts.items() if number == user), None)
        if name is None:
            return {"errors": [_not_found("id", user, "user")]}
        latest = [post for post in self._visible({}) if named(name, post.text)][:DEPTH]
        inside = {post.id for post in self._visible(params)}
        shown = [post for post in latest if post.id in inside and post.created_at <= self.now() - self.lag]
        return self._page(params, shown, fewest=5)

    def _page(self, params: Mapping[str, str], found: Sequence[Post], fewest: int) -> dict[str, Any]:
        size = int(params.get("max_results", "10"))
        if not fewest <= size <= 100:
            message = f"The `max_results` query parameter value [{size}] is not between {fewest} and 100"
            raise Refusal("max_results", str(size), message)
        key = "|".join(params.get(name, "") for name in ("query", "since_id", "until_id"))
        if token := params.get("next_token") or params.get("pagination_token"):
            below = _read_token(token, key)
            found = [post for post in found if post.id < below]
        page = found[:size]
        meta: dict[str, Any] = {"result_count": len(page)}
        if page:
            meta |= {"newest_id": str(page[0].id), "oldest_id": str(page[-1].id)}
        if len(found) > size:
            meta["next_token"] = ANY_TOKEN if self.repeat_token else _write_token(page[-1].id, key)
        data = [self.show(post, params) for post in page]
        return ({"data": data} if page else {}) | {"meta": meta}

    def _count(self, params: Mapping[str, str]) -> dict[str, Any]:
        total = len(self._found(params))
        return {"data": [], "meta": self._renamed({"total_tweet_count": total})}

    def _look_up(self, params: Mapping[str, str]) -> dict[str, Any]:
        data, errors = [], []
        for number in params["ids"].split(","):
            reason = self._gone.get(int(number))
            if reason in ("protected", "suspended"):
                refused = {"title": "Authorization Error", "type": f"{PROBLEMS}not-authorized-for-resource"}
                errors.append(_not_found("ids", number, "tweet") | refused)
            elif reason is not None or int(number) not in self._posts:
                errors.append(_not_found("ids", number, "tweet"))
            else:
                data.append(self.show(self._posts[int(number)], params))
        return ({"data": data} if data else {}) | ({"errors": errors} if errors else {})

    def _user(self, name: str) -> dict[str, Any]:
        number = {known.lower(): number for known, number in self.accounts.items()}.get(name.lower())
        if number is None:
            return {"errors": [_not_found("username", name, "user")]}
        self.bill["user"] += 1
        return {"data": {"id": number, "name": name.title(), "username": name}}

    def _job(self, number: str | None, body: bytes) -> dict[str, Any]:
        if number is None:
            if json.loads(body).get("type") != "tweets":
                raise Refusal("type", "", "`type` must be one of tweets, users")
            number = str(1_000 + len(self.jobs))
            self.jobs[number] = Job(number)
        job, now = self.jobs[number], self.now()
        if job.status == "in_progress" and job.begun and now >= job.begun + self.job_time:
            job.status = "complete"
        place = self.store or self.url
        told = {"id": job.id, "type": "tweets", "status": job.status, "resumable": False}
        told |= {"upload_url": f"{place}/upload/{job.id}", "download_url": f"{place}/download/{job.id}"}
        if job.begun and self.style == "old":  # the new specification has no such field
            told["estimated_completion"] = (job.begun + self.job_time).isoformat().replace("+00:00", "Z")
        return {"data": told}

    def uploaded(self, number: str, body: bytes) -> None:
        job = self.jobs[number]
        job.status, job.ids, job.begun = "in_progress", body.decode().split(), self.now()

    def result(self, number: str) -> bytes:
        """The result of a job: a line for each post that must go, and one for what only loses its place."""
        ids = self.jobs[number].ids
        gone = [(each, self._gone[int(each)]) for each in ids if int(each) in self._gone]
        gone += [(each, "deleted") for each in ids if int(each) not in self._posts]
        lines = [{"id": each, "action": "delete", "reason": reason} for each, reason in gone]
        lines += [{"id": each, "action": "redact", "reason": "scrub_geo"} for each in ids[:1]]
        return "".join(json.dumps(line) + "\n" for line in lines).encode()

    def _rules(self, body: bytes) -> dict[str, Any]:
        asked = json.loads(body) if body else {}
        for number in asked.get("delete", {}).get("ids", ()):
            del self.rules[number]
        errors = []
        for rule in asked.get("add", ()):
            compile_query(rule["value"])
            if rule["value"] in {value for value, _ in self.rules.values()}:
                errors.append({"title": "DuplicateRule", "value": rule["value"], "type": f"{PROBLEMS}duplicate-rules"})
            else:
                self.rules[str(2_000 + len(self.rules) + len(self.requests))] = (rule["value"], rule.get("tag", ""))
        data = [{"id": number, "value": value, "tag": tag} for number, (value, tag) in self.rules.items()]
        return {"data": data, "meta": {"sent": "now"}} | ({"errors": errors} if errors else {})

    def on_air(self, params: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """What the stream has for whoever listens now; it is billed."""
        with self._lock:
            self._known("stream", params)
            waiting, self._air = self._air, []
            for post in waiting:
                hits = [number for number, (value, _) in self.rules.items() if compile_query(value)(post)]
                if hits:
                    self.bill["post"] += 1
                    rules = [{"id": number, "tag": self.rules[number][1]} for number in hits]
                    yield {"data": self.show(post, params), "matching_rules": rules}

    def show(self, post: Post, params: Mapping[str, str]) -> dict[str, Any]:
        wanted = self._wanted(params)
        links = [("replied_to", post.reply_to), ("quoted", post.quote_of), ("retweeted", post.retweet_of)]
        references = [{"type": kind, "id": target} for kind, target in links if target]
        whole = html.escape(post.text, quote=False)
        everything: dict[str, Any] = {
            "created_at": post.created_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "author_id": post.author_id,
            "conversation_id": post.reply_to or str(post.id),
            "lang": post.lang,
        }
        counts = {"like_count": post.likes, "retweet_count": post.reposts, "reply_count": post.replies}
        counts |= {"quote_count": 0, "bookmark_count": 0, "impression_count": 0}
        everything["public_metrics"] = self._renamed(counts)
        if references:
            everything["referenced_tweets"] = references
        if len(post.text) > 280:
            everything["note_tweet"] = {"text": whole}
        shown = {name: value for name, value in everything.items() if name in wanted}
        cut = html.escape(post.text[:255], quote=False) + "… https://t.co/4uDjX2zzTq"
        shown |= {"id": str(post.id), "text": cut if len(post.text) > 280 else whole}
        shown |= {"edit_history_tweet_ids": [str(each) for each in post.history or (post.id,)]}
        return self._renamed(shown)

    def _renamed(self, shown: dict[str, Any]) -> dict[str, Any]:
        return {NEW_NAMES.get(name, name) if self.style == "new" else name: value for name, value in shown.items()}


def time_of(post_id: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=(post_id >> 22) + EPOCH_MS)


def id_at(time: datetime) -> int:
    return ((time - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1) - EPOCH_MS) << 22


def _time(params: Mapping[str, str], name: str) -> datetime:
    return datetime.fromisoformat(params[name])


def _not_found(parameter: str, value: str, kind: str) -> dict[str, Any]:
    return {
        "value": value,
        "detail": f"Could not find {kind} with {parameter}: [{value}].",
        "title": "Not Found Error",
        "resource_type": kind,
        "parameter": parameter,
        "resource_id": value,
        "type": f"{PROBLEMS}resource-not-found",
    }


def _write_token(last: int, key: str) -> str:
    return base64.urlsafe_b64encode(f"{last}|{key}".encode()).decode().rstrip("=")


def _read_token(token: str, key: str) -> int:
    if token == ANY_TOKEN:
        return 1 << 63
    last, _, of = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode().partition("|")
    if of != key:
        raise Refusal("next_token", token, "Invalid 'next_token': it belongs to another request.")
    return int(last)


def read_posts(path: Path, now: datetime) -> Iterator[dict[str, Any]]:
    """What add() takes, a JSON object a line. Times are moved so that the newest post is a minute old."""
    known = {each.name for each in fields(Post)} - {"id"}
    renamed = {"author": "author_id", "in_reply_to": "reply_to"}
    lines: list[dict[str, Any]] = [
        json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()
    ]
    times = [datetime.fromisoformat(line["created_at"]) for line in lines if "created_at" in line]
    shift = now - timedelta(minutes=1) - max(times, default=now)
    for line in lines:
        time = datetime.fromisoformat(line["created_at"]) + shift if "created_at" in line else now
        given = {renamed.get(name, name): value for name, value in line.items()}
        yield {name: value for name, value in given.items() if name in known} | {"created_at": time}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8801)
    parser.add_argument("--posts", type=Path, help="JSON lines")
    parser.add_argument("--token", default="test-token")
    parser.add_argument("--style", choices=["old", "new"], default="old")
    given = parser.parse_args()
    with FakeX(token=given.token, style=given.style, port=given.port) as fake:
        for post in read_posts(given.posts, datetime.now(UTC)) if given.posts else ():
            fake.add(**post)
        print(f"{len(fake._posts)} posts at {fake.url}; bearer token {given.token}; Ctrl-C ends it", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print(f"{len(fake.requests)} requests, {fake.billed} posts billed")


if __name__ == "__main__":
    main()
