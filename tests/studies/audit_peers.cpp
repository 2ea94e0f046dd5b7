// SPDX-License-Identifier: Apache-2.0
// The audit's statistics against those of others, on the same students, texts and keys. In the
// small world of tests/support/ngram.h.
//
// Each student learned from text of which a tenth was marked and reads text that is not. Every
// statistic is computed on growing parts of that, under the student's key and under keys that have
// nothing to do with it. On the latter each one's threshold is set so that all have the same
// measured size; then the powers are compared where the other one's is a half.
//
// The others' statistics are written from their papers:
//   Sander et al., "Watermarking makes language models radioactive" (2024): the most probable
//     token at each place, each (context, token) once; binomial or Gamma tail.
//   TextSeal (2026): the same under a Gumbel mark, weighted by the root of the entropy; a Gamma
//     with the weighted sum's mean and variance.
//   Xu et al., "Antidistillation fingerprinting" (2026): the mean green mass of the predicted
//     distribution, each two last tokens once; Hoeffding's bound.
//
// Usage: study_audit_peers STUDENTS KEYS
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <set>

#include "tests/studies/ngram_bench.h"
#include "verifier/audit/mass.h"
#include "verifier/stats/published.h"

namespace countermark::studies {
namespace {

constexpr std::size_t kLearned = 100'000;
constexpr double kShare = 0.1;
constexpr std::size_t kTop = 10;
constexpr double kLevel = 1e-3;
constexpr double kGreen = 0.25;  // share of words

// Documents read: where the statistics are looked at.
constexpr std::array<std::size_t, 11> kLooks = {2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64};

// A place of the text, and what the student predicts there. Contexts by a number each.
struct Place {
  std::size_t document;
  Text context;  // of the mark's width
  std::uint64_t context_id;
  std::uint64_t last_two_id;
  std::vector<tests::Candidate> top;
  double entropy;  // of its 40 most probable tokens, in nats
};

std::uint64_t id_of(TokenSpan tokens) {
  std::uint64_t out = 0;
  for (const TokenId token : tokens) out = out * Ngrams::kMostTokens + token;
  return out;
}

double entropy_of(const std::vector<tests::Candidate>& candidates) {
  double total = 0;
  double sum = 0;
  for (const auto& each : candidates) {
    total += each.probability;
    sum -= each.probability * std::log(each.probability);
  }
  return sum / total + std::log(total);
}

std::vector<Place> read(const std::vector<Text>& texts, const Ngrams& student, std::size_t width) {
  std::vector<Place> out;
  std::vector<tests::Candidate> top;
  for (std::size_t document = 0; document < texts.size(); ++document) {
    const TokenSpan text = texts[document];
    for (std::size_t i = std::max<std::size_t>(width, 2); i < text.size(); ++i) {
      const TokenSpan before = text.first(i);
      student.top(before, 40, top);
      const TokenSpan context = before.last(width);
      out.push_back({document, Text(context.begin(), context.end()), id_of(context),
                     id_of(before.last(2)), std::vector(top.begin(), top.begin() + kTop),
                     entropy_of(top)});
    }
  }
  return out;
}

// One score that enters a statistic with a weight that is no function of the key.
struct Term {
  const Place* place;
  TokenId token;
  double weight;
};

// A statistic of one kind of mark: the terms of a part of the reading, a law of their sum, and p.
class Statistic {
 public:
  explicit Statistic(bool green) : green_(green) {}
  Statistic(const Statistic&) = delete;
  Statistic& operator=(const Statistic&) = delete;
  virtual ~Statistic() = default;

  virtual const char* name() const = 0;
  virtual std::vector<Term> terms(std::span<const Place> places) const = 0;

  // The law of the sum of the first terms, once for all keys.
  class Law {
   public:
    virtual ~Law() = default;
    virtual double log10_p(double sum) const = 0;
  };
  virtual std::unique_ptr<const Law> law(std::span<const Term> terms) const = 0;

 protected:
  bool green() const { return green_; }

