// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/pattern.h"

#include <optional>

namespace countermark::text {
namespace {

// The property White_Space.
constexpr std::string_view kSpace =
    R"(\x09-\x0d\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";

// What Unicode 16.0 has beyond 14.0, by general category.
constexpr std::string_view kUpper =
    R"(\x{1c89}\x{a7cb}-\x{a7cc}\x{a7da}\x{a7dc}\x{10d50}-\x{10d65})";
constexpr std::string_view kLower =
    R"(\x{1c8a}\x{a7cd}\x{a7db}\x{10d70}-\x{10d85}\x{1df25}-\x{1df2a})";
constexpr std::string_view kModifier =
    R"(\x{10d4e}\x{10d6f}\x{16d40}-\x{16d42}\x{16d6b}-\x{16d6c}\x{1e030}-\x{1e06d})"
    R"(\x{1e4eb})";
constexpr std::string_view kOther =
    R"(\x{105c0}-\x{105f3}\x{10d4a}-\x{10d4d}\x{10d4f}\x{10ec2}-\x{10ec4})"
    R"(\x{1123f}-\x{11240}\x{11380}-\x{11389}\x{1138b}\x{1138e}\x{11390}-\x{113b5})"
    R"(\x{113b7}\x{113d1}\x{113d3}\x{11bc0}-\x{11be0}\x{11f02}\x{11f04}-\x{11f10})"
    R"(\x{11f12}-\x{11f33}\x{1342f}\x{13441}-\x{13446}\x{13460}-\x{143fa})"
    R"(\x{16100}-\x{1611d}\x{16d43}-\x{16d6a}\x{18cff}\x{1b132}\x{1b155})"
    R"(\x{1e4d0}-\x{1e4ea}\x{1e5d0}-\x{1e5ed}\x{1e5f0}\x{2b739}\x{2ebf0}-\x{2ee5d})"
    R"(\x{31350}-\x{323af})";
constexpr std::string_view kMark =
    R"(\x{897}\x{cf3}\x{ece}\x{10d69}-\x{10d6d}\x{10efc}-\x{10eff}\x{11241})"
    R"(\x{113b8}-\x{113c0}\x{113c2}\x{113c5}\x{113c7}-\x{113ca}\x{113cc}-\x{113d0})"
    R"(\x{113d2}\x{113e1}-\x{113e2}\x{11f00}-\x{11f01}\x{11f03}\x{11f34}-\x{11f3a})"
    R"(\x{11f3e}-\x{11f42}\x{11f5a}\x{13440}\x{13447}-\x{13455}\x{1611e}-\x{1612f})"
    R"(\x{1e08f}\x{1e4ec}-\x{1e4ef}\x{1e5ee}-\x{1e5ef})";
constexpr std::string_view kDecimal =
    R"(\x{10d40}-\x{10d49}\x{116d0}-\x{116e3}\x{11bf0}-\x{11bf9}\x{11f50}-\x{11f59})"
    R"(\x{16130}-\x{16139}\x{16d70}-\x{16d79}\x{1ccf0}-\x{1ccf9}\x{1e4f0}-\x{1e4f9})"
    R"(\x{1e5f1}-\x{1e5fa})";
constexpr std::string_view kOtherNumber = R"(\x{1d2c0}-\x{1d2d3})";
constexpr std::string_view kPunctuation =
    R"(\x{1b4e}-\x{1b4f}\x{1b7f}\x{10d6e}\x{113d4}-\x{113d5}\x{113d7}-\x{113d8})"
    R"(\x{11b00}-\x{11b09}\x{11be1}\x{11f43}-\x{11f4f}\x{16d6d}-\x{16d6f}\x{1e5ff})";
constexpr std::string_view kSymbol =
    R"(\x{2427}-\x{2429}\x{2ffc}-\x{2fff}\x{31e4}-\x{31e5}\x{31ef}\x{10d8e}-\x{10d8f})"
    R"(\x{1cc00}-\x{1ccef}\x{1cd00}-\x{1ceb3}\x{1f6dc}\x{1f774}-\x{1f776})"
    R"(\x{1f77b}-\x{1f77f}\x{1f7d9}\x{1f8b2}-\x{1f8bb}\x{1f8c0}-\x{1f8c1})"
    R"(\x{1fa75}-\x{1fa77}\x{1fa87}-\x{1fa89}\x{1fa8f}\x{1faad}-\x{1faaf})"
    R"(\x{1fabb}-\x{1fabf}\x{1fac6}\x{1face}-\x{1facf}\x{1fada}-\x{1fadc}\x{1fadf})"
    R"(\x{1fae8}-\x{1fae9}\x{1faf7}-\x{1faf8}\x{1fbcb}-\x{1fbef})";
constexpr std::string_view kLaterNumber = R"(\x{11de0}-\x{11de9}\x{16ff4}-\x{16ff6})";
constexpr std::string_view kLaterPunctuation =
    R"(\x{61d}\x{9fd}\x{a76}\x{c77}\x{c84}\x{1b7d}-\x{1b7e}\x{2e43}-\x{2e4f})"
    R"(\x{2e52}-\x{2e5d}\x{10ead}\x{10f55}-\x{10f59}\x{10f86}-\x{10f89})"
    R"(\x{1144b}-\x{1144f}\x{1145a}-\x{1145b}\x{1145d}\x{11660}-\x{1166c}\x{116b9})"
    R"(\x{1183b}\x{11944}-\x{11946}\x{119e2}\x{11a3f}-\x{11a46}\x{11a9a}-\x{11a9c})"
    R"(\x{11a9e}-\x{11aa2}\x{11c41}-\x{11c45}\x{11c70}-\x{11c71}\x{11ef7}-\x{11ef8})"
    R"(\x{11fff}\x{12ff1}-\x{12ff2}\x{16e97}-\x{16e9a}\x{16fe2}\x{1e95e}-\x{1e95f})";

std::string joined(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const std::string_view part : parts) text += part;
  return text;
}

// The inside of a class that has the general category `name`; nothing for one we do not know.
std::optional<std::string> category(std::string_view name) {
  if (name == "L") return joined({R"(\p{L})", kUpper, kLower, kModifier, kOther});
  if (name == "Lu") return joined({R"(\p{Lu})", kUpper});
  if (name == "Ll") return joined({R"(\p{Ll})", kLower});
  if (name == "Lt") return R"(\p{Lt})";
  if (name == "Lm") return joined({R"(\p{Lm})", kModifier});
  if (name == "Lo") return joined({R"(\p{Lo})", kOther});
  if (name == "M") return joined({R"(\p{M})", kMark});
  if (name == "N") return joined({R"(\p{N})", kDecimal, kOtherNumber});
  if (name == "Nd") return joined({R"(\p{Nd})", kDecimal});
  if (name == "P") return joined({R"(\p{P})", kPunctuation});
  if (name == "S") return joined({R"(\p{S})", kSymbol});
  return std::nullopt;
}

constexpr std::string_view kPunctuationMarks = R"(!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~)";
constexpr std::string_view kContractions[] = {"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
                                              "(?i:[sdmt]|ll|ve|re)"};

class Rewriter {
 public:
  explicit Rewriter(std::string_view pattern) : in_(pattern) {}

