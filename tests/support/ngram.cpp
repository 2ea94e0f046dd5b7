// SPDX-License-Identifier: Apache-2.0
#include "tests/support/ngram.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

namespace countermark::tests {
namespace {

constexpr unsigned kTokenBits = 12;
constexpr std::size_t kCandidates = 40;
constexpr const char* kLicences = "/usr/share/common-licenses";

// Words, numbers, and every other character by itself, in lower case.
std::vector<std::string> words(const std::string& text) {
  enum class Kind : std::uint8_t { kLetter, kDigit, kOther };
  std::vector<std::string> out;
  Kind last = Kind::kOther;
  bool is_new = true;
  for (const char c : text) {
    const bool is_upper = c >= 'A' && c <= 'Z';
    const char lower = static_cast<char>(is_upper ? c - 'A' + 'a' : c);
    const Kind kind = lower >= 'a' && lower <= 'z'   ? Kind::kLetter
                      : lower >= '0' && lower <= '9' ? Kind::kDigit
                                                     : Kind::kOther;
    if (c == ' ' || c == '\t' || c == '\r' || c == '\f') {
      is_new = true;
      continue;
    }
    if (is_new || kind == Kind::kOther || kind != last) out.emplace_back();
    out.back() += lower;
    last = kind;
    is_new = false;
  }
  return out;
}

// The paragraphs of all licences, each once, in the order of the files' names.
std::vector<std::vector<std::string>> paragraphs() {
  std::error_code error;
  std::set<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(kLicences, error))
    files.insert(entry.path());
  std::vector<std::vector<std::string>> out;
  std::set<std::vector<std::string>> known;
  const auto add = [&](const std::string& text) {
    std::vector<std::string> paragraph = words(text);
    if (paragraph.size() > 2 && known.insert(paragraph).second) out.push_back(std::move(paragraph));
  };
  for (const auto& file : files) {
    std::ifstream in(file);
    std::string text;
    for (std::string line; std::getline(in, line);) {
      if (line.find_first_not_of(" \t\r\f") != std::string::npos) {
        text += line + " ";
      } else {
        add(text);
        text.clear();
      }
    }
    add(text);
  }
  return out;
}

// The most frequent ones first; all beyond the largest vocabulary are one.
std::map<std::string, TokenId> number(const std::vector<std::vector<std::string>>& texts) {
  std::map<std::string, std::size_t> counts;
  for (const auto& text : texts)
    for (const std::string& word : text) ++counts[word];
  std::vector<std::pair<std::string, std::size_t>> order(counts.begin(), counts.end());
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::map<std::string, TokenId> out;
  for (const auto& [word, count] : order)
    out[word] = static_cast<TokenId>(std::min<std::size_t>(out.size(), Ngrams::kMostTokens - 1));
  return out;
}

}  // namespace

Ngrams::Order::Order(std::vector<std::uint64_t> grams) {
  std::sort(grams.begin(), grams.end());
  constexpr std::uint64_t kToken = (std::uint64_t{1} << kTokenBits) - 1;
  for (std::size_t i = 0; i < grams.size();) {
    const std::size_t begin = i;
    while (i < grams.size() && grams[i] == grams[begin]) ++i;
    const std::uint64_t context = grams[begin] >> kTokenBits;
    if (contexts_.empty() || contexts_.back() != context) {
      contexts_.push_back(context);
      first_.push_back(cells_.size());
      totals_.push_back(0);
    }
    totals_.back() += static_cast<double>(i - begin);
    cells_.push_back(
        {static_cast<TokenId>(grams[begin] & kToken), static_cast<std::uint32_t>(i - begin)});
  }
  first_.push_back(cells_.size());
}

Ngrams::After Ngrams::Order::after(std::uint64_t context) const noexcept {
  const auto found = std::lower_bound(contexts_.begin(), contexts_.end(), context);
  if (found == contexts_.end() || *found != context) return {};
  const auto i = static_cast<std::size_t>(found - contexts_.begin());
  return {std::span(cells_).subspan(first_[i], first_[i + 1] - first_[i]), totals_[i]};
}

Ngrams::Order Ngrams::order(std::span<const Text> texts, std::size_t width) {
  std::vector<std::uint64_t> grams;
  for (const Text& text : texts)
    for (std::size_t i = width; i < text.size(); ++i) {
      std::uint64_t gram = 0;
      for (std::size_t j = i - width; j <= i; ++j) gram = gram << kTokenBits | text[j];
      grams.push_back(gram);
    }
  return Order(std::move(grams));
}

