// SPDX-License-Identifier: Apache-2.0
// A text with the scores of its tokens as one HTML page: colour by p, spans underlined.
//
// The page stands alone: no script, nothing loaded, and a policy that forbids both. The text is
// hostile: it is escaped, and what could turn its direction is spelled out. Pointing at a token
// shows its score; a table below holds the same for keyboards and screen readers. The same map
// gives the same bytes. Thread-safe; no errors.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace countermark::render {

struct HeatToken {
  std::string text{};  // whole characters; empty when it only ends a character of the one before
  struct Score {
    double value = 0;  // in the law's own unit
    double p = 1;      // the chance of at least this score without the mark
  };
  std::optional<Score> score{};
  bool prompt = false;  // material that the author was shown
};

// Tokens [begin, end).
struct HeatSpan {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::string note{};
};

struct HeatMap {
  std::string title{};
  std::vector<std::pair<std::string, std::string>> facts{};  // name and value, above the text
  std::vector<std::string> notes{};                          // warnings, below them
  std::vector<HeatToken> tokens{};
  std::vector<HeatSpan> spans{};  // by position; they do not overlap
};

std::string to_html(const HeatMap& map);

}  // namespace countermark::render
