# SPDX-License-Identifier: Apache-2.0
"""What the tests of the command line share: the program, which is the first argument, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "tests" / "support"))

from key_text import key_text, secret_of

PROGRAM = Path(sys.argv.pop(1) if len(sys.argv) > 1 else "countermark").resolve()
SEED = "00112233"
MODEL = ROOT / "corpora" / "model"


def schemas(*names: str) -> dict[str, Any]:
    return {name: json.loads((ROOT / "docs" / "schemas" / f"{name}.json").read_text()) for name in names}


def key_file(path: Path, name: str) -> Path:
    """An epoch key that `name`, its epoch, determines."""
    path.write_text(key_text(secret_of(name), "demo", name) + "\n")
    path.chmod(0o600)
    return path


def words_of_licences() -> list[str]:
    """Of the licences that every Debian has: text that nobody marked."""
    words: list[str] = []
    for path in sorted(Path("/usr/share/common-licenses").iterdir()):
        words += path.read_text(errors="replace").split()
    return words


class ProgramTest(unittest.TestCase):
    folder: Path

    @classmethod
    def setUpClass(cls) -> None:
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)

    @classmethod
    def call(cls, *arguments: object, code: int = 0, stdin: bytes = b"",
             env: dict[str, str] | None = None) -> tuple[str, str]:
        """What the program says on both channels; it must end with the code."""
        done = subprocess.run([PROGRAM, *map(str, arguments)], input=stdin, capture_output=True, cwd=cls.folder,
                              env={**os.environ, **(env or {})}, check=False)
        out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        assert done.returncode == code, f"{arguments}: exit {done.returncode}, expected {code}\n{out}\n{err}"
        return out, err

    def file(self, name: str, content: bytes | str, mode: int = 0o600) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return path

    def refused(self, code: int, *arguments: object, says: tuple[str, ...] = (), stdin: bytes = b"") -> str:
        """The command fails with the code, prints nothing, leaves no file, and says why."""
        before = sorted(self.folder.rglob("*"))
        out, err = self.call(*arguments, code=code, stdin=stdin)
        self.assertEqual(out, "")
        self.assertEqual(sorted(self.folder.rglob("*")), before)
        for part in says:
            self.assertIn(part, err)
        return err
