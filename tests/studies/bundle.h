// SPDX-License-Identifier: Apache-2.0
// The embedded model with its tokenizer, profile and prompts, as the studies use it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "corpora/answer.h"
#include "corpora/model_folder.h"
#include "tests/studies/common.h"
#include "verifier/io/load.h"

namespace countermark::studies {

struct Bundle {
  Profile profile;
  std::unique_ptr<const text::Tokenizer> tokenizer;
  corpora::LanguageModel model;
  std::vector<std::vector<TokenId>> prompts;

  static Bundle load() {
    const std::string folder = corpora::model_folder();
    Profile profile = need(io::load_profile(folder + "/profile.json"));
    auto tokenizer = need(io::load_tokenizer_of(profile.tokenizer(), folder + "/profile.json", ""));
    auto model = need(corpora::LanguageModel::load(folder + "/weights.safetensors"));
    std::vector<std::vector<TokenId>> prompts;
    const auto lines = need(io::load_lines(folder + "/../prompts.txt"));
    for (const std::string& line : lines) prompts.push_back(need(tokenizer->encode(line)));
    return {std::move(profile), std::move(tokenizer), std::move(model), std::move(prompts)};
  }

  // The request of answer `index` of a study: its own prompt, account, nonce and plain key.
  corpora::AnswerRequest request(const std::string& study, std::uint64_t index) const {
    corpora::AnswerRequest request;
    request.prompt = prompts[index % prompts.size()];
    request.identity = {"cohort-" + std::to_string(index % 7), "account-" + std::to_string(index)};
    request.nonce = to_hex(study_bytes(study, "nonce", index));
    request.plain_key = study_plain_key(study, index);
    request.sampling.top_p = 0.95;
    return request;
  }
};

}  // namespace countermark::studies
