# SPDX-License-Identifier: Apache-2.0
"""What the tests share: a folder with a key and answers that the command line marked.

COUNTERMARK_PROGRAM names the program; without it the one on the PATH is used.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

import countermark

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "tests" / "support"))

from key_text import key_text, secret_of

PROGRAM = os.environ.get("COUNTERMARK_PROGRAM", "countermark")
PROFILE = ROOT / "corpora" / "model" / "profile.json"
TOKENIZER = ROOT / "corpora" / "model" / "tokenizer.json"


def master(name: str = "ours") -> countermark.Key:
    """The master key that the name determines."""
    return countermark.Key.parse(key_text(secret_of(name)))


def call(*arguments: object) -> str:
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, check=False)
    assert done.returncode == 0, f"{arguments}: {done.stderr.decode()}"
    return done.stdout.decode()


def export(form: str, path: Path) -> None:
    """Writes the embedded model for an engine: form is --hf or --gguf."""
    subprocess.run([sys.executable, ROOT / "corpora" / "export.py", form, path], check=True, capture_output=True)


def blocks(page: str) -> list[tuple[str, str]]:
    """The language and the text of each block of a page in docs/."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def run_page(page: str, folder: Path) -> str:
    """What a page's shell and Python blocks print, run as one program; installing is left out."""
    program = "import subprocess\n"
    for language, block in blocks(page):
        if language == "python":
            program += block
        elif language == "sh" and "pip install" not in block:
            program += f"subprocess.run({block!r}, shell=True, check=True)\n"
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False,
                          env={**os.environ, "PATH": f"{Path(PROGRAM).resolve().parent}:{os.environ['PATH']}"})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def own_layer(words: Any, account: str, key: countermark.Key, profile: countermark.Profile,
              tokenizer: countermark.Tokenizer | None = None) -> float:
    """log10 of the p-value of the account's own layer; words are ids or, with a tokenizer, text."""
    found = countermark.Detector(key, profile, tokenizer, account=account).detect(words)
    return found["streams"][0]["log10P"]


class Case(unittest.TestCase):
    def refused(self, code: str, make: Any, *arguments: object, **keywords: object) -> countermark.Error:
        with self.assertRaises(countermark.Error) as caught:
            make(*arguments, **keywords)
        self.assertEqual(caught.exception.code, code, str(caught.exception))
        return caught.exception

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)


class Exported(Case):
    """The embedded model as a folder of transformers; torch has one thread."""

    @classmethod
    def setUpClass(cls) -> None:
        import torch

        super().setUpClass()
        cls.addClassCleanup(torch.set_num_threads, torch.get_num_threads())
        torch.set_num_threads(1)
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.shared = Path(temporary.name)
        cls.exported = cls.shared / "exported"
        export("--hf", cls.exported)
        cls.tokenizer = countermark.Tokenizer.load(TOKENIZER)
        cls.words = cls.tokenizer.encode((ROOT / "docs" / "mark.md").read_text(encoding="utf-8"))


class Answers(Case):
    """A key, and answers to alice in countermark.generate/1."""

    @classmethod
    def setUpClass(cls) -> None:
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        folder = Path(temporary.name)
        cls.key_path = folder / "epoch.key"
        cls.key = master().epoch("demo", "2026-11")
        cls.key.save(cls.key_path)
        (folder / "prompts.txt").write_text("The server\nA function\nWhen the file\n")
        cls.answers_path = folder / "answers.jsonl"
        call("generate", "-k", cls.key_path, "--account", "alice", "--cohort", "c1", "--prompts",
             folder / "prompts.txt", "-n", 120, "--exact", "--seed", "00112233", "--json", "-o", cls.answers_path)
        cls.answers = [json.loads(line) for line in cls.answers_path.read_text().splitlines()]
        cls.profile = countermark.Profile.load(PROFILE)
        cls.tokenizer = countermark.Tokenizer.load(TOKENIZER)

    def detector(self, **claim: Any) -> countermark.Detector:
        return countermark.Detector(self.key, self.profile, self.tokenizer, **claim)
