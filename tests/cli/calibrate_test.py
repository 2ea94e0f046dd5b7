#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`calibrate`, its study and pictures, and the heat map of `detect --html`, as a person meets them.

Usage: calibrate_test.py PROGRAM. What counts say is tested in the library; here that a fit key is called fit, that
marked text is not, and that every picture parses and stands alone.
"""

from __future__ import annotations

import json
import unittest
import xml.etree.ElementTree as xml
from html.parser import HTMLParser
from pathlib import Path

import jsonschema

from support import PROGRAM, SEED, ProgramTest, key_file, schemas, words_of_licences

SCHEMAS = schemas("calibrate-1", "calibration-study-1")
HOSTILE = "</div></main><script>alert(1)</script><img src=x onerror=alert(1)> \u202e\"'&amp; \U0001f600 \u4f60\u597d"
VOID = {"meta"}


class Page(HTMLParser):
    """Every element that was opened is closed; what was seen."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data


class CalibrateTest(ProgramTest):
    key: Path
    clean: Path

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.key = key_file(cls.folder / "epoch.key", "2026-11")
        words = words_of_licences()
        texts = dict.fromkeys(" ".join(words[i:i + 100]) for i in range(0, len(words), 100))
        cls.clean = cls.folder / "clean.jsonl"
        cls.clean.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))

    def marked(self) -> Path:
        """40 answers with the mark."""
        path = self.folder / "marked.jsonl"
        if not path.exists():
            self.call("generate", "-k", self.key, "--account", "alice", "--prompt", "The server", "-n", 150, "--count",
                      40, "--seed", SEED, "--json", "-o", path)
        return path

    # --- calibrate ---------------------------------------------------------------------------

    def test_a_random_key_is_fit_on_clean_text(self) -> None:
        """The key is new each time: fails once in 10,000 runs at most, as `falseAlarm` says."""
        out, _ = self.call("calibrate", "-k", self.key, "--json", "--exit-status", self.clean)
        report = json.loads(out)
        jsonschema.validate(report, SCHEMAS["calibrate-1"])
        self.assertEqual(report["verdict"], "fit")
        self.assertGreater(report["key"]["assigned"]["judged"], 200)
        self.assertGreater(report["decoys"]["assigned"]["judged"], 20_000)
        for side in ("key", "decoys"):
            scores = report[side]["scores"]
            self.assertLess(abs(scores["mean"] - 1), 6 * scores["meanError"], side)
            self.assertLess(abs(scores["variance"] - 1), 6 * scores["varianceError"], side)

    def test_marked_text_is_the_keys_fault_and_not_the_corpus(self) -> None:
        out, _ = self.call("calibrate", "-k", self.key, "--json", "--exit-status", self.marked(), self.clean, code=1)
        report = json.loads(out)
        self.assertEqual(report["verdict"], "key-unfit")
        self.assertIn("key-whole", report["reasons"])

    def test_too_little_text_says_nothing(self) -> None:
        out, _ = self.call("calibrate", "-k", self.key, "--exit-status", "/usr/share/common-licenses/BSD", code=5)
        self.assertIn("inconclusive", out)

    def test_threads_change_nothing_and_pictures_parse(self) -> None:
        outputs = []
        for threads in (1, 3):
            plot = self.folder / f"{threads}.svg"
            out, _ = self.call("calibrate", "-k", self.key, "--decoys", 30, "--threads", threads, "--plot", plot,
                               self.clean)
            outputs.append((out, plot.read_bytes()))
        self.assertEqual(outputs[0], outputs[1])
        svg = xml.fromstring(outputs[0][1])
        self.assertEqual(svg.tag, "{http://www.w3.org/2000/svg}svg")
        texts = [text for element in svg.iter() for text in (element.text or "").splitlines()]
        self.assertIn("The key among 30 decoys", texts)
        for forbidden in (b"<script", b"href", b"url(", b"@import"):
            self.assertNotIn(forbidden, outputs[0][1])

    def test_usage(self) -> None:
        plot = self.folder / "there.svg"
        plot.write_text("mine")
        self.call("calibrate", "-k", self.key, "--plot", plot, self.clean, code=2)
        self.assertEqual(plot.read_text(), "mine")
        self.call("calibrate", "-k", self.key, "--study", "--plot", "new.svg", self.clean, code=2)
        self.call("calibrate", "-k", self.key, "--keys", 3, self.clean, code=2)
        self.call("calibrate", "-k", self.key, "--seed", "x", self.clean, code=2)
        self.call("calibrate", "-k", self.key, "nowhere.jsonl", code=6)

    # --- study -------------------------------------------------------------------------------

    def test_a_study_has_a_cell_for_each_domain_length_and_edit(self) -> None:
        arguments = ("calibrate", "-k", self.key, "--study", "--keys", 20, "--pieces", 10, "--seed", SEED, "--json")
        out, _ = self.call(*arguments, self.clean, "/usr/share/common-licenses/GPL-3")
        report = json.loads(out)
        jsonschema.validate(report, SCHEMAS["calibration-study-1"])
        self.assertEqual(len(report["cells"]), 2 * 4 * 3)
        self.assertEqual(report["trials"], sum(cell["trials"] for cell in report["cells"]))
        for cell in report["cells"]:
            self.assertEqual(cell["trials"], 20 * cell["pieces"])
        # Of 5,000 trials more than 25 are at 1e-3 less than once in 10^9 runs.
        self.assertLessEqual(report["trials"], 5_000)
        self.assertLessEqual(report["rates"][2]["alarms"], 25)
        self.assertEqual(self.call(*arguments, "--threads", 1, self.clean, "/usr/share/common-licenses/GPL-3")[0], out)

    def test_a_study_needs_text(self) -> None:
        short = self.folder / "short.txt"
        short.write_text("Too short.\n")
        self.call("calibrate", "-k", self.key, "--study", short, code=3)

    # --- the heat map ------------------------------------------------------------------------

    def page(self, *arguments: object) -> tuple[str, Page]:
        path = self.folder / "page.html"
        self.call("detect", "-k", self.key, "--html", path, "--force", *arguments)
        html = path.read_text()
        page = Page()
        page.feed(html)
        page.close()
        self.assertEqual(page.open, [])
        return html, page

    def test_the_heat_map_shows_hostile_text_as_text(self) -> None:
        path = self.folder / "hostile.jsonl"
        path.write_text(json.dumps({"id": HOSTILE, "prompt": HOSTILE, "text": HOSTILE * 3}) + "\n")
        html, page = self.page(path)
        self.assertNotIn("script", page.tags)
        self.assertNotIn("img", page.tags)
        self.assertLessEqual(page.attributes, {"lang", "charset", "http-equiv", "content", "name", "class", "dir",
                                               "data-s", "title", "scope"})
        self.assertIn("<script>alert(1)</script>", page.text)
        self.assertNotIn("\u202e", html)
        self.assertIn("default-src 'none'", html)
        for forbidden in ("href=", "src=\"", "url(", "@import"):
            self.assertNotIn(forbidden, html)
        self.assertEqual(self.page(path)[0], html)

    def test_the_heat_map_underlines_marked_spans(self) -> None:
        record = json.loads(self.marked().read_text().splitlines()[0])
        licence = Path("/usr/share/common-licenses/GPL-3").read_text()[:1500]
        path = self.folder / "mixed.txt"
        path.write_text(licence + record["text"] + licence[::-1])
        html, page = self.page("--account", "alice", path)
        self.assertIn("<mark title=\"p ", html)
        # Which of the two depends on the key: it is the account's own layer alone.
        self.assertRegex(page.text, "alice: (not-)?detected, by that layer alone")
        clean = self.folder / "plain.txt"
        clean.write_text(licence)
        self.assertNotIn("<mark title", self.page(clean)[0])

    def test_the_heat_map_takes_one_document_and_one_test(self) -> None:
        for arguments in ((self.clean,), ("--accounts", self.key, "hostile.jsonl")):
            self.call("detect", "-k", self.key, "--html", "none.html", *arguments, code=2)
            self.assertFalse((self.folder / "none.html").exists())


if __name__ == "__main__":
    unittest.main(verbosity=1)
