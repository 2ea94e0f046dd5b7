// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/summary.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace countermark::scan {

using detect::Dropped;
using nlohmann::json;

namespace {

template <typename T>
void add(const std::vector<T>& from, std::vector<T>& to) {
  to.resize(std::max(from.size(), to.size()));
  for (std::size_t i = 0; i < from.size(); ++i) to[i] += from[i];
}

}  // namespace

Summary Summary::none(std::size_t tests, std::uint64_t sample_tokens) {
  Summary out;
  out.routed.resize(tests);
  out.tuples.resize(tests);
  out.windows.resize(tests);
  out.dropped.resize(tests);
  out.sample = Sample(sample_tokens);
  return out;
}

Summary& Summary::operator+=(const Summary& other) {
  documents += other.documents;
  bad_records += other.bad_records;
  tokens += other.tokens;
  add(other.routed, routed);
  add(other.tuples, tuples);
  add(other.windows, windows);
  add(other.dropped, dropped);
  sample.add(other.sample);
  return *this;
}

std::string Summary::to_bytes() const {
  json drops = json::array();
  for (const Dropped& d : dropped)
    drops.push_back({d.short_context, d.repeated_context, d.prompt_context, d.repeated_tuple});
  return json({documents, bad_records, tokens, routed, tuples, windows, std::move(drops),
               json(sample.to_bytes())})
      .dump();
}

Result<Summary> Summary::from_bytes(std::string_view bytes) {
  const auto counts = [](const json& value, std::size_t size) {
    return value.is_array() && (size == 0 || value.size() == size) &&
           std::all_of(value.begin(), value.end(),
                       [](const json& item) { return item.is_number_unsigned(); });
  };
  const json root = json::parse(bytes, nullptr, false);
  if (!root.is_array() || root.size() != 8 || !root[0].is_number_unsigned() ||
      !root[1].is_number_unsigned() || !root[2].is_number_unsigned() || !counts(root[3], 0) ||
      !counts(root[4], root[3].size()) || !counts(root[5], root[3].size()) || !root[6].is_array() ||
      root[6].size() != root[3].size() || !root[7].is_string() ||
      !std::all_of(root[6].begin(), root[6].end(),
                   [&](const json& item) { return counts(item, 4); }))
    return fail(ErrorCode::kInvalidInput, "is not the summary of a scan");
  Summary out;
  out.documents = root[0].get<std::uint64_t>();
  out.bad_records = root[1].get<std::uint64_t>();
  out.tokens = root[2].get<std::uint64_t>();
  out.routed = root[3].get<std::vector<std::uint64_t>>();
  out.tuples = root[4].get<std::vector<std::uint64_t>>();
  out.windows = root[5].get<std::vector<std::uint64_t>>();
  for (const json& item : root[6])
    out.dropped.push_back({item[0].get<std::uint64_t>(), item[1].get<std::uint64_t>(),
                           item[2].get<std::uint64_t>(), item[3].get<std::uint64_t>()});
  COUNTERMARK_TRY(out.sample, Sample::from_bytes(root[7].get<std::string>()));
  return out;
}

}  // namespace countermark::scan
