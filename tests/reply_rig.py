"""What the tests of replies share: each platform's fake with a post that can be answered, and cases in a store."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from db.desk import Case, User
from db.records import Mention
from db.store import Store
from jobs.collector import Meter
from jobs.replier import Outbox, Replied, Replier, Route
from models.brand import Brand
from models.query import parse
from monitor import plugins
from tests import fake_bluesky, fake_mastodon, fake_reddit
from tests.fake_bluesky import FakeBluesky
from tests.fake_mastodon import FakeMastodon
from tests.fake_reddit import FakeReddit
from tests.fake_x import FakeX
from tests.support import HOUR, NOW, keep, mention

OURS = Brand("Acme", parse("acme"), accounts={"x": "acme", "bluesky": fake_bluesky.DID})
ANN = User(1, "ann", "responder")
BEN = User(2, "ben", "approver")
EVE = User(3, "eve", "viewer")
KEY = "sentimon-reply-1-1772625600"


class FreeMeter:
    """A meter that writes down what is reserved and settled."""

    def __init__(self) -> None:
        self.reserved: list[Decimal] = []
        self.settled: list[Decimal] = []

    def left(self) -> Decimal | None:
        return None

    def reserve(self, most: Decimal) -> None:
        self.reserved.append(most)

    def settle(self, actual: Decimal) -> None:
        self.settled.append(actual)

    def use(self, units: int, limit: int, period: str, renewed_at: datetime) -> None:
        pass


@dataclass
class Platform:
    """A fake platform with a post that mentions us. `fault` makes the next sending go wrong: a status, drop, lost."""

    kind: str
    options: Mapping[str, Any]
    post: Mention
    sent: Callable[[], Sequence[str]]  # the texts of the replies that it holds
    fault: Callable[[str], None]
    remove: Callable[[], None]  # the post
    notifies: str = ""  # what stands before the text, so that the author is notified

    def replier(self, **changed: Any) -> Replier:
        return replier_of(self.kind, {**self.options, **changed})


def replier_of(kind: str, options: Mapping[str, Any], brands: Sequence[Brand] = (OURS,)) -> Replier:
    found = plugins.load(third_party=False).collectors[kind]
    made = found.replier(found.options.model_validate(options), brands)
    assert made is not None
    return made


@contextmanager
def x() -> Iterator[Platform]:
    with FakeX(now=lambda: NOW, accounts={"acme": "77"}) as fake:
        number = fake.add("@acme it is broken", NOW - HOUR)
        options = {
            "bearer_token": fake.token,
            "api_url": fake.url,
            "replies": True,
            "api_key": "api-key",
            "api_secret": "api-key-secret",
            "access_token": "77-access-token",
            "access_token_secret": "access-secret",
        }
        yield Platform(
            "x",
            options,
            mention(number, "@acme it is broken", NOW - HOUR, addressed=("acme",)),
            lambda: [fake._posts[int(each)].text for each in fake.sent],
            lambda fault: fake.script(int(fault) if fault.isdecimal() else fault, on="create"),
            lambda: fake.remove(number),
        )


@contextmanager
def bluesky() -> Iterator[Platform]:
    with FakeBluesky(now=lambda: NOW) as fake:
        uri = fake.post("acme is broken", NOW - HOUR)
        options = {
            "handle": fake_bluesky.HANDLE,
            "app_password": fake_bluesky.PASSWORD,
            "service_url": fake.url,
            "replies": True,
        }
        yield Platform(
            "bluesky",
            options,
            mention(uri, "acme is broken", NOW - HOUR, source="bluesky", author=fake_bluesky.SOMEONE),
            lambda: [fake.posts[each].record["text"] for each in fake.sent],
            fake.write_faults.append,
            lambda: fake.delete(uri),
        )


@contextmanager
def mastodon() -> Iterator[Platform]:
    with FakeMastodon() as fake:
        post = fake.post("acme is broken", at=NOW - HOUR, author="dan")
        options = {"instance": fake.url, "access_token": fake_mastodon.TOKEN, "replies": True}
        yield Platform(
            "mastodon",
            options,
            mention(post.uri, "acme is broken", NOW - HOUR, source="mastodon", author=f"dan@{fake.host}"),
            lambda: [each.text for each in fake.sent],
            fake.write_faults.append,
            lambda: fake.delete(post),
            f"@dan@{fake.host} ",
        )


@contextmanager
def reddit() -> Iterator[Platform]:
    with FakeReddit(now=lambda: NOW) as fake:
        name = fake.submit("acme is broken", at=NOW - HOUR)
        user, password = fake_reddit.ACCOUNT
        options = {
            "subreddits": ["acme"],
            "client_id": fake_reddit.CLIENT_ID,
            "client_secret": fake_reddit.CLIENT_SECRET,
            "reddit_url": fake.url,
            "oauth_url": fake.url,
            "replies": True,
            "username": user,
            "password": password,
        }
        yield Platform(
            "reddit",
            options,
            mention(name, "acme is broken", NOW - HOUR, source="reddit"),
            lambda: [fake.items[each].text for each in fake.sent],
            fake.write_faults.append,
            lambda: fake.items.pop(name) and None,
        )


PLATFORMS = {"x": x, "bluesky": bluesky, "mastodon": mastodon, "reddit": reddit}


@dataclass
class Scripted:
    """A replier that does what it is told, one thing a reply: raise an error, or send."""

    script: list[Exception | None] = field(default_factory=list)
    shown: Replied | None = None  # what looking finds
    sent: list[tuple[str, str]] = field(default_factory=list)  # text, key
    platform: str = "x"
    longest: int = 280
    refusal: str | None = None
    during: Callable[[], None] = lambda: None

    def length(self, text: str, mention: Mention) -> int:
        return len(text)

    def why_not(self, mention: Mention) -> str | None:
        return self.refusal

    def reply(self, mention: Mention, text: str, key: str, meter: Meter, now: datetime) -> Replied:
        self.during()
        error = self.script.pop(0) if self.script else None
        if error:
            raise error
        self.sent.append((text, key))
        return Replied(f"r{len(self.sent)}", f"https://x.example/r{len(self.sent)}")

    def found(self, mention: Mention, text: str, key: str, meter: Meter, now: datetime) -> Replied | None:
        return self.shown


def outbox(replier: Replier, approval: bool = False, url: str | None = None) -> Outbox:
    return Outbox([Route("the source", replier)], approval, url)


def case_of(store: Store, number: int = 1, post: Mention | None = None) -> Case:
    """Open a case for a post."""
    post = post or mention(number, f"@acme it is broken {number}", author="zoe")
    keep(store, post)
    match = store.mentions.named(post.source, post.source_id, "Acme")
    assert match is not None
    with store.transaction():
        store.cases.open(match, None, "a test", 0.5, NOW)
    case = store.cases.of_match(match.id)
    assert case is not None
    return case


def renamed(user: User, name: str) -> User:
    return replace(user, id=user.id + 100, name=name)
