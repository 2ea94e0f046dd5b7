// SPDX-License-Identifier: Apache-2.0
// Power study: the share of the embedded model's marked answers that are detected at p <= 1e-6,
// by length and temperature, beside the share that the recorded probabilities predict; and from
// which length on the verdict of 95 % is "detected", which asks for a least number of tuples too.
//
// Given the text, the score of a marked draw whose token had probability p is -ln(1 - V^p) with V
// uniform, independent from draw to draw: the exponential race's arrival time is independent of
// its winner. The prediction simulates that law; it uses no fitted number.
//
// Usage: study_power ANSWERS                           the study: three temperatures, 400 tokens
//        study_power ANSWERS TEMPERATURE LENGTH NAME    more answers of one kind, from other seeds
#include <algorithm>
#include <boost/math/special_functions/digamma.hpp>
#include <boost/math/special_functions/gamma.hpp>
#include <boost/math/special_functions/trigamma.hpp>
#include <cmath>
#include <map>
#include <mutex>

#include "tests/studies/bundle.h"
#include "verifier/detect/policy.h"
#include "verifier/detect/tape.h"
#include "verifier/stats/tail.h"

namespace countermark::studies {
namespace {

using detect::Tally;

constexpr std::size_t kMostTokens = 400;
constexpr std::size_t kStep = 5;  // lengths at which the detected share is looked at
constexpr std::size_t kLooks = kMostTokens / kStep;
constexpr int kReplicates = 200;  // simulated answers for each real one
constexpr double kAlpha = 1e-6;
constexpr std::uint64_t kAccounts = 24'000;

// The first three are compared with their predictions; of all of them the verdicts are counted.
enum Test { kShared, kClaimed, kSearched, kPredicted, kOwnLayer = kPredicted, kTests };
constexpr const char* kTestNames[kTests] = {"shared layer", "claimed, all layers",
                                            "account layer x 24,000", "claimed, account layer"};

// Smallest sums that are detected, by number of tuples: exact, computed when first asked for.
class Criticals {
 public:
  explicit Criticals(std::uint64_t hypotheses)
      : level_(stats::PValue::from_double(kAlpha / static_cast<double>(hypotheses))) {}

  bool reached(const Tally& tally) {
    if (tally.n == 0) return false;
    const std::scoped_lock lock(mutex_);
    const auto [at, is_new] = known_.try_emplace(tally.n);
    if (is_new) at->second = stats::gamma_critical(tally.n, level_);
    return tally.sum >= at->second;
  }

 private:
  stats::PValue level_;
  std::mutex mutex_{};
  std::map<std::uint64_t, std::uint64_t> known_{};
};

// Uniform numbers in (0, 1) from splitmix64.
class Uniform {
 public:
  explicit Uniform(std::uint64_t seed) : state_(seed) {}
  double operator()() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (static_cast<double>((z ^ (z >> 31)) >> 11) + 0.5) * 0x1p-53;
  }

 private:
  std::uint64_t state_;
};

// One tuple of an answer: when it came, its layer, the probability of its token (1 when the draw
// was not marked: its score then has the null law), and its scores in every slot.
struct Scored {
  std::size_t position;
  LayerKind layer;
  double probability;
  std::vector<std::uint32_t> scores;
  std::uint32_t true_slot;
};

// The detector's sums at a point of an answer.
struct Sums {
  Tally shared{};
  Tally cohort{};
  std::vector<Tally> account{};  // by slot

  void add(LayerKind layer, std::size_t slot, std::uint64_t score) {
    if (layer == LayerKind::kShared) shared += {1, score};
    if (layer == LayerKind::kCohort) cohort += {1, score};
    if (layer == LayerKind::kAccount) account[slot] += {1, score};
  }

