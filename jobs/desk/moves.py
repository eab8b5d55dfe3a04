"""What may become of a case: from which state an act leads to which, and who may do it. Pure, no store.

A claim is a lease: it holds until `lease_until`, and longer as long as its holder is heard of. Somebody to whom a case
is assigned, but who has not claimed it, does not keep others from it. What becomes of a case through replies is in
jobs/desk/answer.py; docs/desk.md has the table for people.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from db.desk import DISMISSALS, LEVELS, NOT_ABOUT, Case, User, rank
from db.errors import InputError, NotAllowed, Stale

FREE = ("new", "reopened")
HELD = (*FREE, "claimed")
AWAKE = (*HELD, "snoozed")
OPEN = (*AWAKE, "waiting")


@dataclass(frozen=True, slots=True)
class Move:
    """An act: the states that it starts from, the role that it needs, and whether it may pass over others' claims."""

    states: tuple[str, ...]
    role: str = "responder"
    past_claims: bool = False


MOVES = {
    "claim": Move(AWAKE),
    "release": Move(("claimed",)),
    "take over": Move(("claimed",), "approver", past_claims=True),
    "assign": Move(OPEN),
    "dismiss": Move(AWAKE),
    "snooze": Move(AWAKE),
    "reopen": Move(("replied", "dismissed", "snoozed")),
    "level": Move(OPEN, past_claims=True),
    "escalate": Move(OPEN, past_claims=True),
}


def holder(case: Case, now: datetime) -> str | None:
    """Name who holds a case now; None where nobody does, or their lease has ended."""
    held = case.state == "claimed" and case.lease_until is not None and case.lease_until > now
    return case.assignee if held else None


def check(case: Case, act: str, who: User, now: datetime) -> None:
    """Raise NotAllowed, Stale or InputError where somebody may not do this to the case now."""
    move = MOVES[act]
    if not who.sees(case.match.brand):
        raise NotAllowed(f"case {case.id} is of a brand that is not {who.name}'s")
    role = "approver" if act == "release" and holder(case, now) not in (None, who.name) else move.role
    if not who.may(role):
        raise NotAllowed(f"{act} needs the role {role}; {who.name} is {who.role}")
    if case.state not in move.states:
        raise Stale(f"case {case.id} is {case.state} now: no {act} from there", case)
    held_by = holder(case, now)
    if held_by not in (None, who.name) and not (
        move.past_claims or (who.may("approver") and act in ("release", "assign"))
    ):
        raise Stale(f"{held_by} has case {case.id}, until {case.lease_until:%Y-%m-%d %H:%M} UTC at least", case)


def move(
    case: Case,
    act: str,
    who: User,
    now: datetime,
    *,
    until: datetime | None = None,
    to: str | None = None,
    reason: str | None = None,
    level: str | None = None,
) -> Case:
    """Return the case as it is after the act; its version is the store's to raise.

    `until` is the end of the lease (claim, take over) or of the snooze, `to` the one that it is assigned to (assign,
    escalate), `reason` one of DISMISSALS, `level` one of LEVELS. Raises InputError for what is none of these, Stale
    where the case does not stand so that this can be done, NotAllowed where the role does not suffice.
    """
    check(case, act, who, now)
    case = replace(case, triaged_at=case.triaged_at or now)
    match act:
        case "claim" | "take over":
            return replace(case, state="claimed", assignee=who.name, lease_until=until, snoozed_until=None)
        case "release":
            return freed(case)
        case "assign":
            return replace(case if case.state in ("waiting", "snoozed") else freed(case), assignee=to)
        case "dismiss":
            if reason not in DISMISSALS:
                raise InputError(f"a case is dismissed for one of: {', '.join(DISMISSALS)}")
            return replace(
                _let_go(case), state="dismissed", dismissed_for=reason, closed_at=now, assignee=case.assignee
            )
        case "snooze":
            if until is None or until <= now:
                raise InputError("a case is snoozed until a time to come")
            return replace(case, state="snoozed", snoozed_until=until, lease_until=None)
        case "reopen":
            return reopened(case)
        case "level":
            if level not in LEVELS:
                raise InputError(f"a level is one of: {', '.join(LEVELS)}")
            return replace(case, level=level, due=case.due if level == case.level else None)
        case _:  # "escalate"
            raised = case.level if rank(case.level) >= rank("high") else "high"
            marked = replace(case, escalated=True, level=raised, due=case.due if raised == case.level else None)
            kept = case.state == "waiting" or (holder(case, now) not in (None, who.name) and not who.may("approver"))
            if kept and to is not None:
                raise Stale(f"case {case.id} cannot be handed to {to} now: {case.assignee} has it", case)
            return marked if kept else replace(freed(marked), assignee=to)


def reopened(case: Case) -> Case:
    """A case that waits again, for whoever had it; when an answer is due is worked out anew."""
    woken = case.state == "snoozed"
    return replace(
        _let_go(case),
        state="reopened",
        assignee=case.assignee,
        closed_at=None,
        dismissed_for=None,
        due=case.due if woken else None,
    )


def astray(case: Case, now: datetime) -> Case:
    """A case whose post was found not to be about the brand."""
    return replace(_let_go(case), state="dismissed", dismissed_for=NOT_ABOUT, closed_at=now)


def freed(case: Case) -> Case:
    """A case that nobody has any more. Once answered, it does not count as new again."""
    return replace(_let_go(case), state="reopened" if case.replied_at else "new", assignee=None)


def _let_go(case: Case) -> Case:
    return replace(case, lease_until=None, snoozed_until=None)
