// SPDX-License-Identifier: Apache-2.0
// Null study of the scan: real text under many keys, as `scan` judges a corpus and its documents.
//
// A tuple belongs to the first document of the corpus that has it, and a document is judged by the
// tuples that it owns. The text is fixed and the keys are drawn. For each key one p-value of the
// corpus, and one of each document with enough tuples; both tails are counted. Documents own
// disjoint tuples, so that their p-values are independent under the null.
//
// Usage: study_scan_null KEYS PROFILE FILE
#include <cmath>

#include "tests/studies/common.h"
#include "tests/studies/tail_counts.h"
#include "verifier/detect/policy.h"
#include "verifier/io/load.h"
#include "verifier/scan/scanner.h"
#include "verifier/scan/verdict.h"
#include "verifier/stats/published.h"
#include "verifier/stats/tail.h"

namespace countermark::studies {
namespace {

constexpr const char* kStudy = "scan null study 1";
constexpr std::uint64_t kKeysAtOnce = 10;  // read the text together

int study(std::uint64_t keys, const std::string& profile_file, const std::string& text) {
  const Profile profile = need(io::load_profile(profile_file));
  const std::shared_ptr<const text::Tokenizer> tokenizer =
      need(io::load_tokenizer_of(profile.tokenizer(), profile_file, ""));
  TailCounts corpora;
  TailCounts documents;
  detect::Tally all;
  for (std::uint64_t first = 0; first < keys; first += kKeysAtOnce) {
    scan::Tests tests;
    for (std::uint64_t k = first; k < std::min(keys, first + kKeysAtOnce); ++k)
      tests.add(need(scan::make_test(study_key(kStudy, k), profile, {}, {})), tokenizer);
    scan::ScanOptions options;
    options.inputs = {text};
    options.sample_tokens = 0;
    auto scanned = need(scan::scan(tests, options));
    const scan::Corpus corpus =
        need(scanned->tape.finish([](unsigned, std::size_t, std::span<const std::uint32_t>) {}));
    if (first == 0)
      std::printf("%llu keys, %llu documents, %llu tokens, profile %s\n",
                  static_cast<unsigned long long>(keys),
                  static_cast<unsigned long long>(corpus.documents()),
                  static_cast<unsigned long long>(scanned->summary.tokens),
                  profile.digest().substr(0, 16).c_str());
    for (const detect::Tally& tally : corpus.totals()) {
      corpora.add(stats::gamma_tail(tally.n, tally.sum).to_double());
      all += tally;
    }
    const auto each = [&](const scan::DocumentRow& row) -> Status {
      for (const detect::Tally& tally : row.assigned)
        if (tally.n >= detect::Policy{}.minimum_scored)
          documents.add(
              stats::gumbel_p(tally.n, std::ldexp(static_cast<double>(tally.sum), -20)).p);
      return {};
    };
    need(corpus.each_document(each).map([] { return true; }));
    std::fprintf(stderr, "%llu of %llu keys\n", static_cast<unsigned long long>(corpora.total()),
                 static_cast<unsigned long long>(keys));
  }
  Checks checks;
  corpora.check("corpora", checks);
  documents.check("documents, by the tuples they own", checks);
  const double n = static_cast<double>(all.n);
  const double errors = (std::ldexp(static_cast<double>(all.sum), -20) / n - 1) * std::sqrt(n);
  std::printf("\nmean of %.3g scores %.7f: %+.2f standard errors from the null's 1\n", n,
              1 + errors / std::sqrt(n), errors);
  checks.add("mean score within 4 standard errors", std::abs(errors) <= 4);
  return checks.exit_code();
}

}  // namespace
}  // namespace countermark::studies

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: study_scan_null KEYS PROFILE FILE\n");
    return 2;
  }
  return countermark::studies::study(std::strtoull(argv[1], nullptr, 10), argv[2], argv[3]);
}
