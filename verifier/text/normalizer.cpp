// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/normalizer.h"

#include <utility>

namespace countermark::text {
namespace {

// The size of the white space that `text` begins with.
std::size_t space_before(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t next = at;
    if (!is_space(read_character(text, next))) break;
    at = next;
  }
  return at;
}

// Where the white space begins that `text` ends with.
std::size_t space_after(std::string_view text) {
  std::size_t end = text.size();
  while (end > 0) {
    const std::size_t begin = last_character(text.substr(0, end));
    std::size_t at = begin;
    if (!is_space(read_character(text, at))) break;
    end = begin;
  }
  return end;
}

}  // namespace

void Normalizer::add_form(Form form) {
  only_nfc_ = only_nfc_ && form == Form::kNfc;
  steps_.push_back([form](std::string& text) -> Status {
    text = to_form(text, form);
    return {};
  });
}

void Normalizer::add_lower_case() {
  only_nfc_ = false;
  steps_.push_back([](std::string& text) -> Status {
    text = to_lower(text);
    return {};
  });
}

void Normalizer::add_strip(bool left, bool right) {
  only_nfc_ = false;
  keeps_start_ = keeps_start_ && !left;
  steps_.push_back([left, right](std::string& text) -> Status {
    if (right) text.resize(space_after(text));
    if (left) text.erase(0, space_before(text));
    return {};
  });
}

void Normalizer::add_prefix(std::string prefix) {
  only_nfc_ = false;
  steps_.push_back([prefix = std::move(prefix)](std::string& text) -> Status {
    if (!text.empty()) text.insert(0, prefix);
    return {};
  });
}

void Normalizer::add_replacement(const std::string& literal, std::string content) {
  only_nfc_ = false;
  // One character for another keeps its place.
  keeps_start_ = keeps_start_ && !content.empty() && code_points(literal).size() == 1;
  steps_.push_back([literal, content = std::move(content)](std::string& text) -> Status {
    std::string out;
    std::size_t begin = 0;
    for (;;) {
      const std::size_t found = text.find(literal, begin);
      if (found == text.npos) break;
      out.append(text, begin, found - begin).append(content);
      begin = found + literal.size();
    }
    if (begin > 0) text = std::move(out.append(text, begin));
    return {};
  });
}

void Normalizer::add_replacement(CompiledPattern pattern, std::string content) {
  only_nfc_ = false;
  keeps_start_ = false;
  steps_.push_back(
      [pattern = std::move(pattern), content = std::move(content)](std::string& text) -> Status {
        const auto memory = CompiledPattern::memory();
        std::string out;
        std::size_t begin = 0;
        while (begin < text.size()) {
          COUNTERMARK_TRY(const auto match, pattern.find(text, begin, memory));
          out.append(text, begin, match.begin - begin);
          if (match.begin < match.end) out += content;
          begin = match.end;
        }
        text = std::move(out);
        return {};
      });
}

void Normalizer::add_charsmap(Charsmap charsmap) {
  only_nfc_ = false;
  keeps_start_ = false;
  steps_.push_back([charsmap = std::move(charsmap)](std::string& text) -> Status {
    text = charsmap.apply(text);
    return {};
  });
}

Result<std::string_view> Normalizer::apply(std::string_view text, std::string& memory) const {
  if (steps_.empty() || (only_nfc_ && is_surely_nfc(text))) return text;
  memory = text;
  for (const Step& step : steps_) COUNTERMARK_CHECK(step(memory));
  return std::string_view(memory);
}

}  // namespace countermark::text
