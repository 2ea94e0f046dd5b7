# SPDX-License-Identifier: Apache-2.0
"""Philox4x32-10 (Salmon et al., 2011), and the PRF `philox4x32-10-v1` that vLLM builds from it."""

from __future__ import annotations

from typing import Sequence

from .integers import MASK32, check_u64

Block = tuple[int, int, int, int]


def philox(counter: Block, key: tuple[int, int]) -> Block:
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        a, b = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c1, c2, c3 = b >> 32 ^ c1 ^ k0, b & MASK32, a >> 32 ^ c3 ^ k1, a & MASK32
        k0, k1 = k0 + 0x9E3779B9 & MASK32, k1 + 0xBB67AE85 & MASK32
    return c0, c1, c2, c3


def absorb(key: int, context: Sequence[int]) -> Block:
    """The state of a context, oldest token first; its length is the width. Padding is the token -1."""
    check_u64(key, "key")
    key_low, key_high = key & MASK32, key >> 32
    state: Block = (0x574D4358, len(context), 0, 0)
    for offset in range(0, len(context), 4):
        block = [context[offset + i] & MASK32 if offset + i < len(context) else MASK32 - i for i in range(4)]
        s0, s1, s2, s3 = (s ^ b for s, b in zip(state, block, strict=True))
        state = philox((s0, s1, s2, s3), (key_low ^ offset, key_high))
    return state


def word(key: int, context: Sequence[int], token: int, stream: int = 0) -> int:
    """32 bits for a token under a context. `stream` is 0 for the Gumbel marks."""
    s0, s1, s2, s3 = absorb(key, context)
    token &= MASK32
    subkey = key & MASK32 ^ s3 ^ stream >> 32, key >> 32 ^ 0x574D544B ^ stream & MASK32
    return philox((token >> 2, s0, s1, s2), subkey)[token & 3]
