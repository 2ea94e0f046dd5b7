// SPDX-License-Identifier: Apache-2.0
// From text to token ids and back, exactly as the model's own tokenizer does it.
//
// Two families for now: byte-level BPE from a Hugging Face tokenizer.json, and SentencePiece
// models through libsentencepiece. A component that we do not know is an error that names it,
// never a guess: a wrong tokenization is a silent false negative.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "watermark/error.h"
#include "watermark/token.h"

namespace countermark::text {

// Immutable after construction; may be used by many threads at once.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Number of ids; every id is below it.
  virtual std::size_t vocab_size() const noexcept = 0;

  // The ids of `text`, without any beginning- or end-of-text token added. Special tokens that are
  // spelled out in the text ("<|endoftext|>") are ordinary text. kInvalidInput with the byte
  // offset when `text` is not valid UTF-8.
  virtual Result<std::vector<TokenId>> encode(std::string_view text) const = 0;

  // The text of `ids`: the inverse of encode on ids that encode made. A sequence that ends inside
  // a multi-byte character gives those bytes as they are. kMismatch names the position of an id
  // outside the vocabulary.
  virtual Result<std::string> decode(TokenSpan ids) const = 0;

  // SHA-256 of the tokenizer's file, lower-case hex: what a profile pins.
  const std::string& sha256() const noexcept { return sha256_; }

 protected:
  explicit Tokenizer(std::string sha256) : sha256_(std::move(sha256)) {}

 private:
  std::string sha256_;
};

// Reads a tokenizer from the bytes of its file: JSON, or a SentencePiece model.
Result<std::unique_ptr<const Tokenizer>> parse_tokenizer(std::string_view bytes);

// The same from a file; errors name it.
Result<std::unique_ptr<const Tokenizer>> load_tokenizer(const std::string& path);

}  // namespace countermark::text
