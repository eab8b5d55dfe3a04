"""Models with tiny random weights, for tests that need a model but not its judgement."""

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoModel, BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from models.network import MentionModel
from models.train import save

_TEXT = "great awful good bad phone update love hate the is my it a i this not where can buy acme @ user http"
WORDS = _TEXT.split()


def tiny_mention_model(folder: Path, version: str | None = None, seed: int = 1, **about: object) -> Path:
    """Write a model of the bundled architecture; `about` goes into its configuration."""
    tokenizer = _tokenizer()
    torch.manual_seed(seed)
    model = MentionModel(AutoModel.from_config(_config(len(tokenizer)), add_pooling_layer=False))
    for head in model.heads.values():
        torch.nn.init.normal_(head.weight, std=0.3)  # so that different posts get different answers
    save(model, tokenizer, folder, **({} if version is None else {"sentimon_version": version}), **about)
    return folder


def tiny_classifier(folder: Path, labels: Sequence[str], seed: int = 2, **config: object) -> Path:
    """Write a Hugging Face sequence-classification model with these labels."""
    tokenizer = _tokenizer()
    torch.manual_seed(seed)
    names = dict(enumerate(labels))
    settings = _config(len(tokenizer), id2label=names, label2id={label: n for n, label in names.items()}, **config)
    BertForSequenceClassification(settings).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _config(words: int, **more: object) -> BertConfig:
    return BertConfig(
        vocab_size=words,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
        initializer_range=0.5,  # far from zero, so that different posts get different scores
        **more,
    )


def _tokenizer() -> PreTrainedTokenizerFast:
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=128,
    )