  Result<std::string> rewrite() {
    // Started anywhere in white space, the search would be quadratic; the first match of a run
    // begins where the run begins.
    if (in_ == R"(\s+$)") out_ += "(?<![" + std::string(kSpace) + "])";
    while (at_ < in_.size()) {
      if (in_[at_] == '[') {
        COUNTERMARK_CHECK(character_class());
      } else {
        COUNTERMARK_CHECK(element());
      }
    }
    return std::move(out_);
  }

 private:
  bool take(std::string_view text) {
    if (!in_.substr(at_).starts_with(text)) return false;
    at_ += text.size();
    return true;
  }

  // What stands at the current place, for people.
  tl::unexpected<Error> unknown(std::size_t size) const {
    return fail(ErrorCode::kUnsupported, "'" + std::string(in_.substr(at_, size)) + "' in '" +
                                             std::string(in_) + "' is not supported");
  }

  // After a backslash: a class, written as `open` … `close`, or a character that stands for itself.
  Status escape(std::string_view open, std::string_view close) {
    if (take(R"(\s)")) {
      out_ += joined({open, kSpace, close});
    } else if (take(R"(\d)")) {
      out_ += joined({open, *category("Nd"), close});
    } else if (in_.substr(at_).starts_with(R"(\p{)")) {
      const std::size_t end = in_.find('}', at_);
      const auto inside = category(in_.substr(at_ + 3, end == in_.npos ? end : end - at_ - 3));
      if (end == in_.npos || !inside) return unknown(end == in_.npos ? end : end + 1 - at_);
      out_ += joined({open, *inside, close});
      at_ = end + 1;
    } else if (at_ + 1 < in_.size() &&
               (kPunctuationMarks.find(in_[at_ + 1]) != kPunctuationMarks.npos ||
                in_[at_ + 1] == 'r' || in_[at_ + 1] == 'n' || in_[at_ + 1] == 't')) {
      out_ += in_.substr(at_, 2);
      at_ += 2;
    } else {
      return unknown(2);
    }
    return {};
  }

