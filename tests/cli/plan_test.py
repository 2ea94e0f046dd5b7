#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`plan` as a person meets it: how much is needed, and an analysis that leaves nothing open.

Usage: plan_test.py PROGRAM.
"""

from __future__ import annotations

import hashlib
import json
import re
import unittest
from pathlib import Path
from typing import Any

import jsonschema

from support import MODEL, ProgramTest, key_file, schemas

SCHEMA = schemas("plan-1")["plan-1"]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class PlanTest(ProgramTest):
    key: Path
    prompts: Path
    reading: Path
    log: Path

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.key = key_file(cls.folder / "epoch.key", "2026-11")
        for name in ("prompts", "reading", "log"):
            path = cls.folder / f"{name}.txt"
            path.write_text(f"{name}\n" * 30_000)  # more than one piece
            setattr(cls, name, path)

    def plan(self, *arguments: object) -> dict[str, Any]:
        out, err = self.call("plan", *arguments, "-o", "-")
        self.assertEqual(err, "")
        value = json.loads(out)
        jsonschema.validate(value, SCHEMA)
        return value

    def row(self, text: str, name: str, number: int = 0) -> list[str]:
        """Columns of one of the rows that begin with the name."""
        found = [line for line in text.splitlines() if line.split()[:1] == [name]]
        return found[number].split()[1:]

    # --- how much ----------------------------------------------------------------------------

    def test_how_much_is_needed(self) -> None:
        out, err = self.call("plan")
        self.assertEqual(err, "")
        self.assertEqual(self.row(out, "unsupervised-closed")[:4], ["11.9bn*", "119M*", "4.75M*", "1.19M"])
        self.assertEqual(self.row(out, "served-response")[:3], ["45,600", "11,400", "1,830"])
        self.assertIn("Sander", out)
        self.assertLess(max(len(line) for line in out.split("What is behind it")[0].splitlines()), 100)

    def test_more_marked_text_needs_less(self) -> None:
        out, _ = self.call("plan", "--share", 2, "--share", 20, "--test", "marked-open")
        self.assertIn("2 %       20 %", out)
        few, many = (float(re.sub("[M*,]", "", column)) for column in self.row(out, "marked-open"))
        self.assertGreater(few, 2)  # millions
        self.assertGreater(many, 20_000)
        self.assertNotIn("served-response", out)

    def test_what_so_much_would_find(self) -> None:
        out, _ = self.call("plan", "--test", "unsupervised-closed", "--tuples", 12_400, "--effect", 1.05)
        self.assertIn("With 12,400 tuples", out)
        self.assertEqual(self.row(out, "unsupervised-closed", 1)[3], "<.001")
        self.assertIn("a mean score of 1.0500 needs about 15,", out)
        self.assertRegex(out, r"12,400 would find it with probability \.[5-9]")
        out, _ = self.call("plan", "--test", "served-response", "--prompts", 1_821, "--effect", 0.55)
        self.assertEqual(self.row(out, "served-response", 1)[2], ".900")
        self.assertIn("from 55.1 % on", out)

    def test_smaller_parts_need_more(self) -> None:
        whole, _ = self.call("plan", "--test", "unsupervised-closed")
        half, _ = self.call("plan", "--test", "unsupervised-closed=5e-7", "--test", "served-response=1e-7")
        self.assertIn("each test's part", half)
        self.assertEqual([self.row(text, "unsupervised-closed")[3] for text in (whole, half)], ["1.19M", "1.25M"])

    def test_green_effects(self) -> None:
        foreign = self.file("foreign.json", '{"scheme": "hf-kgw/1", "vocabSize": 4096}')
        out, _ = self.call("plan", "-p", foreign, "--effect", 0.27)
        self.assertIn("a green share of 27 % needs about 17,", out)
        self.refused(2, "plan", "--effect", 0.27, says=("--effect", "gamma"))
        self.refused(2, "plan", "-p", foreign, "--effect", 0.2, says=("--effect",))
        self.refused(2, "plan", "--test", "unsupervised-open", "--effect", 0.7, says=("--effect",))

    # --- the plan ----------------------------------------------------------------------------

    def test_a_plan(self) -> None:
        value = self.plan("--test", "served-response", "--test", "supervised-closed:5000", "--test",
                          "unsupervised-open=1e-7", "-k", self.key, "--account", "alice", "--transcripts", self.log,
                          "--prompts-file", self.prompts, "--reading", self.reading, "--quoted", self.log, "--quoted",
                          self.prompts, "--decoy-seed", "00FF", "--decoys", 50, "--suspect", "s", "--note", "n")
        self.assertEqual(value["tests"], [
            {"test": "served-response", "alpha": "4.5e-7"},
            {"test": "supervised-closed", "alpha": "4.5e-7", "tuples": 5000},
            {"test": "unsupervised-open", "alpha": "1e-7"},
        ])
        shown, _ = self.call("key", "show", "-k", self.key, "--json")
        self.assertEqual(value["keyId"], json.loads(shown)["keyId"])
        checked, _ = self.call("profile", "check", "-p", MODEL / "profile.json", "--json")
        self.assertEqual(value["profile"], json.loads(checked)["profile"])
        self.assertEqual(value["inputs"], {
            "reading": sha256(self.reading), "markedReading": None, "prompts": sha256(self.prompts),
            "transcripts": sha256(self.log), "quoted": sorted([sha256(self.log), sha256(self.prompts)])})
        self.assertEqual((value["account"], value["cohort"], value["decoys"], value["decoySeed"]),
                         ("alice", None, 50, "00ff"))

    def test_the_key_stays_closed(self) -> None:
        flags = ("--test", "unsupervised-open", "--reading", self.reading)
        opened = self.plan(*flags, "-k", self.key)
        self.assertEqual(self.plan(*flags, "--key-id", opened["keyId"]), opened)
        foreign = self.file("foreign.key", "#id:lab-7\nint:42\n")
        self.assertEqual(self.plan(*flags, "-k", foreign)["keyId"], "lab-7")
        nameless = self.file("nameless.key", "int:42\n")
        self.refused(4, "plan", *flags, "-k", nameless, "-o", "none.json", says=("nameless.key", "#id:"))

    def test_the_files_digest_is_the_plans(self) -> None:
        path = self.folder / "plan.json"
        out, err = self.call("plan", "--test", "served-response", "--transcripts", self.log, "-o", path)
        self.assertEqual(err, "")
        self.assertIn(sha256(path), out)
        self.assertIn("Prompts, by how often", out)
        value = json.loads(path.read_text())
        self.assertEqual((value["profile"], value["keyId"]), (None, None))
        canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        self.assertEqual(path.read_text(), canonical)
        self.refused(2, "plan", "--test", "served-response", "--transcripts", self.log, "-o", path, says=("exists",))
        self.call("plan", "--test", "served-response", "--transcripts", self.log, "-o", path, "--force")
        path.unlink()

    def test_equal_parts_stay_within_alpha(self) -> None:
        for alpha in (1e-6, 7e-5, 0.05):
            value = self.plan("--alpha", alpha, "--test", "served-response", "--test", "unsupervised-open", "--test",
                              "unsupervised-closed", "--transcripts", self.log, "--reading", self.reading,
                              "--prompts-file", self.prompts, "--key-id", "k")
            parts = [float(test["alpha"]) for test in value["tests"]]
            self.assertLessEqual(sum(parts), alpha * (1 + 1e-9))
            self.assertGreater(sum(parts), alpha * (1 - 2e-5))

    def test_what_is_refused(self) -> None:
        path = self.folder / "none.json"
        served = ("--test", "served-response", "--transcripts", self.log)
        for flags, says in (
            ((), "a plan names its tests"),
            (("--test", "served-response"), "transcripts"),
            (("--test", "unsupervised-open", "--key-id", "k"), "inputs.reading"),
            (("--test", "unsupervised-open", "--reading", self.reading), "keyId"),
            ((*served, *served[:2]), "twice"),
            (("--test", "nothing"), "it knows served-response, "),
            (("--test", "served-response=0"), "--test takes"),
            (("--test", "served-response=1e-7x"), "--test takes"),
            (("--test", "supervised-open:0"), "--test takes"),
            (("--test", "supervised-open:"), "--test takes"),
            (("--test", "served-response:7"), "counts every"),
            ((*served, "--test", "unsupervised-open=1e-6"), "leave nothing"),
            (("--test", "served-response=2e-6", "--transcripts", self.log), "more than alpha"),
            ((*served, "--decoy-seed", "0"), "--decoy-seed"),
            ((*served, "--account", b"\xff"), "account"),
        ):
            with self.subTest(says):
                arguments = [part.decode(errors="surrogateescape") if isinstance(part, bytes) else part for part in flags]
                self.refused(2, "plan", *arguments, "-o", path, says=(says,))
        self.refused(6, "plan", "--test", "served-response", "--transcripts", "gone.txt", "-o", path, says=("gone.txt",))
        self.refused(2, "plan", "--reading", self.reading, says=("--reading", "-o"))
        self.refused(2, "plan", "-k", self.key, "--key-id", "k", says=("--key",))


if __name__ == "__main__":
    unittest.main()
