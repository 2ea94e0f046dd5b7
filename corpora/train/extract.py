# SPDX-License-Identifier: Apache-2.0
"""Extract English prose from installed Debian documentation packages.

The output is one JSON object a line, {"text": ..., "source": package}: short
documents of consecutive paragraphs of one section, in a fixed order, without
repeated paragraphs. Only packages under permissive licences are listed.

It keeps prose (paragraphs, list items, definitions) and drops code blocks,
tables, indexes, navigation, licence texts and release notes. It does not
download anything, does not judge the quality of the prose and does not split
training from validation documents (train.py does, by hash).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from pod import pod_paragraphs


@dataclass(frozen=True)
class Package:
    """A Debian package and which of its files hold prose."""

    name: str
    licence: str
    include: str
    exclude: str


PACKAGES = (
    Package("python3.11-doc", "PSF-2.0", r"/html/.*\.html$",
            r"/genindex|/py-modindex|/search\.html|/contents\.html|/changelog\.html"
            r"|/copyright\.html|/license\.html|/download\.html|/_static/"),
    Package("postgresql-doc-15", "PostgreSQL", r"/html/.*\.html$",
            r"/release|/legalnotice|/bookindex|/acknowledgments|/biblio|/features"
            r"|/sql-keywords"),
    Package("apache2-doc", "Apache-2.0", r"/manual/en/.*\.html$",
            r"/license\.html|/sitemap|/quickreference|/directives\.html|/new_features"
            r"|/index\.html|/misc/relevant_standards"),
    Package("sqlite3-doc", "public-domain", r"/sqlite3/.*\.html$",
            r"/releaselog/|/changes\.html|/news\.html|/oldnews\.html|/chronology"
            r"|_crossref|/keyword_index|/sitemap|/copyright|/doclist|/docs\.html"
            r"|/requirements|/hlr|/consortium_agreement|/prosupport|/cves"),
    Package("perl-doc", "Artistic-1.0-Perl OR GPL-1.0-or-later", r"\.pod$",
            r"delta\.pod$|/perl(artistic|gpl|hist|toc|cn|jp|ko|tw|uniprops|modlib|faq3"
            r"|modinstall|glossary|podstyle|perf)\.pod$"),
)

# A paragraph: its text, whether it starts a new section, whether it is an item.
Paragraph = tuple[str, bool, bool]

SKIP_TAGS = {"pre", "table", "script", "style", "head", "nav", "footer", "svg",
             "select", "form", "button", "textarea"}
SKIP_CLASSES = {
    "navheader", "navfooter", "toc", "refsynopsisdiv", "menu", "nosearch", "fancy_toc",
    "fancytoc", "related", "footer", "sphinxsidebar", "headerlink", "toctree-wrapper",
    "versionchanged", "versionadded", "contents", "quickview", "toplang", "bottomlang",
    "top", "seealso", "comments_area", "highlight", "permalink", "imgcontainer",
    "footnotes", "lt-toc", "codeblock", "informaltable", "imgblock", "availability",
}
SKIP_IDS = {"page-header", "path", "quickview", "footer", "toc_sub", "comments_section"}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
BLOCKS = {"p", "li", "dd", "dt", "dl", "ul", "ol", "div", "section", "blockquote",
          "article", "body", "center", "hr", "aside", "main"} | HEADINGS
VOID = {"br", "hr", "img", "meta", "link", "input", "col", "area", "base", "wbr"}


class ProseParser(HTMLParser):
    """Collects the paragraphs of one HTML page; tolerant of unclosed tags."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.paragraphs: list[Paragraph] = []
        self._text: list[str] = []
        self._block = "body"
        self._item = False
        self._new_section = True
        self._skip_tag = ""
        self._skip_depth = 0

    def _flush(self, next_block: str) -> None:
        text = "".join(self._text)
        self._text = []
        if self._block in HEADINGS:
            self._new_section = True
        elif self._block != "dt" and text.strip():
            self.paragraphs.append((text, self._new_section, self._item))
            self._new_section = False
        self._block = next_block
        self._item = next_block in {"li", "dd"} or (self._item and next_block == "p"
                                                    and not text.strip())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._skip_depth:
            self._skip_depth += tag == self._skip_tag
            return
        given = dict(attrs)
        classes = set((given.get("class") or "").split())
        if tag not in VOID and (tag in SKIP_TAGS or classes & SKIP_CLASSES
                                or given.get("id") in SKIP_IDS):
            if tag in BLOCKS | SKIP_TAGS:
                self._flush("body")
            self._skip_tag, self._skip_depth = tag, 1
        elif tag in BLOCKS:
            self._flush(tag)
        elif tag == "br":
            self._text.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if self._skip_depth:
            self._skip_depth -= tag == self._skip_tag
        elif tag in BLOCKS:
            self._flush("body")

    def handle_data(self, data: str) -> None:
        if not self._skip_depth:
            self._text.append(data)


