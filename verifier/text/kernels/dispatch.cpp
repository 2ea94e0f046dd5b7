// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/kernels/dispatch.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include "watermark/kernels/dispatch.h"

namespace countermark::text {
namespace {

constexpr std::array kKernels = {
#if defined(__x86_64__)
    &countermark_text_kernel_avx512,
    &countermark_text_kernel_avx2,
#endif
    &countermark_text_kernel_portable,
};

// The best kernel that may go with the watermark's of that name.
std::string_view widest_beside(std::string_view name) {
  if (name == "vaes512" || name == "avx512") return "avx512";
  return name == "aesni" ? "avx2" : "portable";
}

Result<const TextKernel*> choose() {
  const char* forced = std::getenv("COUNTERMARK_KERNEL");
  std::string_view widest = kKernels.front()->name;
  if (forced != nullptr && *forced != '\0') {
    COUNTERMARK_TRY(const Kernel* kernel, active_kernel());
    widest = widest_beside(kernel->name);
  }
  const auto first = std::find_if(kKernels.begin(), kKernels.end(),
                                  [&](const auto* kernel) { return kernel->name == widest; });
  return *std::find_if(first, kKernels.end(),
                       [](const auto* kernel) { return kernel->supported() != 0; });
}

}  // namespace

std::span<const TextKernel* const> all_text_kernels() noexcept { return kKernels; }

Result<const TextKernel*> active_text_kernel() {
  static const Result<const TextKernel*> kActive = choose();
  return kActive;
}

}  // namespace countermark::text
