// SPDX-License-Identifier: Apache-2.0
#include "watermark/prf/green_list.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <numeric>
#include <optional>
#include <utility>

#include "watermark/prf/torch_generator.h"

namespace countermark {
namespace {

// A list takes as long as 5 tokens one by one in vectors of 16 bytes, and as 17 in those of 64.
constexpr std::size_t kTokensOfAList = 10;

// Makes lists in memory of its own, which is most of what a list costs.
class Shuffler {
 public:
  Shuffler(std::uint32_t vocab_size, std::uint32_t green_size, const Kernel& kernel)
      : kernel_(&kernel),
        vocab_size_(vocab_size),
        green_size_(green_size),
        order_(vocab_size),
        swaps_(countermark_swaps_room(green_size)),
        list_((std::size_t{vocab_size} + 63) / 64) {}

  const std::vector<std::uint64_t>& list(std::uint32_t seed) {
    std::iota(order_.begin(), order_.end(), 0U);
    std::fill(list_.begin(), list_.end(), 0);
    const auto add = [&](TokenId token) { list_[token / 64] |= std::uint64_t{1} << token % 64; };
    if (green_size_ == vocab_size_) {
      std::for_each(order_.begin(), order_.end(), add);
    } else if (green_size_ != 0) {
      kernel_->swaps(seed, vocab_size_, green_size_, swaps_.data());
      // What comes to place i is not looked at again.
      for (std::uint32_t i = 0; i < green_size_; ++i)
        add(std::exchange(order_[i + swaps_[i]], order_[i]));
    }
    return list_;
  }

 private:
  const Kernel* kernel_;
  std::uint32_t vocab_size_, green_size_;
  std::vector<TokenId> order_;
  std::vector<std::uint32_t> swaps_;
  std::vector<std::uint64_t> list_;
};

}  // namespace

void green_bits(std::span<const std::uint32_t> seeds, TokenSpan tokens, std::uint32_t vocab_size,
                std::uint32_t green_size, std::span<std::uint8_t> out, const Kernel* kernel) {
  assert(seeds.size() == out.size() && tokens.size() == out.size());
  assert(green_size <= vocab_size && vocab_size < TorchGenerator::kMaxPermutation);
  if (green_size == 0 || green_size == vocab_size) {
    for (std::size_t n = 0; n < out.size(); ++n)
      out[n] = green_size != 0 && tokens[n] < vocab_size ? 1 : 0;
    return;
  }
  std::vector<std::size_t> order(out.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return seeds[a] < seeds[b]; });
  std::vector<std::uint32_t> few_seeds, few_tokens;
  std::vector<std::size_t> few;
  std::optional<Shuffler> shuffler;
  for (auto first = order.begin(); first != order.end();) {
    const std::uint32_t seed = seeds[*first];
    const auto last =
        std::find_if(first, order.end(), [&](std::size_t n) { return seeds[n] != seed; });
    if (static_cast<std::size_t>(last - first) < kTokensOfAList) {
      for (auto n = first; n != last; ++n) {
        few.push_back(*n);
        few_seeds.push_back(seed);
        few_tokens.push_back(tokens[*n]);
      }
    } else {
      if (!shuffler) shuffler.emplace(vocab_size, green_size, kernel_or_active(kernel));
      const std::vector<std::uint64_t>& list = shuffler->list(seed);
      for (auto n = first; n != last; ++n) {
        const TokenId token = tokens[*n];
        out[*n] = token < vocab_size && (list[token / 64] >> token % 64 & 1) != 0 ? 1 : 0;
      }
    }
    first = last;
  }
  std::vector<std::uint32_t> scratch(countermark_green_scratch(green_size));
  std::vector<std::uint8_t> found(few.size());
  kernel_or_active(kernel).green_bits(few_seeds.data(), few_tokens.data(), few.size(), vocab_size,
                                      green_size, scratch.data(), found.data());
  for (std::size_t i = 0; i < few.size(); ++i) out[few[i]] = found[i];
}

std::vector<std::uint64_t> green_list(std::uint32_t seed, std::uint32_t vocab_size,
                                      std::uint32_t green_size, const Kernel* kernel) {
  return Shuffler(vocab_size, green_size, kernel_or_active(kernel)).list(seed);
}

}  // namespace countermark
