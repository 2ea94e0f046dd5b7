// SPDX-License-Identifier: Apache-2.0
#include "verifier/io/storage.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <filesystem>
#include <optional>

#include "verifier/io/descriptor.h"

namespace countermark::io {
namespace {

std::string folder_of(const std::string& path) {
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

}  // namespace

struct NewFile::Open {
  Descriptor descriptor;
  std::string path;
  std::uint64_t size = 0;

  ~Open() {
    if (descriptor.get() >= 0) ::unlink(path.c_str());
  }
};

NewFile::NewFile(std::unique_ptr<Open> open) : open_(std::move(open)) {}
NewFile::NewFile(NewFile&&) noexcept = default;
NewFile& NewFile::operator=(NewFile&&) noexcept = default;
NewFile::~NewFile() = default;

Result<NewFile> NewFile::create(const std::string& path) {
  const int number = open_retrying(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (number < 0 && errno == EEXIST)
    return fail(Error{ErrorCode::kExists, "is already there", path});
  if (number < 0) return fail(os_error("cannot write", path, errno));
  return NewFile(std::unique_ptr<Open>(new Open{Descriptor(number), path}));
}

Status NewFile::write(std::string_view bytes) {
  const std::size_t written = write_what_goes(open_->descriptor.get(), bytes);
  open_->size += written;
  if (written == bytes.size()) return {};
  Error error = os_error("cannot write", open_->path, errno);
  error.offset = open_->size;
  return fail(std::move(error));
}

std::uint64_t NewFile::size() const noexcept { return open_->size; }

Status NewFile::finish(bool sync) {
  if ((sync && sync_retrying(open_->descriptor.get()) != 0) || !open_->descriptor.close()) {
    const int number = errno;
    ::unlink(open_->path.c_str());
    return fail(os_error("cannot write", open_->path, number));
  }
  return {};
}

Status NewFile::finish_as(const std::string& path) {
  COUNTERMARK_CHECK(finish(true));
  const int error = name_without_replacing(open_->path.c_str(), path.c_str());
  ::unlink(open_->path.c_str());
  if (error == EEXIST) return fail(Error{ErrorCode::kExists, "is already there", path});
  if (error != 0) return fail(os_error("cannot write", path, error));
  return sync_folder(folder_of(path));
}

Result<std::uint64_t> file_size(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return fail(os_error("cannot read", path, errno));
  if (!S_ISREG(status.st_mode)) return fail(Error{ErrorCode::kIo, "expected a regular file", path});
  return static_cast<std::uint64_t>(status.st_size);
}

Status read_at(const std::string& path, std::uint64_t offset, std::span<char> buffer) {
  const Descriptor file(open_retrying(path.c_str(), O_RDONLY));
  if (file.get() < 0) return fail(os_error("cannot open", path, errno));
  while (!buffer.empty()) {
    const ssize_t count =
        ::pread(file.get(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(os_error("cannot read", path, errno));
    if (count == 0)
      return fail(Error{ErrorCode::kInvalidInput,
                        "ends early: expected " + std::to_string(buffer.size()) + " more bytes",
                        path, "", offset});
    buffer = buffer.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

Status sync_folder(const std::string& path) {
  const Descriptor folder(open_retrying(path.c_str(), O_RDONLY | O_DIRECTORY));
  if (folder.get() < 0) return fail(os_error("cannot open", path, errno));
  // Not every file system can say so of folders.
  if (sync_retrying(folder.get()) != 0 && errno != EINVAL)
    return fail(os_error("cannot write", path, errno));
  return {};
}

Result<FolderLock> FolderLock::take(const std::string& folder) {
  std::error_code made;
  std::filesystem::create_directories(folder, made);
  if (made) return fail(os_error("cannot make the folder", folder, made.value()));
  const std::string path = folder + "/lock";
  FolderLock lock(open_retrying(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  if (lock.descriptor_ < 0) return fail(os_error("cannot open", path, errno));
  if (::flock(lock.descriptor_, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK)
    return fail(Error{ErrorCode::kIo, "another process works in this folder", folder});
  return fail(os_error("cannot lock", path, errno));
}

FolderLock::FolderLock(FolderLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

FolderLock& FolderLock::operator=(FolderLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

FolderLock::~FolderLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace countermark::io
