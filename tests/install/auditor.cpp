// SPDX-License-Identifier: Apache-2.0
// Runs the installed verifier's known answers, and reads a tokenizer of each family, which needs
// all of its dependencies.
#include "verifier/selftest.h"

#include <cstdio>

#include "verifier/text/tokenizer.h"

int main(int count, char** arguments) {
  for (int i = 1; i < count; ++i) {
    const auto tokenizer = countermark::text::load_tokenizer(arguments[i]);
    if (!tokenizer || !(*tokenizer)->encode("text")) return 1;
  }
  const auto checks = countermark::self_test();
  if (!checks || checks->empty()) return 1;
  for (const auto& check : *checks) {
    std::printf("%s\n", check.name.c_str());
    if (!check.passed) return 1;
  }
  return 0;
}
