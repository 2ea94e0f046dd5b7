// SPDX-License-Identifier: Apache-2.0
// How byte-level tokenizers spell bytes in their files (GPT-2's encoder.py, bytes_to_unicode):
// printable Latin-1 as itself, the other 68 bytes as U+0100 and on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace countermark::text {

// The character, in UTF-8, that stands for `byte`.
std::string spell_byte(std::uint8_t byte);

// The bytes that `token` (valid UTF-8) spells; nothing if a character of it stands for no byte.
std::optional<std::string> unspell_bytes(std::string_view token);

// The byte that SentencePiece's "<0x0A>" stands for, -1 for any other spelling.
int named_byte(std::string_view token);

}  // namespace countermark::text
