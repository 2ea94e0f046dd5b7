# SPDX-License-Identifier: Apache-2.0
"""vLLM's and SGLang's marks: what their releases compute, bit for bit, and text of either side before the other's
detector. No server runs, and no GPU."""

from __future__ import annotations

import importlib
import math
import types
import unittest
from typing import Any
from unittest import mock

import numpy as np

import countermark
import released
from countermark import Detector, ForeignMark, ForeignProfile
from upstream import COUNT, LARGE_KEY, Embedded, key_of, mark_of, profile_of, torch


def vllms() -> Any:
    """vLLM's watermarking, whole: what it defers until it sees a GPU is not run."""
    with released.imports("vllm", "vllm", "vllm.config", "vllm.v1", "vllm.v1.worker", "vllm.v1.worker.gpu",
                          "vllm.v1.worker.gpu.sample"):
        module = importlib.import_module("vllm.v1.watermarking")
        module.repeated_context_mask = importlib.import_module(
            "vllm.v1.worker.gpu.sample.watermark").repeated_context_mask
        return module


class Vllm(Embedded):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.vllm = vllms()

    def test_uniforms(self) -> None:
        random = np.random.default_rng(1)
        counted = 0
        for key in (42, 0, 2**64 - 1, LARGE_KEY):
            for width in (1, 2, 3, 4, 5, 8, 16, 17):
                contexts = random.integers(0, 256_000, (4_000, width))
                contexts[::7, :width // 2 + 1] = -1  # before the first token
                contexts[1::7] = 2**32 - 1 - random.integers(0, 9, (len(contexts[1::7]), width))
                tokens = random.integers(0, 2**32, 4_000)
                tokens[:2_000] %= 256_000
                ours = contexts & 0xFFFFFFFF
                for name, keys in (("vllm-gumbel", [key]),
                                   ("vllm-dual-gumbel", [self.vllm.derive_watermark_key(key, b"key_a"),
                                                         self.vllm.derive_watermark_key(key, b"key_b")])):
                    mark = mark_of(f"{name}/philox4x32-10-v1", key, contextWidth=width)
                    self.assertEqual(mark.keys, len(keys))
                    for i, each in enumerate(keys):
                        wanted = self.vllm.PhiloxPRF(each).uniform(torch.from_numpy(contexts),
                                                                   torch.from_numpy(tokens)[:, None])[:, 0].numpy()
                        np.testing.assert_array_equal(uniforms(mark.raw_values(ours, tokens, i)), wanted)
                        counted += len(tokens)
        self.assertGreaterEqual(counted, 3 * COUNT)

    def test_their_detector_sums_what_we_sum(self) -> None:
        random = np.random.default_rng(2)
        for size, vocabulary in ((1, 9), (50, 9), (400, 4096), (400, 4)):
            ids = random.integers(0, vocabulary, size).tolist()
            for width in (1, 4):
                profile = profile_of("vllm-gumbel/philox4x32-10-v1", contextWidth=width, historyLimit=0)
                mark = ForeignMark(profile, key_of(LARGE_KEY))
                theirs = self.vllm.GumbelWatermarkDetector(LARGE_KEY, width).detect(ids)
                text = mark.scores(ids)
                self.assertEqual(len(text.scores), theirs.num_scored_tokens)
                score = gumbel_scores(uniforms(mark.raw_values(text.contexts, text.tokens))).sum()
                self.assertTrue(math.isclose(score, theirs.score, rel_tol=1e-9))
                self.same_numbers(LARGE_KEY, profile, ids, {
                    "scored": theirs.num_scored_tokens, "statistic": theirs.score, "pValue": theirs.p_value})
                self.check_bounds(theirs, text, profile, ids)

    def test_their_detector_of_two_keys(self) -> None:
        ids = np.random.default_rng(3).integers(0, 4096, 400).tolist()
        for mixing, alpha in (("1/10", 0.1), ("1/2", 0.5), ("1/4", 0.25)):
            mark = mark_of("vllm-dual-gumbel/philox4x32-10-v1", LARGE_KEY, mixing=mixing)
            theirs = self.vllm.DualKeyGumbelWatermarkDetector(LARGE_KEY, alpha=alpha).detect(ids)
            text = mark.scores(ids)
            a, b = (gumbel_scores(uniforms(mark.raw_values(text.contexts, text.tokens, key))).sum() for key in (0, 1))
            self.assertEqual(len(text.scores), theirs.num_scored_tokens)
            self.assertTrue(math.isclose((1 - alpha) * a + alpha * b, theirs.score, rel_tol=1e-9))
            self.same_numbers(LARGE_KEY, mark.profile, ids, {
                "scored": theirs.num_scored_tokens, "statistic": theirs.score, "pValue": theirs.p_value})

    def check_bounds(self, theirs: Any, text: countermark.ForeignScores, profile: ForeignProfile,
                     ids: list[int]) -> None:
        """Our scores lie below theirs by less than a cell and the table's slack; p is above accordingly."""
        lost = theirs.score - int(text.scores.sum()) / 2**20
        self.assertGreaterEqual(lost, 0)
        self.assertLess(lost, len(text.scores) * 2**-17 + theirs.score * 2**-10)
        p = float(Detector(key_of(LARGE_KEY), profile).detect(ids)["pValue"])
        self.assertTrue(theirs.p_value * (1 - 1e-9) <= p <= min(1.02, theirs.p_value * 1.05))

    def answer(self, watermarker: Any, size: int = 150, prompt: str = "The server") -> list[int]:
        """As their GPU sampler goes about it: contexts of the answer alone, a repeated one is drawn without mark."""
        ids: list[int] = []
        width = watermarker.context_width
        drawn = lambda logits: torch.multinomial(logits.softmax(-1), 1)[:, 0]  # noqa: E731
        for row in self.rows(prompt, size, ids):
            context = torch.tensor([([-1] * width + ids)[len(ids):]])
            repeated = self.vllm.repeated_context_mask(
                torch.tensor([ids + [0]]), torch.tensor([0]), torch.tensor([0]), torch.tensor([len(ids)]), context,
                8192)
            ids.append(int(watermarker.sample(row, context, drawn, repeated).token_ids[0]))
        return ids

    def test_their_sampler_marks_what_we_detect(self) -> None:
        profile = profile_of("vllm-gumbel/philox4x32-10-v1")
        ids = self.answer(self.vllm.GumbelWatermarker(LARGE_KEY))
        found = self.found(ids, key_of(LARGE_KEY), profile)
        self.assertEqual((found["verdict"], found["nullModel"]["law"]), ("detected", "gamma"))
        self.assertLess(found["log10P"], -20)
        theirs = self.vllm.GumbelWatermarkDetector(LARGE_KEY).detect(ids)
        self.assertEqual(found["scored"], theirs.num_scored_tokens)
        self.assertTrue(abs(found["log10P"] - math.log10(theirs.p_value)) < 0.01)
        self.assertEqual(self.found(ids, key_of(LARGE_KEY - 1), profile)["verdict"], "not-detected")
        dual = profile_of("vllm-dual-gumbel/philox4x32-10-v1", mixing="1/4")
        ids = self.answer(self.vllm.DualKeyGumbelWatermarker(LARGE_KEY, alpha=0.25))
        self.assertLess(self.found(ids, key_of(LARGE_KEY), dual)["log10P"], -20)
        self.assertEqual(self.found(ids, key_of(LARGE_KEY), profile)["verdict"], "not-detected")

    def test_their_detector_reads_our_text(self) -> None:
        one, two = profile_of("vllm-gumbel/philox4x32-10-v1"), profile_of("vllm-dual-gumbel/philox4x32-10-v1")
        for profile, detector in ((one, self.vllm.GumbelWatermarkDetector),
                                  (two, self.vllm.DualKeyGumbelWatermarkDetector)):
            theirs = detector(LARGE_KEY).detect(self.made_by_us(profile, LARGE_KEY, 100))
            self.assertTrue(theirs.is_watermarked)
            self.assertLess(theirs.p_value, 1e-20)


def uniforms(values: np.ndarray) -> np.ndarray:
    """vLLM's, of the upper 24 bits of its words."""
    return ((values.astype(np.float64) + 1) / (2**24 + 1)).astype(np.float32)


def gumbel_scores(u: np.ndarray) -> np.ndarray:
    return -np.log1p(-u.astype(np.float64))


def sglangs() -> tuple[Any, Any]:
    """SGLang's watermarking: the sampler's part and the detector's."""
    with released.imports("sglang", "sglang", "sglang.srt", "sglang.srt.sampling"):
        return (importlib.import_module("sglang.srt.sampling.watermarking.core"),
                importlib.import_module("sglang.srt.sampling.watermarking.detector"))


class Sglang(Embedded):
    A, B = "c2b2ae3d27d4eb4f", "0000000123456789"

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.core, cls.detector = sglangs()

    def test_hashes_and_coins(self) -> None:
        random = np.random.default_rng(1)
        counted = 0
        for width in (1, 2, 4, 64):
            contexts = torch.from_numpy(random.integers(0, 256_000, (300, width)))
            tokens = torch.from_numpy(random.integers(0, 256_000, 150))
            hashes = self.core._hash_contexts(contexts, torch.full((300,), width))
            keys = [torch.full((300,), self.core.parse_watermark_key(key)) for key in (self.A, self.B)]
            words = [self.core._watermark_hash32_torch(each, hashes, tokens) for each in keys]
            use_a = self.core._dual_key_a_mask_torch(*keys, hashes, torch.full((300,), int(0.25 * 2**32)))
            given = (contexts.numpy().repeat(150, 0), tokens.numpy()[np.arange(300 * 150) % 150])
            for mark, wanted in ((mark_of("sglang-gumbel/1", self.A, contextWidth=width), words[0]),
                                 (mark_of("sglang-gumbel/1", self.B, contextWidth=width), words[1]),
                                 (mark_of("sglang-dual-gumbel/1", self.A + self.B, contextWidth=width, mixing="1/4"),
                                  torch.where(use_a[:, None], *words))):
                np.testing.assert_array_equal(mark.raw_values(*given), wanted.numpy().ravel().astype(np.uint64))
                counted += wanted.numel()
            for i in range(0, 300, 30):
                context = contexts[i].tolist()
                self.assertEqual(self.detector.hash_context(context), int(hashes[i]))
        self.assertGreaterEqual(counted, 3 * COUNT)

    def score(self, mark: ForeignMark, text: countermark.ForeignScores) -> float:
        u = (mark.raw_values(text.contexts, text.tokens).astype(np.float64) + 0.5) / 2**32
        return float(-np.log1p(-u).sum())

    def test_their_detector_sums_what_we_sum(self) -> None:
        random = np.random.default_rng(2)
        prompt = random.integers(5000, 6000, 9).tolist()
        for size, vocabulary in ((40, 9), (400, 4096), (400, 4)):
            ids = random.integers(0, vocabulary, size).tolist()
            for shown in ((), prompt):
                one = self.detector.WatermarkDetector(self.A).detect_tokens(ids, prompt_token_ids=shown)
                two = self.detector.WatermarkDetector(self.A, key_b=self.B, mixing_probability=0.25).detect_tokens(
                    ids, prompt_token_ids=shown)
                for theirs, mark in ((one, mark_of("sglang-gumbel/1", self.A)),
                                     (two, mark_of("sglang-dual-gumbel/1", self.A + self.B, mixing="1/4"))):
                    text = mark.scores(ids, shown or None)
                    self.assertEqual(len(text.scores), theirs.combined.num_contexts)
                    self.assertEqual(theirs.skipped_initial_tokens, 0 if shown else 4)
                    self.assertTrue(math.isclose(self.score(mark, text), theirs.combined.score, rel_tol=1e-9))
                    key = self.A + (self.B if theirs is two else "")
                    self.same_numbers(key, mark.profile, ids, {
                        "scored": theirs.combined.num_contexts, "statistic": theirs.combined.score,
                        "pValue": theirs.combined.p_value}, shown or None)
                    p = float(Detector(key_of(key), mark.profile).detect(ids, prompt=shown or None)["pValue"])
                    self.assertTrue(theirs.combined.p_value * (1 - 1e-9) <= p
                                    <= min(1.02, theirs.combined.p_value * 1.05))

    def test_where_we_score_less(self) -> None:
        # Behind a prompt shorter than the window the first contexts are short: theirs count, ours do not.
        ids = np.random.default_rng(3).integers(0, 4096, 50).tolist()
        theirs = self.detector.WatermarkDetector(self.A).detect_tokens(ids, prompt_token_ids=[7, 8])
        self.assertEqual(theirs.combined.num_contexts, 50)
        self.assertEqual(len(mark_of("sglang-gumbel/1", self.A).scores(ids, [7, 8]).scores), 48)

    def answer(self, size: int = 150, prompt: str = "A function that returns",
               **keys: Any) -> tuple[list[int], list[int]]:
        """Through their state and selection, as their sampler calls them where there is no GPU."""
        state = self.core.WatermarkState(max_num_reqs=1, context_window=4, max_contexts_per_req=4096, device="cpu",
                                         default_enabled=True, **keys)
        batch = types.SimpleNamespace(
            has_watermark_candidates=True, max_top_k=4096, temperatures=torch.ones(1, 1), top_ks=torch.tensor([4096]),
            top_ps=torch.ones(1), min_ps=torch.zeros(1), watermark_keys=None, watermark_context_windows=None,
            watermark_enabled=None)
        row_of = torch.tensor([0])
        shown = self.tokenizer(prompt)["input_ids"]
        state.init_from_prompt(row_of, [shown[-4:]])
        ids: list[int] = []
        # The buffers are those of their GPU kernels.
        with mock.patch.object(state, "_ensure_selection_buffers", return_value=(None, None, None)):
            for row in self.rows(prompt, size, ids):
                state.force(row, row_of, batch)
                ids.append(int(torch.multinomial(row.softmax(-1), 1)))
                state.append(row_of, torch.tensor([ids[-1]]))
        return shown, ids

    def test_their_sampler_marks_what_we_detect(self) -> None:
        shown, ids = self.answer(key=self.A)
        one = profile_of("sglang-gumbel/1")
        found = self.found(ids, key_of(self.A), one, decoys=300)
        self.assertLess(found["log10P"], -20)
        self.assertEqual((found["lineUp"]["rank"], found["verdict"]), (1, "detected"))
        theirs = self.detector.WatermarkDetector(self.A).detect_tokens(ids, prompt_token_ids=shown)
        ours = Detector(key_of(self.A), one).detect(ids, prompt=shown)
        self.assertEqual(ours["scored"] + ours["dropped"]["promptContext"], theirs.combined.num_contexts)
        self.assertTrue(abs(ours["log10P"] - math.log10(theirs.combined.p_value)) < 1)
        self.assertNotEqual(self.found(ids, key_of(self.B), one, decoys=300)["verdict"], "detected")
        two = profile_of("sglang-dual-gumbel/1")
        _, ids = self.answer(key=self.A, key_b=self.B)
        self.assertLess(self.found(ids, key_of(self.A + self.B), two)["log10P"], -20)
        self.assertEqual(self.found(ids, key_of("5" * 32), two)["verdict"], "not-detected")

    def test_their_detector_reads_our_text(self) -> None:
        for keys in ({}, {"key_b": self.B}):
            scheme = "sglang-dual-gumbel/1" if keys else "sglang-gumbel/1"
            ids = self.made_by_us(profile_of(scheme), self.A + keys.get("key_b", ""), 100)
            theirs = self.detector.WatermarkDetector(self.A, **keys).detect_tokens(ids)
            self.assertLess(theirs.combined.p_value, 1e-20)


if __name__ == "__main__":
    unittest.main()
