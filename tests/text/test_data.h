// SPDX-License-Identifier: Apache-2.0
// Where tests find their files.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "verifier/io/file.h"

namespace countermark::text {

// A file under tests/, which must be there.
inline std::string test_file(const std::string& name) {
  const auto bytes = io::read_file(std::string(COUNTERMARK_SOURCE_DIR) + "/tests/" + name);
  EXPECT_TRUE(bytes) << bytes.error().describe();
  return bytes ? *bytes : std::string();
}

// The path of real data that is not part of the repository; "" where it is absent, and then the
// test should skip.
inline std::string shared_data(const std::string& name) {
  const char* const given = std::getenv("COUNTERMARK_TEST_DATA");
  const std::string folder = given != nullptr
                                 ? std::string(given)
                                 : std::string(COUNTERMARK_SOURCE_DIR) + "/../shared/data";
  const std::string path = folder + "/" + name;
  return std::filesystem::exists(path) ? path : "";
}

}  // namespace countermark::text
