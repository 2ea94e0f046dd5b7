# SPDX-License-Identifier: Apache-2.0
"""python -m countermark.probe against a server that answers with marked text, other text, and worse."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import countermark
from countermark import probe
from stub_server import Handler, Server, Served
from support import PROFILE, ROOT, call

from key_text import key_of_the_vectors

GOLDENS = ROOT / "tests" / "goldens"
REDIRECTED = "http://127.0.0.1:9/elsewhere"


class Probing(Served):
    key_path: Path
    marked: list[str]
    unmarked: list[str]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        folder = Path(temporary.name)
        cls.key_path = folder / "epoch.key"
        cls.key = countermark.Key.parse(key_of_the_vectors())  # the same text, and the same verdicts, each time
        cls.key.save(cls.key_path)
        prompts = folder / "prompts.txt"
        prompts.write_text("".join(f"{prompt}\n" for prompt in probe.PROMPTS))
        for name, flags in (("marked", ()), ("unmarked", ("--unmarked",))):
            lines = call("generate", "-k", cls.key_path, "--account", "alice", "--prompts", prompts, "-n", 120,
                         "--exact", "--seed", "0011", "--json", *flags)
            setattr(cls, name, [json.loads(line)["text"] for line in lines.splitlines()])

    def ask(self, server: Server | str, *flags: object, account: str = "alice") -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        url = server if isinstance(server, str) else server.url
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = probe.main([url, "--account", account, "-p", str(PROFILE), "-k", str(self.key_path),
                                   *map(str, flags)])
            except SystemExit as exit:
                code = int(exit.code or 0)
        return code, out.getvalue(), err.getvalue()

    def result(self, server: Server, *flags: object, code: int, account: str = "alice") -> dict[str, Any]:
        found, out, err = self.ask(server, "--json", *flags, account=account)
        self.assertEqual(found, code, out + err)
        value: dict[str, Any] = json.loads(out)
        return value


class Verdicts(Probing):
    def test_marked_text_is_found(self) -> None:
        server = self.serve(lambda i, _: self.marked[i % 8])
        result = self.result(server, "--user", "--account-header", "X-Account", "--model", "m", "--top-p", 0.9, code=0)
        self.assertEqual((result["verdict"], result["reasons"], result["own"]["verdict"]), ("detected", [], "detected"))
        self.assertLess(float(result["own"]["pValue"]), 1e-6)
        self.assertEqual(result["answers"], 1)  # and stops
        self.assertLess(result["neededTokens"], 120)
        (path, headers, body), = server.asked
        self.assertEqual(path, "/v1/completions")
        self.assertEqual(headers["X-Account"], "alice")
        self.assertEqual(body, {"prompt": probe.PROMPTS[0], "max_tokens": 400, "temperature": 1.0, "stream": False,
                                "model": "m", "top_p": 0.9, "user": "alice"})
        code, out, _ = self.ask(server)
        self.assertEqual(code, 0)
        self.assertIn("What was served carries the mark of alice.", out)
        self.assertNotIn("user", server.asked[1][2])
        self.assertIn("which was not sent", out)

    def test_a_query_is_sent_and_not_shown(self) -> None:
        server = self.serve(lambda i, _: self.marked[i % 8])
        code, out, err = self.ask(server.url + "/v1?secret=42")
        self.assertEqual((code, server.asked[0][0]), (0, "/v1/completions?secret=42"))
        self.assertNotIn("secret", out + err)

    def test_chat(self) -> None:
        server = self.serve(lambda i, _: self.marked[i % 8])
        self.assertEqual(self.ask(server, "--chat")[0], 0)
        self.assertEqual(self.ask(server.url + "/v1/")[0], 0)
        self.assertEqual(self.ask(server.url + "/v1/chat/completions")[0], 0)
        self.assertEqual([path for path, _, _ in server.asked],
                         ["/v1/chat/completions", "/v1/completions", "/v1/chat/completions"])
        self.assertEqual(server.asked[0][2]["messages"], [{"role": "user", "content": probe.PROMPTS[0]}])

    def test_weak_answers_add_up(self) -> None:
        """None of the four decides alone, at an alpha that all together pass."""
        tokenizer = countermark.Tokenizer.load(PROFILE.with_name("tokenizer.json"))
        short = [tokenizer.decode(tokenizer.encode(text)[:20]) for text in self.marked[:4]]
        detector = countermark.Detector(self.key, countermark.Profile.load(PROFILE), tokenizer, account="alice")
        for text in short:
            self.assertGreater(float(detector.detect(text)["streams"][0]["pValue"]), 1e-5)
        result = self.result(self.serve(lambda i, _: short[i]), "--answers", 4, "--alpha", 1e-5, code=0)
        self.assertGreater(result["answers"], 1)

    def test_a_repeated_answer_counts_once(self) -> None:
        tokenizer = countermark.Tokenizer.load(PROFILE.with_name("tokenizer.json"))
        text = tokenizer.decode(tokenizer.encode(self.marked[0])[:60])
        server = self.serve(lambda *_: text)
        once, often = (self.result(server, "--answers", n, "--alpha", 1e-15, code=code)
                       for n, code in ((1, 5), (16, 5)))
        self.assertEqual(often["own"], once["own"])
        self.assertEqual(often["tokens"], 16 * once["tokens"])
        self.assertEqual(often["reasons"], ["some-evidence"])

    def test_unmarked_text_is_not_found(self) -> None:
        result = self.result(self.serve(lambda i, _: self.unmarked[i % 8]), "--answers", 8, code=10)
        self.assertEqual((result["verdict"], result["answers"]), ("not-detected", 8))
        self.assertGreater(result["tokens"], probe.ENOUGH_TOKENS)
        self.assertGreater(float(result["own"]["pValue"]), 1e-6)
        self.assertEqual(result["shared"]["verdict"], "not-detected")
        self.assertIn("No mark of alice was found", self.ask(
            self.serve(lambda i, _: self.unmarked[i % 8]), "--answers", 8)[1])

    def test_another_account_is_not_found_but_the_key_is(self) -> None:
        server = self.serve(lambda i, _: self.marked[i % 8])
        result = self.result(server, "--answers", 8, code=10, account="bob")
        self.assertEqual((result["own"]["verdict"], result["shared"]["verdict"]), ("not-detected", "detected"))
        code, out, _ = self.ask(server, "--answers", 8, account="bob")
        self.assertEqual(code, 10)
        self.assertIn("was not served as bob", out)

    def test_too_little_is_inconclusive(self) -> None:
        result = self.result(self.serve(lambda *_: "No."), code=5)
        self.assertEqual((result["verdict"], result["reasons"]), ("inconclusive", ["too-short"]))
        result = self.result(self.serve(lambda *_: ""), code=5)
        self.assertEqual((result["tokens"], result["own"]["pValue"], result["neededTokens"]), (0, "1", None))
        result = self.result(self.serve(lambda *_: self.unmarked[0]), "--answers", 1, code=5)
        self.assertEqual(result["reasons"], ["too-few-tokens"])

    def test_the_golden(self) -> None:
        """Under the key of the vectors: the same answer gives the same line, but for who asked whom."""
        answer = json.loads((GOLDENS / "answers.jsonl").read_text())
        result = self.result(self.serve(lambda *_: answer["text"]), "--user", code=0)
        golden = json.loads((GOLDENS / "probe.jsonl").read_text())
        self.assertEqual(list(result), list(golden))
        for value in (result, golden):
            del value["url"], value["version"]
        self.assertEqual(result, golden)

    def test_it_is_a_program(self) -> None:
        server = self.serve(lambda *_: self.marked[0])
        done = subprocess.run(
            [sys.executable, "-m", "countermark.probe", server.url, "--account", "alice", "-p", str(PROFILE), "-k",
             str(self.key_path)], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("own layer", done.stdout)


class Failing(Probing):
    def fails(self, code: int, reply: Callable[[int, Handler], Any], *flags: object, says: str) -> None:
        found, out, err = self.ask(self.serve(reply), *flags)
        self.assertEqual((found, out), (code, ""), err)
        self.assertIn(says, err)
        self.assertEqual(len(err.splitlines()), 1, err)

    def test_errors_of_the_endpoint(self) -> None:
        self.fails(6, lambda _, h: h.send(500, b'{"error":\n"no\x1b[2J GPU"}'), says='HTTP 500: {"error": "no [2J GPU"}')
        self.fails(6, lambda _, h: h.send(401, b""), says="HTTP 401")
        # The second answer fails: no verdict on half of what was asked for.
        self.fails(6, lambda i, h: self.unmarked[0] if i == 0 else h.send(503, b"busy"), says="HTTP 503: busy")
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        code, _, err = self.ask(f"http://127.0.0.1:{port}")
        self.assertEqual(code, 6)
        self.assertIn("refused", err)

    def test_malformed_replies(self) -> None:
        for body in (b"<html>", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{"text": 1}]}', b"\xff", b"",
                     b'{"choices": [{"message": {"content": "a"}}]}', b"[" * 100_000):
            self.fails(3, lambda _, h: h.send(200, body), says="expected")
        # A model that called a tool said nothing; a lone surrogate is no text.
        for body in (b'{"choices": [{"message": {"content": null}}]}', b'{"choices": [{"message": {"content": "\\ud800"}}]}'):
            self.assertEqual(self.ask(self.serve(lambda _, h: h.send(200, body)), "--chat")[0], 5)

    def test_slow_replies(self) -> None:
        ended = threading.Event()
        self.addCleanup(ended.set)

        def drip(_: int, handler: Handler) -> None:
            handler.send_response(200)
            handler.end_headers()
            while not ended.wait(0.05):
                handler.wfile.write(b" ")

        start = time.monotonic()
        self.fails(6, lambda *_: ended.wait(), "--timeout", 0.2, says="timed out")
        self.fails(6, drip, "--timeout", 0.3, says="timed out")
        self.assertLess(time.monotonic() - start, 10)

    def test_secrets_go_to_the_endpoint_alone(self) -> None:
        os.environ["PROBE_TEST_SECRET"] = "Bearer top-secret"
        self.addCleanup(os.environ.pop, "PROBE_TEST_SECRET")
        server = self.serve(lambda *_: self.marked[0])
        code, out, err = self.ask(server, "--header", "Authorization=PROBE_TEST_SECRET")
        self.assertEqual((code, server.asked[0][1]["Authorization"]), (0, "Bearer top-secret"))
        self.assertNotIn("top-secret", out + err)
        other = self.serve(lambda *_: self.marked[0])
        for status in (301, 302, 307, 308):
            code, out, err = self.ask(self.serve(lambda _, h: h.send(status, b"", Location=other.url)),
                                      "--header", "Authorization=PROBE_TEST_SECRET")
            self.assertEqual(code, 6)
            self.assertIn(f"HTTP {status}", err)
            self.assertNotIn("top-secret", out + err)
        self.assertEqual(other.asked, [])
        os.environ["PROBE_TEST_SECRET"] = "top-secret\r\nX-Other: 1"
        code, out, err = self.ask(server, "--header", "Authorization=PROBE_TEST_SECRET")
        self.assertEqual(code, 2)
        self.assertNotIn("top-secret", out + err)

    def test_usage(self) -> None:
        server = self.serve(lambda *_: self.marked[0])
        for flags in (("--temperature", 0), ("--top-p", 0), ("--alpha", 0.6), ("--answers", 0), ("--nonsense",),
                      ("--header", "Authorization"), ("--header", "A=PROBE_TEST_MISSING"), ("--account-header", "a b"),
                      ("--timeout", "nan"), ("--max-tokens", "many")):
            self.assertEqual(self.ask(server, *flags)[0], 2, flags)
        for url in ("ftp://host", "file:///etc/passwd", "127.0.0.1:80", "http://", "http://user:secret@127.0.0.1"):
            code, _, err = self.ask(url)
            self.assertEqual(code, 2, url)
            self.assertNotIn("secret", err)
        self.assertEqual(server.asked, [])

    def test_bad_files(self) -> None:
        server = self.serve(lambda *_: self.marked[0])

        def ask(code: int, key: object = self.key_path, profile: object = PROFILE, *flags: object) -> None:
            with contextlib.redirect_stderr(io.StringIO()) as err:
                with contextlib.redirect_stdout(io.StringIO()):
                    found = probe.main([server.url, "--account", "a", "-p", str(profile), "-k", str(key),
                                        *map(str, flags)])
            self.assertEqual(found, code, err.getvalue())

        loose, bad = self.folder / "loose.key", self.folder / "bad"
        self.key.save(loose)
        loose.chmod(0o644)
        ask(4, key=loose)
        bad.write_text("{}")
        bad.chmod(0o600)
        ask(4, key=bad)
        ask(6, key=self.folder / "none")
        ask(3, profile=bad)
        prompts = self.folder / "prompts.txt"
        prompts.write_text("# nothing\n\n")
        ask(3, self.key_path, PROFILE, "--prompts", prompts)
        prompts.write_bytes(b"\xff")
        ask(3, self.key_path, PROFILE, "--prompts", prompts)
        ask(6, self.key_path, PROFILE, "--prompts", self.folder / "none")
        without = self.folder / "without.json"
        without.write_text(json.dumps({name: value for name, value in json.loads(PROFILE.read_text()).items()
                                       if name != "tokenizer"}))
        ask(2, profile=without)
        self.assertEqual(server.asked, [])
        prompts.write_text("# mine\nfirst\n\nsecond\n")
        ask(10, self.key_path, PROFILE, "--prompts", prompts, "--answers", 5)
        self.assertEqual([body["prompt"] for _, _, body in server.asked], ["first", "second"] * 2 + ["first"])


class Statistics(unittest.TestCase):
    def test_the_calibrator_is_one_in_the_mean(self) -> None:
        """Its integral over p in [e^-60, 1], by the midpoint rule in ln p; the rest holds 1/60."""
        steps, least = 200_000, 60.0
        nats = [least * (i + 0.5) / steps for i in range(steps)]
        mean = sum(math.exp(probe.log_e_value(math.exp(-n)) - n) for n in nats) * least / steps
        self.assertAlmostEqual(mean, 1 - 1 / least * (1 - math.exp(-least)), places=5)
        values = [probe.log_e_value(math.exp(-n)) for n in nats]
        self.assertEqual(values, sorted(values))

    def test_chance_decides_as_seldom_as_it_says(self) -> None:
        """2,000 probes of 16 answers without a mark, at alpha 1/50: more than 70 in fewer than 1e-5 of all runs."""
        source = random.Random(1)
        found = 0
        for _ in range(2_000):
            layer = probe.Layer()
            for _ in range(16):
                layer.add(20, str(1 - source.random()), "1e-19")
            found += layer.p <= 0.02
        self.assertLess(found, 70)
        self.assertGreater(found, 0)

    def test_nothing_below_the_floor_is_said(self) -> None:
        layer = probe.Layer()
        layer.add(100, "3.1e-400", "4.4e-19")
        self.assertGreaterEqual(layer.p, 4.4e-19)
        layer.add(100, "3.1e-400", "4.4e-19")
        self.assertGreaterEqual(layer.p, 8.8e-19)
        layer.add(0, "1", "4.4e-19")
        layer.add(9, None, "4.4e-19")
        self.assertEqual(layer.scored, 200)

    def test_p_values_are_rounded_up(self) -> None:
        for p, text in ((1.0, "1"), (0.99999, "1"), (0.0121001, "1.22e-2"), (1.231e-9, "1.24e-9")):
            self.assertEqual(probe.decimal(p), text)


if __name__ == "__main__":
    unittest.main()
