# SPDX-License-Identifier: Apache-2.0
"""One answer, one verdict a test: is it marked under this key, and for which claimed account?"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypedDict, Union, cast

from countermark._countermark import (
    ForeignKey,
    ForeignProfile,
    Key,
    Profile,
    Tokenizer,
    load_any_key,
    load_any_profile,
)
from countermark._countermark import Panel as _Panel

# Integers, or a one-dimensional array of 32- or 64-bit integers: numpy, a torch CPU tensor.
TokenIds = Union[Sequence[int], Any]
Verdict = Literal["detected", "not-detected", "inconclusive", "withheld"]


# Whose marks are looked for: ours, or another system's.
AnyKey = Union[Key, ForeignKey]
AnyProfile = Union[Profile, ForeignProfile]
Test = Union[tuple[AnyKey, AnyProfile], tuple[AnyKey, AnyProfile, Union[Tokenizer, None]]]


class _NullModel(TypedDict):
    law: str
    basis: str


class NullModel(_NullModel, total=False):
    """The law of `statistic` when the text has nothing to do with the key.

    Ours: "gamma" of this shape. Of other systems' marks also "two-gammas" with their weights,
    "binomial", and "model" with its form and the reasons why it is no more than that.
    """

    shape: str
    unit: str
    weights: list[int]
    trials: str
    probability: str
    form: str
    reasons: list[str]


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


class _AsPublished(TypedDict):
    by: str
    scored: int
    statistic: float


class AsPublished(_AsPublished, total=False):
    """What the source's own detector would print, with what is wrong with it."""

    weightedMean: float
    z: float
    pValue: float
    log10P: float
    decision: bool


class Subject(TypedDict):
    """What one test of several looked for."""

    scheme: str
    profile: str
    keyId: str
    model: str
    epoch: str


class Ledger(TypedDict):
    """All tests that the document was put to; `test` is the number of this one, from 0."""

    test: int
    tests: list[Subject]


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
    has neither. `lineUp` is there when decoys were asked for, `asPublished`
    when it was, `ledger` when there were several tests.
    """

    lineUp: LineUp
    asPublished: AsPublished
    ledger: Ledger


class Panel:
    """Puts each text to several tests in one pass: one test a key and profile.

    tests: (key, profile) or (key, profile, tokenizer), of our marks and of other systems' in any
        order. The tokenizer turns text into ids; without one only ids are accepted. Tests that
        share a tokenizer should be given the same object: it then reads a text once.
    The other arguments are those of Detector, the same for all tests.

    What each test finds is corrected for all of them. Raises Error as Detector does; "key" for a
    key that is not of the profile's scheme. Immutable, safe to share among threads; detecting does
    not hold the GIL.
    """

    def __init__(
        self,
        tests: Iterable[Test],
        *,
        account: str | None = None,
        accounts: Iterable[str] | None = None,
        cohort: str | None = None,
        alpha: float = 1e-6,
        decoys: int = 0,
        decoy_seed: bytes = b"",
        as_published: bool = False,
    ) -> None:
        whole = [(test[0], test[1], test[2] if len(test) == 3 else None) for test in tests]
        family = None if accounts is None else list(dict.fromkeys(accounts))
        self._panel = _Panel(
            whole, account, family, cohort, alpha, decoys, decoy_seed, as_published)

    @classmethod
    def load(
        cls,
        tests: Iterable[tuple[str | os.PathLike[str], str | os.PathLike[str]]],
        tokenizer: str | os.PathLike[str] | None = None,
        **claim: Any,
    ) -> Panel:
        """From files of keys and profiles; tokenizers where the profiles say.

        claim: the keyword arguments of the class.
        """
        shared: dict[str, Tokenizer | None] = {}
        loaded: list[Test] = []
        for key, path in tests:
            profile = load_any_profile(path)
            digest = profile.tokenizer.sha256 if profile.tokenizer else ""
            if digest not in shared:
                shared[digest] = Tokenizer.of(profile, path, tokenizer)
            loaded.append((load_any_key(key), profile, shared[digest]))
        return cls(loaded, **claim)

    def detect(
        self,
        answer: str | TokenIds,
        *,
        prompt: str | TokenIds | None = None,
        id: str = "",
    ) -> list[Detection]:
        """One verdict a test, in their order; arguments and errors as of Detector.detect."""
        return [cast(Detection, json.loads(line))
                for line in self._panel.detect_lines(answer, prompt, id)]


class Detector:
    """Judges texts under one key, profile and claim, which are fixed before a text is looked at.

    key, profile: an epoch key and a profile of our own, or both of another system's mark.
    tokenizer: turns text into ids; without one only ids are accepted. Its digest must be the
        profile's.
    account, cohort: whose marks are looked for besides everyone's.
    accounts: are searched as one family, and the answer is corrected for all of them; not together
        with account. Repeated names count once. Other systems' marks have no accounts.
    alpha: largest p-value that counts as detected, 1e-300 to 0.5.
    decoys: shows the key's rank among so many random keys (0 to 1,000,000); takes that many times
        as long. decoy_seed: of their derivation, chosen by the other side. Where another system's
        law is only a model, this rank decides, and alpha needs at least 1 / alpha of them.
    as_published: shows what another system's own detector would print; the verdict does not look
        at it.

    Raises Error: "invalid-argument" (also when the profile lacks a claimed layer), "mismatch" for
    another tokenizer, "key" for a master key. Immutable, safe to share among threads; detecting
    does not hold the GIL.
    """

    def __init__(
        self,
        key: AnyKey,
        profile: AnyProfile,
        tokenizer: Tokenizer | None = None,
        *,
        account: str | None = None,
        accounts: Iterable[str] | None = None,
        cohort: str | None = None,
        alpha: float = 1e-6,
        decoys: int = 0,
        decoy_seed: bytes = b"",
        as_published: bool = False,
    ) -> None:
        self._panel = Panel(
            [(key, profile, tokenizer)], account=account, accounts=accounts, cohort=cohort,
            alpha=alpha, decoys=decoys, decoy_seed=decoy_seed, as_published=as_published)

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
        parameters = load_any_profile(profile)
        words = Tokenizer.of(parameters, profile, tokenizer)
        return cls(load_any_key(key), parameters, words, **claim)

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
        return self._panel.detect(answer, prompt=prompt, id=id)[0]
