# SPDX-License-Identifier: Apache-2.0
"""The file of answers, countermark.answers/1: whole lines, appended, by one process at a time, never rewritten.

A line is one write, so that a process that is killed leaves at most half a line, and the next one removes it.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import sys
from collections.abc import Mapping
from typing import Any

from countermark.error import Error
from countermark.questions import Question

SCHEMA = "countermark.answers/1"
BEGINNING = f'{{"schema":"{SCHEMA}",'.encode()  # of every line


class Answers:
    """Opens the file, makes it where it is missing; force: empties it. Raises Error."""

    def __init__(self, path: str, *, force: bool = False) -> None:
        self._path = path
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

    def resume(self, questions: Mapping[str, Question], fixed: Mapping[str, Any]) -> set[str]:
        """The ids of the answers that are there; half a line at the end is removed.

        Refused with "exists", and untouched, when a line is none of ours, was asked otherwise than the question of its
        id, or has other values of `fixed`.
        """
        ids: set[str] = set()
        size = 0
        last = b""
        with open(self._file, "rb", closefd=False) as file:
            file.seek(0)
            for line, data in enumerate(file, 1):
                if not data.endswith(b"\n"):
                    last = data
                    break
                size += len(data)
                try:
                    ids.add(_same(data, questions, fixed))
                except ValueError as error:
                    self._refuse(line, str(error))
        if last:
            if not last.startswith(BEGINNING) and not BEGINNING.startswith(last):
                self._refuse(len(ids) + 1, f"expected {SCHEMA}")
            os.ftruncate(self._file, size)
            print(f"countermark.ask: {self._path}: removed half a line ({len(last)} bytes) at the end", file=sys.stderr)
        return ids

    def append(self, record: Mapping[str, Any]) -> None:
        """One line, `schema` in front, in one write."""
        line = json.dumps({"schema": SCHEMA, **record}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        try:
            written = os.write(self._file, line)
        except OSError as error:
            raise Error(f"{self._path}: cannot write: {error.strerror}", "io", self._path) from None
        if written != len(line):
            raise Error(f"{self._path}: cannot write: the disk is full", "io", self._path)

    def close(self) -> None:
        os.close(self._file)

    def _refuse(self, line: int, why: str) -> None:
        raise Error(f"{self._path} (line {line}): {why}; give another file, or --force to start over", "exists",
                    self._path, f"line {line}")


def _same(line: bytes, questions: Mapping[str, Question], fixed: Mapping[str, Any]) -> str:
    """The id of an answer to one of the questions. ValueError: what it is instead."""
    try:
        record = json.loads(line)
        is_ours = line.startswith(BEGINNING) and isinstance(record["id"], str) and isinstance(record["requested"], dict)
    except (ValueError, KeyError, RecursionError):
        is_ours = False
    if not is_ours:
        raise ValueError(f"expected {SCHEMA}")
    for name, value in fixed.items():
        if record.get(name) != value:
            raise ValueError(f"{name} was {record.get(name)!r}, is {value!r} now")
    question = questions.get(record["id"])
    if question is None:
        raise ValueError(f"id {record['id']!r} is not asked now; was --count another?")
    for name, value in question.requested.items():
        if record["requested"].get(name) != value:
            raise ValueError(f"requested {name} was {record['requested'].get(name)!r}, is {value!r} now")
    if record.get("prompt") != question.prompt:
        raise ValueError("the prompt was sent otherwise, with another --system or none")
    return question.id
