// SPDX-License-Identifier: Apache-2.0
#include "watermark/marks/green_list_mark.h"

#include "watermark/prf/torch_generator.h"

namespace countermark::internal {
namespace {

// The salt that lm-watermarking publishes: its table serves every key, and is made once.
constexpr std::uint64_t kUsualSeed = 2'971'215'073;

std::shared_ptr<const std::vector<std::uint32_t>> make_table(std::uint64_t seed) {
  return std::make_shared<const std::vector<std::uint32_t>>(
      TorchGenerator(seed).randperm(1'000'003));
}

}  // namespace

HashTable::HashTable(std::uint64_t seed) {
  static const auto kUsual = make_table(kUsualSeed);
  table_ = seed == kUsualSeed ? kUsual : make_table(seed);
}

}  // namespace countermark::internal
