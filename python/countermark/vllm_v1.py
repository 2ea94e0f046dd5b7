# SPDX-License-Identifier: Apache-2.0
"""The mark in vLLM's V1 model runner: docs/engines/vllm.md.

    vllm serve MODEL --logits-processors countermark.vllm_v1:Watermark

vLLM calls it after penalties, temperature and min-p and before top-k and top-p, which it does by
itself; it leaves one token a row, which survives vLLM's own. vLLM hands over the tokens as lists
on the host: what is new in them goes to the device, one number a row and step, and nothing comes
back.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from vllm.v1.sample.logits_processor.interface import BatchUpdate, LogitsProcessor, MoveDirectionality

from countermark.vllm_requests import Requests, check_params

_GREEDY_BELOW = 1e-5  # vLLM's _SAMPLING_EPS


class Watermark(LogitsProcessor):
    """Made by vLLM, one a worker; COUNTERMARK_KEY and COUNTERMARK_PROFILE name its files."""

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        self.requests = Requests(vllm_config, device)
        capacity = vllm_config.scheduler_config.max_num_seqs
        self._free = list(range(capacity))
        self._slots: dict[int, int] = {}  # by index in the batch
        self._lists: list[list[int]] = [[] for _ in range(capacity)]  # by slot: vLLM's own, which grow
        self._known = [0] * capacity  # by slot: how many of them are on the device
        self._tokens = torch.zeros((capacity, 1024), dtype=torch.int32, device=device)

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        check_params(sampling_params)

    def is_argmax_invariant(self) -> bool:
        """True: vLLM then calls it after temperature, for rows that are drawn. Greedy rows stay."""
        return True

    def _leave(self, index: int) -> None:
        slot = self._slots.pop(index, None)
        if slot is not None:
            self._free.append(slot)

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follows the requests through the batch: removed, then added, then moved."""
        if batch_update is None:
            return
        for index in batch_update.removed:
            self._leave(index)
        for index, params, _, output in batch_update.added:
            self._leave(index)
            slot = self._slots[index] = self._free.pop()
            self._lists[slot] = output
            self._known[slot] = 0
            is_greedy = params.temperature < _GREEDY_BELOW
            self.requests.begin(slot, params, temperature=0 if is_greedy else 1, min_p=0)
        for a, b, direction in batch_update.moved:
            moved, other = self._slots.pop(a, None), self._slots.pop(b, None)
            if moved is not None:
                self._slots[b] = moved
            if other is not None and direction == MoveDirectionality.SWAP:
                self._slots[a] = other
            elif other is not None:
                self._free.append(other)

    def _follow(self, slots: list[int]) -> None:
        """Brings to the device what is new in the lists."""
        new: list[tuple[int, int, int]] = []
        for slot in slots:
            tokens = self._lists[slot]
            if len(tokens) < self._known[slot]:
                self._known[slot] = 0
            new.extend((slot, i, tokens[i]) for i in range(self._known[slot], len(tokens)))
            self._known[slot] = len(tokens)
        longest = max(self._known[slot] for slot in slots)
        if longest > self._tokens.shape[1]:
            self._tokens = torch.nn.functional.pad(self._tokens, (0, longest))
        if new:
            at, place, token = self.requests.sampler.to_device(np.array(new).T.copy())
            self._tokens[at, place] = token.to(torch.int32)

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """logits, in place, one token a row that is drawn at random."""
        # A list that ends in a placeholder is one that vLLM has not filled: the draw is vLLM's.
        rows = [row for row in range(len(logits)) if row in self._slots
                and (not (tokens := self._lists[self._slots[row]]) or tokens[-1] >= 0)]
        if not rows:
            return logits
        slots = [self._slots[row] for row in rows]
        self._follow(slots)
        lengths = [self._known[slot] for slot in slots]
        row, slot, length = self.requests.sampler.to_device(np.array([rows, slots, lengths]))
        history = self._tokens[:, :max(lengths)][slot]
        is_whole = len(rows) == len(logits)
        part = logits if is_whole else logits[row]
        self.requests.draw(part, slot, history, length, slots)
        return logits if is_whole else logits.index_copy_(0, row, part)
