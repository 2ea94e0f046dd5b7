// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/round_trip.h"

#include <string>
#include <utility>

#include "verifier/detect/report_parts.h"

namespace countermark::audit {
namespace {

constexpr std::size_t kLongestCharacter = 4;  // bytes

bool gives_back(const text::Tokenizer& tokenizer) {
  const std::string text = "It isn't (a-b) \"c\", no. 3/4?";
  const auto ids = tokenizer.encode(text);
  if (!ids) return false;
  const auto back = tokenizer.decode(*ids);
  return back && (*back == text || *back == " " + text);
}

struct Cut {
  std::vector<TokenId> ids;
  std::size_t left_out;  // bytes of a character at the end that is not whole
};

// The text cut again; nothing where it is no UTF-8.
std::optional<Cut> cut_again(const text::Tokenizer& tokenizer, std::string_view text) {
  auto again = tokenizer.encode(text);
  if (again) return Cut{*std::move(again), 0};
  const std::size_t bad = again.error().offset.value_or(0);
  if (bad >= text.size() || text.size() - bad >= kLongestCharacter) return std::nullopt;
  again = tokenizer.encode(text.substr(0, bad));
  if (!again) return std::nullopt;
  return Cut{*std::move(again), text.size() - bad};
}

}  // namespace

// At the beginning of a text some tokenizers leave out a space.
std::int64_t RoundTrip::length(TokenId id) {
  if (id >= lengths_.size()) lengths_.resize(std::size_t{id} + 1, -1);
  std::int64_t& out = lengths_[id];
  if (out >= 0) return out;
  if (before_.empty()) before_ = tokenizer_->encode("a").value_or(std::vector<TokenId>{});
  std::vector<TokenId> both = before_;
  both.push_back(id);
  const auto with = tokenizer_->decode(both);
  const auto without = tokenizer_->decode(before_);
  out = with && without ? static_cast<std::int64_t>(with->size() - without->size()) : 0;
  return out;
}

// "<|im_start|>", which as text is cut like any other, or nothing at all.
bool RoundTrip::is_control(TokenId id) const {
  const auto spelled = tokenizer_->decode(TokenSpan(&id, 1));
  return spelled && (spelled->empty() ||
                     (spelled->size() > 2 && spelled->front() == '<' && spelled->back() == '>'));
}

std::int64_t RoundTrip::length(TokenSpan ids) {
  std::int64_t out = 0;
  for (const TokenId id : ids) out += length(id);
  return out;
}

void RoundTrip::add(TokenSpan ids) {
  if (tokenizer_ == nullptr || tokens_ >= most_) return;
  for (const TokenId id : ids) tokens_ += is_control(id) ? 0U : 1U;
  const auto text = tokenizer_->decode(ids);
  if (!text) return;
  const auto again = cut_again(*tokenizer_, *text);
  if (!again) return;
  // Places count from the end: a space may be missing at the beginning.
  std::int64_t left = length(ids) - static_cast<std::int64_t>(again->left_out);
  std::int64_t left_again = length(again->ids);
  for (std::size_t i = 0, j = 0; i < ids.size() && j < again->ids.size();) {
    if (left == left_again && ids[i] == again->ids[j] && !is_control(ids[i])) ++same_;
    const bool is_behind = left >= left_again;
    const bool is_ahead = left <= left_again;
    if (is_behind) left -= length(ids[i++]);
    if (is_ahead) left_again -= length(again->ids[j++]);
  }
}

Check RoundTrip::check() const {
  if (tokenizer_ == nullptr)
    return {"tokenizer", Check::State::kNotRun,
            "the profile names no tokenizer: nobody knows whether the ids are of its own"};
  if (tokens_ == 0) return {"tokenizer", Check::State::kNotRun, "there are no ids"};
  if (!gives_back(*tokenizer_))
    return {"tokenizer", Check::State::kNotRun,
            "the profile's tokenizer does not give texts back: nobody knows whether the ids are "
            "its own"};
  const double share = static_cast<double>(same_) / static_cast<double>(tokens_);
  return {"tokenizer", share < kRoundTrip ? Check::State::kFailed : Check::State::kPassed,
          detect::fixed(100 * share, 1) + " % of " + std::to_string(tokens_) +
              " ids come back when the profile's tokenizer cuts their text again"};
}

}  // namespace countermark::audit
