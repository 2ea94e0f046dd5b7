// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/audit.h"

#include <algorithm>
#include <utility>

#include "verifier/audit/analysis.h"
#include "verifier/audit/closed_model.h"
#include "verifier/audit/familiarity.h"
#include "verifier/audit/kept_plan.h"
#include "verifier/audit/looks.h"
#include "verifier/audit/open_model.h"
#include "verifier/audit/served_scores.h"
#include "verifier/audit/supervised.h"
#include "verifier/text/inputs.h"
#include "verifier/text/transcript.h"
#include "watermark/prf/hash.h"

namespace countermark::audit {
namespace {

using detect::Verdict;

// Fewer are not judged (detect/line_up.h).
constexpr std::uint32_t kEnoughDecoys = 1'000;

// Calls `each` with every record of a file.
template <typename Reader, typename Each>
Status read_all(const std::string& path, const AuditOptions::Advance& advance, Each each) {
  COUNTERMARK_TRY(Reader reader, Reader::open(path));
  for (;;) {
    COUNTERMARK_TRY(const auto record, reader.next());
    if (!record) return {};
    COUNTERMARK_CHECK(each(*record));
    advance(1);
  }
}

// One audit while its tests run.
class Auditor {
 public:
  explicit Auditor(const AuditOptions& options) : options_(&options), inputs_(&options.inputs) {
    out_.alpha = options.alpha;
    out_.share_alpha = options.tuples.share_alpha;
    if (!options.account.empty()) out_.account = options.account;
  }

  Result<Audit> run() {
    if (options_->plan)
      COUNTERMARK_CHECK(check_inputs(*options_->plan, *inputs_, options_->quoted));
    std::vector<TestKind> kinds;
    for (const TestKind kind : kTestKinds)
      if (inputs_->allow(kind) && is_planned(kind_name(kind))) kinds.push_back(kind);
    if (kinds.empty())
      return fail(ErrorCode::kInvalidArgument,
                  "no file is given that says anything of the suspect");
    if (!options_->looks.empty() && kinds != std::vector{TestKind::kUnsupervisedClosed})
      return fail(ErrorCode::kInvalidArgument,
                  "looks are at answers alone: no other test allows for being repeated");
    COUNTERMARK_CHECK(enter_ledger(kinds));
    for (const TestKind kind : kinds) out_.policies[kind] = policy_of(kind, kinds.size());
    list_not_run();
    for (const TestKind kind : kinds) COUNTERMARK_CHECK(run(kind));
    check_ledger();
    if (options_->plan) out_.plan = Kept{digest_of(*options_->plan), strength()};
    return std::move(out_);
  }

 private:
  bool is_planned(const char* test) const {
    return !options_->plan || planned(*options_->plan, test) != nullptr;
  }

  Status enter_ledger(const std::vector<TestKind>& kinds) {
    if (options_->ledger.empty()) return {};
    if (!options_->looks.empty())
      return fail(ErrorCode::kInvalidArgument,
                  "answers that keep coming are counted by their looks, and no two looks are one "
                  "analysis of a ledger: give one of both");
    LedgerLine line;
    line.alpha = options_->alpha.to_string(15);
    if (options_->plan) line.plan = digest_of(*options_->plan);
    COUNTERMARK_TRY(line.audit, digest_of_analysis(*options_, kinds));
    COUNTERMARK_TRY(out_.ledger, enter(options_->ledger, std::move(line)));
    out_.alpha = out_.alpha.scaled(1, out_.ledger->parts);
    return {};
  }

  void check_ledger() {
    const Check check = out_.ledger ? out_.ledger->check
                                    : Check{"ledger", Check::State::kNotRun,
                                            "without --ledger nobody counts what else was tried"};
    if (out_.served) out_.served->add(check);
    if (out_.mass) out_.mass->finding.add(check);
    for (TupleTest& test : out_.tuples) test.finding.add(check);
  }

  // Equal parts where no plan says otherwise.
  AuditPolicy policy_of(TestKind kind, std::size_t tests) const {
    const stats::PValue part =
        options_->plan
            ? stats::PValue::from_decimal(planned(*options_->plan, kind_name(kind))->alpha)
            : out_.alpha.scaled(1, tests);
    return {part, options_->power};
  }

  void list_not_run() {
    for (const TestKind kind : kTestKinds)
      if (!out_.policies.contains(kind))
        out_.not_run.push_back(
            {kind_name(kind), is_planned(kind_name(kind)) ? kind_needs(kind) : "a plan that has it",
             part_of(kind_name(kind))});
  }

