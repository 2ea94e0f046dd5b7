# SPDX-License-Identifier: Apache-2.0
"""The laboratory's results as Markdown: of each kind of evidence what every cell gave, and how much would be needed."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import NormalDist, mean
from typing import Any

from cells import Cell, Mark
from evidence import KINDS, LEARNED, PASSED_ON, SERVED, Audit, audits, judge
from laboratory import Laboratory

ALPHA, POWER = 1e-6, 0.9
GREEN, DEPTH = 0.25, 30  # of the green list's and the tournament's profiles
MOST_AT_TENTH = 22  # of 100 null analyses; more come with probability 1e-4


@dataclass(frozen=True)
class Finding:
    """Of one audit."""

    cell: Cell
    audit: Audit
    test: dict[str, Any]

    @property
    def log10_p(self) -> float | None:
        """None: withheld."""
        found: float | None = self.test["log10P"]
        return found

    @property
    def count(self) -> int:
        """Tuples, or prompts."""
        found: int = self.test["prompts" if self.audit.kind == SERVED else "scored"]
        return found

    @property
    def effect(self) -> float:
        """Mean score in units of chance's; of green lists and bits their share; how often served answers are above
        regenerations."""
        if self.audit.kind == SERVED:
            return float(self.test["effect"]["value"])
        unit = {"native": 1 << 20, "kgw": 1, "synthid": DEPTH}[self.audit.mark.scheme]
        return int(self.test["statistic"]) / unit / max(1, self.count)

    @property
    def p(self) -> str:
        if self.log10_p is None:
            failed = [check["check"] for check in self.test["checks"] if check["state"] == "failed"]
            return f"withheld ({', '.join(failed)})"
        text = f"{self.log10_p:.1f}"
        line_up = self.test.get("lineUp")
        return f"{text} (rank {line_up['rank']})" if line_up and self.audit.mark.scheme != "native" else text


def findings(lab: Laboratory, cells: Iterable[Cell]) -> list[Finding]:
    """What is there."""
    out = []
    for cell in cells:
        for audit in audits(cell):
            found = judge(lab, cell, audit, lambda text: None)
            if found is not None:
                out.append(Finding(cell, audit, found))
    return out


def least(enough: Callable[[int], bool]) -> int | None:
    """The smallest number that is enough, None beyond 10^12. enough: false below it and true from it on."""
    high = 1
    while not enough(high):
        high *= 2
        if high > 10**12:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def needed(kind: str, scheme: str, effect: float) -> int | None:
    """Tuples, or prompts of four regenerations, for p = 1e-6 with probability .9; None: no number of them.

    Native: scores are exponential with this mean (quantiles by Wilson and Hilferty). Else by normal laws.
    """
    above, below = -NormalDist().inv_cdf(ALPHA), NormalDist().inv_cdf(1 - POWER)

    def gamma(n: int, z: float) -> float:
        return n * max(0.0, 1 - 1 / (9 * n) + z / (3 * math.sqrt(n)))**3
    if kind == SERVED:
        chance, spread, own = 0.5, math.sqrt(1 / 8), math.sqrt(1 / 8)
    elif scheme == "native":
        return least(lambda n: effect * gamma(n, below) >= gamma(n, above)) if effect > 1 else None
    else:
        chance, draws = (GREEN, 1) if scheme == "kgw" else (0.5, DEPTH)
        spread, own = (math.sqrt(p * (1 - p) / draws) for p in (chance, effect))
    return math.ceil(((above * spread - below * own) / (effect - chance))**2) if effect > chance else None


def table(columns: list[str], rows: Iterable[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [columns, ["---"] * len(columns), *rows])


def number(value: float | None) -> str:
    """Two digits, for what is needed."""
    return "–" if value is None else f"{float(f'{value:.2g}'):,.0f}"


NAMES = {"kgw": "green list", "synthid": "SynthID"}
ATTACKS = {
    "clean": "trained on, an epoch of human text",
    "lora": "LoRA, rank 16",
    "paraphrase": "half redrawn by another model",
    "mixed": "the rest the unmarked teacher's",
    "cold": "answers at temperature 0.5",
    "retokenized": "another tokenizer",
}


def account_layer(mark: Mark) -> str:
    """What the profile gives to accounts."""
    found = {"account": "1/2, 1 slot", "shipped": "3/8, 8 slots", "one slot": "3/8, 1 slot"}[mark.layer]
    return f"width {mark.width}, {found}"


def row_name(cell: Cell) -> str:
    if cell.is_null:
        return "null: human text" if cell.taught is None else "null: the teacher's unmarked answers"
    mark = cell.log.mark
    width = f"width {mark.width}" if mark.layer == "shared" else f"shared layer beside {account_layer(mark)}"
    text = f"{NAMES.get(mark.scheme, mark.scheme)}, {width}, {cell.share} %"
    return f"{text}: {ATTACKS[cell.attack]}" if cell.attack else text


def of_kind(kind: str, found: list[Finding]) -> str:
    """One row for each sort of student; several cells stand in it one after the other."""
    rows: dict[str, list[Finding]] = {}
    for each in sorted(found, key=lambda each: (each.cell.group, each.cell.log.mark.scheme, each.cell.log.mark.width,
                                                each.cell.attack, each.cell.share, each.cell.seed)):
        rows.setdefault(row_name(each.cell), []).append(each)
    what = "prompts" if kind == SERVED else "tuples"
    lines = []
    for name, some in rows.items():
        effect = mean(each.effect for each in some)
        need = needed(kind, some[0].audit.mark.scheme, effect)
        tokens = None if need is None or kind == SERVED else \
            need * mean(each.test["tokens"] / max(1, each.count) for each in some)
        detected = sum(each.log10_p is not None and each.log10_p <= math.log10(ALPHA) for each in some)
        lines.append([name, str(len(some)), f"{detected}", "; ".join(each.p for each in some),
                      "; ".join(f"{each.effect:.3f}" for each in some),
                      f"{mean(each.count for each in some):,.0f}", number(need),
                      *([] if kind == SERVED else [number(tokens)])])
    return table(["student", "cells", "p ≤ 1e-6", "log10 p", "share above" if kind == SERVED else "effect", what,
                  f"{what} needed", *([] if kind == SERVED else ["tokens needed"])], lines)


def of_nulls(found: list[Finding]) -> str:
    lines = []
    for attack, kind in itertools.product(("", "retokenized"), KINDS):
        some = [each for each in found if each.audit.kind == kind and each.cell.attack == attack]
        ps = [10**each.log10_p for each in some if each.log10_p is not None]
        if not ps:
            continue
        limit = "–" if len(some) != 100 else f"{MOST_AT_TENTH}"
        name = f"{kind}, {ATTACKS[attack]}" if attack else kind
        lines.append([name, str(len({each.cell.seed for each in some})), str(len(some)), str(len(some) - len(ps)),
                      str(sum(p <= 0.1 for p in ps)), limit, str(sum(p <= 0.01 for p in ps)), f"{min(ps):.2g}",
                      f"{mean(ps):.2f}", f"{mean(each.effect for each in some):.4f}"])
    return table(["evidence", "students", "analyses", "withheld", "p ≤ 0.1", "at most", "p ≤ 0.01", "smallest p",
                  "mean p", "mean effect"], lines)


def of_learned(found: list[Finding]) -> str:
    """What the check `learned` makes of answers: of students, and of the teacher's that are passed on as a student's."""
    lines = []
    for kind, whose in ((LEARNED, ""), (PASSED_ON, ": the teacher's own answers")):
        for each in found:
            check = next((check for check in each.test["checks"] if check["check"] == "learned"), None)
            if each.audit.kind == kind and check is not None and " above chance" in check["detail"]:
                detail = check["detail"].removeprefix("scores above chance: ").split(": ")[0]
                lines.append([row_name(each.cell) + whose, str(each.cell.seed),
                              "yes" if check["state"] == "passed" else "no", detail])
    return table(["answers", "seed", "look learned", "scores above chance"], lines) if lines else ""


def of_accounts(found: list[Finding]) -> str:
    """What each account's own layer says: of accounts whose answers were learned, and of others under the same key."""
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for each in found:
        part = each.audit.account.split("-")[0]
        rows.setdefault((account_layer(each.cell.log.mark), part), []).append(each.test["streams"][0])
    lines = []
    for (layer, part), streams in rows.items():
        effect = mean(int(stream["statistic"]) / (1 << 20) / max(1, stream["scored"]) for stream in streams)
        lines.append([layer, "learned" if part == "served" else "innocent", str(len(streams)),
                      str(sum(stream["log10P"] <= math.log10(ALPHA) for stream in streams)),
                      "; ".join(f"{stream['log10P']:.1f}" for stream in streams), f"{effect:.3f}",
                      f"{mean(stream['scored'] for stream in streams):,.0f}", number(needed("", "native", effect))])
    return table(["account layer", "account", "accounts", "p ≤ 1e-6", "log10 p", "mean effect", "tuples", "tuples needed"], lines)


def tables(lab: Laboratory, cells: list[Cell]) -> str:
    found = findings(lab, cells)
    nulls = [each for each in found if each.cell.is_null]
    parts = []
    if nulls:
        parts.append(f"### Null students\n\n{of_nulls(nulls)}")
    for kind in KINDS:
        some = [each for each in found if each.audit.kind == kind and not (each.cell.is_null or each.audit.account)]
        if some:
            parts.append(f"### {kind}\n\n{of_kind(kind, some)}")
    if learned := of_learned(found):
        parts.append(f"### Learned, or passed on?\n\n{learned}")
    accounts = [each for each in found if each.audit.account]
    if accounts:
        parts.append(f"### supervised-open, the account's own layer\n\n{of_accounts(accounts)}")
    planned, done = Counter(cell.group for cell in cells), Counter(
        cell.group for cell in {each.cell.name: each.cell for each in found}.values())
    parts.append("Cells: " + ", ".join(f"({group}) {done[group]} of {of}" for group, of in planned.items()) + ".")
    return "\n\n".join(parts)
