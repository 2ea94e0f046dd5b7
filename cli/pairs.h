// SPDX-License-Identifier: Apache-2.0
// Which tests the flags -k, -p and -t ask for: every key under every profile that takes it.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "verifier/io/load.h"
#include "verifier/text/tokenizer.h"

namespace countermark::cli {

struct PairFlags {
  std::vector<std::string> keys{};
  std::vector<std::string> profiles{};  // none: the embedded model's
  std::string tokenizer{};

  // -k, -p and -t. Without a key only a command that can do without takes none.
  void add_flags(CLI::App& app, bool needs_key = true);
};

// A profile and a key that its scheme takes.
struct Pair {
  std::string profile_path;
  AnyProfile profile;
  io::DetectionKey key;
  // Profiles of one tokenizer share it; null: the profile has none.
  std::shared_ptr<const text::Tokenizer> tokenizer;
};

// In the order of the profiles. kKey for a profile without a key and a key without a profile: what
// was given would silently not be looked for.
Result<std::vector<Pair>> load_pairs(const PairFlags& flags);

}  // namespace countermark::cli
