# SPDX-License-Identifier: Apache-2.0
"""A reading text, and the windows in which a model of bounded length reads it: for countermark.predict.

Documents that fit are one window. A longer one is cut: each window goes on where the one before it
ended, and reads that one's last `stride` tokens again, of which nothing is predicted. So each
position is predicted once, with `stride` tokens before it at least where the document has so many.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from countermark.error import Error
from countermark.transcript import read_transcripts

PIECE = 1 << 20

Encode = Callable[[str], Sequence[int]]


def sha256_of(path: Path) -> str:
    """Of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


@dataclass(frozen=True)
class Text:
    """The token ids of all documents, one after the other: 4 bytes a token, held whole.

    ids: int32[tokens]. starts: int64[documents + 1], where each document begins; the last is the number of tokens.
    """

    ids: np.ndarray
    starts: np.ndarray

    @property
    def documents(self) -> int:
        return len(self.starts) - 1

    def rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """ids, doc, position: int32[tokens] each."""
        lengths = np.diff(self.starts)
        doc: np.ndarray = np.repeat(np.arange(self.documents, dtype=np.int32), lengths)
        position = np.arange(len(self.ids), dtype=np.int64) - np.repeat(self.starts[:-1], lengths)
        return self.ids, doc, position.astype(np.int32)


@dataclass(frozen=True)
class Special:
    """What is read before and behind each document's own tokens."""

    head: Sequence[int] = ()
    tail: Sequence[int] = ()


def read_text(path: Path, encode: Encode | None, *, vocabulary: int, text_field: str = "text",
              ids_field: str | None = None, transcripts: bool = False, special: Special = Special(),
              limit: int | None = None) -> Text:
    """The documents of a .txt (one) or .jsonl file (one a line), of which the first `limit` tokens. Of transcripts each
    prompt and its answer, by their ids.

    encode: of texts; not needed where ids are read. Raises Error, which names file and line, also for
    ids that are not below vocabulary.
    """
    found: list[np.ndarray] = []
    tokens = 0
    for where, words in _exchanges(path) if transcripts else _records(path, text_field, ids_field):
        if isinstance(words, str):
            assert encode is not None
            try:
                words = list(encode(words))
            except ValueError as error:  # of text: surrogates
                _fail(where, str(error))
        for word in words:
            if type(word) is not int or not 0 <= word < vocabulary:
                _fail(where, f"expected token ids from 0 to {vocabulary - 1}, found {json.dumps(word)[:40]}")
        ids = np.array([*special.head, *words, *special.tail], dtype=np.int32)
        if limit is not None:
            ids = ids[:limit - tokens]
        found.append(ids)
        tokens += len(ids)
        if tokens == limit:
            break
    if tokens == 0:
        _fail(str(path), "expected a token to read")
    starts = np.cumsum([0, *map(len, found)], dtype=np.int64)
    return Text(np.concatenate(found), starts)


def _exchanges(path: Path) -> Iterator[tuple[str, Any]]:
    for number, record in enumerate(read_transcripts(path), 1):
        yield f"{path} (record {number})", [*record.get("promptIds", []), *record["ids"]]


def _records(path: Path, text_field: str, ids_field: str | None) -> Iterator[tuple[str, Any]]:
    """Where it stands, and a text or a list."""
    if path.suffix.lower() not in (".txt", ".jsonl"):
        raise Error(f"{path}: expected a name that ends in .txt or .jsonl", "invalid-argument", str(path))
    if path.suffix.lower() == ".txt":
        if ids_field is not None:
            raise Error(f"{path}: --ids-field is for .jsonl", "invalid-argument", str(path))
        yield str(path), _decoded(str(path), path.read_bytes())
        return
    field, kind, name = (ids_field, list, "token ids") if ids_field is not None else (text_field, str, "text")
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            try:
                value = json.loads(_decoded(where, line))
            except json.JSONDecodeError as error:
                _fail(where, f"expected JSON: {error.msg} at character {error.pos}")
            except RecursionError:
                _fail(where, "expected JSON that is less deep")
            for part in field.split("."):
                if isinstance(value, dict) and part in value:
                    value = value[part]
                elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
                    value = value[int(part)]
                else:
                    _fail(where, f"no field {field}")
            if not isinstance(value, kind):
                _fail(where, f"expected {name} in {field}")
            yield where, value


def _decoded(where: str, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        _fail(where, f"expected UTF-8 (byte {error.start})")


def _fail(where: str, message: str) -> NoReturn:
    raise Error(f"{where}: {message}", "invalid-input", where)


@dataclass(frozen=True)
class Window:
    """Tokens of the text that are read at once: those from `context` on, predicted from `first` on.

    continues: what is read before each document's own tokens is read again before these.
    """

    context: int
    first: int
    end: int
    continues: bool


class Windows:
    """All windows of a text in batches of similar lengths, long ones first: what does not fit into
    memory fails at once. Which these are follows from the text and the numbers given."""

    def __init__(self, text: Text, *, max_length: int, stride: int, head: int, batch_tokens: int) -> None:
        if not 0 <= head + stride < max_length:
            raise ValueError("windows have to advance")
        cut = array("q")
        for start, stop in zip(text.starts.tolist(), text.starts.tolist()[1:]):
            end = min(start + max_length, stop)
            if end > start:
                cut.extend((start, start, end, 0))
            while end < stop:
                first, end = end, min(end + max_length - head - stride, stop)
                cut.extend((first - stride, first, end, 1))
        windows = np.frombuffer(cut, dtype=np.int64).reshape(-1, 4)
        lengths = windows[:, 2] - windows[:, 0] + head * windows[:, 3]
        order = np.argsort(-lengths, kind="stable")
        self._windows, lengths = windows[order], lengths[order]
        self._bounds = [0]
        while self._bounds[-1] < len(lengths):
            longest = int(lengths[self._bounds[-1]])
            self._bounds.append(min(self._bounds[-1] + max(1, batch_tokens // longest), len(lengths)))

    def __len__(self) -> int:
        """Number of batches."""
        return len(self._bounds) - 1

    def __getitem__(self, batch: int) -> list[Window]:
        if not 0 <= batch < len(self):
            raise IndexError(batch)
        rows = self._windows[self._bounds[batch]:self._bounds[batch + 1]].tolist()
        return [Window(context, first, end, bool(continues)) for context, first, end, continues in rows]

    def predicted(self, batches: int) -> int:
        """Tokens of the first so many batches."""
        windows = self._windows[:self._bounds[batches]]
        return int((windows[:, 2] - windows[:, 1]).sum())
