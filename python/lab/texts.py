# SPDX-License-Identifier: Apache-2.0
"""What students learn: prose that people wrote, and answers of the teacher, the embedded model, under a key.

The teacher draws as servers do: our own mark by the package's Service, others by the lists and g values that the
package reads them with. Everything follows from names, up to the last digits of the logits.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import countermark
import numpy as np
import torch
from cells import Again, Mark, Texts
from laboratory import ROOT, Laboratory
from writing import END, Ids, Sampler, write

sys.path += [str(ROOT / "corpora" / "train"), str(ROOT / "tests" / "support")]

from key_text import key_text, secret_of  # noqa: E402
from load import load_model  # noqa: E402
from train import is_validation  # noqa: E402

MODEL = ROOT / "corpora" / "model"
PACKAGES = ("python3.11-doc", "postgresql-doc-15", "apache2-doc", "sqlite3-doc", "perl-doc")
DEPTH = 30  # of SynthID's tournament

Say = Callable[[str], None]  # of progress


def read_lines(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write_lines(path: Path, records: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")


def seed_of(name: str) -> int:
    return int.from_bytes(secret_of(name)[:8], "big") >> 1


def tokenizer() -> countermark.Tokenizer:
    return countermark.Tokenizer.load(MODEL / "tokenizer.json")


# --- what people wrote --------------------------------------------------------------------------


def documents(source: str, folder: Path) -> list[str]:
    """debian: prose of Debian's documentation packages, the base's own corpus; licences: seconds, for tests."""
    if source == "debian":
        out = folder / "documents.jsonl"
        subprocess.run([sys.executable, ROOT / "corpora" / "train" / "extract.py", "--out", out], check=True,
                       stdout=subprocess.DEVNULL)
        return [record["text"] for record in read_lines(out)]
    texts = [file.read_text(errors="ignore") for file in sorted(Path("/usr/share/common-licenses").iterdir())
             if not file.is_symlink()]
    words = " ".join(texts).split()
    return [" ".join(words[i:i + 250]) for i in range(0, len(words) - 250, 250)]


def human(lab: Laboratory, length: int) -> Path:
    """Ids of documents: teaching.jsonl and fresh.jsonl, the first `length` tokens of those that are as long, three to
    one; reading.jsonl, whole ones that neither the base nor a student has learned."""
    settings: dict[str, Any] = {"version": 1, "source": lab.source, "length": length, "tokenizer": tokenizer().sha256}
    if lab.source == "debian":
        settings["packages"] = subprocess.run(["dpkg-query", "-W", *PACKAGES], check=True, capture_output=True,
                                              text=True).stdout.split()

    def build(folder: Path) -> None:
        encode = tokenizer().encode
        texts = sorted(documents(lab.source, folder), key=lambda text: hashlib.sha256(text.encode()).digest())
        held_out = [encode(text) for text in texts if is_validation(text)]
        long = [ids[:length] for ids in (encode(text) for text in texts if not is_validation(text))
                if len(ids) >= length]
        cut = len(long) * 3 // 4
        for name, part in (("teaching", long[:cut]), ("fresh", long[cut:]), ("reading", held_out)):
            write_lines(folder / f"{name}.jsonl", ({"ids": ids} for ids in part))

    return lab.make("human", settings, build)


# --- how a token is drawn -----------------------------------------------------------------------


class Plain:
    """Without a mark. never: ids that are not drawn."""

    def __init__(self, names: Sequence[str], never: Sequence[int] = ()) -> None:
        self._noise = torch.Generator().manual_seed(seed_of(names[0]))
        self._never = list(never)

    def _one_of(self, p: torch.Tensor) -> np.ndarray:
        return torch.multinomial(p, 1, generator=self._noise)[:, 0].numpy()

    def draw(self, logits: torch.Tensor, written: np.ndarray) -> np.ndarray:
        logits[:, self._never] = -torch.inf
        return self._one_of(logits.softmax(dim=-1))


class Native:
    """countermark/1 through the package's door for servers."""

    def __init__(self, service: countermark.Service, names: Sequence[str], accounts: Sequence[str | None],
                 tokens: int) -> None:
        self._service = service
        self.responses = [
            service.respond(account=account, max_tokens=tokens, nonce=secret_of(name)[:16],
                            plain_key=secret_of(name)[16:])
            for name, account in zip(names, accounts)]

    def draw(self, logits: torch.Tensor, written: np.ndarray) -> np.ndarray:
        drawn = [draw.token for draw in self._service.sample(self.responses, logits)]
        for response, token in zip(self.responses, drawn):
            assert token is not None
            response.commit(token)
        return np.array(drawn)


