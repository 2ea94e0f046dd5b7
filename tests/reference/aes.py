# SPDX-License-Identifier: Apache-2.0
"""AES-128 encryption of one block (FIPS-197), written for reading, not for speed or secrecy.

The tables are computed from their definition in GF(2^8), so that no digit here is copied from another
implementation. Not for production: the table look-ups depend on the key. No decryption and no modes.
"""

from __future__ import annotations


def _times(a: int, b: int) -> int:
    """Product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1 (FIPS-197, section 4.2)."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        if a & 0x100:
            a ^= 0x11B
        b >>= 1
    return product


def _make_sbox() -> bytes:
    """The substitution box: inverse in GF(2^8), then the affine map of FIPS-197, section 5.1.1."""
    box = bytearray(256)
    for value in range(256):
        inverse = next((c for c in range(256) if _times(value, c) == 1), 0)
        out = 0
        for shift in range(5):
            out ^= (inverse << shift | inverse >> (8 - shift)) & 0xFF
        box[value] = out ^ 0x63
    return bytes(box)


_SBOX = _make_sbox()
_TIMES2 = bytes(_times(value, 2) for value in range(256))
# The state is kept in input order: byte 4*column + row. Row r moves r columns to the left.
_SHIFT_ROWS = tuple(4 * ((column + row) % 4) + row for column in range(4) for row in range(4))


class Aes128:
    """The AES-128 permutation of one key."""

    def __init__(self, key: bytes) -> None:
        if len(key) != 16:
            raise ValueError("an AES-128 key has 16 bytes")
        words = [key[4 * i : 4 * i + 4] for i in range(4)]
        round_constant = 1
        for i in range(4, 44):
            last = words[i - 1]
            if i % 4 == 0:
                rotated = last[1:] + last[:1]
                substituted = bytearray(_SBOX[byte] for byte in rotated)
                substituted[0] ^= round_constant
                round_constant = _TIMES2[round_constant]
                last = bytes(substituted)
            words.append(bytes(x ^ y for x, y in zip(words[i - 4], last)))
        self._round_keys = [b"".join(words[4 * r : 4 * r + 4]) for r in range(11)]

    def encrypt(self, block: bytes) -> bytes:
        """The 16-byte encryption of a 16-byte block."""
        if len(block) != 16:
            raise ValueError("an AES block has 16 bytes")
        state = bytes(x ^ y for x, y in zip(block, self._round_keys[0]))
        for number in range(1, 11):
            state = bytes(_SBOX[state[source]] for source in _SHIFT_ROWS)
            if number < 10:
                state = _mix_columns(state)
            state = bytes(x ^ y for x, y in zip(state, self._round_keys[number]))
        return state


def _mix_columns(state: bytes) -> bytes:
    out = bytearray()
    for column in range(0, 16, 4):
        a, b, c, d = state[column : column + 4]
        every = a ^ b ^ c ^ d
        out += bytes((
            a ^ every ^ _TIMES2[a ^ b],
            b ^ every ^ _TIMES2[b ^ c],
            c ^ every ^ _TIMES2[c ^ d],
            d ^ every ^ _TIMES2[d ^ a],
        ))
    return bytes(out)


# (key, plaintext, ciphertext): FIPS-197 appendix B and C.1; NIST SP 800-38A F.1.1 (ECB-AES128), blocks 1-4.
PUBLISHED_VECTORS = (
    ("2b7e151628aed2a6abf7158809cf4f3c", "3243f6a8885a308d313198a2e0370734", "3925841d02dc09fbdc118597196a0b32"),
    ("000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff", "69c4e0d86a7b0430d8cdb78070b4c55a"),
    ("2b7e151628aed2a6abf7158809cf4f3c", "6bc1bee22e409f96e93d7e117393172a", "3ad77bb40d7a3660a89ecaf32466ef97"),
    ("2b7e151628aed2a6abf7158809cf4f3c", "ae2d8a571e03ac9c9eb76fac45af8e51", "f5d3d58503b9699de785895a96fdbaaf"),
    ("2b7e151628aed2a6abf7158809cf4f3c", "30c81c46a35ce411e5fbc1191a0a52ef", "43b1cd7f598ece23881b00e3ed030688"),
    ("2b7e151628aed2a6abf7158809cf4f3c", "f69f2445df4f9b17ad2b417be66c3710", "7b0c785e27e8ad3f8223207104725dd4"),
)


def check_published_vectors() -> None:
    """Raises AssertionError unless this file reproduces the published vectors."""
    for key, plain, cipher in PUBLISHED_VECTORS:
        if Aes128(bytes.fromhex(key)).encrypt(bytes.fromhex(plain)).hex() != cipher:
            raise AssertionError(f"AES-128 disagrees with the published vector of plaintext {plain}")


if __name__ == "__main__":
    check_published_vectors()
    print(f"{len(PUBLISHED_VECTORS)} published vectors reproduced")
