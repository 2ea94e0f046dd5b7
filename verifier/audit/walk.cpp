// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/walk.h"

#include <algorithm>
#include <memory>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "verifier/detect/fingerprint_set.h"
#include "watermark/kernels/dispatch.h"

namespace countermark::audit {
namespace {

using detect::FingerprintSet;
using scan::Sheet;

// A process without a kernel has stopped before.
const Kernel& kernel() {
  const auto active = active_kernel();
  return active ? **active : countermark_kernel_portable;
}

stats::EValue bet(const NullModel& model, const detect::Tally& tally) {
  switch (model.law) {
    case NullLaw::kExponentialBound:
      return stats::tilted(tally.n, tally.sum);
    case NullLaw::kGreenList:
    case NullLaw::kGreen:
      return stats::green_bet(tally.n, tally.sum, model.a, model.b);
    case NullLaw::kBits:
      return stats::green_bet(tally.n * model.a, tally.sum, 1, 2);
    case NullLaw::kTwoExponentialBounds:
      break;
  }
  return {};
}

// A place of the order, and what is scored there.
struct Step {
  std::uint64_t order = 0;
  std::size_t channel = 0;
  detect::Tally score{};  // of one slot, or of all
};

bool comes_before(const Step& a, const Step& b) { return a.order < b.order; }

class Walker {
 public:
  Walker(const scan::Test& test, const Material& material, std::optional<std::uint64_t> planned)
      : test_(&test),
        material_(&material),
        planned_(planned),
        scorer_(test.scorer(scan::Columns::kScoresAndContexts)),
        parts_(test.lanes().size()),
        stream_of_(test.lanes().size()),
        seen_(test.lanes().size(), FingerprintSet(kernel())),
        logged_(test.lanes().size()) {
    // Of one list two tokens are not independent, and a bet goes token by token.
    once_a_context_ =
        material.order == Order::kAsRead || test.null_model().law == NullLaw::kGreenList;
    out_.streams.resize(test.streams().size());
    for (std::size_t i = 0; i < test.streams().size(); ++i)
      for (const scan::StreamPart& part : test.streams()[i].parts) {
        parts_[part.channel] = part;
        stream_of_[part.channel] = i;
      }
  }

  Result<Walk> run(const std::function<void(std::uint64_t)>& done) {
    if (!test_->tells_contexts_apart())
      return fail(
          ErrorCode::kUnsupported,
          test_->subject().scheme +
              " with self-salting seeds a list by the token itself: no tuple of marked text "
              "can be known to be no copy");
    if (is_logged())
      for (const Exhibit& each : material_->texts) scorer_->exclude(each.text);
    for (const Exhibit& each : material_->log) COUNTERMARK_CHECK(add_log(each));
    for (const Exhibit& each : material_->texts) {
      COUNTERMARK_CHECK(add(each));
      if (done) done(tokens_of(each));
    }
    finish();
    return std::move(out_);
  }

 private:
  static std::uint64_t tokens_of(const Exhibit& exhibit) {
    std::uint64_t out = 0;
    for (const detect::TokenSegment& segment : exhibit.text) out += segment.ids.size();
    return out;
  }

  // The lanes of a channel that count in a text: first, and one past the last.
  Result<std::pair<std::size_t, std::size_t>> lanes(const Exhibit& exhibit,
                                                    std::size_t channel) const {
    const scan::StreamPart& part = parts_[channel];
    if (part.layer >= exhibit.slots.size())
      return std::pair(std::size_t{0}, std::size_t{part.slots});
    const std::size_t slot = exhibit.slots[part.layer];
    if (slot >= part.slots)
      return fail(ErrorCode::kMismatch,
                  "slot " + std::to_string(slot) + " of layer " + std::to_string(part.layer) +
                      ", of which the profile has " + std::to_string(part.slots));
    return std::pair(slot, slot + 1);
  }

  // Where each context of the log stands first, and in which slot.
  Status add_log(const Exhibit& exhibit) {
    COUNTERMARK_CHECK(scorer_->score(exhibit.text, sheets_));
    for (std::size_t channel = 0; channel < sheets_.size(); ++channel) {
      COUNTERMARK_TRY(const auto counted, lanes(exhibit, channel));
      const Sheet& sheet = sheets_[channel];
      for (std::size_t i = 0; i < sheet.contexts.size(); ++i)
        logged_[channel].try_emplace(
            sheet.contexts[i],
            Logged{logged_tokens_ + sheet.positions[i], static_cast<std::uint32_t>(counted.first),
                   static_cast<std::uint32_t>(counted.second)});
    }
    logged_tokens_ += tokens_of(exhibit);
    return {};
  }

