# SPDX-License-Identifier: Apache-2.0
"""The file of answers, countermark.answers/1: when the answers in it are those that are asked for now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from countermark.lines import Lines, expect_same
from countermark.questions import Question

SCHEMA = "countermark.answers/1"


class Answers(Lines):
    """Opens the file, makes it where it is missing; force: empties it. Raises Error."""

    def __init__(self, path: str, *, force: bool = False) -> None:
        super().__init__(path, SCHEMA, "countermark.ask", force=force)

    def resume(self, questions: Mapping[str, Question], fixed: Mapping[str, Any]) -> set[str]:
        """The ids of the answers that are there; half a line at the end is removed.

        Refused with "exists", and untouched, when a line is none of ours, was asked otherwise than the question of its
        id, or has other values of `fixed`.
        """
        return self.go_on(lambda record: _same(record, questions, fixed))


def _same(record: Mapping[str, Any], questions: Mapping[str, Question], fixed: Mapping[str, Any]) -> str:
    """The id of an answer to one of the questions. ValueError: what it is instead."""
    if not isinstance(record["requested"], dict):
        raise ValueError(f"expected {SCHEMA}")
    expect_same(record, fixed)
    question = questions.get(record["id"])
    if question is None:
        raise ValueError(f"id {record['id']!r} is not asked now; was --count another?")
    expect_same(record["requested"], question.requested, "requested ")
    if record.get("prompt") != question.prompt:
        raise ValueError("the prompt was sent otherwise, with another --system or none")
    return question.id
