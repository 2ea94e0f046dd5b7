// SPDX-License-Identifier: Apache-2.0
#include "cli/reader_flags.h"

#include <map>
#include <string>

namespace countermark::cli {

void add_reader_flags(CLI::App& app, text::ReaderOptions& options) {
  static const std::map<std::string, text::Format> kFormats = {
      {"text", text::Format::kText}, {"jsonl", text::Format::kJsonl},
      {"json", text::Format::kJson}, {"csv", text::Format::kCsv},
      {"tsv", text::Format::kTsv},   {"parquet", text::Format::kParquet}};
  app.add_option("--format", options.format,
                 "text, jsonl, json, csv, tsv or parquet; default: by the name")
      ->transform(CLI::CheckedTransformer(kFormats))
      ->type_name("NAME");
  app.add_option("--text-field", options.text_field, "Field of a record with the text, a.b.c")
      ->type_name("PATH");
  app.add_option("--ids-field", options.ids_field, "Field with token ids instead of text")
      ->type_name("NAME");
  app.add_option("--role", options.role, "Which turns of a conversation are judged")
      ->capture_default_str();
}

}  // namespace countermark::cli
