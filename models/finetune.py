"""Teach a model what people have said of the posts that it judged: `sentimon train --from-verdicts`.

Every fifth post, by a hash of its identity, is never learned from, whichever version is trained: what is measured on
these posts is true of posts that no version has seen.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from db.errors import InputError
from db.labels import GUIDE, LABELS
from db.records import NO_BRAND, Match, Mention, Verdict
from models.classifier import Classifier, Post
from models.evaluate import Report, evaluate
from models.examples import Example

if TYPE_CHECKING:
    from models.recipe import Phase

LEAST = 50  # verdicts to learn from: with fewer, chance decides whether the result is better
ENOUGH = 30  # posts to measure on
FOLD = 5  # one post in five is held out
EPOCHS = 3  # more forget what other posts are like: measured on 232 verdicts, two to four learn them alike
LEARNING_RATE = 2e-5
BATCH = 16
SEED = 7

# What is true of a post that is not about the brand: nothing is felt towards it, and nobody has met it.
NOT_ABOUT = {"sentiment": "neutral", "stage": "none", "reply": "no", "pillar": "none", "touchpoint": "none"}


@dataclass(frozen=True, slots=True)
class Judged:
    """A post and what people say of it: `labels` has an entry for each question that was answered.

    `random`: it was drawn at random and judged; what was answered elsewhere is `beside` that, and measures nothing.
    """

    post: Post
    source: str
    labels: Mapping[str, str]
    random: bool
    held_out: bool
    beside: frozenset[str] = frozenset()

    def as_drawn(self) -> "Judged":
        """Return it with those labels alone that were given on it as drawn at random."""
        return replace(self, labels={name: label for name, label in self.labels.items() if name not in self.beside})


@dataclass(frozen=True, slots=True)
class Trial:
    """What training on verdicts has brought: reports by question on the posts held out, of both models."""

    base: str  # the name of the model that it began as
    learned: int
    held_out: int
    random: bool  # only posts drawn at random were measured on
    before: Mapping[str, Report]
    after: Mapping[str, Report]

    @property
    def mean_before(self) -> float:
        """The mean of the questions' macro F1 in the model in force, to four digits as each of them has."""
        return _mean(self.before)

    @property
    def mean_after(self) -> float:
        """The same in the new model."""
        return _mean(self.after)

    @property
    def better(self) -> bool:
        """Say whether the new model is to be kept; a tie keeps the old one."""
        return self.mean_after > self.mean_before

    def measures(self) -> dict[str, float]:
        """Name the new model's macro F1 by question, their mean, and what that was before."""
        found = {question: report.macro_f1.value for question, report in self.after.items()}
        return found | {"mean": self.mean_after, "mean_before": self.mean_before}


def judged(match: Match, *verdicts: Verdict) -> Judged:
    """Turn what is in force of people's verdicts on a match into what a model can learn from and be measured by."""
    mention = match.mention
    brand = None if match.brand == NO_BRAND else match.brand
    labels = {name: label for one in verdicts for name, label in one.labels.items() if name in GUIDE}
    random = any(one.random for one in verdicts)
    beside = {name for one in verdicts for name in one.labels if random and not one.random}
    return Judged(
        Post(mention.text, brand, mention.language),
        mention.source,
        labels if all(one.about for one in verdicts) else NOT_ABOUT,
        random,
        is_held_out(mention),
        frozenset(beside),
    )


def is_held_out(mention: Mention) -> bool:
    """Say whether no model may learn from a post, whichever brand it is judged for."""
    identity = f"{mention.source}\0{mention.source_id}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(identity).digest()[:8]) % FOLD == 0


def measure(classifier: Classifier, posts: Sequence[Judged]) -> dict[str, Report]:
    """Compare a model's answers with people's, by question. An answer that the model does not give is a miss."""
    scores = classifier.score([one.post for one in posts])
    reports = {}
    for question in GUIDE:
        answered = [number for number, one in enumerate(posts) if question in one.labels]
        if answered:
            said = [scores[number].answers.get(question) for number in answered]
            reports[question] = evaluate([posts[n].labels[question] for n in answered], said, LABELS[question])
    return reports


def attempt(
    base: Path, in_force: Path, posts: Iterable[Judged], output: Path, languages: Sequence[str] | None = None
) -> Trial:
    """Train the model in `base` on verdicts, save it in `output`, and measure it beside the one in force.

    The same verdicts, whatever their order, give the same weights. Raises InputError where there are too few.
    """
    from models.classifier import load
    from models.precision import exact
    from models.recipe import letters
    from models.train import train

    posts = sorted(posts, key=lambda one: (one.source, one.post.text, one.post.brand or "", sorted(one.labels.items())))
    if len(posts) < LEAST:
        raise InputError(
            f"{len(posts)} verdicts are too few to learn from: {LEAST - len(posts)} more are needed; "
            "give some with `sentimon label`"
        )
    held_out = [one for one in posts if one.held_out]
    seen = {letters(one.post.text) for one in held_out}  # a repost of a post that is held out is held back as well
    learned = [one for one in posts if not one.held_out and letters(one.post.text) not in seen]
    drawn = [one.as_drawn() for one in held_out if one.random]
    random = len(drawn) >= ENOUGH
    measured = drawn if random else held_out
    if not measured or not any(one.labels for one in measured):
        raise InputError("none of the verdicts is on a post that is held out to measure on; give some more")

    precision = exact()
    start = load(str(base), languages=languages, precision=precision)
    examples = _examples(learned, start)
    train(base, examples, output, _phase(), SEED)
    _name_after_folder(base, output)
    before, after = (load(str(folder), languages=languages, precision=precision) for folder in (in_force, output))
    found, now = measure(before, measured), measure(after, measured)
    return Trial(start.name, len(examples), len(measured), random, found, now)


def _examples(posts: Sequence[Judged], base: Classifier) -> list[Example]:
    """Where nobody answered a question, teach what the base says, so that it is not forgotten over the others."""
    examples = []
    for one, score in zip(posts, base.score([one.post for one in posts]), strict=True):
        if not score.rated:  # no model of this kind is ever asked
            continue
        taught = {
            question: [answer.probabilities[label] for label in LABELS[question]]
            for question, answer in score.answers.items()
            if question not in one.labels
        }
        examples.append(Example(one.post.text, one.post.brand, one.labels, taught, one.source))
    return examples


def _mean(reports: Mapping[str, Report]) -> float:
    return round(sum(report.macro_f1.value for report in reports.values()) / len(reports), 4)


def _phase() -> "Phase":
    from models.recipe import Phase

    chosen = {"epochs": EPOCHS, "learning_rate": LEARNING_RATE, "batch_size": BATCH}
    return Phase.model_validate({"name": "verdicts", "sets": [], **chosen})


def _name_after_folder(base: Path, folder: Path) -> None:
    """Keep what the base's configuration says of its answers, but not its version: other weights, another name."""
    from models.network import ITS_OWN

    told = json.loads((base / "config.json").read_text(encoding="utf-8"))
    kept = {key: value for key, value in told.items() if key.startswith("sentimon_") and key not in ITS_OWN}
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | kept
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
