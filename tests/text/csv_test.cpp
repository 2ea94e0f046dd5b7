// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/csv.h"

#include "tests/text/reading.h"

namespace countermark::text {
namespace {

using namespace std::string_literals;

class Tables : public Reading {};

TEST_F(Tables, QuotesDelimitersAndLineEnds) {
  struct Row {
    std::string row;
    std::string text;
  };
  const std::vector<Row> rows = {
      {"1,plain", "plain"},
      {"1,\"quoted\"", "quoted"},
      {"1,\"a,b\"", "a,b"},
      {"1,\"a\nb\r\nc\"", "a\nb\r\nc"},
      {"1,\"say \"\"x\"\"\"", "say \"x\""},
      {"1,\"\"\"\"", "\""},
      {"1,\"\"", ""},
      {"1,", ""},
      {"1, \"x\"", " \"x\""},
      {"1,5\" disk", "5\" disk"},
      {"1,a\rb", "a\rb"},
      {"1,\xc3\xa4\0z"s, "\xc3\xa4\0z"s},
      {",x", "x"},
  };
  for (const std::string end : {"\n", "\r\n", ""})
    for (const Row& row : rows) {
      const Outcome outcome =
          all_of(write("a.csv", "id,text" + (end.empty() ? "\n" : end) + row.row + end));
      ASSERT_EQ(outcome.documents.size(), 1U) << row.row;
      EXPECT_TRUE(outcome.errors.empty());
      EXPECT_EQ(shown(outcome.documents[0]), row.text);
      EXPECT_EQ(outcome.documents[0].field, "text");
    }
  const Outcome tabs = all_of(write("a.TSV", "id\ttext\nx\ta,b\ny\t\"c\td\"\n"));
  ASSERT_EQ(tabs.documents.size(), 2U);
  EXPECT_EQ(shown(tabs.documents[0]), "a,b");
  EXPECT_EQ(shown(tabs.documents[1]), "c\td");
  EXPECT_EQ(tabs.documents[1].id, "y");
}

TEST_F(Tables, ColumnsAreChosenByTheirNames) {
  const auto with = [&](const std::string& table, const char* text_field,
                        const char* ids_field = "") {
    ReaderOptions options;
    options.text_field = text_field;
    options.ids_field = ids_field;
    const Outcome outcome = all_of(write("a.csv", table), options);
    std::string out;
    for (const Document& document : outcome.documents) out += shown(document) + ";";
    for (const Error& error : outcome.errors)
      out += Error(error).in_file("").describe().substr(folder_.string().size() + 1);
    return out;
  };
  EXPECT_EQ(with("content,text,prompt\nc,t,p\n", ""), "[p]|t;");
  EXPECT_EQ(with("content,text,prompt\nc,t,p\n", "content"), "[p]|c;");
  EXPECT_EQ(with("content,text,prompt\nc,t,p\n", "prompt"), "p;");
  EXPECT_EQ(with("\"a.b\",\"c,d\"\nx,y\n", "c,d"), "y;");
  EXPECT_EQ(with("n,ids\n1,\"[1, 2,3]\"\n2,7 8  9\n3,[]\n4,\n5, [ 4294967295 ] \n", "", "ids"),
            "1,2,3,;7,8,9,;;;4294967295,;");
  EXPECT_EQ(with("a,b\nx,y\n", "c"), "a.csv: header, c (byte 0): is no column of the header");
  EXPECT_EQ(with("a,b\nx,y\n", ""),
            "a.csv: header (byte 0): expected one of the columns text, content, output, response, "
            "completion");
  EXPECT_EQ(with("text,a,text\nx,y,z\n", ""),
            "a.csv: header, text (byte 7): the column stands twice");
  EXPECT_EQ(with("text,a,a\nx,y,z\n", ""), "x;");
  EXPECT_EQ(with("\"text\nx,y,z\n", ""), "a.csv: header (byte 0): the quoted field does not end");
  EXPECT_EQ(with("", ""), "");
  EXPECT_EQ(with("text\n", ""), "");
  for (const char* ids :
       {"x", "-1", "4294967296", "1,,2", "1;2", "[1", "1]", "1.0", "1,", ",1", "0x1"})
    EXPECT_NE(with("ids\n\""s + ids + "\"\n", "", "ids").find("expected token ids"),
              std::string::npos)
        << ids;
}

TEST_F(Tables, BadRowsAreNamedAndPassedOver) {
  struct Bad {
    std::string row;
    std::size_t offset;
    const char* message;
  };
  const std::vector<Bad> cases = {
      {"1", 0, "expected 2 fields, as in the header, got 1"},
      {"1,2,3", 0, "expected 2 fields, as in the header, got 3"},
      {"1,\"a\"b", 5, "expected a delimiter after a quoted field"},
      {"1,\"a\" ", 5, "expected a delimiter after a quoted field"},
      {"1,a\xff", 3, "UTF-8"},
  };
  for (const Bad& bad : cases) {
    const std::string before = "id,text\n0,good\n";
    const std::string path = write("a.csv", before + bad.row + "\n2,good\n");
    const Outcome outcome = all_of(path);
    ASSERT_EQ(outcome.errors.size(), 1U) << bad.row;
    EXPECT_EQ(outcome.errors[0].code, ErrorCode::kInvalidInput);
    EXPECT_EQ(outcome.errors[0].file, path);
    EXPECT_EQ(outcome.errors[0].field, "record 2");
    EXPECT_EQ(*outcome.errors[0].offset, before.size() + bad.offset) << bad.row;
    EXPECT_NE(outcome.errors[0].message.find(bad.message), std::string::npos)
        << outcome.errors[0].message;
    ASSERT_EQ(outcome.documents.size(), 2U) << bad.row;
    EXPECT_EQ(outcome.documents[1].record, 3U);
  }
  // A quote that nothing closes takes the rest of the table with it, and says where it began.
  const Outcome open = all_of(write("a.csv", "id,text\n0,good\n1,\"open\n2,lost\n"));
  EXPECT_EQ(open.documents.size(), 1U);
  ASSERT_EQ(open.errors.size(), 1U);
  EXPECT_EQ(*open.errors[0].offset, 17U);
}

}  // namespace
}  // namespace countermark::text
