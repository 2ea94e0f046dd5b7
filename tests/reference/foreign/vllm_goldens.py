# SPDX-License-Identifier: Apache-2.0
"""vLLM's own goldens (its tests/watermarking, golden schema 3): settings, and what its detectors print for them.

Tokens are not listed: they are generated again by `generate`, and a wrong one would show in the score.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from . import marks, sbw, vllm
from .golden import gumbel
from .integers import float32

TOP = 2**64 - 1


class Fixture(NamedTuple):
    vocabulary: int = 128
    length: int = 64
    dominant_bias: int = 0  # of token 3, in sixteenths; 0: none
    prompt: tuple[int, ...] = ()

    def logits(self, position: int) -> list[float]:
        values = [(37 * token + 17 * position) % 131 - 56 for token in range(self.vocabulary)]
        values[3] += self.dominant_bias
        return [value / 16 for value in values]


BALANCED = Fixture()
PROMPTED = Fixture(prompt=(46, 42, 38, 34, 122))
REPETITIVE = Fixture(16, 48, 52)
MIDDLE = Fixture(8, 64, 16)
SHORT = Fixture(16, 8)


class Golden(NamedTuple):
    name: str
    scheme: str  # gumbel, dual, sbw
    key: int
    n: int
    statistic: float
    p: float
    width: int = 4
    mixing: str = "1/10"
    detection_mixing: str = ""  # "": the same
    detection_key: int = -1  # -1: the same
    scope: str = "single_turn"
    history: int = 8192  # 0: without a bound
    dedup: str = "context"  # the detector's
    fixture: Fixture = BALANCED


GOLDENS = (
    Golden("gumbel-key0-cw1", "gumbel", 0, 54, 236.2768211235414, 4.532248480235615e-47, width=1),
    Golden("gumbel-key42-cw4", "gumbel", 42, 64, 296.27295787856264, 7.128196280874065e-61),
    Golden("gumbel-key42-cw4-wrong-key", "gumbel", 42, 64, 63.25096716585621, 0.5208447936891313, detection_key=43),
    Golden("gumbel-key2p32-cw5-no-dedup", "gumbel", 2**32, 64, 263.04926919645095, 1.1027575381260964e-49, width=5,
           scope="none", dedup="none"),
    Golden("gumbel-keymax-cw16-all", "gumbel", TOP, 64, 220.2767573421712, 6.166345567165398e-36, width=16, scope="all"),
    Golden("gumbel-key42-cw4-all", "gumbel", 42, 64, 278.8159437407263, 6.0283750962334736e-55, scope="all"),
    Golden("gumbel-key42-cw4-all-prompt", "gumbel", 42, 64, 282.2076506349452, 4.330336079473992e-56, scope="all",
           fixture=PROMPTED),
    Golden("gumbel-key42-cw4-mid-history8", "gumbel", 42, 58, 113.89758610123921, 2.772032243308163e-09, history=8,
           fixture=MIDDLE),
    Golden("gumbel-key42-cw4-mid-history-none", "gumbel", 42, 58, 110.81134114351678, 1.3019898400616044e-08, history=0,
           fixture=MIDDLE),
    Golden("gumbel-key42-cw4-mid-no-dedup", "gumbel", 42, 64, 127.21876922102206, 2.136704912577492e-10, history=0,
           scope="none", dedup="none", fixture=MIDDLE),
    Golden("gumbel-key42-cw4-mid-all", "gumbel", 42, 58, 110.3077257312174, 1.6692708568346358e-08, history=0,
           scope="all", fixture=MIDDLE),
    Golden("gumbel-key42-cw4-near-threshold", "gumbel", 42, 8, 19.672172609864035, 0.0009697880157637389, fixture=SHORT),
    Golden("gumbel-repeated-cw1", "gumbel", 42, 15, 34.40948699058768, 6.97501804959627e-05, width=1,
           fixture=REPETITIVE),
    Golden("gumbel-repeated-cw4-all", "gumbel", 42, 47, 92.47607252164309, 6.687298332875021e-08, scope="all",
           fixture=REPETITIVE),
    Golden("dual-key0-cw1-alpha0", "dual", 0, 55, 229.87923167230588, 2.7410983620034455e-44, width=1, mixing="0"),
    Golden("dual-key0-cw4-alpha0.1", "dual", 0, 64, 241.81126265648692, 1.234132682420224e-51),
    Golden("dual-key42-cw4-alpha-mismatch", "dual", 42, 64, 215.24386344560963, 1.6569954931292397e-49,
           detection_mixing="1/5"),
    Golden("dual-key2p32-cw5-alpha0.5", "dual", 2**32, 64, 162.0665949787407, 6.733621085489817e-36, width=5,
           mixing="1/2"),
    Golden("dual-keymax-cw16-alpha1", "dual", TOP, 64, 270.9771333793902, 2.5582243247165326e-52, width=16, mixing="1"),
    Golden("dual-keymax-cw4-alpha0.4", "dual", TOP, 64, 177.98266424643373, 5.9713149418801004e-43, mixing="2/5"),
    Golden("dual-key7-cw4-near-threshold", "dual", 7, 8, 17.2829982488662, 0.002130807652336366, fixture=SHORT),
    Golden("dual-repeated-cw1", "dual", 42, 13, 23.896456918277963, 0.002750266035191538, width=1, fixture=REPETITIVE),
    Golden("dual-repeated-cw4-all", "dual", 42, 47, 82.86886159792212, 8.656644652657153e-07, scope="all",
           fixture=REPETITIVE),
    Golden("sbw-key0-cw1", "sbw", 0, 52, 52, 2.775031740611356e-13, width=1),
    Golden("sbw-key42-cw4", "sbw", 42, 64, 64, 6.220960574271819e-16),
    Golden("sbw-key42-cw4-wrong-key", "sbw", 42, 64, 25, 0.9599408431361829, detection_key=43),
    Golden("sbw-repeated-cw4", "sbw", 42, 25, 24, 2.1124547025028592e-06, fixture=REPETITIVE),
)

# A golden ratio's multiples: the coins of the dual goldens.
COINS = [round((i + 1) * (5**0.5 - 1) / 2 % 1, 4) for i in range(64)]


def _skipped(golden: Golden, generated: list[int]) -> bool:
    """Whether the position is drawn without the mark: its context is among the latest, or, where these reach into the
    prompt, is not whole."""
    if golden.scope == "none":
        return False
    width, position = golden.width, len(generated)
    context = vllm.padded_contexts([*generated, 0], width)[-1]
    if golden.scope == "single_turn":
        earlier = vllm.padded_contexts(generated, width)
    else:
        if position < width:
            return True
        text = [*golden.fixture.prompt, *generated]
        earlier = [tuple(text[end - width : end]) for end in range(width, len(text))]
    return context in (earlier[-golden.history :] if golden.history else earlier)


def generate(golden: Golden) -> list[int]:
    """Ties go to the lowest id; what is not marked is the most probable token."""
    key_a, key_b = vllm.split_key(golden.key) if golden.scheme == "dual" else (golden.key, golden.key)
    generated: list[int] = []
    for position in range(golden.fixture.length):
        scores = golden.fixture.logits(position)
        if not _skipped(golden, generated):
            context = vllm.padded_contexts([*generated, 0], golden.width)[-1]
            if golden.scheme == "sbw":
                seeds = (sbw.selfhash_seed(golden.key, [*context[1:], token]) for token in range(len(scores)))
                scores = [score + (2 if sbw.is_green(seed, token, Fraction(1, 2)) else 0)
                          for token, (score, seed) in enumerate(zip(scores, seeds))]
            else:
                key = key_a if 1 - Fraction(golden.mixing) > COINS[position % 64] else key_b
                scores = [float32(score + gumbel(vllm.cell(key, context, token)))
                          for token, score in enumerate(scores)]
        generated.append(scores.index(max(scores)))
    return generated


def profile(golden: Golden) -> marks.Profile:
    """What the golden's detector reads with."""
    scheme = {"gumbel": "vllm-gumbel/philox4x32-10-v1", "dual": "vllm-dual-gumbel/philox4x32-10-v1",
              "sbw": "vllm-sbw/1"}[golden.scheme]
    changes: dict[str, object] = {"contextWidth": golden.width, "dedup": golden.dedup}
    if golden.scheme == "dual":
        changes["mixing"] = golden.detection_mixing or golden.mixing
    return marks.profile(scheme, **changes)


def detection_key(golden: Golden) -> str:
    return f"int:{golden.key if golden.detection_key < 0 else golden.detection_key}"
