// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/served_response.h"

#include <algorithm>

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
  if (control.groups() == 0)
    return {"negative-control", Check::State::kNotRun,
            "needs records with neverServed: answers that the suspect cannot have seen"};
  const PValue p = std::min(control.upper_tail(), control.lower_tail()).times(2);
  return {"negative-control",
          p.to_double() <= kControlLevel ? Check::State::kFailed : Check::State::kPassed,
          std::to_string(control.groups()) + " controls, above a regeneration in " +
              detect::fixed(100 * control.share(), 1) + " % of pairs, p " + p.to_string()};
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
  scored_.emplace(score.id, Scored{score.account});
  ranks_.add(score.served, score.regenerated);
  least_ = std::min<std::uint64_t>(least_, score.regenerated.size());
  most_ = std::max<std::uint64_t>(most_, score.regenerated.size());
  return {};
}

void ServedResponse::add(const text::Transcript& transcript) {
  ++transcripts_;
  const std::string prompt = transcript.prompt_ids ? text::prompt_sha256(*transcript.prompt_ids)
                                                   : transcript.prompt_sha256.value_or("");
  const std::uint64_t question = digest(transcript.account.value_or(""), prompt);
  const std::uint64_t id = digest("", transcript.id);
  const auto [first, is_new] = first_.try_emplace(question, First{transcript.time, id});
  // Of two of one time neither is known to be the first: the larger digest is as good as any.
  if (!is_new && std::pair(transcript.time, id) < std::pair(first->second.time, first->second.id))
    first->second = {transcript.time, id};
  const auto found = scored_.find(transcript.id);
  if (found == scored_.end()) return;
  Scored& scored = found->second;
  scored.is_logged = true;
  scored.is_accounts = !scored.account || scored.account == transcript.account;
  scored.is_aborted = transcript.finish == text::Finish::kAborted;
  scored.question = question;
  scored.exchange = digest(prompt, bytes_of(transcript.ids));
  is_marked_ = is_marked_ || transcript.key_id.has_value();
}

std::vector<Check> ServedResponse::log_checks() const {
  if (transcripts_ == 0)
    return {{"log", Check::State::kNotRun,
             "needs --transcripts: whether each answer was the first to its prompt, and whole"}};
  std::uint64_t missing = 0;
  std::uint64_t aborted = 0;
  std::uint64_t later = 0;
  std::uint64_t repeated = 0;
  std::set<std::uint64_t> exchanges;
  for (const auto& [id, scored] : scored_) {
    if (!scored.is_logged || !scored.is_accounts) {
      ++missing;
      continue;
    }
    aborted += scored.is_aborted ? 1U : 0U;
    later += first_.at(scored.question).id != digest("", id) ? 1U : 0U;
    repeated += exchanges.insert(scored.exchange).second ? 0U : 1U;
  }
  const std::uint64_t all = scored_.size();
  return {
      count_check("in-log", missing, all, "are not in the transcripts, or under another account"),
      count_check("whole-answers", aborted, all, "were given up before their end"),
      count_check("first-answers", later, all, "are not the first to their account and prompt"),
      count_check("own-answers", repeated, all, "repeat the answer to another such prompt")};
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
  out.is_marked = is_marked_;
  out.checks.push_back(control_check(control_));
  for (Check& check : log_checks()) out.checks.push_back(std::move(check));
  out.verdict = verdict_of(out.p, out.smallest_p, policy, out.checks);
  return out;
}

}  // namespace countermark::audit
