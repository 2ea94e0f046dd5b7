# SPDX-License-Identifier: Apache-2.0
"""Integers and floats of fixed width, which Python does not have."""

from __future__ import annotations

import struct
from functools import reduce
from typing import Iterable

MASK32 = (1 << 32) - 1
MASK64 = (1 << 64) - 1


def i32(value: int) -> int:
    return (value + (1 << 31) & MASK32) - (1 << 31)


def i64(value: int) -> int:
    """Wraps, as a torch tensor of int64 does."""
    return (value + (1 << 63) & MASK64) - (1 << 63)


def product64(values: Iterable[int]) -> int:
    return reduce(lambda a, b: i64(a * b), values, 1)


def check_i64(value: int, what: str) -> int:
    """What is multiplied with a tensor must be an int64: torch refuses it otherwise."""
    if i64(value) != value:
        raise ValueError(f"{what}: -2^63..2^63-1 expected")
    return value


def check_u64(value: int, what: str) -> int:
    if value & MASK64 != value:
        raise ValueError(f"{what}: 0..2^64-1 expected")
    return value


def float32(value: float) -> float:
    """The nearest float32, as a double."""
    return struct.unpack("<f", struct.pack("<f", value))[0]
