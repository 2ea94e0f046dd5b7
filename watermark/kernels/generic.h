// SPDX-License-Identifier: Apache-2.0
// Every primitive of a kernel, on top of the AES of one instruction set.
//
// A kernel file includes this header once, instantiates Generic with its own description of the
// machine, and replaces what it can do better. Internal linkage throughout.
//
// A description `Isa` has
//   kBytes                      the width of its vectors: 16, 32 or 64
//   encrypt_blocks(...)         as in CountermarkKernel
//   at_least(F32 a, F32 b)      bit j set where a[j] >= b[j]
//   Cipher(key).row_words(base, first, out)
//                               the 64 words of blocks first .. first + 15 of a row, block b being
//                               the four words of `base` with b xored to the first of them
//   holds(line, value)          whether one of the line's eight words is the value
//   larger(F32 a, F32 b)        a[j] > b[j] ? a[j] : b[j], so that NaN in `a` is dropped
// and what foreign.h asks for.
#pragma once

#include <string.h>

#include "watermark/kernels/foreign.h"
#include "watermark/kernels/kernel.h"
#include "watermark/marks/exponential_score.h"
#include "watermark/portable_math.h"

namespace {

using countermark::Lanes;

// Blocks that are prepared, encrypted and read together; they stay in the first-level cache.
constexpr size_t kRun = 64;

// A block as its four words. Blocks are made in registers and stored whole: a store in parts would
// hold up the load of the block that follows.
using BlockWords = Lanes<16>::U32;

struct BlockRun {
  alignas(64) BlockWords blocks[kRun];

  uint8_t* bytes() { return reinterpret_cast<uint8_t*>(blocks); }
};

// Isa::holds for machines without a faster way.
inline bool line_holds(const uint64_t line[8], uint64_t value) {
  bool out = false;
  for (size_t i = 0; i < 8; ++i) out |= line[i] == value;
  return out;
}

// Isa::Cipher for machines that encrypt in memory.
template <typename Isa>
class CipherInMemory {
 public:
  explicit CipherInMemory(const CountermarkAesKey* key) : key_(key) {}

  void row_words(const uint32_t base[4], uint32_t first, uint32_t out[64]) const {
    BlockRun run;
    const auto start = load<BlockWords>(base);
    for (uint32_t b = 0; b < 16; ++b) run.blocks[b] = start ^ BlockWords { first + b, 0, 0, 0 };
    Isa::encrypt_blocks(key_, run.bytes(), run.bytes(), 16);
    memcpy(out, run.blocks, 256);
  }

