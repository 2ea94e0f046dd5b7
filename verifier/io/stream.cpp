// SPDX-License-Identifier: Apache-2.0
#include "verifier/io/stream.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "verifier/io/file.h"

namespace countermark::io {
namespace {

constexpr std::string_view kGzip = "\x1f\x8b";
constexpr std::string_view kZstandard = "\x28\xb5\x2f\xfd";

// A file as it is. What was read to know its kind is read again.
class FileStream final : public Stream {
 public:
  static Result<std::unique_ptr<FileStream>> open(const std::string& path) {
    COUNTERMARK_TRY(Input input, Input::open(path));
    auto stream = std::unique_ptr<FileStream>(new FileStream(std::move(input)));
    while (stream->size_ < stream->first_.size()) {
      COUNTERMARK_TRY(const std::size_t count,
                      stream->input_.read(std::span(stream->first_).subspan(stream->size_)));
      if (count == 0) break;
      stream->size_ += count;
    }
    return stream;
  }

  std::string_view first() const { return {first_.data(), size_}; }
  const std::string& name() const { return input_.name(); }

  Result<std::size_t> read(std::span<char> buffer) override {
    std::size_t count = std::min(buffer.size(), size_ - used_);
    if (count > 0) {
      std::copy_n(first_.data() + used_, count, buffer.data());
      used_ += count;
    } else {
      COUNTERMARK_TRY(count, input_.read(buffer));
    }
    taken_ += count;
    return count;
  }

  Status skip(std::uint64_t count) override {
    const auto held = static_cast<std::size_t>(std::min<std::uint64_t>(count, size_ - used_));
    used_ += held;
    taken_ += held;
    count -= held;
    if (count == 0) return {};
    if (!input_.skip(count)) return Stream::skip(count);
    taken_ += count;
    return {};
  }

  std::uint64_t taken() const noexcept override { return taken_; }

 private:
  explicit FileStream(Input input) : input_(std::move(input)) {}

  Input input_;
  std::array<char, 4> first_{};
  std::size_t size_ = 0;  // of `first_`
  std::size_t used_ = 0;
  std::uint64_t taken_ = 0;
};

// The ending after the last dot, in small letters, with the dot; none in ".hidden".
std::string ending_of(const std::string& name) {
  const std::size_t slash = name.rfind('/');
  const std::size_t base = slash == name.npos ? 0 : slash + 1;
  const std::size_t dot = name.rfind('.');
  if (dot == name.npos || dot <= base) return {};
  std::string ending = name.substr(dot);
  for (char& c : ending)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return ending;
}

}  // namespace

Status Stream::skip(std::uint64_t count) {
  std::string dropped(std::size_t{1} << 18, '\0');
  while (count > 0) {
    const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(count, dropped.size()));
    COUNTERMARK_TRY(const std::size_t read_now, read(std::span(dropped).first(most)));
    if (read_now == 0) break;
    count -= read_now;
  }
  return {};
}

std::string without_compression(const std::string& name) {
  const std::string ending = ending_of(name);
  if (ending != ".gz" && ending != ".zst") return name;
  return name.substr(0, name.size() - ending.size());
}

Result<std::unique_ptr<Stream>> open_stream(const std::string& path) {
  COUNTERMARK_TRY(auto file, FileStream::open(path));
  const bool is_gzip = file->first().starts_with(kGzip);
  const bool is_zstandard = file->first().starts_with(kZstandard);
  const std::string ending = ending_of(path);
  if ((ending == ".gz" && !is_gzip) || (ending == ".zst" && !is_zstandard))
    return fail(Error{ErrorCode::kInvalidInput,
                      ending == ".gz" ? "expected gzip, as the name says: 1f 8b"
                                      : "expected Zstandard, as the name says: 28 b5 2f fd",
                      file->name(),
                      {},
                      0});
  std::string name = file->name();
  if (is_gzip) return gunzip(std::move(file), std::move(name));
  if (is_zstandard) return unzstd(std::move(file), std::move(name));
  return std::unique_ptr<Stream>(std::move(file));
}

}  // namespace countermark::io
