"""Which posts are read at once."""

from collections.abc import Sequence
from threading import Barrier

import pytest
import torch
from torch import Tensor

from models.batches import Encoding, pack, pad, read_in_batches

LENGTHS = [7, 3, 30, 3, 12, 1, 8, 100, 2, 12]


def encodings(lengths: Sequence[int]) -> list[Encoding]:
    """Posts whose tokens are all the post's own number, from 1."""
    return [{"input_ids": [number] * length} for number, length in enumerate(lengths, 1)]


def first_and_count(inputs: dict[str, Tensor]) -> Tensor:
    """An answer that tells which post it is for: its first token, and how many it has."""
    return torch.stack([inputs["input_ids"][:, 0], inputs["attention_mask"].sum(1)], 1)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("tokens", [1, 16, 24, 10_000])
def test_the_answers_come_in_the_order_of_the_posts(tokens: int, workers: int) -> None:
    rows = read_in_batches(encodings(LENGTHS), first_and_count, tokens, 0, workers)
    assert rows.tolist() == [[number, length] for number, length in enumerate(LENGTHS, 1)]


def test_workers_read_side_by_side_and_what_fails_in_one_is_told() -> None:
    together = Barrier(2)

    def meet(inputs: dict[str, Tensor]) -> Tensor:
        together.wait(20)  # nobody goes on before two are here
        return first_and_count(inputs)

    assert len(read_in_batches(encodings([5, 5]), meet, 5, 0, workers=2)) == 2

    def fail(inputs: dict[str, Tensor]) -> Tensor:
        raise RuntimeError(f"no {inputs['input_ids'][0, 0]}")

    with pytest.raises(RuntimeError, match=r"no \d"):
        read_in_batches(encodings(LENGTHS), fail, 24, 0, workers=2)


def test_no_post_gives_no_answer() -> None:
    assert len(read_in_batches([], first_and_count, 16, padding=0)) == 0


@pytest.mark.parametrize("tokens", [16, 24, 64])
def test_no_batch_has_more_tokens_than_allowed_but_that_of_a_post_which_has_more_itself(tokens: int) -> None:
    batches = pack(LENGTHS, tokens)
    assert sorted(number for batch in batches for number in batch) == list(range(len(LENGTHS)))
    for batch in batches:
        assert len(batch) * max(LENGTHS[number] for number in batch) <= tokens or len(batch) == 1
    assert [7] in batches


def test_posts_of_like_length_are_read_together() -> None:
    assert pack([9, 2, 9, 2, 9, 2], 27) == [[1, 3, 5], [0, 2, 4]]


def test_a_batch_holds_as_many_posts_as_fit() -> None:
    assert pack([5] * 7, 15) == [[0, 1, 2], [3, 4, 5], [6]]


def test_what_is_filled_up_is_told_from_what_was_said() -> None:
    padded = pad([{"input_ids": [5, 0, 6], "token_type_ids": [0, 1, 1]}, {"input_ids": [7], "token_type_ids": [1]}], 9)
    assert padded["input_ids"].tolist() == [[5, 0, 6], [7, 9, 9]]
    assert padded["token_type_ids"].tolist() == [[0, 1, 1], [1, 0, 0]]
    assert padded["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
