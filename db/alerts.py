"""Alerts, the posts that made them, and what a team says of them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any

from sqlite_utils import Database

from db.filters import Filter
from db.records import ONE_STREAM, Alert, Feedback, Match, Part, Story
from db.times import from_text, from_text_or_none, to_text, to_text_or_none

_COLUMNS = [field.name for field in fields(Alert) if field.name != "id"]
_NOT_FOUND_OUT = (
    "held",
    "taken_by",
    "taken_at",
    "found_at",
)  # what becomes of an alert while others look at its counts
_FOUND_OUT = [column for column in _COLUMNS if column not in _NOT_FOUND_OUT]

# Whether another one explains the alert a: as `stories` in jobs/hold.py says, here for lists that end somewhere.
_BESIDE = """o.id != a.id AND {among}
    AND (a.ends IS NULL OR o.starts <= a.ends) AND (o.ends IS NULL OR o.ends >= a.starts)"""
_EXPLAINED = f"""CASE
    WHEN a.rule = 'silence' AND EXISTS (
        SELECT 1 FROM alerts o WHERE o.rule = 'stale source' AND NOT instr(o.scope, '{ONE_STREAM}') AND {_BESIDE}
    ) THEN 1
    WHEN a.rule IN ('volume spike', 'share shift') OR (a.rule = 'single post' AND a.severity = 'warning')
        OR (a.rule = 'negative spike' AND a.scope != '')
    THEN EXISTS (SELECT 1 FROM alerts o
        WHERE o.brand = a.brand AND o.rule = 'negative spike' AND o.scope = '' AND {_BESIDE})
    ELSE 0 END"""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which alerts a list is about; empty means all. `parts` are those that are part of another."""

    brands: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    parts: bool = False


