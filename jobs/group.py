"""Group: find for each new post the first one that says nearly the same, so that counts can be shown without copies."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from db.copies import Text
from db.store import Store
from jobs.outcome import Outcome
from models.alike import are_alike, bands_of, runs_of

BATCH = 200  # posts a transaction
WINDOW = timedelta(days=7)  # within which the same words are a copy: later they are a habit


def group(store: Store, stopping: Callable[[], bool] = lambda: False) -> Outcome:
    """Look at every post that is new or was edited. Safe to run again, and to end at any moment."""
    looked, copies = 0, 0
    while not stopping() and store.copies.ungrouped(1):
        with store.transaction():
            posts = store.copies.ungrouped(BATCH)  # what is read in it cannot be edited or erased before it is written
            originals = store.copies.originals([post.id for post in posts])
            for post in posts:
                runs = runs_of(post.text)
                bands = bands_of(runs) if runs else []
                first = originals.get(post.id) or (_first(store, post, runs, bands) if runs else post.id)
                store.copies.save(replace(post, first=first), bands)
                looked += 1
                copies += first != post.id
    return Outcome({"looked_at": looked, "copies": copies})


def _first(store: Store, post: Text, runs: frozenset[str], bands: Sequence[int]) -> int:
    for other in store.copies.alike(bands, post.posted - WINDOW, post.posted + WINDOW):
        if other.first != post.id and other.id != post.id and are_alike(runs, runs_of(other.text)):
            return other.first
    return post.id
