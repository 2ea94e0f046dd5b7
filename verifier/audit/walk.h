// SPDX-License-Identifier: Apache-2.0
// Tuples in an order that was fixed without the key, one after the other.
//
// What a suspect reads or is compared with may itself be marked. Which tuples there are then
// depends on the key, and their sum has no law. What holds is this: in the order of the text each
// context that stands nowhere before asks the PRF for the first time, so that its score is drawn
// afresh, whatever came before and whatever the suspect makes of it. Null law, where the suspect is
// independent of the key: the first N scores, N fixed beforehand, are N independent scores; and a
// product of bets on them is a supermartingale, which may be looked at, and stopped, at any time
// (J. Ville, Etude critique de la notion de collectif, 1939: P(it ever reaches 1/alpha) <= alpha).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "verifier/detect/token_text.h"
#include "verifier/scan/test.h"
#include "verifier/stats/e_value.h"

namespace countermark::audit {

// A text that was read, answered or served.
struct Exhibit {
  detect::TokenText text{};
  // The slots that it was marked in, by layer of the profile. Empty: not known; then each slot's
  // score counts, as a tuple of its own.
  std::vector<std::uint32_t> slots{};

  bool operator==(const Exhibit&) const = default;
};

enum class Order : std::uint8_t {
  // That of the texts, each context once in all of them: of marked text that a suspect reads, in
  // the order in which it was served. What it was shown is scored from then on nowhere.
  kAsRead,
  // That of the texts, each tuple once: of what a suspect answers, and before it has answered all.
  // What it was shown is scored from then on nowhere.
  kAsAnswered,
  // That of the contexts in a log of marked text, and of them alone: of what a suspect answers to
  // prompts that do not depend on the key. What it was shown in any text is scored in none.
  kAsLogged,
};

struct Material {
  Order order = Order::kAsRead;
  std::vector<Exhibit> texts{};  // the suspect's
  std::vector<Exhibit> log{};    // of kAsLogged
};

// A sum in the making, and the bet on it.
struct RunningSum {
  detect::Tally tally{};
  stats::EValue e_value{};  // of the tally
  stats::EValue most{};     // that it ever was

  void look(const NullModel& model);
};

// Whether there is a bet on sums of this law.
bool has_bet(const NullModel& model) noexcept;

struct Walk {
  RunningSum all{};                    // of all streams of the test
  std::vector<RunningSum> streams{};   // of each by itself, in the test's order
  std::uint64_t tokens = 0;            // of the texts, prompts included
  detect::Dropped dropped{};           // within single texts
  std::uint64_t repeated = 0;          // stood in an earlier text
  std::uint64_t not_logged = 0;        // no context of the log
  std::uint64_t behind_the_first = 0;  // more than `planned`

  // Those that were looked at, without those of prompts.
  std::uint64_t contexts = 0;
  // The sum of all streams whenever somebody could have looked: what is drawn.
  std::vector<RunningSum> path{};
};

// `planned`: the first so many scores count; nothing: all. kUnsupported where a test does not tell
// contexts apart, kMismatch for slots that the profile does not have. Holds 24 bytes a context of
// the log, and of each text 8 bytes a token. `done` is called with each text's tokens.
Result<Walk> walk(const scan::Test& test, const Material& material,
                  std::optional<std::uint64_t> planned,
                  const std::function<void(std::uint64_t)>& done = {});

}  // namespace countermark::audit
