// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/gguf_tokenizer.h"

#include <cmath>
#include <utility>
#include <vector>

#include "verifier/text/byte_alphabet.h"
#include "verifier/text/byte_bpe.h"
#include "verifier/text/gguf.h"
#include "verifier/text/named_pretokenizers.h"
#include "verifier/text/pipeline_tokenizer.h"
#include "verifier/text/spm_tokenizer.h"
#include "verifier/text/wordpiece_tokenizer.h"
#include "watermark/utf8.h"

namespace countermark::text {
namespace {

constexpr std::string_view kPrefix = "tokenizer.ggml.";

// llama.h, llama_token_type.
enum class TokenType { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

struct Token {
  std::string_view text;
  TokenType type;
};

std::string key(std::string_view name) { return std::string(kPrefix) + std::string(name); }

class Reader {
 public:
  Reader(const Gguf& file, std::string sha256, std::string_view name)
      : file_(file), sha256_(std::move(sha256)), name_(name) {}

  Result<std::unique_ptr<const Tokenizer>> read() {
    COUNTERMARK_CHECK(check_keys());
    COUNTERMARK_TRY(const std::string_view model, file_.string_at(key("model")));
    if (model != "gpt2" && model != "llama" && model != "bert")
      return unsupported("model", "'" + replace_invalid_utf8(model) + "' is not supported");
    COUNTERMARK_CHECK(read_tokens());
    return model == "gpt2" ? bpe() : model == "llama" ? spm() : wordpiece();
  }

 private:
  tl::unexpected<Error> bad(std::string_view name, std::string message) const {
    return fail(file_.error_at(key(name), ErrorCode::kInvalidInput, std::move(message)));
  }

  tl::unexpected<Error> unsupported(std::string_view name, std::string message) const {
    return fail(file_.error_at(key(name), ErrorCode::kUnsupported, std::move(message)));
  }

  tl::unexpected<Error> bad_token(std::size_t id, const std::string& expected) const {
    return bad("tokens", "token " + std::to_string(id) + ": expected " + expected);
  }

  // Ids of special tokens and whether they are added to a prompt do not matter here; any other key
  // that we do not know might.
  Status check_keys() const {
    for (const std::string_view full : file_.keys()) {
      if (!full.starts_with(kPrefix)) continue;
      const std::string_view name = full.substr(kPrefix.size());
      bool known =
          name.ends_with("_token_id") || (name.starts_with("add_") && name.ends_with("_token"));
      for (const std::string_view each : {"model", "pre", "tokens", "scores", "token_type",
                                          "token_type_count", "merges", "add_space_prefix"})
        known = known || name == each;
      if (!known) return unsupported(name, "is not supported");
    }
    return {};
  }

  Status read_tokens() {
    COUNTERMARK_TRY(const auto texts, file_.strings_at(key("tokens")));
    if (texts.size() > kMostIds)
      return unsupported("tokens", "more than " + std::to_string(kMostIds) + " is not supported");
    COUNTERMARK_TRY(const auto types, file_.integers_at(key("token_type")));
    if (types.size() != texts.size()) return bad("token_type", "expected one for each token");
    for (std::size_t id = 0; id < texts.size(); ++id) {
      if (types[id] < 1 || types[id] > 6)
        return bad("token_type", "token " + std::to_string(id) + ": expected a type from 1 to 6");
      if (find_invalid_utf8(texts[id]) != kValidUtf8) return bad_token(id, "UTF-8");
      Token token{texts[id], static_cast<TokenType>(types[id])};
      // The empty string can stand nowhere.
      if (token.text.empty() || token.text == "[PAD" + std::to_string(id) + "]")
        token.type = TokenType::kUnused;
      tokens_.push_back(token);
    }
    return {};
  }

  Result<std::unique_ptr<const Tokenizer>> bpe() {
    std::string_view pre = name_;
    if (file_.contains(key("pre"))) {
      COUNTERMARK_TRY(pre, file_.string_at(key("pre")));
    }
    if (pre == "default") pre = name_;
    auto named = named_pretokenizer(pre);
    if (!named)
      return unsupported("pre",
                         (pre == name_ ? "the file does not say how text is cut, and " : "") +
                             named.error().message);
    Pipeline pipeline{.pretokenizer = std::move(named->pretokenizer)};
    ByteBpeParts parts;
    IdsByString ids;
    parts.byte_tokens.fill(kNoToken);
    pipeline.bytes_of.resize(tokens_.size());
    for (TokenId id = 0; id < tokens_.size(); ++id) {
      const auto [text, type] = tokens_[id];
      if (type == TokenType::kByte)
        return unsupported("token_type", "byte in BPE is not supported");
      const auto bytes = type == TokenType::kNormal ? unspell_bytes(text) : std::nullopt;
      pipeline.bytes_of[id] = bytes.value_or(std::string(text));
      if (type == TokenType::kUserDefined) pipeline.added.add(text, id);
      if (type != TokenType::kNormal) continue;
      if (!ids.emplace(text, id).second) return bad_token(id, "a spelling of its own");
      if (bytes && bytes->size() == 1)
        parts.byte_tokens[static_cast<unsigned char>(bytes->front())] = id;
      if (bytes && named->whole_pieces) parts.whole_pieces.emplace(*bytes, id);
    }
    if (const Status status = check_byte_tokens(parts.byte_tokens, true); !status)
      return unsupported("tokens", status.error().message);
    COUNTERMARK_TRY(parts.model, read_merges(ids));
    pipeline.model = make_byte_bpe(std::move(parts));
    return make_byte_level_tokenizer(std::move(sha256_), std::move(pipeline));
  }

