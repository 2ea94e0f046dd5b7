// SPDX-License-Identifier: Apache-2.0
// Files in and out, with errors that name the file.
//
// kPermission: we may not read or write there. kIo: every other refusal of the operating system,
// and what is not a file (a directory, a device to be overwritten).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "watermark/error.h"

namespace countermark::io {

// An open file, read in pieces. Not for several threads at once.
class Input {
 public:
  // Opens a regular file or a pipe; "-" is standard input. Refuses directories.
  static Result<Input> open(const std::string& path);

  Input(Input&& other) noexcept;
  Input& operator=(Input&& other) noexcept;
  ~Input();

  // Reads up to `buffer.size()` bytes and returns how many; 0 only at the end.
  Result<std::size_t> read(std::span<char> buffer);

  const std::string& name() const noexcept { return name_; }

 private:
  Input(int descriptor, std::string name) : descriptor_(descriptor), name_(std::move(name)) {}

  int descriptor_ = -1;
  std::string name_;
};

// All bytes of a regular file or a pipe; "-" is standard input. kInvalidInput when there are more
// than `most`.
Result<std::string> read_file(const std::string& path, std::uint64_t most = std::uint64_t{1} << 32);

// How write_file treats what is already there.
enum class Replace { kNever, kAlways };

// Writes the whole file or nothing: a temporary beside it, synced to the disk, then put in place
// in one step. `mode` is the permission of the new file (0600 for keys), less the process's umask.
// kExists when something is there and `replace` is kNever, also when it appears meanwhile.
// kAlways replaces regular files only: a link, a pipe or a device stays as it is (kIo).
Status write_file(const std::string& path, std::string_view bytes, Replace replace,
                  unsigned mode = 0644);

}  // namespace countermark::io
