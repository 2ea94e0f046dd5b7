// SPDX-License-Identifier: Apache-2.0
#include "watermark/kernels/dispatch.h"

#include <array>
#include <cstdlib>
#include <string>

namespace countermark {
namespace {

constexpr std::array kKernels = {
#if defined(__x86_64__)
    &countermark_kernel_vaes512,
    &countermark_kernel_avx512,
    &countermark_kernel_aesni,
#elif defined(__aarch64__)
    &countermark_kernel_armv8,
#endif
    &countermark_kernel_portable,
};

Result<const Kernel*> choose() {
  const char* forced = std::getenv("COUNTERMARK_KERNEL");
  if (forced != nullptr && *forced != '\0') return find_kernel(forced);
  for (const Kernel* kernel : kKernels)
    if (kernel->supported() != 0) return kernel;
  return &countermark_kernel_portable;
}

}  // namespace

std::span<const Kernel* const> all_kernels() noexcept { return kKernels; }

Result<const Kernel*> find_kernel(std::string_view name) {
  std::string available;
  for (const Kernel* kernel : kKernels) {
    if (kernel->supported() == 0) continue;
    if (kernel->name == name) return kernel;
    available += (available.empty() ? "" : ", ") + std::string(kernel->name);
  }
  return fail(ErrorCode::kUnsupported,
              "no kernel '" + std::string(name) + "' on this machine; available: " + available);
}

Result<const Kernel*> active_kernel() {
  static const Result<const Kernel*> kActive = choose();
  return kActive;
}

}  // namespace countermark
