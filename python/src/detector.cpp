// SPDX-License-Identifier: Apache-2.0
// What countermark.Detector and Panel call: one answer, one line of JSON a test
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <string>
#include <tuple>
#include <variant>

#include "python/src/bindings.h"
#include "verifier/detect/panel.h"
#include "verifier/detect/report.h"
#include "verifier/io/load.h"

namespace countermark::python {
namespace nb = nanobind;
using namespace nb::literals;
namespace {

using EitherKey = std::variant<Key, ForeignKey>;
// One test: a text is looked at under a key and a profile, by its tokenizer or, without one, in
// ids.
using Test = std::tuple<EitherKey, AnyProfile, SharedTokenizer>;

[[noreturn]] void refuse(const char* field, const char* message) {
  throw Raised(Error{ErrorCode::kInvalidArgument, message, "", field});
}

// None claims nothing; an empty name would silently do the same.
std::string name_of(const std::optional<std::string>& name, const char* field) {
  if (name && name->empty()) refuse(field, "expected a name or None");
  return name.value_or("");
}

// What is asked of every test.
struct Question {
  detect::Claim claim;
  detect::Policy policy;
  std::uint32_t decoys;
  std::string decoy_seed;
  bool as_published;
};

detect::AnyDetector make_detector(const Test& test, const Question& asked) {
  const auto& [key, profile, tokenizer] = test;
  if (tokenizer) check(io::check_tokenizer(tokenizer_of(profile), *tokenizer));
  if (const auto* ours = std::get_if<Profile>(&profile)) {
    if (!std::holds_alternative<Key>(key))
      throw Raised(Error{ErrorCode::kKey, "countermark/1 takes an epoch key of its own"});
    return value(detect::Detector::create(std::get<Key>(key).epoch(), *ours, tokenizer.get(),
                                          asked.claim, asked.policy, asked.decoys,
                                          asked.decoy_seed));
  }
  const auto& foreign = std::get<ForeignProfile>(profile);
  const std::string scheme(foreign.scheme().id);
  if (!std::holds_alternative<ForeignKey>(key))
    throw Raised(Error{ErrorCode::kKey, scheme + " takes a ForeignKey"});
  const detect::Claim& claim = asked.claim;
  if (!claim.account.empty() || !claim.cohort.empty() || !claim.accounts.empty())
    throw Raised(Error{ErrorCode::kInvalidArgument,
                       scheme + " has no accounts: leave out account, accounts and cohort"});
  return value(detect::ForeignDetector::create(std::get<ForeignKey>(key), foreign, asked.policy,
                                               asked.decoys, asked.decoy_seed, asked.as_published));
}

detect::Panel open_panel(const std::vector<Test>& tests, const std::optional<std::string>& account,
                         std::optional<std::vector<std::string>> accounts,
                         const std::optional<std::string>& cohort, double alpha,
                         std::uint32_t decoys, const nb::bytes& decoy_seed, bool as_published) {
  if (tests.empty()) refuse("tests", "expected at least one");
  if (!(alpha >= 1e-300 && alpha <= 0.5)) refuse("alpha", "expected 1e-300 to 0.5");
  if (decoys > 1'000'000) refuse("decoys", "expected 0 to 1000000");
  if (accounts && accounts->empty()) refuse("accounts", "expected at least one account or None");
  Question asked;
  asked.claim.account = name_of(account, "account");
  asked.claim.cohort = name_of(cohort, "cohort");
  if (accounts) asked.claim.accounts = std::move(*accounts);
  for (const std::string& one : asked.claim.accounts)
    if (one.empty()) refuse("accounts", "expected names that are not empty");
  asked.policy.alpha = stats::PValue::from_decimal(alpha);
  asked.policy.tests = tests.size();
  asked.decoys = decoys;
  asked.as_published = as_published;
  asked.decoy_seed.assign(decoy_seed.c_str(), decoy_seed.size());
  const nb::gil_scoped_release unlocked;
  std::vector<detect::Panel::Test> made;
  for (const Test& test : tests)
    made.push_back({make_detector(test, asked), std::get<SharedTokenizer>(test)});
  return detect::Panel(std::move(made));
}

text::Segment segment(const nb::object& words, bool scored, const char* field) {
  if (nb::isinstance<nb::str>(words)) return {std::string(utf8(words)), {}, false, scored};
  return {{}, token_ids(words, field), true, scored};
}

std::vector<std::string> detect_lines(const detect::Panel& panel, const nb::object& answer,
                                      const nb::object& prompt, std::string id) {
  text::Document document;
  document.id = std::move(id);
  if (!prompt.is_none()) document.segments.push_back(segment(prompt, false, "prompt"));
  document.segments.push_back(segment(answer, true, "answer"));
  const nb::gil_scoped_release unlocked;
  const std::vector<detect::Detection> detections = value(panel.detect(document));
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < detections.size(); ++i)
    lines.push_back(detect::to_json_line(document, {panel.subjects(), i, detections[i]}));
  return lines;
}

}  // namespace

void bind_detector(nb::module_& m) {
  nb::class_<detect::Panel>(m, "Panel", "See countermark.Panel.")
      .def(nb::new_(&open_panel), "tests"_a, "account"_a.none(), "accounts"_a.none(),
           "cohort"_a.none(), "alpha"_a, "decoys"_a, "decoy_seed"_a, "as_published"_a)
      .def("detect_lines", detect_lines, "answer"_a, "prompt"_a.none(), "id"_a,
           "One document as lines of countermark.detect/1, one a test.");
}

}  // namespace countermark::python