 private:
  const CountermarkAesKey* key_;
};

// A number that orders floats as signed integers; both zeros are one.
inline int32_t order_of(float x) {
  const int32_t bits = load<int32_t>(&x);
  const int32_t ordered = bits ^ ((bits >> 31) & 0x7fffffff);
  return ordered == -1 ? 0 : ordered;
}

inline float float_of_order(int32_t order) {
  const int32_t bits = order ^ ((order >> 31) & 0x7fffffff);
  return load<float>(&bits);
}

constexpr float kMinusInfinity = -__builtin_inff();

// Rows of one element type, read as floats: one entry, or a vector of them.
template <int kBytes>
struct RowF32 {
  using F32 = typename Lanes<kBytes>::F32;
  const uint8_t* data;
  const uint8_t* address(size_t i) const { return data + 4 * i; }
  F32 at(size_t i) const { return load<F32>(data + 4 * i); }
  float one(size_t i) const { return load<float>(data + 4 * i); }
};

template <int kBytes>
struct RowBf16 {
  using F32 = typename Lanes<kBytes>::F32;
  using U32 = typename Lanes<kBytes>::U32;
  using U16 = typename Lanes<kBytes>::U16;
  const uint8_t* data;
  const uint8_t* address(size_t i) const { return data + 2 * i; }
  F32 at(size_t i) const {
    return reinterpret_cast<F32>(__builtin_convertvector(load<U16>(data + 2 * i), U32) << 16);
  }
  float one(size_t i) const {
    const uint32_t bits = static_cast<uint32_t>(load<uint16_t>(data + 2 * i)) << 16;
    return load<float>(&bits);
  }
};

template <int kBytes>
struct RowF16 {
  using F32 = typename Lanes<kBytes>::F32;
  using U32 = typename Lanes<kBytes>::U32;
  using U16 = typename Lanes<kBytes>::U16;
  const uint8_t* data;
  const uint8_t* address(size_t i) const { return data + 2 * i; }
  F32 at(size_t i) const {
    const U32 half = __builtin_convertvector(load<U16>(data + 2 * i), U32);
    const U32 exponent = half & 0x7c00;
    // The exponent is rebased by 127 - 15; infinity and NaN once more, to the top; denormals by
    // one more than that, and then exactly normalised by a subtraction.
    const U32 rebased = ((half & 0x7fff) << 13) + (112u << 23);
    const U32 top = rebased + (112u << 23);
    const F32 small = reinterpret_cast<F32>(rebased + (1u << 23)) - 0x1p-14f;
    U32 bits = exponent == 0x7c00 ? top : rebased;
    bits = exponent == 0 ? reinterpret_cast<U32>(small) : bits;
    return reinterpret_cast<F32>(bits | (half & 0x8000) << 16);
  }
  float one(size_t i) const {
    U16 half{};
    memcpy(&half, data + 2 * i, 2);
    const RowF16 single{reinterpret_cast<const uint8_t*>(&half)};
    return single.at(0)[0];
  }
};

// Entries of a row from `begin` on, -inf behind its end.
template <typename Isa, typename Row>
typename Lanes<Isa::kBytes>::F32 vector_at(Row row, size_t size, size_t begin) {
  using F32 = typename Lanes<Isa::kBytes>::F32;
  constexpr size_t kLanes = Isa::kBytes / 4;
  if (begin + kLanes <= size) return row.at(begin);
  F32 out = F32{} + kMinusInfinity;
  for (size_t i = begin; i < size; ++i) out[i - begin] = row.one(i);
  return out;
}

template <typename Isa>
struct Generic {
  static constexpr int kBytes = Isa::kBytes;
  static constexpr size_t kLanes = kBytes / 4;  // floats in a vector
  using F32 = typename Lanes<kBytes>::F32;
  using I32 = typename Lanes<kBytes>::I32;
  using U32 = typename Lanes<kBytes>::U32;
  using F64 = typename Lanes<kBytes>::F64;
  using U64 = typename Lanes<kBytes>::U64;
  static constexpr size_t kDoubles = kBytes / 8;

  // ---- The mark.

  template <size_t kWords>
  static void absorb(BlockRun& run, const uint32_t* tokens, const uint32_t* ends, size_t count,
                     size_t back) {
    for (size_t i = 0; i < count; ++i) {
      const uint32_t* from = tokens + ends[i] - back;
      BlockWords context{};
      for (size_t w = 0; w < kWords; ++w) context[w] = from[w];
      run.blocks[i] ^= context;
    }
  }

  static void context_states(const CountermarkAesKey* key, const uint8_t* initial, unsigned width,
                             const uint32_t* tokens, const uint32_t* ends, size_t count,
                             uint8_t* out) {
    BlockRun run;
    for (size_t begin = 0; begin < count; begin += kRun) {
      const size_t part = smaller(kRun, count - begin);
      for (size_t i = 0; i < part; ++i) run.blocks[i] = load<BlockWords>(initial);
      for (size_t back = width; back > 0; back -= smaller(4, back)) {
        if (back >= 4) {
          absorb<4>(run, tokens, ends + begin, part, back);
        } else if (back == 3) {
          absorb<3>(run, tokens, ends + begin, part, back);
        } else if (back == 2) {
          absorb<2>(run, tokens, ends + begin, part, back);
        } else {
          absorb<1>(run, tokens, ends + begin, part, back);
        }
        Isa::encrypt_blocks(key, run.bytes(), run.bytes(), part);
      }
      memcpy(out + 16 * begin, run.blocks, 16 * part);
    }
  }

