// SPDX-License-Identifier: Apache-2.0
#include "verifier/io/temporary_folder.h"

#include <stdlib.h>  // NOLINT(modernize-deprecated-headers): mkdtemp is POSIX's

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "verifier/io/descriptor.h"

namespace countermark::io {

Result<TemporaryFolder> TemporaryFolder::create() {
  std::error_code error;
  const std::filesystem::path below = std::filesystem::temp_directory_path(error);
  std::string path = (error ? std::filesystem::path("/tmp") : below) / "countermark-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return fail(os_error("cannot make", path, errno));
  return TemporaryFolder(std::move(path));
}

TemporaryFolder::~TemporaryFolder() {
  if (path_.empty()) return;
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

}  // namespace countermark::io
