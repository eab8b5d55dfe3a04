"""What programs are answered: posts, counts, alerts, cases and what belongs to them. Times are UTC."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from db.desk import LEVELS, REPLY_STATES, STATES, SURVEYS, Case, Event, Note, Reply
from db.labels import SENTIMENTS
from db.records import RULES, SEVERITIES, WORDS, Alert, Feedback, Match, Silence
from db.trends import Trend
from jobs.facts import figures
from monitor.web.api.asking import OneOf

Share = Annotated[float, Field(ge=0, le=1)]
Net = Annotated[
    float | None,
    Field(
        ge=-1,
        le=1,
        description="(positive - negative) / (positive + negative + neutral); null where nothing was rated.",
    ),
]
Sentiment = Annotated[str, OneOf(SENTIMENTS)]


class Answered(BaseModel):
    """What all answers share: they are made from our records, and never changed."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Post(Answered):
    """A post and one brand that it names, with the labels in force: a person's where one has judged it."""

    id: int = Field(description="Its number here: of the post and this brand.")
    brand: str
    source: str = Field(description="The platform.")
    source_id: str = Field(description="The platform's own id.")
    author: str | None
    text: str = Field(description="What it says; where that is no longer kept, why.")
    url: str | None = Field(description="Where it stands. Written by strangers: check it before you link to it.")
    created_at: datetime
    collected_at: datetime
    language: str | None
    in_reply_to: str | None = Field(description="The platform's id of what it answers.")
    sentiment: Sentiment | None
    stage: str | None
    reply: str | None = Field(description="Whether it needs an answer: yes or no.")
    pillar: str | None
    touchpoint: str | None
    emotion: str | None
    offensive: str | None
    rated: bool | None = Field(description="Whether the model could judge it; null while it waits.")
    reviewed: bool = Field(description="Whether a person's word is in force.")
    about: bool = Field(description="False where a person found that it is not about the brand: it counts nowhere.")
    negative_probability: float | None
    model: str | None
    followers: int | None
    likes: int | None
    reposts: int | None
    replies: int | None
    gone: str | None = Field(description="Why its text is no longer kept: deleted, forgotten or aged.")


class Posts(Answered):
    """Some posts, the newest first."""

    posts: list[Post]
    after: str | None = Field(description="Send it as `after` for the next ones; null where there are no more.")


class Count(Answered):
    """Posts of one brand in one step of time, and of one source and stage where that was asked for."""

    start: str | None = Field(description="The day, the hour, or the Monday of the week; null for the whole span.")
    brand: str
    source: str | None = None
    stage: str | None = None
    mentions: int
    negative: int
    neutral: int
    positive: int
    not_rated: int
    net_sentiment: Net


class Figures(Answered):
    """The numbers of an alert, as its messages have them; 0 where its rule does not know one."""

    observed: float = Field(description="Negative posts (of rules on volume: posts) in the window.")
    expected: float = Field(description="How many the brand's past led to expect.")
    low: float = Field(description="Of the 95 % interval of what was expected.")
    high: float
    factor: float = Field(description="How many times as many as expected.")
    probability: float = Field(description="How likely so many are by chance.")
    score: float = Field(description="-log10 of the probability.")
    window_minutes: float
    mentions: float
    share: float = Field(description="Of negative posts in the window.")
    usual_share: float


class AlertOut(Answered):
    """Something out of the ordinary: what was seen, and what the brand's own past led to expect."""

    id: int
    brand: str
    rule: Annotated[str, OneOf(RULES)]
    scope: str
    severity: Annotated[str, OneOf(SEVERITIES)]
    starts: datetime
    last_seen: datetime
    ends: datetime | None
    summary: str
    in_common: list[str]
    figures: Figures
    held: str | None = Field(description="Why nobody is told of it now.")
    taken_by: str | None
    feedback: Annotated[str, OneOf(WORDS)] | None
    posts: int = Field(description="How many posts made it; GET posts with `alert` lists them.")


class SilenceOut(Answered):
    """Alerts of a cause that nobody is told of for a while."""

    id: int
    starts: datetime
    ends: datetime
    author: str
    comment: str
    brand: str | None
    rule: str | None
    scope: str | None