  static void route(const CountermarkAesKey* key, const uint8_t* initial, unsigned width,
                    const uint32_t* tokens, const uint32_t* ends, uint32_t first, size_t count,
                    uint32_t remaining, const uint32_t* bounds, size_t bound_count, uint8_t* states,
                    CountermarkColumn* columns) {
    for (size_t c = 0; c <= bound_count; ++c) columns[c].size = 0;
    route_on(key, initial, width, tokens, ends, first, 0, count, remaining, bounds, bound_count,
             states, columns);
  }

  // The positions from index `begin` on, after the others.
  static void route_on(const CountermarkAesKey* key, const uint8_t* initial, unsigned width,
                       const uint32_t* tokens, const uint32_t* ends, uint32_t first, size_t begin,
                       size_t count, uint32_t remaining, const uint32_t* bounds, size_t bound_count,
                       uint8_t* states, CountermarkColumn* columns) {
    alignas(64) uint8_t found[16 * kRun];
    uint32_t positions[kRun];
    for (; begin < count; begin += kRun) {
      const size_t part = smaller(kRun, count - begin);
      for (size_t i = 0; i < part; ++i)
        positions[i] = ends == nullptr ? first + static_cast<uint32_t>(begin + i) : ends[begin + i];
      context_states(key, initial, width, tokens, positions, part, found);
      for (size_t i = 0; i < part; ++i) {
        memcpy(states + size_t{16} * positions[i], found + 16 * i, 16);
        const uint64_t coin = (uint64_t{load<uint32_t>(found + 16 * i + 12)} * remaining) >> 32;
        size_t c = 0;
        for (size_t b = 0; b < bound_count; ++b) c += coin >= bounds[b] ? 1 : 0;
        CountermarkColumn& column = columns[c];
        column.positions[column.size++] = positions[i];
      }
    }
  }

  template <bool kFar, typename ValueAt>
  static size_t insert_run(uint64_t* lines, uint64_t mask, size_t count, uint8_t* fresh,
                           ValueAt value_at) {
    constexpr size_t kAhead = 12;  // values whose lines are on their way
    constexpr uint64_t kRoom = 7;  // values in a line
    size_t known = 0;
    for (size_t i = 0; i < count; ++i) {
      if (kFar && i + kAhead < count)
        __builtin_prefetch(lines + 8 * (value_at(i + kAhead) & mask), 1);
      uint64_t value = value_at(i);
      value += value < 8 ? 8 : 0;
      uint64_t* line = lines + 8 * (value & mask);
      // A value that is there is written again, behind those that count, where the next one goes:
      // whether it is there, no processor can guess, so that takes no branch.
      bool held = Isa::holds(line, value);
      uint64_t size = line[0];
      while (__builtin_expect(size == kRoom, 0)) {
        if (held) break;
        line = line == lines + 8 * mask ? lines : line + 8;
        held = Isa::holds(line, value);
        size = line[0];
      }
      if (__builtin_expect(size < kRoom, 1)) {
        line[size + 1] = value;
        line[0] = size + (held ? 0 : 1);
      }
      fresh[i] = held ? 0 : 1;
      known += held ? 1 : 0;
    }
    return count - known;
  }

  static size_t insert_all(uint64_t* lines, uint64_t mask, const uint8_t* from,
                           const uint32_t* indices, uint64_t addend, size_t count, uint8_t* fresh) {
    if (count == 0) return 0;
    constexpr uint64_t kNear = 4096;  // lines that the second-level cache holds
    const auto insert = [&](auto value_at) {
      return mask < kNear ? insert_run<false>(lines, mask, count, fresh, value_at)
                          : insert_run<true>(lines, mask, count, fresh, value_at);
    };
    if (indices == nullptr)
      return insert([=](size_t i) { return load<uint64_t>(from + 8 * i) + addend; });
    return insert(
        [=](size_t i) { return load<uint64_t>(from + size_t{16} * indices[i]) + addend; });
  }

