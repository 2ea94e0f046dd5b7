// SPDX-License-Identifier: Apache-2.0
#include "verifier/detect/foreign_tape.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <type_traits>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "watermark/kernels/dispatch.h"

namespace countermark::detect {
namespace {

// Seed 0: contexts are public, and a collision only drops a tuple.
std::uint64_t fingerprint(TokenSpan context) noexcept {
  // The usual width as a constant, which XXH3 makes use of.
  if (context.size() == 4) return XXH3_64bits(context.data(), 16);
  return XXH3_64bits(context.data(), context.size_bytes());
}

std::uint64_t fingerprint(const PrfInput& input) noexcept {
  const std::uint64_t fields[3] = {input.a, input.b, input.token};
  return XXH3_64bits(fields, sizeof fields);
}

// A process without a kernel has stopped before.
const Kernel& kernel() {
  const auto active = active_kernel();
  return active ? **active : countermark_kernel_portable;
}

// Where each context of a response stood last, for "is it among the latest `limit` contexts,
// repeats included?". Contexts that share a fingerprint are one.
class LastPositions {
 public:
  LastPositions(std::size_t contexts, std::uint32_t limit)
      : limit_(limit), slots_(std::bit_ceil(2 * contexts + 1)) {}

  // Brings the place of a context that comes soon.
  void expect(std::uint64_t context) const noexcept {
    __builtin_prefetch(&slots_[context & (slots_.size() - 1)], 1);
  }

  // Of the next context.
  bool repeats(std::uint64_t context) noexcept {
    ++count_;
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = context & mask;
    while (slots_[at].count != 0 && slots_[at].context != context) at = (at + 1) & mask;
    const bool repeated = slots_[at].count != 0 && count_ - slots_[at].count <= limit_;
    slots_[at] = {context, count_};
    return repeated;
  }

 private:
  struct Slot {
    std::uint64_t context = 0;
    std::uint64_t count = 0;  // contexts up to it; 0: free
  };

  std::uint64_t limit_;
  std::uint64_t count_ = 0;
  std::vector<Slot> slots_;
};

// fresh[i] = 0 for a context of a response that stands among the latest `limit` before it.
void find_fresh(std::span<const std::uint64_t> prints, std::uint32_t limit,
                std::vector<std::uint8_t>& fresh) {
  if (limit == 0 || limit >= prints.size()) {
    FingerprintSet(kernel()).insert(prints, fresh);
    return;
  }
  constexpr std::size_t kAhead = 12;
  LastPositions last(prints.size(), limit);
  for (std::size_t i = 0; i < prints.size(); ++i) {
    if (i + kAhead < prints.size()) last.expect(prints[i + kAhead]);
    fresh[i] = last.repeats(prints[i]) ? 0 : 1;
  }
}

Status check_ids(const ForeignProfile& profile, const TokenText& text) {
  const std::uint32_t size = profile.parameters().vocab_size;
  if (size == 0) return {};
  for (const TokenSegment& segment : text)
    for (const std::vector<TokenId>* const ids : {&segment.ids, &segment.predicted})
      for (std::size_t i = 0; i < ids->size(); ++i)
        if ((*ids)[i] >= size)
          return fail(ErrorCode::kMismatch,
                      "token id " + std::to_string((*ids)[i]) + " at index " + std::to_string(i) +
                          " is outside the profile's vocabulary of " + std::to_string(size));
  return {};
}

class Collector {
 public:
  Collector(const ForeignProfile& profile, const TokenText& text, const ShownContexts& always)
      : profile_(&profile), shown_(profile, text), always_(&always) {
    out_.width = profile.context_tokens();
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (!text[i].scored) continue;
      const bool prompted = profile.parameters().prompt_included && i > 0 && !text[i - 1].scored;
      // Of one response whose history reaches over all of it.
      out_.distinct = ++responses_ == 1 && remembers_all(text[i].ids.size());
      add(prompted ? TokenSpan(text[i - 1].ids) : TokenSpan(), text[i].ids, text[i].scored_ids());
    }
  }

  ForeignTuples take() { return std::move(out_); }

 private:
  bool remembers_all(std::size_t tokens) const {
    const ForeignParameters& parameters = profile_->parameters();
    return parameters.dedup == Dedup::kContext &&
           (parameters.history_limit == 0 || parameters.history_limit >= tokens);
  }

