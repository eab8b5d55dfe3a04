"""The nouns of the desk and of those who work at it: frozen records, every time aware and in UTC."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from db.records import Match

ROLES = ("viewer", "responder", "approver", "admin")  # each may do what those before it may
LEVELS = ("low", "normal", "high", "urgent")
STATES = ("new", "claimed", "waiting", "replied", "snoozed", "dismissed", "reopened")  # "waiting": for approval
OPEN = (
    "new",
    "reopened",
    "claimed",
    "waiting",
    "snoozed",
)  # nobody has answered, and nobody has said that it needs none
NOT_ABOUT = "not about us"
DISMISSALS = ("no answer needed", NOT_ABOUT, "spam", "duplicate", "answered elsewhere", "other")
REPLY_STATES = (
    "draft",
    "waiting",  # for another person's approval
    "returned",  # by that person, with a remark
    "queued",  # to be sent
    "sending",  # written before anything is sent; found after a crash, nobody knows whether it was
    "sent",
    "failed",  # certainly not sent
    "unknown",  # perhaps sent: a person looks, and says
    "by hand",  # somebody answered on the platform itself
)
SCOPES = ("read", "desk", "admin")  # of a token: see; work at the desk; users and settings
SCOPE_ROLES = {"read": "viewer", "desk": "responder", "admin": "admin"}  # the role that each takes
SURVEYS = ("csat", "ces")  # how satisfied (1 to 5); how easy it was (1 to 7)


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in. `brands` are those that they may see, None for all."""

    id: int
    name: str
    role: str  # one of ROLES
    brands: tuple[str, ...] | None = None
    created_at: datetime | None = None
    disabled_at: datetime | None = None
    subject: str | None = None  # "issuer subject" of OpenID Connect
    has_password: bool = True

    def may(self, role: str) -> bool:
        """Whether they may do what this role may."""
        return self.disabled_at is None and ROLES.index(self.role) >= ROLES.index(role)

    def sees(self, brand: str) -> bool:
        """Whether they may see a brand."""
        return self.brands is None or brand in self.brands


@dataclass(frozen=True, slots=True)
class Session:
    """A device on which somebody is logged in; `key` is what its cookie holds, hashed."""

    key: str
    user_id: int
    created_at: datetime
    seen_at: datetime
    ends_at: datetime
    device: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """A key to the programming interface, which acts for its owner within its scopes."""

    id: int
    user_id: int
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    ends_at: datetime | None = None
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A post that waits for an answer, or has had one. `version` grows with every change."""

    id: int
    match: Match
    reason: str  # why it is here, in words
    state: str  # one of STATES
    alert_id: int | None
    created_at: datetime
    version: int = 0
    level: str = "normal"  # one of LEVELS
    priority: float = 0.0  # among those of one level
    assignee: str | None = None
    lease_until: datetime | None = None  # until when a claim holds unless its holder is heard of
    due: datetime | None = None
    snoozed_until: datetime | None = None
    triaged_at: datetime | None = None  # when somebody first did something about it
    replied_at: datetime | None = None  # when it was first answered
    closed_at: datetime | None = None
    dismissed_for: str | None = None  # one of DISMISSALS
    escalated: bool = False
    rule_id: int | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a case. Events are never changed: neither words of posts nor of notes are in them."""

    id: int
    case_id: int
    at: datetime
    what: str  # a verb: opened, claimed, released, taken over, assigned, …
    who: str | None = None  # None where no person did it
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody of the team wrote for the others."""

    id: int
    case_id: int
    who: str
    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to a post, from its first draft to what became of it."""

    id: int
    case_id: int
    author: str
    text: str
    state: str  # one of REPLY_STATES
    created_at: datetime
    updated_at: datetime
    version: int = 0
    decided_by: str | None = None  # who approved it or sent it back
    decided_at: datetime | None = None
    remark: str | None = None  # why it was sent back
    sending_at: datetime | None = None
    sent_at: datetime | None = None
    remote_id: str | None = None  # the platform's id of it
    url: str | None = None
    error: str | None = None
    survey: str | None = None  # one of SURVEYS, where a link to it is offered
    not_before: datetime | None = None  # until when the platform, or the budget, lets it wait


@dataclass(frozen=True, slots=True)
class Snippet:
    """A saved reply. `text` may hold variables: {author}, {brand}, {me}, {source}."""

    id: int
    name: str
    text: str
    brand: str | None = None  # None: for all
    updated_by: str = ""
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Conditions:
    """Which posts a rule is for: where everything given agrees."""

    brands: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    sentiments: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    pillars: tuple[str, ...] = ()
    touchpoints: tuple[str, ...] = ()
    replies: tuple[str, ...] = ()
    followers: int | None = None  # at least
    query: str | None = None  # as in a brand's query


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of posts of a kind: a case of this level, somebody's, tagged; or none (`ignore`).

    Of the rules that a post agrees with the first counts.
    """

    id: int
    name: str
    when: Conditions
    level: str | None = None
    assignee: str | None = None
    tag: str | None = None
    ignore: bool = False
    enabled: bool = True
    position: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """A question to the queue that somebody keeps: the part of its address behind the question mark."""

    id: int
    name: str
    owner: str
    query: str
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Survey:
    """A question to somebody who was answered, and what they said."""

    id: int
    reply_id: int
    brand: str
    source: str
    kind: str  # one of SURVEYS
    created_at: datetime
    answered_at: datetime | None = None
    score: int | None = None
    comment: str = ""


class Counted:
    """What follows from counts by sentiment."""

    __slots__ = ()
    negative: int
    neutral: int
    positive: int
    not_rated: int

    @property
    def rated(self) -> int:
        """Those that have a sentiment."""
        return self.negative + self.neutral + self.positive

    @property
    def mentions(self) -> int:
        """All of them."""
        return self.rated + self.not_rated

    @property
    def net(self) -> float | None:
        """(positive - negative) / (positive + negative + neutral), None where nothing was rated."""
        return (self.positive - self.negative) / self.rated if self.rated else None


@dataclass(frozen=True, slots=True)
class Labels(Counted):
    """Counts by sentiment."""

    negative: int = 0
    neutral: int = 0
    positive: int = 0
    not_rated: int = 0

    def __add__(self, other: "Labels") -> "Labels":
        return Labels(
            self.negative + other.negative,
            self.neutral + other.neutral,
            self.positive + other.positive,
            self.not_rated + other.not_rated,
        )


def rank(level: str) -> int:
    """Order levels, the most urgent highest."""
    return LEVELS.index(level)


def visible(user: User, asked: Sequence[str]) -> tuple[str, ...]:
    """Narrow the brands that were asked for (none: all) to those that somebody may see, each once; empty means all."""
    if user.brands is None:
        return tuple(dict.fromkeys(asked))
    seen = dict.fromkeys(brand for brand in (asked or user.brands) if brand in user.brands)
    return tuple(seen) or ("\0",)  # a brand nobody has
