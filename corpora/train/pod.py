# SPDX-License-Identifier: Apache-2.0
"""Paragraphs of Perl's POD format, as plain text.

It knows what prose needs: commands, verbatim blocks and inline formatting
codes. It is not a full POD formatter: it keeps no headings, no item terms
and no link targets.
"""

from __future__ import annotations

import re

SKIPPED_SECTIONS = re.compile(
    r"^(AUTHORS?|COPYRIGHT|LICEN[CS]E|SEE ALSO|HISTORY|CREDITS|ACKNOWLEDGE?MENTS?"
    r"|COLOPHON|VERSION|NAME|CHANGES|REVISION|CHANGE HISTORY|CONTRIBUTORS)", re.IGNORECASE)
ENTITIES = {"lt": "<", "gt": ">", "sol": "/", "verbar": "|", "amp": "&"}


def _code(match: re.Match[str]) -> str:
    letter, inside = match.group(1), match.group(3).strip()
    if letter in "XZ":
        return ""
    if letter == "E":
        return ENTITIES.get(inside, "")
    if letter == "L":
        shown, bar, target = inside.partition("|")
        if bar:
            return shown
        return re.sub(r"^(.+)/", r"\1, ", target or inside).strip('/"')
    return inside


def plain(text: str) -> str:
    """The text without formatting codes, innermost first."""
    for opening, closing in (("<<< ", " >>>"), ("<< ", " >>")):
        text = re.sub(rf"([A-Z])({opening})(.*?){closing}",
                      lambda m: _code(m) if m.group(1) in "XZEL" else m.group(3),
                      text, flags=re.DOTALL)
    before = None
    while before != text:
        before = text
        text = re.sub(r"([BCEFILSXZ])(<)([^<>]*)>", _code, text)
    return text


def pod_paragraphs(page: str) -> list[tuple[str, bool, bool]]:
    """The ordinary paragraphs: text, starts a section, follows an item."""
    found: list[tuple[str, bool, bool]] = []
    new_section, item, skipped, inside_pod = True, False, False, False
    block = ""
    for paragraph in re.split(r"\n\s*\n", page):
        if not paragraph.strip():
            continue
        command = re.match(r"=([a-z]+\d?)\s*(.*)", paragraph.lstrip("\n"), re.DOTALL)
        if command:
            name, rest = command.groups()
            inside_pod = name != "cut"
            if name in {"begin", "for"}:
                block = "begin" if name == "begin" else ""
            elif name == "end":
                block = ""
            elif name.startswith("head"):
                new_section, item = True, False
                if name == "head1" or not skipped:
                    skipped = bool(SKIPPED_SECTIONS.match(rest))
            elif name == "item":
                # A bulleted or numbered item may carry its prose on the command.
                item = True
                bare = re.sub(r"^(\*|\d+[.)]?)\s*", "", rest)
                if bare != rest and bare.strip() and not skipped:
                    found.append((plain(bare), new_section, True))
                    new_section = False
            elif name == "back":
                item = False
            continue
        if not inside_pod or block or skipped or paragraph.lstrip("\n")[:1] in " \t":
            continue
        found.append((plain(paragraph), new_section, item))
        new_section = False
    return found
