// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/csv.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "verifier/text/record_rules.h"
#include "watermark/utf8.h"

namespace countermark::text {
namespace {

Error bad(std::string message, std::size_t offset, std::string field = {}) {
  return Error{ErrorCode::kInvalidInput, std::move(message), {}, std::move(field), offset};
}

// The field that begins at `at`, which moves to its end.
Result<CsvField> take_field(std::string_view row, char delimiter, std::size_t& at) {
  CsvField field{{}, at};
  if (at == row.size() || row[at] != '"') {
    const std::size_t end = std::min(row.find(delimiter, at), row.size());
    field.value = row.substr(at, end - at);
    at = end;
    return field;
  }
  for (bool is_doubled = true; is_doubled;) {
    const std::size_t quote = row.find('"', at + 1);
    if (quote == row.npos) return fail(bad("the quoted field does not end", field.offset));
    is_doubled = quote + 1 < row.size() && row[quote + 1] == '"';
    field.value += row.substr(at + 1, quote - at - 1 + (is_doubled ? 1 : 0));
    at = quote + 1;
  }
  if (at < row.size() && row[at] != delimiter)
    return fail(bad("expected a delimiter after a quoted field", at));
  return field;
}

std::optional<std::size_t> find_column(const std::vector<CsvField>& header, std::string_view name) {
  for (std::size_t i = 0; i < header.size(); ++i)
    if (header[i].value == name) return i;
  return std::nullopt;
}

// A column that is read must be one.
Status check_unique(const std::vector<CsvField>& header, std::optional<std::size_t> column) {
  for (std::size_t i = column.value_or(header.size()) + 1; i < header.size(); ++i)
    if (header[i].value == header[*column].value)
      return fail(bad("the column stands twice", header[i].offset, header[i].value));
  return {};
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

Result<std::vector<TokenId>> parse_ids(const CsvField& field, const std::string& name) {
  std::string_view rest = field.value;
  const auto trim = [&rest] {
    while (!rest.empty() && is_space(rest.front())) rest.remove_prefix(1);
  };
  while (!rest.empty() && is_space(rest.back())) rest.remove_suffix(1);
  trim();
  const bool has_brackets = rest.size() >= 2 && rest.front() == '[' && rest.back() == ']';
  if (has_brackets) rest = rest.substr(1, rest.size() - 2);
  while (!rest.empty() && is_space(rest.back())) rest.remove_suffix(1);
  trim();
  std::vector<TokenId> ids;
  while (!rest.empty()) {
    TokenId id = 0;
    const auto [stop, error] = std::from_chars(rest.data(), rest.data() + rest.size(), id);
    rest.remove_prefix(static_cast<std::size_t>(stop - rest.data()));
    const bool is_number =
        error == std::errc{} && (rest.empty() || is_space(rest.front()) || rest.front() == ',');
    trim();
    const bool has_comma = !rest.empty() && rest.front() == ',';
    if (has_comma) rest.remove_prefix(1);
    trim();
    if (!is_number || (has_comma && rest.empty()))
      return fail(bad("expected token ids, integers from 0 to 4294967295, between commas or spaces",
                      field.offset, name + "[" + std::to_string(ids.size()) + "]"));
    ids.push_back(id);
  }
  return ids;
}

}  // namespace

Result<std::vector<CsvField>> split_row(std::string_view row, char delimiter) {
  COUNTERMARK_CHECK(check_utf8(row));
  if (row.ends_with('\r')) row.remove_suffix(1);
  std::vector<CsvField> fields;
  for (std::size_t at = 0;; ++at) {
    COUNTERMARK_TRY(CsvField field, take_field(row, delimiter, at));
    fields.push_back(std::move(field));
    if (at == row.size()) return fields;
  }
}

Result<CsvColumns> choose_columns(const std::vector<CsvField>& header,
                                  const ReaderOptions& options) {
  CsvColumns columns;
  columns.count = header.size();
  std::optional<std::size_t> chosen;
  columns.field = options.ids_field.empty() ? options.text_field : options.ids_field;
  if (!columns.field.empty()) {
    chosen = find_column(header, columns.field);
    if (!chosen) return fail(bad("is no column of the header", 0, columns.field));
  } else {
    for (std::size_t i = 0; i < kKnownColumns && !chosen; ++i) {
      columns.field = kKnownFields[i];
      chosen = find_column(header, columns.field);
    }
    if (!chosen)
      return fail(
          bad("expected one of the columns text, content, output, response, completion", 0));
  }
  columns.chosen = *chosen;
  columns.id = find_column(header, "id");
  if (columns.field != "prompt") columns.prompt = find_column(header, "prompt");
  for (const auto column : {chosen, columns.id, columns.prompt})
    COUNTERMARK_CHECK(check_unique(header, column));
  return columns;
}

Result<Document> parse_row(std::string_view row, char delimiter, const CsvColumns& columns,
                           const ReaderOptions& options) {
  COUNTERMARK_TRY(std::vector<CsvField> fields, split_row(row, delimiter));
  if (fields.size() != columns.count)
    return fail(bad("expected " + std::to_string(columns.count) +
                        " fields, as in the header, got " + std::to_string(fields.size()),
                    0));
  Document document;
  document.field = columns.field;
  if (columns.id) document.id = fields[*columns.id].value;
  if (columns.prompt) {
    Segment& prompt = document.segments.emplace_back();
    prompt.text = fields[*columns.prompt].value;
    prompt.scored = false;
  }
  Segment& segment = document.segments.emplace_back();
  segment.is_ids = !options.ids_field.empty();
  CsvField& field = fields[columns.chosen];
  if (segment.is_ids) {
    COUNTERMARK_TRY(segment.ids, parse_ids(field, columns.field));
  } else {
    segment.text = std::move(field.value);
  }
  return document;
}

}  // namespace countermark::text
