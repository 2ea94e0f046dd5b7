// SPDX-License-Identifier: Apache-2.0
// Any bytes as a line of a ledger of analyses: what is read can be written and read again.
#include "verifier/audit/ledger.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using countermark::ErrorCode;
  using countermark::fuzz::require;
  namespace audit = countermark::audit;

  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto read = audit::parse_ledger_line(bytes);
  if (!read) {
    countermark::fuzz::check_error(read.error(), size);
    const ErrorCode code = read.error().code;
    require(code == ErrorCode::kInvalidInput || code == ErrorCode::kUnsupported,
            "the code is pinned");
    return 0;
  }
  const std::string line = audit::to_json_line(*read);
  require(line.find('\n') == line.size() - 1, "it is one line");
  const auto again = countermark::fuzz::must(audit::parse_ledger_line(line), "a line can be read");
  require(again == *read, "a line holds the analysis");
  return 0;
}
