// SPDX-License-Identifier: Apache-2.0
#include "verifier/detect/foreign_tape.h"

#include <deque>
#include <string>
#include <unordered_map>
#include <unordered_set>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "watermark/kernels/dispatch.h"

namespace countermark::detect {
namespace {

// Seed 0: contexts are public, and a collision only drops a tuple.
std::uint64_t fingerprint(TokenSpan context) noexcept {
  return XXH3_64bits(context.data(), context.size_bytes());
}

std::uint64_t fingerprint(const PrfInput& input) noexcept {
  const std::uint64_t fields[3] = {input.a, input.b, input.token};
  return XXH3_64bits(fields, sizeof fields);
}

// The latest `limit` contexts of a response, repeats included; 0: all of them.
class RecentContexts {
 public:
  explicit RecentContexts(std::size_t limit) : limit_(limit) {}

  // Whether the context is among them; then it becomes the latest.
  bool repeats(std::uint64_t context) {
    const bool seen = ++counts_[context] > 1;
    if (limit_ == 0) return seen;
    order_.push_back(context);
    if (order_.size() > limit_) {
      const auto oldest = counts_.find(order_.front());
      if (--oldest->second == 0) counts_.erase(oldest);
      order_.pop_front();
    }
    return seen;
  }

 private:
  std::size_t limit_;
  std::unordered_map<std::uint64_t, std::uint32_t> counts_{};
  std::deque<std::uint64_t> order_{};
};

Status check_ids(const ForeignProfile& profile, const TokenText& text) {
  const std::uint32_t size = profile.parameters().vocab_size;
  if (size == 0) return {};
  for (const TokenSegment& segment : text)
    for (std::size_t i = 0; i < segment.ids.size(); ++i)
      if (segment.ids[i] >= size)
        return fail(ErrorCode::kMismatch, "token id " + std::to_string(segment.ids[i]) +
                                              " at index " + std::to_string(i) +
                                              " is outside the profile's vocabulary of " +
                                              std::to_string(size));
  return {};
}

// The contexts that the author of the text was shown: of every token of what is not scored and,
// where contexts do not reach from there into the response, the one behind it.
std::unordered_set<std::uint64_t> shown_contexts(const ForeignProfile& profile,
                                                 const TokenText& text) {
  std::unordered_set<std::uint64_t> out;
  const std::size_t width = profile.context_tokens();
  const std::size_t behind = profile.parameters().prompt_included ? 0 : 1;
  if (width == 0) return out;
  for (const TokenSegment& segment : text) {
    if (segment.scored) continue;
    for (std::size_t end = width; end < segment.ids.size() + behind; ++end)
      out.insert(fingerprint(TokenSpan(segment.ids).subspan(end - width, width)));
  }
  return out;
}

class Collector {
 public:
  Collector(const ForeignProfile& profile, const TokenText& text)
      : profile_(&profile), shown_(shown_contexts(profile, text)) {
    out_.width = profile.context_tokens();
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (!text[i].scored) continue;
      const bool prompted = profile.parameters().prompt_included && i > 0 && !text[i - 1].scored;
      add(prompted ? TokenSpan(text[i - 1].ids) : TokenSpan(), text[i].ids);
    }
  }

  ForeignTuples take() { return std::move(out_); }

 private:
  void add(TokenSpan prompt, TokenSpan response) {
    const ForeignParameters& parameters = profile_->parameters();
    const std::size_t width = out_.width;
    // What the first contexts reach back to.
    std::vector<TokenId> before;
    if (parameters.prompt_included)
      before.assign(prompt.end() - static_cast<std::ptrdiff_t>(std::min(prompt.size(), width)),
                    prompt.end());
    else if (profile_->scheme().padding)
      before.assign(width, *profile_->scheme().padding);
    std::vector<TokenId> ids = before;
    ids.insert(ids.end(), response.begin(), response.end());

    const bool once = parameters.dedup == Dedup::kContext;
    RecentContexts recent(parameters.history_limit);
    for (std::size_t i = 0; i < response.size(); ++i) {
      const std::size_t at = before.size() + i;
      if (at < width) {
        ++out_.dropped.short_context;
        continue;
      }
      const TokenSpan context = TokenSpan(ids).subspan(at - width, width);
      const bool needs_print = once || !shown_.empty();
      const std::uint64_t print = needs_print ? fingerprint(context) : 0;
      const bool repeated = once && recent.repeats(print);
      if (i < parameters.first_position) {
        ++out_.dropped.short_context;
      } else if (repeated) {
        ++out_.dropped.repeated_context;
      } else if (shown_.contains(print)) {
        ++out_.dropped.prompt_context;
      } else {
        out_.contexts.insert(out_.contexts.end(), context.begin(), context.end());
        out_.tokens.push_back(response[i]);
        out_.positions.push_back(out_.text_tokens + i);
      }
    }
    out_.text_tokens += response.size();
  }

  const ForeignProfile* profile_;
  std::unordered_set<std::uint64_t> shown_;
  ForeignTuples out_{};
};

}  // namespace

Result<ForeignTuples> collect(const ForeignProfile& profile, const TokenText& text) {
  COUNTERMARK_CHECK(check_ids(profile, text));
  return Collector(profile, text).take();
}

ForeignScores score(const ForeignMark& mark, const ForeignTuples& tuples) {
  const std::size_t size = tuples.tokens.size();
  std::vector<PrfInput> inputs(size);
  mark.inputs(0, tuples.contexts, tuples.tokens, inputs);

  std::vector<std::uint64_t> prints(size);
  for (std::size_t i = 0; i < size; ++i) prints[i] = fingerprint(inputs[i]);
  // A process without a kernel has stopped before.
  const auto kernel = active_kernel();
  FingerprintSet seen(kernel ? **kernel : countermark_kernel_portable);
  std::vector<std::uint8_t> fresh;
  seen.insert(prints, fresh);
  ForeignScores out;
  for (std::size_t i = 0; i < size; ++i)
    if (fresh[i] != 0) out.tuples.push_back(static_cast<std::uint32_t>(i));

  const auto keep = [&out](std::vector<PrfInput>& all) {
    for (std::size_t i = 0; i < out.tuples.size(); ++i) all[i] = all[out.tuples[i]];
    all.resize(out.tuples.size());
  };
  keep(inputs);
  std::vector<std::uint64_t> raws(inputs.size());
  std::vector<std::uint32_t> units(inputs.size());
  mark.raw_values(0, inputs, raws);
  scores(mark, raws, units);
  out.scores.assign(units.begin(), units.end());
  if (mark.keys() == 1) return out;

  const NullModel model = mark.null_model();
  inputs.resize(size);
  mark.inputs(1, tuples.contexts, tuples.tokens, inputs);
  keep(inputs);
  mark.raw_values(1, inputs, raws);
  scores(mark, raws, units);
  for (std::size_t i = 0; i < units.size(); ++i)
    out.scores[i] = model.a * out.scores[i] + model.b * units[i];
  return out;
}

Tally tally(const ForeignMark& mark, const ForeignTuples& tuples) {
  Tally out;
  for (const std::uint64_t score : score(mark, tuples).scores) out += Tally{1, score};
  return out;
}

}  // namespace countermark::detect
