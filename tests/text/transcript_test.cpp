// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/transcript.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/folder_test.h"
#include "tests/text/test_data.h"
#include "verifier/text/reader.h"
#include "verifier/text/transcript_writer.h"

namespace countermark::text {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using nlohmann::json;
using std::chrono::sys_days;

Transcript example() {
  Transcript out;
  out.id = "cmpl-1";
  out.time = sys_days(std::chrono::year(2026) / 11 / 21) + 10h + 2min + 35s + 123ms;
  out.account = "alice";
  out.epoch = "2026-11";
  out.key_id = "09787cddc29645f6";
  out.slots = {0, 0, 6};
  out.profile = std::string(64, 'a');
  out.prompt_ids = {1, 2};
  out.ids = {0, 4294967295};
  out.text = "an answer\n";
  out.marked = 2;
  out.finish = Finish::kEnd;
  return out;
}

// The example as JSON, after a change.
template <typename Change>
std::string changed(Change change) {
  json value = json::parse(to_json_line(example()));
  change(value);
  return value.dump();
}

class Transcripts : public tests::FolderTest {
 protected:
  void put(std::string_view bytes) const { write("transcripts.jsonl", bytes); }

  // What is in the file, errors as their text.
  struct Reading {
    std::vector<Transcript> transcripts;
    std::vector<std::string> errors;
  };
  Reading read() const {
    Reading out;
    TranscriptReader reader = TranscriptReader::open(path_).value();
    for (;;) {
      auto next = reader.next();
      if (!next) {
        out.errors.push_back(next.error().describe());
      } else if (*next) {
        out.transcripts.push_back(**next);
      } else {
        return out;
      }
    }
  }

