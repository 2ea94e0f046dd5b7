// SPDX-License-Identifier: Apache-2.0
// Null study: how often real human text, which has nothing to do with any key, is called marked.
//
// The text is fixed and the keys are drawn; the key is the unit. For each key one tape over the
// whole text gives a pooled p-value of the shared layer, and each document on its own tape a
// document p-value; both are compared with the uniform law. With --corrected N documents x keys,
// only the smallest p-value of the whole family is looked at.
//
// The long study goes further into the tail: every position of the text belongs to the shared
// layer, and for each key the same number of distinct tuples gives one p-value.
//
// Usage: study_null KEYS PROFILE MODE FILE...
// MODE: pooled (documents and pooled), family, or long
#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>

#include "tests/studies/common.h"
#include "tests/studies/documents.h"
#include "verifier/detect/policy.h"
#include "verifier/detect/tape.h"
#include "verifier/io/load.h"
#include "verifier/stats/limits.h"
#include "verifier/stats/tail.h"

namespace countermark::studies {
namespace {

using stats::PValue;

constexpr const char* kStudy = "null study 1";
// Counts p-values at or below 10^-1 ... 10^-6, exactly: the critical statistic of each n and level
// is computed once.
class LevelCounts {
 public:
  static constexpr int kLevels = 6;

  // The number of levels that the tally reaches.
  int level_of(const detect::Tally& tally) {
    if (tally.n == 0) return 0;
    const std::scoped_lock lock(mutex_);
    auto [row, is_new] = critical_.try_emplace(tally.n);
    if (is_new)
      for (int level = 1; level <= kLevels; ++level)
        row->second[static_cast<std::size_t>(level - 1)] =
            stats::gamma_critical(tally.n, PValue::from_parts(1, -level));
    return static_cast<int>(std::count_if(row->second.begin(), row->second.end(),
                                          [&](std::uint64_t c) { return tally.sum >= c; }));
  }

  void add(int levels) {
    const std::scoped_lock lock(mutex_);
    ++total_;
    for (int i = 0; i < levels; ++i) ++counts_[static_cast<std::size_t>(i)];
  }

  std::uint64_t total() const { return total_; }
  std::uint64_t at(int level) const { return counts_[static_cast<std::size_t>(level - 1)]; }

