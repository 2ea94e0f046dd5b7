// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/parquet.h"

#include <utility>
#include <vector>

#include "verifier/io/program.h"
#include "watermark/json.h"

namespace countermark::text {
namespace {

Error install(const std::string& path) {
  return Error{ErrorCode::kUnsupported,
               "reading Parquet takes python3 with the packages countermark and pyarrow: "
               "pip install 'countermark[parquet]'",
               path};
}

// The lines, and at their end whether the program has come to its own.
class ParquetLines final : public io::Stream {
 public:
  ParquetLines(std::unique_ptr<io::Program> program, std::string path)
      : program_(std::move(program)), path_(std::move(path)) {}

  Result<std::size_t> read(std::span<char> buffer) override {
    COUNTERMARK_TRY(const std::size_t count, program_->read(buffer));
    if (count > 0) return count;
    const int status = program_->wait();
    if (status > 128)
      return fail(Error{ErrorCode::kIo,
                        "the reader of Parquet was ended by signal " + std::to_string(status - 128),
                        path_});
    if (status != 0) return fail(install(path_));
    return std::size_t{0};
  }

  std::uint64_t taken() const noexcept override { return program_->taken(); }

 private:
  std::unique_ptr<io::Program> program_;
  std::string path_;
};

}  // namespace

Result<std::unique_ptr<io::Stream>> open_parquet(const std::string& path,
                                                 const ReaderOptions& options,
                                                 std::uint64_t passed_over) {
  std::vector<std::string> command = {"python3", "-m", "countermark.parquet"};
  if (!options.text_field.empty()) command.push_back("--text-field=" + options.text_field);
  if (!options.ids_field.empty()) command.push_back("--ids-field=" + options.ids_field);
  if (passed_over > 0) command.push_back("--skip=" + std::to_string(passed_over));
  command.emplace_back("--");
  command.push_back(path);
  auto program = io::Program::start(command);
  if (!program) return fail(install(path));
  return std::unique_ptr<io::Stream>(std::make_unique<ParquetLines>(std::move(*program), path));
}

Error parquet_error(std::string_view line) {
  Error error{ErrorCode::kInvalidInput, "the reader of Parquet gave no reason"};
  const auto json = JsonDocument::parse(line.substr(1));
  if (!json) return error;
  if (auto message = json->string_at("/message")) error.message = std::move(*message);
  if (auto field = json->string_at("/field")) error.field = std::move(*field);
  return error;
}

}  // namespace countermark::text
