// SPDX-License-Identifier: Apache-2.0
#include "watermark/kernels/dispatch.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

namespace countermark {
namespace {

constexpr std::array kKernels = {
#if defined(__x86_64__)
    &countermark_kernel_vaes512,
    &countermark_kernel_avx512,
    &countermark_kernel_aesni,
#elif defined(__aarch64__)
    &countermark_kernel_armv8,
#endif
    &countermark_kernel_portable,
};

constexpr unsigned kMaxContext = 16;  // tokens

Result<const Kernel*> choose() {
  const char* forced = std::getenv("COUNTERMARK_KERNEL");
  if (forced != nullptr && *forced != '\0') {
    COUNTERMARK_TRY(const Kernel* kernel, find_kernel(forced));
    if (agrees_with_portable(*kernel)) return kernel;
    return fail(ErrorCode::kUnsupported,
                "the kernel '" + std::string(forced) + "' gives wrong answers on this machine");
  }
  for (const Kernel* kernel : kKernels)
    if (kernel->supported() != 0 && agrees_with_portable(*kernel)) return kernel;
  return &countermark_kernel_portable;
}

// What a kernel answers, every answer as a number.
std::vector<std::uint64_t> answers_of(const Kernel& kernel) {
  constexpr std::uint32_t kCount = 139;  // whole vectors of any width, and a rest
  constexpr double kTemperature = 0.7;
  std::array<std::uint32_t, kMaxContext + kCount> tokens;
  std::array<std::uint32_t, kCount> ends;
  std::array<float, kCount> logits;
  for (std::uint32_t i = 0; i < tokens.size(); ++i) tokens[i] = i * 2654435761U;  // of any size
  for (std::uint32_t i = 0; i < kCount; ++i) {
    ends[i] = kMaxContext + i;
    logits[i] = static_cast<float>(tokens[i] >> 8) * 0x1p-20F;  // 0 to 16
  }
  const float largest = *std::max_element(logits.begin(), logits.end());
  std::array<std::uint8_t, 16> secret;
  std::iota(secret.begin(), secret.end(), std::uint8_t{1});
  CountermarkAesKey key;
  kernel.expand_key(secret.data(), &key);

  std::vector<std::uint64_t> out;
  std::array<std::uint8_t, std::size_t{16} * kCount> states;
  for (unsigned width = 1; width <= kMaxContext; ++width) {
    kernel.context_states(&key, secret.data(), width, tokens.data(), ends.data(), kCount,
                          states.data());
    out.insert(out.end(), states.begin(), states.end());
  }
  std::array<std::uint8_t, states.size()> routed{};
  std::array<std::array<std::uint32_t, kCount + 16>, 3> positions;
  std::array<CountermarkColumn, 3> columns;
  for (std::size_t i = 0; i < columns.size(); ++i) columns[i] = {positions[i].data(), 0};
  const std::array<std::uint32_t, 2> bounds{20'000, 40'000};
  kernel.route(&key, secret.data(), 3, tokens.data(), nullptr, kMaxContext, kCount - kMaxContext,
               65'536, bounds.data(), bounds.size(), routed.data(), columns.data());
  out.insert(out.end(), routed.begin(), routed.end());
  for (const CountermarkColumn& column : columns)
    out.insert(out.end(), column.positions, column.positions + column.size);

  std::array<std::uint32_t, kCount> words;
  kernel.words(&key, states.data(), secret.data(), tokens.data(), kCount, words.data());
  out.insert(out.end(), words.begin(), words.end());
  kernel.words_of_state(&key, states.data(), secret.data(), tokens.data(), kCount, words.data());
  out.insert(out.end(), words.begin(), words.end());
  std::array<std::uint64_t, 2> sums;
  kernel.tallies(&key, states.data(), tokens.data(), kCount, states.data(), sums.size(),
                 sums.data());
  out.insert(out.end(), sums.begin(), sums.end());

  const auto take = [&](double value) { out.push_back(std::bit_cast<std::uint64_t>(value)); };
  std::array<double, kCount> weights;
  std::array<double, kCount> arrivals;
  kernel.weights(logits.data(), kCount, largest, kTemperature, weights.data());
  kernel.arrivals(words.data(), weights.data(), kCount, arrivals.data());
  std::for_each(weights.begin(), weights.end(), take);
  std::for_each(arrivals.begin(), arrivals.end(), take);
  const CountermarkLogits row{logits.data(), kCount, COUNTERMARK_LOGIT_F32};
  take(kernel.row_total(&row, largest, kTemperature));
  const auto leader = std::max_element(logits.begin(), logits.end()) - logits.begin();
  out.push_back(kernel.race_row(&key, states.data(), secret.data(), &row,
                                static_cast<std::uint32_t>(leader), kTemperature));

  constexpr unsigned kWidth = 5;
  constexpr std::size_t kContexts = kCount / kWidth;
  std::array<std::uint32_t, std::size_t{4} * kCount> blocks{};
  std::array<std::uint64_t, kCount> hashes;
  std::array<std::uint64_t, 64> addends;
  std::copy_n(out.end() - kCount, kCount, hashes.begin());
  std::copy_n(out.end() - addends.size(), addends.size(), addends.begin());
  const auto take_words = [&](std::size_t count) {
    out.insert(out.end(), words.begin(), words.begin() + static_cast<std::ptrdiff_t>(count));
  };
  kernel.vllm_states(hashes[0], kWidth, tokens.data(), kContexts, blocks.data(), 4);
  out.insert(out.end(), blocks.begin(), blocks.end());
  kernel.vllm_words(hashes[0], hashes[1], blocks.data(), 4, tokens.data(), 1, kCount, words.data());
  take_words(kCount);
  kernel.sbw_words(hashes.data(), tokens.data(), kCount, words.data());
  take_words(kCount);
  kernel.murmur_contexts(kWidth, tokens.data(), kContexts, words.data());
  take_words(kContexts);
  kernel.murmur_pairs(7, 2, words.data(), tokens.data(), kCount, words.data());
  take_words(kCount);
  kernel.scores(words.data(), kCount, words.data());
  take_words(kCount);
  kernel.synthid_bits(hashes.data(), tokens.data(), kCount, addends.data(), 30, hashes.data());
  out.insert(out.end(), hashes.begin(), hashes.end());

  constexpr std::uint32_t kVocabulary = 1500;
  constexpr std::uint32_t kGreen = 700;  // more than MT19937 makes at once
  std::vector<std::uint32_t> scratch(countermark_green_scratch(kGreen));
  std::vector<std::uint32_t> swaps(countermark_swaps_room(kGreen));
  std::array<std::uint8_t, kCount> green;
  for (std::uint32_t i = 0; i < kCount; ++i) words[i] = 2 * i;
  kernel.green_bits(tokens.data(), words.data(), kCount, kVocabulary, kGreen, scratch.data(),
                    green.data());
  out.insert(out.end(), green.begin(), green.end());
  kernel.swaps(tokens[1], kVocabulary, kGreen, swaps.data());
  out.insert(out.end(), swaps.begin(), swaps.begin() + kGreen);
  return out;
}

}  // namespace

std::span<const Kernel* const> all_kernels() noexcept { return kKernels; }

Result<const Kernel*> find_kernel(std::string_view name) {
  std::string available;
  for (const Kernel* kernel : kKernels) {
    if (kernel->supported() == 0) continue;
    if (kernel->name == name) return kernel;
    available += (available.empty() ? "" : ", ") + std::string(kernel->name);
  }
  return fail(ErrorCode::kUnsupported,
              "no kernel '" + std::string(name) + "' on this machine; available: " + available);
}

bool agrees_with_portable(const Kernel& kernel) {
  return &kernel == &countermark_kernel_portable ||
         answers_of(kernel) == answers_of(countermark_kernel_portable);
}

Result<const Kernel*> active_kernel() {
  static const Result<const Kernel*> kActive = choose();
  return kActive;
}

const Kernel& kernel_or_active(const Kernel* kernel) {
  return kernel != nullptr ? *kernel : *active_kernel().value_or(&countermark_kernel_portable);
}

}  // namespace countermark
