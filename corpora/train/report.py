# SPDX-License-Identifier: Apache-2.0
"""Write MANIFEST.json of a trained model, and print samples and statistics.

The manifest says where every byte of the model came from. It names no machine
and holds no path outside this folder. It does not verify the packages: their
versions are those that dpkg reports as installed now.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import subprocess
from pathlib import Path

import tokenizers
import torch

from extract import PACKAGES
from load import load_model, load_tokenizer, sample
from model import Llama
from train import batch_loss, is_validation, read_corpus, validation_rows


def package_entries(corpus: Path) -> list[dict[str, object]]:
    """One entry a package; the digest covers its texts, each followed by a newline."""
    digests = {p.name: hashlib.sha256() for p in PACKAGES}
    counts = {p.name: [0, 0, 0] for p in PACKAGES}
    for line in corpus.open(encoding="utf-8"):
        document = json.loads(line)
        raw = document["text"].encode() + b"\n"
        digests[document["source"]].update(raw)
        count = counts[document["source"]]
        count[0] += 1
        count[1] += is_validation(document["text"])
        count[2] += len(raw)
    entries: list[dict[str, object]] = []
    for package in PACKAGES:
        version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package.name],
                                 capture_output=True, text=True, check=True).stdout
        documents, held_out, size = counts[package.name]
        entries.append({"package": package.name, "version": version,
                        "licence": package.licence, "documents": documents,
                        "validation_documents": held_out, "bytes": size,
                        "sha256": digests[package.name].hexdigest()})
    return entries


def stored_validation_loss(net: Llama, folder: Path, corpus: Path) -> float:
    """Validation loss of the weights as stored, nats a token, every full row."""
    tokenizer = load_tokenizer(folder)
    _, held_out = read_corpus(corpus)
    rows = validation_rows([e.ids for e in tokenizer.encode_batch(held_out)],
                           net.config.max_position_embeddings)
    with torch.no_grad():
        return sum(batch_loss(net, row[None]).item() for row in rows) / len(rows)


def write_manifest(folder: Path, corpus: Path, log_path: Path, commands: list[str]) -> None:
    log = json.loads(log_path.read_text(encoding="utf-8"))
    net = load_model(folder)
    files = {name: {"bytes": (folder / name).stat().st_size,
                    "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()}
             for name in ("weights.safetensors", "tokenizer.json", "golden.json")}
    last = log["points"][-1]
    manifest = {
        "schema": "countermark.model/1",
        "files": files,
        "parameters": sum(p.numel() for p in net.parameters()),
        "config": log["config"],
        "packages": package_entries(corpus),
        "commands": commands,
        "training": {
            **log["hyperparameters"],
            "steps_done": log["steps"],
            "documents": log["documents"], "tokens": log["tokens"],
            "validation_documents": log["validation_documents"],
            "validation_tokens": log["validation_tokens"],
            "tokens_seen": log["tokens_seen"],
            "epochs": round(log["tokens_seen"] / log["tokens"], 2),
            "final_train_loss": last["train_loss"],
            "final_validation_loss": last["validation_loss"],
            "stored_validation_loss": round(stored_validation_loss(net, folder, corpus), 4),
            "loss_unit": "nats a token",
        },
        "versions": {"python": platform.python_version(), "torch": torch.__version__,
                     "tokenizers": tokenizers.__version__},
    }
    (folder / "MANIFEST.json").write_text(json.dumps(manifest, indent=1) + "\n",
                                          encoding="utf-8")


def repeated_contexts(ids: list[int], width: int) -> float:
    """Share of the tokens whose preceding width tokens were a context before."""
    contexts = [tuple(ids[i - width:i]) for i in range(width, len(ids))]
    return 1.0 - len(set(contexts)) / len(contexts)


def print_samples(folder: Path, rows: int, tokens: int, seed: int) -> None:
    net, tokenizer = load_model(folder), load_tokenizer(folder)
    for temperature, top_p in ((1.0, 0.95), (0.7, 0.95)):
        ids, _ = sample(net, rows, tokens, temperature, top_p, seed, forbid_end=False)
        print(f"\n== temperature {temperature}, top-p {top_p}")
        for row in ids.tolist():
            body = row[1:]
            ended = 0 in body
            body = body[:body.index(0)] if ended else body
            print(f"-- {len(body)} tokens, {'ended' if ended else 'cut'}")
            print(tokenizer.decode(body))
    for temperature, top_p in ((1.0, 1.0), (1.0, 0.95), (0.7, 0.95), (0.7, 1.0)):
        ids, entropy = sample(net, 40, 200, temperature, top_p, seed + 1, forbid_end=True)
        shares = [[repeated_contexts(row[1:], width) for row in ids.tolist()]
                  for width in (1, 2, 4)]
        means = ", ".join(f"{100 * sum(s) / len(s):.2f}%" for s in shares)
        print(f"temperature {temperature} top-p {top_p}: entropy {entropy.mean():.3f} nats a "
              f"token at T = 1; repeated contexts of 1, 2, 4 tokens: {means}")
    ids, entropy = sample(net, 100, 400, 1.0, 1.0, seed + 2, forbid_end=False)
    first = [(row + [0]).index(0) for row in ids[:, 1:].tolist()]
    inside = torch.arange(400)[None, :] < torch.tensor(first)[:, None]
    print(f"documents at T = 1: median {sorted(first)[50]} tokens, tenth and ninetieth "
          f"percentile {sorted(first)[10]} and {sorted(first)[90]}; entropy inside "
          f"{entropy[inside].mean():.3f} nats a token")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the manifest or print samples.")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--corpus", type=Path, help="JSONL from extract.py, for the manifest")
    parser.add_argument("--log", type=Path, help="training log, for the manifest")
    parser.add_argument("--commands", type=Path, help="text whose lines starting with python3 are the commands used")
    parser.add_argument("--samples", type=int, default=0, help="samples to print")
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    if args.samples:
        print_samples(args.model, args.samples, args.tokens, args.seed)
    if args.log:
        text = args.commands.read_text(encoding="utf-8")
        commands = [line for line in text.splitlines() if line.startswith("python3 ")]
        write_manifest(args.model, args.corpus, args.log, commands)


if __name__ == "__main__":
    main()
