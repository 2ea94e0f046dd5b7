// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/scanner.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "verifier/text/character_table.h"
#include "verifier/text/scan_text.h"

namespace countermark::text {
namespace {

constexpr std::size_t kBlock = 64;

// The ideographs of the older DeepSeek patterns, "[一-龥ࠀ-一가-퟿]".
bool is_in_broad_han(std::uint32_t c) {
  return (c >= 0x800 && c <= 0x9fa5) || (c >= 0xac00 && c <= 0xd7ff);
}

}  // namespace

// The masks of `count` blocks from slot `first`, by their bytes alone.
void Scanner::load(std::size_t first, std::size_t count) {
  const std::size_t from = at_ + first * kBlock;
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(text_.data());
  const std::size_t whole =
      std::min(count, text_.size() < from ? 0 : (text_.size() - from) / kBlock);
  if (whole != 0) kernel_->classify(bytes + from, whole, &slots_[first]);
  for (std::size_t i = whole; i < count; ++i) {
    std::array<std::uint8_t, kBlock> padded;
    padded.fill(' ');
    const std::size_t begin = from + i * kBlock;
    if (begin < text_.size()) std::memcpy(padded.data(), bytes + begin, text_.size() - begin);
    kernel_->classify(padded.data(), 1, &slots_[first + i]);
  }
}

// Adds the characters outside ASCII that begin in a block.
template <CharacterSets kSets>
void Scanner::refine(std::size_t slot) {
  const CharacterTable& table = CharacterTable::instance();
  Masks& masks = slots_[slot];
  const char* const block = text_.data() + at_ + slot * kBlock;
  Bits leads = masks.of[COUNTERMARK_HIGH] & ~masks.of[COUNTERMARK_CONTINUATION];
  while (leads != 0) {
    const auto at = static_cast<unsigned>(std::countr_zero(leads));
    leads &= leads - 1;
    const Character character = character_at(block + at);
    const unsigned entry = table.of(character.code_point);
    const Bits bytes = (Bits{1} << character.size) - 1;
    const auto add = [&](unsigned mask) {
      masks.of[mask] |= bytes << at;
      if (at + character.size > kBlock) slots_[slot + 1].of[mask] |= bytes >> (kBlock - at);
    };
    add(entry & CharacterTable::kKind);
    if constexpr (kSets == CharacterSets::kAll) {
      if ((entry & CharacterTable::kCased) != 0) add(COUNTERMARK_CASED);
      if ((entry & CharacterTable::kListed) != 0) add(COUNTERMARK_LISTED);
      if (is_in_broad_han(character.code_point)) add(COUNTERMARK_HAN);
    }
    if constexpr (kSets == CharacterSets::kHan)
      if ((entry & CharacterTable::kHan) != 0) add(COUNTERMARK_HAN);
  }
}

void Scanner::fill() {
  std::size_t first = 0;
  Masks spilled{};
  if (count_ != 0) {
    at_ += count_ * kBlock;
    slots_[0] = slots_[count_];
    spilled = slots_[count_ + 1];
    first = 1;
  }
  count_ = std::min(kBlocks, (text_.size() - at_ + kBlock - 1) / kBlock);
  done_ = 0;
  load(first, count_ + 1 - first);
  for (std::size_t i = 0; i < COUNTERMARK_MASKS; ++i) slots_[1].of[i] |= spilled.of[i];
  slots_[count_ + 1] = {};
  for (std::size_t slot = first; slot <= count_; ++slot) {
    if (slots_[slot].of[COUNTERMARK_HIGH] == 0) continue;
    switch (scan_->sets) {
      case CharacterSets::kNone:
        refine<CharacterSets::kNone>(slot);
        break;
      case CharacterSets::kHan:
        refine<CharacterSets::kHan>(slot);
        break;
      case CharacterSets::kAll:
        refine<CharacterSets::kAll>(slot);
        break;
    }
  }
  scan_->find(text_, at_, slots_.data(), count_, carry_, starts_.data());
  if (at_ == 0) starts_[0] &= ~Bits{1};
  const std::size_t left = text_.size() - at_;
  if (left < count_ * kBlock) starts_[count_ - 1] &= (Bits{1} << left % kBlock) - 1;
}

std::size_t Scanner::next(std::span<std::uint32_t> ends) {
  constexpr std::size_t kMost = UINT32_MAX - kBlocks * kBlock;
  std::size_t found = 0;
  while (found < ends.size()) {
    if (done_ == count_) {
      if (at_ + count_ * kBlock >= text_.size()) {
        const std::size_t rest = text_.size() - begin_;
        if (rest != 0 && rest <= kMost) ends[found++] = static_cast<std::uint32_t>(rest);
        break;
      }
      fill();
    }
    const std::size_t block = at_ + done_ * kBlock;
    if (block > begin_ && block - begin_ > kMost) break;
    const auto base = static_cast<std::uint32_t>(block - begin_);  // of a block begun, modulo 2^32
    const std::size_t whole = std::min(count_ - done_, (ends.size() - found) / kBlock);
    if (whole != 0) {
      found += kernel_->positions(&starts_[done_], whole, base, ends.data() + found);
      done_ += whole;
      continue;
    }
    Bits& starts = starts_[done_];
    for (; starts != 0 && found < ends.size(); starts &= starts - 1)
      ends[found++] = base + static_cast<std::uint32_t>(std::countr_zero(starts));
    if (starts == 0) ++done_;
  }
  if (found != 0) begin_ += ends[found - 1];
  return found;
}

}  // namespace countermark::text
