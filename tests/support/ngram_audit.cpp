// SPDX-License-Identifier: Apache-2.0
#include "tests/support/ngram_audit.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>

#include "tests/support/foreign.h"

namespace countermark::tests {
namespace {

// The value of a result, or the end of the test with its error.
template <typename T>
T must(Result<T> result) {
  if (result) return *std::move(result);
  throw std::runtime_error(result.error().describe());
}

std::string foreign(const char* scheme, unsigned width, const std::string& more = "") {
  return R"({"scheme":")" + std::string(scheme) + R"(","contextWidth":)" + std::to_string(width) +
         more + "}";
}

}  // namespace

Scheme native_scheme(unsigned width) {
  return {"native, width " + std::to_string(width), one_layer(width).canonical_json(), ""};
}

Scheme account_scheme(unsigned width) {
  return {"native account, width " + std::to_string(width),
          one_layer(width, LayerKind::kAccount).canonical_json(), "alice"};
}

Scheme green_scheme(unsigned width) {
  return {"green, width " + std::to_string(width),
          foreign("vllm-sbw/1", width, R"(,"gamma":"1/4","delta":3,"prf":"lefthash")"), ""};
}

Scheme tournament_scheme(unsigned width) {
  return {"tournament, width " + std::to_string(width), foreign("vllm-synthid/1", width), ""};
}

std::variant<Marker::Native, Marker::Foreign> Marker::create(const Scheme& scheme,
                                                             SplitMix64& random) {
  AnyProfile profile = must(parse_profile(scheme.profile));
  if (const auto* native = std::get_if<Profile>(&profile)) {
    EpochKey key = random.epoch_key();
    NativeMark mark = make_mark(key, *native);
    return Native{std::move(key), std::move(mark), scheme.account};
  }
  const auto& of_others = std::get<ForeignProfile>(profile);
  ForeignKey key = random_foreign_key(of_others, random);
  SharedForeignMark mark = must(ForeignMark::create(of_others, key));
  return Foreign{std::move(key), std::move(mark)};
}

Marker::Marker(const Scheme& scheme, SplitMix64& random) : mark_(create(scheme, random)) {}

Text Marker::write(Author& author, SplitMix64& random, TokenSpan prompt, std::size_t tokens) const {
  if (const auto* native = std::get_if<Native>(&mark_))
    return author.marked(native->mark, {"", native->account}, random, prompt, tokens);
  return author.marked(std::get<Foreign>(mark_).mark, random, prompt, tokens);
}

namespace {

// Of the one layer of the profile. Tuples of one context stand together, or take longer.
std::vector<double> native_scores(const NativeMark& mark, const Tag& tag, TokenSpan contexts,
                                  TokenSpan tokens) {
  const std::size_t width = mark.layers().front().width;
  const auto context = [&](std::size_t i) { return contexts.subspan(i * width, width); };
  std::vector<double> out;
  std::vector<std::uint32_t> words;
  for (std::size_t i = 0; i < tokens.size();) {
    std::size_t end = i + 1;
    while (end < tokens.size() && std::ranges::equal(context(end), context(i))) ++end;
    words.resize(end - i);
    mark.words(mark.route(context(i)).value(), tag, tokens.subspan(i, end - i), words);
    for (const std::uint32_t word : words)
      out.push_back(std::ldexp(exponential_score(word), -static_cast<int>(kScoreFractionBits)));
    i = end;
  }
  return out;
}

}  // namespace

std::vector<double> Marker::scores(TokenSpan contexts, TokenSpan tokens) const {
  if (const auto* native = std::get_if<Native>(&mark_))
    return native_scores(native->mark, native->mark.tag(0, native->account, 0), contexts, tokens);
  const ForeignMark& mark = *std::get<Foreign>(mark_).mark;
  std::vector<PrfInput> inputs(tokens.size());
  std::vector<std::uint64_t> raw(tokens.size());
  std::vector<std::uint32_t> units(tokens.size());
  mark.inputs(0, contexts, tokens, inputs);
  mark.raw_values(0, inputs, raw);
  countermark::scores(mark, raw, units);
  return {units.begin(), units.end()};
}

scan::Tests Marker::tests(const std::vector<text::Document>& shown) const {
  auto text = std::make_shared<detect::TokenText>();
  for (const text::Document& each : shown)
    for (const text::Segment& segment : each.segments) text->push_back({segment.ids, false, {}});
  scan::Tests out;
  if (const auto* native = std::get_if<Native>(&mark_)) {
    detect::Claim claim;
    claim.account = native->account;
    out.add(must(scan::make_test(native->key, native->mark.profile(), claim, {}, text)), nullptr);
  } else {
    const auto& [key, mark] = std::get<Foreign>(mark_);
    out.add(must(scan::make_test(key, mark->profile(), {}, text)), nullptr);
  }
  return out;
}

text::Transcript Marker::transcript(const Answer& answer, std::size_t number) const {
  text::Transcript out;
  out.id = std::to_string(number);
  out.profile = std::string(64, '0');
  out.prompt_ids = answer.prompt;
  out.ids = answer.said;
  if (const auto* native = std::get_if<Native>(&mark_)) {
    out.profile = native->mark.profile().digest();
    out.key_id = native->mark.key_id();
    out.epoch = native->mark.epoch_id();
    out.slots = {0};
    if (!native->account.empty()) out.account = native->account;
  }
  return out;
}

std::string Marker::account() const {
  const auto* native = std::get_if<Native>(&mark_);
  return native == nullptr ? "" : native->account;
}

std::string Auditor::put(std::string_view name, const std::string& bytes) const {
  std::string path = folder_.path() + "/" + std::string(name);
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  return path;
}

std::string Auditor::put_log(const Marker& marker, std::span<const Answer> log) const {
  std::string lines;
  for (const Answer& answer : log)
    lines += text::to_json_line(marker.transcript(answer, lines.size()));
  return put("log.jsonl", lines);
}

// As a server that is not ours would log them: the ids, under no key.
std::string Auditor::put_answers(std::span<const Answer> answers, bool has_prompts) const {
  std::string lines;
  for (const Answer& answer : answers) {
    text::Transcript line;
    line.id = std::to_string(lines.size());
    line.profile = std::string(64, '0');
    line.prompt_ids = has_prompts ? answer.prompt : Text{};
    line.ids = answer.said;
    lines += text::to_json_line(line);
  }
  return put("answers.jsonl", lines);
}

audit::Audit Auditor::run(const Marker& marker, audit::Inputs inputs) const {
  audit::AuditOptions options;
  options.inputs = std::move(inputs);
  options.inputs.reader.ids_field = "ids";
  options.account = marker.account();
  options.tuples.decoys = decoys_;
  options.load = [&marker](stats::PValue /*alpha*/, const std::vector<text::Document>& shown) {
    return Result<scan::Tests>(marker.tests(shown));
  };
  return must(audit::audit(options));
}

namespace {

audit::TupleFinding finding_of(audit::Audit audit, audit::TestKind kind) {
  for (audit::TupleTest& test : audit.tuples)
    if (test.kind == kind) return std::move(test.finding);
  throw std::runtime_error(std::string("no test of the kind ") + audit::kind_name(kind));
}

}  // namespace

audit::TupleFinding Auditor::open(const Marker& marker, std::span<const Text> read,
                                  const Predict& suspect) {
  audit::Inputs inputs;
  inputs.predictions = put("predictions.safetensors", predictions_file(read, suspect, 1));
  return finding_of(run(marker, std::move(inputs)), audit::TestKind::kUnsupervisedOpen);
}

audit::MassFinding Auditor::mass(const Marker& marker, std::span<const Text> read,
                                 const Predict& suspect) {
  audit::Inputs inputs;
  inputs.predictions = put("predictions.safetensors", predictions_file(read, suspect, 10));
  return run(marker, std::move(inputs)).mass.value().finding;
}

audit::TupleFinding Auditor::marked_open(const Marker& marker, std::span<const Text> read,
                                         const Predict& suspect) {
  audit::Inputs inputs;
  inputs.marked_predictions = put("predictions.safetensors", predictions_file(read, suspect, 1));
  return finding_of(run(marker, std::move(inputs)), audit::TestKind::kMarkedOpen);
}

audit::TupleFinding Auditor::supervised_open(const Marker& marker, std::span<const Answer> log,
                                             const Predict& suspect) {
  std::vector<Text> read;
  for (const Answer& answer : log) {
    read.push_back(answer.prompt);
    read.back().insert(read.back().end(), answer.said.begin(), answer.said.end());
  }
  audit::Inputs inputs;
  inputs.log_predictions = put("predictions.safetensors", predictions_file(read, suspect, 1));
  inputs.transcripts = put_log(marker, log);
  return finding_of(run(marker, std::move(inputs)), audit::TestKind::kSupervisedOpen);
}

audit::TupleFinding Auditor::closed(const Marker& marker, std::span<const Answer> answers,
                                    bool has_prompts) {
  audit::Inputs inputs;
  inputs.answers = {put_answers(answers, has_prompts)};
  return finding_of(run(marker, std::move(inputs)), audit::TestKind::kUnsupervisedClosed);
}

audit::TupleFinding Auditor::supervised_closed(const Marker& marker,
                                               std::span<const Answer> answers,
                                               std::span<const Answer> log) {
  audit::Inputs inputs;
  inputs.answers = {put_answers(answers, true)};
  inputs.transcripts = put_log(marker, log);
  return finding_of(run(marker, std::move(inputs)), audit::TestKind::kSupervisedClosed);
}

std::string state_of(const audit::TupleFinding& finding, std::string_view check) {
  for (const audit::Check& each : finding.checks)
    if (each.name == check) return audit::state_name(each.state);
  return "";
}

double log10_p(const audit::TupleFinding& finding) {
  return finding.result.finding.evidence.p.log10();
}

double log10_p(const audit::MassFinding& finding) { return finding.evidence.p.log10(); }

double p_of(const audit::TupleFinding& finding) {
  return finding.result.finding.evidence.p.to_double();
}

double p_of(const audit::MassFinding& finding) { return finding.evidence.p.to_double(); }

}  // namespace countermark::tests
