# SPDX-License-Identifier: Apache-2.0
"""countermark.predict on the embedded model: beside direct passes, killed, and given bad input."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
import unittest
import unittest.mock
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import countermark
import numpy as np
from support import ROOT, TOKENIZER, Case, Exported

try:
    import huggingface_hub
    import torch
    import transformers
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file
except ImportError as missing:
    raise unittest.SkipTest(f"transformers is not installed: {missing}") from missing

from countermark import predict, predictions
from countermark.predictions import Work
from countermark.program import Progress
from countermark.reading import Special, Text, Windows, read_text

# What a process is given that is to be killed: it saves each batch, and takes its time.
SLOWLY = """
import sys, time, torch
from countermark import predict
torch.set_num_threads(1)
predict.SAVE_SECONDS = 0
predict.Progress.show = lambda *unused: time.sleep(0.2)
sys.exit(predict.main(sys.argv[1:]))
"""


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Predictions:
    """A file as the safetensors package reads it."""

    def __init__(self, path: Path) -> None:
        with safe_open(path, framework="numpy") as file:
            self.metadata = file.metadata()
            self.settings = json.loads(self.metadata["settings"])
            self.ids, self.doc, self.position, self.top_ids, self.log_probs = (
                file.get_tensor(name) for name in ("ids", "doc", "position", "topIds", "topLogProb"))


class Predicting(Exported):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.model = transformers.AutoModelForCausalLM.from_pretrained(cls.exported)
        cls.ids = cls.words[:2000]

    def setUp(self) -> None:
        super().setUp()
        self.out = self.folder / "predictions.safetensors"
        self.parts = self.folder / "predictions.safetensors.parts"

    def text(self, *documents: Sequence[int]) -> Path:
        path = self.folder / "reading.jsonl"
        path.write_text("".join(json.dumps({"ids": list(ids)}) + "\n" for ids in documents))
        return path

    def run_it(self, text: Path, *flags: object, model: object = None, out: Path | None = None) -> tuple[int, str]:
        """Exit code and standard error; nothing is ever written on standard output."""
        err, said = io.StringIO(), io.StringIO()
        with contextlib.redirect_stderr(err), contextlib.redirect_stdout(said):
            try:
                code = predict.main([str(model or self.exported), str(text), "-o", str(out or self.out),
                                     "--device", "cpu", *map(str, flags)])
            except SystemExit as exit:
                code = int(exit.code or 0)
        self.assertEqual(said.getvalue(), "")
        return code, err.getvalue()

    def predicted(self, text: Path, *flags: object, **how: Any) -> Predictions:
        self.assertEqual(self.run_it(text, "--ids-field", "ids", *flags, **how), (0, ""))
        self.assertFalse(self.parts.exists())
        return Predictions(how.get("out") or self.out)

    def directly(self, ids: Sequence[int], model: Any = None) -> np.ndarray:
        """ln of all probabilities at each token of one document, tokens x vocabulary."""
        with torch.inference_mode():
            logits = (model or self.model)(torch.tensor([list(ids)])).logits[0]
        return torch.log_softmax(logits.double(), dim=-1).numpy()

    def assert_predicted(self, found: Predictions, rows: slice, expected: np.ndarray, tolerance: float = 1e-5) -> None:
        """The most probable ones, but for those that as good as tie."""
        ids, log_probs = found.top_ids[rows], found.log_probs[rows]
        self.assertEqual(len(ids), len(expected))
        np.testing.assert_allclose(log_probs, np.take_along_axis(expected, ids, axis=1), rtol=0, atol=tolerance)
        self.assertTrue(all(len(set(row)) == len(row) for row in ids.tolist()))
        best = -np.sort(-expected, axis=1)[:, :ids.shape[1]]
        np.testing.assert_allclose(log_probs, best, rtol=0, atol=tolerance)
        falls, ties = np.diff(log_probs, axis=1) < 0, np.diff(log_probs, axis=1) == 0
        self.assertTrue((falls | (ties & (np.diff(ids, axis=1) > 0))).all())


class Values(Predicting):
    def test_documents_one_at_a_time(self) -> None:
        documents = [self.ids[:70], self.ids[70:75], [], self.ids[100:400], [7], self.ids[400:512]]
        found = self.predicted(self.text(*documents), "--batch-tokens", 400)
        self.assertEqual(found.ids.tolist(), [word for ids in documents for word in ids])
        self.assertEqual(found.doc.tolist(), [i for i, ids in enumerate(documents) for _ in ids])
        self.assertEqual(found.position.tolist(), [i for ids in documents for i in range(len(ids))])
        self.assertEqual({values.dtype.name for values in (found.ids, found.doc, found.position, found.top_ids)},
                         {"int32"})
        self.assertEqual((found.log_probs.dtype.name, found.log_probs.shape), ("float32", (len(found.ids), 32)))
        begin = 0
        for ids in documents:
            if ids:
                self.assert_predicted(found, slice(begin, begin + len(ids)), self.directly(ids))
            begin += len(ids)

        # Batches are a matter of speed.
        for size in (1, 100_000):
            other = self.predicted(self.text(*documents), "--batch-tokens", size, "--top-k", 5,
                                     out=self.folder / f"{size}")
            np.testing.assert_allclose(other.log_probs, found.log_probs[:, :5], rtol=0, atol=1e-5)
            self.assertEqual(other.log_probs.shape[1], 5)

    def test_windows(self) -> None:
        documents = [self.ids[:300], self.ids[300:364], self.ids[364:429]]
        found = self.predicted(self.text(*documents), "--max-length", 64, "--stride", 16, "--batch-tokens", 200)
        self.assertEqual((found.settings["maxLength"], found.settings["stride"]), (64, 16))
        row = 0
        for ids in documents:
            for i in range(len(ids)):
                # Windows after the first begin every 48 tokens, and predict from their 17th on.
                context = 0 if i < 64 else 48 + (i - 64) // 48 * 48
                if i == 63 or i >= 64 and (i - 64) % 48 == 47 or i == len(ids) - 1:
                    self.assertLessEqual(i + 1 - context, 64)
                    begin = 0 if i < 64 else context + 16
                    expected = self.directly(ids[context:i + 1])[begin - context:]
                    self.assert_predicted(found, slice(row + begin, row + i + 1), expected)
            row += len(ids)

    def test_the_whole_vocabulary_in_bfloat16(self) -> None:
        found = self.predicted(self.text(self.ids[:20]), "--top-k", 4096, "--dtype", "bfloat16")
        self.assertEqual(found.settings["dtype"], "bfloat16")
        np.testing.assert_allclose(np.exp(found.log_probs.astype(float)).sum(axis=1), 1, rtol=1e-5)
        narrow = transformers.AutoModelForCausalLM.from_pretrained(self.exported, dtype=torch.bfloat16)
        self.assert_predicted(found, slice(0, 20), self.directly(self.ids[:20], narrow))

    def test_ties_go_by_rising_id(self) -> None:
        torch.manual_seed(1)
        logits = (4 * torch.randn(300, 500)).bfloat16()
        logits[0] = 1.0
        logits[1, 7:] = -torch.inf
        ids, log_probs = predict.most_probable(logits, 7)
        exact = torch.log_softmax(logits.float(), dim=-1).numpy()
        for row in range(300):
            expected = np.lexsort((np.arange(500), -exact[row]))[:7]
            self.assertEqual(ids[row].tolist(), expected.tolist())
            self.assertEqual(log_probs[row].tolist(), exact[row, expected].tolist())
        self.assertGreater((np.diff(log_probs, axis=1) == 0).sum(), 100)
        certain = torch.tensor([[0.0, 1000.0]])
        self.assertEqual(str(predict.most_probable(certain, 1)[1]), "[[0.]]")  # and not -0.

    def test_special_tokens(self) -> None:
        path = self.text(self.ids[:100], [], self.ids[100:105])
        found = self.predicted(path, "--add-special-tokens", "--max-length", 64, "--stride", 10)
        self.assertEqual((found.settings["head"], found.settings["tail"]), ([0], []))
        self.assertEqual(found.ids.tolist(), [0, *self.ids[:100], 0, 0, *self.ids[100:105]])
        self.assertEqual(found.position.tolist(), [*range(101), 0, *range(6)])
        read = [0, *self.ids[:100]]
        self.assert_predicted(found, slice(0, 64), self.directly(read[:64]))
        # The second window begins with it, too, and predicts nothing there.
        self.assert_predicted(found, slice(64, 101), self.directly([0, *read[54:101]])[11:])

    def test_text(self) -> None:
        words = "The server <|endoftext|> returns 7 rows.\nÄ"
        for name, data, flags in (("a.txt", words, ()), ("A.JSONL", json.dumps({"text": words}), ()),
                                  ("b.jsonl", json.dumps({"a": [{"b": words}]}), ("--text-field", "a.0.b")),
                                  ("c.txt", words, ("-t", TOKENIZER))):
            path, out = self.folder / name, self.folder / f"{name}.safetensors"
            path.write_text(data, encoding="utf-8")
            self.assertEqual(self.run_it(path, *flags, out=out), (0, ""))
            found = Predictions(out)
            self.assertEqual(found.ids.tolist(), self.tokenizer.encode(words))  # no special ones
            self.assertEqual(found.metadata["inputSha256"], sha256(path))
            tokenizer = TOKENIZER if "-t" in flags else self.exported / "tokenizer.json"
            self.assertEqual(found.metadata["tokenizerSha256"], sha256(tokenizer))

    def test_the_first_tokens_alone(self) -> None:
        documents = [self.ids[:70], self.ids[70:90], self.ids[90:]]
        for limit, lengths in ((1, [1]), (70, [70]), (71, [70, 1]), (90, [70, 20]), (5000, [70, 20, 1910])):
            text = read_text(self.text(*documents), list, ids_field="ids", vocabulary=4096, limit=limit)
            self.assertEqual(np.diff(text.starts).tolist(), lengths)
        found = self.predicted(self.text(*documents), "--limit-tokens", 75)
        self.assertEqual((found.metadata["tokens"], found.metadata["documents"]), ("75", "2"))


    def test_transcripts(self) -> None:
        record = json.loads((ROOT / "tests" / "goldens" / "transcript.jsonl").read_text(encoding="utf-8"))
        log = self.folder / "served.jsonl"
        asked = record | {"ids": self.ids[10:40], "promptIds": self.ids[:10]}
        hidden = {name: value for name, value in asked.items() if name != "promptIds"} | {"promptSha256": "0" * 64}
        log.write_text("".join(json.dumps(each) + "\n" for each in (asked, hidden)))
        self.assertEqual(self.run_it(log, "--transcripts"), (0, ""))
        found = Predictions(self.out)
        self.assertEqual(found.ids.tolist(), [*self.ids[:40], *self.ids[10:40]])
        self.assertEqual(found.position.tolist(), [*range(40), *range(30)])


class Header(Predicting):
    def test_fields(self) -> None:
        path = self.text(self.ids[:30], self.ids[30:35])
        found = self.predicted(path, "--top-k", 3)
        said = dict(found.metadata)
        self.assertRegex(said.pop("created"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(json.loads(said.pop("settings")), {
            "topK": 3, "maxLength": 512, "stride": 128, "batchTokens": 4096, "textField": None, "idsField": "ids",
            "transcripts": False, "limitTokens": None, "head": [], "tail": [], "dtype": "float32", "device": "cpu",
            "torch": torch.__version__, "transformers": transformers.__version__,
            "countermark": countermark.__version__})
        sums = subprocess.run("sha256sum config.json *.safetensors | sha256sum", shell=True, cwd=self.exported,
                              capture_output=True, text=True, check=True).stdout
        read = b"".join(values.astype("<i4").tobytes() for values in (found.ids, found.doc, found.position))
        self.assertEqual(said, {
            "schema": "countermark.predictions/1", "suspect": "exported", "suspectSha256": sums.split()[0],
            "tokenizerSha256": sha256(self.exported / "tokenizer.json"), "inputSha256": sha256(path),
            "readSha256": hashlib.sha256(read).hexdigest(), "documents": "2", "tokens": "35"})
        data = self.out.read_bytes()
        length, = struct.unpack("<Q", data[:8])
        self.assertEqual(length % 8, 0)
        self.assertEqual(data[8 + length:8 + length + len(read)], read)  # they come first

    def test_a_name_on_the_hub(self) -> None:
        snapshot = self.folder / "snapshots" / ("5" * 40)
        snapshot.parent.mkdir()
        snapshot.symlink_to(self.exported)
        with unittest.mock.patch.object(huggingface_hub, "snapshot_download", return_value=str(snapshot)) as download:
            found = self.predicted(self.text([1, 2]), "--revision", "main", model="someone/suspect")
        self.assertEqual(download.call_args.args, ("someone/suspect",))
        self.assertEqual(download.call_args.kwargs["revision"], "main")
        self.assertEqual((found.metadata["suspect"], found.metadata["suspectRevision"]), ("someone/suspect", "5" * 40))
        with unittest.mock.patch.object(huggingface_hub, "snapshot_download", side_effect=OSError("no such\nname")):
            code, said = self.run_it(self.text([1]), "--ids-field", "ids", model="someone/other", out=self.folder / "x")
        self.assertEqual(code, 6)
        self.assertIn("someone/other: no such folder, and the hub: no such name", said)

    def test_without_a_tokenizer(self) -> None:
        model = self.folder / "model"
        model.mkdir()
        for name in ("config.json", "model.safetensors"):
            (model / name).symlink_to(self.exported / name)
        self.assertNotIn("tokenizerSha256", self.predicted(self.text([1, 2]), model=model).metadata)
        out = self.folder / "given"
        code, said = self.run_it(self.text([1, 2]), "--ids-field", "ids", "-t", TOKENIZER, model=model, out=out)
        self.assertEqual((code, said.count("\n")), (0, 1))
        self.assertIn("its ids are taken for those of", said)
        self.assertEqual(Predictions(out).metadata["tokenizerSha256"], sha256(TOKENIZER))


class GoingOn(Predicting):
    flags: Sequence[object] = ("--device", "cpu", "--ids-field", "ids", "--max-length", 64, "--batch-tokens", 256,
                               "--top-k", 4)

    def setUp(self) -> None:
        super().setUp()
        self.path = self.text(self.ids[:450], *(self.ids[i:i + 40] for i in range(450, 900, 50)))

    def straight(self) -> bytes:
        """What a run that is left in peace writes."""
        out = self.folder / "straight.safetensors"
        self.assertEqual(self.run_it(self.path, *self.flags, out=out), (0, ""))
        return self.of_one_time(out)

    def of_one_time(self, path: Path) -> bytes:
        created = Predictions(path).metadata["created"]
        return path.read_bytes().replace(created.encode(), b"2026-11-21T10:02:35Z", 1)

    def test_killed(self) -> None:
        process = subprocess.Popen([sys.executable, "-c", SLOWLY, self.exported, self.path, "-o", self.out,
                                    *map(str, self.flags)], env={**os.environ, "OMP_NUM_THREADS": "1"})
        try:
            state = self.parts / "state.json"
            end = time.monotonic() + 60
            while not (state.exists() and json.loads(state.read_text())["done"] >= 2):
                self.assertIsNone(process.poll())
                self.assertLess(time.monotonic(), end)
                time.sleep(0.01)
            code, said = self.run_it(self.path, *self.flags)
            self.assertEqual(code, 2)
            self.assertIn("another process works there", said)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        self.assertFalse(self.out.exists())
        begun = json.loads(state.read_text())
        real = predict.Reader.read
        with unittest.mock.patch.object(predict.Reader, "read", autospec=True, side_effect=real) as rest:
            self.assertEqual(self.run_it(self.path, *self.flags), (0, ""))
        with unittest.mock.patch.object(predict.Reader, "read", autospec=True, side_effect=real) as whole:
            straight = self.straight()
        self.assertEqual(rest.call_count, whole.call_count - begun["done"])
        self.assertEqual(self.of_one_time(self.out), straight)

    def test_stopped_anywhere(self) -> None:
        straight = self.straight()
        real = predict.Reader.read
        for saves in (0.0, 1e9):
            for batch in range(100):
                left = [2]  # batches until it stops, in the midst of the second one

                def read(reader: Any, windows: Any, write: Any) -> None:
                    left[0] -= 1
                    real(reader, windows[:1] if left[0] == 0 else windows, write)
                    if left[0] == 0:
                        raise KeyboardInterrupt

                with unittest.mock.patch.object(predict, "SAVE_SECONDS", saves), \
                        unittest.mock.patch.object(predictions, "now", lambda: f"2026-11-21T10:02:{batch:02}Z"), \
                        unittest.mock.patch.object(predict.Reader, "read", read):
                    code, _ = self.run_it(self.path, *self.flags)
                if code == 0 or (saves and batch == 2):
                    break
                self.assertEqual(code, 130)
                state = json.loads((self.parts / "state.json").read_text())
                self.assertEqual(state["done"], 0 if saves else batch + 1)
            if saves:
                self.assertEqual(self.run_it(self.path, *self.flags), (0, ""))
            self.assertEqual(Predictions(self.out).metadata["created"], "2026-11-21T10:02:00Z")
            self.assertEqual(self.of_one_time(self.out), straight)
            self.out.unlink()

    def interrupted(self, *flags: str) -> None:
        with unittest.mock.patch.object(predict.Reader, "read", side_effect=KeyboardInterrupt):
            self.assertEqual(self.run_it(self.path, *self.flags, *flags)[0], 130)

    def test_refuses_to_go_on_with_something_else(self) -> None:
        self.interrupted()
        before = {path.name: path.read_bytes() for path in self.parts.iterdir()}
        other = self.folder / "other"
        shutil.copytree(self.exported, other)
        (other / "config.json").write_bytes((other / "config.json").read_bytes() + b"\n")
        for flags, model, differ in ((("--top-k", 5), None, "topK"), (("--stride", 3, "--batch-tokens", 9), None,
                                     "batchTokens, stride"), ((), other, "suspect, suspectSha256")):
            code, said = self.run_it(self.path, *self.flags, *flags, model=model)
            self.assertEqual((code, said), (2, f"countermark.predict: error: {self.parts}: holds work that differs in "
                                               f"{differ}: repeat the former command, or remove the folder\n"))
        text = self.path.read_text()
        self.path.write_text(text.replace("]", ", 5]", 1))
        code, said = self.run_it(self.path, *self.flags)
        self.assertEqual(code, 2)
        self.assertIn("differs in inputSha256, readSha256, tokens:", said)
        self.assertEqual({path.name: path.read_bytes() for path in self.parts.iterdir()}, before)
        self.path.write_text(text)
        self.assertEqual(self.run_it(self.path, *self.flags), (0, ""))

    def test_what_else_is_in_its_way(self) -> None:
        self.interrupted()
        with (self.parts / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertEqual(self.run_it(self.path, *self.flags)[0], 2)
        for state in ("", "{}", "[]", '{"metadata": {}, "done": 1}', '{"metadata": {"created": "now"}, "done": null}'):
            (self.parts / "state.json").write_text(state)
            code, said = self.run_it(self.path, *self.flags)
            self.assertEqual(code, 3, state)
            self.assertIn("state.json: expected a state of this program", said)
        # Killed between the last two steps, or before the first was over.
        for gone in ("predictions", "state.json"):
            shutil.rmtree(self.parts)
            self.interrupted("--force")
            (self.parts / gone).unlink()
            self.assertEqual(self.run_it(self.path, *self.flags, "--force"), (0, ""))
            self.assertFalse(self.parts.exists())
            self.parts.mkdir()
        self.parts.rmdir()

        code, said = self.run_it(self.path, *self.flags)
        self.assertEqual((code, said), (2, f"countermark.predict: error: {self.out}: exists (--force replaces it)\n"))
        self.assertFalse(self.parts.exists())

    def test_an_output_that_came_meanwhile(self) -> None:
        text = Text(np.array([1, 2], dtype=np.int32), np.array([0, 2]))
        work = Work(self.out, {"settings": "{}"}, text, 1)
        self.addCleanup(work.close)
        self.out.write_text("precious")
        self.refused("exists", work.finish, 1)
        self.assertEqual(self.out.read_text(), "precious")
        self.assertTrue((self.parts / "predictions").exists())


class BadInput(Predicting):
    def test_texts(self) -> None:
        for name, data, flags, code, says in (
                ("a.jsonl", b'{"text": "x"}\n\n{"text": 7}\n', (), 3, "a.jsonl:3: expected text in text"),
                ("a.jsonl", b'{"content": "x"}', (), 3, "a.jsonl:1: no field text"),
                ("a.jsonl", b'{"text": "x"', (), 3, "a.jsonl:1: expected JSON: "),
                ("a.jsonl", b'{"text": "\xff"}', (), 3, "a.jsonl:1: expected UTF-8 (byte 10)"),
                ("a.jsonl", b'{"text": "\\ud800"}', (), 3, "a.jsonl:1: "),
                ("a.jsonl", b"[" * 100_000, (), 3, "a.jsonl:1: expected JSON that is less deep"),
                ("a.jsonl", b'{"a": [{"b": 1}]}', ("--text-field", "a.1.b"), 3, "a.jsonl:1: no field a.1.b"),
                ("a.jsonl", b'{"ids": [1]}\n{"ids": "1"}', ("--ids-field", "ids"), 3, ":2: expected token ids in"),
                ("a.jsonl", b'{"ids": [1, 4096]}', ("--ids-field", "ids"), 3, "from 0 to 4095, found 4096"),
                ("a.jsonl", b'{"ids": [-1]}', ("--ids-field", "ids"), 3, "from 0 to 4095, found -1"),
                ("a.jsonl", b'{"ids": [1, null]}', ("--ids-field", "ids"), 3, "from 0 to 4095, found null"),
                ("a.jsonl", b'{"ids": [true]}', ("--ids-field", "ids"), 3, ":1: expected token ids from 0 to"),
                ("a.jsonl", b'{"ids": []}\n', ("--ids-field", "ids"), 3, "a.jsonl: expected a token"),
                ("a.jsonl", b"", (), 3, "a.jsonl: expected a token"),
                ("a.txt", b"abc\xff", (), 3, "a.txt: expected UTF-8 (byte 3)"),
                ("a.txt", b"abc", ("--ids-field", "ids"), 2, "--ids-field is for .jsonl"),
                ("a.csv", b"abc", (), 2, "expected a name that ends in .txt or .jsonl"),
                ("a.txt", b"abc", ("-t", "/none"), 6, "/none: "),
                ("a.txt", b"abc", ("--top-k", 4097), 2, "--top-k: the model has 4096 tokens"),
                ("a.txt", b"abc", ("--top-k", 0), 2, "--top-k"),
                ("a.txt", b"abc", ("--max-length", 513), 2, "--max-length: the model reads 512 tokens"),
                ("a.txt", b"abc", ("--max-length", 8, "--stride", 8), 2, "--stride: expected less than the window's 8"),
                ("a.txt", b"abc", ("--max-length", 8, "--stride", 7, "--add-special-tokens"), 2, "--stride: "),
                ("a.txt", b"abc", ("--text-field", "a", "--ids-field", "b"), 2, "expected one of them"),
                ("a.jsonl", b"{}", ("--ids-field", "b", "--transcripts"), 2, "expected one of them"),
                ("a.jsonl", b'{"ids": [1]}', ("--transcripts",), 3, "a.jsonl"),
                ("a.txt", b"abc", ("--revision", "main"), 2, "--revision: is for a model on the hub")):
            with self.subTest(says):
                path = self.folder / name
                path.write_bytes(data)
                found, said = self.run_it(path, *flags)
                self.assertEqual(found, code, said)
                self.assertIn(says, said)
                self.assertFalse(self.out.exists() or self.parts.exists())
        code, said = self.run_it(self.folder / "none.txt")
        self.assertEqual((code, said.count("\n")), (6, 1))
        self.assertIn("none.txt: No such file", said)
        code, said = self.run_it(self.text([1]), "--ids-field", "ids", out=self.folder / "none" / "x")
        self.assertEqual(code, 6, said)

    def test_models(self) -> None:
        weights = load_file(self.exported / "model.safetensors")
        infinite = {name: values * np.float32(np.nan) for name, values in weights.items()}
        config = json.loads((self.exported / "config.json").read_text())
        cases: list[tuple[str, Any, Any, int, str]] = [
            ("fewer", config, dict(list(weights.items())[1:]), 3, "no weights for"),
            ("other", config | {"hidden_size": 96}, weights, 3, "other: "),
            ("unknown", config | {"model_type": "none"}, weights, 3, "unknown/config.json: "),
            ("nan", config, infinite, 3, "token 0 of the text: the model's predictions are not finite"),
            ("no-weights", config, None, 3, "expected config.json and *.safetensors"),
            ("no-config", None, weights, 3, "expected config.json and *.safetensors"),
            ("adapter", config, weights, 3, "is an adapter"),
            ("no-tokenizer", config, weights, 2, "has no tokenizer.json: give a tokenizer with -t FILE"),
        ]
        for name, shape, tensors, code, says in cases:
            with self.subTest(name):
                model = self.folder / name
                model.mkdir()
                if shape is not None:
                    (model / "config.json").write_text(json.dumps(shape))
                if tensors is not None:
                    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
                if name == "adapter":
                    (model / "adapter_config.json").write_text("{}")
                how = () if name == "no-tokenizer" else ("--ids-field", "ids")
                found, said = self.run_it(self.text([1, 2]), *how, model=model, out=self.folder / f"{name}.safetensors")
                self.assertEqual(found, code, said)
                self.assertIn(says, said)
                self.assertEqual(said.count("\n"), 1, said)
        self.assertEqual(self.run_it(self.text([1]), model=self.folder / "none")[0], 6)
        with unittest.mock.patch.object(torch.cuda, "is_available", return_value=False):
            self.assertEqual(self.run_it(self.text([1]), "--device", "cuda")[0], 2)

    def test_memory_that_does_not_suffice(self) -> None:
        with unittest.mock.patch.object(transformers.LlamaForCausalLM, "forward", side_effect=torch.OutOfMemoryError):
            code, said = self.run_it(self.text([1, 2]), "--ids-field", "ids")
        self.assertEqual(code, 2)
        self.assertIn("fewer --batch-tokens", said)


class Parts(Case):
    def test_every_position_is_predicted_once(self) -> None:
        chance = random.Random(1)
        for _ in range(200):
            max_length = chance.randint(2, 40)
            head = chance.randint(0, max_length - 2)
            stride = chance.randint(0, max_length - 1 - head)
            batch_tokens = chance.randint(1, 200)
            starts = np.cumsum([0] + [chance.choice((0, 1, max_length - 1, max_length, max_length + 1,
                                                     chance.randint(0, 300))) for _ in range(10)] + [1])
            text = Text(np.arange(starts[-1], dtype=np.int32), starts)
            windows = Windows(text, max_length=max_length, stride=stride, head=head, batch_tokens=batch_tokens)
            seen: list[int] = []
            longest = max_length
            for i, batch in enumerate(windows):
                lengths = [w.end - w.context + head * w.continues for w in batch]
                self.assertTrue(all(length <= longest for length in lengths))
                longest = lengths[-1]
                self.assertTrue(len(batch) == 1 or len(batch) * lengths[0] <= batch_tokens)
                for w in batch:
                    start = starts[np.searchsorted(starts, w.first, side="right") - 1]
                    self.assertEqual(w.continues, w.first > start)
                    self.assertEqual(w.context, w.first - stride if w.continues else start)
                    self.assertGreaterEqual(w.context, start)
                    seen += range(w.first, w.end)
                self.assertEqual(windows.predicted(i + 1), len(seen))
            self.assertEqual(sorted(seen), list(range(len(text.ids))))

    def test_a_terminal_sees_how_far_it_is(self) -> None:
        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        for stream in (Terminal(), io.StringIO()):
            with contextlib.redirect_stderr(stream), unittest.mock.patch.object(time, "monotonic", side_effect=(0, 10)):
                progress = Progress("countermark.predict", "read", "tokens", 1000, 200_000)
                progress.show(3000)
                progress.end()
            says = "\rread 3,000 of 200,000 tokens, 200 a second, 16 min left\x1b[K\n"
            self.assertEqual(stream.getvalue(), says if stream.isatty() else "")

    def test_special_tokens_around_a_text(self) -> None:
        path = self.folder / "a.jsonl"
        path.write_text('{"text": "ab"}\n{"text": ""}\n')
        text = read_text(path, lambda words: [ord(c) for c in words], special=Special([1, 2], [3]), vocabulary=1000)
        self.assertEqual(text.ids.tolist(), [1, 2, 97, 98, 3, 1, 2, 3])
        self.assertEqual(text.starts.tolist(), [0, 5, 8])


if __name__ == "__main__":
    unittest.main()
