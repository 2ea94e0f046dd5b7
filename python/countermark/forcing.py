# SPDX-License-Identifier: Apache-2.0
"""Teacher forcing: what a model predicts at each token of an answer that is given to it, behind its prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from countermark.error import Error


class Exchange(NamedTuple):
    prompt: Sequence[int]  # one token at least
    answer: Sequence[int]


def answer_logits(weights: Any, exchanges: Sequence[Exchange], batch_tokens: int) -> Iterator[tuple[int, Any]]:
    """Each exchange's number and its logits, float32[answer, vocabulary]: row i is what the answer's token i was drawn
    from. In batches of similar lengths, long ones first.

    Short rows are filled up behind their end, which no position before sees. Raises Error for predictions that are not
    finite, and what torch raises where memory is short.
    """
    import torch

    lengths = [len(prompt) + len(answer) for prompt, answer in exchanges]
    order = sorted(range(len(exchanges)), key=lambda i: -lengths[i])
    while order:
        batch = order[:max(1, batch_tokens // lengths[order[0]])]
        order = order[len(batch):]
        filled: np.ndarray = np.zeros((len(batch), lengths[batch[0]]), dtype=np.int64)
        for row, i in zip(filled, batch):
            row[:lengths[i]] = [*exchanges[i].prompt, *exchanges[i].answer]
        with torch.inference_mode():
            logits = weights(input_ids=torch.from_numpy(filled).to(weights.device), use_cache=False).logits
        for row, i in zip(logits, batch):
            answer = row[len(exchanges[i].prompt) - 1:lengths[i] - 1].float()
            if not torch.isfinite(answer).all():
                raise Error("the model's predictions are not finite: another --dtype?", "invalid-input")
            yield i, answer
