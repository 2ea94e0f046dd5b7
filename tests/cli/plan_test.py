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

from suspects import PROMPTS, Student, predictions, scores, transcript
from support import MODEL, SEED, ProgramTest, key_file, schemas

SCHEMA = schemas("plan-1")["plan-1"]
AUDIT = schemas("audit-1")["audit-1"]


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
        """Columns of one of the rows that begin with the name, behind the number of the source."""
        found = [line for line in text.splitlines() if line.split()[:1] == [name]]
        return [column for column in found[number].split()[1:] if not column.startswith("[")]

    # --- how much ----------------------------------------------------------------------------

    def test_how_much_is_needed(self) -> None:
        out, err = self.call("plan")
        self.assertEqual(err, "")
        self.assertEqual(self.row(out, "unsupervised-closed")[:4], ["11.9bn*", "119M*", "4.75M*", "1.19M"])
        self.assertEqual(self.row(out, "served-response")[:3], ["45,600", "11,400", "1,830"])
        # Of the laboratory's students, some of which learned next to nothing else.
        self.assertEqual(self.row(out, "unsupervised-closed", 1)[-1], "297")
        for source in ("Sander", "docs/lab.md"):
            self.assertIn(source, out)
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
        self.assertEqual(self.row(out, "unsupervised-closed", 2)[3], "<.001")
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


