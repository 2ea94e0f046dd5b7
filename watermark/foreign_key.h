// SPDX-License-Identifier: Apache-2.0
// A key of another system's mark, as its owner writes it: integers, hexadecimal digits, or text.
//
// None of them has a checksum or a kind: which scheme takes what is said by the scheme. The name
// is what reports call the key; it is given by whoever wrote the file, never derived from the key,
// which may be short enough to be guessed from any digest. Specification: docs/formats.md.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "watermark/error.h"
#include "watermark/prf/hash.h"

namespace countermark {

// Wipes memory that held a secret when it gives it back.
template <typename T>
struct WipingAllocator {
  using value_type = T;
  WipingAllocator() = default;
  template <typename U>
  // NOLINTNEXTLINE(google-explicit-constructor): as allocators convert
  WipingAllocator(const WipingAllocator<U>& /*other*/) noexcept {}
  T* allocate(std::size_t n) { return std::allocator<T>().allocate(n); }
  void deallocate(T* at, std::size_t n) noexcept {
    wipe(at, n * sizeof(T));
    std::allocator<T>().deallocate(at, n);
  }
  bool operator==(const WipingAllocator&) const noexcept = default;
};

// An integer from -2^63 to 2^64 - 1.
struct KeyInteger {
  std::uint64_t bits = 0;  // two's complement
  bool negative = false;

  // The number itself.
  __extension__ using Wide = __int128;
  Wide wide() const noexcept {
    return negative ? Wide{static_cast<std::int64_t>(bits)} : Wide{bits};
  }
  // Whether it is in the range of a signed integer of 64 bits.
  bool is_signed() const noexcept { return negative || bits >> 63 == 0; }

  bool operator==(const KeyInteger&) const = default;
};

class ForeignKey {
 public:
  enum class Form : std::uint8_t { kInteger, kIntegers, kHex, kText };

  // Reads "int:42", "ints:654,400,836", "hex:0123…" or "text:…": one key, blank lines, comments
  // that start with '#', of which "#id:NAME" gives the key's public name. An error (kKey) tells the
  // byte offset and what is wrong with the form, and never repeats what it read.
  static Result<ForeignKey> parse(std::string_view text);

  // Whether a key file's text holds a key of these forms rather than one of our own.
  static bool is_one(std::string_view text) noexcept;

  static ForeignKey integer(KeyInteger value) { return integers({value}, Form::kInteger); }

  Form form() const noexcept { return form_; }
  const std::string& name() const noexcept { return name_; }  // "" when the file gives none
  // Of kInteger (one) and kIntegers.
  const auto& integers() const noexcept { return integers_; }
  // Of kHex (the digits, lower case) and kText.
  std::string_view text() const noexcept { return {text_.data(), text_.size()}; }

  // A random key of the same form that was never used to mark, number `index` of the line-up that
  // `seed` determines: each integer uniform from 0 to 2^63 - 1, each hexadecimal digit and each
  // byte of a text uniform.
  ForeignKey decoy(Bytes seed, std::uint64_t index) const;

 private:
  ForeignKey() = default;

  template <typename T>
  using Wiped = std::vector<T, WipingAllocator<T>>;

  static ForeignKey integers(Wiped<KeyInteger> values, Form form) {
    ForeignKey key;
    key.form_ = form;
    key.integers_ = std::move(values);
    return key;
  }

  Form form_ = Form::kInteger;
  std::string name_{};
  Wiped<KeyInteger> integers_{};
  Wiped<char> text_{};
};

// "int", "ints", "hex", "text": what stands before the colon.
const char* key_form_name(ForeignKey::Form form) noexcept;

}  // namespace countermark
