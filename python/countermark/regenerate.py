# SPDX-License-Identifier: Apache-2.0
"""Makes answers that nobody was ever given, beside those that were: for `countermark audit --scores`.

    python -m countermark.regenerate MODEL served.jsonl --max-tokens 400 -o regenerations.jsonl

Of each logged answer (countermark.transcript/1) the model that served it makes K more to the same prompt, each with its
own noise, and marked under a nonce of its own where the served one was marked. A suspect model that was trained on the
served one knows it better than these (countermark.rate, docs/formats.md: countermark.regenerations/1).

That says something only if they were made alike. So every served answer is first fed to the model again, and nothing is
written where they cannot have come from it with these settings (countermark.replay).
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import countermark
from countermark import replay
from countermark.error import Error
from countermark.forcing import Exchange, answer_logits
from countermark.lines import Lines, expect_same
from countermark.models import Model, add_flags, libraries, too_little_memory
from countermark.program import Progress, ended, number, whole
from countermark.reading import sha256_of
from countermark.replay import Check, Sampling
from countermark.served import Mark, Served, choose, said, time_of

SCHEMA = "countermark.regenerations/1"
MOST = (1 << 31) - 1
CHECKED_AT_ONCE = 64  # answers


def time(text: str) -> str:
    try:
        return time_of(text)
    except ValueError:
        raise argparse.ArgumentTypeError("expected a time in UTC such as 2026-11-21T10:02:35Z, or a day") from None


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m countermark.regenerate", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Makes further answers to logged prompts with the model that served them, for countermark audit. "
                    "Run again it goes on.",
        epilog="The settings are those that the answers were served with, which is checked.\n"
               "Exit codes: 0 done; 2 usage, 3 bad input, and model or settings that do not fit the answers; 4 key or\n"
               "permission, 6 I/O, 130 interrupted.\n\n"
               "Examples:\n"
               "  python -m countermark.regenerate chat-3/ served.jsonl --max-tokens 400 -o regenerations.jsonl\n"
               "  python -m countermark.regenerate chat-3/ served.jsonl -k 2026-11.key -p profile.json --top-p .95 \\\n"
               "      --max-tokens 400 --account 7f3a --released 2026-12-01 -o regenerations.jsonl")
    parser.add_argument("model", metavar="MODEL", help="folder of a transformers model, or its name on the hub")
    parser.add_argument("transcripts", metavar="TRANSCRIPTS", help="what was served (countermark.transcript/1)")
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="regenerations; those that are there stay")
    parser.add_argument("--force", action="store_true", help="start over: what is in the output is lost")
    parser.add_argument("-n", "--count", type=whole(1, 64), default=4, metavar="K", help="to each prompt [4]")
    parser.add_argument("--temperature", type=number(0.01, 100), default=1.0, metavar="T", help="[1]")
    parser.add_argument("--top-k", type=whole(0, MOST), default=0, metavar="N", help="[0: all]")
    parser.add_argument("--top-p", type=number(1e-6, 1), default=1.0, metavar="P", help="[1: all]")
    parser.add_argument("--max-tokens", type=whole(1, MOST), required=True, metavar="N", help="of an answer")
    parser.add_argument("-k", "--key", metavar="FILE", help="epoch key that the answers were marked under")
    parser.add_argument("-p", "--profile", metavar="FILE", help="profile that they were marked under")
    parser.add_argument("--account", metavar="ID", help="only answers that were served to it")
    parser.add_argument("--released", type=time, metavar="TIME",
                        help="of the suspect: answers served from then on are controls, which it cannot have seen")
    parser.add_argument("--limit", type=whole(1, MOST), metavar="N", help="the first N answers, and N controls")
    parser.add_argument("--batch", type=whole(1, MOST), default=16, metavar="N", help="regenerations at once [16]")
    parser.add_argument("--batch-tokens", type=whole(1, MOST), default=4096, metavar="N",
                        help="of served answers that are checked at once [4096]")
    add_flags(parser)
    flags = parser.parse_args(arguments)
    if (flags.key is None) != (flags.profile is None):
        parser.error("-k, -p: expected both, or neither where the answers are unmarked")
    return flags


class Regeneration(NamedTuple):
    ids: list[int]  # without the token that ended it
    finish: str


class Server:
    """Answers prompts as the server did: one model, its settings, its mark."""

    def __init__(self, model: Model, sampling: Sampling, service: countermark.Service | None) -> None:
        _, transformers = libraries()
        self.service, self._sampling, self._positions = service, sampling, model.positions
        self.weights = model.load()
        own = self.weights.generation_config
        ends = own.eos_token_id
        self.ends: list[int] = [] if ends is None else [ends] if isinstance(ends, int) else list(ends)
        self._filler = own.pad_token_id if own.pad_token_id is not None else self.ends[0] if self.ends else 0
        # The settings that come with a model are not those that were served with, unless the flags say so.
        self.weights.generation_config = transformers.GenerationConfig()

    def limit(self, prompt: Sequence[int]) -> int:
        """Tokens of an answer at most."""
        left = self._positions - len(prompt) if self._positions is not None else self._sampling.max_tokens
        return max(1, min(self._sampling.max_tokens, left))

    def without_end(self, ids: Sequence[int]) -> list[int]:
        return list(ids[:-1] if ids and ids[-1] in self.ends else ids)

    def answer(self, asked: Sequence[Served], count: int) -> list[list[Regeneration]]:
        """So many answers to each prompt; all of one limit."""
        torch, transformers = libraries()
        rows = [served for served in asked for _ in range(count)]
        limit = self.limit(rows[0].prompt)
        longest = max(len(served.prompt) for served in asked)
        prompts = torch.full((len(rows), longest), self._filler, dtype=torch.int64)
        mask = torch.zeros_like(prompts)
        for row, is_there, served in zip(prompts, mask, rows):  # filled up before their beginning
            row[longest - len(served.prompt):] = torch.tensor(served.prompt)
            is_there[longest - len(served.prompt):] = 1
        more: dict[str, Any] = {}
        if self.service is not None:
            from countermark.transformers import Watermark

            more["watermarking_config"] = Watermark(
                self.service, accounts=[served.account for served in rows], cohorts=[served.cohort for served in rows],
                max_tokens=limit, eos_token_ids=self.ends)
        config = transformers.GenerationConfig(
            do_sample=True, num_beams=1, temperature=self._sampling.temperature, top_k=self._sampling.top_k,
            top_p=self._sampling.top_p, max_new_tokens=limit, eos_token_id=self.ends or None,
            pad_token_id=self._filler, **more)
        seed_noise()
        with torch.inference_mode():
            out = self.weights.generate(input_ids=prompts.to(self.weights.device),
                                        attention_mask=mask.to(self.weights.device), generation_config=config)
        drawn = [self._ended(ids) for ids in out[:, longest:].tolist()]
        return [drawn[i:i + count] for i in range(0, len(drawn), count)]

    def _ended(self, ids: list[int]) -> Regeneration:
        end = next((i for i, token in enumerate(ids) if token in self.ends), None)
        return Regeneration(ids, "length") if end is None else Regeneration(ids[:end], "end")


def seed_noise() -> None:
    """Of unmarked draws. Every process of torch's begins with the same seed: a server's may have, too."""
    libraries()[0].manual_seed(int.from_bytes(os.urandom(8), "little"))


class Regenerations(Lines):
    """The file, countermark.regenerations/1."""

    def __init__(self, path: str, *, force: bool = False) -> None:
        super().__init__(path, SCHEMA, "countermark.regenerate", force=force)
        self.checks: dict[str, Check] = {}  # of the answers that are there

    def resume(self, answers: Mapping[str, Mapping[str, Any]], fixed: Mapping[str, Any], count: int) -> set[str]:
        """The ids that are there; refused like Lines.go_on where something of them is another now."""
        def same(record: dict[str, Any]) -> str:
            try:
                made, found = len(record["regenerated"]), Check(**record["check"])
            except TypeError:
                raise KeyError("regenerated") from None
            expect_same(record, fixed)
            if made != count:
                raise ValueError(f"-n was {made}, is {count} now")
            now = answers.get(record["id"])
            if now is None:
                raise ValueError(f"id {record['id']!r} is not made regenerations of now")
            expect_same(record, now)
            self.checks[record["id"]] = found
            return str(record["id"])
        return self.go_on(same)


def regenerate(flags: argparse.Namespace) -> None:
    torch, _ = libraries()
    service = mark = None
    if flags.key is not None:
        key, profile = countermark.Key.load(flags.key), countermark.Profile.load(flags.profile)
        service = countermark.Service(key, profile, may_leak_timing=True)  # nobody waits for this one
        mark = Mark(key.key_id, key.epoch_id, profile.digest)
    if all(map(os.path.exists, (flags.out, flags.transcripts))) and os.path.samefile(flags.out, flags.transcripts):
        raise Error(f"{flags.out}: is the file of transcripts", "invalid-argument", flags.out)
    model = Model.of(flags)
    asked, left_out = choose(flags.transcripts, mark=mark, account=flags.account, released=flags.released,
                             limit=flags.limit)
    for served in asked:
        if max(*served.prompt, *served.ids, 0) >= model.vocabulary:
            raise Error(f"{flags.transcripts}: answer {served.id!r}: the model has {model.vocabulary} tokens, and the "
                        "answer or its prompt others: another model?", "mismatch", flags.transcripts)
    sampling = Sampling(flags.temperature, flags.top_k, flags.top_p, flags.max_tokens)
    try:
        server = Server(model, sampling, service)
        replay.consistent_lengths(asked, [server.limit(served.prompt) for served in asked], server.ends)
        fixed = {"modelSha256": model.sha256,
                 "tokenizerSha256": sha256_of(model.tokenizer_file) if model.tokenizer_file.exists() else None,
                 "settings": settings(flags, mark, model)}
        facts = {served.id: {"account": served.account, "promptIds": list(served.prompt),
                             "served": server.without_end(served.ids), "neverServed": served.is_control}
                 for served in asked}
        with contextlib.closing(Regenerations(flags.out, force=flags.force)) as out:
            there = out.resume(facts, fixed, flags.count)
            if left_out:
                print(f"countermark.regenerate: answers left out: {said(left_out)}", file=sys.stderr)
            missing = [served for served in asked if served.id not in there]
            checks = out.checks | checked(server, missing, sampling, flags.batch_tokens)
            total = sum(checks.values(), Check())
            replay.refuse(total, sampling)
            print(f"countermark.regenerate: {len(asked)} answers fit the model and the settings: {summary(total)}",
                  file=sys.stderr)
            progress = Progress("countermark.regenerate", "answered", "prompts", len(there), len(asked))
            for batch in batches(missing, server, max(1, flags.batch // flags.count)):
                for served, made in zip(batch, server.answer(batch, flags.count)):
                    out.append(record(served.id, facts[served.id], made, checks[served.id], fixed))
                progress.show(progress.done + len(batch))
            progress.end()
    except torch.OutOfMemoryError:
        raise too_little_memory("batch") from None


def settings(flags: argparse.Namespace, mark: Mark | None, model: Model) -> dict[str, Any]:
    marks = {"keyId": mark.key_id, "epoch": mark.epoch, "profile": mark.profile} if mark else None
    return {"temperature": flags.temperature, "topK": flags.top_k, "topP": flags.top_p, "maxTokens": flags.max_tokens,
            "mark": marks, "released": flags.released, **model.settings()}


def checked(server: Server, asked: Sequence[Served], sampling: Sampling, batch_tokens: int) -> dict[str, Check]:
    found: dict[str, Check] = {}
    progress = Progress("countermark.regenerate", "checked", "answers", 0, len(asked))
    for begin in range(0, len(asked), CHECKED_AT_ONCE):
        some = asked[begin:begin + CHECKED_AT_ONCE]
        for i, logits in answer_logits(server.weights, [Exchange(s.prompt, s.ids) for s in some], batch_tokens):
            found[some[i].id] = replay.check(some[i], logits, sampling, server.service, server.ends)
        progress.show(begin + len(some))
    progress.end()
    return found


def summary(total: Check) -> str:
    of_marked = f"{total.reproduced} of {total.marked} marked draws come out again" if total.marked else \
        f"ln p is {replay.score(total):+.1f} standard errors beside its mean"
    return f"{total.candidates} of {total.of} tokens are candidates, {of_marked}"


def batches(asked: Sequence[Served], server: Server, size: int) -> list[list[Served]]:
    """Neighbours of one limit."""
    out: list[list[Served]] = []
    for served in asked:
        if out and len(out[-1]) < size and server.limit(out[-1][0].prompt) == server.limit(served.prompt):
            out[-1].append(served)
        else:
            out.append([served])
    return out


def record(name: str, facts: Mapping[str, Any], made: Sequence[Regeneration], found: Check,
           fixed: Mapping[str, Any]) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"id": name, "account": facts["account"], "promptIds": facts["promptIds"], "served": facts["served"],
            "regenerated": [each.ids for each in made], "finish": [each.finish for each in made],
            "neverServed": facts["neverServed"], "check": found.as_json(), **fixed, "time": now}


def main(arguments: Sequence[str] | None = None) -> int:
    flags = parse(arguments)
    return ended("regenerate", flags.out, lambda: regenerate(flags))


if __name__ == "__main__":
    sys.exit(main())
