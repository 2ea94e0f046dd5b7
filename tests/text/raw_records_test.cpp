// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/raw_records.h"

#include "tests/support/compress.h"
#include "tests/text/reading.h"

namespace countermark::text {
namespace {

struct Found {
  std::uint64_t record;
  std::uint64_t offset;
  std::string text;

  bool operator==(const Found&) const = default;
};

struct Pass {
  std::vector<Found> found{};
  std::vector<std::size_t> first{};  // of each batch, its first in `found`
  std::vector<Position> begins{};    // of each batch
  std::vector<Position> ends{};
  std::vector<Error> errors{};
};

Pass read_from(const std::vector<std::string>& inputs, const ReaderOptions& options = {},
               const Position& start = {}) {
  Pass pass;
  auto source = RecordSource::create(inputs, options);
  EXPECT_TRUE(source) << source.error().describe();
  EXPECT_TRUE(source->seek(start));
  RecordParser parser(options);
  Batch batch;
  for (int i = 0; i < 10'000; ++i) {
    const auto more = source->next(batch);
    if (!more) {
      pass.errors.push_back(more.error());
      continue;
    }
    if (!*more) return pass;
    EXPECT_FALSE(batch.records.empty());
    pass.first.push_back(pass.found.size());
    pass.begins.push_back(batch.begin);
    pass.ends.push_back(batch.end);
    EXPECT_EQ(batch.begin.records + batch.records.size(), batch.end.records);
    for (const RawRecord& record : batch.records) {
      auto document = parser.parse(batch, record);
      pass.found.push_back({record.record, record.offset,
                            document ? shown(*document) : document.error().describe()});
    }
  }
  ADD_FAILURE() << "the source does not end";
  return pass;
}

// Enough records for several batches, some of them bad, blank lines between.
struct File {
  std::string name;
  std::string bytes;
};

std::vector<File> files_of_many_records() {
  std::string lines = "\xef\xbb\xbf";
  std::string array = "\xef\xbb\xbf [ ";
  std::string table = "\xef\xbb\xbfid,text\r\n";
  for (int i = 0; i < 700; ++i) {
    const std::string id = std::to_string(i);
    const std::string text =
        "text " + id + " " + std::string(static_cast<std::size_t>(i * 37 % 9000), 'x');
    const std::string record =
        i % 50 == 7 ? "7" : R"({"id": ")" + id + R"(", "text": ")" + text + "\"}";
    lines += record + (i % 9 == 0 ? "\n \n" : "\n");
    array += record + (i < 699 ? " ,\n" : "\n");
    table += id + ",\"" + text + (i % 5 == 0 ? "\n\"\"quoted\"\", \"" : "\"") +
             (i % 9 == 0 ? "\r\n\r\n" : "\n");
  }
  array += "]\n";
  return {{"a.jsonl", lines}, {"a.json", array}, {"a.csv", table}};
}

class Sources : public Reading {};

TEST_F(Sources, GoOnWhereABatchBeginsOrEnds) {
  for (const File& file : files_of_many_records())
    for (const std::string& path :
         {write(file.name, file.bytes), write(file.name + ".gz", gzip(file.bytes)),
          write(file.name + ".zst", zstd(file.bytes))}) {
      const Pass whole = read_from({path});
      ASSERT_EQ(whole.found.size(), 700U) << path;
      EXPECT_TRUE(whole.errors.empty());
      ASSERT_GT(whole.first.size(), 2U) << "several batches";
      EXPECT_EQ(whole.begins[0], Position{});
      for (std::size_t i = 0; i < whole.first.size(); ++i) {
        if (i > 0) {
          EXPECT_EQ(whole.begins[i], whole.ends[i - 1]);
        }
        const std::vector<Found> rest(
            whole.found.begin() + static_cast<std::ptrdiff_t>(whole.first[i]), whole.found.end());
        EXPECT_EQ(read_from({path}, {}, whole.begins[i]).found, rest) << path;
      }
      const Pass behind = read_from({path}, {}, whole.ends.back());
      EXPECT_TRUE(behind.found.empty());
      EXPECT_TRUE(behind.errors.empty()) << behind.errors[0].describe();
    }
}

TEST_F(Sources, AnyPlaceBetweenRecordsWillDo) {
  // What the splitter reads before it goes on is more than the place is away.
  const std::string path = write("a.json", R"([{"text": "a"}, {"text": "b"}, {"text": "c"}])");
  const Pass pass = read_from({path}, {}, Position{0, 1, 14});
  ASSERT_EQ(pass.found.size(), 2U);
  EXPECT_EQ(pass.found[0], (Found{2, 16, "b"}));
  EXPECT_TRUE(pass.errors.empty());
  const std::string one = write("b.json", R"({"text": "a"} )");
  const Pass behind = read_from({one}, {}, Position{0, 1, 13});
  EXPECT_TRUE(behind.found.empty() && behind.errors.empty());
  const std::string text = write("a.txt", "text");
  EXPECT_TRUE(read_from({text}, {}, Position{0, 1, 4}).found.empty());
}

TEST_F(Sources, OneInputAfterTheOther) {
  const std::vector<std::string> inputs = {write("a.jsonl", "{\"text\": \"a\"}\n"),
                                           path("none.jsonl"),
                                           write("empty.csv", ""),
                                           write("b.txt", "b"),
                                           write("c.json", "[{\"text\": \"c\"}, "),
                                           write("d.tsv", "text\nd\n")};
  const Pass pass = read_from(inputs);
  ASSERT_EQ(pass.found.size(), 4U);
  EXPECT_EQ(pass.found[3].text, "d");
  ASSERT_EQ(pass.errors.size(), 2U);
  EXPECT_EQ(pass.errors[0].file, inputs[1]);
  EXPECT_EQ(pass.errors[1].file, inputs[4]);
  EXPECT_EQ(pass.begins.back(), (Position{5, 0, 0}));
  EXPECT_EQ(read_from(inputs, {}, Position{3, 1, 1}).found.size(), 2U);
  auto source = RecordSource::create({inputs[0]}, {});
  EXPECT_TRUE(source->seek({1, 0, 0}));
  EXPECT_EQ(source->seek({2, 0, 0}).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(Sources, WhatIsBeforeDamageIsDelivered) {
  const File file = files_of_many_records()[0];
  for (const bool is_gzip : {true, false}) {
    const std::string whole = is_gzip ? gzip(file.bytes) : zstd(file.bytes);
    const std::string path =
        write(is_gzip ? "a.jsonl.gz" : "a.jsonl.zst", whole.substr(0, whole.size() * 2 / 3));
    const Pass pass = read_from({path});
    EXPECT_GT(pass.found.size(), is_gzip ? 300U : 10U);
    ASSERT_EQ(pass.errors.size(), 1U);
    EXPECT_EQ(pass.errors[0].file, path);
    EXPECT_EQ(*pass.errors[0].offset, whole.size() * 2 / 3);
    const Pass sound = read_from({write("b.jsonl", file.bytes)});
    for (std::size_t i = 0; i < pass.found.size(); ++i) {
      EXPECT_EQ(pass.found[i].offset, sound.found[i].offset);
      if (i % 50 == 7) continue;  // an error, which names the file
      EXPECT_EQ(pass.found[i].text, sound.found[i].text) << "no record is cut";
    }
  }
}

TEST_F(Sources, RecordsThatAreTooLongArePassedOver) {
  ReaderOptions options;
  options.longest_record = 100;
  const std::string longest(100 - 12, 'x');
  for (const std::size_t more : {std::size_t{0}, std::size_t{1}, std::size_t{3'000'000}}) {
    const std::string text = longest + std::string(more, 'y');
    const std::string record = "{\"text\": \"" + text + "\"}";
    ASSERT_EQ(record.size(), 100 + more);
    const std::string row = "\"" + text + std::string(10, 'z') + "\"";
    ASSERT_EQ(row.size(), 100 + more);
    const std::string good = "{\"text\": \"good\"}";
    for (const std::string& path : {write("a.jsonl", good + "\n" + record + "\n" + good),
                                    write("a.json", "[" + good + "," + record + "," + good + "]"),
                                    write("a.csv", "text\ngood\n" + row + "\ngood\n")}) {
      const Pass pass = read_from({path}, options);
      ASSERT_EQ(pass.found.size(), 3U) << path;
      EXPECT_TRUE(pass.errors.empty());
      EXPECT_EQ(pass.found[2].record, 3U);
      EXPECT_EQ(pass.found[2].text, "good");
      EXPECT_EQ(
          pass.found[1].text.find("expected at most 100 bytes in a record") != std::string::npos,
          more > 0)
          << pass.found[1].text.substr(0, 100);
    }
  }
}

TEST_F(Sources, MemoryIsGivenBack) {
  std::string lines;
  for (const std::size_t size :
       {std::size_t{20'000'000}, std::size_t{10}, std::size_t{2'000'000}, std::size_t{10}})
    lines += "{\"text\": \"" + std::string(size, 'x') + "\"}\n";
  for (int i = 0; i < 100'000; ++i) lines += "{\"text\": \"x\"}\n";
  auto source = RecordSource::create({write("a.jsonl", lines)}, {});
  Batch batch;
  std::size_t largest = 0;
  for (int i = 0; *source->next(batch); ++i) {
    if (i > 0) largest = std::max(largest, batch.bytes.size());
  }
  EXPECT_LT(largest, std::size_t{6} << 20);
  EXPECT_EQ(source->bytes_read(), lines.size());
}

TEST_F(Sources, EveryPrefixOfATable) {
  const std::string table = "id,text,n\n1,\"a \"\"b\"\",\nc\",2\r\n\n3,plain,4\n\"5\",\"\",6";
  const std::string path = this->path("a.csv");
  for (std::size_t size = 0; size <= table.size(); ++size) {
    const Pass pass = read_from({write("a.csv", table.substr(0, size))});
    EXPECT_LE(pass.found.size() + pass.errors.size(), 4U);
    if (size > 29) {
      EXPECT_EQ(pass.found.at(0), (Found{1, 10, "a \"b\",\nc"}));
    }
  }
  EXPECT_EQ(read_from({path}).found.size(), 3U);
}

}  // namespace
}  // namespace countermark::text
