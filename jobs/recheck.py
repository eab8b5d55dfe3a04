"""Recheck: ask platforms once a day which stored posts they still show, and show as they were.

What was deleted loses text and author and stays counted; what was edited keeps its old text as a version, and is judged
anew. Answers are stored in one transaction with the note that the platform was asked.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from db.errors import BudgetSpent, CollectorError, NotAuthorised, RateLimited
from db.records import Checked, Position
from db.store import Store
from db.times import from_text, to_text
from jobs.collector import Checker
from jobs.outcome import Outcome
from jobs.source import Source
from jobs.spare import Spare, spare
from models.brand import Brand, hiding, naming

MOST = 10  # chunks of each source a turn
DAY = timedelta(days=1)  # between two looks at the same post
SECOND = timedelta(seconds=1)  # to which times are kept
STREAM = "(recheck)"  # under which a question that takes the platform time is remembered


def recheck(
    store: Store,
    sources: Sequence[Source],
    ages: Mapping[str, timedelta],
    brands: Sequence[Brand],
    now: datetime,
    most: int = MOST,
) -> Outcome:
    """Ask about the posts that were asked about longest ago, up to `most` chunks of each source.

    `ages` says by the name of a source how old posts are that are still asked about; where it is not there, none are.
    """
    turn = _Turn(store, sources, brands, now)
    for source in sources:
        if source.name in ages:
            turn.check(source, ages[source.name], most)
    if turn.bug:
        raise turn.bug
    return turn.outcome()


@dataclass(frozen=True, slots=True)
class _Question:
    """What a platform was asked and has not answered yet, or that it is to be left alone until `again_at`."""

    ids: Sequence[str] = ()
    resume: str | None = None
    again_at: datetime | None = None

    def position(self) -> Position:
        again_at = self.again_at and to_text(self.again_at)
        return Position(json.dumps({"ids": list(self.ids), "again_at": again_at}), self.resume)

    @classmethod
    def at(cls, position: Position) -> "_Question":
        told = json.loads(position.cursor) if position.cursor else {"ids": [], "again_at": None}
        return cls(told["ids"], position.resume, told["again_at"] and from_text(told["again_at"]))


class _Turn:
    """One turn over the sources."""

    def __init__(self, store: Store, sources: Sequence[Source], brands: Sequence[Brand], now: datetime) -> None:
        self._store = store
        self._sources = sources
        self._brands = brands
        self._now = now
        self._checked = self._deleted = 0
        self._errors: list[str] = []
        self._notes: list[str] = []
        self.bug: Exception | None = None

    def outcome(self) -> Outcome:
        """Tell what the turn did."""
        counts = {"checked": self._checked, "deleted": self._deleted}
        return Outcome(counts, "; ".join(self._errors) or None, "; ".join(self._notes) or None)

    def check(self, source: Source, age: timedelta, most: int) -> None:
        """Ask one platform. Errors of it end up in the outcome, and none of them holds up its live runs."""
        checker = source.collector
        state = self._store.sources.state(source.name)
        if not isinstance(checker, Checker) or state is None or state.paused:
            return
        question = _Question.at(self._store.sources.position(source.name, STREAM))
        ids: Sequence[str] = ()
        not_before = max((at for at in (state.not_before, question.again_at) if at), default=None)
        if not_before and not_before > self._now:
            return
        try:
            for _ in range(most):
                ids = question.ids or self._next(checker, age)
                if not ids:
                    return
                checked = checker.check(ids, question.resume, self._meter(source), self._now)
                question = self._keep(source, checker, ids, checked)
                if question.resume is not None:
                    return
        except BudgetSpent as spent:  # the live runs go on with what is kept for them
            self._wait(source, question, min(spent.not_before, self._now + DAY))
            self._notes.append(f"{source.name}: {spent}")
        except RateLimited as limit:
            self._wait(source, question, limit.not_before)
            self._notes.append(f"{source.name}: {limit}")
        except NotAuthorised as refusal:
            self._wait(source, question, self._now + DAY)
            self._errors.append(f"{source.name}: {refusal}")
        except CollectorError as failure:
            self._errors.append(f"{source.name}: {failure}")
            self._put_off(source, checker, question.ids or ids)
        except Exception as bug:
            self.bug = bug  # raised when the other sources have had their turn

    def _next(self, checker: Checker, age: timedelta) -> Sequence[str]:
        before = self._now - DAY
        begins = getattr(checker, "check_prefix", "")
        return self._store.mentions.to_check(checker.platform, self._now - age, before, checker.check_size, begins)

    def _put_off(self, source: Source, checker: Checker, ids: Sequence[str]) -> None:
        """Let posts whose check failed wait behind all others: they may be what it fails at."""
        with self._store.transaction():
            self._store.mentions.checked(checker.platform, ids, self._now - DAY - SECOND)
            self._store.sources.move(source.name, STREAM, _Question().position())

    def _meter(self, source: Source) -> Spare:
        return spare(self._store, source, self._sources, self._now)

    def _keep(self, source: Source, checker: Checker, ids: Sequence[str], checked: Checked) -> _Question:
        """Store an answer, and what is still to be asked because of it."""
        asked, platform = set(ids), checker.platform
        seen = [post for post in checked.seen if post.source == platform and post.source_id in asked]
        gone = [source_id for source_id in checked.gone if source_id in asked]
        question = _Question(ids, checked.resume, checked.again_at) if checked.resume is not None else _Question()
        with self._store.transaction():
            self._deleted += self._store.forgotten.erase_named(platform, gone, self._now, "deleted")
            # An edited post that names no brand any more is kept up to date all the same.
            names = naming(self._brands)
            self._store.mentions.add([(post, names(post)) for post in seen], hiding(self._brands))
            if checked.resume is None:
                self._store.mentions.checked(platform, ids, self._now)
            self._store.sources.called(source.name, self._now.strftime("%Y-%m"), 0)
            self._store.sources.move(source.name, STREAM, question.position())
        self._checked += len(ids) if checked.resume is None else 0
        return question

    def _wait(self, source: Source, question: _Question, again_at: datetime) -> None:
        waiting = _Question(question.ids, question.resume, again_at)
        with self._store.transaction():
            self._store.sources.move(source.name, STREAM, waiting.position())
