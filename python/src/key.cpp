// SPDX-License-Identifier: Apache-2.0
// countermark.Key
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <filesystem>

#include "python/src/bindings.h"
#include "verifier/io/file.h"
#include "verifier/io/load.h"
#include "watermark/prf/secret.h"

namespace countermark::python {
namespace nb = nanobind;
using namespace nb::literals;
namespace {

using Path = std::filesystem::path;
using Unlocked = nb::call_guard<nb::gil_scoped_release>;

void save(const Key& key, const Path& path) {
  std::string text = io::key_file(key.any);
  Status written = io::write_file(path.string(), text, io::Replace::kNever, 0600);
  wipe(text);
  check(std::move(written));
}

// What an epoch key says of itself; None of a master key.
template <typename T>
std::optional<std::string> of_epoch(const Key& key, T get) {
  const auto* epoch = std::get_if<EpochKey>(&key.any);
  if (epoch == nullptr) return std::nullopt;
  return std::string((epoch->*get)());
}

std::string repr(const Key& key) {
  const auto* epoch = std::get_if<EpochKey>(&key.any);
  if (epoch == nullptr) return "<countermark.Key master>";
  return "<countermark.Key " + epoch->key_id() + ", model " + epoch->model_id() + ", epoch " +
         epoch->epoch_id() + ">";
}

}  // namespace

EpochKey Key::epoch() const { return value(io::epoch_key(any)); }

void bind_key(nb::module_& m) {
  nb::class_<Key>(m, "Key", R"(A secret: a master key, or the epoch key of one model and period.

A master key stays offline; servers and verifiers hold epoch keys. Immutable, safe to share among
threads, wiped when it goes. It never prints its secret and cannot be pickled or copied.)")
      .def_static(
          "load", [](const Path& path) { return Key{value(io::load_key(path.string()))}; },
          "path"_a, Unlocked(), nb::sig("def load(path: str | os.PathLike[str]) -> Key"),
          R"(The key in a file.

Raises Error: "permission" when group or others can read a regular file (chmod 600), "key" when it
is malformed, "io". A pipe is taken as it is; "-" is standard input.)")
      .def_static(
          "parse", [](std::string_view text) { return Key{value(parse_key(text))}; }, "text"_a,
          R"(The key in a key file's text, "CM-SECRET-KEY-1…" with or without comments.

The string stays in Python's memory: prefer load. Raises Error "key" with the byte offset.)")
      .def_static(
          "generate", [] { return Key{MasterKey::generate()}; },
          "A new master key, 32 bytes of the operating system's generator.")
      .def(
          "epoch",
          [](const Key& key, std::string_view model, std::string_view epoch) {
            return Key{value(value(io::master_key(key.any)).epoch(model, epoch))};
          },
          "model"_a, "epoch"_a, R"(The key of one model and epoch, derived from this master key.

Both ids are 1 to 255 bytes of UTF-8. Raises Error: "invalid-argument", or "key" for an epoch key.)")
      .def("save", save, "path"_a, Unlocked(),
           nb::sig("def save(self, path: str | os.PathLike[str]) -> None"),
           R"(Writes a key file, readable by you alone (0600).

Whole or not at all, and never over what is there: Error "exists".)")
      .def_prop_ro(
          "kind", [](const Key& key) { return key.any.index() == 0 ? "master" : "epoch"; },
          R"("master" or "epoch".)")
      .def_prop_ro(
          "key_id", [](const Key& key) { return of_epoch(key, &EpochKey::key_id); },
          "Public name of an epoch key: 16 hex digits. None of a master key.")
      .def_prop_ro(
          "model_id", [](const Key& key) { return of_epoch(key, &EpochKey::model_id); },
          "Model of an epoch key. None of a master key.")
      .def_prop_ro(
          "epoch_id", [](const Key& key) { return of_epoch(key, &EpochKey::epoch_id); },
          "Epoch of an epoch key. None of a master key.")
      .def("__repr__", repr)
      .def(
          "__reduce__",
          [](const Key&) {
            throw nb::type_error("a key is not copied or pickled; load it where it is needed");
          },
          nb::sig("def __reduce__(self) -> typing.NoReturn"));
}

}  // namespace countermark::python
