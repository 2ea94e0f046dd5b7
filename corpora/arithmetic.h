// SPDX-License-Identifier: Apache-2.0
// The arithmetic of the language model: matrix times vector, e^x and SiLU, each in one fixed
// order of IEEE operations, so that logits are the same on every machine, compiler and vector
// width. Four lanes are what every x86-64 and AArch64 has; nothing here asks for more.
//
// Needs -ffp-contract=off and no fast-math. Inputs are finite; NaN and infinity give garbage,
// never undefined behaviour.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace countermark::corpora {

using Lanes = float __attribute__((vector_size(16)));
using LaneBits = std::uint32_t __attribute__((vector_size(16)));
inline constexpr std::size_t kLanes = 4;

inline Lanes load_lanes(const float* from) noexcept {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof lanes);
  return lanes;
}

inline void store_lanes(float* to, Lanes lanes) noexcept { std::memcpy(to, &lanes, sizeof lanes); }

// How far ahead of the additions a matrix is asked for, in floats: 16 KiB. Weights do not fit the
// second-level cache, and the processor's own look-ahead stops at each page. Measured: without it
// a quarter slower on a busy machine. Beyond the end of a matrix the request has no effect.
inline constexpr std::size_t kAhead = 4096;

inline Lanes all_lanes(float x) noexcept { return Lanes{x, x, x, x}; }

// The sums of the lanes of four vectors, each (0 + 2) + (1 + 3).
inline Lanes add_across(const std::array<Lanes, 4>& of) noexcept {
  const auto halves = [](Lanes a, Lanes b) {
    return __builtin_shufflevector(a, b, 0, 4, 1, 5) + __builtin_shufflevector(a, b, 2, 6, 3, 7);
  };
  const Lanes first = halves(of[0], of[1]);
  const Lanes second = halves(of[2], of[3]);
  return __builtin_shufflevector(first, second, 0, 1, 4, 5) +
         __builtin_shufflevector(first, second, 2, 3, 6, 7);
}

// out[r] = sum over c of matrix[r * stride + c] * x[c], for kRows rows at once, which share the
// loads of x. Each row has eight partial sums, by c mod 8; then the halves and the lanes are
// added, then the columns after the last multiple of eight, one by one.
template <std::size_t kRows>
inline void multiply_rows(const float* matrix, std::size_t stride, const float* x,
                          std::size_t columns, float* out) noexcept {
  static_assert(kRows <= kLanes);
  std::array<Lanes, kLanes> even{};
  std::array<Lanes, kLanes> odd{};
  std::size_t c = 0;
  for (; c + 2 * kLanes <= columns; c += 2 * kLanes) {
    for (std::size_t r = 0; r < kRows; ++r) __builtin_prefetch(matrix + r * stride + c + kAhead);
    const Lanes x_even = load_lanes(x + c);
    const Lanes x_odd = load_lanes(x + c + kLanes);
    for (std::size_t r = 0; r < kRows; ++r) {
      even[r] += load_lanes(matrix + r * stride + c) * x_even;
      odd[r] += load_lanes(matrix + r * stride + c + kLanes) * x_odd;
    }
  }
  for (std::size_t r = 0; r < kRows; ++r) even[r] += odd[r];
  const Lanes sums = add_across(even);
  for (std::size_t r = 0; r < kRows; ++r) {
    float sum = sums[r];
    for (std::size_t rest = c; rest < columns; ++rest) sum += matrix[r * stride + rest] * x[rest];
    out[r] = sum;
  }
}

// out[rows] = matrix[rows][x.size()] x[], the rows `stride` floats apart. `out` overlaps neither.
inline void multiply(const float* matrix, std::size_t stride, std::span<const float> x,
                     std::span<float> out) noexcept {
  std::size_t r = 0;
  for (; r + kLanes <= out.size(); r += kLanes)
    multiply_rows<kLanes>(matrix + r * stride, stride, x.data(), x.size(), out.data() + r);
  for (; r < out.size(); ++r)
    multiply_rows<1>(matrix + r * stride, stride, x.data(), x.size(), out.data() + r);
}

// e^x for x <= 0, relative error below 2e-7; x below -87 counts as -87 (e^-87 is the last that is
// not denormal).
inline Lanes exponential(Lanes x) noexcept {
  x = x < -87.0F ? all_lanes(-87.0F) : x;
  // x = k ln 2 + r, |r| <= ln 2 / 2. Adding 1.5 * 2^23 rounds to an integer, which then stands in
  // the low bits. ln 2 is split so that k times its upper part (9 bits, |k| <= 126) is exact.
  constexpr float kRound = 0x1.8p+23F;
  constexpr float kLog2E = 0x1.715476p+0F;
  constexpr float kLn2High = 0x1.63p-1F;
  constexpr float kLn2Low = -0x1.bd0106p-13F;
  const Lanes rounded = x * kLog2E + kRound;
  const Lanes k = rounded - kRound;
  const Lanes r = (x - k * kLn2High) - k * kLn2Low;
  // Taylor series to r^7 / 7!: the remainder is below 2^-26.
  Lanes sum = all_lanes(1.0F / 5040);
  for (const float term : {1.0F / 720, 1.0F / 120, 1.0F / 24, 1.0F / 6, 0.5F, 1.0F, 1.0F})
    sum = sum * r + term;
  const auto exponent = (std::bit_cast<LaneBits>(rounded) + 127) << 23;
  return sum * std::bit_cast<Lanes>(exponent);
}

// x / (1 + e^-x), from e^-|x| so that nothing overflows.
inline Lanes silu(Lanes x) noexcept {
  const Lanes e = exponential(x < 0.0F ? x : -x);
  return x * ((x < 0.0F ? e : all_lanes(1.0F)) / (e + 1.0F));
}

// Applies `f` to each of values[], four at a time; the last ones are padded with zeros.
template <typename Function>
inline void transform(std::span<float> values, Function f) noexcept {
  std::size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes)
    store_lanes(values.data() + i, f(load_lanes(values.data() + i)));
  if (i == values.size()) return;
  std::array<float, kLanes> rest{};
  const std::size_t bytes = (values.size() - i) * sizeof(float);
  std::memcpy(rest.data(), values.data() + i, bytes);
  store_lanes(rest.data(), f(load_lanes(rest.data())));
  std::memcpy(values.data() + i, rest.data(), bytes);
}

}  // namespace countermark::corpora
