# SPDX-License-Identifier: Apache-2.0
"""SynthID text in both of its hashes: transformers' table, and DeepMind's of June 2025 without one."""

from __future__ import annotations

import hashlib
from collections import deque
from functools import lru_cache
from typing import Sequence

from .integers import check_i64, i64
from .torch_generator import Generator

DEFAULT_KEYS = (654, 400, 836, 123, 340, 443, 597, 160, 57, 29, 590, 639, 13, 715, 468, 990, 966, 226, 324, 585, 118,
                504, 421, 521, 129, 669, 732, 225, 90, 960)
TABLE_SIZE = 1 << 16
HISTORY = 1024


def accumulate(h: int, x: int) -> int:
    return i64(i64(h + x) * 6364136223846793005 + 1)


def _fold(h: int, tokens: Sequence[int]) -> int:
    for token in tokens:
        h = accumulate(h, token)
    return h


@lru_cache(maxsize=8)
def table(size: int = TABLE_SIZE) -> bytes:
    generator = Generator(0)
    return bytes(generator.randint(0, 2) for _ in range(size))


def hf_context_hash(context: Sequence[int]) -> int:
    return _fold(1, context)


def hf_g(keys: Sequence[int], context: Sequence[int], token: int, table_size: int = TABLE_SIZE) -> list[int]:
    h = accumulate(hf_context_hash(context), token)
    bits = table(table_size)
    return [bits[accumulate(h, check_i64(key, "key")) % table_size] for key in keys]


def initial_hash(keys: Sequence[int]) -> int:
    """DeepMind's hash begins at a digest of the keys."""
    message = b"".join(check_i64(key, "key").to_bytes(8, "little", signed=True) for key in keys)
    return int.from_bytes(hashlib.sha256(message).digest(), "big") % ((1 << 63) - 1)


def context_hash(keys: Sequence[int], context: Sequence[int]) -> int:
    return _fold(initial_hash(keys), context)


def g(keys: Sequence[int], context: Sequence[int], token: int) -> list[int]:
    h = accumulate(context_hash(keys, context), token)
    return [_bit(accumulate(h, key)) for key in keys]


def _bit(k: int) -> int:
    for _ in range(12):
        k = accumulate(k, 1) >> 5
    return k >> 30 & 1


def first_occurrences(hashes: Sequence[int]) -> list[bool]:
    """The mask of repeated contexts: a queue of 1024 hashes, zeros at first, into which repeats go as well."""
    queue = deque([0] * HISTORY, maxlen=HISTORY)
    mask = []
    for h in hashes:
        mask.append(h not in queue)
        queue.append(h)
    return mask
