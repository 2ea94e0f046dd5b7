// SPDX-License-Identifier: Apache-2.0
// A regular expression that PCRE2 has compiled.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "watermark/error.h"

struct pcre2_real_code_8;        // pcre2_code
struct pcre2_real_match_data_8;  // pcre2_match_data

namespace countermark::text {

// Immutable; may be used by many threads at once, each with its own memory.
class CompiledPattern {
 public:
  // `pattern` is as PCRE2 reads it (pattern.h); it sees characters, or single bytes with
  // `on_bytes`. kUnsupported when it does not compile or matches the empty string.
  static Result<CompiledPattern> create(const std::string& pattern, bool on_bytes = false);

  // What a search works in, reused from one to the next.
  using Memory = std::shared_ptr<pcre2_real_match_data_8>;
  static Memory memory();

  struct Match {
    std::size_t begin;  // the end of the text where there is none
    std::size_t end;
  };
  // The first match from `at` on in `text`, which is valid UTF-8. kInternal when PCRE2 gives up.
  Result<Match> find(std::string_view text, std::size_t at, const Memory& memory) const;

 private:
  explicit CompiledPattern(std::shared_ptr<const pcre2_real_code_8> code)
      : code_(std::move(code)) {}

  std::shared_ptr<const pcre2_real_code_8> code_;
};

}  // namespace countermark::text