  // Where the contexts of tokens without predecessors begin: what they reach back to.
  std::vector<TokenId> before(TokenSpan prompt) const {
    const std::size_t width = out_.width;
    if (profile_->parameters().prompt_included) {
      const TokenSpan end = prompt.last(std::min(prompt.size(), width));
      return {end.begin(), end.end()};
    }
    if (profile_->scheme().padding) return std::vector<TokenId>(width, *profile_->scheme().padding);
    return {};
  }

  void add(TokenSpan prompt, TokenSpan response, TokenSpan scored) {
    const ForeignParameters& parameters = profile_->parameters();
    const std::size_t width = out_.width;
    std::vector<TokenId> ids = before(prompt);
    const std::size_t missing = std::min(width - ids.size(), response.size());
    ids.insert(ids.end(), response.begin(), response.end());
    out_.dropped.short_context += missing;

    const std::size_t count = response.size() - missing;
    const bool once = parameters.dedup == Dedup::kContext;
    const bool shown = shown_.size() > 0 || always_->size() > 0;
    std::vector<std::uint64_t> prints(once || shown ? count : 0);
    for (std::size_t i = 0; i < prints.size(); ++i)
      prints[i] = fingerprint(TokenSpan(ids).subspan(i, width));
    std::vector<std::uint8_t> fresh(count, 1);
    if (once) find_fresh(prints, parameters.history_limit, fresh);
    std::vector<std::uint32_t> kept(count);
    std::size_t size = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (missing + i < parameters.first_position) {
        ++out_.dropped.short_context;
      } else if (fresh[i] == 0) {
        ++out_.dropped.repeated_context;
      } else if (shown && (shown_.contains(prints[i]) || always_->contains(prints[i]))) {
        ++out_.dropped.prompt_context;
      } else {
        kept[size++] = static_cast<std::uint32_t>(i);
      }
    }
    kept.resize(size);
    append(ids, scored.subspan(missing), kept, out_.text_tokens + missing);
    out_.text_tokens += response.size();
  }

  // The tuples whose contexts begin at `kept` in ids. tokens[0] is the one behind the first context
  // of all, at that position.
  void append(TokenSpan ids, TokenSpan tokens, std::span<const std::uint32_t> kept,
              std::uint64_t position) {
    const std::size_t size = out_.tokens.size();
    out_.contexts.resize((size + kept.size()) * out_.width);
    out_.tokens.resize(size + kept.size());
    out_.positions.resize(size + kept.size());
    for (std::size_t i = 0; i < kept.size(); ++i) {
      out_.tokens[size + i] = tokens[kept[i]];
      out_.positions[size + i] = position + kept[i];
    }
    TokenId* const contexts = out_.contexts.data() + size * out_.width;
    const auto copy = [&](auto width) {
      for (std::size_t i = 0; i < kept.size(); ++i)
        std::memcpy(contexts + i * width, ids.data() + kept[i], width * sizeof(TokenId));
    };
    // As above, the usual width as a constant.
    if (out_.width == 4) return copy(std::integral_constant<std::size_t, 4>());
    copy(std::size_t{out_.width});
  }

  const ForeignProfile* profile_;
  ShownContexts shown_;
  const ShownContexts* always_;
  std::size_t responses_ = 0;
  ForeignTuples out_{};
};

}  // namespace

ShownContexts::ShownContexts(const ForeignProfile& profile, const TokenText& text)
    : set_(kernel()) {
  add(profile, text);
}

// Of every token of what is not scored and, where contexts do not reach from there into the
// response, the one behind it.
void ShownContexts::add(const ForeignProfile& profile, const TokenText& text) {
  const std::size_t width = profile.context_tokens();
  const std::size_t behind = profile.parameters().prompt_included ? 0 : 1;
  std::vector<std::uint64_t> prints;
  std::vector<std::uint8_t> fresh;
  if (width == 0) return;
  for (const TokenSegment& segment : text) {
    if (segment.scored) continue;
    prints.clear();
    for (std::size_t end = width; end < segment.ids.size() + behind; ++end)
      prints.push_back(fingerprint(TokenSpan(segment.ids).subspan(end - width, width)));
    set_.insert(prints, fresh);
  }
}

Result<ForeignTuples> collect(const ForeignProfile& profile, const TokenText& text) {
  return collect(profile, text, ShownContexts(profile, {}));
}

Result<ForeignTuples> collect(const ForeignProfile& profile, const TokenText& text,
                              const ShownContexts& shown) {
  COUNTERMARK_CHECK(check_ids(profile, text));
  return Collector(profile, text, shown).take();
}

