# SPDX-License-Identifier: Apache-2.0
"""Profile, key, context, token -> raw values: what every scheme's score is made of.

Gumbel marks: the integer of their uniform (vLLM 24 bits, SGLang 32 bits, TextSeal modulo 8191), of key A and of key B
where no keyed coin tells them apart. Green lists: 1 green, 0 red. SynthID: a string of bits, depth 0 first.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Callable, Mapping, NamedTuple, Sequence

from . import kgw, sbw, sglang, synthid, textseal, three_bricks, vllm

Profile = Mapping[str, Any]
Raw = list[int] | list[str]
Keys = Sequence[int]


def parse_key(text: str) -> list[int]:
    """`int:42`, `ints:654,400`, `hex:` of 1 to 16 digits, or of 32: two keys."""
    kind, _, value = text.partition(":")
    if kind == "hex":
        return [int(value[i : i + 16], 16) for i in range(0, len(value), 16)]
    if kind not in ("int", "ints"):
        raise ValueError("key: int:, ints: or hex: expected")
    return [int(item) for item in value.split(",")]


def is_self_salted(profile: Profile) -> bool:
    return profile.get("selfSalt", False) or profile.get("prf") == "selfhash"


def reads(profile: Profile) -> int:
    """Number of previous tokens that a raw value depends on."""
    return profile["contextWidth"] - is_self_salted(profile)


def _ratio(profile: Profile, field: str) -> Fraction:
    return Fraction(profile[field])


def _green(profile: Profile, seed: int, token: int) -> list[int]:
    return [int(kgw.is_green(seed, token, profile["vocabSize"], _ratio(profile, "gamma")))]


def _vllm_dual(profile: Profile, keys: Keys, context: Keys, token: int) -> list[int]:
    return [vllm.cell(key, context, token) for key in vllm.split_key(keys[0])]


def _sbw(profile: Profile, keys: Keys, context: Keys, token: int) -> list[int]:
    seed = (sbw.selfhash_seed(keys[0], [*context, token]) if is_self_salted(profile)
            else sbw.lefthash_seed(keys[0], context))
    return [int(sbw.is_green(seed, token, _ratio(profile, "gamma")))]


def _sglang_dual(profile: Profile, keys: Keys, context: Keys, token: int) -> list[int]:
    return [sglang.dual_word(keys[0], keys[1], context, token, _ratio(profile, "mixing"))]


def _hf(profile: Profile, keys: Keys, context: Keys, token: int) -> list[int]:
    value = (kgw.hf_selfhash([*context, token], keys[0]) if is_self_salted(profile)
             else kgw.hf_lefthash(context, keys[0]))
    return _green(profile, kgw.seed_of(value), token)


def lm_seed(profile: Profile, keys: Keys, context: Keys, token: int) -> int:
    ids = [*context, token] if is_self_salted(profile) else context
    return kgw.seed_of(kgw.LM_PRFS[profile["prf"]](ids, keys[0]))


def _lm(profile: Profile, keys: Keys, context: Keys, token: int) -> list[int]:
    return _green(profile, lm_seed(profile, keys, context, token), token)


def _three_bricks(profile: Profile, keys: Keys, context: Keys, token: int) -> list[int]:
    return _green(profile, three_bricks.seed_of(keys[0], context, profile["saltKey"]), token)


def textseal_keys(keys: Keys) -> tuple[int, int]:
    return (keys[0], keys[1]) if len(keys) == 2 else (keys[0], keys[0] + textseal.KEY_B_OFFSET)


def _textseal(profile: Profile, keys: Keys, context: Keys, token: int) -> list[int]:
    a, b = textseal_keys(keys)
    levels = [textseal.level(key, context, token) for key in ((a, b) if profile["prf"] == "textseal" else (a,))]
    return [int(textseal.is_green(levels[0], _ratio(profile, "gamma")))] if profile["prf"] == "greenlist" else levels


def _bits(g: Sequence[int]) -> list[str]:
    return ["".join(map(str, g))]


class Scheme(NamedTuple):
    raw: Callable[[Profile, Keys, Sequence[int], int], Raw]
    fields: tuple[str, ...]  # of the profile, besides those of COMMON


COMMON = ("scheme", "contextWidth", "dedup", "firstPosition", "prompt", "historyLimit")
GREEN = ("gamma", "delta", "vocabSize")
SCHEMES: Mapping[str, Scheme] = {
    "vllm-gumbel/philox4x32-10-v1": Scheme(lambda p, k, c, t: [vllm.cell(k[0], c, t)], ()),
    "vllm-dual-gumbel/philox4x32-10-v1": Scheme(_vllm_dual, ("mixing",)),
    "vllm-sbw/1": Scheme(_sbw, ("prf", "gamma", "delta")),
    "vllm-synthid/1": Scheme(lambda p, k, c, t: _bits(vllm.g_bits(k[0], c, t, p["depth"])), ("depth",)),
    "sglang-gumbel/1": Scheme(lambda p, k, c, t: [sglang.word(k[0], c, t)], ()),
    "sglang-dual-gumbel/1": Scheme(_sglang_dual, ("mixing",)),
    "hf-kgw/1": Scheme(_hf, ("prf", *GREEN)),
    "hf-synthid/1": Scheme(lambda p, k, c, t: _bits(synthid.hf_g(k, c, t, p["tableSize"])), ("depth", "tableSize")),
    "synthid-text/2025-06": Scheme(lambda p, k, c, t: _bits(synthid.g(k, c, t)), ("depth",)),
    "lm-watermarking/1": Scheme(_lm, ("prf", "selfSalt", *GREEN)),
    "tgi-kgw/1": Scheme(lambda p, k, c, t: _green(p, k[0] * c[-1], t), GREEN),
    "three-bricks-greenlist/1": Scheme(_three_bricks, ("saltKey", *GREEN)),
    "textseal/1": Scheme(_textseal, ("prf", "gamma", "delta", "mixing")),
}


def raw(profile: Profile, key: str, context: Sequence[int], token: int) -> Raw:
    """`context`: exactly the reads(profile) previous tokens, oldest first."""
    if len(context) != reads(profile):
        raise ValueError(f"context: {reads(profile)} tokens expected")
    return SCHEMES[profile["scheme"]].raw(profile, parse_key(key), context, token)
