# SPDX-License-Identifier: Apache-2.0
"""countermark.device_triton: interpreted against the PyTorch form, and compiled; no GPU is used.

Each in a process of its own: Triton decides when it is imported whether it interprets. It is looked
for where ./run engines puts it, apart from the engines, and among the packages.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
import unittest

from support import ROOT, Case

FOLDER = ROOT / "build" / "engines" / "triton"

INTERPRETED = """
    import numpy as np
    import torch
    import countermark
    from countermark.device import DeviceSampler

    random = np.random.default_rng(7)
    service = countermark.Service(countermark.Key.generate().epoch("m", "e"), may_leak_timing=True)
    made = [DeviceSampler(service.profile, capacity=6, device="cpu", use_triton=use) for use in (False, True)]
    history = torch.from_numpy(random.integers(0, 999, (6, 20)))
    slots, lengths = torch.arange(6), torch.tensor([0, 1, 5, 10, 15, 20])
    marked = 0
    for options in ({}, {"top_k": 30}, {"top_p": 0.9}):
        for slot in range(6):
            response = service.respond(account="alice", cohort="c", max_tokens=9, marked=slot != 4)
            for sampler in made:
                sampler.begin(slot, response.secret_schedule(), **options)
        logits = torch.from_numpy(random.normal(size=(6, 300)).astype(np.float32))
        logits[:, :260:3] = -torch.inf  # whole parts of the untruncated rows hold few candidates
        plain, kernel = (sampler.draw(logits, slots, history, lengths) for sampler in made)
        assert torch.equal(plain.tokens, kernel.tokens) and torch.equal(plain.kinds, kernel.kinds)
        marked += int((plain.layers >= 0).sum())
        # The words themselves, of ids up to 2^32 - 1.
        ids = torch.from_numpy(random.integers(0, 2**32, (6, 300)))
        weights = torch.ones(6, 300, dtype=torch.float64)
        weights[0] = weights[:, 256:] = 0  # parts in which nothing can be drawn are not encrypted
        plan = made[1]._plan(slots, history, lengths, True)
        words = made[1]._kernel(plan.round_keys, plan.base, made[1]._aes.columns, ids, weights)
        wanted, _ = made[0].words(slots, history, lengths, ids)
        assert torch.equal(words, torch.where(weights > 0, wanted, 0))
    assert marked > 3
"""

COMPILED = """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource
    from countermark.device_triton import _words_kernel

    pointers = {"round_keys": "*i32", "base": "*i32", "columns": "*i32", "ids": "*i64", "weights": "*fp64",
                "words": "*i64", "size": "i32", "HAS_IDS": "constexpr", "BLOCK": "constexpr"}
    for capability in (80, 90):
        for has_ids in (False, True):
            source = ASTSource(_words_kernel, signature=pointers, constexprs={(7,): has_ids, (8,): 256})
            made = triton.compile(source, target=GPUTarget("cuda", capability, 32))
            assert len(made.asm["cubin"]) > 1000
"""


@unittest.skipUnless(FOLDER.is_dir() or importlib.util.find_spec("triton"), "triton is not installed")
class Triton(Case):
    def run_apart(self, program: str, interpret: bool) -> None:
        file = self.folder / "program.py"
        file.write_text(textwrap.dedent(program))
        paths = [*filter(None, [os.environ.get("PYTHONPATH")]), str(FOLDER)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths),
                       "TRITON_CACHE_DIR": str(self.folder / "cache"),
                       "TRITON_INTERPRET": str(int(interpret))}
        done = subprocess.run([sys.executable, file], env=environment, capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_words_are_those_of_the_torch_form(self) -> None:
        self.run_apart(INTERPRETED, interpret=True)

    def test_it_compiles(self) -> None:
        self.run_apart(COMPILED, interpret=False)


if __name__ == "__main__":
    unittest.main()
