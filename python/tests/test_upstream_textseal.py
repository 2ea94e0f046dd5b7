# SPDX-License-Identifier: Apache-2.0
"""TextSeal's marks: what its release computes, bit for bit, and its detectors' sums."""

from __future__ import annotations

import importlib
import math
import types
import unittest
from typing import Any
from unittest import mock

import numpy as np

import released
from upstream import COUNT, Upstream, mark_of, torch


class TextSeal(Upstream):
    """The release of December 2025: its hash, its green list and its Gumbel mark of one key."""

    @classmethod
    def setUpClass(cls) -> None:
        with released.imports("textseal", "textseal", "textseal.common", "textseal.common.watermark"):
            cls.hash = importlib.import_module("textseal.common.watermark.pseudorandom")
            cls.core = importlib.import_module("textseal.common.watermark.core")

    def test_hash(self) -> None:
        random = np.random.default_rng(1)
        counted = 0
        for key in (42, 0, -7, 2**62 + 11):
            for width in (1, 2, 4, 10):
                contexts, tokens = random.integers(0, 256_000, (10_000, width)), random.integers(0, 256_000, 10_000)
                given = torch.from_numpy(contexts), torch.from_numpy(tokens)
                for i, each in enumerate((key, key + 12_345)):
                    theirs = self.hash.prf_uniform(*given, each).numpy()
                    mark = mark_of("textseal/1", key, prf="textseal", contextWidth=width)
                    levels = mark.raw_values(contexts, tokens, i).astype(np.float32)
                    np.testing.assert_array_equal(levels / np.float32(8191), theirs)
                for gamma in ("1/2", "1/10"):
                    top, bottom = map(int, gamma.split("/"))
                    mark = mark_of("textseal/1", key, prf="greenlist", contextWidth=width, gamma=gamma)
                    np.testing.assert_array_equal(mark.raw_values(contexts, tokens),
                                                  self.hash.prf_binary(*given, key, top / bottom).numpy())
                counted += len(tokens)
        self.assertGreaterEqual(counted, COUNT)

    def detectors(self) -> Any:
        return released.definitions(
            "textseal", "textseal/posthoc/detector.py", "WmDetector", "GreenlistDetector", "GumbelmaxDetector",
            torch=torch, np=np, score_listed_tokens=self.core.score_listed_tokens,
            special=types.SimpleNamespace(gammaincc=lambda n, s: float(torch.special.gammaincc(
                torch.tensor(float(n), dtype=torch.float64), torch.tensor(s, dtype=torch.float64)))))

    def test_their_detector_sums_what_we_sum(self) -> None:
        theirs = self.detectors()
        tokenizer = types.SimpleNamespace(encode=lambda ids, **_: ids, add_special_tokens=None)
        random = np.random.default_rng(2)
        for prf, detector, method in (("gumbelmax", theirs.GumbelmaxDetector, "uniform"),
                                      ("greenlist", theirs.GreenlistDetector, "binary")):
            for width in (1, 2):
                mark = mark_of("textseal/1", 42, prf=prf, contextWidth=width)
                plain = random.integers(0, 4096, 300).tolist()
                for ids in (plain, self.made_by_us(mark.profile, 42, 300)):
                    args = self.core.WatermarkConfig(secret_key=42, ngram=width, watermark_type=prf, method=method)
                    with mock.patch.object(theirs.WmDetector, "_get_vocab_size", return_value=4096):
                        made = detector(tokenizer, args)
                    scores = made.get_scores_by_t([ids], "v2", seen_windows=set())[0]
                    # They tell windows apart, we the sums that their hash sees of them: count theirs alike.
                    first = width + 1
                    contexts = np.array([ids[i - width:i] for i in range(first, len(ids))])
                    windows = np.unique(np.column_stack([contexts, ids[first:]]), axis=0)
                    values = mark.raw_values(np.ascontiguousarray(windows[:, :-1]), windows[:, -1])
                    wanted = values.astype(np.float64)
                    if prf == "gumbelmax":
                        wanted = -np.log1p(-(values.astype(np.float32) / np.float32(8191)).astype(np.float64))
                    self.assertEqual(len(scores), len(windows))
                    self.assertTrue(math.isclose(sum(scores), wanted.sum(), rel_tol=1e-6))  # theirs in fp32
                    self.assertLessEqual(len(mark.scores(ids).scores), len(windows))
                    if prf == "gumbelmax":
                        p = made.get_pvalue(sum(scores), len(scores), 1e-200)
                        (self.assertGreater if ids is plain else self.assertLess)(p, 1e-20)


if __name__ == "__main__":
    unittest.main()
