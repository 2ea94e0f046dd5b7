// SPDX-License-Identifier: Apache-2.0
// The bytes that writer and reader of fragments agree on. For source files.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "verifier/scan/fragment.h"

namespace countermark::scan {

static_assert(std::endian::native == std::endian::little, "numbers are written as they are");

inline constexpr std::string_view kMagic = "CMFRAG1\n";
// At the end: the directory's offset, the size of the file, the magic.
inline constexpr std::size_t kFooter = 24;
// A block is closed when it has this much; one thing may be larger.
inline constexpr std::size_t kBlockBytes = std::size_t{1} << 16;
inline constexpr std::size_t kMostBlockBytes = std::size_t{1} << 26;

enum BlockKind : std::uint32_t {
  kHeadBlock = 1,
  kRecordsBlock = 2,
  kRowsBlock = 3,
  kLossesBlock = 4,
  kDirectoryBlock = 5,
};

struct BlockFrame {
  Checksum checksum;  // of what follows: the rest of the frame, and the payload
  std::uint32_t kind;
  std::uint32_t channel;
  std::uint32_t count;
  std::uint32_t bytes;   // of the payload
  std::uint64_t offset;  // of the frame in the file: a block in another place is not this one
};
static_assert(sizeof(BlockFrame) == Block::kFrame);

// XXH3-128 with a fixed seed, in canonical form.
Checksum checksum(std::string_view bytes);
// Of blocks whose checksums were `before` and of one more.
Checksum next_checksum(const Checksum& before, const Checksum& block);

// The first block: a line of JSON, then the settings' own JSON as it is, then the summary.
std::string head_bytes(const FragmentHead& head);

}  // namespace countermark::scan
