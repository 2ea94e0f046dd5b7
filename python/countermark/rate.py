# SPDX-License-Identifier: Apache-2.0
"""How well a suspect model knows answers that were served, and others that were not: for `countermark audit --scores`.

    python -m countermark.rate SUSPECT regenerations.jsonl -o scores.jsonl

An answer's score is the mean of the natural logarithms of its tokens' probabilities, each given the prompt and the
answer before it, by the softmax over all of the suspect's tokens; an answer without tokens has 0. It is a function of
the prompt, the answer and the suspect, and looks at nothing else: so where the suspect has seen none of a prompt's
answers, the served one is as likely to have the highest score as any other (countermark.scores/1, docs/formats.md).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import countermark
from countermark.alignment import have_same_ids, ids_of
from countermark.error import Error
from countermark.forcing import Exchange, answer_logits
from countermark.lines import Lines, expect_same
from countermark.models import Model, add_flags, libraries, special_of, too_little_memory
from countermark.program import Progress, ended, whole
from countermark.reading import sha256_of
from countermark.regenerate import SCHEMA as REGENERATIONS

SCHEMA = "countermark.scores/1"
SETTINGS_SCHEMA = "countermark.scores-settings/1"
RATED_AT_ONCE = 32  # prompts
MOST = (1 << 31) - 1

Exchanged = Callable[[Exchange], Exchange]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m countermark.rate", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Rates served answers and regenerations with a suspect model, for countermark audit. Run again it "
                    "goes on.",
        epilog="Exit codes: 0 done; 2 usage, 3 bad input, 4 permission, 6 I/O, 130 interrupted.\n\n"
               "Examples:\n"
               "  python -m countermark.rate suspect/ regenerations.jsonl -o scores.jsonl\n"
               "  python -m countermark.rate suspect/ regenerations.jsonl --tokenizer chat-3/tokenizer.json \\\n"
               "      -o scores.jsonl")
    parser.add_argument("model", metavar="SUSPECT", help="folder of a transformers model, or its name on the hub")
    parser.add_argument("regenerations", metavar="REGENERATIONS", help="of countermark.regenerate")
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="scores; those that are there stay")
    parser.add_argument("--force", action="store_true", help="start over: what is in the output is lost")
    parser.add_argument("-t", "--tokenizer", metavar="FILE",
                        help="of the model that served, where the suspect's is another file")
    parser.add_argument("--batch-tokens", type=whole(1, MOST), default=4096, metavar="N", help="read at once [4096]")
    add_flags(parser)
    return parser.parse_args(arguments)


class Regenerated(NamedTuple):
    """What of a line of countermark.regenerations/1 is needed."""

    id: str
    account: str | None
    never_served: bool
    key_id: str | None  # of the key that all answers are marked under
    exchanges: list[Exchange]  # the served answer first


def read_regenerations(path: str) -> Iterator[tuple[Regenerated, str, str | None]]:
    """Each record, with the digests of the model and of its tokenizer. Raises Error with the line."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield _parsed(line)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                raise Error(f"{path} (line {number}): expected {REGENERATIONS}", "invalid-input", path,
                            f"line {number}") from None


def _parsed(line: bytes) -> tuple[Regenerated, str, str | None]:
    value = json.loads(line)
    answers = [value["served"], *value["regenerated"]]
    named = [value["id"], value["modelSha256"], *(value[name] for name in ("account", "tokenizerSha256")
                                                  if value[name] is not None)]
    if value["schema"] != REGENERATIONS or not all(isinstance(name, str) and name for name in named) \
            or type(value["neverServed"]) is not bool or len(answers) < 2 or not value["promptIds"] \
            or not all(isinstance(ids, list) and all(type(i) is int and i >= 0 for i in ids)
                       for ids in (value["promptIds"], *answers)):
        raise ValueError
    mark = value.get("settings", {}).get("mark")
    exchanges = [Exchange(value["promptIds"], ids) for ids in answers]
    return (Regenerated(value["id"], value["account"], value["neverServed"], None if mark is None else mark["keyId"],
                        exchanges), value["modelSha256"],
            value["tokenizerSha256"])


def translation(suspect: Model, served_sha256: str | None, served: str | None) -> Exchanged | None:
    """What makes a suspect's ids of those that were served; None where they are the same."""
    own = suspect.tokenizer_file
    if served is None:
        if not own.exists() or served_sha256 in (None, sha256_of(own)):
            return None
        raise Error(f"{own}: is another file than the tokenizer of the model that served: give that one with "
                    "--tokenizer", "mismatch", str(own))
    if served_sha256 not in (None, sha256_of(Path(served))):
        raise Error(f"{served}: is not the tokenizer of the model that served", "mismatch", served)
    if not own.exists():
        raise Error(f"{suspect.folder}: has no tokenizer.json", "invalid-input", str(suspect.folder))
    if have_same_ids(Path(served), own):
        return None
    reads, writes = countermark.Tokenizer.load(served), countermark.Tokenizer.load(own)
    before = [] if ids_of(Path(served)) is None else list(special_of(Path(served)).head)
    head = list(suspect.special().head)

    def translated(exchange: Exchange) -> Exchange:
        prompt = list(exchange.prompt)
        if prompt[:len(before)] == before:
            prompt = prompt[len(before):]
        prompt, answer = (writes.encode(reads.decode(ids, errors="replace")) for ids in (prompt, exchange.answer))
        return Exchange([*head, *prompt], answer)
    return translated