  const std::string path_ = path("transcripts.jsonl");
};

TEST_F(Transcripts, ComeBack) {
  Transcript without = example();
  for (auto* const name : {&without.account, &without.epoch, &without.key_id, &without.text})
    name->reset();
  without.slots.clear();
  without.prompt_ids.reset();
  without.prompt_sha256 = prompt_sha256(std::vector<TokenId>{1, 2});
  without.cohort = "c\n\u00e9";
  without.ids.clear();
  without.marked.reset();
  without.finish.reset();
  for (const Transcript& each : {example(), without}) {
    const std::string line = to_json_line(each);
    EXPECT_EQ(line.find('\n'), line.size() - 1);
    const auto back = parse_transcript(line);
    ASSERT_TRUE(back) << back.error().describe();
    EXPECT_EQ(*back, each);
  }
  for (const Finish finish : {Finish::kEnd, Finish::kLength, Finish::kAborted}) {
    without.finish = finish;
    EXPECT_EQ(*parse_transcript(to_json_line(without)), without);
  }
}

TEST_F(Transcripts, AreTheGolden) {
  EXPECT_EQ(to_json_line(example()), test_file("goldens/transcript.jsonl"));
}

// sha256sum of the bytes 01 00 00 00 02 00 00 00.
TEST_F(Transcripts, NameThePromptByItsIds) {
  EXPECT_EQ(prompt_sha256(std::vector<TokenId>{1, 2}),
            "34fb5c825de7ca4aea6e712f19d439c1da0c92c37b423936c5f618545ca4fa1f");
}

TEST_F(Transcripts, TimesAreThoseOfTheCalendar) {
  const auto with_time = [](const std::string& time) {
    return parse_transcript(changed([&](json& value) { value["time"] = time; }));
  };
  for (const char* time : {"0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z",
                           "1969-12-31T23:59:59.999Z", "2024-02-29T12:00:00.010Z"}) {
    const auto read = with_time(time);
    ASSERT_TRUE(read) << read.error().describe();
    EXPECT_NE(to_json_line(*read).find(time), std::string::npos) << time;
  }
  for (const char* time :
       {"2026-02-29T00:00:00.000Z", "2026-13-01T00:00:00.000Z", "2026-11-21T24:00:00.000Z",
        "2026-11-21T10:60:00.000Z", "2026-11-21T10:00:60.000Z", "2026-11-21T10:00:00Z",
        "2026-11-21 10:00:00.000Z", "2026-11-21T10:00:00.000z", "2026-11-21T10:00:00.00aZ",
        "2026-11-21T10:00:00.000+00:00", "0000-01-01T00:00:00.000Z",
        "2026-11-21T10:00:00.\xc3\xa9Z", "////-//-//T//://://.///Z", ""})
    EXPECT_FALSE(with_time(time)) << time;
}

TEST_F(Transcripts, BadRecordsSayWhere) {
  struct Case {
    const char* field;
    json value;
    const char* named = nullptr;  // when the error is about a part of it
  };
  const std::string no_hex(64, 'g');
  for (const auto& [field, value, named] : std::vector<Case>{
           {"schema", "countermark.transcript/2"},
           {"schema", 1},
           {"id", ""},
           {"id", 7},
           {"id", nullptr},
           {"time", 1763719355},
           {"account", ""},
           {"account", 7},
           {"cohort", ""},
           {"cohort", json::array()},
           {"epoch", ""},
           {"epoch", std::string(256, 'e')},
           {"epoch", nullptr, "keyId"},
           {"slots", 6},
           {"slots", nullptr},
           {"slots", {0, 65536}, "slots[1]"},
           {"slots", {0, -1}, "slots[1]"},
           {"slots", std::vector<int>(17)},
           {"profile", no_hex},
           {"profile", "aa"},
           {"profile", nullptr},
           {"keyId", "09787CDDC29645F6"},
           {"keyId", 7},
           {"promptIds", "text"},
           {"promptIds", nullptr},
           {"promptIds", {1, 4294967296}, "promptIds[1]"},
           {"ids", nullptr},
           {"ids", {1.5}, "ids[0]"},
           {"ids", {"1"}, "ids[0]"},
           {"text", 7},
           {"marked", -1},
           {"marked", "2"},
           {"finish", "stop"},
           {"finish", 1},
           {"other", 1},
       }) {
    const std::string line = changed([&](json& record) { record[field] = value; });
    const auto read = parse_transcript(line);
    ASSERT_FALSE(read) << line;
    EXPECT_EQ(read.error().field, named == nullptr ? field : named) << line;
    ASSERT_TRUE(read.error().offset) << line;
    EXPECT_LT(*read.error().offset, line.size());
    const bool is_later = field == std::string("schema") && value.is_string();
    EXPECT_EQ(read.error().code, is_later ? ErrorCode::kUnsupported : ErrorCode::kInvalidInput);
  }
  const json whole = json::parse(to_json_line(example()));
  for (const auto& [field, unused] : whole.items()) {
    const auto read = parse_transcript(changed([&](json& record) { record.erase(field); }));
    ASSERT_FALSE(read) << field;
    EXPECT_EQ(read.error().message, "is missing");
    EXPECT_EQ(read.error().field, field == "promptIds" ? "promptSha256" : field);
  }
  const auto has_both = parse_transcript(
      changed([](json& record) { record["promptSha256"] = std::string(64, '0'); }));
  EXPECT_EQ(has_both.error().field, "promptSha256");
  const auto bad_digest = parse_transcript(changed([](json& record) {
    record.erase("promptIds");
    record["promptSha256"] = "0";
  }));
  EXPECT_EQ(bad_digest.error().field, "promptSha256");
  for (const char* line : {"", "[]", "7", "{", "{}{}", "{\"id\": \"a\", \"id\": \"a\"}"})
    EXPECT_FALSE(parse_transcript(line)) << line;
  const std::string not_utf8 = R"({"schema": "countermark.transcript/1", "id": ")"
                               "\xff\"}";
  EXPECT_EQ(parse_transcript(not_utf8).error().offset, not_utf8.size() - 3);
}

