"""The posts that wait for an answer: one question to the queue, one place that changes a case."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlite_utils import Database

from db import events
from db.desk import LEVELS, STATES, Case, Event, Note, rank
from db.errors import Stale
from db.filters import Filter
from db.mentions import MATCH_COLUMNS, match_from_row
from db.records import Match
from db.replies import UNSETTLED
from db.said import SAID
from db.times import from_text, from_text_or_none, to_text, to_text_or_none

CLOSED = ("replied", "dismissed")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to the queue; empty means all.

    Without `states` it is about the open cases less those that sleep: a case that was snoozed is asked for again from
    the second on at which it is due, whether or not the job that wakes it has run. `tags` must all be there.
    """

    brands: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    assignee: str | None = None
    unassigned: bool = False
    overdue: bool = False
    escalated: bool = False
    tags: tuple[str, ...] = ()
    alert_id: int | None = None
    text: str | None = None  # all of these words, in any order; "in quotes" as a phrase
    having: tuple[int, ...] | None = None  # the cases that have them, where those are known already
    sentiments: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    pillars: tuple[str, ...] = ()
    touchpoints: tuple[str, ...] = ()
    since: datetime | None = None  # of posting, inclusive
    until: datetime | None = None  # exclusive


@dataclass(frozen=True, slots=True)
class Fresh:
    """A rated post that the desk has not looked at yet."""

    match: Match
    sure: float | None  # how likely the model holds it that it asks for an answer
    said: bool  # it is a person who said whether it does
    repeats: bool  # it passes on another post, or says nearly the same


