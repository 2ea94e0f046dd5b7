// SPDX-License-Identifier: Apache-2.0
// Any bytes as the record of a served answer's scores: what is read can be counted.
#include "tests/fuzz/fuzz.h"
#include "verifier/audit/served_response.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using countermark::fuzz::require;
  namespace audit = countermark::audit;

  const auto read = countermark::fuzz::check_line<audit::ServedScore>(
      {reinterpret_cast<const char*>(data), size}, audit::parse_served_score, audit::to_json_line);
  if (!read) return 0;
  audit::ServedResponse test({});
  require(test.add(*read).has_value(), "what is read can be counted");
  const audit::ServedFinding finding = test.finish({});
  require(finding.ranks.groups() + finding.control.groups() == 1, "once");
  require(finding.p >= finding.smallest_p, "no p below the smallest");
  return 0;
}
