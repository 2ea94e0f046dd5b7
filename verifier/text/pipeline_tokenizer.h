// SPDX-License-Identifier: Apache-2.0
// Hugging Face's pipeline, whichever file it comes from (tokenizer_json.h, tiktoken.h,
// gguf_tokenizer.h): text is normalized, cut into pieces, and each becomes ids by a model.
//
// Where we differ from the libraries, on purpose: Hugging Face's cuts special tokens out of the
// text before anything else; we treat their spelling as ordinary text, and the white space beside
// it, whatever their flags say. Text under test was written by somebody else, who may spell
// "<|endoftext|>" at will. Added tokens that are not special are cut out, since that is how the
// model's own tokenizer reads them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "verifier/text/added_tokens.h"
#include "verifier/text/normalizer.h"
#include "verifier/text/piece_model.h"
#include "verifier/text/pretokenizer.h"
#include "verifier/text/tokenizer.h"

namespace countermark::text {

// What stands for a space, and whether text that does not begin with one gets one.
struct SpaceMark {
  enum class Prefix { kNever, kFirst, kAlways };  // only the first of all parts; each of them

  std::string mark = " ";
  Prefix prefix = Prefix::kNever;
};

// What the files say; encode does its work in this order.
struct Pipeline {
  AddedTokens added{};  // cut out of the text as it is
  Normalizer normalizer{};
  AddedTokens added_normalized{};
  std::optional<Pretokenizer> before{};  // cuts what lies between added tokens into parts
  SpaceMark space_mark{};
  Pretokenizer pretokenizer;  // cuts parts into pieces
  std::unique_ptr<const PieceModel> model{};
  std::vector<std::optional<std::string>> bytes_of{};  // by id; nothing for an id not in use
  std::size_t dropped_spaces = 0;  // that many, at most, are taken off the start of a decoded text
};

// `words` are the pieces that text has most, which are looked up.
std::unique_ptr<const Tokenizer> make_pipeline_tokenizer(
    std::string sha256, Pipeline pipeline, const std::vector<std::string_view>& words);

// Where pieces are the bytes of tokens.
std::unique_ptr<const Tokenizer> make_byte_level_tokenizer(std::string sha256, Pipeline pipeline);

}  // namespace countermark::text
