// SPDX-License-Identifier: Apache-2.0
// Byte-level BPE, whichever file it comes from (tokenizer_json.h, tiktoken.h, gguf_tokenizer.h).
//
// Where we differ from the libraries, on purpose: Hugging Face's cuts special tokens out of the
// text before anything else; we treat their spelling as ordinary text. Text under test was written
// by somebody else, who may spell "<|endoftext|>" at will. Added tokens that are not special are
// cut out, since that is how the model's own tokenizer reads them.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "verifier/text/bpe_model.h"
#include "verifier/text/pretokenizer.h"
#include "verifier/text/tokenizer.h"
#include "verifier/text/trie.h"
#include "watermark/error.h"

namespace countermark::text {

// 100 times the largest vocabularies in use; bounds the memory that one id can ask for.
inline constexpr std::uint64_t kMostIds = std::uint64_t{1} << 24;

// Strings are looked up by views.
struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};
using IdsByString = std::unordered_map<std::string, TokenId, StringHash, std::equal_to<>>;

// What the files say; encode does its work in this order.
struct BpeParts {
  Trie added{};            // cut out of the text as it is
  bool normalize = false;  // to form C
  Trie added_normalized{};
  bool add_prefix_space = false;  // to what lies between added tokens
  Pretokenizer pretokenizer;
  IdsByString whole_pieces{};  // by their bytes: tokens that come before any merge; often none
  std::array<TokenId, 256> byte_tokens{};  // kNoToken: such bytes are dropped
  BpeModel model{};
  std::vector<std::optional<std::string>> bytes_of{};  // by id; nothing for an id not in use
};

// kUnsupported, naming the byte, when one that stands in UTF-8 has no token. With `may_be_dropped`
// control characters and the bytes F1 and F2, of planes that Unicode has not assigned, may lack
// one: Falcon and StarCoder do, and the library drops such bytes before it merges.
Status check_byte_tokens(const std::array<TokenId, 256>& byte_tokens, bool may_be_dropped);

std::unique_ptr<const Tokenizer> make_bpe_tokenizer(std::string sha256, BpeParts parts);

}  // namespace countermark::text
