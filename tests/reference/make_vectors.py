# SPDX-License-Identifier: Apache-2.0
"""Writes the known-answer files `tests/vectors/countermark-1-*.json`; `--check` only compares them.

Deterministic: inputs come from the lists below and from `Mixer`, never from a clock, a hash seed or `random`.
One case a line. Integers that may exceed 2^53 and all doubles are strings; `null` is "no layer".
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any, Iterator, Mapping, Sequence

import scenarios
from countermark import (CELLS, DEFAULT_LAYERS, VERSION, Keys, Layer, context_mac, mark_word, route, score,
                         slot_of_nonce, stream_tag)
from embedder import sample, tags_of, words_of
from scenarios import Mixer
from verifier import read_document, tally

FOLDER = Path(__file__).resolve().parent.parent / "vectors"
MASTER, MODEL, EPOCH = bytes(range(32)), "demo-model", "2026-11"
KEYS = Keys(MASTER, MODEL, EPOCH)
IDS = (0, 1, 2, 3, 4, 5, 50256, 151935, (1 << 31) - 1, 1 << 31, CELLS - 2, CELLS - 1)
Case = dict[str, Any]


def table(layers: Sequence[Layer]) -> list[Case]:
    return [layer._asdict() for layer in layers]


def keys_cases() -> Iterator[Case]:
    named = [(MASTER, MODEL, EPOCH), (bytes(32), MODEL, EPOCH), (b"\xff" * 32, MODEL, EPOCH),
             (MASTER, "m", "e"), (MASTER, "me", "e"), (MASTER, "m", "ee"), (MASTER, MODEL + "2026-11", "-"),
             (MASTER, "m" * 255, "e" * 255), (MASTER, "\u00e9" * 127 + "x", "2026-11"),
             (MASTER, "mod\u00e8le", "\u30a8\u30dd\u30c3\u30af"), (MASTER, "mode\u0300le", "\U0001f5dd\ufe0f"),
             (MASTER, "with space/and\"quote\\", "tab\there")]
    for master, model, epoch in named:
        k = Keys(master, model, epoch)
        yield {"master": master.hex(), "model": model, "epoch": epoch, "EPOCH": k.epoch.hex(),
               "Kctx": k.context.hex(), "Kcand": [key.hex() for key in k.candidate], "Kstr": k.stream.hex(),
               "Kslot": k.slot.hex(), "keyId": k.key_id}


def context_cases() -> Iterator[Case]:
    mixer = Mixer(1)
    for width in range(1, 17):
        contexts = [[0] * width, [CELLS - 1] * width, [1 << 31] * width, list(range(1, width + 1)),
                    [1] + [0] * (width - 1), [0] * (width - 1) + [1],
                    [mixer.below(CELLS) for _ in range(width)], [mixer.below(151936) for _ in range(width)]]
        for tokens in contexts[: 4 if width == 1 else 8]:
            yield {"context": tokens, "S": context_mac(KEYS, tokens).hex()}


def route_profiles() -> dict[str, tuple[Layer, ...]]:
    return scenarios.profiles(KEYS)


def route_cases() -> Iterator[Case]:
    mixer = Mixer(2)
    for name, layers in route_profiles().items():
        sequences = [[], [7], [1, 2], [1, 2, 3], [1, 2, 3, 4]] if name == "default" else [[1, 2], [9, 1, 2, 3]]
        sequences.append(list(scenarios.BOUNDARY_TOKENS))
        if name in scenarios.EDGE_TOKENS:
            sequences.append(list(scenarios.EDGE_TOKENS[name]))
        longest = max(layer.width for layer in layers)
        sequences += [[mixer.below(CELLS if i % 3 == 0 else 50257) for _ in range(1 + mixer.below(longest + 2))]
                      for i in range(12)]
        for tokens in sequences:
            routed, coins = route(KEYS, layers, tokens)
            yield {"profile": name, "tokens": tokens, "layer": routed.layer if routed else None,
                   "S": routed.s.hex() if routed else None, "coins": [list(coin) for coin in coins]}


def stream_cases() -> Iterator[Case]:
    long = bytes(1 + i % 255 for i in range(255))
    for identity in (b"", b"account-7", "\u00e9quipe \U0001f5dd".encode(), long, b"\0", b"\0\0\0\0"):
        for layer, slot in ((0, 0), (1, 0), (2, 0), (2, 7), (15, 1), (2, 65535)):
            yield {"kind": "tag", "identity": identity.hex(), "layer": layer, "slot": slot,
                   "TAG": stream_tag(KEYS, layer, identity, slot).hex()}
    for slots in (1, 2, 8, 16, 65536):
        for layer, nonce in ((0, b"\0" * 16), (2, b"\0" * 16), (2, bytes(range(16))), (2, b"n"), (15, long)):
            yield slot_case(layer, slots, nonce)
    for slots in (1, 3, 8, 65535, 65536):  # a nonce for the first slot and one for the last, by search; and none
        yield slot_case(2, slots, b"")
        for edge in (0, slots - 1):
            yield slot_case(2, slots, next(nonce for nonce in map(str.encode, map(str, range(1 << 22)))
                                           if slot_of_nonce(KEYS, 2, slots, nonce) == edge))
    for slot in (0, 1, 255, 256, 257, 32767, 32768, 65534, 65535):
        yield {"kind": "tag", "identity": b"account-7".hex(), "layer": 1, "slot": slot,
               "TAG": stream_tag(KEYS, 1, b"account-7", slot).hex()}
    tags = b"".join(stream_tag(KEYS, 2, b"account-7", slot) for slot in range(65536))
    yield {"kind": "all-tags", "identity": b"account-7".hex(), "layer": 2, "slots": 65536,
           "sha256": hashlib.sha256(tags).hexdigest()}


def slot_case(layer: int, slots: int, nonce: bytes) -> Case:
    return {"kind": "slot", "nonce": nonce.hex(), "layer": layer, "slots": slots,
            "slot": slot_of_nonce(KEYS, layer, slots, nonce)}


def word_case(layer: int, identity: bytes, slot: int, context: Sequence[int], token: int) -> Case:
    s = context_mac(KEYS, context)
    word = mark_word(KEYS, layer, s, stream_tag(KEYS, layer, identity, slot), token)
    return {"layer": layer, "identity": identity.hex(), "slot": slot, "context": list(context), "S": s.hex(),
            "token": token, "word": word, "score": score(word)}


def word_cases() -> Iterator[Case]:
    for token in (0, 1, 7, 8, 50256, CELLS - 1):
        yield word_case(2, b"account-7", 0, [1, 2, 3, 4], token)
    for layer, identity, slot, context in ((0, b"", 0, [1, 2]), (1, b"cohort-a", 0, [CELLS - 1, 0]),
                                           (2, b"account-7", 7, [5, 6, 7]), (15, b"x" * 255, 65535, list(range(16)))):
        for token in IDS:
            yield word_case(layer, identity, slot, context, token)


def score_cases() -> Iterator[Case]:
    for word in scenarios.score_words():
        yield {"word": word, "score": score(word)}


def document_cases() -> Iterator[Case]:
    streams = [(0, b"", 0), (1, b"cohort-a", 0), (1, b"cohort-b", 0)]
    streams += [(2, identity, slot) for identity in (b"account-7", b"account-8") for slot in range(8)]
    for name, tokens in scenarios.documents(KEYS).items():
        read = read_document(KEYS, DEFAULT_LAYERS, tokens)
        tallies = []
        for layer, identity, slot in streams:
            n, total = tally(KEYS, read, layer, stream_tag(KEYS, layer, identity, slot))
            tallies.append({"layer": layer, "identity": identity.hex(), "slot": slot, "n": n, "sum": str(total)})
        yield {"name": name, "tokens": tokens, "layer": [p.routed.layer if p.routed else None for p in read],
               "first": [int(p.first) for p in read],
               "n": [sum(p.first and p.routed.layer == i for p in read) for i in range(3)], "tallies": tallies}


def history_cases() -> Iterator[Case]:
    for name, profile, capacity, script in scenarios.histories():
        yield {"name": name, "profile": profile, "capacity": capacity,
               "ops": scenarios.replay(KEYS, route_profiles()[profile], capacity, script)}


def draw_cases() -> Iterator[Case]:
    for case, plan, probabilities, plain_key, position, attempt in scenarios.draws(KEYS):
        tags = {} if plan.routed is None else {plan.routed.layer: bytes.fromhex(case["TAG"])}
        drawn, marked = sample(KEYS, plan, tags, probabilities, plain_key, position, attempt)
        words = words_of(KEYS, plan if marked else None, tags, probabilities, plain_key, position, attempt)
        if drawn.margin is None or drawn.margin == 0 or drawn.margin > 1e-9:
            yield {**case, "candidates": [[token, repr(p)] for token, p in probabilities.items()],
                   "plainKey": plain_key.hex(), "position": str(position), "attempt": attempt,
                   "marked": marked, "words": list(words.values()), "token": drawn.token}


def response_cases() -> Iterator[Case]:
    for case in scenarios.RESPONSES:
        tags = tags_of(KEYS, scenarios.RESPONSE_LAYERS[case.layers], case.cohort, case.account, case.nonce)
        yield {"name": case.name, "layers": case.layers, "cohort": case.cohort, "account": case.account,
               "nonce": case.nonce.hex(), "plainKey": bytes(range(case.seed, case.seed + 16)).hex(),
               "capacity": case.capacity, "tags": {str(layer): tag.hex() for layer, tag in tags.items()},
               "ops": list(scenarios.respond(KEYS, case))}


def response_rows() -> dict[str, list[list[Any]]]:
    return {str(row): [[token, repr(p)] for token, p in scenarios.response_model(row).items()]
            for row in range(24)}


COMMON = "Keys of the head: master, model, epoch. Hex is lower case; bytes in order. "
FILES: Mapping[str, tuple[str, Any, Mapping[str, Any]]] = {
    "keys": ("Hierarchy of keys. Ids are JSON strings, hashed as UTF-8 without normalisation.", keys_cases, {}),
    "context": (COMMON + "S of exactly the listed tokens, oldest first; the width is their number.",
                context_cases, {}),
    "route": (COMMON + "Route after `tokens`; coins are [width, c, R, v before any subtraction]. Profiles *-at and "
              "*-below have a first share (of the deciding width) equal to v, and to v + 1, of the boundary tokens; in "
              "coin-* and rest-* the coin c of the case before the pseudo-random ones is itself the last or first of "
              "its share.", route_cases,
              {"profiles": lambda: {name: table(layers) for name, layers in route_profiles().items()}}),
    "stream": (COMMON + "Tags of identities (hex of their bytes), and slots of nonces (hex); all-tags: the SHA-256 of "
               "the tags of all slots from 0 on, one after the other.", stream_cases, {}),
    "word": (COMMON + "S of `context`, word of `token` under that stream, its score.", word_cases, {}),
    "score": ("Powers of two +-1 (of the word and of 2^32 - word), edges of the table's rows, and pseudo-random words.",
              score_cases, {}),
    "document": (COMMON + "One document each, default profile. layer[t] routes token t by the tokens before it; "
                 "first[t] is 1 where that routed context occurs first: these are scored, n counts them by layer. "
                 "Sums are decimal strings, unit 2^-20. Document `marked` was drawn by scenarios.generate.",
                 document_cases, {"layers": lambda: table(DEFAULT_LAYERS)}),
    "history": (COMMON + "Profiles as in countermark-1-route.json. After each operation: the plan of the next draw "
                "(for `plan`: of the draw after `path`), `layer` of its route, `length`, `entries` in H. Plain "
                "reasons, the first that holds: short, repeated, full. Full means entries (with those of the path) "
                "= capacity. Points to rewind to count commits and starts of channels.", history_cases, {}),
    "draw": (COMMON + "Candidates [id, p] in the engine's order. With `context`: plan MARK under TAG of layer, "
             "identity, slot, unless attempt > 0 or there is one candidate; without: plain. `words` are the noise of "
             "the candidates; one candidate is drawn without looking at it. The two least keys "
             "differ by more than 1e-9 of the least, or are equal (the last two cases: equal words, equal p).",
             draw_cases, {}),
    "response": (COMMON + "Whole responses. A draw stands at the tokens committed so far and `path`, in row `row` of "
                 "`rows` ([id, p]); `kind` mark, or why it is plain: one (candidate), redraw, short, repeated, full, "
                 "identity. Tags by layer, in the slot of the nonce. Points to rewind to count commits and starts of "
                 "channels.", response_cases,
                 {"profiles": lambda: {name: table(rows) for name, rows in scenarios.RESPONSE_LAYERS.items()},
                  "rows": response_rows}),
}


def build() -> dict[str, str]:
    """All files: name -> content."""
    out = {}
    for name, (comment, cases, extra) in FILES.items():
        head: Case = {"schema": "countermark.vectors/1", "mark": VERSION.decode(), "topic": name, "comment": comment}
        if comment.startswith(COMMON):
            head.update(master=MASTER.hex(), model=MODEL, epoch=EPOCH)
        lines = [f'"{key}": {json.dumps(value)}' for key, value in head.items()]
        lines += [f'"{key}": {json.dumps(value(), separators=(",", ":"))}' for key, value in extra.items()]
        body = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases())
        out[f"countermark-1-{name}.json"] = "{\n" + ",\n".join(lines) + ',\n"cases": [\n' + body + "\n]\n}\n"
    return out


def main() -> int:
    stale = 0
    for name, text in build().items():
        path = FOLDER / name
        if "--check" in sys.argv[1:]:
            same = path.exists() and path.read_bytes() == text.encode("ascii")
            stale += not same
            print(f"{'same' if same else 'DIFFERS'}  {name}")
        else:
            FOLDER.mkdir(exist_ok=True)
            path.write_bytes(text.encode("ascii"))
            print(f"{len(text):7d} bytes, {len(json.loads(text)['cases']):4d} cases  {name}")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
