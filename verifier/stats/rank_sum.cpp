// SPDX-License-Identifier: Apache-2.0
#include "verifier/stats/rank_sum.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "verifier/stats/lattice.h"

namespace countermark::stats {
namespace {

std::vector<std::uint32_t> ties_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  std::vector<std::uint32_t> out;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0 && values[i] == values[i - 1]) {
      ++out.back();
    } else {
      out.push_back(1);
    }
  }
  return out;
}

// The law of twice the number below and once that of those equal, among values with these ties.
std::vector<std::uint64_t> weights_of(const std::vector<std::uint32_t>& ties) {
  std::vector<std::uint64_t> out;
  std::uint64_t below = 0;
  for (const std::uint32_t equal : ties) {
    out.resize(2 * below + equal, 0);
    out.back() = equal;
    below += equal;
  }
  out.resize(2 * below - 1, 0);
  return out;
}

}  // namespace

void RankSum::add(double value, std::span<const double> others) {
  assert(!others.empty() && others.size() <= kMostOthers && !std::isnan(value));
  std::vector<double> values(others.begin(), others.end());
  assert(std::none_of(values.begin(), values.end(), [](double each) { return std::isnan(each); }));
  std::uint64_t rank = 0;
  for (const double other : others) rank += other < value ? 2U : other == value ? 1U : 0U;
  values.push_back(value);
  const std::vector<std::uint32_t> ties = ties_of(std::move(values));
  const std::uint64_t size = others.size();
  ++patterns_[ties];
  ++groups_;
  tied_ += ties.size() == 1 ? 1U : 0U;
  statistic_ += rank;
  most_ += 2 * size;
  squares_ += 4 * size * size;
  for (std::size_t i = 0; i < kParts; ++i) {
    // 1 + (rank - size) / (2^(i+1) size).
    const std::uint64_t scale = size << (i + 1);
    products_[i] *= EValue::ratio(scale + rank - size, scale);
  }
}

RankSum& RankSum::operator+=(const RankSum& other) {
  for (const auto& [ties, count] : other.patterns_) patterns_[ties] += count;
  groups_ += other.groups_;
  tied_ += other.tied_;
  statistic_ += other.statistic_;
  most_ += other.most_;
  squares_ += other.squares_;
  for (std::size_t i = 0; i < kParts; ++i) products_[i] *= other.products_[i];
  return *this;
}

PValue RankSum::upper_tail() const {
  std::vector<LatticeTerm> terms;
  for (const auto& [ties, count] : patterns_) terms.push_back({weights_of(ties), count});
  return lattice_tail(terms, statistic_);
}

PValue RankSum::lower_tail() const {
  std::vector<LatticeTerm> terms;
  for (const auto& [ties, count] : patterns_) {
    terms.push_back({weights_of(ties), count});
    std::reverse(terms.back().weights.begin(), terms.back().weights.end());
  }
  return lattice_tail(terms, most_ - statistic_);
}

PValue RankSum::smallest_tail() const {
  std::vector<LatticeTerm> terms;
  std::uint64_t highest = 0;
  for (const auto& [ties, count] : patterns_) {
    terms.push_back({weights_of(ties), count});
    highest += count * (terms.back().weights.size() - ties.back());
  }
  return lattice_tail(terms, highest);
}

EValue RankSum::e_value() const { return EValue::mean(products_); }

double RankSum::share() const noexcept {
  return most_ == 0 ? 0.5 : static_cast<double>(statistic_) / static_cast<double>(most_);
}

double RankSum::half_width(double confidence) const noexcept {
  if (most_ == 0) return 0.5;
  const double weights =
      static_cast<double>(squares_) / (static_cast<double>(most_) * static_cast<double>(most_));
  return std::sqrt(std::log(2 / (1 - confidence)) * weights / 2);
}

}  // namespace countermark::stats