  Status character_class() {
    out_ += in_[at_++];
    if (take("^")) out_ += '^';
    if (in_.substr(at_).starts_with(']')) return unknown(1);
    // Both engines read a bracket, and Oniguruma also '&&', in their own ways.
    while (at_ < in_.size() && in_[at_] != ']') {
      if (in_[at_] == '[' || in_.substr(at_).starts_with("&&")) return unknown(2);
      if (in_[at_] == '\\') {
        COUNTERMARK_CHECK(escape("", ""));
      } else {
        out_ += in_[at_++];
      }
    }
    if (at_ == in_.size())
      return fail(ErrorCode::kUnsupported, "'" + std::string(in_) + "' lacks a ']'");
    out_ += in_[at_++];
    return {};
  }

  Status element() {
    for (const std::string_view contractions : kContractions) {
      if (!take(contractions)) continue;
      out_ += contractions;
      return {};
    }
    for (const std::string_view open : {"(?:", "(?=", "(?!"}) {
      if (!take(open)) continue;
      out_ += open;
      return {};
    }
    if (take(R"(\S)")) {
      out_ += joined({"[^", kSpace, "]"});
    } else if (take("$")) {
      out_ += R"((?=\n|\z))";
    } else if (in_[at_] == '\\') {
      return escape("[", "]");
    } else if (in_[at_] == '{') {
      return counts();
    } else if (in_[at_] == '.' || in_[at_] == '^' || in_.substr(at_).starts_with("(?")) {
      return unknown(3);
    } else {
      out_ += in_[at_++];
    }
    return {};
  }

  // {3}, {1,3} or {1,}; followed by '+' or '?' they mean something else to Oniguruma.
  Status counts() {
    const std::size_t end = in_.find('}', at_);
    if (end == in_.npos) return unknown(end);
    const std::string_view inside = in_.substr(at_ + 1, end - at_ - 1);
    const bool plain = !inside.empty() && inside.front() != ',' &&
                       inside.find_first_not_of("0123456789,") == inside.npos &&
                       inside.find(',') == inside.rfind(',');
    const char after = end + 1 < in_.size() ? in_[end + 1] : '\0';
    if (!plain || after == '+' || after == '?') return unknown(end + 2 - at_);
    out_ += in_.substr(at_, end + 1 - at_);
    at_ = end + 1;
    return {};
  }

  std::string_view in_;
  std::string out_{};
  std::size_t at_ = 0;
};

}  // namespace

Result<std::string> pcre2_pattern(std::string_view pattern) { return Rewriter(pattern).rewrite(); }

std::string literal_pattern(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    if (kPunctuationMarks.find(c) != kPunctuationMarks.npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

std::string digit_pattern() { return joined({"[", *category("N"), kLaterNumber, "]"}); }

std::string punctuation_pattern() {
  return "(?:(?![" + std::string(kLaterPunctuation) + R"(])[\p{P}$+<=>^`|~\x{166d}\x{111c9}]))";
}

namespace {

// Alphabetic, marks, decimal numbers, connectors and the two joiners.
std::string word_members() {
  return joined({*category("L"), *category("M"), *category("Nd"),
                 R"(\p{Nl}\p{Pc}\x{200c}\x{200d}\x{24b6}-\x{24e9}\x{1f130}-\x{1f149})",
                 R"(\x{1f150}-\x{1f169}\x{1f170}-\x{1f189})"});
}

}  // namespace

std::string word_character_pattern() { return "[" + word_members() + "]"; }

std::string words_pattern() {
  return joined({"[", word_members(), "]++|[^", word_members(), kSpace, "]++"});
}

std::string_view white_space_members() { return kSpace; }

std::span<const CategoryAddition> category_additions() {
  static constexpr CategoryAddition kAdditions[] = {
      {"Lu", kUpper},   {"Ll", kLower},       {"Lm", kModifier},   {"Lo", kOther}, {"M", kMark},
      {"Nd", kDecimal}, {"No", kOtherNumber}, {"P", kPunctuation}, {"S", kSymbol}};
  return kAdditions;
}

std::string_view later_number_members() { return kLaterNumber; }

}  // namespace countermark::text
