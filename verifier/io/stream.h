// SPDX-License-Identifier: Apache-2.0
// Bytes in order, from a file as it is or compressed with gzip or Zstandard, in bounded memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "watermark/error.h"

namespace countermark::io {

// Not for several threads at once.
class Stream {
 public:
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream() = default;

  // Reads up to `buffer.size()` bytes (at least one) and returns how many; 0 only at the end. An
  // error names the file and, where the file is damaged, the offset in it; it comes after all bytes
  // before the damage, and stays.
  virtual Result<std::size_t> read(std::span<char> buffer) = 0;

  // Passes over the next `count` bytes; fewer when the end comes first. By reading, where nothing
  // quicker is known.
  virtual Status skip(std::uint64_t count);

  // Bytes taken so far from the file as it lies on the disk.
  virtual std::uint64_t taken() const noexcept = 0;
};

// Opens a file, a pipe or "-". The first bytes say whether it is gzip (any number of members) or
// Zstandard (any number of frames, windows of at most 128 MiB): neither can be the start of text.
// kInvalidInput when the name ends in .gz or .zst, in either case of letters, and the bytes say
// otherwise.
Result<std::unique_ptr<Stream>> open_stream(const std::string& path);

// The bytes in `below`, which is called `name` in errors, decompressed.
std::unique_ptr<Stream> gunzip(std::unique_ptr<Stream> below, std::string name);
std::unique_ptr<Stream> unzstd(std::unique_ptr<Stream> below, std::string name);

// The name without its ending .gz or .zst, in either case of letters.
std::string without_compression(const std::string& name);

}  // namespace countermark::io
