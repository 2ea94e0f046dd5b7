// SPDX-License-Identifier: Apache-2.0
// The C interface: handles, structs that grow, and no exception beyond this file. What it means is
// in countermark.h, what it does in service.h.
#include <algorithm>
#include <cstring>
#include <new>
#include <utility>
#include <variant>
#include <vector>

#include "watermark/c_api/countermark.h"
#include "watermark/engines/llama_cpp.h"
#include "watermark/service.h"
#include "watermark/version.h"

struct cm_service {
  std::unique_ptr<countermark::Service> service;
};

struct cm_response {
  countermark::Response response;
  const cm_service* service;
};

struct cm_workspace {
  countermark::BatchWorkspace batch;
  std::vector<countermark::BatchRow> rows;
  std::vector<countermark::Result<countermark::Draw>> draws;
};

namespace {

using namespace countermark;

static_assert(CM_MARKED == static_cast<int>(DrawKind::kMarked));
static_assert(CM_SHORT_CONTEXT == static_cast<int>(DrawKind::kShortContext));
static_assert(CM_REPEATED == static_cast<int>(DrawKind::kRepeated));
static_assert(CM_HISTORY_FULL == static_cast<int>(DrawKind::kHistoryFull));
static_assert(CM_NO_IDENTITY == static_cast<int>(DrawKind::kNoIdentity));
static_assert(CM_REDRAW == static_cast<int>(DrawKind::kRedraw));
static_assert(CM_ONE_CANDIDATE == static_cast<int>(DrawKind::kOneCandidate));
static_assert(CM_GREEDY == static_cast<int>(DrawKind::kGreedy));
static_assert(CM_OFF == static_cast<int>(DrawKind::kOff));
static_assert(CM_FAILED == static_cast<int>(DrawKind::kFailed));
static_assert(CM_KINDS == kDrawKinds);
static_assert(CM_INVALID_ARGUMENT == static_cast<int>(ErrorCode::kInvalidArgument));
static_assert(CM_INVALID_INPUT == static_cast<int>(ErrorCode::kInvalidInput));
static_assert(CM_MISMATCH == static_cast<int>(ErrorCode::kMismatch));
static_assert(CM_UNSUPPORTED == static_cast<int>(ErrorCode::kUnsupported));
static_assert(CM_KEY == static_cast<int>(ErrorCode::kKey));
static_assert(CM_NO_CANDIDATE == static_cast<int>(ErrorCode::kNoCandidate));
static_assert(CM_INTERNAL == static_cast<int>(ErrorCode::kInternal));

int32_t say(cm_error* error, int32_t status, const char* message) noexcept {
  if (error == nullptr) return status;
  // As much of the message as the caller's struct has room for.
  constexpr std::size_t kMessage = offsetof(cm_error, message);
  if (error->struct_size <= kMessage) return status;
  error->status = status;
  const std::size_t room =
      std::min<std::size_t>(error->struct_size - kMessage, sizeof error->message) - 1;
  const std::size_t size = std::min(room, std::strlen(message));
  std::memcpy(error->message, message, size);
  error->message[size] = '\0';
  return status;
}

int32_t say(cm_error* error, const Error& what) {
  return say(error, static_cast<int32_t>(what.code), what.describe().c_str());
}

// Runs a function that returns a status: nothing is thrown beyond this file.
template <typename Work>
int32_t guarded(cm_error* error, Work work) noexcept {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return say(error, CM_INTERNAL, "out of memory");
  } catch (const std::exception& what) {
    return say(error, CM_INTERNAL, what.what());
  } catch (...) {
    return say(error, CM_INTERNAL, "an exception of no known type");
  }
}

// The caller's struct as this version knows it: fields that it does not have are zero. False for
// one whose size cannot be.
template <typename T>
bool take(const T* from, T& out) noexcept {
  out = T{};
  if (from == nullptr || from->struct_size < 2 * sizeof(uint32_t) ||
      from->struct_size % alignof(T) != 0)
    return false;
  std::memcpy(&out, from, std::min<std::size_t>(from->struct_size, sizeof out));
  return true;
}

constexpr const char* kBadStruct = "expected a struct that begins with its size";

std::string_view text_or_empty(const char* text) noexcept { return text != nullptr ? text : ""; }

Result<EpochKey> epoch_key(const char* text, std::size_t size) {
  if (text == nullptr) return fail(ErrorCode::kKey, "expected the text of an epoch key");
  COUNTERMARK_TRY(AnyKey key, parse_key({text, size}));
  if (auto* epoch = std::get_if<EpochKey>(&key)) return std::move(*epoch);
  return fail(ErrorCode::kKey,
              "expected an epoch key; a master key stays offline (countermark key new --epoch)");
}

