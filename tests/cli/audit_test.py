#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`audit` as a person meets it: what a suspect rates and answers, and every rule that keeps a verdict honest.

Usage: audit_test.py PROGRAM. Of each rule both is shown: that without it the test would be wrong, and that it holds.
"""

from __future__ import annotations

import json
import unittest
import xml.etree.ElementTree as ElementTree
from typing import Any

from support import ROOT, key_file
from suspects import AuditCase, Student, predictions, scores, transcript

TOKENIZER = ROOT / "corpora" / "model" / "tokenizer.json"


class AuditTest(AuditCase):
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
        entered = [json.loads(line)["audit"] for line in (self.folder / "ledger.jsonl").read_text().splitlines()]
        self.assertEqual(served["ledger"], {"analysis": 4, "analyses": 4, "parts": 20, "audit": entered[3]})
        # The same files in other roles, and keys without a name, are other analyses.
        answers = ("audit", "-k", self.key, "--decoys", 0, "--ledger", "roles.jsonl", "--answers", "answers.jsonl")
        self.lines("more.jsonl", self.unmarked)
        self.assertEqual([self.audit(*answers[1:], *more)["ledger"]["analysis"] for more in
                          (("--answers", "more.jsonl"), ("--quoted", "more.jsonl"), ("--answers", "more.jsonl"))], [1, 2, 1])
        self.file("foreign.json", '{"scheme": "hf-kgw/1", "vocabSize": 4096}')
        numbers = []
        for number in (15485863, 7):
            self.file("foreign.key", f"int:{number}\n")
            (self.folder / "foreign.key").chmod(0o600)
            numbers.append(self.audit("-k", "foreign.key", "-p", "foreign.json", "-t", TOKENIZER, "--answers",
                                      "answers.jsonl", "--decoys", 0, "--ledger", "foreign.jsonl")["ledger"]["analysis"])
        self.assertEqual(numbers, [1, 2])
        self.refused(2, "audit", "--answers", "answers.jsonl", "-k", self.key, "--ledger", "l.jsonl", "--looks", "k.jsonl",
                     says=("one of both",))
        without = self.audit("--answers", "answers.jsonl", "-k", self.key, "--decoys", 0)
        self.assertIsNone(without["ledger"])
        self.assertIn({"check": "ledger", "state": "not-run",
                       "detail": "without --ledger nobody counts what else was tried"}, without["tests"][0]["checks"])

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
        # What could have been found is said before what was.
        self.assertRegex(out, r"^served-response\n +could find +.*\n +verdict +detected\n")
        for part in ("check", "negative-control not-run", "or else", "not shown", "not run", "exploratory"):
            self.assertIn(part, out)
        out, _ = self.call("audit", "--answers", self.lines("answers.jsonl", self.unmarked), "-k", self.key, "--decoys", 0)
        self.assertRegex(out, r"unsupervised-closed\n +could find .*\n +by share +1 % with .*\n +verdict +not-detected\n")

    def test_what_is_refused(self) -> None:
        path = self.lines("scores.jsonl", scores(5, 0))
        self.refused(2, "audit", says=("--scores, --predictions", "--answers"))
        self.refused(2, "audit", "--answers", path, says=("-k FILE",))
        self.refused(2, "audit", "--scores", path, "-k", self.key, says=("answers",))
        self.refused(2, "audit", "--scores", path, "--answers", path, "--looks", "looks", "-k", self.key,
                     says=("no other test",))
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
