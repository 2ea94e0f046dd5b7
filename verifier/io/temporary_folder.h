// SPDX-License-Identifier: Apache-2.0
// A folder of the process's own, for as long as the object lives.
#pragma once

#include <string>
#include <utility>

#include "watermark/error.h"

namespace countermark::io {

class TemporaryFolder {
 public:
  // Below $TMPDIR, else /tmp; only the user may look into it. kIo when it cannot be made.
  static Result<TemporaryFolder> create();

  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  // Removes it with all that is in it.
  ~TemporaryFolder();

  const std::string& path() const noexcept { return path_; }

 private:
  explicit TemporaryFolder(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

}  // namespace countermark::io
