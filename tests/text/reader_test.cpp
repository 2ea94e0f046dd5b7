// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/reader.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "tests/text/reading.h"
#include "tests/text/test_data.h"
#include "verifier/io/file.h"

namespace countermark::text {
namespace {

using namespace std::string_literals;

TEST_F(Reading, TextIsOneDocument) {
  for (const char* name : {"a.txt", "a", "A.TXT", ".hidden"}) {
    const std::string path = write(name, "one\r\ntwo\n");
    const Outcome outcome = all_of(path);
    ASSERT_EQ(outcome.documents.size(), 1U) << name;
    const Document& document = outcome.documents[0];
    EXPECT_EQ(shown(document), "one\r\ntwo\n");
    EXPECT_EQ(document.id, path + ":1");
    EXPECT_EQ(document.input, path);
    EXPECT_EQ(document.record, 1U);
    EXPECT_EQ(document.field, "");
  }
  EXPECT_EQ(shown(all_of(write("empty.txt", "")).documents.at(0)), "");
  EXPECT_EQ(shown(all_of(write("bom.txt", "\xef\xbb\xbfx")).documents.at(0)), "x");
}

TEST_F(Reading, FormatFollowsTheNameUnlessGiven) {
  const std::string line = R"({"text": "x"})";
  EXPECT_EQ(shown(all_of(write("a.jsonl", line)).documents.at(0)), "x");
  EXPECT_EQ(shown(all_of(write("a.ndjson", line)).documents.at(0)), "x");
  EXPECT_EQ(shown(all_of(write("a.json", line)).documents.at(0)), "x");
  ReaderOptions options;
  options.format = Format::kJsonl;
  EXPECT_EQ(shown(all_of(write("a.txt", line), options).documents.at(0)), "x");
  options.format = Format::kText;
  EXPECT_EQ(shown(all_of(write("a.jsonl", line), options).documents.at(0)), line);
  for (const char* name : {"a.md", "a.parquet.gz", "a.jsonl.bz2", "a.gz.zst"}) {
    const Outcome outcome = all_of(write(name, line));
    ASSERT_EQ(outcome.errors.size(), 1U) << name;
    EXPECT_EQ(outcome.errors[0].code, ErrorCode::kUnsupported);
    EXPECT_EQ(outcome.errors[0].file, path(name));
  }
}

TEST_F(Reading, ContradictingOptionsAreRefused) {
  ReaderOptions both;
  both.text_field = "a";
  both.ids_field = "b";
  EXPECT_EQ(all_of(write("a.jsonl", "{}"), both).errors.at(0).code, ErrorCode::kInvalidArgument);
  ReaderOptions field;
  field.text_field = "a";
  EXPECT_EQ(all_of(write("a.txt", "x"), field).errors.at(0).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(all_of(path("none.jsonl")).errors.at(0).code, ErrorCode::kIo);
}

struct Record {
  const char* json;
  const char* field;
  std::string shown;
};

TEST_F(Reading, FindsTheKnownFields) {
  const std::vector<Record> records = {
      {R"({"text": "a", "content": "b"})", "text", "a"},
      {R"({"content": "b", "output": "c"})", "content", "b"},
      {R"({"output": "c", "response": "d"})", "output", "c"},
      {R"({"response": "d", "completion": "e"})", "response", "d"},
      {R"({"messages": [], "completion": "e"})", "completion", "e"},
      {R"({"text": null, "response": "d"})", "response", "d"},
      {R"({"text": ""})", "text", ""},
      {R"({"text": "\u0000\ud83d\ude00"})", "text", "\0\xf0\x9f\x98\x80"s},
      {R"({"prompt": "p", "response": "d"})", "response", "[p]|d"},
      {R"({"prompt": "p", "completion": "d"})", "completion", "[p]|d"},
      {R"({"output": "d", "prompt": "p"})", "output", "[p]|d"},
      {R"({"prompt": "p", "text": "d"})", "text", "[p]|d"},
      {R"({"prompt": null, "text": "d"})", "text", "d"},
      {R"({"prompt": "p", "content": "d"})", "content", "[p]|d"},
      {R"({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"},
          {"role": "assistant", "content": "a"}, {"role": "tool", "content": "t"},
          {"role": "assistant", "content": null}, {"role": "assistant", "content": "b"}]})",
       "messages", "[s]|[u]|a|[t]|b"},
      {R"({"conversations": [{"from": "system", "value": "s"}, {"from": "human", "value": "u"},
          {"from": "gpt", "value": "a"}]})",
       "conversations", "[s]|[u]|a"},
      {R"({"prompt": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "x"}],
          "completion": [{"role": "assistant", "content": "a"}]})",
       "completion", "[u]|[x]|a"},
      {R"({"messages": []})", "messages", ""},
  };
  for (const Record& record : records) {
    const Outcome outcome = all_of(write("a.json", record.json));
    ASSERT_EQ(outcome.documents.size(), 1U) << record.json;
    EXPECT_EQ(outcome.documents[0].field, record.field);
    EXPECT_EQ(shown(outcome.documents[0]), record.shown) << record.json;
  }
}

