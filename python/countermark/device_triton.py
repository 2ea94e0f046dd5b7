# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors
"""The words of countermark.device as one Triton kernel, for candidates that can still be drawn.

AES stays in registers, and parts of a row that hold no candidate are not encrypted. Bit for bit
the words of the PyTorch form. Compiled and interpreted without a GPU, and never run on one, so it
has to be asked for: DeviceSampler(..., use_triton=True).
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

_BLOCK = 256


@triton.jit
def _column(columns, a, b, c, d):
    """A column after a round, without its key: byte r of the r-th argument, through the tables."""
    out = tl.load(columns + (a & 255).to(tl.int32))
    out ^= tl.load(columns + 256 + (b >> 8 & 255).to(tl.int32))
    out ^= tl.load(columns + 512 + (c >> 16 & 255).to(tl.int32))
    out ^= tl.load(columns + 768 + (d >> 24).to(tl.int32))
    return out.to(tl.uint32, bitcast=True)


@triton.jit
def _byte(columns, word, row: tl.constexpr):
    """Byte `row` of a word, substituted, in its place: the second byte of the first table."""
    found = tl.load(columns + (word >> 8 * row & 255).to(tl.int32)).to(tl.uint32, bitcast=True)
    return (found >> 8 & 255) << 8 * row


@triton.jit
def _last(columns, a, b, c, d):
    return _byte(columns, a, 0) | _byte(columns, b, 1) | _byte(columns, c, 2) | _byte(columns, d, 3)


@triton.jit
def _key(round_keys, index):
    return tl.load(round_keys + index).to(tl.uint32, bitcast=True)


@triton.jit
def _words_kernel(round_keys, base, columns, ids, weights, words, size,
                  HAS_IDS: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    place = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    can_win = tl.load(weights + row * size + place, mask=place < size, other=0) > 0
    if tl.max(can_win.to(tl.int32), axis=0) > 0:
        if HAS_IDS:
            token = tl.load(ids + row * size + place, mask=can_win, other=0).to(tl.uint32)
        else:
            token = place.to(tl.uint32)
        round_keys += row * 44
        base += row * 4
        a = token >> 2 ^ _key(base, 0) ^ _key(round_keys, 0)
        zero = token & 0
        b = zero ^ _key(base, 1) ^ _key(round_keys, 1)
        c = zero ^ _key(base, 2) ^ _key(round_keys, 2)
        d = zero ^ _key(base, 3) ^ _key(round_keys, 3)
        for number in range(1, 10):
            keys = round_keys + 4 * number
            e = _column(columns, a, b, c, d) ^ _key(keys, 0)
            f = _column(columns, b, c, d, a) ^ _key(keys, 1)
            g = _column(columns, c, d, a, b) ^ _key(keys, 2)
            d = _column(columns, d, a, b, c) ^ _key(keys, 3)
            a, b, c = e, f, g
        keys = round_keys + 40
        lane = token & 3
        word = tl.where(lane == 0, _last(columns, a, b, c, d) ^ _key(keys, 0),
                        _last(columns, b, c, d, a) ^ _key(keys, 1))
        word = tl.where(lane == 2, _last(columns, c, d, a, b) ^ _key(keys, 2), word)
        word = tl.where(lane == 3, _last(columns, d, a, b, c) ^ _key(keys, 3), word)
        tl.store(words + row * size + place, word.to(tl.int64), mask=can_win)


def words(round_keys: torch.Tensor, base: torch.Tensor, columns: torch.Tensor, ids: torch.Tensor | None,
          weights: torch.Tensor) -> torch.Tensor:
    """int64 [rows, n]: the words of ids, or of tokens 0, 1, …, where weights [rows, n] are not 0."""
    rows, size = weights.shape
    out = torch.zeros((rows, size), dtype=torch.int64, device=weights.device)
    _words_kernel[(rows, triton.cdiv(size, _BLOCK))](
        round_keys.contiguous(), base.contiguous(), columns, out if ids is None else ids.contiguous(),
        weights.contiguous(), out, size, HAS_IDS=ids is not None, BLOCK=_BLOCK)
    return out