  // out[i] = the word of tokens[i] under the state at states + i * stride.
  static void words_at(const CountermarkAesKey* key, const uint8_t* states, size_t stride,
                       const uint8_t* tag, const uint32_t* tokens, size_t count, uint32_t* out) {
    BlockWords place{};
    for (size_t w = 0; w < 3; ++w) place[1 + w] = load<uint32_t>(tag + 4 * w);
    BlockRun run;
    for (size_t begin = 0; begin < count; begin += kRun) {
      const size_t part = smaller(kRun, count - begin);
      for (size_t i = 0; i < part; ++i) {
        place[0] = tokens[begin + i] >> 2;
        run.blocks[i] = load<BlockWords>(states + stride * (begin + i)) ^ place;
      }
      Isa::encrypt_blocks(key, run.bytes(), run.bytes(), part);
      for (size_t i = 0; i < part; ++i)
        out[begin + i] = load<uint32_t>(run.bytes() + 16 * i + size_t{4} * (tokens[begin + i] & 3));
    }
  }

  static void words_of_state(const CountermarkAesKey* key, const uint8_t* state, const uint8_t* tag,
                             const uint32_t* tokens, size_t count, uint32_t* out) {
    words_at(key, state, 0, tag, tokens, count, out);
  }

  static void words(const CountermarkAesKey* key, const uint8_t* states, const uint8_t* tag,
                    const uint32_t* tokens, size_t count, uint32_t* out) {
    words_at(key, states, 16, tag, tokens, count, out);
  }

  static void tallies(const CountermarkAesKey* key, const uint8_t* states, const uint32_t* tokens,
                      size_t count, const uint8_t* tags, size_t tag_count, uint64_t* sums) {
    uint32_t found[kRun];
    for (size_t j = 0; j < tag_count; ++j) {
      sums[j] = 0;
      for (size_t begin = 0; begin < count; begin += kRun) {
        const size_t part = smaller(kRun, count - begin);
        words_at(key, states + 16 * begin, 16, tags + 12 * j, tokens + begin, part, found);
        for (size_t i = 0; i < part; ++i) sums[j] += countermark::exponential_score(found[i]);
      }
    }
  }

  static void scores(const uint32_t* words, size_t count, uint32_t* out) {
    for (size_t i = 0; i < count; ++i) out[i] = countermark::exponential_score(words[i]);
  }

  // ---- The draw.

  // The largest order that `wanted` of the values reach or a few more, or that of -inf when fewer
  // than that are above it. `orders` has room for `count` integers.
  static float threshold(const float* values, size_t count, size_t wanted, int32_t* orders) {
    I32 least = I32{} + INT32_MAX;
    I32 most = I32{} + INT32_MIN;
    for (size_t i = 0; i < count; i += kLanes) {
      // As order_of; `count` is a number of whole vectors.
      const I32 bits = reinterpret_cast<I32>(load<F32>(values + i));
      const I32 ordered = bits ^ ((bits >> 31) & 0x7fffffff);
      const I32 result = ordered == -1 ? I32{} : ordered;
      least = result < least ? result : least;
      most = result > most ? result : most;
      memcpy(orders + i, &result, sizeof result);
    }
    int32_t low = least[0];
    int32_t high = most[0];
    for (size_t lane = 1; lane < kLanes; ++lane) {
      low = least[lane] < low ? least[lane] : low;
      high = most[lane] > high ? most[lane] : high;
    }
    const auto reaching = [&](int32_t limit) {
      I32 hits{};
      for (size_t i = 0; i < count; i += kLanes) hits -= load<I32>(orders + i) >= limit;
      size_t out = 0;
      for (size_t lane = 0; lane < kLanes; ++lane) out += static_cast<size_t>(hits[lane]);
      return out;
    };
    const int32_t bottom = order_of(kMinusInfinity) + 1;
    if (low < bottom) low = bottom;
    if (count < wanted || reaching(low) < wanted) return kMinusInfinity;
    // `low` is reached by as many as are wanted, `high` + 1 by none.
    while (low < high) {
      const auto middle = static_cast<int32_t>(low + (int64_t{high} - low + 1) / 2);
      const size_t hits = reaching(middle);
      if (hits < wanted) {
        high = middle - 1;
        continue;
      }
      low = middle;
      if (hits <= wanted + wanted / 8 + 4) break;
    }
    return float_of_order(low);
  }

