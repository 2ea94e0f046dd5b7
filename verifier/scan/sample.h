// SPDX-License-Identifier: Apache-2.0
// Some documents of a corpus, for the line-up: the decoys read these and not all of it.
//
// Taken are the documents with the smallest content hashes, until they hold as many tokens as were
// asked for: a rule that cannot see a key, and that no order of arrival, thread or shard changes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "verifier/detect/token_text.h"
#include "verifier/scan/documents.h"
#include "watermark/error.h"

namespace countermark::scan {

class Sample {
 public:
  struct Entry {
    // By tokenizer of the scan.
    std::vector<detect::TokenText> texts{};
    std::uint64_t tokens = 0;  // scored ones, of the first tokenizer

    bool operator==(const Entry&) const = default;
  };

  // `tokens` 0: nothing is taken.
  explicit Sample(std::uint64_t tokens) : budget_(tokens) {}

  // Whether add() would take a document: to ask before its tokens are copied.
  bool wants(std::uint64_t content_hash, const Place& place) const noexcept;
  void add(std::uint64_t content_hash, const Place& place, Entry entry);
  void add(const Sample& other);

  const std::map<std::pair<std::uint64_t, Place>, Entry>& entries() const noexcept {
    return entries_;
  }
  std::uint64_t tokens() const noexcept { return tokens_; }

  // All of it as bytes, and back; kInvalidInput for bytes that no sample has.
  std::string to_bytes() const;
  static Result<Sample> from_bytes(std::string_view bytes);

  bool operator==(const Sample&) const = default;

 private:
  using Key = std::pair<std::uint64_t, Place>;

  std::uint64_t budget_ = 0;
  std::uint64_t tokens_ = 0;
  std::map<Key, Entry> entries_{};
};

}  // namespace countermark::scan
