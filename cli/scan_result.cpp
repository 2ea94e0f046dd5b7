// SPDX-License-Identifier: Apache-2.0
#include "cli/scan_result.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "cli/progress.h"
#include "verifier/scan/decoys.h"
#include "verifier/scan/report.h"
#include "verifier/text/inputs.h"
#include "verifier/text/reader.h"

namespace countermark::cli {
namespace {

// A file that is written line by line under another name, and put in place when it is whole.
class LinesFile {
 public:
  explicit LinesFile(std::string path)
      : path_(std::move(path)), partial_(path_ + ".part"), out_(partial_, std::ios::binary) {}

  Status write(std::string_view bytes) {
    out_.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return out_ ? Status() : failed();
  }

  Status close() {
    out_.close();
    if (!out_ || std::rename(partial_.c_str(), path_.c_str()) != 0) return failed();
    return {};
  }

 private:
  Status failed() const { return fail(Error{ErrorCode::kIo, "cannot be written", path_}); }

  std::string path_;
  std::string partial_;
  std::ofstream out_;
};

Status write_documents(const std::string& path, const scan::Report& report,
                       const scan::Corpus& corpus) {
  LinesFile file(path);
  Progress progress("documents", report.summary.documents);
  COUNTERMARK_CHECK(scan::write_documents(report, corpus, [&](std::string_view line) -> Status {
    progress.advance();
    return file.write(line);
  }));
  return file.close();
}

Result<std::vector<text::Document>> read_works(const std::vector<std::string>& quoted) {
  std::vector<text::Document> out;
  if (quoted.empty()) return out;
  COUNTERMARK_TRY(const std::vector<std::string> inputs, text::expand_inputs(quoted));
  for (const std::string& input : inputs) {
    COUNTERMARK_TRY(const auto reader, text::open_documents(input, {}));
    for (;;) {
      COUNTERMARK_TRY(std::optional<text::Document> work, reader->next());
      if (!work) break;
      out.push_back(std::move(*work));
    }
  }
  return out;
}

// All of them, as what nobody is judged by.
Result<scan::Shown> tokens_of(const std::vector<text::Document>& works,
                              const text::Tokenizer* tokenizer) {
  auto out = std::make_shared<detect::TokenText>();
  for (const text::Document& work : works) {
    COUNTERMARK_TRY(detect::TokenText text, detect::tokenize(work, tokenizer));
    for (detect::TokenSegment& segment : text) {
      segment.scored = false;
      out->push_back(std::move(segment));
    }
  }
  return scan::Shown(std::move(out));
}

int status_of(const std::vector<scan::TestResult>& results) {
  bool no_verdict = false;
  for (const scan::TestResult& result : results) {
    if (result.finding.verdict == detect::Verdict::kDetected) return kDone;
    no_verdict = no_verdict || result.finding.verdict != detect::Verdict::kNotDetected;
  }
  return no_verdict ? kNoVerdict : kNotDetected;
}

}  // namespace

void ScanTestFlags::add_claim_flags(CLI::App& app, bool needs_key) {
  pairs.add_flags(app, needs_key);
  app.add_option("--account", account, "Claimed account")->type_name("ID");
  app.add_option("--cohort", cohort, "Claimed cohort")->type_name("ID");
}

void ScanTestFlags::add_flags(CLI::App& app) {
  add_claim_flags(app);
  app.add_option("--alpha", alpha, "Largest p-value of the corpus that counts as detected")
      ->capture_default_str()
      ->check(CLI::Range(1e-300, 0.5));
  app.add_option("--quoted", quoted,
                 "Works that the documents may quote: contexts in them are not scored")
      ->type_name("INPUT");
}

Result<scan::Tests> ScanTestFlags::load(const std::vector<text::Document>& also,
                                        std::optional<stats::PValue> level) const {
  COUNTERMARK_TRY(const std::vector<Pair> all, load_pairs(pairs));
  COUNTERMARK_TRY(std::vector<text::Document> works, read_works(quoted));
  works.insert(works.end(), also.begin(), also.end());
  std::map<const text::Tokenizer*, scan::Shown> shown;
  detect::Policy policy;
  policy.alpha = level.value_or(stats::PValue::from_decimal(alpha));
  policy.tests = all.size();
  scan::Tests out;
  for (const Pair& pair : all) {
    const auto* foreign = std::get_if<ForeignProfile>(&pair.profile);
    if (foreign != nullptr && (!account.empty() || !cohort.empty()))
      return fail(Error{
          ErrorCode::kInvalidArgument,
          std::string(foreign->scheme().id) + " has no accounts: leave out --account and --cohort",
          pair.profile_path});
    scan::Shown& of_tokenizer = shown[pair.tokenizer.get()];
    if (!works.empty() && !of_tokenizer) {
      COUNTERMARK_TRY(of_tokenizer, tokens_of(works, pair.tokenizer.get()));
    }
    auto test =
        foreign != nullptr
            ? scan::make_test(std::get<ForeignKey>(pair.key), *foreign, policy, of_tokenizer)
            : scan::make_test(std::get<EpochKey>(pair.key), std::get<Profile>(pair.profile),
                              {.cohort = cohort, .account = account}, policy, of_tokenizer);
    if (!test) return fail(std::move(test).error().in_file(pair.profile_path));
    out.add(std::move(*test), pair.tokenizer);
  }
  return out;
}

void ScanResultFlags::add_flags(CLI::App& app) {
  app.add_option("--documents", documents,
                 "Write a line of JSON for each document here (countermark.scan-document/1)")
      ->type_name("FILE");
  app.add_option("--list-level", list_level, "False discovery rate of the list of documents")
      ->capture_default_str()
      ->check(CLI::Range(1e-12, 0.5));
  app.add_option("--share-alpha", share_alpha,
                 "One minus the confidence of the lower bound of the marked share")
      ->capture_default_str()
      ->check(CLI::Range(1e-12, 0.5));
  app.add_option("--decoys", decoys, "Random keys for the line-up; 0: none")
      ->capture_default_str()
      ->type_name("N")
      ->check(CLI::Range(0, 1'000'000));
  app.add_option("--decoy-seed", decoy_seed, "Seed of the decoys, chosen by the other side")
      ->type_name("HEX");
  app.add_option("--threads", threads, "0: one a processor")->capture_default_str();
  app.add_flag("--json", json, "One object of JSON (countermark.scan/1)");
  app.add_flag("--exit-status", exit_status,
               "Exit 0 if a test's corpus is detected, else 5 (no verdict on some) or 10");
  output.add_flags(app);
}

Status ScanResultFlags::check() const {
  COUNTERMARK_CHECK(output.check());
  if (!documents.empty()) COUNTERMARK_CHECK((Output{documents, output.force}).check());
  const auto seed = from_hex("--decoy-seed", decoy_seed);
  return seed ? Status() : fail(seed.error());
}

unsigned ScanResultFlags::thread_count() const {
  return threads == 0 ? std::max(1U, std::thread::hardware_concurrency()) : threads;
}

int finish_scan(const ScanResultFlags& flags, const scan::Tests& tests,
                const std::vector<std::string>& inputs, const scan::Corpus& corpus,
                const scan::Summary& summary, const scan::ShareCounter& shares) {
  scan::JudgeOptions options;
  options.list_level = stats::PValue::from_decimal(flags.list_level);
  options.share_alpha = stats::PValue::from_decimal(flags.share_alpha);
  auto results = scan::judge(tests, corpus, summary, shares, options);
  if (!results) return report(results.error());
  const auto seed = from_hex("--decoy-seed", flags.decoy_seed);
  if (!seed) return report(seed.error());
  {
    Progress progress("decoys", flags.decoys * tests.tests.size());
    std::mutex mutex;
    const auto done = [&] {
      const std::lock_guard lock(mutex);
      progress.advance();
    };
    for (std::size_t t = 0; t < results->size(); ++t) {
      const scan::Test& test = *tests.tests[t];
      if (flags.decoys == 0 || summary.sample.tokens() == 0)
        without_line_up(test, (*results)[t]);
      else
        add_line_up(test,
                    scan::line_up(test, summary.sample, tests.tokenizer_of[t], flags.decoys, *seed,
                                  flags.thread_count(), done),
                    (*results)[t]);
    }
  }
  const scan::Report out{tests, inputs, summary, *results, options};
  if (!flags.documents.empty())
    if (const Status written = write_documents(flags.documents, out, corpus); !written)
      return report(written.error());
  const Status written =
      flags.output.write(flags.json ? scan::to_json(out) + "\n" : scan::to_text(out));
  if (!written) return report(written.error());
  return flags.exit_status ? status_of(*results) : kDone;
}

}  // namespace countermark::cli
