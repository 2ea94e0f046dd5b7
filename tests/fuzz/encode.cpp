// SPDX-License-Identifier: Apache-2.0
// Any bytes as text, and any ids, through small fixed vocabularies.
#include <array>

#include "tests/fuzz/fuzz.h"
#include "verifier/io/file.h"
#include "verifier/text/tokenizer.h"

namespace {

using countermark::TokenId;
using countermark::TokenSpan;
using countermark::fuzz::check_error;
using countermark::fuzz::must;
using countermark::fuzz::require;
using countermark::text::Tokenizer;

struct Model {
  std::unique_ptr<const Tokenizer> tokenizer;
  bool is_byte_level;
};

Model load(const char* name, bool is_byte_level) {
  return {must(countermark::text::load_tokenizer(std::string(COUNTERMARK_VECTORS_DIR "/") + name),
               "the vocabulary is there"),
          is_byte_level};
}

const Model& model(std::uint32_t index) {
  static const std::array kModels = {load("bpe-tokenizer.json", true),
                                     load("sentencepiece-bpe.model", false),
                                     load("sentencepiece-unigram.model", false)};
  return kModels[index % kModels.size()];
}

void check_text(const Model& model, std::string_view text) {
  const std::size_t invalid = countermark::find_invalid_utf8(text);
  const auto ids = model.tokenizer->encode(text);
  if (!ids) {
    check_error(ids.error(), text.size());
    require(ids.error().code == countermark::ErrorCode::kInvalidInput, "the code is pinned");
    require(invalid != countermark::kValidUtf8 && ids.error().offset == invalid,
            "only what is not UTF-8 is refused, at its first bad byte");
    const std::string repaired = countermark::replace_invalid_utf8(text);
    require(countermark::find_invalid_utf8(repaired) == countermark::kValidUtf8,
            "what was replaced is UTF-8");
    require(repaired.substr(0, invalid) == text.substr(0, invalid), "what was good stays");
    check_text(model, repaired);
    return;
  }
  require(invalid == countermark::kValidUtf8, "bytes that are not UTF-8 are refused");
  for (const TokenId id : *ids)
    require(id < model.tokenizer->vocab_size(), "an id is in the vocabulary");
  require(must(model.tokenizer->encode(text), "text has tokens") == *ids, "the same text again");
  const std::string back = must(model.tokenizer->decode(*ids), "tokens have a text");
  require(countermark::find_invalid_utf8(back) == countermark::kValidUtf8, "the text is UTF-8");
  if (model.is_byte_level) require(back == text, "byte-level tokens lose nothing");
}

void check_ids(const Model& model, std::string_view bytes) {
  std::vector<TokenId> ids;
  bool known = true;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    ids.push_back(static_cast<unsigned char>(bytes[i]) |
                  static_cast<TokenId>(static_cast<unsigned char>(bytes[i + 1])) << 8);
    known = known && ids.back() < model.tokenizer->vocab_size();
  }
  const auto text = model.tokenizer->decode(ids);
  if (!text) {
    check_error(text.error(), 0);
    require(text.error().code == countermark::ErrorCode::kMismatch, "the code is pinned");
    require(!known || model.is_byte_level, "ids of the vocabulary have a text");
    return;
  }
  require(known, "an id outside the vocabulary is refused");
  if (!model.is_byte_level) return;
  const std::size_t half = ids.size() / 2;
  require(*model.tokenizer->decode(TokenSpan(ids).first(half)) +
                  *model.tokenizer->decode(TokenSpan(ids).subspan(half)) ==
              *text,
          "the text of two runs is that of both together");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  countermark::fuzz::Input input(data, size);
  const std::uint32_t choice = input.below(6);
  if (choice < 3) {
    check_text(model(choice), input.rest());
  } else {
    check_ids(model(choice - 3), input.rest());
  }
  return 0;
}
