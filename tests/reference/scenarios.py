# SPDX-License-Identifier: Apache-2.0
"""Inputs of the vectors: generator, layer tables, documents, history scripts, candidate lists. No expected values.

`Mixer` is splitmix64 (Steele, Lea, Flood 2014), for test inputs only; nothing secret comes from it.
"""

from __future__ import annotations

from typing import Any, Iterator, NamedTuple, Sequence

from countermark import ALL_SHARES, CELLS, DEFAULT_LAYERS, Keys, Layer, Routed, context_mac, route, stream_tag
from embedder import History, Plan, kind_of_draw, sample, tags_of

MASK = (1 << 64) - 1
BOUNDARY_TOKENS = (11, 22, 33, 44)
# Contexts found by search under the key of the vectors: their 32-bit coin is the least, or the greatest, that a
# boundary between two shares allows; or its upper half is 0, or 65,535.
EDGE_TOKENS = {"coin-at": (8216, 7), "coin-below": (4987, 7), "rest-at": (1, 7, 7078), "rest-below": (1, 7, 121974),
               "least-coin": (22290, 7), "greatest-coin": (21149, 7)}


class Mixer:
    def __init__(self, seed: int) -> None:
        self._state = seed

    def next(self) -> int:
        self._state = (self._state + 0x9E3779B97F4A7C15) & MASK
        z = self._state
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK
        return z ^ z >> 31

    def below(self, bound: int) -> int:
        return self.next() * bound >> 64


def _layers(*rows: tuple[int, int]) -> tuple[Layer, ...]:
    return tuple(Layer(f"layer-{i}", width, share, 1) for i, (width, share) in enumerate(rows))


def profiles(keys: Keys) -> dict[str, tuple[Layer, ...]]:
    """Layer tables; some have shares placed exactly at the coin of BOUNDARY_TOKENS."""
    out = {
        "default": DEFAULT_LAYERS,
        "single": _layers((1, ALL_SHARES)),
        "one-width": _layers((4, 16384), (4, 8192), (4, 40960)),
        "two-equal": _layers((2, 32768), (3, 32768)),
        "zero-shares": _layers((1, 0), (2, 0), (2, 30000), (2, 0), (3, 35536), (5, 0)),
        "tiny-shares": _layers((1, 1), (2, 1), (3, 65533), (4, 1)),
        "three-widths": _layers((1, 10007), (3, 20011), (3, 5003), (9, 1), (9, 30514)),
        "sixteen": _layers(*((width, 4096) for width in range(1, 17))),
    }
    v = route(keys, out["single"], BOUNDARY_TOKENS)[1][0].v
    out["width1-at"] = _layers((1, v), (1, ALL_SHARES - v))
    out["width1-below"] = _layers((1, v + 1), (1, ALL_SHARES - v - 1))
    opening = (1, v)  # so R of the second width is no power of two
    rest = ALL_SHARES - v
    v2 = route(keys, _layers(opening, (3, rest)), BOUNDARY_TOKENS)[1][1].v
    out["width3-at"] = _layers(opening, (3, v2), (3, rest - v2))
    out["width3-below"] = _layers(opening, (3, v2 + 1), (3, rest - v2 - 1))
    out["coin-at"] = _layers((2, 53392), (2, ALL_SHARES - 53392))  # c = 53392 * 2^16: the second layer's first
    out["coin-below"] = _layers((2, 47926), (2, ALL_SHARES - 47926))  # c = 47926 * 2^16 - 1: the first layer's last
    out["rest-at"] = _layers((2, 40961), (3, 6580), (3, 24575 - 6580))  # the same with R = 24,575
    out["rest-below"] = _layers((2, 40961), (3, 6947), (3, 24575 - 6947))
    out["least-coin"] = _layers((2, 0), (2, 1), (2, ALL_SHARES - 1))
    out["greatest-coin"] = _layers((2, ALL_SHARES - 1), (2, 1), (2, 0))
    out["sixteen-of-one-width"] = _layers(*[(2, 4096)] * 16)
    out["all-to-one"] = _layers((1, 0), (3, 0), (3, ALL_SHARES), (16, 0))
    return out


