// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/sample.h"

#include <cassert>
#include <iterator>
#include <nlohmann/json.hpp>

namespace countermark::scan {
namespace {

using detect::TokenSegment;
using detect::TokenText;
using nlohmann::json;

json text_json(const TokenText& text) {
  json out = json::array();
  for (const TokenSegment& segment : text) {
    assert(segment.predicted.empty());  // such texts come from no dataset
    out.push_back({segment.scored, segment.ids});
  }
  return out;
}

}  // namespace

bool Sample::wants(std::uint64_t content_hash, const Place& place) const noexcept {
  return tokens_ < budget_ ||
         (!entries_.empty() && Key(content_hash, place) < std::prev(entries_.end())->first);
}

void Sample::add(std::uint64_t content_hash, const Place& place, Entry entry) {
  if (!wants(content_hash, place)) return;
  const std::uint64_t tokens = entry.tokens;
  if (!entries_.emplace(Key(content_hash, place), std::move(entry)).second) return;
  tokens_ += tokens;
  // Without the last ones there are still enough.
  for (auto last = std::prev(entries_.end()); tokens_ - last->second.tokens >= budget_;
       last = std::prev(entries_.end())) {
    tokens_ -= last->second.tokens;
    entries_.erase(last);
  }
}

void Sample::add(const Sample& other) {
  budget_ = std::max(budget_, other.budget_);
  for (const auto& [key, entry] : other.entries_) add(key.first, key.second, entry);
}

std::string Sample::to_bytes() const {
  json entries = json::array();
  for (const auto& [key, entry] : entries_) {
    json texts = json::array();
    for (const TokenText& text : entry.texts) texts.push_back(text_json(text));
    entries.push_back(
        {key.first, key.second.input, key.second.record, entry.tokens, std::move(texts)});
  }
  return json({budget_, std::move(entries)}).dump();
}

Result<Sample> Sample::from_bytes(std::string_view bytes) {
  const auto bad = [] { return fail(ErrorCode::kInvalidInput, "is not a sample of documents"); };
  const json root = json::parse(bytes, nullptr, false);
  if (!root.is_array() || root.size() != 2 || !root[0].is_number_unsigned() || !root[1].is_array())
    return bad();
  Sample out(root[0].get<std::uint64_t>());
  for (const json& item : root[1]) {
    if (!item.is_array() || item.size() != 5 || !item[4].is_array()) return bad();
    for (std::size_t i = 0; i < 4; ++i)
      if (!item[i].is_number_unsigned()) return bad();
    Entry entry;
    entry.tokens = item[3].get<std::uint64_t>();
    for (const json& text_item : item[4]) {
      if (!text_item.is_array()) return bad();
      TokenText text;
      for (const json& segment : text_item) {
        if (!segment.is_array() || segment.size() != 2 || !segment[0].is_boolean() ||
            !segment[1].is_array())
          return bad();
        TokenSegment& ids = text.emplace_back();
        ids.scored = segment[0].get<bool>();
        for (const json& id : segment[1]) {
          if (!id.is_number_unsigned()) return bad();
          ids.ids.push_back(id.get<TokenId>());
        }
      }
      entry.texts.push_back(std::move(text));
    }
    const Place place{item[1].get<std::uint32_t>(), item[2].get<std::uint64_t>()};
    out.tokens_ += entry.tokens;
    out.entries_.emplace(Key(item[0].get<std::uint64_t>(), place), std::move(entry));
  }
  return out;
}

}  // namespace countermark::scan