Ngrams::Ngrams(std::span<const Text> texts, std::uint32_t vocab_size)
    : single_(vocab_size), common_(vocab_size), pairs_(order(texts, 1)), triples_(order(texts, 2)) {
  double total = 0;
  for (const Text& text : texts) {
    for (const TokenId token : text) ++single_[token];
    total += static_cast<double>(text.size());
  }
  const auto seen = static_cast<double>(
      std::count_if(single_.begin(), single_.end(), [](double count) { return count > 0; }));
  for (double& each : single_) each = (each + seen / vocab_size) / (total + seen);
  std::iota(common_.begin(), common_.end(), TokenId{0});
  std::stable_sort(common_.begin(), common_.end(),
                   [&](TokenId a, TokenId b) { return single_[a] > single_[b]; });
}

void Ngrams::top(TokenSpan before, std::size_t count, std::vector<Candidate>& out) const {
  const auto at = [&](std::size_t back) { return std::uint64_t{before[before.size() - back]}; };
  const After two = before.size() < 2 ? After{} : triples_.after(at(2) << kTokenBits | at(1));
  const After one = before.empty() ? After{} : pairs_.after(at(1));
  out.clear();
  // Of tokens that came after neither context the most frequent ones are the most probable ones.
  for (const TokenId token : std::span(common_).first(std::min(count, common_.size())))
    out.push_back({token, two.of_others(one.of_others(single_[token]))});
  std::sort(out.begin(), out.end(), [](auto& a, auto& b) { return a.token < b.token; });
  const std::size_t others = out.size();
  std::size_t of_two = 0;
  std::size_t of_others = 0;
  for (std::size_t i = 0; i < one.cells.size(); ++i) {
    const TokenId token = one.cells[i].token;
    double p = one.share(i, single_[token]);
    while (of_two < two.cells.size() && two.cells[of_two].token < token) ++of_two;
    const bool is_known = of_two < two.cells.size() && two.cells[of_two].token == token;
    p = is_known ? two.share(of_two, p) : two.of_others(p);
    while (of_others < others && out[of_others].token < token) ++of_others;
    if (of_others < others && out[of_others].token == token)
      out[of_others].probability = p;
    else
      out.push_back({token, p});
  }
  const auto end = out.begin() + static_cast<std::ptrdiff_t>(std::min(count, out.size()));
  std::partial_sort(out.begin(), end, out.end(), [](const Candidate& a, const Candidate& b) {
    return a.probability != b.probability ? a.probability > b.probability : a.token < b.token;
  });
  out.erase(end, out.end());
}

const Author::Row& Author::row(TokenSpan before) {
  std::uint64_t context = std::min<std::size_t>(before.size(), 2);
  for (const TokenId token : before.last(context)) context = context << kTokenBits | token;
  auto [found, is_new] = rows_.try_emplace(context);
  if (is_new) {
    model_->top(before, kCandidates, candidates_);
    double sum = 0;
    for (const Candidate& candidate : candidates_) {
      found->second.ids.push_back(candidate.token);
      found->second.logits.push_back(static_cast<float>(std::log(candidate.probability)));
      found->second.sums.push_back(sum += candidate.probability);
    }
  }
  return found->second;
}

Text Author::plain(SplitMix64& random, TokenSpan prompt, std::size_t tokens) {
  Text all(prompt.begin(), prompt.end());
  while (all.size() < prompt.size() + tokens) {
    const Row& next = row(all);
    const double at = random.unit() * next.sums.back();
    const auto found = std::upper_bound(next.sums.begin(), next.sums.end() - 1, at);
    all.push_back(next.ids[static_cast<std::size_t>(found - next.sums.begin())]);
  }
  return {all.begin() + static_cast<std::ptrdiff_t>(prompt.size()), all.end()};
}

Text Author::marked(const NativeMark& mark, const Identity& identity, SplitMix64& random,
                    TokenSpan prompt, std::size_t tokens) {
  Text all(prompt.begin(), prompt.end());
  Response response(mark, identity, std::to_string(random.next()), random.secret<16>(), tokens);
  while (all.size() < prompt.size() + tokens) {
    const Row& next = row(all);
    const Draw draw = sample({next.logits, next.ids}, {}, response, {}, 0, workspace_).value();
    response.commit(draw.token);
    all.push_back(draw.token);
  }
  return {all.begin() + static_cast<std::ptrdiff_t>(prompt.size()), all.end()};
}

