// SPDX-License-Identifier: Apache-2.0
#include "verifier/stats/multiplicity.h"

#include <algorithm>
#include <cassert>
#include <tuple>

#include "verifier/stats/wide.h"

namespace countermark::stats {
namespace {

constexpr unsigned kHarmonicBits = 24;

// An upper bound of 2^24 (1 + 1/2 + … + 1/n), n < 2^34; in integers, so that it is the same on
// every machine. 1/x lies below its chords: the sum over a piece is at most its length times the
// mean of its ends. Pieces of a 512th of what lies before them cost 4e-7 of the sum, and the first
// 512 terms are pieces of their own; each term is rounded up by at most 2^-60.
std::uint64_t harmonic_above(std::uint64_t n) {
  constexpr std::uint64_t kOne = std::uint64_t{1} << 60;
  const auto inverse = [](std::uint64_t i) { return kOne / i + 1; };
  Wide twice = 0;
  for (std::uint64_t first = 1; first <= n;) {
    const std::uint64_t last = std::min(n, first + first / 512);
    twice += Wide{last - first + 1} * (inverse(first) + inverse(last));
    first = last + 1;
  }
  return static_cast<std::uint64_t>(twice >> (60 - kHarmonicBits + 1)) + 1;
}

}  // namespace

DiscoveryFamily& DiscoveryFamily::operator+=(const DiscoveryFamily& other) {
  assert(level_ == other.level_);
  size_ += other.size_;
  possible_.insert(possible_.end(), other.possible_.begin(), other.possible_.end());
  return *this;
}

std::vector<Discovery> DiscoveryFamily::list(Procedure procedure) const {
  assert(size_ < std::uint64_t{1} << 34);
  std::vector<Discovery> sorted = possible_;
  std::sort(sorted.begin(), sorted.end(), [](const Discovery& a, const Discovery& b) {
    return a.p != b.p ? a.p < b.p : a.id < b.id;
  });
  const bool harmonic = procedure == Procedure::kBenjaminiYekutieli;
  const std::uint64_t factor = harmonic ? size_ * harmonic_above(size_) : size_;
  const unsigned shift = harmonic ? kHarmonicBits : 0;

  // The adjusted value is the smallest N c p_(j) / j of all j from the entry's own on. Those above
  // the level, which are not here, have a larger one than the level.
  PValue adjusted;
  std::size_t listed = 0;
  for (std::size_t k = sorted.size(); k > 0; --k) {
    const PValue own = sorted[k - 1].p.scaled(factor, std::uint64_t{k} << shift);
    adjusted = std::min(adjusted, own);
    sorted[k - 1].adjusted = adjusted;
    if (listed == 0 && adjusted <= level_) listed = k;
  }
  sorted.resize(listed);
  return sorted;
}

}  // namespace countermark::stats
