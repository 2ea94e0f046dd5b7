#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the fuzz targets for a while each: what `./run fuzz` does after a build.

fuzz.py BUILD [TARGET] [SECONDS]: BUILD is the fuzz preset's folder; the default is every target,
60 seconds each. Starts from the seeds and from BUILD/corpus/TARGET, where inputs that reach new
code stay for the next time; inputs that break a claim are left in BUILD/findings. Exits 1 on any.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

SEEDS = Path(__file__).resolve().parent / "seeds"
# A tokenizer may name 2^24 ids, which take 640 MiB; the sanitizer doubles that.
MEGABYTES = 3072
SLOWEST_INPUT = 20  # seconds


def statistic(log: str, name: str) -> int:
    found = re.findall(rf"stat::{name}:\s+(\d+)", log)
    return int(found[-1]) if found else 0


def fuzz(build: Path, target: str, seconds: int) -> bool:
    corpus, findings = build / "corpus" / target, build / "findings"
    corpus.mkdir(parents=True, exist_ok=True)
    findings.mkdir(exist_ok=True)
    log = build / f"fuzz-{target}.log"
    with log.open("w") as out:
        code = subprocess.run(
            [build / "tests" / "fuzz" / f"fuzz_{target}", f"-max_total_time={seconds}",
             f"-rss_limit_mb={MEGABYTES}", f"-timeout={SLOWEST_INPUT}", "-print_final_stats=1",
             f"-artifact_prefix={findings}/{target}-", corpus, SEEDS / target],
            stdout=out, stderr=subprocess.STDOUT, check=False,
        ).returncode
    text = log.read_text(errors="replace")
    runs, rate = statistic(text, "number_of_executed_units"), statistic(text, "average_exec_per_sec")
    covered = re.findall(r"cov: (\d+)", text)
    print(f"{target:10} {runs:10} runs {rate:7}/s {covered[-1] if covered else 0:>6} edges "
          f"{len(list(corpus.iterdir())):6} inputs kept  {'ok' if code == 0 else f'FAILED: {log}'}",
          flush=True)
    return code == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=Path)
    targets = sorted(folder.name for folder in SEEDS.iterdir())
    parser.add_argument("target", nargs="?", choices=[*targets, "all"], default="all")
    parser.add_argument("seconds", nargs="?", type=int, default=60)
    arguments = parser.parse_args()
    chosen = targets if arguments.target == "all" else [arguments.target]
    return 0 if all([fuzz(arguments.build.resolve(), t, arguments.seconds) for t in chosen]) else 1


if __name__ == "__main__":
    sys.exit(main())
