// SPDX-License-Identifier: Apache-2.0
// The texts that null studies are made on.
#pragma once

#include <string>
#include <vector>

#include "tests/studies/common.h"
#include "verifier/text/reader.h"
#include "verifier/text/tokenizer.h"

namespace countermark::studies {

// Documents shorter than this are joined with the next, so that the p-values of documents are
// those of realistic lengths.
inline constexpr std::size_t kDocumentTokens = 1'000;

// The scored tokens of all documents of the files, in order; joined to documents of that length,
// if wanted.
inline std::vector<std::vector<TokenId>> read_documents(const text::Tokenizer& tokenizer,
                                                        const std::vector<std::string>& files,
                                                        bool join) {
  std::vector<std::vector<TokenId>> documents;
  for (const std::string& file : files) {
    text::ReaderOptions options;
    auto reader = need(text::open_documents(file, options));
    while (auto document = need(reader->next())) {
      for (const text::Segment& segment : document->segments) {
        if (!segment.scored) continue;
        auto ids = need(tokenizer.encode(segment.text));
        if (!join || documents.empty() || documents.back().size() >= kDocumentTokens) {
          documents.push_back(std::move(ids));
        } else {
          documents.back().insert(documents.back().end(), ids.begin(), ids.end());
        }
      }
    }
  }
  return documents;
}

}  // namespace countermark::studies
