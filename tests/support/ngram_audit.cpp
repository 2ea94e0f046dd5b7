// SPDX-License-Identifier: Apache-2.0
#include "tests/support/ngram_audit.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>

#include "tests/support/foreign.h"
#include "verifier/text/transcript.h"

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

detect::Policy policy() { return {}; }

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

std::vector<double> Marker::scores(std::span<const Text> contexts, TokenSpan tokens) const {
  std::vector<double> out(tokens.size());
  if (const auto* native = std::get_if<Native>(&mark_)) {
    const Tag tag = native->mark.tag(0, native->account, 0);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const Route route = native->mark.route(contexts[i]).value();
      std::uint32_t word = 0;
      native->mark.words(route, tag, tokens.subspan(i, 1), {&word, 1});
      out[i] = std::ldexp(exponential_score(word), -static_cast<int>(kScoreFractionBits));
    }
    return out;
  }
  const ForeignMark& mark = *std::get<Foreign>(mark_).mark;
  Text flat;
  for (const Text& context : contexts) flat.insert(flat.end(), context.begin(), context.end());
  std::vector<PrfInput> inputs(tokens.size());
  std::vector<std::uint64_t> raw(tokens.size());
  std::vector<std::uint32_t> units(tokens.size());
  mark.inputs(0, flat, tokens, inputs);
  mark.raw_values(0, inputs, raw);
  countermark::scores(mark, raw, units);
  std::copy(units.begin(), units.end(), out.begin());
  return out;
}

scan::Tests Marker::tests(const std::vector<Text>& shown) const {
  auto text = std::make_shared<detect::TokenText>();
  for (const Text& each : shown) text->push_back({each, false, {}});
  scan::Tests out;
  if (const auto* native = std::get_if<Native>(&mark_)) {
    detect::Claim claim;
    claim.account = native->account;
    out.add(must(scan::make_test(native->key, native->mark.profile(), claim, policy(), text)),
            nullptr);
  } else {
    const auto& [key, mark] = std::get<Foreign>(mark_);
    out.add(must(scan::make_test(key, mark->profile(), policy(), text)), nullptr);
  }
  return out;
}

std::string Auditor::put(std::string_view name, const std::string& bytes) const {
  std::string path = folder_.path() + "/" + std::string(name);
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  return path;
}

audit::TupleOptions Auditor::options() const {
  audit::TupleOptions out;
  out.decoys = decoys_;
  return out;
}

audit::TupleFinding Auditor::open(const Marker& marker, std::span<const Text> read,
                                  const Ngrams& suspect) {
  const scan::Tests tests = marker.tests();
  const std::string path = put("predictions.safetensors", predictions_file(read, suspect, 1));
  return must(audit::open_model(tests, path, {options(), {}}, {}));
}

audit::TupleFinding Auditor::closed(const Marker& marker, std::span<const Answer> answers,
                                    bool has_prompts) {
  std::string lines;
  for (const Answer& answer : answers) {
    text::Transcript line;
    line.id = std::to_string(lines.size());
    line.time = text::TranscriptTime{};
    line.profile = std::string(64, '0');
    line.prompt_ids = has_prompts ? answer.prompt : Text{};
    line.ids = answer.said;
    lines += text::to_json_line(line);
  }
  audit::ClosedOptions options;
  options.inputs = {put("answers.jsonl", lines)};
  options.reader.ids_field = "ids";
  options.tuples = this->options();
  const audit::Shown shown = must(audit::read_prompts(options.inputs, options.reader));
  std::vector<Text> prompts;
  for (const text::Document& document : shown.prompts)
    for (const text::Segment& segment : document.segments) prompts.push_back(segment.ids);
  const scan::Tests tests = marker.tests(prompts);
  return must(audit::closed_model(tests, shown, options, {}));
}

std::string state_of(const audit::TupleFinding& finding, std::string_view check) {
  for (const audit::Check& each : finding.checks)
    if (each.name == check) return audit::state_name(each.state);
  return "";
}

double log10_p(const audit::TupleFinding& finding) {
  return finding.result.finding.evidence.p.log10();
}

double p_of(const audit::TupleFinding& finding) {
  return finding.result.finding.evidence.p.to_double();
}

}  // namespace countermark::tests
