// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/served_response.h"

#include <algorithm>
#include <bit>

#include "verifier/detect/report_parts.h"
#include "verifier/stats/planning.h"
#include "watermark/prf/hash.h"

namespace countermark::audit {
namespace {

using stats::PValue;

// Where two digests agree by accident a check fails that should have passed, never the other way.
std::uint64_t digest(std::string_view first, std::string_view second) {
  std::string bytes = std::to_string(first.size());
  bytes += ':';
  bytes += first;
  bytes += second;
  const auto hash = sha256(bytes);
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < 8; ++i) out = out << 8 | static_cast<std::uint8_t>(hash[i]);
  return out;
}

std::string bytes_of(TokenSpan ids) {
  std::string out;
  for (const TokenId id : ids)
    for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(id >> shift & 255U);
  return out;
}

Check control_check(const stats::RankSum& control) {
  constexpr const char* kName = "negative-control";
  if (control.groups() == 0)
    return {kName, Check::State::kNotRun,
            "needs records with neverServed: answers that the suspect cannot have seen"};
  const std::string count = std::to_string(control.groups()) + " controls";
  if (control.smallest_tail().times(2).to_double() > kControlLevel)
    return {kName, Check::State::kNotRun, count + " are too few to fail"};
  const PValue p = std::min(control.upper_tail(), control.lower_tail()).times(2);
  return {kName, p.to_double() <= kControlLevel ? Check::State::kFailed : Check::State::kPassed,
          count + ", above a regeneration in " + detect::fixed(100 * control.share(), 1) +
              " % of pairs, p " + p.to_string()};
}

Check marked_check(std::uint64_t answers, const stats::RankSum& control, const Check& outcome) {
  const bool is_enough =
      outcome.state == Check::State::kPassed &&
      static_cast<double>(control.groups()) >= kMarkedControls * static_cast<double>(answers);
  return {"marked-answers", is_enough ? Check::State::kPassed : Check::State::kFailed,
          "the answers are marked, so that they depend on each other: " +
              std::to_string(control.groups()) + " controls beside " + std::to_string(answers) +
              " answers, and half as many must pass, under the same key"};
}

// `bad` of `all` answers are not what they have to be.
Check count_check(std::string name, std::uint64_t bad, std::uint64_t all, const char* what) {
  return {std::move(name), bad == 0 ? Check::State::kPassed : Check::State::kFailed,
          std::to_string(bad) + " of " + std::to_string(all) + " answers " + what};
}

}  // namespace

Status ServedResponse::add(const ServedScore& score) {
  if (scored_.contains(score.id) || controls_.contains(score.id))
    return fail(Error{ErrorCode::kInvalidInput, "is the id of an earlier record", {}, "id"});
  if (score.never_served) {
    controls_.insert(score.id);
    control_.add(score.served, score.regenerated);
    return {};
  }
  if (account_ && score.account != account_) return {};
  std::string regenerated;
  for (const double each : score.regenerated)
    regenerated += std::to_string(std::bit_cast<std::uint64_t>(each)) + ",";
  scored_.emplace(score.id, Scored{score.account, digest("", regenerated), score.key_id});
  const std::uint64_t before = ranks_.statistic();
  ranks_.add(score.served, score.regenerated);
  std::vector<std::uint64_t>& above = above_[score.regenerated.size()];
  above.resize(score.regenerated.size() + 1);
  ++above[(ranks_.statistic() - before) / 2];
  least_ = std::min<std::uint64_t>(least_, score.regenerated.size());
  most_ = std::max<std::uint64_t>(most_, score.regenerated.size());
  return {};
}

