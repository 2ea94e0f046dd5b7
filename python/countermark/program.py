# SPDX-License-Identifier: Apache-2.0
"""What the package's programs share: exit codes, values of flags, secrets from outside of the command line."""

from __future__ import annotations

import argparse
import os
import re
import stat
from collections.abc import Callable

from countermark.error import Error

USAGE, BAD_INPUT, KEY, IO, INTERNAL, INTERRUPTED = 2, 3, 4, 6, 70, 130
EXIT_CODES = {
    "invalid-argument": USAGE, "exists": USAGE, "key": KEY, "permission": KEY, "io": IO, "internal": INTERNAL,
}  # all others are bad input

MOST_SECRET_BYTES = 1 << 16  # of a file with a secret


def exit_code(error: Error) -> int:
    return EXIT_CODES.get(error.code, BAD_INPUT)


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
