// SPDX-License-Identifier: Apache-2.0
#include "watermark/foreign_profile.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "watermark/json.h"
#include "watermark/prf/hash.h"

namespace countermark {
namespace {

constexpr std::array<std::string_view, 3> kDedups = {"none", "tuple", "context"};
constexpr std::array<std::string_view, 2> kPrompts = {"excluded", "included"};

// Fields that not every scheme has, and those that a scheme's defaults depend on.
constexpr std::pair<Field, std::string_view> kOwnFields[] = {
    {Field::kGamma, "gamma"},     {Field::kDelta, "delta"},
    {Field::kSaltKey, "saltKey"}, {Field::kDepth, "depth"},
    {Field::kPrf, "prf"},         {Field::kSelfSalt, "selfSalt"},
    {Field::kMixing, "mixing"},   {Field::kTableSize, "tableSize"},
    {Field::kDevice, "device"},   {Field::kHistoryLimit, "historyLimit"}};
constexpr std::pair<Field, std::string_view> kSharedFields[] = {
    {Field::kContextWidth, "contextWidth"}, {Field::kFirstPosition, "firstPosition"}};

// torch.randperm draws 32 bits a step below this many entries, and otherwise beyond.
constexpr std::uint64_t kMaxVocabSize = 214'748'363;
constexpr std::uint64_t kMost32 = std::numeric_limits<std::uint32_t>::max();
// Further than any bias that leaves text readable; keeps e^delta finite.
constexpr double kMaxDelta = 100;

// Reads the members of a profile in turn; the first that is wrong is the error.
class Reader {
 public:
  Reader(const JsonDocument& document, const SchemeInfo& scheme)
      : document_(&document), scheme_(&scheme) {}

  Result<ForeignParameters> read() {
    ForeignParameters out = scheme_->defaults;
    number("contextWidth", out.context_width, 1, scheme_->max_width);
    number("vocabSize", out.vocab_size, 2, kMaxVocabSize);
    choice("dedup", out.dedup, kDedups);
    number("firstPosition", out.first_position, 0, kMost32 - 1);
    choice("prompt", out.prompt_included, kPrompts);
    if (scheme_->has(Field::kGamma)) ratio("gamma", out.gamma);
    if (scheme_->has(Field::kDelta)) real("delta", out.delta);
    if (scheme_->has(Field::kSaltKey))
      number("saltKey", out.salt_key, 0, std::numeric_limits<std::uint64_t>::max());
    if (scheme_->has(Field::kDepth)) number("depth", out.depth, 1, 64);
    if (scheme_->has(Field::kPrf)) choice("prf", out.prf, scheme_->prfs);
    if (scheme_->has(Field::kSelfSalt)) flag("selfSalt", out.self_salt);
    if (scheme_->has(Field::kMixing)) ratio("mixing", out.mixing);
    if (scheme_->has(Field::kTableSize)) number("tableSize", out.table_size, 2, 1 << 24);
    if (scheme_->has(Field::kHistoryLimit))
      number("historyLimit", out.history_limit, 0, kMost32 - 1);
    if (scheme_->has(Field::kDevice)) device();
    if (error_) return fail(*std::move(error_));
    return out;
  }

 private:
  // The member's value, or null when it is not there or an error was found before it.
  const nlohmann::json* find(std::string_view name) const {
    if (error_) return nullptr;
    const auto member = document_->root().find(name);
    return member == document_->root().end() ? nullptr : &*member;
  }

  void refuse(std::string_view name, std::string expected,
              ErrorCode code = ErrorCode::kInvalidInput) {
    if (!error_) error_ = document_->error_at("/" + std::string(name), code, std::move(expected));
  }

  template <typename T>
  void number(std::string_view name, T& out, std::uint64_t least, std::uint64_t most) {
    if (find(name) == nullptr) return;
    const auto value = document_->unsigned_at("/" + std::string(name), least, most);
    if (value)
      out = static_cast<T>(*value);
    else
      error_ = value.error();
  }

  void real(std::string_view name, double& out) {
    const nlohmann::json* value = find(name);
    if (value == nullptr) return;
    if (!value->is_number() || !(value->get<double>() > 0 && value->get<double>() <= kMaxDelta))
      return refuse(name, "expected a number above 0, at most 100");
    out = value->get<double>();
  }

