# SPDX-License-Identifier: Apache-2.0
"""What the tests of other systems' marks against the code that makes and reads them share.

transformers and torch are installed; vLLM, SGLang, TextSeal and synthid-text are the Python sources of their
wheels (released.py), of which everything runs here that needs no GPU. Each scheme is compared on at least
100,000 tuples (COUNT). What has no release to run, lm-watermarking, text-generation-inference, three_bricks,
vLLM's SBW and SynthID and synthid-text's hash of June 2025, is left to the vectors of tests/reference/foreign;
of the first three the lists at least are torch's, which test_upstream_transformers.py compares.
"""

from __future__ import annotations

import json
import math
import tempfile
import unittest
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import countermark
from countermark import Detector, ForeignKey, ForeignMark, ForeignProfile
from support import TOKENIZER, Case, call, export

try:
    import torch
    import transformers
except ImportError as missing:
    raise unittest.SkipTest(f"transformers is not installed: {missing}") from missing

COUNT = 100_000
LARGE_KEY = 0xC2B2AE3D27D4EB4F


def profile_of(scheme: str, **fields: Any) -> ForeignProfile:
    return ForeignProfile.parse(json.dumps({"scheme": scheme, **fields}))


def key_text(value: int | str | Sequence[int]) -> str:
    if isinstance(value, str):
        return f"hex:{value}"
    return f"int:{value}" if isinstance(value, int) else "ints:" + ",".join(map(str, value))


def key_of(value: int | str | Sequence[int]) -> ForeignKey:
    return ForeignKey.parse(key_text(value))


def mark_of(scheme: str, key: int | str | Sequence[int], **fields: Any) -> ForeignMark:
    return ForeignMark(profile_of(scheme, **fields), key_of(key))


def bits(values: np.ndarray, depth: int) -> np.ndarray:
    """g values [n, depth] of raw values [n]."""
    return (values[:, None] >> np.arange(depth, dtype=np.uint64) & np.uint64(1)).astype(np.int64)


class Upstream(Case):
    def made_by_us(self, profile: ForeignProfile, key: int | str | Sequence[int], size: int) -> list[int]:
        """Text of the embedded model that the command line has marked."""
        for name, text in (("made.json", profile.to_json()), ("made.key", key_text(key))):
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o600)
        line = call("generate", "-k", self.folder / "made.key", "-p", self.folder / "made.json", "-t", TOKENIZER,
                    "--prompt", "The server", "-n", size, "--exact", "--seed", "00", "--json")
        ids: list[int] = json.loads(line)["ids"]
        self.assertEqual(len(ids), size)
        return ids


    def same_numbers(self, key: int | str | Sequence[int], profile: ForeignProfile, ids: Any, theirs: dict[str, float],
                     prompt: Any = None) -> None:
        """What we show as published is what they print."""
        shown: dict[str, Any] = dict(Detector(key_of(key), profile, as_published=True).detect(
            ids, prompt=prompt)["asPublished"])
        for name, value in theirs.items():
            self.assertTrue(math.isclose(shown[name], value, rel_tol=1e-9, abs_tol=1e-290), (name, shown, value))


class Embedded(Upstream):
    """The embedded model, exported for transformers."""

    @classmethod
    def setUpClass(cls) -> None:
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        folder = Path(temporary.name) / "model"
        export("--hf", folder)
        cls.model = transformers.AutoModelForCausalLM.from_pretrained(folder)
        cls.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

    def setUp(self) -> None:
        super().setUp()
        torch.manual_seed(1)
        # The model is small: threads wait for each other.
        self.addCleanup(torch.set_num_threads, torch.get_num_threads())
        torch.set_num_threads(1)

    def rows(self, prompt: str, size: int, answer: list[int]) -> Iterator[torch.Tensor]:
        """Logits of each step of an answer that the caller goes on with; the end is never likely."""
        ids = self.tokenizer(prompt, return_tensors="pt")["input_ids"]
        cache = None
        for _ in range(size):
            with torch.inference_mode():
                out = self.model(input_ids=ids, past_key_values=cache, use_cache=True)
            cache = out.past_key_values
            row = out.logits[:, -1].clone()
            row[:, 0] = -torch.inf
            yield row
            ids = torch.tensor([[answer[-1]]])

    def found(self, ids: Any, key: ForeignKey, profile: ForeignProfile, decoys: int = 0) -> countermark.Detection:
        return Detector(key, profile, alpha=1e-2 if decoys else 1e-6, decoys=decoys).detect(ids)
