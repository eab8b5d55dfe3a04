"""Score: let the model judge every match that waits, and count the result in the same transaction."""

from collections.abc import Callable
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


def _post(match: Match) -> Post:
    return Post(match.mention.text, None if match.brand == NO_BRAND else match.brand, match.mention.language)