  Status add(const Exhibit& exhibit) {
    // Of later texts nothing may be known: whether somebody brings up a token again may depend on
    // which one the key chose.
    if (!is_logged()) scorer_->exclude(exhibit.text);
    COUNTERMARK_TRY(const scan::Reading reading, scorer_->score(exhibit.text, sheets_));
    out_.dropped += reading.dropped;
    for (std::size_t channel = 0; channel < sheets_.size(); ++channel) {
      COUNTERMARK_TRY(const auto counted, lanes(exhibit, channel));
      add_channel(channel, counted);
    }
    out_.tokens += tokens_of(exhibit);
    if (material_->order != Order::kAsLogged) take();
    return {};
  }

  void add_channel(std::size_t channel, std::pair<std::size_t, std::size_t> counted) {
    const Sheet& sheet = sheets_[channel];
    out_.contexts += sheet.contexts.size();
    out_.repeated +=
        sheet.contexts.size() -
        seen_[channel].insert(once_a_context_ && !is_logged() ? sheet.contexts : sheet.fingerprints,
                              fresh_);
    for (std::size_t i = 0; i < sheet.contexts.size(); ++i) {
      if (fresh_[i] == 0) continue;
      std::uint64_t order = out_.tokens + sheet.positions[i];
      if (is_logged()) {
        const auto place = logged_[channel].find(sheet.contexts[i]);
        if (place == logged_[channel].end()) {
          ++out_.not_logged;
          continue;
        }
        order = place->second.order;
        counted = {place->second.first, place->second.last};
      }
      Step& step = steps_.emplace_back(Step{order, channel, {}});
      for (std::size_t lane = counted.first; lane < counted.second; ++lane)
        step.score += detect::Tally{1, sheet.scores[lane][i]};
    }
  }

  // What has been collected, in its order; tuples of one place of a log in that of the answers.
  void take() {
    std::stable_sort(steps_.begin(), steps_.end(), comes_before);
    const Step* last = nullptr;
    for (const Step& step : steps_) {
      const bool again = once_a_context_ && last != nullptr && last->order == step.order;
      last = &step;
      if (again) {
        ++out_.repeated;
        continue;
      }
      if (planned_ && out_.all.tally.n + step.score.n > *planned_) {
        ++out_.behind_the_first;
        continue;
      }
      out_.all.tally += step.score;
      out_.streams[stream_of_[step.channel]].tally += step.score;
      if (is_logged() && out_.all.tally.n % kLook == 0) look();
    }
    steps_.clear();
    look();
  }

  void look() {
    out_.all.look(test_->null_model());
    if (out_.path.empty() || out_.path.back().tally.n < out_.all.tally.n)
      out_.path.push_back(out_.all);
    for (RunningSum& stream : out_.streams) stream.look(test_->null_model());
  }

  void finish() { take(); }

  bool is_logged() const noexcept { return material_->order == Order::kAsLogged; }

  // Scores between two looks at the bets, which take as long as some ten scores.
  static constexpr std::uint64_t kLook = 256;

  struct Logged {
    std::uint64_t order;
    std::uint32_t first;
    std::uint32_t last;
  };

  const scan::Test* test_;
  const Material* material_;
  std::optional<std::uint64_t> planned_;
  std::unique_ptr<scan::Scorer> scorer_;
  bool once_a_context_ = false;
  // By channel.
  std::vector<scan::StreamPart> parts_;
  std::vector<std::size_t> stream_of_;
  std::vector<FingerprintSet> seen_;
  std::vector<std::unordered_map<std::uint64_t, Logged>> logged_;
  std::uint64_t logged_tokens_ = 0;
  Walk out_{};
  // Reused from text to text.
  std::vector<Sheet> sheets_{};
  std::vector<std::uint8_t> fresh_{};
  std::vector<Step> steps_{};
};

}  // namespace

bool has_bet(const NullModel& model) noexcept {
  return model.law != NullLaw::kTwoExponentialBounds;
}

void RunningSum::look(const NullModel& model) {
  if (tally.n == 0) return;
  e_value = bet(model, tally);
  if (e_value.units() > most.units()) most = e_value;
}

Result<Walk> walk(const scan::Test& test, const Material& material,
                  std::optional<std::uint64_t> planned,
                  const std::function<void(std::uint64_t)>& done) {
  return Walker(test, material, planned).run(done);
}

}  // namespace countermark::audit
