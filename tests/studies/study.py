#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a study with the settings that docs/studies.md reports.

study.py FOLDER NAME: FOLDER holds the study programs; NAME is null, null-long, scan-null, foreign-null, share, power,
distortion, spoofing, score-bound, swap, audit-null, audit-rules or audit-peers. Prints the study's tables and ends with
0 when every check passed.
`--small` runs a version of seconds, which the test suite uses; its numbers are not the published
ones.

The null study reads the prose of Debian's documentation packages (corpora/train/extract.py), and
the answers of other models in ../shared/data when that folder is there; its small version reads
the licences that every Debian machine has.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PROFILE = ROOT / "corpora" / "model" / "profile.json"
MODEL_ANSWERS = ROOT.parent / "shared" / "data" / "text" / "llm_outputs_unknown_key.json"


def run(*command: object) -> int:
    print("$", " ".join(Path(str(part)).name for part in command), flush=True)
    return subprocess.run([str(part) for part in command], check=False).returncode


def licences(folder: Path) -> Path:
    """The distinct paragraphs of /usr/share/common-licenses as JSONL."""
    out = folder / "licences.jsonl"
    paragraphs: dict[str, None] = {}
    for file in sorted(Path("/usr/share/common-licenses").iterdir()):
        for paragraph in file.read_text(errors="ignore").split("\n\n"):
            paragraphs[" ".join(paragraph.split())] = None
    out.write_text("".join(json.dumps({"text": text}) + "\n" for text in paragraphs if text))
    return out


def human_text(folder: Path) -> Path | None:
    """Every third document of the documentation packages' prose (1.2 million tokens) as JSONL."""
    everything, out = folder / "everything.jsonl", folder / "human.jsonl"
    extract = ROOT / "corpora" / "train" / "extract.py"
    done = subprocess.run([sys.executable, extract, "--out", everything], check=False, capture_output=True)
    if done.returncode != 0:
        return None
    out.write_text("".join(everything.read_text().splitlines(keepends=True)[::3]))
    return out if out.stat().st_size > 0 else None


def null(programs: Path, folder: Path, small: bool) -> int:
    if small:
        return run(programs / "study_null", 1000, PROFILE, "pooled", licences(folder))
    text = human_text(folder)
    if text is None:
        print("install the documentation packages first: see docs/studies.md")
        return 3
    status = 0
    status |= run(programs / "study_null", 1000, PROFILE, "pooled", text)
    if MODEL_ANSWERS.exists():
        answers = folder / "answers.jsonl"
        with answers.open("w") as out:
            for record in json.loads(MODEL_ANSWERS.read_text()):
                out.write(json.dumps({"text": record["watermarked_text"]}) + "\n")
        status |= run(programs / "study_null", 1000, PROFILE, "family", answers)
    else:
        print("skipped: answers of other models (the data folder is not here)")
    return status


def null_long(programs: Path, folder: Path, small: bool) -> int:
    text = human_text(folder)
    if text is None:
        print("install the documentation packages first: see docs/studies.md")
        return 3
    return run(programs / "study_null", 100 if small else 100_000, PROFILE, "long", text)


def scan_null(programs: Path, folder: Path, small: bool) -> int:
    if small:
        return run(programs / "study_scan_null", 40, PROFILE, licences(folder))
    text = folder / "text.jsonl"
    status = run(sys.executable, ROOT / "tests" / "studies" / "debian_text.py", "--install", "--plain", "--megabytes", 36,
                 "--characters", 3000, "--out", text)
    return status or run(programs / "study_scan_null", 1000, PROFILE, text)


def foreign_null(programs: Path, folder: Path, small: bool) -> int:
    text = licences(folder) if small else human_text(folder)
    if text is None:
        print("install the documentation packages first: see docs/studies.md")
        return 3
    keys = (20, 2, 3, 5_000) if small else (500, 30, 500, 20_000)
    return run(programs / "study_foreign_null", PROFILE, *keys, text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs", type=Path)
    parser.add_argument("name", choices=["null", "null-long", "scan-null", "foreign-null", "share", "power",
                                          "distortion", "spoofing", "score-bound", "swap", "audit-null", "audit-rules",
                                          "audit-peers"])
    parser.add_argument("--small", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if arguments.name == "null":
            return null(arguments.programs, Path(name), arguments.small)
        if arguments.name == "null-long":
            return null_long(arguments.programs, Path(name), arguments.small)
        if arguments.name == "scan-null":
            return scan_null(arguments.programs, Path(name), arguments.small)
        if arguments.name == "share":
            return run(arguments.programs / "study_share", 60 if arguments.small else 1000, licences(Path(name)))
        if arguments.name == "foreign-null":
            return foreign_null(arguments.programs, Path(name), arguments.small)
        if arguments.name == "score-bound":
            return run(arguments.programs / "study_score_bound")
        if arguments.name == "swap":
            return run(arguments.programs / "study_swap", 20_000 if arguments.small else 10_000_000)
        if arguments.name == "audit-null":
            return run(arguments.programs / "study_audit_null", *(5_000, 60) if arguments.small else (1_000_000, 10_000))
        if arguments.name == "audit-rules":
            return run(arguments.programs / "study_audit_rules", 200 if arguments.small else 2_000)
        if arguments.name == "audit-peers":
            return run(arguments.programs / "study_audit_peers", *(4, 20) if arguments.small else (200, 150))
        if arguments.name == "spoofing":
            status = 0
            for width in (2,) if arguments.small else (2, 3, 4):
                status |= run(arguments.programs / "study_spoofing", width, *(16, 4) if arguments.small else (800, 40))
            return status
        answers = 60 if arguments.small else 2000
        status = run(arguments.programs / f"study_{arguments.name}", answers)
        if arguments.name == "power" and not arguments.small:
            # Too few were expected in the rarest cell for a standard error to mean much.
            status |= run(arguments.programs / "study_power", 20000, 0.4, 100, "power study 2")
        return status


if __name__ == "__main__":
    sys.exit(main())
