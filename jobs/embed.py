"""Embed: let the model say what the posts of cases mean, so that those like them that were answered are found."""

from collections.abc import Callable

from db.records import NO_BRAND
from db.store import Store
from jobs.outcome import Outcome
from models.classifier import Embedder, Post

BATCH = 64  # posts a transaction
MOST = 512  # a run: some seconds on a slow machine, so that a long past holds nothing else up


def embed(store: Store, model: Embedder, stopping: Callable[[], bool] = lambda: False, most: int = MOST) -> Outcome:
    """Give vectors to posts of cases that have none of this model, the newest first, at most so many a run.

    Safe to run again, and to end at any moment. After a change of model all get new ones, run by run.
    """
    import numpy as np

    done = 0
    while done < most and not stopping() and (batch := store.embeddings.missing(model.name, min(BATCH, most - done))):
        posts = [
            Post(match.mention.text, None if match.brand == NO_BRAND else match.brand, match.mention.language)
            for match in batch
        ]
        vectors = model.embed(posts).astype(np.float16)
        with store.transaction():
            store.embeddings.save(model.name, batch, [vector.tobytes() for vector in vectors])
        done += len(batch)
    return Outcome({"embedded": done})
