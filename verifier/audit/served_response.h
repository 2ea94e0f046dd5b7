// SPDX-License-Identifier: Apache-2.0
// Was a model trained on the very answers that were served? Needs the server's log and no mark.
//
// Of each logged prompt the suspect rates the answer that was served and K regenerations, drawn
// from the same model for the same prompt, which nobody was ever given. Null law: given the
// prompts, the served answer and its regenerations are exchangeable for the suspect, so that the
// served one's rank is uniform; its sum over prompts has an exact law (stats/rank_sum.h).
//
// Exchangeability is a fact about how the answers were made: one snapshot, sampler, system prompt
// and filter for all; the only answer to a prompt, not one of several that a client chose among;
// each prompt's answers drawn on their own. What of it can be seen in the data is checked: the
// control records, of answers that the suspect cannot have seen, must look like chance; and the
// transcripts must show each answer to be whole, and the only one to its account and prompt.
// (Which of several came first they do not tell: their time is that of the answer's end.)
//
// Answers that are marked under one key depend on each other through it, however many there are: a
// suspect that knows nothing of the key rates them all high, or all low. Then regenerations must
// carry the same mark, and a control under the same key must stand beside them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "verifier/audit/finding.h"
#include "verifier/audit/served_scores.h"
#include "verifier/stats/rank_sum.h"
#include "verifier/text/transcript.h"

namespace countermark::audit {

// The control is broken at a two-sided p of this: a false veto in a thousand audits.
inline constexpr double kControlLevel = 1e-3;

// Controls for each answer, where answers are marked: enough to show what moves the answers.
inline constexpr double kMarkedControls = 0.5;

struct ServedFinding {
  stats::RankSum ranks{};
  std::uint64_t least_regenerated = 0;  // of a prompt
  std::uint64_t most_regenerated = 0;
  stats::PValue p{};
  stats::PValue smallest_p{};  // that so many prompts could have given
  stats::RankSum control{};
  // What would have been found with the policy's power: how often the served answer is above a
  // regeneration, 1 where nothing would.
  double detectable = 1;
  // Answers carry marks of one key, or may, since there is no log: a suspect that learned the key's
  // preferences elsewhere rates them high without having seen them.
  bool is_marked = false;
  std::vector<Check> checks{};
  detect::Verdict verdict = detect::Verdict::kInconclusive;
  // Prompts by how many of its regenerations a served answer is above (two ties count as one), by
  // how many it has: what is drawn.
  std::map<std::size_t, std::vector<std::uint64_t>> above{};

  // A failed check withholds the verdict.
  void add(Check check);
};

// Scores first, then transcripts. Memory: a few hundred bytes a score, some 50 a transcript.
class ServedResponse {
 public:
  // With an account only its records count; controls are everyone's.
  explicit ServedResponse(std::optional<std::string> account) : account_(std::move(account)) {}

  // kInvalidInput for an id that was there before.
  Status add(const ServedScore& score);

  // From here on there is a log, and every answer must be in it.
  void expect_log() { has_log_ = true; }
  // What was served, in any order; all of it, so that a second answer to a prompt is seen.
  void add(const text::Transcript& transcript);

  ServedFinding finish(const AuditPolicy& policy) const;

 private:
  // A served answer that has a score, and what the log says of it.
  struct Scored {
    std::optional<std::string> account{};
    std::uint64_t regenerated = 0;        // digest of the regenerations' scores
    std::optional<std::string> key_id{};  // of the regenerations
    std::uint64_t logged = 0;             // how often; of the last:
    bool is_accounts = false;             // the log names the same account
    bool is_whole = false;
    bool is_alike = false;       // the same key marked answer and regenerations
    std::uint64_t question = 0;  // digest of account and prompt
    std::uint64_t prompt = 0;    // digest of the prompt
    std::uint64_t exchange = 0;  // digest of prompt and answer
  };

  std::vector<Check> log_checks() const;

  std::optional<std::string> account_;
  stats::RankSum ranks_{};
  stats::RankSum control_{};
  std::map<std::size_t, std::vector<std::uint64_t>> above_{};
  std::uint64_t least_ = UINT64_MAX;
  std::uint64_t most_ = 0;
  std::map<std::string, Scored> scored_{};                      // by id, without controls
  std::set<std::string> controls_{};                            // ids
  std::unordered_map<std::uint64_t, std::uint32_t> answers_{};  // in the log, by question
  std::uint64_t questions_ = 0;  // in the log, of the account where one was given
  bool has_log_ = false;
  bool is_marked_ = false;
};

}  // namespace countermark::audit