def score_words() -> list[int]:
    words = {0, 1, 2, (1 << 31) - 1, 1 << 31, (1 << 31) + 1, CELLS - 2, CELLS - 1}
    for bit in range(32):
        words |= {(1 << bit) - 1, 1 << bit, (1 << bit) + 1}  # powers of two as words
        words |= {CELLS - (1 << bit) - 1, CELLS - (1 << bit), CELLS - (1 << bit) + 1}  # and as the table's y
    for octave in (0, 1, 13):
        for row in range(16):
            edge = CELLS - ((16 + row) << (27 - octave))
            words |= {edge - 1, edge, edge + 1}
    mixer = Mixer(3)
    while len(words) < 500:
        words.add(mixer.below(CELLS))
    return sorted(word for word in words if 0 <= word < CELLS)


def toy_model(last: int, vocabulary: int = 24) -> dict[int, float]:
    """A next-token distribution that depends on the last token only: 8 candidates, skewed weights."""
    mixer = Mixer(1000 + last)
    ids: dict[int, int] = {}
    while len(ids) < 8:
        ids.setdefault(mixer.below(vocabulary), 1 + mixer.below(1 + mixer.below(1000)))
    total = sum(ids.values())
    return {token: weight / total for token, weight in ids.items()}


def generate(keys: Keys, history: History, tags: dict[int, bytes], plain_key: bytes, length: int) -> list[bool]:
    """Draws tokens of the toy model into the history, and says which draws were marked."""
    marked = []
    for position in range(length):
        last = history.tokens[-1] if history.tokens else 0
        drawn, flag = sample(keys, history.plan(), tags, toy_model(last), plain_key, position)
        assert drawn.margin is not None and drawn.margin > 1e-9
        history.commit(drawn.token)
        marked.append(flag)
    return marked


def documents(keys: Keys) -> dict[str, list[int]]:
    skewed, wide, marked = Mixer(4), Mixer(5), History(keys, DEFAULT_LAYERS, 1 << 20)
    tags = {0: stream_tag(keys, 0, b"", 0), 1: stream_tag(keys, 1, b"cohort-a", 0),
            2: stream_tag(keys, 2, b"account-7", 3)}
    generate(keys, marked, tags, bytes(range(16)), 200)
    return {
        "skewed": [skewed.below(1 + skewed.below(40)) for _ in range(400)],
        "wide": [wide.below(CELLS) if i % 5 else CELLS - 1 - wide.below(3) for i in range(100)],
        "periodic": [(i % 7) * (i % 3) for i in range(120)],
        "one-token": [CELLS - 1] * 100,
        "marked": marked.tokens,
        "short": [1, 2], "shorter": [1], "empty": [],
    }


Script = list[tuple[str, Any]]


