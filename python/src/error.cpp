// SPDX-License-Identifier: Apache-2.0
// Raised becomes countermark.Error, which is written in Python.
#include "python/src/bindings.h"

namespace countermark::python {
namespace nb = nanobind;
namespace {

nb::object or_none(const std::string& text) {
  if (text.empty()) return nb::none();
  // A file's name is bytes to us.
  return nb::steal(
      PyUnicode_DecodeFSDefaultAndSize(text.data(), static_cast<Py_ssize_t>(text.size())));
}

nb::object exception_of(const Raised& raised) {
  const Error& error = raised.error();
  const nb::object offset = error.offset ? nb::int_(*error.offset) : nb::object(nb::none());
  const std::string message = raised.what();
  return nb::module_::import_("countermark.error")
      .attr("Error")(or_none(message), error_code_name(error.code), or_none(error.file),
                     or_none(error.field), offset);
}

void translate(const std::exception_ptr& thrown, void*) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Raised& raised) {
    try {
      const nb::object exception = exception_of(raised);
      PyErr_SetObject(exception.type().ptr(), exception.ptr());
    } catch (nb::python_error& failed) {
      failed.restore();
    }
  }
}

}  // namespace

void bind_error(nb::module_&) { nb::register_exception_translator(translate, nullptr); }

}  // namespace countermark::python
