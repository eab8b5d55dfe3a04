"""A brand's talk, a burst in it, and the jobs that see it come in: what the tests of an alert's life share."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import cos, pi
from pathlib import Path

from db.records import Answer, Mention, Score
from db.store import Store
from jobs.channel import Channel, Message
from jobs.decide import TOLD_ALL, Policy
from jobs.group import group
from jobs.notify import Telling, notify
from jobs.outlet import Outlet
from jobs.rules import Watching
from jobs.schedule import Job, run_job
from jobs.score import score
from jobs.stale import stale
from jobs.survey import survey
from jobs.watch import watch
from models.classifier import Post
from tests.support import HOUR, MINUTE, keep, mention, rows

START = datetime(2026, 3, 4, 13, tzinfo=UTC)  # a Wednesday: when a burst begins
STEP = 5 * MINUTE

NEGATIVE = {"awful", "outage"}
STAGES = {"advert": "awareness", "compare": "attraction", "bought": "purchase", "using": "use"}
PILLARS = {"staff": "people", "billing": "process", "device": "product"}
SOURCES = {"x": 0.6, "reddit": 0.3, "news": 0.1}
PARTS = {  # how often each word is said
    "stage": {"advert": 0.2, "compare": 0.1, "bought": 0.2, "using": 0.5},
    "pillar": {"staff": 0.3, "billing": 0.2, "device": 0.5},
}


class Words:
    """A classifier that reads each label off a word of the text."""

    name = "words-1"

    def score(self, posts: Sequence[Post]) -> list[Score]:
        return [self._judge(post.text.split()) for post in posts]

    def _judge(self, words: Sequence[str]) -> Score:
        sentiment = "negative" if NEGATIVE & set(words) else "positive" if "love" in words else "neutral"
        answers = {"sentiment": Answer(sentiment, dict.fromkeys(("negative", "neutral", "positive"), 0.05))}
        answers["sentiment"] = Answer(sentiment, {**answers["sentiment"].probabilities, sentiment: 0.9})
        for question, labels in (("stage", STAGES), ("pillar", PILLARS)):
            label = next((labels[word] for word in words if word in labels), "none")
            answers[question] = Answer(label, {label: 1.0})
        return Score(self.name, True, "en", answers)


def told(dice: random.Random, mood: str, word: str, **parts: str) -> str:
    """A post of five words: too short to be anybody's copy."""
    drawn = {
        kind: dice.choices(list(shares), list(shares.values()))[0] if kind not in parts else parts[kind]
        for kind, shares in PARTS.items()
    }
    return f"acme {mood} {drawn['stage']} {drawn['pillar']} {word}"


def talk(
    since: datetime,
    until: datetime,
    per_hour: float,
    seed: int = 1,
    negative: float = 0.2,
    source: str = "",
    **parts: str,
) -> list[Mention]:
    """A brand's usual posts in order of time: half as many at night as by day, each by another author.

    `parts` are words that each of them has.
    """
    dice = random.Random(seed)
    posts: list[Mention] = []
    at = since
    while True:
        at += timedelta(hours=dice.expovariate(per_hour * 4 / 3))
        if at >= until:
            return posts
        if dice.random() * 4 / 3 > 1 - cos((at.hour - 3) * pi / 12) / 3:
            continue
        mood = "awful" if dice.random() < negative else dice.choice(["love", "fine"])
        text = told(dice, mood, f"w{dice.randrange(5000)}", **parts)
        drawn = source or dice.choices(list(SOURCES), list(SOURCES.values()))[0]
        posts.append(one(f"t{seed}-{len(posts)}", text, at, drawn))


def burst(
    count: int, start: datetime = START, lasts: timedelta = 2 * HOUR, seed: int = 2, source: str = "", **parts: str
) -> list[Mention]:
    """So many negative posts that rise to a peak and fall; `parts` are words that each of them has."""
    dice = random.Random(seed)
    posts = []
    for number in range(count):
        at = start + dice.triangular(0, 1, 0.5) * lasts
        drawn = source or dice.choices(list(SOURCES), list(SOURCES.values()))[0]
        posts.append(one(f"b{seed}-{number}", told(dice, "outage", f"o{number}", **parts), at, drawn))
    return sorted(posts, key=lambda post: post.created_at)


def one(number: str, text: str, at: datetime, source: str) -> Mention:
    """A post by an author who writes no other."""
    at = at.replace(microsecond=0)
    return mention(number, text, at, source, author=f"author {number}", collected_at=at)


def settle(store: Store, posts: Iterable[Mention], now: datetime, brand: str = "Acme") -> None:
    """Keep posts, and let them be compared and judged."""
    keep(store, *posts, brands=[brand])
    group(store)
    score(store, Words(), lambda: now)


@dataclass
class Desk:
    """A channel that writes down what it is sent."""

    messages: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> None:
        self.messages.append(message)


@dataclass
class Life:
    """A database file and the posts on their way to it: each step stores what has arrived and runs the jobs."""

    path: Path
    posts: list[tuple[datetime, Mention, str]]  # arrives at, post, brand
    watching: Watching = field(default_factory=lambda: Watching(["negative spike"]))
    telling: Telling = field(default_factory=Telling)
    channels: Mapping[str, Channel] = field(default_factory=lambda: {"desk": Desk()})
    policies: Mapping[str, Policy] = field(default_factory=dict)
    before: Callable[[Store, datetime], None] = lambda store, now: None  # each step's jobs

    def run(self, since: datetime, until: datetime, every: timedelta = STEP) -> None:
        """Step from one time to another; each step opens the file anew, as after a restart."""
        now = since
        while now <= until:
            with Store(self.path) as store:
                self.step(store, now)
            now += every

    def run_on(self, since: datetime, until: datetime, every: timedelta = STEP) -> None:
        """The same with one store all the time."""
        with Store(self.path) as store:
            now = since
            while now <= until:
                self.step(store, now)
                now += every

    def step(self, store: Store, now: datetime) -> None:
        for brand in sorted({brand for _, _, brand in self.posts}):
            settle(store, [post for at, post, of in self.posts if at <= now and of == brand], now, brand)
        self.posts = [each for each in self.posts if each[0] > now]
        self.before(store, now)
        watch(store, self.watching, now)
        if now.minute == 0:
            survey(store, self.watching, now)
        stale(store, self.watching, now)
        outlets = {name: Outlet(channel, self.policies.get(name, TOLD_ALL)) for name, channel in self.channels.items()}
        run_job(Job("notify", None, MINUTE, lambda s, at: notify(s, outlets, self.telling, at)), store, lambda: now)

    def told(self, channel: str = "desk") -> list[tuple[str, str, str, int, datetime]]:
        """What a channel was told: rule, scope, reason, posts counted, when."""
        sql = """SELECT a.rule, a.scope, d.reason, d.observed, d.created_at FROM deliveries d
            JOIN alerts a ON a.id = d.alert_id WHERE d.channel = ? AND d.state = 'sent' ORDER BY d.id"""
        return [(*found[:4], datetime.fromisoformat(found[4])) for found in rows(self.path, sql, channel)]

    def reasons(self, channel: str = "desk") -> list[str]:
        return [reason for _, _, reason, _, _ in self.told(channel)]


def arriving(
    posts: Iterable[Mention], brand: str = "Acme", seed: int = 3, lag: timedelta = 4 * MINUTE
) -> list[tuple[datetime, Mention, str]]:
    """Posts that reach the store some minutes after they were written."""
    dice = random.Random(seed)
    return [(post.created_at + dice.random() * lag, post, brand) for post in posts]
