// SPDX-License-Identifier: Apache-2.0
// What is said to serve many threads serves them, with the answers that one thread gets. `./run
// check` runs this room under the thread sanitizer, which sees a race even when it does no harm.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <functional>
#include <numeric>
#include <thread>
#include <vector>

#include "corpora/language_model.h"
#include "tests/corpora/tiny_model.h"
#include "tests/support/toy_engine.h"
#include "verifier/detect/report.h"
#include "verifier/detect/run.h"
#include "verifier/io/temporary_folder.h"
#include "verifier/text/tokenizer.h"
#include "verifier/text/transcript_writer.h"
#include "watermark/service.h"

namespace countermark::tests {
namespace {

constexpr unsigned kThreads = 4;

// Runs `work(thread)` on kThreads threads that begin together.
void at_once(const std::function<void(unsigned)>& work) {
  std::barrier start(kThreads);
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      start.arrive_and_wait();
      work(t);
    });
}

// What `make` gives on one thread, `rounds` times on each of several at once.
template <typename Make>
void expect_the_same_at_once(int rounds, Make make) {
  std::array<int, kThreads> different{};
  // The threads come first, so that nothing is warmed up for them.
  std::array<decltype(make()), kThreads> made;
  at_once([&](unsigned t) {
    made[t] = make();
    for (int i = 1; i < rounds; ++i) different[t] += made[t] != make() ? 1 : 0;
  });
  const auto expected = make();
  for (unsigned t = 0; t < kThreads; ++t) {
    EXPECT_EQ(made[t], expected);
    EXPECT_EQ(different[t], 0);
  }
}

TEST(Threads, ChooseOneKernel) {
  expect_the_same_at_once(10, [] { return *active_kernel(); });
}

TEST(Threads, ShareAMark) {
  const NativeMark mark = make_mark(SplitMix64(1).epoch_key(), Profile::defaults());
  expect_the_same_at_once(5, [&mark] {
    Response response(mark, {"cohort", "account"}, "nonce", SplitMix64(2).secret<16>(), 100);
    decode({}, response, 100);
    return std::vector<TokenId>(response.tokens().begin(), response.tokens().end());
  });
}

// Keys change and marking is switched while others draw: each response is written under one key
// from its first token to its last, and every draw is counted.
TEST(Threads, AServiceChangesItsKeyUnderLoad) {
  constexpr std::size_t kResponses = 40, kTokens = 50;
  const ToyModel model{50};
  const std::array<EpochKey, 2> keys = {SplitMix64(1).epoch_key(), SplitMix64(2).epoch_key()};
  ServiceOptions options;
  options.may_leak_timing = true;
  const auto service = Service::create(keys[0], Profile::defaults(), options).value();
  std::atomic<unsigned> working{kThreads};
  std::array<std::size_t, kThreads> wrong{};
  {
    const std::jthread operators([&] {
      for (std::size_t round = 0; working > 0; ++round) {
        EXPECT_TRUE(service->set_key(keys[round % 2]));
        EXPECT_FALSE(service->metrics().empty());
      }
    });
    at_once([&](unsigned t) {
      BatchWorkspace workspace;
      std::vector<Result<Draw>> out(1);
      for (std::size_t r = 0; r < kResponses; ++r) {
        ResponseOptions wanted{{"cohort", "account"}, "nonce", SplitMix64(t).secret<16>(), kTokens};
        Response response = service->respond(wanted).value();
        while (response.tokens().size() < kTokens) {
          const auto logits = model.logits(response.tokens());
          const BatchRow row{{logits}, {}, &response};
          service->sample({&row, 1}, workspace, out);
          response.commit(out[0]->token);
        }
        const auto is_of = [&](const EpochKey& key) {
          const NativeMark mark = make_mark(key, Profile::defaults());
          Response alone(mark, {"cohort", "account"}, "nonce", SplitMix64(t).secret<16>(), kTokens);
          decode(model, alone, kTokens);
          return std::equal(alone.tokens().begin(), alone.tokens().end(),
                            response.tokens().begin());
        };
        wrong[t] += is_of(keys[0]) || is_of(keys[1]) ? 0U : 1U;
      }
      --working;
    });
  }
  EXPECT_EQ(wrong, (std::array<std::size_t, kThreads>{}));
  const Counters counted = service->counters();
  EXPECT_EQ(counted.responses, kThreads * kResponses);
  std::uint64_t draws = 0;
  for (const std::uint64_t count : counted.draws) draws += count;
  EXPECT_EQ(draws, kThreads * kResponses * kTokens);
  EXPECT_EQ(counted.errors, 0U);
}

TEST(Threads, MakeKeysAndMarksOfTheirOwn) {
  expect_the_same_at_once(5, [] {
    const EpochKey key = SplitMix64(1).epoch_key();
    const NativeMark mark = make_mark(key, *Profile::parse(Profile::defaults().pretty_json()));
    return key.to_text() + mark.key_id() + to_hex(mark.tag(2, "account", 1));
  });
}

TEST(Threads, ShareATokenizer) {
  const std::string text = "The maker's mark was seen, \u00e9t\u00e9 comme hiver, in 1826. ";
  for (const char* name :
       {"bpe-tokenizer.json", "sentencepiece-bpe.model", "sentencepiece-unigram.model"}) {
    const auto tokenizer =
        text::load_tokenizer(std::string(COUNTERMARK_VECTORS_DIR "/") + name).value();
    expect_the_same_at_once(20, [&] {
      const std::vector<TokenId> ids = *tokenizer->encode(text);
      return std::pair(ids, *tokenizer->decode(ids));
    });
  }
}

