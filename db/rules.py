"""The desk's rules, in the order in which they are tried: the table desk_rules."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from sqlite_utils import Database

from db.desk import LEVELS, Conditions, Rule, rank
from db.errors import InputError

# Cases go on naming the rule that opened them: its number is no other's once it was removed.
_NEXT = """(SELECT 1 + coalesce(max(id), 0) FROM
    (SELECT max(id) AS id FROM desk_rules UNION ALL SELECT max(rule_id) FROM cases))"""


class Rules:
    """The table desk_rules. What a rule may say is checked in jobs/desk/rules.py."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def all(self, enabled_only: bool = False) -> list[Rule]:
        """Return the rules in order."""
        where = "WHERE enabled = 1" if enabled_only else ""
        return [_rule(row) for row in self._db.query(f"SELECT * FROM desk_rules {where} ORDER BY position, id")]

    def get(self, rule_id: int) -> Rule | None:
        """Return a rule."""
        return next(map(_rule, self._db.query("SELECT * FROM desk_rules WHERE id = ?", [rule_id])), None)

    def save(self, rule: Rule) -> Rule:
        """Keep a new rule (id 0), after all others, or what has changed of one; runs in the caller's transaction.

        Raises InputError where the name is taken.
        """
        values = {
            "name": rule.name,
            "enabled": rule.enabled,
            "conditions": json.dumps({name: value for name, value in asdict(rule.when).items() if value}),
            "level": None if rule.level is None else rank(rule.level),
            "assignee": rule.assignee,
            "tag": rule.tag,
            "ignore": rule.ignore,
        }
        try:
            if rule.id:
                changes = ", ".join(f'"{name}" = ?' for name in values)
                self._db.execute(f"UPDATE desk_rules SET {changes} WHERE id = ?", [*values.values(), rule.id])
                return rule
            names = ", ".join(f'"{name}"' for name in values)
            cursor = self._db.execute(
                f"""INSERT INTO desk_rules ({names}, position, id) VALUES ({", ".join("?" * len(values))},
                    (SELECT coalesce(max(position), 0) + 1 FROM desk_rules), {_NEXT})
                RETURNING id, position""",
                list(values.values()),
            )
            rule_id, position = cursor.fetchone()
        except sqlite3.IntegrityError as error:
            raise InputError(f"there is a rule {rule.name} already; take another name") from error
        return replace(rule, id=int(rule_id), position=int(position))

    def delete(self, rule_id: int) -> bool:
        """Remove a rule; its cases stay as they are. Runs in the caller's transaction."""
        return self._db.execute("DELETE FROM desk_rules WHERE id = ?", (rule_id,)).rowcount == 1

    def order(self, ids: Sequence[int]) -> None:
        """Try the rules in this order, those that are not named after them; runs in the caller's transaction."""
        rest = [rule.id for rule in self.all() if rule.id not in ids]
        self._db.conn.executemany(
            "UPDATE desk_rules SET position = ? WHERE id = ?",
            [(place, rule_id) for place, rule_id in enumerate([*ids, *rest], 1)],
        )


def _rule(row: Mapping[str, Any]) -> Rule:
    kept = json.loads(row["conditions"])
    known = {field.name for field in fields(Conditions)}
    when: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in kept.items() if name in known
    }
    return Rule(
        id=row["id"],
        name=row["name"],
        when=Conditions(**when),
        level=None if row["level"] is None else LEVELS[row["level"]],
        assignee=row["assignee"],
        tag=row["tag"],
        ignore=bool(row["ignore"]),
        enabled=bool(row["enabled"]),
        position=row["position"],
    )
