# SPDX-License-Identifier: Apache-2.0
"""Other systems' marks against the code that makes and reads them: what their releases compute, bit for bit.

transformers and torch are installed; vLLM, SGLang, TextSeal and synthid-text are the Python sources of their
wheels (released.py), of which everything runs here that needs no GPU. Each scheme is compared on at least
100,000 tuples (COUNT). What has no release to run, lm-watermarking, text-generation-inference, three_bricks,
vLLM's SBW and SynthID and synthid-text's hash of June 2025, is left to the vectors of tests/reference/foreign;
of the first three the lists at least are torch's, which is compared here.
"""

from __future__ import annotations

import importlib
import json
import math
import sys
import tempfile
import types
import unittest
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import countermark
from countermark import Detector, ForeignKey, ForeignMark, ForeignProfile
from support import ROOT, TOKENIZER, Case, call, export

try:
    import torch
    import transformers
except ImportError as missing:
    raise unittest.SkipTest(f"transformers is not installed: {missing}") from missing

import released

sys.path.insert(0, str(ROOT / "tests" / "reference"))

from foreign.torch_generator import Generator  # noqa: E402

COUNT = 100_000
LARGE_KEY = 0xC2B2AE3D27D4EB4F
SYNTHID_KEYS = [654, 400, 836, 123, 340, 443, 597, 160, 57, 29, 590, 639, 13, 715, 468, 990, 966, 226, 324, 585, 118,
                504, 421, 521, 129, 669, 732, 225, 90, 960]


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

    def answer(self, size: int = 150, prompt: str = "A function that returns", **keys: Any) -> tuple[list[int], list[int]]:
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
