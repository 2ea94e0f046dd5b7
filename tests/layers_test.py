#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every #include against the direction of the house: cli -> corpora -> verifier -> watermark, and
python -> verifier.

A rule that no machine checks does not exist. Each row below names a folder and the prefixes of our
own files that it may include; the longest matching row decides.
"""

from __future__ import annotations

import re
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# folder (or file) -> what it may include of ours
ALLOWED: dict[str, tuple[str, ...]] = {
    "watermark/": ("watermark/",),
    # Besides each other only headers with internal linkage.
    "watermark/kernels/": (
        "watermark/kernels/", "watermark/portable_math.h", "watermark/marks/exponential_score.h",
    ),
    "watermark/kernels/dispatch": ("watermark/error.h", "watermark/kernels/"),
    "verifier/": ("verifier/", "watermark/"),
    # Numbers in, numbers out.
    "verifier/stats/": ("verifier/stats/",),
    "verifier/render/": ("verifier/render/",),
    "verifier/stats/e_value.cpp": ("verifier/stats/", "watermark/portable_math.h"),
    "verifier/stats/weighted_sum.cpp": ("verifier/stats/", "watermark/portable_math.h"),
    "verifier/text/": (
        "verifier/text/", "verifier/io/file.h", "verifier/io/program.h", "verifier/io/stream.h", "watermark/",
    ),
    "verifier/text/kernels/": ("verifier/text/kernels/",),
    "verifier/text/kernels/dispatch": ("verifier/text/kernels/", "watermark/"),
    "verifier/io/": ("verifier/io/", "verifier/text/tokenizer.h", "watermark/"),
    "verifier/detect/": ("verifier/detect/", "verifier/stats/", "verifier/text/", "watermark/"),
    "corpora/": ("corpora/", "verifier/text/", "verifier/io/", "watermark/"),
    "python/": ("python/", "verifier/", "watermark/"),
    "cli/": ("cli/", "corpora/", "verifier/", "watermark/"),
    "tests/": ("tests/", "corpora/", "verifier/", "watermark/"),
}

# What a kernel file may include besides our C header: C headers and intrinsics. The portable
# kernel is compiled for the base instruction set and may use Crypto++.
KERNEL_HEADERS = {
    "string.h", "stddef.h", "stdint.h", "sys/auxv.h", "cpuid.h", "immintrin.h", "arm_neon.h",
}
PORTABLE_KERNEL_HEADERS = KERNEL_HEADERS | {"cryptopp/aes.h"}

# The library that an inference server links: no file I/O, threads or locale.
FORBIDDEN_IN_WATERMARK = {
    "fstream", "iostream", "filesystem", "cstdio", "thread", "mutex", "future", "locale", "regex",
}
# The exact tails, and the three small users of Boost.Math beside them.
BOOST_USERS = {
    "verifier/stats/tail.cpp", "verifier/stats/decimal.cpp", "verifier/stats/mass.cpp",
    "verifier/stats/multiprecision.h", "verifier/stats/multiprecision.cpp",
    "verifier/stats/limits.cpp", "verifier/stats/normal_score.cpp",
    "verifier/stats/published.cpp",
}
# Boost in headers, which only these include: none is installed.
MULTIPRECISION_HEADERS = {
    f"verifier/stats/{name}.h" for name in ("multiprecision", "decimal", "mass", "two_gamma")
}
MULTIPRECISION_USERS = BOOST_USERS | {
    "verifier/stats/decimal.h", "verifier/stats/mass.h", "verifier/stats/two_gamma.h",
    "verifier/stats/two_gamma.cpp", "verifier/stats/lattice.cpp",
}


def sources() -> list[Path]:
    folders = ("watermark", "verifier", "corpora", "cli", "python", "tests")
    return sorted(
        path for folder in folders for path in (ROOT / folder).rglob("*")
        if path.suffix in {".h", ".cpp"}
    )


def includes(path: Path) -> list[tuple[str, str]]:
    """(quote or angle, name) of every #include."""
    return re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', path.read_text(), re.MULTILINE)


class Layers(unittest.TestCase):
    def test_there_are_sources(self) -> None:
        self.assertGreater(len(sources()), 30)

    def test_direction(self) -> None:
        for path in sources():
            name = path.relative_to(ROOT).as_posix()
            row = max((prefix for prefix in ALLOWED if name.startswith(prefix)), key=len)
            for kind, include in includes(path):
                if kind == '"':
                    self.assertTrue(
                        include.startswith(ALLOWED[row]), f"{name} includes {include}"
                    )

    def test_kernels_include_only_c(self) -> None:
        files = [
            *(ROOT / "watermark" / "kernels").iterdir(),
            *(ROOT / "verifier" / "text" / "kernels").iterdir(),
            ROOT / "watermark" / "portable_math.h",
            ROOT / "watermark" / "marks" / "exponential_score.h",
        ]
        for path in sorted(files):
            if path.stem == "dispatch":
                continue
            allowed = PORTABLE_KERNEL_HEADERS if path.stem == "portable" else KERNEL_HEADERS
            for kind, include in includes(path):
                if kind == "<":
                    self.assertIn(include, allowed, f"{path.name} includes <{include}>")

    def test_watermark_does_no_io(self) -> None:
        for path in sources():
            name = path.relative_to(ROOT).as_posix()
            for kind, include in includes(path):
                if kind == "<" and name.startswith("watermark/"):
                    self.assertNotIn(include, FORBIDDEN_IN_WATERMARK, name)

    def test_boost_stays_in_its_translation_units(self) -> None:
        for path in sources():
            name = path.relative_to(ROOT).as_posix()
            if name.startswith("tests/"):
                continue
            if any(include.startswith("boost/") for _, include in includes(path)):
                self.assertIn(name, BOOST_USERS)
            if any(include in MULTIPRECISION_HEADERS for _, include in includes(path)):
                self.assertIn(name, MULTIPRECISION_USERS)

    def test_every_source_names_its_licence(self) -> None:
        for path in sources():
            self.assertIn("SPDX-License-Identifier: Apache-2.0", path.read_text()[:120], str(path))


if __name__ == "__main__":
    sys.exit(unittest.main())
