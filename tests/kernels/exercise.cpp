// SPDX-License-Identifier: Apache-2.0
// Prints what the kernels that this machine supports answer to the exercise, all of which must be
// the same: `exercise` compares them with each other and prints one list. Cross-built for ARMv8
// and run under emulation, its list is compared with that of the machine at hand.
#include <cstdio>

#include "tests/support/kernel_exercise.h"

int main() {
  const CountermarkKernel* const kernels[] = {
#if !defined(COUNTERMARK_WITHOUT_CRYPTOPP)
    &countermark_kernel_portable,
#endif
#if defined(__x86_64__)
    &countermark_kernel_aesni,
    &countermark_kernel_avx512,
    &countermark_kernel_vaes512,
#elif defined(__aarch64__)
    &countermark_kernel_armv8,
#endif
  };
  std::vector<std::string> first;
  for (const CountermarkKernel* kernel : kernels) {
    if (kernel->supported() == 0) {
      std::fprintf(stderr, "%s: not supported by this machine\n", kernel->name);
      continue;
    }
    const std::vector<std::string> lines = countermark::tests::KernelExercise(*kernel).lines();
    if (first.empty()) first = lines;
    std::fprintf(stderr, "%s: %zu answers\n", kernel->name, lines.size());
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (lines[i] == first[i]) continue;
      std::fprintf(stderr, "%s differs: %s, expected %s\n", kernel->name, lines[i].c_str(),
                   first[i].c_str());
      return 1;
    }
  }
  for (const std::string& line : first) std::puts(line.c_str());
  return first.empty() ? 1 : 0;
}
