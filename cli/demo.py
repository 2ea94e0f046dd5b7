#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The main job, once through the command line: mark, verify, and fail to find what is not there.

demo.py PROGRAM: runs the countermark program on texts of the embedded model, on a human text of
this machine and on a text that is too short, and prints one table. Every run makes a new key, so
the numbers differ from run to run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path

PROMPTS = {"alice": "When a request arrives,", "bob": "The server", "carol": "A transaction"}
HUMAN_TEXT = Path("/usr/share/common-licenses/GPL-3")


class Demo:
    def __init__(self, program: str, folder: Path) -> None:
        self.program = program
        self.folder = folder

    def call(self, *arguments: object) -> str:
        done = subprocess.run(
            [self.program, *map(str, arguments)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, arguments))}\n{done.stderr}")
        return done.stdout

    def new_key(self, name: str) -> Path:
        path = self.folder / f"{name}.key"
        self.call("key", "new", "--model", "demo", "--epoch", "2026-11", "-o", path)
        return path

    def write(self, key: Path, name: str, prompt: str, *more: object) -> Path:
        path = self.folder / f"{name}.txt"
        self.call("generate", "-k", key, "--prompt", prompt, "-n", 300, "--exact", "--top-p", 0.95,
                  "-o", path, *more)
        return path

    def judge(self, text: Path, key: Path, account: str | None = None) -> dict:
        """The headline of a detection or, with an account, what its own layer says."""
        claim = ["--account", account] if account else []
        result = json.loads(self.call("detect", "-k", key, "--json", *claim, text))
        if account:
            return next(s for s in result["streams"] if s["layer"] == "account")
        return result


def by_chance(result: dict) -> str:
    p, floor = Decimal(result["pValue"]), Decimal(result["pFloor"])
    return f"at most 1 in {1 / floor:.1e}" if p <= floor else f"1 in {1 / p:.2g}"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        demo = Demo(sys.argv[1], Path(name))
        key, other_key = demo.new_key("demo"), demo.new_key("other")
        print(demo.call("key", "show", "-k", key))
        texts = {
            account: demo.write(key, account, prompt, "--account", account)
            for account, prompt in PROMPTS.items()
        }
        unmarked = demo.write(key, "unmarked", PROMPTS["alice"], "--unmarked")
        short = demo.folder / "short.txt"
        short.write_text(" ".join(texts["alice"].read_text().split()[:4]) + "\n")
        print("alice was answered:", texts["alice"].read_text().strip()[:280].replace("\n", " "), "…\n")

        rows: list[tuple[str, dict]] = []
        for account, text in texts.items():
            rows.append((f"answer to {account}: is it ours?", demo.judge(text, key)))
        for account, text in texts.items():
            rows.append((f"answer to {account}: was it served to bob?", demo.judge(text, key, "bob")))
        rows += [
            ("answer to alice, under another key", demo.judge(texts["alice"], other_key)),
            ("the same model, unmarked", demo.judge(unmarked, key)),
            ("the same model, unmarked: served to bob?", demo.judge(unmarked, key, "bob")),
        ]
        if HUMAN_TEXT.exists():
            rows.append((f"a human text ({HUMAN_TEXT.name})", demo.judge(HUMAN_TEXT, key)))
        rows.append(("the first words of alice's answer", demo.judge(short, key)))

        print(f"{'text':42} {'scored':>6} {'log10 p':>8}  {'by chance, without the mark':28} verdict")
        for text, result in rows:
            print(f"{text:42} {result['scored']:>6} {result['log10P']:>8.2f}  {by_chance(result):28} "
                  f"{result['verdict']}")
        print("\nThis shows that a text was drawn under this key, and for whom, with the rate at which "
              "chance does the same;\nit does not show who wrote or passed on a text, and "
              "“not detected” clears nobody.")


if __name__ == "__main__":
    main()
