# SPDX-License-Identifier: Apache-2.0
"""The mark in Hugging Face transformers' generate(): docs/engines/transformers.md.

    watermark = countermark.transformers.Watermark(service, accounts=["alice", "bob"])
    model.generate(**inputs, do_sample=True, watermarking_config=watermark)

It stands where transformers puts watermarks: after temperature, top-k, top-p and min-p. (A custom
logits_processor would stand before them, and would mark another distribution than the one drawn
from.) It draws each row's token itself and leaves it as the row's only candidate, so that
transformers cannot draw another. Needs do_sample=True and num_beams=1: under greedy decoding it
would sample, and beams would be ranked by scores that say nothing.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from transformers import LogitsProcessor
from transformers.generation.configuration_utils import BaseWatermarkingConfig

from countermark._countermark import Response, Service

Names = str | None | Sequence[str | None]


def _for_rows(names: Names, rows: int, each: int, what: str) -> list[str | None]:
    """One name a row; a prompt's name stands for all of its returned sequences.

    Nothing is guessed: a name that slips to another row would accuse the wrong account.
    """
    if names is None or isinstance(names, str):
        return [names] * rows
    if len(names) * each != rows:
        raise ValueError(f"{what}: expected one name, or one a prompt; there are {len(names)} names, "
                         f"{each} sequences each, for {rows} rows")
    return [name for name in names for _ in range(each)]


class Processor(LogitsProcessor):
    """Draws the tokens of one call of generate(). Made by Watermark."""

    supports_continuous_batching = False  # rows would change their requests unseen

    def __init__(self, watermark: Watermark) -> None:
        self._watermark = watermark
        self._responses: list[Response] = []
        self._prompt = 0  # tokens before the answer, padding included
        self._written: np.ndarray = np.empty((0, 0), dtype=np.int64)  # rows x tokens of the answers so far
        self._ended: np.ndarray = np.empty(0, dtype=bool)

    def _begin(self, rows: int, prompt: int) -> None:
        mark = self._watermark
        accounts = _for_rows(mark.accounts, rows, mark.num_return_sequences, "accounts")
        cohorts = _for_rows(mark.cohorts, rows, mark.num_return_sequences, "cohorts")
        self._responses = [
            mark.service.respond(account=account, cohort=cohort, max_tokens=mark.max_tokens,
                                 marked=mark.marked)
            for account, cohort in zip(accounts, cohorts)
        ]
        self._prompt = prompt
        self._written = np.empty((rows, 0), dtype=np.int64)
        self._ended = np.zeros(rows, dtype=bool)

    def _follow(self, answers: np.ndarray) -> None:
        """Commits what the rows have gone on with. Rows may change places, and steps be undone."""
        shared = min(self._written.shape[1], answers.shape[1])
        differs = answers[:, :shared] != self._written[:, :shared]
        for i, response in enumerate(self._responses):
            common = int(differs[i].argmax()) if differs[i].any() else shared
            if common < len(response):
                response.rewind(common)
            elif self._ended[i]:
                continue
            start = len(response)
            response.commit(answers[i, start:self._watermark.max_tokens])
        self._written = answers
        if self._watermark.eos_token_ids:
            self._ended = np.any(np.isin(answers, self._watermark.eos_token_ids), axis=1)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """scores, rows x vocabulary, with all but each row's token at -inf."""
        ids = input_ids.detach().cpu().numpy()
        if not self._responses:
            self._begin(*ids.shape)
        else:
            self._follow(ids[:, self._prompt:])
        host = scores.detach().to("cpu").contiguous()
        open_rows = [i for i, response in enumerate(self._responses)
                     if not self._ended[i] and len(response) < self._watermark.max_tokens]
        if not open_rows:
            return scores
        draws = self._watermark.service.sample(
            [self._responses[i] for i in open_rows],
            host if len(open_rows) == len(host) else host[open_rows])
        chosen = [(i, draw.token) for i, draw in zip(open_rows, draws) if draw.token is not None]
        if not chosen:
            return scores
        rows, tokens = (torch.tensor(part, device=scores.device) for part in zip(*chosen))
        out = scores.clone()
        out[rows] = -torch.inf
        out[rows, tokens] = 0
        return out


class Watermark(BaseWatermarkingConfig):
    """What generate() takes as watermarking_config.

    accounts and cohorts: one pseudonym for all, or one a prompt, None for none; ValueError when they
    do not fit the batch. num_return_sequences is generate's own. Answers longer than
    max_tokens (40 bytes each are allocated a row) go on as transformers draws them. eos_token_ids
    end a row's answer; without them the padding that follows an end is drawn, which costs time and
    counts as draws. marked=False leaves these answers unmarked, by the operator's decision. One
    object serves any number of calls, also at once: state is made anew for each.
    """

    def __init__(self, service: Service, *, accounts: Names = None, cohorts: Names = None,
                 num_return_sequences: int = 1, max_tokens: int = 8192,
                 eos_token_ids: Sequence[int] = (), marked: bool = True) -> None:
        self.service = service
        self.accounts = accounts
        self.cohorts = cohorts
        self.num_return_sequences = num_return_sequences
        self.max_tokens = max_tokens
        self.eos_token_ids = list(eos_token_ids)
        self.marked = marked

    def validate(self) -> None:
        """Names are checked against the batch when it is known."""

    def construct_processor(self, vocab_size: int, device: Any = None) -> Processor:
        return Processor(self)

    def to_dict(self) -> dict[str, Any]:
        """For transformers' logs: public facts alone."""
        return {"service": self.service.describe()}

    def to_json_string(self) -> str:
        return json.dumps(self.to_dict(), indent=2) + "\n"

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        yield from self.to_dict().items()

    def __deepcopy__(self, memo: dict[int, Any]) -> Watermark:
        """transformers copies its configurations; the service stays one."""
        return copy.copy(self)
