// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/scanner.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "verifier/scan/batch_scorer.h"
#include "watermark/prf/hash.h"
#include "watermark/version.h"

namespace countermark::scan {
namespace {

using nlohmann::json;

// Where a scan is: what the state folder remembers.
struct Progress {
  text::Position position{};
  Summary summary{};

  std::string to_bytes() const {
    const std::string bytes = summary.to_bytes();
    return json({position.input, position.records, position.offset, json(bytes)}).dump();
  }

  static Result<Progress> from_bytes(std::string_view bytes) {
    const json root = json::parse(bytes, nullptr, false);
    if (!root.is_array() || root.size() != 4 || !root[0].is_number_unsigned() ||
        !root[1].is_number_unsigned() || !root[2].is_number_unsigned() || !root[3].is_string())
      return fail(ErrorCode::kInvalidInput, "is not the progress of a scan");
    Progress out;
    out.position = {root[0].get<std::size_t>(), root[1].get<std::uint64_t>(),
                    root[2].get<std::uint64_t>()};
    COUNTERMARK_TRY(out.summary, Summary::from_bytes(root[3].get<std::string>()));
    return out;
  }
};

// The threads' common ground: each takes batches in turn, scores them and puts them on the tape by
// itself, since no order of arrival matters there. What was bad is told in the order of the inputs.
class Run {
 public:
  Run(const Tests& tests, const Channels& channels, const ScanOptions& options,
      text::RecordSource source, CorpusTape& tape, Progress progress)
      : tests_(&tests),
        channels_(&channels),
        options_(&options),
        source_(std::move(source)),
        tape_(&tape),
        progress_(std::move(progress)) {}

  // False when it was stopped.
  Result<bool> work() {
    {
      std::vector<std::jthread> threads;
      for (unsigned i = 1; i < options_->threads; ++i) threads.emplace_back([this] { run(); });
      run();
    }
    if (!status_) return fail(std::move(status_).error());
    // Also at the end, so that a finished scan is not read again.
    if (!options_->state.empty()) COUNTERMARK_CHECK(tape_->checkpoint(progress_.to_bytes()));
    return !stopped_;
  }

  Summary take_summary() { return std::move(progress_.summary); }

 private:
  using Clock = std::chrono::steady_clock;

  // What is told of a batch when all before it are told.
  struct Told {
    std::vector<Error> bad{};
    bool ended_by_error = false;
  };

  void run() {
    BatchScorer worker(*tests_, *channels_, *options_);
    CorpusTape::Writer writer = tape_->writer();
    text::Batch batch;
    ScoredBatch scored;
    std::optional<Error> damage;
    std::uint64_t turn = 0;
    while (take(batch, damage, turn)) {
      if (damage) {
        scored.clear(*tests_, *channels_, 0);
        scored.bad.push_back(*damage);
        scored.summary.bad_records = 1;
        scored.ended_by_error = !options_->skip_bad;
      } else {
        worker.score(batch, scored);
      }
      finish(turn, scored, put(scored, *channels_, writer));
    }
  }

  // The next batch, or the damage behind the last one; false at the end.
  bool take(text::Batch& batch, std::optional<Error>& damage, std::uint64_t& turn) {
    const std::scoped_lock reading(source_mutex_);
    damage.reset();
    {
      std::unique_lock lock(mutex_);
      checkpoint_if_due(lock);
      if (ended_ || (options_->stop != nullptr && *options_->stop)) {
        stopped_ = stopped_ || !ended_;
        return false;
      }
      ++at_work_;
    }
    auto more = source_.next(batch);
    const std::scoped_lock lock(mutex_);
    if (!more) {
      damage = std::move(more).error();
      progress_.position = source_.behind_damage();
    } else if (!*more) {
      ended_ = true;
      --at_work_;
      idle_.notify_all();
      return false;
    } else {
      progress_.position = batch.end;
    }
    turn = turns_++;
    bytes_read_ = source_.bytes_read();
    return true;
  }

  void finish(std::uint64_t turn, ScoredBatch& scored, Status added) {
    const std::scoped_lock lock(mutex_);
    --at_work_;
    idle_.notify_all();
    progress_.summary += scored.summary;
    ended_ = ended_ || scored.ended_by_error || !added;
    if (!added && status_) status_ = std::move(added);
    waiting_.emplace(turn, Told{std::move(scored.bad), scored.ended_by_error});
    for (auto first = waiting_.begin(); status_ && first != waiting_.end() && first->first == told_;
         first = waiting_.erase(first), ++told_)
      tell(first->second);
    if (options_->progress) options_->progress(bytes_read_, progress_.summary.documents);
  }

  void tell(const Told& told) {
    if (options_->skipped && options_->skip_bad)
      for (const Error& error : told.bad) options_->skipped(error);
    if (told.ended_by_error) status_ = fail(told.bad.back());
  }

  // A checkpoint falls between batches: it waits for those that are under way, and nobody takes
  // another meanwhile.
  void checkpoint_if_due(std::unique_lock<std::mutex>& lock) {
    if (options_->state.empty() ||
        Clock::now() - last_checkpoint_ < std::chrono::seconds(options_->checkpoint_seconds))
      return;
    idle_.wait(lock, [&] { return at_work_ == 0; });
    if (ended_) return;
    if (Status done = tape_->checkpoint(progress_.to_bytes()); !done) {
      status_ = std::move(done);
      ended_ = true;
    }
    last_checkpoint_ = Clock::now();
  }

