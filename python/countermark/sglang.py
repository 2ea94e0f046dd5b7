# SPDX-License-Identifier: Apache-2.0
"""The mark in SGLang's sampler: docs/engines/sglang.md.

    print(countermark.sglang.Watermark.to_str())    # what a request sends as custom_logit_processor

SGLang calls it before temperature and truncation, so it applies both itself, with the request's own
parameters, draws the token, and leaves it as the row's only candidate, which SGLang then takes. The
object has neither key nor state: where it is decoded, the process's own service draws
(countermark.deployment), one response a request.
"""

from __future__ import annotations

import functools
import weakref
from array import array
from typing import Any

import torch
from sglang.srt.runtime_context import get_parallel, get_spec
from sglang.srt.sampling.custom_logit_processor import CustomLogitProcessor

from countermark._countermark import Draw, Response, Service, prompt_sha256
from countermark.deployment import Deployment
from countermark.error import Error


@functools.lru_cache(maxsize=None)
def _deployment() -> Deployment:
    """That of this process. Raises where the server could not be marked rightly."""
    if get_spec().speculative_algorithm is not None:
        raise RuntimeError("countermark: SGLang's speculative decoding does not ask a custom logit "
                           "processor, or does not say which draft a row follows; start without it")
    if get_parallel().attn_tp_size * get_parallel().attn_cp_size > 1:
        raise RuntimeError("countermark: SGLang samples each request on every rank of its attention "
                           "group, and each would draw a token of its own; start with one rank")
    return Deployment.from_environment()


def _service() -> Service:
    return _deployment().service


class _Answer:
    """What a request has been answered with so far."""

    def __init__(self, response: Response | None, max_tokens: int) -> None:
        self._max_tokens = max_tokens
        self._written = array("q")  # as committed
        self._prefill: tuple[int, int] | None = None
        self._position = 0  # tokens before the one that was last drawn
        self._drawn: int | None = None  # what the last call left in the row
        self._marked: set[int] = set()  # positions
        self._ids = array("q")  # the request's own list, which goes on growing
        self.response = response

    def follow(self, req: Any) -> bool:
        """Commits what the request has gone on with; False if its next token is not ours to draw.

        SGLang's overlapped scheduler samples the next token before it has put the last one into
        output_ids. After a prefill output_ids is complete (what was drawn in a chunk of the prompt,
        or when the request was retracted, is gone); from then on each call is one token further.
        """
        known, drawn = req.output_ids, self._drawn
        self._ids, self._drawn = known, None
        prefill = (req.retraction_count, req.extend_batch_idx)
        is_next = prefill == self._prefill
        self._position = max(len(known), self._position + 1) if is_next else len(known)
        self._prefill = prefill
        tokens = array("q", known)
        if len(tokens) < self._position and drawn is not None:
            tokens.append(drawn)
        if self.response is None or not len(tokens) == self._position < self._max_tokens:
            return False
        common = len(self._written)
        if tokens[:common] != self._written:
            pairs = zip(tokens, self._written)
            common = next((i for i, (new, old) in enumerate(pairs) if new != old),
                          min(len(tokens), common))
            self.response.rewind(common)
        self.response.commit(tokens[common:])
        self._written = tokens
        return True

    def leave(self, draw: Draw) -> None:
        """What the row holds after this call, if anything."""
        self._drawn = draw.token
        (self._marked.add if draw.kind == "marked" else self._marked.discard)(self._position)

    def record(self, deployment: Deployment, prompt: Any, **about: Any) -> None:
        """Writes the transcript of a request that has ended: the prompt as a digest, no text."""
        if self.response is None or deployment.transcripts is None or not self._ids:
            return
        deployment.transcripts.write(
            profile=deployment.service.profile.digest, ids=self._ids, text=None,
            prompt_sha256=prompt_sha256(prompt),
            epoch=self.response.epoch, key_id=self.response.key_id, slots=self.response.slots,
            marked=sum(position < len(self._ids) for position in self._marked), **about)


_answers: weakref.WeakKeyDictionary[Any, _Answer] = weakref.WeakKeyDictionary()


def _name(params: dict[str, Any], field: str) -> str | None:
    name = params.get(field)
    if name is not None and not isinstance(name, str):
        raise Error(f"{field}: expected a pseudonym as a string", "invalid-argument", field=field)
    return name