void ServedResponse::add(const text::Transcript& transcript) {
  has_log_ = true;
  const std::string prompt = transcript.prompt_ids ? text::prompt_sha256(*transcript.prompt_ids)
                                                   : transcript.prompt_sha256.value_or("");
  const std::uint64_t question = digest(transcript.account.value_or(""), prompt);
  const bool is_asked =
      (!account_ || transcript.account == account_) && !controls_.contains(transcript.id);
  if (answers_[question]++ == 0 && is_asked) ++questions_;
  const auto found = scored_.find(transcript.id);
  if (found == scored_.end()) return;
  Scored& scored = found->second;
  ++scored.logged;
  scored.is_accounts = !scored.account || scored.account == transcript.account;
  scored.is_alike = scored.key_id == transcript.key_id;
  scored.is_whole = transcript.finish && *transcript.finish != text::Finish::kAborted;
  scored.question = question;
  scored.prompt = digest("", prompt);
  scored.exchange = digest(prompt, bytes_of(transcript.ids));
  is_marked_ = is_marked_ || transcript.key_id.has_value();
}

std::vector<Check> ServedResponse::log_checks() const {
  if (!has_log_)
    return {{"log", Check::State::kNotRun,
             "needs --transcripts: whether each answer was whole, and the only one to its prompt"}};
  std::uint64_t missing = 0;
  std::uint64_t broken = 0;
  std::uint64_t unlike = 0;
  std::uint64_t several = 0;
  std::uint64_t repeated = 0;
  std::uint64_t shared = 0;
  std::set<std::uint64_t> exchanges;
  std::set<std::pair<std::uint64_t, std::uint64_t>> regenerations;
  for (const auto& [id, scored] : scored_) {
    if (scored.logged != 1 || !scored.is_accounts) {
      ++missing;
      continue;
    }
    broken += scored.is_whole ? 0U : 1U;
    unlike += scored.is_alike ? 0U : 1U;
    several += answers_.at(scored.question) > 1 ? 1U : 0U;
    repeated += exchanges.insert(scored.exchange).second ? 0U : 1U;
    shared += regenerations.emplace(scored.prompt, scored.regenerated).second ? 0U : 1U;
  }
  const std::uint64_t all = scored_.size();
  std::vector<Check> out = {
      count_check("in-log", missing, all,
                  "are not in the transcripts once, under the same account"),
      count_check("whole-answers", broken, all, "were given up before their end, or may have been"),
      count_check("same-mark", unlike, all,
                  "carry another mark than their regenerations, or one alone does"),
      count_check("single-answers", several, all, "are one of several to their account and prompt"),
      count_check("own-answers", repeated, all, "repeat the answer to another such prompt"),
      count_check("own-regenerations", shared, all,
                  "are ranked among the regenerations of another such prompt")};
  out.push_back({"all-answers", questions_ <= all ? Check::State::kPassed : Check::State::kNotRun,
                 std::to_string(all) + " answers have scores, of " + std::to_string(questions_) +
                     " prompts in the transcripts: which were taken must not have depended on "
                     "their scores"});
  return out;
}

void ServedFinding::add(Check check) {
  if (check.state == Check::State::kFailed) verdict = detect::Verdict::kWithheld;
  checks.push_back(std::move(check));
}

ServedFinding ServedResponse::finish(const AuditPolicy& policy) const {
  ServedFinding out;
  out.ranks = ranks_;
  out.control = control_;
  out.least_regenerated = ranks_.groups() == 0 ? 0 : least_;
  out.most_regenerated = most_;
  out.p = ranks_.upper_tail();
  out.smallest_p = ranks_.smallest_tail();
  if (ranks_.groups() > 0)
    out.detectable = stats::detectable_share(ranks_.groups(), least_, policy.alpha, policy.power);
  out.is_marked = is_marked_ || !has_log_;
  out.above = above_;
  out.checks.push_back(control_check(control_));
  if (is_marked_) out.checks.push_back(marked_check(ranks_.groups(), control_, out.checks.front()));
  for (Check& check : log_checks()) out.checks.push_back(std::move(check));
  out.verdict = verdict_of(out.p, out.smallest_p, policy, out.checks);
  return out;
}

}  // namespace countermark::audit
