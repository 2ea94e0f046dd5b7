// SPDX-License-Identifier: Apache-2.0
// Every primitive of a kernel on inputs that are hard on it, as one line for each: the same lines
// on every kernel and machine. Needs no library of ours, so that it can be cross-built.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/random_numbers.h"
#include "watermark/kernels/kernel.h"

namespace countermark::tests {

class KernelExercise {
 public:
  explicit KernelExercise(const CountermarkKernel& kernel) : kernel_(&kernel) {
    const std::vector<std::uint8_t> bytes = random_bytes(16);
    kernel_->expand_key(bytes.data(), &key_);
  }

  // "name digest" of each primitive, in a fixed order.
  std::vector<std::string> lines() {
    for (const std::size_t count : kCounts) {
      blocks(count);
      for (unsigned width = 1; width <= 16; ++width) {
        states(width, count);
        if (width < 7) routes(width, count);
      }
      inserts(count);
      words(count);
      tallies(count, 1);
      weights(count);
      arrivals(count);
      foreign(count);
    }
    for (const unsigned width : {2u, 3u, 4u, 5u}) routes(width, 1000);
    inserts(5000);
    tallies(1000, 3);
    tallies(3, 40);
    for (const auto& [vocab_size, green_size] : kLists) greens(vocab_size, green_size);
    for (const std::size_t size : {1u, 3u, 50u, 255u, 256u, 257u, 4096u, 5003u, 40'001u})
      for (const auto& [name, row] : hard_rows(size)) rows(name, row);
    return lines_;
  }

  // Rows that are hard on a selection: ties, few finite entries, denormals, NaN, sorted ones.
  std::vector<std::pair<std::string, std::vector<float>>> hard_rows(std::size_t size) {
    constexpr float kInf = std::numeric_limits<float>::infinity();
    constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
    std::vector<std::pair<std::string, std::vector<float>>> out;
    const auto add = [&](const char* name, const std::function<float(std::size_t)>& entry) {
      std::vector<float> row(size);
      for (std::size_t i = 0; i < size; ++i) row[i] = entry(i);
      out.emplace_back(name, std::move(row));
    };
    const auto number = [&](std::size_t i) { return static_cast<float>(i); };
    add("model-like", [&](std::size_t) {
      return static_cast<float>(6 * (random_.unit() + random_.unit() + random_.unit()));
    });
    add("equal", [](std::size_t) { return -7.25F; });
    add("few values", [&](std::size_t) { return static_cast<float>(random_.below(3)); });
    add("signed zeros", [&](std::size_t) { return random_.below(2) == 0 ? -0.0F : 0.0F; });
    add("rising", [&](std::size_t i) { return 0.001F * number(i); });
    add("falling", [&](std::size_t i) { return -0.001F * number(i); });
    add("all but three at -inf",
        [&](std::size_t i) { return i % (size / 3 + 1) == size / 7 ? number(i) : -kInf; });
    add("half NaN",
        [&](std::size_t i) { return random_.below(2) == 0 ? kNan : 0.01F * number(i % 97); });
    add("NaN of both signs and -inf", [&](std::size_t i) {
      return i == size / 2 ? 1.0F : i % 3 == 0 ? kNan : i % 3 == 1 ? -kNan : -kInf;
    });
    add("denormals", [&](std::size_t) {
      return std::bit_cast<float>(random_.below(0x00800000) | (random_.below(2) << 31));
    });
    add("any bits but NaN", [&](std::size_t) {
      const auto x = std::bit_cast<float>(static_cast<std::uint32_t>(random_.next()));
      return x == x && x < kInf ? x : 1.5F;
    });
    add("neighbours", [&](std::size_t) {
      return std::bit_cast<float>(std::bit_cast<std::uint32_t>(2.0F) + random_.below(5));
    });
    add("one group holds the top", [&](std::size_t i) {
      return (i >= size / 2 && i < size / 2 + 60 ? 100.0F : 0.0F) + 1e-3F * number(i % 61);
    });
    add("one column holds the top",
        [&](std::size_t i) { return i % 16 == 5 ? 50.0F + 1e-4F * number(i) : number(i % 7); });
    return out;
  }

 private:
  static constexpr std::size_t kCounts[] = {0,  1,  2,  3,  4,  7,   8,   9,  15,
                                            16, 17, 63, 64, 65, 100, 256, 257};
  // Powers of two, numbers around the words that MT19937 makes at once, and the largest allowed.
  static constexpr std::pair<std::uint32_t, std::uint32_t> kLists[] = {{2, 1},
                                                                       {3, 2},
                                                                       {4, 1},
                                                                       {64, 63},
                                                                       {1000, 623},
                                                                       {1000, 624},
                                                                       {1000, 625},
                                                                       {4096, 4095},
                                                                       {32'768, 3000},
                                                                       {50'257, 12'564},
                                                                       {65'537, 9},
                                                                       {1u << 20, 5000},
                                                                       {(1u << 28) - 1, 2000}};

  std::vector<std::uint8_t> random_bytes(std::size_t size) {
    std::vector<std::uint8_t> out(size);
    for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(random_.next() >> 56);
    return out;
  }

  std::vector<std::uint32_t> random_tokens(std::size_t count) {
    std::vector<std::uint32_t> out(count);
    for (std::uint32_t& token : out)
      token = random_.below(8) == 0 ? 0xffffffff - random_.below(4)
                                    : static_cast<std::uint32_t>(random_.next());
    return out;
  }

  // FNV-1a over the bytes of a vector.
  template <typename T>
  void line(const std::string& name, const std::vector<T>& values) {
    std::uint64_t digest = 0xcbf29ce484222325;
    const auto* bytes = reinterpret_cast<const unsigned char*>(values.data());
    for (std::size_t i = 0; i < values.size() * sizeof(T); ++i)
      digest = (digest ^ bytes[i]) * 0x100000001b3;
    lines_.push_back(name + " " + std::to_string(digest));
  }

  void blocks(std::size_t count) {
    const auto in = random_bytes(16 * count);
    std::vector<std::uint8_t> out(in.size());
    kernel_->encrypt_blocks(&key_, in.data(), out.data(), count);
    line("encrypt_blocks " + std::to_string(count), out);
  }

  void states(unsigned width, std::size_t count) {
    const auto initial = random_bytes(16);
    // As long as it must be and no longer: a sanitizer sees what is read beyond.
    const auto tokens = random_tokens(width + count);
    std::vector<std::uint32_t> ends;
    for (std::size_t i = 0; i < count; ++i)
      ends.push_back(static_cast<std::uint32_t>(width + (i % 5 == 4 ? count - i : i)));
    std::vector<std::uint8_t> out(16 * count);
    kernel_->context_states(&key_, initial.data(), width, tokens.data(), ends.data(), count,
                            out.data());
    line("context_states " + std::to_string(width) + " " + std::to_string(count), out);
  }

  // Positions one after the other and positions with gaps, at every width.
  void routes(unsigned width, std::size_t count) {
    const auto initial = random_bytes(16);
    const auto tokens = random_tokens(width + 2 * count);
    std::vector<std::uint32_t> ends;
    for (std::size_t i = 0; i < count; ++i)
      ends.push_back(static_cast<std::uint32_t>(width + i + i / 3));
    for (const auto& [remaining, bounds] :
         {std::pair{65'536u, std::vector<std::uint32_t>{32'768, 40'960}},
          std::pair{65'536u, std::vector<std::uint32_t>{0, 1, 65'535, 65'536, 65'536}},
          std::pair{24'576u, std::vector<std::uint32_t>{24'576}},
          std::pair{1u, std::vector<std::uint32_t>{0, 1}}}) {
      for (const bool contiguous : {true, false}) {
        // As long as they must be and no longer: a sanitizer sees what is read beyond.
        const std::vector<std::uint32_t> read(
            tokens.begin(),
            tokens.begin() + static_cast<std::ptrdiff_t>(
                                 count == 0 ? 0 : (contiguous ? width + count - 1 : ends.back())));
        std::vector<std::vector<std::uint32_t>> positions(bounds.size() + 1);
        std::vector<std::uint8_t> states(
            16 * (count == 0 ? 0 : (contiguous ? width + count : ends.back() + 1)));
        std::vector<CountermarkColumn> columns;
        for (std::size_t c = 0; c <= bounds.size(); ++c) {
          positions[c].resize(count + 16);
          columns.push_back({positions[c].data(), 77});
        }
        kernel_->route(&key_, initial.data(), width, read.data(),
                       contiguous ? nullptr : ends.data(), width, count, remaining, bounds.data(),
                       bounds.size(), states.data(), columns.data());
        const std::string name = std::to_string(width) + " " + std::to_string(count);
        for (std::size_t c = 0; c <= bounds.size(); ++c) {
          positions[c].resize(columns[c].size);
          line("route positions " + name, positions[c]);
        }
        line("route states " + name, states);
      }
    }
  }

  // Values that share lines, fill them and spill over the end, some of them twice.
  void inserts(std::size_t count) {
    std::size_t lines = 1;
    while (3 * lines < count + 4) lines *= 2;
    struct alignas(64) Line {
      std::uint64_t places[8];
    };
    std::vector<Line> set(lines, Line{});
    std::vector<std::uint64_t> values(count + 2);
    for (std::uint64_t& value : values) {
      value = random_.next() | 1;
      if (random_.below(3) == 0)
        value = values[random_.below(static_cast<std::uint32_t>(count))] | 1;
      if (random_.below(4) == 0) value |= lines - 1;
    }
    std::vector<std::uint8_t> fresh(count);
    std::vector<std::uint32_t> indices(count);
    for (std::uint32_t& index : indices)
      index = random_.below(static_cast<std::uint32_t>(count / 2 + 1)) * (count > 1 ? 1 : 0);
    // The values in turn, then every other one of some of them, plus one.
    for (const std::uint32_t* picked : {static_cast<const std::uint32_t*>(nullptr),
                                        static_cast<const std::uint32_t*>(indices.data())}) {
      const std::size_t inserted = kernel_->insert_all(
          set[0].places, lines - 1, reinterpret_cast<const std::uint8_t*>(values.data()), picked,
          picked == nullptr ? 0 : 1, count, fresh.data());
      line("insert_all " + std::to_string(count) + " " + std::to_string(inserted), fresh);
      line("lines " + std::to_string(count), set);
    }
  }

  void words(std::size_t count) {
    const auto states = random_bytes(16 * std::max<std::size_t>(1, count));
    const auto tag = random_bytes(12);
    const auto tokens = random_tokens(count);
    std::vector<std::uint32_t> out(count);
    kernel_->words(&key_, states.data(), tag.data(), tokens.data(), count, out.data());
    line("words " + std::to_string(count), out);
    kernel_->words_of_state(&key_, states.data(), tag.data(), tokens.data(), count, out.data());
    line("words_of_state " + std::to_string(count), out);
  }

  void tallies(std::size_t count, std::size_t tag_count) {
    const auto states = random_bytes(16 * count);
    const auto tags = random_bytes(12 * tag_count);
    const auto tokens = random_tokens(count);
    std::vector<std::uint64_t> out(tag_count, 99);
    kernel_->tallies(&key_, states.data(), tokens.data(), count, tags.data(), tag_count,
                     out.data());
    line("tallies " + std::to_string(count) + " " + std::to_string(tag_count), out);
  }

  void weights(std::size_t count) {
    std::vector<float> logits(count);
    for (float& logit : logits) logit = static_cast<float>(1500 * (random_.unit() - 1));
    if (count > 3) {
      logits[0] = 0;
      logits[1] = -std::numeric_limits<float>::infinity();
      logits[2] = -708.5F;
    }
    std::vector<double> out(count);
    for (const double temperature : {1.0, 0.7, 1e-3, 1e6, 5e-324, 1e308}) {
      kernel_->weights(logits.data(), count, 0, temperature, out.data());
      line("weights " + std::to_string(count), out);
    }
  }

  void arrivals(std::size_t count) {
    auto words = random_tokens(count);
    std::vector<double> weights(count), out(count);
    for (double& weight : weights) weight = random_.unit() + 1e-300;
    if (count > 1) words[0] = 0, words[1] = 0xffffffff;
    kernel_->arrivals(words.data(), weights.data(), count, out.data());
    line("arrivals " + std::to_string(count), out);
  }

  // Other systems' marks. Arrays are as long as they must be and no longer.
  void foreign(std::size_t count) {
    const std::string label = std::to_string(count);
    const std::uint64_t key = random_.next(), stream = random_.next();
    std::vector<std::uint64_t> hashes(count), bits(count), addends(64);
    for (std::uint64_t& hash : hashes) hash = random_.next();
    for (std::uint64_t& addend : addends) addend = random_.next();
    const auto tokens = random_tokens(count);
    std::vector<std::uint32_t> states(4 * count), out(count);
    for (unsigned width = 1; width <= 17; ++width) {
      const auto contexts = random_tokens(width * count);
      kernel_->vllm_states(key, width, contexts.data(), count, states.data(), 4);
      line("vllm_states " + label, states);
      kernel_->murmur_contexts(width, contexts.data(), count, out.data());
      line("murmur_contexts " + label, out);
    }
    kernel_->vllm_words(key, stream, states.data(), 4, tokens.data(), 1, count, out.data());
    line("vllm_words " + label, out);
    kernel_->sbw_words(hashes.data(), tokens.data(), count, out.data());
    line("sbw_words " + label, out);
    kernel_->scores(tokens.data(), count, out.data());
    line("scores " + label, out);
    kernel_->murmur_pairs(static_cast<std::uint32_t>(key), 4, out.data(), tokens.data(), count,
                          out.data());
    line("murmur_pairs " + label, out);
    for (unsigned depth = 1; depth <= 64; ++depth) {
      kernel_->synthid_bits(hashes.data(), tokens.data(), count, addends.data(), depth,
                            bits.data());
      line("synthid_bits " + label, bits);
    }
  }

  // Tokens in the vocabulary and beyond, the first of them early on the move.
  void greens(std::uint32_t vocab_size, std::uint32_t green_size) {
    const std::string label = std::to_string(vocab_size) + " " + std::to_string(green_size);
    std::vector<std::uint32_t> scratch(countermark_green_scratch(green_size));
    for (const std::size_t count : {0u, 1u, 2u, 5u, 8u, 16u, 19u, 40u}) {
      auto seeds = random_tokens(count), tokens = random_tokens(count);
      for (std::size_t i = 0; i < count; ++i)
        if (i % 7 != 6)
          tokens[i] = (i < 4 ? static_cast<std::uint32_t>(i) : tokens[i]) % vocab_size;
      if (count > 1) seeds[0] = 0;
      std::vector<std::uint8_t> out(count);
      kernel_->green_bits(seeds.data(), tokens.data(), count, vocab_size, green_size,
                          scratch.data(), out.data());
      line("green_bits " + label, out);
    }
    std::vector<std::uint32_t> swaps(countermark_swaps_room(green_size));
    kernel_->swaps(static_cast<std::uint32_t>(random_.next()), vocab_size, green_size,
                   swaps.data());
    swaps.resize(green_size);
    line("swaps " + label, swaps);
  }

  // A row in each type: the k largest exactly, and the winner of the race.
  void rows(const std::string& name, const std::vector<float>& row) {
    const std::string label = name + " " + std::to_string(row.size());
    std::vector<std::uint16_t> upper(row.size()), half(row.size());
    for (std::size_t i = 0; i < row.size(); ++i) {
      upper[i] = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(row[i]) >> 16);
      half[i] = static_cast<std::uint16_t>(upper[i] * 7);  // any bits, infinities and NaN too
    }
    one_row("f32 " + label, {row.data(), row.size(), COUNTERMARK_LOGIT_F32});
    one_row("bf16 " + label, {upper.data(), row.size(), COUNTERMARK_LOGIT_BF16});
    one_row("f16 " + label, {half.data(), row.size(), COUNTERMARK_LOGIT_F16});
  }

  void one_row(const std::string& label, const CountermarkLogits& row) {
    std::vector<float> scratch(countermark_top_scratch(row.size));
    std::vector<std::uint64_t> keys(row.size);
    std::uint64_t best = 0;
    for (const std::size_t k : {1u, 2u, 50u, 1000u, 100'000u}) {
      std::vector<std::uint64_t> found(row.size);
      found.resize(kernel_->top_candidates(&row, k, scratch.data(), found.data()));
      std::sort(found.rbegin(), found.rend());
      found.resize(std::min(k, found.size()));
      if (!found.empty()) best = found[0];
      line("top " + std::to_string(k) + " " + label, found);
    }
    const bool is_infinite = (best >> 32) == (0x7f800000u ^ 0x80000000u);
    if (best == 0 || is_infinite) return;
    const auto order = static_cast<std::uint32_t>(best >> 32);
    const float largest = std::bit_cast<float>(order >> 31 != 0 ? order & 0x7fffffff : ~order);
    std::vector<double> totals;
    for (const double temperature : {1.0, 0.3, 1e-3})
      totals.push_back(kernel_->row_total(&row, largest, temperature));
    line("total " + label, totals);
    const auto state = random_bytes(16), tag = random_bytes(12);
    std::vector<std::uint32_t> winners;
    for (const double temperature : {1.0, 0.3, 5.0, 1e-3, 1e6})
      winners.push_back(kernel_->race_row(&key_, state.data(), tag.data(), &row,
                                          ~static_cast<std::uint32_t>(best), temperature));
    line("race " + label, winners);
  }

  const CountermarkKernel* kernel_;
  CountermarkAesKey key_{};
  RandomNumbers random_{20};
  std::vector<std::string> lines_{};
};

}  // namespace countermark::tests
