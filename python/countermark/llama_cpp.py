# SPDX-License-Identifier: Apache-2.0
"""The mark in llama.cpp, through llama-cpp-python and its HTTP server: docs/engines/llama-cpp.md.

    model = countermark.llama_cpp.Llama(model_path="model.gguf", service=service)
    with countermark.llama_cpp.written_for(account="alice"):
        model.create_completion("The server", temperature=0.8)

    python -m countermark.llama_cpp --model model.gguf          # llama_cpp.server, marked

The sampler stands last in the chain, in the place of `dist`, after temperature and every
truncation, and draws from what they leave. Greedy decoding (temperature 0) and Mirostat, which
draws itself, stay as they are, unmarked.
"""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import json
import os
import sys
import uuid
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from typing import Any

import llama_cpp
from llama_cpp import llama_cpp as libllama

from countermark._countermark import Response, Service, TranscriptWriter

_ACCOUNTS = "header:X-Countermark-Account"  # where they come from by default

# (account, cohort, whether marked) of what this thread or task begins to write.
_Whose = tuple[str | None, str | None, bool]
_written_for: contextvars.ContextVar[_Whose] = contextvars.ContextVar(
    "countermark_written_for", default=(None, None, True))

# The response as it began, where it is drawn by the mark, and for whom.
_Begun = tuple[Response | None, str | None, str | None]


@contextlib.contextmanager
def written_for(account: str | None = None, cohort: str | None = None,
                marked: bool = True) -> Iterator[None]:
    """For whom the answers that begin inside are written: pseudonyms, or None.

    marked=False leaves them unmarked, by the operator's decision.
    """
    token = _written_for.set((account or None, cohort or None, marked))
    try:
        yield
    finally:
        _written_for.reset(token)


def _in_steps(whose: _Whose, chunks: Any) -> Any:
    """The chunks of an answer that is written for whoever has asked for it, not for who reads it."""
    while True:
        with written_for(*whose):
            chunk = next(chunks, None)
        if chunk is None:
            return
        yield chunk


