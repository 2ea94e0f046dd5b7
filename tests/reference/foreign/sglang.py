# SPDX-License-Identifier: Apache-2.0
"""SGLang's Gumbel marks: MurmurHash3 of key, context hash and token. A context may begin in the prompt."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Sequence

from .integers import MASK32, check_u64
from .murmur3 import murmur


def _words(key: int) -> tuple[int, int]:
    check_u64(key, "key")
    return key & MASK32, key >> 32


def word(key: int, context: Sequence[int], token: int) -> int:
    """H: 32 bits."""
    return murmur((*_words(key), murmur(context), token))


def coin_is_a(key_a: int, key_b: int, context: Sequence[int], mixing: Fraction) -> bool:
    """The dual mode's coin, a function of keys and context; `mixing` is the share of key A."""
    return murmur((*_words(key_a), *_words(key_b), murmur(context))) < int(float(mixing) * (1 << 32))


def dual_word(key_a: int, key_b: int, context: Sequence[int], token: int, mixing: Fraction) -> int:
    return word(key_a if coin_is_a(key_a, key_b, context, mixing) else key_b, context, token)


def score(h: int) -> float:
    """-ln(1 - u), u = (H + 1/2) / 2^32; 1 - u is exact."""
    return -math.log(((1 << 32) - h - 0.5) / (1 << 32))
