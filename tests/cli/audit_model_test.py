#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`audit` of a suspect whose weights are at hand, and of marked text in a fixed order.

Usage: audit_model_test.py PROGRAM. Of each rule both is shown: that without it the test would be wrong, and that it
holds.
"""

from __future__ import annotations

import random
import unittest
from typing import Any

from suspects import PROMPTS, AuditCase, Student, copier, predictions


class AuditModelTest(AuditCase):
    # --- what an open model predicts ---------------------------------------------------------

    def opened(self, texts: list[list[int]], predict: Any, *more: object) -> dict[str, Any]:
        path = self.file("predictions.safetensors", predictions(texts, predict))
        return self.audit("--predictions", path, "-k", self.key, "--decoys", 50, *more)["tests"][0]

    def test_a_student_of_marked_text(self) -> None:
        read = self.ids["unmarked"]
        test = self.opened(read, Student(self.ids["marked"]))
        self.assertEqual(test["verdict"], "detected")
        self.assertEqual(self.states(test), {"decoys": "passed", "reading-text": "passed", "tokenizer": "passed"})
        self.assertEqual(test["lineUp"]["rank"], 1)
        self.assertEqual((test["texts"], test["suspect"]["name"]), (len(read), "n-grams"))

    def test_a_student_of_other_text(self) -> None:
        half = len(self.ids["unmarked"]) // 2
        test = self.opened(self.ids["unmarked"][:half], Student(self.ids["unmarked"][half:]))
        self.assertEqual(test["verdict"], "not-detected")

    def test_ids_of_another_tokenizer(self) -> None:
        """A student that is found by its ids is not by the same with other numbers, and nobody may call it innocent."""
        order = list(range(4096))
        random.Random(5).shuffle(order)
        renamed = {name: [[order[i] for i in text] for text in self.ids[name]] for name in ("marked", "unmarked")}
        test = self.opened(renamed["unmarked"], Student(renamed["marked"]))
        self.assertEqual((test["verdict"], self.states(test)["tokenizer"]), ("withheld", "failed"))
        self.assertIn("tokenizer", test["reasons"])
        answers = [{"prompt": answer["prompt"], "ids": [order[i] for i in ids]}
                   for answer, ids in zip(self.marked, self.ids["marked"])]
        closed = self.audit("--answers", self.lines("renamed.jsonl", answers), "-k", self.key, "--ids-field", "ids",
                            "--decoys", 0)["tests"][0]
        self.assertEqual((closed["verdict"], self.states(closed)["tokenizer"]), ("withheld", "failed"))

    def test_a_suspect_with_other_tokens(self) -> None:
        """Only what is one token of ours is scored, and of marked text nothing."""
        student = Student(self.ids["marked"])
        some = random.Random(9)

        def half(read: list[int]) -> list[tuple[int, float]]:
            return [(student(read) if some.random() < 0.5 else -1, 0.5)]
        read = self.ids["unmarked"]
        whole, test = self.opened(read, student), self.opened(read, half)
        self.assertEqual(test["verdict"], "detected")
        self.assertLess(test["scored"], 0.6 * whole["scored"])
        self.assertGreater(test["effect"]["value"], 0.8 * whole["effect"]["value"])
        nothing = self.opened(read, lambda read: [(-1, 0.5)])
        self.assertEqual((nothing["verdict"], nothing["scored"]), ("inconclusive", 0))
        # In marked text where a suspect's own tokens begin depends on what the key chose.
        marked = self.file("marked.safetensors", predictions([answer["ids"] for answer in self.logs["bob"]], half))
        self.refused(3, "audit", "--marked-predictions", marked, "-k", self.key, says=("marked.safetensors", "another tokenizer"))

    def test_how_probable_marked_tokens_are(self) -> None:
        """The finer statistic, of the same file: a bound decides, close to its estimate."""
        student, other = (Student(self.ids[name]) for name in ("marked", "unmarked"))
        half = len(self.ids["unmarked"]) // 2
        read = self.ids["unmarked"][:half]
        for suspect, verdict in ((student, "detected"), (Student(self.ids["unmarked"][half:]), "not-detected")):
            path = self.file("predictions.safetensors", predictions(read, suspect.several))
            tests = self.audit("--predictions", path, "-k", self.key, "--decoys", 50)["tests"]
            self.assertEqual([test["test"] for test in tests], ["unsupervised-open", "unsupervised-open-mass"])
            mass = tests[1]
            self.assertEqual(mass["verdict"], verdict)
            self.assertGreaterEqual(mass["log10P"], mass["estimateLog10P"])
            self.assertLess(mass["log10P"] - mass["estimateLog10P"], 2)
            self.assertEqual(self.states(mass)["reading-text"], "passed")
            self.assertGreater(mass["scored"], 4 * tests[0]["scored"])
        below = self.audit("--predictions", path, "-k", self.key, "--decoys", 0, "--alpha", 1e-30)["tests"][1]
        self.assertEqual((below["verdict"], below["reasons"]), ("inconclusive", ["alpha-below-floor"]))
        marked = self.file("predictions.safetensors", predictions([text + text for text in self.ids["marked"]],
                                                                  other.several))
        withheld = self.audit("--predictions", marked, "-k", self.key, "--decoys", 0)["tests"][1]
        self.assertEqual((withheld["verdict"], withheld["pValue"], withheld["log10E"]), ("withheld", None, None))
        twice = self.file("twice.safetensors", predictions([[1, 2, 3]], lambda read: [(5, 0.4), (5, 0.4)]))
        self.refused(3, "audit", "--predictions", twice, "-k", self.key, says=("twice.safetensors", "differ"))

    def test_marked_reading_text(self) -> None:
        """Whoever copies from what he reads predicts its mark: without the rule he would be accused."""
        twice = [text + text for text in self.ids["marked"]]
        test = self.opened(twice, Student(twice))
        self.assertEqual((test["verdict"], self.states(test)["reading-text"]), ("withheld", "failed"))
        self.assertIsNone(test["pValue"])
        self.assertGreater(test["effect"]["interval"][0], 2)

    def test_predictions_that_cannot_be_read(self) -> None:
        good = predictions([[1, 2, 3]], Student([]))
        for bad in (good[:-1], good + b"x", good[:20], b"", good.replace(b"predictions/1", b"predictions/2")):
            self.refused(3, "audit", "--predictions", self.file("bad.safetensors", bad), "-k", self.key,
                         says=("bad.safetensors",))
        outside = predictions([[4095, 4096]], Student([]))
        self.refused(3, "audit", "--predictions", self.file("bad.safetensors", outside), "-k", self.key,
                     says=("4096",))

    # --- marked text, in a fixed order --------------------------------------------------------

    def walked(self, texts: list[list[int]], predict: Any, *more: object) -> dict[str, Any]:
        path = self.file("predictions.safetensors", predictions(texts, predict))
        return self.audit(*more, path, "-k", self.key, "--decoys", 50)["tests"][0]

    def test_marked_text_is_read(self) -> None:
        """A student is found, and one who copies what he reads is not: without the order he would be."""
        read = [answer["ids"] for answer in self.logs["bob"]]
        found = self.walked(read, Student(self.ids["marked"]), "--marked-predictions")
        self.assertEqual((found["test"], found["verdict"]), ("marked-open", "detected"))
        self.assertEqual((found["nullModel"]["law"], found["planned"], found["order"]), ("e-process", None, "as-read"))
        self.assertGreaterEqual(found["log10MostE"], found["log10E"])
        self.assertEqual(self.states(found), {"decoys": "passed", "marked-text": "passed", "tokenizer": "passed"})
        twice = [text + text for text in read]
        copied = self.walked(twice, copier, "--marked-predictions")
        self.assertEqual((copied["verdict"], self.states(copied)["marked-text"]), ("not-detected", "passed"))
        self.assertLess(copied["log10MostE"], 2)
        self.assertGreater(copied["dropped"]["repeatedContext"], copied["scored"])
        self.assertEqual(self.walked(twice, copier, "--predictions")["verdict"], "withheld")
        other = self.walked(self.ids["unmarked"], copier, "--marked-predictions")
        self.assertEqual((other["verdict"], self.states(other)["marked-text"]), ("not-detected", "not-run"))

    def read_log(self, claim: str, predict: Any, *more: object) -> dict[str, Any]:
        log = self.lines("log.jsonl", [answer for answers in self.logs.values() for answer in answers])
        read = [answer["promptIds"] + answer["ids"] for answer in self.logs[claim]]
        return self.walked(read, predict, "--transcripts", log, "--account", claim, *more, "--log-predictions")

    def test_answers_of_a_log_are_read(self) -> None:
        student = Student([answer["ids"] for answer in self.logs["alice"]])
        alice, bob = (self.read_log(account, student) for account in ("alice", "bob"))
        self.assertEqual((alice["test"], alice["verdict"], alice["streams"][0]["verdict"]),
                         ("supervised-open", "detected", "detected"))
        # The shared stream is everyone's; the account's is not.
        self.assertEqual(bob["streams"][0]["verdict"], "not-detected")
        self.assertLess(alice["streams"][0]["log10P"], -6)
        self.assertIn("24 answers of the log", alice["checks"][1]["detail"])
        nobody = self.read_log("alice", copier)
        self.assertEqual((nobody["verdict"], nobody["streams"][0]["verdict"]), ("not-detected", "not-detected"))
        more = self.audit("--transcripts", self.file("log.jsonl", (self.folder / "log.jsonl").read_text()), "-k", self.key,
                          "--log-predictions", "predictions.safetensors", "--decoys", 0, "--account", "carol")["tests"][0]
        self.assertEqual((more["verdict"], more["scored"]), ("inconclusive", 0))

    def test_a_log_that_was_not_read(self) -> None:
        path = self.file("predictions.safetensors", predictions([[1, 2, 3]], copier))
        log = self.lines("log.jsonl", self.logs["alice"])
        self.refused(3, "audit", "--log-predictions", path, "--transcripts", log, "-k", self.key,
                     says=("predictions.safetensors", "document 0", "log.jsonl"))

    def answers_of(self, suspect: Student) -> list[dict[str, Any]]:
        out = []
        for number in range(24):
            ids = self.logs["alice"][number]["ids"][:2]
            while len(ids) < 120:
                ids.append(suspect(ids))
            out.append({"id": str(number), "prompt": PROMPTS[number % 6], "ids": ids})
        return out

    def test_answers_to_logged_prompts(self) -> None:
        log = self.lines("log.jsonl", self.logs["alice"] + self.logs["bob"])
        for trained, verdict in ((self.logs["alice"], "detected"), (None, "not-detected")):
            texts = [answer["ids"] for answer in trained] if trained else self.ids["unmarked"]
            path = self.lines("answers.jsonl", self.answers_of(Student(texts)))
            tests = self.audit("--answers", path, "--ids-field", "ids", "--transcripts", log, "-k", self.key, "--account",
                               "alice", "--decoys", 50)["tests"]
            self.assertEqual([test["test"] for test in tests], ["supervised-closed", "unsupervised-closed"])
            self.assertEqual(tests[0]["verdict"], verdict)
            self.assertEqual(tests[0]["order"], "as-logged")
            self.assertEqual(self.states(tests[0]), {"decoys": "passed", "log": "passed", "first-turns": "passed",
                                                     "echo": "passed", "prompts-given": "passed", "tokenizer": "passed"})


if __name__ == "__main__":
    unittest.main()
