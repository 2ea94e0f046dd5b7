// SPDX-License-Identifier: Apache-2.0
#include "verifier/audit/looks.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "verifier/io/file.h"
#include "verifier/io/storage.h"
#include "watermark/json.h"
#include "watermark/prf/hash.h"
#include "watermark/prf/long_hash.h"

namespace countermark::audit {
namespace {

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
  COUNTERMARK_TRY(out.previous, digest_at(record, "/previous"));
  COUNTERMARK_TRY(out.settings, digest_at(record, "/settings"));
  COUNTERMARK_TRY(out.bytes, record.unsigned_at("/bytes", 0, INT64_MAX));
  COUNTERMARK_TRY(out.answers, digest_at(record, "/answers"));
  COUNTERMARK_TRY(out.scored, record.unsigned_at("/scored", 0, INT64_MAX));
  COUNTERMARK_TRY(out.e_value, units(record, "eUnits"));
  COUNTERMARK_TRY(out.most_e_value, units(record, "mostEUnits"));
  return out;
}

Result<Looks> Looks::open(const std::string& path) {
  COUNTERMARK_TRY(LookChain chain, LookChain::open(path));
  return Looks(std::move(chain));
}

Status Looks::check(const std::string& settings, const std::string& answers) const {
  if (looks().empty()) return {};
  const Look& last = looks().back();
  if (last.settings != settings)
    return fail(
        Error{ErrorCode::kMismatch,
              "has looks under other settings (key, profile, tokenizer, claim, alpha, quoted "
              "works or how answers are read): a bet cannot be changed",
              chain_.path()});
  std::uint64_t bytes = last.bytes;
  COUNTERMARK_TRY(const std::string found, digest_of_first(answers, bytes));
  if (bytes != last.bytes || found != last.answers)
    return fail(Error{ErrorCode::kMismatch,
                      "does not begin with the " + std::to_string(last.bytes) + " bytes that " +
                          chain_.path() + " has seen: answers may only be added",
                      answers});
  return {};
}

Status Looks::add(Look look, const std::string& answers) {
  look.bytes = UINT64_MAX;
  COUNTERMARK_TRY(look.answers, digest_of_first(answers, look.bytes));
  return chain_.add(std::move(look));
}

}  // namespace countermark::audit
