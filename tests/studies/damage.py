#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `scan` does with damaged inputs, a full disk and kills, at the size of real datasets.

damage.py PROGRAM [--megabytes 200] [--lines 7000000] [--kills 50]: the text is that of debian_text.py, whose
packages must be installed. The full disk is a file system in memory, which only root can make. In turn:

    line        invalid JSON behind so many lines: an error that names the record, and with --skip-bad the rest
    gzip        a file that ends in the middle of its compressed data: an error that names it
    full disk   the tape's records and checkpoints do not fit; more room, the same command: the same result
    kills       SIGKILL at random points, the same command after each: the same result

Prints what was seen of each, and ends with 1 if any differs from that. A damaged page of Parquet is
among the tests of `./run engines`, which have a writer of such files.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DEBIAN_TEXT = ROOT / "tests" / "studies" / "debian_text.py"
INVALID_INPUT, CANNOT_WRITE = 3, 6  # exit codes (docs/cli.md)
SMALL_DISK = 48 << 20


class Damage:
    def __init__(self, program: Path, folder: Path, megabytes: int) -> None:
        self.program, self.folder, self.passed = program, folder, True
        self.key, self.text = folder / "study.key", folder / "text.jsonl"
        subprocess.run([program, "key", "new", "--model", "study", "--epoch", "study", "-o", self.key], check=True,
                       capture_output=True)
        subprocess.run([sys.executable, DEBIAN_TEXT, "--megabytes", str(megabytes), "--characters", "3000", "--out", self.text],
                       check=True, stdout=sys.stderr)

    def command(self, *arguments: object) -> list[str]:
        return [str(a) for a in (self.program, "scan", "-k", self.key, "--decoys", 0, "--json", *arguments)]

    def scan(self, *arguments: object) -> tuple[int, str, str]:
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, check=False)
        errors = [line for line in done.stderr.splitlines() if "error: " in line]
        return done.returncode, done.stdout, errors[-1] if errors else ""

    def expect(self, what: str, is_so: bool, seen: str) -> None:
        self.passed &= is_so
        print(f"{what}: {'ok' if is_so else 'FAILED'}: {seen}", flush=True)

    def line(self, lines: int) -> None:
        bad = self.folder / "lines.jsonl"
        with self.text.open() as source, bad.open("w") as out:
            words = [word for record in source for word in json.loads(record)["text"].split()]
            for i in range(lines + 1000):
                if i == lines:
                    out.write('{"text": "an open string\n')
                begin = i * 7 % (len(words) - 7)
                out.write(json.dumps({"text": " ".join(words[begin:begin + 7])}) + "\n")
        code, _, error = self.scan(bad)
        self.expect("line", code == INVALID_INPUT and f"record {lines + 1}" in error, f"exit {code}, {error}")
        code, out_text, error = self.scan("--skip-bad", bad)
        report = json.loads(out_text) if code == 0 else {}
        self.expect("line, skipped", (report.get("badRecords"), report.get("documents")) == (1, lines + 1000),
                    f"exit {code}, {report.get('documents'):,} documents, {report.get('badRecords')} bad")
        bad.unlink()

    def gzip(self) -> None:
        whole, cut = self.folder / "whole.jsonl.gz", self.folder / "cut.jsonl.gz"
        with self.text.open("rb") as source, gzip.open(whole, "wb", compresslevel=1) as out:
            shutil.copyfileobj(source, out, 1 << 20)
        with whole.open("rb") as source, cut.open("wb") as cut_out:
            cut_out.write(source.read(whole.stat().st_size * 6 // 10))
        code, _, error = self.scan(cut)
        self.expect("gzip", code == INVALID_INPUT and cut.name in error, f"exit {code}, {error}")

    @contextmanager
    def small_disk(self) -> Iterator[Path]:
        disk = self.folder / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", disk], check=True)
        try:
            yield disk
        finally:
            subprocess.run(["umount", disk], check=True)

    def full_disk(self, whole: str) -> None:
        with self.small_disk() as disk:
            arguments = ("--max-memory", "16M", "--state", disk / "state", "--checkpoint-seconds", 1, self.text)
            code, _, error = self.scan(*arguments)
            self.expect("full disk", code != 0 and "No space left" in error, f"exit {code}, {error}")
            subprocess.run(["mount", "-o", "remount,size=4G", disk], check=True)
            code, out, error = self.scan(*arguments)
            self.expect("more room", out == whole, f"exit {code}, {'the same result' if out == whole else error}")

    def kills(self, whole: str, seconds: float, count: int) -> None:
        numbers = random.Random(20_261_122)
        arguments = ("--state", self.folder / "state", "--checkpoint-seconds", 0, self.text)
        killed = ended = 0
        while killed < count:
            process = subprocess.Popen(self.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            try:
                out, _ = process.communicate(timeout=numbers.uniform(0, seconds / 4))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                killed += 1
                continue
            ended += 1
            if out != whole:
                self.expect("kills", False, f"another result after {killed} kills")
            shutil.rmtree(self.folder / "state", ignore_errors=True)
        _, out, error = self.scan(*arguments)
        self.expect("kills", out == whole, f"{killed} kills, {ended + 1} results, {'the same' if out == whole else error}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--lines", type=int, default=7_000_000)
    parser.add_argument("--kills", type=int, default=50)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        damage = Damage(arguments.program.resolve(), Path(name), arguments.megabytes)
        begin = time.monotonic()
        _, whole, _ = damage.scan(damage.text)
        seconds = time.monotonic() - begin
        print(f"undamaged: {arguments.megabytes} MB in {seconds:.1f} s", flush=True)
        damage.gzip()
        damage.full_disk(whole)
        damage.kills(whole, seconds, arguments.kills)
        damage.line(arguments.lines)
    return 0 if damage.passed else 1


if __name__ == "__main__":
    sys.exit(main())
