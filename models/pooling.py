"""From tokens to a post as a whole: their mean, or what an encoder's last layer makes of them, computed once a post."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class AttentionPooling(nn.Module):
    """An encoder's last layer, computed once a post and not once a token.

    It is asked by the mean over the tokens of the layer before, and attends to all of them. What comes out is near the
    mean over its own tokens: weights that were trained with that answer nearly alike, and a seventh of the work of six
    layers is gone.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """Read tokens of shape (posts, tokens, size) and their mask; give one row a post."""
        attention = self.layer.attention.self
        asking = mean(hidden, attention_mask)
        found = functional.scaled_dot_product_attention(
            _by_head(attention.query(asking.unsqueeze(1)), attention),
            _by_head(attention.key(hidden), attention),
            _by_head(attention.value(hidden), attention),
            attn_mask=attention_mask.bool()[:, None, None, :],
        )
        seen = self.layer.attention.output(found.flatten(1), asking)
        return torch.as_tensor(self.layer.feed_forward_chunk(seen))


def mean(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """Return the mean over the tokens that are no padding, of shape (posts, size)."""
    mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)


def _by_head(rows: Tensor, attention: Any) -> Tensor:
    posts, tokens, _ = rows.shape
    return rows.view(posts, tokens, attention.num_attention_heads, -1).transpose(1, 2)
