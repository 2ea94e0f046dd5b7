# SPDX-License-Identifier: Apache-2.0
"""transformers' marks, with torch's generator beneath and DeepMind's SynthID: what they compute, bit for bit, and
text of either side before the other's detector."""

from __future__ import annotations

import importlib
import math
import sys
import types
import unittest
from collections.abc import Sequence
from typing import Any

import numpy as np

import released
from countermark import Detector, ForeignKey, ForeignMark, ForeignProfile
from support import ROOT, Case
from upstream import COUNT, LARGE_KEY, Embedded, Upstream, bits, key_of, mark_of, profile_of, torch, transformers

sys.path.insert(0, str(ROOT / "tests" / "reference"))

from foreign.torch_generator import Generator  # noqa: E402

SYNTHID_KEYS = [654, 400, 836, 123, 340, 443, 597, 160, 57, 29, 590, 639, 13, 715, 468, 990, 966, 226, 324, 585, 118,
                504, 421, 521, 129, 669, 732, 225, 90, 960]


class TorchsGenerator(Case):
    """torch.randperm and randint of this release, through the marks that draw from them; rand, which no mark
    does, against the reference."""

    def test_lists(self) -> None:
        # text-generation-inference's list under key 1 is that of the seed that stands before it.
        seeds = [0, 1, 2, 42, 15485863, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1]
        random = np.random.default_rng(1)
        counted = 0
        generator = torch.Generator()
        for vocabulary, gamma, more in ((2, "1/2", 50), (3, "1/2", 50), (127, "1/4", 50), (1000, "1/2", 100),
                                        (32000, "1/4", 8), (50257, "1/10", 8), (128256, "1/2", 2), (151936, "1/4", 2),
                                        (256000, "1/2", 1), (1_000_003, "1/4", 1)):
            mark = mark_of("tgi-kgw/1", 1, vocabSize=vocabulary, gamma=gamma)
            top, bottom = map(int, gamma.split("/"))
            for seed in [*seeds[:2 * more], *random.integers(0, 2**32, more).tolist()]:
                wanted = np.zeros(vocabulary, np.uint64)
                generator.manual_seed(seed)
                wanted[torch.randperm(vocabulary, generator=generator)[:int(vocabulary * (top / bottom))]] = 1
                found = mark.raw_values(np.full(vocabulary, seed), np.arange(vocabulary))
                np.testing.assert_array_equal(found, wanted)
                counted += vocabulary
        self.assertGreaterEqual(counted, COUNT)

    def test_lists_of_one_tuple_each(self) -> None:
        # Many seeds and a token each, which is drawn another way than a whole list.
        random = np.random.default_rng(2)
        mark = mark_of("three-bricks-greenlist/1", 0, vocabSize=211, gamma="1/2")
        seeds, tokens = random.integers(0, 2**32, COUNT), random.integers(0, 211, COUNT)
        generator = torch.Generator()
        wanted = [token in torch.randperm(211, generator=generator.manual_seed(seed))[:105].tolist()
                  for seed, token in zip(seeds.tolist(), tokens.tolist())]
        np.testing.assert_array_equal(mark.raw_values(seeds, tokens), np.array(wanted, np.uint64))

    def test_uniforms_and_integers(self) -> None:
        for seed in (0, 42, 2**31, 2**32 + 42, 2**64 - 1, -1, -(2**63)):
            generator = torch.Generator()
            draws: tuple[tuple[Any, Any], ...] = (
                (lambda: torch.rand(400, generator=generator).tolist(), Generator.rand32),
                (lambda: torch.rand(400, generator=generator, dtype=torch.float64).tolist(), Generator.rand64),
                (lambda: torch.randint(-3, 1000, (400,), generator=generator).tolist(),
                 lambda reference: reference.randint(-3, 1000)),
                (lambda: torch.randint(0, 2**28, (400,), generator=generator).tolist(),
                 lambda reference: reference.randint(0, 2**28)),
                (lambda: torch.randint(0, 2**40, (400,), generator=generator).tolist(),
                 lambda reference: reference.randint(0, 2**40)))
            for theirs, ours in draws:
                generator.manual_seed(seed)
                reference = Generator(seed)
                self.assertEqual(theirs(), [ours(reference) for _ in range(400)])


