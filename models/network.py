"""The bundled transformer: one encoder, one reading of the post, one head for each question."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel, BertPreTrainedModel

from db.labels import SENTIMENTS, STAGES

LONGEST = 128  # tokens
LONGEST_BRAND = 60  # characters: a name, never a text that could crowd the post out


@dataclass(frozen=True, slots=True)
class Logits:
    """Unnormalised scores, each of shape (posts, labels)."""

    sentiment: Tensor
    stage: Tensor


class MentionModel(BertPreTrainedModel):  # type: ignore[no-untyped-call]
    """BERT encoder, mean over the tokens, a linear head for sentiment and one for the journey stage."""

    config_class = BertConfig

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=False)
        self.dropout = nn.Dropout(0.1)
        self.sentiment = nn.Linear(config.hidden_size, len(SENTIMENTS))
        self.stage = nn.Linear(config.hidden_size, len(STAGES))
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **inputs: Any) -> Logits:
        """Read token ids of shape (posts, tokens)."""
        hidden = self.bert(input_ids, attention_mask=attention_mask, **inputs).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        pooled = self.dropout((hidden * mask).sum(1) / mask.sum(1).clamp(min=1))
        return Logits(self.sentiment(pooled), self.stage(pooled))


def encode(tokenizer: Any, texts: list[str], brands: list[str | None]) -> dict[str, Tensor]:
    """Tokenise posts, each followed by the brand that it is judged for (nothing where there is none)."""
    batch = tokenizer(
        texts,
        [(brand or "")[:LONGEST_BRAND] for brand in brands],
        truncation="only_first",
        max_length=LONGEST,
        padding=True,
        split_special_tokens=True,  # a post that says "[SEP]" is a post
        return_tensors="pt",
    )
    return {key: torch.as_tensor(value) for key, value in batch.items()}
