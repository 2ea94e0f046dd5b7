# SPDX-License-Identifier: Apache-2.0
"""countermark.llama_cpp inside the real library and its HTTP server, on the embedded model."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import countermark
import numpy as np
from support import PROFILE, Case, export, master, own_layer

try:
    import llama_cpp
    import llama_cpp.server.app
    import uvicorn
    from llama_cpp import llama_cpp as libllama
    from llama_cpp.llama_speculative import LlamaPromptLookupDecoding
    from llama_cpp.server.settings import ModelSettings, ServerSettings
except ImportError as missing:
    raise unittest.SkipTest(f"llama-cpp-python is not installed: {missing}") from missing

from countermark.llama_cpp import Accounts, Llama, create_app, written_for

# What makes llama-cpp-python draw from the whole distribution at temperature 1.
PLAIN: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 0.95, "min_p": 0.0,
                         "repeat_penalty": 1.0, "logit_bias": {0: -100.0}}


class FixedNonce:
    """A service whose samplers all draw alike."""

    def __init__(self, service: countermark.Service) -> None:
        self._service = service

    def llama_sampler(self, init: int, **options: Any) -> tuple[int, countermark.Response]:
        return self._service.llama_sampler(init, nonce=b"n", plain_key=bytes(16), **options)


class Embedded(Case):
    @classmethod
    def setUpClass(cls) -> None:
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.gguf = Path(temporary.name) / "model.gguf"
        export("--gguf", cls.gguf)
        cls.profile = countermark.Profile.load(PROFILE)
        cls.tokenizer = countermark.Tokenizer.of(cls.profile, PROFILE)
        cls.key = master().epoch("embedded", "2026-11")

    def setUp(self) -> None:
        super().setUp()
        self.service = countermark.Service(self.key, self.profile, may_leak_timing=True)

    def load(self, service: Any = None, **options: Any) -> Llama:
        model = Llama(str(self.gguf), service=service or self.service, n_ctx=512, verbose=False,
                      **options)
        self.addCleanup(model.close)
        return model

    def own_layer(self, text: str, account: str) -> float:
        """log10 of the p-value of the account's own layer."""
        return own_layer(text, account, self.key, self.profile, self.tokenizer)

    def check_account(self, text: str, account: str, other: str) -> None:
        self.assertLess(self.own_layer(text, account), -6, text)
        self.assertGreater(self.own_layer(text, other), -6, text)


