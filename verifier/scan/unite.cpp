// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/unite.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "verifier/scan/row_format.h"

namespace countermark::scan {
namespace {

Status load_rows(const Part& part, const Settings& settings, Documents& documents) {
  const Fragment& fragment = part.fragment;
  std::vector<bool> seen(fragment.documents());
  const std::uint32_t first = fragment.head().first_document;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    COUNTERMARK_TRY(const std::uint32_t number, documents.add(0, {}));
    static_cast<void>(number);
  }
  Block block;
  std::optional<Place> last;
  for (auto cursor = fragment.begin(fragment.rows()); !fragment.at_end(cursor);) {
    COUNTERMARK_CHECK(fragment.next(cursor, block));
    std::string_view bytes = block.bytes();
    for (std::uint32_t i = 0; i < block.count(); ++i) {
      const std::uint64_t at = block.offset() + (block.bytes().size() - bytes.size());
      auto row = read_row(bytes, settings);
      if (!row) {
        Error error = std::move(row).error();
        error.offset = at + error.offset.value_or(0);
        return fail(std::move(error).in_file(fragment.path()));
      }
      const Place place = row->row.place;
      const std::uint64_t index = std::uint64_t{row->document} - first;
      if (index >= seen.size() || seen[index] || (last && *last >= place))
        return fail(fragment.error_at(at, "expected each document once, in the inputs' order"));
      seen[index] = true;
      last = place;
      documents.set_position(row->document + part.base, row->row.content_hash, place);
    }
    if (!bytes.empty())
      return fail(fragment.error_at(block.offset() + (block.bytes().size() - bytes.size()),
                                    "expected the end of the block"));
  }
  return {};
}

Status load_losses(const Part& part, Documents& documents) {
  const Fragment& fragment = part.fragment;
  const std::uint64_t end = fragment.head().first_document + fragment.documents();
  Block block;
  std::uint64_t expected = 0;  // at least
  for (auto cursor = fragment.begin(fragment.losses()); !fragment.at_end(cursor);) {
    COUNTERMARK_CHECK(fragment.next(cursor, block));
    const std::uint64_t first = block.words()[0];
    if (first < expected || first + block.count() > end)
      return fail(fragment.error_at(block.offset(), "expected losses of documents that there are"));
    const std::size_t words = documents.lost_words();
    for (std::uint32_t i = 0; i < block.count(); ++i)
      documents.set_lost(static_cast<std::uint32_t>(first + i + part.base),
                         block.words().subspan(1 + i * words, words));
    expected = first + block.count();
  }
  return {};
}

// One part's records of a channel, a block at a time.
class PartRun {
 public:
  PartRun(const Part& part, std::size_t channel, std::size_t stride)
      : part_(&part), cursor_(part.fragment.begin(channel)), stride_(stride) {}

  bool is_last_block() const { return part_->fragment.at_end(cursor_); }
  std::uint64_t first() const { return record_fingerprint(rest_.data()); }
  std::uint64_t last() const { return record_fingerprint(&rest_[rest_.size() - stride_]); }

  // Makes sure that records are at hand; false at the end.
  Result<bool> fill() {
    if (!rest_.empty()) return true;
    const Fragment& fragment = part_->fragment;
    if (fragment.at_end(cursor_)) return false;
    COUNTERMARK_CHECK(fragment.next(cursor_, block_));
    const std::span<std::uint32_t> words = block_.words();
    const std::uint64_t end = fragment.head().first_document + fragment.documents();
    for (std::size_t i = 0; i < words.size(); i += stride_) {
      const std::uint64_t fingerprint = record_fingerprint(&words[i]);
      if ((last_ && fingerprint <= *last_) || words[i + 2] >= end)
        return fail(fragment.error_at(block_.offset() + 4 * i,
                                      "expected ascending records of documents that there are"));
      last_ = fingerprint;
      words[i + 2] += part_->base;
    }
    rest_ = words;
    return true;
  }

  // The records at hand up to that fingerprint.
  std::span<const std::uint32_t> take(std::uint64_t most) {
    std::size_t low = 0;
    std::size_t high = rest_.size() / stride_;
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      if (record_fingerprint(&rest_[middle * stride_]) <= most) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    const auto taken = rest_.first(low * stride_);
    rest_ = rest_.subspan(low * stride_);
    return taken;
  }

 private:
  const Part* part_;
  Fragment::Cursor cursor_;
  std::size_t stride_;
  Block block_{};
  std::span<const std::uint32_t> rest_{};
  std::optional<std::uint64_t> last_{};
};

}  // namespace

Status load_documents(const Part& part, const Settings& settings, Documents& documents) {
  COUNTERMARK_CHECK(load_rows(part, settings, documents));
  return load_losses(part, documents);
}

Status unite(std::span<const Part> parts, const Settings& settings, Documents& documents,
             const OwnedRecords& owned) {
  Assigner assigner(documents);
  std::vector<std::span<const std::uint32_t>> segments;
  for (std::size_t channel = 0; channel < settings.channels(); ++channel) {
    const std::size_t lanes = settings.lanes[channel];
    std::vector<PartRun> runs;
    runs.reserve(parts.size());
    for (const Part& part : parts) runs.emplace_back(part, channel, kRecordHead + lanes);
    for (;;) {
      // Up to `most` the records of all runs are at hand.
      std::uint64_t least = UINT64_MAX;
      std::uint64_t most = UINT64_MAX;
      bool is_end = true;
      for (PartRun& run : runs) {
        COUNTERMARK_TRY(const bool filled, run.fill());
        if (!filled) continue;
        is_end = false;
        least = std::min(least, run.first());
        if (!run.is_last_block()) most = std::min(most, run.last());
      }
      if (is_end) break;
      segments.clear();
      std::uint64_t greatest = least;
      for (PartRun& run : runs) {
        const auto taken = run.take(most);
        if (taken.empty()) continue;
        greatest =
            std::max(greatest, record_fingerprint(&taken[taken.size() - kRecordHead - lanes]));
        segments.push_back(taken);
      }
      COUNTERMARK_CHECK(owned(channel, assigner.assign(channel, lanes, segments, least, greatest)));
    }
  }
  return {};
}

}  // namespace countermark::scan
