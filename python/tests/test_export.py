# SPDX-License-Identifier: Apache-2.0
"""The exported model is the embedded model: logits, token ids and continuations in real engines.

An engine whose package is absent is skipped, and so is the countermark program where it was not
built (`./run build`; COUNTERMARK_PROGRAM names another one). It tests no mark.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

ROOT = Path(__file__).resolve().parent.parent.parent
MODEL = ROOT / "corpora" / "model"
PROGRAM = Path(os.environ.get("COUNTERMARK_PROGRAM", ROOT / "build/release/cli/countermark"))
PROMPTS = (ROOT / "corpora" / "prompts.txt").read_text(encoding="utf-8").splitlines()[::10]
GOLDEN = json.loads((MODEL / "golden.json").read_text(encoding="utf-8"))
LENGTH = 48  # tokens of a continuation


def needs(*packages: str) -> Callable:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    return unittest.skipIf(missing, "not installed: " + ", ".join(missing))


class ExportTest(unittest.TestCase):
    """Exports once for the tests of a class."""

    folder: Path

    @classmethod
    def setUpClass(cls) -> None:
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        cls.export("hf", "model.gguf")

    @classmethod
    def export(cls, hf: str, gguf: str) -> None:
        subprocess.run([sys.executable, ROOT / "corpora" / "export.py", "--hf", cls.folder / hf,
                        "--gguf", cls.folder / gguf], check=True)

    def check_logits(self, sequence: dict, rows, tolerance: float) -> None:
        """rows: float32 [positions, vocab_size], after each id of the sequence of golden.json."""
        self.assertEqual(rows.shape, (len(sequence["ids"]), 4096))
        for token, expected in sequence["top"]:
            self.assertAlmostEqual(float(rows[-1, token]), expected, delta=tolerance)
        for actual, expected, count in (
                (rows[-1], "sum_last_position", 4096),
                (abs(rows[-1]), "sum_of_absolute_values_last_position", 4096),
                (rows, "sum_all_positions", rows.size)):
            self.assertAlmostEqual(float(actual.sum(dtype="f8")), sequence[expected],
                                   delta=tolerance * count)


@needs("safetensors", "numpy", "gguf")
class Files(ExportTest):
    def test_same_bytes_each_time(self) -> None:
        self.export("again", "again.gguf")
        pairs = [(file, self.folder / "again" / file.name)
                 for file in (self.folder / "hf").iterdir()]
        pairs.append((self.folder / "model.gguf", self.folder / "again.gguf"))
        self.assertEqual(len(pairs), 6)
        for first, second in pairs:
            self.assertEqual(hashlib.sha256(first.read_bytes()).digest(),
                             hashlib.sha256(second.read_bytes()).digest(), first.name)


@needs("safetensors", "numpy", "gguf", "torch", "transformers")
class Transformers(ExportTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        from transformers import AutoModelForCausalLM, AutoTokenizer
        cls.model = AutoModelForCausalLM.from_pretrained(cls.folder / "hf")
        cls.tokenizer = AutoTokenizer.from_pretrained(cls.folder / "hf")

    def test_logits(self) -> None:
        import torch
        for sequence in GOLDEN["sequences"]:
            ids = self.tokenizer(sequence["text"])["input_ids"]
            self.assertEqual(ids, sequence["ids"])
            with torch.no_grad():
                rows = self.model(torch.tensor([ids])).logits[0]
            self.check_logits(sequence, rows.numpy(), 1e-4)

    def test_ids(self) -> None:
        for case in GOLDEN["tokenizer"]:
            ids = self.tokenizer(case["text"], add_special_tokens=False)["input_ids"]
            self.assertEqual(self.tokenizer.decode(ids), case["text"])
            if "<|endoftext|>" in case["text"]:
                self.assertNotIn(0, ids)  # text, not the token
            else:
                self.assertEqual(ids, case["ids"])

    def test_padding_stands_before_the_text(self) -> None:
        batch = self.tokenizer(["a", "The server reads"], padding=True)
        self.assertEqual(batch["input_ids"], [[0, 0, 0, 65], [0, 398, 602, 3388]])
        self.assertEqual(batch["attention_mask"], [[0, 0, 1, 1], [1, 1, 1, 1]])


@needs("safetensors", "numpy", "gguf", "llama_cpp")
class LlamaCpp(ExportTest):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        import llama_cpp
        # Keys and values in float32, too: by default they are F16, which costs 3e-3 of a logit.
        cls.model = llama_cpp.Llama(
            str(cls.folder / "model.gguf"), n_ctx=512, n_threads=1, logits_all=True, verbose=False,
            type_k=llama_cpp.GGML_TYPE_F32, type_v=llama_cpp.GGML_TYPE_F32)
        cls.addClassCleanup(cls.model.close)

    def test_logits(self) -> None:
        for sequence in GOLDEN["sequences"]:
            ids = self.model.tokenize(sequence["text"].encode())
            self.assertEqual(ids, sequence["ids"])
            self.model.reset()
            self.model.eval(ids)
            self.check_logits(sequence, self.model.scores[:len(ids)], 1e-3)

    def test_ids(self) -> None:
        for case in GOLDEN["tokenizer"]:
            ids = self.model.tokenize(case["text"].encode(), add_bos=False)
            self.assertEqual(self.model.detokenize(ids).decode(), case["text"])
            if "<|endoftext|>" in case["text"]:
                self.assertNotIn(0, ids)
            else:
                self.assertEqual(ids, case["ids"])


@needs("safetensors", "numpy", "gguf")
@unittest.skipUnless(PROGRAM.exists(), f"no program at {PROGRAM}")
class Continuations(ExportTest):
    """The likeliest continuations of every engine, beside those of `countermark generate`.

    On these prompts the likeliest token leads by at least 3e-3, a hundred times an engine's error.
    """

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.countermark("key", "new", "--model", "test", "--epoch", "1", "-o", "test.key")
        (cls.folder / "prompts.txt").write_text("\n".join(PROMPTS) + "\n", encoding="utf-8")
        cls.answers = cls.generate()

    @classmethod
    def countermark(cls, *arguments: str) -> str:
        return subprocess.run([PROGRAM, *arguments], cwd=cls.folder, check=True,
                              capture_output=True, text=True).stdout

    @classmethod
    def generate(cls, *arguments: str) -> list[dict]:
        lines = cls.countermark("generate", "-k", "test.key", "--prompts", "prompts.txt", "-n",
                                str(LENGTH), "--temperature", "0", "--json", *arguments)
        return [json.loads(line) for line in lines.splitlines()]

    def test_program_with_the_vocabulary_of_the_gguf(self) -> None:
        self.countermark("profile", "new", "-t", "model.gguf", "-o", "gguf.json")
        again = self.generate("-p", "gguf.json")
        self.assertEqual(len(again), len(PROMPTS))
        for first, second in zip(self.answers, again):
            self.assertEqual((first["ids"], first["text"]), (second["ids"], second["text"]))

    @needs("torch", "transformers")
    def test_transformers(self) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer
        model = AutoModelForCausalLM.from_pretrained(self.folder / "hf")
        tokenizer = AutoTokenizer.from_pretrained(self.folder / "hf")
        for answer in self.answers:
            prompt = tokenizer(answer["prompt"], return_tensors="pt")
            ids = model.generate(**prompt, max_new_tokens=LENGTH, do_sample=False)[0]
            ids = ids[prompt["input_ids"].shape[1]:].tolist()
            ended = [0] if answer["finish"] == "end" else []
            self.assertEqual(ids, answer["ids"] + ended)
            self.assertEqual(tokenizer.decode(ids, skip_special_tokens=True), answer["text"])

    @needs("llama_cpp")
    def test_llama_cpp(self) -> None:
        import llama_cpp
        model = llama_cpp.Llama(str(self.folder / "model.gguf"), n_ctx=512, n_threads=1,
                                verbose=False, type_k=llama_cpp.GGML_TYPE_F32,
                                type_v=llama_cpp.GGML_TYPE_F32)
        self.addCleanup(model.close)
        for answer in self.answers:
            done = model.create_completion(answer["prompt"], max_tokens=LENGTH, temperature=0)
            self.assertEqual(done["choices"][0]["text"], answer["text"])


if __name__ == "__main__":
    unittest.main()