  std::optional<stats::PValue> part_of(std::string_view test) const {
    const PlannedTest* const found = options_->plan ? planned(*options_->plan, test) : nullptr;
    return found == nullptr ? std::nullopt
                            : std::optional(stats::PValue::from_decimal(found->alpha));
  }

  // Tests that were not run keep their parts: nobody else's are larger for it.
  Strength strength() const {
    const Plan& plan = *options_->plan;
    std::vector<PlannedResult> results;
    if (out_.served)
      results.push_back({out_.served->verdict, out_.served->p,
                         planned(plan, kind_name(TestKind::kServedResponse))->alpha,
                         out_.served->is_marked});
    for (const TupleTest& test : out_.tuples) {
      const scan::TestResult& result = test.finding.result;
      const bool has_decoys =
          result.line_up && result.line_up->calibrated && result.line_up->decoys >= kEnoughDecoys;
      results.push_back({test.finding.verdict, result.finding.evidence.asserted,
                         planned(plan, kind_name(test.kind))->alpha, false, has_decoys});
    }
    if (out_.mass) {
      const MassFinding& finding = out_.mass->finding;
      const bool has_decoys = finding.line_up && finding.line_up->calibrated &&
                              finding.line_up->decoys >= kEnoughDecoys;
      results.push_back({finding.verdict, finding.evidence.asserted,
                         planned(plan, kind_name(TestKind::kUnsupervisedMass))->alpha, false,
                         has_decoys});
    }
    return strength_of(results, plan.alpha);
  }

  Status run(TestKind kind) {
    switch (kind) {
      case TestKind::kServedResponse:
        return served_response();
      case TestKind::kSupervisedOpen:
        return supervised_open();
      case TestKind::kUnsupervisedOpen:
        return unsupervised_open();
      case TestKind::kUnsupervisedMass:
        return unsupervised_mass();
      case TestKind::kMarkedOpen:
        return marked_open();
      case TestKind::kSupervisedClosed:
        return closed(true);
      case TestKind::kUnsupervisedClosed:
        return closed(false);
    }
    return {};
  }

  Status served_response() {
    ServedResponse test(out_.account);
    std::uint64_t record = 0;
    COUNTERMARK_CHECK(read_all<ServedScoreReader>(
        inputs_->scores, options_->stage("scores", 0), [&](const ServedScore& score) -> Status {
          ++record;
          Status added = test.add(score);
          if (added) return {};
          Error error = std::move(added).error();
          error.field = "record " + std::to_string(record) + ", " + error.field;
          return fail(std::move(error).in_file(inputs_->scores));
        }));
    if (!inputs_->transcripts.empty()) {
      test.expect_log();
      COUNTERMARK_CHECK(
          read_all<text::TranscriptReader>(inputs_->transcripts, options_->stage("transcripts", 0),
                                           [&](const text::Transcript& transcript) -> Status {
                                             test.add(transcript);
                                             return {};
                                           }));
    }
    out_.served = test.finish(out_.policies.at(TestKind::kServedResponse));
    return {};
  }

  Result<scan::Tests> load(TestKind kind, const std::vector<text::Document>& shown) const {
    COUNTERMARK_TRY(scan::Tests tests, options_->load(out_.policies.at(kind).alpha, shown));
    if (tests.tests.size() != 1)
      return fail(ErrorCode::kInvalidArgument, "an audit takes one key under one profile");
    if (options_->plan)
      COUNTERMARK_CHECK(check_subject(*options_->plan, tests.tests.front()->subject()));
    return tests;
  }

  // With progress of the decoys.
  TupleOptions tuple_options() const {
    TupleOptions out = options_->tuples;
    if (out.decoys > 0)
      out.decoy_done = [advance = options_->stage("decoys", out.decoys)] { advance(1); };
    return out;
  }

  void add(TestKind kind, scan::Tests tests, TupleFinding finding,
           std::optional<PredictionsHeader> predictions = {}) {
    out_.tuples.push_back(TupleTest{kind, std::make_shared<const scan::Tests>(std::move(tests)),
                                    std::move(finding), std::move(predictions)});
  }

  static Result<PredictionsHeader> header_of(const std::string& path) {
    COUNTERMARK_TRY(const PredictionsReader reader, PredictionsReader::open(path));
    return reader.header();
  }

