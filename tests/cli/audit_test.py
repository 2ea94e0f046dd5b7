#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`audit` as a person meets it: what a suspect rates and answers, and every rule that keeps a verdict honest.

Usage: audit_test.py PROGRAM. Of each rule both is shown: that without it the test would be wrong, and that it holds.
"""

from __future__ import annotations

import json
import math
import random
import struct
import unittest
import xml.etree.ElementTree as ElementTree
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


class AuditTest(ProgramTest):
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

    # --- served responses -------------------------------------------------------------------

    def test_answers_that_are_known(self) -> None:
        records = scores(500, 0.3)
        log = self.lines("log.jsonl", [transcript(record, i) for i, record in enumerate(records)])
        test = self.served(records + scores(300, 0, "control"), "--transcripts", log)
        self.assertEqual(test["verdict"], "detected")
        self.assertLess(test["log10P"], -20)
        self.assertEqual(set(self.states(test).values()), {"passed"})
        self.assertGreater(test["effect"]["interval"][0], 0.5)
        self.assertEqual((test["prompts"], test["regenerations"]), (500, [4, 4]))

    def test_chance_is_not_detected(self) -> None:
        test = self.served(scores(500, 0))
        self.assertEqual(test["verdict"], "not-detected")
        self.assertEqual(set(self.states(test).values()), {"not-run"})

    def test_a_control_that_fails_withholds(self) -> None:
        test = self.served(scores(300, 0.3) + scores(300, 0.3, "control"))
        self.assertEqual((test["verdict"], self.states(test)["negative-control"]), ("withheld", "failed"))
        self.assertEqual((test["pValue"], test["log10P"], test["log10E"]), (None, None, None))
        self.assertGreater(test["effect"]["interval"][0], 0.5)

    def test_a_log_that_says_otherwise_withholds(self) -> None:
        records = scores(100, 0.5)
        log = [transcript(record, i) for i, record in enumerate(records)]
        for check, change in {
            "in-log": lambda: log.pop(),
            "whole-answers": lambda: log[3].update(finish="aborted"),
            "single-answers": lambda: log.append({**log[5], "id": "other", "time": "2026-11-22T00:00:00.000Z"}),
        }.items():
            with self.subTest(check):
                before = json.loads(json.dumps(log))
                change()
                test = self.served(records, "--transcripts", self.lines("log.jsonl", log))
                log[:] = before
                self.assertEqual((test["verdict"], self.states(test)[check]), ("withheld", "failed"))

    def test_one_account(self) -> None:
        records = scores(60, 0.9) + [{**record, "id": f"b{i}", "account": "bob"}
                                     for i, record in enumerate(scores(60, 0))]
        self.assertEqual(self.served(records, "--account", "alice")["verdict"], "detected")
        test = self.served(records, "--account", "bob")
        self.assertEqual((test["verdict"], test["prompts"]), ("not-detected", 60))
        self.assertEqual(self.served(records, "--account", "carol")["verdict"], "inconclusive")

    # --- the answers of a closed model ------------------------------------------------------

    def test_a_model_that_writes_the_mark(self) -> None:
        test = self.closed(self.marked)
        self.assertEqual(test["verdict"], "detected")
        self.assertEqual(set(self.states(test).values()), {"passed"})
        self.assertGreater(test["effect"]["interval"][0], test["couldFind"]["meanScore"])
        self.assertEqual(test["lineUp"]["rank"], 1)
        claimed = self.closed(self.marked, "--account", "alice")
        self.assertEqual((claimed["verdict"], claimed["streams"][0]["identity"]), ("detected", "alice"))
        self.assertIsNone(claimed["effect"])  # of the best of several slots

    def test_a_model_that_does_not(self) -> None:
        test = self.closed(self.unmarked)
        self.assertEqual(test["verdict"], "not-detected")
        self.assertLess(test["effect"]["interval"][0], 1)
        self.assertGreater(test["effect"]["interval"][1], 1)

    def test_echoed_prompts(self) -> None:
        """A model that repeats marked text that it was shown, in this answer or in another."""
        answers = []
        for i, (ours, others) in enumerate(zip(self.marked, self.unmarked)):
            prompt = self.marked[(i + 1) % len(self.marked)]["response"]  # of another answer
            answers.append({"id": str(i), "prompt": prompt,
                            "response": f"{others['response']} {others['prompt']} {ours['response'][:150]}"})
        without = self.closed([{**answer, "prompt": "Go on."} for answer in answers])
        self.assertEqual(without["verdict"], "detected")
        test = self.closed(answers)
        self.assertEqual(test["verdict"], "not-detected")
        self.assertGreater(test["dropped"]["promptContext"], 100)
        only = [{**answer, "response": self.marked[i]["response"]} for i, answer in enumerate(answers)]
        echo = self.closed(only, "--account", "alice")
        self.assertEqual((echo["verdict"], self.states(echo)["echo"]), ("withheld", "failed"))
        self.assertEqual({stream["verdict"] for stream in echo["streams"]}, {"withheld"})
        self.assertEqual([echo["pValue"], echo["log10E"], echo["lineUp"]["rank"], echo["streams"][0]["pValue"]],
                         [None] * 4)

    def test_quoted_works(self) -> None:
        work = self.file("work.txt", " ".join(answer["response"] for answer in self.marked))
        self.assertEqual(self.closed(self.marked)["verdict"], "detected")
        quoted = self.closed(self.marked, "--quoted", work)
        self.assertEqual(self.states(quoted)["echo"], "failed")
        self.assertEqual(quoted["verdict"], "withheld")

    def test_repeated_answers_count_once(self) -> None:
        once = self.closed(self.marked)
        often = self.closed([{**answer, "id": f"{i}-{answer['id']}"} for i in range(20) for answer in self.marked])
        for field in ("scored", "statistic", "pValue", "effect"):
            self.assertEqual(often.get(field), once.get(field), field)

    def test_answers_without_prompts(self) -> None:
        for gone in ({"prompt": ""}, {"prompt": None}):
            test = self.closed([{**answer, **gone} for answer in self.marked])
            self.assertEqual((test["verdict"], self.states(test)["prompts-given"]), ("withheld", "failed"))

    def test_turns_that_were_shown(self) -> None:
        """Only the last turn is the suspect's answer: the assistant's before it may be anybody's."""
        chats = [{"id": ours["id"], "messages": [
            {"role": "user", "content": ours["prompt"]}, {"role": "assistant", "content": ours["response"]},
            {"role": "user", "content": "Go on."}, {"role": "assistant", "content": theirs["response"]}]}
            for ours, theirs in zip(self.marked, self.unmarked)]
        test = self.closed(chats)
        self.assertEqual((test["verdict"], set(self.states(test).values())), ("not-detected", {"passed"}))
        turned = [{**chat, "messages": [*chat["messages"][2:], *chat["messages"][:2]]} for chat in chats]
        self.assertEqual(self.closed(turned)["verdict"], "detected")

    def test_below_what_may_be_asserted(self) -> None:
        test = self.closed(self.marked, "--alpha", 1e-30)
        self.assertEqual((test["verdict"], test["reasons"]), ("inconclusive", ["alpha-below-floor"]))

    def test_another_key(self) -> None:
        other = key_file(self.folder / "other.key", "2026-12")
        path = self.lines("answers.jsonl", self.marked)
        self.assertEqual(self.audit("--answers", path, "-k", other, "--decoys", 0)["verdict"], "not-detected")

    # --- answers that keep coming ------------------------------------------------------------

    def look(self, answers: list[dict[str, Any]], *more: object, code: int = 0) -> dict[str, Any]:
        return self.audit("--answers", self.lines("coming.jsonl", answers), "-k", self.key, "--decoys", 0, "--looks",
                          "looks.jsonl", *more, code=code)

    def test_answers_that_keep_coming(self) -> None:
        """Looked at three times, the bet is what it is when looked at once; and what was seen stays."""
        (self.folder / "looks.jsonl").unlink(missing_ok=True)
        looks = [self.look(self.marked[:count]) for count in (6, 12, 24)]
        self.assertEqual([each["looks"] for each in looks], [1, 2, 3])
        often = looks[-1]["tests"][0]
        self.assertEqual((often["verdict"], often["order"], often["nullModel"]["law"]), ("detected", "as-answered", "e-process"))
        self.assertEqual(sorted(each["tests"][0]["log10MostE"] for each in looks),
                         [each["tests"][0]["log10MostE"] for each in looks])
        chain = [json.loads(line) for line in (self.folder / "looks.jsonl").read_text().splitlines()]
        self.assertEqual(len({look["previous"] for look in chain}), 3)
        before = (self.folder / "looks.jsonl").read_text()
        (self.folder / "looks.jsonl").unlink()
        once = self.look(self.marked)["tests"][0]
        self.assertEqual((once["pValue"], once["scored"]), (often["pValue"], often["scored"]))
        (self.folder / "looks.jsonl").write_text(before)

        answers = self.lines("other.jsonl", self.marked[1:] + self.marked[:1])
        self.refused(3, "audit", "--answers", answers, "-k", self.key, "--decoys", 0, "--looks", "looks.jsonl",
                     says=("other.jsonl", "may only be added"))
        fewer = self.lines("fewer.jsonl", self.marked[:20])
        self.refused(3, "audit", "--answers", fewer, "-k", self.key, "--decoys", 0, "--looks", "looks.jsonl",
                     says=("fewer.jsonl", "may only be added"))
        self.refused(3, "audit", "--answers", "coming.jsonl", "-k", self.key, "--decoys", 0, "--looks", "looks.jsonl",
                     "--alpha", 1e-4, says=("looks.jsonl", "other settings"))
        (self.folder / "looks.jsonl").write_text("".join(before.splitlines(keepends=True)[1:]))
        self.refused(3, "audit", "--answers", "coming.jsonl", "-k", self.key, "--decoys", 0, "--looks", "looks.jsonl",
                     says=("looks.jsonl", "record 1", "left out"))
        (self.folder / "looks.jsonl").unlink()
        self.assertEqual(self.look(self.unmarked)["verdict"], "not-detected")
        self.refused(2, "audit", "--scores", self.lines("scores.jsonl", scores(5, 0)), "--looks", "l.jsonl", says=("--answers",))

    # --- several analyses --------------------------------------------------------------------

    def test_analyses_that_follow_each_other(self) -> None:
        """Who tries keys until one is found: without the ledger the third would be evidence."""
        self.lines("answers.jsonl", self.marked)
        entered = []
        wrong, other = (key_file(self.folder / f"{name}.key", name) for name in ("wrong", "other"))
        for key in (wrong, wrong, other, self.key):
            found = self.audit("--answers", "answers.jsonl", "-k", key, "--decoys", 0, "--ledger", "ledger.jsonl")
            check, = (each for each in found["tests"][0]["checks"] if each["check"] == "ledger")
            self.assertEqual(check["state"], "passed")
            entered.append((found["ledger"]["analysis"], found["ledger"]["parts"], found["alpha"]))
        self.assertEqual(entered, [(1, 2, "5.00e-7"), (1, 2, "5.00e-7"), (2, 6, "1.67e-7"), (3, 12, "8.34e-8")])
        self.assertEqual(found["verdict"], "detected")
        self.assertEqual(len((self.folder / "ledger.jsonl").read_text().splitlines()), 3)
        self.refused(3, "audit", "--answers", "answers.jsonl", "-k", self.key, "--decoys", 0, "--ledger", "ledger.jsonl",
                     "--alpha", 1e-3, says=("ledger.jsonl", "at alpha 1.0000"))
        served = self.audit("--scores", self.lines("scores.jsonl", scores(60, 0.5)), "--ledger", "ledger.jsonl")
        self.assertEqual(served["ledger"], {"analysis": 4, "analyses": 4, "parts": 20})
        without = self.audit("--answers", "answers.jsonl", "-k", self.key, "--decoys", 0)
        self.assertIsNone(without["ledger"])
        self.assertIn({"check": "ledger", "state": "not-run",
                       "detail": "without --ledger nobody counts what else was tried"}, without["tests"][0]["checks"])

    # --- what an open model predicts ---------------------------------------------------------

    def opened(self, texts: list[list[int]], predict: Any, *more: object) -> dict[str, Any]:
        path = self.file("predictions.safetensors", predictions(texts, predict))
        return self.audit("--predictions", path, "-k", self.key, "--decoys", 50, *more)["tests"][0]

    def test_a_student_of_marked_text(self) -> None:
        read = self.ids["unmarked"]
        test = self.opened(read, Student(self.ids["marked"]))
        self.assertEqual(test["verdict"], "detected")
        self.assertEqual(self.states(test), {"decoys": "passed", "reading-text": "passed", "tokenizer": "passed"})
        self.assertEqual(test["lineUp"]["rank"], 1)
        self.assertEqual((test["texts"], test["suspect"]["name"]), (len(read), "n-grams"))

    def test_a_student_of_other_text(self) -> None:
        half = len(self.ids["unmarked"]) // 2
        test = self.opened(self.ids["unmarked"][:half], Student(self.ids["unmarked"][half:]))
        self.assertEqual(test["verdict"], "not-detected")

    def test_ids_of_another_tokenizer(self) -> None:
        """A student that is found by its ids is not by the same with other numbers, and nobody may call it innocent."""
        order = list(range(4096))
        random.Random(5).shuffle(order)
        renamed = {name: [[order[i] for i in text] for text in self.ids[name]] for name in ("marked", "unmarked")}
        test = self.opened(renamed["unmarked"], Student(renamed["marked"]))
        self.assertEqual((test["verdict"], self.states(test)["tokenizer"]), ("withheld", "failed"))
        self.assertIn("tokenizer", test["reasons"])
        answers = [{"prompt": answer["prompt"], "ids": [order[i] for i in ids]}
                   for answer, ids in zip(self.marked, self.ids["marked"])]
        closed = self.audit("--answers", self.lines("renamed.jsonl", answers), "-k", self.key, "--ids-field", "ids",
                            "--decoys", 0)["tests"][0]
        self.assertEqual((closed["verdict"], self.states(closed)["tokenizer"]), ("withheld", "failed"))

    def test_a_suspect_with_other_tokens(self) -> None:
        """Only what is one token of ours is scored; and what was read and not predicted was read all the same."""
        student = Student(self.ids["marked"])
        some = random.Random(9)

        def half(read: list[int]) -> list[tuple[int, float]]:
            return [(student(read) if some.random() < 0.5 else -1, 0.5)]
        read = self.ids["unmarked"]
        whole, test = self.opened(read, student), self.opened(read, half)
        self.assertEqual(test["verdict"], "detected")
        self.assertLess(test["scored"], 0.6 * whole["scored"])
        self.assertGreater(test["effect"]["value"], 0.8 * whole["effect"]["value"])
        nothing = self.opened(read, lambda read: [(-1, 0.5)])
        self.assertEqual((nothing["verdict"], nothing["scored"]), ("inconclusive", 0))
        marked = [answer["ids"] for answer in self.logs["bob"]]
        copies = self.walked([text + text for text in marked],
                             lambda read: -1 if len(read) <= len(marked[0]) // 2 else copier(read), "--marked-predictions")
        self.assertEqual(copies["verdict"], "not-detected")
        self.assertGreater(copies["dropped"]["unpredicted"], 0)

    def test_how_probable_marked_tokens_are(self) -> None:
        """The finer statistic, of the same file: a bound decides, close to its estimate."""
        student, other = (Student(self.ids[name]) for name in ("marked", "unmarked"))
        half = len(self.ids["unmarked"]) // 2
        read = self.ids["unmarked"][:half]
        for suspect, verdict in ((student, "detected"), (Student(self.ids["unmarked"][half:]), "not-detected")):
            path = self.file("predictions.safetensors", predictions(read, suspect.several))
            tests = self.audit("--predictions", path, "-k", self.key, "--decoys", 50)["tests"]
            self.assertEqual([test["test"] for test in tests], ["unsupervised-open", "unsupervised-open-mass"])
            mass = tests[1]
            self.assertEqual(mass["verdict"], verdict)
            self.assertGreaterEqual(mass["log10P"], mass["estimateLog10P"])
            self.assertLess(mass["log10P"] - mass["estimateLog10P"], 2)
            self.assertEqual(self.states(mass)["reading-text"], "passed")
            self.assertGreater(mass["scored"], 4 * tests[0]["scored"])
        below = self.audit("--predictions", path, "-k", self.key, "--decoys", 0, "--alpha", 1e-30)["tests"][1]
        self.assertEqual((below["verdict"], below["reasons"]), ("inconclusive", ["alpha-below-floor"]))
        marked = self.file("predictions.safetensors", predictions([text + text for text in self.ids["marked"]],
                                                                  other.several))
        withheld = self.audit("--predictions", marked, "-k", self.key, "--decoys", 0)["tests"][1]
        self.assertEqual((withheld["verdict"], withheld["pValue"], withheld["log10E"]), ("withheld", None, None))
        twice = self.file("twice.safetensors", predictions([[1, 2, 3]], lambda read: [(5, 0.4), (5, 0.4)]))
        self.refused(3, "audit", "--predictions", twice, "-k", self.key, says=("twice.safetensors", "differ"))

    def test_marked_reading_text(self) -> None:
        """Whoever copies from what he reads predicts its mark: without the rule he would be accused."""
        twice = [text + text for text in self.ids["marked"]]
        test = self.opened(twice, Student(twice))
        self.assertEqual((test["verdict"], self.states(test)["reading-text"]), ("withheld", "failed"))
        self.assertIsNone(test["pValue"])
        self.assertGreater(test["effect"]["interval"][0], 2)

    def test_predictions_that_cannot_be_read(self) -> None:
        good = predictions([[1, 2, 3]], Student([]))
        for bad in (good[:-1], good + b"x", good[:20], b"", good.replace(b"predictions/1", b"predictions/2")):
            self.refused(3, "audit", "--predictions", self.file("bad.safetensors", bad), "-k", self.key,
                         says=("bad.safetensors",))
        outside = predictions([[4095, 4096]], Student([]))
        self.refused(3, "audit", "--predictions", self.file("bad.safetensors", outside), "-k", self.key,
                     says=("4096",))

    # --- marked text, in a fixed order --------------------------------------------------------

    def walked(self, texts: list[list[int]], predict: Any, *more: object) -> dict[str, Any]:
        path = self.file("predictions.safetensors", predictions(texts, predict))
        return self.audit(*more, path, "-k", self.key, "--decoys", 50)["tests"][0]

    def test_marked_text_is_read(self) -> None:
        """A student is found, and one who copies what he reads is not: without the order he would be."""
        read = [answer["ids"] for answer in self.logs["bob"]]
        found = self.walked(read, Student(self.ids["marked"]), "--marked-predictions")
        self.assertEqual((found["test"], found["verdict"]), ("marked-open", "detected"))
        self.assertEqual((found["nullModel"]["law"], found["planned"], found["order"]), ("e-process", None, "as-read"))
        self.assertGreaterEqual(found["log10MostE"], found["log10E"])
        self.assertEqual(self.states(found), {"decoys": "passed", "marked-text": "passed", "tokenizer": "passed"})
        twice = [text + text for text in read]
        copied = self.walked(twice, copier, "--marked-predictions")
        self.assertEqual((copied["verdict"], self.states(copied)["marked-text"]), ("not-detected", "passed"))
        self.assertLess(copied["log10MostE"], 2)
        self.assertGreater(copied["dropped"]["repeatedContext"], copied["scored"])
        self.assertEqual(self.walked(twice, copier, "--predictions")["verdict"], "withheld")
        other = self.walked(self.ids["unmarked"], copier, "--marked-predictions")
        self.assertEqual((other["verdict"], self.states(other)["marked-text"]), ("not-detected", "not-run"))

    def read_log(self, claim: str, predict: Any, *more: object) -> dict[str, Any]:
        log = self.lines("log.jsonl", [answer for answers in self.logs.values() for answer in answers])
        read = [answer["promptIds"] + answer["ids"] for answer in self.logs[claim]]
        return self.walked(read, predict, "--transcripts", log, "--account", claim, *more, "--log-predictions")

    def test_answers_of_a_log_are_read(self) -> None:
        student = Student([answer["ids"] for answer in self.logs["alice"]])
        alice, bob = (self.read_log(account, student) for account in ("alice", "bob"))
        self.assertEqual((alice["test"], alice["verdict"], alice["streams"][0]["verdict"]),
                         ("supervised-open", "detected", "detected"))
        # The shared stream is everyone's; the account's is not.
        self.assertEqual(bob["streams"][0]["verdict"], "not-detected")
        self.assertLess(alice["streams"][0]["log10P"], -6)
        self.assertIn("24 answers of the log", alice["checks"][1]["detail"])
        nobody = self.read_log("alice", copier)
        self.assertEqual((nobody["verdict"], nobody["streams"][0]["verdict"]), ("not-detected", "not-detected"))
        more = self.audit("--transcripts", self.file("log.jsonl", (self.folder / "log.jsonl").read_text()), "-k", self.key,
                          "--log-predictions", "predictions.safetensors", "--decoys", 0, "--account", "carol")["tests"][0]
        self.assertEqual((more["verdict"], more["scored"]), ("inconclusive", 0))

    def test_a_log_that_was_not_read(self) -> None:
        path = self.file("predictions.safetensors", predictions([[1, 2, 3]], copier))
        log = self.lines("log.jsonl", self.logs["alice"])
        self.refused(3, "audit", "--log-predictions", path, "--transcripts", log, "-k", self.key,
                     says=("predictions.safetensors", "document 0", "log.jsonl"))

    def answers_of(self, suspect: Student) -> list[dict[str, Any]]:
        out = []
        for number in range(24):
            ids = self.logs["alice"][number]["ids"][:2]
            while len(ids) < 120:
                ids.append(suspect(ids))
            out.append({"id": str(number), "prompt": PROMPTS[number % 6], "ids": ids})
        return out

    def test_answers_to_logged_prompts(self) -> None:
        log = self.lines("log.jsonl", self.logs["alice"] + self.logs["bob"])
        for trained, verdict in ((self.logs["alice"], "detected"), (None, "not-detected")):
            texts = [answer["ids"] for answer in trained] if trained else self.ids["unmarked"]
            path = self.lines("answers.jsonl", self.answers_of(Student(texts)))
            tests = self.audit("--answers", path, "--ids-field", "ids", "--transcripts", log, "-k", self.key, "--account",
                               "alice", "--decoys", 50)["tests"]
            self.assertEqual([test["test"] for test in tests], ["supervised-closed", "unsupervised-closed"])
            self.assertEqual(tests[0]["verdict"], verdict)
            self.assertEqual(tests[0]["order"], "as-logged")
            self.assertEqual(self.states(tests[0]), {"decoys": "passed", "log": "passed", "echo": "passed",
                                                     "prompts-given": "passed", "tokenizer": "passed"})

    # --- together ---------------------------------------------------------------------------

    def test_alpha_is_split(self) -> None:
        both = self.audit("--scores", self.lines("scores.jsonl", scores(50, 0)), "--answers",
                          self.lines("answers.jsonl", self.marked), "-k", self.key, "--decoys", 0, "--alpha", 1e-4)
        self.assertEqual([test["test"] for test in both["tests"]], ["served-response", "unsupervised-closed"])
        self.assertEqual((both["alpha"], {test["alpha"] for test in both["tests"]}), ("1.00e-4", {"5.00e-5"}))
        self.assertEqual((both["verdict"], [each["test"] for each in both["notRun"]]),
                         ("detected", ["supervised-open", "unsupervised-open", "unsupervised-open-mass", "marked-open",
                                       "supervised-closed"]))
        self.assertTrue(both["exploratory"])

    def test_threads_change_nothing(self) -> None:
        path = self.lines("answers.jsonl", self.marked)
        one, two = (self.call("audit", "--answers", path, "-k", self.key, "--decoys", 20, "--json", "--threads", n)[0]
                    for n in (1, 2))
        self.assertEqual(one, two)

    def test_pictures(self) -> None:
        records = self.lines("scores.jsonl", scores(100, 0.3))
        read = self.file("predictions.safetensors", predictions([answer["ids"] for answer in self.logs["bob"]],
                                                                Student(self.ids["marked"])))
        (self.folder / "audit.svg").unlink(missing_ok=True)
        self.audit("--scores", records, "--marked-predictions", read, "-k", self.key, "--decoys", 50, "--plot", "audit.svg")
        svg = (self.folder / "audit.svg").read_text()
        titles = [element.text for element in ElementTree.fromstring(svg).iter() if element.tag.endswith(("title", "text"))]
        for title in ("Served answers among 4 regenerations", "marked-open: evidence against tuples",
                      "marked-open: the key among 50 decoys"):
            self.assertIn(title, titles)
        self.refused(2, "audit", "--scores", records, "--plot", "audit.svg", says=("audit.svg", "--force"))

    def test_exit_status(self) -> None:
        for records, code in ((scores(300, 0.5), 0), (scores(300, 0), 10), (scores(2, 0), 5)):
            self.audit("--exit-status", "--scores", self.lines("scores.jsonl", records), code=code)

    def test_text_for_people(self) -> None:
        out, _ = self.call("audit", "--scores", self.lines("scores.jsonl", scores(500, 0.3)))
        for part in ("served-response: detected", "could find", "check", "negative-control not-run", "or else", "not shown",
                     "not run", "exploratory"):
            self.assertIn(part, out)
        out, _ = self.call("audit", "--answers", self.lines("answers.jsonl", self.unmarked), "-k", self.key, "--decoys", 0)
        self.assertIn("unsupervised-closed: not-detected", out)

    def test_what_is_refused(self) -> None:
        path = self.lines("scores.jsonl", scores(5, 0))
        self.refused(2, "audit", says=("--scores, --predictions", "--answers"))
        self.refused(2, "audit", "--answers", path, says=("-k FILE",))
        self.refused(2, "audit", "--scores", path, "-k", self.key, says=("answers",))
        self.refused(2, "audit", "--predictions", path, "-k", self.key, "--transcripts", path, says=("--scores",))
        self.refused(2, "audit", "--log-predictions", path, "-k", self.key, says=("--transcripts",))
        self.refused(2, "audit", "--answers", "-", "-k", self.key, says=("twice",))
        self.refused(2, "audit", "--answers", path, "-k", self.key, "--role", "user", says=("--role",))
        self.refused(2, "audit", "--scores", path, "--transcripts", "-", says=("give a file",))
        out, err = self.call("audit", "--answers", self.lines("a.jsonl", self.unmarked), "-k", self.key, "--decoys", 0,
                             "--plot", "none.svg", code=2)
        self.assertTrue("unsupervised-closed" in out and "to be drawn" in err)  # the result is not lost
        self.refused(6, "audit", "--scores", "none.jsonl", says=("none.jsonl",))
        twice = self.lines("twice.jsonl", scores(5, 0) + scores(2, 0))
        self.refused(3, "audit", "--scores", twice, says=("record 6, id", "earlier"))
        bad = self.file("bad.jsonl", json.dumps(scores(1, 0)[0]) + '\n{"schema": "countermark.scores/1", "id": 7}\n')
        self.refused(3, "audit", "--scores", bad, says=("bad.jsonl", "record 2, id", "byte"))


if __name__ == "__main__":
    unittest.main()
