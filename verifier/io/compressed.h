// SPDX-License-Identifier: Apache-2.0
// What decompressors share: compressed bytes in pieces, with their place in the file.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "verifier/io/stream.h"

namespace countermark::io {

class CompressedBytes {
 public:
  CompressedBytes(std::unique_ptr<Stream> below, std::string name)
      : below_(std::move(below)), name_(std::move(name)) {}

  // The bytes that were not used yet; reads more when there are none. Empty at the end of the file.
  Result<std::string_view> at_hand() {
    if (used_ == size_ && !ended_) {
      // ISA-L gives back up to eight bytes, which may be the last ones of the piece before.
      std::copy_n(piece_.data() + size_ - kKept, kKept, piece_.data());
      used_ = size_ = kKept;
      COUNTERMARK_TRY(const std::size_t count,
                      below_->read(std::span(piece_).subspan(kKept, kPiece)));
      size_ += count;
      ended_ = count == 0;
    }
    return std::string_view(piece_).substr(used_, size_ - used_);
  }

  // Of the bytes at hand `left` are left: fewer than before, or up to kKept more.
  void leave(std::size_t left) {
    offset_ -= left;
    offset_ += size_ - used_;
    used_ = size_ - left;
  }

  std::uint64_t taken() const noexcept { return below_->taken(); }

  // An error about the bytes that come next.
  Error error(std::string message) const {
    return Error{ErrorCode::kInvalidInput, std::move(message), name_, {}, offset_};
  }

 private:
  static constexpr std::size_t kPiece = std::size_t{1} << 17;
  static constexpr std::size_t kKept = 16;

  std::unique_ptr<Stream> below_;
  std::string name_;
  std::string piece_ = std::string(kKept + kPiece + kKept, '\0');
  std::size_t size_ = kKept;
  std::size_t used_ = kKept;
  std::uint64_t offset_ = 0;  // in the file, of the first byte at hand
  bool ended_ = false;
};

}  // namespace countermark::io
