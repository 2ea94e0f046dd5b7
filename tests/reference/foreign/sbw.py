# SPDX-License-Identifier: Apache-2.0
"""SBW, the green marks of a vLLM pull request: a coin of each token by itself, without a list.

Its source hashes in int32 and seeds in int64, both wrapping and with arithmetic shifts. Padding is the token -1.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Sequence

from .integers import MASK32, MASK64, check_i64, check_u64, i32, i64, product64
from .philox import philox


def _check(key: int) -> int:
    """A u64 of the configuration that must also fit a tensor."""
    return check_i64(check_u64(key, "key"), "key")


def hash32(x: int) -> int:
    h = i32(x + 1)
    h = i32(h - i32(h << 6))
    h ^= h >> 17
    h = i32(h - i32(h << 9))
    h = i32(h ^ i32(h << 4))
    h = i32(h - i32(h << 3))
    h = i32(h ^ i32(h << 10))
    return h ^ h >> 15


def selfhash_seed(key: int, window: Sequence[int]) -> int:
    """`window`: the previous tokens that are read, then the token itself."""
    _check(key)
    own = hash32(window[-1])
    return min(product64((key, hash32(t), own)) for t in window)


def lefthash_seed(key: int, context: Sequence[int]) -> int:
    """As the text is generated."""
    return i64(_check(key) * sum(-1 if t == MASK32 else t for t in context))


def lefthash_detector_seed(key: int, context: Sequence[int]) -> int:
    """As the same source's detector has it, which therefore does not find what the generator wrote."""
    return i64(_check(key) * sum(map(hash32, context)))


def threshold(gamma: Fraction) -> int:
    return int(float(gamma) * 0x7FFFFFFF)


def is_green(seed: int, token: int, gamma: Fraction) -> bool:
    seed &= MASK64
    w = philox((token // 4, 0, 0, 0), (seed & MASK32, seed >> 32))[token % 4]
    return w & 0x7FFFFFFF < threshold(gamma)
