// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/byte_bpe.h"

#include <string>
#include <utility>

#include "verifier/text/bpe_piece_model.h"

namespace countermark::text {
namespace {

class ByteBpe final : public BpePieceModel {
 public:
  explicit ByteBpe(ByteBpeParts parts)
      : BpePieceModel(std::move(parts.whole_pieces), std::move(parts.model)),
        byte_tokens_(parts.byte_tokens) {}

 private:
  void split(std::string_view piece, std::vector<TokenId>& tokens) const override {
    for (const char c : piece) {
      const TokenId token = byte_tokens_[static_cast<unsigned char>(c)];
      if (token != kNoToken) tokens.push_back(token);
    }
  }

  std::array<TokenId, 256> byte_tokens_;
};

}  // namespace

Status check_byte_tokens(const std::array<TokenId, 256>& byte_tokens, bool may_be_dropped) {
  for (unsigned b = 0; b < 256; ++b) {
    const bool is_invalid = b == 0xc0 || b == 0xc1 || b >= 0xf5;
    const bool is_rare =
        (b < 0x20 && b != '\t' && b != '\n' && b != '\r') || b == 0xf1 || b == 0xf2;
    if (byte_tokens[b] == kNoToken && !is_invalid && !(is_rare && may_be_dropped))
      return fail(ErrorCode::kUnsupported,
                  "without a token for the byte " + std::to_string(b) + " is not supported");
  }
  return {};
}

std::unique_ptr<const PieceModel> make_byte_bpe(ByteBpeParts parts) {
  return std::make_unique<ByteBpe>(std::move(parts));
}

}  // namespace countermark::text