def _answer(params: dict[str, Any], max_tokens: int) -> _Answer:
    """The answer to a request, begun if it is new.

    A request that cannot begin (no key under the policy "refuse", a name that is none) ends with an
    error of its own; the server goes on.
    """
    # A proxy is no key of a weak dictionary, but a bound method knows whose it is.
    req = params["__req__"].__init__.__self__
    found = _answers.get(req)
    if found is not None:
        return found
    if req.sampling_params.max_new_tokens is not None:
        max_tokens = max(1, min(max_tokens, req.sampling_params.max_new_tokens))
    response = None
    names: dict[str, Any] = {}
    try:
        names = {field: _name(params, f"countermark_{field}") for field in ("account", "cohort")}
        response = _service().respond(**names, max_tokens=max_tokens)
    except Error as error:
        from sglang.srt.managers.schedule_batch import FINISH_ABORT

        req.to_finish = FINISH_ABORT(f"countermark: {error}", 503 if error.code == "key" else 400)
    answer = _answers[req] = _Answer(response, max_tokens)
    deployment = _deployment()
    if deployment.transcripts is not None:
        weakref.finalize(req, answer.record, deployment, req.origin_input_ids, id=req.rid, **names)
    return answer


def _top_p(logits: torch.Tensor, sampling: list[Any]) -> list[float]:
    """Each row's top_p as a share of what its top_k keeps.

    SGLang's top_p is a share of all tokens, whatever top_k has cut; the sampler's is one of what
    is left.
    """
    shares = [float(each.top_p) for each in sampling]
    both = [i for i, each in enumerate(sampling) if each.top_p < 1 and each.top_k < logits.shape[-1]]
    if not both:
        return shares
    k = torch.tensor([[sampling[i].top_k] for i in both], device=logits.device)
    temperatures = [[sampling[i].temperature] for i in both]
    scaled = logits[both].float() / torch.tensor(temperatures, device=logits.device)
    top = scaled.topk(max(sampling[i].top_k for i in both), dim=-1).values
    masses = (top - scaled.logsumexp(dim=-1, keepdim=True)).exp().cumsum(dim=-1).gather(-1, k - 1)
    for i, mass in zip(both, masses[:, 0].tolist()):
        shares[i] = min(1.0, shares[i] / mass)
    return shares


class Watermark(CustomLogitProcessor):
    """What a request names as its custom_logit_processor, by to_str().

    custom_params must be there, with countermark_account and countermark_cohort, the pseudonyms, or
    empty: the operator's gateway sets both fields and drops what a client has sent. Requests at
    temperature 0, with top_k 1 or in a beam search are left alone. Answers longer than max_tokens
    (40 bytes each are allocated a request) go on as SGLang draws them.
    """

    max_tokens = 32768

    def __init__(self) -> None:
        _service()  # a bad key, profile or server stops here

    def __call__(self, logits: torch.Tensor,
                 custom_param_list: list[dict[str, Any]] | None = None) -> torch.Tensor:
        """logits, rows x vocabulary, with all but the token at -inf in each row that was drawn."""
        rows, answers, sampling = [], [], []
        for i, params in enumerate(custom_param_list or []):
            if not params or "__req__" not in params:
                continue
            wanted = params["__req__"].sampling_params
            if wanted.top_k <= 1 or (wanted.beam_width or 1) > 1:
                continue
            answer = _answer(params, self.max_tokens)
            if answer.follow(params["__req__"]):
                rows.append(i)
                answers.append(answer)
                sampling.append(wanted)
        if not rows:
            return logits
        drawn = logits if len(rows) == len(logits) else logits[rows]
        draws = _service().sample(
            [answer.response for answer in answers if answer.response is not None],
            drawn.detach().cpu(), temperature=[each.temperature for each in sampling],
            top_k=[each.top_k for each in sampling], top_p=_top_p(drawn, sampling),
            min_p=[each.min_p for each in sampling])
        chosen = []
        for i, answer, draw in zip(rows, answers, draws):
            answer.leave(draw)
            if draw.token is not None:
                chosen.append((i, draw.token))
        if chosen:
            at, tokens = (torch.tensor(part, device=logits.device) for part in zip(*chosen))
            logits[at] = -torch.inf
            logits[at, tokens] = 0
        return logits
