// SPDX-License-Identifier: Apache-2.0
// The score's bound at every one of the 2^32 words: 0 <= 2^20 * -ln(1 - word / 2^32) - s <= 6.17,
// and s does not fall. The p-values of the native mark rest on it.
//
// The logarithm is the C library's in long double, 64 bits of fraction here: its error is below
// 1e-17 relative, 1e-9 of a unit of the score at most. Word 0 alone is 0 by definition.
//
// Usage: study_score_bound
#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>

#include "tests/studies/common.h"
#include "watermark/marks/exponential_score.h"

int main() {
  using namespace countermark;
  using namespace countermark::studies;
  static_assert(std::numeric_limits<long double>::digits >= 64,
                "double has too few bits for this proof");
  constexpr std::uint64_t kWords = std::uint64_t{1} << 32;
  constexpr std::uint64_t kParts = 4'096;

  std::mutex mutex;
  long double least = std::numeric_limits<long double>::infinity();
  long double most = -least;
  std::uint64_t sum = 0;
  bool rises = true;
  in_parallel(kParts, "parts", [&](std::uint64_t part) {
    const std::uint64_t begin = part * (kWords / kParts);
    long double part_least = std::numeric_limits<long double>::infinity();
    long double part_most = -part_least;
    std::uint64_t part_sum = 0;
    bool part_rises = true;
    std::uint32_t before =
        begin == 0 ? 0 : exponential_score(static_cast<std::uint32_t>(begin - 1));
    for (std::uint64_t word = begin; word < begin + kWords / kParts; ++word) {
      const std::uint32_t score = exponential_score(static_cast<std::uint32_t>(word));
      const long double exact = 0x1p20L * -std::log1p(-static_cast<long double>(word) * 0x1p-32L);
      part_least = std::min(part_least, exact - score);
      part_most = std::max(part_most, exact - score);
      part_rises = part_rises && score >= before;
      before = score;
      part_sum += score;
    }
    const std::scoped_lock lock(mutex);
    least = std::min(least, part_least);
    most = std::max(most, part_most);
    sum += part_sum;
    rises = rises && part_rises;
  });

  std::printf("%llu words: exact value minus score from %.6Lf to %.6Lf units of 2^-20\n",
              static_cast<unsigned long long>(kWords), least, most);
  // 2^52 is 2^32 words times 2^20 units.
  std::printf("mean score 1 - %.3e; an exponential's is 1\n",
              1 - static_cast<double>(sum) * 0x1p-52);
  Checks checks;
  checks.add("never above the exponential", least >= 0);
  checks.add("never more than 6.17 units below", most <= 6.17L);
  checks.add("never falls", rises);
  return checks.exit_code();
}
