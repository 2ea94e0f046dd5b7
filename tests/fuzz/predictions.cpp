// SPDX-License-Identifier: Apache-2.0
// Any bytes as the beginning of a file of predictions, of any size: a header that is taken fits it.
#include "verifier/audit/predictions.h"

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using countermark::ErrorCode;
  using countermark::fuzz::require;
  namespace audit = countermark::audit;

  // The header as it is, then the size that would fit it, if it were taken.
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const std::uint64_t whole : {std::uint64_t{size}, std::uint64_t{1} << 30}) {
    const auto header = audit::parse_predictions_header(bytes, whole);
    if (!header) {
      countermark::fuzz::check_error(header.error(), static_cast<std::size_t>(whole));
      const ErrorCode code = header.error().code;
      require(code == ErrorCode::kInvalidInput || code == ErrorCode::kUnsupported,
              "the code is pinned");
      continue;
    }
    require(header->top_k > 0, "there are predictions");
    require(header->data + header->rows * (12 + 8 * std::uint64_t{header->top_k}) == whole,
            "the tensors fill the file");
  }
  return 0;
}
