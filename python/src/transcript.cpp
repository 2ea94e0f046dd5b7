// SPDX-License-Identifier: Apache-2.0
// countermark.TranscriptWriter, and what countermark.read_transcripts calls
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <filesystem>
#include <string>

#include "python/src/bindings.h"
#include "verifier/text/transcript_writer.h"

namespace countermark::python {
namespace nb = nanobind;
using namespace nb::literals;
namespace {

using Path = std::filesystem::path;
using text::Finish;
using text::Transcript;
using text::TranscriptReader;
using text::TranscriptWriter;

constexpr std::uint64_t kMostOfQueue = std::uint64_t{1} << 40;
constexpr double kMostPatience = 3600;  // seconds

std::optional<Finish> finish_of(const std::optional<std::string>& name) {
  if (!name) return std::nullopt;
  for (const Finish finish : {Finish::kEnd, Finish::kLength, Finish::kAborted})
    if (*name == text::finish_name(finish)) return finish;
  throw Raised(Error{ErrorCode::kInvalidArgument, "expected 'end', 'length', 'aborted' or None", "",
                     "finish"});
}

TranscriptWriter open_writer(const Path& path, std::uint64_t most_bytes, double patience) {
  const auto refuse = [](const char* field, const char* message) {
    throw Raised(Error{ErrorCode::kInvalidArgument, message, "", field});
  };
  if (most_bytes > kMostOfQueue) refuse("most_bytes", "expected 0 to 2^40");
  if (!(patience >= 0 && patience <= kMostPatience)) refuse("patience", "expected 0 to 3600");
  const nb::gil_scoped_release unlocked;
  return value(TranscriptWriter::open(
      path.string(), {static_cast<std::size_t>(most_bytes),
                      std::chrono::milliseconds(static_cast<std::int64_t>(1000 * patience))}));
}

bool write(TranscriptWriter& writer, std::string id, std::string profile, const nb::object& ids,
           std::optional<std::string> answer, const nb::object& prompt_ids,
           std::optional<std::string> prompt_sha256, std::optional<std::string> account,
           std::optional<std::string> cohort, std::optional<std::string> epoch,
           std::optional<std::string> key_id, std::vector<std::uint32_t> slots,
           std::optional<std::uint64_t> marked, const std::optional<std::string>& finish,
           std::optional<double> time) {
  Transcript out;
  out.id = std::move(id);
  constexpr double kMostSeconds = 1e12;  // far beyond the years that are checked
  if (time && !(*time > -kMostSeconds && *time < kMostSeconds))
    throw Raised(Error{ErrorCode::kInvalidArgument, "expected seconds since 1970", "", "time"});
  out.time = time ? text::TranscriptTime(std::chrono::milliseconds(std::llround(1000 * *time)))
                  : std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  out.account = std::move(account);
  out.cohort = std::move(cohort);
  out.epoch = std::move(epoch);
  out.key_id = std::move(key_id);
  out.slots = std::move(slots);
  out.profile = std::move(profile);
  if (!prompt_ids.is_none()) out.prompt_ids = token_ids(prompt_ids, "prompt_ids");
  out.prompt_sha256 = std::move(prompt_sha256);
  out.ids = token_ids(ids, "ids");
  out.text = std::move(answer);
  out.marked = marked;
  out.finish = finish_of(finish);
  return value(writer.write(std::move(out)));
}

nb::dict counters(const TranscriptWriter& writer) {
  const text::TranscriptCounters counted = writer.counters();
  nb::dict out;
  out["written"] = counted.written;
  out["dropped"] = counted.dropped;
  out["failed"] = counted.failed;
  return out;
}

// The next record as the line that it is; none at the end.
std::optional<std::string> next_line(TranscriptReader& reader) {
  const nb::gil_scoped_release unlocked;
  const auto transcript = value(reader.next());
  return transcript ? std::optional(text::to_json_line(*transcript)) : std::nullopt;
}

}  // namespace

void bind_transcript(nb::module_& m) {
  nb::class_<TranscriptReader>(m, "TranscriptReader", "See countermark.read_transcripts.")
      .def(nb::new_([](const Path& path) {
             const nb::gil_scoped_release unlocked;
             return value(TranscriptReader::open(path.string()));
           }),
           "path"_a)
      .def("next_line", next_line, "The next record as JSON; None at the end.");

  nb::class_<TranscriptWriter>(m, "TranscriptWriter",
                               R"(Appends to a file of countermark.transcript/1 while a server runs.

A thread of its own writes: a slow or broken disk costs records, which are counted, and never a
step. A file that is put aside (renamed, removed) is followed by a new one. Safe to share among
threads. With `with`, it is closed at the end.)")
      .def(nb::new_(&open_writer), "path"_a, nb::kw_only(),
           "most_bytes"_a = std::uint64_t{64} << 20, "patience"_a = 5.0,
           R"(Opens the file, made readable by its owner alone, or a pipe that somebody reads.

most_bytes: of the records that wait, about; then further ones are dropped. patience: seconds that
close() waits for a disk that does not answer. Raises Error "io", "permission": the server must not
start.)")
      .def("write", write, nb::kw_only(), "id"_a, "profile"_a, "ids"_a, "text"_a.none(),
           "prompt_ids"_a = nb::none(), "prompt_sha256"_a = nb::none(), "account"_a = nb::none(),
           "cohort"_a = nb::none(), "epoch"_a = nb::none(), "key_id"_a = nb::none(),
           "slots"_a = std::vector<std::uint32_t>{}, "marked"_a = nb::none(),
           "finish"_a = nb::none(), "time"_a = nb::none(),
           nb::sig("def write(self, *, id: str, profile: str, "
                   "ids: collections.abc.Sequence[int] | typing.Any, text: str | None, "
                   "prompt_ids: collections.abc.Sequence[int] | typing.Any | None = None, "
                   "prompt_sha256: str | None = None, account: str | None = None, "
                   "cohort: str | None = None, epoch: str | None = None, "
                   "key_id: str | None = None, slots: collections.abc.Sequence[int] = (), "
                   "marked: int | None = None, finish: str | None = None, "
                   "time: float | None = None) -> bool"),
           R"(Queues the record of one answer; False when it was dropped. Never waits for the file.

profile: the profile's digest. epoch, key_id, slots: the response's. prompt_ids, or prompt_sha256 (of
countermark.prompt_sha256) where prompts are not kept: one of the two. text: None where only ids are
at hand. marked: number of marked draws. finish: "end", "length", "aborted"; None where nobody knew.
time: seconds since 1970; None is now. Raises Error "invalid-argument" with the field.)")
      .def(
          "counters", counters, nb::sig("def counters(self) -> dict[str, int]"),
          R"(Records "written" (handed to the operating system), "dropped" (no room), "failed" (refused by the disk).)")
      .def("close", &TranscriptWriter::close, nb::call_guard<nb::gil_scoped_release>(),
           "Writes what waits, or gives up after the patience. Further records are dropped.")
      .def(
          "__enter__", [](nb::handle self) { return nb::borrow(self); },
          nb::sig("def __enter__(self) -> TranscriptWriter"))
      .def(
          "__exit__",
          [](TranscriptWriter& writer, const nb::args&) {
            const nb::gil_scoped_release unlocked;
            writer.close();
          },
          nb::sig("def __exit__(self, *unused: object) -> None"));

  m.def(
      "prompt_sha256",
      [](const nb::object& ids) { return text::prompt_sha256(token_ids(ids, "ids")); }, "ids"_a,
      nb::sig("def prompt_sha256(ids: collections.abc.Sequence[int] | typing.Any) -> str"),
      "The digest that stands for a prompt: SHA-256 of its ids, four bytes each, little-endian.");
}

}  // namespace countermark::python
