# SPDX-License-Identifier: Apache-2.0
"""Was an answer drawn by this model with these settings? For regenerations, which have to be made like it.

Three things show in an answer that is fed to the model again.

Candidates. A token that top-k or top-p cuts away cannot have been drawn.

Marked draws. They follow from key, context and probabilities, so that drawing again gives the token that was served.
Probabilities are computed with other batches, and maybe on another machine: where the two best candidates come closer
than the logits' last digits another one wins. An error of d in the logits changes about one draw in 1 / d: one in
100,000 in float32, one or two in 100 in bfloat16. So SHARE_REPRODUCED is what is asked for. Draws that differ for that
reason favour neither side: the served token is the more probable one in half of them.

Unmarked draws. Their noise is not known. But -ln p of the token that was drawn has the row's entropy as its mean, given
all before it, whatever the row: the sum of the differences over all tokens is a martingale whose variance the rows say,
too. Over a thousand tokens and more it is normal as near as matters here. Tokens that end an answer are left out, of
the rows as well: some servers do not log them, and a sum that lacks its last term has another mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from countermark._countermark import Response, Service
from countermark.error import Error
from countermark.served import Served

SHARE_REPRODUCED = 0.98  # of marked draws
SHARE_OUTSIDE = 0.001  # of tokens that are no candidates: ties at the edge, and the same last digits
LEVEL = 1e-3  # two-sided: a false refusal in a thousand logs, as of the audit's control
MOST_TRIES = 1 << 17  # for a nonce that chooses an answer's slots


@dataclass(frozen=True)
class Sampling:
    """As an engine's settings; top_k 0 and top_p 1 are off."""

    temperature: float
    top_k: int
    top_p: float
    max_tokens: int

    def warp(self, logits: Any) -> Any:
        """Rows as generate() draws from them: -inf is cut away."""
        import transformers

        if self.temperature != 1:
            logits = transformers.TemperatureLogitsWarper(self.temperature)(None, logits)
        if self.top_k:
            logits = transformers.TopKLogitsWarper(self.top_k)(None, logits)
        if self.top_p < 1:
            logits = transformers.TopPLogitsWarper(self.top_p)(None, logits)
        return logits


