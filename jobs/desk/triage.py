"""Triage: which of the posts that were rated since become cases, and what becomes of cases with time.

A post becomes a case where the model or a person says that it asks for an answer, or a rule says so; of own brands, of
the last seven days, once for all that say nearly the same. An answered case is reopened where its author writes on.
What was snoozed comes back, claims of people who are not heard of any more end, and what has none yet gets the time
by which an answer is due. With nothing new a run reads a few rows of indexes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from db.cases import Fresh
from db.desk import Case, Event, Rule, rank
from db.records import Match
from db.store import Store
from db.times import from_text
from jobs.desk import moves, rules, urgency
from jobs.desk.hours import Hours, due, targets
from jobs.outcome import Outcome

BATCH = 200  # posts, or cases, in a transaction
LATELY = timedelta(days=7)  # older posts are history when they are found
PATIENCE = timedelta(minutes=10)  # for the job that compares posts


@dataclass(frozen=True)
class Triaging:
    """The brands that are answered for, when the team is there, and how soon it answers each level of a case."""

    brands: Sequence[str]
    hours: Hours = field(default_factory=Hours)
    targets: Mapping[str, timedelta] = field(default_factory=lambda: targets({}, Hours()))


def triage(store: Store, triaging: Triaging, now: datetime, stopping: Callable[[], bool] = lambda: False) -> Outcome:
    """Do what is to be done now; count what was opened, reopened, woken and ended."""
    done = {"opened": 0, "reopened": 0, "woken": 0, "leases_ended": 0}
    while not stopping() and (fresh := store.cases.untriaged(now - PATIENCE, BATCH)):
        with store.transaction():
            fresh = store.cases.untriaged(now - PATIENCE, BATCH)  # as they are now that nobody else writes
            tried = store.rules.all(enabled_only=True)
            for each in fresh:
                happened = _look(store, each, tried, triaging, now)
                if happened:
                    done[happened] += 1
            store.cases.mark_triaged([each.match.id for each in fresh])
    done["woken"] = _each(store, store.cases.asleep, now, lambda case: _wake(store, case, now))
    done["leases_ended"] = _each(store, store.cases.unheard, now, lambda case: _end_lease(store, case, now))
    _each(store, lambda _, limit: store.cases.without_due(limit), now, lambda case: _set_due(store, case, triaging))
    return Outcome(done)


def _look(store: Store, fresh: Fresh, tried: Sequence[Rule], triaging: Triaging, now: datetime) -> str | None:
    """Decide on one post; say what happened to its case."""
    match, post = fresh.match, fresh.match.mention
    if not match.about or post.gone_at is not None or match.brand not in triaging.brands:
        return None
    if fresh.repeats or post.created_at < now - LATELY:
        return None
    answered = store.cases.answered(match)
    if answered:
        reopened = moves.reopened(answered)
        store.cases.save(reopened, Event(0, answered.id, now, "reopened", None, {"why": "the author wrote back"}))
        return "reopened"
    rule = rules.first(tried, match)
    asks = match.reply == "yes"
    if (rule is None and not asks) or (rule and rule.ignore):
        return None
    level = rule.level if rule and rule.level else urgency.of_post(match)
    if store.cases.of_match(match.id):
        _apply(store, match, rule, level, now)
        return None
    opened = store.cases.open(
        match,
        None,
        f"rule {rule.name}" if rule else _asks(fresh),
        urgency.priority(match),
        now,
        level=level,
        due=due_of(match, level, triaging),
        rule_id=rule.id if rule else None,
        assignee=rule.assignee if rule else None,
        tag=rule.tag if rule else None,
    )
    return "opened" if opened else None


def due_of(match: Match, level: str, triaging: Triaging) -> datetime:
    """Return when an answer to a post is due.

    The customer waits from the moment of posting on; nobody could answer before the post was here, so that the clock
    starts when it was collected.
    """
    received = max(match.mention.created_at, match.mention.collected_at)
    return due(received, triaging.targets[level], triaging.hours)


def _asks(fresh: Fresh) -> str:
    if fresh.said:
        return "asks for an answer (a person said so)"
    return "asks for an answer" + (f" ({fresh.sure:.0%} sure)".replace("%", " %") if fresh.sure is not None else "")


def _apply(store: Store, match: Match, rule: Rule | None, level: str, now: datetime) -> None:
    """Let a rule see to a case that an alert has opened: raise it, and give it to somebody where it is nobody's."""
    why = f"rule {rule.name}" if rule else "asks for an answer"
    store.cases.take_up(match.id, None, level, why, now)
    case = store.cases.of_match(match.id)
    if rule is None or case is None or case.closed_at is not None or case.rule_id is not None:
        return
    happened = []
    taken = replace(case, rule_id=rule.id)
    if rule.assignee and case.assignee is None:
        taken = replace(taken, assignee=rule.assignee)
        happened.append(Event(0, case.id, now, "assigned", None, {"to": rule.assignee}))
    if rule.tag and store.cases.tag(case.id, rule.tag):
        happened.append(Event(0, case.id, now, "tagged", None, {"tag": rule.tag}))
    store.cases.save(taken, *happened)


def _each(store: Store, find: Callable[[datetime, int], list[Case]], now: datetime, do: Callable[[Case], None]) -> int:
    """Go through the cases that something is due for, a batch a transaction."""
    count = 0
    while find(now, 1):
        with store.transaction():
            found = find(now, BATCH)  # as they are now that nobody else writes
            for case in found:
                do(case)
        count += len(found)
    return count


def _wake(store: Store, case: Case, now: datetime) -> None:
    store.cases.save(moves.reopened(case), Event(0, case.id, now, "woken"))


def _end_lease(store: Store, case: Case, now: datetime) -> None:
    held_by = {"from": case.assignee} if case.assignee else {}
    store.cases.save(moves.freed(case), Event(0, case.id, now, "lease ended", None, held_by))


def _set_due(store: Store, case: Case, triaging: Triaging) -> None:
    """Work out when an answer is due from what happened last: opened, reopened, or told to be more or less urgent.

    A reopened case begins anew. One that was raised is due earlier than it was, but nobody could have been in time for
    a level that it did not have: the clock of that level starts when it got it. One that was lowered is due as if it
    had been of that level from the beginning.
    """
    last = next(
        (each for each in reversed(store.cases.events(case.id)) if each.what == "reopened" or "to" in _level(each)),
        None,
    )
    moment = due_of(case.match, case.level, triaging)
    if last and last.what == "reopened":
        moment = due(last.at, triaging.targets[case.level], triaging.hours)
    elif last and rank(last.detail["to"]) > rank(last.detail["from"]):
        moment = due(last.at, triaging.targets[case.level], triaging.hours)
        if "due" in last.detail:
            moment = min(moment, from_text(last.detail["due"]))
    store.cases.set_due(case.id, moment)


def _level(event: Event) -> Mapping[str, str]:
    return event.detail if event.what in ("level", "escalated") else {}