class Alerts:
    """The tables alerts, alert_posts and feedback."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def save(self, alert: Alert, posts: Sequence[Match]) -> Alert:
        """Insert an alert (id 0) or bring it up to date, and add its posts; runs in the caller's transaction.

        Who has taken an alert, what holds it and when it was found stay as they are stored.
        """
        if alert.id:
            changed = ", ".join(f"{column} = ?" for column in _FOUND_OUT)
            values = _row(alert, _FOUND_OUT)
            self._db.execute(f"UPDATE alerts SET {changed} WHERE id = ?", (*values, alert.id))
        else:
            values = _row(alert, _COLUMNS)
            places = ", ".join("?" for _ in _COLUMNS)
            cursor = self._db.execute(f"INSERT INTO alerts ({', '.join(_COLUMNS)}) VALUES ({places})", values)
            alert = replace(alert, id=int(cursor.lastrowid or 0))
        self._db.conn.executemany(
            "INSERT OR IGNORE INTO alert_posts (alert_id, match_id) VALUES (?, ?)", [(alert.id, m.id) for m in posts]
        )
        return alert

    def find(
        self, chosen: Filter, limit: int | None = None, *, going_on: bool = False, parts: bool = True
    ) -> list[Alert]:
        """Return alerts of the brands that were going on in the span (and still are), newest first.

        Without `parts`, those are left out that another one of them explains.
        """
        clauses, values = ["1 = 1"], dict[str, object]()
        if chosen.brands:
            clauses.append("{0}.brand IN (SELECT value FROM json_each(:brands))")
            values["brands"] = json.dumps(list(chosen.brands))
        if chosen.since:
            clauses.append("{0}.last_seen >= :since")
            values["since"] = to_text(chosen.since)
        if chosen.until:
            clauses.append("{0}.starts < :until")
            values["until"] = to_text(chosen.until)
        if going_on:
            clauses.append("{0}.ends IS NULL")
        among = " AND ".join(clauses)
        where = among.format("a") + ("" if parts else f" AND NOT {_EXPLAINED.format(among=among.format('o'))}")
        sql = f"SELECT a.* FROM alerts a WHERE {where} ORDER BY a.starts DESC, a.id DESC LIMIT :limit"
        values["limit"] = -1 if limit is None else limit
        return [_alert(row) for row in self._db.query(sql, values)]

    def listed(self, chosen: Chosen, going_on: bool, limit: int, offset: int = 0) -> list[Alert]:
        """Return alerts that go on, or that are over, newest first."""
        clauses, values = [f"ends IS {'' if going_on else 'NOT '}NULL"], list[object]()
        for column, wanted in (("brand", chosen.brands), ("rule", chosen.rules), ("severity", chosen.severities)):
            if wanted:
                clauses.append(f"{column} IN ({', '.join('?' * len(wanted))})")
                values.extend(wanted)
        if not chosen.parts:
            clauses.append("coalesce(held, '') NOT LIKE 'inhibited:%'")  # as jobs/hold.py says of them
        # Of what goes on there is little, of what is over much.
        index = "alerts_open" if going_on else "alerts_by_start"
        sql = f"""SELECT * FROM alerts INDEXED BY {index} WHERE {" AND ".join(clauses)}
            ORDER BY starts DESC, id DESC LIMIT ? OFFSET ?"""
        return [_alert(row) for row in self._db.query(sql, [*values, limit, offset])]

    def get(self, alert_id: int) -> Alert | None:
        """Return one alert."""
        return next((_alert(row) for row in self._db.query("SELECT * FROM alerts WHERE id = ?", [alert_id])), None)

    def posts_of(self, alert_ids: Sequence[int]) -> set[int]:
        """Return the ids of the matches that made any of these alerts."""
        sql = "SELECT match_id FROM alert_posts WHERE alert_id IN (SELECT value FROM json_each(?))"
        return {match_id for (match_id,) in self._db.execute(sql, (json.dumps(list(alert_ids)),)).fetchall()}

    def open(self) -> list[Alert]:
        """Return the alerts that go on."""
        sql = "SELECT * FROM alerts INDEXED BY alerts_open WHERE ends IS NULL ORDER BY id"
        return [_alert(row) for row in self._db.query(sql)]

    def hold(self, alert_id: int, reason: str | None) -> None:
        """Note why nobody is told of an alert now, None where people are; runs in the caller's transaction."""
        self._db.execute("UPDATE alerts SET held = ? WHERE id = ?", (reason, alert_id))

    def take(self, alert_id: int, who: str | None, now: datetime) -> None:
        """Note who sees to an alert, None for nobody; runs in the caller's transaction."""
        at = to_text(now) if who else None
        self._db.execute("UPDATE alerts SET taken_by = ?, taken_at = ? WHERE id = ?", (who, at, alert_id))

    def say(self, feedback: Feedback) -> None:
        """Keep what somebody says of an alert; runs in the caller's transaction."""
        self._db.execute(
            "INSERT INTO feedback (alert_id, who, at, word, note) VALUES (?, ?, ?, ?, ?)",
            (feedback.alert_id, feedback.who, to_text(feedback.at), feedback.word, feedback.note),
        )

    def said(self, alert_ids: Iterable[int] | None = None) -> Mapping[int, Feedback]:
        """Return the newest word on each alert that anybody has judged, of these (None: of all)."""
        ids = None if alert_ids is None else json.dumps(list(alert_ids))
        among = "" if ids is None else "WHERE alert_id IN (SELECT value FROM json_each(?))"
        rows = self._db.execute(
            f"""SELECT alert_id, who, at, word, note FROM feedback
            WHERE id IN (SELECT max(id) FROM feedback {among} GROUP BY alert_id)""",
            () if ids is None else (ids,),
        ).fetchall()
        return {alert_id: Feedback(alert_id, who, from_text(at), word, note) for alert_id, who, at, word, note in rows}


def _row(alert: Alert, columns: Sequence[str]) -> list[object]:
    values: list[object] = []
    for column in columns:
        value = getattr(alert, column)
        if isinstance(value, datetime):
            value = to_text(value)
        elif column == "in_common":
            value = json.dumps(list(value))
        elif isinstance(value, Story):
            since = to_text_or_none(value.baseline_since)
            value = json.dumps(asdict(value) | {"baseline_since": since})
        values.append(value)
    return values


def _alert(row: Mapping[str, Any]) -> Alert:
    given = {column: row[column] for column in _COLUMNS}
    for column in ("starts", "last_seen"):
        given[column] = from_text(row[column])
    for column in ("ends", "found_at", "taken_at"):
        given[column] = from_text_or_none(row[column])
    given["in_common"] = tuple(json.loads(row["in_common"]))
    given["story"] = _story(json.loads(row["story"])) if row["story"] else None
    return Alert(id=row["id"], **given)


def _story(given: dict[str, Any]) -> Story:
    confined = given["confined_to"]
    return Story(
        parts=tuple(Part(**part) for part in given["parts"]),
        confined_to=Part(**confined) if confined else None,
        terms=tuple(given["terms"]),
        new_terms=tuple(given["new_terms"]),
        posts=tuple(given["posts"]),
        authors=given["authors"],
        copies=given["copies"],
        reach=given["reach"],
        baseline_since=from_text_or_none(given["baseline_since"]),
        coverage=given["coverage"],
    )
