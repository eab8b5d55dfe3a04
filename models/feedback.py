"""What a team's words on alerts say of a rule: how often it was right, and which sensitivity would have served better.

"useful" was right, "noise" was not; "known" was right and no news, and speaks neither for nor against a threshold.
"""

from collections.abc import Sequence
from dataclasses import dataclass

LADDER = (3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 7.0, 8.0)  # thresholds that are offered
ENOUGH = 5  # words that a suggestion needs
KEPT = 0.8  # of the useful alerts, that a higher threshold must keep
TRUSTED = 0.9  # precision from which a lower threshold is offered


@dataclass(frozen=True, slots=True)
class Precision:
    """Alerts of one rule that were judged; `low` and `high` are the 95 % interval of useful / (useful + noise)."""

    rule: str
    useful: int
    noise: int
    known: int
    alerts: int  # all of the rule, judged or not
    low: float | None
    high: float | None

    @property
    def value(self) -> float | None:
        """Useful ones among those that were useful or noise."""
        return self.useful / (self.useful + self.noise) if self.useful + self.noise else None


def precision(rule: str, words: Sequence[str | None]) -> Precision:
    """Measure a rule on the word (None where nobody has judged) of each of its alerts. The interval is Wilson's."""
    from scipy.stats import binomtest

    useful, noise = words.count("useful"), words.count("noise")
    known = words.count("known")
    if not useful + noise:
        return Precision(rule, useful, noise, known, len(words), None, None)
    interval = binomtest(useful, useful + noise).proportion_ci(method="wilson")
    return Precision(rule, useful, noise, known, len(words), float(interval.low), float(interval.high))


def suggest(judged: Sequence[tuple[float, str]], threshold: float) -> float | None:
    """Return the threshold that these alerts (score at the peak, word) speak for; None where the present one is best.

    It is raised where that would have kept out noise and at least four of five useful alerts would have stayed, the
    lowest that does most; it is lowered by one step where nearly every alert was useful.
    """
    told = [(score, word) for score, word in judged if score >= threshold]  # others are kept out already
    useful = [score for score, word in told if word == "useful"]
    noise = [score for score, word in told if word == "noise"]
    if len(useful) + len(noise) < ENOUGH:
        return None
    if len(useful) >= TRUSTED * (len(useful) + len(noise)):
        lower = [step for step in LADDER if step < threshold]
        return lower[-1] if lower else None

    def spared(step: float) -> int:
        return sum(score < step for score in noise) - sum(score < step for score in useful)

    higher = [
        step
        for step in LADDER
        if step > threshold and sum(score >= step for score in useful) >= KEPT * len(useful) and spared(step) > 0
    ]
    return max(higher, key=lambda step: (spared(step), -step)) if higher else None
