// SPDX-License-Identifier: Apache-2.0
#include "corpora/model_folder.h"

#include <cstdlib>
#include <filesystem>

namespace countermark::corpora {

std::string model_folder() {
  const char* chosen = std::getenv("COUNTERMARK_MODEL");
  if (chosen != nullptr && *chosen != '\0') return chosen;
  std::error_code ignored;
  std::string installed = COUNTERMARK_INSTALLED_MODEL;
  if (std::filesystem::exists(installed + "/weights.safetensors", ignored)) return installed;
  return COUNTERMARK_SOURCE_MODEL;
}

}  // namespace countermark::corpora
