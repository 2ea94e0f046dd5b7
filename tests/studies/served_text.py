#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How text that was served is marked at rare and at frequent contexts, by the settings that drew it.

served_text.py PROGRAM: 200 answers of 200 tokens of the embedded model to openings out of the GPL, width 2, under a key
of its own, at several temperatures; prints what the check `learned` of `countermark audit` says of each.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "tests" / "support"))

from key_text import key_text, secret_of  # noqa: E402

SETTINGS = (("1",), ("1", "--top-p", ".9"), ("0.7",), ("0.5",), ("0.3",))
ANSWERS = 200


def openings() -> list[str]:
    words = Path("/usr/share/common-licenses/GPL-3").read_text(encoding="utf-8").split()
    step = len(words) // ANSWERS
    return [" ".join(words[i * step:i * step + 6]) for i in range(ANSWERS)]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        key, profile, prompts = (folder / each for each in ("served.key", "profile.json", "prompts.txt"))
        key.touch(mode=0o600)
        key.write_text(key_text(secret_of("served text"), "chat-3", "1"), encoding="utf-8")
        described = json.loads((ROOT / "corpora" / "model" / "profile.json").read_text(encoding="utf-8"))
        described["layers"] = [{"name": "shared", "width": 2, "share": 65536, "slots": 1}]
        described["tokenizer"]["file"] = str(ROOT / "corpora" / "model" / "tokenizer.json")
        profile.write_text(json.dumps(described), encoding="utf-8")
        prompts.write_text("\n".join(openings()) + "\n", encoding="utf-8")
        for number, settings in enumerate(SETTINGS):
            answers = folder / f"{number}.jsonl"
            mark = [sys.argv[1], "-k", key, "-p", profile]
            subprocess.run([mark[0], "generate", *mark[1:], "--prompts", prompts, "-n", "200", "--exact", "--json",
                            "--seed", f"{number:02}", "--temperature", *settings, "-o", answers], check=True)
            audit = subprocess.run([mark[0], "audit", *mark[1:], "--decoys", "0", "--json", "--text-field", "text",
                                    "--answers", answers], check=True, stdout=subprocess.PIPE).stdout
            tests = json.loads(audit)["tests"]
            said = next(check["detail"] for test in tests for check in test["checks"] if check["check"] == "learned")
            print(f"temperature {' '.join(settings)}: {re.split(': (?!.*[0-9] at)', said)[0]}", flush=True)


if __name__ == "__main__":
    main()