  void flag(std::string_view name, bool& out) {
    const nlohmann::json* value = find(name);
    if (value == nullptr) return;
    if (!value->is_boolean()) return refuse(name, "expected true or false");
    out = value->get<bool>();
  }

  template <typename T>
  void choice(std::string_view name, T& out, std::span<const std::string_view> names) {
    const nlohmann::json* value = find(name);
    if (value == nullptr) return;
    std::string list;
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (value->is_string() && value->get_ref<const std::string&>() == names[i]) {
        out = static_cast<T>(i);
        return;
      }
      list += (i == 0 ? "" : i + 1 == names.size() ? " or " : ", ") + std::string(names[i]);
    }
    refuse(name, "expected " + list);
  }

  void ratio(std::string_view name, Ratio& out) {
    const nlohmann::json* value = find(name);
    if (value == nullptr) return;
    const std::string expected = "expected a fraction between 0 and 1, such as \"1/4\"";
    if (!value->is_string()) return refuse(name, expected);
    const std::string& text = value->get_ref<const std::string&>();
    const char* const end = text.data() + text.size();
    Ratio read;
    const auto top = std::from_chars(text.data(), end, read.numerator);
    if (top.ec != std::errc() || top.ptr == end || *top.ptr != '/') return refuse(name, expected);
    const auto bottom = std::from_chars(top.ptr + 1, end, read.denominator);
    if (bottom.ec != std::errc() || bottom.ptr != end || read.numerator == 0 ||
        read.numerator >= read.denominator)
      return refuse(name, expected);
    out = read;
  }

  void device() {
    const nlohmann::json* value = find("device");
    if (value == nullptr || (value->is_string() && *value == "cpu")) return;
    refuse(
        "device",
        "lists drawn on a CUDA device cannot be made again: they differ from the CPU's, and from "
        "one version of torch to the next",
        ErrorCode::kUnsupported);
  }

  const JsonDocument* document_;
  const SchemeInfo* scheme_;
  std::optional<Error> error_{};
};

std::string to_text(const Ratio& ratio) {
  return std::to_string(ratio.numerator) + "/" + std::to_string(ratio.denominator);
}

nlohmann::json to_json(const ForeignProfile& profile) {
  const SchemeInfo& scheme = profile.scheme();
  const ForeignParameters& parameters = profile.parameters();
  nlohmann::json out = {{"scheme", scheme.id},
                        {"contextWidth", parameters.context_width},
                        {"dedup", kDedups[static_cast<std::size_t>(parameters.dedup)]},
                        {"firstPosition", parameters.first_position},
                        {"prompt", kPrompts[parameters.prompt_included ? 1 : 0]}};
  if (parameters.vocab_size != 0) out["vocabSize"] = parameters.vocab_size;
  if (scheme.has(Field::kGamma)) out["gamma"] = to_text(parameters.gamma);
  if (scheme.has(Field::kDelta)) out["delta"] = parameters.delta;
  if (scheme.has(Field::kSaltKey)) out["saltKey"] = parameters.salt_key;
  if (scheme.has(Field::kDepth)) out["depth"] = parameters.depth;
  if (scheme.has(Field::kPrf)) out["prf"] = profile.prf();
  if (scheme.has(Field::kSelfSalt)) out["selfSalt"] = parameters.self_salt;
  if (scheme.has(Field::kMixing)) out["mixing"] = to_text(parameters.mixing);
  if (scheme.has(Field::kTableSize)) out["tableSize"] = parameters.table_size;
  if (scheme.has(Field::kHistoryLimit)) out["historyLimit"] = parameters.history_limit;
  if (scheme.has(Field::kDevice)) out["device"] = "cpu";
  if (profile.tokenizer()) out["tokenizer"] = to_json(*profile.tokenizer());
  return out;
}

// A rule that ties several fields, as (field, what was expected).
std::optional<std::pair<std::string, std::string>> first_broken_rule(
    const ForeignProfile& profile) {
  const SchemeInfo& scheme = profile.scheme();
  const ForeignParameters& parameters = profile.parameters();
  if (scheme.has(Field::kVocabSize) && parameters.vocab_size == 0)
    return {{"vocabSize", "expected the size that the lists were drawn for"}};
  if (scheme.has(Field::kGamma) && scheme.has(Field::kVocabSize) &&
      (profile.green_size() == 0 || profile.green_size() >= parameters.vocab_size))
    return {{"gamma", "leaves no green token, or no red one, in this vocabulary"}};
  const std::uint64_t context = profile.context_tokens();
  if (!scheme.padding && !parameters.prompt_included && parameters.first_position < context)
    return {{"firstPosition",
             "the first token with a whole context is number " + std::to_string(context)}};
  return std::nullopt;
}

}  // namespace

