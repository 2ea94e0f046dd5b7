#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/vectors/tails.json: tails to 40 digits of Gamma and Binomial laws, and of weighted
sums of two Gammas.

Independent of the C++ code and of Boost. Every value is computed in two ways that share neither
series nor arithmetic, and is written only if they agree to 45 digits:

  rational            the finite sum in integers; for the Gamma tail times an enclosure of e^-x by
                      integer Taylor series with directed rounding (n, trials <= 2000)
  series              point mass from mpmath.loggamma, sum in 320-bit fixed point
  continued fraction  mpmath, DLMF 8.9.2 (even part) and 8.17.22, modified Lentz
  complement          1 minus the series of the other tail
  mixture             two Gammas as a mixture of Gammas of the smaller scale (C++: of another scale)
  recursion           partial fractions, one factor of the moment generating function at a time,
                      in 1500 digits (n <= 60)
  inversion           the moment generating function inverted by the trapezoidal rule

Deterministic; three minutes. Usage: make_tail_vectors.py [OUTPUT]
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
RECURSION_LIMIT = 60
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


def two_gamma_mixture(n, s, w, v):
    """Sum over k of C(n+k-1, k) (w/v)^n (1 - w/v)^k Q(2n+k, x/w), w < v, in units of its first."""
    y = mpf(s) / (w << SCORE_BITS)
    r = 1 - mpf(w) / v

    def height(k):  # the logarithm of a term, roughly
        m = 2 * n + k
        q = m * mp.log(y / m) + m - y if m < y else 0
        return mp.loggamma(n + k) - mp.loggamma(k + 1) + k * mp.log(r) + q

    low, high = 0, 10 * n + int(4 * n * v / w + 2 * y) + 100
    while high - low > 2:
        third = (high - low) // 3
        if height(low + third) > height(high - third):
            high -= third
        else:
            low += third
    least = height(low) - 140
    first = bisect(0, low, lambda k: height(k) > least)

    below = mpf(0)  # Q(m, y), m = 2n + k, in units of pi(2n + first - 1; y)
    term = mpf(1)
    for i in range(2 * n + first - 1, -1, -1):
        below += term
        term = term * i / y
        if i < y and term < below * mpf(10) ** -70:
            break
    m = 2 * n + first
    mass = y / m
    weight = mpf(1)
    outermost = []
    total = mpf(0)
    k = first
    while True:
        term = weight * below
        total += term
        if k < first + 2:
            outermost.append(term)
        elif term < total * mpf(10) ** -55:
            break
        below += mass
        m += 1
        mass = mass * y / m
        weight = weight * r * (n + k) / (k + 1)
        k += 1
    last, before = outermost
    assert first == 0 or last**2 / (before - last) < total * mpf(10) ** -50
    choose = mp.loggamma(n + first) - mp.loggamma(first + 1) - mp.loggamma(n)
    logarithm = choose + n * mp.log(mpf(w) / v) + first * mp.log(r)
    return mp.exp(logarithm) * gamma_mass(2 * n + first - 1, y) * total


def two_gamma_recursion(n, s, w, v):
    """F(i, j) = P(w Gamma(i) + v Gamma(j) >= x), from F(i-1, j) and F(i, j-1):

    1 / ((1-wt)(1-vt)) = (v / (1-vt) - w / (1-wt)) / (v-w).
    """
    with mp.workdps(1500):
        x = mpf(s) / (1 << SCORE_BITS)

        def sums(y):
            term = total = mp.exp(-y)
            found = [mpf(0), total]
            for i in range(1, n):
                term = term * y / i
                total += term
                found.append(total)
            return found

        row = sums(x / v)  # F(0, j)
        column = sums(x / w)
        for i in range(1, n + 1):
            next_row = [column[i]]
            for j in range(1, n + 1):
                next_row.append((v * row[j] - w * next_row[j - 1]) / (v - w))
            row = next_row
        return +row[n]


