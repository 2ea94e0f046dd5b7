// SPDX-License-Identifier: Apache-2.0
// gzip by ISA-L, the quickest decompressor that takes a stream (docs/dependencies.md).
#include <isa-l/igzip_lib.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "verifier/io/compressed.h"

namespace countermark::io {
namespace {

const char* reason(int code) {
  switch (code) {
    case ISAL_INVALID_WRAPPER:
      return "corrupt gzip: not the header of a member";
    case ISAL_UNSUPPORTED_METHOD:
      return "corrupt gzip: an unknown method of compression";
    case ISAL_INCORRECT_CHECKSUM:
      return "corrupt gzip: the checksum or the size of a member is another";
    default:
      return "corrupt gzip: the compressed bytes make no sense";
  }
}

class Gunzip final : public Stream {
 public:
  Gunzip(std::unique_ptr<Stream> below, std::string name)
      : source_(std::move(below), std::move(name)) {
    begin_member();
  }

  Result<std::size_t> read(std::span<char> buffer) override {
    if (broken_) return fail(*broken_);
    auto count = decompress(buffer);
    if (!count) broken_ = count.error();
    return count;
  }

  std::uint64_t taken() const noexcept override { return source_.taken(); }

 private:
  // The header is read apart: isal_inflate forgets the half of one that ends with a piece.
  void begin_member() {
    isal_inflate_init(&state_);
    state_.crc_flag = ISAL_GZIP_NO_HDR_VER;
    isal_gzip_header_init(&header_);
    in_header_ = true;
  }

  Result<std::size_t> decompress(std::span<char> buffer) {
    for (;;) {
      COUNTERMARK_TRY(const std::string_view bytes, source_.at_hand());
      if (state_.block_state == ISAL_BLOCK_FINISH) {
        COUNTERMARK_TRY(const bool more, find_next_member(bytes));
        if (more) continue;
        return std::size_t{0};
      }
      constexpr std::size_t kMost = std::numeric_limits<std::uint32_t>::max();
      const std::size_t room = std::min(buffer.size(), kMost);
      // The library takes a mutable pointer and only reads.
      // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast)
      state_.next_in = reinterpret_cast<std::uint8_t*>(const_cast<char*>(bytes.data()));
      state_.avail_in = static_cast<std::uint32_t>(bytes.size());
      state_.next_out = reinterpret_cast<std::uint8_t*>(buffer.data());
      state_.avail_out = static_cast<std::uint32_t>(room);
      const int code =
          in_header_ ? isal_read_gzip_header(&state_, &header_) : isal_inflate(&state_);
      const std::size_t count = room - state_.avail_out;
      if (code < 0) {
        // In bytes that make no sense the library may count some more than there are.
        source_.leave(state_.avail_in <= bytes.size() ? state_.avail_in : 0);
        broken_ = source_.error(reason(code));
        if (count == 0) return fail(*broken_);
        return count;
      }
      source_.leave(state_.avail_in);
      if (in_header_) in_header_ = code != ISAL_DECOMP_OK;
      if (count > 0) return count;
      if (state_.block_state == ISAL_BLOCK_FINISH || state_.avail_in < bytes.size()) continue;
      if (bytes.empty())
        return fail(source_.error("truncated gzip: the file ends within a member"));
      if (in_header_ || state_.avail_in > bytes.size())
        return fail(source_.error("corrupt gzip: the compressed bytes lead nowhere"));
    }
  }

  // Between members: whether another one begins. Zeros up to the end are padding, as tapes leave.
  Result<bool> find_next_member(std::string_view bytes) {
    if (bytes.empty()) return false;
    const std::size_t zeros = std::min(bytes.find_first_not_of('\0'), bytes.size());
    source_.leave(bytes.size() - zeros);
    is_padded_ = is_padded_ || zeros > 0;
    if (zeros == bytes.size()) return true;  // more of them, or the end
    if (is_padded_ || bytes[zeros] != '\x1f')
      return fail(source_.error("expected another gzip member or the end"));
    begin_member();
    return true;
  }

  CompressedBytes source_;
  inflate_state state_{};
  isal_gzip_header header_{};
  bool in_header_ = true;
  bool is_padded_ = false;
  std::optional<Error> broken_{};
};

}  // namespace

std::unique_ptr<Stream> gunzip(std::unique_ptr<Stream> below, std::string name) {
  return std::make_unique<Gunzip>(std::move(below), std::move(name));
}

}  // namespace countermark::io
