# SPDX-License-Identifier: Apache-2.0
"""How bad input is said."""

from __future__ import annotations


class Error(ValueError):
    """Bad input, a permission, or the outside world. What a text shows is never an error.

    code: stable name: invalid-argument, invalid-input, mismatch, unsupported, key, permission, io,
        exists, no-candidate, internal.
    file, field: where, if known.
    offset: bytes from the start of the file or text, if known.

    The message names them, too, says what was expected, and never holds key material.
    """

    def __init__(
        self,
        message: str,
        code: str,
        file: str | None = None,
        field: str | None = None,
        offset: int | None = None,
    ) -> None:
        # All of them: what is pickled is made anew from these.
        super().__init__(message, code, file, field, offset)
        self.code = code
        self.file = file
        self.field = field
        self.offset = offset

    def __str__(self) -> str:
        return str(self.args[0])