def html_paragraphs(page: str) -> list[Paragraph]:
    parser = ProseParser()
    # Sphinx pages keep their prose under role="main"; the rest is navigation.
    main = page.find('role="main"')
    parser.feed("<div " + page[main:] if main >= 0 else page)
    parser.close()
    parser._flush("body")
    return parser.paragraphs


PUNCTUATION = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "\u00a0": " ",
                             "…": "...", "−": "-", "\u00ad": "", "\u200b": ""})
UNWANTED = re.compile(
    r"copyright|all rights reserved|contributed by|bpo-\d|https?://|gh-\d|\bRFC \d+ section"
    r"|^source code:|^see also\b|^return value:|^this page last modified|^see the section on"
    r"|^available languages|^availability:|^raises an auditing|^part of the stable abi"
    r"|^see also lists of|^deprecated since|^changed in version|^new in version|^\(.{0,80}\)$", re.IGNORECASE)


def clean(text: str) -> str:
    """The paragraph on one line, or "" when it is not prose."""
    text = re.sub(r"\s+", " ", text.translate(PUNCTUATION)).strip()
    text = re.sub(r"\s*¶", "", text)
    text = re.sub(r" ([.,;:)])(?= |$)", r"\1", text)
    words = re.findall(r"[A-Za-z][A-Za-z'-]+", text)
    if len(words) < 8 or UNWANTED.search(text):
        return ""
    prose = sum(c.isascii() and (c.isalpha() or c in " .,;:'") for c in text)
    lower = sum(c.islower() for c in text)
    if prose < 0.92 * len(text) or lower < 0.65 * len(text.replace(" ", "")):
        return ""
    if not re.search(r"[.!?:][\"')]*$", text):
        return ""
    if not (text[0].isupper() or text[0] in "\"'(" or re.match(r"[a-z_]+[\w.()]* ", text)):
        return ""
    return text


def sections(paragraphs: list[Paragraph], seen: set[bytes]) -> Iterator[list[str]]:
    """Runs of clean, never-seen paragraphs of one section."""
    run: list[str] = []
    for index, (raw, new_section, _) in enumerate(paragraphs):
        if new_section and run:
            yield run
            run = []
        text = clean(raw)
        if text.endswith(":"):
            # What a colon announces is mostly code, which was dropped.
            following = paragraphs[index + 1:index + 2]
            if not (following and following[0][2] and clean(following[0][0])):
                continue
        digest = hashlib.sha256(text.lower().encode()).digest()
        if text and digest not in seen:
            seen.add(digest)
            run.append(text)
    if run:
        yield run


def documents(run: list[str], low: int, high: int) -> Iterator[str]:
    """Cuts a run into documents of low to high characters, whole paragraphs each."""
    held: list[str] = []
    size = 0
    for paragraph in run:
        if held and size + len(paragraph) > high:
            if size >= low:
                yield "\n".join(held)
            held, size = [], 0
        if len(paragraph) <= high:
            held.append(paragraph)
            size += len(paragraph) + 1
    if size >= low:
        yield "\n".join(held)


def package_files(package: Package) -> list[Path]:
    listing = subprocess.run(["dpkg", "-L", package.name], capture_output=True,
                             text=True, check=True).stdout.splitlines()
    wanted = (p for p in listing if re.search(package.include, p)
              and not re.search(package.exclude, p))
    return sorted(p for p in map(Path, wanted) if p.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description="Extract prose from documentation packages.")
    parser.add_argument("--out", type=Path, required=True, help="JSONL to write")
    parser.add_argument("--min-chars", type=int, default=220)
    parser.add_argument("--max-chars", type=int, default=1500)
    args = parser.parse_args()
    seen: set[bytes] = set()
    with args.out.open("w", encoding="utf-8", newline="\n") as out:
        for package in PACKAGES:
            count = size = 0
            for path in package_files(package):
                page = path.read_text(encoding="utf-8", errors="replace")
                found = (pod_paragraphs(page) if path.suffix == ".pod"
                         else html_paragraphs(page))
                for run in sections(found, seen):
                    for text in documents(run, args.min_chars, args.max_chars):
                        line = {"text": text, "source": package.name}
                        out.write(json.dumps(line, ensure_ascii=False) + "\n")
                        count += 1
                        size += len(text.encode())
            print(f"{package.name}: {count} documents, {size} bytes")


if __name__ == "__main__":
    main()