TEST_F(Reading, ScoresTheChosenRole) {
  const std::string openai = write("a.json", R"({"messages": [{"role": "user", "content": "u"},
      {"role": "assistant", "content": "a"}, {"role": "critic", "content": "c"}]})");
  const std::string sharegpt =
      write("b.json", R"({"conversations": [{"from": "human", "value": "u"},
      {"from": "gpt", "value": "a"}]})");
  ReaderOptions options;
  options.role = "user";
  EXPECT_EQ(shown(all_of(openai, options).documents.at(0)), "u|[a]|[c]");
  EXPECT_EQ(shown(all_of(sharegpt, options).documents.at(0)), "u|[a]");
  options.role = "gpt";
  EXPECT_EQ(shown(all_of(openai, options).documents.at(0)), "[u]|a|[c]");
  options.role = "critic";
  EXPECT_EQ(shown(all_of(openai, options).documents.at(0)), "[u]|[a]|c");
  options.role = "nobody";
  EXPECT_EQ(shown(all_of(openai, options).documents.at(0)), "[u]|[a]|[c]");
}

TEST_F(Reading, FollowsPaths) {
  const std::string path = write("a.json", R"({"a": {"b.c": "1", "b": {"c": "2"}}, "a.b": "3",
      "list": [{"x": "4"}, {"x": "5"}], "prompt": "p",
      "deep": {"messages": [{"role": "assistant", "content": "6"}]}})");
  const auto with = [&](const char* field) {
    ReaderOptions options;
    options.text_field = field;
    const Outcome outcome = all_of(path, options);
    return outcome.documents.empty() ? outcome.errors.at(0).describe()
                                     : shown(outcome.documents[0]);
  };
  EXPECT_EQ(with("a.b.c"), "[p]|2");
  EXPECT_EQ(with("a.b"), "[p]|3");
  EXPECT_EQ(with("list.1.x"), "[p]|5");
  EXPECT_EQ(with("deep.messages"), "[p]|6");
  EXPECT_EQ(with("prompt"), "p");
  EXPECT_EQ(with("a.x"), path + ": record 1, a.x (byte 0): is missing");
  EXPECT_EQ(with("list.2.x"), path + ": record 1, list.2.x (byte 0): is missing");
  EXPECT_EQ(with("list.-1.x"), path + ": record 1, list.-1.x (byte 0): is missing");
  EXPECT_EQ(with("list.1x.x"), path + ": record 1, list.1x.x (byte 0): is missing");
  EXPECT_NE(with("a").find("expected a string or an array of turns"), std::string::npos);
}

