// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/tiktoken.h"

#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "verifier/text/base64.h"
#include "verifier/text/byte_bpe.h"
#include "verifier/text/named_pretokenizers.h"
#include "verifier/text/pipeline_tokenizer.h"

namespace countermark::text {
namespace {

// Every way to cut a token in two is tried, so that the work is this times the file's size.
constexpr std::size_t kLongestToken = 1024;

tl::unexpected<Error> bad(std::size_t offset, ErrorCode code, std::string message) {
  return fail(Error{code, std::move(message), {}, {}, offset});
}

}  // namespace

Result<std::unique_ptr<const Tokenizer>> parse_tiktoken(std::string_view bytes, std::string sha256,
                                                        std::string_view name) {
  IdsByString ids;
  std::vector<std::optional<std::string>> bytes_of;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t end = bytes.find('\n', at);
    if (end == bytes.npos)
      return bad(at, ErrorCode::kInvalidInput, "expected a line feed after the last rank");
    std::string_view line = bytes.substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::size_t space = line.find(' ');
    auto token = from_base64(line.substr(0, space));
    if (space == line.npos || !token)
      return bad(at, ErrorCode::kInvalidInput, "expected a token in base64, a space, and its rank");
    const char* const last = line.data() + line.size();
    TokenId id = 0;
    const auto [parsed, error] = std::from_chars(line.data() + space + 1, last, id);
    if (error != std::errc() || parsed != last || id >= kMostIds)
      return bad(at + space + 1, ErrorCode::kInvalidInput,
                 "expected a rank below " + std::to_string(kMostIds));
    if (token->size() > kLongestToken)
      return bad(at, ErrorCode::kUnsupported, "a token of more than 1,024 bytes is not supported");
    if (bytes_of.size() <= id) bytes_of.resize(std::size_t{id} + 1);
    if (bytes_of[id] || !ids.emplace(*token, id).second)
      return bad(at, ErrorCode::kInvalidInput, "expected a token and a rank that are new");
    bytes_of[id] = std::move(token);
    at = end + 1;
  }

  auto named = named_pretokenizer(name);
  if (!named)
    return fail(Error{ErrorCode::kUnsupported,
                      "a rank file does not say how text is cut, the tokenizer's name does: " +
                          named.error().message,
                      {},
                      "tokenizer.name"});
  ByteBpeParts parts;
  for (unsigned b = 0; b < 256; ++b) {
    const auto token = ids.find(std::string(1, static_cast<char>(b)));
    parts.byte_tokens[b] = token == ids.end() ? kNoToken : token->second;
  }
  COUNTERMARK_CHECK(check_byte_tokens(parts.byte_tokens, false));
  std::vector<Merge> merges;
  for (const auto& [token, id] : ids) {
    const std::string_view whole = token;
    for (std::size_t cut = 1; cut < whole.size(); ++cut) {
      const auto left = ids.find(whole.substr(0, cut));
      const auto right = ids.find(whole.substr(cut));
      if (left != ids.end() && right != ids.end())
        merges.push_back({left->second, right->second, id, id});
    }
  }
  parts.model = BpeModel(std::move(merges));
  parts.whole_pieces = std::move(ids);
  Pipeline pipeline{.pretokenizer = std::move(named->pretokenizer)};
  pipeline.model = make_byte_bpe(std::move(parts));
  pipeline.bytes_of = std::move(bytes_of);
  return make_byte_level_tokenizer(std::move(sha256), std::move(pipeline));
}

}  // namespace countermark::text
