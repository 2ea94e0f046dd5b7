// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include <charconv>
#include <exception>
#include <utility>
#include <vector>

#include "verifier/text/sentencepiece_check.h"
#include "watermark/utf8.h"

// Exported by the library, and declared only in a header of its own that is not installed.
namespace sentencepiece::logging {
void SetMinLogLevel(int level);  // NOLINT(readability-identifier-naming): the library's name
}

namespace countermark::text {
namespace {

constexpr int kOnlyFatal = 3;  // LOG_FATAL
// The library counts in int, and white space grows to three bytes.
constexpr std::size_t kLongestText = std::size_t{1} << 29;
constexpr int kNoByte = -1;

class SentencePieceTokenizer final : public Tokenizer {
 public:
  SentencePieceTokenizer(std::string sha256,
                         std::unique_ptr<const sentencepiece::SentencePieceProcessor> model)
      : Tokenizer(std::move(sha256)), model_(std::move(model)) {
    const int size = model_->GetPieceSize();
    bytes_.assign(static_cast<std::size_t>(size), kNoByte);
    for (int id = 0; id < size; ++id) {
      if (!model_->IsByte(id)) continue;
      const std::string& piece = model_->IdToPiece(id);  // "<0x0A>", as the library has checked
      std::from_chars(piece.data() + 3, piece.data() + 5, bytes_[static_cast<std::size_t>(id)], 16);
    }
  }

  std::size_t vocab_size() const noexcept override { return bytes_.size(); }

  Result<std::vector<TokenId>> encode(std::string_view text) const override {
    if (text.size() > kLongestText)
      return fail(ErrorCode::kUnsupported,
                  "expected at most " + std::to_string(kLongestText) + " bytes of text");
    COUNTERMARK_CHECK(check_utf8(text));
    std::vector<int> ids;
    const auto status = model_->Encode({text.data(), text.size()}, &ids);
    if (!status.ok())
      return fail(ErrorCode::kInternal, "libsentencepiece: " + std::string(status.message()));
    return std::vector<TokenId>(ids.begin(), ids.end());
  }

  Result<std::string> decode(TokenSpan ids) const override {
    std::vector<int> given;
    given.reserve(ids.size());
    for (const TokenId id : ids) {
      if (id >= vocab_size()) return fail(not_in_vocabulary(given.size(), id));
      given.push_back(static_cast<int>(id));
    }
    const auto decoded = model_->DecodeIdsAsImmutableProto(given);
    // The library turns bytes that are no whole character into U+FFFD; we keep them.
    std::string surfaces;
    std::string text;
    for (std::size_t i = 0; i < decoded.pieces_size(); ++i) {
      const auto piece = decoded.pieces(static_cast<int>(i));
      const int byte = bytes_[ids[i]];
      surfaces += piece.surface();
      if (byte == kNoByte) {
        text += piece.surface();
      } else {
        text += static_cast<char>(byte);
      }
    }
    // They differ when the model has a denormalizer, which sees only the whole text.
    return surfaces == decoded.text() ? text : decoded.text();
  }

 private:
  std::unique_ptr<const sentencepiece::SentencePieceProcessor> model_;
  std::vector<int> bytes_{};  // by id: the byte that a byte piece stands for, else kNoByte
};

}  // namespace

Result<std::unique_ptr<const Tokenizer>> parse_sentencepiece_tokenizer(std::string_view bytes,
                                                                       std::string sha256) {
  COUNTERMARK_CHECK(check_sentencepiece_model(bytes));
  sentencepiece::logging::SetMinLogLevel(kOnlyFatal);
  auto model = std::make_unique<sentencepiece::SentencePieceProcessor>();
  std::string reason;
  try {
    const auto status = model->LoadFromSerializedProto({bytes.data(), bytes.size()});
    if (status.ok())
      return std::unique_ptr<const Tokenizer>(
          std::make_unique<SentencePieceTokenizer>(std::move(sha256), std::move(model)));
    reason = status.message();
  } catch (const std::exception& error) {  // of its tries
    reason = error.what();
  }
  // The library quotes pieces as they stand in the file.
  return fail(ErrorCode::kInvalidInput,
              "expected a SentencePiece model: " + replace_invalid_utf8(reason));
}

}  // namespace countermark::text
