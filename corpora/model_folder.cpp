// SPDX-License-Identifier: Apache-2.0
#include "corpora/model_folder.h"

#include <cstdlib>
#include <filesystem>

namespace countermark::corpora {

std::string model_folder() {
  const char* chosen = std::getenv("COUNTERMARK_MODEL");
  if (chosen != nullptr && *chosen != '\0') return chosen;
  std::error_code ignored;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  const auto installed =
      (program.parent_path() / COUNTERMARK_MODEL_FROM_PROGRAM).lexically_normal();
  if (std::filesystem::exists(installed / "weights.safetensors", ignored)) return installed;
  return COUNTERMARK_SOURCE_MODEL;
}

}  // namespace countermark::corpora
