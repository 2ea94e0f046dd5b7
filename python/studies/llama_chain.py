# SPDX-License-Identifier: Apache-2.0
"""What the mark costs a token in llama.cpp's own chain, beside the `dist` whose place it takes.

    llama_chain.py [--vocabulary 8192] [--steps 4000]

Rows of uniform logits in [0, 12) go through chains of libllama (llama_sampler_apply and _accept,
called from Python) that end without a draw, with `dist`, and with the mark, in turns; a row costs
what its chain takes more than the one without a draw. Microseconds, the median of the steps. The
first line is llama.cpp's default chain; the last ones leave more and more candidates. Exits 1 when
the mark in the default chain takes more than 5 us.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import sys
import time
from typing import Any

import countermark
import llama_cpp
import numpy as np
from llama_cpp import llama_cpp as libllama

MOST_MICROSECONDS = 5.0
ENDS = ("no draw", "dist", "mark")


class Chain:
    def __init__(self, service: countermark.Service, truncation: list[Any], end: str) -> None:
        self._chain = libllama.llama_sampler_chain_init(libllama.llama_sampler_chain_default_params())
        for make in truncation:
            libllama.llama_sampler_chain_add(self._chain, make())
        if end == "dist":
            libllama.llama_sampler_chain_add(self._chain, libllama.llama_sampler_init_dist(1))
        if end == "mark":
            init = ctypes.cast(libllama.llama_sampler_init, ctypes.c_void_p).value
            marking, _ = service.llama_sampler(init, account="a", cohort="c", max_tokens=1 << 20)
            libllama.llama_sampler_chain_add(
                self._chain, ctypes.cast(marking, libllama.llama_sampler_p_ctypes))

    def step(self, array: Any, fallback: int) -> tuple[float, int]:
        """Microseconds, and how many candidates were left."""
        begin = time.perf_counter()
        libllama.llama_sampler_apply(self._chain, array)
        selected = array.contents.selected
        libllama.llama_sampler_accept(
            self._chain, array.contents.data[selected].id if selected >= 0 else fallback)
        return 1e6 * (time.perf_counter() - begin), array.contents.size


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--steps", type=int, default=4000)
    arguments = parser.parse_args()
    n = arguments.vocabulary
    service = countermark.Service(countermark.Key.generate().epoch("model", "overhead"))
    print(service.describe())
    print(f"llama-cpp-python {llama_cpp.__version__}, vocabulary {n:,}")
    rows = np.random.default_rng(1).uniform(0, 12, (16, n)).astype(np.float32)
    entry = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
    data = np.zeros(n, dtype=entry)
    pointer = ctypes.cast(data.ctypes.data, ctypes.POINTER(libllama.llama_token_data))
    temp, top_k, top_p, min_p = (libllama.llama_sampler_init_temp, libllama.llama_sampler_init_top_k,
                                 libllama.llama_sampler_init_top_p, libllama.llama_sampler_init_min_p)
    chains = {
        "top-k 40, top-p .95, min-p .05, temperature .8": [
            lambda: top_k(40), lambda: top_p(0.95, 1), lambda: min_p(0.05, 1), lambda: temp(0.8)],
        "top-k 40": [lambda: top_k(40)],
        "top-k 200": [lambda: top_k(200)],
        "top-p .95": [lambda: top_p(0.95, 1)],
        "nothing before it": [],
    }
    order = np.random.default_rng(2)  # what follows what must not matter
    print(f"{'chain':>48} {'candidates':>10} {'dist':>9} {'mark':>9}")
    passed = True
    for name, truncation in chains.items():
        ends = [Chain(service, truncation, end) for end in ENDS]
        times: list[list[float]] = [[] for _ in ENDS]
        left = 0
        for step in range(arguments.steps):
            for i in order.permutation(len(ends)):
                data["id"] = np.arange(n)
                data["logit"] = rows[step % len(rows)]
                array = libllama.llama_token_data_array(data=pointer, size=n, selected=-1, sorted=False)
                taken, left = ends[i].step(ctypes.pointer(array), step)
                times[i].append(taken)
        none, dist, mark = (statistics.median(part) for part in times)
        print(f"{name:>48} {left:10,} {dist - none:6.2f} us {mark - none:6.2f} us", flush=True)
        if name == next(iter(chains)):
            passed = mark - none <= MOST_MICROSECONDS
    print("pass" if passed else "FAIL")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
