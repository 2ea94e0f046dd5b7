# SPDX-License-Identifier: Apache-2.0
"""What the hook costs a step on the CPU, beside the watermarks that engines bring.

    overhead.py [--seconds 0.5] [--vocabularies 32000,128256,151936] [--rows 1,8,64]

One thread each, the Python call included. Ours draws the token: temperature 1, top-k 50, top-p .95,
marked, through countermark.Service.sample. transformers' SynthID and KGW processors (their
defaults) turn a row into another one, from which the engine has yet to draw. vLLM's and SGLang's
Gumbel selections are the code that their releases run where there is no GPU, on rows that are
truncated and contexts that are hashed beforehand: truncation, which ours includes, costs them
nothing here. (On a GPU both run fused kernels, which are not measured.)

"one pass" is the largest logit of each row by PyTorch: how long this machine takes to read them.

Rows are fp32, uniform in [0, 20). Microseconds a row, the median of the calls that fit into the
time, at least five; three if each takes more than a second, one if more than ten. Exits 1 where
ours takes more than 40 us a row, or a peer less than 20 times as long.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import countermark
import torch
import transformers

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "python" / "tests"))

import released  # noqa: E402

PEER_RATIO, MOST_MICROSECONDS = 20, 40
KEY = 0x0123456789ABCDEF
Step = Callable[[], object]


def microseconds(step: Step, seconds: float) -> float:
    """The first call warms up, and tells how many are wanted."""
    times: list[float] = []
    least = 1
    end = math.inf
    while len(times) < least or time.perf_counter() < end:
        begin = time.perf_counter()
        step()
        took = time.perf_counter() - begin
        if end == math.inf:
            least = 5 if took < 1 else 3 if took < 10 else 1
            end = time.perf_counter() + seconds
        else:
            times.append(took)
    return 1e6 * statistics.median(times)


def vllms() -> Any:
    """vLLM's watermarker, of a context of four tokens."""
    with released.imports("vllm", "vllm", "vllm.v1", "vllm.v1.watermarking", "vllm.v1.watermarking.prfs"):
        from vllm.v1.watermarking.prfs.philox import PhiloxPRF

    sample = released.definitions("vllm", "vllm/v1/watermarking/watermarker.py", "WatermarkSample",
                                  dataclass=dataclasses.dataclass).WatermarkSample
    gumbel = released.definitions(
        "vllm", "vllm/v1/watermarking/gumbel.py", "GumbelWatermarker", "_validate_context_width",
        torch=torch, warnings=warnings, PhiloxPRF=PhiloxPRF, WatermarkSample=sample, Watermarker=object)
    return gumbel.GumbelWatermarker(KEY, prf=PhiloxPRF(KEY))


def sglangs() -> Any:
    """SGLang's selection of a token by probabilities."""
    with released.imports("sglang", "sglang", "sglang.srt", "sglang.srt.sampling",
                          "sglang.srt.sampling.watermarking"):
        from sglang.srt.sampling.watermarking.core import select_watermark_tokens_torch
    return select_watermark_tokens_torch


def truncated(logits: torch.Tensor) -> torch.Tensor:
    """The rows after top-k 50 and top-p .95, what is cut at -inf."""
    values, ids = logits.topk(50)
    before = values.softmax(-1).cumsum(-1) - values.softmax(-1)
    return torch.full_like(logits, -torch.inf).scatter_(
        -1, ids, values.masked_fill(before >= 0.95, -torch.inf))


def peers(rows: int, logits: torch.Tensor, vllm: Any, sglang: Any) -> dict[str, Step]:
    """Everybody's step on these rows. None of them changes its argument."""
    vocabulary = logits.shape[1]
    ids = torch.randint(0, vocabulary, (rows, 20))
    synthid = transformers.SynthIDTextWatermarkLogitsProcessor(
        ngram_len=5, keys=list(range(30)), sampling_table_size=2**16, sampling_table_seed=0,
        context_history_size=1024, device=torch.device("cpu"))
    kgw = transformers.WatermarkLogitsProcessor(vocabulary, "cpu")
    kept = truncated(logits)
    probabilities = kept.softmax(-1)
    hashes = torch.randint(0, 2**32, (rows,))
    keys = torch.full((rows,), KEY)
    return {
        "SynthID": lambda: synthid(ids, logits),
        "KGW": lambda: kgw(ids, logits),
        "vLLM": lambda: vllm._sample_watermarked(kept, ids[:, -4:]),
        "SGLang": lambda: sglang(probabilities, hashes, keys),
    }


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--vocabularies", type=numbers, default=[32_000, 128_256, 151_936])
    parser.add_argument("--rows", type=numbers, default=[1, 8, 64])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    service = countermark.Service(countermark.Key.generate().epoch("model", "overhead"))
    vllm, sglang = vllms(), sglangs()
    print(service.describe())
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, "
          + ", ".join(f"{name} {wheel[0]}" for name, wheel in released.WHEELS.items()))
    heads = ["SynthID", "KGW", "vLLM", "SGLang"]
    print(f"{'vocabulary':>10} {'rows':>4} {'one pass':>8} {'countermark':>12} "
          + " ".join(f"{head:>20}" for head in heads) + "   (us a row; times ours)")
    passed = True
    for vocabulary in arguments.vocabularies:
        for rows in arguments.rows:
            logits = 20 * torch.rand(rows, vocabulary)
            responses = [service.respond(account="a", cohort="c", max_tokens=64) for _ in range(rows)]
            for response in responses:
                response.commit(list(range(10)))
            steps = peers(rows, logits, vllm, sglang)
            with torch.inference_mode():
                ours = microseconds(lambda: service.sample(responses, logits, top_k=50, top_p=0.95),
                                    arguments.seconds) / rows
                one_pass = microseconds(lambda: logits.amax(1), arguments.seconds) / rows
                others = [microseconds(steps[head], arguments.seconds) / rows for head in heads]
            passed = passed and ours <= MOST_MICROSECONDS and min(others) >= PEER_RATIO * ours
            print(f"{vocabulary:10,} {rows:4} {one_pass:8.1f} {ours:12.1f} "
                  + " ".join(f"{other:10.0f} ({other / ours:7.0f})" for other in others), flush=True)
    print("pass" if passed else "FAIL")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
