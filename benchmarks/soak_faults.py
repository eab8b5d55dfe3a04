"""What goes wrong in the soak: single faults, and platforms that are down or refuse for hours, drawn from the seed."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
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
    served: Counter[str] = field(default_factory=Counter)
    _until: datetime | None = None  # of a fault that lasts
    _lasting: str = ""
    _ordered: list[list[str]] = field(default_factory=list)

    def order(self, now: datetime) -> None:
        """Order what goes wrong in the coming step."""
        if self._until and now >= self._until:
            self._until = None
        if self._until is None:
            self._begin(now)
        self._ordered = []
        for queue, kinds in self.platform.queues():
            some = [self.rng.choice(kinds) for _ in range(self.rng.choice((1, 1, 2, 4)))]
            good = self.rng.choice((0, 0, 1, 3)) * [self.platform.passes] if self.platform.passes is not None else []
            now_and_then = [*good, *some] if self.rng.random() < SINGLE else []
            ordered = [self._lasting] * MANY if self._until else now_and_then
            queue.clear()
            queue.extend(ordered)
            self._ordered.append(ordered)

    def count(self) -> None:
        """Count what was met in the step; what was not does not happen."""
        for (queue, _), ordered in zip(self.platform.queues(), self._ordered, strict=True):
            self.served.update(each for each in ordered[: len(ordered) - len(queue)] if each != self.platform.passes)

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
        if drawn < DOWN:
            self._until, self._lasting = now + rng.uniform(1, 8) * HOUR, rng.choice(self.platform.down)
        elif drawn < DOWN + REFUSED:
            self._until, self._lasting = now + rng.uniform(1, 6) * HOUR, self.platform.refusal
        elif drawn < DOWN + REFUSED + LONG:
            self._until, self._lasting = now + rng.uniform(20, 45) * HOUR, self.platform.down[0]
