# SPDX-License-Identifier: Apache-2.0
"""MurmurHash3 x86_32 over whole words, seed 0."""

from __future__ import annotations

from typing import Iterable

from .integers import MASK32


def _rotate(value: int, bits: int) -> int:
    return value << bits & MASK32 | value >> 32 - bits


def murmur(words: Iterable[int]) -> int:
    s, count = 0, 0
    for count, w in enumerate(words, 1):
        w = _rotate(w * 0xCC9E2D51 & MASK32, 15) * 0x1B873593 & MASK32
        s = _rotate(s ^ w, 13) * 5 + 0xE6546B64 & MASK32
    s ^= 4 * count
    s = (s ^ s >> 16) * 0x85EBCA6B & MASK32
    s = (s ^ s >> 13) * 0xC2B2AE35 & MASK32
    return s ^ s >> 16
