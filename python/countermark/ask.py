# SPDX-License-Identifier: Apache-2.0
"""Collects a model's answers from a running endpoint, for `countermark audit`.

    python -m countermark.ask https://host --model m --prompts prompts.jsonl -o answers.jsonl

It needs no key and knows of no mark: what is asked is fixed by the file of prompts and the flags, whoever runs it.
Each answer is a line of countermark.answers/1 as soon as it is there, in the order of arrival. Run again with the
same arguments it asks what is missing.

One thread writes; each of the others asks one question at a time, and again, ever later, when the endpoint is busy,
broken or out of reach. What it refuses otherwise ends the run: it would refuse the rest, too.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import functools
import os
import queue
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from countermark.answers import Answers
from countermark.endpoint import Endpoint, Failure, Reply
from countermark.error import Error
from countermark.program import (
    INTERRUPTED, IO, Progress, count, exit_code, header_source, number, printable, secret, whole)
from countermark.questions import Prompts, Question

FIRST_WAIT = 1.0  # seconds until a question is asked again; twice as many each time
LONGEST_WAIT = 60.0  # of these
LONGEST_RETRY_AFTER = 3600.0  # seconds that a server may have us wait at a time
LONGEST_NAME = 255  # characters of what the server calls things


class Pace:
    """When the next request may go: so many a minute, and none while the server asks to wait. For many threads."""

    def __init__(self, per_minute: float | None, stop: threading.Event) -> None:
        self._interval = 60 / per_minute if per_minute else 0.0
        self._stop = stop
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self) -> bool:
        """False when the run ends instead."""
        while True:
            with self._lock:
                now = time.monotonic()
                delay = self._next - now
                if delay <= 0:
                    self._next = now + self._interval
                    return not self._stop.is_set()
            if self._stop.wait(delay):
                return False

    def hold(self, seconds: float) -> None:
        with self._lock:
            self._next = max(self._next, time.monotonic() + min(seconds, LONGEST_RETRY_AFTER))


def passes(failure: Failure) -> bool:
    """Whether asking again may help: no connection, too many requests, a broken server, a reply that is none."""
    return failure.status is None or failure.status == 429 or failure.status >= 500


class Run:
    """Asks the questions on threads of their own; an iteration over results gives what came of each."""

    def __init__(self, endpoint: Endpoint, questions: Sequence[Question], flags: argparse.Namespace) -> None:
        self.stop = threading.Event()  # ends what waits; requests that run are waited for
        self.interrupted = False
        self.retries = 0
        self._endpoint = endpoint
        self._todo = iter(questions)
        self._most_retries = flags.retries
        self._pace = Pace(flags.rate, self.stop)
        self._lock = threading.Lock()
        # Simple: a signal's handler may put into it at any time.
        self._queue: queue.SimpleQueue[tuple[Question, dict[str, Any] | Failure] | None] = queue.SimpleQueue()
        self._threads = min(flags.concurrency, len(questions))

    def results(self) -> Iterator[tuple[Question, dict[str, Any] | Failure]]:
        """Each question with its answer or why there is none, until all are asked or the run is stopped."""
        for _ in range(self._threads):
            threading.Thread(target=self._work, daemon=True).start()  # an interrupt does not wait for a slow endpoint
        working = self._threads
        while working and not self.interrupted:
            result = self._queue.get()
            if result is None:
                working -= 1
            else:
                yield result
        with contextlib.suppress(queue.Empty):  # what came before an interrupt is kept
            while True:
                result = self._queue.get_nowait()
                if result is not None:
                    yield result

    def interrupt(self, *unused: object) -> None:
        self.interrupted = True
        self.stop.set()
        self._queue.put(None)

    def _work(self) -> None:
        try:
            while not self.stop.is_set():
                with self._lock:
                    question = next(self._todo, None)
                if question is None:
                    break
                result = self._ask(question)
                if result is not None:
                    self._queue.put((question, result))
        finally:
            self._queue.put(None)

    def _ask(self, question: Question) -> dict[str, Any] | Failure | None:
        """None when the run ends before there is an answer."""
        for attempt in range(self._most_retries + 1):
            if not self._pace.wait():
                return None
            begin = time.monotonic()
            try:
                return self._record(question, self._endpoint.answer(question.body(), question.prompt), begin)
            except Failure as failure:
                if not passes(failure):
                    self.stop.set()
                    return failure
                if failure.retry_after:
                    self._pace.hold(failure.retry_after)  # for all: what is too much is too much of everybody
                if attempt == self._most_retries:
                    return failure
                with self._lock:
                    self.retries += 1
                # Not all at once, again: between half of it and the whole.
                wait = min(LONGEST_WAIT, FIRST_WAIT * 2**attempt) * (1 + random.random()) / 2
                if not failure.retry_after and self.stop.wait(wait):
                    return None
        return None

    def _record(self, question: Question, reply: Reply, begin: float) -> dict[str, Any]:
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
        return {
            "id": question.id,
            "prompt": question.prompt,
            "response": reply.text,
            "model": named(reply.whole.get("model")),
            "fingerprint": named(reply.whole.get("system_fingerprint")),
            "requested": question.requested,
            "time": now.replace("+00:00", "Z"),
            "seconds": round(time.monotonic() - begin, 3),
            "finish": named(reply.choice.get("finish_reason")),
            "usage": usage(reply.whole.get("usage")),
        }


def named(value: Any) -> str | None:
    """What a server says of itself is kept where it is short text."""
    return value[:LONGEST_NAME].encode(errors="replace").decode() if isinstance(value, str) else None


def usage(value: Any) -> dict[str, int | None] | None:
    def tokens(name: str) -> int | None:
        found = value.get(name)
        return found if type(found) is int and 0 <= found < 1 << 53 else None
    if not isinstance(value, dict):
        return None
    return {"promptTokens": tokens("prompt_tokens"), "completionTokens": tokens("completion_tokens")}


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m countermark.ask", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Collects a model's answers from an OpenAI-compatible endpoint. Run again it goes on.",
        epilog="Exit codes: 0 all answers are there; 2 usage, 3 bad input, 4 permission, 6 I/O: the endpoint, or some\n"
               "answers are missing; 130 interrupted.\n\n"
               "Examples:\n"
               "  python -m countermark.ask http://127.0.0.1:8000 --prompts prompts.txt -o answers.jsonl\n"
               "  python -m countermark.ask https://host/v1 --model m --api-key @host.key --prompts prompts.jsonl \\\n"
               "      --count 4 --concurrency 8 --rate 300 -o answers.jsonl")
    parser.add_argument("url", metavar="URL", help="http://HOST:PORT, with or without /v1, or the whole address")
    parser.add_argument("--prompts", required=True, metavar="FILE",
                        help="text, one prompt a line; .jsonl: objects with prompt or messages, maybe id")
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="answers; those that are there stay")
    parser.add_argument("--force", action="store_true", help="start over: what is in the output is lost")
    parser.add_argument("--model", metavar="NAME", help="model to ask for, where the endpoint has several")
    parser.add_argument("--completions", action="store_true", help="ask /v1/completions, not /v1/chat/completions")
    system = parser.add_mutually_exclusive_group()
    system.add_argument("--system", metavar="TEXT", help="system turn before every prompt")
    system.add_argument("--system-file", metavar="FILE", help="the same, out of a file")
    parser.add_argument("--count", type=count, default=1, metavar="N", help="answers to each prompt [1]")
    parser.add_argument("--limit", type=whole(1, 1 << 31), metavar="N", help="the first N prompts only")
    parser.add_argument("--max-tokens", type=count, default=400, metavar="N", help="of an answer [400]")
    parser.add_argument("--temperature", type=number(0, 100), default=1.0, metavar="T", help="to ask for [1]")
    parser.add_argument("--top-p", type=number(0, 1), metavar="P", help="to ask for; default: the endpoint's")
    parser.add_argument("--seed", type=whole(0, 1 << 31), metavar="S",
                        help="to ask for; one more for each further answer to a prompt")
    parser.add_argument("--api-key", metavar="VARIABLE|@FILE",
                        help="send 'Authorization: Bearer' with what is in a variable of the environment, or in a file "
                             "that others cannot read")
    parser.add_argument("--header", action="append", default=[], type=header_source, metavar="NAME=VARIABLE|@FILE",
                        help="send a header whose value is there")
    parser.add_argument("--rate", type=number(0.001, 1e6), metavar="N", help="at most so many requests a minute")
    parser.add_argument("--concurrency", type=whole(1, 256), default=1, metavar="N", help="requests at a time [1]")
    parser.add_argument("--retries", type=whole(0, 100), default=5, metavar="N",
                        help="how often a question is asked again: HTTP 429 and 5xx, no connection [5]")
    parser.add_argument("--timeout", type=number(0.01, 86400), default=120.0, metavar="SECONDS",
                        help="of an answer [120]")
    return parser.parse_args(arguments)


def system_of(flags: argparse.Namespace) -> str | None:
    text: str | None = flags.system
    if flags.system_file is not None:
        try:
            text = Path(flags.system_file).read_text(encoding="utf-8").rstrip("\n")
        except UnicodeDecodeError as error:
            raise Error(f"{flags.system_file}: expected UTF-8", "invalid-input", flags.system_file, None,
                        error.start) from None
        except OSError as error:
            raise Error(f"{flags.system_file}: cannot read: {error.strerror}", "io", flags.system_file) from None
    return text


def ask(flags: argparse.Namespace) -> int:
    """The exit code."""
    headers = {name: secret(source) for name, source in flags.header}
    if flags.api_key is not None:
        headers["Authorization"] = f"Bearer {secret(flags.api_key)}"
    endpoint = Endpoint(flags.url, not flags.completions, headers, flags.timeout)
    system = system_of(flags)
    if system is not None and not endpoint.chat:
        raise Error("--system: is for a chat, not for /v1/completions", "invalid-argument", field="--system")
    prompts = Prompts(flags.prompts)
    settings = {"model": flags.model, "maxTokens": flags.max_tokens, "temperature": flags.temperature,
                "topP": flags.top_p, "seed": flags.seed}
    questions = functools.partial(prompts.questions, chat=endpoint.chat, system=system, settings=settings,
                                  count=flags.count)
    known = {question.id: question for question in questions()}
    wanted = [question.id for question in questions(limit=flags.limit)]
    if os.path.exists(flags.out) and os.path.samefile(flags.out, flags.prompts):
        raise Error(f"{flags.out}: is the file of prompts", "invalid-argument", flags.out)

    fixed = {"promptsSha256": prompts.sha256, "url": endpoint.url}
    answers = Answers(flags.out, force=flags.force)
    with contextlib.closing(answers):
        there = answers.resume(known, fixed)
        missing = [known[name] for name in wanted if name not in there]
        progress = Progress("countermark.ask", "got", "answers", len(wanted) - len(missing), len(wanted))
        run = Run(endpoint, missing, flags)
        refused: Failure | None = None
        with on_interrupt(run):
            for question, result in run.results():
                if not isinstance(result, Failure):
                    answers.append({**result, **fixed})
                    progress.done += 1
                elif passes(result):
                    progress.say(f"{printable(question.id)}: no answer: {result}")
                else:
                    refused = refused or result
                progress.show(progress.done, f", {run.retries} asked again" if run.retries else "")
        progress.end()
    if refused is not None:
        raise refused
    left = len(wanted) - progress.done
    if left:
        progress.say(f"{left} of {len(wanted)} answers are missing: run it again")
    return INTERRUPTED if run.interrupted else IO if left else 0


@contextlib.contextmanager
def on_interrupt(run: Run) -> Iterator[None]:
    """Ctrl-C ends the run between two lines. Where it is ignored, or somebody else's, it stays so."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, run.interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def main(arguments: Sequence[str] | None = None) -> int:
    flags = parse(arguments)
    try:
        return ask(flags)
    except Error as error:
        print(f"countermark.ask: error: {error}", file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
