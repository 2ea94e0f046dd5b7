// SPDX-License-Identifier: Apache-2.0
// Any bytes as a look at answers that keep coming.
#include "verifier/audit/looks.h"

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace audit = countermark::audit;
  countermark::fuzz::check_line<audit::Look>({reinterpret_cast<const char*>(data), size},
                                             audit::parse_look, audit::to_json_line);
  return 0;
}
