// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/byte_bpe.h"

#include <string>
#include <utility>

#include "verifier/text/whole_pieces.h"

namespace countermark::text {
namespace {

class ByteBpe final : public PieceModel {
 public:
  explicit ByteBpe(ByteBpeParts parts)
      : whole_pieces_(std::move(parts.whole_pieces)), parts_(std::move(parts)) {}

  PieceEncoder::Merge merge() const override {
    return [this, scratch = BpeModel::Scratch()](std::string_view piece,
                                                 std::vector<TokenId>& ids) mutable {
      if (const auto whole = whole_pieces_.find(piece)) {
        ids.push_back(*whole);
        return;
      }
      scratch.tokens.clear();
      for (const char c : piece) {
        const TokenId token = parts_.byte_tokens[static_cast<unsigned char>(c)];
        if (token != kNoToken) scratch.tokens.push_back(token);
      }
      parts_.model.merge(scratch, ids);
    };
  }

 private:
  WholePieces whole_pieces_;
  ByteBpeParts parts_;  // less whole_pieces
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
