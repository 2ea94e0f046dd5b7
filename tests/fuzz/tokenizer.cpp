// SPDX-License-Identifier: Apache-2.0
// Any bytes as a tokenizer's file, whatever its family: what is accepted tokenizes, and its ids
// are within its vocabulary.
#include "verifier/text/tokenizer.h"

#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/fuzz/fuzz.h"
#include "verifier/text/base64.h"
#include "watermark/json.h"
#include "watermark/prf/hash.h"

namespace {

using countermark::fuzz::must;
using countermark::fuzz::require;

// Words, digits, white space, bytes without a letter, and what vocabularies like to break on.
constexpr std::string_view kTexts[] = {"", "a", " aa  ab\nabab'll 1234 <s> <|a|> ",
                                       "\xc3\xa9\xe2\x96\x81\xf0\x9f\x98\x80\x7f"};

// For files that do not name theirs: the size of one decides.
constexpr std::string_view kPretokenizers[] = {"cl100k_base", "o200k_base", "llama3", "qwen2"};

// Whether a tokenizer.json has tokens of bytes, and nothing that changes its text before.
bool is_byte_level(std::string_view bytes) {
  if (bytes[countermark::skip_json_space(bytes, 0)] != '{') return false;
  const auto file = nlohmann::json::parse(bytes);
  const auto type = [&](const char* name) {
    const auto found = file.find(name);
    return found != file.end() && found->is_object() ? found->value("type", "") : std::string();
  };
  const auto normalizer = type("normalizer");
  return type("decoder") == "ByteLevel" && (normalizer.empty() || normalizer == "NFC");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto tokenizer =
      countermark::text::parse_tokenizer(bytes, kPretokenizers[size % std::size(kPretokenizers)]);
  if (!tokenizer) {
    using countermark::ErrorCode;
    const auto& error = tokenizer.error();
    countermark::fuzz::check_error(error, size);
    require(error.code == ErrorCode::kInvalidInput || error.code == ErrorCode::kUnsupported,
            "the code is pinned");
    return 0;
  }
  const auto& model = **tokenizer;
  require(model.sha256() == countermark::to_hex(countermark::sha256(bytes)),
          "the digest is the file's");
  const bool is_lossless = is_byte_level(bytes);
  const bool is_rank_file = bytes.find("GGUF") != 0 && countermark::text::is_base64(bytes[0]);
  for (const std::string_view text : kTexts) {
    const auto ids = must(model.encode(text), "text has tokens");
    for (const auto id : ids) require(id < model.vocab_size(), "an id is in the vocabulary");
    const std::string back = must(model.decode(ids), "tokens have a text");
    if (is_lossless || is_rank_file)
      require(back == text || back == " " + std::string(text), "byte-level tokens lose nothing");
  }
  return 0;
}
