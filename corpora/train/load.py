# SPDX-License-Identifier: Apache-2.0
"""Load the exported model back, as the other scripts need it.

The F16 weights are widened to float32, so that every number made from them
is a number of the stored model, not of the one in training. It trusts its
input: the C++ reader is the one that validates.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open
from tokenizers import Tokenizer

from model import Cache, Config, Llama


def load_model(folder: Path) -> Llama:
    with safe_open(str(folder / "weights.safetensors"), framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name).float() for name in file.keys()}
    fields = {name: type(value)(metadata[name]) for name, value in vars(Config()).items()}
    net = Llama(Config(**fields))
    net.load_state_dict(tensors)
    return net.eval()


def load_tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


@torch.no_grad()
def sample(net: Llama, rows: int, tokens: int, temperature: float, top_p: float,
           seed: int, forbid_end: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids [rows, tokens + 1] from END on, and the entropy [rows, tokens], nats at T = 1.

    The entropy is that of the whole distribution, before temperature and top_p.
    """
    generator = torch.Generator().manual_seed(seed)
    ids = torch.zeros((rows, 1), dtype=torch.long)
    entropies = []
    cache: Cache = []
    for _ in range(tokens):
        logits = net(ids[:, -1:], cache)[:, -1]
        entropies.append(torch.distributions.Categorical(logits=logits).entropy())
        if forbid_end:
            logits[:, 0] = float("-inf")
        p = torch.softmax(logits / temperature, dim=-1)
        ordered, order = p.sort(dim=-1, descending=True)
        ordered[ordered.cumsum(-1) - ordered >= top_p] = 0.0
        drawn = torch.multinomial(ordered, 1, generator=generator)
        ids = torch.cat((ids, order.gather(1, drawn)), dim=1)
    return ids, torch.stack(entropies, dim=1)
