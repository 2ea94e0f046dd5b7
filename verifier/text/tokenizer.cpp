// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/tokenizer.h"

#include <utility>

#include "verifier/io/file.h"
#include "verifier/text/bpe_tokenizer.h"
#include "verifier/text/sentencepiece_tokenizer.h"
#include "watermark/json.h"
#include "watermark/prf/hash.h"

namespace countermark::text {

Result<std::unique_ptr<const Tokenizer>> parse_tokenizer(std::string_view bytes) {
  std::string digest = to_hex(sha256(bytes));
  const std::size_t first = skip_json_space(bytes, 0);
  if (first == bytes.size()) return fail(ErrorCode::kInvalidInput, "expected a tokenizer: empty");
  return bytes[first] == '{' ? parse_bpe_tokenizer(bytes, std::move(digest))
                             : parse_sentencepiece_tokenizer(bytes, std::move(digest));
}

Result<std::unique_ptr<const Tokenizer>> load_tokenizer(const std::string& path) {
  COUNTERMARK_TRY(const std::string bytes, io::read_file(path));
  auto tokenizer = parse_tokenizer(bytes);
  if (!tokenizer) return fail(std::move(tokenizer).error().in_file(path));
  return tokenizer;
}

}  // namespace countermark::text
