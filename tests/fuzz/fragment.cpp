// SPDX-License-Identifier: Apache-2.0
// Any bytes as a fragment. Bytes of a fragment are sealed again where a checksum would stop them,
// so that what lies behind the checksums is reached: reading ends, says where each fault stands,
// and what was read is written as it was.
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "tests/fuzz/fuzz.h"
#include "verifier/scan/fragment_format.h"
#include "verifier/scan/merge.h"
#include "verifier/scan/row_format.h"
#include "verifier/scan/unite.h"

namespace {

namespace scan = countermark::scan;
using countermark::fuzz::check_error;
using countermark::fuzz::require;

// Sets the checksum of every block that can be walked to, the sections' and the footer's size.
void seal(std::string& bytes) {
  const auto frame_at = [&](std::size_t at, scan::BlockFrame& frame) {
    if (bytes.size() < at + sizeof frame) return false;
    std::memcpy(&frame, bytes.data() + at, sizeof frame);
    return frame.bytes <= bytes.size() - at - sizeof frame;
  };
  scan::Checksum section{};
  std::size_t sections = 0;
  std::uint32_t last = 0;
  std::string checksums;
  scan::BlockFrame frame{};
  for (std::size_t at = scan::kMagic.size(); frame_at(at, frame);
       at += sizeof frame + frame.bytes) {
    char* const payload = bytes.data() + at + sizeof frame;
    if (frame.kind == scan::kDirectoryBlock) {
      // Sections without a block have no checksum.
      std::size_t used = 0;
      for (std::size_t i = 0; i + sizeof(scan::FragmentSection) <= frame.bytes;
           i += sizeof(scan::FragmentSection)) {
        scan::FragmentSection row;
        std::memcpy(&row, payload + i, sizeof row);
        if (row.begin == row.end || used + 16 > checksums.size()) continue;
        std::memcpy(payload + i + offsetof(scan::FragmentSection, checksum),
                    checksums.data() + used, 16);
        used += 16;
      }
    }
    const scan::Checksum block =
        scan::checksum(std::string_view(bytes).substr(at + 16, sizeof frame - 16 + frame.bytes));
    std::memcpy(bytes.data() + at, block.data(), block.size());
    const std::uint32_t key = frame.kind * 65536 + frame.channel;
    if (key != last) {
      section = {};
      ++sections;
    }
    section = scan::next_checksum(section, block);
    if (frame.kind != scan::kHeadBlock && frame.kind != scan::kDirectoryBlock) {
      if (key == last) checksums.resize(checksums.size() - 16);
      checksums.append(reinterpret_cast<const char*>(section.data()), section.size());
    }
    last = key;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  const bool is_sealed = size > 0 && (data[size - 1] & 1) != 0;
  if (!bytes.empty()) bytes.pop_back();
  if (is_sealed) seal(bytes);

  const int descriptor = ::memfd_create("fuzz", 0);
  require(descriptor >= 0, "memory files are there");
  const std::string path = "/proc/self/fd/" + std::to_string(descriptor);
  require(::write(descriptor, bytes.data(), bytes.size()) == static_cast<::ssize_t>(bytes.size()),
          "a memory file takes the bytes");
  const std::string paths[] = {path};
  const auto corpus = scan::merge(paths);
  if (!corpus) {
    check_error(corpus.error(), bytes.size());
  } else {
    std::uint64_t documents = 0;
    const auto read = corpus->each_document([&](const scan::DocumentRow& row) {
      ++documents;
      const auto settings = scan::fragment_settings(path);
      require(scan::check_row(row, *settings).has_value(), "what is read keeps the rules");
      std::string written;
      scan::write_row(written, 0, row);
      std::string_view rest = written;
      auto again = countermark::fuzz::must(scan::read_row(rest, *settings), "a row can be read");
      again.row.assigned = row.assigned;
      again.row.duplicate_of = row.duplicate_of;
      require(again.row == row && rest.empty(), "a row is written as it was read");
      return countermark::Status{};
    });
    if (read) require(documents == corpus->documents(), "each document comes once");
    if (!read) check_error(read.error(), bytes.size());
  }
  ::close(descriptor);
  return 0;
}
