# SPDX-License-Identifier: Apache-2.0
"""An OpenAI-compatible endpoint, asked once: a prompt in, a reply or a Failure out.

Headers and the URL's query hold secrets. They go to the endpoint that was named and nowhere else, and no
message repeats them, whatever the endpoint says. Who asks again, and when, is the caller's matter.
"""

from __future__ import annotations

import email.utils
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any, NamedTuple, NoReturn

from countermark.error import Error
from countermark.program import printable

MOST_BYTES = 1 << 24  # of one reply
MOST_OF_AN_ERROR = 4096  # bytes of an error's text that are read, more than are shown so that no secret is cut
SHOWN_OF_AN_ERROR = 300  # characters
PIECE = 1 << 16
SHORTEST_SECRET = 4  # characters; what is shorter stands in any text

Prompt = str | list[dict[str, str]]  # one text, or the turns of a conversation


class Reply(NamedTuple):
    text: str  # of the answer; empty of a model that only called a tool
    choice: dict[str, Any]  # the first of them
    whole: dict[str, Any]


class Failure(Error):
    """No answer. status: of HTTP, if there was one; retry_after: seconds that the server asks to wait, if it does."""

    status: int | None = None
    retry_after: float | None = None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Headers hold secrets, which go to the endpoint that was named and nowhere else."""

    def redirect_request(self, *unused: Any) -> None:
        return None


class Endpoint:
    """A server's /v1/completions or /v1/chat/completions: chat says which, unless the URL does. For many threads."""

    def __init__(self, url: str, chat: bool, headers: Mapping[str, str], timeout: float) -> None:
        try:
            parts = urllib.parse.urlsplit(url)
            is_sound = parts.port != 0 and url.isprintable() and " " not in url
        except ValueError:
            parts, is_sound = urllib.parse.urlsplit(""), False
        if parts.username is not None or parts.password is not None:
            raise Error("credentials are no part of the URL: --header", "invalid-argument", field="URL")
        if parts.scheme not in ("http", "https") or not parts.hostname or not is_sound:
            shown = url.partition("?")[0]
            raise Error(f"{shown!r}: expected http://HOST or https://HOST", "invalid-argument", field="URL")
        path = parts.path.rstrip("/")
        if not path.endswith("/completions"):
            path += ("" if path.endswith("/v1") else "/v1") + ("/chat/completions" if chat else "/completions")
        self.chat = path.endswith("/chat/completions")
        self.url = urllib.parse.urlunsplit((parts.scheme, parts.netloc, path, "", ""))  # to be shown
        self._query = f"?{parts.query}" if parts.query else ""  # which may hold a secret
        self._headers = {"Content-Type": "application/json", **headers}
        self._secrets = _forms([*headers.values(), parts.query, *dict(urllib.parse.parse_qsl(parts.query)).values()])
        self._timeout = timeout
        self._opener = urllib.request.build_opener(_NoRedirect)

    def answer(self, settings: Mapping[str, Any], prompt: Prompt) -> Reply:
        """Asks, for about twice the timeout at most. Raises Failure: io, or invalid-input for a reply that is none."""
        asked: dict[str, Any] = {"prompt": prompt}
        if self.chat:
            asked = {"messages": [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt}
        reply = self._post(json.dumps({**settings, **asked}).encode())
        try:
            whole = json.loads(reply)
            choice = whole["choices"][0]
            text = choice["message"]["content"] if self.chat else choice["text"]
        except (ValueError, LookupError, TypeError, RecursionError):
            where = "choices[0].message.content" if self.chat else "choices[0].text"
            found = self._hidden(printable(reply[:MOST_OF_AN_ERROR].decode(errors="replace")))
            self._fail("invalid-input", f"expected JSON with {where}, found {found[:80]!r}")
        if text is not None and not isinstance(text, str):
            self._fail("invalid-input", "expected text")
        # A lone surrogate is no text; the detector takes UTF-8.
        return Reply((text or "").encode(errors="replace").decode(), choice, whole)

    def _post(self, data: bytes) -> bytes:
        end = time.monotonic() + self._timeout
        request = urllib.request.Request(self.url + self._query, data=data, headers=self._headers, method="POST")
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                reply = _read(response, MOST_BYTES, end)
            if len(reply) > MOST_BYTES:
                raise OSError(f"expected at most {MOST_BYTES} bytes")
        except urllib.error.HTTPError as error:
            self._refused(error, end)
        except (OSError, HTTPException, ValueError) as error:
            self._fail("io", printable(str(getattr(error, "reason", error)) or type(error).__name__))
        return reply

    def _refused(self, error: urllib.error.HTTPError, end: float) -> NoReturn:
        said = ""
        with error:
            try:
                said = printable(_read(error.fp, MOST_OF_AN_ERROR, end).decode(errors="replace"))
            except (OSError, HTTPException, ValueError):
                pass  # the status says enough
        shown = self._hidden(said)[:SHOWN_OF_AN_ERROR] or printable(str(error.reason))
        self._fail("io", f"HTTP {error.code}: {shown}", error.code,
                   seconds_of(error.headers.get("Retry-After"), time.time()))

    def _fail(self, code: str, message: str, status: int | None = None, retry_after: float | None = None) -> NoReturn:
        failure = Failure(f"{self.url}: {self._hidden(message)}", code, file=self.url)
        failure.status, failure.retry_after = status, retry_after
        raise failure

    def _hidden(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[hidden]")
        return text


def _read(response: Any, most: int, end: float) -> bytes:
    """All of it, or a little more than `most` bytes of it; TimeoutError at the end however slowly it drips."""
    out = b""
    while len(out) <= most and (piece := response.read1(PIECE)):
        out += piece
        if time.monotonic() > end:
            raise TimeoutError("timed out")
    return out


def _forms(values: list[str]) -> list[str]:
    """What of the values must not be shown: each, its last word (of "Bearer …"), and both as JSON may write them."""
    words = {word for value in values for word in (value, *value.split(" ")[-1:])}
    quoted = {json.dumps(word)[1:-1] for word in words}
    forms = words | quoted | {word.replace("/", "\\/") for word in quoted}
    return sorted((form for form in forms if len(form) >= SHORTEST_SECRET), key=len, reverse=True)


def seconds_of(retry_after: str | None, now: float) -> float | None:
    """Of a Retry-After header, seconds or a date; now: seconds since 1970. None where there is none that says it."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal() and retry_after.isascii():
        return float(retry_after.strip()[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - now)
    except (TypeError, ValueError, OverflowError):
        return None
