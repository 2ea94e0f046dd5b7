// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

#include <cstdio>
#include <filesystem>

#include "verifier/io/file.h"

namespace countermark::cli {

ExitCode exit_code(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kExists:
      return kUsage;
    case ErrorCode::kInvalidInput:
    case ErrorCode::kMismatch:
    case ErrorCode::kUnsupported:
    case ErrorCode::kNoCandidate:
      return kBadInput;
    case ErrorCode::kKey:
    case ErrorCode::kPermission:
      return kKeyOrPermission;
    case ErrorCode::kIo:
      return kIo;
    case ErrorCode::kInternal:
      return kInternal;
  }
  return kInternal;
}

void say(std::string_view message) {
  std::fwrite(message.data(), 1, message.size(), stderr);
  std::fputc('\n', stderr);
}

int report(const Error& error) {
  say("countermark: error: " + error.describe());
  return exit_code(error.code);
}

void Output::add_flags(CLI::App& app) {
  app.add_option("-o,--out", path, "Write the result to FILE instead of standard output")
      ->type_name("FILE");
  app.add_flag("--force", force, "Replace FILE if it exists");
}

Status Output::check() const {
  std::error_code ignored;
  if (!path.empty() && path != "-" && !force && std::filesystem::exists(path, ignored))
    return fail(Error{ErrorCode::kExists, "exists; --force replaces it", path});
  return {};
}

Status Output::write(std::string_view bytes, unsigned mode) const {
  if (!path.empty() && path != "-")
    return io::write_file(path, bytes, force ? io::Replace::kAlways : io::Replace::kNever, mode);
  if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size() ||
      std::fflush(stdout) != 0)
    return fail(ErrorCode::kIo, "standard output: cannot write");
  return {};
}

Result<std::string> from_hex(std::string_view flag, std::string_view hex) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    const int high = digit(hex[i]);
    const int low = digit(hex[i + 1]);
    if (high < 0 || low < 0) break;
    out += static_cast<char>(16 * high + low);
  }
  if (2 * out.size() != hex.size())
    return fail(ErrorCode::kInvalidArgument,
                std::string(flag) + " takes pairs of hexadecimal digits");
  return out;
}

}  // namespace countermark::cli
