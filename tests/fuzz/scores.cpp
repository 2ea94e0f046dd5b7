// SPDX-License-Identifier: Apache-2.0
// Any bytes as the record of a served answer's scores: what is read can be written and read again,
// and counted.
#include <cmath>

#include "tests/fuzz/fuzz.h"
#include "verifier/audit/served_response.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using countermark::ErrorCode;
  using countermark::fuzz::require;
  namespace audit = countermark::audit;

  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto read = audit::parse_served_score(bytes);
  if (!read) {
    countermark::fuzz::check_error(read.error(), size);
    const ErrorCode code = read.error().code;
    require(code == ErrorCode::kInvalidInput || code == ErrorCode::kUnsupported,
            "the code is pinned");
    return 0;
  }
  const std::string line = audit::to_json_line(*read);
  require(line.find('\n') == line.size() - 1, "a record is one line");
  const auto again = countermark::fuzz::must(audit::parse_served_score(line), "a line can be read");
  require(again == *read, "a line holds the record");
  audit::ServedResponse test({});
  require(test.add(*read).has_value(), "what is read can be counted");
  const audit::ServedFinding finding = test.finish({});
  require(finding.ranks.groups() + finding.control.groups() == 1, "once");
  require(finding.p >= finding.smallest_p, "no p below the smallest");
  return 0;
}
