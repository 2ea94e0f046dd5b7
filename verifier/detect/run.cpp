// SPDX-License-Identifier: Apache-2.0
#include "verifier/detect/run.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>
#include <vector>

namespace countermark::detect {
namespace {

// Documents in memory at once, a thread.
constexpr std::size_t kBatch = 32;

void detect_batch(std::vector<Outcome>& batch, const Panel& panel, unsigned threads) {
  if (batch.empty()) return;
  std::atomic<std::size_t> next{0};
  const std::size_t helpers = std::min<std::size_t>(threads, batch.size());
  // Of few documents each has several.
  const auto inner = static_cast<unsigned>(threads / helpers);
  const auto work = [&] {
    for (std::size_t i = next++; i < batch.size(); i = next++)
      if (batch[i].detections) batch[i].detections = panel.detect(batch[i].document, inner);
  };
  std::vector<std::jthread> pool;
  for (std::size_t i = 1; i < helpers; ++i) pool.emplace_back(work);
  work();
}

}  // namespace

void detect_documents(text::DocumentReader& reader, const Panel& panel, unsigned threads,
                      const std::function<bool(const Outcome&)>& take) {
  if (threads == 0) threads = std::max(1U, std::thread::hardware_concurrency());
  for (bool more = true; more;) {
    std::vector<Outcome> batch;
    while (more && batch.size() < kBatch * threads) {
      auto document = reader.next();
      if (!document) {
        batch.push_back({{}, fail(std::move(document).error()), reader.is_broken()});
      } else if (*document) {
        batch.push_back({std::move(**document), std::vector<Detection>{}, false});
      } else {
        more = false;
      }
    }
    detect_batch(batch, panel, threads);
    for (const Outcome& outcome : batch)
      if (!take(outcome)) return;
  }
}

}  // namespace countermark::detect
