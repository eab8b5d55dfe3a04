"""The platforms of the soak: the fakes of the tests behind one face, and what each of them was told to hold."""

from collections.abc import Callable, MutableSequence, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, ClassVar

from tests import fake_bluesky, fake_reddit, fake_youtube
from tests.fake_bluesky import FakeBluesky
from tests.fake_feeds import FakeAppStore, FakeFeeds
from tests.fake_hackernews import FakeHackerNews
from tests.fake_mastodon import TOKEN, FakeMastodon
from tests.fake_mastodon_streams import ILLS
from tests.fake_reddit import FakeReddit
from tests.fake_x import FakeX
from tests.fake_youtube import FakeYouTube

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
FOUND = 4 * HOUR + 20 * MINUTE
TIMEOUT = 1.0  # seconds; an answer on loopback takes a hundredth of that
LISTEN = 0.2  # seconds, where a stream has no end
APP = 123
UNITS = 4_000  # of YouTube's, a day
OTHERS = "UC" + "b" * 22  # a channel that only a search finds


@dataclass(slots=True)
class Post:
    """A post as the world knows it; its text ends with a mark by which it is known again, whatever its id."""

    number: int
    text: str
    at: datetime
    shown_at: datetime  # from when on the platform gives it
    id: str = ""
    version: int = 1  # of its text
    matches: bool = True  # it names a brand, and is to be stored
    followed: bool = True  # the platform tells of its edits and its end
    edited_at: datetime | None = None
    gone_at: datetime | None = None
    kept: Any = None  # what the fake wants back


@dataclass
class Platform:
    """One platform. Its posts are added in the order of time; `now` is the simulation's clock."""

    name: ClassVar[str]
    every: ClassVar[str] = "10m"
    faults: ClassVar[tuple[str, ...]]
    refusal: ClassVar[str] = "401"  # lasts for hours, and pauses the source
    down: ClassVar[tuple[str, ...]] = ("503", "drop")
    passes: ClassVar[str | None] = None  # what stands for no fault in a queue, where something does
    deletes: ClassVar[bool] = True
    beside: ClassVar[str] = ""  # a stream that only listens: that it was not read explains nothing
    now: datetime
    rng: Random
    posts: list[Post] = field(default_factory=list)
    server: Any = None
    happens: Callable[[], None] = lambda: None  # lets people post, edit and delete while it is listened to
    heard: bool = False  # whether they do so just now
    over: bool = False  # nobody posts, edits or deletes any more

    def vary(self, rng: Random) -> None:
        """Draw the options that change how it is read."""

    def open(self, stack: ExitStack) -> None:
        """Start the server."""
        raise NotImplementedError

    def options(self) -> str:
        """Its entry in sentimon.toml."""
        raise NotImplementedError

    def queues(self) -> list[tuple[MutableSequence[Any], Sequence[str]]]:
        """Where faults are ordered, and which there can be: a list for each kind of connection."""
        return [(self.server.faults, self.faults)]

    def tick(self, now: datetime) -> None:
        """Tell the platform the time."""
        self.now = now

    def add(self, post: Post) -> None:
        """Publish a post."""
        raise NotImplementedError

    def show(self, post: Post) -> None:
        """Let search find a post that it was late with."""

    def edit(self, post: Post, text: str) -> None:
        raise NotImplementedError

    def delete(self, post: Post) -> None:
        raise NotImplementedError

    def odd(self, at: datetime) -> None:
        """Publish what no client can read."""


class X(Platform):
    name = "x"
    every = "15m"
    faults = ("429", "429-bare", "500", "503", "html200", "html503", "drop", "cut", "slow", "partial", "empty")
    faults += ("list", "troubled", "429-cap")
    stream_faults = ("429", "403", "503", "html200", "html503", "drop", "cut", "slow")
    passes = "ok"
    beside = "filtered"
    budget = "20.00"
    compliance = "lookup"

    def vary(self, rng: Random) -> None:
        self.compliance = rng.choice(("lookup", "batch"))

    def open(self, stack: ExitStack) -> None:
        self.server = stack.enter_context(FakeX(now=lambda: self.now, accounts={"acmecare": "77"}, slow=3))
        self.server.listened = lambda: self.happens()

    def options(self) -> str:
        return (
            f'api_url = "{self.server.url}"\nbearer_token = "test-token"\ntimeout = {TIMEOUT}\n'
            f'monthly_budget = {self.budget}\ncompliance = "{self.compliance}"\nstream = true\nlisten = {TIMEOUT}'
        )

    def queues(self) -> list[tuple[MutableSequence[Any], Sequence[str]]]:
        faults = self.server._faults
        return [(faults[None], self.faults), *((faults[what], self.stream_faults) for what in ("rules", "stream"))]

    def tick(self, now: datetime) -> None:
        self.now = now
        self.server.silence()

    def add(self, post: Post) -> None:
        late = self.rng.choice((0, 0, 0, 60, 90, 110))  # inside the overlap of two minutes
        post.shown_at = post.at + timedelta(seconds=max(late, 30))
        make = self.server.air if self.heard else self.server.add
        post.id = make(post.text, created_at=post.at, late=late)
        post.kept = [post.id]

    def edit(self, post: Post, text: str) -> None:
        post.kept.append(self.server.edit(post.kept[-1], text, aired=self.heard))

    def delete(self, post: Post) -> None:
        for each in post.kept:
            self.server.remove(each, self.rng.choice(("deleted", "protected", "suspended")))