std::uint32_t ForeignProfile::green_size() const noexcept {
  return static_cast<std::uint32_t>(parameters_.gamma.value() * parameters_.vocab_size);
}

Result<ForeignProfile> ForeignProfile::parse(std::string_view json) {
  COUNTERMARK_TRY(const JsonDocument document, JsonDocument::parse(json));
  COUNTERMARK_TRY(const std::string id, document.string_at("/scheme"));
  const SchemeInfo* const scheme = find_foreign_scheme(id);
  if (scheme == nullptr)
    return fail(document.error_at("/scheme", ErrorCode::kUnsupported,
                                  "this version does not know the scheme"));
  for (const auto& [field, name] : kOwnFields)
    if (!scheme->has(field) && document.root().contains(name))
      return fail(document.error_at("/" + std::string(name), ErrorCode::kInvalidInput,
                                    "is not a parameter of " + id));
  COUNTERMARK_CHECK(document.only_members(
      "", {"scheme", "contextWidth", "gamma", "delta", "vocabSize", "saltKey", "depth", "prf",
           "selfSalt", "mixing", "tableSize", "dedup", "firstPosition", "prompt", "historyLimit",
           "device", "tokenizer"}));
  ForeignProfile profile;
  profile.scheme_ = scheme;
  COUNTERMARK_TRY(profile.parameters_, Reader(document, *scheme).read());
  if (scheme->settle != nullptr) {
    unsigned given = 0;
    for (const auto& [field, name] : kOwnFields)
      if (document.root().contains(name)) given |= static_cast<unsigned>(field);
    for (const auto& [field, name] : kSharedFields)
      if (document.root().contains(name)) given |= static_cast<unsigned>(field);
    scheme->settle(profile.parameters_, given);
  }
  COUNTERMARK_TRY(profile.tokenizer_, parse_tokenizer_reference(document));
  if (const auto broken = first_broken_rule(profile))
    return fail(document.error_at("/" + broken->first, ErrorCode::kInvalidInput, broken->second));
  return profile;
}

Result<ForeignProfile> ForeignProfile::create(const SchemeInfo& scheme,
                                              const ForeignParameters& parameters,
                                              std::optional<TokenizerReference> tokenizer) {
  ForeignProfile profile;
  profile.scheme_ = &scheme;
  profile.parameters_ = parameters;
  profile.tokenizer_ = std::move(tokenizer);
  COUNTERMARK_CHECK(check_tokenizer_reference(profile.tokenizer_));
  return parse(profile.canonical_json());
}

std::string ForeignProfile::canonical_json() const { return to_json(*this).dump(); }

std::string ForeignProfile::pretty_json() const { return to_json(*this).dump(2) + "\n"; }

std::string ForeignProfile::digest() const { return to_hex(sha256(canonical_json())); }

Result<AnyProfile> parse_profile(std::string_view json) {
  COUNTERMARK_TRY(const JsonDocument document, JsonDocument::parse(json));
  const auto scheme = document.root().find("scheme");
  const bool named =
      document.root().is_object() && scheme != document.root().end() && scheme->is_string();
  const std::string id = named ? scheme->get<std::string>() : "";
  const bool foreign = find_foreign_scheme(id) != nullptr;
  // Before the members, which would be measured by our own scheme's.
  if (named && !foreign && !id.starts_with("countermark/"))
    return fail(document.error_at("/scheme", ErrorCode::kUnsupported,
                                  "this version does not know the scheme"));
  if (!foreign) {
    COUNTERMARK_TRY(Profile profile, Profile::parse(json));
    return AnyProfile(std::move(profile));
  }
  COUNTERMARK_TRY(ForeignProfile profile, ForeignProfile::parse(json));
  return AnyProfile(std::move(profile));
}

const std::optional<TokenizerReference>& tokenizer_of(const AnyProfile& profile) {
  return std::visit(
      [](const auto& each) -> const auto& { return each.tokenizer(); }, profile);
}

std::string digest_of(const AnyProfile& profile) {
  return std::visit([](const auto& each) { return each.digest(); }, profile);
}

}  // namespace countermark
