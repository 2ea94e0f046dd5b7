// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/round_trip.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "verifier/detect/report_parts.h"
#include "watermark/utf8.h"

namespace countermark::audit {
namespace {

bool gives_back(const text::Tokenizer& tokenizer) {
  const std::string text = "It isn't (a-b) \"c\", no. 3/4?";
  const auto ids = tokenizer.encode(text);
  if (!ids) return false;
  const auto back = tokenizer.decode(*ids);
  return back && (*back == text || *back == " " + text);
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

// From the end: at the beginning a space may be missing.
void RoundTrip::place(TokenSpan ids, std::int64_t end, std::vector<Placed>& out) {
  const auto size = static_cast<std::ptrdiff_t>(out.size());
  for (auto id = ids.rbegin(); id != ids.rend(); ++id) {
    end -= length(*id);
    out.push_back({end, *id});
  }
  std::reverse(out.begin() + size, out.end());
}

void RoundTrip::add(TokenSpan ids) {
  if (tokenizer_ == nullptr || tokens_ >= most_) return;
  for (const TokenId id : ids) tokens_ += is_control(id) ? 0U : 1U;
  const auto text = tokenizer_->decode(ids);
  if (!text) return;
  given_.clear();
  again_.clear();
  place(ids, static_cast<std::int64_t>(text->size()), given_);
  for (std::size_t begin = 0; begin < text->size();) {
    const std::string_view rest = std::string_view(*text).substr(begin);
    const std::string_view whole = rest.substr(0, find_invalid_utf8(rest));
    const auto cut = tokenizer_->encode(whole);
    if (!cut) return;
    place(*cut, static_cast<std::int64_t>(begin + whole.size()), again_);
    begin += whole.size() + 1;
  }
  for (std::size_t i = 0, j = 0; i < given_.size() && j < again_.size();) {
    const auto [begin, id] = given_[i];
    const auto [begin_again, id_again] = again_[j];
    if (begin == begin_again && id == id_again) {
      same_ += is_control(id) ? 0U : 1U;
      ++i;
      ++j;
    } else if (begin < begin_again || (begin == begin_again && length(id) == 0)) {
      ++i;
    } else {
      ++j;
    }
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
