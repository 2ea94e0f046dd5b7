// SPDX-License-Identifier: Apache-2.0
// Corpora whose documents share most of what they have, and all that a tape says of them as bytes.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <vector>

#include "tests/support/folder_test.h"
#include "tests/support/random_numbers.h"
#include "verifier/scan/corpus_tape.h"
#include "verifier/scan/merge.h"

namespace countermark::scan {

class Scan : public tests::FolderTest {};

struct RandomDocument {
  DocumentRow row{};
  std::vector<std::vector<std::uint64_t>> fingerprints{};  // by channel
  std::vector<std::vector<std::uint32_t>> scores{};        // by channel, lane by lane
};

inline Settings test_settings(Shard shard = {}) {
  return {R"({"profile":"0123","inputs":["a.jsonl"]})", {1, 3, 2}, shard};
}

// What follows from content is a function of it; every fourth document is one that was before.
inline std::vector<RandomDocument> random_corpus(std::uint64_t seed, std::size_t documents,
                                                 std::uint32_t most_tuples = 200) {
  tests::RandomNumbers random(seed);
  const Settings settings = test_settings();
  std::vector<RandomDocument> corpus(documents);
  for (std::size_t d = 0; d < documents; ++d) {
    RandomDocument& document = corpus[d];
    if (d > 0 && random.below(4) == 0) {
      document = corpus[random.below(static_cast<std::uint32_t>(d))];
    } else {
      document.row.content_hash = random.next();
      document.row.tokens = random.below(5000);
      document.row.dropped = {random.below(9), random.next() >> random.below(64)};
      for (std::size_t channel = 0; channel < settings.channels(); ++channel) {
        std::set<std::uint64_t> own;
        for (std::uint32_t i = random.below(most_tuples); i > 0; --i)
          // From a small number of tuples, or from all.
          own.insert(random.below(2) == 0
                         ? tests::RandomNumbers(random.below(1000) * 8 + channel).next()
                         : random.next());
        document.fingerprints.emplace_back(own.begin(), own.end());
        document.scores.emplace_back();
        for (std::uint32_t lane = 0; lane < settings.lanes[channel]; ++lane) {
          Tally tally{own.size(), 0};
          for (const std::uint64_t fingerprint : own) {
            // A few tuples share a fingerprint without being the same.
            const std::uint64_t tuple = fingerprint + lane + (random.below(50) == 0 ? 1 : 0);
            const auto score = static_cast<std::uint32_t>(tests::RandomNumbers(tuple).next() >> 36);
            document.scores[channel].push_back(score);
            tally.sum += score;
          }
          document.row.own.push_back(tally);
        }
      }
      for (std::uint32_t i = random.below(3); i > 0; --i)
        document.row.spans.push_back(
            {random.below(6), i, i + random.below(90), {random.below(50), random.next() >> 30}});
    }
    document.row.id = "document " + std::to_string(d);
    document.row.place = {static_cast<std::uint32_t>(d % 3), d / 3 * 7};
    document.row.offset = 1000 * d;
  }
  return corpus;
}

inline void put(CorpusTape::Writer& writer, const RandomDocument& document) {
  const auto number = writer.add(document.row);
  ASSERT_TRUE(number) << number.error().describe();
  for (std::size_t channel = 0; channel < document.fingerprints.size(); ++channel) {
    const Status status =
        writer.append(channel, *number, document.fingerprints[channel], document.scores[channel]);
    ASSERT_TRUE(status) << status.error().describe();
  }
}

// Any order of arrival.
inline void put_all(CorpusTape& tape, const std::vector<const RandomDocument*>& documents,
                    unsigned threads) {
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    CorpusTape::Writer writer = tape.writer();
    for (std::size_t i = next++; i < documents.size(); i = next++) put(writer, *documents[i]);
  };
  std::vector<std::jthread> others;
  for (unsigned t = 1; t < threads; ++t) others.emplace_back(work);
  work();
}

inline std::string text_of(const DocumentRow& row) {
  std::string out = row.id + " " + std::to_string(row.content_hash);
  const auto add = [&](std::uint64_t value) { out += " " + std::to_string(value); };
  const auto add_tallies = [&](const std::vector<Tally>& tallies) {
    for (const Tally& tally : tallies) {
      add(tally.n);
      add(tally.sum);
    }
  };
  add(row.place.input);
  add(row.place.record);
  add(row.offset);
  add(row.tokens);
  for (const std::uint64_t count : row.dropped) add(count);
  add_tallies(row.own);
  add_tallies(row.assigned);
  for (const Span& span : row.spans) {
    for (const std::uint64_t value : {std::uint64_t{span.lane}, span.first, span.last}) add(value);
    add_tallies({span.tally});
  }
  if (row.duplicate_of) out += " of " + row.duplicate_of->id;
  return out + "\n";
}

