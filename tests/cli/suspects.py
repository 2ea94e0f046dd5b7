# SPDX-License-Identifier: Apache-2.0
"""What tests of `audit` share: suspects, and what is collected of them."""

from __future__ import annotations

import json
import math
import random
import struct
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import jsonschema

from support import SEED, ProgramTest, key_file, schemas

SCHEMA = schemas("audit-1")["audit-1"]
PROMPTS = ("The server", "A function", "When the file", "The library", "If a user", "This option")


def scores(count: int, lift: float, kind: str = "served", others: int = 4) -> list[dict[str, Any]]:
    """Records of prompts whose served answer is rated `lift` of the range better than chance would have it."""
    draw = random.Random(f"{count} {lift} {kind}")
    return [{"schema": "countermark.scores/1", "id": f"{kind}-{i}", "account": "alice",
             "served": draw.random() + lift, "regenerated": [draw.random() for _ in range(others)],
             "neverServed": kind == "control"} for i in range(count)]


def transcript(record: dict[str, Any], number: int) -> dict[str, Any]:
    return {"schema": "countermark.transcript/1", "id": record["id"],
            "time": f"2026-11-21T10:{number // 60 % 60:02}:{number % 60:02}.000Z", "account": "alice", "cohort": None,
            "epoch": None, "slots": [], "profile": "0" * 64, "keyId": None, "promptIds": [7, number], "ids": [1, number],
            "text": None, "marked": None, "finish": "end"}


def predictions(texts: list[list[int]], predict: Any, read: str | None = None) -> bytes:
    """countermark.predictions/1 of a suspect that expects predict(ids so far) next: a token, or several with p.

    read: digest of the text's file."""
    ids = [i for text in texts for i in text]
    top = [predict(text[:at + 1]) for text in texts for at in range(len(text))]
    rows = [row if isinstance(row, list) else [(row, 0.5)] for row in top]
    k = len(rows[0])
    columns = {"ids": ids, "doc": [n for n, text in enumerate(texts) for _ in text],
               "position": [at for text in texts for at in range(len(text))],
               "topIds": [token for row in rows for token, _ in row],
               "topLogProb": [math.log(p) for row in rows for _, p in row]}
    header: dict[str, Any] = {"__metadata__": {"schema": "countermark.predictions/1", "suspect": "n-grams",
                                               "readSha256": "0" * 64}}
    if read is not None:
        header["__metadata__"]["inputSha256"] = read
    data = b""
    for name, column in columns.items():
        kind = "f" if name == "topLogProb" else "i"
        more = struct.pack(f"<{len(column)}{kind}", *column)
        header[name] = {"dtype": f"{kind.upper()}32", "shape": [len(ids), k] if name.startswith("top") else [len(ids)],
                        "data_offsets": [len(data), len(data) + len(more)]}
        data += more
    said = json.dumps(header).encode()
    return struct.pack("<Q", len(said)) + said + data


class Student:
    """Counts what followed the last three, two, one or no tokens in what it was trained on, and expects it again."""

    def __init__(self, texts: list[list[int]]) -> None:
        self.seen: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for text in texts:
            for at, token in enumerate(text):
                for width in range(min(at, 3) + 1):
                    self.seen[tuple(text[at - width:at])][token] += 1

    def __call__(self, read: list[int]) -> int:
        for width in (3, 2, 1, 0):
            if found := self.seen.get(tuple(read[len(read) - width:])):
                return min(found, key=lambda token: (-found[token], token))
        return 0


    def several(self, read: list[int]) -> list[tuple[int, float]]:
        """Eight tokens with their probabilities: of each length of context a part, and the rest for any token."""
        chances: dict[int, float] = defaultdict(float)
        part = 0.6
        for width in (3, 2, 1, 0):
            found = self.seen.get(tuple(read[len(read) - width:])) if len(read) >= width else None
            if not found:
                continue
            for token, count in found.most_common(20):
                chances[token] += part * count / found.total()
            part *= 0.4
        chances |= {token: chances[token] + 1e-4 for token in range(8)}
        return sorted(chances.items(), key=lambda item: (-item[1], item[0]))[:8]


def copier(read: list[int]) -> int:
    """Knows nothing but what it reads: what stood there behind the last two tokens."""
    for at in range(len(read) - 1, 1, -1):
        if read[at - 2:at] == read[-2:]:
            return read[at]
    return 0


class AuditCase(ProgramTest):
    """Has a key, logs of two accounts and texts that were marked under it, and texts that were not."""

    key: Path
    ids: dict[str, list[list[int]]]
    logs: dict[str, list[dict[str, Any]]]  # by account
    marked: list[dict[str, Any]]
    unmarked: list[dict[str, Any]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.key = key_file(cls.folder / "epoch.key", "2026-11")
        (cls.folder / "prompts.txt").write_text("".join(f"{prompt}\n" for prompt in PROMPTS))
        cls.ids, cls.logs = {}, {}
        for account in ("alice", "bob"):
            out, _ = cls.call("generate", "-k", cls.key, "--prompts", "prompts.txt", "-n", 150, "--exact", "--count", 4,
                              "--seed", f"{len(account):02}" * 8, "--json", "--account", account)
            cls.logs[account] = [
                {**transcript({"id": f"{account}-{i}"}, i), "account": account, "epoch": "2026-11", "text": answer["text"],
                 **{name: answer[name] for name in ("slots", "profile", "keyId", "ids", "marked")}}
                for i, answer in enumerate(map(json.loads, out.splitlines()))]
        for name, flags in (("marked", ("--account", "alice")), ("unmarked", ("--unmarked",))):
            out, _ = cls.call("generate", "-k", cls.key, "--prompts", "prompts.txt", "-n", 150, "--exact", "--count", 4,
                              "--seed", SEED, "--json", *flags)
            cls.ids[name] = [json.loads(line)["ids"] for line in out.splitlines()]
            setattr(cls, name, [{"id": str(i), "prompt": answer["prompt"], "response": answer["text"]}
                                for i, answer in enumerate(map(json.loads, out.splitlines()))])

    def lines(self, name: str, records: list[dict[str, Any]]) -> Path:
        return self.file(name, "".join(json.dumps(record) + "\n" for record in records))

    def audit(self, *arguments: object, code: int = 0) -> dict[str, Any]:
        out, err = self.call("audit", "--json", *arguments, code=code)
        self.assertEqual(err, "")
        value = json.loads(out)
        jsonschema.validate(value, SCHEMA)
        return value

    def served(self, records: list[dict[str, Any]], *more: object) -> dict[str, Any]:
        return self.audit("--scores", self.lines("scores.jsonl", records), *more)["tests"][0]

    def closed(self, answers: list[dict[str, Any]], *more: object) -> dict[str, Any]:
        return self.audit("--answers", self.lines("answers.jsonl", answers), "-k", self.key, "--decoys", 50,
                          *more)["tests"][0]

    def states(self, test: dict[str, Any]) -> dict[str, str]:
        """Without those that need a ledger, or more text than there is here."""
        return {check["check"]: check["state"] for check in test["checks"]
                if check["check"] not in ("ledger", "learned", "spoofing")}
