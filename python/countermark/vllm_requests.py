# SPDX-License-Identifier: Apache-2.0
"""What both of vLLM's interfaces need: requests as responses of the mark, drawn on the device.

Of vLLM nothing is imported here but its group of workers, where there are several.
docs/engines/vllm.md.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from countermark._countermark import Profile
from countermark.deployment import Deployment
from countermark.device import DeviceSampler, leave_only
from countermark.error import Error

ACCOUNT = "countermark_account"
COHORT = "countermark_cohort"

# As often as Prometheus usually looks.
_SECONDS_BETWEEN_COUNTS = 15


def _name(sampling_params: Any, key: str) -> str | None:
    """A pseudonym out of the request's vllm_xargs. ValueError for what is none."""
    name = (sampling_params.extra_args or {}).get(key)
    if name is None:
        return None
    if not isinstance(name, str) or not name:
        raise ValueError(f"{key}: expected a name")
    name.encode()  # a lone surrogate is a ValueError, too
    return name


def check_params(sampling_params: Any) -> None:
    """ValueError, which vLLM makes an answer 400 of, for names that cannot be served."""
    _name(sampling_params, ACCOUNT)
    _name(sampling_params, COHORT)


class Requests:
    """The requests of one worker, each in a slot of the device's table.

    Tensor-parallel workers all have the logits and all draw, and what they draw must be the same.
    So the first one alone has the deployment, and tells the others what it decides: whenever a
    request begins, in the order that vLLM gives all of them. The switch of marking acts at these
    moments too, and within a step in none.
    """

    def __init__(self, vllm_config: Any, device: torch.device | str, *, min_p_first: bool = False) -> None:
        self._group: Any = None
        if vllm_config.parallel_config.tensor_parallel_size > 1:
            from vllm.distributed.parallel_state import get_tp_group
            self._group = get_tp_group()
        self._deployment: Deployment | None = None
        if self._group is None or self._group.rank_in_group == 0:
            self._deployment = Deployment.from_environment()
            if self._deployment.transcripts is not None:
                raise Error("transcripts: vLLM does not tell its processors when an answer ends",
                            "unsupported", field="COUNTERMARK_TRANSCRIPTS")
        profile = self._agree(self._deployment and self._deployment.service.profile.to_json())
        self.sampler = DeviceSampler(Profile.parse(profile), device=device, min_p_first=min_p_first,
                                     capacity=vllm_config.scheduler_config.max_num_seqs,
                                     use_triton=os.environ.get("COUNTERMARK_TRITON") == "1")
        self._marking = True
        self._counted: dict[str, int] = {}
        self._next_count = time.monotonic() + _SECONDS_BETWEEN_COUNTS

    def _agree(self, mine: Any) -> Any:
        """What the first worker says."""
        return mine if self._group is None else self._group.broadcast_object(mine, src=0)

    def begin(self, slot: int, sampling_params: Any, *, temperature: float, min_p: float) -> None:
        """A request enters a slot, or comes back after it was preempted: as a response of its own.

        Raises Error "key" without a key under the policy "refuse".
        """
        decided: Any = None
        if self._deployment is not None:
            self._count(self._deployment)
            try:
                response = self._deployment.service.respond(
                    account=_name(sampling_params, ACCOUNT), cohort=_name(sampling_params, COHORT),
                    max_tokens=1)
                decided = response.secret_schedule(), self._deployment.service.marking
            except ValueError as error:  # Error is one
                decided = error
        decided = self._agree(decided)
        if isinstance(decided, ValueError):
            raise decided
        schedule, self._marking = decided
        self.sampler.begin(slot, schedule, temperature=temperature, top_k=max(0, sampling_params.top_k),
                           top_p=sampling_params.top_p, min_p=min_p)

    def _count(self, deployment: Deployment) -> None:
        """Adds what was drawn to the service's counters. Waits for the device, between steps."""
        if time.monotonic() < self._next_count:
            return
        self._next_count = time.monotonic() + _SECONDS_BETWEEN_COUNTS
        counted = self.sampler.counters()
        deployment.service.add_draws({kind: count - self._counted.get(kind, 0)
                                      for kind, count in counted.items()})
        self._counted = counted

    def draw(self, logits: torch.Tensor, slots: torch.Tensor, history: torch.Tensor, lengths: torch.Tensor,
             slots_on_host: Sequence[int] | np.ndarray, counted: torch.Tensor | None = None) -> torch.Tensor:
        """logits, in place, with what DeviceSampler.draw has drawn alone."""
        if self._group is None and self._deployment is not None:
            self._marking = self._deployment.service.marking
        drawn = self.sampler.draw(logits, slots, history, lengths, marking=self._marking,
                                  slots_on_host=slots_on_host, counted=counted)
        return leave_only(logits, drawn)
