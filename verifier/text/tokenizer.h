// SPDX-License-Identifier: Apache-2.0
// From text to token ids and back, exactly as the model's own tokenizer does it.
//
// Read are a Hugging Face tokenizer.json (BPE, Unigram), tiktoken's rank files, the vocabulary of
// a GGUF file (BPE, SentencePiece's BPE, WordPiece), and SentencePiece models through
// libsentencepiece. A component that we do not know is an error that names it, never a guess: a
// wrong tokenization is a silent false negative.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "watermark/error.h"
#include "watermark/token.h"

namespace countermark::text {

// Encodes one text after another, faster by what it has met before. One thread's own; its
// tokenizer outlives it.
class Encoder {
 public:
  virtual ~Encoder() = default;

  // Replaces `ids` by Tokenizer::encode's; they mean nothing after an error. Allocates nothing once
  // it and `ids` have grown.
  virtual Status encode(std::string_view text, std::vector<TokenId>& ids) = 0;
};

// Immutable after construction; may be used by many threads at once.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Number of ids; every id is below it.
  virtual std::size_t vocab_size() const noexcept = 0;

  // The ids of `text`, without any beginning- or end-of-text token added. Special tokens that are
  // spelled out in the text ("<|endoftext|>") are ordinary text. kInvalidInput with the byte
  // offset when `text` is not valid UTF-8; kUnsupported when it is too long for the family (a word
  // of 4 GiB, or 512 MiB for SentencePiece). O(n log n).
  virtual Result<std::vector<TokenId>> encode(std::string_view text) const = 0;

  // For many texts. Making one is cheap; that of BPE takes 10 to 30 MiB when texts become many.
  virtual std::unique_ptr<Encoder> encoder() const;

  // The text of `ids`: the inverse of encode on ids that encode made, up to what the tokenizer
  // itself does to text (BPE's add_prefix_space leaves a leading space; normalizers are not undone;
  // SentencePiece applies its normalization, reads U+2581 as a space, and writes unknown characters
  // as U+2047; WordPiece keeps words only). Special tokens are written as they are spelled by BPE
  // and WordPiece, and not at all by SentencePiece. A sequence that
  // begins or ends inside a multi-byte character gives those bytes as they are. kMismatch names the
  // position of an id outside the vocabulary.
  virtual Result<std::string> decode(TokenSpan ids) const = 0;

  // SHA-256 of the tokenizer's file, lower-case hex: what a profile pins.
  const std::string& sha256() const noexcept { return sha256_; }

 protected:
  explicit Tokenizer(std::string sha256) : sha256_(std::move(sha256)) {}

  // decode's error about the id at `position`.
  static Error not_in_vocabulary(std::size_t position, TokenId id) {
    return {ErrorCode::kMismatch, "token " + std::to_string(position) + " has the id " +
                                      std::to_string(id) + ", which is not in the vocabulary"};
  }

 private:
  std::string sha256_;
};

// Reads a tokenizer from the bytes of its file: GGUF by its first four bytes; JSON if the first
// byte that is not white space is '{'; a rank file if it is a letter or digit of base64; else a
// SentencePiece model. Rank files, and GGUF files without tokenizer.ggml.pre, do not say how text
// is cut before it is merged; `name` does (named_pretokenizers.h). kInvalidInput for damaged bytes,
// kUnsupported, with the field's name, for a component that this version does not know.
Result<std::unique_ptr<const Tokenizer>> parse_tokenizer(std::string_view bytes,
                                                         std::string_view name = {});

// The same from a file; errors name it. An empty `name` is the file's own without its extension.
Result<std::unique_ptr<const Tokenizer>> load_tokenizer(const std::string& path,
                                                        const std::string& name = {});

}  // namespace countermark::text
