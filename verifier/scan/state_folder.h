// SPDX-License-Identifier: Apache-2.0
// The folder that a tape spills into, and the manifest of one that is kept: which fragments belong
// to the last checkpoint. countermark.scan-state/1 of docs/formats.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "verifier/io/storage.h"
#include "verifier/scan/fragment.h"
#include "verifier/scan/settings.h"
#include "watermark/error.h"

namespace countermark::scan {

class StateFolder {
 public:
  // A folder of its own inside, removed at the end.
  static Result<StateFolder> scratch(const std::string& folder);
  // As CorpusTape::open() says. Removes fragments that no checkpoint names, and nothing else.
  static Result<StateFolder> keep(const std::string& folder, const Settings& settings);

  StateFolder(StateFolder&& other) noexcept;
  StateFolder& operator=(StateFolder&& other) noexcept;
  ~StateFolder();

  const std::vector<std::string>& fragments() const noexcept { return fragments_; }
  const std::optional<std::string>& progress() const noexcept { return progress_; }
  bool is_kept() const noexcept { return lock_.has_value(); }

  // The path of the next fragment.
  std::string next() const;
  // It has been written, and synced where the folder is kept.
  void add(std::string path, std::uint64_t bytes, const Checksum& checksum);
  // All fragments so far are a checkpoint.
  Status commit(const Settings& settings, std::string_view progress);

 private:
  struct Entry {
    std::uint64_t bytes = 0;
    Checksum checksum{};
  };

  explicit StateFolder(std::string folder) : folder_(std::move(folder)) {}
  Status read_manifest(const Settings& settings);
  Status remove_leftovers() const;

  std::string folder_;
  std::optional<io::FolderLock> lock_{};
  std::vector<std::string> fragments_{};
  std::vector<Entry> entries_{};
  std::optional<std::string> progress_{};
};

}  // namespace countermark::scan
