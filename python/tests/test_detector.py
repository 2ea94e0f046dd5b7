# SPDX-License-Identifier: Apache-2.0
"""The detector: the verdicts of the command line, claims, errors, threads."""

from __future__ import annotations

import json
import sys
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy

import countermark
from countermark import Detector, Key, Profile, Tokenizer
from support import PROFILE, TOKENIZER, Answers, call, master


class TheCommandLine(Answers):
    def agrees(self, *flags: object, **claim: Any) -> None:
        """Every field, of text and of ids, through both doors."""
        detector = self.detector(**claim)
        for field, option in (("text", "--text-field"), ("ids", "--ids-field")):
            lines = call("detect", "-k", self.key_path, "--json", option, field, *flags, self.answers_path)
            expected = [json.loads(line) for line in lines.splitlines()]
            self.assertEqual(len(expected), len(self.answers))
            for answer, theirs in zip(self.answers, expected):
                ours = detector.detect(answer[field], prompt=answer["prompt"], id=answer["id"])
                self.assertEqual((ours["input"], ours["field"]), ("", ""))
                self.assertEqual({**ours, "input": theirs["input"], "field": theirs["field"]}, theirs)
                self.assertEqual(list(ours), list(theirs))

    def test_is_it_ours(self) -> None:
        self.agrees()
        self.assertEqual(self.detector().detect(self.answers[0]["text"])["verdict"], "detected")

    def test_claims(self) -> None:
        self.agrees("--account", "alice", account="alice")
        self.agrees("--account", "bob", "--cohort", "c1", account="bob", cohort="c1")
        self.agrees("--alpha", "1e-40", alpha=1e-40)

    def test_search(self) -> None:
        names = [f"user-{i}" for i in range(50)] + ["alice"]
        path = self.answers_path.with_name("accounts.txt")
        path.write_text("\n".join([*names, "alice"]) + "\n")
        self.agrees("--accounts", path, accounts=[*names, "alice"])
        found = self.detector(accounts=(name for name in names)).detect(self.answers[0]["ids"])
        self.assertEqual(found["accountsSearched"], 51)

    def test_line_up(self) -> None:
        self.agrees("--decoys", 60, "--decoy-seed", "00ff", decoys=60, decoy_seed=b"\x00\xff")

    def test_from_files(self) -> None:
        detector = Detector.load(self.key_path, PROFILE, account="alice")
        answer = self.answers[0]["text"]
        self.assertEqual(detector.detect(answer), self.detector(account="alice").detect(answer))
        with_tokenizer = Detector.load(self.key_path, PROFILE, TOKENIZER, account="alice")
        self.assertEqual(with_tokenizer.detect(answer), detector.detect(answer))
        self.refused("mismatch", Detector.load, self.key_path, PROFILE, self.copy_of_the_tokenizer())

    def copy_of_the_tokenizer(self) -> Any:
        path = self.folder / "tokenizer.json"
        path.write_bytes(TOKENIZER.read_bytes() + b"\n")
        return path


class Judging(Answers):
    def test_prompts(self) -> None:
        detector = self.detector()
        answer = self.answers[0]["ids"]
        self.assertEqual(detector.detect(answer)["dropped"]["promptContext"], 0)
        shown = detector.detect(answer, prompt=numpy.array(answer))
        self.assertGreater(shown["dropped"]["promptContext"], 50)
        self.assertEqual(shown["verdict"], "inconclusive")
        self.assertEqual(shown["reasons"], ["too-short"])

    def test_another_key(self) -> None:
        other = Detector(master("other").epoch("demo", "2026-11"), self.profile, self.tokenizer)
        # A false alarm in a million.
        self.assertEqual(other.detect(self.answers[0]["text"])["verdict"], "not-detected")

    def test_without_a_tokenizer(self) -> None:
        detector = Detector(self.key, Profile.defaults())
        self.assertEqual(detector.detect(numpy.array(self.answers[0]["ids"]))["verdict"], "detected")
        self.refused("mismatch", detector.detect, "text")
        self.refused("mismatch", detector.detect, [1], prompt="text")

    def test_bad_input(self) -> None:
        detector = self.detector()
        self.refused("mismatch", detector.detect, [4096])
        self.assertEqual(self.refused("invalid-argument", detector.detect, [-1]).field, "answer")
        self.assertEqual(self.refused("invalid-argument", detector.detect, [], prompt=[-1]).field, "prompt")
        self.assertRaises(UnicodeEncodeError, detector.detect, "\ud800")
        for wrong in (None, 1, b"text", [1.5]):
            self.assertRaises(TypeError, detector.detect, wrong)
        self.assertEqual(detector.detect("")["verdict"], "inconclusive")

    def test_bad_claims(self) -> None:
        for field, claim in {
            "account": {"account": ""},
            "cohort": {"cohort": ""},
            "accounts": {"accounts": []},
            "alpha": {"alpha": 0.6},
            "decoys": {"decoys": 1_000_001},
        }.items():
            self.assertEqual(self.refused("invalid-argument", self.detector, **claim).field, field)
        self.assertEqual(self.refused("invalid-argument", self.detector, accounts=["a", ""]).field, "accounts")
        for alpha in (0, -1, float("nan"), 1e-301):
            self.refused("invalid-argument", self.detector, alpha=alpha)
        self.refused("invalid-argument", self.detector, account="alice", accounts=["bob"])
        self.refused("key", Detector, Key.generate(), self.profile)
        shared = {"scheme": "countermark/1", "layers": [{"name": "shared", "width": 2, "share": 65536, "slots": 1}]}
        for claim in ({"account": "a"}, {"cohort": "c"}):
            self.refused("invalid-argument", Detector, self.key, Profile.parse(json.dumps(shared)), **claim)
        path = self.folder / "tokenizer.json"
        path.write_bytes(TOKENIZER.read_bytes() + b"\n")
        self.refused("mismatch", Detector, self.key, self.profile, Tokenizer.load(path))
        self.assertRaises(TypeError, Detector, self.key, self.profile, decoy_seed="00")
        self.assertRaises(TypeError, Detector, self.key, self.profile, accounts=[1])


class Threads(Answers):
    def test_many_threads_one_detector(self) -> None:
        detector = self.detector(account="alice")
        texts = [answer["text"][:size] for answer in self.answers for size in range(0, 300, 10)]
        expected = [detector.detect(text) for text in texts]
        with ThreadPoolExecutor(8) as pool:
            self.assertEqual(list(pool.map(detector.detect, texts)), expected)

    def others_run_during(self, work: Any) -> None:
        """Threads never take turns here unless one lets go of the GIL by itself."""
        interval = sys.getswitchinterval()
        self.addCleanup(sys.setswitchinterval, interval)
        started, done = threading.Event(), threading.Event()

        def run() -> None:
            started.set()
            work()
            done.set()

        thread = threading.Thread(target=run)
        sys.setswitchinterval(1000)
        thread.start()
        started.wait()
        during = not done.is_set()
        sys.setswitchinterval(interval)
        thread.join()
        self.assertTrue(during, "the other thread had to wait until it was over")

    def test_the_lock_is_let_go(self) -> None:
        ids = self.answers[0]["ids"]
        detector = self.detector(decoys=3000)
        self.others_run_during(lambda: detector.detect(ids))
        text = "".join(answer["text"] for answer in self.answers) * 1000
        self.others_run_during(lambda: self.tokenizer.encode(text))
        with self.assertRaises(AssertionError):
            self.others_run_during(lambda: sum(range(100_000)))


if __name__ == "__main__":
    unittest.main()
