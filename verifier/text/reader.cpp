// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/reader.h"

#include <utility>

#include "verifier/text/raw_records.h"

namespace countermark::text {
namespace {

class BatchedReader final : public DocumentReader {
 public:
  BatchedReader(RecordSource source, ReaderOptions options)
      : source_(std::move(source)), parser_(std::move(options)) {}

  Result<std::optional<Document>> next() override {
    if (used_ == batch_.records.size()) {
      batch_.records.clear();
      used_ = 0;
      auto more = source_.next(batch_);
      is_broken_ = !more;
      if (!more) return fail(std::move(more).error());
      if (!*more) return std::optional<Document>{};
    }
    COUNTERMARK_TRY(Document document, parser_.parse(batch_, batch_.records[used_++]));
    return std::optional<Document>(std::move(document));
  }

  bool is_broken() const override { return is_broken_; }

 private:
  RecordSource source_;
  RecordParser parser_;
  Batch batch_{};
  std::size_t used_ = 0;  // records of the batch
  bool is_broken_ = false;
};

}  // namespace

Result<std::unique_ptr<DocumentReader>> open_documents(const std::string& path,
                                                       const ReaderOptions& options) {
  COUNTERMARK_TRY(RecordSource source, RecordSource::create({path}, options));
  return std::unique_ptr<DocumentReader>(
      std::make_unique<BatchedReader>(std::move(source), options));
}

}  // namespace countermark::text
