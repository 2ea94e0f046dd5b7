// SPDX-License-Identifier: Apache-2.0
#include "verifier/io/file.h"

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include "verifier/io/descriptor.h"

namespace countermark::io {
namespace {

// Removes the temporary's name on the way out; once the file is in place that name is spare.
class Temporary {
 public:
  explicit Temporary(std::string path) : path_(std::move(path)) {}
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() { ::unlink(path_.c_str()); }
  const char* path() const { return path_.c_str(); }

 private:
  std::string path_;
};

}  // namespace

Result<Input> Input::open(const std::string& path) {
  const bool standard = path == "-";
  // A copy of descriptor 0: closing it leaves standard input to others.
  Input input(
      standard ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) : open_retrying(path.c_str(), O_RDONLY),
      standard ? "standard input" : path);
  struct stat status {};
  if (input.descriptor_ < 0 || ::fstat(input.descriptor_, &status) != 0)
    return fail(os_error("cannot open", input.name_, errno));
  if (S_ISDIR(status.st_mode)) return fail(os_error("cannot read", input.name_, EISDIR));
  return input;
}

Input::Input(Input&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), name_(std::move(other.name_)) {}

Input& Input::operator=(Input&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(name_, other.name_);
  return *this;
}

Input::~Input() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<std::size_t> Input::read(std::span<char> buffer) {
  for (;;) {
    const ssize_t count = ::read(descriptor_, buffer.data(), buffer.size());
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR) return fail(os_error("cannot read", name_, errno));
  }
}

bool Input::skip(std::uint64_t count) {
  struct stat status {};
  return count <= static_cast<std::uint64_t>(std::numeric_limits<off_t>::max()) &&
         ::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode) &&
         ::lseek(descriptor_, static_cast<off_t>(count), SEEK_CUR) >= 0;
}

Result<std::string> read_file(const std::string& path, std::uint64_t most) {
  COUNTERMARK_TRY(Input input, Input::open(path));
  constexpr std::size_t kPiece = std::size_t{1} << 16;
  std::string bytes;
  for (;;) {
    const std::size_t size = bytes.size();
    // One byte past the limit is enough to know that there is more.
    const std::uint64_t room = most - size < UINT64_MAX ? most - size + 1 : UINT64_MAX;
    bytes.resize(size +
                 static_cast<std::size_t>(std::min<std::uint64_t>(room, std::max(kPiece, size))));
    COUNTERMARK_TRY(const std::size_t count, input.read(std::span(bytes).subspan(size)));
    bytes.resize(size + count);
    if (bytes.size() > most)
      return fail(Error{ErrorCode::kInvalidInput,
                        "expected at most " + std::to_string(most) + " bytes", input.name()});
    if (count == 0) break;
  }
  bytes.shrink_to_fit();
  return bytes;
}

Status write_file(const std::string& path, std::string_view bytes, Replace replace, unsigned mode) {
  struct stat present {};
  if (::lstat(path.c_str(), &present) == 0) {
    if (replace == Replace::kNever)
      return fail(Error{ErrorCode::kExists, "is already there", path});
    if (!S_ISREG(present.st_mode))
      return fail(Error{ErrorCode::kIo, "expected a regular file to replace", path});
  }
  const std::filesystem::path target(path);
  if (!target.has_filename()) return fail(os_error("cannot write", path, EISDIR));
  const std::string folder = target.has_parent_path() ? target.parent_path().string() : ".";

  // Unique among the processes that run and the threads of this one; a leftover is stepped over.
  static std::atomic<unsigned> counter{0};
  std::string name;
  int number = -1;
  do {
    name = folder + "/.countermark-" + std::to_string(::getpid()) + "-" +
           std::to_string(counter.fetch_add(1)) + ".tmp";
    number = open_retrying(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  } while (number < 0 && errno == EEXIST);
  if (number < 0) return fail(os_error("cannot write", path, errno));
  Descriptor file(number);
  Temporary temporary(name);

  if (!write_all(file.get(), bytes) || sync_retrying(file.get()) != 0 || !file.close())
    return fail(os_error("cannot write", path, errno));
  if (replace == Replace::kNever) {
    const int error = name_without_replacing(temporary.path(), path.c_str());
    if (error == EEXIST) return fail(Error{ErrorCode::kExists, "is already there", path});
    if (error != 0) return fail(os_error("cannot write", path, error));
  } else if (::rename(temporary.path(), path.c_str()) != 0) {
    return fail(os_error("cannot write", path, errno));
  }

  // The name survives a crash once its folder is on the disk. Not every file system can say so,
  // and the file is in place: no reason to fail.
  const Descriptor parent(open_retrying(folder.c_str(), O_RDONLY | O_DIRECTORY));
  if (parent.get() >= 0) sync_retrying(parent.get());
  return {};
}

Result<LineFile> LineFile::open(const std::string& path) {
  // A pipe without a reader is refused instead of waited for; writing waits again.
  LineFile file(
      open_retrying(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY, 0600),
      path);
  struct stat status {};
  if (file.descriptor_ < 0 || ::fstat(file.descriptor_, &status) != 0)
    return fail(os_error("cannot open", path, errno));
  const bool is_file = S_ISREG(status.st_mode);
  if (!is_file && !S_ISFIFO(status.st_mode))
    return fail(Error{ErrorCode::kIo, "expected a regular file or a pipe", path});
  const int flags = ::fcntl(file.descriptor_, F_GETFL);
  if (flags < 0 || ::fcntl(file.descriptor_, F_SETFL, flags & ~O_NONBLOCK) != 0)
    return fail(os_error("cannot open", path, errno));
  if (is_file && status.st_size > 0) {
    const Descriptor same(open_retrying(path.c_str(), O_RDONLY));
    char last = '\0';
    if (same.get() < 0 || ::pread(same.get(), &last, 1, status.st_size - 1) != 1)
      return fail(os_error("cannot read the end", path, errno));
    file.is_torn_ = last != '\n';
  }
  return file;
}

LineFile::LineFile(LineFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      path_(std::move(other.path_)),
      is_torn_(other.is_torn_) {}

LineFile& LineFile::operator=(LineFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  std::swap(is_torn_, other.is_torn_);
  return *this;
}

LineFile::~LineFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool LineFile::is_put_aside() const {
  struct stat ours {
  }, named{};
  return ::fstat(descriptor_, &ours) != 0 || ::stat(path_.c_str(), &named) != 0 ||
         ours.st_dev != named.st_dev || ours.st_ino != named.st_ino;
}

std::size_t LineFile::append(std::string_view lines) {
  if (lines.empty()) return 0;
  if (is_put_aside()) {
    auto next = open(path_);
    if (!next) return 0;
    *this = std::move(*next);
  }
  if (is_torn_ && write_what_goes(descriptor_, "\n") == 0) return 0;
  const std::size_t written = write_what_goes(descriptor_, lines);
  is_torn_ = written > 0 && lines[written - 1] != '\n';
  return written;
}

}  // namespace countermark::io
