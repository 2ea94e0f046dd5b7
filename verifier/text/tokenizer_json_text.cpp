// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/tokenizer_json_text.h"

#include <utility>

#include "verifier/text/base64.h"
#include "verifier/text/pattern.h"

namespace countermark::text {
namespace {

using nlohmann::json;

// The pattern at `pointer`, an object with a String or a Regex, as PCRE2 reads it.
Result<std::string> pattern_at(const TokenizerFields& in, const std::string& pointer) {
  if (!in.value(pointer).is_object()) return in.bad(pointer, "expected an object");
  COUNTERMARK_CHECK(in.only(pointer, {"Regex", "String"}));
  std::string pattern;
  if (in.value(pointer + "/String").is_string()) {
    COUNTERMARK_TRY(pattern, in.file().string_at(pointer + "/String"));
    pattern = literal_pattern(pattern);
  } else {
    COUNTERMARK_TRY(const std::string regex, in.file().string_at(pointer + "/Regex"));
    auto rewritten = pcre2_pattern(regex);
    if (!rewritten) return in.unsupported(pointer + "/Regex", rewritten.error().message);
    pattern = std::move(*rewritten);
  }
  // Found here, where it has a name, what does not compile does not fail later without one.
  if (const auto compiled = CompiledPattern::create(pattern); !compiled)
    return in.unsupported(pointer, compiled.error().message);
  return pattern;
}

// Metaspace's prepend_scheme, which older files write as add_prefix_space.
Result<SpaceMark> space_mark_at(const TokenizerFields& in, const std::string& at) {
  COUNTERMARK_CHECK(in.only(
      at, {"type", "replacement", "str_rep", "add_prefix_space", "prepend_scheme", "split"}));
  SpaceMark mark;
  COUNTERMARK_TRY(mark.mark, in.file().string_at(at + "/replacement"));
  if (code_points(mark.mark).size() != 1)
    return in.bad(at + "/replacement", "expected one character");
  COUNTERMARK_CHECK(in.flag(at + "/add_prefix_space"));
  COUNTERMARK_CHECK(in.flag(at + "/split"));
  const std::string scheme = at + "/prepend_scheme";
  COUNTERMARK_CHECK(in.one_of(scheme, {nullptr, "always", "first", "never"}));
  mark.prefix = in.value(scheme) == "never"   ? SpaceMark::Prefix::kNever
                : in.value(scheme) == "first" ? SpaceMark::Prefix::kFirst
                                              : SpaceMark::Prefix::kAlways;
  if (in.value(at + "/add_prefix_space") == false && mark.prefix != SpaceMark::Prefix::kNever)
    return in.unsupported(at + "/add_prefix_space",
                          "false is only supported with prepend_scheme never");
  return mark;
}

class NormalizerParser {
 public:
  NormalizerParser(const TokenizerFields& fields, Normalizer& normalizer)
      : in_(fields), out_(normalizer) {}

  Status parse() {
    if (in_.value("/normalizer").is_null()) return {};
    return in_.components("/normalizer", "normalizers",
                          [this](const std::string& at) { return component(at); });
  }

 private:
  Status component(const std::string& at) {
    const json& type = in_.value(at + "/type");
    for (const auto& [name, form] :
         {std::pair("NFC", Form::kNfc), std::pair("NFD", Form::kNfd),
          std::pair("NFKC", Form::kNfkc), std::pair("NFKD", Form::kNfkd)}) {
      if (type != name) continue;
      out_.add_form(form);
      return in_.only(at, {"type"});
    }
    if (type == "Lowercase") {
      out_.add_lower_case();
      return in_.only(at, {"type"});
    }
    if (type == "Strip") return strip(at);
    if (type == "Prepend") return prepend(at);
    if (type == "Replace") return replace(at);
    if (type == "Precompiled") return precompiled(at);
    return in_.one_of(at + "/type", {});
  }

  Status strip(const std::string& at) {
    COUNTERMARK_CHECK(in_.only(at, {"type", "strip_left", "strip_right"}));
    COUNTERMARK_CHECK(in_.one_of(at + "/strip_left", {false, true}));
    COUNTERMARK_CHECK(in_.one_of(at + "/strip_right", {false, true}));
    out_.add_strip(in_.value(at + "/strip_left") == true, in_.value(at + "/strip_right") == true);
    return {};
  }

  Status prepend(const std::string& at) {
    COUNTERMARK_CHECK(in_.only(at, {"type", "prepend"}));
    COUNTERMARK_TRY(std::string prefix, in_.file().string_at(at + "/prepend"));
    out_.add_prefix(std::move(prefix));
    return {};
  }

  Status replace(const std::string& at) {
    COUNTERMARK_CHECK(in_.only(at, {"type", "pattern", "content"}));
    COUNTERMARK_TRY(std::string content, in_.file().string_at(at + "/content"));
    const std::string pattern = at + "/pattern";
    COUNTERMARK_TRY(const std::string rewritten, pattern_at(in_, pattern));
    if (in_.value(pattern + "/String").is_string()) {
      COUNTERMARK_TRY(const std::string literal, in_.file().string_at(pattern + "/String"));
      out_.add_replacement(literal, std::move(content));
    } else {
      COUNTERMARK_TRY(auto compiled, CompiledPattern::create(rewritten));
      out_.add_replacement(std::move(compiled), std::move(content));
    }
    return {};
  }