 private:
  std::mutex mutex_{};
  std::map<std::uint64_t, std::array<std::uint64_t, kLevels>> critical_{};
  std::array<std::uint64_t, kLevels> counts_{};
  std::uint64_t total_ = 0;
};

detect::Tally shared_tally(const NativeMark& mark, const detect::Tape& tape) {
  detect::Tally total;
  for (const std::uint8_t layer : mark.profile().layers_of(LayerKind::kShared))
    total += detect::tally(tape, layer, mark.tag(layer, "", 0));
  return total;
}

int pooled_study(std::uint64_t keys, const Profile& profile,
                 const std::vector<std::vector<TokenId>>& documents) {
  LevelCounts by_document;
  std::vector<PValue> pooled(keys);
  std::vector<detect::Tally> tallies(keys);
  in_parallel(keys, "keys", [&](std::uint64_t k) {
    const NativeMark mark = need(NativeMark::create(study_key(kStudy, k), profile));
    detect::Tape all(mark);
    for (const auto& document : documents) {
      all.add(document);
      detect::Tape one(mark);
      one.add(document);
      by_document.add(by_document.level_of(shared_tally(mark, one)));
    }
    const detect::Tally tally = shared_tally(mark, all);
    pooled[k] = stats::gamma_tail(tally.n, tally.sum);
    tallies[k] = tally;
  });

  Checks checks;
  std::printf("\npooled over the whole text, one p-value a key\n");
  std::printf("level     expected  counted  least  most (exact binomial, 99.9 %%)\n");
  for (const double level : {1e-1, 1e-2}) {
    const auto interval = stats::binomial_interval(keys, level, 0.999);
    const auto count = static_cast<std::uint64_t>(std::count_if(
        pooled.begin(), pooled.end(), [level](PValue p) { return p.to_double() <= level; }));
    std::printf("%-8g  %8.1f  %7llu  %5llu  %4llu\n", level, static_cast<double>(keys) * level,
                static_cast<unsigned long long>(count),
                static_cast<unsigned long long>(interval.least),
                static_cast<unsigned long long>(interval.most));
    checks.add("share at " + std::to_string(level),
               count >= interval.least && count <= interval.most);
  }
  const PValue smallest = *std::min_element(pooled.begin(), pooled.end());
  const PValue largest = *std::max_element(pooled.begin(), pooled.end());
  std::printf("smallest p %s, largest %s\n", smallest.to_string().c_str(),
              largest.to_string().c_str());
  checks.add("smallest pooled p above 1e-6", smallest > PValue::from_parts(1, -6));
  detect::Tally all_keys;
  for (const detect::Tally& tally : tallies) all_keys += tally;
  const double n = static_cast<double>(all_keys.n);
  const double mean = std::ldexp(static_cast<double>(all_keys.sum), -20) / n;
  std::printf("mean of %.3g scores %.6f: %+.2f standard errors from the null's 1\n", n, mean,
              (mean - 1) * std::sqrt(n));
  checks.add("mean score within 4 standard errors", std::abs(mean - 1) * std::sqrt(n) <= 4);

  std::printf("\nby document, each on its own tape: %llu p-values\n",
              static_cast<unsigned long long>(by_document.total()));
  std::printf("level     expected  counted  most (one-sided Poisson, false alarm 1e-4)\n");
  for (int level = 1; level <= LevelCounts::kLevels; ++level) {
    const double expected = static_cast<double>(by_document.total()) * std::pow(10.0, -level);
    const std::uint64_t most = stats::poisson_upper_limit(expected, 1e-4);
    std::printf("1e-%d      %8.1f  %7llu  %4llu\n", level, expected,
                static_cast<unsigned long long>(by_document.at(level)),
                static_cast<unsigned long long>(most));
    if (level >= 3)
      checks.add("documents at 1e-" + std::to_string(level), by_document.at(level) <= most);
  }
  return checks.exit_code();
}

int family_study(std::uint64_t keys, const Profile& profile,
                 const std::vector<std::vector<TokenId>>& documents) {
  std::vector<PValue> smallest(keys);
  in_parallel(keys, "keys", [&](std::uint64_t k) {
    const NativeMark mark = need(NativeMark::create(study_key("family study 1", k), profile));
    // The exact tail is computed only for sums that could be the key's smallest p-value.
    PValue least;
    for (const auto& document : documents) {
      detect::Tape tape(mark);
      tape.add(document);
      const detect::Tally tally = shared_tally(mark, tape);
      if (tally.n == 0) continue;
      const double n = static_cast<double>(tally.n);
      const double excess = std::ldexp(static_cast<double>(tally.sum), -20) - n;
      // Below two standard deviations p exceeds 1e-2, and the smallest of hundreds does not.
      if (excess > 2 * std::sqrt(n)) least = std::min(least, stats::gamma_tail(tally.n, tally.sum));
    }
    smallest[k] = least;
  });
  const std::uint64_t family = keys * documents.size();
  const PValue corrected = std::min_element(smallest.begin(), smallest.end())->times(family);
  std::printf("%llu documents x %llu keys: smallest p corrected for all of them %s\n",
              static_cast<unsigned long long>(documents.size()),
              static_cast<unsigned long long>(keys), corrected.to_string().c_str());
  Checks checks;
  checks.add("no corrected p below 1e-3", corrected > PValue::from_parts(1, -3));
  return checks.exit_code();
}

// The tuples of each key of the long study.
constexpr std::size_t kLongTuples = 100'000;

int long_study(std::uint64_t keys, const Profile& profile,
               const std::vector<std::vector<TokenId>>& documents) {
  const Profile one_layer =
      need(Profile::create({{LayerKind::kShared, 2, kShareTotal, 1}}, profile.tokenizer()));
  std::vector<std::uint64_t> sums(keys);
  in_parallel(keys, "keys", [&](std::uint64_t k) {
    const NativeMark mark = need(NativeMark::create(study_key("null study 2", k), one_layer));
    detect::Tape tape(mark);
    for (const auto& document : documents) {
      tape.add(document);
      if (tape.layer(0).tokens.size() >= kLongTuples) break;
    }
    const detect::LayerTape& tuples = tape.layer(0);
    if (tuples.tokens.size() < kLongTuples)
      need(Result<int>(fail(ErrorCode::kInvalidInput, "the text has too few distinct tuples")));
    const Tag tag = mark.tag(0, "", 0);
    mark.tallies(0, std::span(tuples.states).first(kLongTuples),
                 TokenSpan(tuples.tokens).first(kLongTuples), {&tag, 1}, {&sums[k], 1});
  });

  Checks checks;
  bool within = true;
  std::printf("%zu distinct tuples a key\n", kLongTuples);
  std::printf("level     expected  counted  least  most (false alarm 1e-4 on each side)\n");
  for (int level = 1; level <= 6; ++level) {
    const std::uint64_t critical =
        stats::gamma_critical(kLongTuples, PValue::from_parts(1, -level));
    const auto count = static_cast<std::uint64_t>(std::count_if(
        sums.begin(), sums.end(), [critical](std::uint64_t sum) { return sum >= critical; }));
    const double expected = static_cast<double>(keys) * std::pow(10.0, -level);
    // Too few would be a fault too: the scores lie .000003 below their exponentials on average,
    // which is .001 standard deviations of a key's sum.
    const std::uint64_t least =
        stats::binomial_interval(keys, std::pow(10.0, -level), 0.9998).least;
    const std::uint64_t most = stats::poisson_upper_limit(expected, 1e-4);
    std::printf("1e-%d      %8.1f  %7llu  %5llu  %4llu\n", level, expected,
                static_cast<unsigned long long>(count), static_cast<unsigned long long>(least),
                static_cast<unsigned long long>(most));
    within = within && least <= count && count <= most;
  }
  const double n = static_cast<double>(kLongTuples);
  double mean = 0;
  for (const std::uint64_t sum : sums) mean += std::ldexp(static_cast<double>(sum), -20) / n;
  mean /= static_cast<double>(keys);
  double variance = 0;
  for (const std::uint64_t sum : sums) {
    const double difference = std::ldexp(static_cast<double>(sum), -20) - n * mean;
    variance += difference * difference / n;
  }
  variance /= static_cast<double>(keys - 1);
  const double scores = n * static_cast<double>(keys);
  const double mean_errors = (mean - 1) * std::sqrt(scores);
  const double variance_errors = (variance - 1) * std::sqrt(static_cast<double>(keys) / 2);
  std::printf("mean of %.3g scores %.7f: %+.2f standard errors from the null's 1\n", scores, mean,
              mean_errors);
  std::printf("variance of the keys' sums %.4f of the null's: %+.2f standard errors\n", variance,
              variance_errors);
  checks.add("counts at every level between their limits", within);
  checks.add("mean score within 4 standard errors", std::abs(mean_errors) <= 4);
  checks.add("variance within 4 standard errors", std::abs(variance_errors) <= 4);
  return checks.exit_code();
}

}  // namespace
}  // namespace countermark::studies

int main(int argc, char** argv) {
  using namespace countermark;
  using namespace countermark::studies;
  if (argc < 5) {
    std::fprintf(stderr, "usage: study_null KEYS PROFILE pooled|family|long FILE...\n");
    return 2;
  }
  const std::uint64_t keys = std::strtoull(argv[1], nullptr, 10);
  const std::string mode = argv[3];
  const Profile profile = need(io::load_profile(argv[2]));
  const auto tokenizer = need(io::load_tokenizer_of(profile.tokenizer(), argv[2], ""));
  const auto documents =
      read_documents(*tokenizer, std::vector<std::string>(argv + 4, argv + argc), mode != "family");
  std::size_t tokens = 0;
  for (const auto& document : documents) tokens += document.size();
  std::printf("%llu keys, %zu documents, %zu tokens, profile %s\n",
              static_cast<unsigned long long>(keys), documents.size(), tokens,
              profile.digest().substr(0, 16).c_str());
  if (mode == "long") return long_study(keys, profile, documents);
  return mode == "family" ? family_study(keys, profile, documents)
                          : pooled_study(keys, profile, documents);
}