class Foreign(Plain):
    """Green lists: delta on their logits. SynthID: p <- p (1 + g - sum of g p), depth by depth, at contexts that are
    new in their answer. Contexts lie within the answer; before there is one, as without a mark."""

    def __init__(self, mark: countermark.ForeignMark, names: Sequence[str]) -> None:
        super().__init__(names)
        self._mark = mark
        described = json.loads(mark.profile.to_json())
        self._delta: float | None = described.get("delta")
        self._known: dict[tuple[int, ...], np.ndarray] = {}
        self._seen: list[set[tuple[int, ...]]] = [set() for _ in names]

    def _values(self, context: tuple[int, ...], vocabulary: int) -> np.ndarray:
        """Of every token: 1 for green, or g values as bits."""
        found = self._known.get(context)
        if found is None:
            found = self._mark.raw_values(np.tile(np.array(context), (vocabulary, 1)), np.arange(vocabulary))
            self._known[context] = found = found.astype(np.int32 if self._delta is None else np.int8)
        return found

    def draw(self, logits: torch.Tensor, written: np.ndarray) -> np.ndarray:
        width = self._mark.profile.context_tokens
        if written.shape[1] < width:
            return super().draw(logits, written)
        contexts = [tuple(map(int, row[-width:])) for row in written]
        values = torch.from_numpy(np.stack([self._values(context, logits.shape[1]) for context in contexts]))
        if self._delta is not None:
            return super().draw(logits + self._delta * values, written)
        is_new = torch.tensor([context not in seen for context, seen in zip(contexts, self._seen)])
        for context, seen in zip(contexts, self._seen):
            seen.add(context)
        p = logits.softmax(dim=-1)
        for depth in range(DEPTH):
            g = ((values >> depth) & 1).float()
            p = torch.where(is_new[:, None], p * (1 + g - (g * p).sum(dim=-1, keepdim=True)), p)
        return self._one_of(p.clamp(min=0))  # rounding leaves some a little below


# --- keys and profiles --------------------------------------------------------------------------


def profile_of(mark: Mark) -> str:
    reference = {"file": str(MODEL / "tokenizer.json"), "name": "countermark-embedded", "sha256": tokenizer().sha256}
    if mark.scheme == "native":
        shared = {"name": "shared", "width": 2 if mark.layer == "account" else mark.width, "share": 65536, "slots": 1}
        layers = [shared]
        if mark.layer in ("shipped", "one slot"):
            layers = json.loads((MODEL / "profile.json").read_text(encoding="utf-8"))["layers"]
            assert layers[-1]["width"] == mark.width
            layers[-1]["slots"] = layers[-1]["slots"] if mark.layer == "shipped" else 1
        if mark.layer == "account":
            shared["share"] = 32768
            layers.append({"name": "account", "width": mark.width, "share": 32768, "slots": 1})
        return json.dumps({"scheme": "countermark/1", "layers": layers, "tokenizer": reference})
    if mark.scheme == "kgw":
        return json.dumps({"scheme": "three-bricks-greenlist/1", "contextWidth": mark.width, "gamma": "1/4", "delta": 3,
                           "vocabSize": 4096, "dedup": "tuple", "tokenizer": reference})
    return json.dumps({"scheme": "synthid-text/2025-06", "contextWidth": mark.width, "depth": DEPTH,
                       "tokenizer": reference})


def digest_of_profile(mark: Mark) -> str:
    """"" of no mark. It follows from where this folder lies, too: a cache may have been filled elsewhere."""
    if mark.scheme == "none":
        return ""
    kind = countermark.Profile if mark.scheme == "native" else countermark.ForeignProfile
    return kind.parse(profile_of(mark)).digest


def key_of(mark: Mark, name: str) -> str:
    """The text of a key file."""
    if mark.scheme == "native":
        return key_text(secret_of(name), "laboratory", "1")
    if mark.scheme == "kgw":
        return f"int:{seed_of(name)}"
    words = np.frombuffer(b"".join(secret_of(f"{name}/{i}") for i in range(8)), dtype=np.uint64)[:DEPTH]
    return "ints:" + ",".join(str(int(word) >> 2) for word in words)


