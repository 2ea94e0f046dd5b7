// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/corpus.h"

#include <unordered_map>
#include <utility>

#include "verifier/scan/rows.h"

namespace countermark::scan {
namespace {

// The first of several documents with one content hash.
struct Doubled {
  std::uint64_t left = 0;  // duplicates to come
  Original original{};
};

}  // namespace

Corpus::Corpus(std::shared_ptr<const Documents> documents, std::unique_ptr<const Rows> rows,
               std::vector<Tally> totals)
    : documents_(std::move(documents)), rows_(std::move(rows)), totals_(std::move(totals)) {}
Corpus::Corpus(Corpus&&) noexcept = default;
Corpus& Corpus::operator=(Corpus&&) noexcept = default;
Corpus::~Corpus() = default;

std::uint64_t Corpus::documents() const noexcept { return documents_->size(); }

Status Corpus::each_document(const EachDocument& each) const {
  const std::vector<std::uint32_t> originals = documents_->originals();
  std::unordered_map<std::uint32_t, Doubled> doubled;
  for (std::size_t i = 0; i < originals.size(); ++i)
    if (originals[i] != i) ++doubled[originals[i]].left;

  return rows_->each([&](NumberedRow& numbered) -> Status {
    DocumentRow& row = numbered.row;
    const std::uint32_t document = numbered.document;
    row.assigned.resize(row.own.size());
    for (std::size_t lane = 0; lane < row.own.size(); ++lane) {
      const Tally own = row.own[lane];
      const Tally lost = documents_->lost(document, lane);
      if (lost.n > own.n || lost.sum > own.sum)
        return fail(ErrorCode::kInvalidInput, "document " + std::to_string(row.place.record) +
                                                  " of input " + std::to_string(row.place.input) +
                                                  " lost more than it had");
      row.assigned[lane] = {own.n - lost.n, own.sum - lost.sum};
    }
    const auto found = doubled.find(originals[document]);
    if (found != doubled.end()) {
      Doubled& group = found->second;
      if (originals[document] == document) {
        group.original = {row.id, row.place};
      } else {
        row.duplicate_of = group.original;
        if (--group.left == 0) doubled.erase(found);
      }
    }
    return each(row);
  });
}

}  // namespace countermark::scan
