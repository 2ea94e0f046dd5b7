// SPDX-License-Identifier: Apache-2.0
// What the tests of readers share.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/folder_test.h"
#include "verifier/text/reader.h"

namespace countermark::text {

namespace fs = std::filesystem;

class Reading : public tests::FolderTest {};

struct Outcome {
  std::vector<Document> documents{};
  std::vector<Error> errors{};
  bool is_broken = false;  // at the end
};

// Everything in the file, errors and documents, up to the end.
inline Outcome all_of(const std::string& path, const ReaderOptions& options = {}) {
  Outcome outcome;
  auto reader = open_documents(path, options);
  if (!reader) {
    outcome.errors.push_back(reader.error());
    return outcome;
  }
  for (int i = 0; i < 100'000; ++i) {
    auto document = (*reader)->next();
    if (!document) {
      outcome.errors.push_back(document.error());
      outcome.is_broken = (*reader)->is_broken();
    } else if (*document) {
      outcome.documents.push_back(std::move(**document));
    } else {
      return outcome;
    }
  }
  ADD_FAILURE() << "the reader does not end";
  return outcome;
}

// The text of the segments, with what is not scored in brackets.
inline std::string shown(const Document& document) {
  std::string text;
  for (const Segment& segment : document.segments) {
    if (!text.empty()) text += "|";
    std::string part = segment.text;
    for (const TokenId id : segment.ids) part += std::to_string(id) + ",";
    text += segment.scored ? part : "[" + part + "]";
  }
  return text;
}

}  // namespace countermark::text
