// SPDX-License-Identifier: Apache-2.0
#include "verifier/detect/tape.h"

#include <cassert>
#include <numeric>
#include <utility>

namespace countermark::detect {
namespace {

// A tuple's fingerprint: its context's, and the token spread over all bits by an odd constant
// (2^64 over the golden ratio). The layer follows from the context.
std::uint64_t tuple_fingerprint(std::uint64_t context, TokenId token) noexcept {
  const std::uint64_t mixed = context + (std::uint64_t{token} + 1) * 0x9e3779b97f4a7c15;
  return mixed ^ (mixed >> 32);
}

std::vector<std::uint8_t> all_layers(const NativeMark& mark) {
  std::vector<std::uint8_t> out(mark.layers().size());
  std::iota(out.begin(), out.end(), std::uint8_t{0});
  return out;
}

}  // namespace

Tape::Tape(const NativeMark& mark, std::vector<std::uint8_t> layers)
    : mark_(&mark),
      wanted_(std::move(layers)),
      layers_(mark.layers().size()),
      excluded_(mark.kernel()),
      always_excluded_(mark.kernel()),
      seen_(mark.kernel()),
      tuples_(mark.kernel()) {
  for (const std::uint8_t layer : wanted_) shares_ += mark.layers()[layer].share;
}

Tape::Tape(const NativeMark& mark) : Tape(mark, all_layers(mark)) {}

void Tape::clear() {
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

void Tape::exclude(TokenSpan tokens) { exclude(tokens, excluded_); }

void Tape::exclude_always(TokenSpan tokens) { exclude(tokens, always_excluded_); }

void Tape::exclude(TokenSpan tokens, FingerprintSet& from) {
  // One more position: the context that all of them form.
  std::vector<TokenId> positions(tokens.begin(), tokens.end());
  positions.push_back(0);
  mark_->routes(positions, 1, static_cast<std::uint32_t>(positions.size()), routed_layers(),
                routes_);
  for (const std::uint8_t layer : wanted_)
    from.insert(routes_.states(), routes_.positions(layer), mark_->layers()[layer].width, fresh_);
}

// Puts the tuples of the responses so far into the set.
void Tape::index_tuples() {
  for (const std::uint8_t layer : wanted_) {
    fingerprints(*this, layer, fingerprints_);
    tuples_.insert(fingerprints_, fresh_);
  }
}

void Tape::add(TokenSpan response, TokenSpan scored) {
  assert(scored.size() == response.size());
  if (responses_ == 1) index_tuples();
  seen_.clear(response.size() * shares_ / kShareTotal);
  // Piece by piece, so that what is computed of one stays in the first-level cache.
  constexpr std::uint32_t kPiece = 512;
  const auto size = static_cast<std::uint32_t>(response.size());
  for (std::uint32_t begin = 0; begin < size;) {
    const std::uint32_t end = size - begin > kPiece ? begin + kPiece : size;
    mark_->routes(response, begin, end, routed_layers(), routes_);
    dropped_.short_context += routes_.short_context();
    for (const std::uint8_t layer : wanted_)
      add_layer(layer, scored.subspan(begin), tokens_ + begin);
    begin = end;
  }
  tokens_ += response.size();
  ++responses_;
}

// Each step leaves those of the layer's positions that stay, in their order: the first occurrences
// of a context, those that no prompt has, those whose tuple is new.
void Tape::add_layer(std::uint8_t index, TokenSpan piece, std::uint64_t first) {
  const unsigned width = mark_->layers()[index].width;
  const std::span<const Block> states = routes_.states();
  std::span<const std::uint32_t> positions = routes_.positions(index);
  const auto keep_fresh = [&](std::size_t count, std::uint64_t& dropped) {
    if (count == positions.size()) return;
    dropped += positions.size() - count;
    positions_.resize(positions.size());
    std::size_t kept = 0;
    for (std::size_t i = 0; i < positions.size(); ++i) {
      positions_[kept] = positions[i];
      kept += fresh_[i];
    }
    positions = std::span(positions_).first(count);
  };

  keep_fresh(seen_.insert(states, positions, width, fresh_), dropped_.repeated_context);
  for (const FingerprintSet* const excluded : {&excluded_, &always_excluded_}) {
    if (excluded->size() == 0) continue;
    std::size_t count = 0;
    for (std::size_t i = 0; i < positions.size(); ++i)
      count += fresh_[i] =
          excluded->contains(context_fingerprint(states[positions[i]], width)) ? 0 : 1;
    keep_fresh(count, dropped_.prompt_context);
  }
  if (responses_ > 0) {
    fingerprints_.clear();
    for (const std::uint32_t p : positions)
      fingerprints_.push_back(tuple_fingerprint(context_fingerprint(states[p], width), piece[p]));
    keep_fresh(tuples_.insert(fingerprints_, fresh_), dropped_.repeated_tuple);
  }

  LayerTape& layer = layers_[index];
  const std::size_t size = layer.tokens.size();
  layer.states.resize(size + positions.size());
  layer.tokens.resize(size + positions.size());
  layer.positions.resize(size + positions.size());
  // Plain pointers: what is written is not what is read.
  Block* const states_out = layer.states.data() + size;
  TokenId* const tokens_out = layer.tokens.data() + size;
  std::uint64_t* const positions_out = layer.positions.data() + size;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const std::uint32_t p = positions[i];
    states_out[i] = states[p];
    tokens_out[i] = piece[p];
    positions_out[i] = first + p;
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
  std::vector<std::uint32_t> out;
  scores(tape, layer, tag, out);
  return out;
}

void scores(const Tape& tape, std::uint8_t layer, const Tag& tag, std::vector<std::uint32_t>& out) {
  const LayerTape& tuples = tape.layer(layer);
  out.resize(tuples.tokens.size());
  tape.mark().words(layer, tuples.states, tuples.tokens, tag, out);
  tape.mark().kernel().scores(out.data(), out.size(), out.data());
}

void fingerprints(const Tape& tape, std::uint8_t layer, std::vector<std::uint64_t>& out) {
  const LayerTape& tuples = tape.layer(layer);
  const unsigned width = tape.mark().layers()[layer].width;
  out.resize(tuples.tokens.size());
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = tuple_fingerprint(context_fingerprint(tuples.states[i], width), tuples.tokens[i]);
}

void contexts(const Tape& tape, std::uint8_t layer, std::vector<std::uint64_t>& out) {
  const LayerTape& tuples = tape.layer(layer);
  const unsigned width = tape.mark().layers()[layer].width;
  out.clear();
  for (const Block& state : tuples.states) out.push_back(context_fingerprint(state, width));
}

}  // namespace countermark::detect
