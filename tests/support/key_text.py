# SPDX-License-Identifier: Apache-2.0
"""Keys that are the same in every run, in the text form of docs/formats.md: no test depends on luck."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

VECTORS = Path(__file__).resolve().parent.parent / "vectors" / "countermark-1-keys.json"


def key_text(secret: bytes, *names: str) -> str:
    """A master key of 32 secret bytes; with the model's and the epoch's names, an epoch key."""
    payload = (b"E" if names else b"M") + secret
    for name in names:
        payload += bytes([len(name.encode())]) + name.encode()
    prefix = "CM-SECRET-KEY-1"
    payload += hashlib.sha256(prefix.encode() + payload).digest()[:4]
    return prefix + base64.b32encode(payload).decode().rstrip("=")


def secret_of(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def key_of_the_vectors() -> str:
    case = json.loads(VECTORS.read_text())["cases"][0]
    return key_text(bytes.fromhex(case["EPOCH"]), case["model"], case["epoch"])