class Cases:
    """The tables cases, events, notes and tags."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, case_id: int) -> Case | None:
        """Return a case."""
        return self._one("c.id = ?", case_id)

    def of_match(self, match_id: int) -> Case | None:
        """Return the case of a post and a brand."""
        return self._one("c.match_id = ?", match_id)

    def queue(self, asked: Asked, now: datetime, limit: int, offset: int = 0) -> list[Case]:
        """Return cases, the most urgent first: by level, then what is due first, then what is worst.

        Where only closed ones are asked for, those closed last come first.
        """
        where, values = self._where(asked, now)
        closed = bool(asked.states) and set(asked.states) <= set(CLOSED)
        order = "c.closed_at DESC, c.id DESC" if closed else "c.level DESC, c.due, c.priority DESC, c.id"
        sql = f"{_SELECT} WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?"
        if set(asked.states) & set(CLOSED) and not closed:  # no index has both in order: only those shown are read
            chosen = f"SELECT c.id FROM {_counted(where)} WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?"
            sql = f"{_SELECT} WHERE c.id IN ({chosen}) ORDER BY {order}"
        return [_case(row) for row in self._db.query(sql, [*values, limit, offset])]

    def total(self, asked: Asked, now: datetime) -> int:
        """Count the cases that `queue` goes through."""
        where, values = self._where(asked, now)
        sql = f"SELECT count(*) FROM {_counted(where)} WHERE {where}"
        return int(self._db.execute(sql, values).fetchone()[0])

    def counts(self, asked: Asked, now: datetime, me: str | None = None) -> Mapping[str, int]:
        """Count open cases by tab: open, mine, unassigned, overdue, escalated, snoozed, and each open state.

        Of the question, what a tab decides itself (states, whose, overdue, escalated) is left out. `me` is who asks.
        """
        narrowed = replace(asked, states=("any",), assignee=None, unassigned=False, overdue=False, escalated=False)
        where, values = self._where(narrowed, now)
        awake = _AWAKE.replace("?", ":now")
        names = {
            "open": awake,
            "mine": f"{awake} AND c.assignee IS NOT NULL AND c.assignee = :me COLLATE NOCASE",
            "unassigned": f"{awake} AND c.assignee IS NULL",
            "overdue": f"{awake} AND c.due < :now",
            "escalated": f"{awake} AND c.escalated",
            "snoozed": f"NOT {awake}",
            "new": "c.state = 'new'",
            "claimed": "c.state = 'claimed'",
            "waiting": "c.state = 'waiting'",
            "reopened": f"(c.state = 'reopened' OR c.state = 'snoozed' AND {awake})",
        }
        tabs = ", ".join(
            f"coalesce(sum({sql.replace(':now', '?1').replace(':me', '?2')}), 0)" for sql in names.values()
        )
        # Plain question marks go on counting after the greatest number so far.
        sql = f"SELECT {tabs} FROM {_counted(where)} WHERE {where}"
        row = self._db.execute(sql, [to_text(now), me or "", *values]).fetchone()
        return dict(zip(names, map(int, row), strict=True))

    def having(self, text: str | None) -> tuple[int, ...] | None:
        """Name the cases whose posts have all of these words, None where there is no word; for `Asked.having`."""
        words = self._db.quote_fts((text or "").replace("\0", " "))  # SQLite would stop reading at a NUL
        if not words:
            return None
        sql = """SELECT c.id FROM cases c
            WHERE c.mention_id IN (SELECT rowid FROM mentions_fts WHERE mentions_fts MATCH ?)"""
        return tuple(case_id for (case_id,) in self._db.execute(sql, [words]).fetchall())

    def waiting(self, chosen: Filter, limit: int) -> list[Case]:
        """Return the open cases, the most urgent first, those that sleep included."""
        where, values = chosen.where("created_at", table="k.")
        sql = f"""{_SELECT} WHERE c.closed_at IS NULL AND {where}
            ORDER BY c.level DESC, c.due, c.priority DESC, c.id LIMIT ?"""
        return [_case(row) for row in self._db.query(sql, [*values, limit])]

    def count(self, brands: Sequence[str] = ()) -> int:
        """Count the open cases of these brands (none: all), those that sleep included."""
        of_these = f"AND brand IN ({', '.join('?' * len(brands))})" if brands else ""
        sql = f"SELECT count(*) FROM cases WHERE closed_at IS NULL AND about = 1 {of_these}"
        return int(self._db.execute(sql, list(brands)).fetchone()[0])

    def open(
        self,
        match: Match,
        alert_id: int | None,
        reason: str,
        priority: float,
        now: datetime,
        *,
        level: str = "normal",
        due: datetime | None = None,
        rule_id: int | None = None,
        assignee: str | None = None,
        tag: str | None = None,
        who: str | None = None,
    ) -> bool:
        """Open a case for a post unless it has one; runs in the caller's transaction.

        Where it has one, that is taken up. Without `due`, the job triage works it out. `who` is the person that asked.
        """
        cursor = self._db.execute(
            """INSERT INTO cases (match_id, alert_id, reason, state, priority, created_at, level, due, rule_id,
                assignee) VALUES (?, ?, ?, 'new', ?, ?, ?, ?, ?, ?) ON CONFLICT (match_id) DO NOTHING""",
            (
                match.id,
                alert_id,
                reason,
                priority,
                to_text(now),
                rank(level),
                to_text_or_none(due),
                rule_id,
                assignee,
            ),
        )
        if cursor.rowcount != 1:
            self.take_up(match.id, alert_id, level, reason, now)
            return False
        case_id = int(cursor.lastrowid or 0)
        self.record(Event(0, case_id, now, "opened", who, {"why": reason, "level": level}))
        if assignee:
            self.record(Event(0, case_id, now, "assigned", None, {"to": assignee}))
        if tag:
            events.tag(self._db, case_id, tag)
            self.record(Event(0, case_id, now, "tagged", None, {"tag": tag}))
        return True

    def take_up(self, match_id: int, alert_id: int | None, level: str, why: str, now: datetime) -> None:
        """Raise the open case of a post to a level; in the caller's transaction.

        It is never lowered, and stays as it is where a person has said how urgent it is. An alert takes a case that is
        of none.
        """
        found = self._db.execute(
            """SELECT id, level, alert_id FROM cases c WHERE match_id = ? AND closed_at IS NULL
            AND (level < ? OR alert_id IS NULL AND ? IS NOT NULL)""",
            (match_id, rank(level), alert_id),
        ).fetchone()
        case = self.get(found[0]) if found else None
        if case is None:
            return
        taken = replace(case, alert_id=case.alert_id or alert_id)
        said = any(event.what in ("level", "escalated") and event.who for event in self.events(case.id))
        if said or rank(case.level) >= rank(level):
            if taken != case:
                self.save(taken, Event(0, case.id, now, "in an alert", None, {"why": why}))
            return
        detail = {"from": case.level, "to": level, "why": why} | ({"due": to_text(case.due)} if case.due else {})
        self.save(replace(taken, level=level, due=None), Event(0, case.id, now, "level", None, detail))

    def save(self, case: Case, *happened: Event) -> Case:
        """Write a case that was changed from its `version`, with what happened; runs in the caller's transaction.

        Returns it as it is now. Raises Stale, with the case as it is, where somebody has changed it meanwhile.
        """
        cursor = self._db.execute(
            """UPDATE cases SET version = version + 1, state = ?, level = ?, priority = ?, assignee = ?,
                lease_until = ?, due = ?, snoozed_until = ?, triaged_at = ?, replied_at = ?, closed_at = ?,
                dismissed_for = ?, escalated = ?, rule_id = ?, alert_id = ?, reason = ?
            WHERE id = ? AND version = ?""",
            (
                case.state,
                rank(case.level),
                case.priority,
                case.assignee,
                to_text_or_none(case.lease_until),
                to_text_or_none(case.due),
                to_text_or_none(case.snoozed_until),
                to_text_or_none(case.triaged_at),
                to_text_or_none(case.replied_at),
                to_text_or_none(case.closed_at),
                case.dismissed_for,
                case.escalated,
                case.rule_id,
                case.alert_id,
                case.reason,
                case.id,
                case.version,
            ),
        )
        current = self.get(case.id)
        if cursor.rowcount != 1:
            raise Stale("somebody has changed this case meanwhile; look at it again", current)
        for event in happened:
            self.record(event)
        return current or case

    def beat(self, case_id: int, lease_until: datetime) -> None:
        """Let a claim hold until a later time. It is no change that others would have to see: the version stays."""
        self._db.execute("UPDATE cases SET lease_until = ? WHERE id = ?", (to_text(lease_until), case_id))

    def record(self, event: Event) -> None:
        """Write down what happened; runs in the caller's transaction."""
        events.add(self._db, event)

    def events(self, case_id: int) -> list[Event]:
        """Return all that happened to a case, in order."""
        return events.of_case(self._db, case_id)

    def newest_event(self) -> int:
        """Return the number of the last thing that happened to any case, 0 where nothing has."""
        return int(self._db.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()[0])

    def arrived(self, asked: Asked, now: datetime, after: int) -> int:
        """Count the cases that `queue` goes through and that came there after an event."""
        where, values = self._where(asked, now)
        came = "SELECT case_id FROM events WHERE id > ? AND what IN ('opened', 'woken', 'reopened')"
        sql = f"SELECT count(*) FROM {_TABLES} WHERE c.id IN ({came}) AND {where}"
        return int(self._db.execute(sql, [after, *values]).fetchone()[0])

    def notes(self, case_id: int) -> list[Note]:
        """Return what the team wrote on a case, in order."""
        return events.notes(self._db, case_id)

    def note(self, case_id: int, who: str, at: datetime, text: str) -> Note:
        """Keep a note; runs in the caller's transaction."""
        return events.note(self._db, case_id, who, at, text)

    def tag(self, case_id: int, tag: str) -> bool:
        """Tag a case; False where it has that tag. Runs in the caller's transaction."""
        return events.tag(self._db, case_id, tag)

    def untag(self, case_id: int, tag: str) -> bool:
        """Take a tag off a case; False where it does not have it. Runs in the caller's transaction."""
        return events.untag(self._db, case_id, tag)

    def tags(self, brands: Sequence[str] = ()) -> list[str]:
        """Return every tag in use on cases of these brands (none: all), the most used first."""
        return events.tags(self._db, brands)

    def untriaged(self, ready: datetime, limit: int) -> list[Fresh]:
        """Return rated posts that the desk has not looked at, in the order in which they were stored.

        A post that nobody has compared with others yet is left for later, unless it was collected before `ready`.
        """
        rows = self._db.query(
            f"""SELECT {MATCH_COLUMNS}, s.reply_probability, m.copy_of IS NOT NULL AS copied,
                k.reviewed AND {SAID["reply"]} IS NOT NULL AS said
            FROM matches k CROSS JOIN mentions m ON m.id = k.mention_id
                LEFT JOIN scores s ON s.match_id = k.id AND s.model = k.model
            WHERE k.triaged = 0 AND k.state != 'pending' AND (m.grouped = 1 OR m.collected_at < ?)
            ORDER BY k.id LIMIT ?""",
            [to_text(ready), limit],
        )
        return [
            Fresh(
                match_from_row(row),
                sure=row["reply_probability"],
                said=bool(row["said"]),
                repeats=bool(row["copied"]) or row["repost_of"] is not None,
            )
            for row in rows
        ]

    def mark_triaged(self, match_ids: Sequence[int]) -> None:
        """Note that the desk has looked at posts; runs in the caller's transaction."""
        self._db.conn.executemany("UPDATE matches SET triaged = 1 WHERE id = ?", [(each,) for each in match_ids])

    def asleep(self, now: datetime, limit: int) -> list[Case]:
        """Return snoozed cases whose time has come."""
        where = "c.state = 'snoozed' AND c.snoozed_until <= ?"
        return self._some(where, "c.snoozed_until", to_text(now), limit)

    def unheard(self, now: datetime, limit: int) -> list[Case]:
        """Return claimed cases whose holder has not been heard of for too long."""
        return self._some("c.state = 'claimed' AND c.lease_until <= ?", "c.lease_until", to_text(now), limit)

    def without_due(self, limit: int) -> list[Case]:
        """Return open cases of which nobody has worked out yet when an answer is due."""
        return self._some("c.closed_at IS NULL AND c.due IS NULL AND c.id > ?", "c.id", 0, limit)

    def astray(self, limit: int) -> list[Case]:
        """Return open cases whose posts are not about the brand, as was found since; less those being answered."""
        under_way = f"SELECT case_id FROM replies WHERE state IN ({', '.join(repr(state) for state in UNSETTLED)})"
        where = f"c.closed_at IS NULL AND c.about = 0 AND c.id NOT IN ({under_way}) AND c.id > ?"
        return self._some(where, "c.id", 0, limit)

    def closed_as_astray(self, case_id: int) -> bool:
        """Whether it was this, and no person, that a case was dismissed for last."""
        last = next((each for each in reversed(self.events(case_id)) if each.what == "dismissed"), None)
        return last is not None and last.who is None

    def set_due(self, case_id: int, due: datetime) -> None:
        """Write when an answer is due: it follows from what is known, and is no change to the case."""
        self._db.execute("UPDATE cases SET due = ? WHERE id = ?", (to_text(due), case_id))

    def answered(self, match: Match) -> Case | None:
        """Return the case, answered once, to which a post goes back; None where there is none.

        It replies to what we wrote, or its author writes on below the post that we answered. The case may have been
        reopened since; of one that was dismissed since, people have had enough.
        """
        post = match.mention
        if not post.in_reply_to:
            return None
        to_us = self._one(
            f"""{_ANSWERED} AND m.gone_at IS NULL AND m.source = ? AND k.brand = ? AND c.id IN
                (SELECT case_id FROM replies WHERE remote_id = ?) AND m.source_id != ?""",
            post.source,
            match.brand,
            post.in_reply_to,
            post.source_id,
        )
        return to_us or self._one(
            f"""{_ANSWERED} AND m.source = ? AND m.source_id = ? AND k.brand = ?
                AND m.author = ? COLLATE NOCASE AND c.replied_at <= ?""",
            post.source,
            post.in_reply_to,
            match.brand,
            post.author,
            to_text(post.created_at),
        )

    def _one(self, clause: str, *values: object) -> Case | None:
        tables = _TABLES.replace("CROSS JOIN", "JOIN")  # begin wherever it is quickest
        sql = f"SELECT {_COLUMNS} FROM {tables} WHERE {clause} ORDER BY c.id DESC LIMIT 1"
        return next(map(_case, self._db.query(sql, list(values))), None)

    def _some(self, clause: str, order: str, value: object, limit: int) -> list[Case]:
        return [
            _case(row) for row in self._db.query(f"{_SELECT} WHERE {clause} ORDER BY {order} LIMIT ?", [value, limit])
        ]

    def _where(self, asked: Asked, now: datetime) -> tuple[str, list[object]]:
        chosen = Filter(
            since=asked.since,
            until=asked.until,
            sources=asked.sources,
            stages=asked.stages,
            sentiments=asked.sentiments,
            pillars=asked.pillars,
            touchpoints=asked.touchpoints,
            only_about=False,
        )
        where, values = chosen.where("created_at", table="k.")
        clauses = [where]

        def add(clause: str, *given: object) -> None:
            clauses.append(clause)
            values.extend(given)

        moment = to_text(now)
        closed = set(asked.states) & set(CLOSED)
        if not closed:
            add("c.closed_at IS NULL AND c.about = 1")  # "not about us" is a reason to close a case
        elif closed == set(asked.states):
            add("c.closed_at IS NOT NULL")
        if asked.brands:
            add(f"c.brand IN ({', '.join('?' * len(asked.brands))})", *asked.brands)
        if not asked.states:
            add(_AWAKE, moment)
        elif asked.states != ("any",) and set(asked.states) not in (set(CLOSED), set(STATES)):
            states = [_STATES.get(state, "c.state = ?") for state in asked.states]
            add(
                f"({' OR '.join(states)})",
                *(moment if state in _STATES else state for state in asked.states),
            )
        if asked.levels:
            levels = [rank(level) for level in asked.levels if level in LEVELS]
            add(f"c.level IN ({', '.join('?' * len(levels))})", *levels)
        if asked.assignee is not None:
            add("c.assignee = ? COLLATE NOCASE", asked.assignee)
        if asked.unassigned:
            add("c.assignee IS NULL")
        if asked.overdue:
            add("c.due < ?", moment)
        if asked.escalated:
            add("c.escalated = 1")
        for tag in asked.tags:
            add("EXISTS (SELECT 1 FROM tags WHERE case_id = c.id AND tag = ?)", tag)
        if asked.alert_id is not None:
            add("c.alert_id = ?", asked.alert_id)
        having = asked.having if asked.having is not None else self.having(asked.text)
        if having is not None:
            add("c.id IN (SELECT value FROM json_each(?))", json.dumps(having))
        return " AND ".join(clauses), values


