# SPDX-License-Identifier: Apache-2.0
"""The generation that vLLM's own goldens are made with: toy logits, a draw in fp32, no prompt."""

from __future__ import annotations

import math
from typing import Callable

from . import vllm
from .integers import float32

VOCABULARY = 128


def _logits(position: int) -> list[float]:
    return [((37 * token + 17 * position) % 131 - 56) / 16 for token in range(VOCABULARY)]


def gumbel(m: int) -> float:
    """-ln(-ln u), each logarithm rounded to float32."""
    return -float32(math.log(-float32(math.log(vllm.uniform(m)))))


def generate(key_at: Callable[[int], int], width: int = 4, length: int = 64) -> list[int]:
    """`key_at`: position -> key. A repeated context takes the most probable token. Ties go to the lowest id."""
    tokens: list[int] = []
    seen: set[tuple[int, ...]] = set()
    for position in range(length):
        context = vllm.padded_contexts([*tokens, 0], width)[-1]
        scores = _logits(position)
        if context not in seen:
            key = key_at(position)
            scores = [float32(logit + gumbel(vllm.cell(key, context, token))) for token, logit in enumerate(scores)]
        seen.add(context)
        tokens.append(scores.index(max(scores)))
    return tokens


def generate_dual(key: int, mixing: float) -> list[int]:
    """Keys by vLLM's fixed list of uniforms: a golden ratio's multiples, rounded to 4 decimals."""
    key_a, key_b = vllm.split_key(key)
    coins = [round((i + 1) * (math.sqrt(5) - 1) / 2 % 1, 4) for i in range(64)]
    return generate(lambda position: key_a if 1 - mixing > coins[position] else key_b)
