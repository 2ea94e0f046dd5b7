// SPDX-License-Identifier: Apache-2.0
// countermark.Tokenizer, and token ids out of what Python calls an array
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>

#include "python/src/bindings.h"
#include "verifier/io/load.h"

namespace countermark::python {
namespace nb = nanobind;
using namespace nb::literals;
namespace {

using Path = std::filesystem::path;
using Unlocked = nb::call_guard<nb::gil_scoped_release>;
using Array = nb::ndarray<nb::ro, nb::ndim<1>, nb::device::cpu>;

[[noreturn]] void not_an_id(std::size_t index, const std::string& found, const char* field) {
  throw Raised(
      Error{ErrorCode::kInvalidArgument,
            "token " + std::to_string(index) + " is " + found + "; ids are from 0 to 4294967295",
            "", field});
}

template <typename T>
std::vector<TokenId> read(const Array& array, const char* field) {
  const auto* data = static_cast<const T*>(array.data());
  const std::int64_t stride = array.stride(0);
  std::vector<TokenId> ids(array.shape(0));
  // All bits above an id's, of neighbours in one go.
  std::uint64_t bits = 0;
  const auto take = [&](auto step) {
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const T id = data[static_cast<std::int64_t>(i) * step];
      bits |= static_cast<std::uint64_t>(id);
      ids[i] = static_cast<TokenId>(id);
    }
  };
  if (stride == 1) {
    take(std::integral_constant<std::int64_t, 1>());
  } else {
    take(stride);
  }
  if (bits >> 32 == 0) return ids;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const T id = data[static_cast<std::int64_t>(i) * stride];
    if (!std::in_range<TokenId>(id)) not_an_id(i, std::to_string(id), field);
  }
  return ids;
}

std::vector<TokenId> read_array(const Array& array, const char* field) {
  const nb::dlpack::dtype type = array.dtype();
  if (type == nb::dtype<std::int32_t>()) return read<std::int32_t>(array, field);
  if (type == nb::dtype<std::int64_t>()) return read<std::int64_t>(array, field);
  if (type == nb::dtype<std::uint32_t>()) return read<std::uint32_t>(array, field);
  if (type == nb::dtype<std::uint64_t>()) return read<std::uint64_t>(array, field);
  throw nb::type_error("token ids are 32- or 64-bit integers");
}

std::vector<TokenId> read_sequence(const nb::sequence& sequence, const char* field) {
  std::vector<TokenId> ids;
  ids.reserve(nb::len(sequence));
  for (const nb::handle item : sequence) {
    // Integers of any kind, and nothing that would have to be rounded.
    const nb::object number = nb::steal(PyNumber_Index(item.ptr()));
    if (!number.is_valid()) throw nb::python_error();
    int overflow = 0;
    const long long id = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
    if (overflow != 0 || !std::in_range<TokenId>(id))
      not_an_id(ids.size(), nb::cast<std::string>(nb::str(number)), field);
    ids.push_back(static_cast<TokenId>(id));
  }
  return ids;
}

nb::object decode(const text::Tokenizer& tokenizer, const nb::object& ids, const char* errors) {
  const std::vector<TokenId> tokens = token_ids(ids, "ids");
  std::string bytes;
  {
    const nb::gil_scoped_release unlocked;
    bytes = value(tokenizer.decode(tokens));
  }
  PyObject* text =
      PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), errors);
  if (text == nullptr) throw nb::python_error();
  return nb::steal(text);
}

std::vector<TokenId> encode(const text::Tokenizer& tokenizer, const nb::str& text) {
  const std::string_view bytes = utf8(text);
  const nb::gil_scoped_release unlocked;
  return value(tokenizer.encode(bytes));
}

SharedTokenizer of_profile(const AnyProfile& profile, const Path& profile_path,
                           const std::optional<Path>& path) {
  return value(io::load_tokenizer_of(tokenizer_of(profile), profile_path.string(),
                                     path ? path->string() : ""));
}

}  // namespace

std::vector<TokenId> token_ids(nb::handle object, const char* field) {
  if (nb::ndarray_check(object)) {
    Array array;
    if (!nb::try_cast(object, array))
      throw nb::type_error("token ids are a one-dimensional array in host memory");
    return read_array(array, field);
  }
  if (PySequence_Check(object.ptr()) == 0 || PyUnicode_Check(object.ptr()) != 0)
    throw nb::type_error("token ids are a sequence of integers or a one-dimensional array");
  return read_sequence(nb::borrow<nb::sequence>(object), field);
}

std::string_view utf8(nb::handle string) {
  Py_ssize_t size = 0;
  const char* bytes = PyUnicode_AsUTF8AndSize(string.ptr(), &size);
  if (bytes == nullptr) throw nb::python_error();
  return {bytes, static_cast<std::size_t>(size)};
}

void bind_tokenizer(nb::module_& m) {
  nb::class_<text::Tokenizer>(m, "Tokenizer", R"(Text to token ids and back, as the model does it.

Reads tokenizer.json, tiktoken's rank files, GGUF vocabularies and SentencePiece models; what it
does not know it refuses. Immutable, safe to share among threads.)")
      .def_static(
          "load",
          [](const Path& path, const std::string& name) -> SharedTokenizer {
            return value(text::load_tokenizer(path.string(), name));
          },
          "path"_a, "name"_a = "", Unlocked(),
          nb::sig("def load(path: str | os.PathLike[str], name: str = '') -> Tokenizer"),
          R"(The tokenizer in a file.

name says how text is cut where the file does not (rank files, some GGUF files); by default it is
the file's own without its extension. Raises Error: "unsupported" with the unknown component,
"invalid-input", "io".)")
      .def_static(
          "of", of_profile, "profile"_a, "profile_path"_a, "path"_a = nb::none(), Unlocked(),
          nb::sig("def of(profile: Profile | ForeignProfile, profile_path: str | os.PathLike[str], "
                  "path: str | os.PathLike[str] | None = None) -> Tokenizer | None"),
          R"(The tokenizer that a profile names: beside the profile, or at path.

None when there is neither. Raises Error "mismatch" when its digest is not the profile's.)")
      .def_prop_ro("vocab_size", &text::Tokenizer::vocab_size,
                   "Number of ids; every id is below it.")
      .def_prop_ro("sha256", &text::Tokenizer::sha256,
                   "Of the tokenizer's file, 64 hex digits: what a profile pins.")
      .def("encode", encode, "text"_a,
           R"(The ids of text, with no token of the tokenizer's own around them.

Special tokens that are spelled out in it are ordinary text. O(n log n), without the GIL.)")
      .def("decode", decode, "ids"_a, "errors"_a = "strict",
           nb::sig("def decode(self, ids: collections.abc.Sequence[int] | typing.Any, "
                   "errors: str = 'strict') -> str"),
           R"(The text of ids: a sequence of integers, or a one-dimensional integer array.

errors is that of bytes.decode, for ids that begin or end inside a character. Raises Error
"mismatch" for an id outside the vocabulary.)")
      .def("__repr__", [](const text::Tokenizer& tokenizer) {
        return "<countermark.Tokenizer " + std::to_string(tokenizer.vocab_size()) +
               " ids, sha256 " + tokenizer.sha256() + ">";
      });
}

}  // namespace countermark::python
