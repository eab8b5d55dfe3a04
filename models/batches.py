"""Which posts a network reads at once: those of like length, so that little padding is computed."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.precision import alone

_ONE_AT_A_TIME = Lock()  # scoring and embedding share a tokenizer, which refuses to be used by two threads at once

Encoding = dict[str, list[int]]  # what a tokenizer makes of one post: token ids, and their types where it has any


def tokenise(tokenizer: Any, *texts: list[str], **options: Any) -> list[Encoding]:
    """Turn texts, or pairs of texts, into token ids, without padding."""
    if not texts[0]:  # tokenizers fail on nothing
        return []
    with _ONE_AT_A_TIME:
        many = tokenizer(*texts, return_attention_mask=False, **options)
    keys = list(many)
    return [dict(zip(keys, row, strict=True)) for row in zip(*(many[key] for key in keys), strict=True)]


def read_in_batches(
    encodings: Sequence[Encoding],
    read: Callable[[dict[str, Tensor]], Tensor],
    tokens: int,
    padding: int,
    workers: int = 1,
) -> Tensor:
    """Let `read` answer for batches of at most `tokens` tokens; return its rows in the order of the posts.

    Several workers read a batch each, side by side, with one thread of the machine each.
    """

    def answer(batch: list[int]) -> Tensor:
        with torch.inference_mode():
            return read(pad([encodings[number] for number in batch], padding))

    batches = pack([len(encoding["input_ids"]) for encoding in encodings], tokens)
    rows: list[Tensor] = [torch.empty(0)] * len(encodings)
    with ThreadPoolExecutor(workers, initializer=alone) as pool:
        # The longest first, so that all workers end at about the same time.
        many = pool.map(answer, reversed(batches)) if min(workers, len(batches)) > 1 else map(answer, reversed(batches))
        for batch, found in zip(reversed(batches), many, strict=True):
            for number, row in zip(batch, found, strict=True):
                rows[number] = row
    return torch.stack(rows) if rows else torch.empty(0)


def unit(rows: Tensor) -> NDArray[np.float32]:
    """Bring each row of shape (posts, size) to length 1."""
    return np.asarray(torch.nn.functional.normalize(rows, dim=-1).numpy() if len(rows) else rows.reshape(0, 0).numpy())


def pack(lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Group posts by length so that each group, padded to its longest, has at most `tokens`; return their numbers."""
    batches: list[list[int]] = []
    current: list[int] = []
    for number in sorted(range(len(lengths)), key=lengths.__getitem__):
        if current and lengths[number] * (len(current) + 1) > tokens:
            batches.append(current)
            current = []
        current.append(number)
    return [*batches, current] if current else batches


def pad(encodings: Sequence[Encoding], padding: int) -> dict[str, Tensor]:
    """Fill up to the longest; return tensors of shape (posts, tokens) and the mask of what is no padding."""
    longest = max(len(encoding["input_ids"]) for encoding in encodings)
    filled = {
        key: torch.tensor(
            [
                encoding[key] + [padding if key == "input_ids" else 0] * (longest - len(encoding[key]))
                for encoding in encodings
            ]
        )
        for key in encodings[0]
    }
    lengths = torch.tensor([len(encoding["input_ids"]) for encoding in encodings])
    return filled | {"attention_mask": (torch.arange(longest) < lengths[:, None]).long()}
