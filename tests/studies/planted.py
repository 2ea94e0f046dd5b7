#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Marked documents hidden in real text, and what `scan` says of them beside what was predicted.

planted.py PROGRAM [--megabytes 1000] [--answers 2000] [--folder FOLDER]: human documents are those of
debian_text.py, marked ones answers of the embedded model (300 tokens, top-p .95) under a key that is
drawn here: verbatim, cropped to 100 tokens, between two halves of 8,000 characters of human text, and
with 10 % and 25 % of their words replaced by words of human text. FOLDER keeps what takes long to
make, and a second run takes it from there.

The prediction knows no score of the corpus. It takes the mean and the variance of a marked tuple's
score from other answers under another key, and from the scan only how many tuples a document owns. A
marked tuple survives if its token and the two before it do; half of all tuples are shared, and of
those a document owns the part r that verbatim answers own, so that s = r t of t survivors are. Its
sum is taken to be normal, with mean n + s (mean - 1) and variance
n + s (variance - 1) + s (1 - r) (mean - 1)^2; fewer than 16 tuples are never listed; and the
threshold of the list is where as many documents are expected as Benjamini and Yekutieli ask for.

Prints for each share of marked documents: the verdict, recall by kind and as predicted, human
documents that are listed, the lower bound of the share beside the share of marked tuples, and of the
spans in mixed documents how much of them is marked, and how much of what is marked they have. Ends
with 1 if recall is further than 4 standard errors from the prediction, more than 5 % of a list is
human, or a bound is too high.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from statistics import NormalDist
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "python" / "studies"))
import debian_text
from tokenizer_speed import ALPHABET

KINDS = ("verbatim", "cropped", "mixed", "10 % replaced", "25 % replaced")
SHARES = (0.1, 0.01, 0.001)
EXCERPT = 8_000  # characters of human text in a mixed document
WIDTH = 2  # tokens of a shared tuple's context
LEVEL = 0.05  # false discovery rate of the list
MINIMUM = 16  # tuples of its own that a verdict on a document asks for
UNIT = 2.0**20
NORMAL = NormalDist()


@dataclass
class Planted:
    kind: str
    parts: tuple[str, str, str]  # human text, the answer, human text
    survivors: int  # marked tuples, shared or not


def call(program: Path, *arguments: object) -> str:
    done = subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return done.stdout


def write(path: Path, texts: list[str], name: str) -> Path:
    path.write_text("".join(json.dumps({"id": f"{name}{i}", "text": text}) + "\n" for i, text in enumerate(texts)))
    return path


def answers(program: Path, folder: Path, name: str, count: int) -> tuple[Path, list[dict[str, Any]]]:
    """A key, and answers under it."""
    key, out = folder / f"{name}.key", folder / f"{name}.jsonl"
    if not out.exists():
        call(program, "key", "new", "--model", name, "--epoch", "study", "-o", key)
        call(program, "generate", "-k", key, "--prompts", ROOT / "corpora" / "prompts.txt", "--count", math.ceil(count / 100),
             "-n", 300, "--exact", "--json", "-o", out)
    return key, [json.loads(line) for line in out.open()][:count]


def law(program: Path, folder: Path) -> tuple[float, float]:
    """Mean and variance of a marked shared tuple's score, from sums over answers."""
    key, given = answers(program, folder, "law", 200)
    lines = call(program, "detect", "-k", key, "--json", write(folder / "law-texts.jsonl", [a["text"] for a in given], "a"))
    sums = [(int(found["scored"]), int(found["statistic"]) / UNIT) for found in map(json.loads, lines.splitlines())]
    mean = sum(total for _, total in sums) / sum(n for n, _ in sums)
    return mean, sum((total - n * mean) ** 2 / n for n, total in sums) / len(sums)


