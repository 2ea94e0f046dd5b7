// SPDX-License-Identifier: Apache-2.0
// Where the embedded language model lies: tokenizer.json, profile.json, weights.safetensors.
#pragma once

#include <string>

namespace countermark::corpora {

// $COUNTERMARK_MODEL if set; else the folder that was installed with this program; else the source
// tree's.
std::string model_folder();

}  // namespace countermark::corpora
