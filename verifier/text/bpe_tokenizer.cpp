// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/bpe_tokenizer.h"

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "verifier/text/bpe_model.h"
#include "verifier/text/byte_alphabet.h"
#include "verifier/text/pretokenizer.h"
#include "watermark/json.h"
#include "watermark/utf8.h"

namespace countermark::text {
namespace {

using nlohmann::json;

// 100 times the largest vocabularies in use; bounds the memory that one id can ask for.
constexpr std::uint64_t kMostIds = std::uint64_t{1} << 24;

// Strings are looked up by views.
struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};
using IdsByString = std::unordered_map<std::string, TokenId, StringHash, std::equal_to<>>;

// What a tokenizer.json says.
struct Parts {
  std::array<TokenId, 256> byte_tokens{};
  std::optional<BpeModel> model{};
  std::vector<std::optional<std::string>> bytes_of{};  // by id; nothing for an id not in use
  bool add_prefix_space = false;
  IdsByString whole_pieces{};  // by their bytes: tokens that come before any merge; often none
};

class BpeTokenizer final : public Tokenizer {
 public:
  BpeTokenizer(std::string sha256, Parts parts, Pretokenizer pretokenizer)
      : Tokenizer(std::move(sha256)),
        parts_(std::move(parts)),
        pretokenizer_(std::move(pretokenizer)) {}

  std::size_t vocab_size() const noexcept override { return parts_.bytes_of.size(); }

  Result<std::vector<TokenId>> encode(std::string_view text) const override {
    COUNTERMARK_CHECK(check_utf8(text));
    std::string with_space;
    if (parts_.add_prefix_space && !text.empty() && text.front() != ' ') {
      with_space.reserve(text.size() + 1);
      with_space += ' ';
      with_space += text;
      text = with_space;
    }
    std::vector<TokenId> ids;
    ids.reserve(text.size() / 4);
    BpeModel::Scratch scratch;
    Pieces pieces(pretokenizer_, text);
    for (;;) {
      COUNTERMARK_TRY(const std::string_view piece, pieces.next());
      if (piece.empty()) return ids;
      const auto whole = parts_.whole_pieces.find(piece);
      if (whole != parts_.whole_pieces.end()) {
        ids.push_back(whole->second);
      } else if (piece.size() < kNoToken) {
        parts_.model->encode(piece, scratch, ids);
      } else {
        return fail(ErrorCode::kUnsupported, "expected words of less than 4 GiB");
      }
    }
  }

  Result<std::string> decode(TokenSpan ids) const override {
    std::string text;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] >= parts_.bytes_of.size() || !parts_.bytes_of[ids[i]])
        return fail(ErrorCode::kMismatch, "token " + std::to_string(i) + " has the id " +
                                              std::to_string(ids[i]) +
                                              ", which is not in the vocabulary");
      text += *parts_.bytes_of[ids[i]];
    }
    return text;
  }

 private:
  Parts parts_;
  Pretokenizer pretokenizer_;
};

// Reads a tokenizer.json; every member of it is either understood or refused.
class Parser {
 public:
  explicit Parser(const JsonDocument& file) : file_(file), root_(file.root()) {}

  Result<Parts> parse() {
    COUNTERMARK_CHECK(only("", {"version", "truncation", "padding", "added_tokens", "normalizer",
                                "pre_tokenizer", "post_processor", "decoder", "model"}));
    COUNTERMARK_CHECK(one_of("/version", {nullptr, "1.0"}));
    COUNTERMARK_CHECK(one_of("/truncation", {nullptr}));
    COUNTERMARK_CHECK(one_of("/padding", {nullptr}));
    COUNTERMARK_CHECK(one_of("/normalizer", {nullptr}));
    COUNTERMARK_CHECK(byte_level("/pre_tokenizer"));
    COUNTERMARK_CHECK(byte_level("/decoder"));
    if (!value("/post_processor").is_null()) COUNTERMARK_CHECK(byte_level("/post_processor"));
    parts_.add_prefix_space = value("/pre_tokenizer/add_prefix_space") == true;
    COUNTERMARK_CHECK(check_model());
    COUNTERMARK_CHECK(read_vocab());
    COUNTERMARK_CHECK(read_merges());
    COUNTERMARK_CHECK(read_added_tokens());
    if (value("/model/ignore_merges") == true) collect_whole_pieces();
    return std::move(parts_);
  }

 private:
  // The value at `pointer`; null when it is missing, which means the same everywhere.
  const json& value(const std::string& pointer) const {
    static const json kNull;
    const json::json_pointer at(pointer);
    return root_.contains(at) ? root_.at(at) : kNull;
  }

  tl::unexpected<Error> bad(const std::string& pointer, std::string message) const {
    return fail(file_.error_at(pointer, ErrorCode::kInvalidInput, std::move(message)));
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
    return fail(file_.error_at(pointer, ErrorCode::kUnsupported, shown + " is not supported"));
  }

  Status flag(const std::string& pointer) const { return one_of(pointer, {nullptr, false, true}); }

  Status byte_level(const std::string& pointer) const {
    if (!value(pointer).is_object()) return one_of(pointer, {});
    COUNTERMARK_CHECK(one_of(pointer + "/type", {"ByteLevel"}));
    COUNTERMARK_CHECK(only(pointer, {"type", "add_prefix_space", "trim_offsets", "use_regex"}));
    COUNTERMARK_CHECK(flag(pointer + "/trim_offsets"));
    // Only in the pre-tokenizer do the others mean anything.
    if (pointer != "/pre_tokenizer") return {};
    COUNTERMARK_CHECK(one_of(pointer + "/add_prefix_space", {false, true}));
    return one_of(pointer + "/use_regex", {nullptr, true});
  }

