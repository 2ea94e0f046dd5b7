// SPDX-License-Identifier: Apache-2.0
#include "verifier/detect/as_published.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <deque>
#include <iterator>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "watermark/marks/foreign_schemes.h"
#include "watermark/prf/philox.h"
#include "watermark/prf/synthid_hash.h"

namespace countermark::detect {
namespace {

// Distinct contexts after which SGLang's detector stops.
constexpr std::size_t kSglangContexts = 4'096;
constexpr double kLmWatermarkingThreshold = 4;
constexpr double kTransformersThreshold = 3;
constexpr double kLeastP = 1e-200;

// One sequence and those of its indices that are scored.
struct Positions {
  std::vector<TokenId> ids;
  std::size_t width;  // of what the source calls a context; its PRF may read less of it
  std::vector<std::size_t> at{};

  // The tokens from index `first` on.
  Positions(std::vector<TokenId> all, std::size_t context, std::size_t first)
      : ids(std::move(all)), width(context) {
    for (std::size_t i = std::max(first, width); i < ids.size(); ++i) at.push_back(i);
  }

  TokenSpan context(std::size_t i) const { return TokenSpan(ids).subspan(i - width, width); }

  // Leaves the first of each context (with its token).
  void keep_distinct(bool with_token) {
    const auto less = [&](std::size_t a, std::size_t b) {
      const auto size = static_cast<std::ptrdiff_t>(width + (with_token ? 1 : 0));
      const auto x = ids.begin() + static_cast<std::ptrdiff_t>(a - width);
      const auto y = ids.begin() + static_cast<std::ptrdiff_t>(b - width);
      return std::lexicographical_compare(x, x + size, y, y + size);
    };
    std::set<std::size_t, decltype(less)> seen(less);
    std::erase_if(at, [&](std::size_t i) { return !seen.insert(i).second; });
  }

  void keep_distinct(Dedup dedup) {
    if (dedup != Dedup::kNone) keep_distinct(dedup == Dedup::kTuple);
  }

  // The last `size` tokens of each context.
  std::vector<TokenId> contexts(std::size_t size) const {
    std::vector<TokenId> out;
    for (const std::size_t i : at) {
      const TokenSpan one = context(i).last(size);
      out.insert(out.end(), one.begin(), one.end());
    }
    return out;
  }

  std::vector<TokenId> tokens() const {
    std::vector<TokenId> out;
    for (const std::size_t i : at) out.push_back(ids[i]);
    return out;
  }
};

// What a detector is asked.
struct Question {
  const ForeignMark* mark;
  const ForeignKey* key;
  TokenSpan prompt;  // directly before the response
  TokenSpan response;

  const ForeignParameters& parameters() const { return mark->profile().parameters(); }
  std::size_t width() const { return mark->context_tokens(); }