 private:
  bool green_;
};

using Law = Statistic::Law;

// The exact tail of a sum of equal weights.
class Exact final : public Law {
 public:
  Exact(std::size_t n, bool green) : n_(n), green_(green) {}
  double log10_p(double sum) const override {
    if (n_ == 0) return 0;
    if (!green_) return stats::gumbel_p(n_, sum).log10_p;
    return stats::three_bricks_greenlist_p(n_, static_cast<std::uint64_t>(std::llround(sum)),
                                           kGreen)
        .log10_p;
  }

 private:
  std::size_t n_;
  bool green_;
};

// Sander et al.: each (context, token) once.
class Radioactivity final : public Statistic {
 public:
  using Statistic::Statistic;
  const char* name() const override { return "Sander et al., top-1"; }
  std::vector<Term> terms(std::span<const Place> places) const override {
    std::vector<Term> out;
    std::set<std::pair<std::uint64_t, TokenId>> seen;
    for (const Place& place : places)
      if (const TokenId token = place.top.front().token;
          seen.emplace(place.context_id, token).second)
        out.push_back({&place, token, 1});
    return out;
  }
  std::unique_ptr<const Law> law(std::span<const Term> terms) const override {
    return std::make_unique<Exact>(terms.size(), green());
  }
};

// The audit's: the same, each context once in a document.
class TopOne final : public Statistic {
 public:
  using Statistic::Statistic;
  const char* name() const override { return "ours, top-1"; }
  std::vector<Term> terms(std::span<const Place> places) const override {
    std::vector<Term> out;
    std::set<std::pair<std::uint64_t, TokenId>> seen;
    std::set<std::pair<std::size_t, std::uint64_t>> contexts;
    for (const Place& place : places)
      if (const TokenId token = place.top.front().token;
          contexts.emplace(place.document, place.context_id).second &&
          seen.emplace(place.context_id, token).second)
        out.push_back({&place, token, 1});
    return out;
  }
  std::unique_ptr<const Law> law(std::span<const Term> terms) const override {
    return std::make_unique<Exact>(terms.size(), green());
  }
};

// TextSeal: a Gamma of the same mean and variance (Satterthwaite).
class TextSeal final : public Statistic {
 public:
  using Statistic::Statistic;
  const char* name() const override { return "TextSeal, top-1 by entropy"; }
  std::vector<Term> terms(std::span<const Place> places) const override {
    std::vector<Term> out = Radioactivity(green()).terms(places);
    for (Term& term : out) term.weight = std::sqrt(term.place->entropy);
    return out;
  }
  std::unique_ptr<const Law> law(std::span<const Term> terms) const override;
};

class Satterthwaite final : public Law {
 public:
  explicit Satterthwaite(std::span<const Term> terms) {
    double squares = 0;
    for (const Term& term : terms) {
      mean_ += term.weight;
      squares += term.weight * term.weight;
    }
    scale_ = squares / mean_;
  }
  // A Gamma of any shape between those of the integers beside it, in the logarithm.
  double log10_p(double sum) const override {
    const double shape = mean_ / scale_;
    const auto least = static_cast<std::uint64_t>(std::max(1.0, std::floor(shape)));
    const double part = shape - static_cast<double>(least);
    return (1 - part) * stats::gumbel_p(least, sum / scale_).log10_p +
           part * stats::gumbel_p(least + 1, sum / scale_).log10_p;
  }

 private:
  double mean_ = 0;
  double scale_ = 1;
};

std::unique_ptr<const Law> TextSeal::law(std::span<const Term> terms) const {
  return std::make_unique<Satterthwaite>(terms);
}

// Xu et al.: exp(-2 n (mean mass - gamma)^2), n places.
class Fingerprint final : public Statistic {
 public:
  using Statistic::Statistic;
  const char* name() const override { return "Xu et al., green mass"; }
  std::vector<Term> terms(std::span<const Place> places) const override {
    std::vector<Term> out;
    std::set<std::uint64_t> seen;
    for (const Place& place : places)
      if (seen.insert(place.last_two_id).second)
        for (const auto& [token, probability] : place.top)
          out.push_back({&place, token, probability});
    return out;
  }
  std::unique_ptr<const Law> law(std::span<const Term> terms) const override;
};

class Hoeffding final : public Law {
 public:
  explicit Hoeffding(std::span<const Term> terms) : n_(static_cast<double>(terms.size()) / kTop) {
    for (const Term& term : terms) mass_ += term.weight;
  }
  // What the ten tokens lack is as green as the rest by chance.
  double log10_p(double sum) const override {
    const double excess = (sum - kGreen * mass_) / n_;
    return excess <= 0 ? 0 : -2 * n_ * excess * excess / std::log(10);
  }

