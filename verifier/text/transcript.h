// SPDX-License-Identifier: Apache-2.0
// countermark.transcript/1: what was served to whom, one answer a line (docs/formats.md).
//
// Reading is strict, as for everything of ours that may become an exhibit. transcript_writer.h
// writes them while a server runs.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "verifier/text/json_lines.h"
#include "watermark/error.h"
#include "watermark/token.h"

namespace countermark::text {

inline constexpr std::string_view kTranscriptSchema = "countermark.transcript/1";

// Why an answer is over.
enum class Finish : std::uint8_t {
  kEnd,      // the model, or a stop word, ended it
  kLength,   // it was as long as it could be
  kAborted,  // the client or the engine gave it up
};

const char* finish_name(Finish finish) noexcept;

using TranscriptTime = std::chrono::sys_time<std::chrono::milliseconds>;

// One served answer. Its names are UTF-8, and pseudonyms.
struct Transcript {
  std::string id{};                      // the server's, of this answer; not empty
  TranscriptTime time{};                 // when the answer was over; years 1 to 9999
  std::optional<std::string> account{};  // not empty
  std::optional<std::string> cohort{};   // not empty
  // Of the key that the response kept: both or, without a key, neither.
  std::optional<std::string> epoch{};   // 1 to 255 bytes
  std::optional<std::string> key_id{};  // 16 lower-case hex digits
  // By layer of the profile; at most 16, of 16 bits each. Empty without a key.
  std::vector<std::uint32_t> slots{};
  std::string profile{};  // its digest: 64 lower-case hex digits
  // The prompt's ids, or their digest where the operator does not keep prompts: one of the two.
  std::optional<std::vector<TokenId>> prompt_ids{};
  std::optional<std::string> prompt_sha256{};
  std::vector<TokenId> ids{};             // the answer's
  std::optional<std::string> text{};      // none where only ids were at hand
  std::optional<std::uint64_t> marked{};  // number of marked draws; none where nobody counted
  std::optional<Finish> finish{};         // none where nobody knew

  bool operator==(const Transcript&) const = default;
};

// The digest that stands for a prompt: SHA-256 of its ids, four bytes each, little-endian.
std::string prompt_sha256(TokenSpan prompt);

// kInvalidArgument with the field that breaks a rule of Transcript. What passes can be read back.
Status check_transcript(const Transcript& transcript);

// One line with its line feed, fields in the order of the format. Bytes of the text that are not
// UTF-8, as where an answer was cut inside a character, become U+FFFD.
std::string to_json_line(const Transcript& transcript);

// The record in one line. kInvalidInput, kUnsupported for a later schema; with field and offset.
Result<Transcript> parse_transcript(std::string_view line);

// Longer lines are refused when read and not written: an answer of a million tokens is shorter.
inline constexpr std::size_t kLongestTranscript = std::size_t{32} << 20;

using TranscriptReader = JsonLinesReader<Transcript, parse_transcript, kLongestTranscript>;

}  // namespace countermark::text
