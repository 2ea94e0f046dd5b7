# SPDX-License-Identifier: Apache-2.0
"""What reads a document: the positions that count, per layer, and the tally of one stream over them.

One document alone: that a tuple counts once in a whole corpus is the tape's business, not done here.
"""

from __future__ import annotations

from typing import NamedTuple, Sequence

from countermark import Keys, Layer, Routed, mark_word, route, score


class Position(NamedTuple):
    """A token of a document: where its context was routed, and whether that context occurs there first."""
    token: int
    routed: Routed | None
    first: bool


def read_document(keys: Keys, layers: Sequence[Layer], tokens: Sequence[int]) -> list[Position]:
    """All positions; those with `first` are scored. Occurrence is by the tokens of the context, not by S."""
    positions: list[Position] = []
    seen: set[tuple[int, ...]] = set()
    for t, token in enumerate(tokens):
        routed, _ = route(keys, layers, tokens[:t])
        context = tuple(tokens[t - routed.width : t]) if routed else ()
        positions.append(Position(token, routed, routed is not None and context not in seen))
        seen.add(context)
    return positions


def tally(keys: Keys, positions: Sequence[Position], layer: int, tag: bytes) -> tuple[int, int]:
    """(n, sum of scores) of one stream over one document."""
    scores = [score(mark_word(keys, layer, p.routed.s, tag, p.token))
              for p in positions if p.first and p.routed.layer == layer]
    return len(scores), sum(scores)
