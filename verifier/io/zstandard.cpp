// SPDX-License-Identifier: Apache-2.0
#include <zstd.h>
#include <zstd_errors.h>

#include <optional>

#include "verifier/io/compressed.h"

namespace countermark::io {
namespace {

// 128 MiB: what every decoder takes unless told otherwise, and a bound for our memory.
constexpr int kWindowLog = 27;

struct FreeContext {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

class Unzstd final : public Stream {
 public:
  Unzstd(std::unique_ptr<Stream> below, std::string name)
      : source_(std::move(below), std::move(name)), context_(ZSTD_createDCtx()) {
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kWindowLog);
  }

  Result<std::size_t> read(std::span<char> buffer) override {
    if (broken_) return fail(*broken_);
    auto count = decompress(buffer);
    if (!count) broken_ = count.error();
    return count;
  }

  std::uint64_t taken() const noexcept override { return source_.taken(); }

 private:
  Result<std::size_t> decompress(std::span<char> buffer) {
    for (;;) {
      COUNTERMARK_TRY(const std::string_view bytes, source_.at_hand());
      if (bytes.empty() && between_frames_) return std::size_t{0};
      ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
      ZSTD_outBuffer out{buffer.data(), buffer.size(), 0};
      const std::size_t code = ZSTD_decompressStream(context_.get(), &out, &in);
      source_.leave(bytes.size() - in.pos);
      if (ZSTD_isError(code) != 0) {
        broken_ = source_.error(reason(code));
        if (out.pos == 0) return fail(*broken_);
      } else {
        between_frames_ = code == 0;
      }
      if (out.pos > 0) return out.pos;
      if (bytes.empty() && !between_frames_)
        return fail(source_.error("truncated Zstandard: the file ends within a frame"));
    }
  }

  static std::string reason(std::size_t code) {
    if (ZSTD_getErrorCode(code) == ZSTD_error_frameParameter_windowTooLarge)
      return "expected a window of at most 128 MiB (zstd --long=27, not more)";
    return std::string("corrupt Zstandard: ") + ZSTD_getErrorName(code);
  }

  CompressedBytes source_;
  std::unique_ptr<ZSTD_DCtx, FreeContext> context_;
  bool between_frames_ = true;
  std::optional<Error> broken_{};
};

}  // namespace

std::unique_ptr<Stream> unzstd(std::unique_ptr<Stream> below, std::string name) {
  return std::make_unique<Unzstd>(std::move(below), std::move(name));
}

}  // namespace countermark::io
