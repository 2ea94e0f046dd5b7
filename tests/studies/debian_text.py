#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real text of many languages and kinds, from Debian's packages, as JSON Lines.

debian_text.py --megabytes 1000 --characters 160000 [--plain | --prose] --out TEXT [--install]: every file of the
packages below that is UTF-8, plain or gzip: pages of HTML with their markup (or --plain), manuals, source code and
changelogs; with --prose only paragraphs of English, each once. Files come in an order that is fixed by a seed, the
same content once and at most 1 MB of a file, in documents of whole lines as long as said; what is shorter than an
eighth of that is left out. As root --install installs the packages, which hold some 2 GB. Packages change, and
figures with them. Ends with 1 if there is less text.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import html
import json
import random
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

PACKAGES = """apache2-doc cppreference-doc-en-html debian-handbook git-doc golang-1.19-src libboost1.74-doc libgtk-3-doc
libreoffice-help-de libreoffice-help-el libreoffice-help-fr libreoffice-help-hi libreoffice-help-ja libreoffice-help-ko
libreoffice-help-pt-br libreoffice-help-ru libreoffice-help-zh-cn linux-doc-6.1 manpages-de manpages-es manpages-fr
manpages-ja manpages-pl manpages-ru manpages-zh openjdk-17-doc perl-doc postgresql-doc-15 python-django-doc
python3.11-doc qtbase5-doc-html rust-doc sqlite3-doc""".split()
SEED = 20_261_121
MOST_OF_A_FILE = 1_000_000


def files() -> list[Path]:
    """Those of the packages that are installed."""
    listing = subprocess.run(["dpkg", "-L", *PACKAGES], capture_output=True, text=True, check=False).stdout
    paths = sorted({line for line in listing.splitlines() if line.startswith("/")})
    random.Random(SEED).shuffle(paths)
    return [Path(path) for path in paths]


def content(path: Path, plain: bool, prose: bool) -> str | None:
    if path.is_symlink() or not path.is_file():
        return None
    data = path.read_bytes()
    try:
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        text = data.decode()
    except (OSError, EOFError, UnicodeDecodeError, zlib.error):
        return None
    if "\0" in text:
        return None
    if (plain or prose) and path.suffix in (".html", ".htm"):
        text = html.unescape(re.sub(r"(?s)<(script|style|head)\b.*?</\1>|<[^>]*>", "", text))
        if plain:
            text = re.sub(r"\s*\n\s*", "\n", text)
    return text[:MOST_OF_A_FILE]


def english(text: str, seen: set[bytes]) -> str:
    """Its paragraphs of prose that were not seen before, if they are English: nearly all ASCII."""
    kept = []
    for paragraph in re.split(r"\n\s*\n", text):
        letters = sum(c.isalpha() or c == " " for c in paragraph)
        if len(paragraph) < 80 or letters < 0.92 * len(paragraph):
            continue
        digest = hashlib.sha256(paragraph.encode()).digest()
        if digest not in seen:
            seen.add(digest)
            kept.append(paragraph)
    text = "\n\n".join(kept)
    return text if sum(c.isascii() for c in text) > 0.98 * len(text) else ""


def documents(characters: int, plain: bool = False, prose: bool = False) -> Iterator[str]:
    seen: set[bytes] = set()
    paragraphs: set[bytes] = set()
    for path in files():
        text = content(path, plain, prose)
        if text is None or (digest := hashlib.sha256(text.encode()).digest()) in seen:
            continue
        seen.add(digest)
        if prose:
            text = english(text, paragraphs)
        begin = 0
        while len(text) - begin >= characters // 8:
            end = text.rfind("\n", begin + characters // 2, begin + characters) + 1
            end = end if end and len(text) - begin > characters else begin + characters
            yield text[begin:end]
            begin = end


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=1000)
    parser.add_argument("--characters", type=int, default=160_000)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--plain", action="store_true", help="without the markup of HTML")
    kind.add_argument("--prose", action="store_true", help="English paragraphs alone")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--install", action="store_true")
    arguments = parser.parse_args()
    if arguments.install:
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", *PACKAGES], check=True, stdout=sys.stderr)
    count = size = 0
    with arguments.out.open("w", encoding="utf-8", newline="\n") as out:
        for text in documents(arguments.characters, arguments.plain, arguments.prose):
            if size >= arguments.megabytes * 1e6:
                break
            out.write(json.dumps({"id": f"h{count}", "text": text}, ensure_ascii=False) + "\n")
            count += 1
            size += len(text.encode())
    print(f"{count} documents, {size / 1e6:.1f} MB of text")
    return 0 if size >= arguments.megabytes * 1e6 else 1


if __name__ == "__main__":
    sys.exit(main())
