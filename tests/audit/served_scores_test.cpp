// SPDX-License-Identifier: Apache-2.0
// countermark.scores/1: what is written comes back, and what is wrong says where.
#include "verifier/audit/served_scores.h"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "tests/support/folder_test.h"
#include "tests/text/test_data.h"

namespace countermark::audit {
namespace {

using nlohmann::json;

ServedScore example() { return {"req-1", "7f3a", -1.25, {-1.5, -2, 0.125, 1e-300}, false}; }

std::string changed(const std::function<void(json&)>& change) {
  json record = json::parse(to_json_line(example()));
  change(record);
  return record.dump();
}

TEST(ServedScores, ComeBack) {
  ServedScore control = example();
  control.account.reset();
  control.never_served = true;
  control.key_id = "0123456789abcdef";
  for (const ServedScore& each : {example(), control}) {
    const std::string line = to_json_line(each);
    EXPECT_EQ(line.find('\n'), line.size() - 1);
    const auto back = parse_served_score(line);
    ASSERT_TRUE(back) << back.error().describe();
    EXPECT_EQ(*back, each);
  }
}

TEST(ServedScores, AreTheGolden) {
  EXPECT_EQ(to_json_line(example()), text::test_file("goldens/scores.jsonl"));
}

TEST(ServedScores, BadRecordsSayWhere) {
  struct Case {
    const char* field;
    json value;
    const char* named = nullptr;
  };
  for (const auto& [field, value, named] : std::vector<Case>{
           {"schema", "countermark.scores/2"},
           {"id", ""},
           {"id", 7},
           {"account", ""},
           {"account", 1},
           {"served", "1"},
           {"served", nullptr},
           {"regenerated", json::array()},
           {"regenerated", 1},
           {"regenerated", std::vector<double>(65)},
           {"regenerated", {1, "2"}, "regenerated[1]"},
           {"keyId", ""},
           {"keyId", 1},
           {"neverServed", 0},
           {"neverServed", nullptr},
           {"other", 1},
       }) {
    const auto read = parse_served_score(changed([&](json& record) { record[field] = value; }));
    ASSERT_FALSE(read) << field << value;
    EXPECT_EQ(read.error().field, named == nullptr ? field : named) << value;
    EXPECT_TRUE(read.error().offset);
  }
  const json whole = json::parse(to_json_line(example()));
  for (const auto& [field, unused] : whole.items()) {
    if (field == "keyId") continue;
    const auto read = parse_served_score(changed([&](json& record) { record.erase(field); }));
    ASSERT_FALSE(read) << field;
    EXPECT_EQ(read.error().field, field);
  }
  for (const char* line :
       {"", "[]", "{", R"({"schema":"countermark.scores/1","id":"a","served":1e999})"})
    EXPECT_FALSE(parse_served_score(line)) << line;
}

using ServedScoreFiles = tests::FolderTest;

TEST_F(ServedScoreFiles, AreReadOneByOne) {
  const std::string file =
      write("scores.jsonl", to_json_line(example()) + "\n  \n{\n" + to_json_line(example()));
  ServedScoreReader reader = ServedScoreReader::open(file).value();
  EXPECT_EQ(**reader.next(), example());
  const auto bad = reader.next();
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().file, file);
  EXPECT_EQ(bad.error().field, "record 2");
  EXPECT_EQ(**reader.next(), example());
  EXPECT_FALSE(*reader.next());
  EXPECT_EQ(ServedScoreReader::open(path("none")).error().code, ErrorCode::kIo);
}

}  // namespace
}  // namespace countermark::audit