class Llama(llama_cpp.Llama):
    """llama_cpp.Llama, whose chains end with the mark; service may also be set on the class."""

    service: Service | None = None
    transcripts: TranscriptWriter | None = None  # gets a record of every answer
    _begun: _Begun = (None, None, None)  # of the answer that has begun last
    _sampler: Any  # llama_cpp's, of that answer

    def __init__(self, *arguments: Any, service: Service | None = None, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        if service is not None:
            self.service = service

    def _init_sampler(self, *arguments: Any, **keywords: Any) -> Any:
        sampler = super()._init_sampler(*arguments, **keywords)
        if self.service is None:
            raise ValueError("service: expected a countermark.Service")
        account, cohort, marked = _written_for.get()
        self._begun = None, account, cohort
        chain = sampler.sampler
        last = libllama.llama_sampler_chain_n(chain) - 1
        if libllama.llama_sampler_name(libllama.llama_sampler_chain_get(chain, last)) != b"dist":
            return sampler
        init = ctypes.cast(libllama.llama_sampler_init, ctypes.c_void_p).value or 0
        marking, response = self.service.llama_sampler(
            init, account=account, cohort=cohort, marked=marked, max_tokens=self.n_ctx())
        self._begun = response, account, cohort
        libllama.llama_sampler_free(libllama.llama_sampler_chain_remove(chain, last))
        libllama.llama_sampler_chain_add(chain, ctypes.cast(marking, libllama.llama_sampler_p_ctypes))
        return sampler

    def generate(self, tokens: Sequence[int], *arguments: Any, **keywords: Any) -> Any:
        """As llama_cpp's own; an answer that is over is recorded."""
        return self._generate(_written_for.get(), list(tokens),
                              super().generate(tokens, *arguments, **keywords))

    def _create_completion(self, *arguments: Any, **keywords: Any) -> Any:
        return _in_steps(_written_for.get(), super()._create_completion(*arguments, **keywords))

    def _generate(self, whose: _Whose, prompt: list[int], steps: Any) -> Any:
        written: list[int] = []
        sampler = None
        begun = self._begun
        try:
            with written_for(*whose):
                written.append(next(steps))
            # Others may begin before this one is closed.
            sampler, begun = self._sampler, self._begun
            while True:
                written.append(steps.send((yield written[-1])))
        except StopIteration:
            pass
        finally:
            steps.close()
            if self._sampler is sampler:
                self._sampler = None  # what is drawn by hand after it is another answer
            if written:
                self._record(begun, prompt, written)

    def _record(self, begun: _Begun, prompt: list[int], ids: list[int]) -> None:
        if self.transcripts is None or self.service is None:
            return
        # Only the end that the model has written shows here; an answer that the server ends, for
        # its length or at a stop string, just stops.
        ended = bool(ids) and bool(libllama.llama_vocab_is_eog(self._model.vocab, ids[-1]))
        if ended:
            ids = ids[:-1]
        response, account, cohort = begun
        kept: dict[str, Any] = {} if response is None else {
            "epoch": response.epoch, "key_id": response.key_id, "slots": response.slots}
        self.transcripts.write(
            id=uuid.uuid4().hex, profile=self.service.profile.digest, prompt_ids=prompt, ids=ids,
            text=self.detokenize(ids, prev_tokens=prompt).decode("utf-8", "replace"),
            account=account, cohort=cohort, finish="end" if ended else None, **kept)


Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def _header(source: str) -> bytes:
    """The header of "header:NAME", as ASGI spells it; empty for "user"."""
    kind, _, name = source.partition(":")
    if source != "user" and (kind != "header" or not name):
        raise ValueError(f"accounts: expected \"user\" or \"header:NAME\", not {source!r}")
    return name.lower().encode("latin-1")


class Accounts:
    """ASGI middleware: each request's answers are written for the account that it names.

    `source` is "header:NAME", set by the operator's gateway, or "user", the field of OpenAI's
    requests, which is the client's word. Without it an answer has no account.
    """

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], source: str) -> None:
        self._app = app
        self._header = _header(source)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if self._header:
            account = self._named(scope)
        else:
            receive, account = await self._read(receive)
        with written_for(account=account):
            await self._app(scope, receive, send)

    def _named(self, scope: Scope) -> str:
        """Nobody's, where the header is not there exactly once: a client may have added another."""
        values = [value for name, value in scope["headers"] if name == self._header]
        try:
            return str(values[0], "utf-8") if len(values) == 1 else ""
        except UnicodeDecodeError:
            return ""

    @staticmethod
    async def _read(receive: Receive) -> tuple[Receive, str]:
        """The request's `user`, and its body again for the server, which judges it."""
        messages = [await receive()]
        while messages[-1].get("more_body"):
            messages.append(await receive())
        try:
            user = json.loads(b"".join(message.get("body", b"") for message in messages)).get("user")
        except (ValueError, AttributeError, RecursionError):
            user = None

        async def again() -> Message:
            return messages.pop(0) if messages else await receive()

        return again, user if isinstance(user, str) else ""


def create_app(service: Service, *arguments: Any, accounts: str = _ACCOUNTS,
               **keywords: Any) -> Any:
    """llama_cpp.server's application with the mark in it; further arguments are its create_app's.

    The server makes its models from llama_cpp.Llama, so this replaces that name in the process.
    """
    from llama_cpp.server import app

    _header(accounts)  # the middleware is made when it is too late to stop the start
    Llama.service = service
    llama_cpp.Llama = Llama  # type: ignore[misc]
    application = app.create_app(*arguments, **keywords)
    application.add_middleware(Accounts, source=accounts)
    return application


def main() -> None:
    """llama_cpp.server's command line, with what COUNTERMARK_… says."""
    from llama_cpp.server import __main__ as server

    from countermark.deployment import Deployment

    def create(**settings: Any) -> Any:  # once its options are read: --help needs no key
        accounts = os.environ.get("COUNTERMARK_ACCOUNTS") or _ACCOUNTS
        try:
            _header(accounts)
            deployment = Deployment.from_environment()
        except (ValueError, OSError) as error:
            sys.exit(f"countermark.llama_cpp: error: {error}")
        Llama.transcripts = deployment.transcripts
        return create_app(deployment.service, accounts=accounts, **settings)

    server.create_app = create  # type: ignore[assignment,attr-defined]
    sys.exit(server.main())  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
