// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/tokenizer_json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>
#include <vector>

#include "verifier/text/byte_alphabet.h"
#include "verifier/text/byte_bpe.h"
#include "verifier/text/character_bpe.h"
#include "verifier/text/pattern.h"
#include "verifier/text/pipeline_tokenizer.h"
#include "verifier/text/tokenizer_json_fields.h"
#include "verifier/text/tokenizer_json_text.h"
#include "verifier/text/unicode_text.h"
#include "verifier/text/unigram.h"
#include "watermark/json.h"

namespace countermark::text {
namespace {

using nlohmann::json;

constexpr std::string_view kSpaceMark = "\u2581";

// The bytes that SentencePiece's names of bytes stand for in `ids`.
std::array<TokenId, 256> named_bytes(const IdsByString& ids) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::array<TokenId, 256> tokens;
  for (unsigned b = 0; b < 256; ++b) {
    const auto token = ids.find(std::string("<0x") + kDigits[b >> 4] + kDigits[b & 15] + ">");
    tokens[b] = token == ids.end() ? kNoToken : token->second;
  }
  return tokens;
}

// The score that Hugging Face's library reads where a file has `exact`, in as few digits as tell it
// from others: its reader rounds the digits to a double and again the quotient by a power of ten,
// which moves a seventh of all scores by one unit in the last place, and by that breaks ties.
double read_twice_rounded(double exact) {
  std::array<char, 32> text;
  const char* const end =
      std::to_chars(text.begin(), text.end(), exact, std::chars_format::scientific).ptr;
  std::uint64_t digits = 0;
  int exponent = 0;
  const char* at = text.begin() + (exact < 0);
  for (bool is_fraction = false; *at != 'e'; ++at) {
    if (*at == '.') {
      is_fraction = true;
    } else {
      digits = 10 * digits + static_cast<std::uint64_t>(*at - '0');
      exponent -= is_fraction;
    }
  }
  ++at;
  int power = 0;
  std::from_chars(at + (*at == '+'), end, power);
  exponent += power;
  auto score = static_cast<double>(digits);
  // 1e308 is the last power that is a double.
  for (; exponent < -308 && score != 0; exponent += 308) score /= 1e308;
  double scale = 1;
  const std::string ten = "1e" + std::to_string(std::abs(exponent));
  std::from_chars(ten.data(), ten.data() + ten.size(), scale);
  score = exponent < 0 ? score / scale : score * scale;
  return exact < 0 ? -score : score;
}

class Parser {
 public:
  Parser(const JsonDocument& file, Pretokenizer none)
      : in_(file), parts_{.pretokenizer = std::move(none)} {}

  Result<std::unique_ptr<const Tokenizer>> parse(std::string sha256) {
    COUNTERMARK_CHECK(
        in_.only("", {"version", "truncation", "padding", "added_tokens", "normalizer",
                      "pre_tokenizer", "post_processor", "decoder", "model"}));
    COUNTERMARK_CHECK(in_.one_of("/version", {nullptr, "1.0"}));
    COUNTERMARK_CHECK(in_.one_of("/truncation", {nullptr}));
    COUNTERMARK_CHECK(in_.one_of("/padding", {nullptr}));
    COUNTERMARK_TRY(text_, read_text_rules(in_));
    COUNTERMARK_CHECK(check_post_processor());
    if (!in_.value("/model").is_object()) return in_.bad("/model", "expected an object");
    const bool is_unigram = !text_.on_bytes && in_.value("/model/type") == "Unigram";
    COUNTERMARK_CHECK(is_unigram ? read_unigram_vocab() : read_bpe_vocab());
    COUNTERMARK_CHECK(read_added_tokens());
    if (is_unigram) {
      COUNTERMARK_CHECK(make_unigram_model());
    } else {
      COUNTERMARK_CHECK(make_bpe_model());
    }
    COUNTERMARK_CHECK(make_cuts());
    parts_.space_mark = text_.space_mark;
    parts_.normalizer = std::move(text_.normalizer);
    parts_.dropped_spaces = text_.dropped_spaces;
    if (text_.on_bytes) return make_byte_level_tokenizer(std::move(sha256), std::move(parts_));
    std::vector<std::string_view> words;
    for (const auto& [token, id] : ids_) words.emplace_back(token);
    return make_pipeline_tokenizer(std::move(sha256), std::move(parts_), words);
  }

