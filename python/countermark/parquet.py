# SPDX-License-Identifier: Apache-2.0
"""Prints the rows of a Parquet file as JSON Lines, for the program, which starts it on a pipe:

    python3 -m countermark.parquet [--text-field=PATH | --ids-field=NAME] [--skip=ROWS] -- FILE

Of the columns only those that the reader of records looks at. A line that begins with "?" stands
for a row that cannot be read, one that begins with "!" for damage that ends the reading; both are
followed by a JSON object with `field` and `message`. Exits with 3 without pyarrow. Holds one row
group's compressed columns and a thousand rows at a time.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

ROWS_AT_ONCE = 1000
TEXT_FIELDS = (
    "text", "content", "output", "response", "completion", "messages", "conversations",
)  # fmt: skip
BESIDE = ("id", "prompt", "promptIds", "schema")
NO_PYARROW = 3


class Damage(Exception):
    """What ends the reading: where, and why."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def marked(mark: str, field: str, message: str) -> bytes:
    text = json.dumps({"field": field, "message": " ".join(message.split())}, ensure_ascii=False)
    return f"{mark}{text}\n".encode("utf-8", "replace")


def chosen_columns(names: list[str], text_field: str, ids_field: str) -> list[str]:
    """The columns to read: a named one, by its whole name or the first part of its path, or all in
    which text may stand; and what is read beside it."""
    path = ids_field or text_field
    if not path:
        wanted = [name for name in TEXT_FIELDS if name in names]
    else:
        wanted = [name for name in (path, path.split(".")[0]) if name in names][:1]
    if not wanted:
        missing = f"no column {path}" if path else "no column of " + ", ".join(TEXT_FIELDS)
        raise Damage("", f"{missing}; there are: {', '.join(names)}")
    return wanted + [name for name in BESIDE if name in names and name not in wanted]


def one_line(error: BaseException) -> str:
    return str(error).strip() or type(error).__name__


def blame(file: pyarrow.parquet.ParquetFile, group: int, columns: list[str],
          error: BaseException) -> Damage:  # fmt: skip
    """The damage of a row group with the column that cannot be read alone, if there is one."""
    for column in columns:
        try:
            for _ in file.iter_batches(ROWS_AT_ONCE, row_groups=[group], columns=[column]):
                pass
        except (OSError, ValueError, ArithmeticError) as own:
            return Damage(f"row group {group}, column {column}", one_line(own))
    return Damage(f"row group {group}", one_line(error))


def lines_of(batch: pyarrow.RecordBatch) -> Iterator[bytes]:
    """A line for each row of the batch."""
    try:
        rows = batch.to_pylist()
    except ValueError:  # bytes that are no UTF-8 in one of them
        rows = [None] * batch.num_rows
    for index, row in enumerate(rows):
        try:
            if row is None:
                row = batch.slice(index, 1).to_pylist()[0]
            yield json.dumps(row, ensure_ascii=False, default=str).encode() + b"\n"
        except ValueError as error:
            yield marked("?", "", one_line(error))


def read(path: str, text_field: str, ids_field: str, skip: int, out: BinaryIO) -> None:
    import pyarrow
    import pyarrow.parquet

    try:
        # Checksums of pages are looked at where there are any; nothing is read ahead.
        file = pyarrow.parquet.ParquetFile(path, pre_buffer=False, page_checksum_verification=True)
    except (OSError, ValueError) as error:
        raise Damage("", one_line(error)) from error
    columns = chosen_columns(file.schema_arrow.names, text_field, ids_field)
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if skip >= rows:
            skip -= rows
            continue
        try:
            batches = file.iter_batches(ROWS_AT_ONCE, row_groups=[group], columns=columns)
            for batch in batches:
                if skip >= batch.num_rows:
                    skip -= batch.num_rows
                    continue
                lines = list(lines_of(batch.slice(skip)))
                skip = 0
                out.write(b"".join(lines))
        except BrokenPipeError:
            raise
        except (OSError, ValueError, ArithmeticError) as error:
            raise blame(file, group, columns, error) from error


def main(arguments: list[str] | None = None, out: Any = None) -> int:
    parser = argparse.ArgumentParser(prog="countermark.parquet", allow_abbrev=False)
    parser.add_argument("--text-field", default="")
    parser.add_argument("--ids-field", default="")
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("file")
    chosen = parser.parse_args(arguments)
    stream = out or sys.stdout.buffer
    try:
        read(chosen.file, chosen.text_field, chosen.ids_field, chosen.skip, stream)
    except Damage as damage:
        stream.write(marked("!", damage.field, str(damage)))
    except ImportError:
        return NO_PYARROW
    except BrokenPipeError:
        return 1
    stream.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
