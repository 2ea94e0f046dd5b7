// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/fragment.h"

#include <algorithm>
#include <utility>

#include "verifier/scan/fragment_format.h"
#include "watermark/json.h"

namespace countermark::scan {

// Reads one block that begins at `offset` and ends at or before `end`.
Status Fragment::read_block(std::uint64_t offset, std::uint64_t end, std::uint32_t kind,
                            std::uint32_t channel, Block& block) const {
  if (end - offset < Block::kFrame) return fail(error_at(offset, "expected a block"));
  // Most blocks in one go.
  std::size_t size =
      static_cast<std::size_t>(std::min<std::uint64_t>(end - offset, Block::kFrame + kBlockBytes));
  const auto bytes = [&](std::size_t begin) {
    return std::span(reinterpret_cast<char*>(block.buffer_.data()) + begin, size - begin);
  };
  block.buffer_.resize((size + 3) / 4);
  COUNTERMARK_CHECK(io::read_at(path_, offset, bytes(0)));
  BlockFrame frame{};
  std::memcpy(&frame, block.buffer_.data(), sizeof frame);
  if (frame.kind != kind || frame.channel != channel || frame.offset != offset ||
      frame.bytes > std::min<std::uint64_t>(end - offset - Block::kFrame, kMostBlockBytes))
    return fail(error_at(offset, "expected the beginning of a block"));
  const std::size_t had = size;
  size = Block::kFrame + frame.bytes;
  if (size > had) {
    block.buffer_.resize((size + 3) / 4);
    COUNTERMARK_CHECK(io::read_at(path_, offset + had, bytes(had)));
  }
  block.size_ = frame.bytes;
  block.count_ = frame.count;
  block.offset_ = offset + Block::kFrame;
  block.checksum_ = frame.checksum;
  const std::string_view checked(reinterpret_cast<const char*>(block.buffer_.data()), size);
  if (scan::checksum(checked.substr(sizeof frame.checksum)) != frame.checksum)
    return fail(error_at(offset, "the block is damaged: its checksum is another"));
  return {};
}

Status Fragment::next(Cursor& cursor, Block& block) const {
  const FragmentSection& section = sections_[cursor.section];
  const bool is_records = cursor.section < rows();
  const std::uint32_t kind = is_records                 ? kRecordsBlock
                             : cursor.section == rows() ? kRowsBlock
                                                        : kLossesBlock;
  const auto channel = static_cast<std::uint32_t>(is_records ? cursor.section : 0);
  COUNTERMARK_CHECK(read_block(cursor.at, section.end, kind, channel, block));
  const Settings& settings = head_.settings;
  const auto words_expected = [&]() -> std::uint64_t {
    if (is_records) return block.count_ * (std::uint64_t{3} + settings.lanes[cursor.section]);
    return 1 + block.count_ * (settings.channels() + 2 * std::uint64_t{settings.all_lanes()});
  };
  cursor.at += Block::kFrame + block.size_;
  cursor.count += block.count_;
  cursor.checksum = next_checksum(cursor.checksum, block.checksum_);
  const bool ends_well = cursor.at < section.end
                             ? cursor.count < section.count
                             : cursor.count == section.count && cursor.checksum == section.checksum;
  if (block.count_ == 0 || !ends_well ||
      (kind != kRowsBlock && block.size_ != 4 * words_expected()))
    return fail(error_at(block.offset_, "expected as much in the block as the fragment says"));
  return {};
}

Status Fragment::read_head(std::uint64_t end, std::uint64_t& after) {
  Block block;
  COUNTERMARK_CHECK(read_block(kMagic.size(), end, kHeadBlock, 0, block));
  const std::string_view bytes = block.bytes();
  const std::size_t line = bytes.find('\n');
  const auto bad = [&](std::string message) {
    return fail(error_at(block.offset(), std::move(message)));
  };
  if (line == std::string_view::npos) return bad("expected a line of JSON");
  auto parsed = JsonDocument::parse(bytes.substr(0, line));
  if (!parsed) return bad("expected a line of JSON: " + parsed.error().message);
  const auto number = [&](const char* pointer) {
    return parsed->unsigned_at(pointer, 0, UINT32_MAX);
  };
  const nlohmann::json& root = parsed->root();
  const auto whole = root.is_object() ? root.find("whole") : root.end();
  const auto lanes = root.is_object() ? root.find("lanes") : root.end();
  const auto first = number("/firstDocument");
  const auto index = number("/shard/0");
  const auto count = number("/shard/1");
  const auto settings_bytes = number("/settingsBytes");
  if (whole == root.end() || !whole->is_boolean() || lanes == root.end() || !lanes->is_array() ||
      !first || !index || !count || !settings_bytes || *settings_bytes > bytes.size() - line - 1)
    return bad("expected the head of a fragment");
  head_.is_whole = whole->get<bool>();
  head_.first_document = static_cast<std::uint32_t>(*first);
  head_.settings.shard = {static_cast<std::uint32_t>(*index), static_cast<std::uint32_t>(*count)};
  for (std::size_t i = 0; i < lanes->size(); ++i) {
    const auto of_channel = number(("/lanes/" + std::to_string(i)).c_str());
    if (!of_channel) return bad("expected the head of a fragment");
    head_.settings.lanes.push_back(static_cast<std::uint32_t>(*of_channel));
  }
  head_.settings.json = bytes.substr(line + 1, *settings_bytes);
  head_.summary = bytes.substr(line + 1 + *settings_bytes);
  const Status valid = check_settings(head_.settings);
  if (!valid) return bad(valid.error().message);
  // The head has one form, the digest of the settings in it.
  if (head_bytes(head_) != bytes) return bad("expected the head of a fragment");
  after = block.offset() + bytes.size();
  return {};
}

Status Fragment::read_directory(std::uint64_t offset, std::uint64_t first) {
  Block block;
  COUNTERMARK_CHECK(read_block(offset, size_ - kFooter, kDirectoryBlock, 0, block));
  sections_.resize(head_.settings.channels() + 2);
  const std::size_t bytes = sections_.size() * sizeof(FragmentSection);
  const auto bad = [&] {
    return fail(error_at(block.offset(), "expected sections that follow each other"));
  };
  if (block.bytes().size() != bytes || block.count() != sections_.size() ||
      block.offset() + bytes != size_ - kFooter)
    return bad();
  std::memcpy(static_cast<void*>(sections_.data()), block.bytes().data(), bytes);
  std::uint64_t expected = first;
  for (const FragmentSection& section : sections_) {
    if (section.begin != expected || section.end < section.begin || section.end > offset ||
        (section.count == 0) != (section.begin == section.end))
      return bad();
    expected = section.end;
  }
  // A row has nine numbers and two for each lane, of a byte at least.
  const FragmentSection& of_rows = sections_[rows()];
  const std::uint64_t row_bytes = 9 + 2 * std::uint64_t{head_.settings.all_lanes()};
  if (of_rows.count > (of_rows.end - of_rows.begin) / row_bytes) return bad();
  if (expected != offset || documents() > UINT32_MAX - std::uint64_t{head_.first_document} ||
      (head_.is_whole && head_.first_document != 0))
    return bad();
  checksum_ = block.checksum_;
  return {};
}

Result<Fragment> Fragment::open(const std::string& path) {
  Fragment fragment;
  fragment.path_ = path;
  COUNTERMARK_TRY(fragment.size_, io::file_size(path));
  const std::uint64_t size = fragment.size_;
  std::array<char, kMagic.size()> magic{};
  if (size < magic.size()) return fail(fragment.error_at(size, "expected a fragment"));
  COUNTERMARK_CHECK(io::read_at(path, 0, magic));
  const std::string_view begins(magic.data(), magic.size());
  if (begins != kMagic) {
    if (begins.substr(0, 6) != kMagic.substr(0, 6))
      return fail(fragment.error_at(0, "expected a fragment"));
    return fail(Error{ErrorCode::kUnsupported, "expected version 1 of a fragment", path, "", 0});
  }
  std::array<char, kFooter> footer{};
  std::uint64_t directory = 0;
  std::uint64_t said = 0;
  if (size >= kMagic.size() + footer.size()) {
    COUNTERMARK_CHECK(io::read_at(path, size - footer.size(), footer));
    std::memcpy(&directory, footer.data(), 8);
    std::memcpy(&said, footer.data() + 8, 8);
  }
  if (said != size || std::string_view(footer.data() + 16, 8) != kMagic)
    return fail(fragment.error_at(size, "the fragment is cut off, or damaged at its end"));
  if (directory < kMagic.size() || directory > size - kFooter)
    return fail(fragment.error_at(size - kFooter, "expected the offset of the directory"));
  std::uint64_t after = 0;
  COUNTERMARK_CHECK(fragment.read_head(directory, after));
  COUNTERMARK_CHECK(fragment.read_directory(directory, after));
  return fragment;
}

}  // namespace countermark::scan
