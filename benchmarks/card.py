"""Measure the bundled model on everything at hand and write its card: `make card`, a quarter of an hour on two cores.

`measures.json` beside the weights holds every figure, README.md is rendered from it (models/card.py).
"""

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import model, target
from benchmarks.folds import Predicted, read_fold, sources, training_posts
from benchmarks.linear import Embedder, classify
from benchmarks.table import write
from db.errors import InputError, SentimonError
from db.labels import GUIDE, LABELS
from models import card
from models.calibrate import Calibration, Judged, calibrated, fit, frequencies_of, judged
from models.classifier import BUNDLED, Classifier, Post, load
from models.evaluate import Report, evaluate
from models.examples import Example, read_examples
from models.measure import measure
from models.precision import exact
from models.recipe import Recipe, calibration_posts, gather, letters, read_recipe, shown
from models.train import default_encoder

MODELS = BUNDLED.parent
EKMAN = {"0": "anger", "1": "disgust", "2": "fear", "3": "joy", "4": "neutral", "5": "sadness", "6": "surprise"}

# What is measured: title, file, and how it is read.
SETS: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("TweetEval sentiment, test", "sentiment/test.jsonl", {}),
    ("TweetEval sentiment, validation: chosen on", "sentiment/val.jsonl", {}),
    ("posts to one support account, of no source trained on", "journey/dev.jsonl", {}),
    ("TweetEval emotion, test", "emotion/test.jsonl", {"head": "emotion", "rename": {"optimism": "joy"}}),
    (
        "GoEmotions, test",
        "emotion/goemotions_ekman_test.tsv",
        {"head": "emotion", "columns": ["text", "label", "id"], "rename": EKMAN},
    ),
    (
        "TweetEval offensive, test",
        "offensive/test.jsonl",
        {"head": "offensive", "rename": {"not-offensive": "no", "offensive": "yes"}},
    ),
)

KEPT = "real brand posts kept for calibration and choice, not shown"
SUPPORT = "invented posts to six support accounts, kept for choice, not shown"