def histories() -> Iterator[tuple[str, str, int, Script]]:
    def commits(tokens: Sequence[int]) -> Script:
        return [("commit", token) for token in tokens]

    path_rows = [("plan", [1]), ("plan", [1, 2]), ("plan", [1, 2, 1]), ("plan", [1, 2, 1, 2]),
                 ("plan", [1, 2, 1, 2, 1]), ("plan", [9, 9, 9, 9])]
    yield "first tokens", "default", 64, [("plan", [])] + commits([1, 2, 3, 4])
    yield "repeats", "default", 64, commits([1, 2, 3, 1, 2, 3, 1, 2, 4, 1, 2, 3])
    yield "one token over and over", "default", 64, commits([5] * 8)
    yield "one token, width 1", "single", 64, commits([5] * 4)
    yield "a repeat undone keeps its first insertion", "single", 64, (
        commits([1, 2, 1]) + [("mark", None)] + commits([3, 1, 4]) + [("rewind", 4), ("rewind", 3), ("rewind", 2)]
        + commits([1, 2]) + [("rewind", 0)] + commits([1, 2, 1]))
    yield "path rows", "default", 64, path_rows + commits([1, 2]) + path_rows + commits([1]) + path_rows
    yield "path rows, width 1", "single", 64, [("commit", 3)] + path_rows
    yield "full", "single", 3, commits([1, 2, 3, 4, 5, 1, 6]) + [
        ("rewind", 5), ("rewind", 4), ("rewind", 3), ("rewind", 2)] + commits([9, 8, 7, 9])
    yield "full, path rows count", "single", 3, commits([1, 2]) + [
        ("plan", []), ("plan", [3]), ("plan", [3, 4]), ("plan", [3, 3]), ("plan", [3, 3, 4]), ("plan", [2, 2, 2, 3]),
        ("plan", [3, 4, 1])] + commits([3]) + [("plan", [4]), ("rewind", 1), ("plan", [3, 4])]
    yield "full at one", "default", 1, commits([1, 2, 3, 4, 5, 6]) + [("rewind", 3), ("rewind", 2), ("plan", [7])]
    yield "no history at all", "default", 0, commits([1, 2, 3]) + [("plan", [4]), ("rewind", 0)]
    yield "full before and after a plan of four", "single", 4, commits([1, 2]) + [
        ("plan", [3]), ("plan", [3, 4]), ("plan", [3, 4, 5])] + commits([3, 4, 5, 6]) + [("rewind", 4), ("plan", [1])]
    yield "channels", "default", 64, commits([1, 2, 3, 4]) + [("channel", None), ("plan", []), ("plan", [1, 2])] + (
        commits([1, 2, 3, 4, 5]) + [("mark", None), ("channel", None)] + commits([4, 5]) + [("rewind", 11)]
        + commits([9]) + [("rewind", 10)] + commits([6]) + [("rewind", 4)] + commits([5, 6]))
    yield "channels, width 1", "single", 3, commits([1]) + [("channel", None), ("channel", None)] + commits([1, 2]) + [
        ("channel", None), ("plan", [1]), ("plan", [1, 2])] + commits([1, 2]) + [("rewind", 2), ("plan", [])]
    mixer = Mixer(6)
    for number, (profile, capacity, bound) in enumerate((
            ("default", 12, 3), ("default", 1000, 4), ("three-widths", 20, 2), ("one-width", 10, 2),
            ("zero-shares", 15, 3), ("sixteen", 25, 2))):
        script: Script = []
        length = 0
        for _ in range(90):
            kind = mixer.below(16)
            if kind < 11:
                script.append(("commit", mixer.below(bound)))
                length += 1
            elif kind == 11:
                script.append(("mark", None))
            elif kind == 12:
                length -= mixer.below(1 + min(length, 6))
                script.append(("rewind", length))
            else:
                script.append(("plan", [mixer.below(bound) for _ in range(mixer.below(6))]))
        yield f"random {number}", profile, capacity, script


def replay(keys: Keys, layers: Sequence[Layer], capacity: int, script: Script) -> list[dict[str, Any]]:
    """Runs a script; each operation with the plan after it."""
    history = History(keys, layers, capacity)
    steps = []
    for name, argument in script:
        step: dict[str, Any] = {"op": name}
        if name == "commit":
            history.commit(argument)
            step["token"] = argument
        elif name == "rewind":
            history.rewind(argument)
            step["to"] = argument
        elif name == "plan":
            step["path"] = argument
        elif name == "channel":
            history.start_channel()
        else:
            step["mark"] = history.mark()
        plan = history.plan(argument if name == "plan" else ())
        step.update(plan=plan.reason, layer=plan.routed.layer if plan.routed else None,
                    length=len(history.tokens), entries=len(history.seen))
        steps.append(step)
    return steps


DrawInput = tuple[dict[str, Any], Plan, dict[int, float], bytes, int, int]


def _marked(keys: Keys, layer: int, identity: bytes, slot: int, context: list[int]) -> tuple[dict[str, Any], Plan]:
    s = context_mac(keys, context)
    case = {"layer": layer, "identity": identity.hex(), "slot": slot,
            "TAG": stream_tag(keys, layer, identity, slot).hex(), "context": context, "S": s.hex()}
    return case, Plan("mark", Routed(layer, len(context), s))


