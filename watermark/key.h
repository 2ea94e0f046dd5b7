// SPDX-License-Identifier: Apache-2.0
// The secrets of the native mark: a master key, epoch keys derived from it, and their text form.
//
// A master key stays offline; servers and verifiers hold epoch keys, one for a model and a period.
// Nothing here reads files, prints a secret, or derives a master from an epoch key (it cannot be
// done). Specification: docs/mark.md, "Keys".
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "watermark/error.h"
#include "watermark/prf/secret.h"

namespace countermark {

class EpochKey;

// 32 random bytes from which every epoch key of an organisation is derived.
class MasterKey {
 public:
  // A new master key from the operating system's generator.
  static MasterKey generate();

  explicit MasterKey(const Secret<32>& bytes) : bytes_(bytes) {}

  // The key of one model and epoch. Both ids are 1 to 255 bytes of UTF-8, else kInvalidArgument.
  Result<EpochKey> epoch(std::string_view model_id, std::string_view epoch_id) const;

  // The text form, "CM-SECRET-KEY-1…", one line without a line feed. It is the secret itself.
  std::string to_text() const;

 private:
  Secret<32> bytes_;
};

// The key under which one model's output of one epoch is marked and verified.
class EpochKey {
 public:
  // Takes the 32 secret bytes of an epoch as they are. kInvalidArgument as MasterKey::epoch.
  static Result<EpochKey> create(const Secret<32>& bytes, std::string_view model_id,
                                 std::string_view epoch_id);

  const std::string& model_id() const noexcept { return model_id_; }
  const std::string& epoch_id() const noexcept { return epoch_id_; }

  // 16 hex digits, safe to publish: tells keys apart without telling anything about them.
  std::string key_id() const;

  Secret<16> context_key() const;
  Secret<16> candidate_key(std::uint8_t layer) const;
  Secret<32> stream_key() const;
  Secret<32> slot_key() const;

  // As MasterKey::to_text; carries the model and epoch ids.
  std::string to_text() const;

  // A random key of the same form that was never used to mark: number `index` of the line-up
  // that `seed` determines. Carries the model and epoch ids of this key.
  EpochKey decoy(Bytes seed, std::uint64_t index) const;

 private:
  EpochKey(const Secret<32>& bytes, std::string_view model_id, std::string_view epoch_id)
      : bytes_(bytes), model_id_(model_id), epoch_id_(epoch_id) {}

  std::array<std::uint8_t, 32> expand(std::initializer_list<std::string_view> fields) const;

  Secret<32> bytes_;
  std::string model_id_;
  std::string epoch_id_;
};

using AnyKey = std::variant<MasterKey, EpochKey>;

// Reads a key file's text: one key, blank lines, and comments that start with '#'. An error (kKey)
// tells the byte offset and what is wrong with the form, and never repeats what it read.
Result<AnyKey> parse_key(std::string_view text);

}  // namespace countermark