  // Of text that is said to be the marked model's.
  static Status add_checks_of_marked(const scan::Tests& tests, const Material& material,
                                     TupleFinding& found) {
    COUNTERMARK_TRY(Check marked, marked_check(tests, material));
    found.add(std::move(marked));
    COUNTERMARK_TRY(const Familiarity of, familiarity(*tests.tests.front(), material.texts));
    found.add(forgery_check(of));
    return {};
  }

  // Of a suspect's answers.
  static Status add_learned(const scan::Tests& tests, const Material& answers,
                            TupleFinding& found) {
    COUNTERMARK_TRY(const Familiarity of, familiarity(*tests.tests.front(), answers.texts));
    found.add(learned_check(of));
    return {};
  }

  template <typename Finding>
  static Status add_checks_of_ids(const scan::Tests& tests, const std::string& predictions,
                                  Finding& found) {
    COUNTERMARK_TRY(std::vector<Check> checks, checks_of_ids(tests, predictions));
    for (Check& check : checks) found.add(std::move(check));
    return {};
  }

  Status unsupervised_open() {
    COUNTERMARK_TRY(PredictionsHeader header, header_of(inputs_->predictions));
    COUNTERMARK_TRY(scan::Tests tests, load(TestKind::kUnsupervisedOpen, {}));
    OpenOptions options;
    options.progress = options_->stage("tokens", 2 * header.rows);
    options.tuples = tuple_options();
    COUNTERMARK_TRY(TupleFinding found, open_model(tests, inputs_->predictions, options,
                                                   out_.policies.at(TestKind::kUnsupervisedOpen)));
    add(TestKind::kUnsupervisedOpen, std::move(tests), std::move(found), std::move(header));
    return {};
  }

  Status unsupervised_mass() {
    const AuditPolicy& policy = out_.policies.at(TestKind::kUnsupervisedMass);
    COUNTERMARK_TRY(PredictionsHeader header, header_of(inputs_->predictions));
    COUNTERMARK_TRY(scan::Tests tests, load(TestKind::kUnsupervisedMass, {}));
    OpenOptions options;
    options.progress = options_->stage("tokens", header.rows);
    options.tuples = options_->tuples;
    COUNTERMARK_TRY(Check reading, reading_check(tests, inputs_->predictions, options, policy));
    COUNTERMARK_TRY(MassFinding found, mass_of(tests, inputs_->predictions, tuple_options(), policy,
                                               options_->stage("tokens", header.rows)));
    found.add(std::move(reading));
    COUNTERMARK_CHECK(add_checks_of_ids(tests, inputs_->predictions, found));
    out_.mass = MassTest{std::make_shared<const scan::Tests>(std::move(tests)), std::move(found),
                         std::move(header)};
    return {};
  }

  // Tests in a fixed order.
  Result<TupleFinding> walk_through(TestKind kind, const scan::Tests& tests,
                                    const Material& material) const {
    const PlannedTest* const plans =
        options_->plan ? planned(*options_->plan, kind_name(kind)) : nullptr;
    const AuditOptions::Advance advance = options_->stage("tokens", 0);
    return judge_walk(tests, material, plans == nullptr ? std::nullopt : plans->tuples,
                      tuple_options(), out_.policies.at(kind), advance);
  }

  Status marked_open() {
    COUNTERMARK_TRY(PredictionsHeader header, header_of(inputs_->marked_predictions));
    COUNTERMARK_TRY(scan::Tests tests, load(TestKind::kMarkedOpen, {}));
    COUNTERMARK_TRY(const Material material, read_marked(inputs_->marked_predictions));
    COUNTERMARK_TRY(TupleFinding found, walk_through(TestKind::kMarkedOpen, tests, material));
    COUNTERMARK_CHECK(add_checks_of_marked(tests, material, found));
    COUNTERMARK_CHECK(add_checks_of_ids(tests, inputs_->marked_predictions, found));
    add(TestKind::kMarkedOpen, std::move(tests), std::move(found), std::move(header));
    return {};
  }

  LogFilter filter_of(const scan::Tests& tests) const {
    const detect::Subject& subject = tests.tests.front()->subject();
    // Other systems' servers write no key's name into our logs.
    return {options_->account, options_->cohort, subject.model.empty() ? "" : subject.key_id,
            subject.profile};
  }