class InTheLibrary(Embedded):
    def test_answers_carry_their_account(self) -> None:
        model = self.load()
        for account, other in (("alice", "bob"), ("bob", "alice")):
            with written_for(account=account):
                answer = model.create_completion("The server", max_tokens=250, **PLAIN)
            self.check_account(answer["choices"][0]["text"], account, other)
        nobodys = model.create_completion("The server", max_tokens=250, **PLAIN)
        for account in ("alice", "bob"):
            self.assertGreater(self.own_layer(nobodys["choices"][0]["text"], account), -6)
        counted = self.service.counters()
        self.assertGreater(counted["no-identity"], 50)
        self.assertEqual(counted["responses"], 3)

    def test_what_stands_where(self) -> None:
        model = self.load()

        def names(**options: Any) -> list[bytes]:
            chain = model._init_sampler(**options).sampler
            return [libllama.llama_sampler_name(libllama.llama_sampler_chain_get(chain, i))
                    for i in range(libllama.llama_sampler_chain_n(chain))]

        self.assertEqual(names()[-2:], [b"temp", b"countermark"])
        self.assertNotIn(b"dist", names())
        self.assertEqual(names(temp=-1.0)[-1], b"countermark")
        self.assertEqual(names(temp=0.0)[-1], b"greedy")
        self.assertEqual(names(mirostat_mode=2)[-1], b"mirostat-v2")
        with self.assertRaisesRegex(ValueError, "expected a countermark.Service"):
            Llama(str(self.gguf), verbose=False)._init_sampler()

    def test_drafts_change_nothing(self) -> None:
        texts = []
        for draft_model in (None, LlamaPromptLookupDecoding(num_pred_tokens=6)):
            model = self.load(FixedNonce(self.service), draft_model=draft_model,
                              type_k=0, type_v=0)
            with written_for(account="alice"):
                texts.append(model.create_completion("The server the server the server the",
                                                     max_tokens=200, **PLAIN)["choices"][0]["text"])
        self.assertEqual(texts[0], texts[1])
        self.check_account(texts[0], "alice", "bob")

    def test_under_a_grammar(self) -> None:
        model = self.load()
        grammar = llama_cpp.LlamaGrammar.from_string('root ::= ([a-z]+ " ")+', verbose=False)
        with written_for(account="alice"):
            text = model.create_completion("The server", max_tokens=400, grammar=grammar,
                                           **PLAIN)["choices"][0]["text"]
        self.assertRegex(text, r"\A[a-z ]+\Z")
        self.check_account(text, "alice", "bob")

    def test_no_key_no_mark(self) -> None:
        model = self.load()
        self.service.revoke_key()
        with written_for(account="alice"):
            text = model.create_completion("The server", max_tokens=200, **PLAIN)["choices"][0]["text"]
        self.assertGreater(self.own_layer(text, "alice"), -6)
        self.assertGreater(self.service.counters()["failed"], 100)
        refusing = countermark.Service(self.key, self.profile, policy="refuse", may_leak_timing=True)
        refusing.revoke_key()
        self.refused("key", self.load(refusing).create_completion, "The", max_tokens=5)

    def test_left_unmarked(self) -> None:
        model = self.load()
        with written_for(account="alice", marked=False):
            model.create_completion("The server", max_tokens=50, **PLAIN)
        self.assertEqual(self.service.counters()["marked"], 0)
        self.assertGreater(self.service.counters()["off"], 30)

    def test_answers_are_recorded(self) -> None:
        path = self.folder / "transcripts.jsonl"
        model = self.load()
        with countermark.TranscriptWriter(path) as transcripts:
            model.transcripts = transcripts
            with written_for(account="alice", cohort="c1"):
                text = model.create_completion("The server", max_tokens=150, **PLAIN)["choices"][0]["text"]
            parts = model.create_completion("When", max_tokens=20, stream=True, **PLAIN)
            streamed = "".join(part["choices"][0]["text"] for part in parts)
            model.create_completion("When", max_tokens=4, temperature=0.0)
        first, second, third = countermark.read_transcripts(path)
        self.assertEqual(first["text"], text)
        self.assertEqual((first["account"], first["cohort"]), ("alice", "c1"))
        self.assertEqual((first["keyId"], first["epoch"]), (self.key.key_id, "2026-11"))
        self.assertEqual(len(first["slots"]), len(self.profile.layers))
        self.assertEqual(len(first["ids"]), 150)
        self.assertEqual(model.tokenize(b"The server"), first["promptIds"])
        self.assertEqual(second["text"], streamed)
        self.assertIsNone(second["account"])
        self.assertIsNone(third["keyId"])  # greedy: nothing of it is marked
        self.assertLess(own_layer(first["ids"], "alice", self.key, self.profile), -6)

    def test_a_stream_is_for_who_has_asked(self) -> None:
        path = self.folder / "transcripts.jsonl"
        model = self.load()
        with countermark.TranscriptWriter(path) as transcripts:
            model.transcripts = transcripts
            with written_for(account="alice"):
                completion = model.create_completion("The server", max_tokens=250, stream=True, **PLAIN)
            with written_for(account="bob"):
                text = "".join(part["choices"][0]["text"] for part in completion)
            with written_for(account="alice"):
                steps = model.generate(model.tokenize(b"The server"))
            next(steps)
            steps.close()
        self.check_account(text, "alice", "bob")
        self.assertEqual([each["account"] for each in countermark.read_transcripts(path)], ["alice"] * 2)

    def test_answers_that_overlap_stay_their_own(self) -> None:
        path = self.folder / "transcripts.jsonl"
        model = self.load()
        with countermark.TranscriptWriter(path) as transcripts:
            model.transcripts = transcripts
            with written_for(account="alice"):
                steps = model.generate(model.tokenize(b"The server"))
                next(steps)
            with written_for(account="bob"):
                model.create_completion("When", max_tokens=5, **PLAIN)
            steps.close()  # late, as an answer that the server has interrupted
        self.assertEqual([each["account"] for each in countermark.read_transcripts(path)],
                         ["bob", "alice"])
        # Nor does what is drawn by hand go on under the last one's name.
        model.sample()
        self.assertEqual(self.service.counters()["responses"], 3)

    def test_the_service_outlives_its_samplers(self) -> None:
        lines: list[str] = []
        service = countermark.Service(self.key, self.profile, may_leak_timing=True, log=lines.append)
        model = self.load(service)
        sampler = model._init_sampler()
        del service
        model.service = None
        sampler.close()  # frees the last owner, outside of Python's lock


