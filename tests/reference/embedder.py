# SPDX-License-Identifier: Apache-2.0
"""What draws a marked token: the history of a response, the plan of the next draw, the draw itself.

The set H holds the pairs (h, S_h) in full; production may hold fingerprints, whose rare collisions only make a
draw plain. Speculation needs nothing of its own here: its rows are `plan(path)` with the draft tokens as path.
"""

from __future__ import annotations

from typing import Iterable, Mapping, NamedTuple, Sequence

from countermark import (Drawn, Keys, Layer, Routed, check_layers, draw, mark_word, plain_word, route, slot_of_nonce,
                         stream_tag)


def tags_of(keys: Keys, layers: Sequence[Layer], cohort: str, account: str, nonce: bytes) -> dict[int, bytes]:
    """The tag of each layer that has an identity, in the slot that the nonce chooses."""
    identities = {"shared": "", "cohort": cohort, "account": account}
    return {index: stream_tag(keys, index, identities[layer.name].encode("utf-8"),
                              slot_of_nonce(keys, index, layer.slots, nonce))
            for index, layer in enumerate(layers) if layer.name == "shared" or identities[layer.name]}


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
        self.channel = 0  # where the current channel starts in `tokens`
        self.seen: set[tuple[int, bytes]] = set()
        self.log: list[tuple[int, bytes]] = []  # what was inserted, in order
        self.events: list[tuple[bool, int, int]] = []  # (a commit?, len(log) and channel before it)

    def copy(self) -> History:
        other = History(self.keys, self.layers, self.capacity)
        other.tokens, other.channel, other.seen = list(self.tokens), self.channel, set(self.seen)
        other.log, other.events = list(self.log), list(self.events)
        return other

    def route(self) -> Routed | None:
        return route(self.keys, self.layers, self.tokens[self.channel :])[0]

    def plan(self, path: Sequence[int] = ()) -> Plan:
        """The plan after the draft tokens of `path`: by definition the plan that committing them would lead to."""
        state = self.copy()
        for token in path:
            state.commit(token)
        routed = state.route()
        if routed is None:
            return Plan("short", None)
        if (routed.width, routed.s) in state.seen:
            return Plan("repeated", routed)
        return Plan("full" if len(state.seen) >= state.capacity else "mark", routed)

    def commit(self, token: int) -> None:
        self.events.append((True, len(self.log), self.channel))
        routed = self.route()
        if routed is not None and len(self.seen) < self.capacity:
            entry = (routed.width, routed.s)
            if entry not in self.seen:
                self.seen.add(entry)
                self.log.append(entry)
        self.tokens.append(token)

    def start_channel(self) -> None:
        """Contexts do not reach back beyond this point; all else goes on."""
        self.events.append((False, len(self.log), self.channel))
        self.channel = len(self.tokens)

    def mark(self) -> int:
        """A point to rewind to: commits and starts of channels so far."""
        return len(self.events)

    def rewind(self, point: int) -> None:
        if not 0 <= point <= len(self.events):
            raise ValueError("rewind: to a point that was passed")
        while len(self.events) > point:
            is_commit, entries, self.channel = self.events.pop()
            if is_commit:
                self.tokens.pop()
            while len(self.log) > entries:
                self.seen.remove(self.log.pop())


def sample(keys: Keys, plan: Plan, tags: Mapping[int, bytes], probabilities: Mapping[int, float],
           plain_key: bytes, position: int, attempt: int = 0) -> tuple[Drawn, bool]:
    """Draws one token; True when it is marked. A layer without a tag (no such identity) is drawn plain."""
    kind = kind_of_draw(plan, tags, len(probabilities), attempt)
    words = words_of(keys, plan if kind == "mark" else None, tags, probabilities, plain_key, position, attempt)
    return draw(words, probabilities), kind == "mark"


def kind_of_draw(plan: Plan, tags: Mapping[int, bytes], candidates: int, attempt: int) -> str:
    """"mark", or the first reason why the draw is plain: "one" candidate, "redraw", those of `Plan`, no "identity"."""
    if candidates == 1:
        return "one"
    if attempt > 0:
        return "redraw"
    if plan.reason == "mark" and plan.routed.layer not in tags:
        return "identity"
    return plan.reason


def words_of(keys: Keys, marked: Plan | None, tags: Mapping[int, bytes], candidates: Iterable[int], plain_key: bytes,
             position: int, attempt: int) -> dict[int, int]:
    """The noise of each candidate: of the plan's stream, or plain without a plan."""
    if marked is None:
        return {token: plain_word(plain_key, position, attempt, token) for token in candidates}
    layer, _, s = marked.routed
    return {token: mark_word(keys, layer, s, tags[layer], token) for token in candidates}
