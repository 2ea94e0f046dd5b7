# SPDX-License-Identifier: Apache-2.0
"""How surely the mark is found in answers that an engine has written (docs/engines.md).

    answers.py ENGINE [--answers 200] [--tokens 300]

ENGINE is transformers, llama-cpp (llama-cpp-python) or llama-cpp-server (its HTTP server, in a
process of its own). Every answer is of an account of its own, at temperature 1 and top-p .95,
by the embedded model on the prompts of corpora/prompts.txt; it is read back from its text, which
need not give the ids that were drawn. Keys, nonces and accounts are new with every run, the
sampling of prompts is not. Exits 1 when a share is below its bar.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

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


def gguf(folder: Path) -> Path:
    path = folder / "model.gguf"
    subprocess.run([sys.executable, ROOT / "corpora" / "export.py", "--gguf", path], check=True,
                   capture_output=True)
    return path


# Of llama-cpp-python: the whole distribution at temperature 1, cut by top-p alone; no end.
LLAMA_SETTINGS: dict[str, Any] = {"temperature": 1.0, "top_p": 0.95, "top_k": 0, "min_p": 0.0,
                                  "repeat_penalty": 1.0, "logit_bias": {"0": -100.0}}


def recorded(path: Path, texts: list[str]) -> list[tuple[list[int], str]]:
    """The ids of each answer from the transcripts, which come in the order of the answers."""
    out = [(list(record["ids"]), text) for record, text in zip(countermark.read_transcripts(path), texts)]
    assert len(out) == len(texts)
    return out


def by_llama_cpp(service: countermark.Service, prompts: list[str], accounts: list[str],
                 length: int) -> list[tuple[list[int], str]]:
    from countermark.llama_cpp import Llama, written_for

    settings = {**LLAMA_SETTINGS, "logit_bias": {0: -100.0}}
    with tempfile.TemporaryDirectory() as folder:
        transcripts = Path(folder) / "transcripts.jsonl"
        model = Llama(str(gguf(Path(folder))), service=service, n_ctx=512, verbose=False)
        texts = []
        with countermark.TranscriptWriter(transcripts) as model.transcripts:
            for prompt, account in zip(prompts, accounts):
                with written_for(account=account):
                    answer = model.create_completion(prompt, max_tokens=length, **settings)
                texts.append(answer["choices"][0]["text"])
                if len(texts) % BATCH == 0:
                    print(f"{len(texts)} of {len(prompts)} answers", file=sys.stderr, flush=True)
        return recorded(transcripts, texts)


def by_llama_cpp_server(key: countermark.Key, prompts: list[str], accounts: list[str],
                        length: int) -> list[tuple[list[int], str]]:
    """From a server in a process of its own, which gets the key by a file and accounts by a header."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        key.save(folder / "server.key")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = subprocess.Popen(
            [sys.executable, "-m", "countermark.llama_cpp", "--model", gguf(folder), "--n_ctx", "512",
             "--port", str(port), "--interrupt_requests", "false", "--verbose", "false"],
            env={**os.environ, "COUNTERMARK_KEY": str(folder / "server.key"),
                 "COUNTERMARK_PROFILE": str(PROFILE),
                 "COUNTERMARK_TRANSCRIPTS": str(folder / "transcripts.jsonl")},
            stdout=subprocess.DEVNULL, stderr=(folder / "log").open("w"))
        try:
            url = f"http://127.0.0.1:{port}/v1/completions"
            deadline = time.monotonic() + 60
            while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((folder / "log").read_text())
                time.sleep(0.1)
            texts = []
            for prompt, account in zip(prompts, accounts):
                body = {"prompt": prompt, "max_tokens": length, **LLAMA_SETTINGS}
                request = urllib.request.Request(
                    url, json.dumps(body).encode(),
                    {"Content-Type": "application/json", "X-Countermark-Account": account})
                with urllib.request.urlopen(request, timeout=300) as reply:
                    texts.append(json.load(reply)["choices"][0]["text"])
                if len(texts) % BATCH == 0:
                    print(f"{len(texts)} of {len(prompts)} answers", file=sys.stderr, flush=True)
        finally:
            server.terminate()
            server.wait()
        print((folder / "log").read_text().splitlines()[0])
        return recorded(folder / "transcripts.jsonl", texts)


def tuples(ids: list[int], width: int = 3) -> set[tuple[int, ...]]:
    return {tuple(ids[i - width:i + 1]) for i in range(width, len(ids))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("engine", choices=["transformers", "llama-cpp", "llama-cpp-server"])
    parser.add_argument("--answers", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=300)
    arguments = parser.parse_args()
    profile = countermark.Profile.load(PROFILE)
    tokenizer = countermark.Tokenizer.of(profile, PROFILE)
    key = countermark.Key.generate().epoch("embedded", "study")
    other = countermark.Key.generate().epoch("embedded", "study")
    service = countermark.Service(key, profile)
    if arguments.engine != "llama-cpp-server":
        print(service.describe())
    prompts = [line for line in (ROOT / "corpora" / "prompts.txt").read_text().splitlines() if line]
    prompts = [prompts[i % len(prompts)] for i in range(arguments.answers)]
    accounts = [f"account-{i}" for i in range(arguments.answers)]
    if arguments.engine == "llama-cpp-server":
        answers = by_llama_cpp_server(key, prompts, accounts, arguments.tokens)
    else:
        write = by_transformers if arguments.engine == "transformers" else by_llama_cpp
        answers = write(service, prompts, accounts, arguments.tokens)

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
    counted = [f"{kind} {count}" for kind, count in service.counters().items() if count]
    if counted:
        print("draws:", ", ".join(counted))
    passed = passed and least > -3
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
