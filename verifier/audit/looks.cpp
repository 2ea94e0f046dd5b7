// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/looks.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "verifier/io/file.h"
#include "verifier/io/storage.h"
#include "verifier/text/json_lines.h"
#include "watermark/json.h"
#include "watermark/prf/hash.h"
#include "watermark/prf/long_hash.h"

namespace countermark::audit {
namespace {

using LooksReader = text::JsonLinesReader<Look, parse_look, std::size_t{1} << 16>;

std::string digest_of(std::string_view line) { return to_hex(sha256(std::string(line))); }

Result<std::string> digest(const JsonDocument& record, const char* pointer) {
  COUNTERMARK_TRY(std::string out, record.string_at(pointer));
  if (out.size() != 64 || out.find_first_not_of("0123456789abcdef") != std::string::npos)
    return fail(record.error_at(pointer, ErrorCode::kInvalidInput, "expected a SHA-256"));
  return out;
}

Result<std::int64_t> units(const JsonDocument& record, const std::string& name) {
  const auto& value = record.root().find(name);
  if (value == record.root().end() || !value->is_number_integer() ||
      (value->is_number_unsigned() && value->get<std::uint64_t>() > INT64_MAX))
    return fail(
        record.error_at("/" + name, ErrorCode::kInvalidInput, "expected an integer of 64 bits"));
  return value->get<std::int64_t>();
}

// SHA-256 of the first bytes of a file, as many as it has at most; their number is set.
Result<std::string> digest_of_first(const std::string& path, std::uint64_t& bytes) {
  COUNTERMARK_TRY(io::Input input, io::Input::open(path));
  LongHash hash;
  std::vector<char> buffer(std::size_t{1} << 16);
  std::uint64_t done = 0;
  while (done < bytes) {
    const auto most =
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), bytes - done));
    COUNTERMARK_TRY(const std::size_t count, input.read(std::span(buffer).first(most)));
    if (count == 0) break;
    hash.add({buffer.data(), count});
    done += count;
  }
  bytes = done;
  return to_hex(hash.sha256());
}

}  // namespace

std::string to_json_line(const Look& look) {
  return nlohmann::ordered_json{{"schema", kLooksSchema},    {"previous", look.previous},
                                {"settings", look.settings}, {"bytes", look.bytes},
                                {"answers", look.answers},   {"scored", look.scored},
                                {"eUnits", look.e_value},    {"mostEUnits", look.most_e_value}}
             .dump() +
         "\n";
}

Result<Look> parse_look(std::string_view line) {
  COUNTERMARK_TRY(const JsonDocument record, JsonDocument::parse(line));
  COUNTERMARK_CHECK(record.only_members("", {"schema", "previous", "settings", "bytes", "answers",
                                             "scored", "eUnits", "mostEUnits"}));
  COUNTERMARK_TRY(const std::string schema, record.string_at("/schema"));
  if (schema != kLooksSchema)
    return fail(record.error_at("/schema", ErrorCode::kUnsupported,
                                "expected '" + std::string(kLooksSchema) + "'"));
  Look out;
  COUNTERMARK_TRY(out.previous, digest(record, "/previous"));
  COUNTERMARK_TRY(out.settings, digest(record, "/settings"));
  COUNTERMARK_TRY(out.bytes, record.unsigned_at("/bytes", 0, INT64_MAX));
  COUNTERMARK_TRY(out.answers, digest(record, "/answers"));
  COUNTERMARK_TRY(out.scored, record.unsigned_at("/scored", 0, INT64_MAX));
  COUNTERMARK_TRY(out.e_value, units(record, "eUnits"));
  COUNTERMARK_TRY(out.most_e_value, units(record, "mostEUnits"));
  return out;
}

Result<Looks> Looks::open(const std::string& path) {
  Looks out(path);
  out.last_ = digest_of("");
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return out;
  COUNTERMARK_TRY(LooksReader reader, LooksReader::open(path));
  for (;;) {
    COUNTERMARK_TRY(const std::optional<Look> look, reader.next());
    if (!look) return out;
    if (look->previous != out.last_)
      return fail(Error{ErrorCode::kInvalidInput,
                        "does not follow from the line before it: a look was changed or left out",
                        path, "record " + std::to_string(out.looks_.size() + 1)});
    const std::string line = to_json_line(*look);
    out.text_ += line;
    out.last_ = digest_of(line);
    out.looks_.push_back(*look);
  }
}

Status Looks::check(const std::string& settings, const std::string& answers) const {
  if (looks_.empty()) return {};
  const Look& last = looks_.back();
  if (last.settings != settings)
    return fail(Error{ErrorCode::kMismatch,
                      "has looks under other settings (key, profile, claim, alpha, quoted works or "
                      "how answers are read): a bet cannot be changed",
                      path_});
  std::uint64_t bytes = last.bytes;
  COUNTERMARK_TRY(const std::string found, digest_of_first(answers, bytes));
  if (bytes != last.bytes || found != last.answers)
    return fail(Error{ErrorCode::kMismatch,
                      "does not begin with the " + std::to_string(last.bytes) + " bytes that " +
                          path_ + " has seen: answers may only be added",
                      answers});
  return {};
}

Status Looks::add(Look look, const std::string& answers) {
  look.previous = last_;
  look.bytes = UINT64_MAX;
  COUNTERMARK_TRY(look.answers, digest_of_first(answers, look.bytes));
  const std::string line = to_json_line(look);
  const std::string partial = path_ + ".part";
  {
    std::ofstream file(partial, std::ios::binary | std::ios::trunc);
    file << text_ << line;
    file.close();
    if (!file || std::rename(partial.c_str(), path_.c_str()) != 0)
      return fail(Error{ErrorCode::kIo, "cannot be written", path_});
  }
  text_ += line;
  last_ = digest_of(line);
  looks_.push_back(std::move(look));
  return {};
}

}  // namespace countermark::audit
