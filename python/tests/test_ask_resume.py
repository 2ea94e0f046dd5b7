# SPDX-License-Identifier: Apache-2.0
"""python -m countermark.ask goes on where it was killed, interrupted or short of answers, and with nothing else."""

from __future__ import annotations

import os
import signal
import threading
import time
import unittest
from unittest import mock

from countermark import answers
from stub_server import Handler
from test_ask import Asking, echo, said


class GoingOn(Asking):
    def test_after_kill(self) -> None:
        """Killed in the middle, again and again: every answer once, and no question asked that was answered."""
        self.write(*(f"prompt {i}" for i in range(40)))

        def reply(number: int, handler: Handler) -> str:
            time.sleep(0.01)
            return echo(number, handler) + " and so on" * 500

        server = self.serve(reply)
        for rows in (5, 15):
            process = self.start(server, "--concurrency", 2)
            self.until(lambda: self.out.exists() and self.out.read_bytes().count(b"\n") >= rows)
            process.kill()
            process.wait()
        there = self.ids()
        self.assertLess(len(there), 40)
        asked = len(server.asked)
        time.sleep(0.1)
        before = self.out.read_bytes()
        self.assertEqual(self.ask(server, "--concurrency", 2), (0, ""))
        self.assertTrue(self.out.read_bytes().startswith(before))
        self.assertEqual(sorted(map(int, self.ids())), list(range(1, 41)))
        self.assertLessEqual(len(server.asked) - asked, 40 - len(there) + 2)
        self.assertEqual(self.ask("http://127.0.0.1:9")[0], 2)  # another endpoint
        server.asked.clear()
        self.answered(server)
        self.assertEqual(server.asked, [])

    def test_half_a_line_is_removed(self) -> None:
        server = self.serve(echo)
        self.answered(server)
        whole = self.out.read_bytes()
        second = whole.index(b"\n") + 1
        for size in (second + 1, second + 12, second + 200, whole.index(b"\n", second)):
            self.out.write_bytes(whole[:size])
            server.asked.clear()
            code, err = self.ask(server)
            self.assertEqual((code, self.ids(), len(server.asked)), (0, ["1", "2", "3"], 2))
            self.assertEqual(err, f"countermark.ask: {self.out}: removed half a line ({size - second} bytes) "
                                  "at the end\n")

    def test_other_questions_are_refused(self) -> None:
        server, other = self.serve(echo), self.serve(echo)
        flags = ("--model", "m", "--seed", 1, "--system", "s")
        self.answered(server, *flags, "--limit", 2)
        kept, server.asked = self.out.read_bytes(), []
        for to, changed, says in (
                (server, ("--model", "n"), "requested model was 'm', is 'n' now"),
                (server, ("--temperature", 0.5), "temperature was 1.0, is 0.5"),
                (server, ("--top-p", 1), "topP was None"),
                (server, ("--max-tokens", 9), "maxTokens"), (server, ("--seed", 2), "seed"),
                (server, ("--system", "t"), "another --system"), (server, ("--count", 2), "--count"),
                (other, (), "url was")):
            code, err = self.ask(to, *flags, *changed)
            self.assertEqual(code, 2, err)
            self.assertIn(says, err)
            self.assertIn("(line 1)", err)
        self.write("one", "two", "three", "four")
        self.assertIn("promptsSha256 was", self.ask(server, *flags)[1])
        self.assertEqual((self.out.read_bytes(), server.asked, other.asked), (kept, [], []))
        self.answered(server, *flags, "--count", 2, "--force")
        self.assertEqual(len(self.ids()), 8)

    def test_what_is_not_ours_is_left_alone(self) -> None:
        server = self.serve(echo)
        self.answered(server, "--limit", 1)
        line = self.out.read_bytes()
        for text in (b"my diary", b"my diary\n", b"{}\n", line + b"my diary", line + b'{"schema":"other/1"}\n', b"\n",
                     line.replace(b'"id":"1"', b'"id":1'), line.replace(b'"requested":{', b'"requested":null,"x":{')):
            self.out.write_bytes(text)
            code, err = self.ask(server)
            self.assertEqual((code, self.out.read_bytes()), (2, text), err)
            self.assertIn("expected countermark.answers/1", err)
        self.assertEqual(len(server.asked), 1)
        self.out.unlink()
        os.mkfifo(self.out)
        self.assertEqual(self.ask(server)[0], 6)

    def test_one_process_at_a_time(self) -> None:
        first = answers.Answers(str(self.out))
        code, err = self.ask(self.serve(echo), "--force")
        self.assertEqual(code, 6)
        self.assertIn("another process writes it", err)
        first.close()

    def test_a_full_disk(self) -> None:
        with mock.patch.object(os, "write", side_effect=OSError(28, "No space left on device")):
            code, err = self.ask(self.serve(echo))
        self.assertEqual(code, 6)
        self.assertIn("cannot write: No space left", err)

    def test_interrupted(self) -> None:
        """What has come is kept, and an endpoint that does not answer is not waited for."""
        ended = threading.Event()
        self.addCleanup(ended.set)

        def reply(number: int, handler: Handler) -> str:
            if said(handler.server.asked[number][2]) == "three":
                ended.wait()
            return "yes"

        # A child inherits no handler, but that the signal is ignored, as it is of what runs in the background.
        self.addCleanup(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.default_int_handler))
        server = self.serve(reply)
        process = self.start(server, "--concurrency", 2)
        self.until(lambda: len(server.asked) == 3 and self.out.read_bytes().count(b"\n") == 2)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(10), 130)
        self.assertEqual(process.stderr.read(), "countermark.ask: 1 of 3 answers are missing: run it again\n")
        self.assertEqual(sorted(self.ids()), ["1", "2"])


if __name__ == "__main__":
    unittest.main()