 private:
  // Ids change only by special tokens, which encode never adds.
  Status check_post_processor() const {
    if (in_.value("/post_processor").is_null()) return {};
    return in_.components("/post_processor", "processors", [this](const std::string& at) {
      return in_.one_of(at + "/type", {"ByteLevel", "TemplateProcessing"});
    });
  }

  Status make_cuts() {
    if (text_.before) {
      COUNTERMARK_TRY(parts_.before, Pretokenizer::create(*text_.before));
    }
    COUNTERMARK_TRY(parts_.pretokenizer, Pretokenizer::create(text_.cuts));
    return {};
  }

  Status read_bpe_vocab() {
    // The first files of GPT-2 have no type.
    COUNTERMARK_CHECK(in_.one_of("/model/type", {nullptr, "BPE"}));
    COUNTERMARK_CHECK(
        in_.only("/model",
                 {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                  "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"}));
    COUNTERMARK_CHECK(in_.one_of("/model/dropout", {nullptr}));
    COUNTERMARK_CHECK(in_.one_of("/model/continuing_subword_prefix", {nullptr, ""}));
    COUNTERMARK_CHECK(in_.one_of("/model/end_of_word_suffix", {nullptr, ""}));
    if (text_.on_bytes) {
      COUNTERMARK_CHECK(in_.one_of("/model/byte_fallback", {nullptr, false}));
    } else {
      COUNTERMARK_CHECK(in_.flag("/model/byte_fallback"));
    }
    COUNTERMARK_CHECK(in_.flag("/model/ignore_merges"));
    COUNTERMARK_CHECK(in_.flag("/model/fuse_unk"));
    if (!in_.value("/model/unk_token").is_string())
      COUNTERMARK_CHECK(in_.one_of("/model/unk_token", {nullptr}));
    const json& vocab = in_.value("/model/vocab");
    if (!vocab.is_object()) return in_.bad("/model/vocab", "expected an object");
    for (const auto& [token, id] : vocab.items()) {
      const std::string pointer = "/model/vocab/" + json_pointer_part(token);
      COUNTERMARK_TRY(const std::uint64_t number, in_.file().unsigned_at(pointer, 0, kMostIds - 1));
      COUNTERMARK_CHECK(add(token, number, pointer));
    }
    return {};
  }

  Status read_unigram_vocab() {
    COUNTERMARK_CHECK(in_.only("/model", {"type", "unk_id", "vocab", "byte_fallback"}));
    COUNTERMARK_CHECK(in_.flag("/model/byte_fallback"));
    const json& vocab = in_.value("/model/vocab");
    if (!vocab.is_array()) return in_.bad("/model/vocab", "expected an array");
    for (std::size_t id = 0; id < vocab.size(); ++id) {
      const std::string pointer = "/model/vocab/" + std::to_string(id);
      const json& piece = vocab[id];
      if (!piece.is_array() || piece.size() != 2 || !piece[0].is_string() || !piece[1].is_number())
        return in_.bad(pointer, "expected a string and its score");
      const auto& spelling = piece[0].get_ref<const std::string&>();
      if (spelling.size() > UnigramParts::kLongestPiece)
        return in_.unsupported(pointer, "a piece of more than 1,024 bytes is not supported");
      if (id >= kMostIds)
        return in_.unsupported("/model/vocab",
                               "more than " + std::to_string(kMostIds) + " is not supported");
      ids_.erase(spelling);  // of two, the later stands
      COUNTERMARK_CHECK(add(spelling, id, pointer));
    }
    return {};
  }