ForeignTallier::ForeignTallier() : seen_(kernel()) {}

void ForeignTallier::begin(const ForeignMark& mark, const ForeignTuples& tuples) {
  // Piece by piece, so that what is computed of one stays near; lists are made once for all tokens
  // that share one.
  constexpr std::size_t kPiece = 256;
  model_ = mark.null_model();
  const std::size_t size = tuples.tokens.size();
  piece_ = model_.law == NullLaw::kGreenList ? size : std::min(size, kPiece);
  distinct_ = tuples.distinct && mark.tells_tuples_apart();
  if (!distinct_) seen_.clear(size);
}

bool ForeignTallier::score_piece(const ForeignMark& mark, const ForeignTuples& tuples,
                                 std::size_t first, std::size_t count) {
  const TokenSpan contexts =
      TokenSpan(tuples.contexts).subspan(first * tuples.width, count * tuples.width);
  const TokenSpan tokens = TokenSpan(tuples.tokens).subspan(first, count);
  inputs_.resize(count);
  mark.inputs(0, contexts, tokens, inputs_);
  std::size_t fresh = count;
  if (!distinct_) {
    prints_.resize(count);
    for (std::size_t i = 0; i < count; ++i) prints_[i] = fingerprint(inputs_[i]);
    fresh = seen_.insert(prints_, fresh_);
  }

  const auto keep = [&] {
    if (fresh == count) return;
    for (std::size_t i = 0; i < fresh; ++i) inputs_[i] = inputs_[kept_[i]];
    inputs_.resize(fresh);
  };
  if (fresh < count) {
    kept_.clear();
    for (std::size_t i = 0; i < count; ++i)
      if (fresh_[i] != 0) kept_.push_back(static_cast<std::uint32_t>(i));
  }
  keep();
  raws_.resize(fresh);
  units_.resize(fresh);
  mark.raw_values(0, inputs_, raws_);
  scores(mark, raws_, units_);
  scores_.assign(units_.begin(), units_.end());
  if (mark.keys() == 1) return fresh < count;

  inputs_.resize(count);
  mark.inputs(1, contexts, tokens, inputs_);
  keep();
  mark.raw_values(1, inputs_, raws_);
  scores(mark, raws_, units_);
  for (std::size_t i = 0; i < fresh; ++i) scores_[i] = model_.a * scores_[i] + model_.b * units_[i];
  return fresh < count;
}

Tally ForeignTallier::tally(const ForeignMark& mark, const ForeignTuples& tuples) {
  Tally out;
  begin(mark, tuples);
  for (std::size_t first = 0; first < tuples.tokens.size(); first += piece_) {
    score_piece(mark, tuples, first, std::min(piece_, tuples.tokens.size() - first));
    out.n += scores_.size();
    for (const std::uint64_t score : scores_) out.sum += score;
  }
  return out;
}

ForeignScores score(const ForeignMark& mark, const ForeignTuples& tuples) {
  ForeignScores out;
  ForeignTallier tallier;
  tallier.begin(mark, tuples);
  // The fingerprints are wanted, too.
  if (tallier.distinct_) tallier.seen_.clear(tuples.tokens.size());
  tallier.distinct_ = false;
  for (std::size_t first = 0; first < tuples.tokens.size(); first += tallier.piece_) {
    const bool some = tallier.score_piece(mark, tuples, first,
                                          std::min(tallier.piece_, tuples.tokens.size() - first));
    for (std::size_t i = 0; i < tallier.scores_.size(); ++i) {
      const std::size_t at = some ? tallier.kept_[i] : i;
      out.tuples.push_back(static_cast<std::uint32_t>(first + at));
      out.fingerprints.push_back(tallier.prints_[at]);
    }
    out.scores.insert(out.scores.end(), tallier.scores_.begin(), tallier.scores_.end());
  }
  return out;
}

void contexts(const ForeignMark& mark, const ForeignTuples& tuples,
              std::span<const std::uint32_t> which, std::vector<std::uint64_t>& out) {
  const std::vector<TokenId> tokens(tuples.tokens.size(), 0);
  std::vector<PrfInput> inputs(tokens.size());
  mark.inputs(0, tuples.contexts, tokens, inputs);
  out.clear();
  for (const std::uint32_t i : which) out.push_back(fingerprint(inputs[i]));
}

Tally tally(const ForeignMark& mark, const ForeignTuples& tuples) {
  thread_local ForeignTallier tallier;
  return tallier.tally(mark, tuples);
}

}  // namespace countermark::detect
