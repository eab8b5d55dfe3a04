"""The desk: the queue, a case with all that belongs to it, and what is done to it."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from db.cases import Asked
from db.desk import DISMISSALS, LEVELS, STATES, Case, User, visible
from db.store import Store
from jobs.desk import acts, answer
from monitor.sections import span_of
from monitor.web.api import models
from monitor.web.api.asking import (
    LARGEST_ID,
    MOST,
    NAME_LENGTH,
    Feelings,
    Given,
    Id,
    Moment,
    Name,
    Names,
    OneOf,
    Pillars,
    Reader,
    Span,
    Touchpoints,
    Whole,
    Words,
    Worker,
    check_order,
)
from monitor.web.api.posts import TEXT_LENGTH
from monitor.web.api.problems import documented
from monitor.web.forms import Refused
from monitor.web.site import Site

DEEPEST = 100_000  # cases that are passed over
TEXT_OF_REPLY = 20_000

States = Annotated[list[Annotated[str, OneOf(STATES)]], Field(max_length=len(STATES))]
Levels = Annotated[list[Annotated[str, OneOf(LEVELS)]], Field(max_length=len(LEVELS))]


class AskedCases(Span):
    """Which cases are wanted; without `state` those that are open and do not sleep."""

    state: States = Field([], description="In this state; may be repeated.")
    level: Levels = Field([], description="Of this level; may be repeated.")
    sentiment: Feelings = Field([], description="With this sentiment; may be repeated.")
    pillar: Pillars = Field([], description="About this; may be repeated.")
    touchpoint: Touchpoints = Field([], description="Of those who met the brand here; may be repeated.")
    assignee: Name | None = Field(None, description="Whose they are.")
    unassigned: bool = Field(False, description="Only those that are nobody's.")
    overdue: bool = Field(False, description="Only those whose answer is overdue.")
    escalated: bool = Field(False, description="Only those that were escalated.")
    tag: Names = Field([], description="With this tag, and every other that is given.")
    alert: int | None = Field(None, ge=1, le=LARGEST_ID, description="Of the posts of this alert.")
    text: Words = Field("", max_length=TEXT_LENGTH, description='With all these words; "in quotes" as a phrase.')
    offset: int = Field(0, ge=0, le=DEEPEST, description="How many to pass over.")
    limit: int = Field(100, ge=1, le=MOST, description="How many at most.")

    def question(self, user: User) -> Asked:
        """Return the question, narrowed to the brands that somebody may see."""
        check_order(self.since, self.until)
        return Asked(
            brands=visible(user, self.brand),
            sources=tuple(self.source),
            states=tuple(self.state),
            levels=tuple(self.level),
            assignee=self.assignee,
            unassigned=self.unassigned,
            overdue=self.overdue,
            escalated=self.escalated,
            tags=tuple(self.tag),
            alert_id=self.alert,
            text=self.text or None,
            sentiments=tuple(self.sentiment),
            stages=tuple(self.stage),
            pillars=tuple(self.pillar),
            touchpoints=tuple(self.touchpoint),
            since=self.since,
            until=self.until,
        )


class Change(Given):
    """What every change says."""

    version: Whole | None = Field(
        None, description="The version that you saw: where it is another now, the answer is 409."
    )


class Assigning(Change):
    """Whose a case is to be; null: nobody's."""

    to: Annotated[Words, Field(min_length=1, max_length=NAME_LENGTH)] | None = None


class Dismissing(Change):
    """Why a post gets no answer."""

    reason: Annotated[str, OneOf(DISMISSALS)]


class Snoozing(Change):
    """Until when a case sleeps."""

    until: Moment


class Reopening(Change):
    """Why a post waits again."""

    why: Words = Field("", max_length=NAME_LENGTH)


class Noting(Change):
    """What you write for the others."""

    text: Words = Field(min_length=1, max_length=acts.LONGEST_NOTE)


class Tagging(Change):
    """A tag, and whether it is put on or taken off."""

    tag: Words = Field(min_length=1, max_length=acts.LONGEST_TAG)
    remove: bool = False


class Levelling(Change):
    """How urgent it is."""

    level: Annotated[str, OneOf(LEVELS)]


class Drafting(Given):
    """The text of a reply. It is kept as a draft; a person looks at it on the desk, and sends it."""

    text: Words = Field(min_length=1, max_length=TEXT_OF_REPLY)
    version: Whole | None = Field(None, description="Of the reply that is changed, where there is one.")


