// SPDX-License-Identifier: Apache-2.0
// The embedded model's tokenizer against the ids that the library which trained it gives
// (corpora/model/golden.json).
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "verifier/io/file.h"
#include "verifier/text/tokenizer.h"

namespace countermark::text {
namespace {

const std::string kModel = std::string(COUNTERMARK_SOURCE_DIR) + "/corpora/model/";

TEST(EmbeddedTokenizer, AgreesWithTheLibraryThatTrainedIt) {
  const auto tokenizer = load_tokenizer(kModel + "tokenizer.json");
  ASSERT_TRUE(tokenizer) << tokenizer.error().describe();
  const auto golden = nlohmann::json::parse(*io::read_file(kModel + "golden.json"));
  std::size_t compared = 0;
  for (const auto& item : golden.at("tokenizer")) {
    const auto text = item.at("text").get<std::string>();
    const auto ids = (*tokenizer)->encode(text);
    ASSERT_TRUE(ids) << text;
    EXPECT_EQ(*(*tokenizer)->decode(*ids), text);
    // The library takes the spelled-out special token for the token itself; here it is text.
    if (text.find("<|endoftext|>") != text.npos) continue;
    EXPECT_EQ(*ids, item.at("ids").get<std::vector<TokenId>>()) << text;
    ++compared;
  }
  EXPECT_GE(compared, 30U);
}

}  // namespace
}  // namespace countermark::text