  // A row is cut into groups of 16 vectors; the columns of a group are its lanes. First the
  // largest entry of each column, then of eight neighbouring groups' columns: as many of those as
  // are wanted lie at or above a threshold, hence as many entries do. Only columns that reach the
  // threshold are read again.
  template <typename Row>
  static size_t top_of(Row row, size_t size, size_t k, float* scratch, uint64_t* keys) {
    constexpr size_t kGroup = 16 * kLanes;
    constexpr size_t kAhead = 512;  // entries
    const size_t groups = (size + kGroup - 1) / kGroup;
    const size_t octets = (groups + 7) / 8;
    float* const first = scratch;
    float* const second = first + 8 * octets * kLanes;
    auto* const orders = reinterpret_cast<int32_t*>(second + octets * kLanes);
    for (size_t octet = 0; octet < octets; ++octet) {
      F32 largest = F32{} + kMinusInfinity;
      for (size_t g = 8 * octet; g < 8 * octet + 8; ++g) {
        F32 column = F32{} + kMinusInfinity;
        const size_t begin = g * kGroup;
        if (begin + kGroup <= size) {
#pragma GCC unroll 16
          for (size_t v = 0; v < 16; ++v) {
            const size_t at = begin + v * kLanes;
            // Once a cache line; beyond the row's end it does nothing.
            if (v * kBytes % 64 == 0) __builtin_prefetch(row.address(at + kAhead));
            const F32 x = row.at(at);
            column = Isa::larger(x, column);
          }
        } else {
          for (size_t at = begin; at < size; at += kLanes) {
            const F32 x = vector_at<Isa>(row, size, at);
            column = Isa::larger(x, column);
          }
        }
        memcpy(first + g * kLanes, &column, sizeof column);
        largest = Isa::larger(column, largest);
      }
      memcpy(second + octet * kLanes, &largest, sizeof largest);
    }
    float limit = threshold(second, octets * kLanes, k, orders);
    if (limit == kMinusInfinity) limit = threshold(first, 8 * octets * kLanes, k, orders);

    size_t found = 0;
    const F32 limits = F32{} + limit;
    for (size_t octet = 0; octet < octets; ++octet) {
      for (unsigned hits = Isa::at_least(load<F32>(second + octet * kLanes), limits); hits != 0;
           hits &= hits - 1) {
        const auto lane = static_cast<size_t>(__builtin_ctz(hits));
        for (size_t g = 8 * octet; g < 8 * octet + 8; ++g) {
          if (!(first[g * kLanes + lane] >= limit)) continue;
          const size_t end = smaller(size, (g + 1) * kGroup);
          for (size_t i = g * kGroup + lane; i < end; i += kLanes) {
            const float x = row.one(i);
            if (!(x >= limit) || x == kMinusInfinity) continue;
            const auto order = static_cast<uint32_t>(order_of(x)) ^ 0x80000000;
            keys[found++] = uint64_t{order} << 32 | (0xffffffff - static_cast<uint32_t>(i));
          }
        }
      }
    }
    return found;
  }