def write_mark(folder: Path, mark: Mark, key: str) -> None:
    """mark.key and profile.json, as the program takes them."""
    (folder / "profile.json").write_text(profile_of(mark) + "\n", encoding="utf-8")
    with os.fdopen(os.open(folder / "mark.key", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(key_of(mark, key) + "\n")


# --- what the teacher answers -------------------------------------------------------------------


class Teacher:
    """The embedded model, and the mark of some texts."""

    def __init__(self, texts: Texts) -> None:
        self.texts = texts
        self.net = load_model(MODEL)
        self._native: countermark.Service | None = None
        self._foreign: countermark.ForeignMark | None = None
        self.profile = ""
        mark, key = texts.mark, key_of(texts.mark, texts.key)
        if mark.scheme == "native":
            profile = countermark.Profile.parse(profile_of(mark))
            self._native = countermark.Service(countermark.Key.parse(key), profile, may_leak_timing=True)
            self.profile = profile.digest
        elif mark.scheme != "none":
            foreign = countermark.ForeignProfile.parse(profile_of(mark))
            self._foreign = countermark.ForeignMark(foreign, countermark.ForeignKey.parse(key))
            self.profile = foreign.digest

    def account(self, part: str, number: int) -> str | None:
        return f"{part}-{number % self.texts.accounts}" if self.texts.accounts else None

    def answer(self, prompts: Sequence[Ids], names: Sequence[str], accounts: Sequence[str | None],
               show: Callable[[int], None]) -> tuple[list[Ids], list[dict[str, Any]]]:
        """Answers, and what transcripts say of each. names: of their noise."""
        facts: list[dict[str, Any]] = []

        def sampler(begin: int, end: int) -> Sampler:
            some = names[begin:end]
            if self._native is None:
                facts.extend({"epoch": None, "slots": [], "keyId": None} for _ in some)
                return Plain(some) if self._foreign is None else Foreign(self._foreign, some)
            made = Native(self._native, some, accounts[begin:end], self.texts.answer)
            facts.extend({"epoch": each.epoch, "slots": each.slots, "keyId": each.key_id} for each in made.responses)
            return made
        return write(self.net, prompts, self.texts.answer, sampler, self.texts.temperature, show), facts


def teach(lab: Laboratory, texts: Texts, say: Say) -> Path:
    """served.jsonl and fresh.jsonl (countermark.transcript/1)."""
    prose = human(lab, texts.prompt + texts.answer)
    settings = {"version": 2, "texts": texts, "human": prose.name, "model": weights_sha256()}

    def build(folder: Path) -> None:
        teacher = Teacher(texts)
        chosen = random.Random(f"{texts.key}/prompts")
        decode = tokenizer().decode
        for part, count, source in (("served", texts.served, "teaching"), ("fresh", texts.fresh, "fresh")):
            pool = read_lines(prose / f"{source}.jsonl")
            prompts = [[END, *pool[i]["ids"][:texts.prompt]] for i in chosen.sample(range(len(pool)), count)]
            ids = [f"{texts.key}/{part}/{i}" for i in range(count)]
            accounts = [teacher.account(part, i) for i in range(count)]
            answers, facts = teacher.answer(prompts, ids, accounts,
                                            lambda done: say(f"{part} {done} of {count} answers"))
            write_lines(folder / f"{part}.jsonl", (
                {"schema": "countermark.transcript/1", "id": name,
                 "time": f"2026-01-{1 + i // 1440:02}T{i // 60 % 24:02}:{i % 60:02}:00.000Z", "account": account,
                 "cohort": None, "profile": teacher.profile or "0" * 64, **fact, "promptIds": prompt, "ids": answer,
                 "text": decode(answer, errors="replace"), "marked": None, "finish": "length"}
                for i, (name, account, fact, prompt, answer) in enumerate(zip(ids, accounts, facts, prompts, answers))))

    return lab.make("texts", settings, build)


def answer_again(lab: Laboratory, texts: Texts, again: Again, say: Say) -> Path:
    """regenerations.jsonl (countermark.regenerations/1), drawn under the log's key, each with a nonce of its own."""
    log = teach(lab, texts, say)

    def build(folder: Path) -> None:
        teacher = Teacher(texts)
        out = []
        for part, count in (("served", again.served), ("fresh", again.controls)):
            records = read_lines(log / f"{part}.jsonl")[:count]
            rows = [(record, i) for record in records for i in range(again.each)]
            answers, _ = teacher.answer([record["promptIds"] for record, _ in rows],
                                        [f"{record['id']}/again/{i}" for record, i in rows],
                                        [record["account"] for record, _ in rows],
                                        lambda done: say(f"{part} {done} of {len(rows)} regenerations"))
            out += [{"schema": "countermark.regenerations/1", "id": record["id"], "account": record["account"],
                     "promptIds": record["promptIds"], "served": record["ids"],
                     "regenerated": answers[i * again.each:(i + 1) * again.each], "finish": ["length"] * again.each,
                     "neverServed": part == "fresh", "modelSha256": weights_sha256(), "tokenizerSha256": None,
                     "settings": {"mark": record["keyId"] and {"keyId": record["keyId"]}}}
                    for i, record in enumerate(records)]
        write_lines(folder / "regenerations.jsonl", out)

    return lab.make("regenerations", {"version": 1, "log": log.name, "again": again}, build)


def weights_sha256() -> str:
    return hashlib.sha256((MODEL / "weights.safetensors").read_bytes()).hexdigest()