  std::array<Tally, kTests> statistics() const {
    const Tally best =
        *std::max_element(account.begin(), account.end(),
                          [](const Tally& a, const Tally& b) { return a.sum < b.sum; });
    return {shared, shared + cohort + best, best, best};
  }
};

// What one temperature's answers add up to.
struct Totals {
  std::mutex mutex{};
  std::array<std::array<std::uint64_t, kLooks>, kPredicted> found{};  // p <= 1e-6
  std::array<std::array<double, kLooks>, kPredicted> predicted{};
  std::array<std::array<double, kLooks>, kPredicted> variance{};
  std::array<std::array<std::uint64_t, kLooks>, kTests> detected{};  // the verdict
  double excess = 0;  // sum of (score - expectation) over marked draws
  double excess_variance = 0;
  std::uint64_t marked = 0;
  std::uint64_t tokens = 0;
  double surprise = 0;  // -ln p of the chosen tokens
};

class Study {
 public:
  Study(const Bundle& bundle, std::string name, std::uint64_t slots)
      : bundle_(bundle),
        name_(std::move(name)),
        slots_(slots),
        criticals_{Criticals(1), Criticals(slots), Criticals(slots * kAccounts), Criticals(slots)} {
  }

  void run(double temperature, std::size_t tokens, std::uint64_t answers, Totals& totals) {
    in_parallel(answers, "answers", [&](std::uint64_t i) {
      thread_local std::unique_ptr<corpora::Generation> generation;
      if (!generation) generation = std::make_unique<corpora::Generation>(bundle_.model);
      const std::string name = name_ + " " + std::to_string(temperature);
      const NativeMark mark = need(NativeMark::create(study_key(name, i), bundle_.profile));
      corpora::AnswerRequest request = bundle_.request(name, i);
      request.sampling.temperature = temperature;
      request.max_tokens = tokens;
      request.may_end = false;
      const corpora::Answer answer =
          need(corpora::write_answer(*generation, bundle_.model, mark, request));
      observe(mark, request.identity, answer, i, totals);
    });
  }

 private:
  std::vector<Scored> scored_tuples(const NativeMark& mark, const Identity& identity,
                                    const corpora::Answer& answer) const {
    detect::Tape tape(mark);
    tape.add(answer.ids);
    std::vector<Scored> out;
    for (std::uint8_t layer = 0; layer < mark.layers().size(); ++layer) {
      const LayerKind kind = mark.layers()[layer].kind;
      const std::string name = kind == LayerKind::kShared   ? ""
                               : kind == LayerKind::kCohort ? identity.cohort
                                                            : identity.account;
      const std::size_t first = out.size();
      for (const std::uint64_t position : tape.layer(layer).positions) {
        const bool is_marked = answer.draws[position].kind == DrawKind::kMarked;
        const double probability = is_marked ? answer.probabilities[position] : 1;
        out.push_back({position, kind, probability, {}, answer.slots[layer]});
      }
      for (std::uint32_t slot = 0; slot < mark.layers()[layer].slots; ++slot) {
        const auto scores = detect::scores(tape, layer, mark.tag(layer, name, slot));
        for (std::size_t i = 0; i < scores.size(); ++i) out[first + i].scores.push_back(scores[i]);
      }
    }
    std::sort(out.begin(), out.end(),
              [](const Scored& a, const Scored& b) { return a.position < b.position; });
    return out;
  }

  struct Look {
    std::array<bool, kTests> found{};     // p <= 1e-6
    std::array<bool, kTests> detected{};  // and enough tuples for a verdict
  };

  // What the tests say at each look. `score_of(tuple, slot)` gives the scores.
  template <typename ScoreOf>
  std::array<Look, kLooks> looks(const std::vector<Scored>& tuples, ScoreOf score_of) {
    std::array<Look, kLooks> out{};
    Sums sums;
    sums.account.resize(slots_);
    std::size_t next = 0;
    for (std::size_t look = 0; look < kLooks; ++look) {
      for (; next < tuples.size() && tuples[next].position < (look + 1) * kStep; ++next)
        for (std::size_t slot = 0; slot < tuples[next].scores.size(); ++slot)
          sums.add(tuples[next].layer, slot, score_of(tuples[next], slot));
      const auto statistics = sums.statistics();
      for (std::size_t test = 0; test < kTests; ++test) {
        const bool found = criticals_[test].reached(statistics[test]);
        const bool enough = statistics[test].n >= detect::Policy{}.minimum_scored;
        out[look].found[test] = found;
        out[look].detected[test] = found && enough;
      }
    }
    return out;
  }

