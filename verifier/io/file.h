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

  // Passes over the next `count` bytes of a regular file, also beyond its end; false where only
  // reading does that.
  bool skip(std::uint64_t count);

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

// A file of lines that grows, and that others may add lines to, read and put aside meanwhile. Not
// for several threads at once.
class LineFile {
 public:
  // Opens a regular file, made with mode 0600 if it is not there, or a pipe with somebody at its
  // other end, and does not wait for one. A last line without its line feed, as a crash leaves
  // it, gets one, so that what follows is whole.
  static Result<LineFile> open(const std::string& path);

  LineFile(LineFile&& other) noexcept;
  LineFile& operator=(LineFile&& other) noexcept;
  ~LineFile();

  // Appends whole lines, in one write where the system allows it, to the file that has the path
  // now: one that was put aside is followed by a new one. Returns how many bytes are in the file;
  // fewer than given when the system refused the others. Waits for as long as the disk does.
  // Nothing is synced.
  std::size_t append(std::string_view lines);

 private:
  LineFile(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}

  bool is_put_aside() const;

  int descriptor_ = -1;
  std::string path_;
  bool is_torn_ = false;  // the file does not end with a line feed
};

}  // namespace countermark::io
