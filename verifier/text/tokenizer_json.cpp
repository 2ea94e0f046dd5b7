// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/tokenizer_json.h"

#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>
#include <vector>

#include "verifier/text/bpe_tokenizer.h"
#include "verifier/text/byte_alphabet.h"
#include "verifier/text/pattern.h"
#include "verifier/text/unicode_text.h"
#include "watermark/json.h"

namespace countermark::text {
namespace {

using nlohmann::json;

// Access to the file; every member of it is either understood or refused.
class Fields {
 public:
  explicit Fields(const JsonDocument& file) : file_(file), root_(file.root()) {}

  // The value at `pointer`; null when it is missing, which means the same everywhere.
  const json& value(const std::string& pointer) const {
    static const json kNull;
    const json::json_pointer at(pointer);
    return root_.contains(at) ? root_.at(at) : kNull;
  }

  tl::unexpected<Error> bad(const std::string& pointer, std::string message) const {
    return fail(file_.error_at(pointer, ErrorCode::kInvalidInput, std::move(message)));
  }

  tl::unexpected<Error> unsupported(const std::string& pointer, std::string message) const {
    return fail(file_.error_at(pointer, ErrorCode::kUnsupported, std::move(message)));
  }

  Status only(const std::string& pointer, std::initializer_list<std::string_view> names) const {
    return file_.only_members(pointer, names, ErrorCode::kUnsupported);
  }

  // kUnsupported unless the value at `pointer` is one of `known`.
  Status one_of(const std::string& pointer, std::initializer_list<json> known) const {
    const json& given = value(pointer);
    for (const json& candidate : known)
      if (given == candidate) return {};
    constexpr std::size_t kMostShown = 60;
    std::string shown = given.is_string() ? "'" + given.get<std::string>() + "'" : given.dump();
    if (shown.size() > kMostShown) shown = std::string("a long ") + given.type_name();
    return unsupported(pointer, shown + " is not supported");
  }

  Status flag(const std::string& pointer) const { return one_of(pointer, {nullptr, false, true}); }

  // Calls `each` with the pointer of every component: those of the sequence, whose list is called
  // `list`, or the one that stands at `pointer` itself.
  template <typename Each>
  Status components(const std::string& pointer, const std::string& list, const Each& each) const {
    if (!value(pointer).is_object()) return one_of(pointer, {});
    if (value(pointer + "/type") != "Sequence") return each(pointer);
    COUNTERMARK_CHECK(only(pointer, {"type", list}));
    const std::string inside = pointer + "/" + list;
    if (!value(inside).is_array()) return bad(inside, "expected an array");
    for (std::size_t i = 0; i < value(inside).size(); ++i)
      COUNTERMARK_CHECK(each(inside + "/" + std::to_string(i)));
    return {};
  }

  const JsonDocument& file() const { return file_; }

 private:
  const JsonDocument& file_;
  const json& root_;
};

// Reads /pre_tokenizer.
class PretokenizerParser {
 public:
  explicit PretokenizerParser(const Fields& fields) : in_(fields) {}

  Status parse() {
    COUNTERMARK_CHECK(in_.components("/pre_tokenizer", "pretokenizers",
                                     [this](const std::string& at) { return component(at); }));
    if (after_bytes_) return {};
    return in_.unsupported("/pre_tokenizer", "without ByteLevel is not supported");
  }

  const std::vector<Cut>& cuts() const { return cuts_; }
  bool add_prefix_space() const { return add_prefix_space_; }

 private:
  Status component(const std::string& at) {
    const json& type = in_.value(at + "/type");
    if (type == "ByteLevel" && !after_bytes_) return byte_level(at);
    if (type == "Digits") return digits(at);
    if (type == "Split") return split(at);
    if (type == "Punctuation" && !after_bytes_) return punctuation(at);
    return in_.one_of(at + "/type", {});
  }

  Status byte_level(const std::string& at) {
    COUNTERMARK_CHECK(in_.only(at, {"type", "add_prefix_space", "trim_offsets", "use_regex"}));
    COUNTERMARK_CHECK(in_.flag(at + "/trim_offsets"));
    // After a cut it would put a space before every piece.
    if (cuts_.empty()) {
      COUNTERMARK_CHECK(in_.one_of(at + "/add_prefix_space", {false, true}));
    } else {
      COUNTERMARK_CHECK(in_.one_of(at + "/add_prefix_space", {false}));
    }
    COUNTERMARK_CHECK(in_.flag(at + "/use_regex"));
    add_prefix_space_ = in_.value(at + "/add_prefix_space") == true;
    if (in_.value(at + "/use_regex") != false) cuts_.push_back(gpt2_cut());
    after_bytes_ = true;
    return {};
  }