  Status precompiled(const std::string& at) {
    COUNTERMARK_CHECK(in_.only(at, {"type", "precompiled_charsmap"}));
    const std::string pointer = at + "/precompiled_charsmap";
    COUNTERMARK_TRY(const std::string encoded, in_.file().string_at(pointer));
    const auto blob = from_base64(encoded);
    auto map = blob ? Charsmap::parse(*blob) : std::nullopt;
    if (!map) return in_.bad(pointer, "expected a sound normalization trie in base64");
    out_.add_charsmap(std::move(*map));
    return {};
  }

  const TokenizerFields& in_;
  Normalizer& out_;
};

class PretokenizerParser {
 public:
  PretokenizerParser(const TokenizerFields& fields, TextRules& rules) : in_(fields), out_(rules) {}

  Status parse() {
    if (in_.value("/pre_tokenizer").is_null()) return {};
    return in_.components("/pre_tokenizer", "pretokenizers",
                          [this](const std::string& at) { return component(at); });
  }

 private:
  Status component(const std::string& at) {
    const json& type = in_.value(at + "/type");
    if (type == "Digits") return digits(at);
    if (type == "Split") return split(at);
    if (out_.on_bytes) return in_.one_of(at + "/type", {});
    if (type == "ByteLevel" && !has_mark_) return byte_level(at);
    if (type == "Metaspace" && !has_mark_) return metaspace(at);
    if (type == "Punctuation") return punctuation(at);
    if (type == "WhitespaceSplit") {
      add({"[" + std::string(white_space_members()) + "]++", Cut::Keep::kGaps});
      return in_.only(at, {"type"});
    }
    if (type == "Whitespace") {
      add({words_pattern(), Cut::Keep::kMatches});
      return in_.only(at, {"type"});
    }
    return in_.one_of(at + "/type", {});
  }

  void add(Cut cut) { out_.cuts.push_back(std::move(cut)); }

  Status byte_level(const std::string& at) {
    COUNTERMARK_CHECK(in_.only(at, {"type", "add_prefix_space", "trim_offsets", "use_regex"}));
    COUNTERMARK_CHECK(in_.flag(at + "/trim_offsets"));
    // After a cut it would put a space before every piece.
    if (out_.cuts.empty()) {
      COUNTERMARK_CHECK(in_.one_of(at + "/add_prefix_space", {false, true}));
    } else {
      COUNTERMARK_CHECK(in_.one_of(at + "/add_prefix_space", {false}));
    }
    COUNTERMARK_CHECK(in_.flag(at + "/use_regex"));
    if (in_.value(at + "/add_prefix_space") == true)
      out_.space_mark.prefix = SpaceMark::Prefix::kAlways;
    if (in_.value(at + "/use_regex") != false) add(gpt2_cut());
    out_.on_bytes = true;
    return {};
  }

  Status metaspace(const std::string& at) {
    COUNTERMARK_TRY(out_.space_mark, space_mark_at(in_, at));
    if (out_.space_mark.prefix == SpaceMark::Prefix::kFirst && !out_.normalizer.keeps_start())
      return in_.unsupported(at + "/prepend_scheme",
                             "'first' after a normalizer that may move the start is not supported");
    has_mark_ = true;
    if (!out_.cuts.empty()) out_.before = std::exchange(out_.cuts, {});
    if (in_.value(at + "/split") != false)
      add({literal_pattern(out_.space_mark.mark), Cut::Keep::kWithNext});
    return {};
  }

  Status digits(const std::string& at) {
    COUNTERMARK_CHECK(in_.only(at, {"type", "individual_digits"}));
    COUNTERMARK_CHECK(in_.one_of(at + "/individual_digits", {false, true}));
    const bool individual = in_.value(at + "/individual_digits") == true;
    if (out_.on_bytes) {
      COUNTERMARK_CHECK(in_.one_of(at + "/individual_digits", {false}));
      add(byte_digits_cut());
    } else {
      add({digit_pattern() + (individual ? "" : "+")});
    }
    return {};
  }

  Status punctuation(const std::string& at) {
    COUNTERMARK_CHECK(in_.only(at, {"type", "behavior"}));
    Cut cut{punctuation_pattern()};
    if (in_.value(at + "/behavior") == "Contiguous") {
      cut.pattern += "++";
    } else {
      COUNTERMARK_TRY(cut.keep, behavior(at + "/behavior"));
    }
    add(std::move(cut));
    return {};
  }

