"""People's word on posts. Every verdict is kept; the newest answer to each question wins over every model."""

import heapq
import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from db.said import DRAWN, EVER_DRAWN, NEWEST_VERDICT, SAID_BY
from db.scores import put_in_force
from db.times import from_text, to_text

_VERDICT_COLUMNS = """v.id AS verdict, v.match_id AS verdict_match, v.reviewer, v.given_at, v.about AS verdict_about,
    v.random AS verdict_random, """ + ", ".join(f"v.{question} AS verdict_{question}" for question in GUIDE)
_IN_FORCE = f"{NEWEST_VERDICT} AS newest, {EVER_DRAWN} AS ever_drawn, " + ", ".join(
    f"{SAID_BY[question]} AS said_{question}, {DRAWN[question]} AS drawn_{question}" for question in GUIDE
)

_FEW = 10_000  # matches in all, up to which each is looked at to draw some
_AT_ONCE, _THROWS = 200, 50  # numbers, and how often so many, before each is looked at after all


class Verdicts:
    """The table verdicts."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def give(self, verdicts: Sequence[Verdict], *, about_told: bool = False) -> int:
        """Keep verdicts, put them in force, count, and write in the trails of cases what they change.

        Returns how many say something new: one that is known already, or repeats what its reviewer was the last to say,
        changes nothing. Raises InputError for a match that is not there and for a label that is not in the guide. Runs
        in the caller's transaction, who writes down that a post is about the brand, or is not, where it is
        `about_told`.
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
        """Return posts with the score in force and what people say of them, in the order of the ids, as far as kept.

        Only to the questions that somebody has answered on the post as drawn at random: what was said of it elsewhere
        was said in sight of the model's answer.
        """
        found = []
        for match_id in match_ids:
            for match, score in self._with_score(match_id):
                if match.mention.gone_at is None:
                    parts = [verdict for _, verdict in self._in_force(["k.id = ?"], [match_id]) if verdict.random]
                    found.append((match, score, whole(parts) if parts else None))
        return found

    def all(self, random_only: bool = False, brand: str | None = None) -> Iterator[tuple[Match, Verdict]]:
        """Go through what of people's verdicts is in force, match by match, each answer once and by who gave it.

        What was answered on a post as drawn at random is told apart (`random`) from what else is said of it; with
        `random_only`, nothing else is told. Of a post that is not about the brand, that is all. Posts whose text is no
        longer kept are left out: nothing can be learned from them.
        """
        clauses, values = list[str](), list[object]()
        if random_only:
            clauses.append(EVER_DRAWN)
        if brand:
            clauses.append("k.brand = ?")
            values.append(brand)
        for match, verdict in self._in_force(clauses, values):
            if verdict.random or not random_only:
                yield match, verdict

    def agreement(self, question: str, brands: Sequence[str], since: datetime | None = None) -> tuple[int, int]:
        """Count posts on which people have answered a question since a time, as drawn at random: (agreed, judged).

        Agreed is where the model in force says what they say. Posts that it does not rate are not among them.
        """
        if question not in GUIDE:
            raise InputError(f"no verdict is given on {question}; but on {', '.join(GUIDE)}")
        agreed, judged = self._db.execute(
            f"""SELECT coalesce(sum(s.{question} = v.{question}), 0), count(*)
            FROM verdicts v CROSS JOIN matches k ON k.id = v.match_id
                JOIN scores s ON s.match_id = k.id AND s.model = k.model
            WHERE v.id = {SAID_BY[question]} AND {DRAWN[question]} AND k.about AND s.rated AND v.given_at > ?
                AND k.brand IN ({", ".join("?" * len(brands))})""",
            (to_text(since) if since else "", *brands),
        ).fetchone()
        return int(agreed), int(judged)

    def judged_by(self, time: datetime) -> set[int]:
        """Return the ids of the matches on which a verdict had been given by then."""
        sql = "SELECT DISTINCT match_id FROM verdicts WHERE given_at <= ?"
        return {match_id for (match_id,) in self._db.execute(sql, (to_text(time),)).fetchall()}

    def _give(self, verdicts: Sequence[Verdict], told: Sequence[str]) -> int:
        """Keep verdicts, each on another match."""
        before = self._in_cases([verdict.match_id for verdict in verdicts])
        new = {verdict.match_id: verdict for verdict in verdicts if self._keep(verdict)}
        put_in_force(self._db, new)
        self._tell(before, self._in_cases(new), new, told)
        return len(new)

    def _keep(self, verdict: Verdict) -> bool:
        _check(verdict)
        if not self._db.execute("SELECT 1 FROM matches WHERE id = ?", (verdict.match_id,)).fetchone():
            raise InputError(
                f"match {verdict.match_id}: no such post in this database; take the ids from a sample of it"
            )
        verdict = replace(verdict, at=from_text(to_text(verdict.at)))  # as it is read back
        if _is_known(verdict, self._of(verdict.match_id)):
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

    def _in_cases(self, match_ids: Iterable[int]) -> dict[int, Mapping[str, Any]]:
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
        given: Mapping[int, Verdict],
        told: Sequence[str],
    ) -> None:
        """Write in the trails of cases what was changed, by whom, from what to what; verdicts `given` by match.

        Other labels change with a verdict where a post is not rated yet, or anew: those it does not speak of.
        """
        for case_id, now in after.items():
            was, verdict = before[case_id], given[now["match_id"]]
            spoken = {*verdict.labels, "about_us"} - {*told}
            changed = {
                name: f"from {_said(name, was[name])} to {_said(name, now[name])}"
                for name in (*GUIDE, "about_us")
                if was[name] != now[name] and name in spoken
            }
            if changed:
                at = max(verdict.at, from_text(was["created_at"]))  # it may have been given before there was a case
                events.add(self._db, Event(0, case_id, at, "corrected", verdict.reviewer, changed))

    def _in_force(self, clauses: Sequence[str], values: Sequence[object]) -> Iterator[tuple[Match, Verdict]]:
        # CROSS JOIN begins with the verdicts, which are few, and not with the matches.
        sql = f"""SELECT {MATCH_COLUMNS}, {_VERDICT_COLUMNS}, {_IN_FORCE}
            FROM verdicts v CROSS JOIN matches k ON k.id = v.match_id JOIN mentions m ON m.id = k.mention_id
            WHERE {" AND ".join(["m.gone_at IS NULL", *clauses])} ORDER BY v.match_id, v.given_at, v.id"""
        for row in self._db.query(sql, list(values)):
            match = match_from_row(row)
            for part in _parts(row, match.about):
                yield match, part

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


