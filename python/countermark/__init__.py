# SPDX-License-Identifier: Apache-2.0
"""Verifies, with a proven error rate, whether text carries a statistical watermark.

    detector = countermark.Detector.load("2026-11.key", "profile.json", account="alice")
    detector.detect(answer)["verdict"]

docs/python.md has more. Every failure is a countermark.Error.
"""

from countermark._countermark import (
    Draw,
    ForeignKey,
    ForeignMark,
    ForeignProfile,
    ForeignScores,
    Key,
    Layer,
    Profile,
    Response,
    Service,
    Tokenizer,
    TokenizerReference,
    TranscriptWriter,
    __version__,
    prompt_sha256,
)
from countermark.deployment import Deployment
from countermark.detector import (
    Detection,
    Detector,
    Ledger,
    LineUp,
    NullModel,
    Panel,
    Stream,
    Subject,
    TokenIds,
    Verdict,
)
from countermark.error import Error
from countermark.transcript import Transcript, Transcripts, read_transcripts

__all__ = [
    "Deployment",
    "Detection",
    "Detector",
    "Draw",
    "Error",
    "ForeignKey",
    "ForeignMark",
    "ForeignProfile",
    "ForeignScores",
    "Key",
    "Layer",
    "Ledger",
    "LineUp",
    "NullModel",
    "Panel",
    "Profile",
    "Response",
    "Service",
    "Stream",
    "Subject",
    "TokenIds",
    "Tokenizer",
    "TokenizerReference",
    "Transcript",
    "TranscriptWriter",
    "Transcripts",
    "Verdict",
    "__version__",
    "prompt_sha256",
    "read_transcripts",
]
