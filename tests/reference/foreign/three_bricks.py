# SPDX-License-Identifier: Apache-2.0
"""three_bricks' green lists (seeding `hash`, payload 0); the lists themselves are those of `kgw.py`."""

from __future__ import annotations

from typing import Sequence

SALT = 35317


def seed_of(key: int, context: Sequence[int], salt: int = SALT) -> int:
    """`key`: the source's `seed`, 0 by default. Python's integers: nothing wraps before the modulo."""
    s = key
    for token in context:
        s = (s * salt + token) % ((1 << 64) - 1)
    return s
