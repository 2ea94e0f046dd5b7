# SPDX-License-Identifier: Apache-2.0
"""One answer, one verdict: is it marked under this key, and for which claimed account?"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypedDict, Union, cast

from countermark._countermark import Detector as _Detector
from countermark._countermark import Key, Profile, Tokenizer

# Integers, or a one-dimensional array of 32- or 64-bit integers: numpy, a torch CPU tensor.
TokenIds = Union[Sequence[int], Any]
Verdict = Literal["detected", "not-detected", "inconclusive", "withheld"]


class NullModel(TypedDict):
    """The law of `statistic` when the text has nothing to do with the key: Gamma(shape, 1)."""

    law: str
    shape: str
    unit: str
    basis: str


class Stream(TypedDict):
    """What the own layer of one claimed or found identity says."""

    layer: str
    identity: str
    slots: list[int]
    scored: int
    statistic: str
    nullModel: NullModel
    pValue: str | None
    log10P: float | None
    pFloor: str
    hypotheses: int
    verdict: Verdict


class LineUp(TypedDict):
    """The key among random keys that were never used."""

    decoys: int
    seed: str
    rank: int
    pValue: str
    mean: float
    variance: float
    calibrated: bool


class _Detection(TypedDict):
    schema: str
    version: str
    id: str
    input: str
    field: str
    scheme: str
    profile: str
    keyId: str
    model: str
    epoch: str
    tokens: int
    scored: int
    dropped: dict[str, int]
    layers: list[str]
    statistic: str
    nullModel: NullModel
    pValue: str | None
    log10P: float | None
    pFloor: str
    hypotheses: int
    streams: list[Stream]
    accountsSearched: int
    policy: dict[str, Any]
    verdict: Verdict
    reasons: list[str]


class Detection(_Detection, total=False):
    """countermark.detect/1; docs/schemas/detect-1.json describes every field.

    `statistic` is an exact integer in units of 2^-20, as a string; p-values are decimal strings,
    rounded up, which may be far below the smallest float; `log10P` is a number. A withheld verdict
    has neither. `lineUp` is there when decoys were asked for.
    """

    lineUp: LineUp


class Detector:
    """Judges texts under one key, profile and claim, which are fixed before a text is looked at.

    key: an epoch key.
    tokenizer: turns text into ids; without one only ids are accepted. Its digest must be the
        profile's.
    account, cohort: whose marks are looked for besides everyone's.
    accounts: are searched as one family, and the answer is corrected for all of them; not together
        with account. Repeated names count once.
    alpha: largest p-value that counts as detected, 1e-300 to 0.5.
    decoys: shows the key's rank among so many random keys (0 to 1,000,000); takes that many times
        as long. decoy_seed: of their derivation, chosen by the other side.

    Raises Error: "invalid-argument" (also when the profile lacks a claimed layer), "mismatch" for
    another tokenizer, "key" for a master key. Immutable, safe to share among threads; detecting
    does not hold the GIL.
    """

    def __init__(
        self,
        key: Key,
        profile: Profile,
        tokenizer: Tokenizer | None = None,
        *,
        account: str | None = None,
        accounts: Iterable[str] | None = None,
        cohort: str | None = None,
        alpha: float = 1e-6,
        decoys: int = 0,
        decoy_seed: bytes = b"",
    ) -> None:
        family = None if accounts is None else list(dict.fromkeys(accounts))
        self._detector = _Detector(
            key, profile, tokenizer, account, family, cohort, alpha, decoys, decoy_seed
        )

    @classmethod
    def load(
        cls,
        key: str | os.PathLike[str],
        profile: str | os.PathLike[str],
        tokenizer: str | os.PathLike[str] | None = None,
        **claim: Any,
    ) -> Detector:
        """From files, as the command line does it; the tokenizer where the profile says.

        claim: the keyword arguments of the class.
        """
        parameters = Profile.load(profile)
        words = Tokenizer.of(parameters, profile, tokenizer)
        return cls(Key.load(key), parameters, words, **claim)

    def detect(
        self,
        answer: str | TokenIds,
        *,
        prompt: str | TokenIds | None = None,
        id: str = "",
    ) -> Detection:
        """The verdict on one answer: what `countermark detect --json` prints of it.

        answer: text, or ids[tokens], oldest first. Arrays are read in place.
        prompt: what the author was shown; it is not scored, and contexts in it are left out.
        id: comes back in the result.

        Each call judges one document on its own tape and remembers nothing. Raises Error:
        "mismatch" for text without a tokenizer and for ids outside its vocabulary,
        "invalid-argument" for numbers that are no ids. O(tokens), and for a search
        O(account-layer tuples x accounts x slots).
        """
        return cast(Detection, json.loads(self._detector.detect_line(answer, prompt, id)))
