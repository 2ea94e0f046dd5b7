// SPDX-License-Identifier: Apache-2.0
// Files that the program keeps for itself: written once from end to end, then read at any place;
// and the folders that hold them. Errors as in file.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "watermark/error.h"

namespace countermark::io {

// A file that is being written. Removed again unless it was finished.
class NewFile {
 public:
  // kExists when something is there.
  static Result<NewFile> create(const std::string& path);

  NewFile(NewFile&&) noexcept;
  NewFile& operator=(NewFile&&) noexcept;
  ~NewFile();

  Status write(std::string_view bytes);
  std::uint64_t size() const noexcept;

  // Syncs it to the disk if asked to, and keeps it. Its name survives the machine's crash after
  // sync_folder().
  Status finish(bool sync);
  // The same under another name, where nothing is (kExists), in a synced folder.
  Status finish_as(const std::string& path);

 private:
  struct Open;
  explicit NewFile(std::unique_ptr<Open> open);
  std::unique_ptr<Open> open_;
};

Result<std::uint64_t> file_size(const std::string& path);

// Fills `buffer` with the file's bytes from `offset`; kInvalidInput when it ends before. Holds no
// file open between calls: thousands of files may be read in turns.
Status read_at(const std::string& path, std::uint64_t offset, std::span<char> buffer);

Status sync_folder(const std::string& path);

// One process's hold on a folder, for as long as it lives.
class FolderLock {
 public:
  // Makes the folder if it is not there. kIo when another one holds it.
  static Result<FolderLock> take(const std::string& folder);

  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&& other) noexcept;
  ~FolderLock();

 private:
  explicit FolderLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

}  // namespace countermark::io
