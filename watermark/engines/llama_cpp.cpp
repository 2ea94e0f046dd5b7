// SPDX-License-Identifier: Apache-2.0
#include "watermark/engines/llama_cpp.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "watermark/batch.h"

namespace countermark {
namespace {

// The parts of llama.h that a sampler touches, as they lie in memory.
struct Sampler {  // llama_sampler
  llama_sampler_i* interface;
  void* context;
};

struct Candidate {  // llama_token_data
  std::int32_t id;
  float logit;
  float p;
};

struct Candidates {  // llama_token_data_array
  Candidate* data;
  std::size_t size;
  std::int64_t selected;
  bool is_sorted;
};

constexpr float kNever = -std::numeric_limits<float>::infinity();

struct State {
  std::shared_ptr<Service> service;
  ResponseOptions options;  // of the responses to come
  countermark_llama_init init;
  Response response;
  bool has_drawn = false;
  std::uint32_t attempt = 0;  // draws since the last token
  BatchWorkspace workspace{};
  std::vector<float> logits{};
  std::vector<TokenId> ids{};
  std::vector<double> weights{};
};

State& state_of(const llama_sampler* sampler) noexcept {
  return *static_cast<State*>(reinterpret_cast<const Sampler*>(sampler)->context);
}

// Another response under the same options; unmarked, where the policy is to refuse.
Response begin_again(const State& state, bool marked) {
  ResponseOptions options = state.options;
  options.marked = options.marked && marked;
  auto response = state.service->respond(options);
  if (!response) {
    options.marked = false;
    response = state.service->respond(options);
  }
  return std::move(*response);
}

// llama.cpp calls these through C: without memory they end the program, as its own samplers do.

const char* name(const llama_sampler*) noexcept { return "countermark"; }

void accept(llama_sampler* sampler, std::int32_t token) noexcept {
  State& state = state_of(sampler);
  state.attempt = 0;
  // What comes before the first draw is the prompt.
  if (!state.has_drawn || state.response.commit(static_cast<TokenId>(token))) return;
  // Without a place for it in the history the next context could be an old one.
  state.response = begin_again(state, false);
}

void apply(llama_sampler* sampler, Candidates* candidates) noexcept {
  State& state = state_of(sampler);
  state.has_drawn = true;
  const std::size_t size = candidates->size;
  const std::span<Candidate> row(candidates->data, size);
  candidates->selected = size == 0 ? -1 : 0;
  if (size == 0) return;
  state.logits.resize(size);
  state.ids.resize(size);
  bool is_dense = true;
  float largest = kNever;
  for (std::size_t i = 0; i < size; ++i) {
    state.logits[i] = row[i].logit > kNever ? row[i].logit : kNever;  // NaN is never drawn, either
    largest = std::max(largest, state.logits[i]);
    row[i].p = 0;
    state.ids[i] = static_cast<TokenId>(row[i].id);
    is_dense = is_dense && state.ids[i] == i;
  }
  // A grammar that forbids a draw asks for another one: what has lost to the first is not drawn by
  // the same noise.
  const BatchRow given{{state.logits, is_dense ? TokenSpan() : TokenSpan(state.ids)},
                       {},
                       &state.response,
                       state.attempt++};
  Result<Draw> draw = Draw{};
  state.service->sample({&given, 1}, state.workspace, {&draw, 1});
  if (!draw) {
    row[0].p = 1;
    return;
  }
  candidates->selected =
      std::find(state.ids.begin(), state.ids.end(), draw->token) - state.ids.begin();
  // Servers report these as the probabilities after sampling.
  state.weights.resize(size);
  state.response.mark().kernel().weights(state.logits.data(), size, largest, 1,
                                         state.weights.data());
  const double total = std::accumulate(state.weights.begin(), state.weights.end(), 0.0);
  for (std::size_t i = 0; i < size; ++i) row[i].p = static_cast<float>(state.weights[i] / total);
}

void reset(llama_sampler* sampler) noexcept {
  State& state = state_of(sampler);
  if (!state.has_drawn) return;
  state.response = begin_again(state, true);
  state.has_drawn = false;
  state.attempt = 0;
}

llama_sampler* clone(const llama_sampler* sampler) noexcept;

void release(llama_sampler* sampler) noexcept { delete &state_of(sampler); }

// llama_sampler_i: the first six members are as old as the interface, and those that came and come
// after them may be null. Not const, because llama.cpp's own parameter is not.
struct Interface {
  const char* (*name)(const llama_sampler*) = countermark::name;
  void (*accept)(llama_sampler*, std::int32_t) = countermark::accept;
  void (*apply)(llama_sampler*, Candidates*) = countermark::apply;
  void (*reset)(llama_sampler*) = countermark::reset;
  llama_sampler* (*clone)(const llama_sampler*) = countermark::clone;
  void (*free)(llama_sampler*) = release;
  std::array<void*, 58> later{};
} interface;
static_assert(sizeof(Interface) == 64 * sizeof(void*));

llama_sampler* put(State* state) {
  llama_sampler* sampler = state->init(reinterpret_cast<llama_sampler_i*>(&interface), state);
  if (sampler == nullptr) delete state;
  return sampler;
}

llama_sampler* clone(const llama_sampler* sampler) noexcept {
  const State& from = state_of(sampler);
  // NOLINTNEXTLINE(bugprone-unhandled-exception-at-new): as said above
  return put(new State{from.service, from.options, from.init, from.response.with_room(),
                       from.has_drawn, from.attempt});
}

}  // namespace

Result<llama_sampler*> make_llama_sampler(std::shared_ptr<Service> service, Response response,
                                          const ResponseOptions& options,
                                          countermark_llama_init init) {
  // A nonce and a plain key are for one response.
  const ResponseOptions later{options.identity, {}, {}, options.max_tokens, options.max_contexts,
                              options.marked};
  llama_sampler* sampler = put(new State{std::move(service), later, init, std::move(response)});
  if (sampler == nullptr) return fail(ErrorCode::kInternal, "llama.cpp made no sampler");
  return sampler;
}

}  // namespace countermark
