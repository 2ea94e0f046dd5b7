// SPDX-License-Identifier: Apache-2.0
// What every door opens: a key, a profile, and the tokenizer that the profile names.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "verifier/text/tokenizer.h"
#include "watermark/key.h"
#include "watermark/profile.h"

namespace countermark::io {

// The key in a file. kPermission when group or others can read a regular file; pipes, as from
// `<(age -d epoch.age)`, are taken as they are. No error repeats any of the content.
Result<AnyKey> load_key(const std::string& path);

// The same where an epoch key is needed: a master key is refused with a hint.
Result<EpochKey> load_epoch_key(const std::string& path);

Result<Profile> load_profile(const std::string& path);

// The tokenizer of a profile: from `override_path`, else from the profile's `file`, taken relative
// to `profile_path`. Null when the profile names none and no path is given. kMismatch when the
// file's digest is not the profile's.
Result<std::unique_ptr<const text::Tokenizer>> load_tokenizer_of(const Profile& profile,
                                                                 const std::string& profile_path,
                                                                 const std::string& override_path);

// The distinct non-empty lines of a file that do not start with '#': account ids.
Result<std::vector<std::string>> load_lines(const std::string& path);

}  // namespace countermark::io