@dataclass(frozen=True)
class Check:
    """Of one answer, or the sum of several."""

    candidates: int = 0  # tokens
    of: int = 0
    reproduced: int = 0  # marked draws
    marked: int = 0
    likelier: int = 0  # marked draws that are not, in which the served token is the more probable
    excess: float = 0.0  # sum of ln p less its mean, over candidates; nats
    variance: float = 0.0  # of that sum

    def __add__(self, other: Check) -> Check:
        return Check(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def as_json(self) -> dict[str, float]:
        return asdict(self) | {"excess": round(self.excess, 4), "variance": round(self.variance, 4)}


def check(answer: Served, logits: Any, sampling: Sampling, service: Service | None, ends: Sequence[int]) -> Check:
    """logits: those of the answer's tokens. service: of the key that it was marked under. ends: tokens that end one."""
    import torch

    if not answer.ids:
        return Check()
    rows = sampling.warp(logits).cpu()
    ids = torch.tensor(answer.ids).unsqueeze(1)
    candidates = int(torch.isfinite(rows.gather(1, ids)).sum())
    open_rows = rows.double()
    open_rows[:, list(ends)] = -torch.inf
    log_p = torch.log_softmax(open_rows, dim=-1)
    own = log_p.gather(1, ids).squeeze(1)
    counts = torch.isfinite(own)
    p = log_p.exp()
    finite = torch.where(p > 0, log_p, 0.0)
    mean = (p * finite).sum(dim=-1)
    variance = (p * finite**2).sum(dim=-1) - mean**2
    found = Check(candidates=candidates, of=len(answer.ids), excess=float((own - mean)[counts].sum()),
                  variance=float(variance[counts].sum()))
    return found if service is None else found + _replayed(answer, rows, service)


def _replayed(answer: Served, rows: Any, service: Service) -> Check:
    """What the service draws at each place of the answer, beside what was served."""
    reproduced = marked = likelier = 0
    response = begun_like(answer, service)
    for row, token in zip(rows, answer.ids):
        draw, = service.sample([response], row)
        if draw.kind == "marked":
            marked += 1
            reproduced += draw.token == token
            likelier += bool(row[token] > row[draw.token])
        response.commit(token)
    return Check(reproduced=reproduced, marked=marked, likelier=likelier)


def begun_like(answer: Served, service: Service) -> Response:
    """A response in the answer's slots. Its nonce is not known; any that chooses them gives the same marked draws."""
    def respond(tokens: int, number: int) -> Response:
        return service.respond(account=answer.account, cohort=answer.cohort, max_tokens=tokens,
                               nonce=number.to_bytes(4, "little"))
    for number in range(MOST_TRIES):
        if respond(1, number).slots == list(answer.slots):
            return respond(len(answer.ids), number)
    raise Error(f"answer {answer.id!r}: no nonce chooses its slots {list(answer.slots)}: the profile is another, or "
                "has too many slots", "unsupported")


def refuse(total: Check, sampling: Sampling) -> None:
    """Raises Error "mismatch" that says what does not fit, and which setting is likely to be wrong."""
    outside = total.of - total.candidates
    if outside > SHARE_OUTSIDE * total.of:
        cut = [flag for flag, on in (("--top-k", sampling.top_k > 0), ("--top-p", sampling.top_p < 1)) if on]
        raise Error(f"{outside} of {total.of} served tokens cannot be drawn with these settings: served with a wider "
                    f"{' or '.join(cut) or 'vocabulary'}, a higher --temperature, or by another model", "mismatch")
    wrong = _likely_wrong(total.excess > 0, sampling)
    if total.reproduced < SHARE_REPRODUCED * total.marked:
        raise Error(f"{total.reproduced} of {total.marked} marked draws come out as they were served "
                    f"({100 * total.reproduced / total.marked:.1f} %, expected {100 * SHARE_REPRODUCED:g} %): {wrong}",
                    "mismatch")
    differ = total.marked - total.reproduced
    if differ and sign_test(total.likelier, differ) <= LEVEL:
        raise Error(f"{differ} of {total.marked} marked draws come out otherwise, the served token the more probable "
                    f"one in {total.likelier}: {_likely_wrong(2 * total.likelier > differ, sampling)}", "mismatch")
    # Marked draws of several answers share the key's noise, and their sum varies more than the rows say.
    if total.marked == 0 and two_sided(total) <= LEVEL:
        raise Error(f"the served tokens' ln p is {total.excess / total.candidates:+.4f} a token beside its mean, "
                    f"{abs(score(total)):.1f} standard errors: {wrong}", "mismatch")


def score(total: Check) -> float:
    """Of the excess, in standard errors."""
    return total.excess / math.sqrt(total.variance) if total.variance > 0 else 0.0


def two_sided(total: Check) -> float:
    return math.erfc(abs(score(total)) / math.sqrt(2))


def sign_test(heads: int, tosses: int) -> float:
    """Two-sided p of so many heads of a fair coin."""
    least = min(heads, tosses - heads)
    return min(1.0, 2 * sum(math.comb(tosses, i) for i in range(least + 1)) / (1 << tosses))


def _likely_wrong(is_likely: bool, sampling: Sampling) -> str:
    if is_likely:
        return "served with a lower --temperature, or a narrower --top-k or --top-p, or by another model"
    wider = [flag for flag, on in (("--top-k", sampling.top_k > 0), ("--top-p", sampling.top_p < 1)) if on]
    more = f", a wider {' or '.join(wider)}" if wider else ""
    return f"served with a higher --temperature{more}, or by another model"


def consistent_lengths(answers: Sequence[Served], limits: Sequence[int], ends: Sequence[int]) -> None:
    """Raises Error "mismatch" where answers are longer than they could be, or go on behind their end."""
    longer = sum(len(answer.ids) > limit or answer.finish == "length" and len(answer.ids) < limit
                 for answer, limit in zip(answers, limits))
    behind = sum(any(token in answer.ids[:-1] for token in ends) for answer in answers)
    if longer > SHARE_OUTSIDE * len(answers):
        raise Error(f"{longer} of {len(answers)} answers are longer than --max-tokens, or were ended by their length "
                    "elsewhere: served with another --max-tokens", "mismatch")
    if behind > SHARE_OUTSIDE * len(answers):
        raise Error(f"{behind} of {len(answers)} answers go on behind a token that ends an answer of this model",
                    "mismatch")
