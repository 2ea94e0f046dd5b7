# SPDX-License-Identifier: Apache-2.0
"""countermark.parquet against files that pyarrow wrote, whole and damaged."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from countermark import parquet

ROWS = 5000
GROUP = 1500


def rows_of(path: Path, *arguments: str) -> list[Any]:
    """What is printed: rows, and strings for lines that are none."""
    out = io.BytesIO()
    assert parquet.main([*arguments, "--", str(path)], out) == 0
    lines = out.getvalue().decode().splitlines()
    return [json.loads(line) if line.startswith("{") else line for line in lines]


class Parquet(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = Path(self.folder.name) / "a.parquet"

    def write(self, **columns: Any) -> Path:
        # Checksums of pages tell what decoders do not.
        pyarrow.parquet.write_table(pyarrow.table(columns), self.path, row_group_size=GROUP,
                                    write_page_checksum=True, use_dictionary=False)  # fmt: skip
        return self.path

    def many(self) -> Path:
        return self.write(id=range(ROWS), text=[f"ä {i}" for i in range(ROWS)], other=[0] * ROWS)

    def test_columns(self) -> None:
        turns = [{"role": "user", "content": "u"}]
        path = self.write(id=["x"], text=["t"], output=[None], meta=[{"inner": "m", "ids": [1, 2]}],
                          messages=[turns], prompt=["p"])  # fmt: skip
        self.assertEqual(rows_of(path), [{"text": "t", "output": None, "messages": turns, "id": "x",
                                          "prompt": "p"}])  # fmt: skip
        self.assertEqual(rows_of(path, "--text-field=meta.inner"),
                         [{"meta": {"inner": "m", "ids": [1, 2]}, "id": "x", "prompt": "p"}])
        self.assertEqual(rows_of(path, "--ids-field=meta.ids")[0]["meta"]["ids"], [1, 2])
        (missing,) = rows_of(path, "--text-field=none")
        self.assertIn("no column none; there are: id, text", missing)

    def test_skip(self) -> None:
        path = self.many()
        whole = rows_of(path)
        self.assertEqual(len(whole), ROWS)
        for skip in (1, 999, 1000, 1499, 1500, 1501, 4999, 5000, 6000):
            self.assertEqual(rows_of(path, f"--skip={skip}"), whole[skip:])

    def test_a_row_that_is_no_utf8(self) -> None:
        text = pyarrow.Array.from_buffers(
            pyarrow.string(), 3,
            [None, pyarrow.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0"),
             pyarrow.py_buffer(b"a\xffc")],
        )  # fmt: skip
        first, bad, last = rows_of(self.write(text=text))
        self.assertEqual((first, last), ({"text": "a"}, {"text": "c"}))
        self.assertTrue(bad.startswith("?{"))

    def test_a_damaged_page_names_its_place(self) -> None:
        path = self.many()
        column = pyarrow.parquet.ParquetFile(path).metadata.row_group(2).column(1)
        whole = path.read_bytes()
        at = column.data_page_offset + column.total_compressed_size // 2
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        found = rows_of(path)
        self.assertEqual(found[:-1], [{"text": f"ä {i}", "id": i} for i in range(2 * GROUP)])
        self.assertTrue(found[-1].startswith('!{"field": "row group 2, column text"'), found[-1])

    def test_every_prefix(self) -> None:
        whole = self.write(text=["a", "b"]).read_bytes()
        for size in range(len(whole)):
            self.path.write_bytes(whole[:size])
            (damage,) = rows_of(self.path)
            self.assertTrue(damage.startswith("!{"), size)

    def test_through_the_program(self) -> None:
        program = os.environ.get("COUNTERMARK_PROGRAM")
        if not program:
            self.skipTest("COUNTERMARK_PROGRAM is not set")
        key = Path(self.folder.name) / "key"
        subprocess.run([program, "key", "new", "--model", "m", "--epoch", "e", "-o", key], check=True,
                       capture_output=True)  # fmt: skip
        lines = self.path.with_suffix(".jsonl")
        rows = [{"id": str(i), "text": f"the server answers request {i}"} for i in range(1000)]
        lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
        self.write(id=[row["id"] for row in rows], text=[row["text"] for row in rows])
        places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        outputs = [
            subprocess.run([program, "detect", "-k", key, "--json", file], check=True, text=True,
                           capture_output=True, env={**os.environ, "PATH": places},
                           ).stdout.replace(str(file), "FILE")
            for file in (lines, self.path)
        ]  # fmt: skip
        self.assertEqual(*outputs)


if __name__ == "__main__":
    unittest.main()
