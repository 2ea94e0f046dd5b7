// SPDX-License-Identifier: Apache-2.0
// What a Hugging Face tokenizer does to the characters of a text before it cuts it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "verifier/text/charsmap.h"
#include "verifier/text/compiled_pattern.h"
#include "verifier/text/unicode_text.h"
#include "watermark/error.h"

namespace countermark::text {

// A list of steps, each of which works on what the one before it leaves; none at first. Immutable
// once it is made; may be used by many threads at once.
class Normalizer {
 public:
  void add_form(Form form);
  void add_lower_case();
  // Takes white space off either end.
  void add_strip(bool left, bool right);
  // Puts `prefix` before a text that is not empty.
  void add_prefix(std::string prefix);
  // Puts `content` in the place of every match, from the left.
  void add_replacement(const std::string& literal, std::string content);
  void add_replacement(CompiledPattern pattern, std::string content);
  void add_charsmap(Charsmap charsmap);

  // Whether what comes out begins with what the first character has become, whatever it is.
  bool keeps_start() const { return keeps_start_; }

  // `text`, which is valid UTF-8, after all steps: itself where they would not change it, or else
  // `memory`. kInternal when PCRE2 gives up.
  Result<std::string_view> apply(std::string_view text, std::string& memory) const;

 private:
  using Step = std::function<Status(std::string& text)>;

  std::vector<Step> steps_{};
  bool only_nfc_ = true;
  bool keeps_start_ = true;
};

}  // namespace countermark::text
