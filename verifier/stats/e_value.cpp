// SPDX-License-Identifier: Apache-2.0
// Sums in integers; where a logarithm or an exponential is needed, of a difference that is small or
// does not matter, in doubles by the portable series, whose error is far below the unit that is
// taken off afterwards.
#include "verifier/stats/e_value.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

#include "verifier/stats/wide.h"
#include "watermark/portable_math.h"

namespace countermark::stats {
namespace {

constexpr double kUnit = 0x1p-32;
constexpr double kLn10 = 0x1.26bb1bbb55516p+1;

// The units of a logarithm below 2^31 whose relative and absolute error are each below 1e-13.
std::int64_t units_below(double nats) {
  const double lower = nats - (std::abs(nats) + 1) * 0x1p-43;
  return static_cast<std::int64_t>(std::floor(lower * 0x1p32));
}

// e^-x for x units, x >= 0. Relative error below 1e-13 where it is above e^-708; 0 below that.
double exp_minus(std::int64_t units) { return portable_exp(-static_cast<double>(units) * kUnit); }

// The mean of value(0), …, value(count - 1): the largest is taken out.
template <typename Value>
EValue mean_of(std::size_t count, Value value) {
  assert(count > 0);
  std::int64_t largest = value(0).units();
  for (std::size_t i = 1; i < count; ++i) largest = std::max(largest, value(i).units());
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += exp_minus(largest - value(i).units());
  return EValue::from_units(largest + units_below(portable_log(sum / static_cast<double>(count))));
}

// ceil(-2^60 ln(1 - tilt / 64)).
constexpr std::array<std::int64_t, kTilts.size()> kTiltCosts = {
    18156619410792734,  36603757030154788,  74407848895029353,  153951214096912252,
    331674847819523231, 799144290325165979, 1598288580650331958};

}  // namespace

EValue EValue::ratio(std::uint64_t numerator, std::uint64_t denominator) noexcept {
  [[maybe_unused]] constexpr std::uint64_t kMost = std::uint64_t{1} << 50;
  assert(numerator > 0 && numerator <= kMost && denominator > 0 && denominator <= kMost);
  if (numerator == denominator) return {};
  return EValue(
      units_below(portable_log(static_cast<double>(numerator) / static_cast<double>(denominator))));
}

EValue EValue::calibrated(PValue p) noexcept {
  // With y = -ln p the value is (e^y - 1 - y) / y^2, which grows with y.
  constexpr double kMost = 0x1p31 - 64;
  const double exact = -(portable_log(p.mantissa()) + static_cast<double>(p.exponent()) * kLn10);
  const double y = std::clamp(exact - (exact + 1) * 0x1p-43, 0.0, kMost);
  // Below 1/4 the sum of y^i / (i+2)!; the remainder is below 1e-15.
  if (y < 0.25) {
    double sum = 0;
    for (int i = 12; i >= 3; --i) sum = (sum + 1) * y / i;
    return EValue(units_below(portable_log((1 + sum) / 2)));
  }
  // e^y (1 - (1 + y) e^-y) / y^2.
  const double factor = 1 - (1 + y) * portable_exp(-y);
  return EValue(units_below(y - 2 * portable_log(y) + portable_log(factor)));
}

EValue EValue::staked(unsigned bits) const noexcept {
  assert(bits >= 1 && bits <= 62);
  const double part = std::ldexp(1.0, -static_cast<int>(bits));
  // The larger of e and 1 is taken out, so that what is left is at most 1.
  if (units_ <= 0) return EValue(units_below(portable_log(1 - part + part * exp_minus(-units_))));
  return EValue(units_ + units_below(portable_log((1 - part) * exp_minus(units_) + part)));
}

EValue EValue::mean(std::span<const EValue> values) noexcept {
  return mean_of(values.size(), [values](std::size_t i) { return values[i]; });
}

PValue EValue::p_value() const noexcept {
  if (units_ <= 0) return PValue();
  // e^-x = 10^-k e^(k ln 10 - x), k the least integer with a mantissa of at least 1; in 2^-60 nats.
  constexpr SignedWide kLn10Above = 2'654'699'869'899'991'814;
  const SignedWide x = SignedWide{units_} << 28;
  const SignedWide k = (x + kLn10Above - 1) / kLn10Above;
  const double rest = static_cast<double>(static_cast<std::int64_t>(k * kLn10Above - x)) * 0x1p-60;
  const double mantissa = std::max(1.0, (1 + 0x1p-40) / portable_exp(-rest));
  const auto exponent = -static_cast<std::int64_t>(k);
  if (mantissa < 10) return PValue::from_parts(mantissa, exponent);
  return exponent == -1 ? PValue() : PValue::from_parts(mantissa / 10, exponent + 1);
}

double EValue::log10() const noexcept { return static_cast<double>(units_) * kUnit / kLn10; }

EValue tilted(std::uint64_t n, std::uint64_t statistic, std::size_t tilt) noexcept {
  assert(n < std::uint64_t{1} << 30 && statistic < std::uint64_t{1} << 50);
  // In 2^-60 nats: tilt / 64 of 2^-20 is tilt x 2^34 of them.
  const SignedWide gain = SignedWide{kTilts[tilt]} * statistic << 34;
  const SignedWide cost = SignedWide{kTiltCosts[tilt]} * n;
  return EValue::from_units(static_cast<std::int64_t>((gain - cost) >> 28));
}

EValue tilted(std::uint64_t n, std::uint64_t statistic) noexcept {
  std::array<EValue, kTilts.size()> each;
  for (std::size_t i = 0; i < each.size(); ++i) each[i] = tilted(n, statistic, i);
  return EValue::mean(each);
}

EValue green_bet(std::uint64_t n, std::uint64_t greens, std::uint64_t numerator,
                 std::uint64_t denominator) noexcept {
  assert(greens <= n && n < std::uint64_t{1} << 30);
  assert(numerator > 0 && numerator < denominator && denominator < std::uint64_t{1} << 32);
  // A logarithm below 2^6 in magnitude, in 2^-56 nats, rounded down by more than its error.
  const auto units = [](double ratio) {
    const double nats = portable_log(ratio);
    return static_cast<std::int64_t>(std::floor((nats - std::abs(nats) * 0x1p-43) * 0x1p56));
  };
  const double odds = static_cast<double>(denominator - numerator) / static_cast<double>(numerator);
  std::array<EValue, 6> each;
  for (std::size_t i = 0; i < each.size(); ++i) {
    const double part = std::ldexp(1.0, -static_cast<int>(i) - 1);
    const SignedWide gain = SignedWide{units(1 + part * odds)} * greens;
    const SignedWide cost = SignedWide{units(1 - part)} * (n - greens);
    constexpr SignedWide kMost = std::numeric_limits<std::int64_t>::max();
    each[i] = EValue::from_units(
        static_cast<std::int64_t>(std::clamp<SignedWide>((gain + cost) >> 24, -kMost, kMost)));
  }
  return EValue::mean(each);
}

void SlotEvidence::add(std::uint64_t n, std::span<const std::uint64_t> sums) noexcept {
  if (n == 0) return;
  auto product = products_.begin();
  for (std::size_t tilt = 0; tilt < kTilts.size(); ++tilt) {
    const EValue document =
        mean_of(sums.size(), [&](std::size_t slot) { return tilted(n, sums[slot], tilt); });
    for (const unsigned part : kParts) *product++ *= document.staked(part);
  }
}

SlotEvidence& SlotEvidence::operator+=(const SlotEvidence& other) noexcept {
  for (std::size_t i = 0; i < products_.size(); ++i) products_[i] *= other.products_[i];
  return *this;
}

EValue SlotEvidence::value() const noexcept { return EValue::mean(products_); }

SlotEvidence SlotEvidence::from_products(const Products& products) noexcept {
  SlotEvidence evidence;
  evidence.products_ = products;
  return evidence;
}

}  // namespace countermark::stats
