// SPDX-License-Identifier: Apache-2.0
#include "verifier/io/load.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#include "verifier/io/file.h"
#include "watermark/utf8.h"

namespace countermark::io {
namespace {

constexpr std::uint64_t kMaxKeyFile = 1 << 16;
constexpr std::uint64_t kMaxProfileFile = 1 << 20;
constexpr std::uint64_t kMaxLinesFile = std::uint64_t{1} << 30;

// Adds the file's name to the error of what was read from it.
template <typename T>
Result<T> named(Result<T> result, const std::string& path) {
  if (!result) return fail(std::move(result).error().in_file(path));
  return result;
}

// The text of a key file that nobody else can read; to be wiped.
Result<std::string> read_key_file(const std::string& path) {
  if (path != "-") {
    struct stat status {};
    if (stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
        (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
      return fail(Error{ErrorCode::kPermission,
                        "others can read this key; make it private: chmod 600", path});
  }
  return read_file(path, kMaxKeyFile);
}

}  // namespace

Result<AnyKey> load_key(const std::string& path) {
  COUNTERMARK_TRY(std::string text, read_key_file(path));
  auto key = named(parse_key(text), path);
  wipe(text);
  return key;
}

Result<FileKey> load_file_key(const std::string& path) {
  COUNTERMARK_TRY(std::string text, read_key_file(path));
  const auto parse = [](const std::string& from) -> Result<FileKey> {
    if (ForeignKey::is_one(from)) {
      COUNTERMARK_TRY(ForeignKey key, ForeignKey::parse(from));
      return FileKey(std::move(key));
    }
    COUNTERMARK_TRY(AnyKey any, parse_key(from));
    return std::visit([](auto& key) { return FileKey(std::move(key)); }, any);
  };
  auto key = named(parse(text), path);
  wipe(text);
  return key;
}

Result<DetectionKey> load_detection_key(const std::string& path) {
  COUNTERMARK_TRY(FileKey any, load_file_key(path));
  if (auto* foreign = std::get_if<ForeignKey>(&any)) return DetectionKey(std::move(*foreign));
  if (auto* epoch = std::get_if<EpochKey>(&any)) return DetectionKey(std::move(*epoch));
  return fail(epoch_key(AnyKey(std::get<MasterKey>(std::move(any)))).error().in_file(path));
}

Result<EpochKey> epoch_key(AnyKey key) {
  if (auto* epoch = std::get_if<EpochKey>(&key)) return std::move(*epoch);
  return fail(ErrorCode::kKey,
              "this is a master key, which stays offline; derive an epoch key from it: "
              "countermark key new --from MASTER --model ID --epoch ID -o FILE");
}

Result<MasterKey> master_key(AnyKey key) {
  if (auto* master = std::get_if<MasterKey>(&key)) return *master;
  return fail(ErrorCode::kKey, "this is an epoch key; epochs derive from a master key");
}

Result<EpochKey> load_epoch_key(const std::string& path) {
  COUNTERMARK_TRY(AnyKey key, load_key(path));
  return named(epoch_key(std::move(key)), path);
}

std::string key_file(const AnyKey& key) {
  const auto* epoch = std::get_if<EpochKey>(&key);
  if (epoch == nullptr)
    return "# Countermark master key: secret, and best kept offline. Epoch keys are derived from "
           "it.\n" +
           std::get<MasterKey>(key).to_text() + "\n";
  std::string about =
      "model " + epoch->model_id() + ", epoch " + epoch->epoch_id() + ", key id " + epoch->key_id();
  // A line feed in an id would end the comment.
  std::replace(about.begin(), about.end(), '\n', ' ');
  return "# Countermark epoch key: secret. Whoever holds it can detect and forge this mark.\n# " +
         about + "\n" + epoch->to_text() + "\n";
}

Result<Profile> load_profile(const std::string& path) {
  COUNTERMARK_TRY(const std::string text, read_file(path, kMaxProfileFile));
  return named(Profile::parse(text), path);
}

Result<AnyProfile> load_any_profile(const std::string& path) {
  COUNTERMARK_TRY(const std::string text, read_file(path, kMaxProfileFile));
  return named(parse_profile(text), path);
}

Result<std::unique_ptr<const text::Tokenizer>> load_tokenizer_of(
    const std::optional<TokenizerReference>& reference, const std::string& profile_path,
    const std::string& override_path) {
  std::string path = override_path;
  if (path.empty() && reference && !reference->file.empty())
    path = (std::filesystem::path(profile_path).parent_path() / reference->file).string();
  if (path.empty()) return std::unique_ptr<const text::Tokenizer>();
  COUNTERMARK_TRY(auto tokenizer, text::load_tokenizer(path, reference ? reference->name : ""));
  if (Status status = check_tokenizer(reference, *tokenizer); !status)
    return fail(std::move(status).error().in_file(path));
  return tokenizer;
}

Status check_tokenizer(const std::optional<TokenizerReference>& reference,
                       const text::Tokenizer& tokenizer) {
  if (reference && tokenizer.sha256() != reference->sha256)
    return fail(Error{ErrorCode::kMismatch,
                      "this is not the profile's tokenizer: SHA-256 " + tokenizer.sha256() +
                          ", expected " + reference->sha256,
                      "", "tokenizer.sha256"});
  return {};
}

Result<std::vector<std::string>> load_lines(const std::string& path) {
  COUNTERMARK_TRY(const std::string text, read_file(path, kMaxLinesFile));
  if (Status status = check_utf8(text); !status)
    return fail(std::move(status).error().in_file(path));
  std::vector<std::string> lines;
  std::set<std::string> seen;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty() && line[0] != '#' && seen.insert(line).second)
      lines.push_back(std::move(line));
    at = end + 1;
  }
  if (lines.empty()) return fail(Error{ErrorCode::kInvalidInput, "has no line in it", path});
  return lines;
}

}  // namespace countermark::io