  Result<BpeModel> read_merges(const IdsByString& ids) const {
    COUNTERMARK_TRY(const auto merges, file_.strings_at(key("merges")));
    std::vector<Merge> made;
    for (std::size_t rank = 0; rank < merges.size(); ++rank) {
      const std::string_view merge = merges[rank];
      const std::size_t space = merge.find(' ');
      if (space == merge.npos || merge.find(' ', space + 1) != merge.npos)
        return bad("merges", "merge " + std::to_string(rank) +
                                 ": expected two tokens with one space between them");
      const auto left = ids.find(merge.substr(0, space));
      const auto right = ids.find(merge.substr(space + 1));
      const auto merged = left == ids.end() || right == ids.end()
                              ? ids.end()
                              : ids.find(left->first + right->first);
      if (merged == ids.end())
        return bad("merges", "merge " + std::to_string(rank) +
                                 ": expected both tokens and their union in the vocabulary");
      made.push_back(
          {left->second, right->second, static_cast<std::uint32_t>(rank), merged->second});
    }
    return BpeModel(std::move(made));
  }

  Result<std::unique_ptr<const Tokenizer>> spm() {
    COUNTERMARK_TRY(const auto scores, file_.floats_at(key("scores")));
    if (scores.size() != tokens_.size()) return bad("scores", "expected one for each token");
    SpmParts parts;
    if (file_.contains(key("add_space_prefix"))) {
      COUNTERMARK_TRY(parts.add_space_prefix, file_.bool_at(key("add_space_prefix")));
    }
    parts.byte_tokens.fill(kNoToken);
    IdsByString ids;
    for (TokenId id = 0; id < tokens_.size(); ++id) {
      const auto [text, type] = tokens_[id];
      if (!std::isfinite(scores[id]))
        return bad("scores", "token " + std::to_string(id) + ": expected a finite score");
      SpmPiece piece{std::string(text), scores[id]};
      if (type == TokenType::kUserDefined) piece.kind = SpmPiece::Kind::kUserDefined;
      if (type == TokenType::kNormal) {
        piece.kind = SpmPiece::Kind::kNormal;
        if (!ids.emplace(text, id).second) return bad_token(id, "a spelling of its own");
      }
      if (type == TokenType::kByte) {
        const int byte = named_byte(text);
        if (byte < 0 || parts.byte_tokens[static_cast<unsigned>(byte)] != kNoToken)
          return bad_token(id, "<0x00> to <0xFF>, each once");
        parts.byte_tokens[static_cast<unsigned>(byte)] = id;
      }
      parts.pieces.push_back(std::move(piece));
    }
    if (const Status status = check_byte_tokens(parts.byte_tokens, false); !status)
      return unsupported("tokens", status.error().message);
    return make_spm_tokenizer(std::move(sha256_), std::move(parts));
  }

  Result<std::unique_ptr<const Tokenizer>> wordpiece() {
    WordPieceParts parts;
    bool has_unknown = false;
    for (TokenId id = 0; id < tokens_.size(); ++id) {
      const auto [text, type] = tokens_[id];
      parts.pieces.emplace_back(text);
      parts.is_special.push_back(type != TokenType::kNormal);
      if (text != "[UNK]") continue;
      parts.unknown = id;
      has_unknown = true;
    }
    if (!has_unknown) return unsupported("tokens", "without [UNK] is not supported");
    return make_wordpiece_tokenizer(std::move(sha256_), std::move(parts));
  }

  const Gguf& file_;
  std::string sha256_;
  std::string_view name_;
  std::vector<Token> tokens_{};
};

}  // namespace

Result<std::unique_ptr<const Tokenizer>> parse_gguf_tokenizer(std::string_view bytes,
                                                              std::string sha256,
                                                              std::string_view name) {
  COUNTERMARK_TRY(const Gguf file, Gguf::parse(bytes));
  return Reader(file, std::move(sha256), name).read();
}

}  // namespace countermark::text
