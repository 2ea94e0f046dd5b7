#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Formatting, lint, names and layering of the sources, and the kernel of another processor: what `./run check` runs
after a build.

check.py BUILD: BUILD is a configured folder with compile_commands.json. `--fix` formats in place.
clang-tidy looks at every translation unit of ours; results are remembered by the digest of the
sources in BUILD, so that an unchanged tree is checked once.
"""

from __future__ import annotations

import argparse
import ast
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


LINT_GROUP = 12  # sources; more saves little, and one finding then costs more


# Does not follow calls; a third of the time. `--deep` does.
SHALLOW = [f"--extra-arg={argument}" for argument in ("-Xclang", "-analyzer-config", "-Xclang", "mode=shallow")]


def tidy(database: Path, file: Path | str, deep: bool) -> tuple[int, str]:
    options = ["--quiet", "--extra-arg=-Wno-unknown-warning-option", *([] if deep else SHALLOW)]
    done = subprocess.run(
        ["clang-tidy", *options, "-p", str(database), str(file)],
        cwd=ROOT, check=False, capture_output=True, text=True,
    )
    return done.returncode, done.stdout


def lint_groups(commands: list[dict], files: list[str]) -> list[list[str]]:
    """Sources of one folder that one command compiles. The marks are apart: each is a room of its
    own with the same names in it."""
    by_command: dict[tuple[str, str], list[str]] = {}
    how = {entry["file"]: entry["command"] for entry in commands}
    for file in files:
        source = str(ROOT / file)
        command = re.sub(r" -o \S+ -c \S+$", "", how[source])
        folder = source if file.startswith("watermark/marks/") else str(Path(source).parent)
        by_command.setdefault((folder, command), []).append(source)
    return [group[i:i + LINT_GROUP] for group in by_command.values() for i in range(0, len(group), LINT_GROUP)]


def lint(database: Path, group: list[str], unit: Path, deep: bool) -> list[tuple[str, str]]:
    """(source, findings) of a group. Most of clang-tidy's time is what the sources include, so they
    are read as one unit; where that finds something, or they do not go together, each is read alone."""
    if len(group) > 1 and tidy(database, unit, deep)[0] == 0:
        return []
    alone = ((file, tidy(database, file, deep)) for file in group)
    return [(file, output) for file, (code, output) in alone if code != 0]


def check_lint(build: Path, deep: bool) -> bool:
    # Kernels of other processors are not in the build; the compiler's warnings are all they get.
    commands = json.loads((build / "compile_commands.json").read_text())
    built = {entry["file"] for entry in commands}
    files = [f for f in tracked("*.cpp") if not f.startswith("tests/") and str(ROOT / f) in built]
    digest = hashlib.sha256(b"deep" if deep else b"")
    for file in tracked("*.h", "*.cpp", ".clang-tidy"):
        digest.update(file.encode() + b"\0" + (ROOT / file).read_bytes() + b"\0")
    stamp = build / "lint.sha256"
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return True

    database = build / "lint"
    database.mkdir(exist_ok=True)
    groups = lint_groups(commands, files)
    units = [database / f"unit-{i}.cpp" for i in range(len(groups))]
    entry_of = {entry["file"]: entry for entry in commands}
    for group, unit in zip(groups, units):
        unit.write_text("".join(Path(file).read_text() for file in group))
        entry = entry_of[group[0]]
        commands.append(entry | {"file": str(unit), "command": entry["command"].replace(entry["file"], str(unit))})
    for entry in commands:  # clang stops at options of GCC's that it does not know
        entry["command"] = re.sub(r" -m(move|store)-max=\d+", "", entry["command"])
    (database / "compile_commands.json").write_text(json.dumps(commands))

    passed = True
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for findings in pool.map(lambda group, unit: lint(database, group, unit, deep), groups, units):
            for file, output in findings:
                passed = False
                print(f"{file}:\n{output}", file=sys.stderr)
    if passed:
        stamp.write_text(digest.hexdigest())
    return passed


def check_names() -> bool:
    """No function or class of Python stands in the place of another: of two tests of one name one never runs."""
    passed = True
    for file in tracked("*.py"):
        tree = ast.parse((ROOT / file).read_text())
        for scope in (node for node in ast.walk(tree) if isinstance(node, (ast.Module, ast.ClassDef))):
            seen: dict[str, int] = {}
            for node in scope.body:
                if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                    if node.name in seen and not node.decorator_list:
                        print(f"{file}:{node.lineno}: {node.name} stands in line {seen[node.name]}, too", file=sys.stderr)
                        passed = False
                    seen[node.name] = node.lineno
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
        [CROSS_COMPILER, *flags, "-march=armv8-a+crypto", "-DCOUNTERMARK_WITHOUT_CRYPTOPP", "-static",
         str(KERNELS / "armv8.cpp"), str(exercise), "-o", str(cross)],
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
    parser.add_argument("--deep", action="store_true", help="let the static analyzer follow calls")
    arguments = parser.parse_args()
    results = {
        "format": check_format(arguments.fix),
        "names": check_names(),
        "layers": check_layers(),
        "kernels": check_kernels(arguments.build.resolve()),
        "lint": check_lint(arguments.build.resolve(), arguments.deep),
    }
    for name, passed in results.items():
        print(f"{name}: {'ok' if passed else 'FAILED'}")
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
