// SPDX-License-Identifier: Apache-2.0
// Any text through the scanners of known patterns, which cut as PCRE2 does with the patterns.
#include <algorithm>
#include <iterator>
#include <vector>

#include "tests/fuzz/fuzz.h"
#include "verifier/text/known_patterns.h"
#include "verifier/text/scanner.h"

namespace {

using countermark::fuzz::must;
using countermark::fuzz::require;
using countermark::text::Cut;
using countermark::text::Family;
using countermark::text::Pieces;
using countermark::text::Pretokenizer;
using countermark::text::Scan;
using countermark::text::Scanner;
using countermark::text::TextKernel;

struct Known {
  explicit Known(Family family)
      : cuts(must(countermark::text::cuts_of(family), "the family has cuts")),
        scan(countermark::text::scan_of(cuts)),
        pcre2(must(Pretokenizer::create(cuts, Pretokenizer::Method::kPcre2), "the cuts compile")) {}

  std::vector<Cut> cuts;
  const Scan* scan;
  Pretokenizer pcre2;
};

const Known& known(std::uint32_t index) {
  static const std::vector<Known> kKnown = {
      Known(Family::kGpt2),          Known(Family::kLlama3),     Known(Family::kQwen2),
      Known(Family::kGpt4),          Known(Family::kGpt4o),      Known(Family::kDeepSeek3),
      Known(Family::kDeepSeekCoder), Known(Family::kDeepSeekLlm)};
  return kKnown[index % kKnown.size()];
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  countermark::fuzz::Input input(data, size);
  const Known& family = known(input.byte());
  std::vector<std::uint32_t> ends(1 + input.byte());
  const std::string text = countermark::replace_invalid_utf8(input.rest());
  std::vector<const char*> expected;
  Pieces pieces(family.pcre2, text);
  for (;;) {
    const std::string_view piece = must(pieces.next(), "valid text can be cut");
    if (piece.empty()) break;
    expected.push_back(piece.data() + piece.size());
  }
  for (const TextKernel* kernel : countermark::text::all_text_kernels()) {
    if (kernel->supported() == 0) continue;
    Scanner scanner(*family.scan, *kernel, text);
    auto next = expected.begin();
    while (!scanner.is_at_end()) {
      const char* const begin = scanner.position();
      const std::size_t count = scanner.next(ends);
      require(count != 0, "there are pieces up to the end");
      for (std::size_t i = 0; i < count; ++i)
        require(next != expected.end() && begin + ends[i] == *next++,
                "the scanner cuts where PCRE2 does");
    }
    require(next == expected.end(), "the scanner finds every piece");
  }
  return 0;
}
