# SPDX-License-Identifier: Apache-2.0
"""Tails as other systems print them: mpmath with 40 digits, where they use scipy or double."""

from __future__ import annotations

from fractions import Fraction

from mpmath import mp, mpf

mp.dps = 40


def gamma_tail(shape: Fraction | int, total: float) -> mpf:
    """Q(shape, total). Integer shapes by the Poisson sum, others (moment-matched ones) by the incomplete gamma."""
    s = mpf(total)
    if shape == int(shape):
        term = partial = mpf(1)
        for k in range(1, int(shape)):
            term *= s / k
            partial += term
        return mp.exp(-s) * partial
    return mp.gammainc(mpf(shape.numerator) / shape.denominator, s, mp.inf, regularized=True)


def normal_tail(z: float) -> mpf:
    return mp.erfc(mpf(z) / mp.sqrt(2)) / 2


def _point(n: int, k: int, gamma: Fraction) -> mpf:
    g = mpf(gamma.numerator) / gamma.denominator
    return mp.binomial(n, k) * g**k * (1 - g) ** (n - k)


def binomial_tail(n: int, green: int, gamma: Fraction) -> mpf:
    """P(X >= green), which is I_gamma(green, 1 + n - green)."""
    return mp.fsum(_point(n, k, gamma) for k in range(green, n + 1))


def binomial_mid(n: int, green: int, gamma: Fraction) -> mpf:
    """Half of the last point taken off: smaller than the tail, hence no p-value."""
    return binomial_tail(n, green, gamma) - _point(n, green, gamma) / 2


def hf_tail(z: float) -> mpf:
    """transformers' formula, an approximation of erf without its square root."""
    sign = (z > 0) - (z < 0)
    return 1 - (1 + sign * (1 - mp.exp(-2 * mpf(z) ** 2 / mp.pi))) / 2


def z_of(green: int, n: int, gamma: Fraction) -> float:
    g = float(gamma)
    return (green - g * n) / (n * g * (1 - g)) ** 0.5
