// SPDX-License-Identifier: Apache-2.0
#include "verifier/detect/tape.h"

#include <algorithm>

namespace countermark::detect {
namespace {

// A tuple's fingerprint: its context's, and the token spread over all bits by an odd constant
// (2^64 over the golden ratio). The layer follows from the context.
std::uint64_t tuple_fingerprint(std::uint64_t context, TokenId token) noexcept {
  const std::uint64_t mixed = context + (std::uint64_t{token} + 1) * 0x9e3779b97f4a7c15;
  return mixed ^ (mixed >> 32);
}

}  // namespace

void Tape::clear() noexcept {
  for (LayerTape& layer : layers_) {
    layer.states.clear();
    layer.tokens.clear();
    layer.positions.clear();
  }
  excluded_.clear(0);
  tuples_.clear(0);
  dropped_ = {};
  tokens_ = 0;
  responses_ = 0;
}

void Tape::exclude(TokenSpan tokens) {
  // One more position: the context that all of them form.
  std::vector<TokenId> positions(tokens.begin(), tokens.end());
  positions.push_back(0);
  mark_->routes(positions, 1, static_cast<std::uint32_t>(positions.size()), routes_);
  for (const Routes::OfLayer& layer : routes_.layers) {
    fingerprints_.clear();
    for (const std::uint32_t place : layer.places)
      fingerprints_.push_back(
          FingerprintSet::storable(context_fingerprint(layer.at->states[place], layer.at->width)));
    excluded_.insert(fingerprints_, fresh_);
  }
}

// Puts the tuples of the responses so far into the set.
void Tape::index_tuples() {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const LayerTape& layer = layers_[i];
    const unsigned width = mark_->layers()[i].width;
    fingerprints_.clear();
    for (std::size_t j = 0; j < layer.tokens.size(); ++j)
      fingerprints_.push_back(FingerprintSet::storable(
          tuple_fingerprint(context_fingerprint(layer.states[j], width), layer.tokens[j])));
    tuples_.insert(fingerprints_, fresh_);
  }
}

void Tape::add(TokenSpan response) {
  if (responses_ == 1) index_tuples();
  seen_.clear(response.size());
  // Piece by piece, so that what is computed of one stays in the first-level cache.
  constexpr std::uint32_t kPiece = 512;
  const auto size = static_cast<std::uint32_t>(response.size());
  for (std::uint32_t begin = 0; begin < size;) {
    const std::uint32_t end = size - begin > kPiece ? begin + kPiece : size;
    mark_->routes(response, begin, end, routes_);
    dropped_.short_context += routes_.short_context;
    for (std::size_t i = 0; i < layers_.size(); ++i)
      add_layer(static_cast<std::uint8_t>(i), response);
    begin = end;
  }
  tokens_ += response.size();
  ++responses_;
}

// Each step leaves those of the layer's places that stay, in their order: the first occurrences of
// a context, those that no prompt has, those whose tuple is new.
void Tape::add_layer(std::uint8_t index, TokenSpan response) {
  const Routes::AtWidth& at = *routes_.layers[index].at;
  std::span<const std::uint32_t> places = routes_.layers[index].places;
  if (places.empty()) return;
  // Plain pointers: the loops below write to memory that the compiler must not take for theirs.
  const Block* const states = at.states.data();
  const std::uint32_t* const positions = at.positions.data();
  const unsigned width = at.width;
  const auto keep_fresh = [&](std::size_t count, std::uint64_t& dropped) {
    if (count == places.size()) return;
    places_.resize(places.size());
    std::size_t kept = 0;
    for (std::size_t i = 0; i < places.size(); ++i) {
      places_[kept] = places[i];
      kept += fresh_[i];
    }
    dropped += places.size() - count;
    places = std::span(places_).first(count);
  };
  const auto fill = [&](auto fingerprint_of) {
    fingerprints_.resize(places.size());
    std::uint64_t* const out = fingerprints_.data();
    for (std::size_t i = 0; i < places.size(); ++i)
      out[i] = FingerprintSet::storable(fingerprint_of(places[i]));
  };
  const auto context_of = [&](std::uint32_t place) {
    return context_fingerprint(states[place], width);
  };

  fill(context_of);
  keep_fresh(seen_.insert(fingerprints_, fresh_), dropped_.repeated_context);
  if (excluded_.size() > 0) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < places.size(); ++i)
      count += fresh_[i] =
          excluded_.contains(FingerprintSet::storable(context_of(places[i]))) ? 0 : 1;
    keep_fresh(count, dropped_.prompt_context);
  }
  if (responses_ > 0) {
    fill([&](std::uint32_t place) {
      return tuple_fingerprint(context_of(place), response[positions[place]]);
    });
    keep_fresh(tuples_.insert(fingerprints_, fresh_), dropped_.repeated_tuple);
  }

  LayerTape& layer = layers_[index];
  const std::size_t size = layer.tokens.size();
  layer.states.resize(size + places.size());
  layer.tokens.resize(size + places.size());
  layer.positions.resize(size + places.size());
  Block* const states_out = layer.states.data() + size;
  TokenId* const tokens_out = layer.tokens.data() + size;
  std::uint64_t* const positions_out = layer.positions.data() + size;
  const std::uint64_t first = tokens_;
  for (std::size_t i = 0; i < places.size(); ++i) states_out[i] = states[places[i]];
  for (std::size_t i = 0; i < places.size(); ++i) {
    const std::uint32_t position = positions[places[i]];
    tokens_out[i] = response[position];
    positions_out[i] = first + position;
  }
}

Tally tally(const Tape& tape, std::uint8_t layer, const Tag& tag) {
  return {tape.layer(layer).tokens.size(), tallies(tape, layer, {&tag, 1})[0]};
}

std::vector<std::uint64_t> tallies(const Tape& tape, std::uint8_t layer,
                                   std::span<const Tag> tags) {
  std::vector<std::uint64_t> sums(tags.size());
  tape.mark().tallies(layer, tape.layer(layer).states, tape.layer(layer).tokens, tags, sums);
  return sums;
}

std::vector<std::uint32_t> scores(const Tape& tape, std::uint8_t layer, const Tag& tag) {
  const LayerTape& tuples = tape.layer(layer);
  std::vector<std::uint32_t> out(tuples.tokens.size());
  tape.mark().words(layer, tuples.states, tuples.tokens, tag, out);
  std::transform(out.begin(), out.end(), out.begin(), exponential_score);
  return out;
}

}  // namespace countermark::detect