  Status check_model() const {
    if (!value("/model").is_object()) return bad("/model", "expected an object");
    // The first files of GPT-2 have no type.
    COUNTERMARK_CHECK(one_of("/model/type", {nullptr, "BPE"}));
    COUNTERMARK_CHECK(only("/model", {"type", "dropout", "unk_token", "continuing_subword_prefix",
                                      "end_of_word_suffix", "fuse_unk", "byte_fallback",
                                      "ignore_merges", "vocab", "merges"}));
    COUNTERMARK_CHECK(one_of("/model/dropout", {nullptr}));
    COUNTERMARK_CHECK(one_of("/model/continuing_subword_prefix", {nullptr, ""}));
    COUNTERMARK_CHECK(one_of("/model/end_of_word_suffix", {nullptr, ""}));
    COUNTERMARK_CHECK(one_of("/model/byte_fallback", {nullptr, false}));
    COUNTERMARK_CHECK(flag("/model/ignore_merges"));
    // Every byte has a token (read_vocab), so nothing is ever unknown.
    COUNTERMARK_CHECK(flag("/model/fuse_unk"));
    if (!value("/model/unk_token").is_string()) return one_of("/model/unk_token", {nullptr});
    return {};
  }

  Status read_vocab() {
    const json& vocab = value("/model/vocab");
    if (!vocab.is_object()) return bad("/model/vocab", "expected an object");
    for (const auto& [token, id] : vocab.items())
      COUNTERMARK_CHECK(add(token, "/model/vocab/" + json_pointer_part(token)));
    for (unsigned b = 0; b < 256; ++b) {
      const auto token = ids_.find(spell_byte(static_cast<std::uint8_t>(b)));
      // These stand in no UTF-8, and some vocabularies lack them.
      const bool is_spare = b == 0xc0 || b == 0xc1 || b >= 0xf5;
      if (token == ids_.end() && !is_spare)
        return fail(file_.error_at(
            "/model/vocab", ErrorCode::kUnsupported,
            "without a token for the byte " + std::to_string(b) + " is not supported"));
      parts_.byte_tokens[b] = token == ids_.end() ? kNoToken : token->second;
    }
    return {};
  }

  // Gives `token` the id that stands at `pointer`.
  Status add(const std::string& token, const std::string& pointer) {
    COUNTERMARK_TRY(const std::uint64_t id, file_.unsigned_at(pointer, 0, kMostIds - 1));
    if (parts_.bytes_of.size() <= id) parts_.bytes_of.resize(id + 1);
    if (parts_.bytes_of[id]) return bad(pointer, "expected an id that no other token has");
    // As in the library: what spells no bytes stands for itself.
    parts_.bytes_of[id] = unspell_bytes(token).value_or(token);
    ids_.emplace(token, static_cast<TokenId>(id));
    return {};
  }

  Status read_merges() {
    parts_.model.emplace(parts_.byte_tokens);
    const json& merges = value("/model/merges");
    if (!merges.is_array()) return bad("/model/merges", "expected an array");
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
      parts_.model->add_merge(left_id->second, right_id->second, rank, merged->second);
      ++rank;
    }
    return {};
  }

  tl::unexpected<Error> bad_merge(std::uint32_t rank, std::string message) const {
    return bad("/model/merges/" + std::to_string(rank), std::move(message));
  }

  Status read_added_tokens() {
    const json& tokens = value("/added_tokens");
    if (tokens.is_null()) return {};
    if (!tokens.is_array()) return bad("/added_tokens", "expected an array");
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const std::string at = "/added_tokens/" + std::to_string(i);
      COUNTERMARK_CHECK(
          only(at, {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"}));
      COUNTERMARK_CHECK(one_of(at + "/special", {true}));
      COUNTERMARK_TRY(const std::string content, file_.string_at(at + "/content"));
      special_.insert(content);
      const auto known = ids_.find(content);
      if (known == ids_.end()) {
        COUNTERMARK_CHECK(add(content, at + "/id"));
      } else {
        COUNTERMARK_CHECK(file_.unsigned_at(at + "/id", known->second, known->second));
      }
    }
    return {};
  }

  // All tokens that text can spell, as the bytes they stand for.
  void collect_whole_pieces() {
    for (const auto& [token, id] : ids_) {
      if (special_.contains(token)) continue;
      if (auto bytes = unspell_bytes(token)) parts_.whole_pieces.emplace(std::move(*bytes), id);
    }
  }

  const JsonDocument& file_;
  const json& root_;
  IdsByString ids_{};
  std::unordered_set<std::string> special_{};
  Parts parts_{};
};

}  // namespace

Result<std::unique_ptr<const Tokenizer>> parse_bpe_tokenizer(std::string_view bytes,
                                                             std::string sha256) {
  COUNTERMARK_TRY(const JsonDocument file, JsonDocument::parse(bytes));
  COUNTERMARK_TRY(Parts parts, Parser(file).parse());
  COUNTERMARK_TRY(Pretokenizer pretokenizer, Pretokenizer::create());
  return std::unique_ptr<const Tokenizer>(
      std::make_unique<BpeTokenizer>(std::move(sha256), std::move(parts), std::move(pretokenizer)));
}

}  // namespace countermark::text
