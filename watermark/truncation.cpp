// SPDX-License-Identifier: Apache-2.0
#include "watermark/truncation.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>

namespace countermark {
namespace {

// Entries of a dense row that top-p and min-p look at first.
constexpr std::size_t kFirstLook = 512;

// Ids are 32 bits wide.
constexpr std::size_t kMaxRowSize = std::size_t{1} << 32;

Status check_row(const LogitsRow& row) {
  if (row.logits.size > kMaxRowSize)
    return fail(ErrorCode::kInvalidArgument, "a row has at most 2^32 entries");
  if (!row.is_dense() && row.ids.size() != row.logits.size)
    return fail(ErrorCode::kInvalidArgument, "a row has as many ids as logits");
  return {};
}

auto no_candidate() {
  return fail(ErrorCode::kNoCandidate, "no logit of the row is a number above minus infinity");
}

// An entry as one integer, in the form of CountermarkKernel::top_candidates: larger ones rank
// before smaller ones, larger logits first, then lower ids: the order of every truncation.
std::uint64_t key_of(float logit, TokenId id) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(logit + 0.0F);  // both zeros are one
  const std::uint32_t order = (bits >> 31) != 0 ? ~bits : bits | 0x80000000;
  return std::uint64_t{order} << 32 | (0xffffffff - id);
}

TokenId id_of(std::uint64_t key) noexcept { return 0xffffffff - static_cast<TokenId>(key); }

float logit_of(std::uint64_t key) noexcept {
  const auto order = static_cast<std::uint32_t>(key >> 32);
  return std::bit_cast<float>((order >> 31) != 0 ? order & 0x7fffffff : ~order);
}

// The k best entries of a row or, for k = 0, all; -inf and NaN left out. In workspace.keys, where
// they stay until the next call.
std::span<std::uint64_t> collect(const LogitsRow& row, std::size_t k, const Kernel& kernel,
                                 TruncationWorkspace& workspace) {
  workspace.reserve(row.logits.size);
  const std::size_t wanted = k == 0 ? row.logits.size : k;
  const std::span<std::uint64_t> keys(
      workspace.keys.data(),
      kernel.top_candidates(&row.logits, wanted, workspace.scratch.data(), workspace.keys.data()));
  if (!row.is_dense())
    for (std::uint64_t& key : keys) key = key_of(logit_of(key), row.ids[id_of(key)]);
  if (k == 0 || k >= keys.size()) return keys;
  std::nth_element(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(k) - 1, keys.end(),
                   std::greater<>());
  return keys.first(k);
}

void weigh(std::span<const std::uint64_t> keys, const SamplingOptions& options, float largest,
           const Kernel& kernel, TruncationWorkspace& workspace, std::vector<double>& out) {
  workspace.logits.resize(keys.size());
  out.resize(keys.size());
  std::transform(keys.begin(), keys.end(), workspace.logits.begin(), logit_of);
  kernel.weights(workspace.logits.data(), keys.size(), largest, options.temperature, out.data());
}

// Eight sums side by side, then those: an order that vectors of any width can follow.
double sum(std::span<const double> values) noexcept {
  std::array<double, 8> lanes{};
  for (std::size_t i = 0; i < values.size(); ++i) lanes[i % 8] += values[i];
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
         ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

// How many entries from the top top-p and min-p keep, where top-p asks for that much mass.
std::size_t kept_of(std::span<const double> weights, double wanted, double min_p) noexcept {
  double mass = 0;
  std::size_t kept = 0;
  while (kept < weights.size() && weights[kept] > 0 && weights[kept] >= min_p &&
         (kept == 0 || mass < wanted))
    mass += weights[kept++];
  return kept;
}

// All of the entries that have a weight.
void keep_possible(std::span<const std::uint64_t> keys, Distribution& out) {
  out.ids.resize(keys.size());
  std::size_t kept = 0;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!(out.weights[i] > 0)) continue;
    out.weights[kept] = out.weights[i];
    out.ids[kept++] = id_of(keys[i]);
  }
  out.ids.resize(kept);
  out.weights.resize(kept);
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

double Distribution::total() const noexcept { return sum(weights); }

double Distribution::probability(TokenId token) const noexcept {
  const auto at = std::find(ids.begin(), ids.end(), token);
  return at == ids.end() ? 0 : weights[static_cast<std::size_t>(at - ids.begin())] / total();
}

void TruncationWorkspace::reserve(std::size_t size) {
  if (scratch.size() < countermark_top_scratch(size)) scratch.resize(countermark_top_scratch(size));
  if (keys.size() < size) keys.resize(size);
  logits.reserve(size);
}

Status rank(const LogitsRow& row, const Kernel& kernel, TruncationWorkspace& workspace,
            std::vector<TokenId>& ids, std::vector<float>& logits) {
  COUNTERMARK_CHECK(check_row(row));
  const std::span<std::uint64_t> keys = collect(row, 0, kernel, workspace);
  if (keys.empty()) return no_candidate();
  std::sort(keys.begin(), keys.end(), std::greater<>());
  ids.resize(keys.size());
  logits.resize(keys.size());
  std::transform(keys.begin(), keys.end(), ids.begin(), id_of);
  std::transform(keys.begin(), keys.end(), logits.begin(), logit_of);
  return {};
}

Status truncate(const LogitsRow& row, const SamplingOptions& options, const Kernel& kernel,
                TruncationWorkspace& workspace, Distribution& out) {
  COUNTERMARK_CHECK(check_row(row));
  const bool is_greedy = options.temperature == 0;
  // Top-p and min-p by themselves rarely keep much of a dense row: look at more only if they do.
  const std::size_t top_k = options.top_k < row.logits.size ? options.top_k : 0;
  const bool is_searched =
      !is_greedy && row.is_dense() && top_k == 0 && (options.top_p < 1 || options.min_p > 0);
  std::size_t look = is_greedy ? 1 : is_searched ? kFirstLook : top_k;
  std::optional<double> wanted;
  while (true) {
    const std::span<std::uint64_t> keys = collect(row, look, kernel, workspace);
    if (keys.empty()) return no_candidate();
    // What cuts by rank needs the ranks; without a cut the likeliest token first is enough.
    const bool is_cut = is_greedy || top_k != 0 || options.top_p < 1 || options.min_p > 0;
    if (is_cut) {
      std::sort(keys.begin(), keys.end(), std::greater<>());
    } else {
      std::swap(keys[0], *std::max_element(keys.begin(), keys.end()));
    }
    const float largest = logit_of(keys[0]);
    weigh(keys, options, largest, kernel, workspace, out.weights);
    if (!is_cut) {
      keep_possible(keys, out);
      return {};
    }
    if (!wanted && options.top_p == 1) wanted = std::numeric_limits<double>::infinity();
    if (!wanted)
      wanted =
          options.top_p * (is_searched ? kernel.row_total(&row.logits, largest, options.temperature)
                                       : sum(out.weights));
    const std::size_t kept = kept_of(out.weights, *wanted, options.min_p);
    const bool is_whole = !is_searched || kept < keys.size() || keys.size() < look;
    look *= 8;
    if (!is_whole) continue;
    out.weights.resize(kept);
    out.ids.resize(kept);
    std::transform(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(kept), out.ids.begin(),
                   id_of);
    return {};
  }
}

}  // namespace countermark
