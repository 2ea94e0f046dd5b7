#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `cmake --install` leaves is enough for others: a project that knows only the installed tree
builds and runs, every installed header stands alone, and the program finds its model after a move.

Usage: install_test.py CMAKE BUILD. Builds in BUILD/install-test, which it empties first.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent
VECTORS = SOURCE.parent / "vectors"
CMAKE, BUILD = sys.argv.pop(1), Path(sys.argv.pop(1)).resolve()
WORK = BUILD / "install-test"
TREE = WORK / "moved"


def run(*command: object, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, **more
    )


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        shutil.rmtree(WORK, ignore_errors=True)
        done = run(CMAKE, "--install", BUILD, "--prefix", WORK / "first")
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        # Nothing may remember where it was first.
        (WORK / "first").rename(TREE)

    def passes(self, *command: object, **more: object) -> str:
        done = run(*command, **more)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_a_project_that_knows_only_the_installed_tree(self) -> None:
        build = WORK / "consumer"
        self.passes(CMAKE, "-S", SOURCE, "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={TREE}")
        self.passes(CMAKE, "--build", build)
        self.assertGreater(int(self.passes(build / "server")), 0)
        names = ("bpe-tokenizer.json", "sentencepiece-unigram.model")
        self.assertIn("\n", self.passes(build / "auditor", *(VECTORS / name for name in names)))

    def test_the_program_uses_the_installed_model(self) -> None:
        program = next(TREE.rglob("bin/countermark"))
        weights = next(TREE.rglob("weights.safetensors"))
        key = WORK / "test.key"
        self.passes(program, "selftest")
        self.passes(program, "key", "new", "--model", "demo", "--epoch", "1", "-o", key)
        generate = (program, "generate", "-k", key, "--prompt", "The", "-n", "3")
        environment = {name: value for name, value in os.environ.items() if name != "COUNTERMARK_MODEL"}
        self.passes(*generate, env=environment)
        # A damaged model is named, so it is the one that was looked at.
        weights.write_bytes(b"damaged")
        done = run(*generate, env=environment)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn(str(weights), done.stderr)

    def test_the_example_in_c_marks(self) -> None:
        example = SOURCE.parents[1] / "watermark" / "c_api" / "example.c"
        pc = next(TREE.rglob("countermark.pc")).parent
        environment = {**os.environ, "PKG_CONFIG_PATH": str(pc)}
        self.assertEqual(run("pkg-config", "--modversion", "countermark", env=environment).returncode, 0)
        flags = self.passes("pkg-config", "--cflags", "--libs", "countermark", env=environment).split()
        program = WORK / "example"
        self.passes("cc", "-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror", example, *flags,
                    "-o", program)
        cli = next(TREE.rglob("bin/countermark"))
        key, profile, answer = WORK / "c.key", WORK / "c.json", WORK / "c.jsonl"
        self.passes(cli, "key", "new", "--model", "demo", "--epoch", "1", "-o", key)
        self.passes(cli, "profile", "new", "-o", profile)
        library = {**os.environ, "LD_LIBRARY_PATH": str(next(TREE.rglob("libcountermark.so")).parent)}
        if "portable" in self.passes(cli, "version"):
            self.skipTest("the example does not allow the portable kernel")
        ids = self.passes(program, key, "alice", env=library).split()
        self.assertEqual(len(ids), 200)
        answer.write_text(json.dumps({"ids": [int(token) for token in ids]}) + "\n")
        for account, expected in (("alice", "detected"), ("bob", "not-detected")):
            found = json.loads(self.passes(cli, "detect", "-k", key, "-p", profile, "--ids-field", "ids",
                                           "--account", account, "--json", answer))
            layer = next(s for s in found["streams"] if s.get("identity") == account)
            self.assertEqual(float(layer["log10P"]) < -10, expected == "detected", found)
        # A bad key stops the start.
        bad = WORK / "bad.key"
        bad.write_text("CM-SECRET-KEY-1x\n")
        self.assertEqual(run(program, bad, "alice", env=library).returncode, 1)

    def test_nothing_but_ours_is_installed(self) -> None:
        files = [path.relative_to(TREE).as_posix() for path in TREE.rglob("*") if path.is_file()]
        for name in files:
            self.assertIn("countermark", name)
        self.assertTrue(any(name.endswith("/watermark/response.h") for name in files))
        self.assertFalse([name for name in files if name.endswith(".cpp")])

    def test_the_package_remembers_no_folder_of_ours(self) -> None:
        for path in TREE.rglob("*.cmake"):
            self.assertNotIn(str(SOURCE.parent.parent), path.read_text(), path.name)


if __name__ == "__main__":
    sys.exit(unittest.main())
