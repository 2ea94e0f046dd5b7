// SPDX-License-Identifier: Apache-2.0
// Null study of other systems' marks: how the tail of each scheme's law behaves on real human text
// that has nothing to do with any key.
//
// The text is fixed and the keys are drawn; the key is the unit. For each key the whole text gives
// one pooled p-value, each PRF input counted once in all of it, and each document one of its own.
// Documents share a key and many of their tuples, so the errors of their rates are taken from key
// to key. Where a rate is too large by more than chance, the scheme's PRF is not what its law
// assumes: that is measured here and written down, and such a scheme's verdicts rest on decoys.
//
// Usage: study_foreign_null PROFILE KEYS LIST_KEYS SHORT_KEYS SHORT_TOKENS FILE...
// KEYS for schemes of nanoseconds a token, LIST_KEYS for those that permute the vocabulary, which
// are looked at with SHORT_KEYS on the first SHORT_TOKENS tokens, too.
#include <algorithm>
#include <cmath>
#include <mutex>
#include <optional>

#include "tests/studies/common.h"
#include "tests/studies/documents.h"
#include "verifier/detect/foreign_tape.h"
#include "verifier/detect/policy.h"
#include "verifier/io/load.h"
#include "verifier/stats/limits.h"

namespace countermark::studies {
namespace {

using detect::Tally;
using stats::PValue;

constexpr const char* kStudy = "foreign null study 1";

struct Case {
  const char* name;
  std::string profile;
  const char* key;  // whose form the drawn keys have
  bool lists;       // permutes the vocabulary for every list
  // Draws integers below this instead of 63 bits; 0: does not.
  std::uint64_t below = 0;
  // Whose law is known not to hold: measured, not checked.
  bool weak = false;
};

std::vector<Case> cases(std::uint32_t vocabulary) {
  const auto of = [](const char* scheme, const std::string& more) {
    return "{\"scheme\":\"" + std::string(scheme) + "\"" + more + "}";
  };
  const std::string lists = ",\"vocabSize\":" + std::to_string(vocabulary);
  std::string thirty = "ints:1";
  for (int i = 1; i < 30; ++i) thirty += ",1";
  static const std::string kThirty = thirty;
  return {
      {"vllm-gumbel", of("vllm-gumbel/philox4x32-10-v1", ""), "int:1", false},
      {"vllm-dual-gumbel", of("vllm-dual-gumbel/philox4x32-10-v1", ""), "int:1", false},
      {"vllm-sbw selfhash", of("vllm-sbw/1", ""), "int:1", false},
      {"vllm-sbw lefthash", of("vllm-sbw/1", ",\"prf\":\"lefthash\""), "int:1", false},
      {"vllm-synthid", of("vllm-synthid/1", ""), "int:1", false},
      {"sglang-gumbel", of("sglang-gumbel/1", ""), "hex:0123456789abcdef", false},
      {"sglang-dual-gumbel", of("sglang-dual-gumbel/1", ""), "hex:0123456789abcdef0123456789abcdef",
       false},
      {"hf-synthid", of("hf-synthid/1", ""), kThirty.c_str(), false, 0, true},
      {"hf-synthid, keys < 1000", of("hf-synthid/1", ""), kThirty.c_str(), false, 1000, true},
      {"synthid-text", of("synthid-text/2025-06", ""), kThirty.c_str(), false, 0, true},
      {"synthid-text, keys < 1000", of("synthid-text/2025-06", ""), kThirty.c_str(), false, 1000,
       true},
      {"textseal gumbelmax", of("textseal/1", ""), "int:1", false, 0, true},
      {"textseal gumbelmax, width 2", of("textseal/1", ",\"contextWidth\":2"), "int:1", false, 0,
       true},
      {"textseal textseal", of("textseal/1", ",\"prf\":\"textseal\",\"contextWidth\":2"), "int:1",
       false, 0, true},
      {"textseal greenlist", of("textseal/1", ",\"prf\":\"greenlist\""), "int:1", false, 0, true},
      {"hf-kgw lefthash", of("hf-kgw/1", lists), "int:1", true},
      {"hf-kgw selfhash", of("hf-kgw/1", lists + ",\"prf\":\"selfhash\",\"contextWidth\":4"),
       "int:1", true},
      {"lm-watermarking selfhash", of("lm-watermarking/1", lists), "int:1", true},
      {"lm-watermarking additive", of("lm-watermarking/1", lists + ",\"prf\":\"additive\""),
       "int:1", true},
      {"tgi-kgw", of("tgi-kgw/1", lists), "int:1", true},
      {"three-bricks-greenlist", of("three-bricks-greenlist/1", lists), "int:1", true},
  };
}

ForeignKey key_of(const Case& which, std::uint64_t index) {
  ForeignKey key = need(ForeignKey::parse(which.key)).decoy(as_bytes(kStudy), index);
  if (which.below == 0) return key;
  std::string text = "ints:";
  for (const KeyInteger& value : key.integers())
    text += (text.back() == ':' ? "" : ",") + std::to_string(value.bits % which.below);
  return need(ForeignKey::parse(text));
}

// Mean and variance of one tuple's score under the law, in the statistic's units.
std::pair<double, double> moments(const NullModel& model) {
  const auto a = static_cast<double>(model.a);
  const auto b = static_cast<double>(model.b);
  switch (model.law) {
    case NullLaw::kExponentialBound:
      return {0x1p20, 0x1p40};
    case NullLaw::kTwoExponentialBounds:
      return {(a + b) * 0x1p20, (a * a + b * b) * 0x1p40};
    case NullLaw::kGreenList:
    case NullLaw::kGreen:
      return {a / b, a / b * (1 - a / b)};
    case NullLaw::kBits:
      return {a / 2, a / 4};
  }
  return {};
}

double z_of(const NullModel& model, const Tally& tally) {
  const auto [mean, variance] = moments(model);
  const auto n = static_cast<double>(tally.n);
  return (static_cast<double>(tally.sum) - n * mean) / std::sqrt(n * variance);
}

constexpr std::array<double, 3> kLevels = {1e-2, 1e-3, 1e-4};

// What one key gave.
struct OfKey {
  double pooled = 1;
  double pooled_z = 0;
  std::uint64_t pooled_n = 0;
  std::array<double, kLevels.size()> counts{};  // documents at or below each level
};

OfKey measure(const ForeignMark& mark, const detect::ForeignTuples& all,
              const std::vector<detect::ForeignTuples>& documents) {
  OfKey out;
  const NullModel model = mark.null_model();
  const Tally pooled = detect::tally(mark, all);
  out.pooled = detect::tail(model, pooled).to_double();
  out.pooled_z = z_of(model, pooled);
  out.pooled_n = pooled.n;
  for (const detect::ForeignTuples& document : documents) {
    const Tally tally = detect::tally(mark, document);
    // Below this no law here has a tail of 1e-2: the exact tail is left out.
    if (tally.n == 0 || z_of(model, tally) < 1.5) continue;
    const double p = detect::tail(model, tally).to_double();
    for (std::size_t i = 0; i < kLevels.size(); ++i) out.counts[i] += p <= kLevels[i] ? 1 : 0;
  }
  return out;
}

// The sum over keys of a count, its expectation, and its standard error from key to key.
struct Rate {
  double ratio = 0;  // to the level
  double error = 0;
};

Rate rate(const std::vector<OfKey>& keys, std::size_t level, std::size_t documents) {
  double sum = 0;
  for (const OfKey& key : keys) sum += key.counts[level];
  const double mean = sum / static_cast<double>(keys.size());
  double squares = 0;
  for (const OfKey& key : keys) squares += std::pow(key.counts[level] - mean, 2);
  const double expected = static_cast<double>(documents) * kLevels[level];
  const double variance = squares / static_cast<double>(keys.size() - 1);
  return {mean / expected, std::sqrt(variance / static_cast<double>(keys.size())) / expected};
}

void study(const Case& which, std::uint64_t keys,
           const std::vector<std::vector<TokenId>>& documents, Checks& checks) {
  const ForeignProfile profile = need(ForeignProfile::parse(which.profile));
  detect::TokenText text;
  std::vector<detect::ForeignTuples> tuples;
  for (const auto& document : documents) {
    text.push_back({document, true});
    tuples.push_back(need(detect::collect(profile, {{document, true}})));
  }
  const detect::ForeignTuples all = need(detect::collect(profile, text));

  std::vector<OfKey> of_keys(keys);
  in_parallel(keys, which.name, [&](std::uint64_t k) {
    const SharedForeignMark mark = need(ForeignMark::create(profile, key_of(which, k)));
    of_keys[k] = measure(*mark, all, tuples);
  });

  double z = 0;
  double n = 0;
  for (const OfKey& key : of_keys) {
    z += key.pooled_z / static_cast<double>(keys);
    n += static_cast<double>(key.pooled_n) / static_cast<double>(keys);
  }
  double variance = 0;
  for (const OfKey& key : of_keys)
    variance += std::pow(key.pooled_z - z, 2) / static_cast<double>(keys - 1);
  std::printf("%-27s %4llu %8.0f", which.name, static_cast<unsigned long long>(keys), n);
  bool fits = true;
  for (const double level : {1e-1, 1e-2}) {
    const auto count = static_cast<std::uint64_t>(std::count_if(
        of_keys.begin(), of_keys.end(), [level](const OfKey& key) { return key.pooled <= level; }));
    const std::uint64_t most = stats::binomial_interval(keys, level, 0.999).most;
    std::printf("  %3llu/%-3llu", static_cast<unsigned long long>(count),
                static_cast<unsigned long long>(most));
    fits = fits && count <= most;
  }
  std::printf("  %5.2f %5.2f", z, variance);
  for (std::size_t i = 0; i < kLevels.size(); ++i) {
    const Rate of_level = rate(of_keys, i, documents.size());
    std::printf("  %5.2f+-%-4.2f", of_level.ratio, of_level.error);
    // False alarm about 3e-5 a cell; few events have a skewed law, which one event more covers.
    const double one =
        1 / (static_cast<double>(keys) * static_cast<double>(documents.size()) * kLevels[i]);
    fits = fits && of_level.ratio <= 1 + 4 * of_level.error + one;
  }
  std::printf("  %s\n", fits ? "fits" : which.weak ? "INFLATED: weak PRF" : "FAIL");
  std::fflush(stdout);
  if (!fits && !which.weak) checks.add(which.name, false);
}

}  // namespace
}  // namespace countermark::studies

