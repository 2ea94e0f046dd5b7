# SPDX-License-Identifier: Apache-2.0
"""Which answers of a server's transcripts the test of served answers may use.

An answer that is the only one to its account and prompt, and whole. Where there are several none is taken: a client may
have chosen among them, and so would a rule. `time` is when an answer was over, so that the first of those that were
asked for at once is the shortest. Among the regenerations nobody has chosen. `countermark audit --transcripts` checks
the same once more.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import countermark
from countermark.error import Error
from countermark.transcript import Transcript, read_transcripts

WITHOUT_PROMPT = "without promptIds"
SEVERAL = "among several to their account and prompt"
ABORTED = "given up before their end"
NO_FINISH = "with finish null"
REPEATED = "like another to the same prompt"
SAME_ID = "with an id that comes twice"
OTHER_MARK = "under another key, epoch or profile, or unmarked"
MARKED = "under a key, which -k has to give"


class Mark(NamedTuple):
    """Whose marks the answers carry: as the transcripts name them."""

    key_id: str | None
    epoch: str | None
    profile: str


class Served(NamedTuple):
    id: str
    account: str | None
    cohort: str | None
    slots: Sequence[int]
    prompt: Sequence[int]
    ids: Sequence[int]
    finish: str | None
    is_control: bool  # served at or after the suspect's release


def time_of(text: str) -> str:
    """As transcripts write it. ValueError for what is no time in UTC."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return text + "T00:00:00.000Z"
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{3})?Z", text)
    if not found:
        raise ValueError(text)
    return found[1] + (found[2] or ".000") + "Z"


def question_of(record: Transcript) -> bytes:
    """Account and prompt."""
    prompt = record.get("promptSha256") or countermark.prompt_sha256(record["promptIds"])
    return _short(f"{record['account'] or ''}\n{prompt}")


def choose(path: str, *, mark: Mark | None, account: str | None = None, released: str | None = None,
           limit: int | None = None) -> tuple[list[Served], Counter[str]]:
    """The answers, in the file's order, and how many others there are for which reason.

    mark: of the answers that are wanted; None: unmarked ones. limit: of the answers, and of the controls. Reads the
    file twice. Memory: some 200 bytes for each answer in it. Raises Error.
    """
    answers: Counter[bytes] = Counter()  # to each question, whole or not
    named: Counter[bytes] = Counter()
    for record in read_transcripts(path):
        answers[question_of(record)] += 1
        named[_short(record["id"])] += 1

    taken: list[Served] = []
    left_out: Counter[str] = Counter()
    exchanges: set[bytes] = set()
    full = Counter[bool]()
    for record in read_transcripts(path):
        if account is not None and record["account"] != account:
            continue
        is_control = released is not None and record["time"] >= released
        if full[is_control] == limit:
            continue
        why = _unfit(record, mark)
        prompt = record.get("promptIds", [])
        exchange = _short(repr((prompt, record["ids"])))
        if why is None and named[_short(record["id"])] != 1:
            why = SAME_ID
        if why is None and answers[question_of(record)] != 1:
            why = SEVERAL
        if why is None and exchange in exchanges:
            why = REPEATED
        if why is not None:
            left_out[why] += 1
            continue
        exchanges.add(exchange)
        full[is_control] += 1
        taken.append(Served(record["id"], record["account"], record["cohort"], record["slots"], prompt, record["ids"],
                            record["finish"], is_control))
    if not taken:
        reasons = f" ({said(left_out)})" if left_out else ""
        raise Error(f"{path}: no answer to make regenerations of{reasons}",
                    "mismatch" if left_out[OTHER_MARK] + left_out[MARKED] else "invalid-input", path)
    return taken, left_out


def said(left_out: Counter[str]) -> str:
    return ", ".join(f"{number} {why}" for why, number in sorted(left_out.items()))


def _short(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:16]


def _unfit(record: Transcript, mark: Mark | None) -> str | None:
    if not record.get("promptIds"):
        return WITHOUT_PROMPT
    if record["finish"] == "aborted":
        return ABORTED
    if record["finish"] is None:
        return NO_FINISH
    if mark is None:
        return MARKED if record["keyId"] is not None else None
    return None if Mark(record["keyId"], record["epoch"], record["profile"]) == mark else OTHER_MARK
