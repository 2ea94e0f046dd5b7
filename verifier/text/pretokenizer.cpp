// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/pretokenizer.h"

#include <utility>

#include "verifier/text/known_patterns.h"
#include "verifier/text/pattern.h"

namespace countermark::text {
namespace {

Error too_long() { return {ErrorCode::kUnsupported, "expected words of less than 4 GiB"}; }

}  // namespace

Cut gpt2_cut() {
  // Some alternative matches wherever a character stands.
  return {*pcre2_pattern(R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|)"
                         R"(\s+(?!\S)|\s+)")};
}

Cut byte_digits_cut() { return {R"([0-9\xb2\xb3\xb9\xbc-\xbe]+)", Cut::Keep::kAll, true}; }
Cut byte_triples_cut() { return {"[0-9][0-9][0-9]", Cut::Keep::kAll, true}; }

Result<Pretokenizer> Pretokenizer::create(const std::vector<Cut>& cuts, Method method) {
  const Scan* const scan = method == Method::kFastest ? scan_of(cuts) : nullptr;
  if (scan != nullptr) {
    COUNTERMARK_TRY(const TextKernel* kernel, active_text_kernel());
    return Pretokenizer({}, scan, kernel);
  }
  std::vector<Compiled> compiled;
  for (const Cut& cut : cuts) {
    COUNTERMARK_TRY(auto pattern, CompiledPattern::create(cut.pattern, cut.on_bytes));
    compiled.push_back({std::move(pattern), cut.keep});
  }
  return Pretokenizer(std::move(compiled), nullptr, nullptr);
}

Pieces::Pieces(const Pretokenizer& pretokenizer, std::string_view text) : text_(text) {
  if (pretokenizer.scan_ != nullptr) {
    scanner_.emplace(*pretokenizer.scan_, *pretokenizer.kernel_, text);
    return;
  }
  memory_ = CompiledPattern::memory();
  levels_.reserve(pretokenizer.cuts_.size());
  for (const auto& cut : pretokenizer.cuts_) levels_.push_back({&cut});
}

Status Pieces::find(Level& level, std::size_t from) {
  COUNTERMARK_TRY(const auto match, level.cut->pattern.find(level.text, from, memory_));
  level.begin = match.begin;
  level.end = match.end;
  level.found = true;
  return {};
}

Result<Pieces::Batch> Pieces::next(std::span<std::uint32_t> ends) {
  if (scanner_) {
    const char* const begin = scanner_->position();
    const std::size_t count = scanner_->next(ends);
    if (count == 0 && !scanner_->is_at_end()) return fail(too_long());
    return Batch{begin, count};
  }
  Batch batch{nullptr, 0};
  while (batch.count < ends.size()) {
    COUNTERMARK_TRY(const std::string_view piece, next());
    if (piece.empty()) break;
    if (piece.size() > UINT32_MAX) return fail(too_long());
    if (batch.count == 0) batch.begin = piece.data();
    const auto begin = static_cast<std::size_t>(piece.data() - batch.begin);
    if (begin != (batch.count == 0 ? 0 : ends[batch.count - 1]) ||
        begin + piece.size() > UINT32_MAX) {
      held_ = piece;
      break;
    }
    ends[batch.count++] = static_cast<std::uint32_t>(begin + piece.size());
  }
  return batch;
}

Result<std::string_view> Pieces::next() {
  if (scanner_) {
    std::uint32_t end = 0;
    COUNTERMARK_TRY(const Batch batch, next(std::span(&end, 1)));
    return std::string_view(batch.begin, end);
  }
  if (!held_.empty()) return std::exchange(held_, {});
  return next_of(levels_.size());
}

Result<std::string_view> Pieces::next_of(std::size_t number) {
  if (number == 0) return std::exchange(text_, {});
  Level& level = levels_[number - 1];
  for (;;) {
    if (level.at == level.text.size()) {
      COUNTERMARK_TRY(level.text, next_of(number - 1));
      level.at = 0;
      if (level.text.empty()) return level.text;
      level.found = false;
    }
    if (!level.found) COUNTERMARK_CHECK(find(level, level.at));
    const std::size_t begin = level.at;
    const auto piece_to = [&](std::size_t end) {
      level.at = end;
      return level.text.substr(begin, end - begin);
    };
    const Cut::Keep keep = level.cut->keep;
    if (begin < level.begin && keep != Cut::Keep::kWithPrevious) {
      const std::string_view gap = piece_to(level.begin);
      if (keep != Cut::Keep::kMatches) return gap;
      continue;
    }
    if (keep == Cut::Keep::kWithNext) {
      COUNTERMARK_CHECK(find(level, level.end));
      return piece_to(level.begin);
    }
    level.found = false;
    const std::string_view match = piece_to(level.end);
    if (keep != Cut::Keep::kGaps) return match;
  }
}

}  // namespace countermark::text
