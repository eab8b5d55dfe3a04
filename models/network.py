"""The bundled transformer: one encoder, one reading of the post, one head for each question."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, BertModel

from db.labels import LABELS
from models.batches import Encoding, tokenise
from models.pooling import AttentionPooling, mean
from models.text import mark

LONGEST = 128  # tokens
LONGEST_BRAND = 60  # characters: a name, never a text that could crowd the post out
BRAND_TOKENS = 40  # and of it beside the text: in some scripts a character is up to three tokens
ARCHITECTURE = "MentionModel"  # as config.json names it
ITS_OWN = ("sentimon_version", "sentimon_plan")  # in config.json: not true of what is trained from a model


class MentionModel(nn.Module):
    """A sentence encoder, what it makes of a post as a whole, and a linear head for each entry of `db.labels.LABELS`.

    A post as a whole is the mean over its tokens, or what `AttentionPooling` makes of them. A folder holds
    `config.json` (the encoder's, with our name under `architectures`) and `model.safetensors`.
    """

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(0.1)
        size = encoder.config.hidden_size
        heads = {name: nn.Linear(size, len(labels)) for name, labels in LABELS.items()}
        for head in heads.values():
            nn.init.normal_(head.weight, std=0.02)
            nn.init.zeros_(head.bias)
        self.heads = nn.ModuleDict(heads)
        self.pooling: AttentionPooling | None = None
        if getattr(encoder.config, "sentimon_pooling", "mean") == "attention":
            self.attend()

    @property
    def marks(self) -> bool:
        """Whether it has learnt to see whom a post is judged for by marks in the text (`encode`)."""
        return bool(getattr(self.encoder.config, "sentimon_marks", False))

    @marks.setter
    def marks(self, marks: bool) -> None:
        self.encoder.config.sentimon_marks = marks

    def attend(self) -> None:
        """Let the last layer be computed once a post from now on (`AttentionPooling`).

        Raises TypeError where the encoder is not BERT.
        """
        if self.pooling is None:
            if not isinstance(self.encoder, BertModel):
                raise TypeError("attention pooling is made of a layer of BERT")
            self.encoder.config.sentimon_pooling = "attention"
            self.pooling = AttentionPooling(self.encoder.encoder.layer.pop(-1))

    @classmethod
    def start(cls, folder: Path) -> "MentionModel":
        """Begin with the encoder of a folder and heads that know nothing, or with the model that a folder holds."""
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if ARCHITECTURE in (config.get("architectures") or ()):
            return cls.load(folder)
        # Dropout inside the encoder costs a third of the time on a CPU, and few epochs do not need it.
        quiet = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        encoder = AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, add_pooling_layer=False, dtype=torch.float32, **quiet
        )
        return cls(encoder)

    @classmethod
    def load(cls, folder: Path) -> "MentionModel":
        """Read a model; whatever precision its weights lie in, they are computed in fp32."""
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        auto: Any = AutoModel
        model = cls(auto.from_config(config, add_pooling_layer=False, dtype=torch.float32))
        model.load_state_dict(load_file(folder / "model.safetensors"))
        return model.eval()

    def save(self, folder: Path, **about: object) -> None:
        """Write weights in half precision and the configuration, with whatever else is to be known `about` it."""
        folder.mkdir(parents=True, exist_ok=True)
        known = {key: value for key, value in self.encoder.config.to_diff_dict().items() if key not in ITS_OWN}
        config = known | {"architectures": [ARCHITECTURE]} | about
        weights = {name: tensor.half().contiguous() for name, tensor in self.state_dict().items()}
        (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        # Last, and in one step: where weights lie, the model is whole.
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **inputs: Any) -> dict[str, Tensor]:
        """Read token ids of shape (posts, tokens); give logits of shape (posts, labels) by head."""
        pooled = self.dropout(self.pool(input_ids, attention_mask, **inputs))
        return {name: head(pooled) for name, head in self.heads.items()}

    def pool(self, input_ids: Tensor, attention_mask: Tensor, **inputs: Any) -> Tensor:
        """Read token ids; give what the heads look at, of shape (posts, size)."""
        hidden = self.encoder(input_ids, attention_mask=attention_mask, **inputs).last_hidden_state
        whole = mean if self.pooling is None else self.pooling
        return torch.as_tensor(whole(hidden, attention_mask))

    def meaning(self, input_ids: Tensor, attention_mask: Tensor, **inputs: Any) -> Tensor:
        """Read token ids; give the mean over the tokens of the encoder's middle layer, of shape (posts, size).

        There a post is what it says. Further up it becomes what it is labelled: the last layer finds posts of the same
        mood and stage alike, whatever they are about.
        """
        found = self.encoder(input_ids, attention_mask=attention_mask, output_hidden_states=True, **inputs)
        return middle(found.hidden_states, attention_mask)


def middle(layers: Sequence[Tensor], attention_mask: Tensor) -> Tensor:
    """Return the mean over the tokens of the layer in the middle; `layers` begin with what goes into the first."""
    return mean(layers[len(layers) // 2], attention_mask)


def encode(tokenizer: Any, texts: list[str], brands: list[str | None], marks: bool) -> list[Encoding]:
    """Tokenise posts, each with the brand that it is judged for (nothing where there is none).

    With `marks`, the brand is marked where the text names it. Where it does not, and without `marks`, its name follows
    the text.
    """
    names = [(brand or "")[:LONGEST_BRAND] for brand in brands]
    marked = [mark(text, name) if marks else text for text, name in zip(texts, names, strict=True)]
    short = {name: _cut(tokenizer, name) for name in set(names)}
    beside = ["" if one != text else short[name] for one, text, name in zip(marked, texts, names, strict=True)]
    return tokenise(
        tokenizer,
        marked,
        beside,
        truncation="only_first",
        max_length=LONGEST,
        split_special_tokens=True,  # a post that says "[SEP]" is a post
    )


def _cut(tokenizer: Any, name: str) -> str:
    """Shorten a name to BRAND_TOKENS, so that there is room for the post; a short one of plain letters has no more."""
    while not (name.isascii() and len(name) <= BRAND_TOKENS):
        count = len(tokenise(tokenizer, [name], add_special_tokens=False, split_special_tokens=True)[0]["input_ids"])
        if count <= BRAND_TOKENS:
            break
        name = name[: len(name) * BRAND_TOKENS // count]
    return name