class Reddit(Platform):
    name = "reddit"
    faults = ("500", "503", "429", "429:7", "drop", "html", "json", "slow", "401", "exhausted")
    refusal = "403"
    submissions = "search"

    def vary(self, rng: Random) -> None:
        self.submissions = rng.choice(("search", "all"))

    def open(self, stack: ExitStack) -> None:
        self.server = stack.enter_context(FakeReddit(now=lambda: self.now))

    def options(self) -> str:
        url = self.server.url
        return (
            f'subreddits = ["acme", "kettles"]\nclient_id = "{fake_reddit.CLIENT_ID}"\ntimeout = {TIMEOUT}\n'
            f'client_secret = "{fake_reddit.CLIENT_SECRET}"\nreddit_url = "{url}"\noauth_url = "{url}"\n'
            f'submissions = "{self.submissions}"'
        )

    def queues(self) -> list[tuple[MutableSequence[Any], Sequence[str]]]:
        return [(self.server.faults, self.faults), (self.server.token_faults, ("401", "503", "html"))]

    def tick(self, now: datetime) -> None:
        self.now = now
        self.server.remaining = None  # "exhausted" has set it

    def add(self, post: Post) -> None:
        where = self.rng.choice(("acme", "kettles"))
        if self.rng.random() < 0.5:
            post.id = self.server.comment(post.text, f"t3_{self.rng.randrange(9999)}", at=post.at, subreddit=where)
            return
        late = self.rng.choice((0, 0, 0, 90, 1500))
        if self.submissions == "search":
            post.shown_at = post.at + timedelta(seconds=late)
        post.id = self.server.submit("a title", post.text, at=post.at, subreddit=where, late=late)

    def edit(self, post: Post, text: str) -> None:
        self.server.items[post.id].text = text

    def delete(self, post: Post) -> None:
        item = self.server.items[post.id]
        item.author, item.text = "[deleted]", self.rng.choice(("[deleted]", "[removed]"))

    def odd(self, at: datetime) -> None:
        self.server.comment("acme is odd", "t3_1", at=at, more={"created_utc": None})


class Bluesky(Platform):
    name = "bluesky"
    faults = ("500", "503", "429", "429-bare", "html", "html503", "drop", "cut", "slow", "empty")
    stream_faults = ("drop:0", "drop:10", "error:3", "silent", "429:7", "503")
    refusal = "403"
    passes = "ok"
    down = ("503",)
    account = True

    def vary(self, rng: Random) -> None:
        self.account = rng.random() < 0.7

    def open(self, stack: ExitStack) -> None:
        self.server = stack.enter_context(FakeBluesky(now=lambda: self.now))

    def options(self) -> str:
        entry = f'jetstream_url = "{self.server.stream_url}"\nlisten = {TIMEOUT}\ntimeout = {TIMEOUT}\nreplay = "1h"\n'
        if self.account:
            entry += f'service_url = "{self.server.url}"\nhandle = "{fake_bluesky.HANDLE}"\n'
            entry += f'app_password = "{fake_bluesky.PASSWORD}"'
        return entry

    def queues(self) -> list[tuple[MutableSequence[Any], Sequence[str]]]:
        stream = (self.server.stream_faults, self.stream_faults)
        return [stream, (self.server.faults, self.faults)] if self.account else [stream]

    def tick(self, now: datetime) -> None:
        self.now = now
        self.server.post("somebody is always talking", now)  # else a reading waits for what comes next

    def add(self, post: Post) -> None:
        claimed = post.at - self.rng.choice((0, 0, 1, 20)) * MINUTE
        post.id = self.server.post(post.text, post.at, claimed=fake_bluesky.text_of(claimed))
        post.at = claimed
        if self.rng.random() < 0.1:
            self.server.notify(post.id, "mention")

    def edit(self, post: Post, text: str) -> None:
        self.server.edit(post.id, text)

    def delete(self, post: Post) -> None:
        self.server.notified = [each for each in self.server.notified if each[0].uri != post.id]
        self.server.delete(post.id)

    def odd(self, at: datetime) -> None:
        self.server.post("", at, record={"text": 7, "createdAt": None})


