# SPDX-License-Identifier: Apache-2.0
"""The cases of `tests/vectors/foreign-draws.json`: texts that every scheme's sampler draws from rows of toy logits."""

from __future__ import annotations

from typing import Any, Iterator, Mapping

from . import kgw, synthid
from .marks import profile
from .sampler import Options, Sampler

PLAIN_KEY = bytes(range(16))
LENGTH = 60
LAWS = (6, 20)  # positions whose whole law is written
LISTS = {"vocabSize": 150}
SYNTHID_KEYS = "ints:" + ",".join(map(str, synthid.DEFAULT_KEYS))
DEFAULT = f"int:{kgw.DEFAULT_KEY}"
HEX = "hex:0123456789abcdeffedcba9876543210"
PROMPTS = ([], [9, 3, 11, 30, 2])
WIDE = {"vocabulary": 128, "options": Options()}
NARROW = {"vocabulary": 24, "options": Options(temperature=0.75, top_k=6, top_p=0.9)}
SOURCES: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("vllm-gumbel/philox4x32-10-v1", "int:42", {}),
    ("vllm-gumbel/philox4x32-10-v1", "int:42", {"contextWidth": 1, "historyLimit": 5}),
    ("vllm-gumbel/philox4x32-10-v1", "int:43", {"contextWidth": 2, "historyLimit": 0, "prompt": "included"}),
    ("vllm-dual-gumbel/philox4x32-10-v1", "int:42", {"mixing": "1/4"}),
    ("vllm-sbw/1", "int:42", {}),
    ("vllm-sbw/1", "int:42", {"prf": "lefthash", "contextWidth": 1, "gamma": "1/4"}),
    ("vllm-synthid/1", "int:42", {"depth": 5, "contextWidth": 2}),
    ("sglang-gumbel/1", "hex:0123456789abcdef", {"contextWidth": 2}),
    ("sglang-dual-gumbel/1", HEX, {"contextWidth": 1}),
    ("hf-kgw/1", DEFAULT, LISTS),
    ("hf-kgw/1", DEFAULT, {**LISTS, "prf": "selfhash", "contextWidth": 4, "delta": 1.5}),
    ("hf-synthid/1", SYNTHID_KEYS, {}),
    ("synthid-text/2025-06", SYNTHID_KEYS, {}),
    ("synthid-text/2025-06", "ints:42,-7", {"contextWidth": 1, "depth": 2, "historyLimit": 9}),
    ("lm-watermarking/1", DEFAULT, LISTS),
    ("lm-watermarking/1", DEFAULT, {**LISTS, "contextWidth": 1, "prf": "additive", "selfSalt": False}),
    ("lm-watermarking/1", DEFAULT, {**LISTS, "contextWidth": 2, "prf": "minhash", "selfSalt": False}),
    ("tgi-kgw/1", DEFAULT, LISTS),
    ("three-bricks-greenlist/1", "int:7", {**LISTS, "contextWidth": 2}),
    ("textseal/1", "int:42", {}),
    ("textseal/1", "int:42", {"prf": "textseal", "contextWidth": 2, "mixing": "1/4"}),
    ("textseal/1", "int:42", {"prf": "greenlist", "contextWidth": 2}),
)


def logits(position: int, vocabulary: int) -> dict[int, float]:
    return {token: ((37 * token + 17 * position) % 131 - 56) / 16 for token in range(vocabulary)}


def cases() -> Iterator[dict[str, Any]]:
    for scheme, key, changes in SOURCES:
        for setting, prompt in ((WIDE, PROMPTS[0]), (NARROW, PROMPTS[1])):
            sampler = Sampler(profile(scheme, **changes), key, PLAIN_KEY, prompt)
            ids, kinds, laws = [], "", {}
            for position in range(LENGTH):
                drawn = sampler.draw(logits(position, setting["vocabulary"]), setting["options"])
                sampler.commit(drawn.token)
                ids.append(drawn.token)
                kinds += drawn.kind[0]
                if position in LAWS:
                    laws[str(position)] = [[token, float(f"{p:.12g}")] for token, p in drawn.law.items()]
            yield {"profile": sampler.profile, "key": key, "prompt": prompt, "vocabulary": setting["vocabulary"],
                   "options": list(setting["options"]), "ids": ids, "kinds": kinds, "laws": laws}
