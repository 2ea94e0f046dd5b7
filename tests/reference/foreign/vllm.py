# SPDX-License-Identifier: Apache-2.0
"""vLLM's Gumbel marks and its SynthID prototype, over the PRF of `philox.py`."""

from __future__ import annotations

import hashlib
import math
from typing import Sequence

from . import philox
from .integers import MASK32, check_u64, float32

PAD = MASK32  # the token -1 before the first generated one
SYNTHID_STREAM = 0x53594E54 << 32
MAX_DEPTH = 32


def split_key(key: int) -> tuple[int, int]:
    """Keys A and B of the dual mode. The single mode uses the key as it is."""
    message = check_u64(key, "key").to_bytes(8, "big")
    a, b = (hashlib.sha256(domain + message).digest()[:8] for domain in (b"key_a", b"key_b"))
    return int.from_bytes(a, "big"), int.from_bytes(b, "big")


def cell(key: int, context: Sequence[int], token: int) -> int:
    """m: 24 bits."""
    return philox.word(key, context, token) >> 8


def uniform(m: int) -> float:
    """float32 in (0, 1); the quotient is taken in double."""
    return float32((m + 1) / ((1 << 24) + 1))


def score(m: int) -> float:
    return -math.log1p(-uniform(m))


def g_bits(key: int, context: Sequence[int], token: int, depth: int, stream: int = SYNTHID_STREAM) -> list[int]:
    """Prototype (a): one word a token, bit d is depth d."""
    if not 1 <= depth <= MAX_DEPTH:
        raise ValueError("depth: 1..32 expected")
    w = philox.word(key, context, token, stream)
    return [w >> d & 1 for d in range(depth)]


def padded_contexts(tokens: Sequence[int], width: int) -> list[tuple[int, ...]]:
    """The context of every token: generated tokens only."""
    padded = [PAD] * width + list(tokens)
    return [tuple(padded[i : i + width]) for i in range(len(tokens))]
