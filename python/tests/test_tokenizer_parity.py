# SPDX-License-Identifier: Apache-2.0
"""The study of docs/studies.md in small: every family, on a little text and on seconds of new inputs."""

from __future__ import annotations

import subprocess
import sys
import unittest
from pathlib import Path

STUDY = Path(__file__).resolve().parent.parent / "studies" / "tokenizer_parity.py"

try:
    import tokenizers
except ImportError:
    tokenizers = None


@unittest.skipIf(tokenizers is None, "tokenizers is not installed")
class Parity(unittest.TestCase):
    def run_study(self, *options: str) -> None:
        done = subprocess.run([sys.executable, STUDY, *options], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("all: 0 differ", done.stdout)

    def test_texts(self) -> None:
        self.run_study("--megabytes", "0.5")

    def test_fuzz(self) -> None:
        self.run_study("--megabytes", "0.5", "--fuzz-minutes", "0.3", "--seed", "1")


if __name__ == "__main__":
    unittest.main()
