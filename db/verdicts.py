"""People's word on posts. Every verdict is kept; the newest of a post is in force and wins over every model."""

import heapq
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import blake2b
from typing import Any

from sqlite_utils import Database

from db import events
from db.desk import Event
from db.errors import InputError
from db.labels import GUIDE, LABELS
from db.mentions import MATCH_COLUMNS, MATCH_TABLES, match_from_row
from db.records import Answer, Match, Score, Verdict
from db.scores import NEWEST_VERDICT, put_in_force
from db.times import from_text, to_text

# A post that was once drawn at random stays so, whoever looks at it again and why.
_VERDICT_COLUMNS = """v.match_id AS verdict_match, v.reviewer, v.given_at, v.about AS verdict_about,
    EXISTS (SELECT 1 FROM verdicts WHERE match_id = v.match_id AND random) AS drawn, """ + ", ".join(
    f"v.{question} AS verdict_{question}" for question in GUIDE
)

_FEW = 10_000  # matches in all, up to which each is looked at to draw some
_AT_ONCE, _THROWS = 200, 50  # numbers, and how often so many, before each is looked at after all


class Verdicts:
    """The table verdicts."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def give(self, verdicts: Sequence[Verdict], *, about_told: bool = False) -> int:
        """Keep verdicts, put them in force, count, and write in the trails of cases what they change.

        Returns how many say something new: one that repeats a post's newest verdict, or is known already, changes
        nothing. Raises InputError for a match that is not there and for a label that is not in the guide. Runs in the
        caller's transaction, who writes down that a post is about the brand, or is not, where it is `about_told`.
        """
        return sum(self._give(each, ("about_us",) if about_told else ()) for each in _turns(verdicts))

    def sample(self, count: int, brand: str | None, seed: int) -> list[tuple[Match, Score]]:
        """Draw rated posts without a verdict at random from all (of one brand), each with the score in force.

        The same seed draws the same posts as long as nothing is added or judged.
        """
        where, values = ("AND brand = ?", [brand]) if brand else ("", [])
        sql = f"""SELECT k.id FROM {MATCH_TABLES} WHERE state = 'rated' AND NOT reviewed AND gone_at IS NULL {where}
            ORDER BY k.id"""
        dice = random.Random(seed)
        drawn = heapq.nsmallest(count, self._db.execute(sql, values), key=lambda _: dice.random())
        return [found for (match_id,) in drawn for found in self._with_score(match_id)]

    def daily(self, count: int, brands: Sequence[str], day: datetime, until: datetime | None = None) -> list[int]:
        """Draw the posts of a day that everybody judges who sees these brands, by the ids of their matches.

        From the posts that the model could rate, that were collected before the day began (or before `until`) and that
        nobody had judged as drawn at random by then: it stays the same all day, whoever judges what.
        """
        begins = to_text(day)
        values = [*brands, to_text(until) if until else begins, begins]
        # What people correct elsewhere are mostly errors: without these posts, the model would look better than it is.
        sql = f"""SELECT k.id FROM {MATCH_TABLES} JOIN scores s ON s.match_id = k.id AND s.model = k.model
            WHERE s.rated AND NOT k.hidden
            AND k.brand IN ({", ".join("?" * len(brands))}) AND m.gone_at IS NULL AND m.collected_at < ?
            AND NOT EXISTS (SELECT 1 FROM verdicts WHERE match_id = k.id AND random AND given_at < ?)"""
        seed = "\0".join([begins, *sorted(brands)])
        (last,) = self._db.execute("SELECT coalesce(max(id), 0) FROM matches").fetchone()
        dice = random.Random(seed)
        # Numbers are thrown until enough of them are such posts. That they reach to a power of two lets the throws
        # stay the same while posts come.
        drawn: dict[int, None] = {}
        for _ in range(_THROWS if last > _FEW else 0):
            thrown = [dice.randrange(1 << last.bit_length()) for _ in range(_AT_ONCE)]
            hit = {
                match_id
                for (match_id,) in self._db.execute(
                    f"{sql} AND k.id IN (SELECT value FROM json_each(?))", [*values, json.dumps(thrown)]
                )
            }
            drawn |= dict.fromkeys(number for number in thrown if number in hit)
            if len(drawn) >= count:
                return list(drawn)[:count]

        def place(row: tuple[int]) -> bytes:
            return blake2b(b"%d" % row[0], key=blake2b(seed.encode()).digest()[:64], digest_size=8).digest()

        # There are few such posts, or few at all: of each, a number that stands for it alone.
        return [match_id for (match_id,) in heapq.nsmallest(count, self._db.execute(sql, values), key=place)]

    def drawn(self, match_ids: Sequence[int]) -> list[tuple[Match, Score, Verdict | None]]:
        """Return posts with the score in force and the newest verdict, in the order of the ids, as far as kept.

        Without the verdict, where nobody has judged the post as drawn at random yet: what was said of it elsewhere was
        said in sight of the model's answer.
        """
        found = []
        for match_id in match_ids:
            for match, score in self._with_score(match_id):
                if match.mention.gone_at is None:
                    given = self._of(match_id)
                    found.append((match, score, given[-1] if given and given[-1].random else None))
        return found

    def all(self, random_only: bool = False, brand: str | None = None) -> Iterator[tuple[Match, Verdict]]:
        """Go through the newest verdict of each match, those that say "not about the brand" included.

        Posts whose text is no longer kept are left out: nothing can be learned from them. `random_only` keeps to posts
        that were drawn at random.
        """
        clauses, values = [f"v.id = {NEWEST_VERDICT}", "m.gone_at IS NULL"], list[object]()
        if random_only:
            clauses.append("drawn")
        if brand:
            clauses.append("k.brand = ?")
            values.append(brand)
        # CROSS JOIN begins with the verdicts, which are few, and not with the matches.
        sql = f"""SELECT {MATCH_COLUMNS}, {_VERDICT_COLUMNS}
            FROM verdicts v CROSS JOIN matches k ON k.id = v.match_id JOIN mentions m ON m.id = k.mention_id
            WHERE {" AND ".join(clauses)} ORDER BY v.match_id"""
        for row in self._db.query(sql, values):
            yield match_from_row(row), _verdict(row)

    def agreement(self, question: str, brands: Sequence[str], since: datetime | None = None) -> tuple[int, int]:
        """Count posts drawn at random on which people have answered a question since a time: (agreed, judged).

        Agreed is where the model in force says what they say. Posts that it does not rate are not among them.
        """
        if question not in GUIDE:
            raise InputError(f"no verdict is given on {question}; but on {', '.join(GUIDE)}")
        agreed, judged = self._db.execute(
            f"""SELECT coalesce(sum(s.{question} = v.{question}), 0), count(*)
            FROM verdicts v CROSS JOIN matches k ON k.id = v.match_id
                JOIN scores s ON s.match_id = k.id AND s.model = k.model
            WHERE v.id = {NEWEST_VERDICT} AND v.about AND v.{question} IS NOT NULL AND s.rated AND v.given_at > ?
                AND k.brand IN ({", ".join("?" * len(brands))})
                AND EXISTS (SELECT 1 FROM verdicts WHERE match_id = k.id AND random)""",
            (to_text(since) if since else "", *brands),
        ).fetchone()
        return int(agreed), int(judged)

    def judged_by(self, time: datetime) -> set[int]:
        """Return the ids of the matches on which a verdict had been given by then."""
        sql = "SELECT DISTINCT match_id FROM verdicts WHERE given_at <= ?"
        return {match_id for (match_id,) in self._db.execute(sql, (to_text(time),)).fetchall()}

    def newest(self, match_id: int) -> Verdict | None:
        """Return the verdict that is in force on a match."""
        return next(reversed(self._of(match_id)), None)

    def _give(self, verdicts: Sequence[Verdict], told: Sequence[str]) -> int:
        """Keep verdicts, each on another match."""
        before = self._in_cases([verdict.match_id for verdict in verdicts])
        last = {row["match_id"]: self.newest(row["match_id"]) for row in before.values()}
        new = [verdict.match_id for verdict in verdicts if self._keep(verdict)]
        put_in_force(self._db, new)
        self._tell(before, self._in_cases(new), last, told)
        return len(new)

    def _keep(self, verdict: Verdict) -> bool:
        _check(verdict)
        if not self._db.execute("SELECT 1 FROM matches WHERE id = ?", (verdict.match_id,)).fetchone():
            raise InputError(
                f"match {verdict.match_id}: no such post in this database; take the ids from a sample of it"
            )
        known = self._of(verdict.match_id)
        drawn = verdict.random or any(one.random for one in known)
        verdict = replace(verdict, at=from_text(to_text(verdict.at)), random=drawn)  # as it is read back
        if verdict in known or (known and replace(known[-1], at=verdict.at) == verdict):
            return False
        self._db.execute(
            f"""INSERT INTO verdicts (match_id, reviewer, given_at, about, random, {", ".join(GUIDE)})
            VALUES (?, ?, ?, ?, ?, {", ".join("?" * len(GUIDE))})""",
            (
                verdict.match_id,
                verdict.reviewer,
                to_text(verdict.at),
                verdict.about,
                verdict.random,
                *(verdict.labels.get(question) for question in GUIDE),
            ),
        )
        return True

    def _in_cases(self, match_ids: Sequence[int]) -> dict[int, Mapping[str, Any]]:
        """Return what is in force on those of these matches that have a case, by the number of the case."""
        labels = ", ".join(f"k.{question}" for question in GUIDE)
        sql = f"""SELECT c.id AS case_id, c.created_at, c.match_id, {labels}, k.about AS about_us
            FROM cases c JOIN matches k ON k.id = c.match_id
            WHERE c.match_id IN (SELECT value FROM json_each(?)) ORDER BY c.id"""
        return {row["case_id"]: row for row in self._db.query(sql, [json.dumps(list(match_ids))])}

    def _tell(
        self,
        before: Mapping[int, Mapping[str, Any]],
        after: Mapping[int, Mapping[str, Any]],
        last: Mapping[int, Verdict | None],
        told: Sequence[str],
    ) -> None:
        """Write in the trails of cases what was changed, by whom, from what to what; `last` was in force before.

        Other labels change with the verdict where a post is not rated yet, or anew: those nobody spoke of.
        """
        for case_id, now in after.items():
            was, earlier, verdict = before[case_id], last[now["match_id"]], self.newest(now["match_id"])
            if verdict is None:
                continue
            spoken = {*verdict.labels, *(earlier.labels if earlier else ()), "about_us"} - {*told}
            changed = {
                name: f"from {_said(name, was[name])} to {_said(name, now[name])}"
                for name in (*GUIDE, "about_us")
                if was[name] != now[name] and name in spoken
            }
            if changed:
                at = max(verdict.at, from_text(was["created_at"]))  # it may have been given before there was a case
                events.add(self._db, Event(0, case_id, at, "corrected", verdict.reviewer, changed))

    def _of(self, match_id: int) -> list[Verdict]:
        sql = f"SELECT {_VERDICT_COLUMNS} FROM verdicts v WHERE match_id = ? ORDER BY given_at, id"
        return [_verdict(row) for row in self._db.query(sql, [match_id])]

    def _with_score(self, match_id: int) -> Iterator[tuple[Match, Score]]:
        """Yield a match with its score, nothing where it went meanwhile."""
        labels = ", ".join(f"s.{question} AS score_{question}" for question in LABELS)
        sql = f"""SELECT {MATCH_COLUMNS}, s.rated, s.language AS score_language, s.probabilities, {labels}
            FROM {MATCH_TABLES} JOIN scores s ON s.match_id = k.id AND s.model = k.model WHERE k.id = ?"""
        for row in self._db.query(sql, [match_id]):
            answers = {
                question: Answer(row[f"score_{question}"], probabilities)
                for question, probabilities in json.loads(row["probabilities"] or "{}").items()
            }
            yield match_from_row(row), Score(row["model"], bool(row["rated"]), row["score_language"], answers)


def _turns(verdicts: Sequence[Verdict]) -> Iterator[list[Verdict]]:
    """Part verdicts so that of each match one comes after the other: what each changes is told as its own."""
    turns = list[list[Verdict]]()
    given = Counter[int]()
    for verdict in verdicts:
        if given[verdict.match_id] == len(turns):
            turns.append([])
        turns[given[verdict.match_id]].append(verdict)
        given[verdict.match_id] += 1
    yield from turns


def _check(verdict: Verdict) -> None:
    for question, label in verdict.labels.items():
        if question not in GUIDE:
            raise InputError(f"match {verdict.match_id}: no verdict is given on {question}; but on {', '.join(GUIDE)}")
        if label not in LABELS[question]:
            known = ", ".join(LABELS[question])
            raise InputError(f"match {verdict.match_id}: {question} cannot be {label!r}; choose from {known}")


def _said(name: str, value: Any) -> str:
    return ("yes" if value else "no") if name == "about_us" else value or "not rated"


def _verdict(row: Mapping[str, Any]) -> Verdict:
    labels = {question: row[f"verdict_{question}"] for question in GUIDE if row[f"verdict_{question}"] is not None}
    return Verdict(
        row["verdict_match"],
        row["reviewer"],
        from_text(row["given_at"]),
        labels,
        random=bool(row["drawn"]),
        about=bool(row["verdict_about"]),
    )
