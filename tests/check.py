#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Formatting, lint and layering of the sources, and the kernel of another processor: what `./run check` runs after a build.

check.py BUILD: BUILD is a configured folder with compile_commands.json. `--fix` formats in place.
clang-tidy looks at every translation unit of ours; results are remembered by the digest of the
sources in BUILD, so that an unchanged tree is checked once.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def tracked(*patterns: str) -> list[str]:
    out = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", *patterns],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )
    return sorted(line for line in out.stdout.splitlines() if (ROOT / line).exists())


def check_format(fix: bool) -> bool:
    files = tracked("*.h", "*.cpp")
    mode = ["-i"] if fix else ["--dry-run", "--Werror"]
    return subprocess.run(["clang-format", *mode, *files], cwd=ROOT, check=False).returncode == 0


def tidy(build: Path, file: str) -> tuple[str, int, str]:
    done = subprocess.run(
        ["clang-tidy", "--quiet", "--extra-arg=-Wno-unknown-warning-option", "-p", str(build), file],
        cwd=ROOT, check=False, capture_output=True, text=True,
    )
    return file, done.returncode, done.stdout


def check_lint(build: Path) -> bool:
    # Kernels of other processors are not in the build; the compiler's warnings are all they get.
    commands = json.loads((build / "compile_commands.json").read_text())
    built = {entry["file"] for entry in commands}
    files = [f for f in tracked("*.cpp") if not f.startswith("tests/") and str(ROOT / f) in built]
    # clang stops at options of GCC's that it does not know.
    database = build / "lint"
    database.mkdir(exist_ok=True)
    for entry in commands:
        entry["command"] = re.sub(r" -m(move|store)-max=\d+", "", entry["command"])
    (database / "compile_commands.json").write_text(json.dumps(commands))
    digest = hashlib.sha256()
    for file in tracked("*.h", "*.cpp", ".clang-tidy"):
        digest.update(file.encode() + b"\0" + (ROOT / file).read_bytes() + b"\0")
    stamp = build / "lint.sha256"
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return True
    passed = True
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for file, code, output in pool.map(lambda f: tidy(database, f), files):
            if code != 0:
                passed = False
                print(f"{file}:\n{output}", file=sys.stderr)
    if passed:
        stamp.write_text(digest.hexdigest())
    return passed


def check_layers() -> bool:
    return subprocess.run([sys.executable, "tests/layers_test.py"], cwd=ROOT, check=False).returncode == 0


KERNELS = ROOT / "watermark" / "kernels"
CROSS_COMPILER = "aarch64-linux-gnu-g++"
EMULATOR = "qemu-aarch64"


def check_kernels(build: Path) -> bool:
    """The ARMv8 kernel, cross-built and run under emulation, against this machine's kernels."""
    folder = build / "kernels"
    folder.mkdir(exist_ok=True)
    flags = ["-std=c++20", "-O3", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-Wno-psabi", f"-I{ROOT}"]
    exercise = ROOT / "tests" / "kernels" / "exercise.cpp"
    native, cross = build / "tests" / "kernels" / "kernel_exercise", folder / "exercise-armv8"
    subprocess.run(
        [CROSS_COMPILER, *flags, "-march=armv8-a+crypto", "-DCOUNTERMARK_WITHOUT_CRYPTOPP", "-static", str(KERNELS / "armv8.cpp"),
         str(exercise), "-o", str(cross)],
        check=True,
    )
    expected = subprocess.run([native], check=True, capture_output=True, text=True)
    found = subprocess.run([EMULATOR, cross], check=True, capture_output=True, text=True)
    print(expected.stderr + found.stderr, end="", file=sys.stderr)
    for ours, theirs in zip(expected.stdout.splitlines(), found.stdout.splitlines()):
        if ours != theirs:
            print(f"armv8 differs: {theirs}, expected {ours}", file=sys.stderr)
    return expected.stdout == found.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("--fix", action="store_true", help="format the sources in place")
    arguments = parser.parse_args()
    results = {
        "format": check_format(arguments.fix),
        "layers": check_layers(),
        "kernels": check_kernels(arguments.build.resolve()),
        "lint": check_lint(arguments.build.resolve()),
    }
    for name, passed in results.items():
        print(f"{name}: {'ok' if passed else 'FAILED'}")
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
