# SPDX-License-Identifier: Apache-2.0
"""What is asked: a file of prompts, and the questions that it makes with their ids and settings.

Nothing here knows of the endpoint. Every question is fixed before the first is asked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from countermark.endpoint import Prompt
from countermark.error import Error

# Of the output: names of the settings in a request.
SETTINGS = {"model": "model", "maxTokens": "max_tokens", "temperature": "temperature", "topP": "top_p", "seed": "seed"}


class Named(NamedTuple):
    id: str
    prompt: Prompt


class Question(NamedTuple):
    id: str
    prompt: Prompt  # as it is sent: of a chat all of its turns
    requested: dict[str, Any]  # as it is written: None where nothing is sent

    def body(self) -> dict[str, Any]:
        """The request's settings."""
        sent = {SETTINGS[name]: value for name, value in self.requested.items() if value is not None}
        return {**sent, "stream": False}


class Prompts:
    """A file of prompts: text, one a line, or by its ending JSON Lines with `prompt` or `messages` and maybe `id`.

    sha256: of the file's bytes. all: in the file's order; without an id the line's number is one.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            data = Path(path).read_bytes()
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Error(f"{path} (byte {error.start}): expected UTF-8", "invalid-input", path, None,
                        error.start) from None
        except OSError as error:
            raise Error(f"{path}: cannot read: {error.strerror}", "io", path) from None
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.all: list[Named] = []
        is_json = path.lower().endswith((".jsonl", ".ndjson"))
        for line, said in enumerate(text.split("\n"), 1):
            said = said.strip()
            if not said or not is_json and said.startswith("#"):
                continue
            try:
                self.all.append(_named(line, said) if is_json else Named(str(line), said))
            except ValueError as error:
                raise Error(f"{path} (line {line}): {error}", "invalid-input", path, f"line {line}") from None
        if not self.all:
            raise Error(f"{path}: expected a prompt", "invalid-input", path)

    def questions(self, *, chat: bool, system: str | None, settings: Mapping[str, Any], count: int,
                  limit: int | None = None) -> Iterator[Question]:
        """All prompts (the first `limit`), then all again until each was asked `count` times.

        A seed grows by one each time, so that the answers to a prompt differ. Ids of questions are distinct.
        """
        seen: set[str] = set()
        for repetition in range(count):
            requested = {name: settings[name] for name in SETTINGS}
            if requested["seed"] is not None:
                requested["seed"] += repetition
            for each in self.all[:limit]:
                question = each.id if count == 1 else f"{each.id}#{repetition + 1}"
                if question in seen:
                    raise Error(f"{self._path}: id {question!r}: expected each id once", "invalid-input", self._path,
                                "id")
                seen.add(question)
                try:
                    sent = _sent(each.prompt, chat, system)
                except ValueError as error:
                    raise Error(f"{self._path}: id {each.id!r}: {error}", "invalid-input", self._path,
                                "messages") from None
                yield Question(question, sent, requested)


def _sent(prompt: Prompt, chat: bool, system: str | None) -> Prompt:
    """Raises ValueError that says what does not go together."""
    if not chat:
        if not isinstance(prompt, str):
            raise ValueError("messages are for a chat, not for /v1/completions")
        return prompt
    turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    if system is None:
        return turns
    if any(turn["role"] in ("system", "developer") for turn in turns):
        raise ValueError("has a system turn, --system would be another")
    return [{"role": "system", "content": system}, *turns]


def _named(line: int, text: str) -> Named:
    """Raises ValueError that says what was expected."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("expected JSON") from None
    if not isinstance(record, dict):
        raise ValueError("expected an object")
    prompt, messages, name = (record.get(field) for field in ("prompt", "messages", "id"))
    if (prompt is None) == (messages is None):
        raise ValueError("expected either prompt or messages")
    if messages is not None:
        prompt = _turns(messages)
    elif not isinstance(prompt, str) or not prompt:
        raise ValueError("prompt: expected text")
    if name is None:
        name = line
    if not isinstance(name, (str, int)) or isinstance(name, bool) or name == "":
        raise ValueError("id: expected text or an integer")
    try:
        json.dumps([str(name), prompt], ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("expected text without lone surrogates") from None
    return Named(str(name), prompt)


def _turns(messages: Any) -> list[dict[str, str]]:
    """Only what a reader of the answers knows: text, and no tools or pictures."""
    if not isinstance(messages, list) or not messages:
        raise ValueError("messages: expected an array of turns")
    for turn in messages:
        if not isinstance(turn, dict) or set(turn) != {"role", "content"} or not all(
                isinstance(value, str) for value in turn.values()):
            raise ValueError("messages: expected turns of role and content, both text")
    return messages