class Mastodon(Platform):
    name = "mastodon"
    faults = ("500", "503", "429", "429:7", "429-bare", "drop", "cut", "html", "html404", "json", "slow")
    stream_faults = ("401", "404", "503", "429:7", "drop", "cut", "html", "json", "slow", *ILLS)
    beside = "live"

    def open(self, stack: ExitStack) -> None:
        self.server = stack.enter_context(FakeMastodon())
        self.server.streams.opened = lambda listener: self.happens()

    def options(self) -> str:
        return (
            f'instance = "{self.server.url}"\naccess_token = "{TOKEN}"\ntimeout = {TIMEOUT}\n'
            'hashtags = ["acme"]\ntimeline = "federated"\nsearch = true\n'
            f"stream = true\nlisten = {LISTEN}"
        )

    def queues(self) -> list[tuple[MutableSequence[Any], Sequence[str]]]:
        return [(self.server.faults, self.faults), (self.server.stream_faults, self.stream_faults)]

    def tick(self, now: datetime) -> None:
        self.now = now
        self.server.reset = (now + 5 * MINUTE).isoformat()

    def add(self, post: Post) -> None:
        author = self.rng.choice(("ann", "ben", "eve@elsewhere.example"))
        post.followed = "@" not in author  # a server cannot be asked for posts of others
        made = self.server.post(post.text + self.rng.choice(("", " #acme")), at=post.at, author=author)
        post.matches = post.matches or ("#acme" in made.text and "giveaway" not in made.text)
        post.id, post.kept = made.uri, made
        if self.rng.random() < 0.1:
            self.server.mention(made)

    def edit(self, post: Post, text: str) -> None:
        self.server.edit(post.kept, text + (" #acme" if "#acme" in post.kept.text else ""))

    def delete(self, post: Post) -> None:
        self.server.delete(post.kept)

    def odd(self, at: datetime) -> None:
        self.server.post("acme is odd", at=at, created_at=None)


class HackerNews(Platform):
    name = "hackernews"
    passes = ""
    faults = ("500", "503", "429", "429:7", "html", "json", "deep", "half", "drop", "slow")
    refusal = "403"

    def open(self, stack: ExitStack) -> None:
        self.server = stack.enter_context(FakeHackerNews())

    def options(self) -> str:
        return f'api_url = "{self.server.search_url}"\nitem_url = "{self.server.item_url}"\ntimeout = {TIMEOUT}'

    def add(self, post: Post) -> None:
        late = self.rng.choice((0, 0, 0, 5, 40)) * MINUTE
        post.at = post.at.replace(microsecond=0)
        post.shown_at = post.at + late
        make = self.server.comment if self.rng.random() < 0.7 else self._story
        post.id = make(post.text, at=post.at, indexed=not late)

    def _story(self, text: str, **values: Any) -> str:
        return self.server.story("a title", text, **values)

    def show(self, post: Post) -> None:
        self.server.change(post.id, indexed=True)

    def edit(self, post: Post, text: str) -> None:
        self.server.change(post.id, text=text)

    def delete(self, post: Post) -> None:
        self.server.change(post.id, gone=self.rng.choice(("deleted", "dead")))
        if self.rng.random() < 0.5:  # Algolia goes on showing some for a while
            self.server.change(post.id, indexed=False)

    def odd(self, at: datetime) -> None:
        self.server.comment("acme is odd", at=at, more={"created_at_i": "x"})


class Feed(Platform):
    """Two feeds that hold their newest entries only, and never tell that one was deleted."""

    name = "feed"
    every = "15m"
    passes = ""
    faults = ("500", "503", "429", "429:7", "html", "half", "drop", "slow", "json")
    refusal = "404"
    deletes = False

    def open(self, stack: ExitStack) -> None:
        self.server = stack.enter_context(FakeFeeds())
        self.feeds = [self.server.feed("/a.xml", holds=40), self.server.feed("/b.xml", atom=True, holds=40)]

    def options(self) -> str:
        return f'urls = ["{self.server.url}/a.xml", "{self.server.url}/b.xml"]\ntimeout = {TIMEOUT}'

    def add(self, post: Post) -> None:
        place = self.rng.randrange(2)
        feed = self.feeds[place]
        post.at = post.at.replace(microsecond=0)
        post.id, post.kept = f"https://example.org/{place}/{post.number}", (feed, len(feed.items))
        feed.add(f"entry {post.number}", post.text, at=post.at, id=post.id)

    def edit(self, post: Post, text: str) -> None:
        feed, number = post.kept
        feed.change(number, text)

    def tick(self, now: datetime) -> None:
        self.now = now
        for post in self.posts:
            if post.followed:
                feed, number = post.kept
                post.followed = number >= len(feed.items) - feed.holds


