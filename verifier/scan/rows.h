// SPDX-License-Identifier: Apache-2.0
// The rows of a corpus in the order of its inputs, from memory or from many fragments.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "verifier/scan/record_memory.h"
#include "verifier/scan/row_format.h"
#include "verifier/scan/unite.h"

namespace countermark::scan {

class Rows {
 public:
  using Each = std::function<Status(NumberedRow& row)>;

  Rows(Settings settings, MemoryRows rows);  // sorted
  Rows(Settings settings, std::vector<Part> parts);

  // Keeps a block of each part in memory. kMismatch when two parts have a document in one place.
  Status each(const Each& each) const;

  const Settings& settings() const noexcept { return settings_; }

 private:
  Status each_in_memory(const Each& each) const;

  Settings settings_;
  MemoryRows memory_{};
  std::vector<Part> parts_{};
};

}  // namespace countermark::scan
