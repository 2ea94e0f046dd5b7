// SPDX-License-Identifier: Apache-2.0
// The sort behind the tape, for fingerprints of any kind; and the rows' bytes.
#include "verifier/scan/assign.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>

#include "tests/support/random_numbers.h"
#include "verifier/scan/row_format.h"

namespace countermark::scan {
namespace {

using Fingerprints = std::function<std::uint64_t(std::uint64_t i)>;

// Each of `count` records has the fingerprint that the function says, and a document of its own
// whose hash falls from one to the next: of equal fingerprints the last record wins.
void expect_sorted(std::size_t count, std::size_t lanes, const Fingerprints& fingerprint,
                   std::uint64_t least = 0, std::uint64_t most = UINT64_MAX) {
  Documents documents({"", {static_cast<std::uint32_t>(lanes)}, {}});
  std::vector<std::uint32_t> records;
  std::map<std::uint64_t, std::uint32_t> last;
  for (std::uint32_t i = 0; i < count; ++i) {
    ASSERT_EQ(documents.add(count - i, {}).value(), i);
    const std::uint64_t value = fingerprint(i);
    records.push_back(static_cast<std::uint32_t>(value));
    records.push_back(static_cast<std::uint32_t>(value >> 32));
    records.push_back(i);
    for (std::uint32_t lane = 0; lane < lanes; ++lane) records.push_back(i * 10 + lane);
    last[value] = i;
  }
  const std::size_t stride = kRecordHead + lanes;
  const std::size_t half = count / 2 * stride;
  const std::span<const std::uint32_t> all(records);
  const std::span<const std::uint32_t> segments[] = {all.first(half), all.subspan(half)};
  Assigner assigner(documents);
  const auto kept = assigner.assign(0, lanes, segments, least, most);
  ASSERT_EQ(kept.size(), last.size() * stride);
  std::size_t at = 0;
  for (const auto& [value, document] : last) {
    ASSERT_EQ(record_fingerprint(&kept[at]), value);
    ASSERT_EQ(kept[at + 2], document);
    for (std::uint32_t lane = 0; lane < lanes; ++lane)
      ASSERT_EQ(kept[at + kRecordHead + lane], document * 10 + lane);
    at += stride;
  }
  for (std::uint32_t i = 0; i < count; ++i)
    for (std::uint32_t lane = 0; lane < lanes; ++lane)
      ASSERT_EQ(documents.lost(i, lane),
                last[fingerprint(i)] == i ? Tally{} : (Tally{1, i * std::uint64_t{10} + lane}));
}

TEST(Assign, SortsWhateverTheFingerprintsAre) {
  const auto spread = [](std::uint64_t i) { return tests::RandomNumbers(i).next(); };
  for (const std::size_t lanes : {1U, 2U, 5U})
    for (const std::size_t count : {0U, 1U, 2U, 3U, 100U, 5000U}) {
      expect_sorted(count, lanes, spread);
      expect_sorted(count, lanes, [&](std::uint64_t i) { return spread(i % 37); });
      expect_sorted(count, lanes, [](std::uint64_t) { return UINT64_MAX; });
      expect_sorted(
          count, lanes, [](std::uint64_t) { return 5; }, 5, 5);
      expect_sorted(
          count, lanes, [](std::uint64_t i) { return i; }, 0, 5000);
      // All in one place of a wide range: found by comparing.
      expect_sorted(count, lanes, [](std::uint64_t i) { return 5000 - i; });
      expect_sorted(count, lanes, [](std::uint64_t i) { return UINT64_MAX - i * i; });
    }
}

// A quadratic sort would take minutes.
TEST(Assign, ChosenFingerprintsTakeNoLongerThanSorting) {
  const auto begin = std::chrono::steady_clock::now();
  expect_sorted(200'000, 1, [](std::uint64_t i) { return 200'000 - i; });
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

const Settings kSettings{"", {1, 2}, {}};

NumberedRow a_row() {
  return {7,
          {.content_hash = UINT64_MAX,
           .place = {3, 128},
           .offset = 127,
           .tokens = 16384,
           .id = std::string("\0\xff", 2),
           .dropped = {0, UINT64_MAX},
           .own = {{1, 2}, {3, 4}, {3, 6}},
           .spans = {{.lane = 2, .first = 5, .last = 5, .tally = {1, 99}},
                     {.lane = 0, .first = 0, .last = UINT64_MAX, .tally = {}}}}};
}

TEST(RowFormat, RoundTrip) {
  std::string bytes;
  write_row(bytes, 7, a_row().row);
  std::string_view rest = bytes;
  const auto read = read_row(rest, kSettings);
  ASSERT_TRUE(read) << read.error().describe();
  EXPECT_EQ(read->document, 7);
  EXPECT_EQ(read->row, a_row().row);
  EXPECT_TRUE(rest.empty());
}

TEST(RowFormat, EveryCutIsFound) {
  std::string bytes;
  write_row(bytes, 7, a_row().row);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    std::string_view rest = std::string_view(bytes).substr(0, size);
    const auto read = read_row(rest, kSettings);
    ASSERT_FALSE(read) << size;
    EXPECT_EQ(read.error().code, ErrorCode::kInvalidInput);
    EXPECT_LE(read.error().offset.value(), size);
  }
}

TEST(RowFormat, ANumberHasOneForm) {
  const auto field = [](std::string_view bytes) {
    const auto read = read_row(bytes, kSettings);
    return read ? "" : read.error().field;
  };
  EXPECT_EQ(field(std::string("\x80\0", 2)), "document") << "longer than needed";
  EXPECT_EQ(field("\x80\x80\x80\x80\x10"), "document") << "2^32";
  EXPECT_EQ(field(std::string("\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 12)), "record")
      << "2^65";
  EXPECT_EQ(field(std::string("\0\0\0\0\0\0\x05", 7)), "id") << "more than there is";
}

}  // namespace
}  // namespace countermark::scan
