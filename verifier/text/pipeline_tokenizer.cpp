// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/pipeline_tokenizer.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "verifier/text/unicode_text.h"

namespace countermark::text {
namespace {

constexpr std::size_t kTogether = 64;  // words of the vocabulary that are merged at once

class PipelineTokenizer final : public Tokenizer {
 public:
  PipelineTokenizer(std::string sha256, Pipeline pipeline,
                    const std::vector<std::string_view>& words)
      : Tokenizer(std::move(sha256)),
        parts_(std::move(pipeline)),
        words_(ShortPieces::room_for(words.size())) {
    // By what they become, not as themselves: merges may never lead to a word.
    const PieceEncoder::Merge merge = parts_.model->merge();
    std::vector<std::string_view> few;
    std::vector<TokenId> ids;
    std::vector<std::size_t> ends;
    const auto learn = [&] {
      ids.clear();
      ends.resize(few.size());
      merge(few, ids, ends);
      for (std::size_t i = 0, begin = 0; i < few.size(); begin = ends[i++])
        words_.add(ShortPieces::key(few[i]), TokenSpan(ids).subspan(begin, ends[i] - begin), true);
      few.clear();
    };
    for (const std::string_view word : words) {
      if (word.empty() || word.size() > ShortPieces::kLongest) continue;
      few.push_back(word);
      if (few.size() == kTogether) learn();
    }
    learn();
  }

  std::size_t vocab_size() const noexcept override { return parts_.bytes_of.size(); }

  Result<std::vector<TokenId>> encode(std::string_view text) const override {
    std::vector<TokenId> ids;
    COUNTERMARK_CHECK(PipelineEncoder(*this).encode(text, ids));
    return ids;
  }

  std::unique_ptr<Encoder> encoder() const override {
    return std::make_unique<PipelineEncoder>(*this);
  }

  Result<std::string> decode(TokenSpan ids) const override {
    std::string text;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] >= parts_.bytes_of.size() || !parts_.bytes_of[ids[i]])
        return fail(not_in_vocabulary(i, ids[i]));
      text += *parts_.bytes_of[ids[i]];
    }
    const std::size_t spaces = std::min(text.find_first_not_of(' '), text.size());
    text.erase(0, std::min(spaces, parts_.dropped_spaces));
    return text;
  }

 private:
  class PipelineEncoder final : public Encoder {
   public:
    explicit PipelineEncoder(const PipelineTokenizer& tokenizer)
        : parts_(tokenizer.parts_), pieces_(tokenizer.words_, parts_.model->merge()) {}

    Status encode(std::string_view text, std::vector<TokenId>& ids) override {
      COUNTERMARK_CHECK(check_text(text));
      ids.clear();
      ids.reserve(text.size() / 4);
      return parts_.added.cut(text, ids, [&](std::string_view part) -> Status {
        const bool begins = part.data() == text.data();
        COUNTERMARK_TRY(const std::string_view normal, parts_.normalizer.apply(part, normal_));
        return parts_.added_normalized.cut(normal, ids, [&](std::string_view between) {
          return encode_parts(between, begins && between.data() == normal.data(), ids);
        });
      });
    }

   private:
    Status encode_parts(std::string_view text, bool begins, std::vector<TokenId>& ids) {
      if (!parts_.before) return encode_words(text, begins, ids);
      Pieces parts(*parts_.before, text);
      for (;;) {
        COUNTERMARK_TRY(const std::string_view part, parts.next());
        if (part.empty()) return {};
        COUNTERMARK_CHECK(encode_words(part, begins && part.data() == text.data(), ids));
      }
    }

    Status encode_words(std::string_view text, bool begins, std::vector<TokenId>& ids) {
      text = with_marks(text, begins);
      Pieces pieces(parts_.pretokenizer, text);
      std::array<std::uint32_t, PieceEncoder::kMostPieces> ends;
      pieces_.begin();
      for (;;) {
        COUNTERMARK_TRY(const Pieces::Batch batch, pieces.next(ends));
        if (batch.count == 0) break;
        pieces_.add(batch.begin, std::span(ends).first(batch.count), text.data() + text.size(),
                    ids);
      }
      pieces_.finish(ids);
      return {};
    }

    std::string_view with_marks(std::string_view text, bool begins) {
      const auto& [mark, prefix] = parts_.space_mark;
      const bool with_prefix = (prefix == SpaceMark::Prefix::kAlways ||
                                (prefix == SpaceMark::Prefix::kFirst && begins)) &&
                               !text.starts_with(' ') && !text.starts_with(mark);
      const bool is_marked = mark != " " && text.find(' ') != text.npos;
      if (!with_prefix && !is_marked) return text;
      marked_.assign(with_prefix ? mark : "");
      if (is_marked) {
        for (const char c : text) c == ' ' ? marked_.append(mark) : marked_.append(1, c);
      } else {
        marked_ += text;
      }
      return marked_;
    }

    const Pipeline& parts_;
    std::string normal_{};
    std::string marked_{};
    PieceEncoder pieces_;
  };

  Pipeline parts_;
  ShortPieces words_;  // of the vocabulary
};

}  // namespace

std::unique_ptr<const Tokenizer> make_pipeline_tokenizer(
    std::string sha256, Pipeline pipeline, const std::vector<std::string_view>& words) {
  return std::make_unique<PipelineTokenizer>(std::move(sha256), std::move(pipeline), words);
}

std::unique_ptr<const Tokenizer> make_byte_level_tokenizer(std::string sha256, Pipeline pipeline) {
  std::vector<std::string_view> words;
  for (const auto& bytes : pipeline.bytes_of)
    if (bytes) words.emplace_back(*bytes);
  return make_pipeline_tokenizer(std::move(sha256), std::move(pipeline), words);
}

}  // namespace countermark::text