int main(int argc, char** argv) {
  using namespace countermark;
  using namespace countermark::studies;
  if (argc < 7) {
    std::fprintf(stderr,
                 "usage: study_foreign_null PROFILE KEYS LIST_KEYS SHORT_KEYS SHORT_TOKENS FILE\n");
    return 2;
  }
  const auto number = [argv](int i) { return std::strtoull(argv[i], nullptr, 10); };
  const Profile profile = need(io::load_profile(argv[1]));
  const auto tokenizer = need(io::load_tokenizer_of(profile.tokenizer(), argv[1], ""));
  auto documents =
      read_documents(*tokenizer, std::vector<std::string>(argv + 6, argv + argc), true);
  std::vector<std::vector<TokenId>> first;
  std::size_t tokens = 0;
  for (const auto& document : documents) {
    if (tokens < number(5)) first.push_back(document);
    tokens += document.size();
  }
  std::printf("%zu tokens in %zu documents, vocabulary %zu\n", tokens, documents.size(),
              tokenizer->vocab_size());
  std::printf(
      "%-27s %4s %8s  pooled <= .1, .01 (most)  z: mean, variance; documents: rate / level at "
      "1e-2, "
      "1e-3, 1e-4\n",
      "scheme", "keys", "tuples");
  Checks checks;
  for (const Case& which : cases(static_cast<std::uint32_t>(tokenizer->vocab_size()))) {
    study(which, which.lists ? number(2 + 1) : number(2), documents, checks);
    if (which.lists) study(which, number(4), first, checks);
  }
  checks.add("every scheme whose law is relied on keeps it", checks.exit_code() == 0);
  return checks.exit_code();
}
