// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/pretokenizer.h"

#include <string>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace countermark::text {
namespace {

// The property White_Space.
#define SPACE \
  R"(\x09-\x0d\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})"

// General category L; the ranges are those of Unicode 16.0 that Unicode 14.0 did not assign.
#define LETTER                                                                               \
  R"(\p{L}\x{1c89}-\x{1c8a}\x{a7cb}-\x{a7cd}\x{a7da}-\x{a7dc}\x{105c0}-\x{105f3})"           \
  R"(\x{10d4a}-\x{10d65}\x{10d6f}-\x{10d85}\x{10ec2}-\x{10ec4}\x{1123f}-\x{11240})"          \
  R"(\x{11380}-\x{11389}\x{1138b}\x{1138e}\x{11390}-\x{113b5}\x{113b7}\x{113d1}\x{113d3})"   \
  R"(\x{11bc0}-\x{11be0}\x{11f02}\x{11f04}-\x{11f10}\x{11f12}-\x{11f33}\x{1342f})"           \
  R"(\x{13441}-\x{13446}\x{13460}-\x{143fa}\x{16100}-\x{1611d}\x{16d40}-\x{16d6c}\x{18cff})" \
  R"(\x{1b132}\x{1b155}\x{1df25}-\x{1df2a}\x{1e030}-\x{1e06d}\x{1e4d0}-\x{1e4eb})"           \
  R"(\x{1e5d0}-\x{1e5ed}\x{1e5f0}\x{2b739}\x{2ebf0}-\x{2ee5d}\x{31350}-\x{323af})"

// General category N, in the same way.
#define NUMBER                                                                           \
  R"(\p{N}\x{10d40}-\x{10d49}\x{116d0}-\x{116e3}\x{11bf0}-\x{11bf9}\x{11f50}-\x{11f59})" \
  R"(\x{16130}-\x{16139}\x{16d70}-\x{16d79}\x{1ccf0}-\x{1ccf9}\x{1d2c0}-\x{1d2d3})"      \
  R"(\x{1e4f0}-\x{1e4f9}\x{1e5f1}-\x{1e5fa})"

// GPT-2's encoder.py, "pat". Some alternative matches wherever a character stands.
constexpr const char* kPattern =
    R"('(?:[sdmt]|ll|ve|re)| ?[)" LETTER R"(]+| ?[)" NUMBER R"(]+| ?[^)" SPACE LETTER NUMBER
    R"(]+|[)" SPACE R"(]+(?![^)" SPACE R"(])|[)" SPACE R"(]+)";
#undef SPACE
#undef LETTER
#undef NUMBER

std::string pcre2_message(int number) {
  PCRE2_UCHAR text[256] = {};
  pcre2_get_error_message(number, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

PCRE2_SPTR pcre2_text(const char* text) { return reinterpret_cast<PCRE2_SPTR>(text); }

}  // namespace

Result<Pretokenizer> Pretokenizer::create() {
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(pcre2_text(kPattern), PCRE2_ZERO_TERMINATED,
                                   PCRE2_UTF | PCRE2_UCP, &error, &offset, nullptr);
  if (code == nullptr)
    return fail(ErrorCode::kInternal, "cannot compile GPT-2's pattern: " + pcre2_message(error));
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // where there is no JIT, pcre2_match interprets
  return Pretokenizer(std::shared_ptr<const pcre2_code>(
      code, [code](const pcre2_code*) { pcre2_code_free(code); }));
}

Pieces::Pieces(const Pretokenizer& pretokenizer, std::string_view text)
    : code_(pretokenizer.code_.get()),
      match_(pcre2_match_data_create(1, nullptr), pcre2_match_data_free),
      text_(text) {}

Result<std::string_view> Pieces::next() {
  if (at_ == text_.size()) return std::string_view{};
  const int found = pcre2_match(code_, pcre2_text(text_.data()), text_.size(), at_,
                                PCRE2_NO_UTF_CHECK, match_.get(), nullptr);
  const PCRE2_SIZE* const span = pcre2_get_ovector_pointer(match_.get());
  if (found < 1 || span[0] != at_ || span[1] <= at_)
    return fail(ErrorCode::kInternal, "cannot split text at byte " + std::to_string(at_) + ": " +
                                          (found < 0 ? pcre2_message(found) : "a gap"));
  at_ = span[1];
  return text_.substr(span[0], span[1] - span[0]);
}

}  // namespace countermark::text