  // Gives `token` the id that stands at `pointer`.
  Status add(const std::string& token, std::uint64_t id, const std::string& pointer) {
    if (parts_.bytes_of.size() <= id) parts_.bytes_of.resize(id + 1);
    if (parts_.bytes_of[id]) return in_.bad(pointer, "expected an id that no other token has");
    parts_.bytes_of[id] = decoded(token);
    ids_.emplace(token, static_cast<TokenId>(id));
    return {};
  }

  // What `token` stands for in text.
  std::string decoded(const std::string& token) const {
    // As in the library: what spells no bytes stands for itself.
    if (text_.on_bytes) return unspell_bytes(token).value_or(token);
    const int byte = text_.decodes_bytes ? named_byte(token) : -1;
    return byte < 0 ? with_spaces(token) : std::string(1, static_cast<char>(byte));
  }

  std::string with_spaces(const std::string& token) const {
    const std::string& mark = text_.decoded_mark;
    std::string spaced;
    std::size_t begin = 0;
    while (!mark.empty()) {
      const std::size_t found = token.find(mark, begin);
      if (found == token.npos) break;
      spaced.append(token, begin, found - begin) += ' ';
      begin = found + mark.size();
    }
    return spaced.append(token, begin);
  }

  Status make_bpe_model() {
    const bool ignores_merges = in_.value("/model/ignore_merges") == true;
    return text_.on_bytes ? make_byte_model(ignores_merges) : make_character_model(ignores_merges);
  }

  Status make_byte_model(bool ignores_merges) {
    ByteBpeParts parts;
    for (unsigned b = 0; b < 256; ++b) {
      const auto token = ids_.find(spell_byte(static_cast<std::uint8_t>(b)));
      parts.byte_tokens[b] = token == ids_.end() ? kNoToken : token->second;
    }
    // With a token for every byte nothing is ever unknown.
    const bool drops = in_.value("/model/unk_token").is_null();
    if (const Status status = check_byte_tokens(parts.byte_tokens, drops); !status)
      return in_.unsupported("/model/vocab", status.error().message);
    COUNTERMARK_TRY(parts.model, read_merges());
    if (ignores_merges) {
      for (const auto& [token, id] : ids_) {
        if (added_.contains(token)) continue;
        if (auto bytes = unspell_bytes(token)) parts.whole_pieces.emplace(std::move(*bytes), id);
      }
    }
    parts_.model = make_byte_bpe(std::move(parts));
    return {};
  }

  Status make_character_model(bool ignores_merges) {
    CharacterBpeParts parts;
    COUNTERMARK_TRY(parts.model, read_merges());
    parts.byte_tokens.fill(kNoToken);
    const bool falls_back = in_.value("/model/byte_fallback") == true;
    if (falls_back) parts.byte_tokens = named_bytes(ids_);
    parts.fuse_unknown = in_.value("/model/fuse_unk") == true;
    if (in_.value("/model/unk_token").is_string()) {
      const auto unknown = ids_.find(in_.value("/model/unk_token").get_ref<const std::string&>());
      if (unknown == ids_.end())
        return in_.bad("/model/unk_token", "expected a token of the vocabulary");
      parts.unknown = unknown->second;
    }
    for (const auto& [token, id] : ids_) {
      if (is_special(token)) continue;
      const auto points = code_points(token);
      if (points.size() == 1) parts.characters.emplace(points[0], id);
      if (ignores_merges) parts.whole_pieces.emplace(token, id);
    }
    const bool is_complete = check_byte_tokens(parts.byte_tokens, false).has_value();
    const bool knows_all =
        is_complete || parts.unknown == kNoToken || !(parts.fuse_unknown || falls_back);
    // No merge reaches over the start of a word: words may be looked up by themselves.
    if (knows_all && !ignores_merges && !crosses_words_ && !merged_.contains(parts.unknown) &&
        std::none_of(parts.byte_tokens.begin(), parts.byte_tokens.end(),
                     [this](TokenId id) { return merged_.contains(id); })) {
      const std::string mark = literal_pattern(kSpaceMark);
      text_.cuts.push_back({mark + "++[^" + mark + "]*+"});
    }
    parts_.model = make_character_bpe(std::move(parts));
    return {};
  }

