// SPDX-License-Identifier: Apache-2.0
#include "watermark/marks/foreign_sampler.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "watermark/portable_math.h"

namespace countermark {
namespace {

// The mark's value of every token behind one context.
std::vector<std::uint64_t> raw_values(const ForeignMark& mark, unsigned key, TokenSpan context,
                                      TokenSpan tokens) {
  std::vector<TokenId> contexts;
  contexts.reserve(context.size() * tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i)
    contexts.insert(contexts.end(), context.begin(), context.end());
  std::vector<PrfInput> inputs(tokens.size());
  std::vector<std::uint64_t> out(tokens.size());
  mark.inputs(key, contexts, tokens, inputs);
  mark.raw_values(key, inputs, out);
  return out;
}

// What the options leave of a row, by rising id, summing to 1.
Result<Distribution> truncated(const LogitsRow& row, const SamplingOptions& options) {
  TruncationWorkspace workspace;
  Distribution ranked;
  COUNTERMARK_CHECK(truncate(row, options, kernel_or_active(nullptr), workspace, ranked));
  std::vector<std::size_t> order(ranked.ids.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return ranked.ids[a] < ranked.ids[b]; });
  Distribution out;
  for (const std::size_t i : order) {
    out.ids.push_back(ranked.ids[i]);
    out.weights.push_back(ranked.weights[i]);
  }
  const double total = out.total();
  for (double& weight : out.weights) weight /= total;
  return out;
}

// Adds delta to the logits of green tokens before the options see them.
Result<Distribution> with_green_logits(const ForeignMark& mark, TokenSpan context,
                                       const LogitsRow& row, const SamplingOptions& options) {
  TruncationWorkspace workspace;
  std::vector<TokenId> ids;
  std::vector<float> logits;
  COUNTERMARK_CHECK(rank(row, kernel_or_active(nullptr), workspace, ids, logits));
  const std::size_t most = mark.bias().candidates;
  const std::size_t tested = most == 0 ? ids.size() : std::min(most, ids.size());
  const auto green = raw_values(mark, 0, context, TokenSpan(ids).first(tested));
  const auto delta = static_cast<float>(mark.profile().parameters().delta);
  for (std::size_t i = 0; i < tested; ++i)
    if (green[i] != 0) logits[i] += delta;
  return truncated({logits, ids}, options);
}

// Adds delta to the log-probabilities of green tokens among those that the options left.
void favour_green(const ForeignMark& mark, TokenSpan context, Distribution& distribution) {
  const auto green = raw_values(mark, 0, context, distribution.ids);
  const double factor = 1 / portable_exp(-mark.profile().parameters().delta);
  for (std::size_t i = 0; i < green.size(); ++i)
    if (green[i] != 0) distribution.weights[i] *= factor;
  const double total = distribution.total();
  for (double& weight : distribution.weights) weight /= total;
}

// The exponential race: token a arrives after -ln(u_a) / p_a, the first one wins.
TokenId race(const ForeignMark& mark, unsigned key, TokenSpan context,
             const Distribution& distribution) {
  const auto raw = raw_values(mark, key, context, distribution.ids);
  std::size_t best = 0;
  double earliest = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const double arrival = -portable_log(mark.uniform(raw[i])) / distribution.weights[i];
    if (arrival >= earliest) continue;
    earliest = arrival;
    best = i;
  }
  return distribution.ids[best];
}

// The token in whose part of [0, 1) `uniform` lies, parts by rising id.
TokenId pick(const Distribution& distribution, double uniform) {
  double sum = 0;
  std::size_t last = 0;
  for (std::size_t i = 0; i < distribution.ids.size(); ++i) {
    if (!(distribution.weights[i] > 0)) continue;
    sum += distribution.weights[i];
    last = i;
    if (uniform < sum) break;
  }
  return distribution.ids[last];
}

// Whether the sampler knows contexts again: where the source can, and its detector counts on it.
bool remembers(const ForeignMark& mark) noexcept {
  return mark.scheme().has(Field::kHistoryLimit) &&
         mark.profile().parameters().dedup == Dedup::kContext;
}

bool is_race(const ForeignMark& mark) noexcept {
  const NullLaw law = mark.null_model().law;
  return law == NullLaw::kExponentialBound || law == NullLaw::kTwoExponentialBounds;
}

}  // namespace

ForeignSampler::ForeignSampler(SharedForeignMark mark, const Secret<16>& plain_key,
                               TokenSpan prompt)
    : mark_(std::move(mark)), plain_cipher_(plain_key, kernel_or_active(nullptr)) {
  if (!mark_->scheme().padding || mark_->profile().parameters().prompt_included)
    tokens_.assign(prompt.begin(), prompt.end());
}

