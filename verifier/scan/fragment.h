// SPDX-License-Identifier: Apache-2.0
// A file with a part of a corpus: sorted records of each channel, the rows of documents, and what
// these lost to each other. countermark.fragment/1 of docs/formats.md.
//
// Written from end to end, read section by section, a block at a time. Every block has a checksum,
// which is checked before anything of it is used.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "verifier/io/storage.h"
#include "verifier/scan/settings.h"
#include "watermark/error.h"

namespace countermark::scan {

// What is known of a fragment's contents.
struct FragmentHead {
  Settings settings{};
  // Of its own documents; its records may be those of documents before it, in other fragments.
  std::uint32_t first_document = 0;
  // A shard's only fragment; else one of several in a folder.
  bool is_whole = false;
  std::string summary{};  // the caller's, of a shard

  bool operator==(const FragmentHead&) const = default;
};

using Checksum = std::array<std::uint8_t, 16>;

// A row of the directory, as it is written.
struct FragmentSection {
  std::uint64_t begin = 0;  // offsets in the file
  std::uint64_t end = 0;
  std::uint64_t count = 0;  // records, rows, or documents with losses
  Checksum checksum{};      // of all its blocks' checksums
};

// One block, in memory that is used again.
class Block {
 public:
  std::uint32_t count() const noexcept { return count_; }
  std::uint64_t offset() const noexcept { return offset_; }  // of the payload in the file
  std::string_view bytes() const noexcept {
    return {reinterpret_cast<const char*>(buffer_.data()) + kFrame, size_};
  }
  std::span<std::uint32_t> words() noexcept {
    return std::span(buffer_).subspan(kFrame / 4, size_ / 4);
  }

  static constexpr std::size_t kFrame = 40;  // bytes before the payload

 private:
  friend class Fragment;
  std::vector<std::uint32_t> buffer_{};
  std::size_t size_ = 0;
  std::uint32_t count_ = 0;
  std::uint64_t offset_ = 0;
  Checksum checksum_{};
};

// The sections in their order: the records of each channel, rows, losses.
class FragmentWriter {
 public:
  static Result<FragmentWriter> create(const std::string& path, const FragmentHead& head);

  // Records of a channel, their fingerprints ascending; channels ascending.
  Status add_records(std::size_t channel, std::span<const std::uint32_t> records);
  // After all records: a row as write_row() writes it, their places ascending.
  Status add_row(std::string_view row);
  // After all rows: what a document lost, as Documents has it; documents ascending.
  Status add_losses(std::uint32_t document, std::span<const std::uint32_t> lost);

  // Ends the file; it is complete, and on the disk if `sync` is set.
  Status finish(bool sync);
  Status finish_as(const std::string& path);
  std::uint64_t size() const noexcept { return file_.size(); }
  // Of the directory, and by it of all sections. After finish().
  const Checksum& checksum() const noexcept { return checksum_; }

 private:
  FragmentWriter(io::NewFile file, FragmentHead head);

  Status go_to(std::size_t section);
  Status write_block(std::uint32_t kind, std::uint32_t channel);
  Status write_section_block();
  Status end();
  std::size_t filled() const noexcept { return block_.size() - Block::kFrame; }

  io::NewFile file_;
  FragmentHead head_;
  std::vector<FragmentSection> sections_;
  std::size_t section_ = 0;
  std::string block_;           // room for the frame, then the payload
  std::uint32_t count_ = 0;     // things in block_
  std::uint32_t expected_ = 0;  // the document after the last one of block_'s losses
  Checksum checksum_{};
};

class Fragment {
 public:
  // Reads and checks the head and the directory. kInvalidInput, with the offset, for what is not a
  // whole fragment; kUnsupported for another version.
  static Result<Fragment> open(const std::string& path);

  const std::string& path() const noexcept { return path_; }
  const FragmentHead& head() const noexcept { return head_; }
  std::uint64_t documents() const noexcept { return sections_[rows()].count; }
  std::uint64_t size() const noexcept { return size_; }
  const Checksum& checksum() const noexcept { return checksum_; }

  // For one that was compared with settings that are kept elsewhere: many may be open.
  void forget_json() noexcept { head_.settings.json = {}; }

  std::size_t rows() const noexcept { return head_.settings.channels(); }
  std::size_t losses() const noexcept { return rows() + 1; }

  // Where reading a section has got to.
  struct Cursor {
    std::size_t section = 0;
    std::uint64_t at = 0;
    std::uint64_t count = 0;  // things so far
    Checksum checksum{};      // of the blocks so far
  };
  // Of a channel's records, or of rows() or losses().
  Cursor begin(std::size_t section) const { return {section, sections_[section].begin, 0, {}}; }
  bool at_end(const Cursor& cursor) const { return cursor.at == sections_[cursor.section].end; }
  // The next block; not at the end.
  Status next(Cursor& cursor, Block& block) const;

  Error error_at(std::uint64_t offset, std::string message) const {
    return {ErrorCode::kInvalidInput, std::move(message), path_, "", offset};
  }

 private:
  Status read_block(std::uint64_t offset, std::uint64_t end, std::uint32_t kind,
                    std::uint32_t channel, Block& block) const;
  Status read_head(std::uint64_t end, std::uint64_t& after);
  Status read_directory(std::uint64_t offset, std::uint64_t first);

  std::string path_{};
  std::uint64_t size_ = 0;
  FragmentHead head_{};
  std::vector<FragmentSection> sections_{};
  Checksum checksum_{};
};

}  // namespace countermark::scan
