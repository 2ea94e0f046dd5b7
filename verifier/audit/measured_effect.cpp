// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/measured_effect.h"

#include <array>
#include <cassert>

namespace countermark::audit {
namespace {

constexpr std::string_view kRadioactive =
    "Sander et al., \"Watermarking makes language models radioactive\", NeurIPS 2024: Llama-1-7B "
    "after 3,000 steps on answers of Llama-2-7B-chat under KGW with delta 3; excess of green "
    "tokens worked out from the p-values that they print";
constexpr std::string_view kGreenQuarter = "KGW, width 2, gamma 1/4";
constexpr Scale kQuarter = {1, 4};

// p = 1e-5 and 1e-15 of 225,000 tuples; 10,000 of a student of marked text alone.
constexpr std::array<EffectPoint, 3> kOpen = {{{0.05, 0.0039}, {0.10, 0.0073}, {1, 0.052}}};
// p < 1e-30 of 225,000.
constexpr std::array<EffectPoint, 1> kSupervisedOpen = {{{0.01, 0.0105}}};
// 75,000 tuples whose contexts stand in the training text.
constexpr std::array<EffectPoint, 1> kSupervisedClosed = {{{0.01, 0.011}}};
// 600,000 tuples; 30,000 of a student of marked text alone.
constexpr std::array<EffectPoint, 2> kClosed = {{{0.10, 0.0024}, {1, 0.016}}};

constexpr std::string_view kLaboratory =
    "docs/lab.md: 2.5 million parameters after three epochs over 200,000 tokens, means of three "
    "students; large models that read a text once learn less";
constexpr std::string_view kOurs = "ours, shared layer, width 2";

constexpr std::array<EffectPoint, 5> kLabSupervisedOpen = {
    {{0.01, 0.121}, {0.05, 0.173}, {0.10, 0.212}, {0.5, 0.669}, {1, 1.202}}};
constexpr std::array<EffectPoint, 4> kLabOpen = {
    {{0.05, 0.0077}, {0.10, 0.0143}, {0.5, 0.0713}, {1, 0.165}}};
constexpr std::array<EffectPoint, 4> kLabMarkedOpen = {
    {{0.05, 0.0313}, {0.10, 0.0757}, {0.5, 0.436}, {1, 0.879}}};
constexpr std::array<EffectPoint, 4> kLabSupervisedClosed = {
    {{0.05, 0.035}, {0.10, 0.0747}, {0.5, 0.291}, {1, 0.686}}};
// At 10 % within two standard errors of nothing.
constexpr std::array<EffectPoint, 3> kLabClosed = {{{0.10, 0.0087}, {0.5, 0.120}, {1, 0.404}}};

constexpr std::array kEffects = {
    MeasuredEffect{"supervised-open", kGreenQuarter, kQuarter, kSupervisedOpen, false,
                   MeasuredEffect::Bound::kAtLeast, kRadioactive},
    MeasuredEffect{"supervised-open",
                   kOurs,
                   {},
                   kLabSupervisedOpen,
                   false,
                   MeasuredEffect::Bound::kNone,
                   kLaboratory},
    // Of unmarked text nobody has published anything: fewer of its contexts were learned.
    MeasuredEffect{"unsupervised-open", kGreenQuarter, kQuarter, kOpen, true,
                   MeasuredEffect::Bound::kAtMost, kRadioactive},
    MeasuredEffect{
        "unsupervised-open", kOurs, {}, kLabOpen, true, MeasuredEffect::Bound::kNone, kLaboratory},
    MeasuredEffect{"marked-open", kGreenQuarter, kQuarter, kOpen, true,
                   MeasuredEffect::Bound::kNone, kRadioactive},
    MeasuredEffect{
        "marked-open", kOurs, {}, kLabMarkedOpen, true, MeasuredEffect::Bound::kNone, kLaboratory},
    MeasuredEffect{"supervised-closed", kGreenQuarter, kQuarter, kSupervisedClosed, false,
                   MeasuredEffect::Bound::kNone, kRadioactive},
    MeasuredEffect{"supervised-closed",
                   kOurs,
                   {},
                   kLabSupervisedClosed,
                   true,
                   MeasuredEffect::Bound::kNone,
                   kLaboratory},
    MeasuredEffect{"unsupervised-closed", kGreenQuarter, kQuarter, kClosed, true,
                   MeasuredEffect::Bound::kNone, kRadioactive},
    MeasuredEffect{"unsupervised-closed",
                   kOurs,
                   {},
                   kLabClosed,
                   true,
                   MeasuredEffect::Bound::kNone,
                   kLaboratory},
};

double excess_at(const MeasuredEffect& effect, double share) {
  EffectPoint before = effect.points.front();
  if (share < before.share)
    return effect.falls_with_share ? before.excess * share / before.share : before.excess;
  for (const EffectPoint& point : effect.points.subspan(1)) {
    if (share < point.share) {
      const double part = (share - before.share) / (point.share - before.share);
      return before.excess + part * (point.excess - before.excess);
    }
    before = point;
  }
  return before.excess;
}

}  // namespace

std::span<const MeasuredEffect> measured_effects() noexcept { return kEffects; }

EffectAt effect_at(const MeasuredEffect& effect, double share) noexcept {
  assert(share > 0 && share <= 1 && !effect.points.empty());
  bool is_measured = false;
  for (const EffectPoint& point : effect.points) is_measured |= point.share == share;
  return {effect.scale.chance() + excess_at(effect, share), is_measured};
}

}  // namespace countermark::audit
