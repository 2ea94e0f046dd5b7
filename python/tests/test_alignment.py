# SPDX-License-Identifier: Apache-2.0
"""Suspects with a tokenizer of their own: what they predict, in the tokens of the text's tokenizer."""

from __future__ import annotations

import contextlib
import io
import json
import random
import shutil
import unittest
from pathlib import Path
from typing import Any

import countermark
import numpy as np
from support import TOKENIZER, Exported

try:
    import torch
    import transformers
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file
except ImportError as missing:
    raise unittest.SkipTest(f"transformers is not installed: {missing}") from missing

from countermark import predict
from countermark.alignment import NONE, Alignment

SPECIAL = 2  # ids at the beginning that stay what they are
TOKENS = 600


def edited(folder: Path, change: Any) -> None:
    path = folder / "tokenizer.json"
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value["model"])
    path.write_text(json.dumps(value), encoding="utf-8")


def fewer_merges(model: dict[str, Any], left_out: int = 1500) -> None:
    """Another tokenizer: without the last merges, and what they made."""
    made = {"".join(pair.split(" ") if isinstance(pair, str) else pair) for pair in model["merges"][-left_out:]}
    model["merges"] = model["merges"][:-left_out]
    model["vocab"] = {token: i for token, i in model["vocab"].items() if token not in made}


class Aligning(Exported):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.ids = cls.words[:TOKENS]

    def suspect(self, name: str) -> Path:
        folder = self.folder / name
        shutil.copytree(self.exported, folder)
        return folder

    def predicted(self, model: Path, *documents: list[int]) -> dict[str, Any]:
        text = self.folder / "reading.jsonl"
        text.write_text("".join(json.dumps({"ids": ids}) + "\n" for ids in documents))
        out = self.folder / f"{model.name}.safetensors"
        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            code = predict.main([str(model), str(text), "--ids-field", "ids", "-t", str(TOKENIZER), "--device", "cpu",
                                 "--top-k", "8", "-o", str(out)])
        self.assertEqual((code, err.getvalue()), (0, ""))
        with safe_open(out, framework="numpy") as file:
            return {**{name: file.get_tensor(name) for name in file.keys()}, "metadata": file.metadata()}

    def test_other_ids_of_the_same_tokens(self) -> None:
        permuted = self.suspect("permuted")
        size = self.tokenizer.vocab_size
        order = list(range(SPECIAL, size))
        random.Random(7).shuffle(order)
        new_of = np.array([*range(SPECIAL), *order])  # by old id
        edited(permuted, lambda model: model.update(vocab={t: int(new_of[i]) for t, i in model["vocab"].items()}))
        weights = load_file(permuted / "model.safetensors")
        for name, values in weights.items():
            if values.shape[0] == size:
                weights[name] = np.empty_like(values)
                weights[name][new_of] = values
        save_file(weights, permuted / "model.safetensors", metadata={"format": "pt"})

        documents = [self.ids[:300], [], self.ids[300:]]
        ours, theirs = self.predicted(self.exported, *documents), self.predicted(permuted, *documents)
        self.assertNotIn("alignedFrom", ours["metadata"])
        self.assertEqual(theirs["metadata"]["notAligned"], "0")
        for name in ("ids", "doc", "position"):
            np.testing.assert_array_equal(ours[name], theirs[name])
        np.testing.assert_allclose(ours["topLogProb"], theirs["topLogProb"], rtol=0, atol=1e-4)
        same = ours["topIds"] == theirs["topIds"]
        self.assertGreater(same.mean(), 0.99)  # but for those that as good as tie

    def test_other_tokens(self) -> None:
        other = self.suspect("other")
        edited(other, fewer_merges)
        own = countermark.Tokenizer.load(other / "tokenizer.json")
        ids = self.ids[:180]  # less than a window
        found = self.predicted(other, ids)
        self.assertEqual(found["metadata"]["alignedFrom"], own.sha256)
        self.assertEqual(found["metadata"]["notAligned"], "0")

        text = self.tokenizer.decode(ids)
        read = own.encode(text)
        self.assertGreater(len(read), len(ids))
        model = transformers.AutoModelForCausalLM.from_pretrained(other)
        with torch.inference_mode():
            expected = torch.log_softmax(model(torch.tensor([read])).logits[0].double(), dim=-1).numpy()
        # Where both have spelled as much, by the strings themselves.
        spelled = {len(own.decode(read[:i + 1], errors="surrogateescape")): i for i in range(len(read))}
        aligned = 0
        for row in range(len(ids)):
            place = spelled.get(len(self.tokenizer.decode(ids[:row + 1], errors="surrogateescape")))
            if place is None:
                self.assertTrue((found["topIds"][row] == -1).all())
                self.assertTrue(np.isneginf(found["topLogProb"][row]).all())
                continue
            aligned += 1
            best = np.argsort(-expected[place], kind="stable")[:8]
            np.testing.assert_allclose(found["topLogProb"][row], expected[place][best], rtol=0, atol=1e-4)
            for kept, log_prob in zip(found["topIds"][row].tolist(), found["topLogProb"][row]):
                if kept == -1:
                    continue
                likely = [i for i in range(own.vocab_size) if abs(expected[place][i] - log_prob) < 1e-4]
                self.assertIn(self.tokenizer.decode([kept], errors="surrogateescape"),
                              [own.decode([i], errors="surrogateescape") for i in likely])
        self.assertGreater(aligned, len(ids) * 0.6)

    def test_no_marked_text(self) -> None:
        other = self.suspect("other")
        edited(other, fewer_merges)
        log, out = self.folder / "served.jsonl", self.folder / "own.safetensors"
        log.touch()
        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            code = predict.main([str(other), str(log), "--transcripts", "-t", str(TOKENIZER), "-o", str(out)])
        self.assertEqual(code, 3)
        self.assertIn("no valid test", err.getvalue())

    def test_tokens_are_matched_by_what_they_spell(self) -> None:
        other = self.suspect("other")
        edited(other, fewer_merges)
        own = countermark.Tokenizer.load(other / "tokenizer.json")
        alignment = Alignment(self.tokenizer, own, own.vocab_size + 3)
        matched = [(i, token) for i, token in enumerate(alignment.tokens.tolist()) if token != NONE]
        self.assertEqual(len({token for _, token in matched}), len(matched))
        self.assertEqual(alignment.tokens[own.vocab_size:].tolist(), [NONE] * 3)
        for i, token in matched:
            self.assertEqual(own.decode([i], errors="surrogateescape"),
                             self.tokenizer.decode([token], errors="surrogateescape"))

    def test_an_end_within_a_character(self) -> None:
        other = self.suspect("other")
        edited(other, fewer_merges)
        alignment = Alignment(self.tokenizer, countermark.Tokenizer.load(other / "tokenizer.json"), 4096)
        ids = self.tokenizer.encode("a wide sky: \U0001F30C")
        cut = alignment.align(ids[:-1])
        assert cut is not None
        own, places = cut
        self.assertEqual(len(own), len(places))
        self.assertLess(places.max(), len(ids) - 2)
        self.assertIsNone(alignment.align([*ids[-1:], *ids]))


if __name__ == "__main__":
    unittest.main()
