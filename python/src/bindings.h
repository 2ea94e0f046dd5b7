// SPDX-License-Identifier: Apache-2.0
// What the topics of the Python module share. Conversions and argument checks live here; what is
// computed lives in watermark/ and verifier/.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include "verifier/text/tokenizer.h"
#include "watermark/error.h"
#include "watermark/key.h"
#include "watermark/profile.h"

namespace countermark::python {

// A Result's error on its way to Python, where it is a countermark.Error.
class Raised : public std::exception {
 public:
  explicit Raised(Error error) : error_(std::move(error)), message_(error_.describe()) {}
  const Error& error() const noexcept { return error_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  Error error_;
  std::string message_;
};

// The value of a result, or its error as an exception. May be called without the GIL.
template <typename T>
T value(Result<T> result) {
  if (!result) throw Raised(std::move(result).error());
  return std::move(*result);
}
inline void check(Status status) {
  if (!status) throw Raised(std::move(status).error());
}

// countermark.Key: a master or an epoch key, which Python never sees the secret of.
struct Key {
  AnyKey any;

  // The epoch key; countermark.Error (key) for a master key.
  EpochKey epoch() const;
};

// countermark.Tokenizer.
using SharedTokenizer = std::shared_ptr<const text::Tokenizer>;

// Token ids out of a one-dimensional array of 32- or 64-bit integers in host memory (numpy, torch,
// anything with DLPack or a buffer), which is read in place, or out of any other sequence of
// integers. TypeError for other things; invalid-argument names the first index whose value is no
// id, and `field`.
std::vector<TokenId> token_ids(nanobind::handle object, const char* field);

// Text of a Python string. UnicodeEncodeError (a ValueError) for a lone surrogate.
std::string_view utf8(nanobind::handle string);

void bind_error(nanobind::module_& m);
void bind_key(nanobind::module_& m);
void bind_profile(nanobind::module_& m);
void bind_tokenizer(nanobind::module_& m);
void bind_detector(nanobind::module_& m);
void bind_foreign(nanobind::module_& m);
void bind_serving(nanobind::module_& m);
void bind_transcript(nanobind::module_& m);

}  // namespace countermark::python