 private:
  double n_;
  double mass_ = 0;
};

std::unique_ptr<const Law> Fingerprint::law(std::span<const Term> terms) const {
  return std::make_unique<Hoeffding>(terms);
}

// Ours: each context once in a document, each tuple once with the largest of its weights, and a
// bound that holds for any weights that are no function of the key (stats/weighted_sum.h).
class Mass final : public Statistic {
 public:
  using Statistic::Statistic;
  const char* name() const override { return "ours, mass"; }
  std::vector<Term> terms(std::span<const Place> places) const override {
    std::vector<Term> out;
    std::set<std::pair<std::size_t, std::uint64_t>> contexts;
    std::map<std::pair<std::uint64_t, TokenId>, std::size_t> known;
    std::array<double, kTop> weights{};
    for (const Place& place : places) {
      if (!contexts.emplace(place.document, place.context_id).second) continue;
      weigh(place, weights);
      for (std::size_t i = 0; i < kTop; ++i) {
        if (weights[i] == 0) continue;
        const TokenId token = place.top[i].token;
        const auto [found, is_new] = known.try_emplace({place.context_id, token}, out.size());
        if (is_new) out.push_back({&place, token, 0});
        double& weight = out[found->second].weight;
        weight = std::max(weight, weights[i]);
      }
    }
    return out;
  }
  std::unique_ptr<const Law> law(std::span<const Term> terms) const override;

 private:
  // By the audit's own weights.
  static void weigh(const Place& place, std::span<double, kTop> out) {
    std::array<float, kTop> log_probs{};
    std::array<std::uint32_t, kTop> weights{};
    for (std::size_t i = 0; i < kTop; ++i)
      log_probs[i] = static_cast<float>(std::log(place.top[i].probability));
    audit::mass_weights(log_probs, weights);
    std::copy(weights.begin(), weights.end(), out.begin());
  }
};

// The bounds of stats/weighted_sum.h over a grid, which is fast: the best l is nearly on it.
class Chernoff final : public Law {
 public:
  Chernoff(std::span<const Term> terms, bool green) {
    double largest = 0;
    for (const Term& term : terms) largest = std::max(largest, term.weight);
    double part = 0.9;
    for (int step = 0; step < 25; ++step, part *= 0.78) {
      const double l = (green ? 8 : 1) * part / largest;
      double k = 0;
      double variance = 0;
      for (const Term& term : terms) {
        const double w = term.weight;
        k += green ? std::log1p(kGreen * std::expm1(l * w)) : -std::log1p(-l * w);
        variance += w * w / ((1 - l * w) * (1 - l * w));
      }
      if (!green) k = std::min(k, k - std::log(l * std::sqrt(variance)));
      grid_.emplace_back(l, k);
    }
  }
  double log10_p(double sum) const override {
    double least = 0;
    for (const auto& [l, k] : grid_) least = std::min(least, k - l * sum);
    return least / std::log(10);
  }

 private:
  std::vector<std::pair<double, double>> grid_{};
};

std::unique_ptr<const Law> Mass::law(std::span<const Term> terms) const {
  return std::make_unique<Chernoff>(terms, green());
}

// --- one student ----------------------------------------------------------------------------

// All statistics of one reading: the distinct tuples that they need the scores of, and each law.
class Measurement {
 public:
  Measurement(const std::vector<Place>& places,
              const std::vector<std::unique_ptr<const Statistic>>& statistics) {
    for (const auto& statistic : statistics) add(*statistic, places);
  }

