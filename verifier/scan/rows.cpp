// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/rows.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

namespace countermark::scan {
namespace {

// One part's rows, one at a time.
class PartRows {
 public:
  PartRows(const Part& part, const Settings& settings)
      : part_(&part), settings_(&settings), cursor_(part.fragment.begin(part.fragment.rows())) {}

  // Reads the next row; false at the end.
  Result<bool> advance() {
    const Fragment& fragment = part_->fragment;
    if (rest_.empty()) {
      if (fragment.at_end(cursor_)) return false;
      COUNTERMARK_CHECK(fragment.next(cursor_, block_));
      rest_ = block_.bytes();
    }
    const std::uint64_t at = block_.offset() + (block_.bytes().size() - rest_.size());
    auto row = read_row(rest_, *settings_);
    if (!row) return fail(fragment.error_at(at, row.error().message));
    row_ = *std::move(row);
    row_.document += part_->base;
    return true;
  }

  NumberedRow& row() { return row_; }
  Place place() const { return row_.row.place; }
  const Part& part() const { return *part_; }

 private:
  const Part* part_;
  const Settings* settings_;
  Fragment::Cursor cursor_;
  Block block_{};
  std::string_view rest_{};
  NumberedRow row_{};
};

}  // namespace

Rows::Rows(Settings settings, MemoryRows rows)
    : settings_(std::move(settings)), memory_(std::move(rows)) {}
Rows::Rows(Settings settings, std::vector<Part> parts)
    : settings_(std::move(settings)), parts_(std::move(parts)) {}

Status Rows::each_in_memory(const Each& each) const {
  for (std::size_t i = 0; i < memory_.size(); ++i) {
    std::string_view bytes = memory_.row(i);
    COUNTERMARK_TRY(NumberedRow row, read_row(bytes, settings_));
    COUNTERMARK_CHECK(each(row));
  }
  return {};
}

Status Rows::each(const Each& each) const {
  if (parts_.empty()) return each_in_memory(each);
  std::vector<PartRows> heads;
  heads.reserve(parts_.size());
  // The heads that have a row, the first one on top.
  std::vector<PartRows*> heap;
  const auto is_later = [](const PartRows* a, const PartRows* b) {
    return a->place() > b->place();
  };
  for (const Part& part : parts_) {
    PartRows& head = heads.emplace_back(part, settings_);
    COUNTERMARK_TRY(const bool there, head.advance());
    if (there) heap.push_back(&head);
  }
  std::make_heap(heap.begin(), heap.end(), is_later);
  std::optional<Place> last;
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), is_later);
    PartRows& head = *heap.back();
    const Place place = head.place();
    if (last == place)
      return fail(Error{ErrorCode::kMismatch,
                        "the document at input " + std::to_string(place.input) + ", record " +
                            std::to_string(place.record) + " comes twice",
                        head.part().fragment.path()});
    last = place;
    COUNTERMARK_CHECK(each(head.row()));
    COUNTERMARK_TRY(const bool there, head.advance());
    if (there) {
      std::push_heap(heap.begin(), heap.end(), is_later);
    } else {
      heap.pop_back();
    }
  }
  return {};
}

}  // namespace countermark::scan
