#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The libraries define only names of ours, and the one that a server links asks for nothing that
it promises to do without. The lists beside this file say what is allowed.

Usage: symbols_test.py LIBRARY…: the libraries of a build without sanitizers.
"""

from __future__ import annotations

import re
import subprocess
import sys
import unittest
from fnmatch import fnmatchcase
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIBRARIES = [Path(name) for name in sys.argv[1:] if name.endswith(".a")]
SHARED = [Path(name) for name in sys.argv[1:] if ".so" in name]
del sys.argv[1:]

# Of a mangled name: what it is for (a table, a guard, something local to a function), then the
# outermost name. St and the like are std. Thunks carry offsets.
MANGLED = re.compile(r"_Z(?:T[VTISWH]|GV|GR|T[hv]n?\d+_(?:n?\d+_)?|Tc(?:h\w+_){2}|Z)*N?[rVK]*[RO]?"
                     r"(?:(?P<std>S[tabsiod])|(?P<length>\d+))")


def allowed(name: str, section: str = "") -> list[str]:
    """The lines of a list, or of one section of it."""
    lines, current = [], ""
    for line in (HERE / name).read_text().splitlines():
        if line.startswith("["):
            current = line.strip("[]")
        elif line and not line.startswith("#") and current == section:
            lines.append(line)
    return lines


def symbols(library: Path) -> tuple[dict[str, str], set[str]]:
    """The global symbols that a library defines, with nm's letter, and those that it lacks."""
    defined, undefined = {}, set()
    done = subprocess.run(["nm", "-g", library], capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        *_, kind, name = ["", "", *line.split()]
        if kind in ("U", "w", "v"):
            undefined.add(name)
        elif len(kind) == 1:
            defined[name] = kind
    return defined, undefined - defined.keys()


def outermost(symbol: str) -> str:
    """The namespace, or else the name, in which all of a symbol stands."""
    found = MANGLED.match(symbol)
    if not found:
        return symbol
    if found["std"]:
        return "std"
    return symbol[found.end():found.end() + int(found["length"])]


def demangled(names: set[str]) -> list[str]:
    done = subprocess.run(["c++filt"], input="\n".join(sorted(names)), capture_output=True,
                          text=True, check=True)
    return done.stdout.splitlines()


def unexpected(names: list[str], patterns: list[str]) -> list[str]:
    return [name for name in names if not any(fnmatchcase(name, p) for p in patterns)]


class Symbols(unittest.TestCase):
    def test_names_are_taken_apart(self) -> None:
        for symbol, name in {
            "_ZN11countermark8Response6commitEj": "countermark",
            "_ZNK11countermark7Profile6digestB5cxx11Ev": "countermark",
            "_ZTVN11countermark4text9TokenizerE": "countermark",
            "_ZZN11countermark13active_kernelEvE7kActive": "countermark",
            "_ZGVZN11countermark13active_kernelEvE7kActive": "countermark",
            "_ZThn8_N8CryptoPP9HMAC_Base6UpdateEPKhm": "CryptoPP",
            "_ZSt4swapIiEvRT_S1_": "std",
            "_ZNSs4swapERSs": "std",
            "_Z6strayfv": "strayf",
            "_Znwm": "_Znwm",
            "countermark_kernel_portable": "countermark_kernel_portable",
        }.items():
            self.assertEqual(outermost(symbol), name)

    def test_every_name_is_ours(self) -> None:
        self.assertTrue(LIBRARIES)
        for library in LIBRARIES:
            defined, _ = symbols(library)
            self.assertGreater(len(defined), 20)
            for section in ("strong", "weak"):
                names = [symbol for symbol, kind in defined.items()
                         if (kind in "WVu") == (section == "weak")]
                patterns = allowed("defines.txt", section)
                stray = [name for name in names if unexpected([outermost(name)], patterns)]
                self.assertFalse(demangled(set(stray)), f"{library.name}, {section}")

    def test_the_c_interface_shows_its_header_alone(self) -> None:
        header = (HERE.parents[1] / "watermark" / "c_api" / "countermark.h").read_text()
        declared = set(re.findall(r"\b(cm_\w+)\(", header))
        self.assertGreater(len(declared), 20)
        for library in SHARED:
            done = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True,
                                  text=True, check=True)
            shown = {line.split()[-1].split("@")[0] for line in done.stdout.splitlines()}
            self.assertEqual(shown - {"COUNTERMARK_1"}, declared)
            dynamic = subprocess.run(["readelf", "-d", library], capture_output=True, text=True,
                                     check=True)
            self.assertIn("soname: [libcountermark.so.1]", dynamic.stdout)
        self.assertEqual(len(SHARED), 1)

    def test_the_watermark_does_without(self) -> None:
        library = next(path for path in LIBRARIES if "watermark" in path.name)
        _, undefined = symbols(library)
        self.assertGreater(len(undefined), 20)
        stray = unexpected(demangled(undefined), allowed("watermark-uses.txt"))
        self.assertFalse(stray, f"{library.name} uses what it must do without, or a new thing that "
                                "watermark-uses.txt should name")

    def test_the_lists_forbid(self) -> None:
        uses = allowed("watermark-uses.txt")
        for name in ("fopen", "printf", "std::locale::locale()", "std::cout", "setlocale",
                     "pthread_create", "std::thread::join()", "std::ios_base::Init::Init()",
                     "std::basic_ostream<char, std::char_traits<char> >::flush()"):
            self.assertTrue(unexpected([name], uses), name)
        self.assertTrue(unexpected(["strayf"], allowed("defines.txt", "weak")))


if __name__ == "__main__":
    sys.exit(unittest.main())
