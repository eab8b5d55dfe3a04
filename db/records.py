"""The nouns that flow through sentimon: frozen records, every time aware and in UTC, no dicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

NO_BRAND = "(none)"  # what an imported post is counted under when it names no brand
CAUSES = (  # why a span of time was not read, or not wholly
    "saturated",  # more posts than the platform gives
    "capped",  # older than what the platform gives
    "limited",  # a rate limit
    "budget",  # the month's money or the day's quota is used up
    "refused",  # credentials, approval
    "unavailable",  # no answer that could be read
    "bug",
)
RULES = ("negative spike", "volume spike", "share shift", "silence", "single post", "stale source")
ONE_STREAM = "\n"  # between source and stream in the scope of a stale stream: names of sources are one line
SEVERITIES = ("warning", "high", "critical")
WORDS = ("useful", "noise", "known")  # what a team says of an alert
GONE = {  # why the text of a post is no longer kept, and what stands in its place
    "deleted": "(deleted on its platform)",
    "forgotten": "(removed: author asked to be forgotten)",
    "aged": "(no longer kept)",
}


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
    repost_of: str | None = None  # the platform's id of the post that this one passes on
    gone_at: datetime | None = None  # since when text and author are no longer kept, and why: one of GONE
    gone_reason: str | None = None
    # Accounts that it mentions or answers, named as in a brand's `accounts`, as far as who reads them is told.
    addressed: Sequence[str] = ()

    @property
    def shown(self) -> str:
        """The text as people are shown it: where it is no longer kept, why."""
        return self.text if self.gone_at is None else GONE.get(self.gone_reason or "", "(no longer kept)")


@dataclass(frozen=True, slots=True)
class Match:
    """A mention that names a brand: what is scored, counted and answered.

    The labels are those in force: a person's where one has judged the post, else the model's.
    """

    id: int
    brand: str
    mention: Mention
    sentiment: str | None = None  # None while it waits for its score, and when it is not rated
    stage: str | None = None
    model: str | None = None
    negative: float | None = None  # how surely it is negative: the model's probability; 1 or 0 where a person has said
    reply: str | None = None
    pillar: str | None = None
    touchpoint: str | None = None
    emotion: str | None = None
    offensive: str | None = None
    reviewed: bool = False  # a person's word is in force
    about: bool = True  # false where a person found that it is not about the brand: it counts nowhere


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says to one question: a label, or `db.labels.UNSURE`, and how likely it holds each label."""

    label: str
    probabilities: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Score:
    """One model's judgement of one match. A mention that the model cannot judge is not rated, never neutral.

    `answers` has an entry for each question of `db.labels.LABELS` that the model knows.
    """

    model: str
    rated: bool
    language: str | None
    answers: Mapping[str, Answer] = field(default_factory=dict)

    def label(self, question: str) -> str | None:
        """Return the answer to a question, None where the model gives none."""
        answer = self.answers.get(question)
        return answer.label if answer else None

    def probabilities(self, question: str) -> Mapping[str, float]:
        """Return how likely each answer to a question is, nothing where the model gives none."""
        answer = self.answers.get(question)
        return answer.probabilities if answer else {}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A person's word on one match. It wins over every model's.

    `labels` has the questions that the person answered; to others, what was said before stays in force. `random` says
    that it is on the post as drawn at random, so that what is found on such posts holds for all; `about` is false where
    the post is not about the brand at all.
    """

    match_id: int
    reviewer: str
    at: datetime
    labels: Mapping[str, str]
    random: bool = False
    about: bool = True


@dataclass(frozen=True, slots=True)
class Registered:
    """A model that was trained here: where it lies, what it began as, and how good it was found to be."""

    name: str
    folder: str
    base: str
    created_at: datetime
    posts: int  # that it learned from
    measures: Mapping[str, float]
    in_force: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """A span of posting time that a source could not read, and why.

    `cause` is one of CAUSES: saturated where there were more posts than the platform gives, capped where it
    gives none that are so old.
    """

    since: datetime | None
    until: datetime
    reason: str
    cause: str = "saturated"


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
    gone: Sequence[str] = ()  # ids of posts that the platform says were deleted
    gone_authors: Sequence[str] = ()  # whose accounts it says were deleted or closed


@dataclass(frozen=True, slots=True)
class Position:
    """Where reading a stream of a source stands."""

    cursor: str | None = None
    resume: str | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """What one run of one stream read: `state` is complete, partial or missing, `cause` one of CAUSES."""

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
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Hour:
    """How far an hour of posting time was read on a source: complete, partial or missing, and why not."""

    source: str
    start: datetime
    state: str
    cause: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What a platform says of posts that it was asked about again.

    `gone` are ids of posts that it no longer shows, `seen` posts as they are now. Where it needs time, `resume` comes
    back with the same ids at `again_at`.
    """

    gone: Sequence[str] = ()
    seen: Sequence[Mention] = ()
    resume: str | None = None
    again_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Backfill:
    """A span of the past that a stream is to be read for, and how far that has come.

    `state` is open, done or refused; `cause` says who asked: a person ("asked") or a gap ("gap").
    """

    id: int
    source: str
    stream: str
    since: datetime
    until: datetime
    state: str
    cause: str
    requested_at: datetime
    resume: str | None = None
    reached: datetime | None = None  # the oldest post read so far
    fetched: int = 0
    stored: int = 0
    note: str | None = None


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
class Part:
    """What one slice of a brand's posts had in an alert's window: a source, stage, pillar or touchpoint."""

    kind: str  # "source", "stage", "pillar", "touchpoint"
    name: str
    observed: int  # negatives
    expected: float
    share: float  # of what slices of its kind have more than expected: those of a kind add up to 1


