# SPDX-License-Identifier: Apache-2.0
"""Profile, key, context, token -> raw values: what every scheme's score is made of.

Gumbel marks: the integer of their uniform (vLLM 24 bits, SGLang 32 bits, TextSeal modulo 8191), of key A and of key B
where no keyed coin tells them apart. Green lists: 1 green, 0 red. SynthID: a string of bits, depth 0 first.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Callable, Mapping, Sequence

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


def _vllm_dual(profile: Profile, keys: Keys, context: Keys, token: int) -> list[int]:
    return [vllm.cell(key, context, token) for key in vllm.split_key(keys[0])]


def _sbw(profile: Profile, keys: Keys, context: Keys, token: int) -> list[int]:
    seed = (sbw.selfhash_seed(keys[0], [*context, token]) if is_self_salted(profile)
            else sbw.lefthash_seed(keys[0], context))
    return [int(sbw.is_green(seed, token, _ratio(profile, "gamma")))]


def _sglang_dual(profile: Profile, keys: Keys, context: Keys, token: int) -> list[int]:
    return [sglang.dual_word(keys[0], keys[1], context, token, _ratio(profile, "mixing"))]


def list_seed(profile: Profile, keys: Keys, context: Keys, token: int) -> int:
    """What the generator of a token's green list is seeded with."""
    scheme, key = profile["scheme"], keys[0]
    ids = [*context, token] if is_self_salted(profile) else context
    if scheme == "three-bricks-greenlist/1":
        return three_bricks.seed_of(key, ids, profile["saltKey"])
    if scheme == "tgi-kgw/1":
        return key * ids[-1]
    if scheme == "lm-watermarking/1":
        return kgw.seed_of(kgw.LM_PRFS[profile["prf"]](ids, key))
    return kgw.seed_of((kgw.hf_selfhash if is_self_salted(profile) else kgw.hf_lefthash)(ids, key))


def _list(profile: Profile, keys: Keys, context: Keys, token: int) -> list[int]:
    seed = list_seed(profile, keys, context, token)
    return [int(kgw.is_green(seed, token, profile["vocabSize"], _ratio(profile, "gamma")))]


def textseal_keys(keys: Keys) -> tuple[int, int]:
    return (keys[0], keys[1]) if len(keys) == 2 else (keys[0], keys[0] + textseal.KEY_B_OFFSET)


def _textseal(profile: Profile, keys: Keys, context: Keys, token: int) -> list[int]:
    a, b = textseal_keys(keys)
    levels = [textseal.level(key, context, token) for key in ((a, b) if profile["prf"] == "textseal" else (a,))]
    return [int(textseal.is_green(levels[0], _ratio(profile, "gamma")))] if profile["prf"] == "greenlist" else levels


def _bits(g: Sequence[int]) -> list[str]:
    return ["".join(map(str, g))]


RAW: Mapping[str, Callable[[Profile, Keys, Sequence[int], int], Raw]] = {
    "vllm-gumbel/philox4x32-10-v1": lambda p, k, c, t: [vllm.cell(k[0], c, t)],
    "vllm-dual-gumbel/philox4x32-10-v1": _vllm_dual,
    "vllm-sbw/1": _sbw,
    "vllm-synthid/1": lambda p, k, c, t: _bits(vllm.g_bits(k[0], c, t, p["depth"])),
    "sglang-gumbel/1": lambda p, k, c, t: [sglang.word(k[0], c, t)],
    "sglang-dual-gumbel/1": _sglang_dual,
    "hf-kgw/1": _list,
    "hf-synthid/1": lambda p, k, c, t: _bits(synthid.hf_g(k, c, t, p["tableSize"])),
    "synthid-text/2025-06": lambda p, k, c, t: _bits(synthid.g(k, c, t)),
    "lm-watermarking/1": _list,
    "tgi-kgw/1": _list,
    "three-bricks-greenlist/1": _list,
    "textseal/1": _textseal,
}
VLLM = {"contextWidth": 4, "dedup": "context", "firstPosition": 0, "prompt": "excluded", "historyLimit": 8192}
SGLANG = {"contextWidth": 4, "dedup": "context", "prompt": "included", "historyLimit": 4096}
SYNTHID = {"contextWidth": 4, "depth": 30, "dedup": "context", "prompt": "excluded", "historyLimit": synthid.HISTORY}
GREEN = {"vocabSize": 50257, "gamma": "1/4", "delta": 2.0}
# The sources' own values; three_bricks has none for width and dedup.
DEFAULTS: Mapping[str, Profile] = {
    "vllm-gumbel/philox4x32-10-v1": VLLM,
    "vllm-dual-gumbel/philox4x32-10-v1": {**VLLM, "mixing": "1/10"},
    "vllm-sbw/1": {**VLLM, "prf": "selfhash", "gamma": "1/2", "delta": 2.0},
    "vllm-synthid/1": {**VLLM, "depth": 32},
    "sglang-gumbel/1": SGLANG,
    "sglang-dual-gumbel/1": {**SGLANG, "mixing": "1/2"},
    "hf-kgw/1": {"contextWidth": 1, "prf": "lefthash", **GREEN, "dedup": "none", "prompt": "excluded"},
    "hf-synthid/1": {**SYNTHID, "tableSize": synthid.TABLE_SIZE},
    "synthid-text/2025-06": SYNTHID,
    "lm-watermarking/1": {"contextWidth": 4, "prf": "anchored-minhash", "selfSalt": True, **GREEN, "dedup": "tuple",
                          "prompt": "excluded"},
    "tgi-kgw/1": {"contextWidth": 1, **GREEN, "gamma": "1/2", "dedup": "tuple", "prompt": "excluded"},
    "three-bricks-greenlist/1": {"contextWidth": 1, "saltKey": three_bricks.SALT, **GREEN, "gamma": "1/2",
                                 "delta": 1.0, "dedup": "none", "prompt": "excluded"},
    "textseal/1": {"contextWidth": 1, "prf": "gumbelmax", "dedup": "tuple", "prompt": "excluded"},
}
TEXTSEAL = {"gumbelmax": {}, "textseal": {"mixing": "1/2"}, "greenlist": {"gamma": "1/2", "delta": 2.0}}
SKIPS_ONE_MORE = {"three-bricks-greenlist/1", "textseal/1"}


def profile(scheme: str, **changes: Any) -> Profile:
    """Complete: every field of the scheme. The first position follows the width."""
    fields = {"scheme": scheme, **DEFAULTS[scheme]}
    if scheme == "textseal/1":
        fields.update(TEXTSEAL[changes.get("prf", fields["prf"])])
    unknown = changes.keys() - fields.keys() - {"firstPosition"}
    if unknown:
        raise ValueError(f"{scheme}: no field {', '.join(sorted(unknown))}")
    fields.update(changes)
    fields.setdefault("firstPosition", reads(fields) + (scheme in SKIPS_ONE_MORE))
    return fields


def raw(profile: Profile, key: str, context: Sequence[int], token: int) -> Raw:
    """`context`: exactly the reads(profile) previous tokens, oldest first."""
    if len(context) != reads(profile):
        raise ValueError(f"context: {reads(profile)} tokens expected")
    return RAW[profile["scheme"]](profile, parse_key(key), context, token)
