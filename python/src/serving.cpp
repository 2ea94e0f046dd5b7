// SPDX-License-Identifier: Apache-2.0
// countermark.Service and countermark.Response: the hook of an inference server.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <string>
#include <variant>

#include "python/src/bindings.h"
#include "watermark/engines/llama_cpp.h"
#include "watermark/service.h"

namespace countermark::python {
namespace nb = nanobind;
using namespace nb::literals;
namespace {

[[noreturn]] void refuse(const char* field, std::string message) {
  throw Raised(Error{ErrorCode::kInvalidArgument, std::move(message), "", field});
}

// The response, and the service that must outlive it.
struct Served {
  std::shared_ptr<Service> service;
  Response response;
};

// What one row of a batch has come to.
struct PyDraw {
  std::optional<TokenId> token;
  const char* kind;
  std::optional<std::uint8_t> layer;
  std::optional<std::string> error;
};

std::shared_ptr<Service> serve(const Key& key, const std::optional<Profile>& profile,
                               const std::string& policy, nb::object log, bool may_leak_timing) {
  ServiceOptions options;
  if (policy != "serve-unmarked" && policy != "refuse")
    refuse("policy", "expected 'serve-unmarked' or 'refuse'");
  options.policy = policy == "refuse" ? FailurePolicy::kRefuse : FailurePolicy::kServeUnmarked;
  options.may_leak_timing = may_leak_timing;
  if (!log.is_none()) {
    if (PyCallable_Check(log.ptr()) == 0) throw nb::type_error("log: expected a function or None");
    // Called on threads that have let go of the GIL. What it raises concerns nobody's draw.
    // The last owner may be an engine's sampler, on a thread of its own.
    const auto release = [](nb::object* object) {
      const nb::gil_scoped_acquire locked;
      delete object;
    };
    options.log = [log = std::shared_ptr<nb::object>(new nb::object(std::move(log)), release)](
                      std::string_view line) {
      const nb::gil_scoped_acquire locked;
      try {
        (*log)(nb::str(line.data(), line.size()));
      } catch (nb::python_error& error) {
        error.discard_as_unraisable("countermark.Service.log");
      }
    };
  }
  return value(
      Service::create(key.epoch(), profile.value_or(Profile::defaults()), std::move(options)));
}

std::string name_of(const std::optional<std::string>& name, const char* field) {
  if (name && name->empty()) refuse(field, "expected a name or None");
  return name.value_or("");
}

// Of one response. Points into the nonce that it was made from.
ResponseOptions response_options(const std::optional<std::string>& account,
                                 const std::optional<std::string>& cohort, std::uint64_t max_tokens,
                                 const std::optional<nb::bytes>& nonce,
                                 const std::optional<nb::bytes>& plain_key,
                                 std::optional<std::uint64_t> max_contexts, bool marked) {
  constexpr std::uint64_t kMost = 1U << 30;
  if (max_tokens == 0 || max_tokens > kMost) refuse("max_tokens", "expected 1 to 2^30");
  if (max_contexts && *max_contexts > kMost) refuse("max_contexts", "expected 0 to 2^30");
  ResponseOptions options;
  options.identity = {name_of(cohort, "cohort"), name_of(account, "account")};
  options.max_tokens = max_tokens;
  options.max_contexts = max_contexts;
  options.marked = marked;
  if (nonce) {
    if (nonce->size() == 0) refuse("nonce", "expected bytes that are new for every response");
    options.nonce = {nonce->c_str(), nonce->size()};
  }
  if (plain_key) {
    if (plain_key->size() != 16) refuse("plain_key", "expected 16 bytes");
    std::array<std::uint8_t, 16> bytes;
    std::memcpy(bytes.data(), plain_key->c_str(), bytes.size());
    options.plain_key = Secret<16>(std::move(bytes));
  }
  return options;
}

Served respond(const std::shared_ptr<Service>& service, const std::optional<std::string>& account,
               const std::optional<std::string>& cohort, std::uint64_t max_tokens,
               const std::optional<nb::bytes>& nonce, const std::optional<nb::bytes>& plain_key,
               std::optional<std::uint64_t> max_contexts, bool marked) {
  const ResponseOptions options =
      response_options(account, cohort, max_tokens, nonce, plain_key, max_contexts, marked);
  const nb::gil_scoped_release unlocked;
  return {service, value(service->respond(options))};
}

std::pair<std::uintptr_t, Served> llama_sampler_of(
    const std::shared_ptr<Service>& service, std::uintptr_t init,
    const std::optional<std::string>& account, const std::optional<std::string>& cohort,
    std::uint64_t max_tokens, const std::optional<nb::bytes>& nonce,
    const std::optional<nb::bytes>& plain_key, std::optional<std::uint64_t> max_contexts,
    bool marked) {
  if (init == 0) refuse("init", "expected the address of llama_sampler_init");
  const ResponseOptions options =
      response_options(account, cohort, max_tokens, nonce, plain_key, max_contexts, marked);
  const nb::gil_scoped_release unlocked;
  // NOLINTNEXTLINE(performance-no-int-to-ptr): ctypes knows addresses as numbers
  const auto function = reinterpret_cast<countermark_llama_init>(init);
  Response response = value(service->respond(options));
  llama_sampler* sampler =
      value(make_llama_sampler(service, response.with_room(), options, function));
  return {reinterpret_cast<std::uintptr_t>(sampler), {service, std::move(response)}};
}

using Logits = nb::ndarray<nb::ro, nb::device::cpu>;

// One value for all rows, or one for each.
template <typename T>
std::vector<T> for_rows(nb::handle given, std::size_t rows, const char* field) {
  T one{};
  if (nb::try_cast(given, one)) return std::vector<T>(rows, one);
  std::vector<T> each;
  if (!nb::try_cast(given, each))
    throw nb::type_error((std::string(field) + ": expected a number, or one for each row").c_str());
  if (each.size() != rows)
    refuse(field, "expected one value for each of the " + std::to_string(rows) + " rows");
  return each;
}

// Rows of an array of one type whose rows are without gaps.
class RowsOf {
 public:
  RowsOf(const Logits& logits, std::size_t rows) : data_(logits.data()) {
    const bool is_matrix = logits.ndim() == 2;
    if (!is_matrix && logits.ndim() != 1) refuse("logits", "expected an array of rows, or one row");
    count_ = is_matrix ? logits.shape(0) : 1;
    size_ = logits.shape(logits.ndim() - 1);
    if (size_ > 1 && logits.stride(logits.ndim() - 1) != 1)
      refuse("logits", "expected the logits of a row one after the other");
    if (count_ != rows)
      refuse("logits", "expected one row for each of the " + std::to_string(rows) +
                           " responses, there are " + std::to_string(count_));
    const nb::dlpack::dtype type = logits.dtype();
    constexpr auto kFloat = static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float);
    constexpr auto kBfloat = static_cast<std::uint8_t>(nb::dlpack::dtype_code::Bfloat);
    if (type.lanes == 1 && type.code == kFloat && type.bits == 32) {
      type_ = COUNTERMARK_LOGIT_F32;
    } else if (type.lanes == 1 && type.code == kFloat && type.bits == 16) {
      type_ = COUNTERMARK_LOGIT_F16;
    } else if (type.lanes == 1 && type.code == kBfloat && type.bits == 16) {
      type_ = COUNTERMARK_LOGIT_BF16;
    } else {
      refuse("logits", "expected float32, float16 or bfloat16");
    }
    const std::int64_t width = type_ == COUNTERMARK_LOGIT_F32 ? 4 : 2;
    step_ = is_matrix ? logits.stride(0) * width : 0;
  }

