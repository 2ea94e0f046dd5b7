// SPDX-License-Identifier: Apache-2.0
// Distortion study: does the mark change what the model says?
//
// (a) Over random keys, the next token and the next pair of tokens have the model's own law.
// (b) Marked and unmarked answers agree in likelihood, length and variety within an answer.
// (c) Across answers to one prompt they need not agree: the guarantee is per response. How much
//     variety is lost is shown for 1, 4 and 16 slots.
//
// Usage: study_distortion ANSWERS
#include <algorithm>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "tests/studies/bundle.h"

namespace countermark::studies {
namespace {

constexpr const char* kStudy = "distortion study 1";

// P(X >= statistic) for a chi-square law.
double chi_square_tail(double statistic, double degrees) {
  return boost::math::gamma_q(degrees / 2, statistic / 2);
}

// Keeps the `k` largest logits' ids, and their probabilities.
std::vector<std::pair<TokenId, double>> top_distribution(std::span<const float> logits,
                                                         std::size_t k) {
  std::vector<std::pair<float, TokenId>> order;
  for (std::size_t i = 0; i < logits.size(); ++i)
    order.emplace_back(-logits[i], static_cast<TokenId>(i));
  std::sort(order.begin(), order.end());
  std::vector<std::pair<TokenId, double>> out;
  double total = 0;
  for (std::size_t i = 0; i < k; ++i) {
    out.emplace_back(order[i].second,
                     std::exp(static_cast<double>(order[0].first - order[i].first)));
    total += out.back().second;
  }
  for (auto& [id, p] : out) p /= total;
  return out;
}

// (a) Two committed tokens, then two draws under a fresh key, with the model's logits cut to the
// eight likeliest: 8 cells for the first token, 64 for the pair. `repeated` commits the same two
// tokens twice, so that the first draw's context is a repeat and its draw unmarked.
void laws(const Bundle& bundle, bool repeated, std::uint64_t keys, Checks& checks) {
  constexpr std::size_t kCandidates = 8;
  const std::vector<TokenId> prompt = bundle.prompts[0];
  std::vector<TokenId> start = need(bundle.tokenizer->encode(" is a"));
  if (repeated) start.insert(start.end(), start.begin(), start.end());

  corpora::Generation generation(bundle.model);
  const auto distribution_after = [&](const std::vector<TokenId>& tokens) {
    generation.reset();
    std::span<const float> logits = need(generation.next(bundle.model.shape().begin_token));
    for (const TokenId token : prompt) logits = need(generation.next(token));
    for (const TokenId token : tokens) logits = need(generation.next(token));
    return top_distribution(logits, kCandidates);
  };
  const auto first = distribution_after(start);
  std::map<TokenId, std::vector<std::pair<TokenId, double>>> second;
  for (const auto& [id, p] : first) {
    std::vector<TokenId> tokens = start;
    tokens.push_back(id);
    second[id] = distribution_after(tokens);
  }

  std::map<TokenId, std::uint64_t> singles;
  std::map<std::pair<TokenId, TokenId>, std::uint64_t> pairs;
  std::uint64_t marked = 0;
  SamplerWorkspace workspace;
  for (std::uint64_t k = 0; k < keys; ++k) {
    const std::string name = std::string(kStudy) + (repeated ? " repeated" : " laws");
    const NativeMark mark = need(NativeMark::create(study_key(name, k), bundle.profile));
    Response response(mark, {"cohort", "account"}, to_hex(study_bytes(name, "nonce", k)),
                      study_plain_key(name, k), 16);
    for (const TokenId token : start) response.commit(token);
    const auto draw = [&](const std::vector<std::pair<TokenId, double>>& distribution) {
      std::vector<TokenId> ids;
      std::vector<float> logits;
      for (const auto& [id, p] : distribution) {
        ids.push_back(id);
        logits.push_back(static_cast<float>(std::log(p)));
      }
      const Draw drawn = need(sample({logits, ids}, {}, response, {}, 0, workspace));
      marked += drawn.kind == DrawKind::kMarked ? 1U : 0U;
      response.commit(drawn.token);
      return drawn.token;
    };
    const TokenId a = draw(first);
    const TokenId b = draw(second[a]);
    ++singles[a];
    ++pairs[{a, b}];
  }

  double single_statistic = 0;
  double pair_statistic = 0;
  const double n = static_cast<double>(keys);
  for (const auto& [a, p] : first) {
    single_statistic += std::pow(static_cast<double>(singles[a]) - n * p, 2) / (n * p);
    for (const auto& [b, q] : second[a])
      pair_statistic += std::pow(static_cast<double>(pairs[{a, b}]) - n * p * q, 2) / (n * p * q);
  }
  const double single_p = chi_square_tail(single_statistic, kCandidates - 1);
  const double pair_p = chi_square_tail(pair_statistic, kCandidates * kCandidates - 1);
  std::printf(
      "%s context: %llu keys, %.2f marked draws a pair; chi-square: next token %.1f (7 "
      "degrees, p %.3f), pair %.1f (63 degrees, p %.3f)\n",
      repeated ? "repeated" : "fresh", static_cast<unsigned long long>(keys),
      static_cast<double>(marked) / n, single_statistic, single_p, pair_statistic, pair_p);
  // Both tails: a statistic that is too small is wrong as well. False alarm 4e-4 in all.
  for (const double p : {single_p, pair_p}) checks.add("law over keys", p > 1e-4 && p < 1 - 1e-4);
}

// Distinct n-grams over all n-grams of the given texts.
double distinct(const std::vector<const std::vector<TokenId>*>& texts, std::size_t n) {
  std::set<std::vector<TokenId>> seen;
  std::size_t total = 0;
  for (const auto* text : texts)
    for (std::size_t i = 0; i + n <= text->size(); ++i) {
      seen.emplace(text->begin() + static_cast<std::ptrdiff_t>(i),
                   text->begin() + static_cast<std::ptrdiff_t>(i + n));
      ++total;
    }
  return total == 0 ? 1 : static_cast<double>(seen.size()) / static_cast<double>(total);
}

struct MeanError {
  double mean = 0;
  double error = 0;
};

MeanError mean_error(const std::vector<double>& values) {
  const double n = static_cast<double>(values.size());
  MeanError out;
  for (const double value : values) out.mean += value / n;
  double square = 0;
  for (const double value : values) square += (value - out.mean) * (value - out.mean);
  out.error = std::sqrt(square / (n - 1) / n);
  return out;
}

// (b) One measure of every answer, marked beside unmarked.
void compare(const Bundle& bundle, std::uint64_t answers, Checks& checks) {
  std::vector<corpora::Answer> written[2];
  for (const bool marked : {false, true}) {
    auto& list = written[marked ? 1 : 0];
    list.resize(answers);
    in_parallel(answers, marked ? "marked answers" : "unmarked answers", [&](std::uint64_t i) {
      corpora::Generation generation(bundle.model);
      const std::string name = std::string(kStudy) + (marked ? " marked" : " unmarked");
      const NativeMark mark = need(NativeMark::create(study_key(name, i), bundle.profile));
      corpora::AnswerRequest request = bundle.request(name, i);
      request.max_tokens = 400;
      request.marked = marked;
      list[i] = need(corpora::write_answer(generation, bundle.model, mark, request));
    });
  }
  using Measure = std::function<double(const corpora::Answer&)>;
  const std::vector<std::pair<const char*, Measure>> measures = {
      {"nats a token",
       [](const corpora::Answer& answer) {
         double sum = 0;
         for (const double p : answer.probabilities) sum -= std::log(p);
         return sum / static_cast<double>(std::max<std::size_t>(1, answer.draws.size()));
       }},
      {"tokens", [](const corpora::Answer& a) { return static_cast<double>(a.ids.size()); }},
      {"distinct-1", [](const corpora::Answer& a) { return distinct({&a.ids}, 1); }},
      {"distinct-2", [](const corpora::Answer& a) { return distinct({&a.ids}, 2); }},
      {"distinct-3", [](const corpora::Answer& a) { return distinct({&a.ids}, 3); }}};
  std::printf("\n%llu answers each, temperature 1, top-p .95, a fresh key each\n",
              static_cast<unsigned long long>(answers));
  std::printf("measure       unmarked    marked  difference  standard errors\n");
  for (const auto& [name, measure] : measures) {
    MeanError value[2];
    for (int marked = 0; marked < 2; ++marked) {
      std::vector<double> values;
      for (const corpora::Answer& answer : written[marked]) values.push_back(measure(answer));
      value[marked] = mean_error(values);
    }
    const double difference = value[1].mean - value[0].mean;
    const double errors = difference / std::hypot(value[0].error, value[1].error);
    std::printf("%-12s  %8.4f  %8.4f  %+10.4f  %+.2f\n", name, value[0].mean, value[1].mean,
                difference, errors);
    checks.add(std::string(name) + " within 3 standard errors", std::abs(errors) <= 3);
  }
}

// (c) Eight answers of one account to one prompt, over the first prompts.
void across_answers(const Bundle& bundle) {
  constexpr std::uint64_t kPrompts = 60;
  constexpr std::uint64_t kAnswers = 8;
  std::printf(
      "\nvariety across %llu answers of 60 tokens by one account to one prompt, mean over "
      "%llu prompts\n",
      static_cast<unsigned long long>(kAnswers), static_cast<unsigned long long>(kPrompts));
  std::printf(
      "slots of                        distinct-1  distinct-2  distinct-3  identical "
      "pairs\n");
  const auto row = [&](const char* name, bool marked, std::uint32_t shared, std::uint32_t account) {
    const Profile profile = need(Profile::create({{LayerKind::kShared, 2, 32'768, shared},
                                                  {LayerKind::kCohort, 2, 8'192, shared},
                                                  {LayerKind::kAccount, 3, 24'576, account}},
                                                 std::nullopt));
    std::array<std::vector<double>, 3> variety;
    for (auto& values : variety) values.resize(kPrompts);
    std::vector<double> identical(kPrompts);
    in_parallel(kPrompts, name, [&](std::uint64_t prompt) {
      corpora::Generation generation(bundle.model);
      const std::string study = std::string(kStudy) + " variety";
      const NativeMark mark = need(NativeMark::create(study_key(study, prompt), profile));
      std::vector<corpora::Answer> answers;
      for (std::uint64_t i = 0; i < kAnswers; ++i) {
        corpora::AnswerRequest request = bundle.request(study, kAnswers * prompt + i);
        request.prompt = bundle.prompts[prompt];
        request.identity = {"cohort", "account"};
        request.max_tokens = 60;
        request.may_end = false;
        request.marked = marked;
        answers.push_back(need(corpora::write_answer(generation, bundle.model, mark, request)));
      }
      std::vector<const std::vector<TokenId>*> texts;
      for (const auto& answer : answers) texts.push_back(&answer.ids);
      for (std::size_t n = 1; n <= 3; ++n) variety[n - 1][prompt] = distinct(texts, n);
      for (std::size_t i = 0; i < texts.size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
          identical[prompt] += *texts[i] == *texts[j] ? 2.0 / (kAnswers * (kAnswers - 1)) : 0;
    });
    std::printf("%-30s  %10.3f  %10.3f  %10.3f  %8.2f %%\n", name, mean_error(variety[0]).mean,
                mean_error(variety[1]).mean, mean_error(variety[2]).mean,
                100 * mean_error(identical).mean);
  };
  row("no mark", false, 1, 1);
  row("account 1, shared, cohort 1", true, 1, 1);
  row("account 4, shared, cohort 1", true, 1, 4);
  row("account 8 (default)", true, 1, 8);
  row("account 16, shared, cohort 1", true, 1, 16);
  row("every layer 4", true, 4, 4);
  row("every layer 16", true, 16, 16);
}

}  // namespace
}  // namespace countermark::studies

int main(int argc, char** argv) {
  using namespace countermark::studies;
  const std::uint64_t answers = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 2'000;
  const Bundle bundle = Bundle::load();
  Checks checks;
  laws(bundle, false, 20'000, checks);
  laws(bundle, true, 20'000, checks);
  compare(bundle, answers, checks);
  across_answers(bundle);
  return checks.exit_code();
}
