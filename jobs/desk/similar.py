"""Posts like one that were answered, and what was said: the nearest in the model's embedding."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from db.conversations import Said
from db.desk import Case, User, visible
from db.records import Match
from db.store import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST = 5
LEAST = 0.80  # cosine; below it, posts seldom share more than a tone: docs/care.md says how it was chosen
AT_ONCE = 50  # of the nearest that are looked at, until enough are found that were answered and may be shown
FARTHEST = 40 * AT_ONCE


@dataclass(frozen=True, slots=True)
class Alike:
    """A post that was answered, how near it is (cosine, at most 1), and what was said."""

    case_id: int
    match: Match
    similarity: float
    replies: Sequence[Said]


def similar(store: Store, case: Case, user: User, most: int = MOST, least: float = LEAST) -> list[Alike]:
    """Find posts like that of a case, the nearest first, of brands that the user may see.

    Of posts that say the same thing with the same answer, the nearest stands for all. Nothing is found until the embed
    job has looked at the post.
    """
    import numpy as np

    known = store.embeddings.of(case.match.id)
    if known is None or case.match.mention.gone_at is not None:
        return []
    model, own = known
    brands = visible(user, ())
    found: list[Alike] = []
    told = set[tuple[str, ...]]()
    for near in _nearest(store, model, np.frombuffer(own, np.float16), least):
        answered = store.embeddings.answered([match_id for match_id, _ in near], brands)
        for match_id, similarity in near:
            if match_id not in answered or match_id == case.match.id:
                continue
            case_id, match = answered[match_id]
            replies = _replies(store, case_id, match, brands)
            texts = (" ".join(match.mention.text.split()), *(said.text for said in replies))
            if replies and texts not in told:
                told.add(texts)
                found.append(Alike(case_id, match, min(similarity, 1.0), replies))
            if len(found) == most:
                return found
    return found


def _replies(store: Store, case_id: int, match: Match, brands: Sequence[str]) -> list[Said]:
    mention = match.mention
    every = store.conversations.replies_to(mention.source, mention.source_id, brands)
    return [said for said in every if said.case_id == case_id and said.text]


def _nearest(store: Store, model: str, query: "NDArray[np.float16]", least: float) -> Iterator[list[tuple[int, float]]]:
    """Yield the nearest posts of all with their cosines, some at a time."""
    import numpy as np

    kept = _kept(store, model)
    if kept.vectors is None:
        return
    near = kept.vectors @ query.astype(np.float32)
    first = min(FARTHEST, len(near))
    order = np.argpartition(-near, first - 1)[:first]
    order = order[np.argsort(-near[order], kind="stable")]
    order = order[near[order] >= least]
    for start in range(0, len(order), AT_ONCE):
        yield [(kept.match_ids[row], float(near[row])) for row in order[start : start + AT_ONCE].tolist()]


@dataclass(frozen=True, slots=True)
class _Vectors:
    """The vectors of one database and model, as they were when the one with id `last` was the newest."""

    match_ids: Sequence[int] = ()
    vectors: "NDArray[np.float32] | None" = None  # a row for each; to widen them each time takes longer than the rest
    last: int = 0


_remembered: dict[Path, tuple[str, _Vectors]] = {}  # reading them anew for each page would take most of its time
_lock = Lock()


def _kept(store: Store, model: str) -> _Vectors:
    """Return the vectors of a model; of those that were read before, only newer ones are read.

    Where one is gone that was remembered, as when somebody asked to be forgotten, all are read anew.
    """
    with _lock:
        known, before = _remembered.get(store.path, ("", _Vectors()))
        now = _with_new(store, model, before if known == model else _Vectors())
        if len(now.match_ids) != store.embeddings.count(model):
            now = _with_new(store, model, _Vectors())
        _remembered[store.path] = (model, now)
        return now


def _with_new(store: Store, model: str, before: _Vectors) -> _Vectors:
    import numpy as np

    new = store.embeddings.since(model, before.last)
    if not new:
        return before
    rows = np.frombuffer(b"".join(vector for _, _, vector in new), np.float16).reshape(len(new), -1).astype(np.float32)
    vectors = rows if before.vectors is None else np.concatenate([before.vectors, rows])
    return _Vectors([*before.match_ids, *(match_id for _, match_id, _ in new)], vectors, new[-1][0])
