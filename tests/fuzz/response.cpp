// SPDX-License-Identifier: Apache-2.0
// Any sequence of calls of the embedding interface, as an engine with drafts, channels, retries and
// cancelled batches might make them, against a record of what was committed.
//
// What must hold: a drawn token was a candidate; a draw is a pure function of its arguments; a path
// is as good as commits; no context is marked twice; a rewound response is the one that was never
// advanced; and every marked draw that was kept is on the verifier's tape.
#include "watermark/response.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "tests/fuzz/fuzz.h"
#include "tests/support/random.h"
#include "verifier/detect/tape.h"
#include "watermark/sampler.h"

namespace {

using namespace countermark;
using fuzz::require;

constexpr std::string_view kNonce = "nonce";
constexpr TokenId kVocab = 8;

std::vector<NativeMark> make_marks() {
  tests::SplitMix64 random(1);
  const std::array profiles = {tests::one_layer(1), tests::one_layer(2, LayerKind::kAccount, 3),
                               Profile::defaults(),
                               Profile::create({{LayerKind::kShared, 1, 30'000, 1},
                                                {LayerKind::kAccount, 2, 0, 4},
                                                {LayerKind::kCohort, 5, kShareTotal - 30'000, 1}},
                                               std::nullopt)
                                   .value()};
  std::vector<NativeMark> marks;
  for (const Profile& profile : profiles)
    marks.push_back(tests::make_mark(random.epoch_key(), profile));
  return marks;
}

// One call that changed the response.
struct Event {
  bool is_commit = true;  // else the start of a channel
  TokenId token = 0;
  bool is_marked = false;          // drawn so, and then committed
  std::vector<TokenId> context{};  // that a commit followed
};

struct Row {
  std::vector<float> logits{};
  std::vector<TokenId> ids{};

  LogitsRow view() const { return {logits, ids}; }
  float logit(TokenId token) const {
    if (ids.empty()) return token < logits.size() ? logits[token] : std::nanf("");
    const auto at = std::find(ids.begin(), ids.end(), token);
    return at == ids.end() ? std::nanf("") : logits[static_cast<std::size_t>(at - ids.begin())];
  }
};

bool is_candidate(float logit) { return logit > -std::numeric_limits<float>::infinity(); }

Row read_row(fuzz::Input& input) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr std::array kOdd = {std::numeric_limits<float>::quiet_NaN(),
                               kInfinity,
                               -kInfinity,
                               std::numeric_limits<float>::max(),
                               std::numeric_limits<float>::lowest(),
                               std::numeric_limits<float>::denorm_min(),
                               -0.0F};
  Row row;
  const std::uint32_t shape = input.byte();
  const std::size_t size = shape % (kVocab + 1);
  for (std::size_t i = 0; i < size; ++i) {
    const std::uint8_t code = input.byte();
    row.logits.push_back(code < kOdd.size() ? kOdd[code] : static_cast<float>(code) / 16 - 8);
  }
  if (shape >= 128)  // the engine's own candidates, from the highest id down
    for (std::size_t i = 0; i < size; ++i)
      row.ids.push_back((shape == 255 ? 0xfffffff0U : kVocab) - static_cast<TokenId>(i));
  return row;
}

SamplingOptions read_options(fuzz::Input& input) {
  SamplingOptions options;
  const std::uint32_t choice = input.byte();
  constexpr std::array kTemperatures = {1.0, 0.0, 0.3, 1e-300, 1e300, 2.0, -1.0, 1.0};
  constexpr std::array kShares = {1.0, 0.9, 1e-9, 0.5};
  options.temperature = kTemperatures[choice % 8];
  options.top_k = choice / 8 % 4;
  options.top_p = kShares[choice / 32 % 4];
  options.min_p = choice >= 128 ? 0.1 : 0;
  return options;
}

class Engine {
 public:
  Engine(fuzz::Input& input, const NativeMark& mark)
      : mark_(mark),
        identity_{input.below(2) == 0 ? "" : "cohort", input.below(2) == 0 ? "" : "account"},
        max_tokens_(input.below(64)),
        max_contexts_(input.below(70)),
        response_(fresh()) {}

  void run(fuzz::Input& input) {
    // Enough to fill a response and its channels, and little enough to be quick.
    for (int step = 0; step < 100 && !input.empty(); ++step) {
      switch (input.below(8)) {
        case 0:
          commit(input.below(kVocab), false);
          break;
        case 1:
          start_channel();
          break;
        case 2:
          rewind(input.byte());
          break;
        default:
          draw(input);
      }
    }
    check_rebuilt();
    check_tape();
  }

 private:
  Response fresh() const {
    return {mark_,       identity_,    kNonce, tests::SplitMix64(2).secret<16>(),
            max_tokens_, max_contexts_};
  }

  void commit(TokenId token, bool is_marked) {
    const auto tokens = response_.tokens().size();
    auto context = context_after(channel());
    const bool took = response_.commit(token);
    require(took == (tokens < max_tokens_), "a token is refused exactly when the response is full");
    if (took) events_.push_back({true, token, is_marked, std::move(context)});
  }

  void start_channel() {
    const auto channels = static_cast<std::size_t>(
        std::count_if(events_.begin(), events_.end(), [](const Event& e) { return !e.is_commit; }));
    const bool started = response_.start_channel();
    require(started == (channels < Response::kMaxChannels), "channels are counted");
    if (!started) return;
    events_.push_back({false, 0, false, {}});
    require(response_.channel().empty(), "a channel begins empty");
  }

  void rewind(std::size_t back) {
    require(response_.mark_point() == events_.size(), "points count the calls that took effect");
    const std::size_t point = events_.size() - back % (events_.size() + 1);
    response_.rewind(point);
    events_.resize(point);
    check_rebuilt();
  }

  // The tokens of the current channel, by the record of calls.
  std::vector<TokenId> channel() const {
    std::vector<TokenId> tokens;
    for (const Event& event : events_) {
      if (!event.is_commit) tokens.clear();
      if (event.is_commit) tokens.push_back(event.token);
    }
    return tokens;
  }

  // The tokens that decide the draw after `channel`; none where they are too few. Contexts are told
  // apart by their tokens and width, not by fingerprints.
  std::vector<TokenId> context_after(const std::vector<TokenId>& channel) const {
    const auto route = mark_.route(channel);
    if (!route) return {};
    return {channel.end() - static_cast<std::ptrdiff_t>(route->width), channel.end()};
  }

  std::set<std::vector<TokenId>> used_contexts() const {
    std::set<std::vector<TokenId>> used;
    for (const Event& event : events_)
      if (!event.context.empty()) used.insert(event.context);
    return used;
  }

  void draw(fuzz::Input& input) {
    const Row row = read_row(input);
    const SamplingOptions options = read_options(input);
    const bool is_valid = options.temperature >= 0;
    require(check_sampling_options(options).has_value() == is_valid, "options are checked");
    if (!is_valid) return;
    const std::uint32_t what = input.byte();
    const std::uint32_t attempt = what % 8 == 0 ? 1 : 0;
    std::vector<TokenId> path;
    for (std::uint32_t drafts = what / 8 % 4; drafts > 0; --drafts)
      path.push_back(input.below(kVocab));

    SamplerWorkspace workspace;
    const auto drawn = sample(row.view(), options, response_, path, attempt, workspace);
    const bool any = std::any_of(row.logits.begin(), row.logits.end(), is_candidate);
    if (!drawn) {
      fuzz::check_error(drawn.error(), 0);
      require(!any && drawn.error().code == ErrorCode::kNoCandidate,
              "only a row without a candidate is refused");
      return;
    }
    require(any, "a row without a candidate is refused");
    check_token(row, options, *drawn);
    check_same(*drawn, sample(row.view(), options, response_, path, attempt, workspace),
               "a draw is pure");
    Row turned = row;
    if (turned.ids.empty())
      for (TokenId id = 0; id < turned.logits.size(); ++id) turned.ids.push_back(id);
    std::reverse(turned.logits.begin(), turned.logits.end());
    std::reverse(turned.ids.begin(), turned.ids.end());
    check_same(*drawn, sample(turned.view(), options, response_, path, attempt, workspace),
               "the order of the candidates does not matter");
    check_kind(*drawn, path, attempt);

    Response ahead = response_;
    const bool fits = std::all_of(path.begin(), path.end(),
                                  [&ahead](TokenId token) { return ahead.commit(token); });
    if (fits)
      check_same(*drawn, sample(row.view(), options, ahead, {}, attempt, workspace),
                 "a path is as good as commits");
    if (path.empty() && what >= 64) commit(drawn->token, drawn->kind == DrawKind::kMarked);
  }

  static void check_token(const Row& row, const SamplingOptions& options, const Draw& drawn) {
    const float logit = row.logit(drawn.token);
    require(is_candidate(logit), "the drawn token was a candidate");
    float largest = logit;
    for (const float other : row.logits)
      if (other > largest) largest = other;
    require(std::isfinite(largest) || logit == largest, "an infinite logit excludes the others");
    if (options.temperature == 0)
      require(drawn.kind == DrawKind::kGreedy, "temperature 0 is greedy");
    if (options.temperature == 0 || options.top_k == 1)
      require(logit == largest, "the only candidate is the largest");
  }

  static void check_same(const Draw& drawn, const Result<Draw>& again, const char* claim) {
    require(again && again->token == drawn.token && again->kind == drawn.kind &&
                again->layer == drawn.layer,
            claim);
  }

  void check_kind(const Draw& drawn, const std::vector<TokenId>& path,
                  std::uint32_t attempt) const {
    if (drawn.kind != DrawKind::kMarked) return;
    require(attempt == 0, "a re-draw is not marked");
    std::vector<TokenId> before = channel();
    auto used = used_contexts();
    for (const TokenId token : path) {
      if (auto context = context_after(before); !context.empty()) used.insert(std::move(context));
      before.push_back(token);
    }
    const auto route = mark_.route(before);
    require(route && route->layer == drawn.layer, "a marked draw is in the layer of its context");
    require(response_.tag(drawn.layer).has_value(), "a marked draw has an identity");
    require(!used.contains(context_after(before)), "no context is marked twice");
    require(used.size() < max_contexts_, "a full history marks nothing");
  }

  // The response is the one that only ever made the calls that stand.
  void check_rebuilt() const {
    Response rebuilt = fresh();
    for (const Event& event : events_)
      require(event.is_commit ? rebuilt.commit(event.token) : rebuilt.start_channel(),
              "what stands can be done again");
    require(std::ranges::equal(rebuilt.tokens(), response_.tokens()), "the same tokens");
    require(std::ranges::equal(response_.channel(), channel()), "the same channel");
    require(rebuilt.mark_point() == response_.mark_point(), "the same point");
    const std::size_t contexts = used_contexts().size();
    require(rebuilt.history().size() == std::min(contexts, max_contexts_) &&
                response_.history().size() == rebuilt.history().size(),
            "the history holds each context once");
    const std::vector<float> even(kVocab, 0.0F);
    SamplerWorkspace workspace;
    for (TokenId token = 0; token < kVocab; ++token)
      check_same(sample({even}, {}, response_, TokenSpan(&token, 1), 0, workspace).value(),
                 sample({even}, {}, rebuilt, TokenSpan(&token, 1), 0, workspace), "the same draws");
  }

  void check_tape() const {
    detect::Tape tape(mark_);
    std::set<std::uint64_t> marked;
    std::vector<TokenId> channel;
    std::uint64_t position = 0;
    for (const Event& event : events_) {
      if (!event.is_commit) {
        tape.add(channel);
        channel.clear();
        continue;
      }
      if (event.is_marked) marked.insert(position);
      channel.push_back(event.token);
      ++position;
    }
    tape.add(channel);
    std::set<std::uint64_t> scored;
    for (std::size_t layer = 0; layer < mark_.layers().size(); ++layer) {
      const auto& positions = tape.layer(static_cast<std::uint8_t>(layer)).positions;
      scored.insert(positions.begin(), positions.end());
    }
    require(std::ranges::includes(scored, marked), "every marked draw is on the tape");
    const auto& dropped = tape.dropped();
    require(scored.size() + dropped.short_context + dropped.repeated_context +
                    dropped.prompt_context + dropped.repeated_tuple ==
                position,
            "every token is scored or counted as dropped");
  }

  const NativeMark& mark_;
  Identity identity_;
  std::size_t max_tokens_;
  std::size_t max_contexts_;
  Response response_;
  std::vector<Event> events_{};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<NativeMark> kMarks = make_marks();
  fuzz::Input input(data, size);
  const NativeMark& mark = kMarks[input.below(static_cast<std::uint32_t>(kMarks.size()))];
  Engine(input, mark).run(input);
  return 0;
}
