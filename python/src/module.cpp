// SPDX-License-Identifier: Apache-2.0
// countermark._countermark: one file a topic. Users import `countermark`.
#include "python/src/bindings.h"
#include "watermark/version.h"

NB_MODULE(_countermark, m) {
  using namespace countermark::python;
  m.doc() = "The compiled part of countermark; import countermark instead.";
  // A server may end while it holds a service and what its log function refers to.
  nanobind::set_leak_warnings(false);
  m.attr("__version__") = nanobind::str(countermark::kVersion.data(), countermark::kVersion.size());
  bind_error(m);
  bind_key(m);
  bind_profile(m);
  bind_foreign(m);
  bind_tokenizer(m);
  bind_detector(m);
  bind_serving(m);
  bind_transcript(m);
}
