# SPDX-License-Identifier: Apache-2.0
"""The numbers that the sources' own detectors print, with what is wrong with them. None of them decides for us.

`n` is the number of scored tokens, `statistic` what is summed over them or what it is reduced to, `p` and `z` what the
source makes of it. Beginning-of-sequence tokens, which some sources strip, are the caller's to leave out.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Callable, Iterable, Iterator, Mapping, NamedTuple, Sequence

from . import marks, sbw, sglang, synthid, tails, textseal, vllm
from .marks import Profile

Numbers = dict[str, Any]
SGLANG_CONTEXTS = 4096
LM_THRESHOLD, HF_THRESHOLD = 4.0, 3.0
FLOOR = 1e-200


class Tuple(NamedTuple):
    context: tuple[int, ...]
    token: int


def _tuples(tokens: Sequence[int], width: int, first: int) -> Iterator[Tuple]:
    """Those of the tokens from index `first` >= width on."""
    for i in range(first, len(tokens)):
        yield Tuple(tuple(tokens[i - width : i]), tokens[i])


def _distinct(tuples: Iterable[Tuple], dedup: str) -> list[Tuple]:
    """The first of each context, of each tuple, or all of them."""
    if dedup == "none":
        return list(tuples)
    kept: dict[Any, Tuple] = {}
    for t in tuples:
        kept.setdefault(t.context if dedup == "context" else t, t)
    return list(kept.values())


def _raws(profile: Profile, key: str, tuples: Iterable[Tuple]) -> list[Any]:
    return [marks.raw(profile, key, t.context, t.token) for t in tuples]


def _gamma(total: float, n: int, scale: Fraction = Fraction(1)) -> Numbers:
    """Q(n, S), or moment-matched to a sum whose variance is `scale` times n."""
    return {"n": n, "statistic": total, "p": tails.gamma_tail(n / scale, total / float(scale))}


def _mixed(raws: Sequence[Sequence[int]], score: Callable[[int], float], share_a: Fraction) -> Numbers:
    """Both keys' scores, weighted by their shares, and the tail of a matched Gamma."""
    a, b = float(share_a), float(1 - share_a)
    total = math.fsum(a * score(first) + b * score(second) for first, second in raws)
    return _gamma(total, len(raws), share_a**2 + (1 - share_a) ** 2)


def _padded(profile: Profile, tokens: Sequence[int]) -> list[Tuple]:
    """vLLM: every token is scored; by default the first of each context."""
    contexts = vllm.padded_contexts(tokens, profile["contextWidth"])
    return _distinct(map(Tuple, contexts, tokens), profile["dedup"])


def vllm_gumbel(profile: Profile, key: str, tokens: Sequence[int]) -> Numbers:
    raws = _raws(profile, key, _padded(profile, tokens))
    return _gamma(math.fsum(vllm.score(raw[0]) for raw in raws), len(raws))


def vllm_dual(profile: Profile, key: str, tokens: Sequence[int]) -> Numbers:
    raws = _raws(profile, key, _padded(profile, tokens))
    return _mixed(raws, vllm.score, 1 - Fraction(profile["mixing"]))


def vllm_synthid(profile: Profile, key: str, tokens: Sequence[int]) -> Numbers:
    raws = _raws(profile, key, _padded(profile, tokens))
    ones = sum(raw[0].count("1") for raw in raws)
    return {"n": len(raws), "statistic": ones,
            "p": tails.binomial_tail(len(raws) * profile["depth"], ones, Fraction(1, 2))}


def vllm_sbw(profile: Profile, key: str, tokens: Sequence[int]) -> Numbers:
    """Its detector seeds `lefthash` otherwise than its generator does."""
    gamma, (number,) = Fraction(profile["gamma"]), marks.parse_key(key)
    tuples = _padded(profile, tokens)
    green = 0
    for t in tuples:
        seed = (sbw.selfhash_seed(number, [*t.context[1:], t.token]) if profile["prf"] == "selfhash"
                else sbw.lefthash_detector_seed(number, t.context))
        green += sbw.is_green(seed, t.token, gamma)
    z = tails.z_of(green, len(tuples), gamma)
    return {"n": len(tuples), "statistic": green, "z": z, "p": tails.normal_tail(z)}


def sglang_gumbel(profile: Profile, key: str, tokens: Sequence[int], prompt: Sequence[int]) -> Numbers:
    """Contexts begin in the prompt; where it is not known, the first tokens are not scored. Both modes."""
    width = profile["contextWidth"]
    if prompt and len(prompt) < width:
        raise ValueError("prompt: at least a context expected")
    tuples = _distinct(_tuples([*prompt, *tokens], width, len(prompt) or width), "context")[:SGLANG_CONTEXTS]
    raws = _raws(profile, key, tuples)
    return _gamma(math.fsum(sglang.score(raw[0]) for raw in raws), len(raws))


