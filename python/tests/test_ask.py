# SPDX-License-Identifier: Apache-2.0
"""python -m countermark.ask against a server that answers well, badly, late and never, and against a real one."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import json
import os
import pty
import socket
import subprocess
import sys
import threading
import time
import unittest
from collections.abc import Callable
from typing import Any
from unittest import mock

from countermark import ask, endpoint
from stub_server import Handler, Served, Server
from support import PROFILE, ROOT, Answers, call, export, master

GOLDENS = ROOT / "tests" / "goldens"
TIMES = ("time", "seconds", "url")  # differ from run to run
SECRET = "Bearer top/secret"


def said(body: dict[str, Any]) -> str:
    """The last thing that was said to the model."""
    return str(body["messages"][-1]["content"] if "messages" in body else body["prompt"])


def echo(number: int, handler: Handler) -> str:
    return f"To {said(handler.server.asked[number][2])}"


class Asking(Served):
    def setUp(self) -> None:
        super().setUp()
        self.out = self.folder / "answers.jsonl"
        self.prompts = self.folder / "prompts.txt"
        self.write("one", "two", "three")
        patch = mock.patch.object(ask, "FIRST_WAIT", 0.01)
        patch.start()
        self.addCleanup(patch.stop)

    def write(self, *prompts: object) -> None:
        """The file of prompts: text, or objects in JSON Lines."""
        if isinstance(prompts[0], str):
            self.prompts.write_text("".join(f"{prompt}\n" for prompt in prompts))
        else:
            self.prompts = self.folder / "prompts.jsonl"
            self.prompts.write_text("".join(f"{json.dumps(prompt)}\n" for prompt in prompts))

    def arguments(self, server: Server | str, *flags: object) -> list[str]:
        url = server if isinstance(server, str) else server.url
        return [url, "--prompts", str(self.prompts), "-o", str(self.out), *map(str, flags)]

    def ask(self, server: Server | str, *flags: object) -> tuple[int, str]:
        """Exit code and standard error; nothing is ever said elsewhere."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = ask.main(self.arguments(server, *flags))
            except SystemExit as exit:
                code = int(exit.code or 0)
        self.assertEqual(out.getvalue(), "")
        return code, err.getvalue()

    def answered(self, server: Server | str, *flags: object) -> list[dict[str, Any]]:
        """The file after a run to whose end nothing was to be said."""
        self.assertEqual(self.ask(server, *flags), (0, ""))
        return self.records()

    def records(self) -> list[dict[str, Any]]:
        data = self.out.read_bytes()
        self.assertTrue(data.endswith(b"\n") or not data)
        return [json.loads(line) for line in data.splitlines()]

    def ids(self) -> list[str]:
        return [record["id"] for record in self.records()]

    def start(self, server: Server, *flags: object) -> subprocess.Popen[str]:
        process = subprocess.Popen([sys.executable, "-m", "countermark.ask", *self.arguments(server, *flags)],
                                   stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def until(self, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not happened():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)


class Collecting(Asking):
    def test_answers_are_written_with_what_was_asked(self) -> None:
        server = self.serve(lambda _, handler: handler.send(200, json.dumps({
            "model": "m-2026", "system_fingerprint": "fp_1", "usage": {"prompt_tokens": 9, "completion_tokens": 2},
            "choices": [{"finish_reason": "stop", "message": {"content": "Ä\ud800\n"}}]}).encode()))
        records = self.answered(server, "--model", "m", "--system", "Be brief.", "--top-p", 0.9, "--seed", 7,
                                "--max-tokens", 20, "--temperature", 0)
        turns = [[{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}]
                 for prompt in ("one", "two", "three")]
        self.assertEqual([(path, body) for path, _, body in server.asked], [
            ("/v1/chat/completions", {"model": "m", "max_tokens": 20, "temperature": 0, "top_p": 0.9, "seed": 7,
                                      "stream": False, "messages": each}) for each in turns])
        for number, record in enumerate(records):
            self.assertRegex(record.pop("time"), r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertGreaterEqual(record.pop("seconds"), 0)
            self.assertEqual(record, {
                "schema": "countermark.answers/1", "id": str(number + 1), "prompt": turns[number], "response": "Ä?\n",
                "model": "m-2026", "fingerprint": "fp_1", "finish": "stop",
                "requested": {"model": "m", "maxTokens": 20, "temperature": 0, "topP": 0.9, "seed": 7},
                "usage": {"promptTokens": 9, "completionTokens": 2}, "url": f"{server.url}/v1/chat/completions",
                "promptsSha256": hashlib.sha256(b"one\ntwo\nthree\n").hexdigest()})

    def test_completions(self) -> None:
        server = self.serve(echo)
        record = self.answered(server.url + "/v1?secret=4242", "--completions", "--limit", 1)[0]
        self.assertEqual(server.asked[0][0], "/v1/completions?secret=4242")
        self.assertEqual(server.asked[0][2], {"prompt": "one", "max_tokens": 400, "temperature": 1, "stream": False})
        self.assertEqual((record["prompt"], record["response"]), ("one", "To one"))
        self.assertEqual(record["url"], f"{server.url}/v1/completions")
        for field in ("model", "fingerprint", "finish", "usage"):
            self.assertIsNone(record[field])

    def test_prompts_in_json_lines(self) -> None:
        turns = [{"role": role, "content": text} for role, text in (("user", "a"), ("assistant", "b"), ("user", "c"))]
        self.write({"id": "x", "messages": turns}, {"prompt": "# d\ne"}, {"id": 5, "prompt": "f", "topic": "g"})
        records = self.answered(self.serve(echo))
        self.assertEqual([(record["id"], record["prompt"]) for record in records], [
            ("x", turns), ("2", [{"role": "user", "content": "# d\ne"}]), ("5", [{"role": "user", "content": "f"}])])

    def test_several_answers_to_a_prompt(self) -> None:
        server = self.serve(echo)
        records = self.answered(server, "--count", 2, "--seed", 5, "--limit", 2)
        self.assertEqual([(record["id"], record["requested"]["seed"]) for record in records],
                         [("1#1", 5), ("2#1", 5), ("1#2", 6), ("2#2", 6)])
        self.assertEqual([body["seed"] for _, _, body in server.asked], [5, 5, 6, 6])
        self.answered(server, "--count", 3, "--seed", 5)  # more of both
        self.assertEqual(sorted(self.ids()), sorted(f"{i}#{j}" for i in (1, 2, 3) for j in (1, 2, 3)))

    def test_a_model_that_says_nothing_in_words(self) -> None:
        server = self.serve(lambda _, handler: handler.send(200, json.dumps({
            "model": 1, "system_fingerprint": "f" * 999, "usage": {"prompt_tokens": -1, "completion_tokens": True},
            "choices": [{"finish_reason": "tool_calls", "message": {"content": None}}]}).encode()))
        record = self.answered(server)[0]
        self.assertEqual((record["response"], record["model"], record["finish"]), ("", None, "tool_calls"))
        self.assertEqual(record["usage"], {"promptTokens": None, "completionTokens": None})
        self.assertEqual(len(record["fingerprint"]), 255)

    def test_bad_prompts(self) -> None:
        server = self.serve(echo)
        user = {"role": "user", "content": "a"}
        for prompts, says in (
                ([{"prompt": "a"}, {"id": "x"}], "line 2): expected either prompt or messages"),
                ([{"prompt": "a", "messages": [user]}], "expected either"), ([{"prompt": 3}], "prompt: expected text"),
                ([{"prompt": "\ud800"}], "surrogates"), ([{"messages": []}], "array of turns"), ([[1]], "an object"),
                ([{"messages": [{**user, "content": [{"type": "text"}]}]}], "both text"), ([{}, 5], "expected either"),
                ([{"id": "x", "prompt": "a"}, {"id": "x", "prompt": "b"}], "'x': expected each id once"),
                ([{"id": True, "prompt": "a"}], "id: expected")):
            self.write(*prompts)
            code, err = self.ask(server)
            self.assertEqual(code, 3, err)
            self.assertIn(says, err)
        self.write({"messages": [{"role": "system", "content": "s"}, user]})
        self.assertIn("--system would be another", self.ask(server, "--system", "t")[1])
        self.assertEqual(self.ask(server, "--completions")[0], 3)
        self.prompts.write_bytes(b"{")
        self.assertEqual(self.ask(server)[0], 3)
        self.prompts.write_bytes(b"\xff")
        self.assertEqual(self.ask(server)[0], 3)
        self.prompts.write_bytes(b"\n\n")
        self.assertEqual(self.ask(server)[0], 3)
        self.prompts.unlink()
        self.assertEqual(self.ask(server)[0], 6)
        self.assertEqual((server.asked, self.out.exists()), ([], False))

    def test_the_golden(self) -> None:
        """The same replies give the same lines, but for when and where."""
        replies = [{"model": "m", "system_fingerprint": "fp_1", "usage": {"prompt_tokens": 21, "completion_tokens": 4},
                    "choices": [{"finish_reason": "stop", "message": {"content": "In a harbour."}}]},
                   {"choices": [{"text": " of the"}]}]
        found = []
        for reply, flags in zip(replies, (("--model", "m", "--system", "Be brief.", "--count", 2), ("--completions",))):
            server = self.serve(lambda _, handler: handler.send(200, json.dumps(reply).encode()))
            self.write({"id": "clock", "prompt": "Tell a story."})
            found.append(self.answered(server, "--limit", 1, *flags)[0])
            self.out.unlink()
        golden = [json.loads(line) for line in (GOLDENS / "answers-ask.jsonl").read_text().splitlines()]
        self.assertEqual([list(value) for value in found], [list(value) for value in golden])
        for value in found + golden:
            for field in TIMES:
                del value[field]
        self.assertEqual(found, golden)

    def test_progress_on_a_terminal(self) -> None:
        server = self.serve(echo)
        ours, theirs = pty.openpty()
        with open(ours, "rb", buffering=0) as terminal:
            process = subprocess.run([sys.executable, "-m", "countermark.ask", *self.arguments(server)], stderr=theirs,
                                     check=True, capture_output=False)
            os.close(theirs)
            shown = terminal.read(1 << 16).decode()
        self.assertEqual(process.returncode, 0)
        self.assertIn("got 3 of 3 answers", shown)
        self.assertRegex(shown, "got 3 of 3 answers, [0-9.,]+ a (second|minute), 0 s left")


class Failing(Asking):
    def test_asked_again(self) -> None:
        """A broken server, a full one, a cut connection, a reply that is none: then an answer."""
        def reply(number: int, handler: Handler) -> str | None:
            match number:
                case 0: return handler.send(500, b"broken")
                case 1: return handler.send(429, b"slowly")
                case 2: return handler.connection.shutdown(socket.SHUT_RDWR)
                case 3: return handler.send(200, b"<html>")
            return echo(number, handler)

        server = self.serve(reply)
        self.answered(server)
        self.assertEqual(len(server.asked), 7)
        self.assertEqual(self.ids(), ["1", "2", "3"])

    def test_retry_after_is_kept_by_all(self) -> None:
        times: list[float] = []

        def reply(number: int, handler: Handler) -> str | None:
            times.append(time.monotonic())
            if number == 0:
                return handler.send(429, b"", **{"Retry-After": "1"})
            return echo(number, handler)

        self.answered(self.serve(reply), "--concurrency", 3, "--rate", 600)
        # The second and third of the threads may have gone before the reply came.
        late = [each - times[0] for each in times if each - times[0] > 0.5]
        self.assertGreaterEqual(min(late), 0.99)
        self.assertEqual(sorted(self.ids()), ["1", "2", "3"])

    def test_what_retry_after_says(self) -> None:
        now = 1_795_341_600.0  # 2026-11-22 10:00:00 UTC
        for text, seconds in (("120", 120), ("0", 0), ("Sun, 22 Nov 2026 10:00:30 GMT", 30), ("soon", None),
                              ("Sun, 22 Nov 2026 09:00:00 GMT", 0), (None, None), ("-1", None), ("²", None),
                              ("9" * 400, 999_999_999)):
            self.assertEqual(endpoint.seconds_of(text, now), seconds, text)

    def test_one_is_missing_and_the_rest_goes_on(self) -> None:
        broken = [True]

        def reply(number: int, handler: Handler) -> str | None:
            if broken[0] and said(handler.server.asked[number][2]) == "two":
                return handler.send(503, b"no\x1b[2J GPU")
            return echo(number, handler)

        server = self.serve(reply)
        code, err = self.ask(server, "--retries", 2)
        self.assertEqual((code, self.ids()), (6, ["1", "3"]))
        self.assertEqual([said(body) for _, _, body in server.asked], ["one", "two", "two", "two", "three"])
        url = f"{server.url}/v1/chat/completions"
        self.assertEqual(err, f"countermark.ask: 2: no answer: {url}: HTTP 503: no [2J GPU\n"
                              "countermark.ask: 1 of 3 answers are missing: run it again\n")
        self.assertEqual(self.ask(server, "--retries", 0)[0], 6)
        broken[0] = False
        self.assertEqual(self.ask(server), (0, ""))
        self.assertEqual(self.ids(), ["1", "3", "2"])

    def test_nobody_there(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        code, err = self.ask(f"http://127.0.0.1:{port}", "--retries", 1)
        self.assertEqual((code, self.records()), (6, []))
        self.assertIn("refused", err)
        self.assertIn("3 of 3 answers are missing", err)

    def test_a_refusal_ends_the_run(self) -> None:
        for status in (400, 401, 404, 302):
            def reply(number: int, handler: Handler) -> str | None:
                if number == 1:
                    return handler.send(status, b'{"error": "' + b"x" * 100_000, Location="http://127.0.0.1:9")
                return echo(number, handler)

            server = self.serve(reply)
            self.out.unlink(missing_ok=True)
            code, err = self.ask(server)
            self.assertEqual((code, self.ids(), len(server.asked)), (6, ["1"], 2))
            self.assertIn(f'HTTP {status}: {{"error": "xxx', err)
            self.assertLess(len(err), 500)

    def test_replies_are_bounded(self) -> None:
        server = self.serve(lambda *_: "x" * 2000)
        with mock.patch.object(endpoint, "MOST_BYTES", 1000):
            code, err = self.ask(server, "--limit", 1, "--retries", 0)
        self.assertEqual((code, self.records()), (6, []))
        self.assertIn("expected at most 1000 bytes", err)

    def test_slow_replies(self) -> None:
        ended = threading.Event()
        self.addCleanup(ended.set)

        def drip(_: int, handler: Handler) -> None:
            handler.send_response(200)
            handler.end_headers()
            while not ended.wait(0.05):
                handler.wfile.write(b" ")

        for reply in (drip, lambda *_: ended.wait()):
            code, err = self.ask(self.serve(reply), "--limit", 1, "--retries", 0, "--timeout", 0.2)
            self.assertEqual(code, 6)
            self.assertIn("timed out", err)

    def test_usage(self) -> None:
        server = self.serve(echo)
        for flags in (("--count", 0), ("--concurrency", 0), ("--rate", 0), ("--top-p", 2), ("--retries", -1),
                      ("--system", "a", "--system-file", "b"), ("--completions", "--system", "a"), ("--nonsense",),
                      ("--timeout", "nan"), ("-o", self.prompts), ("--seed", -1)):
            code, err = self.ask(server, *flags)
            self.assertEqual(code, 2, f"{flags}: {err}")
        for url in ("ftp://host", "127.0.0.1:80", "http://user:secret@127.0.0.1", "http://[", "http://h:99999",
                    "http://a b"):
            code, err = self.ask(url)
            self.assertEqual(code, 2, url)
            self.assertNotIn("secret", err)
        self.assertEqual(self.ask(server, "--system-file", self.folder / "none")[0], 6)
        self.assertEqual(self.ask(server, "-o", self.folder)[0], 6)
        self.assertEqual((server.asked, self.prompts.read_text()), ([], "one\ntwo\nthree\n"))


class Paced(Asking):
    def test_concurrency(self) -> None:
        """Four at a time and no more: each waits until there are four."""
        self.write(*(f"prompt {i}" for i in range(12)))
        all_here = threading.Barrier(4, timeout=20)
        now, most = [0], [0]
        lock = threading.Lock()

        def reply(number: int, handler: Handler) -> str:
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            all_here.wait()
            with lock:
                now[0] -= 1
            return "yes"

        records = self.answered(self.serve(reply), "--concurrency", 4)
        self.assertEqual(most[0], 4)
        self.assertEqual(sorted(int(record["id"]) for record in records), list(range(1, 13)))

    def test_the_order_is_that_of_arrival(self) -> None:
        second = threading.Event()

        def reply(number: int, handler: Handler) -> str:
            if said(handler.server.asked[number][2]) == "one":
                self.until(lambda: second.is_set() and self.out.stat().st_size > 0)
            else:
                second.set()
            return "yes"

        self.write("one", "two")
        self.answered(self.serve(reply), "--concurrency", 2)
        self.assertEqual(self.ids(), ["2", "1"])

    def test_rate(self) -> None:
        """Repetitions count, too: five requests in no less than four intervals."""
        times: list[float] = []

        def reply(number: int, handler: Handler) -> str | None:
            times.append(time.monotonic())
            return handler.send(500, b"") if number < 2 else echo(number, handler)

        self.answered(self.serve(reply), "--rate", 600, "--concurrency", 3)
        self.assertEqual(len(times), 5)
        self.assertGreater(times[-1] - times[0], 0.35)


class Secrets(Asking):
    def setUp(self) -> None:
        super().setUp()
        patch = mock.patch.dict(os.environ, {"ASK_TEST_SECRET": SECRET, "ASK_TEST_KEY": "top/secret"})
        patch.start()
        self.addCleanup(patch.stop)
        self.file = self.folder / "secret"
        self.file.write_text("top/secret\n")
        self.file.chmod(0o600)

    def test_they_go_to_the_endpoint_alone(self) -> None:
        server = self.serve(echo)
        for flags in (("--api-key", "ASK_TEST_KEY"), ("--api-key", f"@{self.file}"),
                      ("--header", "Authorization=ASK_TEST_SECRET")):
            self.answered(server, *flags, "--force")
            self.assertEqual(server.asked[-1][1]["Authorization"], SECRET)
            self.assertNotIn("secret", self.out.read_text())
        self.answered(server, "--header", f"X-Key=@{self.file}", "--force")
        self.assertEqual(server.asked[-1][1]["X-Key"], "top/secret")

    def test_an_endpoint_that_repeats_them(self) -> None:
        """As it is, without its Bearer, as JSON writes it, at the edge of what is shown, in a reply that is none."""
        url = "?key=query-secret"
        for body in (b"bad key Bearer top/secret", b"bad key top/secret", b"bad key top\\/secret", b"query-secret",
                     b"x" * 295 + b"top/secret", b"x" * 75 + b"top/secret"):
            for status in (401, 500, 200):
                self.out.unlink(missing_ok=True)
                server = self.serve(lambda _, handler: handler.send(status, body))
                code, err = self.ask(server.url + url, "--api-key", "ASK_TEST_KEY", "--retries", 0)
                self.assertEqual(code, 6, err)
                for part in ("secret", "top/s", "top\\"):
                    self.assertNotIn(part, err + self.out.read_text())

    def test_given_in_the_wrong_place(self) -> None:
        """Who gives the secret itself, or a file for all, is told so without it."""
        server = self.serve(echo)
        for flag in ("--api-key", "--header"):
            for source in ("sk-top-secret", "sk_top_secret", "Bearer top/secret"):
                code, err = self.ask(server, flag, source if flag == "--api-key" else f"A={source}")
                self.assertEqual(code, 2)
                self.assertNotIn("secret", err)
        with mock.patch.dict(os.environ, {"ASK_TEST_KEY": "top/secret\r\nX-Other: 1"}):
            self.assertEqual(self.ask(server, "--api-key", "ASK_TEST_KEY")[0], 2)
        for mode, text, expected in ((0o644, "top/secret\n", 4), (0o640, "top/secret", 4), (0o600, "", 4),
                                     (0o600, "top\nsecret", 4), (0o600, "ß-secret", 4)):
            self.file.write_text(text)
            self.file.chmod(mode)
            code, err = self.ask(server, "--api-key", f"@{self.file}")
            self.assertEqual(code, expected)
            self.assertNotIn("top", err.replace(str(self.file), ""))
        self.assertEqual(self.ask(server, "--api-key", f"@{self.folder / 'none'}")[0], 6)
        self.assertEqual(server.asked, [])


class Read(Asking, Answers):
    """What comes out is what the program reads: the response alone is scored."""

    def test_the_prompt_is_not_scored(self) -> None:
        marked = self.answers[0]["text"]
        turns = [{"role": "user", "content": "Go on."}, {"role": "assistant", "content": marked},
                 {"role": "user", "content": "Again."}]
        self.write({"id": "fresh", "prompt": "Go on."}, {"id": "seen", "messages": turns},
                   {"id": "quoted", "prompt": marked})
        server = self.serve(lambda number, handler:
                            "No." if said(handler.server.asked[number][2]) == marked else marked)
        self.answered(server)
        found = {line["id"]: line for line in map(json.loads, call(
            "detect", "-k", self.key_path, "-p", PROFILE, "--account", "alice", "--json", self.out).splitlines())}
        self.assertEqual(found["fresh"]["verdict"], "detected")
        alone = self.detector(account="alice").detect(marked, prompt="Go on.")
        self.assertEqual((found["fresh"]["field"], found["fresh"]["pValue"]), ("response", alone["pValue"]))
        self.assertEqual((found["seen"]["scored"], found["seen"]["tokens"]), (0, found["fresh"]["tokens"]))
        self.assertGreater(found["seen"]["dropped"]["promptContext"], 50)
        self.assertLess(found["quoted"]["tokens"], 5)
        dataset = json.loads(call("scan", "-k", self.key_path, "-p", PROFILE, "--account", "alice", "--decoys", 0,
                                  "--json", self.out))
        self.assertEqual(dataset["tests"][0]["scored"], found["fresh"]["scored"])


@unittest.skipUnless(importlib.util.find_spec("llama_cpp"), "llama-cpp-python is not installed")
class ARealServer(Asking):
    """llama-cpp-python's server on the embedded model, with the mark, as any suspect that copies it."""

    def test_asked_and_detected(self) -> None:
        key = master().epoch("embedded", "2026-11")
        key.save(self.folder / "server.key")
        export("--gguf", self.folder / "model.gguf")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with (self.folder / "log").open("w") as log:
            server = subprocess.Popen(
                [sys.executable, "-m", "countermark.llama_cpp", "--model", self.folder / "model.gguf", "--n_ctx", "512",
                 "--port", str(port), "--verbose", "false"], stdout=log, stderr=log,
                env={**os.environ, "COUNTERMARK_KEY": str(self.folder / "server.key"),
                     "COUNTERMARK_PROFILE": str(PROFILE), "COUNTERMARK_ACCOUNTS": "header:X-Account"})
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        self.write("The server", "When the file")
        with mock.patch.object(ask, "FIRST_WAIT", 0.2), mock.patch.dict(os.environ, {"ASK_TEST_ACCOUNT": "alice"}):
            flags = ("--header", "X-Account=ASK_TEST_ACCOUNT", "--max-tokens", 200, "--retries", 20)
            texts = self.answered(f"http://127.0.0.1:{port}", "--completions", *flags, "--count", 2)
            self.out.rename(self.folder / "texts.jsonl")
            chats = self.answered(f"http://127.0.0.1:{port}/v1", *flags, "--system", "Be brief.", "--limit", 1)
        self.assertEqual(sorted(record["id"] for record in texts), ["1#1", "1#2", "2#1", "2#2"])
        self.assertEqual(chats[0]["prompt"][0], {"role": "system", "content": "Be brief."})
        for record in texts + chats:
            self.assertIn(record["finish"], ("stop", "length"))
            self.assertTrue(record["model"])
            self.assertGreater(record["usage"]["completionTokens"], 0)
        for path, count in ((self.folder / "texts.jsonl", 4), (self.out, 1)):
            found = [json.loads(line) for line in call("detect", "-k", self.folder / "server.key", "-p", PROFILE,
                                                       "--account", "alice", "--json", path).splitlines()]
            self.assertEqual([line["field"] for line in found], ["response"] * count)
            self.assertIn("detected", [line["verdict"] for line in found])


if __name__ == "__main__":
    unittest.main()
