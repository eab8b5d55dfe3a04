"""A platform of each kind with posts to read, and the options that lead there, for tests/test_contracts.py."""

import base64
import html
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cli_rig import jsonl, post
from tests.fake_bluesky import HANDLE, PASSWORD, FakeBluesky
from tests.fake_feeds import FakeAppStore, FakeFeeds
from tests.fake_hackernews import FakeHackerNews
from tests.fake_mastodon import TOKEN as MASTODON_TOKEN
from tests.fake_mastodon import FakeMastodon
from tests.fake_reddit import CLIENT_ID, CLIENT_SECRET, FakeReddit
from tests.fake_x import FakeX
from tests.fake_youtube import CHANNEL, FakeYouTube
from tests.fake_youtube import KEY as YOUTUBE_KEY
from tests.support import HOUR, MINUTE, NOW

TOKEN = "AAAA-very-secret-token"


@dataclass(frozen=True)
class Rig:
    """A platform to read from, and the options that lead there."""

    options: dict[str, Any]
    posts: int = 0
    secrets: Sequence[str] = ()
    asked: Callable[[], int] = lambda: 0  # requests that reached the platform
    broken: dict[str, Any] = field(default_factory=dict)  # options with which nothing works; none if it always does
    say: Callable[[str], object] | None = None  # makes a post
    limit: Callable[[], object] | None = None  # answers the next request with a 429; None where there is none


# --- the platforms, one for each kind ---------------------------------------------------------------------------------


@contextmanager
def file_platform(folder: Path) -> Iterator[Rig]:
    path = folder / "posts.jsonl"
    path.write_text(jsonl(*(post(number, f"acme {number}", number * MINUTE) for number in range(1200))))

    def say(text: str) -> None:
        path.write_text(jsonl(post(0, text, HOUR)))

    yield Rig({"path": path}, posts=1200, broken={"path": folder / "gone.jsonl"}, say=say)


@contextmanager
def bluesky_platform(_: Path) -> Iterator[Rig]:
    with FakeBluesky(now=lambda: NOW) as fake:
        for number in range(250):
            fake.post(f"acme {number}", NOW - 10 * HOUR + number * MINUTE)
        options = {
            "handle": HANDLE,
            "app_password": PASSWORD,
            "stream": False,  # it brings the same posts; tests/test_bluesky.py reads it
            "jetstream_url": fake.stream_url,
            "service_url": fake.url,
            "timeout": 5,
        }
        broken = options | {"app_password": "BBBB-wrong-secret"}
        secrets = (PASSWORD, "BBBB-wrong-secret", "eyJ")  # how its tokens begin
        yield Rig(
            options,
            posts=250,
            secrets=secrets,
            asked=lambda: len(fake.asked),
            broken=broken,
            say=lambda text: fake.post(text, NOW - HOUR),
            limit=lambda: fake.faults.append("429"),
        )


@contextmanager
def mastodon_platform(_: Path) -> Iterator[Rig]:
    with FakeMastodon() as fake:
        for number in range(150):
            fake.post(f"#acme {number}", at=NOW - HOUR - number * MINUTE)
        options = {
            "instance": fake.url,
            "access_token": MASTODON_TOKEN,
            "hashtags": ["acme"],
            "first": 150,
            "timeout": 5,
        }
        broken = options | {"access_token": "BBBB-wrong-secret"}
        secrets = (MASTODON_TOKEN, "BBBB-wrong-secret")
        yield Rig(
            options,
            posts=150,
            secrets=secrets,
            asked=lambda: len(fake.requests),
            broken=broken,
            say=lambda text: fake.post(f"{text} #acme", at=NOW),
            limit=lambda: fake.faults.append("429:60"),
        )


@contextmanager
def x_platform(_: Path) -> Iterator[Rig]:
    with FakeX(token=TOKEN, now=lambda: NOW) as fake:
        for number in range(250):
            fake.add(f"acme {number}", NOW - HOUR - number * MINUTE)
        options = {"bearer_token": TOKEN, "api_url": fake.url, "timeout": 5}
        broken = options | {"bearer_token": "BBBB-wrong-secret"}
        secrets = (TOKEN, "BBBB-wrong-secret")
        yield Rig(
            options,
            posts=250,
            secrets=secrets,
            asked=lambda: len(fake.requests),
            broken=broken,
            say=lambda text: fake.add(text, NOW - HOUR),
            limit=lambda: fake.script(429),
        )


