// SPDX-License-Identifier: Apache-2.0
#include "verifier/io/stream.h"

#include <gtest/gtest.h>
#include <isa-l/crc.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>

#include "tests/support/compress.h"
#include "tests/support/drip.h"
#include "tests/support/folder_test.h"

namespace countermark::io {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;

class Streams : public tests::FolderTest {};

struct Reading {
  std::string bytes{};
  std::optional<Error> error{};
};

Reading read_all(const std::string& path, std::size_t piece = 1000, std::uint64_t skip = 0) {
  Reading reading;
  auto stream = open_stream(path);
  if (!stream) return {{}, stream.error()};
  if (auto status = (*stream)->skip(skip); !status) return {{}, status.error()};
  std::string buffer(piece, '\0');
  for (;;) {
    const auto count = (*stream)->read(buffer);
    if (!count) {
      reading.error = count.error();
      const auto again = (*stream)->read(buffer);
      EXPECT_FALSE(again) << "an error stays";
      return reading;
    }
    if (*count == 0) break;
    reading.bytes.append(buffer, 0, *count);
  }
  EXPECT_EQ((*stream)->taken(), fs::file_size(path));
  return reading;
}

// Text that compresses, but not to nothing.
std::string some_text(std::size_t size) {
  std::string text;
  for (std::uint64_t i = 1; text.size() < size; ++i)
    text += "line " + std::to_string(i * 0x9e3779b97f4a7c15U % 1'000'003) + " of a text\n";
  text.resize(size);
  return text;
}

std::string random_bytes(std::size_t size) {
  std::string bytes;
  for (std::uint64_t i = 1; bytes.size() < size; ++i)
    bytes += static_cast<char>((i * 0x9e3779b97f4a7c15U ^ (i >> 7) * 0xbf58476d1ce4e5b9U) >> 56);
  return bytes;
}

TEST_F(Streams, TheBytesSayWhatIsCompressed) {
  const std::string text = some_text(500'000);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{777}, std::size_t{1} << 20}) {
    const std::string part = piece == 1 ? text.substr(0, 5000) : text;
    EXPECT_EQ(read_all(write("a", part), piece).bytes, part);
    EXPECT_EQ(read_all(write("a.gz", gzip(part)), piece).bytes, part);
    EXPECT_EQ(read_all(write("a.GZ", gzip(part)), piece).bytes, part);
    EXPECT_EQ(read_all(write("a.zst", zstd(part)), piece).bytes, part);
    EXPECT_EQ(read_all(write("b", gzip(part)), piece).bytes, part);
    EXPECT_EQ(read_all(write("c.jsonl", zstd(part)), piece).bytes, part);
  }
  for (const char* bytes : {"", "\x1f", "(", "x"})
    EXPECT_EQ(read_all(write("d", bytes)).bytes, bytes);
}

// The same member with all fields that a header can have.
std::string with_long_header(const std::string& member) {
  std::string header = "\x1f\x8b\x08\x1e\1\2\3\4\0\3"s;
  header += "\x05\0extra"s + "name.txt\0"s + "a comment\0"s;
  const std::uint32_t crc =
      crc32_gzip_refl(0, reinterpret_cast<const std::uint8_t*>(header.data()), header.size());
  header += static_cast<char>(crc & 0xff);
  header += static_cast<char>(crc >> 8 & 0xff);
  return header + member.substr(10);
}

TEST_F(Streams, PiecesOfAnySize) {
  const std::string text = some_text(2000);
  const std::string two = with_long_header(gzip(text)) + gzip("") + with_long_header(gzip("end"));
  const std::string frames = zstd(text) + zstd("") + zstd("end");
  for (std::size_t most = 1; most < 200; most += most < 20 ? 1 : 13)
    for (const std::size_t room : {std::size_t{1}, std::size_t{100}, std::size_t{5000}})
      for (const bool is_gzip : {true, false}) {
        auto below = std::make_unique<tests::Drip>(is_gzip ? two : frames, most);
        const auto stream = is_gzip ? gunzip(std::move(below), "x") : unzstd(std::move(below), "x");
        std::string out;
        std::string buffer(room, '\0');
        for (;;) {
          const auto count = stream->read(buffer);
          ASSERT_TRUE(count) << count.error().describe() << " " << most;
          if (*count == 0) break;
          out.append(buffer, 0, *count);
        }
        EXPECT_EQ(out, text + "end");
      }
}

// Members end at every place of the pieces that are read, also where the next one has begun in the
// decompressor's own few bytes.
TEST_F(Streams, MembersAcrossPieces) {
  std::string part = some_text(40);
  std::string members;
  std::string text;
  while (members.size() < 200'000) {
    part = part.substr(1) + part[0];
    const std::string stored = part.substr(0, members.size() % 40);
    members += gzip(stored);
    text += stored;
  }
  EXPECT_EQ(read_all(write("a.gz", members), 1 << 16).bytes, text);
  const std::string noise = random_bytes(400'000);  // stored blocks
  EXPECT_EQ(read_all(write("b.gz", gzip(noise) + gzip(noise)), 999).bytes, noise + noise);
}

TEST_F(Streams, SkippingIsReadingWithoutLooking) {
  const std::string text = some_text(300'000);
  for (const std::uint64_t skip : {0U, 1U, 3U, 4U, 5U, 100'000U, 299'999U, 300'000U})
    for (const auto& [name, bytes] :
         {std::pair{"a", text}, {"a.gz", gzip(text)}, {"a.zst", zstd(text)}})
      EXPECT_EQ(read_all(write(name, bytes), 1 << 16, skip).bytes, text.substr(skip))
          << name << skip;
}

TEST_F(Streams, ANameThatTheBytesContradict) {
  for (const char* name : {"a.gz", "a.zst", "b.jsonl.GZ"}) {
    const auto stream = open_stream(write(name, "plain"));
    ASSERT_FALSE(stream) << name;
    EXPECT_EQ(stream.error().code, ErrorCode::kInvalidInput);
    EXPECT_EQ(*stream.error().offset, 0U);
    EXPECT_FALSE(open_stream(write(name, "")));
  }
  EXPECT_FALSE(open_stream(write("a.gz", zstd("x"))));
  EXPECT_FALSE(open_stream(write("a.zst", gzip("x"))));
  EXPECT_EQ(open_stream(path("none.gz")).error().code, ErrorCode::kIo);
}

TEST_F(Streams, ManyMembersAndFrames) {
  std::string members;
  std::string frames;
  for (int i = 0; i < 50; ++i) {
    members += gzip(i % 3 == 0 ? "" : "part " + std::to_string(i) + "\n");
    frames += zstd(i % 3 == 0 ? "" : "part " + std::to_string(i) + "\n");
  }
  frames += "\x50\x2a\x4d\x18\x03\0\0\0abc"s;  // a frame to be skipped
  const std::string text = read_all(write("a.gz", members)).bytes;
  EXPECT_EQ(text.size(), 33U * 7 + 27);
  EXPECT_EQ(read_all(write("a.zst", frames)).bytes, text);
  // Padding of zeros, as tapes leave it, and nothing else.
  EXPECT_FALSE(read_all(write("a.gz", members + std::string(300'000, '\0'))).error);
  for (const std::string& tail : {"x"s, "\0x"s, "\0"s + gzip("x"), "\x1f"s, "\x1f\x8b"s}) {
    const Reading reading = read_all(write("a.gz", members + tail));
    EXPECT_EQ(reading.bytes, text);
    ASSERT_TRUE(reading.error);
    EXPECT_EQ(reading.error->code, ErrorCode::kInvalidInput);
    EXPECT_GE(*reading.error->offset, members.size());
  }
  EXPECT_TRUE(read_all(write("a.zst", frames + "x")).error);
}

// A reader gets what stands before the damage, then the damage, at every place.
TEST_F(Streams, EveryPrefix) {
  const std::string text = some_text(3000);
  for (const bool is_gzip : {true, false}) {
    const std::string whole = is_gzip ? gzip(text) + gzip("x") : zstd(text) + zstd("x");
    const std::size_t first = is_gzip ? gzip(text).size() : zstd(text).size();
    for (std::size_t size = 4; size < whole.size(); ++size) {
      const std::string path = write(is_gzip ? "a.gz" : "a.zst", whole.substr(0, size));
      const Reading reading = read_all(path);
      EXPECT_EQ(text.substr(0, reading.bytes.size()), reading.bytes.substr(0, text.size()));
      if (size == first) {
        EXPECT_FALSE(reading.error);
        continue;
      }
      ASSERT_TRUE(reading.error) << size;
      EXPECT_EQ(reading.error->code, ErrorCode::kInvalidInput);
      EXPECT_EQ(reading.error->file, path);
      EXPECT_EQ(*reading.error->offset, size);
      EXPECT_NE(reading.error->message.find("truncated"), std::string::npos);
    }
  }
}

// No byte can be changed so that other bytes come out and nothing is said; some mean nothing.
TEST_F(Streams, EveryChangedByte) {
  const std::string text = some_text(400);
  for (const bool is_gzip : {true, false}) {
    const std::string whole = is_gzip ? gzip(text) : zstd(text);
    for (std::size_t at = 4; at < whole.size(); ++at) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ 0x10);
      const Reading reading = read_all(write("a", changed));
      if (reading.error) {
        EXPECT_LE(*reading.error->offset, whole.size());
      } else {
        EXPECT_EQ(reading.bytes, text) << at;
      }
    }
  }
}

TEST_F(Streams, WindowsAreBounded) {
  const std::string text = some_text(100'000);
  EXPECT_EQ(read_all(write("a.zst", zstd(text, 27))).bytes, text);
  const Reading reading = read_all(write("a.zst", zstd(text, 28)));
  EXPECT_EQ(reading.bytes, "");
  ASSERT_TRUE(reading.error);
  EXPECT_EQ(reading.error->message,
            "expected a window of at most 128 MiB (zstd --long=27, not more)");
}

}  // namespace
}  // namespace countermark::io