Text Author::marked(const SharedForeignMark& mark, SplitMix64& random, TokenSpan prompt,
                    std::size_t tokens) {
  Text all(prompt.begin(), prompt.end());
  ForeignSampler sampler(mark, random.secret<16>(), prompt);
  while (all.size() < prompt.size() + tokens) {
    const Row& next = row(all);
    const Draw draw = sampler.draw({next.logits, next.ids}, {}).value();
    sampler.commit(draw.token);
    all.push_back(draw.token);
  }
  return {all.begin() + static_cast<std::ptrdiff_t>(prompt.size()), all.end()};
}

std::optional<World> World::load() {
  const auto texts = paragraphs();
  if (texts.empty()) return std::nullopt;
  const auto numbers = number(texts);
  World out;
  for (const auto& text : texts) {
    Text& ids = out.human.emplace_back();
    for (const std::string& word : text) ids.push_back(numbers.at(word));
  }
  out.vocab_size =
      static_cast<std::uint32_t>(std::min<std::size_t>(numbers.size(), Ngrams::kMostTokens));
  out.teacher = std::make_unique<const Ngrams>(out.human, out.vocab_size);
  return out;
}

Text World::prompt(SplitMix64& random) const {
  const Text& text = human[random.below(static_cast<std::uint32_t>(human.size()))];
  const std::size_t at = random.below(static_cast<std::uint32_t>(text.size() - 1));
  return {text[at], text[at + 1]};
}

Predict reader(const Ngrams& model) {
  return [&model](TokenSpan before, std::size_t count, std::vector<Candidate>& out) {
    model.top(before, count, out);
  };
}

Predict copier(const Ngrams& model) {
  return [&model, known = std::unordered_map<std::uint64_t, TokenId>()](
             TokenSpan before, std::size_t count, std::vector<Candidate>& out) mutable {
    const auto pair = [&](std::size_t end) {
      return std::uint64_t{before[end - 2]} << kTokenBits | before[end - 1];
    };
    if (before.size() > 2) known[pair(before.size() - 1)] = before.back();
    model.top(before, count, out);
    const auto found = before.size() < 2 ? known.end() : known.find(pair(before.size()));
    if (found == known.end()) return;
    std::erase_if(out, [&](const Candidate& each) { return each.token == found->second; });
    out.insert(out.begin(), {found->second, out.empty() ? 1 : out.front().probability});
    out.resize(std::min(out.size(), count));
  };
}

namespace {

void append(std::string& out, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) out += static_cast<char>(value >> 8 * i & 255U);
}

std::string header_of(std::size_t rows, std::size_t top_k) {
  nlohmann::json out = {{"__metadata__",
                         {{"schema", "countermark.predictions/1"},
                          {"suspect", "n-grams"},
                          {"readSha256", std::string(64, '0')}}}};
  std::size_t end = 0;
  const auto add = [&](const char* name, const char* type, nlohmann::json shape, std::size_t size) {
    out[name] = {{"dtype", type}, {"shape", std::move(shape)}, {"data_offsets", {end, end + size}}};
    end += size;
  };
  for (const char* name : {"ids", "doc", "position"}) add(name, "I32", {rows}, 4 * rows);
  add("topIds", "I32", {rows, top_k}, 4 * rows * top_k);
  add("topLogProb", "F32", {rows, top_k}, 4 * rows * top_k);
  return out.dump();
}

}  // namespace

std::string predictions_file(std::span<const Text> read, const Predict& suspect,
                             std::size_t top_k) {
  std::array<std::string, 5> columns;
  std::vector<Candidate> top;
  std::size_t rows = 0;
  for (std::size_t document = 0; document < read.size(); ++document) {
    const TokenSpan text = read[document];
    for (std::size_t i = 0; i < text.size(); ++i, ++rows) {
      append(columns[0], text[i]);
      append(columns[1], static_cast<std::uint32_t>(document));
      append(columns[2], static_cast<std::uint32_t>(i));
      suspect(text.first(i + 1), top_k, top);
      for (const Candidate& each : top) {
        append(columns[3], each.token);
        append(columns[4],
               std::bit_cast<std::uint32_t>(static_cast<float>(std::log(each.probability))));
      }
    }
  }
  const std::string header = header_of(rows, top_k);
  std::string out;
  append(out, static_cast<std::uint32_t>(header.size()));
  append(out, 0);
  out += header;
  for (const std::string& column : columns) out += column;
  return out;
}

}  // namespace countermark::tests