@contextmanager
def reddit_platform(_: Path) -> Iterator[Rig]:
    with FakeReddit() as fake:
        for number in range(150):
            fake.submit(f"acme {number}", at=NOW - HOUR - number * MINUTE)
        options = {
            "subreddits": ["acme"],
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "reddit_url": fake.url,
            "oauth_url": fake.url,
            "timeout": 5,
        }
        broken = options | {"client_secret": "BBBB-wrong-secret"}
        coded = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        secrets = (CLIENT_SECRET, coded, "BBBB-wrong-secret")
        yield Rig(
            options,
            posts=150,
            secrets=secrets,
            asked=lambda: len(fake.requests),
            broken=broken,
            say=lambda text: fake.submit("acme", text, at=NOW - HOUR),
            limit=lambda: fake.faults.append("429:60"),
        )


@contextmanager
def youtube_platform(_: Path) -> Iterator[Rig]:
    with FakeYouTube() as fake:
        for number in range(150):
            fake.comment(f"acme {number}", at=NOW - (number + 1) * HOUR)
        options = {"api_key": YOUTUBE_KEY, "channels": [CHANNEL], "api_url": fake.url, "timeout": 5}
        broken = options | {"api_key": "BBBB-wrong-secret"}
        secrets = (YOUTUBE_KEY, "BBBB-wrong-secret")
        yield Rig(
            options,
            posts=150,
            secrets=secrets,
            asked=lambda: len(fake.requests),
            broken=broken,
            say=lambda text: fake.comment(text, at=NOW - HOUR),
            limit=lambda: fake.faults.append("429:60"),
        )


@contextmanager
def hackernews_platform(_: Path) -> Iterator[Rig]:
    with FakeHackerNews(cap=100) as fake:
        for number in range(250):
            fake.comment(f"acme {number}", at=NOW - HOUR - number * MINUTE)
        options = {"api_url": fake.search_url, "item_url": fake.item_url, "timeout": 5}
        broken = options | {"api_url": fake.item_url}
        yield Rig(
            options,
            posts=250,
            asked=lambda: len(fake.requests),
            broken=broken,
            say=lambda text: fake.comment(html.escape(text), at=NOW - HOUR),
            limit=lambda: fake.faults.append("429:60"),
        )


@contextmanager
def feed_platform(_: Path) -> Iterator[Rig]:
    with FakeFeeds() as fake:
        feed = fake.feed("/feed.xml")
        for number in range(250):
            feed.add(f"acme {number}", at=NOW - number * MINUTE, id=str(number))
        options = {"urls": [f"{fake.url}/feed.xml"], "timeout": 5}
        broken = options | {"urls": [f"{fake.url}/other.xml"]}
        yield Rig(
            options,
            posts=250,
            asked=lambda: len(fake.requests),
            broken=broken,
            say=lambda text: feed.add("acme", html.escape(text), at=NOW, id="said"),
            limit=lambda: fake.faults.append("429:60"),
        )


@contextmanager
def appstore_platform(_: Path) -> Iterator[Rig]:
    with FakeAppStore() as fake:
        for number in range(150):
            fake.review(123, "us", f"Review {number}", "Fine.", at=NOW - number * MINUTE)
        options = {"app_id": [123], "base_url": fake.url, "timeout": 5}
        broken = options | {"app_id": [404]}
        yield Rig(
            options,
            posts=150,
            asked=lambda: len(fake.requests),
            broken=broken,
            say=lambda text: fake.review(123, "us", "acme", text, at=NOW),
            limit=lambda: fake.faults.append("429:60"),
        )


@contextmanager
def notes_platform(folder: Path) -> Iterator[Rig]:
    (folder / "notes").mkdir()
    for number in range(250):
        path = folder / "notes" / f"{number}.txt"
        path.write_text(f"acme {number}")
        then = (NOW - number * MINUTE).timestamp()
        os.utime(path, (then, then))

    def say(text: str) -> None:
        path = folder / "notes" / "0.txt"
        path.write_text(text)
        os.utime(path, (NOW.timestamp(), NOW.timestamp()))

    yield Rig({"folder": folder / "notes"}, posts=250, broken={"folder": folder / "gone"}, say=say)


COLLECTORS = {
    "appstore": appstore_platform,
    "bluesky": bluesky_platform,
    "feed": feed_platform,
    "file": file_platform,
    "hackernews": hackernews_platform,
    "mastodon": mastodon_platform,
    "reddit": reddit_platform,
    "x": x_platform,
    "youtube": youtube_platform,
    "notes": notes_platform,
}
