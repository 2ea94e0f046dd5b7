// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/charsmap.h"

#include <utf8proc.h>

#include <algorithm>

#include "verifier/text/unicode_text.h"
#include "watermark/utf8.h"

namespace countermark::text {
namespace {

// Room for the results of one search: Normalizer::kMaxTrieResultsSize.
constexpr int kMostNestedRules = 32;
// Longer clusters go character by character.
constexpr std::size_t kLongestCluster = 5;

std::uint32_t little_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8 | static_cast<std::uint8_t>(bytes[at + i]);
  return value;
}

// A unit of darts-clone's double array (darts.h, DoubleArrayUnit).
struct Unit {
  std::uint32_t bits;
  bool has_leaf() const { return (bits >> 8 & 1) == 1; }
  std::uint32_t value() const { return bits & 0x7fffffff; }
  std::uint32_t label() const { return bits & 0x800000ff; }
  std::uint32_t offset() const { return (bits >> 10) << ((bits & 1u << 9) >> 6); }
};

}  // namespace

bool is_safe_charsmap(std::string_view blob,
                      const std::function<bool(std::string_view, std::size_t)>& accepts) {
  if (blob.size() < 4) return false;
  const std::size_t trie_size = little_endian(blob, 0);
  blob.remove_prefix(4);
  if (trie_size >= blob.size() || blob.back() != '\0') return false;
  const std::string_view replacements = blob.substr(trie_size);
  const std::size_t count = trie_size / 4;
  if (count == 0) return false;
  const auto unit = [blob](std::size_t i) { return Unit{little_endian(blob, 4 * i)}; };

  // The most rules on the way to each unit that a search can reach; the longest path from the
  // root, found by relaxation. It ends even if the trie has cycles, as the bound is small.
  std::vector<int> rules(count, -1);
  std::vector<std::uint32_t> open = {0};
  rules[0] = 0;
  while (!open.empty()) {
    const std::uint32_t at = open.back();
    open.pop_back();
    const std::uint32_t base = at ^ unit(at).offset();
    if ((base | 0xff) >= count) return false;
    for (std::uint32_t c = 0; c < 256; ++c) {
      const std::uint32_t child = base ^ c;
      if (unit(child).label() != c) continue;
      int most = rules[at];
      if (unit(child).has_leaf()) {
        const std::uint32_t leaf = child ^ unit(child).offset();
        if (leaf >= count || unit(leaf).value() >= replacements.size()) return false;
        if (accepts && !accepts(replacements, unit(leaf).value())) return false;
        if (++most > kMostNestedRules) return false;
      }
      if (most > rules[child]) {
        rules[child] = most;
        open.push_back(child);
      }
    }
  }
  return true;
}

std::optional<Charsmap> Charsmap::parse(std::string_view blob) {
  const auto begins_character = [](std::string_view replacements, std::size_t at) {
    return (static_cast<unsigned char>(replacements[at]) & 0xc0) != 0x80;
  };
  if (!is_safe_charsmap(blob, begins_character)) return std::nullopt;
  const std::size_t trie_size = little_endian(blob, 0);
  const std::string_view replacements = blob.substr(4 + trie_size);
  if (trie_size % 4 != 0 || find_invalid_utf8(replacements) != kValidUtf8) return std::nullopt;
  Charsmap map;
  for (std::size_t at = 4; at < 4 + trie_size; at += 4)
    map.units_.push_back(little_endian(blob, at));
  map.replacements_ = replacements;
  return map;
}

// That of the shortest rule that `piece` begins with.
std::optional<std::string_view> Charsmap::replacement(std::string_view piece) const {
  std::uint32_t at = Unit{units_[0]}.offset();
  for (const char byte : piece) {
    const auto c = static_cast<unsigned char>(byte);
    if (c == 0) break;
    at ^= c;
    const Unit unit{units_[at]};
    if (unit.label() != c) break;
    at ^= unit.offset();
    if (!unit.has_leaf()) continue;
    const std::string_view rest = std::string_view(replacements_).substr(Unit{units_[at]}.value());
    return rest.substr(0, rest.find('\0'));
  }
  return std::nullopt;
}

std::string Charsmap::apply(std::string_view text) const {
  std::string out;
  out.reserve(text.size());
  const auto append = [&](std::string_view piece) {
    const auto found = replacement(piece);
    if (found) out += *found;
    return found.has_value();
  };
  utf8proc_int32_t state = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = begin;
    std::uint32_t last = read_character(text, end);
    const std::size_t first_end = end;
    while (end < text.size()) {
      std::size_t next_end = end;
      const std::uint32_t next = read_character(text, next_end);
      if (utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(last),
                                           static_cast<utf8proc_int32_t>(next), &state))
        break;
      last = next;
      end = next_end;
    }
    const std::string_view cluster = text.substr(begin, end - begin);
    const bool is_short = end > first_end && cluster.size() <= kLongestCluster;
    if (!is_short || !append(cluster)) {
      for (std::size_t at = 0; at < cluster.size();) {
        const std::size_t from = at;
        read_character(cluster, at);
        const std::string_view character = cluster.substr(from, at - from);
        if (!append(character)) out += character;
      }
    }
    begin = end;
  }
  return out;
}

}  // namespace countermark::text
