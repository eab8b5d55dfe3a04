"""The nouns that flow through sentimon: frozen records, every time aware and in UTC, no dicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

NO_BRAND = "(none)"  # what an imported post is counted under when it names no brand


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a post can carry; None where the platform does not say."""

    followers: int | None = None
    likes: int | None = None
    reposts: int | None = None
    replies: int | None = None


@dataclass(frozen=True, slots=True)
class Mention:
    """A post as collected. Identity: source + source_id."""

    source: str  # the platform ("x", "reddit", …)
    source_id: str  # the platform's own id
    author: str | None
    text: str
    created_at: datetime
    collected_at: datetime
    url: str | None = None
    language: str | None = None  # as the platform tells it, ISO 639-1
    in_reply_to: str | None = None
    reach: Reach = field(default_factory=Reach)


@dataclass(frozen=True, slots=True)
class Match:
    """A mention that names a brand: what is scored, counted and answered."""

    id: int
    brand: str
    mention: Mention
    sentiment: str | None = None  # None while it waits for its score, and when it is not rated
    stage: str | None = None
    model: str | None = None
    negative: float | None = None  # the model's probability that the post is negative


@dataclass(frozen=True, slots=True)
class Score:
    """One model's judgement of one match. A mention that the model cannot judge is not rated, never neutral."""

    model: str
    rated: bool
    language: str | None
    sentiment: str | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    stage: str | None = None
    stage_probabilities: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gap:
    """A span of posting time that a source could not read, and why."""

    since: datetime | None
    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What one request of a collector brought.

    `cursor` is set on the last batch of a run only: until then a crash reads the same span again.
    `resume` says where an interrupted run can go on inside that span.
    """

    mentions: Sequence[Mention]
    cursor: str | None = None
    resume: str | None = None
    fetched: int = 0  # posts that the platform sent, those that match nothing included
    gap: Gap | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """Where reading a stream of a source stands."""

    cursor: str | None = None
    resume: str | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """What one run of one stream read: `state` is complete, partial or missing."""

    source: str
    stream: str
    started_at: datetime
    since: datetime | None
    until: datetime | None
    state: str
    reason: str | None
    fetched: int
    stored: int
    cost: Decimal


@dataclass(frozen=True, slots=True)
class SourceState:
    """What is remembered of a source between runs."""

    name: str
    kind: str
    not_before: datetime | None = None
    paused: str | None = None  # why it waits for a person
    last_run_at: datetime | None = None
    last_ok_at: datetime | None = None
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """A negative spike of a brand: what was seen, what its own past led to expect, and why it matters."""

    id: int
    brand: str
    rule: str
    starts: datetime
    last_seen: datetime
    ends: datetime | None
    severity: str
    observed: int
    expected: float
    factor: float
    probability: float
    window_minutes: int
    mentions: int  # all mentions of the brand in the window
    share: float  # of negatives among them
    usual_share: float
    summary: str
    in_common: Sequence[str]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One notification to one channel, written down before it is sent."""

    id: int
    alert_id: int
    channel: str
    reason: str
    state: str  # sending, sent, failed (tried again at next_attempt_at) or dead
    attempts: int
    observed: int
    created_at: datetime
    next_attempt_at: datetime | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A post that waits for an answer."""

    id: int
    match: Match
    reason: str
    state: str
    alert_id: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class JobRun:
    """One run of one job."""

    job: str
    source: str | None
    started_at: datetime
    seconds: float
    counts: Mapping[str, int]
    error: str | None = None
    note: str | None = None  # what mends itself, as a rate limit
