// SPDX-License-Identifier: Apache-2.0
// All tests that the files at hand allow, and the plan where there is one, each with its part of
// alpha.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "verifier/audit/finding.h"
#include "verifier/audit/ledger.h"
#include "verifier/audit/level.h"
#include "verifier/audit/mass.h"
#include "verifier/audit/plan.h"
#include "verifier/audit/predictions.h"
#include "verifier/audit/served_response.h"
#include "verifier/audit/tuple_finding.h"
#include "verifier/text/reader.h"

namespace countermark::audit {

// The strongest first.
enum class TestKind : std::uint8_t {
  kServedResponse,
  kSupervisedOpen,
  kUnsupervisedOpen,
  kUnsupervisedMass,
  kMarkedOpen,
  kSupervisedClosed,
  kUnsupervisedClosed,
};
inline constexpr std::array kTestKinds = {TestKind::kServedResponse,    TestKind::kSupervisedOpen,
                                          TestKind::kUnsupervisedOpen,  TestKind::kUnsupervisedMass,
                                          TestKind::kMarkedOpen,        TestKind::kSupervisedClosed,
                                          TestKind::kUnsupervisedClosed};

const char* kind_name(TestKind kind) noexcept;  // "served-response"
// What has to be given for it, in the words of the command line.
const char* kind_needs(TestKind kind) noexcept;
// Whether it compares tuples, under a key.
constexpr bool has_tuples(TestKind kind) noexcept { return kind != TestKind::kServedResponse; }

// Files; "" where there is none.
struct Inputs {
  std::string scores{};
  std::string transcripts{};
  // What the suspect predicted while it read a text that is not marked, one that is, and answers of
  // the transcripts.
  std::string predictions{};
  std::string marked_predictions{};
  std::string log_predictions{};
  std::vector<std::string> answers{};  // files, folders and patterns
  text::ReaderOptions reader{};        // of answers

  bool allow(TestKind kind) const noexcept;
};

struct AuditOptions {
  Inputs inputs{};
  stats::PValue alpha = stats::PValue::from_parts(1, -6);  // of all tests together
  double power = 0.9;
  std::string account{};
  std::string cohort{};
  // A file of looks (looks.h): answers are judged by a bet in their order, and each look is kept.
  std::string looks{};
  // A file of all analyses that are tried (ledger.h), in which this one is written down first; what
  // it may spend of alpha follows from those before it.
  std::string ledger{};
  TupleOptions tuples{};
  // Whatever it fixes: the options above say the same, and `load` excludes its quoted works.
  std::optional<Plan> plan{};
  std::vector<std::string> quoted{};  // files, folders and patterns
  // The one key under the one profile, at this alpha; `shown` is scored nowhere.
  std::function<Result<scan::Tests>(stats::PValue alpha, const std::vector<text::Document>& shown)>
      load{};
  // A stage of so many units begins, 0: not known; what it returns is told how many more are done,
  // from several threads.
  using Advance = std::function<void(std::uint64_t)>;
  std::function<Advance(const char* unit, std::uint64_t total)> stage =
      [](const char* /*unit*/, std::uint64_t /*total*/) { return [](std::uint64_t /*more*/) {}; };
};

// One of the tests under a key.
struct TupleTest {
  TestKind kind = TestKind::kUnsupervisedOpen;
  std::shared_ptr<const scan::Tests> tests{};  // one
  TupleFinding finding{};
  std::optional<PredictionsHeader> predictions{};  // that were read
};

struct MassTest {
  std::shared_ptr<const scan::Tests> tests{};  // one
  MassFinding finding;
  PredictionsHeader predictions{};
};

// A test that there was not.
struct NotRun {
  std::string test{};
  std::string needs{};
  std::optional<stats::PValue> alpha{};  // its part, which the plan keeps for it
};

// The plan that an audit kept to.
struct Kept {
  std::string digest{};
  Strength strength{};
};

// What an audit found.
struct Audit {
  stats::PValue alpha{};                       // of the whole: what the ledger leaves
  std::map<TestKind, AuditPolicy> policies{};  // of each test that was run
  std::optional<std::string> account{};
  std::optional<ServedFinding> served{};
  std::vector<TupleTest> tuples{};
  std::optional<MassTest> mass{};
  std::uint64_t looks = 0;  // at the answers, this one included; 0: nobody counts
  std::optional<Entry> ledger{};
  std::vector<NotRun> not_run{};
  std::optional<Kept> plan{};  // nothing: exploratory
  stats::PValue share_alpha{};
};

// Without a plan alpha is divided equally. kInvalidArgument where the files allow no test,
// kMismatch where they are not the plan's; errors name the file.
Result<Audit> audit(const AuditOptions& options);

// Of all tests together: detected where one is, withheld where none is and one was withheld,
// inconclusive where all are.
detect::Verdict verdict_of(const Audit& audit) noexcept;

}  // namespace countermark::audit