  Status digits(const std::string& at) {
    COUNTERMARK_CHECK(in_.only(at, {"type", "individual_digits"}));
    COUNTERMARK_CHECK(in_.one_of(at + "/individual_digits", {false, true}));
    const bool individual = in_.value(at + "/individual_digits") == true;
    if (after_bytes_) {
      COUNTERMARK_CHECK(in_.one_of(at + "/individual_digits", {false}));
      cuts_.push_back(byte_digits_cut());
    } else {
      cuts_.push_back({digit_pattern() + (individual ? "" : "+")});
    }
    return {};
  }

  Status punctuation(const std::string& at) {
    COUNTERMARK_CHECK(in_.only(at, {"type", "behavior"}));
    COUNTERMARK_CHECK(in_.one_of(at + "/behavior", {"Isolated", "Contiguous"}));
    const bool contiguous = in_.value(at + "/behavior") == "Contiguous";
    cuts_.push_back({punctuation_pattern() + (contiguous ? "++" : "")});
    return {};
  }

  Status split(const std::string& at) {
    COUNTERMARK_CHECK(in_.only(at, {"type", "pattern", "behavior", "invert"}));
    COUNTERMARK_CHECK(in_.one_of(at + "/behavior", {"Isolated", "Removed"}));
    COUNTERMARK_CHECK(in_.one_of(at + "/invert", {false, true}));
    const std::string pattern = at + "/pattern";
    if (!in_.value(pattern).is_object()) return in_.bad(pattern, "expected an object");
    COUNTERMARK_CHECK(in_.only(pattern, {"Regex", "String"}));
    if (after_bytes_) {
      COUNTERMARK_CHECK(in_.one_of(pattern + "/Regex", {"[0-9][0-9][0-9]"}));
      COUNTERMARK_CHECK(in_.one_of(at + "/behavior", {"Isolated"}));
      cuts_.push_back(byte_triples_cut());
      return {};
    }
    Cut cut;
    if (in_.value(at + "/behavior") == "Removed")
      cut.keep = in_.value(at + "/invert") == true ? Cut::Keep::kMatches : Cut::Keep::kGaps;
    if (in_.value(pattern + "/String").is_string()) {
      COUNTERMARK_TRY(cut.pattern, in_.file().string_at(pattern + "/String"));
      cut.pattern = literal_pattern(cut.pattern);
    } else {
      COUNTERMARK_TRY(const std::string regex, in_.file().string_at(pattern + "/Regex"));
      auto rewritten = pcre2_pattern(regex);
      if (!rewritten) return in_.unsupported(pattern + "/Regex", rewritten.error().message);
      cut.pattern = std::move(*rewritten);
    }
    // Found here, where it has a name, what does not compile does not fail later without one.
    if (const auto compiled = Pretokenizer::create({cut}); !compiled)
      return in_.unsupported(pattern, compiled.error().message);
    cuts_.push_back(std::move(cut));
    return {};
  }

  const Fields& in_;
  std::vector<Cut> cuts_{};
  bool add_prefix_space_ = false;
  bool after_bytes_ = false;  // whether ByteLevel has turned the text into the byte alphabet
};

class Parser {
 public:
  Parser(const JsonDocument& file, Pretokenizer none)
      : in_(file), parts_{.pretokenizer = std::move(none)} {}

