#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/vectors/tails.json: Gamma and Binomial tails to 40 digits.

Independent of the C++ code and of Boost. Every value is computed in two ways that share neither
series nor arithmetic, and is written only if they agree to 45 digits:

  rational            the finite sum in integers; for the Gamma tail times an enclosure of e^-x by
                      integer Taylor series with directed rounding (n, trials <= 2000)
  series              point mass from mpmath.loggamma, sum in 320-bit fixed point
  continued fraction  mpmath, DLMF 8.9.2 (even part) and 8.17.22, modified Lentz
  complement          1 minus the series of the other tail

Deterministic; under a minute. Usage: make_tail_vectors.py [OUTPUT]
"""
import json
import pathlib
import sys
from fractions import Fraction

import mpmath
from mpmath import mp, mpf

mp.dps = 80
DIGITS = 40
AGREE = mpf(10) ** -45
SCORE_BITS = 20
FIXED_BITS = 320
RATIONAL_LIMIT = 2000
DEPTHS = [0, 1, 2, 4, 6, 10, 17, 30, 45, 100, 308, 458, 1000, 3000, 10000, 30000, 100000]


def enclose_exp(x, bits=400):
    """Integers (low, high, shift) with low / 2^shift <= e^x <= high / 2^shift, x > 0 rational."""
    halvings = max(0, int(x).bit_length() + 8)
    y = x / 2**halvings  # below 2^-7
    one = 1 << bits
    low = high = term_low = term_high = one
    n = 0
    while term_high > 1:
        n += 1
        term_low = term_low * y.numerator // (y.denominator * n)
        term_high = -(-term_high * y.numerator // (y.denominator * n))
        low += term_low
        high += term_high
    high += 1  # all further terms together are below the last, which was at most one unit
    shift = bits
    for _ in range(halvings):
        low, high, shift = low * low, high * high, 2 * shift
        drop = low.bit_length() - bits
        low, high, shift = low >> drop, -(-high >> drop), shift - drop
    return low, high, shift


def fixed_sum(ratio):
    """1 + w(1) + w(1) w(2) + ... for ratios (numerator, denominator) that do not grow."""
    term = total = 1 << FIXED_BITS
    i = 0
    while term:
        i += 1
        numerator, denominator = ratio(i)
        term = term * numerator // denominator
        total += term
    return mpf(total) / (1 << FIXED_BITS)


def lentz(b0, coefficients):
    """b0 + a1/(b1 + a2/(b2 + ...)), coefficients yielding (a, b)."""
    f = c = b0
    d = mpf(0)
    for a, b in coefficients:
        d = 1 / (b + a * d)
        c = b + a / c
        delta = c * d
        f *= delta
        if abs(delta - 1) < mpf(10) ** -60:
            return f


def gamma_rational(n, s):
    numerator = denominator = power = 1
    for j in range(1, n):
        power *= s
        numerator = (numerator * j << SCORE_BITS) + power
        denominator = denominator * j << SCORE_BITS
    low, high, shift = enclose_exp(Fraction(s, 1 << SCORE_BITS))
    scale = mpf(numerator) / mpf(denominator) * mpf(2) ** shift
    least, most = scale / high, scale / low
    assert most - least < AGREE / 1000 * least
    return least


def gamma_mass(k, x):
    return mp.exp(k * mp.log(x) - x - mp.loggamma(k + 1))


def gamma_series(n, s):
    total = fixed_sum(lambda i: (max(n - i, 0) << SCORE_BITS, s))
    return gamma_mass(n - 1, mpf(s) / (1 << SCORE_BITS)) * total


def gamma_complement(n, s):
    total = fixed_sum(lambda i: (s, (n + i) << SCORE_BITS))
    return 1 - gamma_mass(n, mpf(s) / (1 << SCORE_BITS)) * total


def gamma_fraction(n, s):
    x = mpf(s) / (1 << SCORE_BITS)

    def coefficients():
        i = 0
        while True:
            i += 1
            yield i * (n - i), x + (2 * i + 1 - n)

    return gamma_mass(n - 1, x) * x / lentz(x + 1 - n, coefficients())


def binomial_rational(trials, k, a, b):
    miss = b - a
    choose = 1  # C(trials, j), from j = trials down
    numerator = 0
    hits = a**trials
    misses = 1
    for j in range(trials, k - 1, -1):
        numerator += choose * hits * misses
        choose = choose * j // (trials - j + 1)
        hits //= a
        misses *= miss
    return mpf(numerator) / mpf(b**trials)


def binomial_mass(trials, k, a, b):
    logarithm = mp.loggamma(trials + 1) - mp.loggamma(k + 1) - mp.loggamma(trials - k + 1)
    return mp.exp(logarithm + k * mp.log(mpf(a) / b) + (trials - k) * mp.log(mpf(b - a) / b))


def binomial_series(trials, k, a, b):
    total = fixed_sum(lambda i: ((trials - k - i + 1) * a, (k + i) * (b - a)))
    return binomial_mass(trials, k, a, b) * total


def binomial_complement(trials, k, a, b):
    total = fixed_sum(lambda i: ((k - i) * (b - a), (trials - k + 1 + i) * a))
    return 1 - binomial_mass(trials, k - 1, a, b) * total


def binomial_fraction(trials, k, a, b):
    x = mpf(a) / b
    p, q = k, trials - k + 1

    def coefficients():
        m = 0
        while True:
            yield -(p + m) * (p + q + m) * x / ((p + 2 * m) * (p + 2 * m + 1)), 1
            m += 1
            yield m * (q - m) * x / ((p + 2 * m - 1) * (p + 2 * m)), 1

    # x^p (1-x)^q / (p B(p, q)) is the mass at k times (1-x).
    return binomial_mass(trials, k, a, b) * (1 - x) / lentz(mpf(1), coefficients())


def decimal(value):
    exponent = int(mp.floor(mp.log10(value)))
    digits = int(mp.nint(value / mpf(10) ** exponent * mpf(10) ** (DIGITS - 1)))
    if digits >= 10**DIGITS:
        digits, exponent = digits // 10, exponent + 1
    text = str(digits)
    return f"{text[0]}.{text[1:]}e{exponent}"


def agreed(case, first, second):
    (name_1, value_1), (name_2, value_2) = first, second
    difference = abs(value_1 - value_2) / value_1
    if not difference < AGREE:
        sys.exit(f"{case}: {name_1} and {name_2} differ by {mp.nstr(difference, 5)}")
    return {**case, "tail": decimal(value_1), "methods": [name_1, name_2]}


def gamma_case(n, s):
    series = gamma_series(n, s) if s > n << SCORE_BITS else gamma_complement(n, s)
    name = "series" if s > n << SCORE_BITS else "complement"
    if n <= RATIONAL_LIMIT:
        other = ("rational", gamma_rational(n, s))
    elif s <= n << SCORE_BITS:
        # The tail is the larger part: summed over its n terms, from the largest both ways.
        other = ("series", gamma_both_ways(n, s))
    elif series > mpf(10) ** -6:
        other = ("complement", gamma_complement(n, s))
    else:
        other = ("continued fraction", gamma_fraction(n, s))
    return agreed({"n": n, "statistic": str(s)}, other, (name, series))


def gamma_both_ways(n, s):
    top = min(s >> SCORE_BITS, n - 1)  # the largest term of e^-x sum x^j / j!
    down = fixed_sum(lambda i: (max(top + 1 - i, 0) << SCORE_BITS, s))
    up = fixed_sum(lambda i: (s if top + i < n else 0, (top + i) << SCORE_BITS))
    return gamma_mass(top, mpf(s) / (1 << SCORE_BITS)) * (down + up - 1)


def binomial_case(trials, k, a, b):
    upper = k * b > trials * a
    series = binomial_series(trials, k, a, b) if upper else binomial_complement(trials, k, a, b)
    name = "series" if upper else "complement"
    if trials <= RATIONAL_LIMIT:
        other = ("rational", binomial_rational(trials, k, a, b))
    elif series > mpf(10) ** -6:
        if not upper:
            # 1 - P(B <= k-1) against 1 - P(failures >= trials-k+1), the fraction of the other tail.
            other = ("continued fraction", 1 - binomial_fraction(trials, trials - k + 1, b - a, b))
        else:
            other = ("complement", binomial_complement(trials, k, a, b))
    else:
        other = ("continued fraction", binomial_fraction(trials, k, a, b))
    case = {"trials": trials, "successes": k, "numerator": a, "denominator": b}
    return agreed(case, other, (name, series))


def bisect(low, high, holds):
    """The smallest integer in [low, high] with holds(it), which is true at high."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def gamma_cases():
    """Statistics where Chernoff's bound meets each depth, moved off round numbers."""
    for n in [1, 2, 3, 10, 63, 64, 65, 100, 412, 1000, 2000, 10**4, 10**5, 10**6, 10**7]:
        yield n, (n << SCORE_BITS) - (n * 7919 % 1048573) - 1
        for depth in DEPTHS:
            limit = depth * mp.log(10)
            x = bisect(
                n,
                4 * n + 10 + int(4 * limit),
                lambda x: x - n - n * mp.log(mpf(x) / n) >= limit,
            )
            yield n, (x << SCORE_BITS) + (n + depth) * 7919 % 1048573