def _green_z(profile: Profile, key: str, tuples: Sequence[Tuple]) -> Numbers:
    green = sum(raw[0] for raw in _raws(profile, key, tuples))
    return {"n": len(tuples), "statistic": green, "z": tails.z_of(green, len(tuples), Fraction(profile["gamma"]))}


def transformers_kgw(profile: Profile, key: str, tokens: Sequence[int]) -> Numbers:
    """As of release 5.23. Older ones remove no repeats when asked to, and print `pOlder`, in double arithmetic."""
    width = marks.reads(profile)
    numbers = _green_z(profile, key, _distinct(_tuples(tokens, width, width), profile["dedup"]))
    return {**numbers, "p": tails.normal_tail(numbers["z"]), "pOlder": tails.hf_printed(numbers["z"]),
            "decision": numbers["z"] > HF_THRESHOLD}


def lm_watermarking(profile: Profile, key: str, tokens: Sequence[int]) -> Numbers:
    width = marks.reads(profile)
    numbers = _green_z(profile, key, _distinct(_tuples(tokens, width, width), profile["dedup"]))
    return {**numbers, "p": tails.normal_tail(numbers["z"]), "decision": numbers["z"] > LM_THRESHOLD}


def synthid_means(profile: Profile, key: str, tokens: Sequence[int]) -> Numbers:
    """Mean g, and its mean with weights from 10 down to 1 over the depths."""
    width, depth, keys = profile["contextWidth"], profile["depth"], marks.parse_key(key)
    tuples = list(_tuples(tokens, width, width))
    table = profile["scheme"] == "hf-synthid/1"
    hashes = [synthid.hf_context_hash(t.context) if table else synthid.context_hash(keys, t.context) for t in tuples]
    scored = [t for t, first in zip(tuples, synthid.first_occurrences(hashes)) if first]
    rows = [[int(bit) for bit in raw[0]] for raw in _raws(profile, key, scored)]
    weights = [10 - 9 * Fraction(d, max(depth - 1, 1)) for d in range(depth)]
    scale = depth / sum(weights)
    weighted = sum(scale * w * bit for row in rows for w, bit in zip(weights, row))
    cells = depth * len(rows)
    return {"n": len(rows), "statistic": sum(map(sum, rows)) / cells, "weighted": float(weighted / cells)}


def three_bricks(profile: Profile, key: str, tokens: Sequence[int]) -> Numbers:
    """One token more than the context is skipped."""
    width = profile["contextWidth"]
    tuples = _distinct(_tuples(tokens, width, width + 1), profile["dedup"])
    green = sum(raw[0] for raw in _raws(profile, key, tuples))
    p = tails.binomial_tail(len(tuples), green, Fraction(profile["gamma"]))
    return {"n": len(tuples), "statistic": green, "p": max(p, FLOOR)}


def text_seal(profile: Profile, key: str, tokens: Sequence[int]) -> Numbers:
    """Without the entropies that a model would give; green lists by mid-p. One token more is skipped here too."""
    width = profile["contextWidth"]
    tuples = _distinct(_tuples(tokens, width, width + 1), profile["dedup"])
    raws = _raws(profile, key, tuples)
    if profile["prf"] == "textseal":
        return _mixed(raws, textseal.score, Fraction(profile["mixing"]))
    if profile["prf"] == "gumbelmax":
        numbers = _gamma(math.fsum(textseal.score(raw[0]) for raw in raws), len(raws))
    else:
        green = sum(raw[0] for raw in raws)
        numbers = {"n": len(raws), "statistic": green,
                   "p": tails.binomial_mid(len(raws), green, Fraction(profile["gamma"]))}
    return {**numbers, "p": max(numbers["p"], FLOOR)}


DETECTORS: Mapping[str, Callable[..., Numbers]] = {
    "vllm-gumbel/philox4x32-10-v1": vllm_gumbel,
    "vllm-dual-gumbel/philox4x32-10-v1": vllm_dual,
    "vllm-sbw/1": vllm_sbw,
    "vllm-synthid/1": vllm_synthid,
    "sglang-gumbel/1": sglang_gumbel,
    "sglang-dual-gumbel/1": sglang_gumbel,
    "hf-kgw/1": transformers_kgw,
    "hf-synthid/1": synthid_means,
    "synthid-text/2025-06": synthid_means,
    "lm-watermarking/1": lm_watermarking,
    "three-bricks-greenlist/1": three_bricks,
    "textseal/1": text_seal,
}  # TGI has no detector


def published(profile: Profile, key: str, tokens: Sequence[int], prompt: Sequence[int] = ()) -> Numbers:
    """Numbers as the source computes them; those that mpmath or double give are rounded to 12 digits."""
    detector = DETECTORS[profile["scheme"]]
    numbers = detector(profile, key, tokens, prompt) if detector is sglang_gumbel else detector(profile, key, tokens)
    return {name: value if isinstance(value, (int, bool)) else float(f"{float(value):.11e}")
            for name, value in numbers.items()}
