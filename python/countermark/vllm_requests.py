# SPDX-License-Identifier: Apache-2.0
"""What both of vLLM's interfaces need: requests as responses of the mark, drawn on the device.

No part of vLLM is imported here, but for tensor parallelism. docs/engines/vllm.md.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import time
from typing import Any

import torch

from countermark.deployment import Deployment
from countermark.device import DeviceSampler

ACCOUNT = "countermark_account"
COHORT = "countermark_cohort"

_SECONDS_BETWEEN_REPORTS = 60


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


def _agreed(tensor_parallel_size: int) -> bytes:
    """Random bytes, the same on all workers that draw the same rows.

    vLLM gathers the logits on every tensor-parallel worker, and each of them draws.
    """
    mine = secrets.token_bytes(32)
    if tensor_parallel_size == 1:
        return mine
    from vllm.distributed.parallel_state import get_tp_group

    agreed: bytes = get_tp_group().broadcast_object(mine, src=0)
    return agreed


class Requests:
    """The requests of one worker, each in a slot of the device's table."""

    def __init__(self, vllm_config: Any, device: torch.device | str, *, min_p_first: bool = False) -> None:
        self._deployment = Deployment.from_environment()
        self.sampler = DeviceSampler(self._deployment.service, device=device, min_p_first=min_p_first,
                                     capacity=vllm_config.scheduler_config.max_num_seqs)
        self._agreed = _agreed(vllm_config.parallel_config.tensor_parallel_size)
        self._begun = 0
        self._log = logging.getLogger("countermark")
        self._next_report = time.monotonic() + _SECONDS_BETWEEN_REPORTS
        self._log.info("%s", self._deployment.service.describe())

    def begin(self, slot: int, sampling_params: Any, *, temperature: float, min_p: float) -> None:
        """A request enters a slot, or comes back after it was preempted: under a nonce of its own.

        Raises countermark.Error "key" without a key under the policy "refuse".
        """
        # Every worker counts the same requests in the same order.
        noise = hmac.digest(self._agreed, self._begun.to_bytes(8, "little"), "sha256")
        self._begun += 1
        response = self._deployment.service.respond(
            account=_name(sampling_params, ACCOUNT), cohort=_name(sampling_params, COHORT),
            nonce=noise[:16], plain_key=noise[16:], max_tokens=1)
        self.sampler.begin(slot, response, temperature=temperature, top_k=max(0, sampling_params.top_k),
                           top_p=sampling_params.top_p, min_p=min_p)
        now = time.monotonic()
        if now >= self._next_report:
            # Waits for the device: once a minute, and between steps.
            self._next_report = now + _SECONDS_BETWEEN_REPORTS
            counted = self.sampler.counters()
            self._log.info("draws: %s", ", ".join(f"{kind} {count}" for kind, count in counted.items() if count))
