# SPDX-License-Identifier: Apache-2.0
"""Checks the bound of docs/mark.md, "What may be said of a real key", on blocks of 3 to 8 bits.

With so few values everything can be counted: every random permutation, as far as inputs reach into it. `mac_distance`
is what tells the MAC alone from independent labels to somebody who sees each S in full and chooses the next context
by it, `mark_distance` what tells routes and words from ideal ones. Both are exact total variations. Blocks of 8 bits
are sampled: how often two inputs of the tree of a MAC collide. A context is (header, block, …), all small integers.
"""

from __future__ import annotations

import sys
from collections import Counter
from itertools import product
from math import comb
from typing import Callable, Iterator, Sequence

from scenarios import Mixer

Context = tuple[int, ...]
Choice = Callable[[list[int]], Context | None]  # the next context, after the labels S of those before


def nodes(contexts: Sequence[Context]) -> int:
    """A: the distinct beginnings of the contexts, each an input of the permutation."""
    return len({context[:end] for context in contexts for end in range(1, len(context) + 1)})


def mac_bound(bits: int, a: int) -> float:
    return a * (a - 1) / 2**bits


def mark_bound(bits: int, a: int, words: int, least_share: float = 1) -> float:
    """`least_share` 1: what is asked for does not depend on the key. Else the least share of a width's coins."""
    return mac_bound(bits, a) + words * (words - 1) / 2 * (1 + 1 / least_share) / 2**bits


def _labels(bits: int, choose: Choice) -> Iterator[tuple[float, tuple[int, ...]]]:
    """Every way in which a random permutation may answer: (probability, labels)."""
    def extend(weight: float, table: dict[int, int], done: list[int], context: Context | None, depth: int,
               s: int) -> Iterator[tuple[float, tuple[int, ...]]]:
        if context is None:
            yield weight, tuple(done)
        elif depth == len(context):
            yield from extend(weight, table, [*done, s], choose([*done, s]), 0, 0)
        elif (x := s ^ context[depth]) in table:
            yield from extend(weight, table, done, context, depth + 1, table[x])
        else:
            free = [y for y in range(2**bits) if y not in table.values()]
            for y in free:
                yield from extend(weight / len(free), {**table, x: y}, done, context, depth + 1, y)
    yield from extend(1.0, {}, [], choose([]), 0, 0)


def in_order(contexts: Sequence[Context]) -> Choice:
    return lambda labels: contexts[len(labels)] if len(labels) < len(contexts) else None


def mac_distance(bits: int, count: int, choose: Choice) -> float:
    """Total variation between the labels of `count` contexts and independent uniform ones."""
    real: Counter[tuple[int, ...]] = Counter()
    for weight, labels in _labels(bits, choose):
        real[labels] += weight
    ideal = 2.0 ** (-bits * count)
    return (sum(abs(p - ideal) for p in real.values()) + ideal * (2 ** (bits * count) - len(real))) / 2


def mark_distance(bits: int, contexts: Sequence[Context], thresholds: Sequence[int],
                  blocks: Callable[[tuple[int, ...]], Sequence[int]]) -> float:
    """The same for routes and one word a context, W = permutation_layer(S xor T); each layer has its own permutation.

    The layer of S is the number of thresholds that are at most S; `blocks` gives the T's and may look at the routes.
    """
    def layers_of(labels: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sum(s >= threshold for threshold in thresholds) for s in labels)

    real: Counter[tuple[tuple[int, ...], tuple[int, ...]]] = Counter()  # (routes, which inputs are equal)
    for weight, labels in _labels(bits, in_order(contexts)):
        routes = layers_of(labels)
        inputs = [(layer, s ^ t) for layer, s, t in zip(routes, labels, blocks(routes))]
        real[routes, tuple(map(inputs.index, inputs))] += weight
    ideal: Counter[tuple[int, ...]] = Counter()
    for labels in product(range(2**bits), repeat=len(contexts)):
        ideal[layers_of(labels)] += 2.0 ** (-bits * len(contexts))

    distance = 0.0
    words_of_a_route = 2.0 ** (-bits * len(contexts))
    for routes, chance in ideal.items():
        equals = [(same, p) for (other, same), p in real.items() if other == routes]
        for words in product(range(2**bits), repeat=len(contexts)):
            p_real = sum(p * _chance_of_words(bits, routes, same, words) for same, p in equals)
            distance += abs(p_real - chance * words_of_a_route) / 2
    return distance