class KeptPlanTest(ProgramTest):
    """`audit --plan`: what the plan fixes is kept, and nothing else is done."""

    key: Path
    prompts: Path
    reading: Path
    log: Path
    ids: dict[str, list[list[int]]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.key = key_file(cls.folder / "epoch.key", "2026-11")
        cls.prompts, cls.reading = cls.folder / "prompts.txt", cls.folder / "reading.jsonl"
        cls.prompts.write_text("".join(f"{prompt}\n" for prompt in PROMPTS))
        cls.ids, records = {}, {}
        for name, flags in (("marked", ("--account", "alice")), ("unmarked", ("--unmarked",))):
            out, _ = cls.call("generate", "-k", cls.key, "--prompts", "prompts.txt", "-n", 150, "--exact", "--count", 4,
                              "--seed", SEED, "--json", *flags)
            records[name] = [json.loads(line) for line in out.splitlines()]
            cls.ids[name] = [record["ids"] for record in records[name]]
        cls.reading.write_text("".join(json.dumps(record) + "\n" for record in records["unmarked"]))
        cls.write("answers.jsonl", [{"id": str(i), "prompt": record["prompt"], "response": record["text"],
                                     "promptsSha256": sha256(cls.prompts)} for i, record in enumerate(records["marked"])])
        served = scores(400, 0.3)
        cls.write("scores.jsonl", served)
        cls.log = cls.write("log.jsonl", [transcript(record, i) for i, record in enumerate(served)])
        cls.open_file("predictions.safetensors", cls.ids["unmarked"], cls.reading)
        cls.call("plan", "--test", "served-response=4e-7", "--test", "unsupervised-open=1e-7", "--test",
                 "unsupervised-closed", "-k", cls.key, "--transcripts", cls.log, "--reading", cls.reading,
                 "--prompts-file", cls.prompts, "--decoys", 50, "--decoy-seed", "ab", "-o", "plan.json")

    @classmethod
    def write(cls, name: str, records: list[dict[str, Any]]) -> Path:
        path = cls.folder / name
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return path

    @classmethod
    def open_file(cls, name: str, read: list[list[int]], of: Path) -> Path:
        """What a student of the marked text predicts while it reads."""
        path = cls.folder / name
        path.write_bytes(predictions(read, Student(cls.ids["marked"]), sha256(of)))
        return path

    def audit(self, *arguments: object, plan: str = "plan.json", code: int = 0) -> dict[str, Any]:
        out, err = self.call("audit", "--plan", plan, "--json", *arguments, code=code)
        self.assertEqual(err, "")
        value = json.loads(out)
        jsonschema.validate(value, AUDIT)
        return value

    def asserted(self, test: dict[str, Any]) -> float:
        return max(float(test["pValue"]), float(test.get("pFloor", 0)))

    SERVED = ("--scores", "scores.jsonl", "--transcripts", "log.jsonl")
    OPEN = ("--predictions", "predictions.safetensors")
    CLOSED = ("--answers", "answers.jsonl")

    def test_everything_that_was_planned(self) -> None:
        value = self.audit(*self.SERVED, *self.OPEN, *self.CLOSED, "-k", self.key)
        self.assertEqual((value["exploratory"], value["plan"], value["alpha"]),
                         (False, sha256(self.folder / "plan.json"), "1.00e-6"))
        self.assertEqual([(test["test"], test["alpha"], test["verdict"]) for test in value["tests"]], [
            ("served-response", "4.00e-7", "detected"), ("unsupervised-open", "1.00e-7", "detected"),
            ("unsupervised-closed", "5.00e-7", "detected")])
        self.assertEqual((value["tests"][1]["lineUp"]["decoys"], value["level"]), (50, "strong"))
        self.assertEqual([each["test"] for each in value["notRun"]], ["supervised-open", "unsupervised-open-mass", "marked-open",
                                                                   "supervised-closed"])
        self.assertEqual({each["alpha"] for each in value["notRun"]}, {None})
        # The best of three, each times what its part is of the whole.
        best = min(self.asserted(test) * float(value["alpha"]) / float(test["alpha"]) for test in value["tests"])
        self.assertAlmostEqual(float(value["pValue"]) / best, 1, delta=0.02)
        self.assertIn("no-registration", value["levelLimits"])

    def test_what_is_not_there_keeps_its_alpha(self) -> None:
        value = self.audit(*self.CLOSED, "-k", self.key)
        self.assertEqual([test["alpha"] for test in value["tests"]], ["5.00e-7"])
        kept = {each["test"]: each["alpha"] for each in value["notRun"]}
        self.assertEqual(kept, {"served-response": "4.00e-7", "unsupervised-open": "1.00e-7", "supervised-open": None, "unsupervised-open-mass": None,
                                "marked-open": None, "supervised-closed": None})
        self.assertAlmostEqual(float(value["pValue"]) / self.asserted(value["tests"][0]), 2, delta=0.02)

    def test_what_is_not_planned_is_not_done(self) -> None:
        self.call("plan", "--test", "unsupervised-closed", "-k", self.key, "--prompts-file", self.prompts, "-o",
                  "closed.json", "--force")
        value = self.audit(*self.CLOSED, "-k", self.key, plan="closed.json")
        self.assertEqual([test["test"] for test in value["tests"]], ["unsupervised-closed"])
        for more, flag in ((self.SERVED, "--scores"), (self.OPEN, "--predictions")):
            self.refused(2, "audit", "--plan", "closed.json", *self.CLOSED, *more, "-k", self.key, says=(flag, "no test"))

    def test_nothing_is_no_level(self) -> None:
        log = self.write("other-log.jsonl", [transcript(record, i) for i, record in enumerate(scores(400, 0))])
        self.write("other-scores.jsonl", scores(400, 0))
        self.call("plan", "--test", "served-response", "--transcripts", log, "-o", "null.json", "--force")
        value = self.audit("--scores", "other-scores.jsonl", "--transcripts", log, plan="null.json")
        self.assertEqual((value["verdict"], value["level"], value["levelLimits"]), ("not-detected", "none", []))
        self.assertIsNotNone(value["pValue"])

    def test_a_number_of_tuples_that_was_fixed(self) -> None:
        marked = self.folder / "marked.txt"
        marked.write_text("the marked text")
        self.open_file("marked.safetensors", self.ids["marked"], marked)
        for tuples, reasons in ((200, []), (10_000_000, ["fewer-than-planned"])):
            self.call("plan", "--test", f"marked-open:{tuples}", "-k", self.key, "--marked-reading", marked, "--decoys", 0,
                      "-o", "marked.json", "--force")
            value = self.audit("--marked-predictions", "marked.safetensors", "-k", self.key, plan="marked.json")
            self.assertEqual((value["tests"][0]["planned"], value["tests"][0]["reasons"]), (tuples, reasons))
            self.assertEqual(value["level"] == "none", bool(reasons))

    def test_flags_must_not_contradict(self) -> None:
        self.audit(*self.CLOSED, "-k", self.key, "--alpha", 1e-6, "--decoys", 50, "--decoy-seed", "AB", "--power", 0.9)
        for flag, value in (("--alpha", 1e-5), ("--power", 0.8), ("--account", "alice"), ("--cohort", "c1"),
                            ("--decoys", 1000), ("--decoy-seed", "cd")):
            self.refused(2, "audit", "--plan", "plan.json", *self.CLOSED, "-k", self.key, flag, value,
                         says=(flag, "the plan"))

    def test_other_files_are_refused(self) -> None:
        other_key = key_file(self.folder / "other.key", "2026-12")
        profile = self.file("profile.json", json.dumps({
            "scheme": "countermark/1", "layers": [{"name": "shared", "width": 2, "share": 65536, "slots": 1}],
            "tokenizer": json.loads((MODEL / "profile.json").read_text())["tokenizer"]}))
        log = self.file("grown.jsonl", self.log.read_text() * 2)
        work = self.file("work.txt", "a work")
        unnamed = self.folder / "unnamed.safetensors"
        unnamed.write_bytes(predictions(self.ids["unmarked"], Student([])))
        elsewhere = self.open_file("elsewhere.safetensors", self.ids["unmarked"], self.prompts)
        asked = [json.loads(line) for line in (self.folder / "answers.jsonl").read_text().splitlines()]
        foreign = self.write("foreign.jsonl", [*asked[:3], {**asked[3], "promptsSha256": "0" * 64}])
        silent = self.write("silent.jsonl", [{"prompt": "a", "response": "b"}])
        empty = self.write("empty.jsonl", [{"prompt": [], "response": "b", "promptsSha256": []}])
        plan = json.loads((self.folder / "plan.json").read_text())
        for files, says in (
            ((*self.CLOSED, "-k", other_key), ("key", plan["keyId"])),
            ((*self.CLOSED, "-k", self.key, "-p", profile, "-t", MODEL / "tokenizer.json"), ("profile", plan["profile"])),
            (("--scores", "scores.jsonl", "--transcripts", log), ("grown.jsonl", sha256(log), sha256(self.log))),
            (("--predictions", elsewhere, "-k", self.key), ("elsewhere", sha256(self.prompts), sha256(self.reading))),
            (("--predictions", unnamed, "-k", self.key), ("unnamed", "nothing", sha256(self.reading))),
            (("--answers", foreign, "-k", self.key), ("foreign.jsonl", "record 4", "0" * 64, sha256(self.prompts))),
            (("--answers", silent, "-k", self.key), ("silent.jsonl", "promptsSha256")),
            (("--answers", empty, "-k", self.key), ("empty.jsonl", "record 1", "nothing")),
            ((*self.CLOSED, "-k", self.key, "--quoted", work), ("work.txt", sha256(work))),
        ):
            with self.subTest(says[0]):
                self.refused(3, "audit", "--plan", "plan.json", *files, says=says)
        self.refused(2, "audit", "--plan", "plan.json", "--scores", "scores.jsonl", says=("--transcripts",))
        self.refused(3, "audit", "--plan", work, *self.CLOSED, "-k", self.key, says=("work.txt", "JSON"))
        self.refused(6, "audit", "--plan", "gone.json", *self.CLOSED, "-k", self.key, says=("gone.json",))

    def test_works_that_are_planned_must_be_given(self) -> None:
        work = self.file("quoted.txt", "a work")
        self.call("plan", "--test", "unsupervised-closed", "-k", self.key, "--prompts-file", self.prompts, "--quoted", work,
                  "-o", "quoted.json", "--force")
        self.audit(*self.CLOSED, "-k", self.key, "--quoted", work, plan="quoted.json")
        self.refused(2, "audit", "--plan", "quoted.json", *self.CLOSED, "-k", self.key, says=("--quoted", sha256(work)))

    def test_text_for_people(self) -> None:
        out, _ = self.call("audit", "--plan", "plan.json", *self.CLOSED, "-k", self.key)
        for part in ("level: strong", sha256(self.folder / "plan.json"), "keeps its alpha, 4.00e-7", "of the whole audit",
                     "no higher", "older than the exhibits"):
            self.assertIn(part, out)
        self.assertNotIn("exploratory", out)


if __name__ == "__main__":
    unittest.main()