  // Calls `function` with the row as the type that its entries have.
  template <typename Function>
  static auto with_row(const CountermarkLogits& row, Function function) {
    const auto* data = static_cast<const uint8_t*>(row.data);
    switch (row.type) {
      case COUNTERMARK_LOGIT_F16:
        return function(RowF16<kBytes>{data});
      case COUNTERMARK_LOGIT_BF16:
        return function(RowBf16<kBytes>{data});
      case COUNTERMARK_LOGIT_F32:
        break;
    }
    return function(RowF32<kBytes>{data});
  }

  static size_t top_candidates(const CountermarkLogits* row, size_t k, float* scratch,
                               uint64_t* keys) {
    return with_row(*row, [&](auto logits) { return top_of(logits, row->size, k, scratch, keys); });
  }

  // A vector of doubles from as many numbers; those that are missing at the end are 1.
  template <typename Half, typename T>
  static F64 doubles_at(const T* from, size_t left) {
    if (left >= kDoubles) return __builtin_convertvector(load<Half>(from), F64);
    F64 out = F64{} + 1.0;
    for (size_t j = 0; j < left; ++j) out[j] = static_cast<double>(from[j]);
    return out;
  }

  static void store_doubles(double* to, F64 values, size_t left) {
    if (left >= kDoubles) {
      memcpy(to, &values, sizeof values);
    } else {
      for (size_t j = 0; j < left; ++j) to[j] = values[j];
    }
  }

  // The weights of a vector of logits.
  static F64 weight_of(F64 logits, double largest, double temperature) {
    const F64 weight = countermark::exp_lanes<kBytes>((logits - largest) / temperature);
    return logits == largest ? F64{} + 1.0 : weight;
  }

  static void weights(const float* logits, size_t count, float largest, double temperature,
                      double* out) {
    for (size_t i = 0; i < count; i += kDoubles) {
      const F64 logit = doubles_at<typename Lanes<kBytes>::HalfF32>(logits + i, count - i);
      store_doubles(out + i, weight_of(logit, static_cast<double>(largest), temperature),
                    count - i);
    }
  }

  static double row_total(const CountermarkLogits* row, float largest, double temperature) {
    using Half = typename Lanes<kBytes>::HalfF32;
    return with_row(*row, [&](auto logits) {
      F64 sums[8 / kDoubles] = {};
      for (size_t i = 0; i < row->size; i += kLanes) {
        // NaN is dropped; what is missing at the end weighs nothing.
        const F32 x = Isa::larger(vector_at<Isa>(logits, row->size, i), F32{} + kMinusInfinity);
        Half halves[2];
        memcpy(halves, &x, sizeof x);
        for (size_t h = 0; h < 2; ++h)
          sums[(i / kDoubles + h) % (8 / kDoubles)] += weight_of(
              __builtin_convertvector(halves[h], F64), static_cast<double>(largest), temperature);
      }
      double lanes[8];
      memcpy(lanes, sums, sizeof lanes);
      return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
             ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
    });
  }

  static void arrivals(const uint32_t* words, const double* weights, size_t count, double* out) {
    for (size_t i = 0; i < count; i += kDoubles) {
      const F64 word = doubles_at<typename Lanes<kBytes>::HalfU32>(words + i, count - i);
      const F64 weight = doubles_at<F64>(weights + i, count - i);
      const F64 arrival = -countermark::log_lanes<kBytes>((word + 0.5) * 0x1p-32) / weight;
      store_doubles(out + i, arrival, count - i);
    }
  }