def binomial_cases():
    """The same for successes, and counts at and below the expectation."""
    common = [(1, 4), (1, 2), (12345, 50257), (4294967291, 4294967296)]
    wide = (3074457345618258603, 9223372036854775783)  # products beyond 64 bits
    rare = (1, 1000003)
    for trials in [1, 2, 7, 20, 100, 412, 1000, 2000, 10**4, 10**5, 10**6, 10**7, 10**8, 10**9]:
        for a, b in [*common, rare, wide] if trials <= 10**6 else [(1, 4), rare]:
            p = mpf(a) / b
            mean = trials * a // b

            def divergence(k):
                f = mpf(k) / trials
                rest = (1 - f) * mp.log((1 - f) / (1 - p)) if k < trials else 0
                return trials * (f * mp.log(f / p) + rest)

            found = {max(1, mean), max(1, mean * 99 // 100), min(trials, mean + 1)}
            for depth in DEPTHS[1:]:
                limit = depth * mp.log(10)
                if divergence(trials) >= limit:
                    least = min(trials, mean + 1)
                    found.add(bisect(least, trials, lambda k: divergence(k) >= limit))
            for k in sorted(found):
                yield trials, k, a, b


def main():
    output = pathlib.Path(__file__).parent.parent / "vectors" / "tails.json"
    if len(sys.argv) > 1:
        output = pathlib.Path(sys.argv[1])
    gamma = [gamma_case(*case) for case in gamma_cases()]
    binomial = [binomial_case(*case) for case in binomial_cases()]
    lines = [
        "{",
        '"about": "Upper tails to 40 digits, from tests/reference/make_tail_vectors.py; '
        'statistics in units of 2^-20",',
        '"gamma": [',
        ",\n".join(json.dumps(case) for case in gamma),
        '],\n"binomial": [',
        ",\n".join(json.dumps(case) for case in binomial),
        "]\n}",
    ]
    output.write_text("\n".join(lines) + "\n")
    print(f"{len(gamma)} gamma and {len(binomial)} binomial cases, mpmath {mpmath.__version__}")


if __name__ == "__main__":
    main()
