// SPDX-License-Identifier: Apache-2.0
// The pipe to the package's reader, with a stand-in for Python. Real files: python/tests/.
#include "verifier/text/parquet.h"

#include <sys/stat.h>

#include "tests/text/reading.h"
#include "verifier/text/raw_records.h"

namespace countermark::text {
namespace {

class Parquet : public Reading {
 protected:
  ~Parquet() override { ::setenv("PATH", path_.c_str(), 1); }

  // Makes `script` what runs as python3.
  void python_is(const std::string& script) {
    const std::string file = write("python3", "#!/bin/sh\n" + script);
    ::chmod(file.c_str(), 0700);
    ::setenv("PATH", (folder_.string() + ":" + path_).c_str(), 1);
  }

  std::string path_ = std::getenv("PATH");
};

TEST_F(Parquet, RowsAreRecords) {
  python_is(
      "echo '{\"text\": \"a\"}'; echo '?{\"field\": \"text\", \"message\": \"expected UTF-8\"}'\n"
      "echo '{\"id\": \"x\", \"text\": \"b\"}'\n");
  const std::string path = this->path("a.parquet");
  const Outcome outcome = all_of(path);
  ASSERT_EQ(outcome.documents.size(), 2U);
  EXPECT_EQ(outcome.documents[0].id, path + ":1");
  EXPECT_EQ(outcome.documents[1].record, 3U);
  EXPECT_EQ(outcome.documents[1].offset, 0U);
  ASSERT_EQ(outcome.errors.size(), 1U);
  EXPECT_EQ(outcome.errors[0].describe(), path + ": record 2, text: expected UTF-8");
  EXPECT_FALSE(outcome.is_broken);
}

TEST_F(Parquet, TheReaderIsToldWhatToRead) {
  python_is("printf '{\"text\": \"'; printf '%s;' \"$@\" $PYTHONSAFEPATH; echo '\"}'\n");
  const std::string path = this->path("a b.parquet");
  EXPECT_EQ(shown(all_of(path).documents.at(0)), "-m;countermark.parquet;--;" + path + ";1;");
  ReaderOptions options;
  options.text_field = "text";
  auto source = RecordSource::create({path}, options);
  ASSERT_TRUE(source->seek({0, 12, 0}));
  Batch batch;
  ASSERT_TRUE(*source->next(batch));
  EXPECT_EQ(batch.begin, (Position{0, 12, 0}));
  EXPECT_EQ(batch.end, (Position{0, 13, 0}));
  EXPECT_EQ(batch.records.at(0).record, 13U);
  EXPECT_NE(batch.records[0].bytes.find("--text-field=text;--skip=12;--;"), std::string_view::npos);
}

TEST_F(Parquet, DamageEndsTheReading) {
  python_is(
      "echo '{\"text\": \"a\"}'\n"
      "echo '!{\"field\": \"row group 3, column text\", \"message\": \"bad page\"}'\n");
  const std::string path = this->path("a.parquet");
  const Outcome outcome = all_of(path);
  EXPECT_EQ(outcome.documents.size(), 1U);
  ASSERT_EQ(outcome.errors.size(), 1U);
  EXPECT_EQ(outcome.errors[0].describe(), path + ": row group 3, column text: bad page");
  EXPECT_TRUE(outcome.is_broken);
}

TEST_F(Parquet, WhatIsMissingIsSaid) {
  const std::string path = this->path("a.parquet");
  for (const char* script : {"exit 1", "echo No module named countermark >&2; exit 1", "exit 3"}) {
    python_is(script);
    const Outcome outcome = all_of(path);
    ASSERT_EQ(outcome.errors.size(), 1U);
    EXPECT_EQ(outcome.errors[0].code, ErrorCode::kUnsupported);
    EXPECT_NE(outcome.errors[0].message.find("pip install 'countermark[parquet]'"),
              std::string::npos);
  }
  ::setenv("PATH", "/nonexistent", 1);
  EXPECT_EQ(all_of(path).errors.at(0).code, ErrorCode::kUnsupported);
  // A reader that was killed has not come to the end, whatever it has printed.
  python_is("printf '{\"text\": \"a\"}\\n{\"text\": \"b'; kill -9 $$");
  const Outcome killed = all_of(path);
  EXPECT_EQ(killed.documents.size(), 1U);
  ASSERT_EQ(killed.errors.size(), 1U);
  EXPECT_EQ(killed.errors[0].message, "the reader of Parquet was ended by signal 9");
  EXPECT_EQ(all_of("-",
                   [] {
                     ReaderOptions options;
                     options.format = Format::kParquet;
                     return options;
                   }())
                .errors.at(0)
                .code,
            ErrorCode::kInvalidArgument);
}

TEST_F(Parquet, AReaderThatIsLeftIsEnded) {
  python_is("while echo '{\"text\": \"a\"}'; do :; done");
  auto reader = open_documents(path("a.parquet"), {});
  ASSERT_TRUE((*reader)->next());
  reader->reset();
}

}  // namespace
}  // namespace countermark::text
