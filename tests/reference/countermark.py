# SPDX-License-Identifier: Apache-2.0
"""The native mark `countermark/1`, slowly: the reference that the vectors of `tests/vectors/` are made with.

Written from the specification alone, in its order and with its names; nothing is shared with the C++ code.
Arithmetic that decides a draw is decimal with 50 digits, not double, so it is the ideal that a double
implementation approximates. History and plan are in `embedder.py`, the reading of documents in `verifier.py`.
Not covered: candidate selection (temperature, top-k, top-p).
"""

from __future__ import annotations

import hashlib
import hmac
from decimal import Decimal, localcontext
from typing import Mapping, NamedTuple, Sequence

from aes import Aes128

VERSION = b"countermark/1"
MAX_LAYERS = 16
MAX_WIDTH = 16
ALL_SHARES = 65536
CELLS = 1 << 32  # number of values of a word


def _le32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def _prefixed(data: bytes) -> bytes:
    """LP: u32 big-endian length, then the bytes."""
    return len(data).to_bytes(4, "big") + data


def _expand(key: bytes, *fields: bytes) -> bytes:
    """X: HKDF-Expand (RFC 5869) of the prefixed fields, 32 bytes; take the first n."""
    return _hmac(key, b"".join(map(_prefixed, fields)) + b"\x01")


# --- Keys -----------------------------------------------------------------------------------------------------

class Keys:
    """All secrets of one (master, model, epoch). Ids are UTF-8 of 1..255 bytes, taken as they are."""

    def __init__(self, master: bytes, model: str, epoch: str) -> None:
        if len(master) != 32:
            raise ValueError("master: 32 bytes expected")
        ids = [text.encode("utf-8") for text in (model, epoch)]
        if not all(1 <= len(data) <= 255 for data in ids):
            raise ValueError("model and epoch ids: 1..255 bytes of UTF-8 expected")
        prk = _hmac(b"countermark/1 master", master)
        self.epoch = _expand(prk, VERSION, b"epoch", *ids)
        self.context = _expand(self.epoch, VERSION, b"context")[:16]
        self.candidate = [_expand(self.epoch, VERSION, b"candidate", bytes([i]))[:16] for i in range(MAX_LAYERS)]
        self.stream = _expand(self.epoch, VERSION, b"stream")
        self.slot = _expand(self.epoch, VERSION, b"slot")
        self.key_id = _expand(self.epoch, VERSION, b"key-id")[:8].hex()
        self.context_aes = Aes128(self.context)
        self.candidate_aes = [Aes128(key) for key in self.candidate]


# --- Profile, context, route ----------------------------------------------------------------------------------

class Layer(NamedTuple):
    name: str
    width: int
    share: int
    slots: int


DEFAULT_LAYERS = (Layer("shared", 2, 32768, 1), Layer("cohort", 2, 8192, 1), Layer("account", 3, 24576, 8))


def check_layers(layers: Sequence[Layer]) -> None:
    """Raises ValueError unless the table is one the specification admits. A share of 0 is admitted."""
    widths = [layer.width for layer in layers]
    if not 1 <= len(layers) <= MAX_LAYERS:
        raise ValueError("1..16 layers expected")
    if widths != sorted(widths) or not all(1 <= width <= MAX_WIDTH for width in widths):
        raise ValueError("widths: 1..16, ascending, expected")
    if any(layer.share < 0 for layer in layers) or sum(layer.share for layer in layers) != ALL_SHARES:
        raise ValueError("shares: a sum of 65536 expected")
    if not all(1 <= layer.slots <= ALL_SHARES for layer in layers):
        raise ValueError("slots: 1..65536 expected")


def context_mac(keys: Keys, context: Sequence[int]) -> bytes:
    """S_h of exactly h tokens, oldest first: CBC-MAC whose first block is the header with the width."""
    width = len(context)
    if not 1 <= width <= MAX_WIDTH:
        raise ValueError("context: 1..16 tokens expected")
    s = keys.context_aes.encrypt(b"cm/1 context" + _le32(width))
    message = b"".join(map(_le32, context))
    for start in range(0, len(message), 16):
        s = keys.context_aes.encrypt(_xor(s, message[start : start + 16].ljust(16, b"\0")))
    return s


class Routed(NamedTuple):
    layer: int
    width: int
    s: bytes


class Coin(NamedTuple):
    """One step of the route: the coin c of a width, the shares R still open there, v = c * R >> 32."""
    width: int
    c: int
    open_shares: int
    v: int


