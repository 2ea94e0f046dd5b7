# SPDX-License-Identifier: Apache-2.0
"""A file of results that grows: whole lines of one schema, appended, by one process at a time, never rewritten.

A line is one write, so that a process that is killed leaves at most half a line, and the next one removes it.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import sys
from collections.abc import Callable, Mapping
from typing import Any

from countermark.error import Error

Same = Callable[[dict[str, Any]], str]


class Lines:
    """Opens the file, makes it where it is missing; force: empties it. Raises Error.

    program: in whose name something is said.
    """

    def __init__(self, path: str, schema: str, program: str, *, force: bool = False) -> None:
        self._path, self._schema, self._program = path, schema, program
        self._beginning = f'{{"schema":"{schema}",'.encode()  # of every line
        try:
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
        except OSError as error:
            raise Error(f"{path}: cannot write: {error.strerror}", "io", path) from None
        try:
            if not stat.S_ISREG(os.fstat(self._file).st_mode):
                raise Error(f"{path}: expected a regular file", "io", path)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise Error(f"{path}: another process writes it", "io", path) from None
        except Error:
            self.close()
            raise
        except OSError:
            pass  # a file system without locks
        if force:
            os.ftruncate(self._file, 0)

    def go_on(self, same: Same) -> set[str]:
        """The ids of the records that are there; half a line at the end is removed.

        same: the id of a record that this run would make, too; KeyError for one without a field that all have,
        ValueError that says what it is instead. Then, and when a line is none of the schema, the file is refused with
        "exists", and untouched.
        """
        ids: set[str] = set()
        size = lines = 0
        last = b""
        with open(self._file, "rb", closefd=False) as file:
            file.seek(0)
            for data in file:
                if not data.endswith(b"\n"):
                    last = data
                    break
                size += len(data)
                lines += 1
                record = self._record(data)
                try:
                    if record is None:
                        raise ValueError(f"expected {self._schema}")
                    ids.add(same(record))
                except KeyError:
                    self._refuse(lines, f"expected {self._schema}")
                except ValueError as error:
                    self._refuse(lines, str(error))
        if last:
            if not last.startswith(self._beginning) and not self._beginning.startswith(last):
                self._refuse(lines + 1, f"expected {self._schema}")
            os.ftruncate(self._file, size)
            print(f"{self._program}: {self._path}: removed half a line ({len(last)} bytes) at the end",
                  file=sys.stderr)
        return ids

    def append(self, record: Mapping[str, Any]) -> None:
        """One line, `schema` in front, in one write."""
        whole = {"schema": self._schema, **record}
        line = json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        try:
            written = os.write(self._file, line)
        except OSError as error:
            raise Error(f"{self._path}: cannot write: {error.strerror}", "io", self._path) from None
        if written != len(line):
            raise Error(f"{self._path}: cannot write: the disk is full", "io", self._path)

    def close(self) -> None:
        os.close(self._file)

    def _record(self, line: bytes) -> dict[str, Any] | None:
        if not line.startswith(self._beginning):
            return None
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            return None
        return record if isinstance(record, dict) and isinstance(record.get("id"), str) else None

    def _refuse(self, line: int, why: str) -> None:
        raise Error(f"{self._path} (line {line}): {why}; give another file, or --force to start over", "exists",
                    self._path, f"line {line}")


def expect_same(record: Mapping[str, Any], now: Mapping[str, Any], of: str = "") -> None:
    """ValueError that names the first field of `now` that was another."""
    for name, value in now.items():
        if record.get(name) != value:
            raise ValueError(f"{of}{name} was {_short(record.get(name))}, is {_short(value)} now")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + "..."