@dataclass(frozen=True, slots=True)
class Story:
    """Why an alert was raised, as far as the posts show it."""

    parts: Sequence[Part] = ()  # those first that made the difference
    confined_to: Part | None = None  # the one slice that explains it
    terms: Sequence[str] = ()  # that set its posts apart from those before
    new_terms: Sequence[str] = ()  # those of them that were (almost) never written before
    posts: Sequence[int] = ()  # ids of the matches that stand for it, each by another author
    authors: int = 0  # distinct ones
    copies: int = 0  # posts that say what another one says
    reach: int = 0  # followers of the authors, each counted once
    baseline_since: datetime | None = None  # from when on the past was looked at
    coverage: str | None = None  # what could not be read of the window; None where all was


@dataclass(frozen=True, slots=True)
class Alert:
    """Something out of the ordinary: what was seen, what the brand's own past led to expect, and why it matters.

    Its cause is brand, rule and scope; of one cause, one alert is open at a time. Where a rule does not know a number,
    it is 0. `observed` and `expected` are negatives for negative spikes, mentions for volume spikes and silence.
    """

    id: int
    brand: str  # "" where it is about a source
    rule: str  # one of RULES
    starts: datetime
    last_seen: datetime
    ends: datetime | None
    severity: str  # "warning", "high", "critical"
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
    # The slice that it is about ("source reddit"), the source, with a line below it the stream, or the post; "" is all
    # of the brand.
    scope: str = ""
    score: float = 0.0  # -log10 of the probability, at the peak
    low: float = 0.0  # 95 % interval of what was expected
    high: float = 0.0
    story: Story | None = None
    found_at: datetime | None = None
    held: str | None = None  # why nobody is told of it now: what inhibits it, or who has silenced it
    taken_by: str | None = None  # who sees to it; until then it escalates
    taken_at: datetime | None = None

    @property
    def stream(self) -> str:
        """The one stream of a source that is stale, "" where the whole source is, or the alert is on something else."""
        return self.scope.partition(ONE_STREAM)[2] if self.rule == "stale source" else ""


@dataclass(frozen=True, slots=True)
class Silence:
    """Alerts that nobody is told of for a while; None stands for all. It holds where everything named agrees."""

    id: int
    starts: datetime
    ends: datetime
    author: str
    comment: str
    brand: str | None = None
    rule: str | None = None
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class Feedback:
    """What somebody said of an alert; the newest word of an alert counts."""

    alert_id: int
    who: str
    at: datetime
    word: str  # one of WORDS
    note: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One notification to one channel, written down before it is sent: of an alert, or a digest of a span.

    `joined` is the delivery in whose message this one is told.
    """

    id: int
    alert_id: int | None
    channel: str
    reason: str
    state: str  # sending, sent, failed (tried again at next_attempt_at) or dead
    attempts: int
    observed: int
    created_at: datetime
    next_attempt_at: datetime | None = None
    error: str | None = None
    joined: int | None = None
    since: datetime | None = None  # of a digest
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Disabled:
    """A channel that does not work until somebody changes its settings or says `sentimon resume`."""

    channel: str
    at: datetime
    reason: str


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
