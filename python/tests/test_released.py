# SPDX-License-Identifier: Apache-2.0
"""Sources of released engines: what is kept of a wheel, and what is said when there is none."""

from __future__ import annotations

import importlib
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import released


class Released(unittest.TestCase):
    def test_fetched_once(self) -> None:
        folder = released.path("sglang")
        with mock.patch.object(released, "_download", side_effect=AssertionError("fetched again")):
            self.assertEqual(released.path("sglang"), folder)
        self.assertTrue((folder / "sglang" / "srt" / "layers" / "sampler.py").is_file())
        about = (folder / "sglang-0.5.23.dist-info" / "METADATA").read_text(encoding="utf-8")
        self.assertIn("\nVersion: 0.5.23\n", about)
        self.assertTrue(list(folder.glob("*.dist-info/licenses/LICENSE")))
        kept = {path.suffix for path in (folder / "sglang").rglob("*") if path.is_file()}
        self.assertEqual(kept - {".pyc"}, {".py"})

    def test_what_cannot_be_had_is_skipped(self) -> None:
        nowhere = {"sglang": ("0.0.0.dev1", *released.WHEELS["sglang"][1:])}
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(released, "FOLDER", Path(folder)), \
                mock.patch.object(released, "WHEELS", nowhere):
            with self.assertRaisesRegex(unittest.SkipTest, "sglang-0.0.0.dev1-.* could not be fetched: "):
                released.path("sglang")
            self.assertEqual(list(Path(folder).iterdir()), [])

    def test_packages_without_what_they_import(self) -> None:
        with released.imports("sglang", "sglang", "sglang.srt", "sglang.srt.utils"):
            module = importlib.import_module("sglang.srt.utils.flatten")
            self.assertEqual(Path(str(module.__file__)).parts[-4:], ("sglang", "srt", "utils", "flatten.py"))
        self.assertNotIn("sglang", {name.split(".")[0] for name in sys.modules})


if __name__ == "__main__":
    unittest.main()
