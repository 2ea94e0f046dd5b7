// SPDX-License-Identifier: Apache-2.0
// What a finished corpus says: the tallies of its distinct tuples, and its documents.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "verifier/scan/documents.h"
#include "verifier/scan/settings.h"
#include "watermark/error.h"

namespace countermark::scan {

// Scores of distinct tuples of the corpus, in one lane, each tuple once in all calls. From several
// threads at once: `worker` is below the number of threads and tells them apart. With one thread
// the tuples of a lane come in the order of their fingerprints.
using WinnerScores =
    std::function<void(unsigned worker, std::size_t lane, std::span<const std::uint32_t> scores)>;

using EachDocument = std::function<Status(const DocumentRow& row)>;

class Rows;

class Corpus {
 public:
  Corpus(std::shared_ptr<const Documents> documents, std::unique_ptr<const Rows> rows,
         std::vector<Tally> totals);
  Corpus(Corpus&&) noexcept;
  Corpus& operator=(Corpus&&) noexcept;
  ~Corpus();

  // By lane, over the distinct tuples.
  const std::vector<Tally>& totals() const noexcept { return totals_; }
  std::uint64_t documents() const noexcept;

  // Calls `each` for every document in the order of the inputs, with what the document owns and
  // what it is a duplicate of; ends with the first error. As often as one likes. Keeps in memory 16
  // bytes a document, and the ids of those that have duplicates to come.
  Status each_document(const EachDocument& each) const;

 private:
  std::shared_ptr<const Documents> documents_;
  std::unique_ptr<const Rows> rows_;
  std::vector<Tally> totals_;
};

}  // namespace countermark::scan
