# SPDX-License-Identifier: Apache-2.0
"""A text in two tokenizers: its own, in which a mark is looked for, and that of a suspect which reads it.

Both cut the same bytes. Where a token of one ends together with a token of the other, what the suspect expects next
is a prediction for the text's next token; and where the suspect's token spells what one token of the text's tokenizer
spells, it is that token. Whatever is left over has no prediction. Of text that is not marked none of it depends on a
key; in marked text which places are left depends on the tokens that stand there, and so on the key
(docs/statistics.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import countermark
from countermark.error import Error
from countermark.reading import Special, Text

NONE = -1  # no token of the text's tokenizer; no row of the text


def ids_of(file: Path) -> dict[str, int] | None:
    """Each token's id, where the file is a tokenizer.json."""
    import tokenizers

    try:
        return dict(tokenizers.Tokenizer.from_file(str(file)).get_vocab(with_added_tokens=True))
    except Exception:  # the library raises no narrower one
        return None


def have_same_ids(one: Path, other: Path) -> bool:
    """Whether every token of either file, each a tokenizer.json, has the same id in both."""
    ids = ids_of(one)
    return ids is not None and ids == ids_of(other)


class Spelling:
    """The bytes that each id of a tokenizer stands for within a text."""

    def __init__(self, tokenizer: countermark.Tokenizer) -> None:
        self._tokenizer = tokenizer
        before = tokenizer.encode("a")  # at the beginning of a text some leave out a space
        skip = len(self.text(before))
        self.of = [self._spelled(before, i)[skip:] for i in range(tokenizer.vocab_size)]

    def text(self, ids: Sequence[int]) -> bytes:
        return self._tokenizer.decode(ids, errors="surrogateescape").encode("utf-8", "surrogateescape")

    def _spelled(self, before: Sequence[int], i: int) -> bytes:
        try:
            return self.text([*before, i])
        except Error:  # a gap between the ids
            return b""

    def by_spelling(self, most: int) -> dict[bytes, int]:
        """The id of each, below `most`. Of several the first, but of single bytes the last: those of a vocabulary with
        tokens for bytes that no other one covers stand before its own characters."""
        out: dict[bytes, int] = {}
        for i, spelled in enumerate(self.of[:most]):
            if spelled and (len(spelled) == 1 or spelled not in out):
                out[spelled] = i
        return out

    def ends(self, ids: Sequence[int], text: bytes) -> np.ndarray | None:
        """How many bytes of the text end with each token: int64[tokens]. None where they do not spell it."""
        parts = [self.of[i] for i in ids]
        spelled = b"".join(parts)
        left_out = len(spelled) - len(text)
        if spelled != text and not (left_out == 1 and spelled == b" " + text):
            return None
        out: np.ndarray = np.cumsum([len(part) for part in parts], dtype=np.int64) - left_out
        return out


def whole_characters(text: bytes) -> str | None:
    """Without a character at the end that is not whole. None where the text is no UTF-8."""
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        if error.start < len(text) - 3:
            return None
        return text[:error.start].decode()


class Alignment:
    """Of a text's tokenizer and a suspect's.

    tokens: int32[vocabulary], for each id of the suspect's the one of the text's tokenizer that spells the same, or
    NONE; no id stands there twice.
    """

    def __init__(self, text: countermark.Tokenizer, suspect: countermark.Tokenizer, vocabulary: int) -> None:
        """vocabulary: logits of the suspect, some of which may belong to no token."""
        self._suspect = suspect
        self.text_vocabulary = text.vocab_size
        self._text, self._own = Spelling(text), Spelling(suspect)
        known = self._text.by_spelling(text.vocab_size)
        self.tokens: np.ndarray = np.full(vocabulary, NONE, dtype=np.int32)
        for spelled, i in self._own.by_spelling(vocabulary).items():
            self.tokens[i] = known.get(spelled, NONE)

    def align(self, ids: Sequence[int]) -> tuple[list[int], np.ndarray] | None:
        """A document as the suspect reads it, and for each of its tokens the one of `ids` that ends with it, by its
        place, or NONE. None where it cannot be said: tokens that spell no UTF-8, or a suspect that changes the text.
        """
        text = whole_characters(self._text.text(ids))
        if text is None:
            return None
        own = self._suspect.encode(text)
        spelled = text.encode()
        theirs, ends = self._text.ends(ids, self._text.text(ids)), self._own.ends(own, spelled)
        if theirs is None or ends is None:
            return None
        # Of several tokens that end together the last: those behind it are without bytes.
        places = np.searchsorted(theirs, ends, side="right") - 1
        is_end = (places >= 0) & (theirs[np.maximum(places, 0)] == ends)
        is_end[:-1] &= np.diff(ends) > 0
        return own, np.where(is_end, places, NONE)

    def read(self, text: Text, special: Special = Special()) -> tuple[Text, np.ndarray, int]:
        """All documents as the suspect reads them; for each of its tokens the row of `text`, or NONE; and how many
        documents could not be aligned, of which it reads nothing."""
        found, rows, lost = [], [], 0
        for begin, end in zip(text.starts.tolist(), text.starts.tolist()[1:]):
            aligned = self.align(text.ids[begin:end].tolist())
            if aligned is None:
                lost += 1
                aligned = [], np.zeros(0, dtype=np.int64)
            own, places = aligned
            head, tail = (list(special.head), list(special.tail)) if own else ([], [])
            found.append(np.array([*head, *own, *tail], dtype=np.int32))
            rows += [np.full(len(head), NONE), np.where(places == NONE, NONE, places + begin), np.full(len(tail), NONE)]
        starts = np.cumsum([0, *map(len, found)], dtype=np.int64)
        if starts[-1] == 0:
            raise Error("the text could not be aligned with the suspect's tokenizer", "mismatch")
        return Text(np.concatenate(found), starts), np.concatenate(rows).astype(np.int64), lost


class AlignedWork:
    """Writes a suspect's predictions to the rows of the text, where there is one."""

    def __init__(self, work: Any, alignment: Alignment, rows: np.ndarray) -> None:
        self._work, self._tokens, self._rows = work, alignment.tokens, rows

    def write(self, first: int, ids: np.ndarray, log_probs: np.ndarray) -> None:
        for row, own, likely in zip(self._rows[first:first + len(ids)].tolist(), ids, log_probs):
            if row != NONE:
                self._work.write(row, self._tokens[own][None], likely[None])
