# SPDX-License-Identifier: Apache-2.0
"""What the package's programs share: exit codes, values of flags, how far they are, secrets from outside of the
command line."""

from __future__ import annotations

import argparse
import os
import re
import stat
import sys
import time
from collections.abc import Callable

from countermark.error import Error

USAGE, BAD_INPUT, KEY, IO, INTERNAL, INTERRUPTED = 2, 3, 4, 6, 70, 130
EXIT_CODES = {
    "invalid-argument": USAGE, "exists": USAGE, "key": KEY, "permission": KEY, "io": IO, "internal": INTERNAL,
}  # all others are bad input

MOST_SECRET_BYTES = 1 << 16  # of a file with a secret


def exit_code(error: Error) -> int:
    return EXIT_CODES.get(error.code, BAD_INPUT)


def ended(program: str, output: str, work: Callable[[], None]) -> int:
    """How the work of python -m countermark.PROGRAM, which writes `output`, ended: its exit code."""
    try:
        work()
    except Error as error:
        print(f"countermark.{program}: error: {error}", file=sys.stderr)
        return exit_code(error)
    except OSError as error:
        print(f"countermark.{program}: error: {error.filename or output}: {error.strerror or error}", file=sys.stderr)
        return IO
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def printable(text: str) -> str:
    """One line without what steers a terminal."""
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text).strip()


def number(low: float, high: float) -> Callable[[str], float]:
    def convert(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"expected {low:g} to {high:g}")
        return value
    return convert


def whole(low: int, high: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"expected {low} to {high}")
        return value
    return convert


count = whole(1, 100_000)


class Progress:
    """How far a program is: a line on a terminal, and nothing elsewhere; messages everywhere.

    does, things: as in "read 5 of 9 tokens". done: of them before this run.
    """

    def __init__(self, program: str, does: str, things: str, done: int, of: int) -> None:
        self.done = done
        self._program, self._does, self._things = program, does, things
        self._before, self._of, self._begun = done, of, time.monotonic()
        self._shown = sys.stderr.isatty()

    def show(self, done: int, more: str = "") -> None:
        """So many are done in all; more: for the end of the line."""
        self.done = done
        if not self._shown:
            return
        text = f"{self._does} {done:,} of {self._of:,} {self._things}"
        seconds = time.monotonic() - self._begun
        if seconds > 0 and done > self._before:
            rate = (done - self._before) / seconds
            left = (self._of - done) / rate
            text += f", {rate:,.0f} a second" if rate >= 10 else f", {60 * rate:,.1f} a minute"
            text += f", {left:.0f} s left" if left < 100 else f", {left / 60:.0f} min left" if left < 6000 else \
                f", {left / 3600:.1f} h left"
        print(f"\r{text}{more}\x1b[K", end="", file=sys.stderr, flush=True)

    def say(self, message: str) -> None:
        clear = "\r\x1b[K" if self._shown else ""
        print(f"{clear}{self._program}: {message}", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._shown:
            print(file=sys.stderr)


def header_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]+", text):
        raise argparse.ArgumentTypeError("expected the name of a header")
    return text


def header_source(text: str) -> tuple[str, str]:
    """Of NAME=SOURCE both. An error does not repeat the source: who has mixed them up has given the secret itself."""
    name, _, source = text.partition("=")
    if not re.fullmatch(r"[A-Za-z0-9-]+", name) or not source:
        raise argparse.ArgumentTypeError("expected NAME=VARIABLE, a variable of the environment")
    return name, source


def header_of_variable(text: str) -> tuple[str, str]:
    """Of NAME=VARIABLE the header's name and the variable's value."""
    name, variable = header_source(text)
    try:
        return name, secret_of_variable(variable)
    except Error as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def secret(source: str) -> str:
    """The value of VARIABLE, or what stands in the file of @FILE."""
    return secret_of_file(source[1:]) if source.startswith("@") else secret_of_variable(source)


def secret_of_variable(variable: str) -> str:
    value = os.environ.get(variable, "")
    if not _can_be_sent(value):
        raise Error("expected a variable of the environment with printable ASCII", "invalid-argument")
    return value


def secret_of_file(path: str) -> str:
    """What stands in a file that nobody else can read, without white space around it; pipes are taken as they are."""
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
                raise Error(f"{path}: others can read this secret; make it private: chmod 600", "permission", path)
            value = file.read(MOST_SECRET_BYTES).decode("ascii", "replace").strip()
    except OSError as error:
        raise Error(f"{path}: cannot read: {error.strerror}", "io", path) from None
    if not _can_be_sent(value):
        raise Error(f"{path}: expected one line of printable ASCII", "key", path)
    return value


def _can_be_sent(value: str) -> bool:
    return bool(value) and value.isascii() and value.isprintable()