  Status supervised_open() {
    COUNTERMARK_TRY(PredictionsHeader header, header_of(inputs_->log_predictions));
    COUNTERMARK_TRY(scan::Tests tests, load(TestKind::kSupervisedOpen, {}));
    COUNTERMARK_TRY(const Logged logged, read_transcripts(inputs_->log_predictions,
                                                          inputs_->transcripts, filter_of(tests)));
    COUNTERMARK_TRY(TupleFinding found,
                    walk_through(TestKind::kSupervisedOpen, tests, logged.material));
    found.add(log_check(logged.counts));
    found.add(order_check(logged.counts));
    COUNTERMARK_CHECK(add_checks_of_marked(tests, logged.material, found));
    COUNTERMARK_CHECK(add_checks_of_ids(tests, inputs_->log_predictions, found));
    add(TestKind::kSupervisedOpen, std::move(tests), std::move(found), std::move(header));
    return {};
  }

  Status closed(bool is_supervised) {
    COUNTERMARK_TRY(const auto inputs, text::expand_inputs(inputs_->answers));
    if (std::find(inputs.begin(), inputs.end(), "-") != inputs.end())
      return fail(ErrorCode::kInvalidArgument,
                  "answers are read twice, first for their prompts: give files, not '-'");
    COUNTERMARK_TRY(const Shown shown, read_prompts(inputs, inputs_->reader));
    if (!is_supervised && !options_->looks.empty()) return looked_at(inputs, shown);
    COUNTERMARK_TRY(scan::Tests tests, load(is_supervised ? TestKind::kSupervisedClosed
                                                          : TestKind::kUnsupervisedClosed,
                                            shown.prompts));
    return is_supervised ? supervised_closed(inputs, shown, std::move(tests))
                         : unsupervised_closed(inputs, shown, std::move(tests));
  }

  Status supervised_closed(const std::vector<std::string>& inputs, const Shown& shown,
                           scan::Tests tests) {
    COUNTERMARK_TRY(const Logged logged,
                    read_answers(inputs, inputs_->reader, inputs_->transcripts, filter_of(tests),
                                 tests.tokenizers.front().get()));
    COUNTERMARK_TRY(TupleFinding found,
                    walk_through(TestKind::kSupervisedClosed, tests, logged.material));
    const Walk& walk = found.sequence->walk;
    found.add(log_check(logged.counts));
    found.add(turns_check(logged.material));
    found.add(echo_check(walk.dropped, walk.contexts));
    add_checks(shown, tests, found);
    COUNTERMARK_CHECK(add_learned(tests, logged.material, found));
    COUNTERMARK_TRY(const Familiarity of_log,
                    familiarity(*tests.tests.front(), logged.material.log));
    found.add(forgery_check(of_log));
    add(TestKind::kSupervisedClosed, std::move(tests), std::move(found));
    return {};
  }

  // All that the bet depends on besides the answers.
  Result<std::string> looks_settings(const scan::Tests& tests) const {
    const detect::Subject& subject = tests.tests.front()->subject();
    std::string out = "countermark looks";
    const auto add = [&](const std::string& part) { out += "\n" + part; };
    for (const std::string& part :
         {subject.scheme, subject.profile, subject.key_id, subject.model, subject.epoch,
          options_->account, options_->cohort, inputs_->reader.text_field,
          inputs_->reader.ids_field,
          out_.policies.at(TestKind::kUnsupervisedClosed).alpha.to_string(15)})
      add(part);
    if (const auto& tokenizer = tests.tokenizers.front()) add(tokenizer->sha256());
    if (const auto& shown = tests.tests.front()->shown()) add(to_hex(detect::digest_of(*shown)));
    if (subject.model.empty()) {
      COUNTERMARK_TRY(const std::string behaviour, behaviour_of(*tests.tests.front()));
      add(behaviour);
    }
    return to_hex(sha256(out));
  }

  // Answers that keep coming, in their order.
  Status looked_at(const std::vector<std::string>& inputs, const Shown& shown) {
    if (inputs.size() != 1)
      return fail(ErrorCode::kInvalidArgument,
                  "answers that are looked at again stand in one file");
    COUNTERMARK_TRY(Looks looks, Looks::open(options_->looks));
    COUNTERMARK_TRY(scan::Tests tests, load(TestKind::kUnsupervisedClosed, {}));
    if (!tests.tests.front()->model_reasons().empty() ||
        !has_bet(tests.tests.front()->null_model()))
      return fail(ErrorCode::kUnsupported, "scores of this mark have no law to bet on");
    COUNTERMARK_TRY(const std::string settings, looks_settings(tests));
    COUNTERMARK_CHECK(looks.check(settings, inputs.front()));
    COUNTERMARK_TRY(const Material material,
                    read_answers(inputs, inputs_->reader, tests.tokenizers.front().get()));
    COUNTERMARK_TRY(TupleFinding found,
                    walk_through(TestKind::kUnsupervisedClosed, tests, material));
    const Walk& walk = found.sequence->walk;
    COUNTERMARK_CHECK(looks.add(
        {{}, settings, 0, {}, walk.all.tally.n, walk.all.e_value.units(), walk.all.most.units()},
        inputs.front()));
    out_.looks = looks.looks().size();
    found.add(echo_check(walk.dropped, walk.contexts));
    add_checks(shown, tests, found);
    COUNTERMARK_CHECK(add_learned(tests, material, found));
    add(TestKind::kUnsupervisedClosed, std::move(tests), std::move(found));
    return {};
  }

