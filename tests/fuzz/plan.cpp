// SPDX-License-Identifier: Apache-2.0
// Any bytes as a plan: one that is accepted fixes what it must, spends no more than its alpha, and
// has one form and one digest.
#include "verifier/audit/plan.h"

#include "tests/fuzz/fuzz.h"
#include "verifier/audit/plannable.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using countermark::ErrorCode;
  using countermark::fuzz::require;
  namespace audit = countermark::audit;

  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto plan = audit::parse_plan(bytes);
  if (!plan) {
    countermark::fuzz::check_error(plan.error(), size);
    const ErrorCode code = plan.error().code;
    require(code == ErrorCode::kInvalidInput || code == ErrorCode::kUnsupported,
            "the code is pinned");
    require(plan.error().offset.has_value(), "the error says where");
    return 0;
  }
  double spent = 0;
  for (const audit::PlannedTest& test : plan->tests) {
    const audit::Plannable* const kind = audit::find_plannable(test.name);
    require(kind != nullptr, "tests are known");
    require(!kind->needs_key || (plan->key_id && plan->profile), "a mark has key and profile");
    require(kind->fixes_tuples || !test.tuples, "tuples are fixed where they matter");
    spent += test.alpha;
  }
  require(spent > 0 && spent <= plan->alpha * (1 + 1e-8), "alpha is spent once");
  require(audit::check_plan(*plan).has_value(), "what is read is a plan");
  const std::string text = audit::canonical_json(*plan);
  const auto again = countermark::fuzz::must(audit::parse_plan(text), "a plan can be read");
  require(again == *plan && audit::digest_of(again) == audit::digest_of(*plan),
          "a plan comes back");
  require(audit::canonical_json(again) == text, "it has one form");
  return 0;
}
