"""Posts a second that the bundled model judges, beside VADER and beside the same network used naively.

Naively: one post a call, each padded to 128 tokens.
"""

from dataclasses import replace
from typing import Any

from benchmarks.posts import texts
from benchmarks.table import Line, seconds
from models.classifier import BUNDLED, Classifier, Post, load

POSTS = 256
NAIVE = 48  # one at a time takes long
POSTS_A_SECOND = "posts/s"


def measure() -> list[Line]:
    """Judge the same posts in every way."""
    import torch

    from models.precision import choose

    fastest, chosen = choose(), texts()[:POSTS]
    posts = [Post(text, "Norvane") for text in chosen]
    lines = [Line("VADER", len(chosen) / seconds(lambda: _vader(chosen)), POSTS_A_SECOND)]
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        classifier = load("bundled", precision=replace(fastest, workers=threads))  # a worker is a thread
        rate = _rate(classifier, posts)
        naive = NAIVE / seconds(lambda: _naive(chosen[:NAIVE]), repeats=1)
        counted = f"{threads} thread{'s' * (threads > 1)}"
        lines.append(Line(f"naive, {counted}", naive, POSTS_A_SECOND))
        lines.append(Line(f"sentimon, {counted}", rate, POSTS_A_SECOND, (f"naive, {counted}", "VADER")))
    torch.set_num_threads(before)
    return lines


def _rate(classifier: Classifier, posts: list[Post]) -> float:
    classifier.score(posts[:32])
    return len(posts) / seconds(lambda: classifier.score(posts), repeats=2)


def _vader(posts: list[str]) -> list[float]:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyser = SentimentIntensityAnalyzer()
    return [analyser.polarity_scores(post)["compound"] for post in posts]


class _Network:
    """The bundled network and its tokenizer, loaded once."""

    def __init__(self) -> None:
        from transformers import AutoTokenizer

        from models.network import MentionModel

        self.tokenizer: Any = AutoTokenizer.from_pretrained(BUNDLED, local_files_only=True)
        self.model = MentionModel.load(BUNDLED)


_network: list[_Network] = []


def _naive(posts: list[str]) -> None:
    """As a first draft does it: a post a call, every one padded to the longest that can be."""
    import torch

    if not _network:
        _network.append(_Network())
    kept = _network[0]
    with torch.inference_mode():
        for post in posts:
            batch = kept.tokenizer(
                post, "Norvane", truncation="only_first", max_length=128, padding="max_length", return_tensors="pt"
            )
            kept.model(**batch)["sentiment"].softmax(-1)
