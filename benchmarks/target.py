"""What it brings to tell the model whom a post is judged for: `make bench-target`.

The same weights read the same posts with the target and without it. Measured on a fold by topic, none of whose posts
any phase of training saw (`held_out` in models/recipe.toml), and there on the posts that name another target too. Other
posts on some of the topics were trained on: those on Apple and its products from other sources.
"""

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.table import measured
from db.errors import InputError, SentimonError
from db.labels import SENTIMENTS
from models.classifier import Classifier, Post, load
from models.evaluate import RESAMPLES, SEED, Measure, evaluate
from models.examples import Example, read_examples
from models.precision import exact
from models.recipe import Recipe, calibration_posts, letters, read_recipe, shown
from monitor.cli.output import print_table

MODELS = Path(__file__).parent.parent / "models"
COLUMNS = ("posts", "with target", "without", "difference")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line for each kind of post."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.target", description="Measure what the target brings.")
    parser.add_argument("model", nargs="?", default="bundled")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    args = parser.parse_args(arguments)
    recipe = read_recipe(MODELS / "recipe.toml")
    if recipe.held_out.file is None or not (args.data / recipe.held_out.file).is_file():
        print(f"skipped: no posts with targets under {args.data}; name their folder with --data")
        return
    groups = gather(recipe, args.data, MODELS / "authored" / "comparisons.jsonl")
    classifier = load(args.model, precision=exact())
    rows = [[name, *measure(classifier, posts)] for name, posts in groups.items() if posts]
    title = f"{classifier.name}: macro recall of sentiment towards the target, with 95 % intervals"
    print_table(title, ["", *COLUMNS], rows, right=COLUMNS)


def gather(recipe: Recipe, data: Path, authored: Path) -> dict[str, list[Example]]:
    """Choose the posts of each line of the table."""
    everything = read_examples(data / str(recipe.held_out.file))
    everything = [post for post in everything if post.brand and "sentiment" in post.labels]
    brands = {brand.casefold() for brand in recipe.held_out.brands}
    fold = [post for post in everything if str(post.brand).casefold() in brands]
    targets = sorted({str(post.brand).casefold() for post in everything})
    split = differing(for_two(everything))
    outside = sum(str(post.brand).casefold() not in brands for post in split)
    two = f"two targets, labels that differ ({outside:,} of topics trained on)"
    groups = {
        "held out by topic, posts that name another target": [post for post in fold if names_another(post, targets)],
        "held out by topic, all posts": fold,
        two: split,
    }
    if (data / "unlabelled").is_dir():  # all of the posts, and not those with targets alone
        seen = {letters(post.text) for post in shown(recipe, data)}
        kept = for_two(calibration_posts(recipe, data, seen, kept_alone=True))
        groups["real posts labelled for two brands, kept"] = [post for alike in kept for post in alike]
        groups["the same, labels that differ"] = differing(kept)
    if authored.is_file():
        groups["authored comparisons (seen in training)"] = read_examples(authored)
    return groups


def names_another(post: Example, targets: Sequence[str]) -> bool:
    """Say whether a text names another of the targets (in small letters), in whole words, neither part of the other."""
    own, text = str(post.brand).casefold(), post.text.casefold()
    others = [name for name in targets if name in text and name not in own and own not in name]
    return any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) for name in others)


def for_two(posts: Sequence[Example]) -> list[list[Example]]:
    """Group the posts whose text is labelled for two targets or more."""
    together: dict[str, dict[str, Example]] = defaultdict(dict)
    for post in posts:
        together[letters(post.text)].setdefault(str(post.brand).casefold(), post)
    return [list(alike.values()) for alike in together.values() if len(alike) > 1]


def differing(groups: Sequence[Sequence[Example]]) -> list[Example]:
    """Return the posts of the groups in which not all are labelled alike."""
    return [post for alike in groups if len({one.labels["sentiment"] for one in alike}) > 1 for post in alike]


def measure(classifier: Classifier, posts: Sequence[Example]) -> list[object]:
    """Return the cells of a line."""
    found = compare(classifier, posts)
    recalls = (Measure(**found[name]) for name in ("with_brand", "without"))
    return [f"{len(posts):,}", *map(measured, recalls), measured(Measure(**found["difference"]), sign="+")]


def compare(classifier: Classifier, posts: Sequence[Example]) -> dict[str, dict[str, float]]:
    """Score the posts with and without their targets; return the macro recalls and their difference."""
    truth = [post.labels["sentiment"] for post in posts]
    told, untold = (
        [score.label("sentiment") for score in classifier.score(asked)]
        for asked in ([Post(post.text, post.brand) for post in posts], [Post(post.text) for post in posts])
    )
    with_brand, without = (evaluate(truth, said, SENTIMENTS).macro_recall for said in (told, untold))
    found = {"with_brand": with_brand, "without": without, "difference": difference(truth, told, untold)}
    return {name: asdict(one) for name, one in found.items()}


def difference(truth: Sequence[str], first: Sequence[str | None], second: Sequence[str | None]) -> Measure:
    """Return how much higher the first macro recall is; each resample draws the same posts for both."""
    import numpy as np

    if not truth:
        raise InputError("no labelled posts to measure on")
    rows = np.array([SENTIMENTS.index(label) for label in truth])
    gain = np.array([(a == t) - (b == t) for t, a, b in zip(truth, first, second, strict=True)], dtype=float)

    def macro(drawn: Any) -> float:
        posts = np.bincount(rows[drawn], minlength=len(SENTIMENTS))
        gained = np.bincount(rows[drawn], gain[drawn], minlength=len(SENTIMENTS))
        return float((gained[posts > 0] / posts[posts > 0]).mean())

    order = np.random.default_rng(SEED)
    draws = [macro(order.integers(len(rows), size=len(rows))) for _ in range(RESAMPLES)]
    low, high = np.percentile(draws, (2.5, 97.5))
    return Measure(macro(np.arange(len(rows))), float(low), float(high))


if __name__ == "__main__":
    try:
        main()
    except SentimonError as error:
        sys.exit(f"benchmarks: {error}")
