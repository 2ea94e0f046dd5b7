// SPDX-License-Identifier: Apache-2.0
#include "verifier/io/digest.h"

#include <vector>

#include "verifier/io/file.h"
#include "watermark/prf/hash.h"
#include "watermark/prf/long_hash.h"

namespace countermark::io {

Result<std::string> sha256_of_file(const std::string& path) {
  COUNTERMARK_TRY(Input input, Input::open(path));
  LongHash hash;
  std::vector<char> buffer(std::size_t{1} << 16);
  for (;;) {
    COUNTERMARK_TRY(const std::size_t count, input.read(buffer));
    if (count == 0) return to_hex(hash.sha256());
    hash.add({buffer.data(), count});
  }
}

}  // namespace countermark::io
