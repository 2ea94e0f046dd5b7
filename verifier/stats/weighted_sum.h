// SPDX-License-Identifier: Apache-2.0
// A sum of independent scores, each with a weight that was fixed without the key: how much of its
// probability a model gives to tokens of high score.
//
// The statistic is an integer, weights are counted by size, so that the law takes a few thousand
// terms however many scores there are. Its p-value is Chernoff's: P(S >= s) <= e^(K(t) - t s) for
// every t > 0, K the sum of the logarithms of the scores' moment generating functions; t is chosen
// near the best, and what doubles may have lost is added. So it is a proven upper bound, above the
// exact value by a factor of about t sqrt(2 pi K''(t)). Weighted exponentials have a log-concave
// density, so has what tilting by t makes of their sum, and no log-concave density of variance v
// exceeds 1 / sqrt(v) (S. Bobkov and G. Chistyakov, "On concentration functions of random
// variables", J. Theor. Probab. 28, 2015): P(S >= s) = e^(K(t) - t s) times the integral over x > 0
// of e^(-t x) f_t(s + x) is at most e^(K(t) - t s) / (t sqrt(K''(t))), above the exact value by
// about sqrt(2 pi). The smaller of both bounds is taken. The estimate beside it (R. Lugannani and
// S. Rice, Adv. Appl. Probab. 12, 1980) is close to the exact value, and decides nothing.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "verifier/stats/e_value.h"
#include "verifier/stats/p_value.h"

namespace countermark::stats {

// What one score is drawn from by chance, or what lies above it.
struct ScoreLaw {
  // score / 2^20 is a standard exponential; or the number of ones among `trials` bits, each one
  // with the probability numerator / denominator.
  bool is_exponential = true;
  std::uint64_t trials = 1;
  std::uint64_t numerator = 1;
  std::uint64_t denominator = 2;
};

class WeightedSum {
 public:
  // Weights are integers from 1 to this, of any common unit.
  static constexpr std::uint32_t kMostWeight = 4096;

  explicit WeightedSum(const ScoreLaw& law) : law_(law) {}

  void add(std::uint32_t weight, std::uint64_t score) noexcept {
    ++counts_[weight];
    ++n_;
    sum_ += std::uint64_t{weight} * score;
  }

  std::uint64_t n() const noexcept { return n_; }
  // In the scores' unit times the weights'; below 2^64 for 2^27 scores of any law.
  std::uint64_t statistic() const noexcept { return sum_; }

  // Microseconds times the number of unlike weights, some thirty evaluations of K.
  PValue tail() const;
  // Approximately the exact p-value; 1 of nothing.
  double estimate_log10() const;
  // e^(t s - K(t)) over t that weights alone fix: their mean, an e-value.
  EValue bet() const;

  // The mean score, weighted: found, by chance, and the standard deviation by chance.
  double mean() const;
  double chance() const;
  double deviation() const;

 private:
  struct Cumulants {
    double value = 0;   // K(t)
    double first = 0;   // K'(t)
    double second = 0;  // K''(t)
    double size = 0;    // the sum of its terms' magnitudes
  };

  Cumulants at(double t) const;
  // t with K'(t) = s, nearly.
  double best() const;
  double largest_weight() const;
  double total_weight() const;
  double unit() const noexcept { return law_.is_exponential ? 0x1p-20 : 1; }
  double observed() const;
  // A lower bound of t s - K(t) + `more`.
  EValue evidence(double t, double more = 0) const;

  ScoreLaw law_;
  std::uint64_t n_ = 0;
  std::uint64_t sum_ = 0;
  std::array<std::uint64_t, kMostWeight + 1> counts_{};
};

}  // namespace countermark::stats