class TransformersKgw(Upstream):
    def processor(self, scheme: str, key: int, vocabulary: int, width: int = 1, gamma: float = 0.25) -> Any:
        return transformers.WatermarkLogitsProcessor(vocabulary, "cpu", greenlist_ratio=gamma, hashing_key=key,
                                                     seeding_scheme=scheme, context_width=width)

    def test_lefthash(self) -> None:
        random = np.random.default_rng(1)
        counted = 0
        for key in (15485863, 42, LARGE_KEY, 2**64 - 1, -15485863, 2**63 - 1):
            for vocabulary, gamma, contexts in ((1000, "1/4", 40), (50257, "1/2", 2), (151936, "1/10", 1)):
                top, bottom = map(int, gamma.split("/"))
                theirs = self.processor("lefthash", key, vocabulary, gamma=top / bottom)
                ours = mark_of("hf-kgw/1", key, vocabSize=vocabulary, gamma=gamma)
                for token in random.integers(0, vocabulary, contexts):
                    wanted = np.zeros(vocabulary, np.uint64)
                    wanted[theirs._get_greenlist_ids(torch.tensor([3, token]))] = 1
                    found = ours.raw_values(np.full(vocabulary, token), np.arange(vocabulary))
                    np.testing.assert_array_equal(found, wanted)
                    counted += vocabulary
        self.assertGreaterEqual(counted, COUNT)

    def test_selfhash(self) -> None:
        random = np.random.default_rng(2)
        counted = 0
        for key, vocabulary, width, count in ((15485863, 257, 4, 40_000), (2**63 - 1, 211, 1, 20_000),
                                              (-15485863, 199, 16, 20_000), (2**40 + 15, 251, 2, 20_000),
                                              (15485863, 50257, 4, 200), (42, 128256, 4, 50)):
            theirs = self.processor("selfhash", key, vocabulary, width)
            ours = mark_of("hf-kgw/1", key, prf="selfhash", vocabSize=vocabulary, contextWidth=width)
            windows = random.integers(0, vocabulary, (count, width))
            wanted = [bool((theirs._get_greenlist_ids(window) == window[-1]).any()) for window in torch.tensor(windows)]
            found = ours.raw_values(np.ascontiguousarray(windows[:, :-1]), windows[:, -1])
            np.testing.assert_array_equal(found, np.array(wanted, np.uint64))
            counted += count
        self.assertGreaterEqual(counted, COUNT)

    def test_their_detector_counts_what_we_count(self) -> None:
        vocabulary = 4096
        for scheme, width in (("lefthash", 1), ("selfhash", 4)):
            ours = mark_of("hf-kgw/1", LARGE_KEY >> 1, prf=scheme, vocabSize=vocabulary, contextWidth=width)
            config = types.SimpleNamespace(bos_token_id=0, is_encoder_decoder=False, vocab_size=vocabulary)
            watermark = transformers.WatermarkingConfig(hashing_key=LARGE_KEY >> 1, seeding_scheme=scheme,
                                                        context_width=width)
            marked = self.made_by_us(ours.profile, LARGE_KEY >> 1, 300)
            plain = np.random.default_rng(3).integers(1, vocabulary, 300).tolist()
            looped = (marked[:60] * 5)[:280]
            tokens = ours.profile.context_tokens
            for ids, is_marked in ((marked, True), (plain, False), (looped, True)):
                n = len(ids) - tokens
                contexts = np.array([ids[i:i + tokens] for i in range(n)])
                each = ours.raw_values(contexts, ids[tokens:])
                for once in (False, True):
                    detector = transformers.WatermarkDetector(config, "cpu", watermark, ignore_repeated_ngrams=once)
                    theirs = detector(torch.tensor([ids]), return_dict=True)
                    windows = {(*ids[i:i + tokens], ids[i + tokens]): int(each[i]) for i in range(n)}
                    counted = (len(windows), sum(windows.values())) if once else (n, int(each.sum()))
                    self.assertEqual((theirs.num_tokens_scored[0], theirs.num_green_tokens[0]), counted)
                    z = (counted[1] - counted[0] / 4) / math.sqrt(counted[0] * 3 / 16)
                    self.assertAlmostEqual(theirs.z_score[0], z, places=9)
                    # 5.23 has the normal tail; earlier releases had another formula.
                    self.assertTrue(math.isclose(theirs.p_value[0], math.erfc(z / math.sqrt(2)) / 2, rel_tol=1e-9))
                    self.assertEqual(bool(theirs.prediction[0]), is_marked)
                    if not once:  # their default; of p we show the earlier formula
                        self.same_numbers(LARGE_KEY >> 1, ours.profile, ids, {
                            "scored": counted[0], "statistic": counted[1], "z": float(theirs.z_score[0]),
                            "decision": is_marked})
                # What we count is what their seeds tell apart, once each.
                found = ours.scores(ids)
                processor = detector.processor
                told_apart = {}
                for i in range(n):
                    window = ids[i:i + tokens + 1] if scheme == "selfhash" else ids[i:i + tokens]
                    processor.set_seed(torch.tensor(window))
                    told_apart[processor.rng.initial_seed() % 2**32, ids[i + tokens]] = int(each[i])
                self.assertEqual((len(found.scores), int(found.scores.sum())),
                                 (len(told_apart), sum(told_apart.values())))


