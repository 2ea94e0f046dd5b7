# SPDX-License-Identifier: Apache-2.0
"""Train the tokenizer and the embedded language model from extracted prose.

Writes tokenizer.json, weights.safetensors (F16, Hugging Face Llama names) and
a training log. Seeds are fixed, but floating-point sums depend on the machine
and its thread count, and the learning rate follows the clock once the time
budget binds: a second run gives an equivalent model, not the same bits. It
does not evaluate samples or write the manifest (see report.py).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from model import Config, Llama

END = "<|endoftext|>"


def is_validation(text: str) -> bool:
    """One document in fifty, chosen by its hash alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % 50 == 0


def read_corpus(path: Path) -> tuple[list[str], list[str]]:
    """Training and validation documents."""
    texts = [json.loads(line)["text"] for line in path.open(encoding="utf-8")]
    return ([t for t in texts if not is_validation(t)],
            [t for t in texts if is_validation(t)])


def train_tokenizer(texts: list[str], vocab_size: int) -> Tokenizer:
    """A byte-level BPE in the manner of GPT-2, END as id 0, all 256 bytes present."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=[END],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    assert tokenizer.get_vocab_size() == vocab_size and tokenizer.token_to_id(END) == 0
    return tokenizer


def packed_rows(documents: list[list[int]], length: int, seed: int) -> Iterator[list[int]]:
    """Endless rows of length + 1 ids, each starting with END and a whole document.

    The document that overflows a row is cut and its rest dropped; the order
    is drawn afresh each epoch, so the cuts fall elsewhere each time.
    """
    epoch = 0
    while True:
        order = list(range(len(documents)))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        row: list[int] = []
        for index in order:
            row += [0, *documents[index]]
            if len(row) > length:
                yield row[:length + 1]
                row = []
        epoch += 1


def validation_rows(documents: list[list[int]], length: int) -> torch.Tensor:
    stream = [i for document in documents for i in (0, *document)]
    rows = [stream[i:i + length + 1] for i in range(0, len(stream) - length, length)]
    return torch.tensor(rows)


def batch_loss(net: torch.nn.Module, rows: torch.Tensor) -> torch.Tensor:
    logits = net(rows[:, :-1])
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), rows[:, 1:].reshape(-1))


@torch.no_grad()
def evaluate(net: torch.nn.Module, rows: torch.Tensor, batch: int) -> float:
    """Mean loss in nats a token; a last incomplete batch is left out."""
    whole = len(rows) // batch * batch
    return sum(batch_loss(net, part).item() for part in rows[:whole].split(batch)) \
        * batch / whole


def learning_rate(progress: float, step: int, warmup: int, peak: float) -> float:
    """Linear warm-up, then a cosine down to a fiftieth of the peak."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


def hyperparameters(args: argparse.Namespace) -> dict[str, object]:
    """What the manifest says of a run: every option but the paths."""
    given = {k: v for k, v in vars(args).items() if not isinstance(v, Path)}
    return given | {"optimizer": "AdamW", "betas": [0.9, 0.95], "gradient_clip": 1.0,
                    "schedule": "linear warm-up, cosine to 2% of the peak"}


def export(net: Llama, path: Path) -> None:
    """Writes the weights as F16 with everything a loader needs in the header."""
    metadata = {key: str(value) for key, value in asdict(net.config).items()}
    metadata |= {"architecture": "llama", "bos_token_id": "0", "eos_token_id": "0",
                 "tie_word_embeddings": "true"}
    tensors = {name: p.detach().to(torch.float16).contiguous()
               for name, p in net.named_parameters()}
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, metadata=metadata)
    partial.chmod(0o644)
    partial.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the embedded language model.")
    parser.add_argument("--corpus", type=Path, required=True, help="JSONL from extract.py")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    parser.add_argument("--log", type=Path, required=True, help="training log to write (JSON)")
    parser.add_argument("--steps", type=int, default=4800)
    parser.add_argument("--minutes", type=float, default=50.0,
                        help="the schedule is shortened to end within this time")
    parser.add_argument("--batch", type=int, default=8, help="rows a step")
    parser.add_argument("--micro-batch", type=int, default=4, help="rows a pass")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--warmup", type=int, default=100)
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--checkpoint-minutes", type=float, default=10.0)
    parser.add_argument("--compile", action="store_true", help="use torch.compile")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    config = Config()
    training, held_out = read_corpus(args.corpus)
    tokenizer = train_tokenizer(training, config.vocab_size)
    args.out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(args.out / "tokenizer.json"), pretty=False)
    documents = [e.ids for e in tokenizer.encode_batch(training)]
    length = config.max_position_embeddings
    held_out_rows = validation_rows([e.ids for e in tokenizer.encode_batch(held_out)], length)
    tokens = sum(len(d) + 1 for d in documents)
    print(f"{len(documents)} documents, {tokens} tokens; validation {held_out_rows.shape}",
          flush=True)

    net = Llama(config)
    net.initialise()
    decayed = [p for p in net.parameters() if p.ndim == 2]
    kept = [p for p in net.parameters() if p.ndim != 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": args.weight_decay},
         {"params": kept, "weight_decay": 0.0}], betas=(0.9, 0.95), fused=True)
    forward = torch.compile(net) if args.compile else net
    rows = packed_rows(documents, length, args.seed)
    log: dict[str, object] = {
        "documents": len(documents), "tokens": tokens, "validation_documents": len(held_out),
        "validation_tokens": held_out_rows.shape[0] * length,
        "parameters": sum(p.numel() for p in net.parameters()),
        "config": asdict(config), "points": [],
        "hyperparameters": hyperparameters(args)}

    start = saved = time.monotonic()
    recent: list[float] = []
    step, progress = 0, 0.0
    while progress < 1.0:
        rate = learning_rate(progress, step, args.warmup, args.learning_rate)
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = torch.tensor([next(rows) for _ in range(args.batch)])
        parts = batch.split(args.micro_batch)
        total = 0.0
        for part in parts:
            loss = batch_loss(forward, part) / len(parts)
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        recent.append(total)
        step += 1
        now = time.monotonic()
        progress = max(step / args.steps, (now - start) / (60 * args.minutes))
        if step % 20 == 0 or progress >= 1.0:
            speed = step * args.batch * length / (now - start)
            print(f"step {step} progress {progress:.3f} lr {rate:.2e} "
                  f"train {sum(recent[-20:]) / len(recent[-20:]):.4f} "
                  f"tokens/s {speed:.0f}", flush=True)
        if step % 300 == 0 or progress >= 1.0:
            window = recent[-100:]
            point = {"step": step, "minutes": round((now - start) / 60, 2),
                     "train_loss": round(sum(window) / len(window), 4),
                     "validation_loss": round(evaluate(forward, held_out_rows,
                                                       args.micro_batch), 4)}
            log["points"].append(point)
            log |= {"steps": step, "tokens_seen": step * args.batch * length}
            args.log.write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")
            print(point, flush=True)
        if now - saved > 60 * args.checkpoint_minutes or progress >= 1.0:
            export(net, args.out / "weights.safetensors")
            saved = now


if __name__ == "__main__":
    main()