  const Tests* tests_;
  const Channels* channels_;
  const ScanOptions* options_;

  std::mutex source_mutex_{};  // of the source; taken before the other
  text::RecordSource source_;

  std::mutex mutex_{};  // of the rest
  std::condition_variable idle_{};
  std::uint64_t at_work_ = 0;  // batches
  std::uint64_t turns_ = 0;
  bool ended_ = false;
  bool stopped_ = false;
  std::uint64_t bytes_read_ = 0;
  std::map<std::uint64_t, Told> waiting_{};  // by turn
  std::uint64_t told_ = 0;                   // turns
  Status status_{};
  CorpusTape* tape_;
  Progress progress_;
  Clock::time_point last_checkpoint_ = Clock::now();
};

// What tells one state of an input from another: a scan that goes on must find the same.
std::uint64_t size_of(const std::string& input) {
  std::error_code error;
  const auto size = std::filesystem::file_size(input, error);
  return error ? 0 : size;
}

json tests_json(const Tests& tests) {
  json out = json::array();
  for (std::size_t i = 0; i < tests.tests.size(); ++i) {
    const Test& test = *tests.tests[i];
    json streams = json::array();
    for (const Stream& stream : test.streams())
      streams.push_back({{"layer", layer_name(stream.layer)}, {"identity", stream.identity}});
    const auto& tokenizer = tests.tokenizers[tests.tokenizer_of[i]];
    out.push_back({{"scheme", test.subject().scheme},
                   {"profile", test.subject().profile},
                   {"keyId", test.subject().key_id},
                   {"streams", std::move(streams)},
                   {"shown", test.shown() ? to_hex(detect::digest_of(*test.shown())) : ""},
                   {"tokenizer", tokenizer == nullptr ? "" : tokenizer->sha256()}});
  }
  return out;
}

}  // namespace

std::string settings_json(const Tests& tests, const ScanOptions& options) {
  json inputs = json::array();
  for (const std::string& input : options.inputs)
    inputs.push_back({{"name", input}, {"bytes", size_of(input)}});
  const text::ReaderOptions& reader = options.reader;
  return json{{"version", kVersion},
              {"tests", tests_json(tests)},
              {"inputs", std::move(inputs)},
              {"format", static_cast<int>(reader.format)},
              {"textField", reader.text_field},
              {"idsField", reader.ids_field},
              {"role", reader.role},
              {"sampleTokens", options.sample_tokens},
              {"skipBad", options.skip_bad}}
      .dump();
}

Result<std::vector<std::string>> inputs_of(const std::string& settings, const Tests& tests) {
  const json root = json::parse(settings, nullptr, false);
  const auto bad = [] { return fail(ErrorCode::kInvalidInput, "is not a part of a scan"); };
  if (!root.is_object() || !root.contains("tests") || !root.contains("inputs") ||
      !root["inputs"].is_array())
    return bad();
  if (root["tests"] != tests_json(tests))
    return fail(ErrorCode::kMismatch,
                "was made with other keys, profiles, tokenizers, claims or quoted works than were "
                "given");
  std::vector<std::string> out;
  for (const json& input : root["inputs"]) {
    if (!input.is_object() || !input.contains("name") || !input["name"].is_string()) return bad();
    out.push_back(input["name"].get<std::string>());
  }
  return out;
}

Result<std::optional<Scanned>> scan(const Tests& tests, const ScanOptions& options) {
  const Channels channels = channels_of(tests);
  CorpusTapeOptions tape_options;
  tape_options.settings = {settings_json(tests, options), channels.lanes, options.shard};
  tape_options.max_memory = options.max_memory;
  tape_options.threads = options.threads;
  std::optional<io::TemporaryFolder> folder;
  if (options.state.empty()) {
    COUNTERMARK_TRY(io::TemporaryFolder made, io::TemporaryFolder::create());
    folder.emplace(std::move(made));
  }
  tape_options.folder = folder ? folder->path() : options.state;
  tape_options.keep = !options.state.empty();
  COUNTERMARK_TRY(CorpusTape tape, CorpusTape::open(std::move(tape_options)));
  COUNTERMARK_TRY(text::RecordSource source,
                  text::RecordSource::create(options.inputs, options.reader));
  Progress progress;
  progress.summary = Summary::none(tests.tests.size(), options.sample_tokens);
  const bool resumed = tape.progress().has_value();
  if (resumed) {
    auto before = Progress::from_bytes(*tape.progress());
    if (!before) return fail(std::move(before).error().in_file(options.state));
    progress = std::move(*before);
    COUNTERMARK_CHECK(source.seek(progress.position));
  }
  Summary summary;
  {
    Run run(tests, channels, options, std::move(source), tape, std::move(progress));
    COUNTERMARK_TRY(const bool finished, run.work());
    if (!finished) return std::optional<Scanned>();
    summary = run.take_summary();
  }
  return std::optional<Scanned>(
      Scanned{std::move(folder), std::move(tape), std::move(summary), resumed});
}

}  // namespace countermark::scan
