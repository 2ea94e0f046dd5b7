// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/chain.h"

#include <filesystem>

#include "verifier/io/storage.h"
#include "watermark/prf/hash.h"

namespace countermark::audit {

std::string digest_of_line(std::string_view line) { return to_hex(sha256(std::string(line))); }

Result<std::string> digest_at(const JsonDocument& record, const std::string& pointer) {
  COUNTERMARK_TRY(std::string out, record.string_at(pointer));
  if (out.size() != 64 || out.find_first_not_of("0123456789abcdef") != std::string::npos)
    return fail(record.error_at(pointer, ErrorCode::kInvalidInput, "expected a SHA-256"));
  return out;
}

Status replace_file(const std::string& path, std::string_view bytes) {
  const std::string partial = path + ".part";
  std::error_code error;
  std::filesystem::remove(partial, error);  // what a process left that was killed
  COUNTERMARK_TRY(io::NewFile file, io::NewFile::create(partial));
  COUNTERMARK_CHECK(file.write(bytes));
  COUNTERMARK_CHECK(file.finish(true));
  std::filesystem::rename(partial, path, error);
  if (error) return fail(Error{ErrorCode::kIo, "cannot be written: " + error.message(), path});
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  return io::sync_folder(folder.empty() ? "." : folder.string());
}

}  // namespace countermark::audit
