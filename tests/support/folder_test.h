// SPDX-License-Identifier: Apache-2.0
// Tests with a folder of their own, which goes with them.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "verifier/io/temporary_folder.h"

namespace countermark::tests {

class FolderTest : public testing::Test {
 private:
  io::TemporaryFolder owned_ = io::TemporaryFolder::create().value();

 protected:
  std::string path(std::string_view name) const { return (folder_ / name).string(); }

  // Not by our own code, and without a sync: for many damaged files. Returns the path.
  std::string write(std::string_view name, std::string_view bytes) const {
    std::ofstream(folder_ / name, std::ios::binary | std::ios::trunc) << bytes;
    return path(name);
  }

  const std::filesystem::path folder_ = owned_.path();
};

}  // namespace countermark::tests