def plant(answer: dict[str, Any], kind: str, pieces: dict[int, bytes], excerpt: str, words: list[str],
          numbers: random.Random) -> Planted:
    ids = answer["ids"]
    if kind == "cropped":
        first = numbers.randrange(len(ids) - 100)
        ids = ids[first:first + 100]
    tokens = [pieces[token] for token in ids]
    before, after = (excerpt[:EXCERPT // 2] + "\n", "\n" + excerpt[EXCERPT // 2:]) if kind == "mixed" else ("", "")
    text = b"".join(tokens).decode(errors="replace")
    whole = [True] * len(tokens)
    if kind.endswith("replaced"):
        part = int(kind.split(" ")[0]) / 100
        kept = [numbers.random() >= part for _ in text.split(" ")]
        text = " ".join(word if keep else numbers.choice(words) for word, keep in zip(text.split(" "), kept, strict=True))
        # A token belongs to the word that its last byte is in.
        word_of = accumulate(token.count(b" ") for token in tokens)
        whole = [kept[word] for word in word_of]
    tuples = {tuple(ids[i - WIDTH:i + 1]) for i in range(WIDTH, len(tokens)) if all(whole[i - WIDTH:i + 1])}
    return Planted(kind, (before, text, after), len(tuples))


def critical(n: int, p: float) -> float:
    """What a sum of n standard exponentials reaches with probability p (Wilson and Hilferty, 1931)."""
    return n * (1 - 1 / (9 * n) + NORMAL.inv_cdf(1 - p) / (3 * math.sqrt(n))) ** 3


def power(n: int, survivors: int, rate: float, p: float, mean: float, variance: float) -> float:
    if n < MINIMUM:
        return 0
    marked = min(n, rate * survivors)
    deviation = math.sqrt(n + marked * (variance - 1) + marked * (1 - rate) * (mean - 1) ** 2)
    return 1 - NORMAL.cdf((critical(n, p) - n - marked * (mean - 1)) / deviation)


def predict(owned: list[tuple[int, int]], rate: float, judged: int, mean: float, variance: float) -> list[float]:
    """Of documents with n tuples and so many survivors: how likely each is listed."""
    harmonic = math.log(judged) + 0.5772
    listed = float(len(owned))
    for _ in range(50):
        p = LEVEL * max(1.0, listed) / (judged * harmonic)
        chances = [power(n, survivors, rate, p, mean, variance) for n, survivors in owned]
        listed = sum(chances)
    return chances


@dataclass
class Overlap:
    marked: int = 0
    spans: int = 0
    both: int = 0
    found: int = 0

    def add(self, spans: list[dict[str, int]], begin: int, end: int) -> None:
        self.marked += end - begin
        for span in spans:
            self.found += 1
            self.spans += span["last"] + 1 - span["first"]
            self.both += max(0, min(span["last"] + 1, end) - max(span["first"], begin))


@dataclass
class Counts:
    documents: int = 0
    listed: int = 0
    predicted: float = 0
    variance: float = 0


def planted(program: Path, key: Path, human: Path, documents: list[Planted], share: float, folder: Path,
            law_of_marked: tuple[float, float]) -> bool:
    marked = write(folder / "marked.jsonl", ["".join(one.parts) for one in documents], "m")
    # The same in pieces: how many tokens stand before the answer, and how many are its own.
    pieces = write(folder / "pieces.jsonl", [part or "-" for one in documents if one.kind == "mixed" for part in one.parts], "p")
    lines = folder / f"lines-{share}.jsonl"
    scan = ["scan", "-k", key, "--decoys", 0, "--threads", 1, "--json", "--force", "--documents", lines]
    call(program, *scan, pieces)
    lengths = iter([json.loads(line)["tokens"] for line in lines.open()])
    result = json.loads(call(program, *scan, human, marked))["tests"][0]
    false, judged_spans = 0, 0
    found: list[dict[str, Any]] = []
    for line in lines.open():
        document = json.loads(line)
        if document["id"][0] == "m":
            found.append(document)
        else:
            false += document["tests"][0]["verdict"] == "detected"
            judged_spans += len(document["tests"][0]["spans"])
    tests = [document["tests"][0] for document in found]
    whole = [test for test, one in zip(tests, documents, strict=True) if one.kind == "verbatim"]
    rate = sum(test["assigned"]["scored"] for test in whole) / max(1, sum(test["scored"] for test in whole)) / 2
    owned = [(test["assigned"]["scored"], one.survivors) for test, one in zip(tests, documents, strict=True)]
    chances = predict(owned, rate, result["documents"]["judged"], *law_of_marked)
    counts = {kind: Counts() for kind in KINDS}
    overlap = Overlap()
    for test, one, chance in zip(tests, documents, chances, strict=True):
        count = counts[one.kind]
        count.documents += 1
        count.listed += test["verdict"] == "detected"
        count.predicted += chance
        count.variance += chance * (1 - chance)
        if one.kind == "mixed":
            before, answer, _ = next(lengths), next(lengths), next(lengths)
            overlap.add(test["spans"], before, before + answer)
    listed = result["documents"]["listed"]
    truth = rate * sum(survivors for _, survivors in owned) / result["scored"]
    bound = float(result["share"]["atLeast"])
    recall = ", ".join(f"{kind} {count.listed}/{count.documents} ({count.predicted:.1f})" for kind, count in counts.items())
    print(f"| {100 * share:.1f} % | {result['verdict']}, {result['log10P']:.1f} | {recall} | {false} of {listed} | "
          f"{bound:.5f} of {truth:.5f} of {result['scored']:,} | {overlap.found}: {overlap.both / max(1, overlap.spans):.3f}, "
          f"{overlap.both / max(1, overlap.marked):.3f}; {judged_spans} in human documents |", flush=True)
    near = all(abs(count.listed - count.predicted) <= 4 * math.sqrt(count.variance) + 1 for count in counts.values())
    return near and false <= LEVEL * max(20, listed) and bound <= truth


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--megabytes", type=float, default=1000)
    parser.add_argument("--answers", type=int, default=2000)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    program = arguments.program.resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.folder or Path(name)
        human = folder / "human.jsonl"
        if not human.exists():
            subprocess.run([sys.executable, debian_text.__file__, "--megabytes", str(arguments.megabytes), "--out", human],
                           check=True)
        texts = []
        with human.open(encoding="utf-8") as lines:
            size = sum(1 for _ in lines)
            lines.seek(0)
            texts = [json.loads(line)["text"][:EXCERPT] for line, _ in zip(lines, range(2000), strict=False)]
        key, given = answers(program, folder, "planted", arguments.answers)
        law_of_marked = law(program, folder)
        print(f"score of a marked tuple: mean {law_of_marked[0]:.3f}, variance {law_of_marked[1]:.3f}")
        vocabulary = json.loads((ROOT / "corpora" / "model" / "tokenizer.json").read_text())["model"]["vocab"]
        byte_of = {character: byte for byte, character in ALPHABET.items()}
        pieces = {token: bytes(byte_of.get(c, 0) for c in spelled) for spelled, token in vocabulary.items()}
        words = " ".join(texts[:200]).split()
        print("| marked | verdict, log10 p | listed (predicted) | human among the listed | share: bound of marked tuples | "
              "spans of mixed documents: marked part of them, part of the marked that they have |\n|---|---|---|---|---|---|")
        passed = True
        for share in SHARES:
            numbers = random.Random(f"planted {share}")
            count = min(len(given), round(share * size / (1 - share)))
            documents = [plant(given[i], KINDS[i % len(KINDS)], pieces, numbers.choice(texts), words, numbers)
                         for i in range(count)]
            passed &= planted(program, key, human, documents, share, folder, law_of_marked)
    print("PASS" if passed else "FAIL")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