class Chain(Embedded):
    """The sampler in a chain of libllama's own, without a model."""

    def chain(self, marking: int) -> Any:
        chain = libllama.llama_sampler_chain_init(libllama.llama_sampler_chain_default_params())
        libllama.llama_sampler_chain_add(chain, libllama.llama_sampler_init_top_k(40))
        libllama.llama_sampler_chain_add(
            chain, ctypes.cast(marking, libllama.llama_sampler_p_ctypes))
        self.addCleanup(libllama.llama_sampler_free, chain)
        return chain

    def sampler(self) -> int:
        init = ctypes.cast(libllama.llama_sampler_init, ctypes.c_void_p).value
        return self.service.llama_sampler(init, account="a", cohort="c", max_tokens=300, nonce=b"n",
                                          plain_key=bytes(16))[0]

    @staticmethod
    def apply(chain: Any, logits: list[float]) -> int:
        data = (libllama.llama_token_data * len(logits))(
            *(libllama.llama_token_data(id=i, logit=logit, p=0) for i, logit in enumerate(logits)))
        array = libllama.llama_token_data_array(data=data, size=len(data), selected=-1, sorted=False)
        libllama.llama_sampler_apply(chain, ctypes.byref(array))
        return array.data[array.selected].id

    @staticmethod
    def rows(count: int) -> list[list[float]]:
        return [[9 * random.Random(1000 * i + j).random() for j in range(200)] for i in range(count)]

    def write(self, chain: Any, rows: list[list[float]]) -> list[int]:
        out = []
        for row in rows:
            out.append(self.apply(chain, row))
            self.apply(chain, row)  # as under a grammar: a draw of its own
            libllama.llama_sampler_accept(chain, out[-1])
        return out

    def test_draws_what_the_service_draws(self) -> None:
        rows = self.rows(60)
        response = self.service.respond(account="a", cohort="c", max_tokens=300, nonce=b"n",
                                        plain_key=bytes(16))
        wanted = []
        for row in rows:
            wanted.append(self.service.sample([response], np.array(row, dtype=np.float32),
                                              top_k=40)[0].token)
            response.commit(wanted[-1])
        self.assertEqual(self.write(self.chain(self.sampler()), rows), wanted)

    def test_clone_and_reset(self) -> None:
        rows = self.rows(120)
        whole = self.write(self.chain(self.sampler()), rows)
        chain = self.chain(self.sampler())
        self.assertEqual(self.write(chain, rows[:40]), whole[:40])
        copy = libllama.llama_sampler_clone(chain)
        self.addCleanup(libllama.llama_sampler_free, copy)
        self.assertEqual(self.write(copy, rows[40:]), whole[40:])
        self.assertEqual(self.write(chain, rows[40:80]), whole[40:80])
        libllama.llama_sampler_reset(chain)
        for token in (1, 2, 3):  # a server's prompt
            libllama.llama_sampler_accept(chain, token)
        self.assertNotEqual(self.write(chain, rows), whole)