  Result<BpeParts> parse() {
    COUNTERMARK_CHECK(
        in_.only("", {"version", "truncation", "padding", "added_tokens", "normalizer",
                      "pre_tokenizer", "post_processor", "decoder", "model"}));
    COUNTERMARK_CHECK(in_.one_of("/version", {nullptr, "1.0"}));
    COUNTERMARK_CHECK(in_.one_of("/truncation", {nullptr}));
    COUNTERMARK_CHECK(in_.one_of("/padding", {nullptr}));
    COUNTERMARK_CHECK(read_normalizer());
    PretokenizerParser pretokenizer(in_);
    COUNTERMARK_CHECK(pretokenizer.parse());
    COUNTERMARK_TRY(parts_.pretokenizer, Pretokenizer::create(pretokenizer.cuts()));
    parts_.add_prefix_space = pretokenizer.add_prefix_space();
    COUNTERMARK_CHECK(check_decoder());
    COUNTERMARK_CHECK(check_post_processor());
    COUNTERMARK_CHECK(check_model());
    COUNTERMARK_CHECK(read_vocab());
    COUNTERMARK_CHECK(read_merges());
    COUNTERMARK_CHECK(read_added_tokens());
    if (in_.value("/model/ignore_merges") == true) collect_whole_pieces();
    return std::move(parts_);
  }

 private:
  Status read_normalizer() {
    if (in_.value("/normalizer").is_null()) return {};
    return in_.components("/normalizer", "normalizers", [this](const std::string& at) -> Status {
      COUNTERMARK_CHECK(in_.one_of(at + "/type", {"NFC"}));
      parts_.normalize = true;
      return in_.only(at, {"type"});
    });
  }

  Status check_decoder() const {
    if (!in_.value("/decoder").is_object()) return in_.one_of("/decoder", {});
    COUNTERMARK_CHECK(in_.one_of("/decoder/type", {"ByteLevel"}));
    return in_.only("/decoder", {"type", "add_prefix_space", "trim_offsets", "use_regex"});
  }

  // Ids change only by special tokens, which encode never adds.
  Status check_post_processor() const {
    if (in_.value("/post_processor").is_null()) return {};
    return in_.components("/post_processor", "processors", [this](const std::string& at) {
      return in_.one_of(at + "/type", {"ByteLevel", "TemplateProcessing"});
    });
  }

  Status check_model() const {
    if (!in_.value("/model").is_object()) return in_.bad("/model", "expected an object");
    // The first files of GPT-2 have no type.
    COUNTERMARK_CHECK(in_.one_of("/model/type", {nullptr, "BPE"}));
    COUNTERMARK_CHECK(
        in_.only("/model",
                 {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                  "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"}));
    COUNTERMARK_CHECK(in_.one_of("/model/dropout", {nullptr}));
    COUNTERMARK_CHECK(in_.one_of("/model/continuing_subword_prefix", {nullptr, ""}));
    COUNTERMARK_CHECK(in_.one_of("/model/end_of_word_suffix", {nullptr, ""}));
    COUNTERMARK_CHECK(in_.one_of("/model/byte_fallback", {nullptr, false}));
    COUNTERMARK_CHECK(in_.flag("/model/ignore_merges"));
    // Every byte has a token where there is an unk_token (read_vocab), so nothing is ever unknown.
    COUNTERMARK_CHECK(in_.flag("/model/fuse_unk"));
    if (!in_.value("/model/unk_token").is_string())
      return in_.one_of("/model/unk_token", {nullptr});
    return {};
  }

  Status read_vocab() {
    const json& vocab = in_.value("/model/vocab");
    if (!vocab.is_object()) return in_.bad("/model/vocab", "expected an object");
    for (const auto& [token, id] : vocab.items())
      // As in the library: what spells no bytes stands for itself.
      COUNTERMARK_CHECK(add(token, unspell_bytes(token).value_or(token),
                            "/model/vocab/" + json_pointer_part(token)));
    for (unsigned b = 0; b < 256; ++b) {
      const auto token = ids_.find(spell_byte(static_cast<std::uint8_t>(b)));
      parts_.byte_tokens[b] = token == ids_.end() ? kNoToken : token->second;
    }
    const bool drops = in_.value("/model/unk_token").is_null();
    if (const Status status = check_byte_tokens(parts_.byte_tokens, drops); !status)
      return in_.unsupported("/model/vocab", status.error().message);
    return {};
  }

  // Gives `token`, which stands for `bytes`, the id that stands at `pointer`.
  Status add(const std::string& token, std::string bytes, const std::string& pointer) {
    COUNTERMARK_TRY(const std::uint64_t id, in_.file().unsigned_at(pointer, 0, kMostIds - 1));
    if (parts_.bytes_of.size() <= id) parts_.bytes_of.resize(id + 1);
    if (parts_.bytes_of[id]) return in_.bad(pointer, "expected an id that no other token has");
    parts_.bytes_of[id] = std::move(bytes);
    ids_.emplace(token, static_cast<TokenId>(id));
    return {};
  }

