# SPDX-License-Identifier: Apache-2.0
"""What was served to whom: files of countermark.transcript/1 (docs/formats.md)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TypedDict, cast

from countermark._countermark import TranscriptReader as _TranscriptReader


class _Transcript(TypedDict):
    schema: str
    id: str
    time: str
    account: str | None
    cohort: str | None
    epoch: str | None
    slots: list[int]
    profile: str
    keyId: str | None
    ids: list[int]
    text: str | None
    marked: int | None
    finish: str | None


class Transcript(_Transcript, total=False):
    """countermark.transcript/1; docs/schemas/transcript-1.json describes every field.

    Either promptIds or promptSha256 is there.
    """

    promptIds: list[int]
    promptSha256: str


class Transcripts:
    """The records of a file, one after the other, in memory for one. Made by read_transcripts."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._reader = _TranscriptReader(path)

    def __iter__(self) -> Iterator[Transcript]:
        return self

    def __next__(self) -> Transcript:
        """Raises Error for a bad record; the next call goes on behind it."""
        line = self._reader.next_line()
        if line is None:
            raise StopIteration
        return cast(Transcript, json.loads(line))


def read_transcripts(path: str | os.PathLike[str]) -> Transcripts:
    """The records of a file; "-" is standard input.

    Raises Error: "io" when it cannot be opened; from the iteration, "invalid-input" (or
    "unsupported" for a later schema) with the file, the record, its field and the byte offset.
    next() after such an error goes on with the following record.
    """
    return Transcripts(path)