  // log10 p by statistic, then look.
  std::vector<double> under(const Marker& marker) const {
    const std::vector<double> scores = marker.scores(contexts_, tokens_);
    std::vector<double> out;
    for (const Part& part : parts_) {
      double sum = 0;
      for (const auto& [tuple, weight] : part.terms) sum += weight * scores[tuple];
      out.push_back(part.law->log10_p(sum));
    }
    return out;
  }

 private:
  // One statistic at one look.
  struct Part {
    std::vector<std::pair<std::size_t, double>> terms{};  // tuple and weight
    std::unique_ptr<const Law> law{};
  };

  void add(const Statistic& statistic, const std::vector<Place>& places) {
    for (const std::size_t documents : kLooks) {
      const auto end = std::partition_point(places.begin(), places.end(), [&](const Place& place) {
        return place.document < documents;
      });
      Part& part = parts_.emplace_back();
      const std::vector<Term> terms = statistic.terms({places.begin(), end});
      for (const Term& term : terms) part.terms.emplace_back(number_of(term), term.weight);
      part.law = statistic.law(terms);
    }
  }

  std::size_t number_of(const Term& term) {
    const auto [found, is_new] =
        numbers_.try_emplace({term.place->context_id, term.token}, tokens_.size());
    if (is_new) {
      contexts_.insert(contexts_.end(), term.place->context.begin(), term.place->context.end());
      tokens_.push_back(term.token);
    }
    return found->second;
  }

  std::map<std::pair<std::uint64_t, TokenId>, std::size_t> numbers_{};
  Text contexts_{};  // one after the other
  std::vector<TokenId> tokens_{};
  std::vector<Part> parts_{};
};

// --- the comparison -------------------------------------------------------------------------

// The peers', then ours.
std::vector<std::unique_ptr<const Statistic>> statistics_of(bool green) {
  std::vector<std::unique_ptr<const Statistic>> out;
  out.push_back(std::make_unique<Radioactivity>(green));
  if (green)
    out.push_back(std::make_unique<Fingerprint>(green));
  else
    out.push_back(std::make_unique<TextSeal>(green));
  out.push_back(std::make_unique<TopOne>(green));
  out.push_back(std::make_unique<Mass>(green));
  return out;
}
constexpr std::size_t kPeers = 2;
constexpr std::size_t kTopOne = kPeers;
constexpr std::size_t kMass = kPeers + 1;
// The smaller of the audit's two p-values: what both together find, each with a part of alpha.
constexpr std::size_t kBoth = kPeers + 2;
constexpr std::size_t kRows = kPeers + 3;

// log10 p of all students under one kind of key: by statistic, then look, then one after the other.
using Cells = std::vector<std::vector<float>>;

double share_below(const std::vector<float>& cell, double threshold) {
  const auto count = std::count_if(cell.begin(), cell.end(),
                                   [&](float p) { return static_cast<double>(p) <= threshold; });
  return static_cast<double>(count) / static_cast<double>(cell.size());
}

// At or below which a share kLevel of the cell lies.
double threshold_of(std::vector<float> cell) {
  const auto at =
      cell.begin() +
      std::max<std::ptrdiff_t>(1, std::lround(kLevel * static_cast<double>(cell.size()))) - 1;
  std::nth_element(cell.begin(), at, cell.end());
  return static_cast<double>(*at);
}

struct Table {
  const Scheme& scheme;
  std::vector<const char*> names;  // kRows
  const Cells& truth;
  const Cells& null;

  static std::size_t cell(std::size_t statistic, std::size_t look) {
    return statistic * kLooks.size() + look;
  }
  // At thresholds of one measured size, and at the nominal one.
  double power(std::size_t i, std::size_t look) const {
    return share_below(truth[cell(i, look)], threshold_of(null[cell(i, look)]));
  }
  double nominal(std::size_t i, std::size_t look) const {
    return share_below(truth[cell(i, look)], std::log10(kLevel));
  }
  double size(std::size_t i, std::size_t look) const {
    return share_below(null[cell(i, look)], std::log10(kLevel));
  }

