// SPDX-License-Identifier: Apache-2.0
#include "watermark/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "watermark/portable_math.h"

namespace countermark {
namespace {

using Candidate = SamplerWorkspace::Candidate;

// Larger logit first, then lower id: the order of every truncation.
bool ranks_before(const Candidate& a, const Candidate& b) noexcept {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

void collect(const LogitsRow& row, std::vector<Candidate>& out) {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  out.clear();
  for (std::size_t i = 0; i < row.logits.size(); ++i)
    if (row.logits[i] > kNever)  // false for NaN
      out.push_back({row.logits[i], row.ids.empty() ? static_cast<TokenId>(i) : row.ids[i], 0});
}

// Applies the options to a non-empty list, and sets the weights: proportional to the
// probabilities, 1 for the largest logit. What is left has positive weight.
void truncate(const SamplingOptions& options, std::vector<Candidate>& list) {
  if (options.top_k > 0 && options.top_k < list.size()) {
    const auto kept = list.begin() + options.top_k;
    std::nth_element(list.begin(), kept - 1, list.end(), ranks_before);
    list.erase(kept, list.end());
  }
  const bool in_order = options.top_p < 1;
  if (in_order) std::sort(list.begin(), list.end(), ranks_before);
  const double largest = std::min_element(list.begin(), list.end(), ranks_before)->logit;
  for (Candidate& candidate : list) {
    const double logit = candidate.logit;
    candidate.weight = logit == largest ? 1 : portable_exp((logit - largest) / options.temperature);
  }
  if (in_order) {
    double total = 0;
    for (const Candidate& candidate : list) total += candidate.weight;
    double mass = 0;
    std::size_t kept = 0;
    while (kept < list.size() && (kept == 0 || mass < options.top_p * total))
      mass += list[kept++].weight;
    list.resize(kept);
  }
  std::erase_if(list, [&options](const Candidate& candidate) {
    return candidate.weight < options.min_p || candidate.weight == 0;
  });
}

// Where the noise of a position comes from.
struct Plan {
  DrawKind kind = DrawKind::kMarked;
  Route route{};
};

Plan plan(const Response& response, TokenSpan path, std::uint32_t attempt,
          std::vector<std::uint64_t>& path_contexts) {
  // The route looks at most kMaxWidth tokens back; with a path they straddle two arrays.
  std::array<TokenId, std::size_t{2} * kMaxWidth> joined;
  const TokenSpan committed = response.channel();
  const auto route_before = [&](std::size_t drafts) {
    if (drafts == 0) return response.mark().route(committed);
    const std::size_t from_path = std::min<std::size_t>(drafts, kMaxWidth);
    const std::size_t from_committed =
        std::min<std::size_t>(committed.size(), kMaxWidth - from_path);
    const auto middle = std::copy_n(committed.end() - static_cast<std::ptrdiff_t>(from_committed),
                                    from_committed, joined.begin());
    std::copy_n(path.begin() + static_cast<std::ptrdiff_t>(drafts - from_path), from_path, middle);
    return response.mark().route(TokenSpan(joined.data(), from_committed + from_path));
  };

  if (attempt > 0) return {DrawKind::kRedraw};
  const auto route = route_before(path.size());
  if (!route) return {DrawKind::kShortContext};
  const std::uint64_t fingerprint = route->fingerprint();
  if (response.history().contains(fingerprint)) return {DrawKind::kRepeated};
  // The contexts that the drafts will have added by then; a full history takes in no more.
  path_contexts.clear();
  const auto full = [&] {
    return response.history().full_at(response.history().size() + path_contexts.size());
  };
  for (std::size_t drafts = 0; drafts < path.size() && !full(); ++drafts) {
    const auto earlier = route_before(drafts);
    if (!earlier || response.history().contains(earlier->fingerprint())) continue;
    if (std::find(path_contexts.begin(), path_contexts.end(), earlier->fingerprint()) ==
        path_contexts.end())
      path_contexts.push_back(earlier->fingerprint());
  }
  if (std::find(path_contexts.begin(), path_contexts.end(), fingerprint) != path_contexts.end())
    return {DrawKind::kRepeated};
  if (full()) return {DrawKind::kHistoryFull};
  if (!response.tag(route->layer)) return {DrawKind::kNoIdentity};
  return {DrawKind::kMarked, *route};
}

// The words of an unmarked draw: AES(plain key, LE32(id >> 2) | LE64(position) | LE32(attempt)).
void plain_words(const Aes128& cipher, TokenSpan ids, std::uint64_t position, std::uint32_t attempt,
                 std::span<std::uint32_t> out) noexcept {
  Block block;
  store_le32(block.data() + 4, static_cast<std::uint32_t>(position));
  store_le32(block.data() + 8, static_cast<std::uint32_t>(position >> 32));
  store_le32(block.data() + 12, attempt);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    store_le32(block.data(), ids[i] >> 2);
    out[i] = load_le32(cipher.encrypt(block).data() + std::size_t{4} * (ids[i] & 3));
  }
}

// The exponential race: token a arrives after -ln(u_a) / weight_a, the first one wins.
const Candidate& winner(std::span<const Candidate> candidates,
                        std::span<const std::uint32_t> words) {
  const Candidate* best = nullptr;
  double earliest = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const double u = (words[i] + 0.5) * 0x1p-32;
    const double arrival = -portable_log(u) / candidates[i].weight;
    if (best == nullptr || arrival < earliest ||
        (arrival == earliest && candidates[i].id < best->id)) {
      best = &candidates[i];
      earliest = arrival;
    }
  }
  return *best;
}

}  // namespace

