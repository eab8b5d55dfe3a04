"""How well the journey's questions are answered for brands and sources never seen: `make bench-journey`.

Cross-validation with whole sources held out: for each source of journey/train.jsonl the recipe's last phase is trained
from --start without that source, and reads its posts. --start is a model that has read no label of the journey, or what
is held out would be known: not what the recipe's earlier phases make, which see those labels too. Beside it stands a
linear model on the frozen embeddings of the raw encoder, which learns from the same real posts. Both read every post,
also those that sentimon would not rate.

A fold that has its predictions in --output is not trained again, and training goes on from its last checkpoint: stop
it and start it as you like, or run one fold at a time with --fold. `--output` holds the models beside the predictions.
"""

import argparse
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch

from benchmarks.folds import DEV, POSTS, Posts, predict, predict_fold, read_fold, sources, training_posts, with_ids
from benchmarks.linear import Embedder, classify
from benchmarks.table import measured
from db.errors import InputError, SentimonError
from db.labels import GUIDE, LABELS
from models.classifier import is_mention_model
from models.evaluate import evaluate
from models.recipe import Recipe, gather, read_recipe
from models.train import default_encoder
from monitor.cli.output import print_table

RECIPE = Path(__file__).parent.parent / "models" / "recipe.toml"
COLUMNS = ("posts", "network", "linear")

Answer = tuple[str, str | None, str]  # the true label, the network's (None: there is none), the linear model's


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and predict the folds that are missing, then print every line that there are predictions for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.journey", description="Cross-validate the last phase.")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument("--start", type=Path, help="model that has read no label of the journey")
    parser.add_argument("--final", type=Path, help="model trained on all sources, for the lines of journey/dev.jsonl")
    parser.add_argument("--encoder", type=Path, help="what the linear model stands on (all-MiniLM-L6-v2)")
    parser.add_argument("--output", type=Path, default=Path("build/journey"))
    parser.add_argument("--fold", help="train and predict this source's only")
    parser.add_argument("--threads", type=int)
    args = parser.parse_args(arguments)
    if not (args.data / POSTS).is_file():
        print(f"skipped: no {POSTS} under {args.data}; name its folder with --data")
        return
    logging.basicConfig(format="%(message)s")
    for name in ("benchmarks", "models"):
        logging.getLogger(name).setLevel(logging.INFO)
    if args.threads:
        torch.set_num_threads(args.threads)
    recipe, folds = read_recipe(args.recipe), sources(args.data)
    if args.fold and args.fold not in folds:
        raise InputError(f"--fold {args.fold}: no such source; expected {', '.join(folds)}")
    if args.final and not is_mention_model(args.final):
        raise InputError(f"{args.final}: no model here; --final is the folder that `sentimon train` has made")
    for source in [args.fold] if args.fold else folds:
        predict_fold(recipe, args.data, source, folds[source], args.start, args.output)
    embedder = Embedder(args.encoder or default_encoder())
    answers = {
        **cross_validated(recipe, args.data, folds, args.output, embedder),
        **on_dev(recipe, args.data, args.final, embedder),
    }
    rows = [line for name, found in answers.items() for line in lines(name, found)]
    print_table("macro F1, with 95 % intervals", ["source", "question", *COLUMNS], rows, right=COLUMNS)


def cross_validated(
    recipe: Recipe, data: Path, folds: Mapping[str, Posts], output: Path, embedder: Embedder
) -> dict[str, dict[str, list[Answer]]]:
    """Return the answers by source and question, for each source that has its predictions, and for all together."""
    answers: dict[str, dict[str, list[Answer]]] = {}
    for source, posts in folds.items():
        network = read_fold(source, posts, output)
        if network is None:
            continue
        linear = classify(embedder, training_posts(recipe, data, source, posts), [post for _, post in posts])
        answers[source] = {
            question: [
                (one.labels[question], one.likeliest(question), said)
                for one, said in zip(network, linear[question], strict=True)
                if question in one.labels
            ]
            for question in GUIDE
        }
    pooled = {question: [one for found in answers.values() for one in found[question]] for question in GUIDE}
    return {**answers, "all together": pooled}


def on_dev(recipe: Recipe, data: Path, final: Path | None, embedder: Embedder) -> dict[str, dict[str, list[Answer]]]:
    """Return the answers for the posts of journey/dev.jsonl, which no phase sees, by question."""
    if not (data / DEV).is_file():
        return {}
    posts = list(with_ids(data / DEV))
    network = predict(final, posts) if final else None
    linear = classify(embedder, gather(recipe, recipe.phases[-1], data), [post for _, post in posts])
    answers: dict[str, list[Answer]] = {
        question: [
            (post.labels[question], network[number].likeliest(question) if network else None, linear[question][number])
            for number, (_, post) in enumerate(posts)
            if question in post.labels
        ]
        for question in GUIDE
    }
    return {DEV: answers}


def lines(name: str, answers: Mapping[str, Sequence[Answer]]) -> Iterator[list[object]]:
    """Yield the lines of a source, in the order of the journey's questions, sentiment last."""
    for question in (*GUIDE[1:], GUIDE[0]):
        if not answers[question]:
            continue
        truth, network, linear = zip(*answers[question], strict=True)
        both = ("-" if None in said else _f1(truth, said, question) for said in (network, linear))
        yield [name, question, len(truth), *both]


def _f1(truth: Sequence[str], said: Sequence[str], question: str) -> str:
    return measured(evaluate(truth, said, LABELS[question]).macro_f1)


if __name__ == "__main__":
    try:
        main()
    except SentimonError as error:
        sys.exit(f"benchmarks: {error}")