  Status make_unigram_model() {
    UnigramParts parts;
    const json& vocab = in_.value("/model/vocab");
    if (vocab.empty()) return in_.bad("/model/vocab", "expected a piece");
    COUNTERMARK_TRY(const std::uint64_t unknown,
                    in_.file().unsigned_at("/model/unk_id", 0, vocab.size() - 1));
    parts.unknown = static_cast<TokenId>(unknown);
    for (TokenId id = 0; id < vocab.size(); ++id) {
      const auto& spelling = vocab[id][0].get_ref<const std::string&>();
      const double score = read_twice_rounded(vocab[id][1].get<double>());
      if (is_special(spelling)) {
        parts.see_score(score);
      } else {
        parts.add(spelling, id, score);
      }
    }
    parts.byte_tokens.fill(kNoToken);
    if (in_.value("/model/byte_fallback") == true) parts.byte_tokens = named_bytes(ids_);
    parts_.model = make_unigram(std::move(parts));
    return {};
  }

  Result<BpeModel> read_merges() {
    const json& merges = in_.value("/model/merges");
    if (!merges.is_array()) return in_.bad("/model/merges", "expected an array");
    std::vector<Merge> made;
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
      made.push_back({left_id->second, right_id->second, rank, merged->second});
      if (!text_.on_bytes) {
        merged_.insert({left_id->second, right_id->second});
        crosses_words_ =
            crosses_words_ || (right.starts_with(kSpaceMark) && !left.ends_with(kSpaceMark));
      }
      ++rank;
    }
    return BpeModel(std::move(made));
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
      COUNTERMARK_TRY(const std::uint64_t id, in_.file().unsigned_at(at + "/id", 0, kMostIds - 1));
      COUNTERMARK_CHECK(add(content, id, at + "/id"));
    }
    added_.emplace(content, is_special);
    if (is_special) return {};
    for (const char* name : {"/single_word", "/lstrip", "/rstrip", "/normalized"})
      COUNTERMARK_CHECK(in_.one_of(at + name, {false, true}));
    const auto flag = [&](const char* name) { return in_.value(at + name) == true; };
    const AddedFlags flags{flag("/single_word"), flag("/lstrip"), flag("/rstrip")};
    const TokenId id = ids_.find(content)->second;
    if (flag("/normalized")) {
      std::string memory;
      COUNTERMARK_TRY(const std::string_view normal, text_.normalizer.apply(content, memory));
      parts_.added_normalized.add(normal, id, flags);
      parts_.bytes_of[id] = with_spaces(content);
    } else {
      parts_.added.add(content, id, flags);
      parts_.bytes_of[id] = content;
    }
    return {};
  }

  bool is_special(const std::string& token) const {
    const auto found = added_.find(token);
    return found != added_.end() && found->second;
  }

  TokenizerFields in_;
  TextRules text_{};
  IdsByString ids_{};
  std::unordered_map<std::string, bool> added_{};  // and whether they are special
  std::unordered_set<TokenId> merged_{};           // parts of merges of characters
  bool crosses_words_ = false;  // whether a merge joins U+2581 to another character before it
  Pipeline parts_;
};

}  // namespace

Result<std::unique_ptr<const Tokenizer>> parse_tokenizer_json(std::string_view bytes,
                                                              std::string sha256) {
  COUNTERMARK_TRY(const JsonDocument file, JsonDocument::parse(bytes));
  COUNTERMARK_TRY(Pretokenizer none, Pretokenizer::create({}));
  return Parser(file, std::move(none)).parse(std::move(sha256));
}

}  // namespace countermark::text
