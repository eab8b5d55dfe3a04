"""What goes wrong in the soak: single faults, and platforms that are down or refuse for hours, drawn from the seed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from benchmarks.soak_platforms import Platform

HOUR = timedelta(hours=1)
SINGLE = 0.12  # of all steps have some
DOWN, REFUSED, LONG = 0.004, 0.003, 0.0005  # of all steps begin hours of it
MANY = 300  # more requests than a step makes


@dataclass
class Weather:
    """The faults of one platform; `served` counts those that a request met."""

    platform: Platform
    rng: Random
    refused_at: datetime  # once for sure
    served: Counter[str] = field(default_factory=Counter)
    _until: datetime | None = None  # of a fault that lasts
    _lasting: str = ""
    _ordered: list[list[str]] = field(default_factory=list)
    _decks: dict[int, list[str]] = field(default_factory=dict)  # the faults that are still to come, by queue

    def order(self, now: datetime) -> None:
        """Order what goes wrong in the coming step."""
        if self._until and now >= self._until:
            self._until = None
        if self._until is None:
            self._begin(now)
        self._ordered = []
        for place, (queue, kinds) in enumerate(self.platform.queues()):
            some: list[str] = []
            good = self.rng.choice((0, 0, 1, 3)) * [self.platform.passes] if self.platform.passes is not None else []
            if self.rng.random() < SINGLE and self._until is None:
                some = [self._drawn(place, kinds) for _ in range(self.rng.choice((1, 1, 2, 4)))]
            now_and_then = [*good, *some] if some else []
            ordered = [self._lasting] * MANY if self._until else now_and_then
            queue.clear()
            queue.extend(ordered)
            self._ordered.append(ordered)

    def count(self) -> None:
        """Count what was met in the step; what was not does not happen."""
        for place, (queue, kinds) in enumerate(self.platform.queues()):
            ordered = self._ordered[place]
            met = len(ordered) - len(queue)
            self.served.update(each for each in ordered[:met] if each != self.platform.passes)
            if self._until is None:
                self._decks.setdefault(place, []).extend(each for each in ordered[met:] if each in kinds)

    def _drawn(self, place: int, kinds: Sequence[str]) -> str:
        """Draw as from a deck of cards: each fault comes before any comes again."""
        deck = self._decks.get(place) or self.rng.sample(kinds, len(kinds))
        self._decks[place] = deck
        return deck.pop()

    def unmet(self) -> list[str]:
        """Name the faults that nothing met."""
        kinds = [kind for _, kinds in self.platform.queues() for kind in kinds]
        every = dict.fromkeys([*kinds, *self.platform.down, self.platform.refusal])
        return [kind for kind in every if not self.served[kind]]

    def clear(self) -> None:
        """All is well from now on."""
        for queue, _ in self.platform.queues():
            queue.clear()

    def _begin(self, now: datetime) -> None:
        drawn, rng = self.rng.random(), self.rng
        if now >= self.refused_at:
            self.refused_at, drawn = datetime.max.replace(tzinfo=UTC), DOWN
        if drawn < DOWN:
            self._until, self._lasting = now + rng.uniform(1, 8) * HOUR, rng.choice(self.platform.down)
        elif drawn < DOWN + REFUSED:
            self._until, self._lasting = now + rng.uniform(1, 6) * HOUR, self.platform.refusal
        elif drawn < DOWN + REFUSED + LONG:
            self._until, self._lasting = now + rng.uniform(20, 45) * HOUR, self.platform.down[0]
