"""What scoring costs, and what it costs done otherwise: `make bench-model`, some minutes on two cores.

Side by side on the same posts, which are all different: sentimon on every question, towards a brand (which stands
beside each, since none names it) and of the text as a whole, all that the others are asked; the transformers pipeline
as people write it, a post a call and everything by default, on a network of RoBERTa-base's size and on one of ours
(both with random weights and our tokenizer: speed does not depend on what they have learnt); VADER; and our network
alone, in fp32, in bf16 where that is what sentimon chooses, in int8, and beside the matrix products that the machine
can do. What is read one after the other is computed with all threads of torch, what is read side by side with one
each.
"""

import argparse
import itertools
import random
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.posts import texts
from benchmarks.table import Line, seconds, write
from db.errors import SentimonError
from db.labels import LABELS
from models import precision
from models.batches import pack, pad
from models.classifier import BUNDLED, Classifier, Post, load, quiet
from models.evaluate import vader
from models.language import is_rated
from models.network import MentionModel, encode
from models.precision import TOKENS_CPU
from models.text import normalise
from monitor.cli.output import print_table

BRAND = "Norvane"
WINDOW = 4_096  # posts scored at once
NAIVE = 200  # posts at most where one is read at a time, which takes long
LONGEST = 500  # characters of those: a pipeline cuts nothing by default and fails beyond 512 tokens
SQUARE = 2_048  # rows and columns of the matrix products
POSTS_A_SECOND = "posts/s"
GFLOPS = "GFLOP/s"

Batches = list[dict[str, torch.Tensor]]
Told = dict[str, torch.Tensor]  # by question, the place of each post's label


def main(arguments: Sequence[str] | None = None) -> None:
    """Print how fast each way is, and how often fewer bits give the label of fp32."""
    from transformers import RobertaConfig

    parser = argparse.ArgumentParser(prog="python -m benchmarks.model", description="Measure the model's speed.")
    parser.add_argument("--posts", type=int, default=5_000)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    args = parser.parse_args(arguments)
    if args.posts < 1:
        parser.error("--posts must be 1 or more")
    start = time.perf_counter()
    posts, origin = choose(args.posts, args.data)
    lines, same = measure(posts, RobertaConfig(vocab_size=50_265, max_position_embeddings=514, type_vocab_size=1))
    title = f"{len(posts):,} {origin}; {time.perf_counter() - start:.0f} s"
    print_table(title, ["what", "measured", "", "beside"], write(lines), right=["measured"])
    rows = [[question, *(f"{one[question]:.1%}" for one in same.values())] for question in LABELS]
    print_table("labels as in fp32", ["question", *same], rows, right=list(same))


def choose(count: int, data: Path) -> tuple[list[str], str]:
    """Return so many posts that are rated and that all look different to the model, and say what they are."""
    file = data / "unlabelled" / "posts.txt"
    found: Iterable[str] = _varied()
    origin = "authored posts of the demo, repeated with small variations"
    if file.is_file():
        found, origin = file.read_text(encoding="utf-8").split("\n"), f"real posts of {file}"
        random.Random(7).shuffle(found)
    kept: dict[str, str] = {}
    for text in found:
        if is_rated(text)[0]:
            kept.setdefault(normalise(text, BRAND), text)
        if len(kept) == count:
            break
    return list(kept.values()), origin


