# SPDX-License-Identifier: Apache-2.0
"""countermark.regenerate, countermark.rate and `countermark audit --scores`, from served answers to a verdict.

The embedded model serves; copies of it are trained on what was served, and on other answers to the same prompts.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import shutil
import subprocess
import sys
import time
import unittest
import unittest.mock
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import countermark
from support import PROFILE, ROOT, Exported, call, master

try:
    import torch
    import transformers
    from safetensors.torch import load_file, save_file
except ImportError as missing:
    raise unittest.SkipTest(f"transformers is not installed: {missing}") from missing

from countermark import rate, regenerate, replay
from countermark.replay import Check, Sampling
from countermark.served import Served, choose, time_of
from countermark.transformers import Processor, Watermark

LENGTH = 24  # of an answer
BEGAN = 1795255355  # when the first was served
RELEASED = 200  # answers later the suspect was released

# What a process is given that is to be killed: it takes its time.
SLOWLY = """
import sys, time, torch
from countermark import {program}
torch.set_num_threads(1)
{program}.Progress.show = lambda *unused: time.sleep(0.3)
{program}.RATED_AT_ONCE = 2
sys.exit({program}.main(sys.argv[1:]))
"""


class Responses(Watermark):
    """Keeps what it draws with: for the transcripts."""

    def construct_processor(self, vocab_size: int, device: Any = None) -> Processor:
        self.processor = super().construct_processor(vocab_size, device)
        return self.processor

    def __deepcopy__(self, memo: dict[int, Any]) -> Responses:
        return self


class Regenerating(Exported):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.model = transformers.AutoModelForCausalLM.from_pretrained(cls.exported)
        cls.prompts = [list(each) for each in dict.fromkeys((0, *cls.words[20 * i:20 * i + 6]) for i in range(120))]
        cls.profile = countermark.Profile.load(PROFILE)
        cls.key_path = cls.shared / "server.key"
        cls.key = master().epoch("chat", "2026-11")
        cls.key.save(cls.key_path)
        cls.marks = ("-k", cls.key_path, "-p", PROFILE)

    def setUp(self) -> None:
        super().setUp()
        self.out = self.folder / "regenerations.jsonl"

    @classmethod
    def served(cls, path: Path, prompts: Sequence[Sequence[int]], *, seed: int, first: int = 0, marked: bool = False,
               **how: Any) -> list[list[int]]:
        """Answers, and their transcripts behind those that are there."""
        torch.manual_seed(seed)
        service = countermark.Service(cls.key, cls.profile, may_leak_timing=True)
        mark = Responses(service, accounts="alice", eos_token_ids=[0]) if marked else None
        inputs = torch.tensor(prompts)
        out = cls.model.generate(input_ids=inputs, attention_mask=torch.ones_like(inputs), do_sample=True,
                                 max_new_tokens=LENGTH, watermarking_config=mark, **{"top_k": 0, **how})
        answers = []
        with countermark.TranscriptWriter(path) as writer:
            for i, ids in enumerate(out[:, inputs.shape[1]:].tolist()):
                ends = ids.index(0) + 1 if 0 in ids else None
                answers.append(ids[:ends])
                response = mark.processor._responses[i] if mark else None
                kept = {"epoch": response.epoch, "key_id": response.key_id, "slots": response.slots} if response else {}
                writer.write(id=f"cmpl-{first + i}", profile=cls.profile.digest, prompt_ids=prompts[i], ids=answers[-1],
                             text=cls.tokenizer.decode(answers[-1], errors="replace"), account="alice",
                             finish="end" if ends else "length", time=BEGAN + first + i, **kept)
        return answers

    @classmethod
    def trained(cls, name: str, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]) -> Path:
        """A copy of the model that has learned the answers."""
        torch.manual_seed(1)
        model = transformers.AutoModelForCausalLM.from_pretrained(cls.exported)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        rows = [torch.tensor([*prompt, *answer]) for prompt, answer in zip(prompts, answers)]
        for _ in range(3):
            for some in torch.randperm(len(rows)).split(8):
                ids = torch.nn.utils.rnn.pad_sequence([rows[i] for i in some], batch_first=True)
                labels = torch.nn.utils.rnn.pad_sequence([rows[i] for i in some], batch_first=True, padding_value=-100)
                optimizer.zero_grad()
                model(input_ids=ids, labels=labels).loss.backward()
                optimizer.step()
        model.save_pretrained(cls.shared / name)
        shutil.copy(cls.exported / "tokenizer.json", cls.shared / name)
        return cls.shared / name

    def run_it(self, program: Any, *arguments: object) -> tuple[int, str]:
        """Exit code and standard error; nothing is ever written on standard output."""
        err, said = io.StringIO(), io.StringIO()
        with contextlib.redirect_stderr(err), contextlib.redirect_stdout(said):
            try:
                code = program.main([*map(str, arguments), "--device", "cpu"])
            except SystemExit as exit:
                code = int(exit.code or 0)
        self.assertEqual(said.getvalue(), "")
        return code, err.getvalue()

    def regenerated(self, transcripts: Path, *flags: object, model: Path | None = None,
                    out: Path | None = None) -> tuple[int, str]:
        return self.run_it(regenerate, model or self.exported, transcripts, "--max-tokens", LENGTH, "-o",
                           out or self.out, *flags)

    def lines(self, path: Path | None = None) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (path or self.out).read_text().splitlines()]

    def judged(self, suspect: Path, transcripts: Path, *flags: object) -> dict[str, Any]:
        """What the audit says of the suspect."""
        scores = self.folder / f"{suspect.name}.scores"
        code, said = self.run_it(rate, suspect, self.out, "-o", scores, *flags)
        self.assertEqual(code, 0, said)
        found = json.loads(call("audit", "--scores", scores, "--transcripts", transcripts, "--json"))
        test, = found["tests"]
        self.assertNotIn("failed", [check["state"] for check in test["checks"]], test["checks"])
        return test


def released() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(BEGAN + RELEASED))


class FromServedToVerdict(Regenerating):
    """A false alarm has the chance 1e-6, and a veto by its control .001."""

    def test_unmarked(self) -> None:
        path = self.shared / "served.jsonl"
        prompts, later = self.prompts[:80], self.prompts[80:90]
        answers = self.served(path, prompts, seed=1)
        self.served(path, later, seed=2, first=RELEASED)
        others = self.served(self.shared / "others.jsonl", prompts, seed=3)
        code, said = self.regenerated(path, "--released", released(), "--batch", 96)
        self.assertEqual(code, 0, said)
        self.assertRegex(said, "^countermark.regenerate: 90 answers fit the model and the settings: ([0-9]+) of \\1 "
                               "tokens are candidates, ln p is [+-][0-3].[0-9] standard errors beside its mean\n$")

        made = self.lines()
        self.assertEqual([line["id"] for line in made], [f"cmpl-{i}" for i in (*range(80), *range(200, 210))])
        golden = json.loads((ROOT / "tests" / "goldens" / "regenerations.jsonl").read_text())
        for ours, theirs in ((made[0], golden), (made[0]["check"], golden["check"]),
                             (made[0]["settings"], golden["settings"])):
            self.assertEqual(list(ours), list(theirs))
        self.assertEqual([line["neverServed"] for line in made], [False] * 80 + [True] * 10)
        for line, prompt, answer in zip(made, prompts, answers):
            self.assertEqual((line["promptIds"], line["served"]), (prompt, [i for i in answer if i]))
            self.assertEqual(len({tuple(ids) for ids in [line["served"], *line["regenerated"]]}), 5)
            for ids, finish in zip(line["regenerated"], line["finish"], strict=True):
                self.assertNotIn(0, ids)
                self.assertEqual(finish, "length" if len(ids) == LENGTH else "end")
            self.assertEqual(line["check"]["candidates"], len(answer))

        suspect = self.trained("trained", prompts, answers)
        found = self.judged(suspect, path)
        self.assertEqual((found["verdict"], found["prompts"], found["regenerations"]), ("detected", 80, [4, 4]))
        self.assertLess(found["log10P"], -12)
        self.assertGreater(found["effect"]["value"], 0.8)
        for innocent in (self.exported, self.trained("trained-on-others", prompts, others)):
            found = self.judged(innocent, path)
            self.assertEqual(found["verdict"], "not-detected", found)
        self.directly(suspect)
        self.another_tokenizer()

    def directly(self, suspect: Path) -> None:
        """The scores beside passes of one answer at a time."""
        model = transformers.AutoModelForCausalLM.from_pretrained(suspect)
        for made, score in list(zip(self.lines(), self.lines(self.folder / "trained.scores")))[::20]:
            self.assertEqual(list(score), ["schema", "id", "account", "served", "regenerated", "keyId", "neverServed"])
            for answer, found in zip([made["served"], *made["regenerated"]], [score["served"], *score["regenerated"]]):
                self.assertAlmostEqual(found, mean_log_p(model, made["promptIds"], answer), places=5)

    def another_tokenizer(self) -> None:
        """The same model with other ids for two tokens rates what the answers say."""
        other = self.folder / "renamed"
        shutil.copytree(self.exported, other)
        tokenizer = json.loads((other / "tokenizer.json").read_text())
        words = tokenizer["model"]["vocab"]
        a, b = self.tokenizer.encode(" the")[0], self.tokenizer.encode(" a")[0]
        words.update({name: b if i == a else a for name, i in words.items() if i in (a, b)})
        (other / "tokenizer.json").write_text(json.dumps(tokenizer))
        weights = load_file(other / "model.safetensors")
        rows = weights["model.embed_tokens.weight"]
        rows[[a, b]] = rows[[b, a]]
        save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
        code, said = self.run_it(rate, other, self.out, "-o", self.folder / "x")
        self.assertEqual(code, 3)
        self.assertIn("give that one with --tokenizer", said)
        code, said = self.run_it(rate, other, self.out, "-o", self.folder / "x", "-t", other / "tokenizer.json")
        self.assertIn("is not the tokenizer of the model that served", said)
        self.out.write_text("".join(self.out.read_text().splitlines(keepends=True)[:6]))
        scores = self.folder / "renamed.scores"
        code, said = self.run_it(rate, other, self.out, "-o", scores, "--tokenizer", self.exported / "tokenizer.json")
        self.assertEqual(code, 0, said)
        self.assertIs(json.loads((self.folder / "renamed.scores.settings.json").read_text())["encodedAgain"], True)
        for made, score in zip(self.lines(), self.lines(scores), strict=True):
            words_of = self.tokenizer.decode(made["served"], errors="replace")
            prompt = self.tokenizer.encode(self.tokenizer.decode(made["promptIds"][1:], errors="replace"))
            expected = mean_log_p(self.model, [0, *prompt], self.tokenizer.encode(words_of))
            self.assertAlmostEqual(score["served"], expected, places=4)

    def test_marked(self) -> None:
        path = self.shared / "served-marked.jsonl"
        prompts, later = self.prompts[:32], self.prompts[32:48]  # marked answers need half as many controls
        answers = self.served(path, prompts, seed=4, marked=True)
        self.served(path, later, seed=11, first=RELEASED, marked=True)
        code, said = self.regenerated(path, *self.marks, "--released", released(), "--batch", 64)
        self.assertEqual(code, 0, said)
        made = self.lines()
        self.assertEqual([line["neverServed"] for line in made], [False] * 32 + [True] * 16)
        made = made[:32]
        total = Check(**{name: sum(line["check"][name] for line in made) for name in made[0]["check"]})
        self.assertEqual((total.candidates, total.of), (sum(map(len, answers)), sum(map(len, answers))))
        self.assertGreater(total.marked, 400)
        self.assertGreaterEqual(total.reproduced, 0.998 * total.marked)
        self.assertEqual(made[0]["settings"]["mark"], {"keyId": self.key.key_id, "epoch": "2026-11",
                                                       "profile": self.profile.digest})
        # They carry the account's mark, too, and by other nonces.
        ids = [i for line in made for answer in line["regenerated"] for i in answer]
        detector = countermark.Detector(self.key, self.profile, account="alice")
        self.assertEqual(detector.detect(ids)["streams"][0]["verdict"], "detected")
        self.assertGreater(len({tuple(answer) for line in made for answer in line["regenerated"]}), 120)

        found = self.judged(self.trained("trained-marked", prompts, answers), path)
        self.assertEqual(found["verdict"], "detected", found)
        self.assertEqual(self.judged(self.exported, path)["verdict"], "not-detected")


def mean_log_p(model: Any, prompt: Sequence[int], answer: Sequence[int]) -> float:
    with torch.inference_mode():
        logits = model(torch.tensor([[*prompt, *answer]])).logits[0].double()
    log_p = torch.log_softmax(logits, dim=-1)[len(prompt) - 1:-1]
    return float(log_p[torch.arange(len(answer)), torch.tensor(answer)].mean())


class Checking(Regenerating):
    """What was served otherwise is refused, and what was not is not."""

    def test_other_settings(self) -> None:
        plain, marked = self.shared / "plain.jsonl", self.shared / "marked.jsonl"
        how: dict[str, Any] = {"temperature": 0.9, "top_k": 200, "top_p": 0.9}
        self.served(plain, self.prompts[:30], seed=5, **how)
        self.served(marked, self.prompts[:30], seed=6, marked=True, **how)
        right = ("--temperature", 0.9, "--top-k", 200, "--top-p", 0.9)
        weights = self.folder / "other"
        shutil.copytree(self.exported, weights)
        tensors = load_file(weights / "model.safetensors")
        save_file({name: values * 1.1 for name, values in tensors.items()}, weights / "model.safetensors",
                  metadata={"format": "pt"})
        for path, flags in ((plain, ()), (marked, self.marks)):
            for changed, model, says in (
                    (("--temperature", 0.75), None, "higher --temperature"),
                    (("--temperature", 1.05), None, "lower --temperature"),
                    (("--top-k", 0, "--top-p", 1), None, "lower --temperature, or a narrower --top-k or --top-p"),
                    (("--top-k", 20), None, "cannot be drawn with these settings: served with a wider --top-k"),
                    (("--top-p", 0.8), None, "cannot be drawn with these settings"),
                    (("--max-tokens", LENGTH - 1), None, "served with another --max-tokens"),
                    (("--max-tokens", LENGTH + 1), None, "served with another --max-tokens"),
                    ((), weights, "by another model")):
                with self.subTest(path=path.name, changed=changed, model=model):
                    code, said = self.regenerated(path, *flags, *right, *changed, model=model)
                    self.assertEqual(code, 3, said)
                    self.assertIn(says, said)
                    self.assertEqual(self.out.read_bytes() if self.out.exists() else b"", b"")
            code, said = self.regenerated(path, *flags, *right, "-n", 1, "--limit", 8)
            self.assertEqual(code, 0, said)
            self.out.unlink()

    def test_statistics(self) -> None:
        sampling = Sampling(1.0, 0, 1.0, 10)
        replay.refuse(Check(candidates=9990, of=10_000, excess=3.2 * 100, variance=10_000.0), sampling)
        replay.refuse(Check(candidates=100, of=100, marked=100, reproduced=98, likelier=1, excess=99.0, variance=1.0),
                      sampling)
        for wrong in (Check(candidates=9989, of=10_000), Check(candidates=9, of=9, excess=-3.4, variance=1.0),
                      Check(candidates=100, of=100, marked=100, reproduced=97),
                      Check(candidates=10_000, of=10_000, marked=10_000, reproduced=9980, likelier=20)):
            self.refused("mismatch", replay.refuse, wrong, sampling)
        self.assertEqual([replay.sign_test(heads, 4) for heads in range(5)], [0.125, 0.625, 1.0, 0.625, 0.125])

    def test_the_mean_is_the_mean(self) -> None:
        """Over draws of known rows the excess has the mean 0 and the variance that the rows say."""
        torch.manual_seed(7)
        logits = 3 * torch.randn(2000, 50)
        sampling = Sampling(0.8, 20, 0.9, 2000)
        ids = torch.multinomial(torch.softmax(sampling.warp(logits), dim=-1), 1).squeeze(1).tolist()
        answer = answered(ids)
        found = replay.check(answer, logits, sampling, None, [])
        self.assertEqual((found.candidates, found.of), (2000, 2000))
        self.assertLess(abs(replay.score(found)), 4)
        each = [replay.check(answered([i]), row.unsqueeze(0), sampling, None, []) for i, row in zip(ids, logits)]
        self.assertAlmostEqual(sum(part.excess for part in each), found.excess, places=6)
        spread = sum(part.excess**2 for part in each) / found.variance
        self.assertLess(abs(spread - 1), 0.2)

    def test_ends_that_are_not_logged(self) -> None:
        """They leave the mean where it is; had they been counted as other tokens it would be elsewhere."""
        torch.manual_seed(8)
        logits = 2 * torch.randn(6000, 50)
        logits[:, 3] += 3
        sampling = Sampling(1.0, 0, 1.0, 6000)
        ids = torch.multinomial(torch.softmax(logits, dim=-1), 1).squeeze(1)
        kept = ids != 3
        self.assertGreater(int((~kept).sum()), 500)
        answer = answered(ids[kept].tolist())
        self.assertLess(abs(replay.score(replay.check(answer, logits[kept], sampling, None, [3]))), 4)
        self.assertGreater(abs(replay.score(replay.check(answer, logits[kept], sampling, None, []))), 5)
        self.assertEqual(replay.check(answered([3]), logits[:1], sampling, None, [3]), Check(candidates=1, of=1))


def answered(ids: list[int]) -> Served:
    return Served("a", None, None, [], [1], ids, None, False)


class GoingOn(Regenerating):
    def killed(self, program: str, out: Path, *arguments: object) -> int:
        """Lines that a process has written when it is killed."""
        command = [sys.executable, "-c", SLOWLY.format(program=program), *map(str, arguments), "-o", str(out)]
        process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 60
            while not (out.exists() and out.read_bytes().count(b"\n") >= 2):
                self.assertIsNone(process.poll())
                self.assertLess(time.monotonic(), end)
                time.sleep(0.01)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        return out.read_bytes().count(b"\n")

    def test_killed(self) -> None:
        path = self.folder / "served.jsonl"
        self.served(path, self.prompts[:12], seed=8)
        there = self.killed("regenerate", self.out, self.exported, path, "--max-tokens", LENGTH, "--batch", 4)
        self.assertLess(there, 12)
        before = self.out.read_bytes()
        self.out.write_bytes(before + b'{"schema":"countermark.regen')
        code, said = self.regenerated(path)
        self.assertEqual(code, 0, said)
        self.assertIn("removed half a line (28 bytes) at the end", said)
        self.assertTrue(self.out.read_bytes().startswith(before))
        self.assertEqual([line["id"] for line in self.lines()], [f"cmpl-{i}" for i in range(12)])
        # Two processes have not drawn the same.
        drawn = [tuple(ids) for line in self.lines() for ids in line["regenerated"]]
        self.assertEqual(len(set(drawn)), 48)

        whole = self.out.read_bytes()
        for changed, says in ((("-n", 3), "-n was 4, is 3 now"), (("--dtype", "bfloat16"), "settings was"),
                              (("--released", "2026-01-01"), "settings was")):
            code, said = self.regenerated(path, *changed)
            self.assertEqual((code, self.out.read_bytes()), (2, whole), said)
            self.assertIn(says, said)
            self.assertIn("--force to start over", said)
        self.out.write_bytes(whole.replace(b'"check":{', b'"check":{"other":1,', 1))
        self.assertIn("expected countermark.regenerations/1", self.regenerated(path)[1])
        self.out.write_bytes(whole)
        self.assertEqual(self.regenerated(path, "--force", "--limit", 2)[0], 0)
        self.assertEqual(len(self.lines()), 2)
        self.out.write_bytes(whole)

        scores = self.folder / "scores.jsonl"
        there = self.killed("rate", scores, self.exported, self.out)
        self.assertLess(there, 12)
        before = scores.read_bytes()
        again = (self.exported, self.out, "-o", scores)
        self.assertEqual(self.run_it(rate, *again)[0], 0)
        self.assertTrue(scores.read_bytes().startswith(before))
        self.assertEqual([line["id"] for line in self.lines(scores)], [f"cmpl-{i}" for i in range(12)])
        whole = scores.read_bytes()
        code, said = self.run_it(rate, *again, "--dtype", "bfloat16")
        self.assertEqual((code, scores.read_bytes()), (2, whole), said)
        self.assertIn("dtype was 'float32', is 'bfloat16' now", said)
        (self.folder / "scores.jsonl.settings.json").unlink()
        self.assertIn("whose scores are they?", self.run_it(rate, *again)[1])
        self.assertEqual(self.run_it(rate, *again, "--force")[0], 0)
        self.assertEqual(scores.read_bytes(), whole)


class BadInput(Regenerating):
    def transcripts(self, *changes: dict[str, Any]) -> Path:
        path = self.folder / "transcripts.jsonl"
        path.unlink(missing_ok=True)
        with countermark.TranscriptWriter(path) as writer:
            for i, change in enumerate(changes):
                record = {"id": f"{i}", "profile": "0" * 64, "prompt_ids": [0, i + 1], "ids": [5, 6], "text": None,
                          "account": "alice", "finish": "end", "time": BEGAN + i}
                writer.write(**{**record, **change})
        return path

    def test_which_answers_are_taken(self) -> None:
        path = self.transcripts(
            {}, {"prompt_ids": None, "prompt_sha256": "0" * 64}, {"finish": "aborted"}, {"prompt_ids": []},
            {"finish": "length"}, {"finish": None},
            {"account": "bob", "prompt_ids": [0, 1]},  # like alice's
            {"account": None, "prompt_ids": [0, 1], "ids": [6]}, {"id": "a"}, {"id": "a"},
            {"key_id": "09787cddc29645f6", "epoch": "e", "slots": [0]})
        taken, left_out = choose(str(path), mark=None)
        self.assertEqual([(served.id, served.account) for served in taken],
                         [("0", "alice"), ("4", "alice"), ("7", None)])
        self.assertEqual(left_out, {
            "without promptIds": 2, "given up before their end": 1, "with finish null": 1,
            "like another to the same prompt": 1, "with an id that comes twice": 2,
            "under a key, which -k has to give": 1})
        taken, _ = choose(str(path), mark=None, released=time_of("2026-11-21T10:02:42Z"), limit=1)
        self.assertEqual([(served.id, served.is_control) for served in taken], [("0", False), ("7", True)])
        taken, _ = choose(str(path), mark=None, account="bob")
        self.assertEqual([served.id for served in taken], ["6"])

    def test_one_of_several_is_not_taken(self) -> None:
        """Whatever the others are, and wherever they stand."""
        again = {"prompt_ids": [0, 1]}
        for name, other in (("later", {}), ("the same", {"ids": [5, 6]}), ("earlier", {"time": BEGAN - 1}),
                            ("aborted", {"finish": "aborted"}), ("unknown", {"finish": None}),
                            ("without ids", {"ids": []}),
                            ("digest", {"prompt_ids": None, "prompt_sha256": countermark.prompt_sha256([0, 1])}),
                            ("marked", {"key_id": "09787cddc29645f6", "epoch": "e", "slots": [0]})):
            other = {**again, "id": "b", "ids": [7], **other}
            for changes in ([again, {}, other], [other, {}, again]):
                with self.subTest(name, changes=changes):
                    taken, left_out = choose(str(self.transcripts(*changes)), mark=None)
                    self.assertEqual([served.id for served in taken], ["1"])
                    self.assertGreater(left_out["among several to their account and prompt"], 0)
                    self.assertEqual(sum(left_out.values()), 2)
        # Those of another account are no second answers; those of nobody are all one account's.
        taken, _ = choose(str(self.transcripts(again, {**again, "account": "bob", "ids": [7]})), mark=None)
        self.assertEqual(len(taken), 2)
        path = self.transcripts({}, *({**again, "account": None, "ids": [i]} for i in (7, 8)))
        self.assertEqual([served.id for served in choose(str(path), mark=None)[0]], ["0"])

    def test_an_id_that_comes_twice(self) -> None:
        """Also where the other is of another account, is not asked for or is unfit."""
        for other in ({"account": "bob"}, {"finish": "aborted"}, {"time": BEGAN + RELEASED},
                      {"key_id": "09787cddc29645f6", "epoch": "e", "slots": [0]}):
            for changes in ([{"id": "a"}, {}, {"id": "a", **other}], [{"id": "a", **other}, {}, {"id": "a"}]):
                with self.subTest(changes=changes):
                    taken, left_out = choose(str(self.transcripts(*changes)), mark=None, account="alice")
                    self.assertEqual([served.id for served in taken], ["1"])
                    self.assertGreater(left_out["with an id that comes twice"], 0)

    def test_left_out_is_said(self) -> None:
        path = self.folder / "served.jsonl"
        self.served(path, self.prompts[:4], seed=9)
        self.served(path, self.prompts[:1], seed=10, first=RELEASED)
        code, said = self.regenerated(path)
        self.assertEqual(code, 0, said)
        self.assertIn("countermark.regenerate: answers left out: 2 among several to their account and prompt\n", said)
        self.assertEqual([line["id"] for line in self.lines()], ["cmpl-1", "cmpl-2", "cmpl-3"])
        scores = self.folder / "scores.jsonl"
        self.assertEqual(self.run_it(rate, self.exported, self.out, "-o", scores)[0], 0)
        test, = json.loads(call("audit", "--scores", scores, "--transcripts", path, "--json"))["tests"]
        states = {check["check"]: check["state"] for check in test["checks"]}
        self.assertEqual([states[name] for name in ("in-log", "whole-answers", "single-answers")], ["passed"] * 3)
        code, said = self.regenerated(self.transcripts({}, {"prompt_ids": [0, 1]}))
        self.assertEqual(code, 3)
        self.assertIn("no answer to make regenerations of (2 among several to their account and prompt)", said)

    def test_refused(self) -> None:
        good = self.transcripts({})
        master_key = self.folder / "master.key"
        master().save(master_key)
        for path, flags, model, code, says in (
                (self.folder / "none", (), None, 6, "none"),
                (good, (), self.folder / "none", 6, "no such folder"),
                (good, ("-k", self.key_path), None, 2, "-k, -p: expected both"),
                (good, ("-k", master_key, "-p", PROFILE), None, 4, "key"),
                (good, self.marks, None, 3, "1 under another key, epoch or profile, or unmarked"),
                (good, ("--account", "bob"), None, 3, "no answer to make regenerations of"),
                (good, ("--released", "yesterday"), None, 2, "expected a time in UTC"),
                (good, ("--temperature", 0), None, 2, "--temperature"),
                (good, ("-n", 0), None, 2, "-n"),
                (good, ("-o", good), None, 2, "is the file of transcripts")):
            with self.subTest(says):
                found, said = self.regenerated(path, *flags, model=model)
                self.assertEqual(found, code, said)
                self.assertIn(says, said)
        for change, code, says in (({"ids": [4096]}, 3, "the model has 4096 tokens"),
                                   ({"ids": [0, 5]}, 3, "go on behind a token that ends an answer"),
                                   ({"finish": "length"}, 3, "served with another --max-tokens"),
                                   ({"key_id": self.key.key_id, "epoch": "2026-11", "slots": [0, 0, 9]}, 3,
                                    "no nonce chooses its slots")):
            with self.subTest(says), unittest.mock.patch.object(replay, "MOST_TRIES", 50):
                marks = self.marks if "slots" in change else ()
                found, said = self.regenerated(self.transcripts({**change, "profile": self.profile.digest}), *marks)
                self.assertEqual(found, code, said)
                self.assertIn(says, said)
        bad = self.folder / "bad.jsonl"
        bad.write_text(good.read_text() + '{"schema": 1}\n')
        code, said = self.regenerated(bad)
        self.assertEqual(code, 3)
        self.assertIn("record 2, schema", said)

    def test_rate_refuses(self) -> None:
        record = {"schema": "countermark.regenerations/1", "id": "a", "account": None, "promptIds": [0], "served": [5],
                  "regenerated": [[6]], "neverServed": False, "modelSha256": "0" * 64, "tokenizerSha256": None}
        path, out = self.folder / "made.jsonl", self.folder / "scores.jsonl"
        for change, code, says in (
                ({"schema": "countermark.scores/1"}, 3, "(line 2): expected countermark.regenerations/1"),
                ({"id": ""}, 3, "(line 2)"), ({"id": "a"}, 3, "expected each id once"),
                ({"promptIds": []}, 3, "(line 2)"), ({"regenerated": []}, 3, "(line 2)"),
                ({"regenerated": [[True]]}, 3, "(line 2)"), ({"neverServed": 0}, 3, "(line 2)"),
                ({"served": [4096]}, 3, "token ids below 4096"),
                ({"modelSha256": "1"}, 3, "regenerations of one model")):
            with self.subTest(says):
                path.write_text(json.dumps(record) + "\n" + json.dumps({**record, "id": "b", **change}) + "\n")
                found, said = self.run_it(rate, self.exported, path, "-o", out)
                self.assertEqual(found, code, said)
                self.assertIn(says, said)
                self.assertFalse(out.exists())
        # Nothing, and more than the model reads at once.
        path.write_text(json.dumps({**record, "promptIds": [0] * 400, "served": [], "regenerated": [[7] * 300]}) + "\n")
        self.assertEqual(self.run_it(rate, self.exported, path, "-o", out), (0, ""))
        line, = self.lines(out)
        self.assertEqual(line["served"], 0)
        self.assertAlmostEqual(line["regenerated"][0], mean_log_p(self.model, [0] * 212, [7] * 300), places=4)


if __name__ == "__main__":
    unittest.main()
