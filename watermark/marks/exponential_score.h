// SPDX-License-Identifier: Apache-2.0
// The integer score of the exponential-minimum mark: -ln(1 - word / 2^32), rounded down.
//
// Internal linkage, and only C headers: kernels include this file.
#pragma once

#include <stdint.h>

namespace countermark {

// The unit of scores is 2^-20.
static constexpr unsigned kScoreFractionBits = 20;

namespace internal {

struct ScoreRow {
  uint32_t c0, c1, c2;
};

// Quadratics for -log2 on sixteen equal pieces of [1, 2), in 32-bit fixed point, fitted so that
// the bound below holds for every word (specification: docs/mark.md, "Stream, word, draw, score").
static constexpr ScoreRow kScoreTable[16] = {
    {2977034276, 268251458, 7890628}, {2716655169, 252491147, 7014339},
    {2471162970, 238479129, 6276325}, {2238947084, 225939896, 5648950},
    {2018644925, 214652922, 5111155}, {1809093474, 204439599, 4646662},
    {1609292116, 195153736, 4242729}, {1418373740, 186674522, 3889268},
    {1235582002, 178901252, 3578208}, {1060253222, 171749309, 3303027},
    {891801842, 165147077, 3058413},  {729708625, 159033538, 2840000},
    {573511005, 153356380, 2644175},  {422795127, 148070498, 2467929},
    {277189240, 143136796, 2308734},  {136358172, 138521219, 2164461},
};

static constexpr uint32_t multiply_high(uint32_t a, uint32_t b) noexcept {
  return static_cast<uint32_t>((uint64_t{a} * b) >> 32);
}

}  // namespace internal

// The score s of a word: 0 <= 2^20 * -ln(1 - word / 2^32) - s <= 6.17 for every word.
//
// The score is taken at the lower edge of the word's cell, so for a uniform word it never exceeds
// a standard exponential drawn inside that cell: a sum of n scores of independent uniform words
// is dominated by Gamma(n, 1), whose tail therefore bounds the p-value from above. (At the middle
// of the cell it would not: at the top word by a factor of two.)
//
// Null law of one score: see NullLaw::kExponentialBound. Range 0 to 23,258,154.
static constexpr uint32_t exponential_score(uint32_t word) noexcept {
  // The distance to 2^32; word 0 is scored as word 1, whose exponential is below one unit too.
  const uint32_t y = uint32_t{0} - (word == 0 ? 1 : word);
  const int z = __builtin_clz(y);  // y is not 0
  const uint32_t m = y << z;
  const uint32_t f = m << 5;
  const internal::ScoreRow& row = internal::kScoreTable[(m >> 27) & 15];
  const uint32_t g =
      row.c0 - internal::multiply_high(f, row.c1 - internal::multiply_high(f, row.c2));
  // 93,032,639 = floor(ln 2 * 2^27); 336 is the slack that keeps the table on the safe side.
  const uint32_t a = static_cast<uint32_t>(z) * 93'032'639 + (g >> 5);
  return ((a < 336 ? 336 : a) - 336) >> 7;
}

}  // namespace countermark
