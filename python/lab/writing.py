# SPDX-License-Identifier: Apache-2.0
"""Answers of the plain model of corpora/train, many side by side: three times as fast as its own step by step.

Keys and values lie where they were first put, and the heads that share them are one attention's queries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F

END = 0  # begins and ends every text
ROWS = 100  # answers at once

Ids = list[int]


class Sampler(Protocol):
    """Of some answers that are written side by side."""

    def draw(self, logits: torch.Tensor, written: np.ndarray) -> np.ndarray:
        """The next token of each row. logits: rows x vocabulary; written: rows x tokens so far."""


MakeSampler = Callable[[int, int], Sampler]  # of the answers from one number to another


class Rows:
    """Texts of one length that a model has read; each step appends a token to each."""

    @torch.inference_mode()
    def __init__(self, net: Any, ids: torch.Tensor, more: int) -> None:
        """ids: rows x tokens. more: steps at most."""
        self._net, self._at = net, ids.shape[1]
        cache: list[Any] = []
        self.logits = net(ids, cache)[:, -1]
        self._memory = [tuple(F.pad(part, (0, 0, 0, more)) for part in layer) for layer in cache]

    @torch.inference_mode()
    def step(self, tokens: torch.Tensor) -> None:
        """Appends tokens[rows]; logits are then those behind them."""
        net, at = self._net, self._at
        config, cos, sin = net.config, net.cos[at], net.sin[at]
        x = net.model.embed_tokens(tokens)
        for layer, (keys, values) in zip(net.model.layers, self._memory):
            attention, h = layer.self_attn, layer.input_layernorm(x)
            q = attention.q_proj(h).view(len(x), config.num_key_value_heads, -1, config.head_dim)
            k = attention.k_proj(h).view(len(x), config.num_key_value_heads, config.head_dim)
            keys[:, :, at] = _rotated(k, cos, sin)
            values[:, :, at] = attention.v_proj(h).view(k.shape)
            y = F.scaled_dot_product_attention(_rotated(q, cos, sin), keys[:, :, :at + 1], values[:, :, :at + 1])
            x = x + attention.o_proj(y.reshape(len(x), -1))
            x = x + layer.mlp(layer.post_attention_layernorm(x))
        self.logits = F.linear(net.model.norm(x), net.model.embed_tokens.weight)
        self._at += 1


def _rotated(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def write(net: Any, prompts: Sequence[Ids], tokens: int, sampler: MakeSampler, temperature: float = 1.0,
          show: Callable[[int], None] = lambda done: None) -> list[Ids]:
    """An answer to each prompt. All prompts are of one length."""
    out: list[Ids] = []
    for begin in range(0, len(prompts), ROWS):
        some = prompts[begin:begin + ROWS]
        rows, draws = Rows(net, torch.tensor(some), tokens), sampler(begin, begin + len(some))
        written = np.empty((len(some), 0), dtype=np.int64)
        while written.shape[1] < tokens:
            if written.shape[1]:
                rows.step(torch.from_numpy(written[:, -1]))
            logits = rows.logits / temperature
            logits[:, END] = -torch.inf
            written = np.concatenate([written, draws.draw(logits.contiguous(), written)[:, None]], axis=1)
        out += written.tolist()
        show(len(out))
    return out
