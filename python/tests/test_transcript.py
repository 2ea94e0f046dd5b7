# SPDX-License-Identifier: Apache-2.0
"""countermark.TranscriptWriter and countermark.read_transcripts: files of countermark.transcript/1."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import struct
import threading
import time
import unittest
from typing import Any

import countermark
from support import ROOT, Answers, Case, call

try:
    import numpy
except ImportError:
    numpy = None  # type: ignore[assignment]

GOLDEN = ROOT / "tests" / "goldens" / "transcript.jsonl"


class Transcripts(Case):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.folder / "transcripts.jsonl"
        self.record: dict[str, Any] = {
            "id": "cmpl-1", "profile": "a" * 64, "ids": [0, 4294967295], "text": "an answer\n", "prompt_ids": [1, 2],
            "account": "alice", "epoch": "2026-11", "key_id": "09787cddc29645f6", "slots": [0, 0, 6], "marked": 2,
            "finish": "end", "time": 1795255355.123,
        }

    def test_the_golden(self) -> None:
        with countermark.TranscriptWriter(self.path) as writer:
            self.assertIs(writer.write(**self.record), True)
        self.assertEqual(writer.counters(), {"written": 1, "dropped": 0, "failed": 0})
        self.assertEqual(self.path.read_bytes(), GOLDEN.read_bytes())
        record, = countermark.read_transcripts(self.path)
        self.assertEqual(record, json.loads(GOLDEN.read_text()))
        self.assertEqual(list(record), list(json.loads(GOLDEN.read_text())))
        self.assertIs(writer.write(**self.record), False)
        writer.close()

    def test_the_least(self) -> None:
        before = time.time()
        digest = countermark.prompt_sha256([1, 2**32 - 1])
        self.assertEqual(digest, hashlib.sha256(struct.pack("<2I", 1, 2**32 - 1)).hexdigest())
        with countermark.TranscriptWriter(self.path) as writer:
            writer.write(id="1", profile="0" * 64, ids=[], text=None, prompt_sha256=digest)
        record, = countermark.read_transcripts(self.path)
        self.assertRegex(record["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertLess(abs(time.mktime(time.strptime(record["time"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
                            - before), 5)
        for field in ("account", "cohort", "epoch", "keyId", "text", "marked", "finish"):
            self.assertIsNone(record[field], field)  # type: ignore[literal-required]
        self.assertEqual((record["slots"], record["promptSha256"]), ([], digest))

    @unittest.skipIf(numpy is None, "numpy is not installed")
    def test_arrays(self) -> None:
        with countermark.TranscriptWriter(self.path) as writer:
            writer.write(**{**self.record, "ids": numpy.array([5, 6]), "prompt_ids": numpy.array([7], dtype="int32")})
        record, = countermark.read_transcripts(self.path)
        self.assertEqual((record["ids"], record["promptIds"]), ([5, 6], [7]))

    def test_bad_records_are_refused(self) -> None:
        with countermark.TranscriptWriter(self.path) as writer:
            for field, change in {
                "id": {"id": ""},
                "profile": {"profile": "a"},
                "keyId": {"key_id": None},
                "slots": {"slots": [65536]},
                "promptSha256": {"prompt_ids": None},
                "finish": {"finish": "stop"},
                "ids": {"ids": [-1]},
                "prompt_ids": {"prompt_ids": [2**32]},
                "time": {"time": 1e300},
                "account": {"account": ""},
            }.items():
                error = self.refused("invalid-argument", writer.write, **{**self.record, **change})
                self.assertEqual(error.field, field)
            self.refused("invalid-argument", writer.write, **{**self.record, "time": float("nan")})
            for wrong in ({"ids": "text"}, {"marked": -1}, {"slots": 1}, {"id": None}, {"other": 1}):
                self.assertRaises(TypeError, writer.write, **{**self.record, **wrong})
            # What Python takes for text but UTF-8 does not.
            self.assertRaises((TypeError, ValueError), writer.write, **{**self.record, "text": "\ud800"})
        self.assertEqual(writer.counters(), {"written": 0, "dropped": 0, "failed": 0})
        self.refused("io", countermark.TranscriptWriter, self.folder)
        self.refused("invalid-argument", countermark.TranscriptWriter, self.path, patience=-1)
        self.refused("invalid-argument", countermark.TranscriptWriter, self.path, most_bytes=2**41)

    def test_a_bad_record_is_stepped_over(self) -> None:
        line = GOLDEN.read_text()
        self.path.write_text(line + '{"schema": 1}\n' + line + line[:30])
        records = countermark.read_transcripts(self.path)
        self.assertEqual(next(records)["id"], "cmpl-1")
        error = self.refused("invalid-input", next, records)
        self.assertEqual((error.file, error.field, error.offset),
                         (str(self.path), "record 2, schema", len(line) + len('{"schema": ')))
        self.assertEqual(next(records)["id"], "cmpl-1")
        self.refused("invalid-input", next, records)
        self.assertEqual(list(records), [])
        self.refused("io", countermark.read_transcripts, self.folder / "none")

    def test_a_pipe_that_nobody_reads(self) -> None:
        os.mkfifo(self.path)
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)  # not even one record fits
        writer = countermark.TranscriptWriter(self.path, most_bytes=1 << 20, patience=0.05)
        big = {**self.record, "text": "a" * 10_000}
        start = time.monotonic()
        queued = sum(writer.write(**big) for _ in range(1000))
        writer.close()
        self.assertLess(time.monotonic() - start, 10)
        self.assertLess(queued, 500)
        self.assertEqual(writer.counters(), {"written": 0, "dropped": 1000, "failed": 0})

    def test_threads_share_a_writer(self) -> None:
        with countermark.TranscriptWriter(self.path) as writer:
            def work(name: str) -> None:
                for i in range(200):
                    writer.write(**{**self.record, "id": f"{name}{i}"})

            threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        ids = [record["id"] for record in countermark.read_transcripts(self.path)]
        self.assertEqual(sorted(ids), sorted(f"{name}{i}" for name in "abcd" for i in range(200)))


class Detecting(Answers):
    def test_the_command_line_reads_transcripts(self) -> None:
        path = self.folder / "transcripts.jsonl"
        with countermark.TranscriptWriter(path) as writer:
            for answer in self.answers:
                writer.write(
                    id=answer["id"], profile=answer["profile"], ids=answer["ids"], text=answer["text"],
                    prompt_ids=self.tokenizer.encode(answer["prompt"]), account="alice", cohort="c1", epoch="2026-11",
                    key_id=answer["keyId"], slots=answer["slots"], marked=answer["marked"], finish="length")
        for field in ("text", "ids"):
            flags = ("-k", self.key_path, "--account", "alice", "--json", *(("--ids-field", "ids") if field == "ids" else ()))
            of_transcripts, of_answers = (
                [json.loads(line) for line in call("detect", *flags, file).splitlines()]
                for file in (path, self.answers_path))
            self.assertEqual(len(of_transcripts), 3)
            for ours, theirs in zip(of_transcripts, of_answers):
                self.assertEqual({**ours, "input": theirs["input"]}, theirs)
                self.assertEqual(ours["verdict"], "detected")


if __name__ == "__main__":
    unittest.main()
