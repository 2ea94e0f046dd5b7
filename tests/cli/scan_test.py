#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`scan` and `merge` as a person meets them: one verdict for a dataset, however it is cut up, and whatever befalls it.

Usage: scan_test.py PROGRAM. Laws are tested in the library; here the same dataset must give the same bytes by any
number of threads, any memory, in shards, and after a kill.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import time
import unittest
from pathlib import Path
from typing import Any

import jsonschema

from support import PROGRAM, SEED, ProgramTest, key_file, schemas, words_of_licences

SCHEMAS = schemas("scan-1", "scan-document-1")
MARKED = 12
PLAIN = 120


def human_texts(count: int) -> list[str]:
    """Words of licences, cut into documents of some 150 words, each once."""
    words = words_of_licences()
    documents = [" ".join(words[i:i + 150]) for i in range(0, len(words), 150)]
    return list(dict.fromkeys(documents))[:count]


class ScanTest(ProgramTest):
    key: Path
    data: Path

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.key = key_file(cls.folder / "epoch.key", "2026-11")
        out, _ = cls.call("generate", "-k", cls.key, "--account", "alice", "--prompt", "The server", "-n", 150,
                          "--count", MARKED, "--seed", SEED, "--json")
        records = [{"id": f"m{i}", "text": json.loads(line)["text"]} for i, line in enumerate(out.splitlines())]
        records += [{"id": f"h{i}", "text": text} for i, text in enumerate(human_texts(PLAIN))]
        records += [{"id": "copy", "text": records[0]["text"]}]
        random.Random(1).shuffle(records)
        cls.records = records
        cls.data = cls.folder / "data.jsonl"
        cls.data.write_text("".join(json.dumps(record) + "\n" for record in records))

    def scan(self, *arguments: object, inputs: tuple[object, ...] = ()) -> tuple[str, str]:
        """The report and the lines of the documents."""
        lines = self.folder / "lines.jsonl"
        out, _ = self.call("scan", "-k", self.key, "--json", "--decoys", 20, "--documents", lines, "--force",
                           *arguments, *(inputs or (self.data,)))
        return out, lines.read_text()

    def parsed(self, *arguments: object, **inputs: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        out, lines = self.scan(*arguments, **inputs)
        report = json.loads(out)
        jsonschema.validate(report, SCHEMAS["scan-1"])
        documents = [json.loads(line) for line in lines.splitlines()]
        for document in documents:
            jsonschema.validate(document, SCHEMAS["scan-document-1"])
        return report, documents

    # --- what it says ------------------------------------------------------------------------

    def test_finds_the_marked_documents(self) -> None:
        # At a level at which nothing else is ever listed; at 5 % a list may hold a few others.
        report, documents = self.parsed("--list-level", 1e-4)
        test = report["tests"][0]
        self.assertEqual(test["verdict"], "detected")
        self.assertEqual(report["documents"], len(self.records))
        self.assertEqual([document["id"] for document in documents], [record["id"] for record in self.records])
        listed = {document["id"] for document in documents if document["tests"][0]["verdict"] == "detected"}
        marked = {record["id"] for record in self.records if record["id"][0] == "m"}
        self.assertLessEqual(listed, marked | {"copy"})
        self.assertGreaterEqual(len(listed), MARKED - 2)
        self.assertEqual(test["documents"]["listed"], len(listed))
        # A twelfth of the tuples is marked; what each of them shows is less.
        self.assertGreater(float(test["share"]["atLeast"]), 0)
        self.assertLess(float(test["share"]["atLeast"]), 0.15)
        self.assertEqual(test["lineUp"]["rank"], 1)

    def test_a_copy_owns_nothing(self) -> None:
        _, documents = self.parsed()
        twins = [document for document in documents if document["id"] in ("copy", "m0")]
        first, second = twins
        self.assertIsNone(first["duplicateOf"])
        self.assertEqual(second["duplicateOf"], first["id"])
        self.assertEqual(second["tests"][0]["assigned"]["scored"], 0)
        self.assertEqual(second["tests"][0]["verdict"], "inconclusive")
        self.assertEqual(first["tests"][0]["scored"], second["tests"][0]["scored"])

    def test_another_key_finds_nothing(self) -> None:
        other = key_file(self.folder / "other.key", "2026-12")
        out, _ = self.call("scan", "-k", other, "--json", "--decoys", 20, self.data)
        test = json.loads(out)["tests"][0]
        self.assertEqual(test["verdict"], "not-detected")
        self.assertEqual(test["documents"]["listed"], 0)
        self.assertEqual(test["spans"]["found"], 0)
        self.assertEqual(test["share"]["marked"], 0)

    def test_a_claimed_account(self) -> None:
        report, _ = self.parsed("--account", "alice")
        test = report["tests"][0]
        self.assertEqual(test["verdict"], "detected")
        self.assertEqual(test["nullModel"]["law"], "e-value")
        self.assertEqual(test["streams"][0]["verdict"], "detected")
        report, _ = self.parsed("--account", "bob")
        self.assertNotEqual(report["tests"][0]["streams"][0]["verdict"], "detected")

    def test_spans_lie_in_the_marked_part(self) -> None:
        marked = [record["text"] for record in self.records if record["id"][0] == "m"]
        plain = human_texts(PLAIN + 20)[PLAIN:]
        mixed = self.folder / "mixed.jsonl"
        text = " ".join([*plain[:3], *marked, *plain[3:6]])
        mixed.write_text(json.dumps({"id": "mixed", "text": text}) + "\n")
        _, documents = self.parsed(inputs=(mixed,))
        spans = documents[0]["tests"][0]["spans"]
        self.assertTrue(spans)
        for span in spans:
            self.assertLessEqual(span["log10P"], -6)

    def test_quoted_works_are_left_out(self) -> None:
        works = self.folder / "works.jsonl"
        works.write_text("".join(json.dumps(record) + "\n" for record in self.records if record["id"][0] == "m"))
        report, documents = self.parsed("--quoted", works)
        self.assertEqual(report["tests"][0]["verdict"], "not-detected")
        self.assertGreater(report["tests"][0]["dropped"]["promptContext"], 0)
        for document in documents:
            if document["id"][0] == "m":
                self.assertEqual(document["tests"][0]["scored"], 0)
        # A shard knows what it was made with.
        fragment = self.folder / "quoted.cmf"
        self.call("scan", "-k", self.key, "--quoted", works, "--shard", "1/2", "-o", fragment, "--force", self.data)
        _, error = self.call("merge", "-k", self.key, fragment, code=3)
        self.assertIn("quoted works", error)

    def test_several_tests_are_corrected(self) -> None:
        other = key_file(self.folder / "second.key", "2027-01")
        alone = json.loads(self.scan()[0])["tests"][0]
        both = json.loads(self.scan("-k", other)[0])["tests"]
        self.assertEqual(both[0]["statistic"], alone["statistic"])
        self.assertEqual(both[0]["hypotheses"], 2 * alone["hypotheses"])
        self.assertEqual(both[1]["verdict"], "not-detected")

    def test_text_for_people(self) -> None:
        out, _ = self.call("scan", "-k", self.key, "--decoys", 20, self.data)
        for word in ("detected", "corpus", "share", "documents", "line-up", "spans"):
            self.assertIn(word, out)

    # --- the same bytes ----------------------------------------------------------------------

    def test_threads_and_memory_change_nothing(self) -> None:
        whole = self.scan("--threads", 1)
        self.assertEqual(self.scan("--threads", 3), whole)
        self.assertEqual(self.scan("--threads", 2, "--max-memory", "1M"), whole)

    def test_memory_that_is_soon_full(self) -> None:
        words = [f"w{i % 977}-{i}" for i in range(120_000)]
        large = self.folder / "large.jsonl"
        large.write_text("".join(json.dumps({"text": " ".join(words[i:i + 500])}) + "\n"
                                 for i in range(0, len(words), 500)) + self.data.read_text())
        whole = self.scan(inputs=(large,))
        temporary = self.folder / "temporary"
        temporary.mkdir()
        os.environ["TMPDIR"] = str(temporary)
        self.addCleanup(os.environ.pop, "TMPDIR")
        self.assertEqual(self.scan("--max-memory", "1M", "--threads", 2, inputs=(large,)), whole)
        self.assertEqual(list(temporary.iterdir()), [])

    def test_shards_and_merge(self) -> None:
        files = []
        for i in range(4):
            part = self.folder / f"part{i}.jsonl"
            part.write_text("".join(json.dumps(record) + "\n" for record in self.records[i::4]))
            files.append(part)
        whole = self.scan(inputs=tuple(files))
        for count in (2, 3, 7):
            fragments = []
            for i in range(count):
                fragment = self.folder / f"{count}-{i}.cmf"
                self.call("scan", "-k", self.key, "--decoys", 20, "--shard", f"{i + 1}/{count}", "-o", fragment,
                          *files)
                fragments.append(fragment)
            random.Random(count).shuffle(fragments)
            lines = self.folder / "merged.jsonl"
            out, _ = self.call("merge", "-k", self.key, "--json", "--decoys", 20, "--documents", lines, "--force",
                               *fragments)
            self.assertEqual((out, lines.read_text()), whole)

    def test_merge_refuses_what_does_not_fit(self) -> None:
        fragment = self.folder / "one.cmf"
        self.call("scan", "-k", self.key, "--shard", "1/2", "-o", fragment, self.data)
        _, err = self.call("merge", "-k", self.key, fragment, code=3)
        self.assertIn("shard 2 of 2 is missing", err)
        _, err = self.call("merge", "-k", self.key, fragment, fragment, code=3)
        self.assertIn("one.cmf", err)
        damaged = self.folder / "damaged.cmf"
        damaged.write_bytes(fragment.read_bytes()[:-100])
        _, err = self.call("merge", "-k", self.key, damaged, code=3)
        self.assertIn("damaged.cmf", err)
        other = key_file(self.folder / "stranger.key", "2028-01")
        _, err = self.call("merge", "-k", other, fragment, code=3)
        self.assertIn("other keys", err)

    def test_killed_and_resumed(self) -> None:
        whole = self.scan("--threads", 2)
        state = self.folder / "state"
        random_numbers = random.Random(3)
        command = [PROGRAM, "scan", "-k", self.key, "--json", "--decoys", "20", "--documents",
                   self.folder / "lines.jsonl", "--force", "--state", state, "--checkpoint-seconds", "0", self.data]
        killed = 0
        for _ in range(12):
            process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(random_numbers.uniform(0, 0.4))
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
        self.assertGreater(killed, 0)
        self.assertEqual(self.scan("--state", state, "--checkpoint-seconds", 0), whole)

    # --- what goes wrong ---------------------------------------------------------------------

    def test_a_bad_record_is_named(self) -> None:
        bad = self.folder / "bad.jsonl"
        lines = self.data.read_text().splitlines(keepends=True)
        bad.write_text("".join([*lines[:70], '{"text": \n', *lines[70:]]))
        _, err = self.call("scan", "-k", self.key, bad, code=3)
        self.assertIn("bad.jsonl", err)
        self.assertIn("record 71", err)
        out, err = self.call("scan", "-k", self.key, "--skip-bad", "--json", "--decoys", 20, bad)
        self.assertIn("record 71", err)
        self.assertEqual(json.loads(out)["badRecords"], 1)
        self.assertEqual(json.loads(out)["documents"], len(self.records))

    def test_a_truncated_file_is_named(self) -> None:
        packed = self.folder / "data.jsonl.gz"
        packed.write_bytes(gzip.compress(self.data.read_bytes()))
        self.assertEqual(json.loads(self.scan(inputs=(packed,))[0])["tests"][0]["verdict"], "detected")
        cut = self.folder / "cut.jsonl.gz"
        cut.write_bytes(packed.read_bytes()[:-40_000])
        _, err = self.call("scan", "-k", self.key, cut, code=3)
        self.assertIn("cut.jsonl.gz", err)

    def test_standard_input(self) -> None:
        out, _ = self.call("scan", "-k", self.key, "--format", "jsonl", "--json", "--decoys", 20, "-",
                           stdin=self.data.read_bytes())
        self.assertEqual(json.loads(out)["tests"][0]["verdict"], "detected")

    def test_refuses_what_it_cannot_do(self) -> None:
        for arguments, code, word in ((("--shard", "3/2", "-o", "x"), 2, "--shard"),
                                      (("--shard", "1/2"), 2, "-o"),
                                      (("--decoy-seed", "zz"), 2, "--decoy-seed")):
            _, err = self.call("scan", "-k", self.key, *arguments, self.data, code=code)
            self.assertIn(word, err)
        _, err = self.call("scan", "-k", self.key, "no-such-file.jsonl", code=6)
        self.assertIn("no-such-file", err)


if __name__ == "__main__":
    os.environ["NO_COLOR"] = "1"
    unittest.main()