class AppStore(Platform):
    name = "appstore"
    every = "30m"
    passes = ""
    faults = ("500", "503", "429", "429:7", "html", "half", "drop", "slow", "json")
    refusal = "404"
    deletes = False

    def open(self, stack: ExitStack) -> None:
        self.server = stack.enter_context(FakeAppStore(page=12))  # so the newest 120

    def options(self) -> str:
        return f'app_id = [{APP}]\ncountries = ["us", "gb"]\nbase_url = "{self.server.url}"\ntimeout = {TIMEOUT}'

    def add(self, post: Post) -> None:
        post.kept = self.rng.choice(("us", "gb"))
        post.matches = "giveaway" not in post.text  # the app's name names the brand
        post.at = post.at.replace(microsecond=0)
        post.id = self.server.review(APP, post.kept, "a title", post.text, at=post.at)

    def edit(self, post: Post, text: str) -> None:
        self.server.edit(APP, post.kept, post.id, text=text, at=self.now.replace(microsecond=0))

    def tick(self, now: datetime) -> None:
        self.now = now
        self.server.empty = self.rng.random() < 0.03


class YouTube(Platform):
    """Replies are made within half a day of their thread: the collector looks a day back.

    The videos of others, which a search finds, are commented on for five days: they are read for seven.
    """

    name = "youtube"
    every = "20m"
    titles = ("An Acme kettle", "acme or globex?", "My globex phone", "Nothing to see")
    faults = ("500", "503", "429", "429:7", "quota", "quota-new", "rate", "drop", "slow", "html", "html-503", "json")
    faults += ("empty", "other", "redirect")
    refusal = "blocked"

    def open(self, stack: ExitStack) -> None:
        self.server = stack.enter_context(FakeYouTube())
        self.server.quota = UNITS
        self.day = ""
        self.videos: dict[str, datetime] = {}  # of others, that can be commented on and found
        self.made, self.next_video = 0, self.now

    def options(self) -> str:
        return (
            f'api_url = "{self.server.url}"\napi_key = "{fake_youtube.KEY}"\nchannels = ["{fake_youtube.CHANNEL}"]\n'
            f"daily_units = {UNITS}\ntimeout = {TIMEOUT}\nsearch = true"
        )

    def tick(self, now: datetime) -> None:
        from monitor.collectors.youtube_api import day_of

        self.now = now
        if day_of(now)[0] != self.day:
            self.day, self.server.used = day_of(now)[0], 0
        while now >= self.next_video and not self.over:
            self._publish(self.next_video.replace(microsecond=0))
            self.next_video += self.rng.expovariate(1 / 16) * HOUR
        self.videos = {video: at for video, at in self.videos.items() if now - at < timedelta(days=5)}
        if self.videos and self.rng.random() < 0.002 and not self.over:
            self._take_down(self.rng.choice([*self.videos]))

    def _publish(self, at: datetime) -> None:
        self.made += 1
        title, open_to_all = self.rng.choice(self.titles), self.rng.random() < 0.8
        video = self.server.video(f"video{self.made:06d}", title, at=at, channel=OTHERS, comments=open_to_all)
        if open_to_all and title != "Nothing to see":
            self.videos[video] = at

    def _take_down(self, video: str) -> None:
        for each in self.posts:
            if each.id in self.server.items and self.server.items[each.id].video == video:
                each.gone_at = each.gone_at or self.now
        self.server.take_down(video)
        del self.videos[video]

    def add(self, post: Post) -> None:
        post.at = post.at.replace(microsecond=0)
        threads = [each for each in self.posts[-40:] if each.kept and not each.gone_at]
        threads = [each for each in threads if post.at - each.at < timedelta(hours=12)]
        if threads and self.rng.random() < 0.4:
            post.id = self.server.reply(self.rng.choice(threads[-3:]).id, post.text, at=post.at)
        else:
            video = self.rng.choice([*self.videos]) if self.videos and self.rng.random() < 0.4 else fake_youtube.VIDEO
            post.id, post.kept = self.server.comment(post.text, at=post.at, video=video), True
        video = self.server.items[post.id].video
        if video in self.videos:  # found four hours after it was published, at the latest
            post.shown_at = max(post.at, self.videos[video] + FOUND)

    def edit(self, post: Post, text: str) -> None:
        self.server.edit(post.id, text, self.now)

    def delete(self, post: Post) -> None:
        for each in self.posts:
            if each.id.startswith(f"{post.id}."):  # its replies go with it
                each.gone_at = each.gone_at or self.now
        self.server.delete(post.id)


PULLED: tuple[type[Platform], ...] = (X, Reddit, Bluesky, Mastodon, HackerNews, Feed, AppStore, YouTube)
