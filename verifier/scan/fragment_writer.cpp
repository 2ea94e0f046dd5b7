// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <utility>

#include "verifier/scan/fragment.h"
#include "verifier/scan/fragment_format.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace countermark::scan {
namespace {

// "fragment" in ASCII.
constexpr std::uint64_t kSeed = 0x667261676d656e74;

template <typename T>
std::string_view as_text(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

}  // namespace

Checksum checksum(std::string_view bytes) {
  XXH128_canonical_t out;
  XXH128_canonicalFromHash(&out, XXH3_128bits_withSeed(bytes.data(), bytes.size(), kSeed));
  return std::to_array(out.digest);
}

Checksum next_checksum(const Checksum& before, const Checksum& block) {
  const std::array<Checksum, 2> both{before, block};
  return scan::checksum(as_text(both));
}

std::string head_bytes(const FragmentHead& head) {
  const Settings& settings = head.settings;
  std::string lanes;
  for (const std::uint32_t count : settings.lanes) {
    lanes += lanes.empty() ? "" : ",";
    lanes += std::to_string(count);
  }
  return R"({"schema":"countermark.fragment/1","settings":")" + digest(settings) +
         R"(","shard":[)" + std::to_string(settings.shard.index) + "," +
         std::to_string(settings.shard.count) + R"(],"lanes":[)" + lanes + R"(],"firstDocument":)" +
         std::to_string(head.first_document) + R"(,"whole":)" + (head.is_whole ? "true" : "false") +
         R"(,"settingsBytes":)" + std::to_string(settings.json.size()) + "}\n" + settings.json +
         head.summary;
}

FragmentWriter::FragmentWriter(io::NewFile file, FragmentHead head)
    : file_(std::move(file)),
      head_(std::move(head)),
      sections_(head_.settings.channels() + 2),
      block_(Block::kFrame, '\0') {}

Result<FragmentWriter> FragmentWriter::create(const std::string& path, const FragmentHead& head) {
  COUNTERMARK_TRY(io::NewFile file, io::NewFile::create(path));
  FragmentWriter writer(std::move(file), head);
  COUNTERMARK_CHECK(writer.file_.write(kMagic));
  writer.block_ += head_bytes(head);
  writer.count_ = 1;
  COUNTERMARK_CHECK(writer.write_block(kHeadBlock, 0));
  writer.sections_[0].begin = writer.file_.size();
  return writer;
}

Status FragmentWriter::write_block(std::uint32_t kind, std::uint32_t channel) {
  BlockFrame frame{{}, kind, channel, count_, static_cast<std::uint32_t>(filled()), file_.size()};
  block_.replace(0, Block::kFrame, as_text(frame));
  checksum_ = scan::checksum(std::string_view(block_).substr(sizeof checksum_));
  std::memcpy(block_.data(), checksum_.data(), checksum_.size());
  COUNTERMARK_CHECK(file_.write(block_));
  block_.resize(Block::kFrame);
  count_ = 0;
  return {};
}

Status FragmentWriter::write_section_block() {
  const std::size_t channels = head_.settings.channels();
  FragmentSection& section = sections_[section_];
  section.count += count_;
  if (section_ < channels) {
    COUNTERMARK_CHECK(write_block(kRecordsBlock, static_cast<std::uint32_t>(section_)));
  } else {
    COUNTERMARK_CHECK(write_block(section_ == channels ? kRowsBlock : kLossesBlock, 0));
  }
  section.checksum = next_checksum(section.checksum, checksum_);
  return {};
}

Status FragmentWriter::go_to(std::size_t section) {
  while (section_ < section) {
    if (count_ > 0) COUNTERMARK_CHECK(write_section_block());
    sections_[section_].end = file_.size();
    ++section_;
    if (section_ < sections_.size()) sections_[section_].begin = file_.size();
  }
  return {};
}

Status FragmentWriter::add_records(std::size_t channel, std::span<const std::uint32_t> records) {
  COUNTERMARK_CHECK(go_to(channel));
  const std::size_t size = 4 * (3 + std::size_t{head_.settings.lanes[channel]});
  const std::size_t most = std::max(kBlockBytes / size, std::size_t{1});
  std::string_view bytes(reinterpret_cast<const char*>(records.data()), records.size_bytes());
  while (!bytes.empty()) {
    const std::size_t part = std::min(bytes.size() / size, most - count_);
    block_ += bytes.substr(0, part * size);
    bytes.remove_prefix(part * size);
    count_ += static_cast<std::uint32_t>(part);
    if (count_ == most) COUNTERMARK_CHECK(write_section_block());
  }
  return {};
}

Status FragmentWriter::add_row(std::string_view row) {
  COUNTERMARK_CHECK(go_to(head_.settings.channels()));
  block_ += row;
  ++count_;
  return filled() < kBlockBytes ? Status{} : write_section_block();
}

Status FragmentWriter::add_losses(std::uint32_t document, std::span<const std::uint32_t> lost) {
  COUNTERMARK_CHECK(go_to(head_.settings.channels() + 1));
  // A block begins with its first document; the others follow one by one.
  if (count_ > 0 && document != expected_) COUNTERMARK_CHECK(write_section_block());
  if (count_ == 0) block_ += as_text(document);
  block_ += std::string_view(reinterpret_cast<const char*>(lost.data()), lost.size_bytes());
  ++count_;
  expected_ = document + 1;
  return filled() < kBlockBytes ? Status{} : write_section_block();
}

Status FragmentWriter::end() {
  COUNTERMARK_CHECK(go_to(sections_.size()));
  for (const FragmentSection& section : sections_) block_ += as_text(section);
  count_ = static_cast<std::uint32_t>(sections_.size());
  const std::uint64_t directory = file_.size();
  COUNTERMARK_CHECK(write_block(kDirectoryBlock, 0));
  const std::uint64_t size = file_.size() + kFooter;
  COUNTERMARK_CHECK(file_.write(as_text(directory)));
  COUNTERMARK_CHECK(file_.write(as_text(size)));
  return file_.write(kMagic);
}

Status FragmentWriter::finish(bool sync) {
  COUNTERMARK_CHECK(end());
  return file_.finish(sync);
}

Status FragmentWriter::finish_as(const std::string& path) {
  COUNTERMARK_CHECK(end());
  return file_.finish_as(path);
}

}  // namespace countermark::scan