def route(keys: Keys, layers: Sequence[Layer], tokens: Sequence[int]) -> tuple[Routed | None, list[Coin]]:
    """The layer that draws the token after `tokens` (None: too few of them), and the coins thrown on the way."""
    coins: list[Coin] = []
    open_shares = ALL_SHARES
    for width in sorted({layer.width for layer in layers}):
        if len(tokens) < width:
            return None, coins
        s = context_mac(keys, tokens[len(tokens) - width :])
        c = int.from_bytes(s[12:16], "little")
        v = c * open_shares >> 32
        coins.append(Coin(width, c, open_shares, v))
        for index, layer in enumerate(layers):
            if layer.width == width:
                if v < layer.share:
                    return Routed(index, width, s), coins
                v -= layer.share
                open_shares -= layer.share
    raise AssertionError("shares that sum to 65536 leave no coin over")


# --- Stream, word, draw, score --------------------------------------------------------------------------------

def stream_tag(keys: Keys, layer: int, identity: bytes, slot: int) -> bytes:
    """TAG: the 12 bytes that tell one stream of a layer from every other."""
    return _hmac(keys.stream, _prefixed(VERSION) + bytes([layer]) + _prefixed(identity) + _le32(slot))[:12]


def slot_of_nonce(keys: Keys, layer: int, slots: int, nonce: bytes) -> int:
    if slots == 1:
        return 0
    digest = _hmac(keys.slot, bytes([layer]) + _prefixed(nonce))
    return int.from_bytes(digest[:4], "little") * slots >> 32


def _lane(block: bytes, token: int) -> int:
    start = 4 * (token & 3)
    return int.from_bytes(block[start : start + 4], "little")


def mark_word(keys: Keys, layer: int, s: bytes, tag: bytes, token: int) -> int:
    """The 32-bit word of a token under a stream; four neighbouring ids share one block."""
    return _lane(keys.candidate_aes[layer].encrypt(_xor(s, _le32(token >> 2) + tag)), token)


def plain_word(plain_key: bytes, position: int, attempt: int, token: int) -> int:
    """The same for a draw that carries no mark; `position` counts the tokens drawn before in the response."""
    block = _le32(token >> 2) + position.to_bytes(8, "little") + _le32(attempt)
    return _lane(Aes128(plain_key).encrypt(block), token)


class Drawn(NamedTuple):
    token: int
    margin: Decimal | None  # how much larger the second-least key is, relative; None with one candidate


def draw(words: Mapping[int, int], probabilities: Mapping[int, float]) -> Drawn:
    """The candidate with the least -ln((word + 1/2) / 2^32) / p; ties go to the lowest id. p must be > 0."""
    with localcontext() as exact:
        exact.prec = 50
        ranked = sorted(
            (-(Decimal(2 * words[token] + 1) / (2 * CELLS)).ln() / Decimal(p), token)
            for token, p in probabilities.items()
        )
        margin = ranked[1][0] / ranked[0][0] - 1 if len(ranked) > 1 else None
    return Drawn(ranked[0][1], margin)


# Rows (c0, c1, c2) of the specification: a quadratic of the logarithm on each sixteenth of an octave.
_SCORE_ROWS = (
    (2977034276, 268251458, 7890628), (2716655169, 252491147, 7014339), (2471162970, 238479129, 6276325),
    (2238947084, 225939896, 5648950), (2018644925, 214652922, 5111155), (1809093474, 204439599, 4646662),
    (1609292116, 195153736, 4242729), (1418373740, 186674522, 3889268), (1235582002, 178901252, 3578208),
    (1060253222, 171749309, 3303027), (891801842, 165147077, 3058413), (729708625, 159033538, 2840000),
    (573511005, 153356380, 2644175), (422795127, 148070498, 2467929), (277189240, 143136796, 2308734),
    (136358172, 138521219, 2164461),
)


def score(word: int) -> int:
    """s(word), unit 2^-20 nat. Under H0, 2^-20 of the sum over n distinct tuples is dominated by Gamma(n, 1)."""
    y = CELLS - max(word, 1)
    z = 32 - y.bit_length()
    m = y << z
    c0, c1, c2 = _SCORE_ROWS[(m >> 27) & 15]
    f = (m << 5) & 0xFFFFFFFF
    g = c0 - (f * (c1 - (f * c2 >> 32)) >> 32)
    a = z * 93032639 + (g >> 5)
    assert 0 <= g < CELLS and 0 <= a < CELLS, "the specification promises 32-bit arithmetic"
    return (max(a, 336) - 336) >> 7
