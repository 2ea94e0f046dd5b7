# SPDX-License-Identifier: Apache-2.0
"""The laboratory: trains students on marked text and audits them (docs/lab.md).

    ./run lab [--hours H] [--tables] [--groups abcdefh]

Cells are done in their order until the time is spent. What is done stays; several processes may share a cache.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from cells import Cell, cells
from laboratory import ROOT, Busy, Laboratory

WAIT = 20.0  # seconds, where other processes have all that is left to do
SHOW = 30.0  # seconds between lines of progress where it is not a terminal


class Say:
    """Progress on standard error: on a terminal one line, else one now and then."""

    def __init__(self, begin: str) -> None:
        self._begin, self._shown = begin, 0.0

    def __call__(self, text: str) -> None:
        now = time.monotonic()
        is_terminal = sys.stderr.isatty()
        if now - self._shown < (0.2 if is_terminal else SHOW):
            return
        self._shown = now
        print(f"\r{self._begin}: {text}\x1b[K" if is_terminal else f"{self._begin}: {text}",
              end="" if is_terminal else "\n", file=sys.stderr, flush=True)


def lasting(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min" if seconds < 6000 else \
        f"{seconds / 3600:.1f} h"


def work(lab: Laboratory, todo: list[Cell], hours: float) -> None:
    """Does the cells; those that another process is at come last."""
    import torch
    from evidence import audits, judge

    torch.set_num_threads(1)
    began, of, done = time.monotonic(), len(todo), 0
    while todo:
        left = list(todo)
        for cell in left:
            spent = time.monotonic() - began
            if spent > 3600 * hours:
                return
            pace = f", {lasting(spent / done * len(todo))} left" if done else ""
            say = Say(f"[{of - len(todo) + 1}/{of}] {cell.name}{pace}")
            cell_began = time.monotonic()
            try:
                for audit in audits(cell):
                    judge(lab, cell, audit, say)
            except Busy:
                continue
            todo.remove(cell)
            took = time.monotonic() - cell_began
            done += took > 10  # what was there already says nothing of the pace
            print(f"[{of - len(todo)}/{of}] {cell.name}: {lasting(took)}", file=sys.stderr, flush=True)
            break
        else:
            time.sleep(WAIT)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="./run lab", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hours", type=float, default=24, metavar="H", help="begin no cell after so long [24]")
    parser.add_argument("--groups", default="abcdefh", metavar="LETTERS", help="cells of these groups alone [abcdefh]")
    parser.add_argument("--tables", action="store_true", help="nothing but the tables of what is there")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "lab", metavar="FOLDER", help="[build/lab]")
    flags = parser.parse_args(arguments)
    program = os.environ.get("COUNTERMARK_PROGRAM", str(ROOT / "build" / "dev" / "cli" / "countermark"))
    if shutil.which(program) is None:
        print(f"lab: {program}: no such program; ./run build, or COUNTERMARK_PROGRAM", file=sys.stderr)
        return 6
    lab = Laboratory(flags.cache.resolve(), program)
    wanted = [cell for cell in cells() if cell.group in flags.groups]
    try:
        if not flags.tables:
            work(lab, list(wanted), flags.hours)
    except KeyboardInterrupt:
        return 130
    from tables import tables

    print(tables(dataclasses.replace(lab, is_reading=True), wanted))
    return 0


if __name__ == "__main__":
    sys.exit(main())
