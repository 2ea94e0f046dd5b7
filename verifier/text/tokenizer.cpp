// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/tokenizer.h"

#include <filesystem>
#include <utility>

#include "verifier/io/file.h"
#include "verifier/text/base64.h"
#include "verifier/text/gguf_tokenizer.h"
#include "verifier/text/sentencepiece_tokenizer.h"
#include "verifier/text/tiktoken.h"
#include "verifier/text/tokenizer_json.h"
#include "watermark/json.h"
#include "watermark/prf/hash.h"

namespace countermark::text {
namespace {

// Of a tokenizer that has nothing to remember.
class PlainEncoder final : public Encoder {
 public:
  explicit PlainEncoder(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  Status encode(std::string_view text, std::vector<TokenId>& ids) override {
    COUNTERMARK_TRY(ids, tokenizer_.encode(text));
    return {};
  }

 private:
  const Tokenizer& tokenizer_;
};

}  // namespace

std::unique_ptr<Encoder> Tokenizer::encoder() const {
  return std::make_unique<PlainEncoder>(*this);
}

Result<std::unique_ptr<const Tokenizer>> parse_tokenizer(std::string_view bytes,
                                                         std::string_view name) {
  std::string digest = to_hex(sha256(bytes));
  if (bytes.starts_with("GGUF")) return parse_gguf_tokenizer(bytes, std::move(digest), name);
  const std::size_t first = skip_json_space(bytes, 0);
  if (first == bytes.size()) return fail(ErrorCode::kInvalidInput, "expected a tokenizer: empty");
  if (bytes[first] == '{') return parse_tokenizer_json(bytes, std::move(digest));
  // No field of a SentencePiece model begins with such a byte.
  if (is_base64(bytes.front())) return parse_tiktoken(bytes, std::move(digest), name);
  return parse_sentencepiece_tokenizer(bytes, std::move(digest));
}

Result<std::unique_ptr<const Tokenizer>> load_tokenizer(const std::string& path,
                                                        const std::string& name) {
  COUNTERMARK_TRY(const std::string bytes, io::read_file(path));
  auto tokenizer =
      parse_tokenizer(bytes, name.empty() ? std::filesystem::path(path).stem().string() : name);
  if (!tokenizer) return fail(std::move(tokenizer).error().in_file(path));
  return tokenizer;
}

}  // namespace countermark::text
