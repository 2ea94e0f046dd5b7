# SPDX-License-Identifier: Apache-2.0
"""What is collected of a student, and what `countermark audit` says of it, for each kind of evidence by itself."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cells import Cell, Mark
from countermark import predict, rate
from laboratory import Laboratory
from own_tokens import OwnTokens
from students import load, student
from texts import (
    MODEL,
    Plain,
    Say,
    answer_again,
    digest_of_profile,
    human,
    read_lines,
    teach,
    write_lines,
    write_mark,
)
from writing import write

COLD = 0.5  # temperature of the attack
TOKENIZER = ("-t", str(MODEL / "tokenizer.json"))  # of the mark

# The kinds of evidence, the strongest first.
SERVED = "served-response"
SUPERVISED_OPEN = "supervised-open"
SUPERVISED_CLOSED = "supervised-closed"
MARKED_OPEN = "marked-open"
OPEN = "unsupervised-open"
CLOSED = "unsupervised-closed"
# No tests, but the checks of one: does text look learned? A student's answers, and the teacher's passed on as its own.
LEARNED = "learned"
PASSED_ON = "passed-on"
KINDS = (SERVED, SUPERVISED_OPEN, OPEN, MARKED_OPEN, SUPERVISED_CLOSED, CLOSED)
OF_MARKED_TEXT = (SUPERVISED_OPEN, MARKED_OPEN)  # predictions on it, which need the mark's own tokenizer


def succeeds(status: int) -> None:
    if status:
        raise RuntimeError(f"exit code {status}")


def log_of(cell: Cell, served: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The exchanges that the supervised kinds look at: taught ones; of a null student as many that it was not."""
    return served[:min(cell.read, cell.learned or cell.read)]


def collect(lab: Laboratory, cell: Cell, say: Say) -> Path:
    """What each kind of evidence is judged by, in one folder:

    reading.safetensors: predictions on documents that people wrote; marked.safetensors: on fresh exchanges of the log;
    own.safetensors: on those that were taught, log.jsonl; fresh.jsonl and asked.jsonl: answers to prompts of fresh and
    of taught exchanges; scores.jsonl: of answers that were taught and of controls, rated.jsonl. A student with another
    tokenizer reads no marked text.
    """
    texts = teach(lab, cell.log, say)
    suspect = student(lab, cell, say)
    others = answer_again(lab, cell.log, cell.again, say)
    temperature = COLD if cell.attack == "cold" else 1.0
    settings = {"version": 1, "student": suspect.name, "log": texts.name, "again": others.name, "asked": cell.asked,
                "read": cell.read, "learned": cell.learned, "temperature": temperature}

    def build(folder: Path) -> None:
        served, fresh = (read_lines(texts / f"{part}.jsonl") for part in ("served", "fresh"))
        log = log_of(cell, served)
        write_lines(folder / "log.jsonl", log)

        reading = read_lines(human(lab, cell.log.prompt + cell.log.answer) / "reading.jsonl")
        texts_read = {"reading": [record["ids"] for record in reading]}
        if not cell.has_own_tokenizer:
            texts_read["marked"] = [each["promptIds"] + each["ids"] for each in fresh[:cell.asked]]
            texts_read["own"] = [each["promptIds"] + each["ids"] for each in log]
        for name, documents in texts_read.items():
            say(f"reads {name}")
            source = folder / f"{name}.jsonl"
            write_lines(source, ({"ids": ids if ids[0] == 0 else [0, *ids]} for ids in documents))
            succeeds(predict.main([str(suspect), str(source), "--ids-field", "ids", *TOKENIZER,
                                   "--top-k", "1", "--device", "cpu", "-o", str(folder / f"{name}.safetensors")]))
            source.unlink()

        net, own = load(suspect), OwnTokens(lab, cell)
        for name, asked in (("fresh", fresh[:cell.asked]), ("asked", [log[i % len(log)] for i in range(cell.asked)])):
            say(f"answers {name}")
            answers = write(net, [own.prompt(each) for each in asked], cell.log.answer,
                            lambda begin, end: Plain([f"{suspect.name}/{name}/{i}" for i in range(begin, end)],
                                                             own.missing),
                            temperature)
            write_lines(folder / f"{name}.jsonl", (
                {"id": f"{i}", "prompt": own.text(own.prompt(each)[1:]), "response": own.text(ids), "ids": ids}
                for i, (each, ids) in enumerate(zip(asked, answers))))

        say("rates")
        known = {each["id"] for each in (served[:cell.learned] if cell.learned else served)}
        known |= {each["id"] for each in fresh}
        records = [each for each in read_lines(others / "regenerations.jsonl") if each["id"] in known]
        ids = {each["id"] for each in records}
        write_lines(folder / "rated.jsonl", (each for each in served + fresh if each["id"] in ids))
        write_lines(folder / "regenerations.jsonl", records)
        succeeds(rate.main([str(suspect), str(folder / "regenerations.jsonl"), "--device", "cpu",
                            *(TOKENIZER if cell.has_own_tokenizer else []), "-o", str(folder / "scores.jsonl")]))
        (folder / "regenerations.jsonl").unlink()

    return lab.make("evidence", settings, build)


