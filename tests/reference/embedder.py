# SPDX-License-Identifier: Apache-2.0
"""What draws a marked token: the history of a response, the plan of the next draw, the draw itself.

The set H holds the pairs (h, S_h) in full; production may hold fingerprints, whose rare collisions only make a
draw plain. Speculation needs nothing of its own here: its rows are `plan(path)` with the draft tokens as path.
"""

from __future__ import annotations

from typing import Mapping, NamedTuple, Sequence

from countermark import Drawn, Keys, Layer, Routed, check_layers, draw, mark_word, plain_word, route


class Plan(NamedTuple):
    """`reason` is "mark", or why the draw is plain: "short", "repeated", "full" (the first that holds)."""
    reason: str
    routed: Routed | None


class History:
    """What one response remembers. Every field is a function of the committed tokens alone."""

    def __init__(self, keys: Keys, layers: Sequence[Layer], capacity: int) -> None:
        check_layers(layers)
        self.keys, self.layers, self.capacity = keys, tuple(layers), capacity
        self.tokens: list[int] = []
        self.seen: set[tuple[int, bytes]] = set()
        self.log: list[tuple[int, tuple[int, bytes]]] = []  # (length before the commit, what it inserted)

    def copy(self) -> History:
        other = History(self.keys, self.layers, self.capacity)
        other.tokens, other.seen, other.log = list(self.tokens), set(self.seen), list(self.log)
        return other

    def plan(self, path: Sequence[int] = ()) -> Plan:
        """The plan after the draft tokens of `path`: by definition the plan that committing them would lead to."""
        state = self.copy()
        for token in path:
            state.commit(token)
        routed, _ = route(state.keys, state.layers, state.tokens)
        if routed is None:
            return Plan("short", None)
        if (routed.width, routed.s) in state.seen:
            return Plan("repeated", routed)
        return Plan("full" if len(state.seen) >= state.capacity else "mark", routed)

    def commit(self, token: int) -> None:
        routed, _ = route(self.keys, self.layers, self.tokens)
        if routed is not None and len(self.seen) < self.capacity:
            entry = (routed.width, routed.s)
            if entry not in self.seen:
                self.seen.add(entry)
                self.log.append((len(self.tokens), entry))
        self.tokens.append(token)

    def mark(self) -> int:
        return len(self.tokens)

    def rewind(self, length: int) -> None:
        if not 0 <= length <= len(self.tokens):
            raise ValueError("rewind: to a length that was committed")
        while self.log and self.log[-1][0] >= length:
            self.seen.remove(self.log.pop()[1])
        del self.tokens[length:]


def sample(keys: Keys, plan: Plan, tags: Mapping[int, bytes], probabilities: Mapping[int, float],
           plain_key: bytes, position: int, attempt: int = 0) -> tuple[Drawn, bool]:
    """Draws one token; True when it is marked. A layer without a tag (no such identity) is drawn plain."""
    marked = plan.reason == "mark" and attempt == 0 and len(probabilities) > 1 and plan.routed.layer in tags
    if marked:
        layer, _, s = plan.routed
        words = {token: mark_word(keys, layer, s, tags[layer], token) for token in probabilities}
    else:
        words = {token: plain_word(plain_key, position, attempt, token) for token in probabilities}
    return draw(words, probabilities), marked
