# SPDX-License-Identifier: Apache-2.0
"""What the hook costs a step on the CPU, beside the watermarks that transformers brings.

    overhead.py [--seconds 0.5]

One thread each, the Python call included. Ours draws the token: temperature 1, top-k 50, top-p .95,
marked, through countermark.Service.sample. transformers' SynthID and KGW processors (their
defaults) turn a row into another one, from which the engine has yet to draw. Rows are fp32, uniform
in [0, 20). Microseconds a row, the median of the calls that fit into the time, at least five.
Exits 1 where ours takes more than 40 us a row, or a peer less than 20 times as long.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import countermark
import torch
import transformers

PEER_RATIO, MOST_MICROSECONDS = 20, 40


def microseconds(step: Callable[[], object], seconds: float) -> float:
    step()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    return 1e6 * statistics.median(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.5)
    seconds = parser.parse_args().seconds
    torch.set_num_threads(1)
    torch.manual_seed(1)
    service = countermark.Service(countermark.Key.generate().epoch("model", "overhead"))
    print(service.describe())
    print(f"torch {torch.__version__}, transformers {transformers.__version__}")
    print(f"{'vocabulary':>10} {'rows':>5} {'countermark':>12} {'SynthID':>12} {'KGW':>12}   times ours")
    passed = True
    for vocabulary in (32_000, 128_256, 151_936):
        for rows in (1, 8, 64):
            logits = 20 * torch.rand(rows, vocabulary)
            ids = torch.randint(0, vocabulary, (rows, 20))
            responses = [service.respond(account="a", cohort="c", max_tokens=64) for _ in range(rows)]
            for response in responses:
                response.commit(list(range(10)))
            synthid = transformers.SynthIDTextWatermarkLogitsProcessor(
                ngram_len=5, keys=list(range(30)), sampling_table_size=2**16, sampling_table_seed=0,
                context_history_size=1024, device=torch.device("cpu"))
            kgw = transformers.WatermarkLogitsProcessor(vocabulary, "cpu")
            ours = microseconds(lambda: service.sample(responses, logits, top_k=50, top_p=0.95), seconds) / rows
            peers = [microseconds(lambda: processor(ids, logits.clone()), seconds) / rows
                     for processor in (synthid, kgw)]
            passed = passed and ours <= MOST_MICROSECONDS and min(peers) >= PEER_RATIO * ours
            print(f"{vocabulary:10,} {rows:5} {ours:9.1f} us {peers[0]:9.0f} us {peers[1]:9.0f} us   "
                  f"{peers[0] / ours:6.0f} {peers[1] / ours:6.0f}", flush=True)
    print("pass" if passed else "FAIL")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