@dataclass(frozen=True)
class Audit:
    """One analysis. key: of the mark that is looked for. account: whose answers are looked at; "": everybody's."""

    kind: str
    mark: Mark
    key: str
    decoys: int
    account: str = ""


def audits(cell: Cell) -> list[Audit]:
    """Those of a cell. A null student's log has a key; the other analyses are under keys that marked nothing."""
    own = [Audit(kind, cell.log.mark, cell.log.key, 1000) for kind in KINDS
           if not (cell.has_own_tokenizer and kind in OF_MARKED_TEXT)]
    own.append(Audit(LEARNED, cell.log.mark, cell.log.key, 0))
    if cell.share == 100 and not cell.attack and not cell.is_null:
        own.append(Audit(PASSED_ON, cell.log.mark, cell.log.key, 0))
    if cell.log.accounts:
        own = [replace(audit, decoys=0) for audit in own if audit.kind in (SUPERVISED_OPEN, OPEN, MARKED_OPEN)]
        return own + [replace(own[0], account=f"{part}-{number}")
                      for part in ("served", "fresh") for number in range(cell.log.accounts)]
    return own + [Audit(kind, cell.log.mark, key, 0) for key in cell.other_keys for kind in (OPEN, CLOSED)]


def flags_of(kind: str, evidence: Path, learned: Path) -> list[str]:
    """What a kind is given to audit. learned: transcripts."""
    answers = ["--text-field", "response", "--answers"]
    log = ["--transcripts", str(learned)]
    return {
        SERVED: ["--transcripts", str(evidence / "rated.jsonl"), "--scores", str(evidence / "scores.jsonl")],
        SUPERVISED_OPEN: [*log, "--log-predictions", str(evidence / "own.safetensors")],
        OPEN: ["--predictions", str(evidence / "reading.safetensors")],
        MARKED_OPEN: ["--marked-predictions", str(evidence / "marked.safetensors")],
        SUPERVISED_CLOSED: [*log, *answers, str(evidence / "asked.jsonl")],
        CLOSED: [*answers, str(evidence / "fresh.jsonl")],
        LEARNED: [*answers, str(evidence / "fresh.jsonl")],
        PASSED_ON: ["--text-field", "text", "--answers", str(learned)],
    }[kind]


def judge(lab: Laboratory, cell: Cell, audit: Audit, say: Say) -> dict[str, Any] | None:
    """The test of this kind out of countermark.audit/1; None where it is not there and nothing is to be made."""
    evidence = collect(lab, cell, say)

    def build(folder: Path) -> None:
        say(f"audits {audit.kind} {audit.account}")
        command = [lab.program, "audit", "--json"]
        learned, given = folder / "learned.jsonl", flags_of(audit.kind, evidence, folder / "learned.jsonl")
        is_fresh = audit.account.startswith("fresh") or audit.kind == PASSED_ON
        records = read_lines(teach(lab, cell.log, say) / ("fresh.jsonl" if is_fresh else "served.jsonl"))
        profile = digest_of_profile(cell.log.mark)
        write_lines(learned, ({**record, "profile": profile}
                              for record in (records if is_fresh else records[:cell.learned or len(records)])))
        if audit.account.startswith("fresh"):  # of whom nothing was learned
            given[-1] = str(evidence / "marked.safetensors")
        if audit.account:
            command += ["--account", audit.account]
        if audit.kind != SERVED:
            write_mark(folder, audit.mark, audit.key)
            command += ["-k", str(folder / "mark.key"), "-p", str(folder / "profile.json"),
                        "--decoys", str(audit.decoys), "--decoy-seed", "00", "--threads", "1"]
        done = subprocess.run([*command, *given], check=True, stdout=subprocess.PIPE)
        (folder / "audit.json").write_bytes(done.stdout)
        learned.unlink()

    folder = lab.make("audit", {"version": 2, "evidence": evidence.name, "audit": audit}, build)
    if not folder.is_dir():
        return None
    found = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    kind = CLOSED if audit.kind in (LEARNED, PASSED_ON) else audit.kind
    test: dict[str, Any] = next(test for test in found["tests"] if test["test"] == kind)
    return test