  template <typename Row>
  static uint32_t race_of(const CountermarkAesKey* key, const uint8_t* state, const uint8_t* tag,
                          Row row, size_t size, uint32_t leader, double temperature) {
    constexpr size_t kPart = 64;  // entries, 16 blocks
    const typename Isa::Cipher cipher(key);
    uint32_t base[4];
    memcpy(base, state, sizeof base);
    for (size_t w = 0; w < 3; ++w) base[1 + w] ^= load<uint32_t>(tag + 4 * w);

    const float largest = row.one(leader);
    const auto arrival = [&](uint32_t word, float logit) {
      double weight = 0;
      double out = 0;
      weights(&logit, 1, largest, temperature, &weight);
      arrivals(&word, &weight, 1, &out);
      return out;
    };
    uint32_t word_of_leader = 0;
    words_of_state(key, state, tag, &leader, 1, &word_of_leader);
    uint32_t winner = leader;
    double earliest = arrival(word_of_leader, largest);

    // Since -ln u > 1 - u, an entry can come before `earliest` only if 1 - u < earliest * weight,
    // that is log2(c + 1/2) < 32 + log2(earliest) + log2(weight) with c = ~word. The bits of a
    // float, read as an integer, are 2^23 (127 + log2) or less; in that unit the right side is
    // `reach` + logit difference * `scale`, and a thousandth is added for rounding.
    constexpr double kUnit = 8388608;
    constexpr double kLog2E = 1.4426950408889634;
    const auto scale = static_cast<float>(kUnit * kLog2E / temperature);
    const auto reach_of = [](double time) {
      return static_cast<float>(kUnit *
                                (127 + 32 + 0.001 + kLog2E * countermark::portable_log(time)));
    };
    constexpr auto kLeast = static_cast<float>(kUnit * (127 - 1));  // of c = 0
    float reach = reach_of(earliest);
    for (size_t begin = 0; begin < size; begin += kPart) {
      F32 bounds[kPart / kLanes];
      F32 most = F32{} + kMinusInfinity;
      for (size_t v = 0; v < kPart / kLanes; ++v) {
        const F32 logits = vector_at<Isa>(row, size, begin + v * kLanes);
        bounds[v] = (logits - largest) * scale + reach;  // NaN stays NaN and reaches nothing
        most = Isa::larger(bounds[v], most);
      }
      if (Isa::at_least(most, F32{} + kLeast) == 0) continue;
      alignas(64) uint32_t words_of_part[kPart];
      cipher.row_words(base, static_cast<uint32_t>(begin / 4), words_of_part);
      for (size_t v = 0; v < kPart / kLanes; ++v) {
        const U32 words = load<U32>(words_of_part + v * kLanes);
        const F32 complements = __builtin_convertvector(~words, F32);
        const F32 logarithms = __builtin_convertvector(reinterpret_cast<I32>(complements), F32);
        for (unsigned hits = Isa::at_least(bounds[v], logarithms); hits != 0; hits &= hits - 1) {
          const auto lane = static_cast<size_t>(__builtin_ctz(hits));
          const size_t i = begin + v * kLanes + lane;
          const double other = arrival(words[lane], row.one(i));
          if (other < earliest || (other == earliest && i < winner)) {
            earliest = other;
            winner = static_cast<uint32_t>(i);
            reach = reach_of(earliest);
          }
        }
      }
    }
    return winner;
  }

  static uint32_t race_row(const CountermarkAesKey* key, const uint8_t* state, const uint8_t* tag,
                           const CountermarkLogits* row, uint32_t leader, double temperature) {
    return with_row(*row, [&](auto logits) {
      return race_of(key, state, tag, logits, row->size, leader, temperature);
    });
  }

  static constexpr CountermarkKernel kernel(const char* name, bool constant_time,
                                            int (*supported)(),
                                            void (*expand_key)(const uint8_t*,
                                                               CountermarkAesKey*)) {
    return {name,
            constant_time ? 1 : 0,
            supported,
            expand_key,
            Isa::encrypt_blocks,
            context_states,
            route,
            insert_all,
            words_of_state,
            words,
            tallies,
            top_candidates,
            weights,
            row_total,
            arrivals,
            race_row,
            Foreign<Isa>::green_bits,
            Foreign<Isa>::swaps,
            Foreign<Isa>::vllm_states,
            Foreign<Isa>::vllm_words,
            Foreign<Isa>::sbw_words,
            Foreign<Isa>::murmur_contexts,
            Foreign<Isa>::murmur_pairs,
            scores,
            Foreign<Isa>::synthid_bits};
  }
};

}  // namespace