  void observe(const NativeMark& mark, const Identity& identity, const corpora::Answer& answer,
               std::uint64_t index, Totals& totals) {
    const std::vector<Scored> tuples = scored_tuples(mark, identity, answer);
    const auto real =
        looks(tuples, [](const Scored& tuple, std::size_t slot) { return tuple.scores[slot]; });

    std::array<std::array<int, kLooks>, kPredicted> found{};
    Uniform uniform(0x636f756e74657200 + index);
    for (int replicate = 0; replicate < kReplicates; ++replicate) {
      const auto simulated = looks(tuples, [&](const Scored& tuple, std::size_t slot) {
        const double p = slot == tuple.true_slot ? tuple.probability : 1;
        const double score = p == 1 ? -std::log(uniform()) : -std::log1p(-std::pow(uniform(), p));
        return static_cast<std::uint64_t>(std::ldexp(score, kScoreFractionBits));
      });
      for (std::size_t test = 0; test < kPredicted; ++test)
        for (std::size_t look = 0; look < kLooks; ++look)
          found[test][look] += simulated[look].found[test] ? 1 : 0;
    }

    double excess = 0;
    double excess_variance = 0;
    for (const Scored& tuple : tuples) {
      if (answer.draws[tuple.position].kind != DrawKind::kMarked) continue;
      constexpr double kEuler = 0.57721566490153286;
      const double shape = 1 + 1 / tuple.probability;
      const double score = std::ldexp(static_cast<double>(tuple.scores[tuple.true_slot]), -20);
      excess += score - (boost::math::digamma(shape) + kEuler);
      excess_variance += M_PI * M_PI / 6 - boost::math::trigamma(shape);
    }

    const std::scoped_lock lock(totals.mutex);
    for (std::size_t test = 0; test < kTests; ++test)
      for (std::size_t look = 0; look < kLooks; ++look)
        totals.detected[test][look] += real[look].detected[test] ? 1U : 0U;
    for (std::size_t test = 0; test < kPredicted; ++test)
      for (std::size_t look = 0; look < kLooks; ++look) {
        const double p = static_cast<double>(found[test][look]) / kReplicates;
        totals.found[test][look] += real[look].found[test] ? 1U : 0U;
        totals.predicted[test][look] += p;
        // Of the real answer given the text, and of the simulated mean.
        totals.variance[test][look] += p * (1 - p) * (1 + 1.0 / kReplicates);
      }
    totals.excess += excess;
    totals.excess_variance += excess_variance;
    totals.marked += answer.marked();
    totals.tokens += answer.ids.size();
    for (const double p : answer.probabilities) totals.surprise -= std::log(p);
  }

