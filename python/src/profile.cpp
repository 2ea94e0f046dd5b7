// SPDX-License-Identifier: Apache-2.0
// countermark.Profile, Layer, TokenizerReference
#include <nanobind/operators.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <filesystem>

#include "python/src/bindings.h"
#include "verifier/io/load.h"

namespace countermark::python {
namespace nb = nanobind;
using namespace nb::literals;

void bind_profile(nb::module_& m) {
  using Path = std::filesystem::path;
  nb::class_<Layer>(m, "Layer", "Whose randomness some positions carry.")
      .def_prop_ro(
          "name", [](const Layer& layer) { return layer_name(layer.kind); },
          R"("shared", "cohort" or "account".)")
      .def_ro("width", &Layer::width, "Tokens of context that select the randomness.")
      .def_ro("share", &Layer::share, "Of all marked positions, in 65,536ths.")
      .def_ro("slots", &Layer::slots, "Number of independent streams of an identity.")
      .def("__repr__", [](const Layer& layer) {
        return "<countermark.Layer " + std::string(layer_name(layer.kind)) + ", width " +
               std::to_string(layer.width) + ", share " + std::to_string(layer.share) +
               "/65536, slots " + std::to_string(layer.slots) + ">";
      });

  nb::class_<TokenizerReference>(m, "TokenizerReference", "Which tokenizer counts the tokens.")
      .def_ro("name", &TokenizerReference::name, "Says how text is cut, where the file does not.")
      .def_ro("sha256", &TokenizerReference::sha256, "Of the tokenizer's file: 64 hex digits.")
      .def_ro("file", &TokenizerReference::file, "Relative to the profile; may be empty.")
      .def("__repr__", [](const TokenizerReference& reference) {
        return "<countermark.TokenizerReference " + reference.name + ", sha256 " +
               reference.sha256 + ">";
      });

  nb::class_<Profile>(m, "Profile", R"(The public parameters of a mark: layers, and a tokenizer.

Holds no secret. Immutable.)")
      .def_static("defaults", &Profile::defaults,
                  "The layers that the specification starts with, and no tokenizer.")
      .def_static(
          "load", [](const Path& path) { return value(io::load_profile(path.string())); }, "path"_a,
          nb::call_guard<nb::gil_scoped_release>(),
          nb::sig("def load(path: str | os.PathLike[str]) -> Profile"),
          R"(The profile in a file. Raises Error with file and field.)")
      .def_static(
          "parse", [](std::string_view json) { return value(Profile::parse(json)); }, "json"_a,
          R"(The profile in JSON text. Raises Error: "invalid-input", "unsupported", with the field.)")
      .def_prop_ro(
          "scheme", [](const Profile&) { return Profile::kScheme; }, "\"countermark/1\".")
      .def_prop_ro("layers", &Profile::layers, "The layers in ascending width.")
      .def_prop_ro("tokenizer", &Profile::tokenizer,
                   "What the profile says of its tokenizer; None: only token ids are accepted.")
      .def_prop_ro("digest", &Profile::digest,
                   "SHA-256 of to_json(): 64 hex digits, the same through every door.")
      .def("to_json", &Profile::canonical_json, "One line of JSON, keys sorted, no spaces.")
      .def(nb::self == nb::self, nb::sig("def __eq__(self, arg: object, /) -> bool"))
      .def("__hash__",
           [](const Profile& profile) { return std::hash<std::string>()(profile.digest()); })
      .def("__repr__",
           [](const Profile& profile) { return "<countermark.Profile " + profile.digest() + ">"; });
}

}  // namespace countermark::python
