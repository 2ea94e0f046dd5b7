# SPDX-License-Identifier: Apache-2.0
"""TextSeal's PRF: an affine form of context, token and key, hashed to 8,191 levels."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Sequence

from .integers import check_i64, float32, i64

PRIMES = (10000019, 10000247, 10000439, 10000643, 10000747, 10000867, 10000993, 10001213, 10001357, 10001501)
LEVELS = 8191
KEY_B_OFFSET = 12345  # of the second key, when none is given


def level(key: int, context: Sequence[int], token: int) -> int:
    """h modulo 8191. All arithmetic wraps at 64 bits; the shift is arithmetic."""
    if not 1 <= len(context) <= len(PRIMES):
        raise ValueError("context: 1..10 tokens expected")
    w = sum(t * prime for t, prime in zip(context, PRIMES))
    h = i64((w + 100000007 * token + 500001713 * check_i64(key, "key")) * 15485863)
    h = i64(h * 40499)
    h ^= h >> 13
    return h % LEVELS


def uniform(h: int) -> float:
    return float32(h / LEVELS)


def is_green(h: int, gamma: Fraction) -> bool:
    return uniform(h) < float32(float(gamma))


def score(h: int) -> float:
    return -math.log1p(-uniform(h))
