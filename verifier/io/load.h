// SPDX-License-Identifier: Apache-2.0
// What every door opens: a key, a profile, and the tokenizer that the profile names.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "verifier/text/tokenizer.h"
#include "watermark/foreign_key.h"
#include "watermark/foreign_profile.h"
#include "watermark/key.h"
#include "watermark/profile.h"

namespace countermark::io {

// The key in a file. kPermission when group or others can read a regular file; pipes, as from
// `<(age -d epoch.age)`, are taken as they are. No error repeats any of the content.
Result<AnyKey> load_key(const std::string& path);

// Whatever kind of key a file holds.
using FileKey = std::variant<MasterKey, EpochKey, ForeignKey>;
Result<FileKey> load_file_key(const std::string& path);

// A key that text can be verified under: an epoch's, or another system's.
using DetectionKey = std::variant<EpochKey, ForeignKey>;

// As load_epoch_key, but takes the keys of other systems' marks, too.
Result<DetectionKey> load_detection_key(const std::string& path);

// The same where an epoch key is needed: a master key is refused with a hint.
Result<EpochKey> load_epoch_key(const std::string& path);

// The epoch key that `key` is. kKey, with the hint, for a master key.
Result<EpochKey> epoch_key(AnyKey key);

// The master key that `key` is. kKey for an epoch key.
Result<MasterKey> master_key(AnyKey key);

// What a key file holds: what it is, in comments, and the secret. To be wiped, and to be written
// with mode 0600.
std::string key_file(const AnyKey& key);

Result<Profile> load_profile(const std::string& path);
Result<AnyProfile> load_any_profile(const std::string& path);

// The tokenizer that a profile names: from `override_path`, else from the reference's `file`, taken
// relative to `profile_path`. Null when the profile names none and no path is given. kMismatch when
// the file's digest is not the profile's.
Result<std::unique_ptr<const text::Tokenizer>> load_tokenizer_of(
    const std::optional<TokenizerReference>& reference, const std::string& profile_path,
    const std::string& override_path);

// kMismatch when the profile pins another tokenizer.
Status check_tokenizer(const std::optional<TokenizerReference>& reference,
                       const text::Tokenizer& tokenizer);

// The distinct non-empty lines of a file that do not start with '#': account ids.
Result<std::vector<std::string>> load_lines(const std::string& path);

}  // namespace countermark::io