def router(site: Site) -> APIRouter:
    """Make the addresses."""
    routes = APIRouter(tags=["Desk"])
    problems = documented(400, 404, 409, 413)
    lease = span_of(site.config.desk.lease)

    def act(number: int, user: User, do: Callable[..., Case], **given: Any) -> models.CaseOut:
        with site.store() as store, store.transaction():
            seen(store, number, user)
            return models.case_out(do(store, number, user, site.clock(), **given))

    @routes.get("/cases", responses=documented(400))
    def cases(asked: Annotated[AskedCases, Query()], user: Reader) -> models.Cases:
        """List cases, the most urgent first; where only closed ones are asked for, those closed last first."""
        question, now = asked.question(user), site.clock()
        with site.store() as store:
            found = store.cases.queue(question, now, asked.limit, asked.offset)
            total = store.cases.total(question, now)
        return models.Cases(cases=[models.case_out(case) for case in found], total=total)

    @routes.get("/cases/{number}", responses=documented(404))
    def case(number: Id, user: Reader) -> models.WholeCase:
        """Return a case with all that happened to it, notes and replies."""
        with site.store() as store:
            found = seen(store, number, user)
            events, notes = store.cases.events(number), store.cases.notes(number)
            return models.whole_case(found, events, notes, store.replies.of_case(number))

    @routes.post("/cases/{number}/claim", responses=problems)
    def claim(number: Id, given: Change, user: Worker) -> models.CaseOut:
        """Take a case that nobody holds. Claim it again every few minutes, or the claim ends."""
        return act(number, user, acts.claim, version=given.version, lease=lease)

    @routes.post("/cases/{number}/take-over", responses=problems)
    def take_over(number: Id, given: Change, user: Worker) -> models.CaseOut:
        """Take a case from whoever holds it; for approvers."""
        return act(number, user, acts.take_over, version=given.version, lease=lease)

    @routes.post("/cases/{number}/release", responses=problems)
    def release(number: Id, given: Change, user: Worker) -> models.CaseOut:
        """Give a case back."""
        return act(number, user, acts.release, version=given.version)

    @routes.post("/cases/{number}/assign", responses=problems)
    def assign(number: Id, given: Assigning, user: Worker) -> models.CaseOut:
        """Hand a case to somebody, or to nobody in particular."""
        return act(number, user, acts.assign, version=given.version, to=given.to)

    @routes.post("/cases/{number}/escalate", responses=problems)
    def escalate(number: Id, given: Assigning, user: Worker) -> models.CaseOut:
        """Ask for somebody who decides more."""
        return act(number, user, acts.escalate, version=given.version, to=given.to)

    @routes.post("/cases/{number}/dismiss", responses=problems)
    def dismiss(number: Id, given: Dismissing, user: Worker) -> models.CaseOut:
        """Say that a post gets no answer, and why."""
        return act(number, user, acts.dismiss, version=given.version, reason=given.reason)

    @routes.post("/cases/{number}/snooze", responses=problems)
    def snooze(number: Id, given: Snoozing, user: Worker) -> models.CaseOut:
        """Put a case away until a time; then it is there again by itself."""
        return act(number, user, acts.snooze, version=given.version, until=given.until)

    @routes.post("/cases/{number}/reopen", responses=problems)
    def reopen(number: Id, given: Reopening, user: Worker) -> models.CaseOut:
        """Let a post wait for an answer again."""
        return act(number, user, acts.reopen, version=given.version, why=given.why)

    @routes.post("/cases/{number}/level", responses=problems)
    def level(number: Id, given: Levelling, user: Worker) -> models.CaseOut:
        """Say how urgent a case is."""
        return act(number, user, acts.set_level, version=given.version, level=given.level)

    @routes.post("/cases/{number}/note", responses=problems)
    def note(number: Id, given: Noting, user: Worker) -> models.CaseOut:
        """Write something for the others."""
        return act(number, user, acts.note, version=given.version, text=given.text)

    @routes.post("/cases/{number}/tag", responses=problems)
    def tag(number: Id, given: Tagging, user: Worker) -> models.CaseOut:
        """Tag a case, or take a tag off it."""
        return act(number, user, acts.untag if given.remove else acts.tag, version=given.version, tag=given.tag)

    @routes.post("/cases/{number}/reply", responses=problems)
    def reply(number: Id, given: Drafting, user: Worker) -> models.CaseOut:
        """Keep a text as the draft of the reply. Programs send nothing: a person does, on the desk."""
        return act(number, user, answer.draft, text=given.text, version=given.version)

    @routes.post("/cases/{number}/replied", responses=problems)
    def replied(number: Id, given: Change, user: Worker) -> models.CaseOut:
        """Say that the post was answered on its platform."""
        return act(number, user, acts.replied_by_hand, version=given.version)

    return routes


def seen(store: Store, number: int, user: User) -> Case:
    """Return a case that somebody may see; Refused where there is none."""
    found = store.cases.get(number)
    if found is None or not user.sees(found.match.brand):
        raise Refused(404, "There is no such case.")
    return found
