// SPDX-License-Identifier: Apache-2.0
// Which kernel scans text: the best that the machine has, or no better than the one that
// COUNTERMARK_KERNEL names.
#pragma once

#include <span>

#include "verifier/text/kernels/kernel.h"
#include "watermark/error.h"

namespace countermark::text {

using TextKernel = CountermarkTextKernel;

// All kernels of this build, best first; the portable one is last and always there.
std::span<const TextKernel* const> all_text_kernels() noexcept;

// The kernel of this process. COUNTERMARK_KERNEL names one of the watermark's kernels, whose errors
// are ours; the text's goes with it. Decided once. Thread-safe.
Result<const TextKernel*> active_text_kernel();

}  // namespace countermark::text
