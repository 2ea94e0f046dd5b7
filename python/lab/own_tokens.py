# SPDX-License-Identifier: Apache-2.0
"""What a student reads and writes of a teacher's exchanges: the teacher's tokens, or others.

Other tokens are the base's own without every third of its merges from the 256th on, and without what is made of those:
2,211 of 4,096, with which most words are cut elsewhere. An id means what it meant, so the base need not be taught anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import countermark
from cells import Cell
from laboratory import Laboratory
from texts import MODEL, tokenizer
from writing import END, Ids

FIRST, EACH = 256, 3  # merges


def other_tokenizer(lab: Laboratory) -> Path:
    """A folder with its tokenizer.json."""
    def build(folder: Path) -> None:
        described = json.loads((MODEL / "tokenizer.json").read_text(encoding="utf-8"))
        model, gone, kept = described["model"], set(), []
        for i, (left, right) in enumerate(model["merges"]):
            if left in gone or right in gone or (i >= FIRST and i % EACH == 0):
                gone.add(left + right)
            else:
                kept.append([left, right])
        model["merges"] = kept
        model["vocab"] = {token: i for token, i in model["vocab"].items() if token not in gone}
        (folder / "tokenizer.json").write_text(json.dumps(described, ensure_ascii=False) + "\n", encoding="utf-8")

    return lab.make("tokenizer", {"version": 1, "of": tokenizer().sha256, "first": FIRST, "each": EACH}, build)


class OwnTokens:
    """Of one student."""

    def __init__(self, lab: Laboratory, cell: Cell) -> None:
        self._log = cell.log
        self._others = cell.has_own_tokenizer
        self._teacher = tokenizer()
        self._own = self._teacher
        self.missing: list[int] = []  # ids that the student has and its tokenizer has not
        if self._others:
            file = other_tokenizer(lab) / "tokenizer.json"
            self._own = countermark.Tokenizer.load(file)
            known = set(json.loads(file.read_text(encoding="utf-8"))["model"]["vocab"].values())
            self.missing = [i for i in range(self._teacher.vocab_size) if i not in known]

    def text(self, ids: Ids) -> str:
        return self._own.decode(ids, errors="replace")

    def prompt(self, record: dict[str, Any]) -> Ids:
        """All of one length: of other tokens the last ones."""
        if not self._others:
            return list(record["promptIds"])
        return [END, *self._cut_again(record["promptIds"][1:], self._log.prompt)[-self._log.prompt:]]

    def exchange(self, record: dict[str, Any]) -> Ids:
        """All of one length: of other tokens the answer's first ones."""
        answer = record["ids"]
        if self._others:
            answer = self._cut_again(answer, self._log.answer)[:self._log.answer]
        return [*self.prompt(record), *answer]

    def _cut_again(self, ids: Ids, least: int) -> Ids:
        out = self._own.encode(self._teacher.decode(ids, errors="replace"))
        if len(out) < least:
            raise RuntimeError(f"{len(ids)} tokens are {len(out)} of the other tokenizer: at least {least} are needed")
        return out
