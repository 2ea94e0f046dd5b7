// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>
#include <vector>

#include "verifier/audit/report.h"
#include "verifier/render/chart.h"
#include "verifier/stats/limits.h"
#include "verifier/stats/normal_score.h"

namespace countermark::audit {
namespace {

using detect::Verdict;
using render::Picture;

// Where all prompts have as many regenerations.
void add_ranks(const ServedFinding& finding, std::vector<Picture>& out) {
  if (finding.above.size() != 1 || finding.verdict == Verdict::kWithheld) return;
  const auto& [others, counts] = *finding.above.begin();
  const std::uint64_t prompts = finding.ranks.groups();
  const double share = 1 / static_cast<double>(counts.size());
  // 99 in 100 such bins lie between these, each by itself.
  const stats::CountInterval ends = stats::binomial_interval(prompts, share, 0.99);
  const std::uint64_t largest =
      std::max(ends.most, *std::max_element(counts.begin(), counts.end()));
  out.push_back(render::histogram(
      {"Served answers among " + std::to_string(others) + " regenerations",
       std::to_string(prompts) + " prompts; dashed: expected, grey: 99 in 100 bins",
       {"regenerations that are rated lower", 0, static_cast<double>(others)},
       {"prompts", 0, render::axis_end(static_cast<double>(largest))}},
      counts,
      {static_cast<double>(prompts) * share, static_cast<double>(ends.least),
       static_cast<double>(ends.most)}));
}

void add_path(const Audit& audit, const TupleTest& test, std::vector<Picture>& out) {
  const TupleFinding& finding = test.finding;
  if (!finding.sequence || finding.sequence->planned || !finding.e_value) return;
  const std::vector<RunningSum>& path = finding.sequence->walk.path;
  if (path.empty() || finding.verdict == Verdict::kWithheld) return;
  // As many points as a line can show.
  const std::size_t step = path.size() / 400 + 1;
  std::vector<render::Point> points = {{0, 0}};
  for (std::size_t i = step - 1; i < path.size(); i += step)
    points.push_back({static_cast<double>(path[i].tally.n), path[i].e_value.log10()});
  const double goal = -audit.policies.at(test.kind).alpha.log10();
  const double tuples = render::axis_end(static_cast<double>(path.back().tally.n));
  double most = goal;
  for (const render::Point& point : points) most = std::max(most, point.y);
  out.push_back(
      render::lines({std::string(kind_name(test.kind)) + ": evidence against tuples",
                     "a bet that starts with 1 and may be looked at at any time; dashed: 1 / alpha",
                     {"tuples", 0, tuples},
                     {"log10 of the bet", -2, render::axis_end(most)}},
                    std::vector<render::Series>{{"bet", points},
                                                {"1 / alpha", {{0, goal}, {tuples, goal}}, true}}));
}

void add_decoys(const char* name, const detect::LineUp& line_up, stats::PValue key,
                std::vector<Picture>& out) {
  if (line_up.scores.empty()) return;
  const double score = stats::normal_score(key);
  const double end = std::clamp(score + 1, 5.0, 40.0);
  out.push_back(render::strip(
      {std::string(name) + ": the key among " + std::to_string(line_up.scores.size()) + " decoys",
       "keys of the same form that marked nothing",
       {"normal score of the p-value", -5, end},
       {}},
      line_up.scores, score));
}

}  // namespace

std::string to_svg(const Audit& audit) {
  std::vector<Picture> out;
  if (audit.served) add_ranks(*audit.served, out);
  for (const TupleTest& test : audit.tuples) {
    add_path(audit, test, out);
    const scan::TestResult& result = test.finding.result;
    if (result.line_up && test.finding.verdict != Verdict::kWithheld)
      add_decoys(kind_name(test.kind), *result.line_up, result.finding.evidence.p, out);
  }
  if (audit.mass && audit.mass->finding.line_up &&
      audit.mass->finding.verdict != Verdict::kWithheld)
    add_decoys(kind_name(TestKind::kUnsupervisedMass), *audit.mass->finding.line_up,
               audit.mass->finding.evidence.p, out);
  return out.empty() ? std::string() : render::to_svg(out);
}

}  // namespace countermark::audit
