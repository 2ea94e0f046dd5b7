# SPDX-License-Identifier: Apache-2.0
"""Tails as other systems print them: mpmath with 40 digits, where they use scipy or double."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import mpmath

mp = mpmath.mp.clone()
mp.dps = 40
mpf = mp.mpf
Real = Any  # mpmath has no types


def gamma_tail(shape: Fraction | int, total: float) -> Real:
    """Q(shape, total). Integer shapes by the Poisson sum, others (moment-matched ones) by the incomplete gamma."""
    s = mpf(total)
    if shape == int(shape):
        term = partial = mpf(1)
        for k in range(1, int(shape)):
            term *= s / k
            partial += term
        return mp.exp(-s) * partial
    return mp.gammainc(mpf(shape.numerator) / shape.denominator, s, mp.inf, regularized=True)


def normal_tail(z: float) -> Real:
    return mp.erfc(mpf(z) / mp.sqrt(2)) / 2


def _points(n: int, first: int, gamma: Fraction) -> list[Real]:
    """P(X = k) for k from `first` to n, each from the one before."""
    g = mpf(gamma.numerator) / gamma.denominator
    points = [mp.binomial(n, first) * g**first * (1 - g) ** (n - first)]
    for k in range(first, n):
        points.append(points[-1] * (n - k) / (k + 1) * g / (1 - g))
    return points


def binomial_tail(n: int, green: int, gamma: Fraction) -> Real:
    """P(X >= green), which is I_gamma(green, 1 + n - green)."""
    return mp.fsum(_points(n, green, gamma))


def binomial_mid(n: int, green: int, gamma: Fraction) -> Real:
    """Half of the last point taken off: smaller than the tail, hence no p-value."""
    points = _points(n, green, gamma)
    return mp.fsum(points) - points[0] / 2


def hf_tail(z: float) -> Real:
    """transformers' formula, 1 - (1 + sign(z) (1 - e)) / 2: an approximation of erf without its square root. Sorted so
    that nothing cancels."""
    e = mp.exp(-2 * mpf(z) ** 2 / mp.pi)
    return 1 - e / 2 if z < 0 else e / 2


def hf_printed(z: float) -> float:
    """The same in double: a difference from 1, with the digits that leaves."""
    sign = (z > 0) - (z < 0)
    return 1 - 0.5 * (1 + sign * (1 - math.exp(-2 * z**2 / math.pi)))


def z_of(green: int, n: int, gamma: Fraction) -> float:
    g = float(gamma)
    return (green - g * n) / (n * g * (1 - g)) ** 0.5
