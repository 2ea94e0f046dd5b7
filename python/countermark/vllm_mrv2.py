# SPDX-License-Identifier: Apache-2.0
"""The mark in vLLM's Model Runner V2: docs/engines/vllm.md.

    vllm serve MODEL --logits-processors countermark.vllm_mrv2:Watermark

Contexts are read where vLLM keeps its tokens, on the device; nothing comes to the host. vLLM calls
it after penalties and grammar and before temperature and truncation, so it does these by itself,
in vLLM's order (min-p first), and leaves one token a row, which survives what vLLM does then. With
drafts that is draw-and-match: a draft stands while it is the token that was drawn.
"""

from __future__ import annotations

from typing import Any

import torch
from vllm.v1.worker.gpu.sample.logits_processor.interface import (
    LogitsContext,
    LogitsProcessor,
    LogitsProcRequestState,
)

from countermark.vllm_requests import Requests, check_params


class Watermark(LogitsProcessor):
    """Made by vLLM, one a worker; COUNTERMARK_KEY and COUNTERMARK_PROFILE name its files."""

    def __init__(self, vllm_config: Any, req_states: LogitsProcRequestState) -> None:
        self._states = req_states
        self.requests = Requests(vllm_config, req_states.device, min_p_first=True)

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        check_params(sampling_params)

    def add_request(self, req_idx: int, sampling_params: Any) -> bool:
        """The slot's last request is forgotten. False for greedy requests, whose rows stay as they are."""
        temperature = sampling_params.temperature
        self.requests.begin(req_idx, sampling_params, temperature=temperature, min_p=sampling_params.min_p)
        return bool(temperature > 0)

    def apply(self, logits: torch.Tensor, ctx: LogitsContext) -> torch.Tensor:
        """logits, in place, one token a row."""
        states, batch = self._states, ctx.idx_mapping_np
        slots = ctx.expanded_idx_mapping.long()
        prompt, total = states.prompt_len.gpu[slots].long(), states.total_len.gpu[slots].long()
        drafts = ctx.expanded_local_pos.long()
        written = total - prompt
        most = int((ctx.seq_lens_upper_bound_np - states.prompt_len.np[batch]).max(initial=1))
        # The tokens of the answer, then the drafts that lead to the row: those that were fed to the
        # rows of the same request before it, and to itself.
        place = torch.arange(most, device=logits.device)
        all_tokens = states.all_token_ids.gpu
        tokens = all_tokens[slots[:, None], (prompt[:, None] + place).clamp(max=all_tokens.shape[1] - 1)]
        row = torch.arange(len(slots), device=logits.device)[:, None] - drafts[:, None] + 1
        drafted = ctx.input_ids[(row + place - written[:, None]).clamp(0, len(slots) - 1)]
        history = torch.where(place < written[:, None], tokens, drafted)
        # A prompt that is not read to its end yields rows that vLLM drops.
        is_whole = ctx.pos - drafts + 1 >= total
        return self.requests.draw(logits, slots, history, written + drafts, batch, is_whole)
