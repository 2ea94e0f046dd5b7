// SPDX-License-Identifier: Apache-2.0
// Which kernel runs: the best that the machine has, unless COUNTERMARK_KERNEL names another.
#pragma once

#include <span>
#include <string_view>

#include "watermark/error.h"
#include "watermark/kernels/kernel.h"

namespace countermark {

using Kernel = CountermarkKernel;

// All kernels of this build, best first; the portable one is last and always there.
std::span<const Kernel* const> all_kernels() noexcept;

// The kernel of that name. kUnsupported, with the names that would do, when this build or this
// machine does not have it.
Result<const Kernel*> find_kernel(std::string_view name);

// Whether a supported kernel gives the portable one's answers to an exercise of a millisecond that
// goes through every primitive of the marks and of the draw.
bool agrees_with_portable(const Kernel& kernel);

// The kernel of this process: COUNTERMARK_KERNEL if set (one that is unavailable, or that disagrees
// with the portable one, is an error, never a silent fallback), else the best that is supported and
// agrees. Decided once. Thread-safe.
Result<const Kernel*> active_kernel();

// `kernel`, or this process's where it is null. Where that is an error, which whoever makes a mark
// or a detector is told of, the portable one.
const Kernel& kernel_or_active(const Kernel* kernel);

}  // namespace countermark
