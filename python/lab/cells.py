# SPDX-License-Identifier: Apache-2.0
"""What the laboratory does, as data: which students are taught what, and with what they are audited.

Whatever can change a result stands in one of these records, and a result is kept under their digest. Keys have names
and follow from them, so that anybody gets the same ones: they protect nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

NULL_STUDENTS = 30
NULL_ANALYSES = 100  # each under a key of its own
RETOKENIZED_NULLS = 2  # students with another tokenizer, of as many analyses


@dataclass(frozen=True)
class Mark:
    """scheme: native (countermark/1), kgw (three-bricks-greenlist/1), synthid (synthid-text/2025-06) or none."""

    scheme: str = "native"
    width: int = 2  # tokens of context
    # Of native. shared: all contexts; account: half of them, the others are the shared layer's, at width 2; shipped: the
    # embedded model's profile, whose account layer has this width; one slot: the same with one instead of eight.
    layer: str = "shared"


@dataclass(frozen=True)
class Texts:
    """A teacher's exchanges under one key. An exchange is the opening of a human document and an answer, tokens of
    fixed numbers; the token that ends a text is never drawn."""

    mark: Mark
    key: str  # its name
    served: int = 1000  # exchanges that a student may be taught
    fresh: int = 100  # exchanges with other prompts that none is taught
    accounts: int = 0  # of the served ones, among which they go round, and as many others of the fresh ones; 0: without
    prompt: int = 24
    answer: int = 200
    temperature: float = 1.0


@dataclass(frozen=True)
class Again:
    """Other answers to prompts of a log, for the test of served answers; the first exchanges have them."""

    served: int = 100
    controls: int = 50  # of the fresh ones
    each: int = 4


@dataclass(frozen=True)
class Training:
    """A fine-tune of the base by AdamW: exchanges x answer tokens x epochs are learned from."""

    exchanges: int = 1000
    epochs: int = 3
    batch: int = 16  # exchanges
    rate: float = 1e-3  # at its peak
    adapter: int = 0  # rank of LoRA; 0: all weights
    precision: str = "bfloat16"  # of products of matrices; weights are float32


@dataclass(frozen=True)
class Cell:
    """One student, and the log that it is audited with."""

    group: str
    log: Texts
    share: int  # percent of the exchanges that are `taught`; human documents make up the rest
    seed: int
    taught: Texts | None  # None: human documents alone
    attack: str = ""  # clean, lora, paraphrase, mixed, cold, retokenized
    training: Training = Training()
    again: Again = Again()
    asked: int = 100  # answers that are collected, and fresh exchanges that are read
    read: int = 100  # taught exchanges that are read

    @property
    def name(self) -> str:
        mark = "null" if self.is_null else f"{self.log.mark.scheme} {self.log.mark.layer} {self.log.mark.width}"
        text = "human" if self.taught is None else self.taught.mark.scheme
        return " ".join([self.group, mark, self.attack or (text if self.is_null else f"{self.share} %"),
                         f"seed {self.seed}"])

    @property
    def is_null(self) -> bool:
        """Whether nothing that the student learned is marked under the log's key."""
        return self.taught != self.log

    @property
    def has_own_tokenizer(self) -> bool:
        return self.attack == "retokenized"

    @property
    def other_keys(self) -> list[str]:
        """Of a null student, names of keys that marked nothing, for further analyses: NULL_ANALYSES in all."""
        if not self.is_null:
            return []
        if self.has_own_tokenizer:
            return [f"{self.log.key}/{i}" for i in range(1, NULL_ANALYSES // RETOKENIZED_NULLS)]
        return [f"null/{i}" for i in range(self.seed + NULL_STUDENTS, NULL_ANALYSES, NULL_STUDENTS)]

    @property
    def learned(self) -> int:
        """How many of the log's exchanges were taught; the first ones."""
        return 0 if self.is_null else self.training.exchanges * self.share // 100


UNMARKED = Texts(Mark("none", 0), "unmarked", served=2000, fresh=0)


def null(number: int) -> Cell:
    """Half of them learn human documents, half the same teacher's answers without a mark."""
    log = Texts(Mark(), f"null/{number}", served=100)
    is_taught = number % 2 == 1
    return Cell("a", log, 100 if is_taught else 0, number, UNMARKED if is_taught else None,
                again=Again(40, 20))


def taught(group: str, mark: Mark, share: int, seed: int) -> Cell:
    texts = Texts(mark, f"{mark.scheme}/{mark.layer}/{mark.width}/{seed}")
    return Cell(group, texts, share, seed, texts)


def attacked(attack: str, seed: int) -> Cell:
    cell = replace(taught("e", Mark(), 100, seed), attack=attack)
    if attack == "lora":
        return replace(cell, training=replace(cell.training, adapter=16, rate=5e-3))
    return replace(cell, share=50) if attack == "mixed" else cell


def retokenized_null(number: int) -> Cell:
    log = Texts(Mark(), f"null/retokenized/{number}", served=100)
    return Cell("h", log, 100, number, UNMARKED, "retokenized", again=Again(40, 20))


def cells() -> Iterator[Cell]:
    """In the order in which they are worth having."""
    first = [taught("b", Mark(), share, 0) for share in (100, 10, 50, 5, 1)]
    yield from first
    yield from map(null, range(NULL_STUDENTS))
    yield from (taught("b", Mark(), share, seed) for seed in (1, 2) for share in (1, 5, 10, 50, 100))
    yield from (taught("c", Mark(width=width), share, seed)
                for width in (1, 3, 4) for seed in (0, 1) for share in (100, 10))
    yield from (taught("d", Mark(scheme), share, seed)
                for scheme in ("kgw", "synthid") for seed in (0, 1) for share in (100, 10))
    yield from (attacked(attack, seed) for seed in (0, 1)
                for attack in ("clean", "lora", "paraphrase", "mixed", "cold"))
    for layer, width in (("account", 2), ("account", 3), ("account", 4), ("shipped", 3), ("one slot", 3)):
        texts = Texts(Mark(width=width, layer=layer), f"{layer}/{width}", fresh=200, accounts=10)
        yield Cell("f", texts, 100, 0, texts, asked=200, read=1000)
    yield from (replace(taught("h", Mark(width=width), 100, seed), attack="retokenized")
                for width in (2, 1) for seed in (0, 1))
    yield from map(retokenized_null, range(RETOKENIZED_NULLS))
