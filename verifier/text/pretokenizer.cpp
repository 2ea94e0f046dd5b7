// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/pretokenizer.h"

#include <utility>

#include "verifier/text/pattern.h"

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

Result<std::shared_ptr<const pcre2_code>> compile(const Cut& cut) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  const std::uint32_t options = cut.on_bytes ? 0 : PCRE2_UTF | PCRE2_UCP;
  pcre2_code* code =
      pcre2_compile(pcre2_text(cut.pattern), cut.pattern.size(), options, &error, &offset, nullptr);
  if (code == nullptr)
    return fail(ErrorCode::kUnsupported, "a pattern does not compile: " + pcre2_message(error));
  std::shared_ptr<const pcre2_code> shared(code,
                                           [code](const pcre2_code*) { pcre2_code_free(code); });
  std::uint32_t matches_empty = 0;
  pcre2_pattern_info(code, PCRE2_INFO_MATCHEMPTY, &matches_empty);
  if (matches_empty != 0)
    return fail(ErrorCode::kUnsupported, "a pattern that matches nothing at all is not supported");
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // where there is no JIT, pcre2_match interprets
  return shared;
}

}  // namespace

Cut gpt2_cut() {
  // Some alternative matches wherever a character stands.
  return {*pcre2_pattern(R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|)"
                         R"(\s+(?!\S)|\s+)")};
}

Cut byte_digits_cut() { return {R"([0-9\xb2\xb3\xb9\xbc-\xbe]+)", Cut::Keep::kAll, true}; }
Cut byte_triples_cut() { return {"[0-9][0-9][0-9]", Cut::Keep::kAll, true}; }

Result<Pretokenizer> Pretokenizer::create(const std::vector<Cut>& cuts) {
  std::vector<Compiled> compiled;
  for (const Cut& cut : cuts) {
    COUNTERMARK_TRY(auto code, compile(cut));
    compiled.push_back({std::move(code), cut.keep});
  }
  return Pretokenizer(std::move(compiled));
}

Pieces::Pieces(const Pretokenizer& pretokenizer, std::string_view text)
    : text_(text), match_(pcre2_match_data_create(1, nullptr), pcre2_match_data_free) {
  levels_.reserve(pretokenizer.cuts_.size());
  for (const auto& cut : pretokenizer.cuts_) levels_.push_back({&cut});
}

Status Pieces::find(Level& level) {
  const auto match = [&](std::uint32_t options) {
    return pcre2_match(level.cut->code.get(), pcre2_text(level.text), level.text.size(), level.at,
                       PCRE2_NO_UTF_CHECK | options, match_.get(), nullptr);
  };
  int found = match(0);
  // The interpreter has its stack on the heap.
  if (found == PCRE2_ERROR_JIT_STACKLIMIT) found = match(PCRE2_NO_JIT);
  const PCRE2_SIZE* const span = pcre2_get_ovector_pointer(match_.get());
  if (found == PCRE2_ERROR_NOMATCH) {
    level.begin = level.end = level.text.size();
  } else if (found >= 0) {
    level.begin = span[0];
    level.end = span[1];
  } else {
    return fail(ErrorCode::kInternal, "cannot cut text: " + pcre2_message(found));
  }
  level.found = true;
  return {};
}

Result<std::string_view> Pieces::next(std::size_t number) {
  if (number == 0) return std::exchange(text_, {});
  Level& level = levels_[number - 1];
  for (;;) {
    if (level.at == level.text.size()) {
      COUNTERMARK_TRY(level.text, next(number - 1));
      if (level.text.empty()) return level.text;
      level.at = 0;
      level.found = false;
    }
    if (!level.found) COUNTERMARK_CHECK(find(level));
    const bool is_gap = level.at < level.begin;
    const std::size_t end = is_gap ? level.begin : level.end;
    const std::string_view piece = level.text.substr(level.at, end - level.at);
    level.at = end;
    if (!is_gap) level.found = false;
    if (level.cut->keep != (is_gap ? Cut::Keep::kMatches : Cut::Keep::kGaps)) return piece;
  }
}

}  // namespace countermark::text
