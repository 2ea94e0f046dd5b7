// SPDX-License-Identifier: Apache-2.0
#include "watermark/prf/long_hash.h"

#include <cryptopp/sha.h>

#include "watermark/prf/hash.h"

namespace countermark {

struct LongHash::State {
  CryptoPP::SHA256 hash;
};

LongHash::LongHash() : state_(std::make_unique<State>()) {}
LongHash::~LongHash() = default;

void LongHash::add(std::string_view bytes) {
  const Bytes in = as_bytes(bytes);
  state_->hash.Update(in.data(), in.size());
}

std::array<std::uint8_t, 32> LongHash::sha256() {
  std::array<std::uint8_t, 32> digest{};
  state_->hash.Final(digest.data());
  return digest;
}

}  // namespace countermark
