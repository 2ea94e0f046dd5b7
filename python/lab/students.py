# SPDX-License-Identifier: Apache-2.0
"""Students: fine-tunes of the base, the embedded model, on the answers of exchanges, with their prompts before them.

What is not taught by a teacher comes from documents that people wrote, cut like exchanges into an opening and what
follows, so that all students learn equally many tokens behind equally many prompts.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from cells import UNMARKED, Cell, Training
from laboratory import ROOT, Laboratory
from own_tokens import OwnTokens, other_tokenizer
from safetensors.torch import load_file, save_file
from texts import MODEL, Say, human, read_lines, seed_of, teach, weights_sha256
from torch import nn
from writing import END, ROWS, Ids, Rows

from load import load_model  # of corpora/train, where texts has led
from train import learning_rate

WARM_UP = 10  # steps
COMPILED = 50  # steps for which compiling the model pays: it takes a minute, and then half the time
REWRITTEN = 0.5  # share of a paraphrase's tokens that the other model draws


def base(lab: Laboratory) -> Path:
    """The embedded model as a folder of transformers."""
    def build(folder: Path) -> None:
        subprocess.run([sys.executable, ROOT / "corpora" / "export.py", "--hf", folder], check=True)
    return lab.make("base", {"version": 1, "model": weights_sha256()}, build)


def load(folder: Path) -> Any:
    """A student as the plain model of corpora/train, for training and writing."""
    net = load_model(MODEL)
    net.load_state_dict(load_file(folder / "model.safetensors"))
    return net.eval()


class Adapter(nn.Module):
    """LoRA: a matrix that stays, and a product of two thin ones that is learned and added."""

    def __init__(self, inner: nn.Linear, rank: int) -> None:
        super().__init__()
        self.inner = inner
        self.down = nn.Parameter(torch.randn(rank, inner.in_features) / inner.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(inner.out_features, rank))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.inner(x) + x @ self.down.T @ self.up.T
        return out

    def merged(self) -> nn.Linear:
        with torch.no_grad():
            self.inner.weight += self.up @ self.down
        return self.inner


def replace_modules(net: nn.Module, wanted: type[nn.Module], make: Callable[[Any], nn.Module]) -> None:
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, wanted):
                setattr(parent, name, make(child))


def fit(net: Any, rows: Sequence[Ids], prompt: int, training: Training, seed: int, say: Say) -> None:
    """Teaches the tokens behind the first `prompt` ones of each row. All rows are of one length."""
    torch.manual_seed(seed)
    if training.adapter:
        net.requires_grad_(False)
        replace_modules(net.model.layers, nn.Linear, lambda inner: Adapter(inner, training.adapter))
    learned = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=training.rate, betas=(0.9, 0.95), fused=True)
    data = torch.tensor(rows)
    steps = -(-len(data) // training.batch) * training.epochs
    net.train()
    compiled = torch.compile(net, dynamic=False) if steps > COMPILED else net
    began, step = time.monotonic(), 0
    for epoch in range(training.epochs):
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed_of(f"{seed}/{epoch}")))
        for part in order.split(training.batch):
            batch = data[part]
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step / steps, step, WARM_UP, training.rate)
            with torch.autocast("cpu", getattr(torch, training.precision), enabled=training.precision != "float32"):
                logits = compiled(batch[:, :-1])[:, prompt - 1:]
            loss = F.cross_entropy(logits.float().reshape(-1, logits.shape[-1]), batch[:, prompt:].reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(learned, 1.0)
            optimizer.step()
            step += 1
            left = (time.monotonic() - began) / step * (steps - step)
            say(f"step {step} of {steps}, loss {loss.item():.3f}, {left:.0f} s left")
    if training.adapter:
        replace_modules(net.model.layers, Adapter, lambda adapter: adapter.merged())
    net.eval()


def export(lab: Laboratory, net: nn.Module, folder: Path) -> None:
    for file in base(lab).glob("*.json"):
        if file.name != "settings.json":
            shutil.copyfile(file, folder / file.name)
    tensors = {name: p.detach().contiguous() for name, p in net.named_parameters()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)


def documents(lab: Laboratory, length: int, count: int, name: str) -> list[Ids]:
    """So many that people wrote, drawn by the name."""
    pool = read_lines(human(lab, length) / "teaching.jsonl")
    return [[END, *pool[i]["ids"]] for i in random.Random(name).sample(range(len(pool)), count)]


@torch.inference_mode()
def paraphrased(net: Any, rows: Sequence[Ids], prompt: int, name: str, say: Say) -> list[Ids]:
    """Another model goes through each answer and draws half of its tokens itself, given what stands there by then.

    Crude, but what a paraphrase does to a mark: contexts and tokens that belonged together are parted.
    """
    noise = torch.Generator().manual_seed(seed_of(name))
    out = torch.tensor(rows)
    for begin in range(0, len(out), ROWS):
        part = out[begin:begin + ROWS]
        read = Rows(net, part[:, :prompt], part.shape[1] - prompt)
        for position in range(prompt, part.shape[1]):
            read.logits[:, END] = -torch.inf
            drawn = torch.multinomial(read.logits.softmax(dim=-1), 1, generator=noise)[:, 0]
            is_rewritten = torch.rand(len(part), generator=noise) < REWRITTEN
            part[:, position] = torch.where(is_rewritten, drawn, part[:, position])
            read.step(part[:, position])
        say(f"paraphrased {begin + len(part)} of {len(out)} answers")
    return out.tolist()


def settings_of(cell: Cell, lab: Laboratory) -> dict[str, Any]:
    """All that a student depends on."""
    out = {"version": 1, "taught": cell.taught, "share": cell.share, "seed": cell.seed, "training": cell.training,
           "attack": "" if cell.attack == "cold" else cell.attack, "model": weights_sha256(),
           "human": human(lab, cell.log.prompt + cell.log.answer).name}
    return {**out, "tokenizer": other_tokenizer(lab).name} if cell.has_own_tokenizer else out


def student(lab: Laboratory, cell: Cell, say: Say) -> Path:
    """The cell's student as a folder of transformers."""
    texts, training = cell.log, cell.training
    prompt, length = 1 + texts.prompt, texts.prompt + texts.answer

    def rows() -> list[Ids]:
        count = training.exchanges * cell.share // 100
        taught: list[Ids] = []
        if cell.taught is not None:
            served = read_lines(teach(lab, cell.taught, say) / "served.jsonl")
            numbers: Sequence[int] = range(len(served))
            if len(served) > training.exchanges:  # students of one set of answers learn different ones
                numbers = random.Random(f"{cell.seed}/exchanges").sample(numbers, count)
            own = OwnTokens(lab, cell)
            taught = [own.exchange(served[i]) for i in numbers[:count]]
        rest = training.exchanges - count
        if cell.attack == "mixed":
            others = read_lines(teach(lab, UNMARKED, say) / "served.jsonl")[:rest]
            return taught + [[*record["promptIds"], *record["ids"]] for record in others]
        if cell.attack == "paraphrase":
            other = student(lab, replace(cell, taught=None, share=0, attack=""), say)
            taught = paraphrased(load(other), taught, prompt, f"{cell.seed}/paraphrase", say)
        return taught + documents(lab, length, rest, f"{cell.seed}/documents")

    def build(folder: Path) -> None:
        if cell.attack == "clean":  # a third of what was learned, of documents that people wrote
            net = load(student(lab, replace(cell, attack=""), say))
            clean = documents(lab, length, training.exchanges, f"{cell.seed}/clean")
            fit(net, clean, prompt, replace(training, epochs=1), cell.seed, say)
        else:
            net = load_model(MODEL)
            fit(net, rows(), prompt, training, cell.seed, say)
        export(lab, net, folder)
        if cell.has_own_tokenizer:
            shutil.copyfile(other_tokenizer(lab) / "tokenizer.json", folder / "tokenizer.json")

    return lab.make("student", settings_of(cell, lab), build)
