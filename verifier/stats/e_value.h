// SPDX-License-Identifier: Apache-2.0
// Evidence that multiplies: an e-value is a number >= 0 whose mean under the null law is at most 1,
// so that P(e >= 1/alpha) <= alpha (Markov), and the product of independent ones is one again. How
// it was made is fixed before the data are seen, or it is none.
//
// Held is a lower bound of ln e, an integer of 2^-32 nats: products are sums of integers, which do
// not depend on order, thread or machine. Every operation rounds down, by less than two units
// (5e-10 nats; a thousand million factors lose half a nat).
//
// Thread-safe; no state; no errors: a precondition broken is a caller's mistake (assert).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <span>

#include "verifier/stats/p_value.h"

namespace countermark::stats {

class EValue {
 public:
  // e = 1: no evidence either way.
  constexpr EValue() = default;

  // ln e = units x 2^-32, below 2^31 nats in magnitude.
  static constexpr EValue from_units(std::int64_t units) noexcept { return EValue(units); }
  constexpr std::int64_t units() const noexcept { return units_; }

  // numerator / denominator, both from 1 to 2^50: the pay of a bet.
  static EValue ratio(std::uint64_t numerator, std::uint64_t denominator) noexcept;

  // The mixture calibrator: (1 - p + p ln p) / (p ln^2 p), the integral over k from 0 to 1 of
  // k p^(k-1), of mean 1 for a uniform p (V. Vovk and R. Wang, "E-values: calibration, combination
  // and applications", Ann. Statist. 49, 2021, section 2). 1/2 at p = 1. At least 1e-12 nats too
  // small; of p below e^(-2^31) the value there.
  static EValue calibrated(PValue p) noexcept;

  // The product.
  EValue& operator*=(EValue other) noexcept {
    units_ += other.units_;
    return *this;
  }
  friend EValue operator*(EValue a, EValue b) noexcept { return a *= b; }

  // 1 - 2^-bits + 2^-bits e: what is left of e where only one in 2^bits was staked on it. It never
  // falls below 1 - 2^-bits. 1 <= bits <= 62.
  EValue staked(unsigned bits) const noexcept;

  // The mean, an e-value however the values depend on one another. At least one value.
  static EValue mean(std::span<const EValue> values) noexcept;

  // min(1, 1/e), rounded up: a p-value by Markov's inequality, and all of the evidence that is
  // valid at any time.
  PValue p_value() const noexcept;

  // In double precision, for display.
  double log10() const noexcept;

  friend auto operator<=>(EValue, EValue) = default;

 private:
  explicit constexpr EValue(std::int64_t units) : units_(units) {}

  std::int64_t units_ = 0;
};

// Rates at which a sum of exponential scores is tilted, in 64ths: fixed in advance, from a mark
// that adds 2 % to the mean score to one that multiplies it by four.
inline constexpr std::array<std::uint32_t, 7> kTilts = {1, 2, 4, 8, 16, 32, 48};

// (1 - d)^n e^(d S), d = tilt / 64, S = statistic / 2^20, for one of kTilts by its index: an
// e-value of n independent scores that lie at or below standard exponentials, as the mean of e^(dX)
// is at most 1 / (1 - d). n < 2^30, statistic < 2^50.
EValue tilted(std::uint64_t n, std::uint64_t statistic, std::size_t tilt) noexcept;

// Their mean: a bet on all of the tilts.
EValue tilted(std::uint64_t n, std::uint64_t statistic) noexcept;

// The bet on green tokens among n, each green with the probability numerator / denominator by
// chance: a mean, fixed in advance, over parts 2^-1 … 2^-6 of the product over tokens of what part
// of them being green by a mark, the rest by chance, makes likelier: 1 + part (1 / probability - 1)
// of a green one, 1 - part of any other. Of independent tokens each factor has mean 1; of lists of
// fixed size, of which two tokens may be asked, at most that over all n together (their factors are
// negatively associated), and token by token only where each list is asked once. greens <= n <
// 2^30, 0 < numerator < denominator < 2^32.
EValue green_bet(std::uint64_t n, std::uint64_t greens, std::uint64_t numerator,
                 std::uint64_t denominator) noexcept;

// One e-value of many documents, each of which may have been drawn under any of R slots of a stream
// or under none: a mean, fixed in advance, over tilts and over how large a part of the documents is
// marked (1/2, 1/16, 1/128, 1/1024), of the product over documents of
//
//   1 - part + part x (mean over slots of the tilted e-value of the document's sum in that slot).
//
// Null law: where the words of all documents' tuples are independent given the text (each tuple
// belongs to one document), the factors are independent and of mean at most 1, so are products and
// the mean of products. R pooled sums would each be diluted by R and corrected for R instead.
//
// Mergeable: `+=` over disjoint sets of documents, in any order.
class SlotEvidence {
 public:
  // A document: sums[slot], each over the same n tuples. n = 0 changes nothing. Four
  // microseconds, with eight slots as with one.
  void add(std::uint64_t n, std::span<const std::uint64_t> sums) noexcept;

  SlotEvidence& operator+=(const SlotEvidence& other) noexcept;
  bool operator==(const SlotEvidence&) const = default;

  EValue value() const noexcept;

  static constexpr std::array<unsigned, 4> kParts = {1, 4, 7, 10};  // 2^-part of the documents
  // The products so far: what a partial result keeps.
  using Products = std::array<EValue, kTilts.size() * kParts.size()>;
  const Products& products() const noexcept { return products_; }
  static SlotEvidence from_products(const Products& products) noexcept;

 private:
  Products products_{};
};

}  // namespace countermark::stats