Result<ResponseOptions> response_options(const cm_response_options* options) {
  cm_response_options given;
  if (!take(options, given)) return fail(ErrorCode::kInvalidArgument, kBadStruct);
  // A history has 32-bit positions.
  constexpr uint64_t kMost = 1u << 30;
  if (given.max_tokens == 0 || given.max_tokens > kMost || given.max_contexts > kMost)
    return fail(ErrorCode::kInvalidArgument, "max_tokens: expected 1 to 2^30");
  ResponseOptions out;
  out.identity = {std::string(text_or_empty(given.cohort)),
                  std::string(text_or_empty(given.account))};
  if (given.nonce != nullptr)
    out.nonce = {reinterpret_cast<const char*>(given.nonce), given.nonce_size};
  if (given.plain_key != nullptr) {
    std::array<uint8_t, 16> bytes;
    std::memcpy(bytes.data(), given.plain_key, bytes.size());
    // NOLINTNEXTLINE(performance-move-const-arg): they are wiped
    out.plain_key = Secret<16>(std::move(bytes));
  }
  out.max_tokens = given.max_tokens;
  if (given.max_contexts != 0) out.max_contexts = given.max_contexts;
  out.marked = given.unmarked == 0;
  return out;
}

std::size_t give(const std::string& text, char* out, std::size_t size) noexcept {
  if (out != nullptr && size > 0) {
    const std::size_t copied = std::min(size - 1, text.size());
    std::memcpy(out, text.data(), copied);
    out[copied] = '\0';
  }
  return text.size();
}

template <typename Text>
std::size_t give_text(char* out, std::size_t size, Text text) noexcept {
  try {
    return give(text(), out, size);
  } catch (...) {
    if (out != nullptr && size > 0) out[0] = '\0';
    return 0;
  }
}

LogitsRow logits_of(const cm_row& row) {
  const TokenSpan ids = row.ids != nullptr ? TokenSpan(row.ids, row.size) : TokenSpan();
  if (row.type == CM_F16)
    return LogitsRow::f16({static_cast<const uint16_t*>(row.logits), row.size}, ids);
  if (row.type == CM_BF16)
    return LogitsRow::bf16({static_cast<const uint16_t*>(row.logits), row.size}, ids);
  return {std::span(static_cast<const float*>(row.logits), row.size), ids};
}

// What is wrong with a row, apart from what sample() finds.
const char* wrong_with(const cm_row& row, const cm_service* service) noexcept {
  if (row.response == nullptr) return "a row has a response";
  if (row.response->service != service) return "a row's response is of the service that draws it";
  if (row.logits == nullptr) return "a row has logits";
  if (row.type > CM_BF16) return "a row's type is CM_F32, CM_F16 or CM_BF16";
  return nullptr;
}

}  // namespace

