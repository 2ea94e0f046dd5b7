# SPDX-License-Identifier: Apache-2.0
"""torch's CPU generator: MT19937 under torch's seeding, and the draws made from it.

CPython's `random` is the same MT19937; only its seeding and its draws differ, so the engine's state is set from
outside. CUDA generators are another algorithm and are not covered.
"""

from __future__ import annotations

import random

from .integers import MASK32

RANDPERM_LIMIT = (1 << 32) // 20  # from here on torch shuffles with 64-bit draws


class Generator:
    def __init__(self, seed: int) -> None:
        """`manual_seed`. Only the low 32 bits of the seed reach the engine."""
        if not -(1 << 63) <= seed < 1 << 64:
            raise ValueError("seed: -2^63..2^64-1 expected")
        state = [seed & MASK32]
        for j in range(1, 624):
            state.append(1812433253 * (state[-1] ^ state[-1] >> 30) + j & MASK32)
        self._engine = random.Random(0)
        self._engine.setstate((3, (*state, 624), None))

    def random(self) -> int:
        return self._engine.getrandbits(32)

    def random64(self) -> int:
        return self.random() << 32 | self.random()

    def randperm(self, n: int, first: int | None = None) -> list[int]:
        """The first `first` entries of a permutation of 0..n-1 (None: all). They are final after as many draws; the
        rest of the draws is not made, so a generator that was stopped early is used up."""
        if n >= RANDPERM_LIMIT:
            raise ValueError("randperm: fewer than 2^32 / 20 entries expected")
        draw = self._engine.getrandbits
        r = list(range(n))
        for i in range(n - 1 if first is None else min(first, n - 1)):
            z = draw(32) % (n - i)
            r[i], r[i + z] = r[i + z], r[i]
        return r[:first]

    def rand32(self) -> float:
        """float32 in [0, 1)."""
        return (self.random() & (1 << 24) - 1) * 2.0**-24

    def rand64(self) -> float:
        return (self.random64() & (1 << 53) - 1) * 2.0**-53

    def randint(self, low: int, high: int) -> int:
        span = high - low
        return low + (self.random() if span < 1 << 28 else self.random64()) % span