class SynthId(Upstream):
    """The hash with a table: transformers', and what DeepMind released before."""

    CASES = ((SYNTHID_KEYS, 4, 65536, 0, 50_000), (SYNTHID_KEYS[:7], 1, 65536, 3, 15_000),
             ([2**63 - 1, -(2**63), -1, 2**32 + 42], 2, 1000, 42, 20_000), (SYNTHID_KEYS, 12, 1024, 2**40, 20_000))

    def mark(self, keys: Sequence[int], width: int, size: int, seed: int, **fields: Any) -> ForeignMark:
        return mark_of("hf-synthid/1", keys, contextWidth=width, depth=len(keys), tableSize=size, saltKey=seed,
                       **fields)

    def theirs(self, keys: Sequence[int], width: int, size: int, seed: int, history: int = 1024) -> Any:
        return transformers.SynthIDTextWatermarkLogitsProcessor(
            ngram_len=width + 1, keys=keys, sampling_table_size=size, sampling_table_seed=seed,
            context_history_size=history, device=torch.device("cpu"))

    def deepminds(self) -> Any:
        with released.imports("synthid_text", "synthid_text"):
            return importlib.import_module("synthid_text.logits_processing").SynthIDLogitsProcessor

    def test_g_values(self) -> None:
        random = np.random.default_rng(1)
        deepminds = self.deepminds()
        counted = 0
        for keys, width, size, seed, count in self.CASES:
            ngrams = random.integers(0, 256_000, (count, width + 1))
            found = bits(self.mark(keys, width, size, seed).raw_values(ngrams[:, :-1], ngrams[:, -1]), len(keys))
            theirs = self.theirs(keys, width, size, seed)
            older = deepminds(
                ngram_len=width + 1, keys=keys, sampling_table_size=size, sampling_table_seed=seed,
                context_history_size=1024, temperature=1.0, top_k=10, device=torch.device("cpu"))
            for processor in (theirs, older):
                g = processor.sample_g_values(processor.compute_ngram_keys(torch.from_numpy(ngrams)[None]))[0]
                np.testing.assert_array_equal(found, g.numpy())
            counted += count
        self.assertGreaterEqual(counted, COUNT)

    def test_repeated_contexts(self) -> None:
        random = np.random.default_rng(2)
        for history, vocabulary, width, size in ((1024, 6, 4, 3000), (16, 4, 2, 500), (1, 3, 2, 300), (1024, 2, 1, 50)):
            ids = random.integers(1, vocabulary + 1, size)
            theirs = self.theirs(SYNTHID_KEYS, width, 65536, 0, history)
            mask = theirs.compute_context_repetition_mask(torch.from_numpy(ids)[None])[0].numpy()
            found = self.mark(SYNTHID_KEYS, width, 65536, 0, historyLimit=history).scores(ids)
            # Token i stands behind context i - width. Of the new contexts we count every PRF input once.
            new = np.flatnonzero(mask) + width
            self.assertLessEqual(set(found.positions.tolist()), set(new.tolist()))
            g = theirs.compute_g_values(torch.from_numpy(ids)[None])[0].numpy()
            numbers = (g @ (np.int64(1) << np.arange(30))).tolist()
            counted = {numbers[int(i) - width] for i in found.positions}
            self.assertEqual(counted, {numbers[i - width] for i in new})
            self.assertEqual(len(counted), len(found.positions))
            dropped = Detector(key_of(SYNTHID_KEYS), profile_of(
                "hf-synthid/1", contextWidth=width, historyLimit=history)).detect(ids)["dropped"]
            self.assertEqual(dropped["repeatedContext"] + dropped["shortContext"], size - len(new))

    def test_their_mean_of_our_text(self) -> None:
        mark = self.mark(SYNTHID_KEYS, 4, 65536, 0)
        ids = self.made_by_us(mark.profile, SYNTHID_KEYS, 300)
        theirs = self.theirs(SYNTHID_KEYS, 4, 65536, 0)
        tokens = torch.tensor([ids])
        g = theirs.compute_g_values(tokens)
        mask = theirs.compute_context_repetition_mask(tokens) * theirs.compute_eos_token_mask(tokens, 0)[:, 4:]
        mean = released.definitions("synthid_text", "synthid_text/detector_mean.py", "mean_score", jnp=np).mean_score(
            g.numpy(), mask.numpy())[0]
        positions = np.flatnonzero(mask[0].numpy()) + 4
        contexts = np.array([ids[i - 4:i] for i in positions])
        values = mark.raw_values(contexts, [ids[i] for i in positions])
        self.assertTrue(math.isclose(mean, np.bitwise_count(values).mean() / 30, rel_tol=1e-12))
        self.assertGreater(mean, 0.55)
        self.same_numbers(SYNTHID_KEYS, mark.profile, ids, {"scored": int(mask.sum()), "statistic": float(mean)})
        # What their Bayesian detector is given are these g values under this mask.
        np.testing.assert_array_equal(g[0].numpy()[positions - 4], bits(values, 30))
        # We count a row of g values once: there are only 65,536 of them.
        found = mark.scores(ids)
        self.assertEqual(found.scores.sum(), np.bitwise_count(np.unique(values)).sum())
        self.assertLess(Detector(key_of(SYNTHID_KEYS), mark.profile).detect(ids)["log10P"], -20)


