// SPDX-License-Identifier: Apache-2.0
// What the commands share: exit codes, common flags, and the way results and errors leave.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "watermark/error.h"

namespace countermark::cli {

// The documented exit codes (docs/cli.md).
enum ExitCode : int {
  kDone = 0,
  kVerificationFailed = 1,
  kUsage = 2,
  kBadInput = 3,
  kKeyOrPermission = 4,
  kNoVerdict = 5,  // with --exit-status: inconclusive or withheld
  kIo = 6,
  kNotDetected = 10,  // with --exit-status
  kInternal = 70,
  kInterrupted = 130,
};

ExitCode exit_code(ErrorCode code) noexcept;

// Prints "countermark: error: …" and returns the exit code of the error.
int report(const Error& error);

// Prints a message for people to standard error.
void say(std::string_view message);

// Where a command's result goes: standard output, or a file that is written whole at the end or
// not at all.
struct Output {
  std::string path{};  // "" and "-": standard output
  bool force = false;

  void add_flags(CLI::App& app);
  // The flags' preconditions, checked before long work: kExists.
  Status check() const;
  // Writes the whole result.
  Status write(std::string_view bytes, unsigned mode = 0644) const;
};

// A command reads its flags into a state of its own and runs; each is in one file.
using Run = std::function<int()>;
Run add_key_command(CLI::App& app);
Run add_profile_command(CLI::App& app);
Run add_generate_command(CLI::App& app);
Run add_detect_command(CLI::App& app);
Run add_scan_command(CLI::App& app);
Run add_merge_command(CLI::App& app);
Run add_plan_command(CLI::App& app);
Run add_audit_command(CLI::App& app);
Run add_calibrate_command(CLI::App& app);
Run add_selftest_command(CLI::App& app);
Run add_version_command(CLI::App& app);

// Bytes of a hexadecimal flag value. kInvalidArgument names the flag.
Result<std::string> from_hex(std::string_view flag, std::string_view hex);

}  // namespace countermark::cli
