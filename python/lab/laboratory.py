# SPDX-License-Identifier: Apache-2.0
"""Where results lie, each under the digest of all that it depends on: nothing is made twice, nothing half."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent


class Busy(Exception):
    """Another process is making it."""


def plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def digest_of(settings: Any) -> str:
    """16 hex digits."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"), default=plain)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Laboratory:
    """cache: the folder of results. program: countermark. source: of human text, see texts.documents.

    is_reading: nothing is made; the folder of what is missing is named all the same.
    """

    cache: Path
    program: str
    source: str = "debian"
    is_reading: bool = False

    def folder(self, stage: str, settings: Any) -> Path:
        """Where a result is, or will be: its name is what others that depend on it name it by."""
        return self.cache / f"{stage}-{digest_of(settings)}"

    def make(self, stage: str, settings: Any, build: Callable[[Path], None]) -> Path:
        """The folder of a result; what is missing is built beside it and takes its place whole. Raises Busy."""
        folder = self.folder(stage, settings)
        if folder.is_dir() or self.is_reading:
            return folder
        self.cache.mkdir(parents=True, exist_ok=True)
        with open(self.cache / f".{folder.name}.lock", "w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy(folder.name) from None
            if folder.is_dir():
                return folder
            unfinished = self.cache / f".{folder.name}.new"
            shutil.rmtree(unfinished, ignore_errors=True)  # what a process left that was killed
            unfinished.mkdir()
            (unfinished / "settings.json").write_text(
                json.dumps(settings, indent=2, default=plain) + "\n", encoding="utf-8")
            build(unfinished)
            os.rename(unfinished, folder)
        return folder