def whole(parts: Sequence[Verdict]) -> Verdict:
    """Put together what several people say of one match, the oldest first, as the word of who spoke last."""
    return replace(parts[-1], labels={question: label for part in parts for question, label in part.labels.items()})


def _parts(row: Mapping[str, Any], about: bool) -> Iterator[Verdict]:
    """Tell what of a verdict is in force: its answers to what was asked as the post was drawn, and apart the others.

    Where nobody has answered anything, or the post is not about the brand, the newest verdict stands for all.
    """
    verdict = replace(_verdict(row), about=about)
    mine = [question for question in verdict.labels if row[f"said_{question}"] == row["verdict"]]
    if not about or all(row[f"said_{question}"] is None for question in GUIDE):
        if row["newest"] == row["verdict"]:
            yield replace(verdict, labels={}, random=bool(row["ever_drawn"]))
        return
    for drawn in (True, False):
        labels = {question: verdict.labels[question] for question in mine if row[f"drawn_{question}"] == drawn}
        if labels:
            yield replace(verdict, labels=labels, random=drawn)


def _is_known(verdict: Verdict, known: Sequence[Verdict]) -> bool:
    """Say whether a verdict adds nothing to those on its match, the oldest of them first.

    It says no more than one of them does, by the same person at the same time, or repeats what that person was the
    last to say. One on the post as drawn at random adds that, unless it is known already of all that it answers.
    """
    drawn = {question for one in known if one.random for question in one.labels}
    if verdict.random and not (any(one.random for one in known) and drawn >= verdict.labels.keys()):
        return False
    if any(
        (one.reviewer, one.at, one.about) == (verdict.reviewer, verdict.at, verdict.about)
        and one.labels.items() >= verdict.labels.items()
        for one in known
    ):
        return True
    if not known or known[-1].about != verdict.about or not (verdict.labels or known[-1].reviewer == verdict.reviewer):
        return False
    last = {question: (one.reviewer, label) for one in known for question, label in one.labels.items()}
    return all(last.get(question) == (verdict.reviewer, label) for question, label in verdict.labels.items())


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
        random=bool(row["verdict_random"]),
        about=bool(row["verdict_about"]),
    )