class Generate(Embedded):
    """Text of transformers' generate(), which our detector reads."""

    def generate(self, watermark: Any) -> list[int]:
        inputs = self.tokenizer("The server", return_tensors="pt")
        out = self.model.generate(**inputs, max_new_tokens=200, do_sample=True, top_k=0, suppress_tokens=[0],
                                  watermarking_config=watermark)
        return out[0, inputs["input_ids"].shape[1]:].tolist()

    def check(self, watermark: Any, profile: ForeignProfile, key: ForeignKey, other: ForeignKey) -> None:
        ids = self.generate(watermark)
        self.assertEqual(len(ids), 200)
        found = self.found(ids, key, profile, decoys=300)
        self.assertLess(found["log10P"], -10)
        self.assertEqual((found["lineUp"]["rank"], found["verdict"]), (1, "detected"))
        self.assertNotEqual(self.found(ids, other, profile, decoys=300)["verdict"], "detected")
        self.assertNotEqual(self.found(self.generate(None), key, profile, decoys=300)["verdict"], "detected")

    def test_kgw(self) -> None:
        for scheme, width in (("lefthash", 1), ("selfhash", 4)):
            self.check(transformers.WatermarkingConfig(bias=3.0, hashing_key=LARGE_KEY >> 1, seeding_scheme=scheme,
                                                       context_width=width),
                       profile_of("hf-kgw/1", prf=scheme, vocabSize=4096, contextWidth=width),
                       key_of(LARGE_KEY >> 1), key_of(LARGE_KEY >> 2))

    def test_synthid(self) -> None:
        self.check(transformers.SynthIDTextWatermarkingConfig(keys=SYNTHID_KEYS, ngram_len=5),
                   profile_of("hf-synthid/1"), key_of(SYNTHID_KEYS), key_of([key + 1 for key in SYNTHID_KEYS]))


if __name__ == "__main__":
    unittest.main()
