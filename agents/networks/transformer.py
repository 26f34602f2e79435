"""The transformer: a causal language model of games, in the manner of GPT-2 (Radford et al., 2019).

Vaswani et al., "Attention Is All You Need", 2017; blocks with the normalisation before each branch, and learned
positions, as in GPT-2. Three things are not GPT-2's. Each block adds a vector of its own for every token to what
attention hands on, so that which move it was is not lost on the way up (value embeddings: Zhou et al., "Value Residual
Learning", 2024, as in modded-nanogpt). It learns more from as many games, and ReLUs in place of GELUs and no biases
take less time. Over the moves of Othello it is Othello-GPT (Li et al., 2023).
"""

from __future__ import annotations

import collections
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agents.networks.sequence import SequenceBackbone

INIT_STD = 0.02


class Block(nn.Module):
    """``x + attention(norm(x))``, then ``x + mlp(norm(x))``: ``[B, T, width]`` to the same shape."""

    def __init__(self, width: int, heads: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        # Three matrices and not one of three times the height: Muon makes each of them orthogonal by itself. They are
        # multiplied as one, which takes less time.
        self.query, self.key, self.value = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.mix = nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)
        for layer in (self.query, self.key, self.value, self.mix, self.up, self.down):
            # The last layer of each branch starts smaller, so that the sum of all branches does not grow with depth.
            last = layer is self.mix or layer is self.down
            nn.init.normal_(layer.weight, std=INIT_STD * ((2 * layers) ** -0.5 if last else 1.0))

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        x = x + self._dropped(self.attention(self.norm1(x), tokens))
        return x + self._dropped(self.mlp(self.norm2(x)))

    def attention(self, x: Tensor, tokens: Tensor) -> Tensor:
        """What each token takes over from itself and those before it: what they have become, ``x``, and what they are,
        ``tokens``, both ``[B, T, width]``."""
        batch, length, width = x.shape
        query, key, value = self.projections(x)
        value = value + tokens.to(value.dtype).view(value.shape)
        query, key, value = (
            part.reshape(batch, length, self.heads, -1).transpose(1, 2) for part in (query, key, value)
        )
        dropout = self.dropout if self.training else 0.0
        if x.device.type == "cpu" and torch.is_grad_enabled():
            # In bfloat16 the fused one takes four times as long when it keeps what its gradient needs.
            mixed = _attention(query, key, value, dropout)
        else:
            mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=True)
        return self.mixed(mixed.transpose(1, 2).reshape(batch, length, width))

    def projections(self, x: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values, of ``[B, T, width]`` features each."""
        weight = torch.cat([layer.weight for layer in (self.query, self.key, self.value)])
        return F.linear(x, weight).chunk(3, dim=-1)

    def mixed(self, x: Tensor) -> Tensor:
        """What the heads found, ``[B, T, width]``, as the residual stream takes it."""
        return self.mix(x)

    def mlp(self, x: Tensor) -> Tensor:
        """Two layers with a ReLU between them, ``[B, T, width]`` to the same shape."""
        return self.down(F.relu(self.up(x), inplace=True))

    def _dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training) if self.dropout else x


def _attention(query: Tensor, key: Tensor, value: Tensor, dropout: float) -> Tensor:
    """What ``F.scaled_dot_product_attention(…, is_causal=True)`` gives, in the products that its formula names."""
    *rows, length, depth = query.shape
    query, key, value = (x.reshape(-1, length, depth) for x in (query, key, value))
    later = torch.full((length, length), -torch.inf, dtype=query.dtype, device=query.device).triu(1)
    shares = torch.baddbmm(later, query, key.mT, alpha=depth**-0.5).softmax(dim=-1)
    shares = F.dropout(shares, dropout) if dropout else shares
    return (shares @ value).view(*rows, length, depth)


class Transformer(SequenceBackbone):
    """``layers`` blocks over tokens that know their place; the features are the last token's: ``[B, width]``."""

    def __init__(
        self,
        reads: str,
        context: int,
        observation_shape: tuple[int, int, int],
        num_actions: int,
        *,
        layers: int,
        width: int,
        heads: int,
        dropout: float,
    ) -> None:
        super().__init__(reads, context, observation_shape, num_actions, width)
        self.places = nn.Embedding(context, width)
        nn.init.normal_(self.places.weight, std=INIT_STD)
        self.heads, self.dropout = heads, dropout
        self.values = nn.ModuleList(self.new_embedding() for _ in range(layers))
        self.blocks = nn.ModuleList(Block(width, heads, layers, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.feature_shape: tuple[int, ...] = (width,)

    def every_ply(self, inputs: Tensor) -> Tensor:
        (last,) = collections.deque(self.streams(inputs), maxlen=1)  # without keeping those before it
        return self.norm(last)

    def streams(self, inputs: Tensor) -> Iterator[Tensor]:
        """The residual stream ``[B, T, width]`` before the first block and after each: what a probe reads."""
        x = self.embed(inputs) + self.places.weight[: inputs.shape[1]]
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))  # else every layer would convert it, there and back
        x = F.dropout(x, self.dropout, self.training) if self.dropout else x
        yield x
        for block, table in zip(self.blocks, self.values, strict=True):
            x = block(x, self.embed(inputs, table))
            yield x