  Status read_merges() {
    const json& merges = in_.value("/model/merges");
    if (!merges.is_array()) return in_.bad("/model/merges", "expected an array");
    std::uint32_t rank = 0;
    for (const json& merge : merges) {
      std::string left;
      std::string right;
      if (merge.is_string()) {
        const auto& both = merge.get_ref<const std::string&>();
        const std::size_t space = both.find(' ');
        if (space == both.npos || both.find(' ', space + 1) != both.npos)
          return bad_merge(rank, "expected two tokens with one space between them");
        left = both.substr(0, space);
        right = both.substr(space + 1);
      } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
                 merge[1].is_string()) {
        left = merge[0].get<std::string>();
        right = merge[1].get<std::string>();
      } else {
        return bad_merge(rank, "expected a string or a pair of strings");
      }
      const auto left_id = ids_.find(left);
      const auto right_id = ids_.find(right);
      const auto merged = ids_.find(left + right);
      if (left_id == ids_.end() || right_id == ids_.end() || merged == ids_.end())
        return bad_merge(rank, "expected both tokens and their union in the vocabulary");
      parts_.model.add_merge(left_id->second, right_id->second, rank, merged->second);
      ++rank;
    }
    return {};
  }

  tl::unexpected<Error> bad_merge(std::uint32_t rank, std::string message) const {
    return in_.bad("/model/merges/" + std::to_string(rank), std::move(message));
  }

  Status read_added_tokens() {
    const json& tokens = in_.value("/added_tokens");
    if (tokens.is_null()) return {};
    if (!tokens.is_array()) return in_.bad("/added_tokens", "expected an array");
    for (std::size_t i = 0; i < tokens.size(); ++i)
      COUNTERMARK_CHECK(read_added_token("/added_tokens/" + std::to_string(i)));
    return {};
  }

  Status read_added_token(const std::string& at) {
    COUNTERMARK_CHECK(in_.only(
        at, {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"}));
    COUNTERMARK_CHECK(in_.one_of(at + "/special", {false, true}));
    COUNTERMARK_TRY(const std::string content, in_.file().string_at(at + "/content"));
    const bool is_special = in_.value(at + "/special") == true;
    const auto known = ids_.find(content);
    if (known != ids_.end()) {
      COUNTERMARK_CHECK(in_.file().unsigned_at(at + "/id", known->second, known->second));
    } else {
      COUNTERMARK_CHECK(add(
          content, is_special ? unspell_bytes(content).value_or(content) : content, at + "/id"));
    }
    added_.insert(content);
    if (is_special) return {};
    for (const char* name : {"/single_word", "/lstrip", "/rstrip"})
      COUNTERMARK_CHECK(in_.one_of(at + name, {false}));
    COUNTERMARK_CHECK(in_.one_of(at + "/normalized", {false, true}));
    const TokenId id = ids_.find(content)->second;
    parts_.bytes_of[id] = content;
    if (in_.value(at + "/normalized") == true) {
      parts_.added_normalized.add(parts_.normalize ? to_nfc(content) : content, id);
    } else {
      parts_.added.add(content, id);
    }
    return {};
  }

  // All tokens that merging can make, as the bytes they stand for.
  void collect_whole_pieces() {
    for (const auto& [token, id] : ids_) {
      if (added_.contains(token)) continue;
      if (auto bytes = unspell_bytes(token)) parts_.whole_pieces.emplace(std::move(*bytes), id);
    }
  }

  Fields in_;
  IdsByString ids_{};
  std::unordered_set<std::string> added_{};
  BpeParts parts_;
};

}  // namespace

Result<std::unique_ptr<const Tokenizer>> parse_tokenizer_json(std::string_view bytes,
                                                              std::string sha256) {
  COUNTERMARK_TRY(const JsonDocument file, JsonDocument::parse(bytes));
  COUNTERMARK_TRY(Pretokenizer none, Pretokenizer::create({}));
  COUNTERMARK_TRY(BpeParts parts, Parser(file, std::move(none)).parse());
  return make_bpe_tokenizer(std::move(sha256), std::move(parts));
}

}  // namespace countermark::text
