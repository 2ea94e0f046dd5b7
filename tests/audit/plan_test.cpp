// SPDX-License-Identifier: Apache-2.0
// Plans: what is fixed comes back with one form and one digest, and what would leave something open
// is refused and says where.
#include "verifier/audit/plan.h"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "tests/text/test_data.h"
#include "verifier/audit/audit.h"
#include "verifier/audit/plannable.h"

namespace countermark::audit {
namespace {

using nlohmann::json;

std::string digest(char of) { return std::string(64, of); }

// Of all tests, with all there is.
Plan example() {
  Plan out;
  out.alpha = 1e-6;
  for (const Plannable& kind : plannable_tests())
    out.tests.push_back({std::string(kind.name), 1e-7, {}});
  out.tests[1].tuples = 200'000;
  out.profile = digest('a');
  out.key_id = "00112233445566ff";
  out.account = "7f3a";
  out.cohort = "c1";
  out.decoy_seed = "00ff";
  out.inputs = {digest('1'), digest('2'), digest('3'), digest('4'), {digest('5'), digest('6')}};
  out.suspect = "student";
  out.note = "L\xc3\xa9once";
  return out;
}

Plan served_alone() {
  Plan out;
  out.tests = {{"served-response", 1e-6, {}}};
  out.inputs.transcripts = digest('4');
  return out;
}

std::string changed(const Plan& plan, const std::function<void(json&)>& change) {
  json out = json::parse(canonical_json(plan));
  change(out);
  return out.dump();
}

TEST(Plan, ComesBack) {
  for (const Plan& plan : {example(), served_alone()}) {
    ASSERT_TRUE(check_plan(plan)) << check_plan(plan).error().describe();
    const std::string text = canonical_json(plan);
    EXPECT_EQ(text.find('\n'), text.npos);
    const auto back = parse_plan(text);
    ASSERT_TRUE(back) << back.error().describe();
    EXPECT_EQ(*back, plan);
    // However it is laid out.
    const auto pretty = parse_plan(json::parse(text).dump(2) + "\n");
    ASSERT_TRUE(pretty);
    EXPECT_EQ(digest_of(*pretty), digest_of(plan));
  }
}

TEST(Plan, IsTheGolden) {
  const std::string golden = text::test_file("goldens/plan.json");
  const auto plan = parse_plan(golden);
  ASSERT_TRUE(plan) << plan.error().describe();
  EXPECT_EQ(canonical_json(*plan), golden);
}

// printf %s '…' | sha256sum
TEST(Plan, HasTheDigestOfItsBytes) {
  EXPECT_EQ(canonical_json(served_alone()),
            R"({"account":null,"alpha":"1e-6","cohort":null,"decoySeed":"","decoys":1000,"inputs":)"
            R"({"markedReading":null,"prompts":null,"quoted":[],"reading":null,"transcripts":")" +
                digest('4') +
                R"("},"keyId":null,"note":null,"power":0.9,"profile":null,"schema":)"
                R"("countermark.plan/1","suspect":null,"tests":[{"alpha":"1e-6","test":)"
                R"("served-response"}]})");
  EXPECT_EQ(digest_of(served_alone()),
            "d609736b6f70f0a02a08f71ddbb6324b74369a8589649e6baa171fba44ec0a05");
}

TEST(Plan, EveryFieldIsInTheDigest) {
  const std::string before = digest_of(example());
  const json whole = json::parse(canonical_json(example()));
  const std::vector<std::function<void(Plan&)>> changes = {
      [](Plan& plan) { plan.alpha = 2e-6; },
      [](Plan& plan) { plan.power = 0.8; },
      [](Plan& plan) { plan.tests.pop_back(); },
      [](Plan& plan) { plan.tests[0].alpha = 2e-7; },
      [](Plan& plan) { plan.tests[1].tuples = 1; },
      [](Plan& plan) { plan.tests[1].tuples.reset(); },
      [](Plan& plan) { plan.profile = digest('b'); },
      [](Plan& plan) { plan.key_id = "other"; },
      [](Plan& plan) { plan.account.reset(); },
      [](Plan& plan) { plan.cohort.reset(); },
      [](Plan& plan) { plan.decoys = 0; },
      [](Plan& plan) { plan.decoy_seed = ""; },
      [](Plan& plan) { plan.inputs.reading = digest('9'); },
      [](Plan& plan) { plan.inputs.marked_reading = digest('9'); },
      [](Plan& plan) { plan.inputs.prompts = digest('9'); },
      [](Plan& plan) { plan.inputs.transcripts = digest('9'); },
      [](Plan& plan) { plan.inputs.quoted.pop_back(); },
      [](Plan& plan) { plan.suspect.reset(); },
      [](Plan& plan) { plan.note.reset(); },
  };
  for (const auto& change : changes) {
    Plan plan = example();
    change(plan);
    EXPECT_TRUE(check_plan(plan));
    EXPECT_NE(digest_of(plan), before) << canonical_json(plan);
  }
}

