// SPDX-License-Identifier: Apache-2.0
#include "watermark/service.h"

#include <chrono>
#include <utility>

#include "watermark/version.h"

namespace countermark {
namespace {

constexpr std::int64_t kSecondsBetweenReports = 60;

std::int64_t seconds_now() noexcept {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

Secret<16> random_plain_key() {
  std::array<std::uint8_t, 16> bytes;
  random_bytes(bytes.data(), bytes.size());
  return Secret<16>(std::move(bytes));  // NOLINT(performance-move-const-arg): they are wiped
}

// A label's value in Prometheus' text format.
std::string label_value(std::string_view value) {
  std::string out = "\"";
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? "\\n" : std::string(1, c);
  }
  return out + '"';
}

}  // namespace

const char* failure_policy_name(FailurePolicy policy) noexcept {
  return policy == FailurePolicy::kRefuse ? "refuse" : "serve-unmarked";
}

Result<std::unique_ptr<Service>> Service::create(const EpochKey& key, const Profile& profile,
                                                 ServiceOptions options) {
  COUNTERMARK_TRY(const NativeMark mark, NativeMark::create(key, profile));
  if (mark.kernel().constant_time == 0 && !options.may_leak_timing)
    return fail(ErrorCode::kUnsupported,
                "the kernel '" + std::string(mark.kernel().name) +
                    "' may leak the key through timing; marking with it has to be allowed");
  COUNTERMARK_TRY(const NativeMark without_key, NativeMark::without_key(profile));
  return std::unique_ptr<Service>(
      new Service(mark, without_key, key.model_id(), std::move(options)));
}

Service::Service(const NativeMark& mark, const NativeMark& without_key, std::string model_id,
                 ServiceOptions options)
    : profile_(mark.profile()),
      model_id_(std::move(model_id)),
      options_(std::move(options)),
      without_key_(std::make_shared<const NativeMark>(without_key)),
      mark_(std::make_shared<const NativeMark>(mark)) {}

std::shared_ptr<const NativeMark> Service::mark() const noexcept {
  return std::atomic_load(&mark_);
}

void Service::replace(std::shared_ptr<const NativeMark> mark) noexcept {
  std::atomic_store(&mark_, std::move(mark));
  key_changes_.fetch_add(1, std::memory_order_relaxed);
}

std::string Service::describe() const {
  const auto mark = this->mark();
  return "countermark " + std::string(kVersion) + " scheme=" + std::string(NativeMark::kId) +
         " profile=" + profile_.digest() + " model=" + model_id_ +
         " epoch=" + (mark ? mark->epoch_id() : "-") + " key=" + (mark ? mark->key_id() : "-") +
         " kernel=" + without_key_->kernel().name +
         " policy=" + failure_policy_name(options_.policy) +
         " marking=" + (is_marking() ? "on" : "off");
}

Result<Response> Service::respond(const ResponseOptions& options) {
  auto mark = this->mark();
  const bool has_key = mark != nullptr;
  if (!has_key) {
    const bool refuses = options_.policy == FailurePolicy::kRefuse && options.marked;
    report(Matter::kNoKey,
           refuses ? "no key: responses are refused" : "no key: responses are served unmarked");
    if (refuses) {
      refused_.fetch_add(1, std::memory_order_relaxed);
      return fail(ErrorCode::kKey, "there is no key, and responses must be marked");
    }
    mark = without_key_;
  }
  std::array<char, 16> random_nonce;
  std::string_view nonce = options.nonce;
  if (nonce.empty()) {
    random_bytes(random_nonce.data(), random_nonce.size());
    nonce = {random_nonce.data(), random_nonce.size()};
  }
  Response response(std::move(mark), options.identity, nonce,
                    options.plain_key ? *options.plain_key : random_plain_key(), options.max_tokens,
                    options.max_contexts.value_or(options.max_tokens + 1));
  response.obey(is_on_);
  if (!has_key) response.never_mark(DrawKind::kFailed);
  if (!options.marked) response.never_mark(DrawKind::kOff);
  responses_.fetch_add(1, std::memory_order_relaxed);
  return response;
}

void Service::sample(std::span<const BatchRow> rows, BatchWorkspace& workspace,
                     std::span<Result<Draw>> out) {
  sample_batch(rows, workspace, out);
  std::array<std::uint64_t, kDrawKinds> draws{};
  std::uint64_t errors = 0;
  for (const Result<Draw>& draw : out) {
    if (draw) {
      ++draws[static_cast<std::size_t>(draw->kind)];
    } else {
      ++errors;
    }
  }
  add_draws(draws, errors);
  if (errors == 0) return;
  for (const Result<Draw>& draw : out)
    if (!draw) return report(Matter::kNoDraw, "a row without a draw: " + draw.error().describe());
}

void Service::add_draws(const std::array<std::uint64_t, kDrawKinds>& draws,
                        std::uint64_t errors) noexcept {
  for (std::size_t kind = 0; kind < kDrawKinds; ++kind)
    if (draws[kind] != 0) draws_[kind].fetch_add(draws[kind], std::memory_order_relaxed);
  if (errors != 0) errors_.fetch_add(errors, std::memory_order_relaxed);
}

Status Service::set_key(const EpochKey& key) {
  if (key.model_id() != model_id_)
    return fail(ErrorCode::kMismatch, "the key is of the model '" + key.model_id() +
                                          "', the service of '" + model_id_ + "'");
  COUNTERMARK_TRY(const NativeMark mark,
                  NativeMark::create(key, profile_, &without_key_->kernel()));
  replace(std::make_shared<const NativeMark>(mark));
  return {};
}

void Service::revoke_key() { replace(nullptr); }

std::string Service::key_id() const {
  const auto mark = this->mark();
  return mark ? mark->key_id() : std::string();
}

void Service::report(Matter matter, std::string_view line) {
  if (!options_.log) return;
  auto& next_report = next_reports_[static_cast<std::size_t>(matter)];
  const std::int64_t now = seconds_now();
  std::int64_t next = next_report.load(std::memory_order_relaxed);
  if (next != 0 && now < next) return;
  // Of threads that come at the same time one reports.
  if (next_report.compare_exchange_strong(next, now + kSecondsBetweenReports,
                                          std::memory_order_relaxed))
    options_.log(line);
}

Counters Service::counters() const noexcept {
  Counters out;
  for (std::size_t kind = 0; kind < kDrawKinds; ++kind)
    out.draws[kind] = draws_[kind].load(std::memory_order_relaxed);
  out.errors = errors_.load(std::memory_order_relaxed);
  out.responses = responses_.load(std::memory_order_relaxed);
  out.refused = refused_.load(std::memory_order_relaxed);
  out.key_changes = key_changes_.load(std::memory_order_relaxed);
  return out;
}

std::string Service::metrics() const {
  const Counters counted = counters();
  const auto mark = this->mark();
  std::string out;
  const auto header = [&](const char* name, const char* type, const char* help) {
    out += std::string("# HELP countermark_") + name + " " + help + "\n# TYPE countermark_" + name +
           " " + type + "\n";
  };
  const auto single = [&](const char* name, const char* type, const char* help,
                          std::uint64_t value) {
    header(name, type, help);
    out += std::string("countermark_") + name + " " + std::to_string(value) + "\n";
  };
  header("draws_total", "counter",
         "Rows drawn, by why they were drawn the way they were; drafts and re-draws too.");
  for (std::size_t kind = 0; kind < kDrawKinds; ++kind)
    out += std::string("countermark_draws_total{kind=\"") +
           draw_kind_name(static_cast<DrawKind>(kind)) + "\"} " +
           std::to_string(counted.draws[kind]) + "\n";
  single("errors_total", "counter", "Rows of logits that gave no draw.", counted.errors);
  single("responses_total", "counter", "Responses begun, marked or not.", counted.responses);
  single("refused_total", "counter", "Responses refused for want of a key.", counted.refused);
  single("key_changes_total", "counter", "Keys put in place or revoked since the start.",
         counted.key_changes);
  single("marking", "gauge", "1 while marking is switched on.", is_marking() ? 1 : 0);
  single("key_loaded", "gauge", "1 while there is a key.", mark ? 1 : 0);
  header("info", "gauge", "What is running.");
  out += "countermark_info{version=" + label_value(kVersion) +
         ",scheme=" + label_value(NativeMark::kId) + ",profile=" + label_value(profile_.digest()) +
         ",model=" + label_value(model_id_) +
         ",epoch=" + label_value(mark ? mark->epoch_id() : "") +
         ",key=" + label_value(mark ? mark->key_id() : "") +
         ",kernel=" + label_value(without_key_->kernel().name) +
         ",policy=" + label_value(failure_policy_name(options_.policy)) + "} 1\n";
  return out;
}

}  // namespace countermark