TEST_F(Transcripts, WhatIsWrittenCanBeRead) {
  Transcript cut = example();
  cut.text = "caf\xc3";
  EXPECT_EQ(parse_transcript(to_json_line(cut))->text, "caf\ufffd");
  const auto refused = [](auto change) {
    Transcript each = example();
    change(each);
    const Status status = check_transcript(each);
    EXPECT_FALSE(status);
    return status ? std::string() : status.error().field;
  };
  using T = Transcript;
  EXPECT_EQ(refused([](T& t) { t.id = "\xff"; }), "id");
  EXPECT_EQ(refused([](T& t) { t.account = "\xff"; }), "account");
  EXPECT_EQ(refused([](T& t) { t.cohort = "\xff"; }), "cohort");
  EXPECT_EQ(refused([](T& t) { t.epoch = "\xff"; }), "epoch");
  EXPECT_EQ(refused([](T& t) { t.key_id.reset(); }), "keyId");
  EXPECT_EQ(refused([](T& t) { t.key_id.reset(), t.epoch.reset(); }), "slots");
  EXPECT_EQ(refused([](T& t) { t.slots[0] = 65536; }), "slots");
  EXPECT_EQ(refused([](T& t) { t.prompt_ids.reset(); }), "promptSha256");
  EXPECT_EQ(refused([](T& t) { t.prompt_sha256 = std::string(64, '0'); }), "promptSha256");
  EXPECT_EQ(refused([](T& t) { t.time -= 30'000 * 24h * 365; }), "time");
}

TEST_F(Transcripts, ABadRecordDoesNotHideTheOthers) {
  const std::string good = to_json_line(example());
  put("\n" + good + "{\"id\": 1}\n  \n" + good + "{\"cut");
  const Reading found = read();
  EXPECT_EQ(found.transcripts, (std::vector{example(), example()}));
  ASSERT_EQ(found.errors.size(), 2U);
  EXPECT_EQ(found.errors[0], path_ + ": record 2, schema (byte " + std::to_string(good.size() + 1) +
                                 "): is missing");
  EXPECT_NE(found.errors[1].find("record 4"), std::string::npos) << found.errors[1];
}

TEST_F(Transcripts, ALineThatIsTooLongIsSteppedOver) {
  put("{\"id\": \"" + std::string(kLongestTranscript, 'a') + "\"}\n" + to_json_line(example()));
  const Reading found = read();
  EXPECT_EQ(found.transcripts, (std::vector{example()}));
  ASSERT_EQ(found.errors.size(), 1U);
  EXPECT_NE(found.errors[0].find("at most 33554432 bytes"), std::string::npos) << found.errors[0];
}

TEST_F(Transcripts, AFileThatIsNotThere) {
  EXPECT_EQ(TranscriptReader::open(path_).error().code, ErrorCode::kIo);
}

// The text as the answer, and the prompt's ids as what is not scored.
TEST_F(Transcripts, AreDocuments) {
  put(to_json_line(example()));
  for (const bool by_ids : {false, true}) {
    ReaderOptions options;
    options.ids_field = by_ids ? "ids" : "";
    auto reader = open_documents(path_, options).value();
    const Document document = reader->next().value().value();
    EXPECT_EQ(document.id, "cmpl-1");
    EXPECT_EQ(document.field, by_ids ? "ids" : "text");
    ASSERT_EQ(document.segments.size(), 2U);
    EXPECT_FALSE(document.segments[0].scored);
    EXPECT_EQ(document.segments[0].ids, example().prompt_ids);
    EXPECT_TRUE(document.segments[1].scored);
    EXPECT_EQ(document.segments[1].text, by_ids ? "" : *example().text);
    EXPECT_EQ(document.segments[1].ids, by_ids ? example().ids : std::vector<TokenId>{});
  }
}

using Writing = Transcripts;

TEST_F(Writing, AppendsAndIsReadBack) {
  std::vector<Transcript> expected;
  for (int run = 0; run < 2; ++run) {
    TranscriptWriter writer = TranscriptWriter::open(path_).value();
    for (int i = 0; i < 100; ++i) {
      Transcript each = example();
      each.id = std::to_string(run) + "-" + std::to_string(i);
      expected.push_back(each);
      EXPECT_EQ(writer.write(each), true);
    }
    writer.close();
    EXPECT_EQ(writer.counters(), (TranscriptCounters{100, 0, 0}));
    EXPECT_EQ(writer.write(example()), false);
    EXPECT_EQ(writer.counters().dropped, 1U);
  }
  EXPECT_EQ(read().transcripts, expected);
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(Writing, RefusesWhatCouldNotBeRead) {
  TranscriptWriter writer = TranscriptWriter::open(path_).value();
  Transcript bad = example();
  bad.profile = "";
  const auto refused = writer.write(bad);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().field, "profile");
  Transcript long_one = example();
  long_one.text = std::string(kLongestTranscript, 'a');
  EXPECT_EQ(writer.write(long_one), true);
  EXPECT_EQ(writer.write(example()), true);
  writer.close();
  EXPECT_EQ(writer.counters(), (TranscriptCounters{1, 0, 1}));
  EXPECT_EQ(read().transcripts, std::vector{example()});
}

TEST_F(Writing, EndsATornLine) {
  const std::string good = to_json_line(example());
  put(good + good.substr(0, 40));
  {
    TranscriptWriter writer = TranscriptWriter::open(path_).value();
    EXPECT_TRUE(writer.write(example()));
  }
  const Reading found = read();
  EXPECT_EQ(found.transcripts, (std::vector{example(), example()}));
  ASSERT_EQ(found.errors.size(), 1U);
  EXPECT_NE(found.errors[0].find("record 2"), std::string::npos);
}

TEST_F(Writing, FollowsAFileThatWasPutAside) {
  TranscriptWriter writer = TranscriptWriter::open(path_).value();
  const auto wait_for = [&](std::uint64_t written) {
    while (writer.counters().written < written) std::this_thread::sleep_for(1ms);
  };
  EXPECT_TRUE(writer.write(example()));
  wait_for(1);
  fs::rename(path_, path_ + ".1");
  EXPECT_TRUE(writer.write(example()));
  wait_for(2);
  fs::remove(path_);
  EXPECT_TRUE(writer.write(example()));
  wait_for(3);
  EXPECT_EQ(read().transcripts, std::vector{example()});
}

TEST_F(Writing, NamesTakeRoomToo) {
  TranscriptWriter writer = TranscriptWriter::open(path_, {1 << 16, 50ms}).value();
  Transcript long_name = example();
  long_name.account = std::string(1 << 16, 'a');
  EXPECT_EQ(writer.write(long_name), false);
  std::swap(long_name.account, long_name.cohort);
  EXPECT_EQ(writer.write(long_name), false);
  EXPECT_EQ(writer.write(example()), true);
}

// A pipe that nobody reads: the thread waits, the steps do not.
TEST_F(Writing, ADiskThatDoesNotAnswerCostsRecords) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(TranscriptWriter::open(path_).error().code, ErrorCode::kIo);  // and does not wait
  const int reader = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  // Not even one record fits.
  ASSERT_GE(::fcntl(reader, F_SETPIPE_SZ, 4096), 4096);
  {
    TranscriptWriter writer = TranscriptWriter::open(path_, {1 << 20, 50ms}).value();
    Transcript big = example();
    big.text = std::string(10'000, 'a');
    constexpr std::uint64_t kRecords = 2000;
    auto slowest = 0ns;
    std::uint64_t refused = 0;
    for (std::uint64_t i = 0; i < kRecords; ++i) {
      const auto start = std::chrono::steady_clock::now();
      refused += *writer.write(big) ? 0U : 1U;
      slowest =
          std::max<std::chrono::nanoseconds>(slowest, std::chrono::steady_clock::now() - start);
    }
    // A step that waited for the pipe would wait for ever; the bound is for a busy machine.
    EXPECT_LT(slowest, 2s);
    EXPECT_GT(refused, kRecords / 2);
    EXPECT_EQ(writer.counters().dropped, refused);
    const auto start = std::chrono::steady_clock::now();
    writer.close();
    EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
    EXPECT_EQ(writer.counters(), (TranscriptCounters{0, kRecords, 0}));
  }
  ::close(reader);
}

// Without the writer's care it would end the process.
TEST_F(Writing, APipeThatBreaksCostsRecords) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  int reader = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  TranscriptWriter writer = TranscriptWriter::open(path_).value();
  ::close(reader);
  EXPECT_TRUE(writer.write(example()));
  while (writer.counters().failed == 0) std::this_thread::sleep_for(1ms);
  reader = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  EXPECT_TRUE(writer.write(example()));
  writer.close();
  EXPECT_EQ(writer.counters(), (TranscriptCounters{1, 0, 1}));
  ::close(reader);
}

// A file that may not grow refuses like a full disk; what was cut off is ended when there is room.
TEST_F(Writing, ADiskThatIsFullCostsRecords) {
  const std::string good = to_json_line(example());
  ::rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  {
    TranscriptWriter writer = TranscriptWriter::open(path_).value();
    const ::rlimit small{2 * good.size() + 10, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    for (std::uint64_t i = 1; i <= 4; ++i) {
      EXPECT_TRUE(writer.write(example()));
      while (writer.counters().written + writer.counters().failed < i)
        std::this_thread::sleep_for(1ms);
    }
    EXPECT_EQ(writer.counters(), (TranscriptCounters{2, 0, 2}));
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_TRUE(writer.write(example()));
    writer.close();
    EXPECT_EQ(writer.counters(), (TranscriptCounters{3, 0, 2}));
  }
  const Reading found = read();
  EXPECT_EQ(found.transcripts, (std::vector{example(), example(), example()}));
  EXPECT_EQ(found.errors.size(), 1U);
}

TEST_F(Writing, WhatIsNoFileIsRefused) {
  EXPECT_EQ(TranscriptWriter::open(folder_.string()).error().code, ErrorCode::kIo);
  EXPECT_EQ(TranscriptWriter::open("/dev/null").error().code, ErrorCode::kIo);
  EXPECT_EQ(TranscriptWriter::open(path("none/a")).error().code, ErrorCode::kIo);
}

}  // namespace
}  // namespace countermark::text
