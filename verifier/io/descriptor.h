// SPDX-License-Identifier: Apache-2.0
// What all that opens files here shares. For source files, not for others' headers.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "watermark/error.h"

namespace countermark::io {

inline Error os_error(const char* doing, const std::string& path, int number) {
  const bool denied = number == EACCES || number == EPERM || number == EROFS;
  return Error{denied ? ErrorCode::kPermission : ErrorCode::kIo,
               std::string(doing) + ": " + std::generic_category().message(number), path};
}

// Closes on the way out; close() is for those who must know whether it worked.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int get() const { return number_; }
  // After EINTR the state of a descriptor is unspecified; on Linux it is closed.
  bool close() { return ::close(std::exchange(number_, -1)) == 0 || errno == EINTR; }

 private:
  int number_;
};

inline int open_retrying(const char* path, int flags, unsigned mode = 0) {
  int number = -1;
  do {
    number = ::open(path, flags | O_CLOEXEC, mode);
  } while (number < 0 && errno == EINTR);
  return number;
}

// Returns how many bytes were written: fewer than there are when the system refused the others.
inline std::size_t write_what_goes(int descriptor, std::string_view bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t written = ::write(descriptor, bytes.data() + done, bytes.size() - done);
    if (written < 0 && errno != EINTR) break;
    if (written > 0) done += static_cast<std::size_t>(written);
  }
  return done;
}

inline bool write_all(int descriptor, std::string_view bytes) {
  return write_what_goes(descriptor, bytes) == bytes.size();
}

inline int sync_retrying(int descriptor) {
  int status = 0;
  do {
    status = ::fsync(descriptor);
  } while (status != 0 && errno == EINTR);
  return status;
}

// Gives the file `from` the name `to` unless that exists, atomically; 0 or the error number. The
// old name may stay.
inline int name_without_replacing(const char* from, const char* to) {
  if (::link(from, to) == 0) return 0;
  const int number = errno;
#ifdef RENAME_NOREPLACE
  // File systems without hard links.
  if (number == EPERM || number == EOPNOTSUPP || number == ENOSYS || number == EMLINK)
    return ::renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0 ? 0 : errno;
#endif
  return number;
}

}  // namespace countermark::io
