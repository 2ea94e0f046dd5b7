// SPDX-License-Identifier: Apache-2.0
#include "verifier/scan/merge.h"

#include <memory>
#include <utility>
#include <vector>

#include "verifier/scan/rows.h"
#include "verifier/scan/unite.h"
#include "verifier/scan/winner_tallies.h"

namespace countermark::scan {
namespace {

Result<Fragment> open_whole(const std::string& path) {
  COUNTERMARK_TRY(Fragment fragment, Fragment::open(path));
  if (!fragment.head().is_whole)
    return fail(Error{ErrorCode::kMismatch,
                      "expected the fragment of a shard, not one of a scan that goes on", path});
  return fragment;
}

// Of the whole scan.
Settings whole(Settings settings) {
  settings.shard = {};
  return settings;
}

}  // namespace

Result<Settings> fragment_settings(const std::string& path) {
  COUNTERMARK_TRY(const Fragment fragment, open_whole(path));
  return whole(fragment.head().settings);
}

Result<std::string> fragment_summary(const std::string& path) {
  COUNTERMARK_TRY(const Fragment fragment, open_whole(path));
  return fragment.head().summary;
}

Result<Corpus> merge(std::span<const std::string> paths, const WinnerScores& winners) {
  if (paths.empty()) return fail(ErrorCode::kInvalidArgument, "expected at least one fragment");
  COUNTERMARK_TRY(const Settings settings, fragment_settings(paths[0]));
  std::vector<Part> parts;
  std::vector<std::string> of_shard;
  for (const std::string& path : paths) {
    COUNTERMARK_TRY(Fragment fragment, open_whole(path));
    const Shard shard = fragment.head().settings.shard;
    if (of_shard.empty()) of_shard.resize(shard.count);
    if (whole(fragment.head().settings) != settings || shard.count != of_shard.size())
      return fail(Error{ErrorCode::kMismatch,
                        "expected the settings and the number of shards of " + paths[0], path});
    if (!of_shard[shard.index].empty())
      return fail(Error{ErrorCode::kMismatch,
                        "shard " + std::to_string(shard.index + 1) + " of " +
                            std::to_string(shard.count) + " is also " + of_shard[shard.index],
                        path});
    of_shard[shard.index] = path;
    fragment.forget_json();
    parts.push_back({std::move(fragment), 0});
  }
  for (std::size_t i = 0; i < of_shard.size(); ++i)
    if (of_shard[i].empty())
      return fail(ErrorCode::kMismatch, "shard " + std::to_string(i + 1) + " of " +
                                            std::to_string(of_shard.size()) + " is missing");

  auto documents = std::make_shared<Documents>(settings);
  for (Part& part : parts) {
    part.base = static_cast<std::uint32_t>(documents->size());
    COUNTERMARK_CHECK(load_documents(part, settings, *documents));
  }
  WinnerTallies tallies(settings, winners, 1);
  COUNTERMARK_CHECK(unite(parts, settings, *documents,
                          [&](std::size_t channel, std::span<const std::uint32_t> records) {
                            tallies.add(0, channel, records);
                            return Status{};
                          }));
  return Corpus(std::move(documents), std::make_unique<Rows>(settings, std::move(parts)),
                tallies.totals());
}

}  // namespace countermark::scan
