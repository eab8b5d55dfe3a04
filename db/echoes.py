"""Echoes: posts that say again what was said already. Detection leaves them out (db/voices.py).

A post is an echo of a brand's talk where it copies another post, or where its author has said the same (negative, or
not) of the brand on that platform within the three hours before. What a post copies are not its author's own words:
who passes a complaint on and then complains is heard.

Posts arrive in any order, and platforms list the newest first. So whenever what a post says is settled, the posts of
its author that come next are looked at again.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

WITHIN = "3 hours"
LOOKED_AT = 50  # posts of the author on either side: who writes more in three hours is a machine, heard now and then


@dataclass(frozen=True, slots=True)
class _Said:
    """A match as far as echoes go; `echo` is what it was found to be last."""

    match_id: int
    mention_id: int
    brand: str
    source: str
    created_at: str
    negative: bool
    author: str | None
    copies: bool
    echo: bool


def settle(db: Database, match_ids: Iterable[int]) -> list[tuple[str, str, str]]:
    """Find out whether matches are echoes, and those that come next; return (brand, source, created_at) of the latter.

    Runs in the caller's transaction. A post whose author is no longer kept stays what it was.
    """
    touched = []
    for match_id in match_ids:
        for said in _of(db, match_id):
            _note(db, said)
            for later in _next(db, said):
                if _note(db, later):
                    touched.append((later.brand, later.source, later.created_at))
    return touched


def _of(db: Database, match_id: int) -> Iterator[_Said]:
    rows = db.execute(
        """SELECT k.id, k.mention_id, k.brand, k.source, k.created_at, k.sentiment IS 'negative', m.author,
            m.copy_of IS NOT NULL, k.echo
        FROM matches k JOIN mentions m ON m.id = k.mention_id WHERE k.id = ? AND m.gone_at IS NULL""",
        (match_id,),
    ).fetchall()
    return (_said(row) for row in rows)


def _note(db: Database, said: _Said) -> bool:
    """Write down whether a match is an echo; return whether that is new."""
    echo = said.copies or any(before.negative == said.negative for before in _around(db, said, later=False))
    if echo != said.echo:
        db.execute("UPDATE matches SET echo = ? WHERE id = ?", (echo, said.match_id))
    return echo != said.echo


def _next(db: Database, said: _Said) -> list[_Said]:
    """The next negative post of the author, and the next other one."""
    found: dict[bool, _Said] = {}
    for later in _around(db, said, later=True):
        found.setdefault(later.negative, later)
        if len(found) == 2:
            break
    return list(found.values())


def _around(db: Database, said: _Said, *, later: bool) -> Iterator[_Said]:
    """The author's own words on the brand within the time before or after a post, the nearest first.

    A post that was edited says what it said until it is judged anew.
    """
    if not said.author:
        return iter(())
    sign, opposite, order, end = (">", "<", "ASC", f"+{WITHIN}") if later else ("<", ">", "DESC", f"-{WITHIN}")
    rows = db.execute(  # in the order of the index, and no further than is asked for
        f"""SELECT k.about AND k.sentiment IS NOT NULL, k.id, p.id, k.brand, k.source, k.created_at,
            k.sentiment IS 'negative', p.author, 0, k.echo
        FROM mentions p LEFT JOIN matches k ON k.mention_id = p.id AND k.brand = ?5
        WHERE p.source = ?1 AND p.author = ?2 COLLATE NOCASE AND p.copy_of IS NULL
            AND (p.created_at, p.id) {sign} (?3, ?4)
            AND p.created_at {opposite}= strftime('%Y-%m-%dT%H:%M:%SZ', ?3, '{end}')
        ORDER BY p.created_at {order}, p.id {order} LIMIT {LOOKED_AT}""",
        (said.source, said.author, said.created_at, said.mention_id, said.brand),
    )
    return (_said(row) for counts, *row in rows if counts)


def _said(row: Sequence[Any]) -> _Said:
    match_id, mention_id, brand, source, created_at, negative, author, copies, echo = row
    return _Said(match_id, mention_id, brand, source, created_at, bool(negative), author, bool(copies), bool(echo))
