// SPDX-License-Identifier: Apache-2.0
#include "cli/pairs.h"

#include <algorithm>
#include <map>
#include <utility>
#include <variant>

#include "corpora/model_folder.h"
#include "watermark/marks/foreign_mark.h"

namespace countermark::cli {
namespace {

struct LoadedProfile {
  std::string path;
  AnyProfile profile;
  std::shared_ptr<const text::Tokenizer> tokenizer;
};

struct LoadedKey {
  std::string path;
  io::DetectionKey key;
};

bool fits(const LoadedProfile& profile, const LoadedKey& key) {
  if (std::holds_alternative<Profile>(profile.profile))
    return std::holds_alternative<EpochKey>(key.key);
  const auto* foreign = std::get_if<ForeignKey>(&key.key);
  return foreign != nullptr &&
         ForeignMark::create(std::get<ForeignProfile>(profile.profile), *foreign).has_value();
}

Result<std::vector<LoadedProfile>> load_profiles(const PairFlags& flags) {
  std::vector<std::string> paths = flags.profiles;
  if (paths.empty()) paths.push_back(corpora::model_folder() + "/profile.json");
  std::vector<LoadedProfile> out;
  // Each text is tokenized once for all profiles of one tokenizer.
  std::map<std::string, std::shared_ptr<const text::Tokenizer>> tokenizers;
  for (const std::string& path : paths) {
    COUNTERMARK_TRY(AnyProfile profile, io::load_any_profile(path));
    const auto& reference = tokenizer_of(profile);
    const std::string digest = reference ? reference->sha256 : "";
    if (!tokenizers.contains(digest)) {
      COUNTERMARK_TRY(tokenizers[digest], io::load_tokenizer_of(reference, path, flags.tokenizer));
    }
    out.push_back({path, std::move(profile), tokenizers[digest]});
  }
  return out;
}

// Why no key fits: with one key the reason is the key's.
Error no_key_for(const LoadedProfile& profile, const std::vector<LoadedKey>& keys) {
  if (keys.size() > 1)
    return {ErrorCode::kKey, "no key that was given is one of this profile's scheme", profile.path};
  const auto* foreign = std::get_if<ForeignKey>(&keys.front().key);
  const auto* scheme = std::get_if<ForeignProfile>(&profile.profile);
  Error error{ErrorCode::kKey, "is not a key of the scheme of " + profile.path};
  if (foreign != nullptr && scheme != nullptr)
    error = ForeignMark::create(*scheme, *foreign).error();
  return std::move(error).in_file(keys.front().path);
}

}  // namespace

void PairFlags::add_flags(CLI::App& app, bool needs_key) {
  app.add_option("-k,--key", keys, "Epoch key, or a key of another system; may be repeated")
      ->type_name("FILE")
      ->allow_extra_args(false)
      ->required(needs_key);
  app.add_option("-p,--profile", profiles,
                 "Profile; may be repeated; default: the embedded model's")
      ->type_name("FILE")
      ->allow_extra_args(false);
  app.add_option("-t,--tokenizer", tokenizer, "Tokenizer, if not where the profile says")
      ->type_name("FILE");
}

Result<std::vector<Pair>> load_pairs(const PairFlags& flags) {
  std::vector<LoadedKey> keys;
  for (const std::string& path : flags.keys) {
    COUNTERMARK_TRY(io::DetectionKey key, io::load_detection_key(path));
    keys.push_back({path, std::move(key)});
  }
  COUNTERMARK_TRY(const std::vector<LoadedProfile> profiles, load_profiles(flags));
  std::vector<Pair> out;
  std::vector<bool> used(keys.size());
  for (const LoadedProfile& profile : profiles) {
    const std::size_t before = out.size();
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!fits(profile, keys[i])) continue;
      used[i] = true;
      out.push_back({profile.path, profile.profile, keys[i].key, profile.tokenizer});
    }
    if (out.size() == before) return fail(no_key_for(profile, keys));
  }
  const auto unused = std::find(used.begin(), used.end(), false);
  if (unused != used.end())
    return fail(Error{ErrorCode::kKey, "no profile that was given has a scheme for this key",
                      keys[static_cast<std::size_t>(unused - used.begin())].path});
  return out;
}

}  // namespace countermark::cli