// The tokens that the next one's value depends on; nothing when there are too few.
std::optional<std::vector<TokenId>> ForeignSampler::context() const {
  const std::size_t width = mark_->context_tokens();
  const std::size_t there = std::min(width, tokens_.size());
  const auto padding = mark_->scheme().padding;
  if (there < width && !padding) return std::nullopt;
  std::vector<TokenId> out(width - there, padding.value_or(0));
  out.insert(out.end(), tokens_.end() - static_cast<std::ptrdiff_t>(there), tokens_.end());
  return out;
}

// Whether the context is among the latest that the source's sampler remembers, repeats counted.
bool ForeignSampler::is_known(TokenSpan context) const {
  if (!remembers(*mark_)) return false;
  const std::uint32_t limit = mark_->profile().parameters().history_limit;
  const auto seen = last_seen_.find(mark_->context_fingerprint(context));
  return seen != last_seen_.end() && (limit == 0 || position_ - seen->second <= limit);
}

ForeignSampler::Plan ForeignSampler::plan(const SamplingOptions& options) const {
  if (options.temperature == 0) return {DrawKind::kGreedy};
  if (unmarked_) return {*unmarked_};
  auto before = context();
  if (!before) return {DrawKind::kShortContext};
  if (is_known(*before)) return {DrawKind::kRepeated};
  return {DrawKind::kMarked, *std::move(before)};
}

ForeignSampler::Randomness ForeignSampler::randomness() const noexcept {
  Block block{};
  store_le32(block.data(), static_cast<std::uint32_t>(position_));
  store_le32(block.data() + 4, static_cast<std::uint32_t>(position_ >> 32));
  const Block words = plain_cipher_.encrypt(block);
  const auto uniform = [&](std::size_t at) {
    return static_cast<double>(load_le64(words.data() + at) >> 11) * 0x1p-53;
  };
  return {uniform(0), uniform(8)};
}

Result<Distribution> ForeignSampler::law(const Plan& planned, const LogitsRow& row,
                                         const SamplingOptions& options) const {
  const NullModel model = mark_->null_model();
  const bool is_green = planned.kind == DrawKind::kMarked &&
                        (model.law == NullLaw::kGreen || model.law == NullLaw::kGreenList);
  const bool is_late = mark_->bias().after_truncation;
  if (is_green && !is_late) return with_green_logits(*mark_, planned.context, row, options);
  COUNTERMARK_TRY(Distribution out, truncated(row, options));
  if (is_green) favour_green(*mark_, planned.context, out);
  if (planned.kind == DrawKind::kMarked && model.law == NullLaw::kBits)
    internal::play_tournament(raw_values(*mark_, 0, planned.context, out.ids),
                              static_cast<unsigned>(model.a), out.weights);
  return out;
}

Result<Distribution> ForeignSampler::law(const LogitsRow& row,
                                         const SamplingOptions& options) const {
  return law(plan(options), row, options);
}

Result<Draw> ForeignSampler::draw(const LogitsRow& row, const SamplingOptions& options) const {
  const Plan planned = plan(options);
  COUNTERMARK_TRY(const Distribution distribution, law(planned, row, options));
  if (distribution.ids.size() == 1 && planned.kind != DrawKind::kGreedy)
    return Draw{distribution.ids[0], DrawKind::kOneCandidate};
  const Randomness random = randomness();
  if (planned.kind != DrawKind::kMarked || !is_race(*mark_))
    return Draw{pick(distribution, random.token), planned.kind};
  // The model has the first key's share of the tokens as a / (a + b).
  const NullModel model = mark_->null_model();
  const bool is_second =
      mark_->keys() == 2 &&
      random.key >= static_cast<double>(model.a) / static_cast<double>(model.a + model.b);
  return Draw{race(*mark_, is_second ? 1 : 0, planned.context, distribution), planned.kind};
}

void ForeignSampler::commit(TokenId token) {
  if (remembers(*mark_))
    if (const auto before = context()) last_seen_[mark_->context_fingerprint(*before)] = position_;
  tokens_.push_back(token);
  ++position_;
}

namespace internal {

void play_tournament(std::span<const std::uint64_t> g_values, unsigned depth,
                     std::span<double> probabilities) {
  for (unsigned d = 0; d < depth; ++d) {
    double ones = 0;
    for (std::size_t i = 0; i < g_values.size(); ++i)
      if ((g_values[i] >> d & 1) != 0) ones += probabilities[i];
    for (std::size_t i = 0; i < g_values.size(); ++i)
      probabilities[i] *= 1 + static_cast<double>(g_values[i] >> d & 1) - ones;
  }
}

}  // namespace internal

}  // namespace countermark