def measure(found: list[str], big: Any) -> tuple[list[Line], dict[str, Mapping[str, float]]]:
    """Read the same posts in every way; `big` is the configuration of the pipeline's larger network.

    Gives the lines of the table, and for each other precision the share of labels as in fp32 by question.
    """
    from transformers import AutoConfig, AutoTokenizer

    small = AutoConfig.from_pretrained(BUNDLED, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(BUNDLED, local_files_only=True)
    few = [text for text in found if len(text) <= LONGEST][:NAIVE]
    vader(found[:1])  # imports it
    lines = [Line("VADER", _rate(found, lambda: vader(found)), POSTS_A_SECOND)]
    pipelines = []
    for name, config in (("of RoBERTa-base's size", big), ("of our size", small)):
        pipelines.append(f"pipeline {name}")
        rate = _one_at_a_time(few, config, tokenizer)
        lines.append(Line(pipelines[-1], rate, f"{POSTS_A_SECOND}, of {len(few)} only"))

    chosen = precision.choose()
    for number in sorted({chosen.workers, 1}):
        classifier = load("bundled", precision=replace(chosen, workers=number))
        how = f"{number} batches side by side" if number > 1 else "one batch after the other"
        for asked, brand in (("towards a brand", BRAND), ("of the text as a whole", None)):
            posts = [Post(text, brand) for text in found]
            classifier.score(posts[:64])
            windows = [posts[start : start + WINDOW] for start in range(0, len(posts), WINDOW)]
            rate = _rate(posts, partial(_score, classifier, windows))
            lines.append(Line(f"sentimon {asked}, {how}", rate, POSTS_A_SECOND, (*pipelines, "VADER")))

    threads = torch.get_num_threads()
    alone = f"its network alone in fp32, {_counted(threads)}"
    network = MentionModel.load(BUNDLED)
    batches = _batches(found, tokenizer, network.marks)
    fp32, taken = _timed(network, batches)
    lines.append(Line(alone, len(found) / taken, POSTS_A_SECOND))
    others: dict[str, Callable[[], torch.nn.Module]] = {}
    if chosen.dtype == torch.bfloat16:  # elsewhere it would take minutes, and nobody would choose it
        others["bf16"] = lambda: MentionModel.load(BUNDLED).to(torch.bfloat16)
    others |= {f"int8, per {kind}": partial(_quantised, kind) for kind in ("tensor", "channel")}
    same: dict[str, Mapping[str, float]] = {}
    spans = {"fp32": taken}
    for name, make in others.items():
        told, spans[name] = _timed(make(), batches)
        lines.append(Line(f"the same in {name}", len(found) / spans[name], POSTS_A_SECOND, (alone,)))
        same[name] = {question: (told[question] == fp32[question]).float().mean().item() for question in LABELS}

    done = sum(operations(network, *batch["input_ids"].shape) for batch in batches) / 1e9
    for name, dtype in {"fp32": torch.float32, "bf16": torch.bfloat16}.items():
        if name in spans:
            most, reached = _matrix_products(dtype), done / spans[name]
            products = f"matrix products in {name}, {SQUARE} x {SQUARE}, {_counted(threads)}"
            lines.append(Line(products, most, GFLOPS))
            lines.append(Line(f"its network alone in {name}, padding too", reached, GFLOPS))
            lines.append(Line(f"share of the products' rate that it reaches in {name}", 100 * reached / most, "%"))
    return lines, same


def operations(network: MentionModel, posts: int, tokens: int) -> int:
    """Count the floating point operations of reading so many posts of so many tokens: linear layers and attention."""
    layers, size = network.encoder.encoder.layer, network.encoder.config.hidden_size
    products = 4 * size * tokens  # of one that asks: with keys, with values
    each, once = 2 * _weights(layers) + len(layers) * products, 0  # of a token, of a post
    if network.pooling is not None:
        asked = 2 * 2 * size * size  # key and value of every token
        each, once = each + asked, 2 * _weights(network.pooling) - asked + products
    return posts * (tokens * each + once)


def _weights(part: torch.nn.Module) -> int:
    return sum(one.weight.numel() for one in part.modules() if isinstance(one, torch.nn.Linear))


def _varied() -> Iterator[str]:
    for turn in itertools.count(1):
        for text in texts():
            yield text if turn == 1 else f"{text} ({turn})"


def _score(classifier: Classifier, windows: Iterable[list[Post]]) -> None:
    for window in windows:
        classifier.score(window)


def _rate(posts: list[Any], work: Callable[[], object]) -> float:
    return len(posts) / seconds(work, repeats=1)


def _one_at_a_time(posts: list[str], config: Any, tokenizer: Any) -> float:
    from transformers import AutoModelForSequenceClassification, pipeline

    with quiet():
        model = AutoModelForSequenceClassification.from_config(config)
        classify = pipeline("text-classification", model=model, tokenizer=tokenizer)
        classify(posts[0])
        return _rate(posts, lambda: [classify(post) for post in posts])


def _batches(found: list[str], tokenizer: Any, marks: bool) -> Batches:
    encodings = encode(tokenizer, [normalise(text, BRAND) for text in found], [BRAND] * len(found), marks)
    packed = pack([len(encoding["input_ids"]) for encoding in encodings], TOKENS_CPU)
    return [pad([encodings[number] for number in batch], tokenizer.pad_token_id) for batch in packed]


def _timed(network: torch.nn.Module, batches: Batches) -> tuple[Told, float]:
    """Read everything once; return the labels and the seconds that it took."""
    told: list[Told] = []
    with torch.inference_mode():
        network(**batches[0])
        start = time.perf_counter()
        for batch in batches:
            told.append({name: logits.argmax(-1) for name, logits in network(**batch).items()})
        taken = time.perf_counter() - start
    return {name: torch.cat([one[name] for one in told]) for name in LABELS}, taken


def _quantised(kind: str) -> torch.nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch moves its quantisation to a package of its own
        from torch.ao import quantization

        settings = {"tensor": quantization.default_dynamic_qconfig, "channel": quantization.per_channel_dynamic_qconfig}
        network: torch.nn.Module = quantization.quantize_dynamic(
            MentionModel.load(BUNDLED), {torch.nn.Linear: settings[kind]}
        )
        return network


def _matrix_products(dtype: torch.dtype) -> float:
    """Billions of floating point operations a second, the best of five products."""
    left, right = torch.rand(SQUARE, SQUARE).to(dtype), torch.rand(SQUARE, SQUARE).to(dtype)
    return 2 * SQUARE**3 / seconds(lambda: left @ right, repeats=5) / 1e9


def _counted(threads: int) -> str:
    return f"{threads} thread{'s' * (threads > 1)}"


if __name__ == "__main__":
    try:
        main()
    except SentimonError as error:
        sys.exit(f"benchmarks: {error}")