def fitting(exchange: Exchange, positions: int | None) -> Exchange:
    """Of a prompt its end, and of an answer that alone is too long its beginning."""
    if positions is None or len(exchange.prompt) + len(exchange.answer) <= positions:
        return exchange
    answer = exchange.answer[:positions - 1]
    return Exchange(exchange.prompt[len(exchange.prompt) - max(1, positions - len(answer)):], answer)


def scores_of(weights: Any, exchanges: Sequence[Exchange], batch_tokens: int) -> list[float]:
    """In their order."""
    import torch

    out = [0.0] * len(exchanges)
    for i, logits in answer_logits(weights, exchanges, batch_tokens):
        if len(logits):
            ids = torch.tensor(exchanges[i].answer, device=logits.device)
            own = torch.log_softmax(logits, dim=-1).gather(1, ids.unsqueeze(1))
            out[i] = float(own.double().mean())
    return out


def rate(flags: argparse.Namespace) -> None:
    torch, _ = libraries()
    suspect = Model.of(flags)
    made = {(model, tokenizer) for _, model, tokenizer in read_regenerations(flags.regenerations)}
    if len(made) != 1:
        raise Error(f"{flags.regenerations}: expected regenerations of one model, there are {len(made)}",
                    "invalid-input", flags.regenerations)
    (model_sha256, tokenizer_sha256), = made
    translated = translation(suspect, tokenizer_sha256, flags.tokenizer)
    records = [(record, [fitting(translated(each) if translated else each, suspect.positions)
                         for each in record.exchanges])
               for record, _, _ in read_regenerations(flags.regenerations)]
    for record, exchanges in records:
        if any(not each.prompt or max(*each.prompt, *each.answer, 0) >= suspect.vocabulary for each in exchanges):
            raise Error(f"{flags.regenerations}: {record.id!r}: expected a prompt, and token ids below "
                        f"{suspect.vocabulary}, as the suspect has: another tokenizer?", "mismatch",
                        flags.regenerations)
    known = {record.id: record for record, _ in records}
    if len(known) != len(records):
        raise Error(f"{flags.regenerations}: expected each id once", "invalid-input", flags.regenerations)
    if suspect.sha256 == model_sha256:
        print("countermark.rate: this is the model that served: what is found by it is a fault of the regenerations",
              file=sys.stderr)

    now = {"schema": SETTINGS_SCHEMA, "suspect": suspect.name, "suspectSha256": suspect.sha256,
           "suspectRevision": suspect.revision, "regenerationsSha256": sha256_of(Path(flags.regenerations)),
           "encodedAgain": translated is not None, **suspect.settings()}
    with contextlib.closing(Lines(flags.out, SCHEMA, "countermark.rate", force=flags.force)) as out:
        same_settings(Path(flags.out + ".settings.json"), now, os.path.getsize(flags.out) == 0)
        there = out.go_on(lambda line: _same(line, known))
        missing = [each for each in records if each[0].id not in there]
        progress = Progress("countermark.rate", "rated", "prompts", len(there), len(records))
        weights = suspect.load() if missing else None
        try:
            for begin in range(0, len(missing), RATED_AT_ONCE):
                some = missing[begin:begin + RATED_AT_ONCE]
                found = iter(scores_of(weights, [each for _, exchanges in some for each in exchanges],
                                       flags.batch_tokens))
                for record, exchanges in some:
                    served, *others = (next(found) for _ in exchanges)
                    out.append({"id": record.id, "account": record.account, "served": served, "regenerated": others,
                                "keyId": record.key_id, "neverServed": record.never_served})
                progress.show(progress.done + len(some))
        except torch.OutOfMemoryError:
            raise too_little_memory("batch-tokens") from None
        progress.end()


def same_settings(path: Path, now: dict[str, Any], fresh: bool) -> None:
    """Beside the scores, which have no room for it: whose they are, and how they came about. Raises Error "exists"."""
    if fresh:
        beside = path.with_name(path.name + ".new")
        beside.write_text(json.dumps(now, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        beside.replace(path)
        return
    try:
        expect_same(json.loads(path.read_text(encoding="utf-8")), now)
    except FileNotFoundError:
        raise Error(f"{path}: is missing: whose scores are they? --force starts over", "exists", str(path)) from None
    except (ValueError, AttributeError) as error:
        raise Error(f"{path}: {error}; give another file, or --force to start over", "exists", str(path)) from None


def _same(line: dict[str, Any], known: dict[str, Regenerated]) -> str:
    record = known.get(line["id"])
    if record is None:
        raise ValueError(f"id {line['id']!r} is not in the regenerations")
    if not isinstance(line["regenerated"], list) or len(line["regenerated"]) + 1 != len(record.exchanges):
        raise ValueError("the number of regenerations was another")
    return record.id


def main(arguments: Sequence[str] | None = None) -> int:
    flags = parse(arguments)
    return ended("rate", flags.out, lambda: rate(flags))


if __name__ == "__main__":
    sys.exit(main())