def main() -> None:
    """Measure and write, or only write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.card", description="Write the bundled model's card.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--folds", type=Path, help="predictions of `make bench-journey`, for what they tell")
    parser.add_argument("--posts", type=int, default=2_000, help="how many to measure the speed on")
    parser.add_argument("--only-write", action="store_true", help="from the measures that are there")
    args = parser.parse_args()
    if not args.only_write:
        if not (args.data / "journey").is_dir():
            raise InputError(f"{args.data}: holds no labelled posts to measure on")
        measures = everything(args.data, args.folds, args.posts)
        path = BUNDLED / "measures.json"
        path.write_text(json.dumps(measures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    card.write(BUNDLED)


def everything(data: Path, folds: Path | None, count: int) -> dict[str, Any]:
    """Measure all that the card tells."""
    recipe, classifier = read_recipe(MODELS / "recipe.toml"), load("bundled", precision=exact())
    config = json.loads((BUNDLED / "config.json").read_text(encoding="utf-8"))
    weights = (BUNDLED / "model.safetensors").read_bytes()
    return {
        "model": classifier.name,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "bytes": len(weights),
        "parameters": len(weights) // 2,
        "layers": config["num_hidden_layers"],
        "encoder": "all-MiniLM-L6-v2",
        "learned": learned(recipe, data),
        "phases": [phase.model_dump(include=set(_SHOWN)) for phase in recipe.phases],
        "joined": any(one.joined for phase in recipe.phases for one in phase.sets),
        "steps": json.loads((BUNDLED / "steps.json").read_text(encoding="utf-8")),
        "calibration": config.get("sentimon_calibration", {}),
        "calibrated_on": config.get("sentimon_calibrated_on", []),
        "stage_floor": config.get("sentimon_stage_floor", 0),
        "sets": on_sets(classifier, recipe, data),
        "folds": on_folds(recipe, data, folds) if folds else [],
        "target": on_targets(classifier, recipe, data),
        **on_challenge(classifier, MODELS / "authored" / "challenge.jsonl"),
        "speed": on_speed(count, data),
    }


_AS_IT_IS = Calibration(lean=0, temperature=1)
_SHOWN = ("name", "epochs", "learning_rate", "batch_size", "frozen")


def learned(recipe: Recipe, data: Path) -> list[dict[str, Any]]:
    """Count what each phase shows of each file, an epoch."""
    lines = []
    for phase in recipe.phases:
        for one in phase.sets:
            alone = phase.model_copy(update={"sets": [one]})
            about = recipe.about[one.file]
            count = len(gather(recipe, alone, data))
            lines.append({"phase": phase.name, "name": about.name, "shown": count, "licence": about.licence})
    return lines


def on_sets(classifier: Classifier, recipe: Recipe, data: Path) -> list[dict[str, Any]]:
    """Measure every set, less the posts whose words were trained on."""
    examples = shown(recipe, data)
    seen = {letters(post.text) for post in examples}
    embedder = Embedder(default_encoder())
    lines = []
    for title, file, reading in SETS:
        lines += on_posts(classifier, title, _unseen(read_examples(data / file, **reading), seen), examples, embedder)
    kept = calibration_posts(recipe, data, seen, kept_alone=True)
    invented = _unseen(read_examples(MODELS / "authored" / "support.jsonl"), seen)
    for title, posts in ((KEPT, kept), (SUPPORT, invented)):
        lines += on_posts(classifier, title, posts, examples, embedder)
    return lines


def _unseen(posts: Sequence[Example], seen: Collection[str]) -> list[Example]:
    # A post with two labels of one question has no label to be right about.
    return [post for post in posts if post.labels and letters(post.text) not in seen]


def on_posts(
    classifier: Classifier, title: str, posts: Sequence[Example], examples: Sequence[Example], embedder: Embedder
) -> list[dict[str, Any]]:
    """Measure question by question; beside it VADER, or what is simple for the other questions.

    That is a linear model on the encoder's frozen embeddings where posts carry all labels of the guide, else the
    commonest label.
    """
    found = measure(posts, classifier.score([Post(post.text, post.brand) for post in posts]))
    guided = all(question in post.labels for post in posts for question in GUIDE)
    linear = classify(embedder, examples, posts) if guided else {}
    lines = []
    for ours, simple in zip(found[::2], found[1::2], strict=True):
        name, beside = simple.model, simple.report
        if ours.question in linear and ours.question != "sentiment":
            truth = [post.labels[ours.question] for post in posts]
            name, beside = "linear", evaluate(truth, linear[ours.question], LABELS[ours.question])
        lines.append(
            {
                "title": title,
                "question": ours.question,
                **_figures(ours.report),
                "beside": name,
                "beside_recall": asdict(beside.macro_recall),
                "beside_f1": asdict(beside.macro_f1),
            }
        )
    return lines


def on_folds(recipe: Recipe, data: Path, output: Path) -> list[dict[str, Any]]:
    """Measure each source held out, leaning as is best on the other sources, beside a linear model."""
    posts = sources(data)
    predicted = {source: found for source in posts if (found := read_fold(source, posts[source], output))}
    embedder = Embedder(default_encoder())
    lines = []
    pooled: dict[str, list[tuple[str, str, str]]] = {question: [] for question in GUIDE}
    for source, found in predicted.items():
        training = training_posts(recipe, data, source, posts[source])
        linear = classify(embedder, training, [post for _, post in posts[source]])
        others = [one for other, each in predicted.items() if other != source for one in each]
        for question in GUIDE:
            frequencies = frequencies_of(question, training)
            chosen = fit(_judged(others, question), frequencies, question == "sentiment") if others else _AS_IT_IS
            said = calibrated(_judged(found, question), chosen, frequencies).argmax(1)
            answers = [
                (one.labels[question], LABELS[question][ours], theirs)
                for one, ours, theirs in zip(found, said, linear[question], strict=True)
            ]
            pooled[question] += answers
            lines.append(_fold_line(source, question, answers))
    return lines + [_fold_line("all together", question, answers) for question, answers in pooled.items()]


def on_targets(classifier: Classifier, recipe: Recipe, data: Path) -> list[dict[str, Any]]:
    """Measure what it brings to give the brand, on posts that name two things."""
    groups = target.gather(recipe, data, MODELS / "authored" / "comparisons.jsonl")
    return [
        {"title": title, "posts": len(posts), **target.compare(classifier, posts)}
        for title, posts in groups.items()
        if posts
    ]


def on_challenge(classifier: Classifier, path: Path) -> dict[str, Any]:
    """Count what is right of each hard kind of post, and quote some of what is not."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    scores = classifier.score([Post(row["text"], row["brand"]) for row in rows])
    right = {question: Counter[str]() for question in ("sentiment", "stage", "reply")}
    wrong: dict[str, dict[str, Any]] = {}
    for row, score in zip(rows, scores, strict=True):
        for question, count in right.items():
            count[row["kind"]] += score.label(question) == row[question]
        said = score.label("sentiment")
        if said and said != row["sentiment"]:
            probability = score.probabilities("sentiment")[said]
            if probability > wrong.get(row["kind"], {"probability": 0})["probability"]:  # the surest mistake of a kind
                kind = row["kind"].replace("_", " ")
                wrong[row["kind"]] = {"kind": kind, "text": row["text"], "brand": row["brand"], "said": said}
                wrong[row["kind"]] |= {"truth": row["sentiment"], "probability": probability}
    total = Counter(row["kind"] for row in rows)
    kinds = sorted(total, key=lambda kind: (right["sentiment"][kind], kind))
    lines: list[dict[str, Any]] = [
        {"kind": kind.replace("_", " "), **{one: f"{found[kind]} of {total[kind]}" for one, found in right.items()}}
        for kind in kinds
    ]
    lines.append({"kind": "all", **{one: f"{found.total()} of {len(rows)}" for one, found in right.items()}})
    return {"challenge": lines, "failures": [wrong[kind] for kind in kinds if kind in wrong][:8]}


