// SPDX-License-Identifier: Apache-2.0
// What countermark.Detector calls: one answer, one line of JSON
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <string>

#include "python/src/bindings.h"
#include "verifier/detect/report.h"
#include "verifier/io/load.h"

namespace countermark::python {
namespace nb = nanobind;
using namespace nb::literals;
namespace {

// The detector and what it points to.
struct Session {
  SharedTokenizer tokenizer;
  detect::Detector detector;
};

[[noreturn]] void refuse(const char* field, const char* message) {
  throw Raised(Error{ErrorCode::kInvalidArgument, message, "", field});
}

// None claims nothing; an empty name would silently do the same.
std::string name_of(const std::optional<std::string>& name, const char* field) {
  if (name && name->empty()) refuse(field, "expected a name or None");
  return name.value_or("");
}

Session open_session(const Key& key, const Profile& profile, const SharedTokenizer& tokenizer,
                     const std::optional<std::string>& account,
                     std::optional<std::vector<std::string>> accounts,
                     const std::optional<std::string>& cohort, double alpha, std::uint32_t decoys,
                     const nb::bytes& decoy_seed) {
  if (!(alpha >= 1e-300 && alpha <= 0.5)) refuse("alpha", "expected 1e-300 to 0.5");
  if (decoys > 1'000'000) refuse("decoys", "expected 0 to 1000000");
  if (accounts && accounts->empty()) refuse("accounts", "expected at least one account or None");
  if (tokenizer) check(io::check_tokenizer(profile.tokenizer(), *tokenizer));
  detect::Claim claim;
  claim.account = name_of(account, "account");
  claim.cohort = name_of(cohort, "cohort");
  if (accounts) claim.accounts = std::move(*accounts);
  for (const std::string& one : claim.accounts)
    if (one.empty()) refuse("accounts", "expected names that are not empty");
  detect::Policy policy;
  policy.alpha = stats::PValue::from_decimal(alpha);
  const EpochKey epoch = key.epoch();
  std::string seed(decoy_seed.c_str(), decoy_seed.size());
  const nb::gil_scoped_release unlocked;
  return {tokenizer,
          value(detect::Detector::create(epoch, profile, tokenizer.get(), std::move(claim), policy,
                                         decoys, std::move(seed)))};
}

text::Segment segment(const nb::object& words, bool scored, const char* field) {
  if (nb::isinstance<nb::str>(words)) return {std::string(utf8(words)), {}, false, scored};
  return {{}, token_ids(words, field), true, scored};
}

std::string detect_line(const Session& session, const nb::object& answer, const nb::object& prompt,
                        std::string id) {
  text::Document document;
  document.id = std::move(id);
  if (!prompt.is_none()) document.segments.push_back(segment(prompt, false, "prompt"));
  document.segments.push_back(segment(answer, true, "answer"));
  const nb::gil_scoped_release unlocked;
  const detect::Detection detection = value(session.detector.detect(document));
  const detect::Subject subject = session.detector.subject();
  return detect::to_json_line(document, {{&subject, 1}, 0, detection});
}

}  // namespace

void bind_detector(nb::module_& m) {
  nb::class_<Session>(m, "Detector", "See countermark.Detector.")
      .def(nb::new_(&open_session), "key"_a, "profile"_a, "tokenizer"_a.none(), "account"_a.none(),
           "accounts"_a.none(), "cohort"_a.none(), "alpha"_a, "decoys"_a, "decoy_seed"_a)
      .def("detect_line", detect_line, "answer"_a, "prompt"_a.none(), "id"_a,
           "One document as a line of countermark.detect/1.");
}

}  // namespace countermark::python
