// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/state_folder.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "verifier/io/file.h"
#include "verifier/scan/fragment_format.h"
#include "watermark/json.h"
#include "watermark/prf/hash.h"

namespace countermark::scan {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSchema = "countermark.scan-state/1";
constexpr std::string_view kFragmentName = "fragment-";
constexpr std::string_view kTemporaryName = ".countermark-";  // of io::write_file

std::string hex(const Checksum& checksum) { return to_hex(checksum); }

// Bytes of any kind as JSON can hold them.
std::string hex(std::string_view bytes) { return to_hex(as_bytes(bytes)); }

std::optional<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = digit(text[i]);
    const int low = digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes += static_cast<char>(high * 16 + low);
  }
  return bytes;
}

std::string fragment_name(std::size_t index) {
  const std::string number = std::to_string(index + 1);
  return std::string(kFragmentName) +
         std::string(6 - std::min<std::size_t>(number.size(), 6), '0') + number;
}

// The line that the manifest's own checksum is of.
std::string sealed(const nlohmann::json& manifest) {
  const std::string line = manifest.dump() + "\n";
  return line + hex(checksum(line)) + "\n";
}

}  // namespace

Result<StateFolder> StateFolder::scratch(const std::string& folder) {
  std::error_code made;
  fs::create_directories(folder, made);
  std::string pattern = folder + "/countermark-scan-XXXXXX";
  if (made || ::mkdtemp(pattern.data()) == nullptr) {
    const std::error_code why = made ? made : std::error_code(errno, std::generic_category());
    return fail(Error{ErrorCode::kIo, "cannot make a folder: " + why.message(), folder});
  }
  return StateFolder(pattern);
}

Result<StateFolder> StateFolder::keep(const std::string& folder, const Settings& settings) {
  StateFolder state(folder);
  COUNTERMARK_TRY(state.lock_, io::FolderLock::take(folder));
  COUNTERMARK_CHECK(state.read_manifest(settings));
  COUNTERMARK_CHECK(state.remove_leftovers());
  return state;
}

StateFolder::StateFolder(StateFolder&& other) noexcept
    : folder_(std::exchange(other.folder_, {})),
      lock_(std::exchange(other.lock_, {})),
      fragments_(std::move(other.fragments_)),
      entries_(std::move(other.entries_)),
      progress_(std::move(other.progress_)) {}

StateFolder& StateFolder::operator=(StateFolder&& other) noexcept {
  std::swap(folder_, other.folder_);
  std::swap(lock_, other.lock_);
  std::swap(fragments_, other.fragments_);
  std::swap(entries_, other.entries_);
  std::swap(progress_, other.progress_);
  return *this;
}

StateFolder::~StateFolder() {
  std::error_code ignored;
  if (!folder_.empty() && !is_kept()) fs::remove_all(folder_, ignored);
}

Status StateFolder::read_manifest(const Settings& settings) {
  const std::string path = folder_ + "/manifest";
  if (!fs::exists(path)) return {};
  COUNTERMARK_TRY(const std::string bytes, io::read_file(path));
  const auto bad = [&](std::string message, std::uint64_t offset = 0) {
    return fail(Error{ErrorCode::kInvalidInput, std::move(message), path, "", offset});
  };
  const std::size_t end = bytes.find('\n');
  if (end == std::string::npos ||
      bytes.substr(end + 1) != hex(checksum(bytes.substr(0, end + 1))) + "\n")
    return bad("the manifest is damaged: its checksum is another", bytes.size());
  auto parsed = JsonDocument::parse(std::string_view(bytes).substr(0, end));
  if (!parsed) return fail(std::move(parsed).error().in_file(path));
  const auto schema = parsed->string_at("/schema");
  if (!schema || *schema != kSchema)
    return fail(Error{ErrorCode::kUnsupported, "expected " + std::string(kSchema), path, "schema"});
  COUNTERMARK_TRY(const std::string of, parsed->string_at("/settings"));
  COUNTERMARK_TRY(const std::uint64_t index, parsed->unsigned_at("/shard/0", 0, UINT32_MAX));
  COUNTERMARK_TRY(const std::uint64_t count, parsed->unsigned_at("/shard/1", 0, UINT32_MAX));
  if (of != digest(settings) || index != settings.shard.index || count != settings.shard.count)
    return fail(Error{ErrorCode::kMismatch,
                      "the folder holds a scan with other settings, inputs or shard", path,
                      "settings"});
  COUNTERMARK_TRY(const std::string progress, parsed->string_at("/progress"));
  progress_ = from_hex(progress);
  const nlohmann::json& root = parsed->root();
  if (!progress_ || !root.contains("fragments") || !root["fragments"].is_array())
    return bad("expected the manifest of a scan");
  for (std::size_t i = 0; i < root["fragments"].size(); ++i) {
    const std::string at = "/fragments/" + std::to_string(i);
    COUNTERMARK_TRY(const std::uint64_t size, parsed->unsigned_at(at + "/0", 0, UINT64_MAX));
    COUNTERMARK_TRY(const std::string expected, parsed->string_at(at + "/1"));
    COUNTERMARK_TRY(const Fragment fragment, Fragment::open(next()));
    if (fragment.size() != size || hex(fragment.checksum()) != expected)
      return fail(fragment.error_at(fragment.size(), "expected the fragment of the manifest"));
    if (fragment.head().settings != settings || fragment.head().is_whole)
      return fail(Error{ErrorCode::kMismatch, "expected a fragment of this scan", fragment.path()});
    add(fragment.path(), size, fragment.checksum());
  }
  return {};
}

// After a crash: what was written since the last checkpoint.
Status StateFolder::remove_leftovers() const {
  std::error_code error;
  std::vector<fs::path> leftovers;
  for (fs::directory_iterator at(folder_, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    const bool is_ours = name.starts_with(kFragmentName) || name.starts_with(kTemporaryName);
    const std::string path = folder_ + "/" + name;
    if (is_ours && std::find(fragments_.begin(), fragments_.end(), path) == fragments_.end())
      leftovers.push_back(at->path());
  }
  for (const fs::path& path : leftovers)
    if (!error) fs::remove(path, error);
  if (error) return fail(Error{ErrorCode::kIo, "cannot tidy up: " + error.message(), folder_});
  return {};
}

std::string StateFolder::next() const { return folder_ + "/" + fragment_name(fragments_.size()); }

void StateFolder::add(std::string path, std::uint64_t bytes, const Checksum& checksum) {
  fragments_.push_back(std::move(path));
  entries_.push_back({bytes, checksum});
}

Status StateFolder::commit(const Settings& settings, std::string_view progress) {
  nlohmann::json fragments = nlohmann::json::array();
  for (const Entry& entry : entries_) fragments.push_back({entry.bytes, hex(entry.checksum)});
  // The fragments' names are on the disk before the manifest says that they are there.
  COUNTERMARK_CHECK(io::sync_folder(folder_));
  COUNTERMARK_CHECK(io::write_file(folder_ + "/manifest",
                                   sealed({{"schema", kSchema},
                                           {"settings", digest(settings)},
                                           {"shard", {settings.shard.index, settings.shard.count}},
                                           {"progress", hex(progress)},
                                           {"fragments", fragments}}),
                                   io::Replace::kAlways, 0600));
  progress_ = progress;
  return {};
}

}  // namespace countermark::scan