  Status split(const std::string& at) {
    COUNTERMARK_CHECK(in_.only(at, {"type", "pattern", "behavior", "invert"}));
    Cut cut;
    COUNTERMARK_TRY(cut.keep, behavior(at + "/behavior"));
    COUNTERMARK_CHECK(in_.one_of(at + "/invert", {false, true}));
    if (in_.value(at + "/invert") == true) {
      COUNTERMARK_CHECK(in_.one_of(at + "/behavior", {"Isolated", "Removed"}));
      if (cut.keep == Cut::Keep::kGaps) cut.keep = Cut::Keep::kMatches;
    }
    const std::string pattern = at + "/pattern";
    if (out_.on_bytes) {
      if (!in_.value(pattern).is_object()) return in_.bad(pattern, "expected an object");
      COUNTERMARK_CHECK(in_.only(pattern, {"Regex", "String"}));
      COUNTERMARK_CHECK(in_.one_of(pattern + "/Regex", {"[0-9][0-9][0-9]"}));
      COUNTERMARK_CHECK(in_.one_of(at + "/behavior", {"Isolated"}));
      add(byte_triples_cut());
      return {};
    }
    COUNTERMARK_TRY(cut.pattern, pattern_at(in_, pattern));
    add(std::move(cut));
    return {};
  }

  Result<Cut::Keep> behavior(const std::string& pointer) const {
    const json& given = in_.value(pointer);
    for (const auto& [name, keep] :
         {std::pair("Isolated", Cut::Keep::kAll), std::pair("Removed", Cut::Keep::kGaps),
          std::pair("MergedWithNext", Cut::Keep::kWithNext),
          std::pair("MergedWithPrevious", Cut::Keep::kWithPrevious)})
      if (given == name) return keep;
    COUNTERMARK_CHECK(in_.one_of(pointer, {}));
    return Cut::Keep::kAll;
  }

  const TokenizerFields& in_;
  TextRules& out_;
  bool has_mark_ = false;
};

class DecoderParser {
 public:
  DecoderParser(const TokenizerFields& fields, TextRules& rules) : in_(fields), out_(rules) {}

  Status parse() {
    if (out_.on_bytes) {
      if (!in_.value("/decoder").is_object()) return in_.one_of("/decoder", {});
      COUNTERMARK_CHECK(in_.one_of("/decoder/type", {"ByteLevel"}));
      return in_.only("/decoder", {"type", "add_prefix_space", "trim_offsets", "use_regex"});
    }
    if (in_.value("/decoder/type") == "ByteLevel")
      return in_.unsupported("/pre_tokenizer",
                             "without ByteLevel, which the decoder has, is not supported");
    return in_.components("/decoder", "decoders",
                          [this](const std::string& at) { return component(at); });
  }

 private:
  // In the order that undoes what the model does: bytes are told apart token by token, and the
  // start is that of the whole text.
  Status component(const std::string& at) {
    const json& type = in_.value(at + "/type");
    if (type == "Metaspace" && out_.decoded_mark.empty() && !is_fused_) {
      COUNTERMARK_TRY(const SpaceMark mark, space_mark_at(in_, at));
      out_.decoded_mark = mark.mark;
      out_.dropped_spaces = mark.prefix == SpaceMark::Prefix::kNever ? 0 : 1;
      return {};
    }
    if (type == "Replace" && out_.decoded_mark.empty()) return replace(at);
    if (type == "ByteFallback" && !is_fused_) {
      out_.decodes_bytes = true;
      return in_.only(at, {"type"});
    }
    if (type == "Fuse") {
      is_fused_ = true;
      return in_.only(at, {"type"});
    }
    if (type == "Strip" && is_fused_) return strip(at);
    return in_.one_of(at + "/type", {});
  }

  Status replace(const std::string& at) {
    COUNTERMARK_CHECK(in_.only(at, {"type", "pattern", "content"}));
    COUNTERMARK_CHECK(in_.only(at + "/pattern", {"String"}));
    COUNTERMARK_CHECK(in_.one_of(at + "/content", {" "}));
    COUNTERMARK_TRY(out_.decoded_mark, in_.file().string_at(at + "/pattern/String"));
    if (code_points(out_.decoded_mark).size() != 1)
      return in_.unsupported(at + "/pattern", "of other than one character is not supported");
    return {};
  }

  Status strip(const std::string& at) {
    COUNTERMARK_CHECK(in_.only(at, {"type", "content", "start", "stop"}));
    COUNTERMARK_CHECK(in_.one_of(at + "/content", {" "}));
    COUNTERMARK_CHECK(in_.one_of(at + "/stop", {0}));
    COUNTERMARK_TRY(const std::uint64_t start,
                    in_.file().unsigned_at(at + "/start", 0, UINT32_MAX));
    out_.dropped_spaces += start;
    return {};
  }

  const TokenizerFields& in_;
  TextRules& out_;
  bool is_fused_ = false;
};

}  // namespace

Result<TextRules> read_text_rules(const TokenizerFields& fields) {
  TextRules rules;
  COUNTERMARK_CHECK(NormalizerParser(fields, rules.normalizer).parse());
  COUNTERMARK_CHECK(PretokenizerParser(fields, rules).parse());
  COUNTERMARK_CHECK(DecoderParser(fields, rules).parse());
  return rules;
}

}  // namespace countermark::text