class OverHttp(Embedded):
    """llama_cpp.server with the mark, asked over HTTP."""

    def serve(self, accounts: str) -> str:
        server = uvicorn.Server(uvicorn.Config(
            create_app(
                self.service, accounts=accounts,
                server_settings=ServerSettings(interrupt_requests=False),
                model_settings=[ModelSettings(model=str(self.gguf), n_ctx=512, verbose=False)]),
            port=0, log_level="warning"))
        thread = threading.Thread(target=server.run)
        thread.start()
        self.addCleanup(setattr, llama_cpp, "Llama", Llama.__mro__[1])
        self.addCleanup(thread.join)
        self.addCleanup(setattr, server, "should_exit", True)
        while not server.started:
            self.assertTrue(thread.is_alive())
            time.sleep(0.05)
        return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1/completions"

    @staticmethod
    def ask(url: str, headers: dict[str, str], **more: Any) -> str:
        body = {"prompt": "The server", "max_tokens": 250, **PLAIN, **more}
        request = urllib.request.Request(url, json.dumps(body).encode(),
                                         {"Content-Type": "application/json", **headers})
        with urllib.request.urlopen(request, timeout=300) as reply:
            if not more.get("stream"):
                return str(json.load(reply)["choices"][0]["text"])
            parts = [json.loads(line[6:]) for line in reply
                     if line.startswith(b"data: {")]
            return "".join(part["choices"][0]["text"] for part in parts)

    def test_the_account_of_a_header(self) -> None:
        url = self.serve("header:X-Countermark-Account")
        with ThreadPoolExecutor(4) as pool:
            answers = pool.map(
                lambda i: self.ask(url, {"X-Countermark-Account": f"account-{i}"}, stream=i % 2 == 0,
                                   user="someone else"), range(4))
        for i, text in enumerate(answers):
            self.check_account(text, f"account-{i}", "someone else")
        for name in ("user", "X-Other"):
            text = self.ask(url, {name: "alice"}, user="alice")
            self.assertGreater(self.own_layer(text, "alice"), -6)

    def test_the_account_of_the_requests_user(self) -> None:
        url = self.serve("user")
        self.check_account(self.ask(url, {}, user="alice"), "alice", "bob")
        self.check_account(self.ask(url, {}, user="bob", stream=True), "bob", "alice")
        self.assertGreater(self.own_layer(self.ask(url, {}), "alice"), -6)

    def test_odd_bodies_are_the_servers_to_judge(self) -> None:
        for body in (b"", b"{", b"[]", b"\xff", b'{"user": 1}', b'{"user": ["alice"]}', b"[" * 100_000):
            seen: list[Any] = []

            async def app(scope: Any, receive: Any, send: Any) -> None:
                seen.append((await receive())["body"])

            async def receive() -> dict[str, Any]:
                return {"type": "http.request", "body": body}

            asyncio.run(Accounts(app, "user")({"type": "http"}, receive, None))  # type: ignore[arg-type]
            self.assertEqual(seen, [body])

    def test_where_accounts_come_from(self) -> None:
        for source in ("", "header:", "cookie:a"):
            for refusing in (Accounts, create_app):  # at once: not when a server is asked
                with self.assertRaisesRegex(ValueError, "expected \"user\" or"):
                    refusing(None, **{"source" if refusing is Accounts else "accounts": source})