// SentencePiece keeps its log's level in one place for the whole process.
TEST(Threads, LoadTokenizersOfTheirOwn) {
  for (const char* name : {"bpe-tokenizer.json", "sentencepiece-unigram.model"})
    expect_the_same_at_once(2, [name] {
      const auto tokenizer =
          text::load_tokenizer(std::string(COUNTERMARK_VECTORS_DIR "/") + name).value();
      return *tokenizer->encode("in 1826");
    });
}

TEST(Threads, ShareALanguageModel) {
  const auto model =
      corpora::LanguageModel::parse(corpora::TinyModel(true).safetensors("F16")).value();
  expect_the_same_at_once(5, [&model] {
    corpora::Generation generation(model);
    std::vector<float> last;
    for (TokenId token = 0; token < 5; ++token) {
      const auto logits = *generation.next(token);
      last.assign(logits.begin(), logits.end());
    }
    return last;
  });
}

// Records of one thread keep their order, those of several do not mix within a line, and closing
// meanwhile loses none that is not counted.
TEST(Threads, ShareATranscriptWriter) {
  constexpr std::size_t kRecords = 300;
  const auto folder = io::TemporaryFolder::create().value();
  const std::string path = folder.path() + "/transcripts.jsonl";
  auto writer = text::TranscriptWriter::open(path).value();
  std::array<std::size_t, kThreads> queued{};
  at_once([&](unsigned t) {
    for (std::size_t i = 0; i < kRecords; ++i) {
      text::Transcript record;
      record.id = std::to_string(t) + "." + std::to_string(i);
      record.profile = std::string(64, '0');
      record.prompt_ids.emplace();
      record.ids.assign(i, t);
      queued[t] += *writer.write(std::move(record)) ? 1U : 0U;
      EXPECT_LE(writer.counters().written, kThreads * kRecords);
      if (i == kRecords - 10) writer.close();
    }
  });
  const text::TranscriptCounters counted = writer.counters();
  EXPECT_EQ(counted.written, std::accumulate(queued.begin(), queued.end(), std::size_t{0}));
  EXPECT_EQ(counted.written + counted.dropped, kThreads * kRecords);
  EXPECT_EQ(counted.failed, 0U);
  std::array<std::size_t, kThreads> read{};
  auto reader = text::TranscriptReader::open(path).value();
  for (;;) {
    const auto next = reader.next();
    ASSERT_TRUE(next) << next.error().describe();
    if (!*next) break;
    const unsigned t = static_cast<unsigned>((*next)->id.front() - '0');
    ASSERT_LT(t, kThreads);
    EXPECT_EQ((*next)->id, std::to_string(t) + "." + std::to_string(read[t]));
    EXPECT_EQ((*next)->ids, std::vector<TokenId>(read[t], t));
    ++read[t];
  }
  EXPECT_EQ(read, queued);
}

// Documents of ids: marked answers, short ones, and a bad record after every tenth.
class Documents final : public text::DocumentReader {
 public:
  explicit Documents(const NativeMark& mark) : mark_(mark) {}

  Result<std::optional<text::Document>> next() override {
    if (made_ == 100) return std::optional<text::Document>{};
    const std::uint32_t number = made_++;
    if (number % 10 == 9) return fail(ErrorCode::kInvalidInput, "record " + std::to_string(number));
    Response response(mark_, {"", "account"}, "nonce", SplitMix64(number).secret<16>(), 60);
    decode({}, response, number % 60);
    text::Document document;
    document.id = std::to_string(number);
    document.segments.push_back(
        {"", {response.tokens().begin(), response.tokens().end()}, true, true});
    return std::optional<text::Document>(std::move(document));
  }

  bool is_broken() const override { return false; }

 private:
  const NativeMark& mark_;
  std::uint32_t made_ = 0;
};

class ThreadedDetection : public testing::Test {
 protected:
  // The lines of the first `most` outcomes.
  std::vector<std::string> lines(unsigned threads, std::size_t most) {
    Documents documents(detector_.mark());
    std::vector<std::string> out;
    const detect::Panel panel({{detector_, nullptr}});
    const std::vector<detect::Subject>& subjects = panel.subjects();
    detect::detect_documents(documents, panel, threads, [&](const detect::Outcome& outcome) {
      out.push_back(
          outcome.detections
              ? detect::to_json_line(outcome.document, {subjects, 0, outcome.detections->front()})
              : outcome.detections.error().describe());
      return out.size() < most;
    });
    return out;
  }

  detect::Detector detector_ =
      detect::Detector::create(SplitMix64(3).epoch_key(), Profile::defaults(), nullptr,
                               {"", "", {"account", "other"}}, {}, 10)
          .value();
};

TEST_F(ThreadedDetection, HasTheSameOutcomesInOrder) {
  const auto expected = lines(1, 1'000);
  ASSERT_EQ(expected.size(), 100U);
  EXPECT_EQ(expected[9], "record 9");
  for (const unsigned threads : {0U, 2U, 3U, 7U}) EXPECT_EQ(lines(threads, 1'000), expected);
}

TEST_F(ThreadedDetection, StopsWhenAsked) {
  for (const unsigned threads : {1U, 3U}) EXPECT_EQ(lines(threads, 5).size(), 5U);
}

TEST_F(ThreadedDetection, OneDetectorServesManyThreads) {
  expect_the_same_at_once(1, [this] { return lines(2, 40); });
}

}  // namespace
}  // namespace countermark::tests
