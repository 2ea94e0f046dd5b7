// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/chain.h"

#include <cstdio>
#include <fstream>

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
  std::ofstream file(partial, std::ios::binary | std::ios::trunc);
  file << bytes;
  file.close();
  if (!file || std::rename(partial.c_str(), path.c_str()) != 0)
    return fail(Error{ErrorCode::kIo, "cannot be written", path});
  return {};
}

}  // namespace countermark::audit
