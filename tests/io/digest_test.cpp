// SPDX-License-Identifier: Apache-2.0
#include "verifier/io/digest.h"

#include <gtest/gtest.h>

#include "tests/support/folder_test.h"
#include "watermark/prf/hash.h"

namespace countermark::io {
namespace {

using Digests = tests::FolderTest;

TEST_F(Digests, OfFilesOfAnyLength) {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{3}, std::size_t{65'536}, std::size_t{200'001}}) {
    const std::string bytes(size, 'a');
    EXPECT_EQ(*sha256_of_file(write("f", bytes)), to_hex(sha256(bytes))) << size;
  }
  EXPECT_EQ(sha256_of_file(path("none")).error().code, ErrorCode::kIo);
  EXPECT_FALSE(sha256_of_file(folder_.string()));
}

}  // namespace
}  // namespace countermark::io
