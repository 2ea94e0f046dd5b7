// SPDX-License-Identifier: Apache-2.0
#include "verifier/detect/tape.h"

#include <algorithm>
#include <array>

#include "watermark/history.h"

namespace countermark::detect {
namespace {

// A tuple's fingerprint: its context's, and the token spread over all bits by an odd constant
// (2^64 over the golden ratio). The layer follows from the context.
std::uint64_t tuple_fingerprint(std::uint64_t context, TokenId token) noexcept {
  const std::uint64_t mixed = context + (std::uint64_t{token} + 1) * 0x9e3779b97f4a7c15;
  return mixed ^ (mixed >> 32);
}

// Calls visit(first index, words) for runs of a layer's tuples.
template <typename Visit>
void for_word_runs(const Tape& tape, std::uint8_t layer, const Tag& tag, Visit visit) {
  constexpr std::size_t kRun = 256;
  std::array<std::uint32_t, kRun> words;
  const LayerTape& tuples = tape.layer(layer);
  for (std::size_t begin = 0; begin < tuples.tokens.size(); begin += kRun) {
    const std::size_t count = std::min(kRun, tuples.tokens.size() - begin);
    const std::span<std::uint32_t> run(words.data(), count);
    tape.mark().words(layer, std::span(tuples.states).subspan(begin, count),
                      TokenSpan(tuples.tokens).subspan(begin, count), tag, run);
    visit(begin, run);
  }
}

}  // namespace

void Tape::exclude(TokenSpan tokens) {
  for (std::size_t t = 1; t <= tokens.size(); ++t)
    if (const auto route = mark_->route(tokens.first(t))) excluded_.insert(route->fingerprint());
}

void Tape::add(TokenSpan response) {
  History seen(response.size());
  for (std::size_t t = 0; t < response.size(); ++t) {
    const auto route = mark_->route(response.first(t));
    if (!route) {
      ++dropped_.short_context;
      continue;
    }
    const std::uint64_t context = route->fingerprint();
    if (!seen.insert(context)) {
      ++dropped_.repeated_context;
    } else if (excluded_.contains(context)) {
      ++dropped_.prompt_context;
    } else if (!tuples_.insert(tuple_fingerprint(context, response[t]))) {
      ++dropped_.repeated_tuple;
    } else {
      LayerTape& layer = layers_[route->layer];
      layer.states.push_back(route->state);
      layer.tokens.push_back(response[t]);
      layer.positions.push_back(tokens_ + t);
    }
  }
  tokens_ += response.size();
}

Tally tally(const Tape& tape, std::uint8_t layer, const Tag& tag) {
  Tally out;
  out.n = tape.layer(layer).tokens.size();
  for_word_runs(tape, layer, tag, [&out](std::size_t, std::span<const std::uint32_t> words) {
    for (const std::uint32_t word : words) out.sum += exponential_score(word);
  });
  return out;
}

std::vector<std::uint32_t> scores(const Tape& tape, std::uint8_t layer, const Tag& tag) {
  std::vector<std::uint32_t> out(tape.layer(layer).tokens.size());
  for_word_runs(tape, layer, tag, [&out](std::size_t begin, std::span<const std::uint32_t> words) {
    std::transform(words.begin(), words.end(), out.begin() + static_cast<std::ptrdiff_t>(begin),
                   exponential_score);
  });
  return out;
}

}  // namespace countermark::detect
