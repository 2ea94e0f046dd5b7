# SPDX-License-Identifier: Apache-2.0
"""countermark.transformers inside the real generate(), on the embedded model."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Any

import countermark
from support import PROFILE, Case, export, master, own_layer, run_page

try:
    import torch
    import transformers
except ImportError as missing:
    raise unittest.SkipTest(f"transformers is not installed: {missing}") from missing

from countermark.transformers import Processor, Watermark


class Generate(Case):
    @classmethod
    def setUpClass(cls) -> None:
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        folder = cls.exported = Path(temporary.name) / "model"
        export("--hf", folder)
        cls.model = transformers.AutoModelForCausalLM.from_pretrained(folder)
        cls.tokenizer = transformers.AutoTokenizer.from_pretrained(folder, padding_side="left")
        cls.tokenizer.pad_token = cls.tokenizer.eos_token
        cls.profile = countermark.Profile.load(PROFILE)
        cls.key = master().epoch("embedded", "2026-11")

    def setUp(self) -> None:
        super().setUp()
        self.service = countermark.Service(self.key, self.profile, may_leak_timing=True)
        torch.manual_seed(1)

    def generate(self, prompts: list[str], watermark: Any, length: int = 120, **more: Any) -> torch.Tensor:
        inputs = self.tokenizer(prompts, return_tensors="pt", padding=True)
        out = self.model.generate(**inputs, max_new_tokens=length, do_sample=True, top_k=0,
                                  suppress_tokens=[0], watermarking_config=watermark, **more)
        return out[:, inputs["input_ids"].shape[1]:]

    def own_layer(self, ids: torch.Tensor, account: str, key: countermark.Key | None = None) -> float:
        """log10 of the p-value of the account's own layer."""
        return own_layer(ids.numpy(), account, key or self.key, self.profile)

    def test_the_page(self) -> None:
        (self.folder / "my-model").symlink_to(self.exported)
        said = run_page("engines/transformers.md", self.folder)
        # An answer that the model ends early may be too short for a verdict.
        self.assertIn("key=", said)
        self.assertRegex(said, r"\nanswer\.txt:1: \S+\n")
        self.assertIn("alice: ", said)

    def test_each_row_carries_its_account(self) -> None:
        prompts = ["The server", "A function that returns the number of rows", "When"]
        names = ["alice", "bob", None]
        answers = self.generate(prompts, Watermark(self.service, accounts=names), length=200)
        self.assertEqual(answers.shape, (3, 200))
        for row, name in ((0, "alice"), (1, "bob")):
            for claimed in ("alice", "bob"):
                found = self.own_layer(answers[row], claimed)
                (self.assertLess if claimed == name else self.assertGreater)(found, -6)
        counted = self.service.counters()
        self.assertEqual(sum(counted[kind] for kind in ("marked", "short-context", "repeated",
                                                        "no-identity", "one-candidate")), 600)
        self.assertGreater(counted["no-identity"], 30)
        other = master("other").epoch("embedded", "2026-11")
        self.assertGreater(self.own_layer(answers[0], "alice", other), -6)

    def test_it_stands_after_the_warpers(self) -> None:
        # A token that top-k has cut is never drawn, and the draw is that of the cut row.
        seen: list[int] = []

        class SpyProcessor(Processor):
            def __call__(self, input_ids: Any, scores: Any) -> Any:
                seen.append(int(torch.isfinite(scores[0]).sum()))
                out = super().__call__(input_ids, scores)
                assert torch.isfinite(scores[0, out[0].argmax()])
                assert int(torch.isfinite(out[0]).sum()) == 1
                return out

        class Spy(Watermark):
            def construct_processor(self, vocab_size: int, device: Any = None) -> Any:
                return SpyProcessor(self)

        inputs = self.tokenizer(["The"], return_tensors="pt")
        self.model.generate(**inputs, max_new_tokens=20, do_sample=True, top_k=7,
                            watermarking_config=Spy(self.service))
        self.assertEqual(set(seen), {7})

    def test_padding_and_batches_change_nothing(self) -> None:
        # The same nonce and plain key give the same answer alone and in a padded batch.
        class Fixed(Watermark):
            def construct_processor(self, vocab_size: int, device: Any = None) -> Any:
                processor = super().construct_processor(vocab_size, device)
                begin = processor._begin

                def fixed(rows: int, prompt: int) -> None:
                    begin(rows, prompt)
                    processor._responses = [
                        self.service.respond(account="alice", max_tokens=100, nonce=b"n", plain_key=bytes(16))
                        for _ in range(rows)]

                processor._begin = fixed
                return processor

        watermark = Fixed(self.service, max_tokens=100)
        alone = self.generate(["The server"], watermark, length=40)
        batch = self.generate(["The server", "A much longer prompt about the function of a server"],
                              watermark, length=40)
        self.assertEqual(alone[0].tolist(), batch[0].tolist())

    def test_several_answers_to_a_prompt(self) -> None:
        watermark = Watermark(self.service, accounts=["alice", "bob"], num_return_sequences=2)
        answers = self.generate(["The server", "When"], watermark, length=200, num_return_sequences=2)
        self.assertEqual(len({tuple(row.tolist()) for row in answers}), 4)
        for row in range(4):
            self.assertLess(self.own_layer(answers[row], "alice" if row < 2 else "bob"), -6)

    def test_rows_that_change_places_and_steps_that_are_undone(self) -> None:
        watermark = Watermark(self.service, accounts="alice", max_tokens=50)
        processor = watermark.construct_processor(4096)
        row = 6 * torch.rand(2, 4096)
        prompt = torch.tensor([[0, 5], [5, 6]])
        processor(prompt, row)
        for answers in ([[1], [2]], [[1, 3], [2, 4]], [[2, 4, 9], [1, 3, 8]], [[2, 4], [1, 3]]):
            processor(torch.cat([prompt, torch.tensor(answers)], dim=1), row)
            self.assertEqual([response.tokens for response in processor._responses], answers)

    def test_answers_end(self) -> None:
        inputs = self.tokenizer(["The", "When"], return_tensors="pt", padding=True)
        with_end = Watermark(self.service, accounts="alice", eos_token_ids=[0], max_tokens=30)
        out = self.model.generate(**inputs, max_new_tokens=60, do_sample=True, top_k=0,
                                  watermarking_config=with_end)
        self.assertGreater(out.shape[1], inputs["input_ids"].shape[1])
        self.assertLessEqual(sum(self.service.counters()[kind] for kind in ("marked", "repeated")), 60)

    def test_switched_off_it_is_an_unmarked_sampler(self) -> None:
        self.service.marking = False
        answers = self.generate(["The server"], Watermark(self.service, accounts="alice"), length=200)
        self.assertGreater(self.own_layer(answers[0], "alice"), -6)
        self.assertEqual(self.service.counters()["off"], 200)

    def test_says_nothing_of_the_key(self) -> None:
        watermark = Watermark(self.service, accounts="alice")
        config = transformers.GenerationConfig(do_sample=True, watermarking_config=watermark, max_new_tokens=5)
        shown = repr(watermark) + watermark.to_json_string() + str(dict(watermark))
        self.assertIn(self.key.key_id, shown)
        self.assertNotIn("CM-SECRET", shown + repr(config))
        inputs = self.tokenizer(["The"], return_tensors="pt")
        self.model.generate(**inputs, generation_config=config)  # which copies it
        self.assertEqual(sum(self.service.counters()[kind] for kind in ("marked", "short-context", "repeated",
                                                                        "no-identity")), 5)

    def test_names_must_fit_the_batch(self) -> None:
        for prompts in (["a", "b", "c"], ["a"], ["a", "b", "c", "d"]):
            with self.assertRaisesRegex(ValueError, "2 names, 1 sequences each"):
                self.generate(prompts, Watermark(self.service, accounts=["x", "y"]), length=2)


if __name__ == "__main__":
    unittest.main()