  void print(Checks& checks) const {
    std::printf("power at measured size 1e-3 after so many documents of 100 tokens\n%-28s", "");
    for (const std::size_t documents : kLooks) std::printf(" %5zu", documents);
    std::printf("\n");
    for (std::size_t i = 0; i < kRows; ++i) {
      std::printf("%-28s", names[i]);
      for (std::size_t look = 0; look < kLooks.size(); ++look)
        std::printf(" %5.1f", 100 * power(i, look));
      std::printf("\n");
    }
    for (std::size_t peer = 0; peer < kPeers; ++peer) compare(peer, checks);
    std::fflush(stdout);
  }

  // Where the peer's power is first a half, or at the end.
  void compare(std::size_t peer, Checks& checks) const {
    std::size_t look = 0;
    while (look + 1 < kLooks.size() && power(peer, look) < 0.5) ++look;
    std::printf("at %zu documents: power at equal size, at nominal 1e-3, measured size there\n",
                kLooks[look]);
    for (const std::size_t i : {peer, kTopOne, kMass, kBoth})
      std::printf("  %-28s %5.1f %5.1f  %.5f\n", names[i], 100 * power(i, look),
                  100 * nominal(i, look), size(i, look));
    checks.add(scheme.name + ": our mass is as powerful as " + names[peer],
               power(kMass, look) >= power(peer, look));
  }
};

void study(const World& world, const Scheme& scheme, bool green, std::size_t width,
           std::uint64_t students, std::uint64_t keys, Checks& checks) {
  const auto statistics = statistics_of(green);
  Cells truth(kRows * kLooks.size(), std::vector<float>(students));
  Cells null(truth.size(), std::vector<float>(students * keys));
  in_parallel(students, scheme.name.c_str(), [&](std::uint64_t s) {
    SplitMix64 random(7'000'000 + s);
    NgramBench& bench = bench_of_thread(world);
    const Marker marker(scheme, random);
    const Ngrams student = bench.student(marker, random, kLearned, kShare);
    const auto texts = bench.plain(random, kLooks.back() * NgramBench::kDocument);
    const std::vector<Place> places = read(texts, student, width);
    const Measurement measurement(places, statistics);
    const auto put = [&](Cells& cells, std::size_t at, const Marker& key) {
      const std::vector<double> p = measurement.under(key);
      for (std::size_t i = 0; i < p.size(); ++i) cells[i][at] = static_cast<float>(p[i]);
      for (std::size_t look = 0; look < kLooks.size(); ++look)
        cells[Table::cell(kBoth, look)][at] =
            std::min(cells[Table::cell(kTopOne, look)][at], cells[Table::cell(kMass, look)][at]);
    };
    put(truth, s, marker);
    for (std::uint64_t k = 0; k < keys; ++k) put(null, s * keys + k, Marker(scheme, random));
  });

  std::printf("\n%s: %llu students, %llu keys without a mark\n", scheme.name.c_str(),
              static_cast<unsigned long long>(students),
              static_cast<unsigned long long>(students) * keys);
  std::vector<const char*> names;
  names.reserve(kRows);
  for (const auto& statistic : statistics) names.push_back(statistic->name());
  names.push_back("ours, top-1 and mass");
  Table{scheme, names, truth, null}.print(checks);
}

}  // namespace
}  // namespace countermark::studies

int main(int argc, char** argv) {
  using namespace countermark;
  using namespace countermark::studies;
  if (argc != 3) {
    std::fprintf(stderr, "usage: study_audit_peers STUDENTS KEYS\n");
    return 2;
  }
  const std::uint64_t students = std::strtoull(argv[1], nullptr, 10);
  const std::uint64_t keys = std::strtoull(argv[2], nullptr, 10);
  const World world = need_world();
  Checks checks;
  for (const unsigned width : {2U, 1U}) {
    study(world, tests::native_scheme(width), false, width, students, keys, checks);
    study(world, tests::green_scheme(width), true, width, students, keys, checks);
  }
  return checks.exit_code();
}
