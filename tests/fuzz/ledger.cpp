// SPDX-License-Identifier: Apache-2.0
// Any bytes as a line of a ledger of analyses.
#include "verifier/audit/ledger.h"

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace audit = countermark::audit;
  countermark::fuzz::check_line<audit::LedgerLine>({reinterpret_cast<const char*>(data), size},
                                                   audit::parse_ledger_line, audit::to_json_line);
  return 0;
}