extern "C" {

uint32_t cm_abi_version() { return CM_ABI_VERSION; }

const char* cm_version() {
  static_assert(kVersion.back() != '\0');
  return kVersion.data();  // of a string literal
}

const char* cm_kind_name(uint32_t kind) {
  return kind < kDrawKinds ? draw_kind_name(static_cast<DrawKind>(kind)) : "";
}

int32_t cm_service_create(const cm_service_options* options, cm_service** out, cm_error* error) {
  return guarded(error, [&] {
    if (out == nullptr) return say(error, CM_INVALID_ARGUMENT, "no place for the service");
    *out = nullptr;
    cm_service_options given;
    if (!take(options, given)) return say(error, CM_INVALID_ARGUMENT, kBadStruct);
    if (given.policy > CM_REFUSE)
      return say(error, CM_INVALID_ARGUMENT, "policy: expected CM_SERVE_UNMARKED or CM_REFUSE");
    auto key = epoch_key(given.key, given.key_size);
    if (!key) return say(error, key.error());
    auto profile = given.profile != nullptr ? Profile::parse({given.profile, given.profile_size})
                                            : Result<Profile>(Profile::defaults());
    if (!profile) return say(error, profile.error());
    ServiceOptions service_options;
    service_options.policy =
        given.policy == CM_REFUSE ? FailurePolicy::kRefuse : FailurePolicy::kServeUnmarked;
    service_options.may_leak_timing = given.may_leak_timing != 0;
    if (given.log != nullptr)
      service_options.log = [log = given.log, user = given.user](std::string_view line) noexcept {
        log(user, std::string(line).c_str());
      };
    auto service = Service::create(*key, *profile, std::move(service_options));
    if (!service) return say(error, service.error());
    *out = new cm_service{std::move(*service)};
    return int32_t{CM_OK};
  });
}

void cm_service_free(cm_service* service) { delete service; }

size_t cm_service_describe(const cm_service* service, char* text, size_t size) {
  return give_text(text, size, [&] { return service->service->describe(); });
}

size_t cm_service_metrics(const cm_service* service, char* text, size_t size) {
  return give_text(text, size, [&] { return service->service->metrics(); });
}

int32_t cm_service_set_key(cm_service* service, const char* key, size_t key_size, cm_error* error) {
  return guarded(error, [&] {
    const auto parsed = epoch_key(key, key_size);
    if (!parsed) return say(error, parsed.error());
    const Status status = service->service->set_key(*parsed);
    return status ? int32_t{CM_OK} : say(error, status.error());
  });
}

void cm_service_revoke_key(cm_service* service) { service->service->revoke_key(); }

void cm_service_set_marking(cm_service* service, int32_t is_on) {
  service->service->set_marking(is_on != 0);
}

int32_t cm_service_counters(const cm_service* service, cm_counters* out) {
  if (out == nullptr || out->struct_size < sizeof(uint32_t)) return CM_INVALID_ARGUMENT;
  const Counters counted = service->service->counters();
  cm_counters known = CM_INIT(cm_counters);
  known.struct_size = out->struct_size;
  std::copy(counted.draws.begin(), counted.draws.end(), known.draws);
  known.errors = counted.errors;
  known.responses = counted.responses;
  known.refused = counted.refused;
  known.key_changes = counted.key_changes;
  std::memcpy(out, &known, std::min<std::size_t>(out->struct_size, sizeof known));
  return CM_OK;
}

int32_t cm_response_create(cm_service* service, const cm_response_options* options,
                           cm_response** out, cm_error* error) {
  return guarded(error, [&] {
    if (out == nullptr) return say(error, CM_INVALID_ARGUMENT, "no place for the response");
    *out = nullptr;
    if (service == nullptr) return say(error, CM_INVALID_ARGUMENT, "no service");
    const auto wanted = response_options(options);
    if (!wanted) return say(error, wanted.error());
    auto response = service->service->respond(*wanted);
    if (!response) return say(error, response.error());
    *out = new cm_response{std::move(*response), service};
    return int32_t{CM_OK};
  });
}

int32_t cm_response_copy(const cm_response* response, cm_response** out, cm_error* error) {
  return guarded(error, [&] {
    if (response == nullptr || out == nullptr)
      return say(error, CM_INVALID_ARGUMENT, "expected a response, and a place for its copy");
    *out = new cm_response{response->response.with_room(), response->service};
    return int32_t{CM_OK};
  });
}

void cm_response_free(cm_response* response) { delete response; }

int32_t cm_commit(cm_response* response, uint32_t token) {
  return response->response.commit(token) ? CM_OK : CM_FULL;
}

int32_t cm_start_channel(cm_response* response) {
  return response->response.start_channel() ? CM_OK : CM_FULL;
}

uint64_t cm_mark_point(const cm_response* response) { return response->response.mark_point(); }

int32_t cm_rewind(cm_response* response, uint64_t point) {
  if (point > response->response.mark_point()) return CM_INVALID_ARGUMENT;
  response->response.rewind(point);
  return CM_OK;
}

const char* cm_response_key_id(const cm_response* response) {
  return response->response.mark().key_id().c_str();
}

const char* cm_response_epoch(const cm_response* response) {
  return response->response.mark().epoch_id().c_str();
}

uint32_t cm_response_slot(const cm_response* response, uint32_t layer) {
  const countermark::NativeMark& mark = response->response.mark();
  if (layer >= mark.layers().size() || mark.key_id().empty()) return UINT32_MAX;
  return response->response.slot(static_cast<uint8_t>(layer));
}

int32_t cm_workspace_create(uint32_t rows, uint64_t row_size, uint32_t depth, cm_workspace** out,
                            cm_error* error) {
  return guarded(error, [&] {
    if (out == nullptr) return say(error, CM_INVALID_ARGUMENT, "no place for the workspace");
    *out = nullptr;
    auto workspace = std::make_unique<cm_workspace>();
    workspace->batch.reserve(rows, row_size, depth);
    workspace->rows.reserve(rows);
    workspace->draws.reserve(rows);
    *out = workspace.release();
    return int32_t{CM_OK};
  });
}

void cm_workspace_free(cm_workspace* workspace) { delete workspace; }

int32_t cm_sample(cm_service* service, cm_workspace* workspace, const cm_row* rows,
                  uint32_t row_count, cm_draw* draws, cm_error* error) {
  return guarded(error, [&] {
    if (row_count == 0) return int32_t{CM_OK};
    if (service == nullptr || workspace == nullptr || rows == nullptr || draws == nullptr)
      return say(error, CM_INVALID_ARGUMENT, "expected a service, a workspace, rows and draws");
    std::fill_n(draws, row_count, cm_draw{0, CM_INTERNAL, 0, 0});
    workspace->rows.assign(row_count, BatchRow{});
    workspace->draws.assign(row_count, Draw{});
    int32_t first = CM_OK;
    const auto refuse = [&](uint32_t i, int32_t status, const char* why) {
      draws[i] = {0, status, 0, 0};
      if (first == CM_OK) first = say(error, status, why);
    };
    const auto* from = reinterpret_cast<const uint8_t*>(rows);
    for (uint32_t i = 0; i < row_count; ++i, from += rows->struct_size) {
      cm_row given;
      if (!take(reinterpret_cast<const cm_row*>(from), given) ||
          given.struct_size != rows->struct_size)
        return say(error, CM_INVALID_ARGUMENT, kBadStruct);
      // A row that is refused here keeps no response, so that nothing is drawn for it.
      if (const char* why = wrong_with(given, service)) {
        refuse(i, CM_INVALID_ARGUMENT, why);
        continue;
      }
      BatchRow& row = workspace->rows[i];
      row.logits = logits_of(given);
      row.options = {given.temperature, given.top_k, given.top_p == 0 ? 1 : given.top_p,
                     given.min_p};
      row.response = &given.response->response;
      row.attempt = given.attempt;
      row.parent = given.parent == 0 ? BatchRow::kNoParent : given.parent - 1;
      row.draft = given.draft;
      if (const Status status = check_sampling_options(row.options); !status) {
        refuse(i, CM_INVALID_ARGUMENT, status.error().describe().c_str());
        row.response = nullptr;
      }
    }
    service->service->sample(workspace->rows, workspace->batch, workspace->draws);
    for (uint32_t i = 0; i < row_count; ++i) {
      const Result<Draw>& draw = workspace->draws[i];
      if (draw) {
        draws[i] = {draw->token, CM_OK, static_cast<uint32_t>(draw->kind), draw->layer};
      } else if (draws[i].status == CM_INTERNAL) {
        refuse(i, static_cast<int32_t>(draw.error().code), draw.error().describe().c_str());
      }
    }
    return first;
  });
}

int32_t cm_words(const cm_response* response, const uint32_t* path, uint32_t depth,
                 uint32_t attempt, const uint32_t* tokens, uint64_t count, uint32_t* words,
                 cm_draw* how) {
  return guarded(nullptr, [&]() -> int32_t {
    if (response == nullptr || (path == nullptr && depth > 0) ||
        ((tokens == nullptr || words == nullptr) && count > 0))
      return CM_INVALID_ARGUMENT;
    SamplerWorkspace workspace;
    const Draw draw = words_of_draw(response->response, TokenSpan(path, depth), attempt,
                                    TokenSpan(tokens, count), {words, count}, workspace);
    if (how != nullptr) *how = {0, CM_OK, static_cast<uint32_t>(draw.kind), draw.layer};
    return CM_OK;
  });
}

int32_t cm_llama_sampler_create(cm_service* service, const cm_response_options* options,
                                llama_sampler* (*init)(llama_sampler_i*, void*),
                                llama_sampler** out, cm_error* error) {
  return guarded(error, [&] {
    if (out == nullptr) return say(error, CM_INVALID_ARGUMENT, "no place for the sampler");
    *out = nullptr;
    if (service == nullptr || init == nullptr)
      return say(error, CM_INVALID_ARGUMENT, "expected a service and llama_sampler_init");
    const auto wanted = response_options(options);
    if (!wanted) return say(error, wanted.error());
    // The caller frees the service after its samplers.
    const std::shared_ptr<Service> borrowed(std::shared_ptr<void>(), service->service.get());
    auto response = borrowed->respond(*wanted);
    if (!response) return say(error, response.error());
    auto sampler = make_llama_sampler(borrowed, std::move(*response), *wanted, init);
    if (!sampler) return say(error, sampler.error());
    *out = *sampler;
    return int32_t{CM_OK};
  });
}

}  // extern "C"
