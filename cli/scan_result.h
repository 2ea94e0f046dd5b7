// SPDX-License-Identifier: Apache-2.0
// What scan and merge have in common: their tests, and everything from a united corpus to output.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/pairs.h"
#include "verifier/scan/verdict.h"
#include "verifier/text/reader.h"

namespace countermark::cli {

struct ScanTestFlags {
  PairFlags pairs{};
  std::string account{};
  std::string cohort{};
  double alpha = 1e-6;
  std::vector<std::string> quoted{};  // files, folders and patterns

  void add_flags(CLI::App& app);
  // All but --alpha and --quoted.
  void add_claim_flags(CLI::App& app, bool needs_key = true);
  // Every key under every profile that takes it. `shown`: besides --quoted what nobody is judged
  // by. `level`: instead of alpha.
  Result<scan::Tests> load(const std::vector<text::Document>& shown = {},
                           std::optional<stats::PValue> level = {}) const;
};

struct ScanResultFlags {
  double list_level = 0.05;
  double share_alpha = 0.01;
  std::uint32_t decoys = 1000;
  std::string decoy_seed{};
  unsigned threads = 0;
  bool json = false;
  bool exit_status = false;
  std::string documents{};
  Output output{};

  void add_flags(CLI::App& app);
  // What can be refused before long work.
  Status check() const;
  unsigned thread_count() const;
};

// Judges the corpus, asks the decoys, and writes the report and the documents. Returns the exit
// code.
int finish_scan(const ScanResultFlags& flags, const scan::Tests& tests,
                const std::vector<std::string>& inputs, const scan::Corpus& corpus,
                const scan::Summary& summary, const scan::ShareCounter& shares);

}  // namespace countermark::cli
