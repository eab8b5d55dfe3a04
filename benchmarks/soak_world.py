"""What people do in the soak: post by day and night, in bursts, edit and delete; everything is drawn from the seed."""

import heapq
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

from benchmarks.soak_platforms import Platform, Post

HOUR, MOMENT = timedelta(hours=1), timedelta(seconds=1)
NAMING = (
    "the acme kettle leaks",
    "ACME support is slow today",
    "love my globex phone",
    "acme or globex, which one",
    "hey @acmecare, acme is down",
)
OTHERS = ("a kettle is a kettle", "acme giveaway: follow and win", "nothing to see here")
HOSTILE = ("\0 and \u202e more", "<b>&amp;</b> [link](http://x.example) @everyone =1+1", "x" * 5_000)
BURST = 40 * HOUR  # from one to the next, on average


def marked(text: str, number: int, version: int = 1) -> str:
    """Give a text the mark by which it is known again."""
    return f"{text} n{number}v{version}"


@dataclass
class World:
    """All platforms, up to `now`."""

    platforms: Sequence[Platform]
    now: datetime
    ends: datetime  # after it nobody posts, edits or deletes any more
    _coming: list[tuple[datetime, int, Platform, Callable[[], None]]] = field(default_factory=list)
    _order: count = field(default_factory=count)  # type: ignore[type-arg]
    _numbers: count = field(default_factory=count)  # type: ignore[type-arg]
    _lock: threading.RLock = field(default_factory=threading.RLock)  # listeners are served in threads

    def __post_init__(self) -> None:
        for platform in self.platforms:
            platform.happens = lambda p=platform: self._meanwhile(p)
            self._next_post(platform)
            self._at(self.now + platform.rng.random() * BURST, platform, lambda p=platform: self._burst(p))

    def advance(self, now: datetime) -> None:
        """Let everything happen up to a time."""
        with self._lock:
            while self._coming and self._coming[0][0] <= now:
                at, _, platform, happens = heapq.heappop(self._coming)
                self.now = platform.now = at
                happens()
            self.now = now
            for platform in self.platforms:
                platform.over = now >= self.ends
                platform.tick(now)

    def _meanwhile(self, platform: Platform) -> None:
        """What happens while somebody listens: new posts, edits and deletions of these and others."""
        with self._lock:
            if self.now >= self.ends:
                return
            rng, platform.heard = platform.rng, True
            for _ in range(rng.choice((0, 0, 0, 0, 0, 0, 1, 2))):
                self._post(platform)
            for post in platform.posts[-20:]:
                if rng.random() < 0.003:
                    self._edit(platform, post, post.text.rpartition(" n")[0], post.version + 1)
                elif rng.random() < 0.001:
                    self._delete(platform, post)
            platform.heard = False

    def _at(self, at: datetime, platform: Platform, happens: Callable[[], None], always: bool = False) -> None:
        if always or at < self.ends:
            heapq.heappush(self._coming, (at, next(self._order), platform, happens))

    def _next_post(self, platform: Platform) -> None:
        rate = 6.0 if 7 <= self.now.hour < 22 else 0.7  # an hour
        self._at(self.now + platform.rng.expovariate(rate) * HOUR, platform, lambda: self._one(platform))

    def _one(self, platform: Platform) -> None:
        self._post(platform)
        self._next_post(platform)

    def _burst(self, platform: Platform) -> None:
        rng = platform.rng
        long = rng.uniform(0.1, 0.6) * HOUR
        for _ in range(rng.randint(100, 400)):
            self._at(self.now + rng.random() * long, platform, lambda: self._post(platform))
        self._at(self.now + rng.expovariate(1) * BURST + HOUR, platform, lambda: self._burst(platform))

    def _post(self, platform: Platform) -> None:
        rng, number = platform.rng, next(self._numbers)
        if rng.random() < 0.01:
            platform.odd(self.now)
            return
        matches = rng.random() < 0.85
        text = rng.choice(NAMING if matches else OTHERS)
        if rng.random() < 0.02:
            text = f"{text} {rng.choice(HOSTILE)}"
        post = Post(number, marked(text, number), self.now, self.now, matches=matches)
        platform.add(post)
        platform.posts.append(post)
        if platform.heard:  # the timelines were read before it was made
            post.shown_at = max(post.shown_at, self.now + MOMENT)
        if post.shown_at > self.now:
            self._at(post.shown_at, platform, lambda: platform.show(post), always=True)
        for version in range(2, 2 + (rng.random() < 0.08) + (rng.random() < 0.02)):
            later = self.now + rng.expovariate(1 / 3) * HOUR
            self._at(later, platform, lambda version=version: self._edit(platform, post, text, version))
        if platform.deletes and rng.random() < 0.08:
            self._at(self.now + rng.expovariate(1 / 8) * HOUR, platform, lambda: self._delete(platform, post))

    def _edit(self, platform: Platform, post: Post, text: str, version: int) -> None:
        if post.gone_at is None and version > post.version and self.now >= post.shown_at:
            post.text, post.edited_at, post.version = marked(text, post.number, version), self.now, version
            platform.edit(post, post.text)

    def _delete(self, platform: Platform, post: Post) -> None:
        if post.gone_at is None:
            post.gone_at = self.now
            platform.delete(post)