def draws(keys: Keys) -> Iterator[DrawInput]:
    """Case head, plan, candidates, plain key, position, attempt. The last two are ties: found by search, two
    tokens with the same word and the same probability, the higher id first; the lower must be drawn."""
    mixer = Mixer(7)
    for number in range(120):
        size = (1, 2, 3, 5, 8, 20, 50, 4)[number % 8]
        base = (0, 50000, CELLS - 60, 1 << 31)[mixer.below(4)]
        spread = 60 if base == CELLS - 60 else 60 + mixer.below(100000)
        weights: dict[int, float] = {}
        while len(weights) < size:
            weights[base + mixer.below(spread)] = float(f"{1 + mixer.below(1 << 40)}e-{mixer.below(13)}")
        total = sum(weights.values())
        probabilities = {token: weight / total for token, weight in weights.items()}
        if number == 5:  # the least positive double would make a key infinite; this one does not
            probabilities[next(iter(probabilities))] = 1e-300
        plain_key = mixer.next().to_bytes(8, "little") + mixer.next().to_bytes(8, "big")
        position = (0, 1, 2, number, 1 << 32, (1 << 53) + 1, MASK)[mixer.below(7)]
        attempt = (0, 0, 0, 1, 2, CELLS - 1)[mixer.below(6)]
        if number % 3 == 2:
            yield {}, Plan("short", None), probabilities, plain_key, position, attempt
            continue
        context = [mixer.below(50257) for _ in range((2, 3, 4, 16)[mixer.below(4)])]
        head = _marked(keys, mixer.below(3), (b"", b"account-7")[mixer.below(2)], mixer.below(8), context)
        yield *head, probabilities, plain_key, position, attempt
    yield *_marked(keys, 0, b"", 0, [1, 2]), {157340: 0.5, 107876: 0.5}, bytes(range(16)), 2, 0
    yield {}, Plan("short", None), {44198: 0.5, 3808: 0.5}, bytes(range(16)), 0, 0


# Two kinds at several widths each, and slots at both ends of what is allowed.
RESPONSE_LAYERS = {
    "default": DEFAULT_LAYERS,
    "mixed": (Layer("shared", 1, 10007, 1), Layer("account", 3, 20011, 65536), Layer("cohort", 3, 5003, 16),
              Layer("account", 5, 20515, 3), Layer("shared", 5, 10000, 8)),
}
TREE = ([], [3], [5], [3, 5], [3, 3], [5, 3], [3, 5, 3], [3, 3, 3], [3, 3, 3, 3], [5, 3, 5, 3, 5])


class ResponseCase(NamedTuple):
    name: str
    layers: str
    cohort: str
    account: str
    nonce: bytes
    capacity: int
    seed: int


RESPONSES = (
    ResponseCase("all identities", "default", "cohort-a", "account-7", b"nonce 1", 200, 20),
    ResponseCase("no identity", "default", "", "", b"nonce 2", 200, 21),
    ResponseCase("account only", "default", "", "account-7", bytes(16), 200, 22),
    ResponseCase("small history", "default", "cohort-a", "account-8", b"nonce 3", 9, 23),
    ResponseCase("mixed layers", "mixed", "c", "\u00e9quipe", b"", 200, 24),
    ResponseCase("mixed layers, small history", "mixed", "c", "x" * 255, b"nonce 4", 12, 25),
)


def response_model(row: int) -> dict[int, float]:
    """The distribution after token `row`; after some tokens there is nothing to choose."""
    return {(5 * row + 3) % 24: 1.0} if row % 8 == 7 else toy_model(row)


def respond(keys: Keys, case: ResponseCase) -> Iterator[dict[str, Any]]:
    """A response with drafts, re-draws, changes of channel and rewinds; each operation with what came of it."""
    mixer = Mixer(case.seed)
    layers = RESPONSE_LAYERS[case.layers]
    tags = tags_of(keys, layers, case.cohort, case.account, case.nonce)
    history = History(keys, layers, case.capacity)
    plain_key = bytes(range(case.seed, case.seed + 16))

    def drawn(path: list[int], attempt: int) -> dict[str, Any]:
        row = ([0] + history.tokens + path)[-1]
        model = response_model(row)
        plan = history.plan(path)
        kind = kind_of_draw(plan, tags, len(model), attempt)
        result, _ = sample(keys, plan, tags, model, plain_key, len(history.tokens) + len(path), attempt)
        assert result.margin is None or result.margin > 1e-9
        return {"op": "draw", "path": path, "attempt": attempt, "row": row, "kind": kind,
                "layer": plan.routed.layer if kind == "mark" else None, "token": result.token}

    for round_number in range(22):
        if round_number in (6, 15):
            yield from (drawn(list(path), 0) for path in TREE)
        step = drawn([], (0, 0, 0, 1, CELLS - 1)[mixer.below(5)] if round_number > 2 else 0)
        yield step
        history.commit(step["token"])
        yield {"op": "commit", "token": step["token"]}
        if round_number in (9, 18):
            history.start_channel()
            yield {"op": "channel"}
        if round_number % 5 == 4:
            point = history.mark() - mixer.below(4)
            history.rewind(point)
            yield {"op": "rewind", "to": point}
