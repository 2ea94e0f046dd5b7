// SPDX-License-Identifier: Apache-2.0
#include "verifier/selftest.h"

#include <array>

#include "verifier/detect/detector.h"
#include "verifier/stats/tail.h"
#include "watermark/sampler.h"

namespace countermark {
namespace {

EpochKey known_key() {
  std::array<std::uint8_t, 32> master{};
  for (std::size_t i = 0; i < master.size(); ++i) master[i] = static_cast<std::uint8_t>(i);
  return *MasterKey(Secret<32>(master)).epoch("demo-model", "2026-11");
}

// The vectors printed at the end of docs/mark.md.
bool known_words(const Kernel& kernel) {
  const auto profile = Profile::create({{LayerKind::kShared, 1, 0, 1},
                                        {LayerKind::kShared, 2, 0, 1},
                                        {LayerKind::kAccount, 4, kShareTotal, 1}},
                                       std::nullopt);
  const auto mark = NativeMark::create(known_key(), *profile, &kernel);
  const std::array<TokenId, 4> context = {1, 2, 3, 4};
  const std::array<TokenId, 6> tokens = {0, 1, 7, 8, 50256, 0xffffffff};
  std::array<std::uint32_t, 6> words{};
  const auto route = mark->route(context);
  if (!route || to_hex(route->state) != "f100e0b38d0fb84fa25faa1167d83698") return false;
  mark->words(*route, mark->tag(2, "account-7", 0), tokens, words);
  return words == std::array<std::uint32_t, 6>{2569037125, 4033848748, 643692584,
                                               3065217693, 3667263588, 2419510211};
}

bool known_scores() {
  return exponential_score(0) == 0 && exponential_score(0x80000000) == 726812 &&
         exponential_score(0xfffffffe) == 22531337 && exponential_score(0xffffffff) == 23258154;
}

bool known_tails() {
  // Gamma(3, 1) beyond 10: 61 e^-10; Binomial(10, 1/2) at 8 or more: 56 / 1024.
  return stats::gamma_tail_digits(3, std::uint64_t{10} << 20, 25) ==
             "2.769395715511575943671082e-3" &&
         stats::binomial_tail_digits(10, 8, 1, 2, 25) == "5.468750000000000000000000e-2";
}

// Two hundred draws from a flat row of 64 tokens, read back: found by its own account, and by no
// other key.
bool embed_and_detect(const Kernel& kernel) {
  const EpochKey key = known_key();
  const auto mark = NativeMark::create(key, Profile::defaults(), &kernel);
  Response response(*mark, {"cohort", "alice"}, "nonce", Secret<16>(), 200);
  const std::array<float, 64> logits{};
  SamplerWorkspace workspace;
  for (int i = 0; i < 200; ++i) {
    const auto draw = sample({logits}, {}, response, {}, 0, workspace);
    if (!draw || !response.commit(draw->token)) return false;
  }
  text::Document document;
  document.segments.push_back({"", {response.tokens().begin(), response.tokens().end()}, true});
  const auto verdict = [&document](const EpochKey& tested) {
    const auto detector =
        detect::Detector::create(tested, Profile::defaults(), nullptr, {"cohort", "alice", {}}, {});
    const auto detection = detector ? detector->detect(document) : fail(detector.error());
    return detection ? detection->verdict : detect::Verdict::kWithheld;
  };
  return verdict(key) == detect::Verdict::kDetected &&
         verdict(key.decoy({}, 0)) == detect::Verdict::kNotDetected;
}

}  // namespace

Result<std::vector<SelfCheck>> self_test() {
  COUNTERMARK_TRY(const Kernel* active, active_kernel());
  std::vector<SelfCheck> checks;
  for (const Kernel* kernel : all_kernels())
    if (kernel->supported() != 0)
      checks.push_back({std::string("words of the specification, kernel ") + kernel->name,
                        known_words(*kernel)});
  checks.push_back({"scores of the specification", known_scores()});
  checks.push_back({"gamma and binomial tails", known_tails()});
  checks.push_back({std::string("a mark is embedded and found, kernel ") + active->name,
                    embed_and_detect(*active)});
  return checks;
}

}  // namespace countermark
