// SPDX-License-Identifier: Apache-2.0
#include "watermark/sampler.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <string>

namespace countermark {
namespace {

// The untruncated race bounds weights in single precision, which wants temperatures that are
// neither tiny nor huge.
constexpr double kLeastRaceTemperature = 1e-3;
constexpr double kMostRaceTemperature = 1e6;

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

  if (const auto kind = response.unmarked()) return {*kind};
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

// What the words of a draw are made from: word = AES(cipher, state ^ (LE32(id >> 2) | tag)).
struct Noise {
  const Aes128* cipher;
  Block state{};
  Tag tag{};
};

Noise noise_of(const Plan& planned, const Response& response, std::uint64_t position,
               std::uint32_t attempt) noexcept {
  if (planned.kind == DrawKind::kMarked)
    return {&response.mark().candidate_cipher(planned.route.layer), planned.route.state,
            *response.tag(planned.route.layer)};
  Noise noise{&response.plain_cipher()};
  store_le32(noise.tag.data(), static_cast<std::uint32_t>(position));
  store_le32(noise.tag.data() + 4, static_cast<std::uint32_t>(position >> 32));
  store_le32(noise.tag.data() + 8, attempt);
  return noise;
}

// The exponential race: token a arrives after -ln(u_a) / weight_a, the first one wins, of two the
// one with the lower id.
TokenId winner(const Distribution& distribution, const Noise& noise, SamplerWorkspace& workspace) {
  const std::size_t size = distribution.ids.size();
  workspace.words.resize(size);
  workspace.arrivals.resize(size);
  const Kernel& kernel = noise.cipher->kernel();
  kernel.words_of_state(&noise.cipher->key(), noise.state.data(), noise.tag.data(),
                        distribution.ids.data(), size, workspace.words.data());
  kernel.arrivals(workspace.words.data(), distribution.weights.data(), size,
                  workspace.arrivals.data());
  std::size_t best = 0;
  for (std::size_t i = 1; i < size; ++i) {
    const double arrival = workspace.arrivals[i];
    if (arrival < workspace.arrivals[best] ||
        (arrival == workspace.arrivals[best] && distribution.ids[i] < distribution.ids[best]))
      best = i;
  }
  return distribution.ids[best];
}

bool is_untruncated(const LogitsRow& row, const SamplingOptions& options) noexcept {
  return row.is_dense() && (options.top_k == 0 || options.top_k >= row.logits.size) &&
         options.top_p == 1 && options.min_p == 0 && options.temperature >= kLeastRaceTemperature &&
         options.temperature <= kMostRaceTemperature;
}

}  // namespace

void SamplerWorkspace::reserve(std::size_t row_size, std::size_t path_size) {
  truncation.reserve(row_size);
  distribution.ids.reserve(row_size);
  distribution.weights.reserve(row_size);
  words.reserve(row_size);
  arrivals.reserve(row_size);
  path_contexts.reserve(path_size);
}

Result<Draw> sample(const LogitsRow& row, const SamplingOptions& options, const Response& response,
                    TokenSpan path, std::uint32_t attempt, SamplerWorkspace& workspace) {
  const Kernel& kernel = response.mark().kernel();
  Distribution& distribution = workspace.distribution;
  // Without truncation the two likeliest tokens tell all that is needed before the race.
  const bool is_whole_row = is_untruncated(row, options);
  SamplingOptions first = options;
  if (is_whole_row) first.top_k = 2;
  COUNTERMARK_CHECK(truncate(row, first, kernel, workspace.truncation, distribution));

  Draw draw{distribution.ids[0]};
  if (options.temperature == 0) {
    draw.kind = DrawKind::kGreedy;
    return draw;
  }
  if (distribution.ids.size() == 1) {
    draw.kind = DrawKind::kOneCandidate;
    return draw;
  }
  const Plan planned = plan(response, path, attempt, workspace.path_contexts);
  draw.kind = planned.kind;
  if (planned.kind == DrawKind::kMarked) draw.layer = planned.route.layer;
  const Noise noise = noise_of(planned, response, response.tokens().size() + path.size(), attempt);
  const bool is_infinite = workspace.truncation.logits[0] == std::numeric_limits<float>::infinity();
  if (!is_whole_row) {
    draw.token = winner(distribution, noise, workspace);
  } else if (is_infinite) {
    COUNTERMARK_CHECK(truncate(row, options, kernel, workspace.truncation, distribution));
    draw.token = winner(distribution, noise, workspace);
  } else {
    draw.token = kernel.race_row(&noise.cipher->key(), noise.state.data(), noise.tag.data(),
                                 &row.logits, draw.token, options.temperature);
  }
  return draw;
}

Draw words_of_draw(const Response& response, TokenSpan path, std::uint32_t attempt,
                   TokenSpan tokens, std::span<std::uint32_t> out, SamplerWorkspace& workspace) {
  assert(out.size() == tokens.size());
  const Plan planned = plan(response, path, attempt, workspace.path_contexts);
  const Noise noise = noise_of(planned, response, response.tokens().size() + path.size(), attempt);
  noise.cipher->kernel().words_of_state(&noise.cipher->key(), noise.state.data(), noise.tag.data(),
                                        tokens.data(), tokens.size(), out.data());
  return {0, planned.kind, planned.route.layer};
}

}  // namespace countermark
