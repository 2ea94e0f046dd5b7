# SPDX-License-Identifier: Apache-2.0
"""countermark.predictions/1 while it is being made: docs/formats.md.

The file has its whole length from the start and lies in a folder beside the output; predictions
are written to their places in any order. `state.json` there says how many batches the disk holds,
and is replaced in one step. So a process that is killed loses what it did since then, its
successor writes the same bytes again, and nothing is ever held or copied whole.
"""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from countermark.error import Error
from countermark.reading import Text

SCHEMA = "countermark.predictions/1"

FILLED_AT_ONCE = 4096  # rows


def layout(metadata: dict[str, str], rows: int, top_k: int) -> tuple[bytes, dict[str, int], int]:
    """What a safetensors file begins with, where each tensor's bytes begin, and the size of the file."""
    shapes = {"ids": ("I32", [rows]), "doc": ("I32", [rows]), "position": ("I32", [rows]),
              "topIds": ("I32", [rows, top_k]), "topLogProb": ("F32", [rows, top_k])}
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name, (dtype, shape) in shapes.items():
        begin, end = end, end + 4 * rows * (shape[1] if len(shape) == 2 else 1)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    said = json.dumps(header, separators=(",", ":")).encode()
    said += b" " * (-len(said) % 8)
    begins = {name: 8 + len(said) + header[name]["data_offsets"][0] for name in shapes}
    return len(said).to_bytes(8, "little") + said, begins, 8 + len(said) + end


def read_sha256(text: Text) -> str:
    """Of what was read: the bytes of ids, doc and position, as they stand in the file."""
    digest = hashlib.sha256()
    for column in text.rows():
        digest.update(column.astype("<i4").tobytes())
    return digest.hexdigest()


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def differences(ours: dict[str, str], theirs: dict[str, str]) -> list[str]:
    """Names of the fields that differ; of settings each by its own name."""
    names = sorted(name for name in {*ours, *theirs} - {"settings"} if ours.get(name) != theirs.get(name))
    a, b = json.loads(ours["settings"]), json.loads(theirs.get("settings", "{}"))
    return names + sorted(name for name in {*a, *b} if a.get(name) != b.get(name))


class Work:
    """A file of predictions in the making, this process's alone until it is closed.

    metadata: strings, without `created`. sparse: not every row is written, and those that are not say
    that nothing was predicted. Raises Error: "exists" when the output is there and may not
    be replaced, or the folder holds work on something else; "io".
    """

    def __init__(self, output: Path, metadata: dict[str, str], text: Text, top_k: int, *, force: bool = False,
                 sparse: bool = False) -> None:
        self.output = output
        self.folder = output.with_name(output.name + ".parts")
        self.done = 0  # batches
        self._force = force
        self._refuse_to_replace()
        self.folder.mkdir(exist_ok=True)
        self._lock = (self.folder / "lock").open("wb")
        try:
            self._take_lock()
            self._metadata = metadata | {"created": self._go_on(metadata)}
            prefix, self._begins, size = layout(self._metadata, len(text.ids), top_k)
            self._file: BinaryIO = (self.folder / "predictions").open("r+b" if self.done else "w+b")
        except BaseException:
            self._lock.close()
            raise
        self._row = 4 * top_k
        if self.done == 0:
            os.posix_fallocate(self._file.fileno(), 0, size)  # too small a disk shows before the work
            self._file.write(prefix)
            for column in text.rows():
                self._file.write(column.astype("<i4").tobytes())
            if sparse:
                for first in range(0, len(text.ids), FILLED_AT_ONCE):
                    shape = (min(FILLED_AT_ONCE, len(text.ids) - first), top_k)
                    self.write(first, np.full(shape, -1), np.full(shape, -np.inf))
            self.save(0)

    def write(self, first: int, ids: np.ndarray, log_probs: np.ndarray) -> None:
        """Predictions of the rows from `first` on: rows x top_k."""
        for name, data in (("topIds", ids.astype("<i4").tobytes()), ("topLogProb", log_probs.astype("<f4").tobytes())):
            self._file.seek(self._begins[name] + first * self._row)
            self._file.write(data)

    def save(self, done: int) -> None:
        """So many batches are written, and are on the disk when this returns."""
        self._file.flush()
        os.fsync(self._file.fileno())
        state = {"metadata": self._metadata, "done": done}
        fresh = self.folder / "state.json.new"
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.folder / "state.json")
        self.done = done

    def finish(self, done: int) -> None:
        """Puts the file into its place and removes the folder."""
        self.save(done)
        self._refuse_to_replace()
        (self.folder / "predictions").replace(self.output)
        shutil.rmtree(self.folder)
        self.close()

    def close(self) -> None:
        """Leaves the work to whoever goes on with it. May be called again."""
        self._file.close()
        self._lock.close()

    def _refuse_to_replace(self) -> None:
        if self.output.exists() and not self._force:
            raise Error(f"{self.output}: exists (--force replaces it)", "exists", str(self.output))

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Error(f"{self.folder}: another process works there", "exists", str(self.folder)) from None

    def _go_on(self, metadata: dict[str, str]) -> str:
        """When the work began, which may be now."""
        # One without the other has been finished, all but the removal of the folder.
        if not all((self.folder / name).exists() for name in ("state.json", "predictions")):
            return now()
        try:
            state = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))
            begun, done = state["metadata"], int(state["done"])
            created = str(begun.pop("created"))
            differ = differences(metadata, begun)
        except (ValueError, LookupError, TypeError, AttributeError):
            raise Error(f"{self.folder}/state.json: expected a state of this program: remove the folder",
                        "invalid-input", f"{self.folder}/state.json") from None
        if differ:
            raise Error(f"{self.folder}: holds work that differs in {', '.join(differ)}: repeat the former command, "
                        "or remove the folder", "exists", str(self.folder))
        self.done = done
        return created
