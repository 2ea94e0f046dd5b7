// SPDX-License-Identifier: Apache-2.0
// Compressed bytes for the tests of what reads them.
#pragma once

#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include <memory>
#include <string>
#include <string_view>

namespace countermark {

// One gzip member.
inline std::string gzip(std::string_view bytes) {
  std::string in(bytes);
  std::string out(bytes.size() + bytes.size() / 2 + 1024, '\0');
  auto stream = std::make_unique<isal_zstream>();
  isal_deflate_init(stream.get());
  stream->gzip_flag = IGZIP_GZIP;
  stream->end_of_stream = 1;
  stream->next_in = reinterpret_cast<std::uint8_t*>(in.data());
  stream->avail_in = static_cast<std::uint32_t>(in.size());
  stream->next_out = reinterpret_cast<std::uint8_t*>(out.data());
  stream->avail_out = static_cast<std::uint32_t>(out.size());
  isal_deflate(stream.get());
  out.resize(stream->total_out);
  return out;
}

// One Zstandard frame with a checksum, which needs a window of 2^`window_log` bytes.
inline std::string zstd(std::string_view bytes, int window_log = 0) {
  const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(),
                                                                     &ZSTD_freeCCtx);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  // Of a frame whose size is known the window is no larger than that.
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_contentSizeFlag, 0);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_windowLog, window_log);
  std::string out(ZSTD_compressBound(bytes.size()) + 64, '\0');
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  ZSTD_inBuffer from{bytes.data(), bytes.size(), 0};
  while (from.pos < from.size) ZSTD_compressStream2(context.get(), &to, &from, ZSTD_e_continue);
  while (ZSTD_compressStream2(context.get(), &to, &from, ZSTD_e_end) != 0) {
  }
  out.resize(to.pos);
  return out;
}

}  // namespace countermark
