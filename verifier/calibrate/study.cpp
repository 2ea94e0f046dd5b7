// SPDX-License-Identifier: Apache-2.0
#include "verifier/calibrate/study.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "verifier/detect/token_text.h"
#include "watermark/prf/hash.h"

namespace countermark::calibrate {
namespace {

// Each length cuts the domain from its beginning, one piece behind the other.
std::uint64_t pieces_in(const Domain& domain, std::uint64_t length, const StudyOptions& options) {
  return std::min<std::uint64_t>(options.pieces, domain.tokens.size() / length);
}

std::vector<TokenId> edited(std::span<const TokenId> piece, Edit edit) {
  std::vector<TokenId> out(piece.begin(), piece.end());
  if (edit == Edit::kRepeated)
    std::copy_n(piece.begin(), piece.size() / 2,
                out.begin() + static_cast<std::ptrdiff_t>(piece.size() - piece.size() / 2));
  if (edit == Edit::kDeleted) {
    out.clear();
    for (std::size_t i = 0; i < piece.size(); ++i)
      if (i % 10 != 9) out.push_back(piece[i]);
  }
  return out;
}

// The piece under all its keys.
Status judge_piece(const scan::Test& test, const detect::TokenText& text,
                   std::span<const std::uint8_t, 32> seed, std::uint64_t piece,
                   const StudyOptions& options, std::array<std::uint64_t, kLevels>& alarms) {
  std::vector<scan::Sheet> sheets;
  for (std::uint32_t i = 0; i < options.keys; ++i) {
    const auto number = static_cast<std::uint32_t>(piece * options.keys + i);
    const auto decoy = test.decoy(seed, number);
    COUNTERMARK_CHECK(decoy->scorer()->score(text, sheets));
    const scan::Best found = pooled(*decoy, scan::tallies_of(sheets));
    if (found.tally.n < test.subject().policy.minimum_scored) continue;
    // A clean text rarely needs the exact tail.
    if (static_cast<double>(found.hypotheses) * tails(test.null_model(), found.tally).upper >
        2 * level(0))
      continue;
    const auto p = decoy->weigh(found.tally, found.hypotheses, text.front().ids.size()).asserted;
    for (std::size_t j = 0; j < kLevels; ++j)
      alarms[j] += p <= stats::PValue::from_decimal(level(j)) ? 1U : 0U;
  }
  return {};
}

}  // namespace

const char* edit_name(Edit edit) noexcept {
  switch (edit) {
    case Edit::kNone:
      break;
    case Edit::kRepeated:
      return "repeated";
    case Edit::kDeleted:
      return "deleted";
  }
  return "none";
}

Result<Domain> read_domain(const std::string& input, const text::ReaderOptions& reader,
                           const text::Tokenizer* tokenizer, const StudyOptions& options) {
  Domain out{input, {}};
  const std::uint64_t enough = kLengths.back() * options.pieces;
  COUNTERMARK_TRY(const auto documents, text::open_documents(input, reader));
  while (out.tokens.size() < enough) {
    COUNTERMARK_TRY(const std::optional<text::Document> document, documents->next());
    if (!document) break;
    COUNTERMARK_TRY(const detect::TokenText text, detect::tokenize(*document, tokenizer));
    for (const detect::TokenSegment& segment : text)
      if (segment.scored)
        out.tokens.insert(out.tokens.end(), segment.ids.begin(), segment.ids.end());
  }
  return out;
}

std::uint64_t pieces_of(const std::vector<Domain>& domains, const StudyOptions& options) {
  std::uint64_t out = 0;
  for (const Domain& domain : domains)
    for (const std::uint64_t length : kLengths)
      out += kEdits.size() * pieces_in(domain, length, options);
  return out;
}

Result<std::vector<Cell>> study(const scan::Test& test, const std::vector<Domain>& domains,
                                const StudyOptions& options, const std::function<void()>& done) {
  std::vector<Cell> cells;
  struct Work {
    std::size_t domain;
    std::size_t cell;
    std::uint64_t piece;
  };
  std::vector<Work> works;
  for (std::size_t d = 0; d < domains.size(); ++d)
    for (const std::uint64_t length : kLengths)
      for (const Edit edit : kEdits) {
        const std::uint64_t pieces = pieces_in(domains[d], length, options);
        if (pieces == 0) continue;
        for (std::uint64_t piece = 0; piece < pieces; ++piece)
          works.push_back({d, cells.size(), piece});
        cells.push_back({domains[d].name, length, edit, pieces, pieces * options.keys, {}});
      }
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  Status status;
  const auto work = [&] {
    for (std::size_t i = next++; i < works.size(); i = next++) {
      const auto& [domain, index, piece] = works[i];
      const Cell& cell = cells[index];
      const auto seed =
          hmac_sha256(as_bytes(options.seed),
                      as_bytes("countermark study\n" + std::to_string(domain) + "\n" +
                               std::to_string(cell.length) + "\n" + edit_name(cell.edit)));
      const std::span<const TokenId> all(domains[domain].tokens);
      const detect::TokenText text = {
          {edited(all.subspan(piece * cell.length, cell.length), cell.edit), true}};
      std::array<std::uint64_t, kLevels> alarms{};
      const Status judged = judge_piece(test, text, seed, piece, options, alarms);
      {
        const std::lock_guard lock(mutex);
        if (!judged && status) status = judged;
        for (std::size_t j = 0; j < kLevels; ++j) cells[index].alarms[j] += alarms[j];
      }
      if (done) done();
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (unsigned i = 1; i < options.threads; ++i) helpers.emplace_back(work);
    work();
  }
  if (!status) return fail(status.error());
  return cells;
}

}  // namespace countermark::calibrate
