"""Triage: which of the posts that were rated since become cases, and what becomes of cases with time.

A post becomes a case where the model or a person says that it asks for an answer, or a rule says so; of own brands, of
the last seven days, once for all that say nearly the same. An answered case is reopened where its author writes on.
What was snoozed comes back, claims of people who are not heard of any more end, what was found not to be about the
brand is dismissed, and what has none yet gets the time by which an answer is due. With nothing new a run reads a few
rows of indexes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from db.cases import Fresh
from db.desk import NOT_ABOUT, Case, Event, Rule, rank
from db.records import Match
from db.store import Store
from db.times import from_text, to_text
from jobs.desk import moves, rules, urgency
from jobs.desk.hours import Hours, due, targets
from jobs.outcome import Outcome

BATCH = 200  # posts, or cases, in a transaction
PATIENCE = timedelta(minutes=10)  # for the job that compares posts
WROTE_BACK = "the author wrote back"


@dataclass(frozen=True)
class Triaging:
    """The brands that are answered for, when the team is there, and how soon it answers each level of a case."""

    brands: Sequence[str]
    hours: Hours = field(default_factory=Hours)
    targets: Mapping[str, timedelta] = field(default_factory=lambda: targets({}, Hours()))


def triage(store: Store, triaging: Triaging, now: datetime, stopping: Callable[[], bool] = lambda: False) -> Outcome:
    """Do what is to be done now; count what was opened, reopened, woken and ended."""
    done = {"opened": 0, "reopened": 0, "woken": 0, "leases_ended": 0, "dismissed": 0}
    while not stopping() and (fresh := store.cases.untriaged(now - PATIENCE, BATCH)):
        with store.transaction():
            fresh = store.cases.untriaged(now - PATIENCE, BATCH)  # as they are now that nobody else writes
            tried = store.rules.all(enabled_only=True)
            for each in fresh:
                happened = _look(store, each, tried, triaging, now)
                if happened:
                    done[happened] += 1
            store.cases.mark_triaged([each.match.id for each in fresh])
    done["woken"] += _each(store, store.cases.asleep, now, lambda case: _wake(store, case, now))
    done["leases_ended"] = _each(store, store.cases.unheard, now, lambda case: _end_lease(store, case, now))
    done["dismissed"] = _each(
        store, lambda _, limit: store.cases.astray(limit), now, lambda case: _dismiss(store, case, now)
    )
    _each(store, lambda _, limit: store.cases.without_due(limit), now, lambda case: _set_due(store, case, triaging))
    return Outcome(done)


def _look(store: Store, fresh: Fresh, tried: Sequence[Rule], triaging: Triaging, now: datetime) -> str | None:
    """Decide on one post; say what happened to its case."""
    match, post = fresh.match, fresh.match.mention
    if not match.about or post.gone_at is not None or match.brand not in triaging.brands:
        return None
    if post.repost_of is not None or post.created_at < now - urgency.LATELY:
        return None
    answered = store.cases.answered(match)
    case = store.cases.of_match(match.id)
    if answered and (answered.closed_at or case is None):
        return _hear(store, answered, match, now)
    if case and case.state == "dismissed" and store.cases.closed_as_astray(case.id):
        _reopen(store, case, {"why": "about the brand after all"}, now)
        return "reopened"
    if fresh.repeats:
        return None
    rule = rules.first(tried, match)
    asks = match.reply == "yes"
    if (rule is None and not asks) or (rule and rule.ignore):
        return None
    level = rule.level if rule and rule.level else urgency.of_post(match)
    if case:
        _apply(store, case, rule, level, now)
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
        assignee=_whom(store, rule, match) if rule else None,
        tag=rule.tag if rule else None,
    )
    return "opened" if opened else None


def _whom(store: Store, rule: Rule, match: Match) -> str | None:
    """Name whom a rule gives a case to; nobody, where they could not do anything with it (any more)."""
    user = store.users.named(rule.assignee) if rule.assignee else None
    return user.name if user and user.may("responder") and user.sees(match.brand) else None


def _hear(store: Store, case: Case, match: Match, now: datetime) -> str | None:
    """Let a case that was answered know that its author wrote on; say what that did to it.

    One that is closed, or put away, waits again. Who works on one that is open is told, each message once.
    """
    detail = {"why": WROTE_BACK, "post": str(match.id)}
    if case.closed_at:
        _reopen(store, case, detail, now)
        return "reopened"
    if case.state == "snoozed":
        store.cases.save(moves.reopened(case), Event(0, case.id, now, "woken", None, detail))
        return "woken"
    if all(each.detail.get("post") != detail["post"] for each in store.cases.events(case.id)):
        store.cases.save(case, Event(0, case.id, now, "author wrote back", None, {"post": detail["post"]}))
    return None


def _reopen(store: Store, case: Case, why: Mapping[str, str], now: datetime) -> None:
    was = {"was_due": to_text(case.due)} if case.due else {}  # by which its last answer is measured
    store.cases.save(moves.reopened(case), Event(0, case.id, now, "reopened", None, {**why, **was}))


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


def _apply(store: Store, known: Case, rule: Rule | None, level: str, now: datetime) -> None:
    """Let a rule see to a case that an alert has opened: raise it, and give it to somebody where it is nobody's."""
    why = f"rule {rule.name}" if rule else "asks for an answer"
    store.cases.take_up(known.match.id, None, level, why, now)
    case = store.cases.get(known.id)
    if rule is None or case is None or case.closed_at is not None or case.rule_id is not None:
        return
    happened = [Event(0, case.id, now, "by a rule", None, {"rule": rule.name})]
    taken = replace(case, rule_id=rule.id)
    whom = _whom(store, rule, case.match)
    if whom and case.assignee is None:
        taken = replace(taken, assignee=whom)
        happened.append(Event(0, case.id, now, "assigned", None, {"to": whom}))
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


def _dismiss(store: Store, case: Case, now: datetime) -> None:
    """Nobody sees it in the queue any more: it would wait for ever."""
    store.cases.save(moves.astray(case, now), Event(0, case.id, now, "dismissed", None, {"for": NOT_ABOUT}))


def _set_due(store: Store, case: Case, triaging: Triaging) -> None:
    """Work out when an answer is due from what happened: opened, reopened, told to be more or less urgent.

    A reopened case begins anew. One that was raised is due no later than it was, but nobody could have been in time for
    a level that it did not have: the clock of that level starts when it got it. One that was lowered is due as if it
    had been of that level from the beginning.
    """
    events = store.cases.events(case.id)
    again = next((place for place, each in reversed(list(enumerate(events))) if each.what == "reopened"), None)
    since = events[0 if again is None else again + 1 :]
    target = triaging.targets[case.level]
    if again is None:
        moment = due_of(case.match, case.level, triaging)
    else:
        moment = due(events[again].at, target, triaging.hours)
    raised = [each.detail for each in since if "to" in _level(each)]
    told = next((each for each in reversed(since) if "to" in _level(each)), None)
    if told and rank(told.detail["to"]) > rank(told.detail["from"]):
        moment = due(told.at, target, triaging.hours)
        # Told twice before this job came by, the second time knows no time, but the first does.
        known = next((detail["due"] for detail in reversed(raised) if "due" in detail), None)
        if known:
            moment = min(moment, from_text(known))
    store.cases.set_due(case.id, moment)


def _level(event: Event) -> Mapping[str, str]:
    return event.detail if event.what in ("level", "escalated") else {}
