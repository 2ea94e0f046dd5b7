# SPDX-License-Identifier: Apache-2.0
"""Checks 0 <= 2^20 * -ln(1 - word/2^32) - s(word) <= 6.17 with 40-digit arithmetic on some 25,000 words.

The words: both sides of every edge of the score's table (32 octaves x 16 rows), all of the first and last 512,
powers of two and their neighbours, the middles of the rows, and pseudo-random ones; s must also not decrease
along them. A sample, not the exhaustive check over all 2^32 words that the specification reports.
"""

from __future__ import annotations

import sys
from decimal import Decimal, localcontext
from typing import NamedTuple

from countermark import CELLS, score
from scenarios import Mixer

LIMIT = Decimal("6.17")


class Report(NamedTuple):
    words: int
    least: Decimal
    greatest: Decimal
    least_word: int  # among words > 1, where s is not 0 by definition
    greatest_word: int
    monotone: bool

    @property
    def holds(self) -> bool:
        return self.least >= 0 and self.greatest <= LIMIT and self.monotone


def sample_words(total: int = 25_000) -> list[int]:
    words = set(range(512)) | set(range(CELLS - 512, CELLS))
    for octave in range(28):  # further octaves have y < 512 and are above in full
        for row in range(16):
            edge = (16 + row) << (27 - octave)  # the least y of the row
            middle = edge + (1 << (26 - octave) if octave < 27 else 0)
            for y in (edge - 2, edge - 1, edge, edge + 1, edge + 2, middle - 1, middle, middle + 1):
                words.add(CELLS - y)
    for bit in range(32):
        words |= {(1 << bit) - 1, 1 << bit, (1 << bit) + 1}
    mixer = Mixer(8)
    while len(words) < total:
        word = mixer.below(CELLS)
        words.add(word)
        words.add(CELLS - 1 - (word >> mixer.below(28)))  # crowd the high words, whose scores are large
    return sorted(word for word in words if 0 <= word < CELLS)


def check(words: list[int]) -> Report:
    least, greatest, least_word, greatest_word = Decimal(1), Decimal(-1), -1, -1
    monotone, before = True, 0
    with localcontext() as exact:
        exact.prec = 40
        for word in words:
            s = score(word)
            monotone, before = monotone and s >= before, s
            slack = -(1 << 20) * (Decimal(CELLS - word) / CELLS).ln() - s
            if word > 1 and slack < least or slack < 0:
                least, least_word = slack, word
            if slack > greatest:
                greatest, greatest_word = slack, word
    return Report(len(words), least, greatest, least_word, greatest_word, monotone)


if __name__ == "__main__":
    report = check(sample_words())
    print(f"{report.words} words: slack from {report.least:.6f} (word {report.least_word}) to {report.greatest:.6f} "
          f"(word {report.greatest_word}), {'non-decreasing' if report.monotone else 'NOT MONOTONE'}")
    print("bound holds" if report.holds else "BOUND VIOLATED")
    sys.exit(0 if report.holds else 1)
