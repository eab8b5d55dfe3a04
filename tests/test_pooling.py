"""A post as a whole: the mean over its tokens, or what the last layer makes of them when it reads the post once."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModel, BertConfig, MPNetConfig

from db.errors import InputError
from models.batches import pad
from models.classifier import Post, load
from models.examples import Example
from models.network import MentionModel
from models.pooling import mean
from models.precision import exact
from models.recipe import Phase, Set
from models.train import train
from tests.tiny_model import tiny_mention_model

ROWS = pad([{"input_ids": [2, 5, 6, 7, 3]}, {"input_ids": [2, 9, 3]}, {"input_ids": [2, 8, 8, 8, 8, 8, 3]}], 0)
POSTS = [
    Example(text, labels={"sentiment": label})
    for text, label in (("great phone", "positive"), ("bad update", "negative"))
]


def a_model(layers: int = 3) -> MentionModel:
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=20,
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=64,
        initializer_range=0.5,
    )
    return MentionModel(AutoModel.from_config(config, add_pooling_layer=False)).eval()


def answers(model: MentionModel, rows: dict[str, torch.Tensor] = ROWS) -> torch.Tensor:
    with torch.inference_mode():
        return torch.cat(list(model(**rows).values()), -1)


def test_where_all_tokens_are_alike_to_the_last_layer_reading_once_is_the_mean_over_them() -> None:
    model = a_model()
    alike = torch.full((1, 6), 7)
    model.encoder.embeddings.position_embeddings.weight.data.zero_()
    rows = {"input_ids": alike, "attention_mask": torch.ones_like(alike)}
    before = answers(model, rows)
    model.attend()
    assert torch.allclose(answers(model, rows), before, atol=1e-4)


def test_reading_once_asks_the_last_layer_with_the_mean_and_lets_it_see_every_token() -> None:
    model = a_model()
    with torch.inference_mode():
        layers = model.encoder(**ROWS, output_hidden_states=True).hidden_states
        last = model.encoder.encoder.layer[-1]
        asking = mean(layers[-2], ROWS["attention_mask"]).unsqueeze(1)
        # The layer itself on the mean followed by the tokens, where only the tokens are attended to.
        seen = torch.cat([torch.zeros(3, 1), ROWS["attention_mask"]], 1).bool()[:, None, None, :]
        expected = last(torch.cat([asking, layers[-2]], 1), seen)[:, 0]
        model.attend()
        assert torch.allclose(model.pool(**ROWS), expected, atol=1e-5)


def test_padding_changes_nothing_for_a_model_that_reads_once() -> None:
    model = a_model()
    model.attend()
    short = {key: value[1:2, :3] for key, value in ROWS.items()}
    assert torch.allclose(answers(model, short), answers(model)[1:2], atol=1e-5)


def test_a_model_is_saved_and_loaded_as_it_reads_and_one_trained_from_it_goes_on_so(tmp_path: Path) -> None:
    start = tiny_mention_model(tmp_path / "start")
    phase = Phase(name="only", sets=[Set(file="posts.jsonl")])
    train(start, POSTS, tmp_path / "once", phase, attends=True)
    train(tmp_path / "once", POSTS, tmp_path / "more", phase)
    once, more = (MentionModel.load(tmp_path / name) for name in ("once", "more"))
    assert (once.pooling is None, more.pooling is None) == (False, False)
    assert MentionModel.load(start).pooling is None
    once.attend()  # again, which changes nothing
    scores = load(str(tmp_path / "once"), precision=exact()).score([Post("great phone acme", "acme")])
    assert scores[0].rated


def test_what_is_no_bert_cannot_learn_to_read_once(tmp_path: Path) -> None:
    folder = tiny_mention_model(tmp_path / "mpnet")
    config = MPNetConfig(
        vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64
    )
    AutoModel.from_config(config, add_pooling_layer=False).save_pretrained(folder)
    phase = Phase(name="only", sets=[Set(file="posts.jsonl")])
    with pytest.raises(InputError, match=r"not a model to train from .*a layer of BERT"):
        train(folder, POSTS, tmp_path / "model", phase, attends=True)
