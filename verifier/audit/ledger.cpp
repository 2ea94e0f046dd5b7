// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/ledger.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "verifier/io/storage.h"
#include "watermark/json.h"

namespace countermark::audit {
namespace {

using Ledger = Chain<LedgerLine, parse_ledger_line, to_json_line>;

// Different ones, in their order; lines of one analysis differ in what stands before them.
std::vector<const LedgerLine*> analyses_of(const std::vector<LedgerLine>& lines) {
  std::vector<const LedgerLine*> out;
  for (const LedgerLine& line : lines)
    if (std::none_of(out.begin(), out.end(),
                     [&](const LedgerLine* other) { return other->audit == line.audit; }))
      out.push_back(&line);
  return out;
}

}  // namespace

std::string to_json_line(const LedgerLine& line) {
  nlohmann::ordered_json out = {{"schema", kLedgerSchema},
                                {"previous", line.previous},
                                {"audit", line.audit},
                                {"plan", nullptr},
                                {"alpha", line.alpha}};
  if (line.plan) out["plan"] = *line.plan;
  return out.dump() + "\n";
}

Result<LedgerLine> parse_ledger_line(std::string_view line) {
  COUNTERMARK_TRY(const JsonDocument record, JsonDocument::parse(line));
  COUNTERMARK_CHECK(record.only_members("", {"schema", "previous", "audit", "plan", "alpha"}));
  COUNTERMARK_TRY(const std::string schema, record.string_at("/schema"));
  if (schema != kLedgerSchema)
    return fail(record.error_at("/schema", ErrorCode::kUnsupported,
                                "expected '" + std::string(kLedgerSchema) + "'"));
  LedgerLine out;
  COUNTERMARK_TRY(out.previous, digest_at(record, "/previous"));
  COUNTERMARK_TRY(out.audit, digest_at(record, "/audit"));
  const auto& plan = record.root().find("plan");
  if (plan == record.root().end() || !plan->is_null()) {
    COUNTERMARK_TRY(out.plan, digest_at(record, "/plan"));
  }
  COUNTERMARK_TRY(out.alpha, record.string_at("/alpha"));
  return out;
}

Result<Entry> enter(const std::string& path, LedgerLine line) {
  // Two that enter at once would both be the next one.
  COUNTERMARK_TRY(const io::FolderLock lock, io::FolderLock::take(path + ".lock"));
  COUNTERMARK_TRY(Ledger ledger, Ledger::open(path));
  if (!ledger.records().empty() && ledger.records().front().alpha != line.alpha)
    return fail(Error{ErrorCode::kMismatch,
                      "is at alpha " + ledger.records().front().alpha + ", and not at " +
                          line.alpha + ": what is spent cannot be changed afterwards",
                      path});
  const std::string audit = line.audit;
  const auto is_same = [&](const LedgerLine& other) { return other.audit == audit; };
  if (std::none_of(ledger.records().begin(), ledger.records().end(), is_same))
    COUNTERMARK_CHECK(ledger.add(std::move(line)));

  const std::vector<const LedgerLine*> all = analyses_of(ledger.records());
  const auto own =
      std::find_if(all.begin(), all.end(), [&](const LedgerLine* each) { return is_same(*each); });
  Entry out;
  out.audit = audit;
  out.number = static_cast<std::uint64_t>(own - all.begin()) + 1;
  out.analyses = all.size();
  const bool after_plan =
      std::any_of(all.begin(), own, [](const LedgerLine* each) { return each->plan.has_value(); });
  const std::string which = "analysis " + std::to_string(out.number) + " of this ledger, of " +
                            std::to_string(out.analyses) + " so far";
  if ((*own)->plan && out.number > 1) {
    out.check = {"ledger", Check::State::kFailed, which + ": a plan comes before all others"};
  } else if (after_plan) {
    out.check = {"ledger", Check::State::kFailed,
                 which + ": the plan before it spent all of alpha"};
  } else {
    if (!(*own)->plan) out.parts = out.number * (out.number + 1);
    out.check = {"ledger", Check::State::kPassed,
                 which + (out.parts == 1 ? ": the plan's, with all of alpha"
                                         : ": it spends 1/" + std::to_string(out.parts) +
                                               " of the ledger's alpha")};
  }
  return out;
}

}  // namespace countermark::audit