TEST_F(Reading, ReadsIds) {
  ReaderOptions options;
  options.ids_field = "out.ids";
  const std::string path = write("a.jsonl",
                                 R"({"id": 7, "out": {"ids": [0, 4294967295, 3]}, "text": 5}
{"out": {"ids": []}, "prompt": "p"}
{"out": {"ids": [1, 4294967296]}}
{"out": {"ids": [-1]}}
{"out": {"ids": [1, 2, 3.0]}}
{"out": {"ids": "1"}}
{"out": {}}
{"out": {"ids": [9]}}
)");
  const Outcome outcome = all_of(path, options);
  ASSERT_EQ(outcome.documents.size(), 3U);
  EXPECT_EQ(outcome.documents[0].id, "7");
  EXPECT_EQ(outcome.documents[0].field, "out.ids");
  EXPECT_TRUE(outcome.documents[0].segments.at(0).is_ids);
  EXPECT_EQ(outcome.documents[0].segments.at(0).ids, (std::vector<TokenId>{0, 4294967295U, 3}));
  EXPECT_EQ(shown(outcome.documents[1]), "[p]|");
  EXPECT_EQ(shown(outcome.documents[2]), "9,");
  EXPECT_EQ(outcome.documents[2].record, 8U);
  ASSERT_EQ(outcome.errors.size(), 5U);
  EXPECT_EQ(outcome.errors[0].field, "record 3, out.ids[1]");
  EXPECT_EQ(outcome.errors[1].field, "record 4, out.ids[0]");
  EXPECT_EQ(outcome.errors[2].field, "record 5, out.ids[2]");
  EXPECT_EQ(outcome.errors[3].field, "record 6, out.ids");
  EXPECT_EQ(outcome.errors[4].field, "record 7, out.ids");
  const std::string bytes = *io::read_file(path);
  EXPECT_EQ(*outcome.errors[0].offset, bytes.find("4294967296"));
  EXPECT_EQ(*outcome.errors[2].offset, bytes.find("3.0"));
}

TEST_F(Reading, LinesAreNumberedAndLocated) {
  const std::string bytes =
      "\xef\xbb\xbf{\"text\": \"a\"}\r\n\n  \t\r\n{\"id\": \"x\", \"text\": \"b\"}\n"
      "{\"id\": null, \"text\": \"c\"}";
  const std::string path = write("a.jsonl", bytes);
  const Outcome outcome = all_of(path);
  EXPECT_TRUE(outcome.errors.empty());
  ASSERT_EQ(outcome.documents.size(), 3U);
  EXPECT_EQ(outcome.documents[0].id, path + ":1");
  EXPECT_EQ(outcome.documents[0].offset, 3U);
  EXPECT_EQ(outcome.documents[1].id, "x");
  EXPECT_EQ(outcome.documents[1].record, 2U);
  EXPECT_EQ(outcome.documents[1].offset, bytes.find("{\"id\": \"x\""));
  EXPECT_EQ(outcome.documents[2].id, path + ":3");
  EXPECT_EQ(outcome.documents[2].input, path);
  EXPECT_TRUE(all_of(write("empty.jsonl", "")).documents.empty());
  EXPECT_TRUE(all_of(write("blank.jsonl", "\n\n \n")).documents.empty());
}

struct BadRecord {
  std::string bytes;
  const char* field;    // after "record 2"
  std::size_t offset;   // in the record
  const char* message;  // a part of it
};