class AProcess(Embedded):
    """`python -m countermark.llama_cpp`, controlled by files and asked by `python -m countermark.probe`."""

    def setUp(self) -> None:
        super().setUp()
        self.key_path = self.folder / "server.key"
        self.key.save(self.key_path)
        self.environment = {
            **os.environ, "COUNTERMARK_KEY": str(self.key_path), "COUNTERMARK_PROFILE": str(PROFILE),
            "COUNTERMARK_METRICS": str(self.folder / "countermark.prom"),
            "COUNTERMARK_TRANSCRIPTS": str(self.folder / "transcripts.jsonl")}

    def start(self) -> tuple[subprocess.Popen[str], str]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log = (self.folder / "log").open("w")
        self.addCleanup(log.close)
        server = subprocess.Popen(
            [sys.executable, "-m", "countermark.llama_cpp", "--model", self.gguf, "--n_ctx", "512",
             "--port", str(port), "--verbose", "false"], env=self.environment, stdout=log, stderr=log,
            text=True)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        deadline = time.monotonic() + 60
        while server.poll() is None and time.monotonic() < deadline:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        return server, f"http://127.0.0.1:{port}/v1"

    def probe(self, url: str, *more: str) -> int:
        """Its exit status: 0 detected, 5 inconclusive, 10 not detected."""
        key = self.folder / "auditor.key"
        if not key.exists():
            self.key.save(key)
        done = subprocess.run(
            [sys.executable, "-m", "countermark.probe", url, "--account", "alice", "-p", PROFILE,
             "-k", key, "--max-tokens", "150", *more], capture_output=True, text=True, check=False)
        self.assertIn(done.returncode, (0, 5, 10), done.stderr)
        return done.returncode

    def wait_for(self, line: str) -> None:
        deadline = time.monotonic() + 30
        while line not in (self.folder / "log").read_text():
            self.assertLess(time.monotonic(), deadline, (self.folder / "log").read_text())
            time.sleep(0.1)

    def test_served_probed_switched(self) -> None:
        server, url = self.start()
        self.assertIsNone(server.poll(), (self.folder / "log").read_text())
        by_header = ("--account-header", "X-Countermark-Account")
        self.assertEqual(self.probe(url, *by_header), 0)
        self.assertNotEqual(self.probe(url, "--user", "--answers", "2"), 0)  # not where it is looked for
        self.key_path.with_name("server.key.off").touch()
        self.wait_for("marking is off")
        self.assertNotEqual(self.probe(url, *by_header, "--answers", "2"), 0)
        self.key_path.with_name("server.key.off").unlink()
        other = self.folder / "next.key"
        master().epoch("embedded", "2026-12").save(other)
        other.replace(self.key_path)
        self.wait_for("epoch=2026-12")
        self.assertNotEqual(self.probe(url, *by_header, "--answers", "2"), 0)
        self.key.save(other)
        other.replace(self.key_path)
        self.wait_for("a new key: ")
        self.wait_for("epoch=2026-11")
        time.sleep(1.5)
        self.assertEqual(self.probe(url, *by_header), 0)
        server.terminate()
        server.wait()
        records = list(countermark.read_transcripts(self.folder / "transcripts.jsonl"))
        self.assertGreater(len(records), 5)
        self.assertEqual({record["account"] for record in records}, {"alice", None})
        self.assertEqual(len({record["keyId"] for record in records}), 2)

    def test_a_bad_key_stops_the_start(self) -> None:
        self.key_path.chmod(0o644)
        server, _ = self.start()
        self.assertNotEqual(server.wait(), 0)
        log = (self.folder / "log").read_text()
        self.assertIn("countermark.llama_cpp: error: ", log)
        self.assertIn("chmod 600", log)
        self.assertNotIn("CM-SECRET", log)

    def test_bad_accounts_stop_the_start(self) -> None:
        self.environment["COUNTERMARK_ACCOUNTS"] = "cookie:a"
        server, _ = self.start()
        self.assertIsNotNone(server.poll())
        self.assertIn("error: accounts: expected", (self.folder / "log").read_text())

    def test_help_needs_no_key(self) -> None:
        bare = {name: value for name, value in os.environ.items() if not name.startswith("COUNTERMARK_")}
        done = subprocess.run([sys.executable, "-m", "countermark.llama_cpp", "--help"], env=bare,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("--interrupt_requests", done.stdout)


if __name__ == "__main__":
    unittest.main()