def _chance_of_words(bits: int, routes: Sequence[int], same: Sequence[int], words: Sequence[int]) -> float:
    """Of random permutations, one a layer: inputs i and j are equal exactly when same[i] = same[j]."""
    chance, used = 1.0, {}
    for layer, first, word in zip(routes, same, words):
        taken = used.setdefault(layer, {})
        if first in taken:
            if taken[first] != word:
                return 0.0
        elif word in taken.values():
            return 0.0
        else:
            chance /= 2**bits - len(taken)
            taken[first] = word
    return chance


def sampled_collisions(bits: int, contexts: Sequence[Context], rounds: int, seed: int) -> float:
    """How often two distinct nodes of the tree have one input, over random functions (step 2 of the proof)."""
    mixer, hits = Mixer(seed), 0
    for _ in range(rounds):
        table = [mixer.below(2**bits) for _ in range(2**bits)]
        inputs: dict[int, Context] = {}
        hit = False
        for context in contexts:
            s = 0
            for end, block in enumerate(context, 1):
                hit |= inputs.setdefault(s ^ block, context[:end]) != context[:end]
                s = table[s ^ block]
        hits += hit
    return hits / rounds


def extending(labels: list[int]) -> Context | None:
    """Breaks a MAC whose messages may continue one another: (1) gives s; (1, s xor 1) gives s again."""
    return [(1,), (1, labels[0] ^ 1) if labels else None, None][len(labels)]


def checks() -> Iterator[tuple[str, float, float]]:
    """(what, measured, bound)."""
    two, three = [(1, 0), (1, 5)], [(1, 0), (1, 5), (1, 6)]
    widths = [(1, 3), (2, 3)]
    for name, bits, contexts in (("two contexts", 5, two), ("three contexts", 4, three), ("two widths", 4, widths)):
        yield (f"MAC, {name}, {bits} bits", mac_distance(bits, len(contexts), in_order(contexts)),
               mac_bound(bits, nodes(contexts)))
    chosen: Choice = lambda labels: [(1, 0), (1, 1 + labels[0] % 7) if labels else None, None][len(labels)]
    yield "MAC, the second context chosen by the first label, 5 bits", mac_distance(5, 2, chosen), mac_bound(5, 3)
    half, eighth = [8], [2]
    for name, contexts, thresholds, t in (("equal T", two, half, (0, 0)), ("other T", two, half, (0, 3)),
                                          ("shares 1/8 and 7/8", two, eighth, (0, 1))):
        yield (f"routes and words, {name}, 4 bits", mark_distance(4, contexts, thresholds, lambda _: t),
               mark_bound(4, nodes(contexts), len(contexts)))
    aimed = mark_distance(4, two, half, lambda routes: (0, 0 if routes[0] == routes[1] else 8))
    yield "routes and words, T aimed at the routes, 4 bits", aimed, mark_bound(4, 3, 2, least_share=1 / 2)
    mixer = Mixer(30)
    deep = [(1 + i % 2, *(mixer.below(256) for _ in range(1 + 3 * (i % 2)))) for i in range(4)]
    wide = [(1, i) for i in range(8)]
    for name, contexts in (("four contexts of one and four blocks", deep), ("eight of one block", wide)):
        a = nodes(contexts)
        yield f"collisions of {a} inputs, {name}, 8 bits", sampled_collisions(8, contexts, 4000, 31), comb(a, 2) / 256


if __name__ == "__main__":
    held = True
    for what, measured, bound in checks():
        held &= measured <= bound
        print(f"{measured:.4f} of at most {bound:.4f}  {what}")
    print(f"{mac_distance(4, 2, extending):.4f} without headers, messages that continue one another: no bound holds")
    sys.exit(0 if held else 1)
