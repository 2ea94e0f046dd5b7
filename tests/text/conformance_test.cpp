// SPDX-License-Identifier: Apache-2.0
// llama.cpp's own cases for tokenizers, where they are at hand: NAME.inp has texts, NAME.out the
// ids that the model's own tokenizer gave.
#include <gtest/gtest.h>

#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/text/test_data.h"
#include "verifier/text/tokenizer.h"

namespace countermark::text {
namespace {

struct Case {
  const char* test;
  const char* file;     // under tokenizers/
  const char* vectors;  // under tokenizers/gguf/
  const char* name = "";

  friend void PrintTo(const Case& value, std::ostream* out) { *out << value.test; }
};

class Conformance : public testing::TestWithParam<Case> {};

TEST_P(Conformance, EveryCaseIsExact) {
  const Case& c = GetParam();
  const std::string folder = "tokenizers/gguf/" + std::string(c.vectors);
  const std::string path = shared_data("tokenizers/" + std::string(c.file));
  const std::string inputs = shared_data(folder + ".inp");
  const std::string outputs = shared_data(folder + ".out");
  if (path.empty() || inputs.empty() || outputs.empty()) GTEST_SKIP() << "no " << c.file << " here";
  const auto tokenizer = load_tokenizer(path, c.name);
  ASSERT_TRUE(tokenizer) << tokenizer.error().describe();
  const std::string texts = *io::read_file(inputs);
  std::istringstream expected(*io::read_file(outputs));
  const std::string mark = "\n__ggml_vocab_test__\n";
  std::size_t cases = 0;
  for (std::size_t at = 0; at < texts.size();) {
    const std::size_t end = texts.find(mark, at);
    if (end == std::string::npos) break;
    const std::string text = texts.substr(at, end - at);
    std::string line;
    ASSERT_TRUE(std::getline(expected, line));
    std::istringstream numbers(line);
    std::vector<TokenId> ids;
    for (TokenId id = 0; numbers >> id;) ids.push_back(id);
    const auto given = (*tokenizer)->encode(text);
    ASSERT_TRUE(given) << given.error().describe();
    EXPECT_EQ(*given, ids) << "'" << text << "'";
    if (std::string(c.vectors) != "bert-bge") {
      EXPECT_EQ(*(*tokenizer)->decode(*given), text);
    }
    ++cases;
    at = end + mark.size();
  }
  EXPECT_GE(cases, 40U);
  EXPECT_LE(texts.size() - texts.rfind(mark), mark.size());
}

INSTANTIATE_TEST_SUITE_P(
    LlamaCpp, Conformance,
    testing::Values(Case{"BertBge", "gguf/bert-bge.gguf", "bert-bge"},
                    Case{"DeepSeekCoder", "gguf/deepseek-coder.gguf", "deepseek-coder"},
                    Case{"DeepSeekLlm", "gguf/deepseek-llm.gguf", "deepseek-llm"},
                    Case{"Falcon", "gguf/falcon.gguf", "falcon"},
                    Case{"Gpt2", "gguf/gpt-2.gguf", "gpt-2"},
                    Case{"LlamaSpm", "gguf/llama-spm.gguf", "llama-spm"},
                    Case{"Phi3", "gguf/phi-3.gguf", "phi-3"},
                    Case{"StarCoder", "gguf/starcoder.gguf", "starcoder"},
                    Case{"LlamaBpe", "llama3.tiktoken.model", "llama-bpe", "llama3"},
                    Case{"LlamaSentencePiece", "llama2.tokenizer.model", "llama-spm"}),
    [](const auto& c) { return std::string(c.param.test); });

}  // namespace
}  // namespace countermark::text