TEST(Plan, WhatLeavesSomethingOpenIsRefused) {
  struct Case {
    const char* pointer;
    json value;
    const char* named;
  };
  for (const auto& [pointer, value, named] : std::vector<Case>{
           {"/schema", "countermark.plan/2", "schema"},
           {"/alpha", 1e-6, "alpha"},
           {"/alpha", "1.0e-6", "alpha"},
           {"/alpha", "1e-06", "alpha"},
           {"/alpha", "6e-1", "alpha"},
           {"/alpha", "0", "alpha"},
           {"/alpha", "-1e-6", "alpha"},
           {"/alpha", "nan", "alpha"},
           {"/alpha", "1e-6 ", "alpha"},
           {"/alpha", "1e-7", "tests"},  // the parts come to more
           {"/power", 0.5, "power"},
           {"/power", 1, "power"},
           {"/power", ".9", "power"},
           {"/tests", json::array(), "tests"},
           {"/tests", nullptr, "tests"},
           {"/tests/0/test", "no-such-test", "tests[0].test"},
           {"/tests/1/test", "served-response", "tests[1].tuples"},
           {"/tests/0/alpha", nullptr, "tests[0].alpha"},
           {"/tests/0/tuples", nullptr, "tests[0].tuples"},
           {"/tests/1/tuples", 0, "tests[1].tuples"},
           {"/tests/1/tuples", "7", "tests[1].tuples"},
           {"/tests/0/other", 1, "tests[0].other"},
           {"/profile", nullptr, "profile"},
           {"/profile", digest('A'), "profile"},
           {"/profile", std::string(63, 'a'), "profile"},
           {"/keyId", nullptr, "keyId"},
           {"/keyId", "", "keyId"},
           {"/keyId", std::string(256, 'k'), "keyId"},
           {"/account", "", "account"},
           {"/cohort", 7, "cohort"},
           {"/decoys", 1'000'001, "decoys"},
           {"/decoys", -1, "decoys"},
           {"/decoySeed", "0", "decoySeed"},
           {"/decoySeed", "AB", "decoySeed"},
           {"/inputs/reading", nullptr, "inputs.reading"},
           {"/inputs/markedReading", nullptr, "inputs.markedReading"},
           {"/inputs/prompts", nullptr, "inputs.prompts"},
           {"/inputs/transcripts", nullptr, "inputs.transcripts"},
           {"/inputs/quoted", nullptr, "inputs.quoted"},
           {"/inputs/quoted/0", digest('6'), "inputs.quoted[1]"},
           {"/inputs/quoted/0", nullptr, "inputs.quoted[0]"},
           {"/inputs/other", digest('6'), "inputs.other"},
           {"/suspect", "", "suspect"},
           {"/note", std::string(4097, 'n'), "note"},
           {"/other", 1, "other"},
       }) {
    const auto read = parse_plan(
        changed(example(), [&](json& plan) { plan[json::json_pointer(pointer)] = value; }));
    ASSERT_FALSE(read) << pointer << value;
    EXPECT_EQ(read.error().field, named) << value;
    EXPECT_TRUE(read.error().offset);
  }
  const auto twice =
      parse_plan(changed(example(), [](json& plan) { plan["tests"][2] = plan["tests"][1]; }));
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().field, "tests[2].test");
}

TEST(Plan, MissingFieldsAreNamed) {
  const json whole = json::parse(canonical_json(example()));
  for (const auto& [field, unused] : whole.items()) {
    const auto read = parse_plan(changed(example(), [&](json& plan) { plan.erase(field); }));
    ASSERT_FALSE(read) << field;
    EXPECT_EQ(read.error().field, field);
  }
  for (const auto& [field, unused] : whole["inputs"].items()) {
    const auto read =
        parse_plan(changed(example(), [&](json& plan) { plan["inputs"].erase(field); }));
    ASSERT_FALSE(read) << field;
    EXPECT_EQ(read.error().field, "inputs." + field);
  }
}

// A part that is an equal share of a decimal is not one itself.
TEST(Plan, PartsMayComeToAlpha) {
  Plan plan = example();
  plan.alpha = 1e-6;
  for (PlannedTest& test : plan.tests) test.alpha = 1e-6 / static_cast<double>(plan.tests.size());
  EXPECT_TRUE(check_plan(plan));
  plan.tests[0].alpha *= 1.001;
  EXPECT_EQ(check_plan(plan).error().field, "tests");
}

TEST(Plan, FromParts) {
  Plan plan = served_alone();
  plan.note = "\xff";
  EXPECT_EQ(check_plan(plan).error().field, "note");
  plan = served_alone();
  plan.alpha = 0;
  const Status refused = check_plan(plan);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused.error().field, "alpha");
  EXPECT_FALSE(refused.error().offset);
  plan = served_alone();
  plan.tests[0].name = "\xff";
  EXPECT_EQ(check_plan(plan).error().field, "tests");
}

// What an audit runs can be planned.
TEST(Plan, HasEveryTest) {
  for (const TestKind kind : kTestKinds) {
    const Plannable* const found = find_plannable(kind_name(kind));
    ASSERT_NE(found, nullptr) << kind_name(kind);
    EXPECT_EQ(found->needs_key, has_tuples(kind));
  }
}

TEST(Plan, Decimals) {
  EXPECT_EQ(decimal(5e-7), "5e-7");
  EXPECT_EQ(decimal(3.33333e-7), "3.33333e-7");
  EXPECT_EQ(decimal(0.5), "5e-1");
  EXPECT_EQ(decimal(1e-300), "1e-300");
  EXPECT_EQ(decimal(1e-10), "1e-10");
}

}  // namespace
}  // namespace countermark::audit
