// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/inputs.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string_view>
#include <system_error>
#include <utility>

#include "verifier/text/record_layout.h"

namespace countermark::text {
namespace {

namespace fs = std::filesystem;

bool is_hidden(std::string_view name) { return name.starts_with('.'); }

// Whether `name`, in which no slash is, fits `pattern` with `*` and `?`. A character of UTF-8 of
// several bytes takes one `?`. Linear but for the last star, to which it goes back.
bool fits(std::string_view pattern, std::string_view name) {
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star = pattern.npos;
  std::size_t behind_star = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      behind_star = n;
    } else if (p < pattern.size() && pattern[p] == '?') {
      ++p;
      do {
        ++n;
      } while (n < name.size() && (static_cast<unsigned char>(name[n]) & 0xc0U) == 0x80U);
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != pattern.npos) {
      p = star + 1;
      n = ++behind_star;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == pattern.npos;
}

bool is_pattern(std::string_view text) { return text.find_first_of("*?") != text.npos; }

// Names only some of the files below it; those that cannot be listed are an error, since a part of
// a dataset that is silently left out is worse than none.
Result<std::vector<std::string>> names_in(const fs::path& folder) {
  std::error_code error;
  std::vector<std::string> names;
  fs::directory_iterator at(folder.empty() ? "." : folder, error);
  for (; !error && at != fs::directory_iterator(); at.increment(error))
    names.push_back(at->path().filename().string());
  if (error) {
    const bool denied = error == std::errc::permission_denied;
    return fail(Error{denied ? ErrorCode::kPermission : ErrorCode::kIo,
                      "cannot list: " + error.message(), folder.string()});
  }
  return names;
}

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}
bool is_link(const fs::path& path) {
  std::error_code error;
  return fs::is_symlink(path, error);
}

// All files in and below the folder, folders that are links aside.
Status add_files(const fs::path& folder, std::vector<std::string>& out) {
  COUNTERMARK_TRY(const std::vector<std::string> names, names_in(folder));
  for (const std::string& name : names) {
    const fs::path path = folder / name;
    if (is_hidden(name)) continue;
    if (!is_folder(path)) {
      out.push_back(path.string());
    } else if (!is_link(path)) {
      COUNTERMARK_CHECK(add_files(path, out));
    }
  }
  return {};
}

// All files below `base` that fit the rest of a pattern.
Status add_matches(const fs::path& base, std::string_view rest, std::vector<std::string>& out) {
  const std::size_t slash = rest.find('/');
  const std::string_view part = rest.substr(0, slash);
  const bool is_last = slash == rest.npos;
  if (!is_last) rest.remove_prefix(std::min(rest.find_first_not_of('/', slash), rest.size()));
  if (!is_pattern(part)) {
    const fs::path path = base / part;
    if (!is_last) return is_folder(path) ? add_matches(path, rest, out) : Status{};
    if (fs::exists(path) && !is_folder(path)) out.push_back(path.string());
    return {};
  }
  const bool any_depth = part == "**";
  if (any_depth && !is_last) COUNTERMARK_CHECK(add_matches(base, rest, out));
  COUNTERMARK_TRY(const std::vector<std::string> names, names_in(base));
  for (const std::string& name : names) {
    if (is_hidden(name) && !is_hidden(part)) continue;
    const fs::path path = base / name;
    const bool folder = is_folder(path);
    if (any_depth && folder && !is_link(path)) {
      COUNTERMARK_CHECK(
          add_matches(path, is_last ? part : std::string(part) + "/" + std::string(rest), out));
    } else if (fits(part, name)) {
      if (is_last && !folder) out.push_back(path.string());
      if (!is_last && folder && !any_depth) COUNTERMARK_CHECK(add_matches(path, rest, out));
    }
  }
  return {};
}

Result<std::vector<std::string>> expand(const std::string& input) {
  std::vector<std::string> files;
  if (is_folder(input)) {
    COUNTERMARK_CHECK(add_files(input, files));
    std::erase_if(files, [](const std::string& file) {
      return fs::path(file).extension().empty() || !format_by_name(file);
    });
    if (files.empty())
      return fail(
          Error{ErrorCode::kInvalidInput, "no file with an ending that is read is in it", input});
  } else if (is_pattern(input) && !fs::exists(input)) {
    const bool is_absolute = input.starts_with('/');
    const std::size_t start = is_absolute ? input.find_first_not_of('/') : 0;
    COUNTERMARK_CHECK(
        add_matches(is_absolute ? "/" : "", std::string_view(input).substr(start), files));
    if (files.empty()) return fail(Error{ErrorCode::kInvalidInput, "no file matches", input});
  } else {
    // Whether it is there is said when it is opened, with the reason.
    files.push_back(input);
  }
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  return files;
}

}  // namespace

Result<std::vector<std::string>> expand_inputs(const std::vector<std::string>& inputs) {
  std::vector<std::string> out;
  for (const std::string& input : inputs) {
    COUNTERMARK_TRY(std::vector<std::string> files, expand(input));
    std::move(files.begin(), files.end(), std::back_inserter(out));
  }
  return out;
}

}  // namespace countermark::text