def two_gamma_inversion(n, s, w, v):
    """1/(2 pi i) times the integral of M(t) e^-tx / t along Re t = c, the saddle point.

    The trapezoidal rule of step h adds to P(X >= x) what Poisson's summation formula says:
    e^(cLm) P(X >= x + Lm) for all m != 0, L = 2 pi / h: nothing for L = 250 standard deviations.
    """
    x = mpf(s) / (1 << SCORE_BITS)

    def slope(c):
        return n * (w / (1 - w * c) + v / (1 - v * c)) - x - 1 / c

    low, high = mpf(0), mpf(1) / v
    for _ in range(200):
        c = (low + high) / 2
        low, high = (c, high) if slope(c) < 0 else (low, c)
    spread = mp.sqrt(n * ((w / (1 - w * c)) ** 2 + (v / (1 - v * c)) ** 2) + 1 / c**2)
    step = 2 * mp.pi / (250 * spread)

    def log_m(t):
        return -n * (mp.log(1 - w * t) + mp.log(1 - v * t)) - t * x

    top = log_m(c)
    total = 1 / (2 * c)
    k = 0
    while True:
        k += 1
        t = mp.mpc(c, k * step)
        term = mp.exp(log_m(t) - top) / t
        total += term.real
        if abs(term) < mpf(10) ** -60 * total:
            break
    return mp.exp(top) * total * step / mp.pi


def two_gamma_case(n, s, a, b):
    w, v = min(a, b), max(a, b)
    other = (
        ("recursion", two_gamma_recursion(n, s, w, v))
        if n <= RECURSION_LIMIT
        else ("inversion", two_gamma_inversion(n, s, w, v))
    )
    case = {"n": n, "statistic": str(s), "weights": [a, b]}
    return agreed(case, other, ("mixture", two_gamma_mixture(n, s, w, v)))


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


def two_gamma_cases():
    """Statistics where Chernoff's bound meets each depth, and two below the expectation."""
    for a, b, most, depths in [
        (9, 1, 10**5, [0, 1, 4, 9, 45, 308, 1000, 10000, 100000]),
        (1, 3, 10**5, [1, 9, 308]),
        (19, 1, 10**4, [1, 9, 308, 3000]),
        (4, 5, 10**5, [0, 9, 308, 3000]),
        (99, 1, 1000, [1, 9, 308]),
        (65535, 65536, 10**5, [9, 308]),
        (65535, 32768, 1000, [9, 308]),
    ]:
        common = [1, 10, 100, 1000, 10**4, 10**5]
        for n in sorted({*common, 2, 3, 31, 32, 60, 412}) if (a, b) == (9, 1) else common:
            if n > most:
                continue

            def at(tilt, n=n, a=a, b=b):
                """The statistic that this tilt makes the expectation; Chernoff's exponent there."""
                x = n * (a / (1 - a * tilt) + b / (1 - b * tilt))
                return x, tilt * x + n * (mp.log(1 - a * tilt) + mp.log(1 - b * tilt))

            for depth in depths:
                limit = depth * mp.log(10)
                low, high = mpf(0), mpf(1) / max(a, b)
                for _ in range(60):
                    tilt = (low + high) / 2
                    low, high = (tilt, high) if at(tilt)[1] < limit else (low, tilt)
                yield n, int(at(low)[0] * 2**SCORE_BITS) + (n + depth) * 7919 % 104729, a, b
            for nats in [1, 6]:
                low, high = mpf(0), mpf(10) ** 6
                for _ in range(60):
                    tilt = (low + high) / 2
                    low, high = (tilt, high) if at(-tilt)[1] < nats else (low, tilt)
                yield n, int(at(-low)[0] * 2**SCORE_BITS) + n * 7919 % 1047, a, b


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
    two_gamma = [two_gamma_case(*case) for case in two_gamma_cases()]
    lines = [
        "{",
        '"about": "Upper tails to 40 digits, from tests/reference/make_tail_vectors.py; '
        'statistics in units of 2^-20",',
        '"gamma": [',
        ",\n".join(json.dumps(case) for case in gamma),
        '],\n"binomial": [',
        ",\n".join(json.dumps(case) for case in binomial),
        '],\n"twoGamma": [',
        ",\n".join(json.dumps(case) for case in two_gamma),
        "]\n}",
    ]
    output.write_text("\n".join(lines) + "\n")
    print(
        f"{len(gamma)} gamma, {len(binomial)} binomial and {len(two_gamma)} two-gamma cases, "
        f"mpmath {mpmath.__version__}"
    )


if __name__ == "__main__":
    main()
