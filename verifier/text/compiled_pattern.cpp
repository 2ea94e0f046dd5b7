// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/compiled_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace countermark::text {
namespace {

std::string pcre2_message(int number) {
  PCRE2_UCHAR text[256] = {};
  pcre2_get_error_message(number, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

PCRE2_SPTR pcre2_text(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

}  // namespace

Result<CompiledPattern> CompiledPattern::create(const std::string& pattern, bool on_bytes) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  const std::uint32_t options = on_bytes ? 0 : PCRE2_UTF | PCRE2_UCP;
  pcre2_code* code =
      pcre2_compile(pcre2_text(pattern), pattern.size(), options, &error, &offset, nullptr);
  if (code == nullptr)
    return fail(ErrorCode::kUnsupported, "a pattern does not compile: " + pcre2_message(error));
  std::shared_ptr<const pcre2_code> shared(code,
                                           [code](const pcre2_code*) { pcre2_code_free(code); });
  std::uint32_t matches_empty = 0;
  pcre2_pattern_info(code, PCRE2_INFO_MATCHEMPTY, &matches_empty);
  if (matches_empty != 0)
    return fail(ErrorCode::kUnsupported, "a pattern that matches nothing at all is not supported");
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // where there is no JIT, pcre2_match interprets
  return CompiledPattern(std::move(shared));
}

CompiledPattern::Memory CompiledPattern::memory() {
  return {pcre2_match_data_create(1, nullptr), pcre2_match_data_free};
}

Result<CompiledPattern::Match> CompiledPattern::find(std::string_view text, std::size_t at,
                                                     const Memory& memory) const {
  const auto match = [&](std::uint32_t options) {
    return pcre2_match(code_.get(), pcre2_text(text), text.size(), at, PCRE2_NO_UTF_CHECK | options,
                       memory.get(), nullptr);
  };
  int found = match(0);
  // The interpreter has its stack on the heap.
  if (found == PCRE2_ERROR_JIT_STACKLIMIT) found = match(PCRE2_NO_JIT);
  const PCRE2_SIZE* const span = pcre2_get_ovector_pointer(memory.get());
  if (found == PCRE2_ERROR_NOMATCH) return Match{text.size(), text.size()};
  if (found < 0) return fail(ErrorCode::kInternal, "cannot cut text: " + pcre2_message(found));
  return Match{span[0], span[1]};
}

}  // namespace countermark::text