  const Bundle& bundle_;
  std::string name_;
  std::uint64_t slots_;
  std::array<Criticals, kTests> criticals_;
};

// How probable it is to find at least (or, below the expectation, at most) so many when `expected`
// are expected: the Poisson law, for counts too small for a standard error to mean anything.
double exact_tail(std::uint64_t found, double expected) {
  const double count = static_cast<double>(found);
  if (count > expected) return boost::math::gamma_p(count, expected);
  return boost::math::gamma_q(count + 1, expected);
}

void print_share(std::size_t test, std::size_t tokens, double answers, const Totals& totals,
                 Checks& checks) {
  const std::size_t look = tokens / kStep - 1;
  const std::uint64_t found = totals.found[test][look];
  const double expected = totals.predicted[test][look];
  const double error = std::sqrt(totals.variance[test][look]);
  std::printf("%-24s  %6zu  %8.2f%%  %8.2f%%  %.2f%%\n", kTestNames[test], tokens,
              100 * static_cast<double>(found) / answers, 100 * expected / answers,
              100 * error / answers);
  if (std::abs(static_cast<double>(found) - expected) <= 3 * error + 1e-9) return;
  std::printf("  outside 3 standard errors: %llu found, %.2f expected; Poisson tail %.3f\n",
              static_cast<unsigned long long>(found), expected, exact_tail(found, expected));
  checks.add("share within 3 standard errors of its prediction", false);
}

void print(double temperature, std::size_t tokens, std::uint64_t answers, const Totals& totals,
           Checks& checks) {
  const double n = static_cast<double>(answers);
  std::printf("\ntemperature %g: %.3f nats a token, %.1f %% of draws marked\n", temperature,
              totals.surprise / static_cast<double>(totals.tokens),
              100.0 * static_cast<double>(totals.marked) / static_cast<double>(totals.tokens));
  std::printf("%-24s  tokens  p <= 1e-6  predicted  standard error\n", "test");
  for (std::size_t test = 0; test < kPredicted; ++test)
    for (const std::size_t length : {25U, 50U, 100U, 200U, 400U})
      if (length <= tokens) print_share(test, length, n, totals, checks);
  for (std::size_t test = 0; test < kTests; ++test) {
    std::size_t shortest = 0;
    for (std::size_t look = tokens / kStep; look-- > 0;) {
      if (static_cast<double>(totals.detected[test][look]) < 0.95 * n) break;
      shortest = (look + 1) * kStep;
    }
    const std::string from =
        shortest == 0 ? "more than " + std::to_string(tokens) : std::to_string(shortest);
    std::printf("%-24s  95 %% detected from %s tokens; of %zu tokens %.2f %%\n", kTestNames[test],
                from.c_str(), tokens,
                100 * static_cast<double>(totals.detected[test][tokens / kStep - 1]) / n);
  }
  const double deviation = totals.excess / std::sqrt(totals.excess_variance);
  std::printf("sum of (score - expectation): %.1f, %.2f standard errors\n", totals.excess,
              deviation);
  checks.add("scores agree with the recorded probabilities within 4 standard errors",
             std::abs(deviation) <= 4);
}

}  // namespace
}  // namespace countermark::studies

int main(int argc, char** argv) {
  using namespace countermark::studies;
  const std::uint64_t answers = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 2'000;
  const bool one_kind = argc == 5;
  std::vector<double> temperatures = {1.0, 0.7, 0.4};
  if (one_kind) temperatures = {std::strtod(argv[2], nullptr)};
  const std::size_t tokens = one_kind ? std::strtoull(argv[3], nullptr, 10) : kMostTokens;
  if (tokens < kStep || tokens > kMostTokens) return 2;

  const Bundle bundle = Bundle::load();
  const auto layer = bundle.profile.layers_of(countermark::LayerKind::kAccount).at(0);
  const std::uint64_t slots = bundle.profile.layers()[layer].slots;
  Study study(bundle, one_kind ? argv[4] : "power study 1", slots);
  std::printf(
      "%llu answers of exactly %zu tokens a temperature, top-p .95, a key and an account "
      "each, p <= 1e-6\n",
      static_cast<unsigned long long>(answers), tokens);
  Checks checks;
  for (const double temperature : temperatures) {
    Totals totals;
    study.run(temperature, tokens, answers, totals);
    print(temperature, tokens, answers, totals, checks);
    if (temperature == 1.0 && tokens >= 200) {
      const std::size_t look = 200 / kStep - 1;
      const double n = static_cast<double>(answers);
      checks.add("temperature 1, 200 tokens, shared layer: at least 97 %",
                 static_cast<double>(totals.found[kShared][look]) >= 0.97 * n);
      checks.add("temperature 1, 200 tokens, claimed account: at least 99 %",
                 static_cast<double>(totals.found[kClaimed][look]) >= 0.99 * n);
    }
  }
  return checks.exit_code();
}
