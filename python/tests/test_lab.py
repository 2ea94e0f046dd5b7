# SPDX-License-Identifier: Apache-2.0
"""The laboratory on a handful of exchanges: every stage, nothing made twice, nothing half."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import unittest
from collections import Counter
from dataclasses import replace
from pathlib import Path
from unittest import mock

import countermark
from support import PROGRAM, ROOT, Case

try:
    import torch
    import transformers  # noqa: F401
except ImportError as missing:
    raise unittest.SkipTest(f"transformers is not installed: {missing}") from missing

sys.path.insert(0, str(ROOT / "python" / "lab"))

import cells as plans  # noqa: E402
import evidence  # noqa: E402
import laboratory  # noqa: E402
import tables  # noqa: E402
import texts  # noqa: E402
from cells import Again, Cell, Mark, Texts, Training  # noqa: E402
from students import student  # noqa: E402
from writing import Rows  # noqa: E402


def silent(text: str) -> None:
    pass


def tiny(scheme: str) -> Cell:
    log = Texts(Mark(scheme), f"tiny/{scheme}", served=8, fresh=6, prompt=8, answer=20)
    return Cell("b", log, 100, 0, log, training=Training(exchanges=8, epochs=1, batch=4, precision="float32"),
                again=Again(4, 4, 2), asked=4)


class Plans(Case):
    def test_what_is_planned(self) -> None:
        cells = list(plans.cells())
        self.assertEqual(Counter(cell.group for cell in cells), {"a": 30, "b": 15, "c": 12, "d": 8, "e": 10, "f": 5, "h": 6})
        self.assertEqual(len({laboratory.digest_of(cell) for cell in cells}), len(cells))
        self.assertEqual(len({cell.name for cell in cells}), len(cells))
        for kind in (evidence.OPEN, evidence.CLOSED):
            for group in "ah":
                keys = [audit.key for cell in cells if cell.group == group and cell.is_null
                        for audit in evidence.audits(cell) if audit.kind == kind]
                self.assertEqual((len(keys), len(set(keys))), (100, 100))

    def test_every_setting_counts(self) -> None:
        cell = tiny("native")
        others = [replace(cell, share=50), replace(cell, seed=1), replace(cell, asked=5), replace(cell, attack="lora"),
                  replace(cell, training=replace(cell.training, rate=2e-3)),
                  replace(cell, log=replace(cell.log, answer=21))]
        self.assertEqual(len({laboratory.digest_of(each) for each in [cell, *others]}), 1 + len(others))

    def test_needed(self) -> None:
        # The published table of docs/statistics.md's test: mean scores and tuples at 1e-6 and power .9.
        for effect, tuples in ((1.02, 92_525), (1.1, 3_938), (1.3, 504), (1.5, 206), (1.8, 95)):
            self.assertEqual(tables.needed(evidence.OPEN, "native", effect), tuples)
        self.assertIsNone(tables.needed(evidence.OPEN, "native", 1.0))
        self.assertAlmostEqual(tables.needed(evidence.OPEN, "kgw", 0.30) or 0, 2891, delta=150)
        self.assertAlmostEqual(tables.needed(evidence.SERVED, "native", 0.60) or 0, 455, delta=5)


class Running(Case):
    def lab(self) -> laboratory.Laboratory:
        return laboratory.Laboratory(self.folder / "lab", PROGRAM, "licences")

    def test_a_cell_of_each_scheme(self) -> None:
        torch.set_num_threads(1)
        found = []
        for scheme in ("native", "kgw", "synthid"):
            with contextlib.redirect_stderr(io.StringIO()):
                for audit in evidence.audits(tiny(scheme)):
                    test = evidence.judge(self.lab(), tiny(scheme), audit, silent)
                    found.append((test or {})["test"])
        self.assertEqual(found, 3 * [*evidence.KINDS, evidence.CLOSED, evidence.CLOSED])
        with mock.patch.object(laboratory.os, "rename", side_effect=AssertionError("made twice")):
            for audit in evidence.audits(tiny("native")):
                evidence.judge(self.lab(), tiny("native"), audit, silent)
        printed = tables.tables(replace(self.lab(), is_reading=True), [tiny("native"), tiny("kgw")])
        self.assertIn("| native, width 2, 100 % | 1 |", printed)
        self.assertIn("(b) 2 of 2", printed)

    def test_accounts(self) -> None:
        for layer, printed in (("account", "width 3, 1/2, 1 slot"), ("shipped", "width 3, 3/8, 8 slots")):
            log = replace(tiny("native").log, mark=Mark(width=3, layer=layer), accounts=2)
            cell = replace(tiny("native"), log=log, taught=log)
            with contextlib.redirect_stderr(io.StringIO()):
                judged = [(audit, evidence.judge(self.lab(), cell, audit, silent) or {})
                          for audit in evidence.audits(cell)]
            claimed = [test["streams"][0]["identity"] for audit, test in judged if audit.account]
            self.assertEqual(claimed, ["served-0", "served-1", "fresh-0", "fresh-1"])
            found = tables.tables(replace(self.lab(), is_reading=True), [cell])
            self.assertIn(f"| {printed} | innocent | 2 | 0 |", found)
            self.assertIn(f"| native, shared layer beside {printed}, 100 % | 1 |", found)

    def test_another_tokenizer(self) -> None:
        cell = replace(tiny("native"), attack="retokenized")
        with contextlib.redirect_stderr(io.StringIO()):
            found = [(evidence.judge(self.lab(), cell, audit, silent) or {})["test"] for audit in evidence.audits(cell)]
            made = texts.read_lines(evidence.collect(self.lab(), cell, silent) / "fresh.jsonl")
            taught = student(self.lab(), cell, silent)
        self.assertEqual(found, [evidence.SERVED, evidence.OPEN, evidence.SUPERVISED_CLOSED, evidence.CLOSED,
                                 evidence.CLOSED])
        own = countermark.Tokenizer.load(taught / "tokenizer.json")
        self.assertEqual(len(own.encode("countermark")) > len(texts.tokenizer().encode("countermark")), True)
        for record in made:
            self.assertEqual(own.decode(record["ids"], errors="replace"), record["response"])

    def test_the_marks_are_there(self) -> None:
        for scheme in ("native", "kgw", "synthid"):
            log = replace(tiny(scheme).log, served=12, answer=150)
            folder = texts.teach(self.lab(), log, silent)
            records = list(countermark.read_transcripts(folder / "served.jsonl"))
            self.assertEqual([len(record["ids"]) for record in records], [150] * 12)
            texts.write_mark(self.folder, Mark(scheme), log.key)
            mark = ["-k", self.folder / "mark.key", "-p", self.folder / "profile.json"]
            scan = subprocess.run([PROGRAM, "scan", "--json", *mark, "--ids-field", "ids", "--decoys", "0",
                                   folder / "served.jsonl"], capture_output=True, text=True,
                                  check=True).stdout
            self.assertLess(float(scan.split('"log10P":')[1].split(",")[0]), -20, scheme)

    def test_what_was_killed_is_made_anew(self) -> None:
        lab = self.lab()
        half = lab.cache / f".{lab.folder('stage', 1).name}.new"
        half.mkdir(parents=True)
        (half / "rest").touch()
        folder = lab.make("stage", 1, lambda folder: (folder / "whole").touch())
        self.assertEqual(sorted(path.name for path in folder.iterdir()), ["settings.json", "whole"])

        def fails(folder: Path) -> None:
            with self.assertRaises(laboratory.Busy):
                lab.make("stage", 2, silent)
            raise KeyboardInterrupt
        with self.assertRaises(KeyboardInterrupt):
            lab.make("stage", 2, fails)
        self.assertFalse(lab.folder("stage", 2).exists())

    def test_steps_are_passes(self) -> None:
        net = texts.load_model(texts.MODEL)
        ids = torch.randint(1, 4096, (3, 12), generator=torch.Generator().manual_seed(1))
        rows = Rows(net, ids[:, :5], 7)
        for position in range(5, 12):
            rows.step(ids[:, position])
        with torch.inference_mode():
            torch.testing.assert_close(rows.logits, net(ids)[:, -1], rtol=0, atol=1e-4)

    def test_an_adapter_leaves_the_rest(self) -> None:
        cell = replace(tiny("native"), attack="lora", training=replace(tiny("native").training, adapter=2))
        with contextlib.redirect_stderr(io.StringIO()):
            made = texts.load_model(texts.MODEL).state_dict()
            from students import load
            learned = load(student(self.lab(), cell, silent)).state_dict()
        changed = {name for name in made if not torch.equal(made[name], learned[name])}
        self.assertTrue(changed)
        self.assertTrue(all("_proj" in name for name in changed), changed)


if __name__ == "__main__":
    unittest.main()