def on_speed(count: int, data: Path) -> dict[str, Any]:
    """Measure the speed, side by side with what one would write otherwise."""
    from transformers import RobertaConfig

    posts, origin = model.choose(count, data)
    lines, same = model.measure(posts, RobertaConfig(vocab_size=50_265, max_position_embeddings=514, type_vocab_size=1))
    rounded = {name: {question: round(share, 3) for question, share in one.items()} for name, one in same.items()}
    return {"posts": len(posts), "of": origin.partition(" of ")[0], "lines": write(lines), "same": rounded}


def _figures(report: Report) -> dict[str, Any]:
    return {
        "posts": report.posts,
        "macro_recall": asdict(report.macro_recall),
        "macro_f1": asdict(report.macro_f1),
        "accuracy": asdict(report.accuracy),
        "calibration": asdict(report.calibration_error) if report.calibration_error else None,
        "by_label": {one.label: [round(one.precision, 3), round(one.recall, 3), one.support] for one in report.labels},
    }


def _fold_line(source: str, question: str, answers: Sequence[tuple[str, str, str]]) -> dict[str, Any]:
    truth, ours, linear = zip(*answers, strict=True)
    return {
        "source": source,
        "posts": len(truth),
        "question": question,
        "macro_f1": asdict(evaluate(truth, ours, LABELS[question]).macro_f1),
        "linear": asdict(evaluate(truth, linear, LABELS[question]).macro_f1),
    }


def _judged(predicted: Sequence[Predicted], question: str) -> Judged:
    return judged(
        (list(one.probabilities[question].values()), LABELS[question].index(one.labels[question])) for one in predicted
    )


if __name__ == "__main__":
    try:
        main()
    except SentimonError as error:
        sys.exit(f"benchmarks: {error}")
