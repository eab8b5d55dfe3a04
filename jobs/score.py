"""Score: let the model judge every match that waits, and count the result in the same transaction."""

from collections.abc import Callable, Sequence
from datetime import datetime

from db.records import NO_BRAND, Match
from db.store import Store
from jobs.outcome import Outcome
from models.classifier import Classifier, Post

BATCH = 128  # matches a transaction: seconds on a slow machine, so that the job can stop in time


def score(
    store: Store,
    classifier: Classifier,
    clock: Callable[[], datetime],
    stopping: Callable[[], bool] = lambda: False,
    progress: Callable[[int], None] = lambda scored: None,
) -> Outcome:
    """Score until nothing waits or `stopping` says so; `progress` is told how many more are done."""
    rated = not_rated = 0
    while not stopping() and (batch := store.mentions.pending(BATCH)):
        scores = classifier.score([_post(match) for match in batch])
        with store.transaction():
            store.scores.save(list(zip(batch, scores, strict=True)), clock())
        judged = sum(score.rated for score in scores)
        rated += judged
        not_rated += len(batch) - judged
        progress(len(batch))
    return Outcome({"rated": rated, "not_rated": not_rated})


def rescore(
    store: Store,
    classifier: Classifier,
    match_ids: Sequence[int],
    clock: Callable[[], datetime],
    progress: Callable[[int], None] = lambda done: None,
) -> int:
    """Judge matches anew; return how many. What people have said of them stays in force.

    `progress` is told how many of them are done. They are read a batch at a time: a reader that stays open for hours
    would let the write-ahead log grow all that while.
    """
    judged = 0
    for start in range(0, len(match_ids), BATCH):
        found = store.mentions.of(match_ids[start : start + BATCH])
        batch = [match for match in found if match.mention.gone_at is None]  # what is deleted keeps its labels
        scores = classifier.score([_post(match) for match in batch])
        with store.transaction():
            store.scores.save(list(zip(batch, scores, strict=True)), clock())
        judged += len(batch)
        progress(min(start + BATCH, len(match_ids)))
    return judged


def _post(match: Match) -> Post:
    return Post(match.mention.text, None if match.brand == NO_BRAND else match.brand, match.mention.language)