  // The response behind what is given.
  std::vector<TokenId> behind(std::vector<TokenId> ids) const {
    ids.insert(ids.end(), response.begin(), response.end());
    return ids;
  }
};

// Every token is scored, from a padded context on. Of selfhash's context the PRF leaves out the
// oldest token.
Positions padded(const Question& question) {
  constexpr TokenId kPadding = 0xffffffff;
  const std::size_t width = question.parameters().context_width;
  Positions out(question.behind(std::vector<TokenId>(width, kPadding)), width, width);
  out.keep_distinct(question.parameters().dedup);
  return out;
}

// Contexts begin in the prompt; where it is not known, the first tokens are not scored.
Positions after_prompt(const Question& question) {
  const TokenSpan prompt = question.parameters().prompt_included ? question.prompt : TokenSpan();
  Positions out(question.behind({prompt.begin(), prompt.end()}), question.width(), prompt.size());
  out.keep_distinct(Dedup::kContext);
  out.at.resize(std::min(out.at.size(), kSglangContexts));
  return out;
}

Positions whole_contexts(const Question& question) {
  return {question.behind({}), question.width(), question.width()};
}

Positions whole_contexts_once(const Question& question) {
  Positions out = whole_contexts(question);
  out.keep_distinct(question.parameters().dedup);
  return out;
}

// One token more than the context is skipped.
Positions one_later(const Question& question) {
  Positions out(question.behind({}), question.width(), question.width() + 1);
  out.keep_distinct(question.parameters().dedup);
  return out;
}

// The contexts whose hash is not in a queue of the latest ones, repeats included, that begins with
// zeros.
Positions unqueued(const Question& question, std::uint64_t initial) {
  Positions out = whole_contexts(question);
  std::vector<std::uint64_t> hashes(out.at.size());
  synthid_context_hashes(initial, question.mark->context_tokens(), out.contexts(out.width), hashes);
  const std::size_t length = question.parameters().history_limit;
  std::deque<std::uint64_t> queue(length, 0);
  std::unordered_map<std::uint64_t, std::size_t> held = {{0, length}};
  std::size_t next = 0;
  std::erase_if(out.at, [&](std::size_t /*i*/) {
    const std::uint64_t hash = hashes[next++];
    const bool seen = ++held[hash] > 1;
    queue.push_back(hash);
    --held[queue.front()];
    queue.pop_front();
    return seen;
  });
  return out;
}

Positions unqueued_by_table(const Question& question) { return unqueued(question, 1); }

Positions unqueued_by_keys(const Question& question) {
  std::vector<std::int64_t> keys;
  for (const KeyInteger& value : question.key->integers())
    keys.push_back(static_cast<std::int64_t>(value.bits));
  return unqueued(question, synthid_initial_hash(keys));
}

std::vector<std::uint64_t> raw_values(const Question& question, const Positions& positions,
                                      unsigned key = 0) {
  std::vector<PrfInput> inputs(positions.at.size());
  std::vector<std::uint64_t> out(positions.at.size());
  question.mark->inputs(key, positions.contexts(question.width()), positions.tokens(), inputs);
  question.mark->raw_values(key, inputs, out);
  return out;
}

std::uint64_t sum_of(const std::vector<std::uint64_t>& values) {
  std::uint64_t out = 0;
  for (const std::uint64_t value : values) out += value;
  return out;
}

// -ln(1 - u) as each source has u, of a raw value.
double vllm_score(std::uint64_t m) {
  return -std::log1p(-double{static_cast<float>(static_cast<double>(m + 1) / (0x1p24 + 1))});
}
double sglang_score(std::uint64_t h) {
  return -std::log((0x1p32 - static_cast<double>(h) - 0.5) / 0x1p32);
}
double textseal_score(std::uint64_t level) {
  return -std::log1p(-double{static_cast<float>(level) / 8'191});
}

using Score = double (*)(std::uint64_t raw);

double sum_of_scores(const Question& question, const Positions& positions, unsigned key,
                     Score score) {
  double out = 0;
  for (const std::uint64_t raw : raw_values(question, positions, key)) out += score(raw);
  return out;
}

AsPublished gumbel(const Question& question, const Positions& positions, Score score) {
  const std::uint64_t n = positions.at.size();
  const double sum = sum_of_scores(question, positions, 0, score);
  return {.scored = n, .statistic = sum, .p = stats::gumbel_p(n, sum)};
}

AsPublished two_keys(const Question& question, const Positions& positions, Score score,
                     double share_of_second) {
  const std::uint64_t n = positions.at.size();
  const double sum = (1 - share_of_second) * sum_of_scores(question, positions, 0, score) +
                     share_of_second * sum_of_scores(question, positions, 1, score);
  return {.scored = n, .statistic = sum, .p = stats::dual_key_p(n, sum, share_of_second)};
}

AsPublished vllm_gumbel(const Question& question, const Positions& positions) {
  return gumbel(question, positions, vllm_score);
}

AsPublished vllm_dual(const Question& question, const Positions& positions) {
  return two_keys(question, positions, vllm_score, question.parameters().mixing.value());
}

AsPublished sglang(const Question& question, const Positions& positions) {
  return gumbel(question, positions, sglang_score);
}

AsPublished greens_of(const Question& question, const std::vector<std::uint64_t>& raws) {
  const std::uint64_t n = raws.size();
  const std::uint64_t green = sum_of(raws);
  return {.scored = n,
          .statistic = green,
          .z = stats::published_z(n, green, question.parameters().gamma.value())};
}

AsPublished vllm_synthid(const Question& question, const Positions& positions) {
  const std::uint64_t n = positions.at.size();
  std::uint64_t ones = 0;
  for (const std::uint64_t bits : raw_values(question, positions))
    ones += static_cast<std::uint64_t>(std::popcount(bits));
  // The exact binomial tail, which three_bricks has, too.
  return {.scored = n,
          .statistic = ones,
          .p = stats::three_bricks_greenlist_p(n * question.parameters().depth, ones, 0.5)};
}

// The source's detector seeds "lefthash" by the sum of hashed tokens, and its generator by that of
// the tokens themselves.
AsPublished vllm_sbw(const Question& question, const Positions& positions) {
  std::vector<std::uint64_t> raws;
  if (question.mark->profile().prf() == "selfhash") {
    raws = raw_values(question, positions);
  } else {
    std::vector<PrfInput> inputs;
    for (const std::size_t i : positions.at) {
      std::int64_t sum = 0;
      for (const TokenId id : positions.context(i)) sum += static_cast<std::int32_t>(sbw_hash(id));
      inputs.push_back({question.key->integers().front().bits * static_cast<std::uint64_t>(sum), 0,
                        positions.ids[i]});
    }
    raws.resize(inputs.size());
    question.mark->raw_values(0, inputs, raws);
  }
  AsPublished out = greens_of(question, raws);
  out.p = stats::lm_watermarking_p(*out.z);
  return out;
}

// three_bricks and TextSeal print nothing smaller.
stats::PublishedP at_least(const stats::PublishedP& p) {
  const double least = std::log10(kLeastP);
  return p.log10_p < least ? stats::PublishedP{kLeastP, least} : p;
}

AsPublished transformers_kgw(const Question& question, const Positions& positions) {
  AsPublished out = greens_of(question, raw_values(question, positions));
  // As of release 5.23; older ones print another p and remove no repeats (docs/marks.md).
  out.p = stats::lm_watermarking_p(*out.z);
  out.decision = *out.z > kTransformersThreshold;
  return out;
}

AsPublished lm_watermarking(const Question& question, const Positions& positions) {
  AsPublished out = greens_of(question, raw_values(question, positions));
  out.p = stats::lm_watermarking_p(*out.z);
  out.decision = *out.z > kLmWatermarkingThreshold;
  return out;
}

AsPublished three_bricks(const Question& question, const Positions& positions) {
  const std::uint64_t n = positions.at.size();
  const std::uint64_t green = sum_of(raw_values(question, positions));
  const stats::PublishedP p =
      stats::three_bricks_greenlist_p(n, green, question.parameters().gamma.value());
  return {.scored = n, .statistic = green, .p = at_least(p)};
}

AsPublished text_seal(const Question& question, const Positions& positions) {
  const std::string_view prf = question.mark->profile().prf();
  if (prf == "gumbelmax") {
    AsPublished out = gumbel(question, positions, textseal_score);
    out.p = at_least(*out.p);
    return out;
  }
  // The share that is named is the first key's.
  if (prf == "textseal")
    return two_keys(question, positions, textseal_score, 1 - question.parameters().mixing.value());
  const std::uint64_t n = positions.at.size();
  const std::uint64_t green = sum_of(raw_values(question, positions));
  return {
      .scored = n,
      .statistic = green,
      .p = at_least(stats::textseal_greenlist_p(n, green, question.parameters().gamma.value()))};
}

AsPublished synthid(const Question& question, const Positions& positions) {
  const unsigned depth = question.parameters().depth;
  std::array<std::uint64_t, kMaxSynthIdDepth> ones{};
  for (const std::uint64_t bits : raw_values(question, positions))
    for (unsigned d = 0; d < depth; ++d) ones[d] += bits >> d & 1;
  // Weights from 10 down to 1, scaled to a mean of 1.
  double all = 0;
  double weighted = 0;
  double weights = 0;
  for (unsigned d = 0; d < depth; ++d) {
    const double weight = 10 - 9.0 * d / std::max(depth - 1, 1U);
    all += static_cast<double>(ones[d]);
    weighted += weight * static_cast<double>(ones[d]);
    weights += weight;
  }
  const auto n = static_cast<double>(positions.at.size());
  return {.scored = positions.at.size(),
          .statistic = all / (n * depth),
          .weighted_mean = weighted / (n * weights)};
}

// A source's own detector: what it scores, and what it makes of that.
struct Source {
  const SchemeInfo* scheme;
  Positions (*positions)(const Question&);
  AsPublished (*numbers)(const Question&, const Positions&);
};

// text-generation-inference has none.
constexpr Source kSources[] = {
    {&kVllmGumbel, padded, vllm_gumbel},
    {&kVllmDualGumbel, padded, vllm_dual},
    {&kVllmSbw, padded, vllm_sbw},
    {&kVllmSynthId, padded, vllm_synthid},
    {&kSglangGumbel, after_prompt, sglang},
    {&kSglangDualGumbel, after_prompt, sglang},
    {&kHfKgw, whole_contexts_once, transformers_kgw},
    {&kHfSynthId, unqueued_by_table, synthid},
    {&kSynthIdText, unqueued_by_keys, synthid},
    {&kLmWatermarking, whole_contexts_once, lm_watermarking},
    {&kThreeBricksGreenlist, one_later, three_bricks},
    {&kTextSeal, one_later, text_seal},
};

}  // namespace

std::optional<AsPublished> as_published(const ForeignMark& mark, const ForeignKey& key,
                                        const TokenText& text) {
  const auto source =
      std::find_if(std::begin(kSources), std::end(kSources),
                   [&mark](const Source& each) { return each.scheme == &mark.scheme(); });
  const auto is_response = [](const TokenSegment& segment) { return segment.scored; };
  if (source == std::end(kSources) || std::count_if(text.begin(), text.end(), is_response) != 1)
    return std::nullopt;
  const auto response = std::find_if(text.begin(), text.end(), is_response);
  const TokenSpan prompt = response == text.begin() ? TokenSpan() : std::prev(response)->ids;
  const Question question{&mark, &key, prompt, response->ids};
  const Positions positions = source->positions(question);
  if (positions.at.empty()) return std::nullopt;
  AsPublished out = source->numbers(question, positions);
  out.by = mark.scheme().owner;
  return out;
}

}  // namespace countermark::detect