Status check_sampling_options(const SamplingOptions& options) {
  if (!(options.temperature >= 0) || !std::isfinite(options.temperature))
    return fail(ErrorCode::kInvalidArgument, "temperature must be a number that is not negative");
  if (!(options.top_p > 0 && options.top_p <= 1))
    return fail(ErrorCode::kInvalidArgument, "top-p must be above 0 and at most 1");
  if (!(options.min_p >= 0 && options.min_p <= 1))
    return fail(ErrorCode::kInvalidArgument, "min-p must be from 0 to 1");
  return {};
}

const char* draw_kind_name(DrawKind kind) noexcept {
  switch (kind) {
    case DrawKind::kMarked:
      return "marked";
    case DrawKind::kShortContext:
      return "short-context";
    case DrawKind::kRepeated:
      return "repeated";
    case DrawKind::kHistoryFull:
      return "history-full";
    case DrawKind::kNoIdentity:
      return "no-identity";
    case DrawKind::kRedraw:
      return "redraw";
    case DrawKind::kOneCandidate:
      return "one-candidate";
    case DrawKind::kGreedy:
      return "greedy";
  }
  return "";
}

Result<Draw> sample(const LogitsRow& row, const SamplingOptions& options, const Response& response,
                    TokenSpan path, std::uint32_t attempt, SamplerWorkspace& workspace) {
  if (!row.ids.empty() && row.ids.size() != row.logits.size())
    return fail(ErrorCode::kInvalidArgument, "a row has as many ids as logits");
  auto& candidates = workspace.candidates;
  collect(row, candidates);
  if (candidates.empty())
    return fail(ErrorCode::kNoCandidate, "no logit of the row is a number above minus infinity");

  Draw draw;
  if (options.temperature == 0) {
    draw.token = std::min_element(candidates.begin(), candidates.end(), ranks_before)->id;
    draw.kind = DrawKind::kGreedy;
    draw.candidates = 1;
    return draw;
  }
  truncate(options, candidates);
  draw.candidates = static_cast<std::uint32_t>(candidates.size());
  if (candidates.size() == 1) {
    draw.token = candidates[0].id;
    draw.kind = DrawKind::kOneCandidate;
    return draw;
  }

  workspace.ids.clear();
  double total = 0;
  for (const Candidate& candidate : candidates) {
    workspace.ids.push_back(candidate.id);
    total += candidate.weight;
  }
  workspace.words.resize(candidates.size());
  const Plan planned = plan(response, path, attempt, workspace.path_contexts);
  draw.kind = planned.kind;
  if (planned.kind == DrawKind::kMarked) {
    draw.layer = planned.route.layer;
    response.mark().words(planned.route, *response.tag(draw.layer), workspace.ids, workspace.words);
  } else {
    plain_words(response.plain_cipher(), workspace.ids, response.tokens().size() + path.size(),
                attempt, workspace.words);
  }
  const Candidate& chosen = winner(candidates, workspace.words);
  draw.token = chosen.id;
  draw.probability = chosen.weight / total;
  return draw;
}

}  // namespace countermark
