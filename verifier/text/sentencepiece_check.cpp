// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/sentencepiece_check.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "verifier/text/charsmap.h"

namespace countermark::text {
namespace {

// Numbers of fields and types in sentencepiece_model.proto.
constexpr std::uint64_t kModelPieces = 1;
constexpr std::uint64_t kModelNormalizer = 3;
constexpr std::uint64_t kModelDenormalizer = 5;
constexpr std::uint64_t kPieceText = 1;
constexpr std::uint64_t kPieceScore = 2;
constexpr std::uint64_t kPieceType = 3;
constexpr std::uint64_t kUserDefined = 4;
constexpr std::uint64_t kLastType = 6;
constexpr std::uint64_t kNormalizerTrie = 2;

// Room for the results of one search: kResultSize in PrefixMatcher::PrefixMatch.
constexpr std::size_t kMostNestedSymbols = 64;

enum WireType : std::uint64_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// One field of a protobuf message.
struct Field {
  std::uint64_t number = 0;
  std::uint64_t type = 0;
  std::uint64_t value = 0;   // of a varint or fixed-width field
  std::string_view bytes{};  // of a field of bytes
};

// Reads the fields of one message. Groups, which this format does not use, count as malformed.
class Message {
 public:
  explicit Message(std::string_view bytes) : rest_(bytes) {}

  bool at_end() const { return rest_.empty(); }
  const char* position() const { return rest_.data(); }

  bool read(Field& field) {
    std::uint64_t tag = 0;
    if (!read_varint(tag) || tag > UINT32_MAX || tag >> 3 == 0) return false;
    field = Field{tag >> 3, tag & 7};
    switch (field.type) {
      case kVarint:
        return read_varint(field.value);
      case kFixed64:
        return read_fixed(field.value, 8);
      case kFixed32:
        return read_fixed(field.value, 4);
      case kBytes: {
        std::uint64_t size = 0;
        if (!read_varint(size) || size > rest_.size()) return false;
        field.bytes = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return true;
      }
      default:
        return false;
    }
  }

 private:
  bool read_varint(std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<std::uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      if (shift == 63 && byte > 1) return false;
      value |= std::uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  bool read_fixed(std::uint64_t& value, std::size_t size) {
    if (rest_.size() < size) return false;
    value = 0;
    for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<std::uint8_t>(rest_[i]);
    rest_.remove_prefix(size);
    return true;
  }

  std::string_view rest_;
};

// The longest chain of symbols each of which begins with the one before.
std::size_t most_nested(std::vector<std::string_view> symbols) {
  std::sort(symbols.begin(), symbols.end());
  std::vector<std::string_view> chain;
  std::size_t most = 0;
  for (const std::string_view symbol : symbols) {
    while (!chain.empty() && !symbol.starts_with(chain.back())) chain.pop_back();
    chain.push_back(symbol);
    most = std::max(most, chain.size());
  }
  return most;
}

struct Piece {
  std::string_view text{};
  bool is_user_defined = false;
};

bool read_piece(std::string_view bytes, Piece& piece) {
  Message message(bytes);
  Field field;
  while (!message.at_end()) {
    if (!message.read(field)) return false;
    if (field.number == kPieceText && field.type == kBytes) {
      piece.text = field.bytes;
    } else if (field.number == kPieceScore && field.type == kFixed32) {
      if (!std::isfinite(std::bit_cast<float>(static_cast<std::uint32_t>(field.value))))
        return false;
    } else if (field.number == kPieceType && field.type == kVarint) {
      if (field.value == 0 || field.value > kLastType) return false;
      piece.is_user_defined = field.value == kUserDefined;
    }
  }
  // The library hands pieces to darts-clone as C strings.
  return !piece.text.empty() && piece.text.find('\0') == std::string_view::npos;
}

bool is_safe_normalizer(std::string_view bytes) {
  Message message(bytes);
  Field field;
  while (!message.at_end()) {
    if (!message.read(field)) return false;
    const bool is_trie = field.number == kNormalizerTrie && field.type == kBytes;
    if (is_trie && !field.bytes.empty() && !is_safe_charsmap(field.bytes)) return false;
  }
  return true;
}

}  // namespace

Status check_sentencepiece_model(std::string_view bytes) {
  Message message(bytes);
  Field field;
  std::vector<std::string_view> user_defined;
  const auto bad = [&](const char* at, std::string expected) {
    return fail(Error{ErrorCode::kInvalidInput,
                      "expected a SentencePiece model: " + std::move(expected),
                      {},
                      {},
                      static_cast<std::uint64_t>(at - bytes.data())});
  };
  while (!message.at_end()) {
    const char* const start = message.position();
    if (!message.read(field)) return bad(start, "a whole field");
    if (field.type != kBytes) continue;
    if (field.number == kModelPieces) {
      Piece piece;
      if (!read_piece(field.bytes, piece)) return bad(start, "a piece with text, score and type");
      if (piece.is_user_defined) user_defined.push_back(piece.text);
    } else if (field.number == kModelNormalizer || field.number == kModelDenormalizer) {
      if (!is_safe_normalizer(field.bytes)) return bad(start, "a sound normalization trie");
    }
  }
  if (most_nested(std::move(user_defined)) > kMostNestedSymbols)
    return bad(bytes.data(), "at most 64 user-defined symbols that begin with each other");
  return {};
}

}  // namespace countermark::text
