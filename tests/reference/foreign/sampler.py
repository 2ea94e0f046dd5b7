# SPDX-License-Identifier: Apache-2.0
"""Text with a foreign mark, drawn as the scheme's own sampler draws it: a row of logits, a context, a token.

Ordinary randomness is two uniforms a position, of AES under a plain key: the first chooses among keys that no
verifier can tell apart, the second the token. A draw that rounding might decide otherwise is refused, not written.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Mapping, NamedTuple, Sequence

from aes import Aes128

from . import marks, murmur3, textseal, vllm
from .integers import float32
from .marks import Profile

PADDING: Mapping[str, int] = {
    "vllm-gumbel/philox4x32-10-v1": vllm.PAD, "vllm-dual-gumbel/philox4x32-10-v1": vllm.PAD,
    "vllm-synthid/1": vllm.PAD, "vllm-sbw/1": vllm.PAD, "hf-synthid/1": 0, "synthid-text/2025-06": 0,
}
# Candidates, from the likeliest on, that a self-salted list is made for.
TESTED: Mapping[str, int] = {"hf-kgw/1": 40, "lm-watermarking/1": 41}
MARGIN = 1e-9
Law = dict[int, float]


class Options(NamedTuple):
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0


class Drawn(NamedTuple):
    token: int
    kind: str
    law: Law


def ranked(logits: Mapping[int, float]) -> list[int]:
    return sorted(logits, key=lambda token: (-logits[token], token))


def truncated(logits: Mapping[int, float], options: Options) -> Law:
    order = ranked(logits)[: options.top_k or None]
    weights = [math.exp((logits[token] - logits[order[0]]) / options.temperature) for token in order]
    wanted = math.fsum(weights) * options.top_p
    kept = next((i for i in range(1, len(order)) if math.fsum(weights[:i]) >= wanted), len(order))
    return normal({token: weight for token, weight in zip(order[:kept], weights)})


def normal(weights: Law) -> Law:
    total = math.fsum(weights.values())
    return {token: weights[token] / total for token in sorted(weights)}


def uniform(scheme: str, value: int) -> float:
    if scheme.startswith("vllm"):
        return vllm.uniform(value)
    if scheme.startswith("sglang"):
        return (value + 0.5) / 2**32
    return float32(textseal.uniform(value) + 1e-30)


def tournament(law: Law, g: Mapping[int, str]) -> Law:
    """Layer by layer: p <- p (1 + g - sum of g p)."""
    for layer in range(len(next(iter(g.values())))):
        ones = math.fsum(p for token, p in law.items() if g[token][layer] == "1")
        law = {token: p * (1 + int(g[token][layer]) - ones) for token, p in law.items()}
    return law


def pick(law: Law, at: float) -> int:
    total = 0.0
    for token in sorted(law):
        total += law[token]
        if law[token] > 0 and abs(at - total) < MARGIN:
            raise ArithmeticError("too close to an edge")
        if at < total:
            return token
    raise ArithmeticError("beyond the last token")


def race(law: Law, uniforms: Mapping[int, float]) -> int:
    arrivals = {token: -math.log(uniforms[token]) / p for token, p in law.items()}
    first, *others = sorted(law, key=lambda token: (arrivals[token], token))
    if others and arrivals[others[0]] != arrivals[first] and arrivals[others[0]] < arrivals[first] * (1 + MARGIN):
        raise ArithmeticError("too close a race")
    return first


class Sampler:
    def __init__(self, profile: Profile, key: str, plain_key: bytes, prompt: Sequence[int]) -> None:
        self.profile, self.key, self.scheme = profile, key, profile["scheme"]
        self.cipher = Aes128(plain_key)
        self.padding = PADDING.get(self.scheme)
        self.before = list(prompt) if self.padding is None or profile["prompt"] == "included" else []
        self.contexts: list[object] = []  # of all positions

    def _context(self) -> tuple[int, ...] | None:
        width = marks.reads(self.profile)
        missing = max(0, width - len(self.before))
        if missing and self.padding is None:
            return None
        return (self.padding or 0,) * missing + tuple(self.before[len(self.before) - width + missing :])

    def _name(self, context: tuple[int, ...]) -> object:
        """What the source compares contexts by: SGLang's hash of 32 bits has collisions."""
        return murmur3.murmur(context) if self.scheme.startswith("sglang") else context

    def _uniforms(self) -> tuple[float, float]:
        words = self.cipher.encrypt(len(self.contexts).to_bytes(8, "little") + bytes(8))
        first, second = (int.from_bytes(words[i : i + 8], "little") >> 11 for i in (0, 8))
        return first / 2**53, second / 2**53

    def _values(self, context: tuple[int, ...], tokens: Sequence[int]) -> dict[int, list]:
        return {token: marks.raw(self.profile, self.key, context, token) for token in tokens}

    def draw(self, logits: Mapping[int, float], options: Options) -> Drawn:
        context, plain = self._context(), truncated(logits, options)
        limit = self.profile.get("historyLimit", 0)  # 0: no bound
        remembers = "historyLimit" in self.profile and self.profile["dedup"] == "context"
        kind = "short-context" if context is None else "marked"
        if remembers and context is not None and self._name(context) in self.contexts[-limit:]:
            kind = "repeated"
        coin, at = self._uniforms()
        law = plain
        if kind == "marked":
            assert context is not None
            law, winner = self._marked(context, logits, options, plain, coin)
            if winner is not None and len(law) > 1:
                return Drawn(winner, kind, law)
        if len(law) == 1:
            return Drawn(next(iter(law)), "one-candidate", law)
        return Drawn(pick(law, at), kind, law)

    def _marked(self, context: tuple[int, ...], logits: Mapping[int, float], options: Options, plain: Law,
                coin: float) -> tuple[Law, int | None]:
        """The law that an ordinary draw follows, or a Gumbel mark's token."""
        if "delta" in self.profile:
            if self.scheme == "textseal/1":
                green = self._values(context, list(plain))
                factor = math.exp(self.profile["delta"])
                return normal({t: p * factor if green[t] == [1] else p for t, p in plain.items()}), None
            tested = ranked(logits)
            if marks.is_self_salted(self.profile):
                tested = tested[: TESTED.get(self.scheme)]
            green = self._values(context, tested)
            delta = self.profile["delta"]
            return truncated({t: l + delta if green.get(t) == [1] else l for t, l in logits.items()}, options), None
        values = self._values(context, list(plain))
        if "depth" in self.profile:
            return tournament(plain, {token: value[0] for token, value in values.items()}), None
        share = Fraction(self.profile.get("mixing", 1))
        second = 0
        if len(values[next(iter(values))]) == 2:  # vLLM gives the second key's share, TextSeal the first's
            second = int(coin >= (1 - share if self.scheme.startswith("vllm") else share))
        uniforms = {token: uniform(self.scheme, value[second]) for token, value in values.items()}
        return plain, race(plain, uniforms)

    def commit(self, token: int) -> None:
        context = self._context()
        self.contexts.append(None if context is None else self._name(context))
        self.before.append(token)