  Status unsupervised_closed(const std::vector<std::string>& inputs, const Shown& shown,
                             scan::Tests tests) {
    ClosedOptions options;
    options.inputs = inputs;
    options.reader = inputs_->reader;
    options.progress = [advance = options_->stage("answers", shown.answers),
                        done = std::uint64_t{0}](std::uint64_t documents) mutable {
      advance(documents - done);
      done = documents;
    };
    options.tuples = tuple_options();
    COUNTERMARK_TRY(
        TupleFinding found,
        closed_model(tests, shown, options, out_.policies.at(TestKind::kUnsupervisedClosed)));
    COUNTERMARK_TRY(const Material material,
                    read_answers(inputs, inputs_->reader, tests.tokenizers.front().get()));
    COUNTERMARK_CHECK(add_learned(tests, material, found));
    add(TestKind::kUnsupervisedClosed, std::move(tests), std::move(found));
    return {};
  }

  const AuditOptions* options_;
  const Inputs* inputs_;
  Audit out_{};
};

}  // namespace

const char* kind_name(TestKind kind) noexcept {
  switch (kind) {
    case TestKind::kServedResponse:
      return "served-response";
    case TestKind::kSupervisedOpen:
      return "supervised-open";
    case TestKind::kUnsupervisedOpen:
      return "unsupervised-open";
    case TestKind::kUnsupervisedMass:
      return "unsupervised-open-mass";
    case TestKind::kMarkedOpen:
      return "marked-open";
    case TestKind::kSupervisedClosed:
      return "supervised-closed";
    case TestKind::kUnsupervisedClosed:
      return "unsupervised-closed";
  }
  return "";
}

const char* kind_needs(TestKind kind) noexcept {
  switch (kind) {
    case TestKind::kServedResponse:
      return "--scores: how the suspect rates served answers";
    case TestKind::kSupervisedOpen:
      return "--log-predictions, --transcripts, -k and -p: what it predicts while it reads marked "
             "answers that were served";
    case TestKind::kUnsupervisedOpen:
      return "--predictions, -k and -p: what it predicts while it reads a text";
    case TestKind::kUnsupervisedMass:
      return "--predictions with probabilities, -k and -p: how much it expects tokens of high "
             "score";
    case TestKind::kMarkedOpen:
      return "--marked-predictions, -k and -p: what it predicts while it reads a marked text";
    case TestKind::kSupervisedClosed:
      return "--answers, --transcripts, -k and -p: what it answers to prompts of served answers";
    case TestKind::kUnsupervisedClosed:
      return "--answers, -k and -p: what the suspect answers";
  }
  return "";
}

bool Inputs::allow(TestKind kind) const noexcept {
  switch (kind) {
    case TestKind::kServedResponse:
      return !scores.empty();
    case TestKind::kSupervisedOpen:
      return !log_predictions.empty() && !transcripts.empty();
    case TestKind::kUnsupervisedOpen:
    case TestKind::kUnsupervisedMass:
      return !predictions.empty();
    case TestKind::kMarkedOpen:
      return !marked_predictions.empty();
    case TestKind::kSupervisedClosed:
      return !answers.empty() && !transcripts.empty();
    case TestKind::kUnsupervisedClosed:
      return !answers.empty();
  }
  return false;
}

Result<Audit> audit(const AuditOptions& options) { return Auditor(options).run(); }

Verdict verdict_of(const Audit& audit) noexcept {
  std::vector<Verdict> all;
  if (audit.served) all.push_back(audit.served->verdict);
  for (const TupleTest& test : audit.tuples) all.push_back(test.finding.verdict);
  if (audit.mass) all.push_back(audit.mass->finding.verdict);
  for (const Verdict first : {Verdict::kDetected, Verdict::kWithheld, Verdict::kNotDetected})
    if (std::find(all.begin(), all.end(), first) != all.end()) return first;
  return Verdict::kInconclusive;
}

}  // namespace countermark::audit