TEST_F(Reading, BadRecordsAreNamedAndPassedOver) {
  const std::vector<BadRecord> cases = {
      {R"({"text": "x)", "", 11, "JSON"},
      {R"({"text": "x"} {})", "", 14, "JSON"},
      {"{\"text\": \"a\xff\"}", "", 11, "UTF-8"},
      {"\"\xc3\"", "", 1, "UTF-8"},
      {R"({"text": "\ud800"})", "", 16, "JSON"},
      {R"({"text": 1e999})", "", 9, "number"},
      {"{\"text\": \"a\"}\0"s, "", 13, "NUL"},
      {R"({"text": "x", "text": "y"})", ", text", 14, "twice"},
      {R"([1])", "", 0, "expected an object"},
      {R"("text")", "", 0, "expected an object"},
      {R"({"words": 1})", "", 0, "expected one of the fields text, content"},
      {R"({"text": 5})", ", text", 9, "expected a string or an array of turns"},
      {R"({"text": {"a": 1}})", ", text", 9, "expected a string or an array of turns"},
      {R"({"id": 1.5, "text": "x"})", ", id", 7, "expected a string or an integer"},
      {R"({"prompt": 3, "text": "x"})", ", prompt", 11, "expected a string"},
      {R"({"messages": "x", "id": []})", ", id", 24, "expected a string or an integer"},
      {R"({"messages": [1]})", ", messages[0]", 14, "expected a turn"},
      {R"({"messages": [{"content": "a"}]})", ", messages[0]", 14, "expected a turn"},
      {R"({"messages": [{"role": 1, "content": "a"}]})", ", messages[0].role", 23, "a string"},
      {R"({"messages": [{"role": "user"}]})", ", messages[0].content", 14, "is missing"},
      {R"({"messages": [{"role": "user", "content": []}]})", ", messages[0].content", 42,
       "expected a string"},
      {R"({"conversations": [{"from": "gpt"}]})", ", conversations[0].value", 19, "is missing"},
      {std::string(100'000, '['), "", 64, "nesting"},
  };
  const std::string good = "{\"text\": \"good\"}\n";
  for (const BadRecord& bad : cases) {
    const std::string path = write("a.jsonl", good + bad.bytes + "\n" + good);
    const Outcome outcome = all_of(path);
    ASSERT_EQ(outcome.errors.size(), 1U) << bad.bytes;
    const Error& error = outcome.errors[0];
    EXPECT_EQ(error.code, ErrorCode::kInvalidInput);
    EXPECT_EQ(error.file, path);
    EXPECT_EQ(error.field, "record 2"s + bad.field);
    EXPECT_EQ(*error.offset, good.size() + bad.offset) << bad.bytes;
    EXPECT_NE(error.message.find(bad.message), std::string::npos) << error.message;
    ASSERT_EQ(outcome.documents.size(), 2U);
    EXPECT_EQ(outcome.documents[1].record, 3U);
    EXPECT_EQ(outcome.documents[1].offset, good.size() + bad.bytes.size() + 1);
  }
}

TEST_F(Reading, JsonArraysKeepTheirPlaces) {
  const std::string bytes =
      "\xef\xbb\xbf [ {\"text\": \"a]\\\"\"} ,\n{\"id\": -3, \"text\": [\"]\"]}, 7,"
      "{\"text\": \"b\\x\"},{\"text\":\"c\"}]\n";
  const std::string path = write("a.json", bytes);
  const Outcome outcome = all_of(path);
  ASSERT_EQ(outcome.documents.size(), 2U);
  EXPECT_EQ(shown(outcome.documents[0]), "a]\"");
  EXPECT_EQ(outcome.documents[0].offset, bytes.find("{\"text\": \"a"));
  EXPECT_EQ(outcome.documents[1].record, 5U);
  EXPECT_EQ(outcome.documents[1].offset, bytes.find("{\"text\":\"c"));
  ASSERT_EQ(outcome.errors.size(), 3U);
  EXPECT_EQ(outcome.errors[0].field, "record 2, text[0]");
  EXPECT_EQ(*outcome.errors[0].offset, bytes.find("\"]\""));
  EXPECT_EQ(outcome.errors[1].field, "record 3");
  EXPECT_EQ(*outcome.errors[1].offset, bytes.find("7,"));
  EXPECT_EQ(*outcome.errors[2].offset, bytes.find("b\\x") + 2);
  EXPECT_TRUE(all_of(write("b.json", " [ ] ")).documents.empty());
  EXPECT_TRUE(all_of(write("b.json", " [ ] ")).errors.empty());
}

TEST_F(Reading, DamagedJsonFilesEndBehindTheirLastRecord) {
  struct Damaged {
    std::string bytes;
    std::size_t offset;
    std::size_t records;  // that stand before
  };
  const std::vector<Damaged> cases = {
      {"", 0, 0},
      {"  ", 2, 0},
      {"7", 0, 0},
      {"x", 0, 0},
      {"[", 1, 0},
      {"[{\"text\": \"a\"}", 14, 1},
      {"[{\"text\": \"a\"},", 15, 1},
      {"[{\"text\": \"a\"},{\"text", 21, 1},
      {"[{\"text\": \"a\"} {}]", 15, 1},
      {"[{\"text\": \"a\"}}", 14, 1},
      {"{\"text\": \"a\"", 12, 0},
      {"{\"text\": \"a\"}\n{\"text\": \"b\"}", 14, 1},
      {"[] x", 3, 0},
      {std::string(1'000'000, '['), 1'000'000, 0},
  };
  for (const auto& [bytes, offset, records] : cases) {
    const std::string path = write("a.json", bytes);
    const Outcome outcome = all_of(path);
    ASSERT_EQ(outcome.errors.size(), 1U) << bytes.substr(0, 50);
    EXPECT_EQ(outcome.errors[0].code, ErrorCode::kInvalidInput);
    EXPECT_EQ(outcome.errors[0].file, path);
    EXPECT_EQ(outcome.errors[0].field, "");
    EXPECT_EQ(*outcome.errors[0].offset, offset) << bytes.substr(0, 50);
    EXPECT_EQ(outcome.documents.size(), records) << bytes.substr(0, 50);
    EXPECT_TRUE(outcome.is_broken);
  }
  const Outcome bad_text = all_of(write("a.json", "[{\"text\": \"\xff\"},{\"text\": \"b\"}]"));
  EXPECT_EQ(*bad_text.errors.at(0).offset, 11U);
  EXPECT_EQ(bad_text.documents.size(), 1U);
  EXPECT_FALSE(bad_text.is_broken);
  // Sound brackets around elements that are not: each is a bad record.
  const Outcome outcome = all_of(write("a.json", "[{\"text\": \"a\"},,{\"text\": \"b\"},]"));
  EXPECT_EQ(outcome.documents.size(), 2U);
  EXPECT_EQ(outcome.errors.size(), 2U);
}

TEST_F(Reading, InvalidTextNamesTheByte) {
  const Outcome outcome = all_of(write("a.txt", "\xef\xbb\xbfgood \xed\xa0\x80"));
  ASSERT_EQ(outcome.errors.size(), 1U);
  EXPECT_EQ(outcome.errors[0].code, ErrorCode::kInvalidInput);
  EXPECT_EQ(*outcome.errors[0].offset, 8U);
}

// The file is not there: that is no bad record.
TEST_F(Reading, AMissingFileIsBroken) {
  const Outcome outcome = all_of(path("none.jsonl"));
  ASSERT_EQ(outcome.errors.size(), 1U);
  EXPECT_EQ(outcome.errors[0].code, ErrorCode::kIo);
  EXPECT_TRUE(outcome.is_broken);
}

// What simdjson leaves to the strict parser reads the same as what it does not.
TEST_F(Reading, StrictnessIsOneRule) {
  const Outcome outcome = all_of(write("a.jsonl", R"({"n": 123456789012345678901, "text": "big"}
{"text": "twice", "meta": {"a": 1, "\u0061": 2}}
{"n": -0, "text": "zero"}
{"n": 1e-999, "text": "small"}
)"));
  ASSERT_EQ(outcome.documents.size(), 3U);
  EXPECT_EQ(shown(outcome.documents[0]), "big");
  EXPECT_EQ(shown(outcome.documents[1]), "zero");
  EXPECT_EQ(shown(outcome.documents[2]), "small");
  ASSERT_EQ(outcome.errors.size(), 1U);
  EXPECT_EQ(outcome.errors[0].message, "the key stands twice");
  ReaderOptions options;
  options.ids_field = "ids";
  EXPECT_EQ(shown(all_of(write("b.jsonl", R"({"ids": [-0, 0, 7]})"), options).documents.at(0)),
            "0,0,7,");
  std::string many = "{\"text\": \"many\"";
  for (int i = 0; i < 40; ++i) many += ", \"k" + std::to_string(i) + "\": " + std::to_string(i);
  const Outcome twice = all_of(write("c.jsonl", many + "}\n" + many + ", \"k17\": 0}\n"));
  EXPECT_EQ(twice.documents.size(), 1U);
  EXPECT_EQ(twice.errors.at(0).field, "record 2, k17");
  // 64 levels and 65.
  const auto nested = [](int levels) {
    return "{\"text\": \"x\", \"a\": " + std::string(static_cast<std::size_t>(levels - 1), '[') +
           std::string(static_cast<std::size_t>(levels - 1), ']') + "}\n";
  };
  const Outcome deep = all_of(write("d.jsonl", nested(64) + nested(65)));
  EXPECT_EQ(deep.documents.size(), 1U);
  EXPECT_EQ(deep.errors.size(), 1U);
}

TEST_F(Reading, LongAndManyLines) {
  // Lines around the size of the buffer, and a last line without its end.
  std::string bytes;
  std::vector<std::size_t> sizes;
  for (const std::size_t size :
       {1UL, 262'144UL - 13, 262'144UL - 14, 262'144UL, 1'000'000UL, 5UL}) {
    sizes.push_back(size);
    bytes += "{\"text\": \"" + std::string(size, 'x') + "\"}\n";
  }
  bytes.pop_back();
  const Outcome outcome = all_of(write("a.jsonl", bytes));
  ASSERT_EQ(outcome.documents.size(), sizes.size());
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    EXPECT_EQ(outcome.documents[i].segments.at(0).text.size(), sizes[i]);
    EXPECT_EQ(bytes[outcome.documents[i].offset], '{');
  }
  std::string many;
  for (int i = 0; i < 30'000; ++i) many += "{\"id\": " + std::to_string(i) + ", \"text\": \"x\"}\n";
  const Outcome lines = all_of(write("b.jsonl", many));
  ASSERT_EQ(lines.documents.size(), 30'000U);
  EXPECT_EQ(lines.documents[29'999].id, "29999");
}

TEST_F(Reading, TooLongALineIsPassedOver) {
  const std::string path = this->path("a.jsonl");
  {
    std::ofstream out(path, std::ios::binary);
    out << "{\"text\": \"";
    const std::string mebibyte(std::size_t{1} << 20, 'x');
    for (int i = 0; i < 257; ++i) out << mebibyte;
    out << "\"}\n{\"text\": \"after\"}\n";
  }
  const Outcome outcome = all_of(path);
  ASSERT_EQ(outcome.errors.size(), 1U);
  EXPECT_EQ(outcome.errors[0].field, "record 1");
  EXPECT_EQ(*outcome.errors[0].offset, 0U);
  EXPECT_NE(outcome.errors[0].message.find("268435456"), std::string::npos);
  ASSERT_EQ(outcome.documents.size(), 1U);
  EXPECT_EQ(shown(outcome.documents[0]), "after");
  EXPECT_EQ(outcome.documents[0].record, 2U);
}

TEST_F(Reading, StandardInput) {
  const auto with_input = [&](const std::string& bytes, const ReaderOptions& options) {
    const std::string path = write("input", bytes);
    const int saved = ::dup(0);
    std::FILE* const file = std::fopen(path.c_str(), "rb");
    ::dup2(::fileno(file), 0);
    const Outcome outcome = all_of("-", options);
    ::dup2(saved, 0);
    ::close(saved);
    std::fclose(file);
    return outcome;
  };
  const Outcome text = with_input("{\"text\": \"a\"}\n", {});
  EXPECT_EQ(shown(text.documents.at(0)), "{\"text\": \"a\"}\n");
  EXPECT_EQ(text.documents[0].id, "-:1");
  ReaderOptions options;
  options.format = Format::kJsonl;
  EXPECT_EQ(shown(with_input("{\"text\": \"a\"}\n", options).documents.at(0)), "a");
}

TEST_F(Reading, RealFiles) {
  const std::string news = shared_data("text/cnn_dailymail_test.jsonl");
  const std::string answers = shared_data("text/llm_outputs_unknown_key.json");
  if (news.empty() || answers.empty()) GTEST_SKIP() << "no shared data here";
  ReaderOptions options;
  options.text_field = "article";
  const Outcome articles = all_of(news, options);
  EXPECT_TRUE(articles.errors.empty());
  EXPECT_GT(articles.documents.size(), 100U);
  EXPECT_NE(articles.documents.at(0).id.find("f001ec5c"), std::string::npos);
  options.text_field = "watermarked_text";
  const Outcome texts = all_of(answers, options);
  EXPECT_TRUE(texts.errors.empty());
  ASSERT_EQ(texts.documents.size(), 1000U);
  EXPECT_EQ(texts.documents[0].segments.size(), 2U);
  EXPECT_FALSE(texts.documents[0].segments[0].scored);
}

}  // namespace
}  // namespace countermark::text