class CaseOut(Answered):
    """A post that waits for an answer, or has had one. Send `version` along with every change."""

    id: int
    version: int
    state: Annotated[str, OneOf(STATES)]
    level: Annotated[str, OneOf(LEVELS)]
    reason: str
    alert_id: int | None
    assignee: str | None
    lease_until: datetime | None = Field(description="Until when a claim holds unless its holder is heard of.")
    due: datetime | None
    created_at: datetime
    snoozed_until: datetime | None
    triaged_at: datetime | None
    replied_at: datetime | None
    closed_at: datetime | None
    dismissed_for: str | None
    escalated: bool
    tags: list[str]
    post: Post


class EventOut(Answered):
    """Something that happened to a case."""

    id: int
    at: datetime
    what: str
    who: str | None
    detail: dict[str, str]


class NoteOut(Answered):
    """What somebody of the team wrote for the others."""

    id: int
    at: datetime
    who: str
    text: str


class ReplyOut(Answered):
    """An answer to a post, from its first draft to what became of it."""

    id: int
    version: int
    author: str
    text: str
    state: Annotated[str, OneOf(REPLY_STATES)]
    created_at: datetime
    updated_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    remark: str | None
    sent_at: datetime | None
    remote_id: str | None
    url: str | None
    error: str | None
    survey: Annotated[str, OneOf(SURVEYS)] | None


class Cases(Answered):
    """Some cases, the most urgent first."""

    cases: list[CaseOut]
    total: int


class WholeCase(CaseOut):
    """A case with all that happened to it."""

    events: list[EventOut]
    notes: list[NoteOut]
    replies: list[ReplyOut]


def post_out(match: Match) -> Post:
    """Write a post."""
    mention, reach = match.mention, match.mention.reach
    return Post(
        id=match.id,
        brand=match.brand,
        source=mention.source,
        source_id=mention.source_id,
        author=mention.author,
        text=mention.shown,
        url=mention.url,
        created_at=mention.created_at,
        collected_at=mention.collected_at,
        language=mention.language,
        in_reply_to=mention.in_reply_to,
        sentiment=match.sentiment,
        stage=match.stage,
        reply=match.reply,
        pillar=match.pillar,
        touchpoint=match.touchpoint,
        emotion=match.emotion,
        offensive=match.offensive,
        rated=None if match.model is None else match.sentiment is not None,
        reviewed=match.reviewed,
        about=match.about,
        negative_probability=match.negative,
        model=match.model,
        followers=reach.followers,
        likes=reach.likes,
        reposts=reach.reposts,
        replies=reach.replies,
        gone=mention.gone_reason,
    )


def count_out(trend: Trend) -> Count:
    """Write counts."""
    return Count(
        start=trend.bucket,
        brand=trend.brand,
        source=trend.keys.get("source"),
        stage=trend.keys.get("stage"),
        mentions=trend.mentions,
        negative=trend.negative,
        neutral=trend.neutral,
        positive=trend.positive,
        not_rated=trend.not_rated,
        net_sentiment=trend.net_sentiment,
    )


def alert_out(alert: Alert, posts: int, feedback: Feedback | None) -> AlertOut:
    """Write an alert, with how many posts it has and what was said of it last."""
    return AlertOut(
        id=alert.id,
        brand=alert.brand,
        rule=alert.rule,
        scope=alert.scope,
        severity=alert.severity,
        starts=alert.starts,
        last_seen=alert.last_seen,
        ends=alert.ends,
        summary=alert.summary,
        in_common=list(alert.in_common),
        figures=Figures.model_validate(figures(alert)),
        held=alert.held,
        taken_by=alert.taken_by,
        feedback=feedback.word if feedback else None,
        posts=posts,
    )


def case_out(case: Case) -> CaseOut:
    """Write a case."""
    return CaseOut(**_case(case))


def whole_case(case: Case, events: Sequence[Event], notes: Sequence[Note], replies: Sequence[Reply]) -> WholeCase:
    """Write a case with all that happened to it."""
    return WholeCase(
        **_case(case),
        events=[
            EventOut(id=each.id, at=each.at, what=each.what, who=each.who, detail=dict(each.detail)) for each in events
        ],
        notes=[NoteOut.model_validate(note) for note in notes],
        replies=[ReplyOut.model_validate(reply) for reply in replies],
    )


def silence_out(silence: Silence) -> SilenceOut:
    """Write a silence."""
    return SilenceOut.model_validate(silence)


def _case(case: Case) -> dict[str, Any]:
    names = set(CaseOut.model_fields) - {"post", "tags"}
    return {name: getattr(case, name) for name in names} | {"tags": list(case.tags), "post": post_out(case.match)}
