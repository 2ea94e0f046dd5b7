# SPDX-License-Identifier: Apache-2.0
"""How surely the mark is found in answers that an engine has written (docs/engines.md).

    answers.py ENGINE [--answers 200] [--tokens 300]

ENGINE is transformers. Every answer is of an account of its own, at temperature 1 and top-p .95,
by the embedded model on the prompts of corpora/prompts.txt; it is read back from its text, which
need not give the ids that were drawn. Keys, nonces and accounts are new with every run, the
sampling of prompts is not. Exits 1 when a share is below its bar.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import countermark

ROOT = Path(__file__).resolve().parent.parent.parent
PROFILE = ROOT / "corpora" / "model" / "profile.json"
ACCOUNTS = 24_000
BATCH = 50


def by_transformers(service: countermark.Service, prompts: list[str], accounts: list[str],
                    length: int) -> list[tuple[list[int], str]]:
    """The ids and the text of one answer to each prompt."""
    import torch
    import transformers

    from countermark.transformers import Watermark

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, ROOT / "corpora" / "export.py", "--hf", folder], check=True,
                       capture_output=True)
        model = transformers.AutoModelForCausalLM.from_pretrained(folder)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, padding_side="left")
    tokenizer.pad_token = tokenizer.eos_token
    torch.manual_seed(1)
    out = []
    for begin in range(0, len(prompts), BATCH):
        inputs = tokenizer(prompts[begin:begin + BATCH], return_tensors="pt", padding=True)
        ids = model.generate(**inputs, max_new_tokens=length, do_sample=True, temperature=1.0,
                             top_k=0, top_p=0.95, suppress_tokens=[0],
                             watermarking_config=Watermark(service, accounts=accounts[begin:begin + BATCH]))
        for row in ids[:, inputs["input_ids"].shape[1]:].tolist():
            out.append((row, tokenizer.decode(row, clean_up_tokenization_spaces=False)))
        print(f"{len(out)} of {len(prompts)} answers", file=sys.stderr, flush=True)
    return out


def tuples(ids: list[int], width: int = 3) -> set[tuple[int, ...]]:
    return {tuple(ids[i - width:i + 1]) for i in range(width, len(ids))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("engine", choices=["transformers"])
    parser.add_argument("--answers", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=300)
    arguments = parser.parse_args()
    profile = countermark.Profile.load(PROFILE)
    tokenizer = countermark.Tokenizer.of(profile, PROFILE)
    key = countermark.Key.generate().epoch("embedded", "study")
    other = countermark.Key.generate().epoch("embedded", "study")
    service = countermark.Service(key, profile)
    print(service.describe())
    prompts = [line for line in (ROOT / "corpora" / "prompts.txt").read_text().splitlines() if line]
    prompts = [prompts[i % len(prompts)] for i in range(arguments.answers)]
    accounts = [f"account-{i}" for i in range(arguments.answers)]
    answers = by_transformers(service, prompts, accounts, arguments.tokens)

    whole, own, of_other, survived = [], [], [], []
    for account, (ids, text) in zip(accounts, answers):
        found = countermark.Detector(key, profile, tokenizer, account=account).detect(text)
        whole.append(found["log10P"])
        own.append(found["streams"][0]["log10P"] + math.log10(ACCOUNTS))
        of_other.append(countermark.Detector(other, profile, tokenizer, account=account).detect(text)["log10P"])
        drawn = tuples(ids)
        survived.append(len(drawn & tuples(tokenizer.encode(text))) / len(drawn))

    n = len(answers)
    passed = True

    def show(what: str, share: float, bar: float | None) -> None:
        nonlocal passed
        verdict = "" if bar is None else "pass" if share >= bar else "FAIL"
        passed = passed and verdict != "FAIL"
        print(f"{what:62} {100 * share:6.1f} % {f'{100 * bar:.0f} %' if bar else '':>6} {verdict}")

    print(f"{arguments.engine}: {n} answers of {arguments.tokens} tokens, read back from their text")
    show("claimed account, all its layers: p <= 1e-20", sum(p <= -20 for p in whole) / n, 0.97)
    show(f"account's own layer, times {ACCOUNTS:,}: p <= 1e-6", sum(p <= -6 for p in own) / n, 0.95)
    show("answers whose ids come back whole", sum(s == 1 for s in survived) / n, None)
    show("tuples of width 3 that survive the text", sum(survived) / n, None)
    least = min(of_other) + math.log10(n)
    print(f"under another key the smallest p of {n}, times {n}: {10 ** min(0.0, least):.2g}")
    counted = service.counters()
    print("draws:", ", ".join(f"{kind} {count}" for kind, count in counted.items() if count))
    passed = passed and least > -3
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