  std::size_t size() const noexcept { return size_; }

  LogitsRow row(std::size_t i, TokenSpan ids) const {
    const void* at = static_cast<const std::uint8_t*>(data_) + static_cast<std::int64_t>(i) * step_;
    if (type_ == COUNTERMARK_LOGIT_F32)
      return {std::span(static_cast<const float*>(at), size_), ids};
    const std::span bits(static_cast<const std::uint16_t*>(at), size_);
    return type_ == COUNTERMARK_LOGIT_F16 ? LogitsRow::f16(bits, ids) : LogitsRow::bf16(bits, ids);
  }

 private:
  const void* data_;
  std::size_t count_ = 0;
  std::size_t size_ = 0;
  std::int64_t step_ = 0;  // bytes from row to row
  CountermarkLogitType type_{};
};

std::vector<PyDraw> sample_rows(const std::shared_ptr<Service>& service,
                                const nb::sequence& given_responses, const Logits& logits,
                                nb::handle temperature, nb::handle top_k, nb::handle top_p,
                                nb::handle min_p, nb::handle attempts,
                                const std::optional<nb::sequence>& ids,
                                const std::optional<std::vector<std::int64_t>>& parents,
                                nb::handle drafts) {
  // References of our own: the caller's list may change while the GIL is away.
  const nb::tuple held(given_responses);
  const std::size_t rows = held.size();
  std::vector<const Served*> responses(rows);
  for (std::size_t i = 0; i < rows; ++i)
    if (!nb::try_cast(held[i], responses[i])) responses[i] = nullptr;
  const RowsOf given(logits, rows);
  const auto temperatures = for_rows<double>(temperature, rows, "temperature");
  const auto top_ks = for_rows<std::uint32_t>(top_k, rows, "top_k");
  const auto top_ps = for_rows<double>(top_p, rows, "top_p");
  const auto min_ps = for_rows<double>(min_p, rows, "min_p");
  const auto tries = for_rows<std::uint32_t>(attempts, rows, "attempts");
  const auto drafted = for_rows<std::uint32_t>(drafts, rows, "drafts");
  if (parents && parents->size() != rows) refuse("parents", "expected one for each row");
  std::vector<std::vector<TokenId>> lists(ids ? rows : 0);
  if (ids) {
    if (nb::len(*ids) != rows) refuse("ids", "expected one list for each row");
    for (std::size_t i = 0; i < rows; ++i) {
      lists[i] = token_ids((*ids)[i], "ids");
      if (lists[i].size() != given.size()) refuse("ids", "expected one id for each logit");
    }
  }
  thread_local BatchWorkspace workspace;
  std::vector<BatchRow> batch(rows);
  for (std::size_t i = 0; i < rows; ++i) {
    if (responses[i] == nullptr) refuse("responses", "expected a Response for each row");
    if (responses[i]->service != service) refuse("responses", "expected responses of this service");
    BatchRow& row = batch[i];
    row.logits = given.row(i, ids ? TokenSpan(lists[i]) : TokenSpan());
    row.options = {temperatures[i], top_ks[i], top_ps[i], min_ps[i]};
    check(check_sampling_options(row.options));
    row.response = &responses[i]->response;
    row.attempt = tries[i];
    row.draft = drafted[i];
    if (parents && (*parents)[i] >= 0) {
      if (static_cast<std::uint64_t>((*parents)[i]) >= i)
        refuse("parents", "expected earlier rows, or -1");
      row.parent = static_cast<std::uint32_t>((*parents)[i]);
    }
  }
  std::vector<Result<Draw>> out(rows);
  {
    const nb::gil_scoped_release unlocked;
    service->sample(batch, workspace, out);
  }
  std::vector<PyDraw> draws;
  draws.reserve(rows);
  for (const Result<Draw>& draw : out) {
    if (!draw) {
      draws.push_back({std::nullopt, "error", std::nullopt, draw.error().describe()});
      continue;
    }
    const bool is_marked = draw->kind == DrawKind::kMarked;
    draws.push_back({draw->token, draw_kind_name(draw->kind),
                     is_marked ? std::optional(draw->layer) : std::nullopt, std::nullopt});
  }
  return draws;
}

std::optional<std::string> or_none(std::string text) {
  return text.empty() ? std::nullopt : std::optional(std::move(text));
}

nb::dict counters(const Service& service) {
  const Counters counted = service.counters();
  nb::dict out;
  for (std::size_t kind = 0; kind < kDrawKinds; ++kind)
    out[draw_kind_name(static_cast<DrawKind>(kind))] = counted.draws[kind];
  out["error"] = counted.errors;
  out["responses"] = counted.responses;
  out["refused"] = counted.refused;
  out["key-changes"] = counted.key_changes;
  return out;
}

void add_draws(Service& service, const nb::dict& counted) {
  std::array<std::uint64_t, kDrawKinds> draws{};
  std::uint64_t errors = 0;
  for (const auto [name, count] : counted) {
    const auto key = nb::cast<std::string>(name);
    std::uint64_t* of_key = key == "error" ? &errors : nullptr;
    for (std::size_t kind = 0; kind < kDrawKinds; ++kind)
      if (key == draw_kind_name(static_cast<DrawKind>(kind))) of_key = &draws[kind];
    if (of_key == nullptr) refuse("counted", "there is no kind '" + key + "'");
    *of_key = nb::cast<std::uint64_t>(count);
  }
  service.add_draws(draws, errors);
}

void commit(Served& served, const nb::object& tokens) {
  TokenId token = 0;
  const std::vector<TokenId> all =
      nb::try_cast(tokens, token) ? std::vector<TokenId>{token} : token_ids(tokens, "tokens");
  const std::size_t before = served.response.mark_point();
  for (const TokenId each : all)
    if (!served.response.commit(each)) {
      served.response.rewind(before);  // all or none
      refuse("tokens", "the response has all the tokens that it was made for");
    }
}

void rewind(Served& served, std::uint64_t point) {
  if (point > served.response.mark_point())
    refuse("point", "expected a point that the response has passed");
  served.response.rewind(point);
}

nb::tuple words(const Served& served, const nb::object& tokens, const nb::object& path,
                std::uint32_t attempt) {
  const std::vector<TokenId> of = token_ids(tokens, "tokens");
  const std::vector<TokenId> drafts = token_ids(path, "path");
  std::vector<std::uint32_t> out(of.size());
  SamplerWorkspace workspace;
  const Draw how = words_of_draw(served.response, drafts, attempt, of, out, workspace);
  return nb::make_tuple(out, draw_kind_name(how.kind));
}

// What a draw on another device needs (countermark/device.py), in little-endian words: the DrawKind
// of every draw, 0 where they may be marked; the context key; the plain key; by layer its key,
// whether the response has an identity there, and its tag. Cipher keys are the first round keys,
// which every kernel keeps.
nb::bytes schedule(const Served& served) {
  const Response& response = served.response;
  std::string out;
  append_le32(out, static_cast<std::uint32_t>(response.never_marked().value_or(DrawKind{})));
  const auto append = [&](const auto& bytes) {
    out.append(reinterpret_cast<const char*>(bytes), sizeof bytes);
  };
  append(response.mark().context_cipher().key().round_keys[0]);
  append(response.plain_cipher().key().round_keys[0]);
  for (std::size_t i = 0; i < response.mark().layers().size(); ++i) {
    const auto layer = static_cast<std::uint8_t>(i);
    append(response.mark().candidate_cipher(layer).key().round_keys[0]);
    const auto& tag = response.tag(layer);
    append_le32(out, tag ? 1 : 0);
    const Tag bytes = tag.value_or(Tag{});
    out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  nb::bytes secret(out.data(), out.size());
  wipe(out);
  return secret;
}

std::vector<std::uint32_t> slots(const Served& served) {
  std::vector<std::uint32_t> out;
  if (served.response.mark().key_id().empty()) return out;
  for (std::size_t i = 0; i < served.response.mark().layers().size(); ++i)
    out.push_back(served.response.slot(static_cast<std::uint8_t>(i)));
  return out;
}

void bind_draw(nb::module_& m) {
  nb::class_<PyDraw>(m, "Draw", "How one row was drawn.")
      .def_ro("token", &PyDraw::token, "The token's id; None when the row has no candidate.")
      .def_ro("kind", &PyDraw::kind,
              "\"marked\", or why it is not: \"short-context\", \"repeated\", \"history-full\", "
              "\"no-identity\", \"redraw\", \"one-candidate\", \"greedy\", \"off\", \"failed\"; "
              "\"error\" without a token.")
      .def_ro("layer", &PyDraw::layer, "Index of the profile's layer, when marked.")
      .def_ro("error", &PyDraw::error, "Why there is no token.")
      .def("__repr__", [](const PyDraw& draw) {
        return "<countermark.Draw " + (draw.token ? std::to_string(*draw.token) : "-") + " " +
               draw.kind + ">";
      });
}

void bind_response(nb::module_& m) {
  nb::class_<Served>(m, "Response", R"(One answer while it is written: made by Service.respond.

It belongs to one thread at a time and keeps the key that it began with.)")
      .def(
          "commit", commit, "tokens"_a,
          nb::sig(
              "def commit(self, tokens: int | collections.abc.Sequence[int] | typing.Any) -> None"),
          R"(Appends a token, or several, all or none: what the engine went on with, drawn or forced.

Raises Error "invalid-argument" beyond max_tokens.)")
      .def_prop_ro(
          "point", [](const Served& served) { return served.response.mark_point(); },
          "Where the response stands, for rewind.")
      .def(
          "rewind", rewind, "point"_a,
          R"(Forgets what came after a point: for tokens that are dropped without regard to what they say.

A retry because of the content is another response, or a draw with attempts > 0. Raises Error
"invalid-argument" for a point that lies ahead.)")
      .def(
          "start_channel",
          [](Served& served) {
            if (!served.response.start_channel()) refuse("", "a response has at most 64 channels");
          },
          R"(Starts another channel, as from thinking to answer: contexts do not reach back.

Raises Error "invalid-argument" after 64 of them.)")
      .def(
          "copy",
          [](const Served& served) {
            return Served{served.service, served.response.with_room()};
          },
          R"(A second one at the same point, which draws alike: to try out what this one would say.

Not for alternatives: copies that go different ways share their noise. Each alternative is a
response of its own.)")
      .def_prop_ro(
          "tokens",
          [](const Served& served) {
            const TokenSpan tokens = served.response.tokens();
            return std::vector<TokenId>(tokens.begin(), tokens.end());
          },
          "The committed tokens. O(tokens).")
      .def("__len__", [](const Served& served) { return served.response.tokens().size(); })
      .def_prop_ro(
          "key_id", [](const Served& served) { return or_none(served.response.mark().key_id()); },
          "None for a response that began without a key.")
      .def_prop_ro(
          "epoch", [](const Served& served) { return or_none(served.response.mark().epoch_id()); },
          "Of its key; None without one.")
      .def_prop_ro("slots", slots,
                   "By layer of the profile: the slot that the nonce chose. Empty without a key.")
      .def(
          "words", words, "tokens"_a, "path"_a = nb::make_tuple(), "attempt"_a = 0,
          nb::sig("def words(self, tokens: collections.abc.Sequence[int] | typing.Any, "
                  "path: collections.abc.Sequence[int] | typing.Any = (), attempt: int = 0) "
                  "-> tuple[list[int], str]"),
          R"(The 32-bit words that decide the next draw, one for each token, and the kind of the draw.

path: drafts after the committed tokens. attempt > 0: drawn again, unmarked. For implementations of
the draw elsewhere, as on a GPU, that want to compare.)")
      .def("secret_schedule", schedule,
           R"(The keys and tags of this response, for countermark.device alone.

Secret: they belong into the memory of the device that draws and nowhere else.)");
}

}  // namespace

void bind_serving(nb::module_& m) {
  bind_draw(m);
  bind_response(m);
  nb::class_<Service>(m, "Service", R"(The mark as an inference server runs it.

Holds the key and whether marking is on; both change between steps, while responses that have begun
keep their key. Safe to share among threads. A bad key or profile raises here: the server must not
start.)")
      .def(nb::new_(&serve), "key"_a, "profile"_a = nb::none(), nb::kw_only(),
           "policy"_a = "serve-unmarked", "log"_a = nb::none(), "may_leak_timing"_a = false,
           R"(A service under an epoch key; profile None is the default profile.

policy says what a response gets when there is no key: "serve-unmarked" (drawn unmarked, counted),
or "refuse" (respond raises). log gets lines that are worth a log, at most one a minute, on any
thread; one that refers to the service keeps it alive. may_leak_timing allows a machine without AES
instructions. Raises Error: "key" for a master key, "unsupported", "invalid-argument".)")
      .def("describe", &Service::describe,
           "One line for the log of a start: version, scheme, profile, model, epoch, key, kernel, "
           "policy.")
      .def("respond", respond, nb::kw_only(), "account"_a = nb::none(), "cohort"_a = nb::none(),
           "max_tokens"_a, "nonce"_a = nb::none(), "plain_key"_a = nb::none(),
           "max_contexts"_a = nb::none(), "marked"_a = true,
           R"(Begins a response of at most max_tokens tokens, under the key of now.

account and cohort are pseudonyms; a layer without its identity is drawn unmarked. nonce is new for
every response, alternative and retry (None: random); plain_key, 16 bytes of the engine's generator,
keys the unmarked draws (None: random). marked=False is the operator's decision to leave this one
unmarked. max_contexts bounds the contexts that are remembered (None: one for every token); further
draws are "history-full". Allocates about 40 bytes a token. Raises Error: "key" without a key under
the policy "refuse", "invalid-argument" for an empty name or nonce, another size of plain_key or
max_tokens outside of 1 to 2^30.)")
      .def("llama_sampler", llama_sampler_of, "init"_a, nb::kw_only(), "account"_a = nb::none(),
           "cohort"_a = nb::none(), "max_tokens"_a, "nonce"_a = nb::none(),
           "plain_key"_a = nb::none(), "max_contexts"_a = nb::none(), "marked"_a = true,
           R"(The address of a llama.cpp sampler for the end of a chain, in the place of `dist`.

init is the address of llama.cpp's llama_sampler_init; the rest as for respond. llama.cpp owns the
sampler, which keeps the service. With it comes the response as it begins, for the record: its
key_id, epoch and slots. countermark.llama_cpp puts the sampler in its place.)")
      .def("sample", sample_rows, "responses"_a, "logits"_a, nb::kw_only(), "temperature"_a = 1.0,
           "top_k"_a = 0, "top_p"_a = 1.0, "min_p"_a = 0.0, "attempts"_a = 0, "ids"_a = nb::none(),
           "parents"_a = nb::none(), "drafts"_a = 0,
           nb::sig("def sample(self, responses: collections.abc.Sequence[Response], "
                   "logits: typing.Any, *, "
                   "temperature: float | collections.abc.Sequence[float] = 1.0, "
                   "top_k: int | collections.abc.Sequence[int] = 0, "
                   "top_p: float | collections.abc.Sequence[float] = 1.0, "
                   "min_p: float | collections.abc.Sequence[float] = 0.0, "
                   "attempts: int | collections.abc.Sequence[int] = 0, "
                   "ids: collections.abc.Sequence[typing.Any] | None = None, "
                   "parents: collections.abc.Sequence[int] | None = None, "
                   "drafts: int | collections.abc.Sequence[int] = 0) -> list[Draw]"),
           R"(Draws the next token of each row; remembers nothing until a token is committed.

logits: rows x vocabulary (or one row), float32, float16 or bfloat16 in host memory, numpy or torch,
read in place; in nats, -inf and NaN are never drawn. Applied are temperature (0: the largest
logit), top_k, top_p, min_p, in this order; each is one number or one for each row. ids, one list
for each row, names the tokens of logits that the engine has cut down already. parents[i] >= 0 puts
row i after row parents[i] of the same response and then drafts[i], tokens that are not committed.
attempts > 0 draws again because of what a token says, unmarked.

A row without a candidate has a Draw without a token; the others are drawn. Raises TypeError and
Error "invalid-argument". O(vocabulary) a row; lets go of the GIL.)")
      .def(
          "set_key", [](Service& service, const Key& key) { check(service.set_key(key.epoch())); },
          "key"_a, R"(The key for responses that begin from now on.

Raises Error "mismatch" for another model's key, and the old one stays.)")
      .def("revoke_key", &Service::revoke_key,
           "As if there were no key, until set_key. Responses that have begun go on.")
      .def_prop_rw("marking", &Service::is_marking, &Service::set_marking,
                   "Whether draws are marked, from the next one on, of all responses.")
      .def_prop_ro(
          "key_id", [](const Service& service) { return or_none(service.key_id()); },
          "Of responses that begin now; None without a key.")
      .def_prop_ro(
          "profile", [](const Service& service) { return service.profile(); },
          "The profile that it was made with.")
      .def("counters", counters, nb::sig("def counters(self) -> dict[str, int]"),
           "Draws by kind since the start, and \"error\", \"responses\", \"refused\", "
           "\"key-changes\".")
      .def("add_draws", add_draws, "counted"_a,
           nb::sig("def add_draws(self, counted: dict[str, int]) -> None"),
           R"(Counts draws by kind, and "error", that were made elsewhere, as by countermark.device.

Raises Error "invalid-argument" for another kind.)")
      .def("metrics", &Service::metrics,
           "The counters, and what describe() says, in Prometheus' text format.")
      .def("__repr__", [](const Service& service) { return "<" + service.describe() + ">"; });
}

}  // namespace countermark::python
