// SPDX-License-Identifier: Apache-2.0
// The mark as an inference server runs it: with which key, whether at all, what happens when it
// cannot be, and how often what happened.
//
// A wrong key or profile stops the start. After that nothing here stops the server: keys change
// and marking is switched between steps, while responses that have begun keep their key.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "watermark/batch.h"
#include "watermark/error.h"
#include "watermark/key.h"

namespace countermark {

// What a response gets when there is no key.
enum class FailurePolicy : std::uint8_t {
  kServeUnmarked,  // it is drawn unmarked, counted, and reported at most once a minute
  kRefuse,         // it is refused
};

const char* failure_policy_name(FailurePolicy policy) noexcept;

struct ServiceOptions {
  FailurePolicy policy = FailurePolicy::kServeUnmarked;
  // Whether the service may run on a kernel whose memory accesses depend on the key, for want of a
  // better one. A neighbour on the same machine can observe them.
  bool may_leak_timing = false;
  // Gets the lines that are worth a log, without a line feed, on the thread that has caused them.
  // Of each matter at most one a minute. It must not throw.
  std::function<void(std::string_view)> log{};
};

// How often what happened since the service was made.
struct Counters {
  std::array<std::uint64_t, kDrawKinds> draws{};  // by DrawKind; drafts and re-draws too
  std::uint64_t errors = 0;                       // rows without a draw
  std::uint64_t responses = 0;                    // begun, marked or not
  std::uint64_t refused = 0;                      // by the policy
  std::uint64_t key_changes = 0;

  bool operator==(const Counters&) const = default;
};

struct ResponseOptions {
  Identity identity{};
  // Made by the server, new for every response, every alternative, every retry. Empty: 16 random
  // bytes are taken.
  std::string_view nonce{};
  // From the engine's own generator: keys the unmarked draws. None: a random one.
  std::optional<Secret<16>> plain_key{};
  std::size_t max_tokens = 0;
  // Of the history; none: one for every token.
  std::optional<std::size_t> max_contexts{};
  bool marked = true;  // false: every draw is kOff
};

// All functions may be called from many threads at once.
class Service {
 public:
  // kKey, kInvalidInput and so on where key and profile come from; kUnsupported for a kernel that
  // leaks timing, unless that is allowed.
  static Result<std::unique_ptr<Service>> create(const EpochKey& key, const Profile& profile,
                                                 ServiceOptions options = {});

  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;
  Service(Service&&) = delete;
  Service& operator=(Service&&) = delete;
  ~Service() = default;

  // One line for the log of a start: version, scheme, profile, model, epoch, key id, kernel, policy
  // and whether marking is on.
  std::string describe() const;

  // Begins a response, with the key of now; it keeps that key. It must not outlive the service.
  // kKey when there is none and the policy is to refuse. Allocates, and takes a lock for as long as
  // it takes to copy a pointer; drawing does neither.
  Result<Response> respond(const ResponseOptions& options);

  // sample_batch, counted. Rows are independent of each other and of other calls, each of which
  // has its own workspace.
  void sample(std::span<const BatchRow> rows, BatchWorkspace& workspace,
              std::span<Result<Draw>> out);

  // Counts draws, by DrawKind, and rows without one, that were made elsewhere, as on a GPU.
  void add_draws(const std::array<std::uint64_t, kDrawKinds>& draws, std::uint64_t errors) noexcept;

  // For responses that begin from now on. kMismatch for the key of another model.
  Status set_key(const EpochKey& key);
  // As if there were no key, until set_key. Responses that have begun go on.
  void revoke_key();

  // From the next draw on, of every response: marking can be switched off and on again.
  void set_marking(bool is_on) noexcept { is_on_.store(is_on, std::memory_order_relaxed); }
  bool is_marking() const noexcept { return is_on_.load(std::memory_order_relaxed); }

  const Profile& profile() const noexcept { return profile_; }
  // The key id of responses that begin now; empty without a key.
  std::string key_id() const;

  // Of one moment each, not all of the same.
  Counters counters() const noexcept;
  // The same in Prometheus' text format, with whether marking is on and what is running.
  std::string metrics() const;

 private:
  Service(const NativeMark& mark, const NativeMark& without_key, std::string model_id,
          ServiceOptions options);

  std::shared_ptr<const NativeMark> mark() const noexcept;
  void replace(std::shared_ptr<const NativeMark> mark) noexcept;
  // What is reported, each at most once a minute.
  enum class Matter : std::uint8_t { kNoKey, kNoDraw };
  void report(Matter matter, std::string_view line);

  Profile profile_;
  std::string model_id_;
  ServiceOptions options_;
  // Under a key that nobody has: for responses that begin without one.
  std::shared_ptr<const NativeMark> without_key_;
  std::shared_ptr<const NativeMark> mark_;  // null: no key; reached by mark() and replace() alone
  std::atomic<bool> is_on_{true};
  std::array<std::atomic<std::uint64_t>, kDrawKinds> draws_{};
  std::atomic<std::uint64_t> errors_{0};
  std::atomic<std::uint64_t> responses_{0};
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<std::uint64_t> key_changes_{0};
  std::array<std::atomic<std::int64_t>, 2> next_reports_{};  // by Matter; a steady clock's seconds
};

}  // namespace countermark