// The winners' scores of each lane.
using Scores = std::vector<std::vector<std::uint32_t>>;

inline WinnerScores into(Scores& scores) {
  scores.resize(test_settings().all_lanes());
  return [&scores](unsigned, std::size_t lane, std::span<const std::uint32_t> some) {
    scores[lane].insert(scores[lane].end(), some.begin(), some.end());
  };
}

// Everything that a corpus yields.
inline std::string text_of(const Result<Corpus>& corpus, const Scores& scores) {
  if (!corpus) return "ERROR " + corpus.error().describe();
  std::string out = std::to_string(corpus->documents()) + " documents\n";
  for (const Tally& tally : corpus->totals())
    out += std::to_string(tally.n) + " " + std::to_string(tally.sum) + "\n";
  const Status status = corpus->each_document([&](const DocumentRow& row) {
    out += text_of(row);
    return Status{};
  });
  if (!status) return "ERROR " + status.error().describe();
  for (const std::vector<std::uint32_t>& lane : scores) {
    for (const std::uint32_t score : lane) out += std::to_string(score) + " ";
    out += "\n";
  }
  return out;
}

inline std::string finish(CorpusTape& tape) {
  Scores scores;
  const WinnerScores winners = into(scores);
  const Result<Corpus> corpus = tape.finish(winners);
  return text_of(corpus, scores);
}

// The same without any of our code: a map for each channel.
inline std::string expected_text(std::vector<RandomDocument> corpus) {
  const Settings settings = test_settings();
  std::string totals = std::to_string(corpus.size()) + " documents\n";
  Scores scores(settings.all_lanes());
  const auto precedes = [](const DocumentRow& a, const DocumentRow& b) {
    return std::tie(a.content_hash, a.place) < std::tie(b.content_hash, b.place);
  };
  for (RandomDocument& document : corpus) document.row.assigned.resize(settings.all_lanes());
  for (std::size_t channel = 0; channel < settings.channels(); ++channel) {
    struct Owner {
      RandomDocument* document = nullptr;
      std::size_t index = 0;
    };
    std::map<std::uint64_t, Owner> owners;
    for (RandomDocument& document : corpus)
      for (std::size_t i = 0; i < document.fingerprints[channel].size(); ++i) {
        Owner& owner = owners[document.fingerprints[channel][i]];
        if (owner.document == nullptr || precedes(document.row, owner.document->row))
          owner = {&document, i};
      }
    for (std::size_t lane = 0; lane < settings.lanes[channel]; ++lane) {
      const std::size_t all = settings.first_lane(channel) + lane;
      Tally total;
      for (const auto& [fingerprint, owner] : owners) {
        const std::size_t size = owner.document->fingerprints[channel].size();
        const std::uint32_t score = owner.document->scores[channel][lane * size + owner.index];
        total += {1, score};
        owner.document->row.assigned[all] += {1, score};
        scores[all].push_back(score);
      }
      totals += std::to_string(total.n) + " " + std::to_string(total.sum) + "\n";
    }
  }
  std::sort(corpus.begin(), corpus.end(), [](const RandomDocument& a, const RandomDocument& b) {
    return a.row.place < b.row.place;
  });
  std::map<std::uint64_t, Original> originals;
  std::string out = totals;
  for (RandomDocument& document : corpus) {
    DocumentRow& row = document.row;
    const auto [original, is_first] =
        originals.try_emplace(row.content_hash, Original{row.id, row.place});
    if (!is_first) row.duplicate_of = original->second;
    out += text_of(row);
  }
  for (const std::vector<std::uint32_t>& lane : scores) {
    for (const std::uint32_t score : lane) out += std::to_string(score) + " ";
    out += "\n";
  }
  return out;
}

inline std::vector<const RandomDocument*> shuffled(const std::vector<RandomDocument>& corpus,
                                                   std::uint64_t seed) {
  std::vector<const RandomDocument*> order;
  for (const RandomDocument& document : corpus) order.push_back(&document);
  tests::RandomNumbers random(seed);
  for (std::size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
  return order;
}

}  // namespace countermark::scan
