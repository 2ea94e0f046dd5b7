// SPDX-License-Identifier: Apache-2.0
// Known answers from tests/vectors, which an independent reference wrote, and their hexadecimal.
#pragma once

#include <array>
#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "watermark/marks/native.h"

namespace countermark::tests {

// The vector file of one topic of the native mark. Throws when it cannot be read.
inline nlohmann::json load_vectors(const std::string& topic) {
  std::ifstream file(std::string(COUNTERMARK_SOURCE_DIR) + "/tests/vectors/countermark-1-" + topic +
                     ".json");
  if (!file) throw std::runtime_error("no vector file of topic " + topic);
  return nlohmann::json::parse(file);
}

// The file of known answers about other systems' marks: "marks" or "published".
inline nlohmann::json load_foreign_vectors(const std::string& topic) {
  std::ifstream file(std::string(COUNTERMARK_SOURCE_DIR) + "/tests/vectors/foreign-" + topic +
                     ".json");
  if (!file) throw std::runtime_error("no vector file of topic " + topic);
  return nlohmann::json::parse(file);
}

// The bytes of lower-case hexadecimal. Throws on anything else.
inline std::string unhex(const std::string& hex) {
  const auto digit = [](char c) {
    const std::size_t value = std::string_view("0123456789abcdef").find(c);
    if (value == std::string_view::npos) throw std::invalid_argument("not a hex digit");
    return static_cast<unsigned>(value);
  };
  if (hex.size() % 2 != 0) throw std::invalid_argument("half a byte of hex");
  std::string out;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    out += static_cast<char>(digit(hex[i]) << 4 | digit(hex[i + 1]));
  return out;
}

template <std::size_t kSize>
std::array<std::uint8_t, kSize> unhex_array(const std::string& hex) {
  const std::string bytes = unhex(hex);
  if (bytes.size() != kSize) throw std::invalid_argument("hex of another length");
  std::array<std::uint8_t, kSize> out{};
  for (std::size_t i = 0; i < kSize; ++i) out[i] = static_cast<std::uint8_t>(bytes[i]);
  return out;
}

// A layer table as the vector files write it. "layer-0", … are layers whose kind does not matter:
// they become shared ones.
inline Profile profile_of(const nlohmann::json& table) {
  std::vector<Layer> layers;
  for (const auto& row : table) {
    const std::string name = row.at("name");
    const LayerKind kind = name == "cohort"    ? LayerKind::kCohort
                           : name == "account" ? LayerKind::kAccount
                                               : LayerKind::kShared;
    layers.push_back({kind, row.at("width"), row.at("share"), row.at("slots")});
  }
  return Profile::create(layers, std::nullopt).value();
}

// The kernels that this machine can run.
inline std::vector<const Kernel*> supported_kernels() {
  std::vector<const Kernel*> out;
  for (const Kernel* kernel : all_kernels())
    if (kernel->supported() != 0) out.push_back(kernel);
  return out;
}

// The epoch key that the head of a vector file names.
inline EpochKey key_of(const nlohmann::json& head) {
  return MasterKey(Secret<32>(unhex_array<32>(head.at("master"))))
      .epoch(head.at("model").get<std::string>(), head.at("epoch").get<std::string>())
      .value();
}

}  // namespace countermark::tests