_ANSWERED = "c.replied_at IS NOT NULL AND c.state != 'dismissed'"
_AWAKE = "(c.state != 'snoozed' OR c.snoozed_until <= ?)"
_STATES = {
    "snoozed": "c.state = 'snoozed' AND c.snoozed_until > ?",
    "reopened": "(c.state = 'reopened' OR c.state = 'snoozed' AND c.snoozed_until <= ?)",
}
_COLUMNS = f"""{MATCH_COLUMNS}, c.id AS case_id, c.reason AS case_reason, c.state AS case_state, c.alert_id,
    c.created_at AS case_created, c.version, c.level, c.priority, c.assignee, c.lease_until, c.due, c.snoozed_until,
    c.triaged_at, c.replied_at, c.closed_at, c.dismissed_for, c.escalated, c.rule_id,
    (SELECT json_group_array(tag) FROM (SELECT tag FROM tags WHERE case_id = c.id ORDER BY tag)) AS tags"""
# CROSS JOIN begins with the cases, of which an index has the most urgent first, and not with the posts.
_TABLES = "cases c CROSS JOIN matches k ON k.id = c.match_id CROSS JOIN mentions m ON m.id = k.mention_id"
_MATCHED = "cases c CROSS JOIN matches k ON k.id = c.match_id"
_SELECT = f"SELECT {_COLUMNS} FROM {_TABLES}"


def _counted(where: str) -> str:
    """Name the tables that a count needs: as a rule the index of open cases is enough."""
    return _MATCHED if "k." in where else "cases c"


def _case(row: Mapping[str, Any]) -> Case:
    return Case(
        id=row["case_id"],
        match=match_from_row(row),
        reason=row["case_reason"],
        state=row["case_state"],
        alert_id=row["alert_id"],
        created_at=from_text(row["case_created"]),
        version=row["version"],
        level=LEVELS[row["level"]],
        priority=row["priority"],
        assignee=row["assignee"],
        lease_until=from_text_or_none(row["lease_until"]),
        due=from_text_or_none(row["due"]),
        snoozed_until=from_text_or_none(row["snoozed_until"]),
        triaged_at=from_text_or_none(row["triaged_at"]),
        replied_at=from_text_or_none(row["replied_at"]),
        closed_at=from_text_or_none(row["closed_at"]),
        dismissed_for=row["dismissed_for"],
        escalated=bool(row["escalated"]),
        rule_id=row["rule_id"],
        tags=tuple(json.loads(row["tags"])),
    )
