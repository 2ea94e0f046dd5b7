# SPDX-License-Identifier: Apache-2.0
"""Green lists of torch's permutations: lm-watermarking, transformers, TGI.

ids: the last tokens that a PRF reads, oldest first; with a self-salted scheme the last one is the token itself.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from itertools import combinations
from typing import Callable, Mapping, Sequence

from .integers import check_i64, i64, product64
from .torch_generator import Generator

TABLE_SIZE = 1_000_003
LM_TABLE_SEED = 2971215073
DEFAULT_KEY = 15485863
Ids = Sequence[int]


@lru_cache(maxsize=8)
def hash_table(seed: int) -> list[int]:
    return Generator(seed).randperm(TABLE_SIZE)


# --- lm-watermarking ------------------------------------------------------------------------------------------

def hashint(x: int) -> int:
    return hash_table(LM_TABLE_SEED)[x % TABLE_SIZE] + 1


def _salted(ids: Ids, key: int) -> list[int]:
    """hashint(K * ids), a product of a tensor."""
    check_i64(key, "key")
    return [hashint(i64(key * t)) for t in ids]


def _anchored_minhash(ids: Ids, key: int) -> int:
    check_i64(key, "key")
    return min(product64((key, hashint(t), hashint(ids[-1]))) for t in ids)


def _minskipgram(ids: Ids, key: int) -> int:
    if len(ids) < 2:
        raise ValueError("minskipgram: two tokens at least expected")
    return min(a * b for a, b in combinations(_salted(ids, key), 2))


def _noncomm(ids: Ids, key: int) -> int:
    state = check_i64(key, "key")
    for t in ids:
        state = i64(state * hashint(i64(state * t))) % (1 << 32)
    return state


def _position(ids: Ids, key: int) -> int:
    check_i64(key, "key")
    return i64(sum(key * t * i for i, t in enumerate(ids, 1)))


LM_PRFS: Mapping[str, Callable[[Ids, int], int]] = {
    "multiplicative": lambda ids, key: key * product64(ids),
    "additive": lambda ids, key: key * sum(ids),
    "minfunc": lambda ids, key: key * min(ids),
    "simple-skip": lambda ids, key: product64(_salted(ids[::2], key)),
    "skipgram": lambda ids, key: _salted(ids[:1], key)[0],
    "anchored-skipgram": lambda ids, key: product64(_salted((ids[0], ids[-1]), key)),
    "minhash": lambda ids, key: min(_salted(ids, key)),
    "anchored-minhash": _anchored_minhash,
    "minskipgram": _minskipgram,
    "noncomm": _noncomm,
    "position": _position,
}


# --- transformers ---------------------------------------------------------------------------------------------

def hf_lefthash(ids: Ids, key: int) -> int:
    return key * ids[-1]


def hf_selfhash(ids: Ids, key: int) -> int:
    """The table is seeded with the key itself."""
    table = hash_table(check_i64(key, "key"))
    a = [table[t % TABLE_SIZE] + 1 for t in ids]
    return min(product64((key, x, a[-1])) for x in a)


# --- lists ----------------------------------------------------------------------------------------------------

def seed_of(prf: int) -> int:
    """Python's modulo: a negative value becomes a large one."""
    return prf % ((1 << 64) - 1)


def green_count(vocab_size: int, gamma: Fraction) -> int:
    return int(vocab_size * float(gamma))


@lru_cache(maxsize=16)
def _permutation(low_seed: int, vocab_size: int) -> list[int]:
    return Generator(low_seed).randperm(vocab_size)


def permutation(seed: int, vocab_size: int) -> list[int]:
    return _permutation(seed & (1 << 32) - 1, vocab_size)


@lru_cache(maxsize=64)
def _green_list(low_seed: int, vocab_size: int, count: int) -> frozenset[int]:
    return frozenset(Generator(low_seed).randperm(vocab_size, count))


def is_green(seed: int, token: int, vocab_size: int, gamma: Fraction) -> bool:
    if not 0 <= token < vocab_size:
        raise ValueError("token: an id of the vocabulary expected")
    return token in _green_list(seed & (1 << 32) - 1, vocab_size, green_count(vocab_size, gamma))
