// SPDX-License-Identifier: Apache-2.0
// Any bytes as a gzip or Zstandard file: decompressing ends, and gives the same in pieces of any
// size; what was compressed comes out again.
#include "tests/fuzz/fuzz.h"
#include "tests/support/compress.h"
#include "tests/support/drip.h"
#include "verifier/io/stream.h"

namespace {

using countermark::fuzz::require;

// A small input can stand for very much.
constexpr std::size_t kMost = std::size_t{4} << 20;

struct Outcome {
  std::string bytes{};
  bool is_clean = false;
  bool is_whole = true;  // not stopped at kMost
};

Outcome decompress(std::string_view bytes, bool is_gzip, std::size_t most, std::size_t room) {
  auto below = std::make_unique<countermark::tests::Drip>(std::string(bytes), most);
  const auto stream = is_gzip ? countermark::io::gunzip(std::move(below), "x")
                              : countermark::io::unzstd(std::move(below), "x");
  Outcome outcome;
  std::string buffer(room, '\0');
  while (outcome.bytes.size() < kMost) {
    const auto count = stream->read(buffer);
    if (!count) {
      countermark::fuzz::check_error(count.error(), bytes.size());
      require(count.error().offset.has_value(), "the error says where");
      return outcome;
    }
    if (*count == 0) {
      outcome.is_clean = true;
      return outcome;
    }
    outcome.bytes.append(buffer, 0, *count);
  }
  outcome.is_whole = false;
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  countermark::fuzz::Input input(data, size);
  const bool is_gzip = input.below(2) == 0;
  const std::size_t piece = input.byte() + std::size_t{1};
  const std::string_view bytes = input.rest();

  const Outcome whole = decompress(bytes, is_gzip, SIZE_MAX, std::size_t{1} << 16);
  const Outcome pieces = decompress(bytes, is_gzip, piece, 7 * piece);
  if (whole.is_whole && pieces.is_whole) {
    require(whole.is_clean == pieces.is_clean, "sound or not, whatever the pieces");
    require(!whole.is_clean || whole.bytes == pieces.bytes, "the same, whatever the pieces");
  }
  const std::string packed = is_gzip ? countermark::gzip(bytes) : countermark::zstd(bytes);
  const Outcome back = decompress(packed, is_gzip, piece, 3 * piece);
  require(back.is_clean && back.bytes == bytes, "what was compressed comes out again");
  return 0;
}
