// SPDX-License-Identifier: Apache-2.0
// countermark.ForeignProfile, ForeignKey and ForeignMark: other systems' marks
#include <nanobind/operators.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <filesystem>
#include <string>

#include "python/src/bindings.h"
#include "verifier/detect/foreign_tape.h"
#include "verifier/io/load.h"
#include "watermark/marks/foreign_mark.h"

namespace countermark::python {
namespace nb = nanobind;
using namespace nb::literals;
namespace {

using Path = std::filesystem::path;
using Unlocked = nb::call_guard<nb::gil_scoped_release>;

template <typename T>
using Column = nb::ndarray<nb::numpy, T, nb::ndim<1>>;

// What a text's tuples score under a mark.
struct TextScores {
  unsigned width;
  std::vector<TokenId> contexts;
  std::vector<TokenId> tokens;
  std::vector<std::uint64_t> positions;
  std::vector<std::uint64_t> scores;
};

// Read-only, and kept alive by the object that it is a property of.
template <typename T>
Column<const T> column(const std::vector<T>& values) {
  return Column<const T>(values.data(), {values.size()});
}

TextScores score_text(const ForeignMark& mark, const nb::object& ids, const nb::object& prompt) {
  detect::TokenText text;
  if (!prompt.is_none()) text.push_back({token_ids(prompt, "prompt"), false});
  text.push_back({token_ids(ids, "ids"), true});
  const nb::gil_scoped_release unlocked;
  const detect::ForeignTuples tuples = value(detect::collect(mark.profile(), text));
  detect::ForeignScores found = detect::score(mark, tuples);
  TextScores out{tuples.width, {}, {}, {}, std::move(found.scores)};
  for (const std::uint32_t i : found.tuples) {
    const auto context = tuples.contexts.begin() + std::ptrdiff_t{i} * tuples.width;
    out.contexts.insert(out.contexts.end(), context, context + tuples.width);
    out.tokens.push_back(tuples.tokens[i]);
    out.positions.push_back(tuples.positions[i]);
  }
  return out;
}

Column<std::uint64_t> raw_values(const ForeignMark& mark, const nb::object& contexts,
                                 const nb::object& tokens, unsigned key) {
  // Rows one after the other are what the scheme reads.
  const bool is_matrix = nb::ndarray_check(contexts) && nb::cast<int>(contexts.attr("ndim")) == 2;
  const std::vector<TokenId> before =
      token_ids(is_matrix ? contexts.attr("reshape")(-1) : contexts, "contexts");
  const std::vector<TokenId> ids = token_ids(tokens, "tokens");
  const auto refuse = [](const char* field, std::string message) {
    throw Raised(Error{ErrorCode::kInvalidArgument, std::move(message), "", field});
  };
  if (before.size() != ids.size() * mark.context_tokens())
    refuse("contexts", "expected " + std::to_string(mark.context_tokens()) +
                           " ids for each of the " + std::to_string(ids.size()) + " tokens");
  if (key >= mark.keys()) refuse("key", "the mark has " + std::to_string(mark.keys()));
  std::vector<std::uint64_t> out(ids.size());
  {
    const nb::gil_scoped_release unlocked;
    std::vector<PrfInput> inputs(ids.size());
    mark.inputs(key, before, ids, inputs);
    mark.raw_values(key, inputs, out);
  }
  auto* kept = new std::vector<std::uint64_t>(std::move(out));
  const nb::capsule owner(
      kept, [](void* p) noexcept { delete static_cast<std::vector<std::uint64_t>*>(p); });
  return Column<std::uint64_t>(kept->data(), {kept->size()}, owner);
}

std::string repr(const ForeignKey& key) {
  return std::string("<countermark.ForeignKey ") + key_form_name(key.form()) +
         (key.name().empty() ? "" : ", " + key.name()) + ">";
}

void bind_profile_and_key(nb::module_& m) {
  nb::class_<ForeignProfile>(m, "ForeignProfile",
                             R"(The public parameters of another system's mark.

Fields that its JSON leaves out have that system's defaults. Holds no secret. Immutable.)")
      .def_static(
          "load",
          [](const Path& path) {
            const AnyProfile profile = value(io::load_any_profile(path.string()));
            if (const auto* foreign = std::get_if<ForeignProfile>(&profile)) return *foreign;
            throw Raised(Error{ErrorCode::kUnsupported,
                               "this is a profile of our own mark: countermark.Profile loads it",
                               path.string(), "scheme"});
          },
          "path"_a, Unlocked(), nb::sig("def load(path: str | os.PathLike[str]) -> ForeignProfile"),
          R"(The profile in a file. Raises Error with file and field.)")
      .def_static(
          "parse", [](std::string_view json) { return value(ForeignProfile::parse(json)); },
          "json"_a,
          R"(The profile in JSON text. Raises Error: "invalid-input", "unsupported", with the field.)")
      .def_prop_ro(
          "scheme", [](const ForeignProfile& profile) { return profile.scheme().id; },
          R"(Whose mark and which version, such as "hf-kgw/1".)")
      .def_prop_ro("context_tokens", &ForeignProfile::context_tokens,
                   "Tokens before the scored one that decide.")
      .def_prop_ro("tokenizer", &ForeignProfile::tokenizer,
                   "What the profile says of its tokenizer; None: only token ids are accepted.")
      .def_prop_ro("digest", &ForeignProfile::digest,
                   "SHA-256 of to_json(): 64 hex digits, the same through every door.")
      .def("to_json", &ForeignProfile::canonical_json,
           "One line of JSON with every field of the scheme, keys sorted, no spaces.")
      .def(nb::self == nb::self, nb::sig("def __eq__(self, arg: object, /) -> bool"))
      .def("__hash__",
           [](const ForeignProfile& profile) { return std::hash<std::string>()(profile.digest()); })
      .def("__repr__", [](const ForeignProfile& profile) {
        return "<countermark.ForeignProfile " + std::string(profile.scheme().id) + ", " +
               profile.digest() + ">";
      });

  nb::class_<ForeignKey>(m, "ForeignKey", R"(A secret key of another system's mark.

Immutable, safe to share among threads, wiped when it goes. It never prints its secret and cannot
be pickled or copied.)")
      .def_static(
          "load",
          [](const Path& path) {
            const io::DetectionKey key = value(io::load_detection_key(path.string()));
            if (const auto* foreign = std::get_if<ForeignKey>(&key)) return *foreign;
            throw Raised(Error{ErrorCode::kKey,
                               "this is a key of our own mark: countermark.Key loads it",
                               path.string()});
          },
          "path"_a, Unlocked(), nb::sig("def load(path: str | os.PathLike[str]) -> ForeignKey"),
          R"(The key in a file.

Raises Error: "permission" when group or others can read a regular file (chmod 600), "key" when it
is malformed, "io". A pipe is taken as it is; "-" is standard input.)")
      .def_static(
          "parse", [](std::string_view text) { return value(ForeignKey::parse(text)); }, "text"_a,
          R"(The key in a key file's text: "int:42", "ints:654,400,836", "hex:0123…", "text:…".

The string stays in Python's memory: prefer load. Raises Error "key" with the byte offset.)")
      .def_prop_ro(
          "form", [](const ForeignKey& key) { return key_form_name(key.form()); },
          R"("int", "ints", "hex" or "text".)")
      .def_prop_ro(
          "name", [](const ForeignKey& key) { return key.name(); },
          R"(The public name that "#id:" gives it in its file; "" without one.)")
      .def("__repr__", repr)
      .def(
          "__reduce__",
          [](const ForeignKey&) {
            throw nb::type_error("a key is not copied or pickled; load it where it is needed");
          },
          nb::sig("def __reduce__(self) -> typing.NoReturn"));
}

}  // namespace

void bind_foreign(nb::module_& m) {
  bind_profile_and_key(m);

  nb::class_<TextScores>(m, "ForeignScores", R"(What each tuple of a text scores: arrays of numpy.

Those tuples alone that a detector counts: a row each, in the order of the text.)")
      .def_prop_ro(
          "contexts",
          [](const TextScores& text) {
            return nb::ndarray<nb::numpy, const TokenId, nb::ndim<2>>(
                text.contexts.data(), {text.tokens.size(), text.width});
          },
          "ids[n, context_tokens], oldest first.")
      .def_prop_ro(
          "tokens", [](const TextScores& text) { return column(text.tokens); }, "ids[n].")
      .def_prop_ro(
          "positions", [](const TextScores& text) { return column(text.positions); },
          "Of the tokens in the text, from 0.")
      .def_prop_ro(
          "scores", [](const TextScores& text) { return column(text.scores); },
          R"(Integers in the unit of the scheme's statistic.

Gumbel schemes: 2^-20 of -ln(1 - u), rounded down (of two keys: weighted by their shares); green
lists: 1 or 0; SynthID: the number of ones among the g values.)");

  nb::class_<ForeignMark>(m, "ForeignMark", R"(Another system's mark under one key.

Raises Error "key" when the scheme does not take such a key, "mismatch" when it does not fit the
profile. Immutable, safe to share among threads; the arrays that it returns are numpy's, which must
be installed.)")
      .def(nb::new_([](const ForeignProfile& profile, const ForeignKey& key) {
             return value(ForeignMark::create(profile, key));
           }),
           "profile"_a, "key"_a)
      .def_prop_ro("profile", &ForeignMark::profile, "Its profile.")
      .def_prop_ro("keys", &ForeignMark::keys,
                   "Keys that a token may have been drawn under without the text telling: 1 or 2.")
      .def("raw_values", raw_values, "contexts"_a, "tokens"_a, "key"_a = 0U,
           nb::sig("def raw_values(self, contexts: collections.abc.Sequence[int] | typing.Any, "
                   "tokens: collections.abc.Sequence[int] | typing.Any, key: int = 0) -> "
                   "numpy.typing.NDArray[numpy.uint64]"),
           R"(The scheme's own value of each tuple: array[n] of 64-bit integers.

contexts: ids[n, profile.context_tokens], oldest first, or the same one after the other; what stands
before a text is the scheme's own padding (vLLM's -1 is 4294967295). tokens: ids[n]. key: 0 or 1,
below keys.

Gumbel schemes: the integer that the uniform is made of (vLLM: the upper 24 bits of a word; SGLang:
the hash; TextSeal: r of r / 8191); green lists: 1 for green; SynthID: the g values, bit d of depth
d. O(n), without the GIL. Raises Error "invalid-argument".)")
      .def("scores", score_text, "ids"_a, "prompt"_a = nb::none(),
           nb::sig("def scores(self, ids: collections.abc.Sequence[int] | typing.Any, "
                   "prompt: collections.abc.Sequence[int] | typing.Any | None = None) -> "
                   "ForeignScores"),
           R"(The tuples that a detector counts in a text, and their scores.

ids: ids[tokens] of one answer. prompt: what the author was shown. Raises Error "mismatch" for ids
outside the profile's vocabulary. O(tokens), without the GIL.)")
      .def("__repr__", [](const ForeignMark& mark) {
        return "<countermark.ForeignMark " + std::string(mark.scheme().id) + ">";
      });

  m.def(
      "load_any_profile",
      [](const Path& path) { return value(io::load_any_profile(path.string())); }, "path"_a,
      Unlocked(),
      nb::sig("def load_any_profile(path: str | os.PathLike[str]) -> Profile | ForeignProfile"),
      "The profile in a file, whosever mark it is.");
  m.def(
      "load_any_key",
      [](const Path& path) -> std::variant<Key, ForeignKey> {
        io::DetectionKey key = value(io::load_detection_key(path.string()));
        if (auto* foreign = std::get_if<ForeignKey>(&key)) return std::move(*foreign);
        return Key{std::get<EpochKey>(std::move(key))};
      },
      "path"_a, Unlocked(),
      nb::sig("def load_any_key(path: str | os.PathLike[str]) -> Key | ForeignKey"),
      "The key in a file that text can be verified under, whosever mark it is of.");
}

}  // namespace countermark::python
