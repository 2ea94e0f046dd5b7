// SPDX-License-Identifier: Apache-2.0
// The scanners of known patterns against PCRE2 with those patterns.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "tests/support/random_numbers.h"
#include "verifier/text/known_patterns.h"
#include "verifier/text/pattern.h"
#include "verifier/text/scanner.h"
#include "verifier/text/unicode_text.h"
#include "watermark/utf8.h"

namespace countermark::text {
namespace {

using Ends = std::vector<std::size_t>;

struct Known {
  const char* name;
  std::vector<Cut> cuts;
  const Scan* scan;
  Pretokenizer oracle;
};

const std::vector<Known>& all_known() {
  static const std::vector<Known> kAll = [] {
    std::vector<Known> all;
    const auto add = [&](const char* name, std::vector<Cut> cuts) {
      auto oracle = Pretokenizer::create(cuts, Pretokenizer::Method::kPcre2).value();
      const Scan* const scan = scan_of(cuts);
      all.push_back({name, std::move(cuts), scan, std::move(oracle)});
    };
    add("GPT-2", *cuts_of(Family::kGpt2));
    add("Llama 3", *cuts_of(Family::kLlama3));
    add("Qwen 2", *cuts_of(Family::kQwen2));
    add("GPT-4", *cuts_of(Family::kGpt4));
    add("GPT-4o", *cuts_of(Family::kGpt4o));
    add("DeepSeek 3", *cuts_of(Family::kDeepSeek3));
    add("DeepSeek coder", *cuts_of(Family::kDeepSeekCoder));
    add("DeepSeek LLM", *cuts_of(Family::kDeepSeekLlm));
    auto digits = *cuts_of(Family::kDeepSeekCoder);
    digits.back().pattern = digit_pattern();
    add("DeepSeek coder, Digits", std::move(digits));
    return all;
  }();
  return kAll;
}

std::vector<const TextKernel*> supported_kernels() {
  std::vector<const TextKernel*> kernels;
  for (const TextKernel* kernel : all_text_kernels())
    if (kernel->supported() != 0) kernels.push_back(kernel);
  return kernels;
}

Ends pcre2_ends(const Known& known, std::string_view text) {
  Ends ends;
  Pieces pieces(known.oracle, text);
  for (;;) {
    const auto piece = pieces.next();
    EXPECT_TRUE(piece) << piece.error().describe();
    if (!piece || piece->empty()) return ends;
    ends.push_back(static_cast<std::size_t>(piece->data() + piece->size() - text.data()));
  }
}

Ends scanned_ends(const Scan& scan, const TextKernel& kernel, std::string_view text,
                  std::size_t batch) {
  Scanner scanner(scan, kernel, text);
  std::vector<std::uint32_t> buffer(batch);
  Ends ends;
  for (;;) {
    const auto begin = static_cast<std::size_t>(scanner.position() - text.data());
    const std::size_t count = scanner.next(buffer);
    if (count == 0) break;
    for (std::size_t i = 0; i < count; ++i) ends.push_back(begin + buffer[i]);
  }
  EXPECT_TRUE(scanner.is_at_end());
  return ends;
}

// What stands around a place, as people can read it.
std::string shown(std::string_view text, std::size_t at, const Ends& ends) {
  constexpr std::size_t kAround = 40;
  std::string out;
  const std::size_t begin = at < kAround ? 0 : at - kAround;
  for (std::size_t i = begin; i < std::min(text.size(), at + kAround); ++i) {
    if (i != 0 && std::binary_search(ends.begin(), ends.end(), i)) out += '|';
    const auto c = static_cast<unsigned char>(text[i]);
    char hex[5];
    std::snprintf(hex, sizeof hex, "\\x%02x", c);
    out += c >= 0x20 && c < 0x7f ? std::string(1, text[i]) : hex;
  }
  return out;
}

// Whether all kernels cut as PCRE2 does.
bool same(const Known& known, std::string_view text, std::size_t batch = 1024) {
  const Ends expected = pcre2_ends(known, text);
  for (const TextKernel* kernel : supported_kernels()) {
    const Ends found = scanned_ends(*known.scan, *kernel, text, batch);
    if (found == expected) continue;
    const auto [a, b] = std::mismatch(expected.begin(), expected.end(), found.begin(), found.end());
    const std::size_t at =
        std::min(a == expected.end() ? text.size() : *a, b == found.end() ? text.size() : *b);
    ADD_FAILURE() << known.name << ", " << kernel->name << ", at " << at << " of " << text.size()
                  << "\nPCRE2: " << shown(text, at, expected)
                  << "\nfound: " << shown(text, at, found);
    return false;
  }
  return true;
}

std::string character(std::uint32_t code_point) {
  std::string text;
  append_character(code_point, text);
  return text;
}

TEST(Scans, AreKnownByTheSpellingOfTheCuts) {
  for (const Known& known : all_known()) {
    EXPECT_NE(known.scan, nullptr) << known.name;
    auto other = known.cuts;
    other[0].keep = Cut::Keep::kGaps;
    EXPECT_EQ(scan_of(other), nullptr) << known.name;
    other = known.cuts;
    other[0].pattern += "|x";
    EXPECT_EQ(scan_of(other), nullptr) << known.name;
    other = known.cuts;
    other.push_back(other[0]);
    EXPECT_EQ(scan_of(other), nullptr) << known.name;
  }
  auto matches = *cuts_of(Family::kGpt4o);
  matches[0].keep = Cut::Keep::kMatches;
  EXPECT_EQ(scan_of(matches), scan_of(*cuts_of(Family::kGpt4o)));
  auto some = *cuts_of(Family::kDeepSeek3);
  some[0].keep = Cut::Keep::kMatches;
  EXPECT_EQ(scan_of(some), nullptr);
  EXPECT_EQ(scan_of(*cuts_of(Family::kFalcon)), nullptr);
  EXPECT_EQ(scan_of({}), nullptr);
}

// What each class has to offer, and what patterns single out.
const std::vector<std::string>& alphabet() {
  static const std::vector<std::string> kAlphabet = {"a",
                                                     "s",
                                                     "t",
                                                     "l",
                                                     "L",
                                                     "S",
                                                     "T",
                                                     "A",
                                                     "re",
                                                     "VE",
                                                     "ll",
                                                     "'",
                                                     "'",
                                                     "'s",
                                                     "'LL",
                                                     "'\u017f",
                                                     "\u017f",
                                                     " ",
                                                     " ",
                                                     "  ",
                                                     "\t",
                                                     "\n",
                                                     "\n",
                                                     "\r\n",
                                                     "\r",
                                                     "\v",
                                                     "\u00a0",
                                                     "\u0085",
                                                     "\u2003",
                                                     "\u3000",
                                                     "\u3000\u3000",
                                                     "\u2028",
                                                     "1",
                                                     "12",
                                                     "123",
                                                     "\u0663",
                                                     "\u00bd",
                                                     "\u2167",
                                                     "\U00011f50",
                                                     "!",
                                                     "/",
                                                     "//",
                                                     "/\n",
                                                     "(",
                                                     "$",
                                                     "=",
                                                     "_",
                                                     "~",
                                                     "\u2014",
                                                     "\u2019",
                                                     "\u3002",
                                                     "\uff0c",
                                                     "\uff21",
                                                     "\u20ac",
                                                     "\U0001f600",
                                                     "\u2764\ufe0f",
                                                     "\u00e9",
                                                     "\u00c9",
                                                     "\u00df",
                                                     "\u01c5",
                                                     "\u0416",
                                                     "\u0436",
                                                     "\u05d0",
                                                     "\u0627",
                                                     "\u064e",
                                                     "\u0301",
                                                     "\u0301\u0302",
                                                     "\u0915",
                                                     "\u093f",
                                                     "\u4f60",
                                                     "\u597d",
                                                     "\u3042",
                                                     "\u30a2",
                                                     "\u3099",
                                                     "\u30fb",
                                                     "\u3098",
                                                     "\uac00",
                                                     "\U00020000",
                                                     "\ufb20",
                                                     "\u02b0",
                                                     "\u200d",
                                                     "\x01",
                                                     "\x7f",
                                                     std::string(1, '\0'),
                                                     "\ue000",
                                                     "\U00011de0",
                                                     "\u180e",
                                                     "\u0800",
                                                     "\u9fa5",
                                                     "\u9fa6",
                                                     "\U00011f02",
                                                     "\ua7cb",
                                                     "\ua7cd"};
  return kAlphabet;
}

TEST(Scans, CutEveryCodePointAsPcre2) {
  for (const Known& known : all_known()) {
    std::string text;
    // All that Unicode assigns, and some of the rest.
    for (std::uint32_t c = 0; c < 0x110000; c += c < 0x32400 || c >> 9 == 0xe0000 >> 9 ? 1U : 64U) {
      if (c >= 0xd800 && c < 0xe000) continue;
      const std::string it = character(c);
      text += it;
      for (const char* between : {"a", " ", "!", "1", "\n", "'"}) text += between + it;
      if (text.size() < 500'000 && c < 0x10ff00) continue;
      if (!same(known, text)) break;
      text.clear();
    }
  }
}

TEST(Scans, CutPairsBetweenClassesAsPcre2) {
  for (const Known& known : all_known()) {
    bool good = true;
    for (const char* before :
         {"a", "B", " ", "\n", "1", "!", "'", "\u3000", "\u0301", "\u4f60", "\x01"}) {
      std::string text;
      for (const std::string& first : alphabet())
        for (const std::string& second : alphabet()) text += before + first + second + "\n1\n";
      good = good && same(known, text);
    }
  }
}

TEST(Scans, CutRandomTextAsPcre2) {
  tests::RandomNumbers random(1);
  const auto below = [&](std::size_t bound) {
    return std::size_t{random.below(static_cast<std::uint32_t>(bound))};
  };
  for (const Known& known : all_known()) {
    for (int i = 0; i < 20'000; ++i) {
      // Few of the alphabet at a time, so that they meet often; some of them in long runs.
      std::vector<std::string> some(1 + below(8));
      for (std::string& one : some) one = alphabet()[below(alphabet().size())];
      std::string text;
      const std::size_t size = below(400);
      while (text.size() < size) {
        const std::string& one = some[below(some.size())];
        for (std::size_t left = below(8) == 0 ? below(80) : 1; left != 0; --left) text += one;
      }
      if (!same(known, text, i % 2 == 0 ? 1024 : 1 + below(130))) break;
    }
  }
}

// What stands at every place of a block, with all that may stand behind it.
TEST(Scans, CutEveryPrefixAsPcre2) {
  const std::string hard =
      "it's I'LL we'\u017f 1234567 \u0663\u0664\u0665\u0666 \t\u3000x!\n\n /\n//a \r\n  \u4f60"
      "\u597dABC \u4f60Ab HTTPServer'Sa's'sB (y) \u2764\ufe0f!!\u0301A\u30a2\u30fb\u30a4 $=\x01b  "
      "\n ";
  for (const Known& known : all_known()) {
    bool good = true;
    for (std::size_t lead = 0; lead < 64 && good; ++lead) {
      const std::string text = std::string(lead, 'x') + hard;
      for (std::size_t size = lead; size <= text.size() && good; ++size)
        if (find_invalid_utf8(std::string_view(text).substr(0, size)) == kValidUtf8)
          good = same(known, text.substr(0, size), 1 + lead);
    }
  }
}

// Runs as long as a text may be: each takes milliseconds, and would take an hour if it were not
// linear.
TEST(Scans, AreLinear) {
  constexpr std::size_t kSize = 1'000'000;
  for (const char* run : {"a",      "A",       " ",   "\n",     "1",       "\u0663",  "'",
                          "'s",     "/",       "/\n", "\u0301", "!\u0301", " \u0301", "\u3000",
                          "\u4f60", "\u4f60A", "\n ", " \n",    "\u01c5",  "\x01",    "\u05d0 "}) {
    for (const char* before : {"", "\n", "\u4f60", "\u05d0", "!"}) {
      std::string text = before;
      while (text.size() < kSize) text += run;
      for (const Known& known : all_known()) {
        Scanner scanner(*known.scan, *supported_kernels().front(), text);
        std::vector<std::uint32_t> ends(1024);
        std::size_t size = 0;
        while (const std::size_t count = scanner.next(ends)) size += ends[count - 1];
        EXPECT_EQ(size, text.size());
      }
    }
  }
}

TEST(Scans, OfferPiecesInEitherForm) {
  const std::string text = "One two  three\n";
  const auto known = Pretokenizer::create(*cuts_of(Family::kGpt2)).value();
  const auto pcre2 =
      Pretokenizer::create(*cuts_of(Family::kGpt2), Pretokenizer::Method::kPcre2).value();
  const auto some = Pretokenizer::create({{"[a-z]+", Cut::Keep::kMatches}}).value();
  for (const Pretokenizer* pretokenizer : {&known, &pcre2}) {
    std::array<std::uint32_t, 4> ends;
    Pieces pieces(*pretokenizer, text);
    const auto first = pieces.next(ends).value();
    EXPECT_EQ(first.begin, text.data());
    ASSERT_EQ(first.count, 4);
    EXPECT_EQ(ends, (std::array<std::uint32_t, 4>{3, 7, 8, 14}));
    const auto last = pieces.next(ends).value();
    EXPECT_EQ(last.begin, text.data() + 14);
    ASSERT_EQ(last.count, 1);
    EXPECT_EQ(ends[0], 1);
    EXPECT_EQ(pieces.next(ends).value().count, 0);
    Pieces one(*pretokenizer, text);
    EXPECT_EQ(one.next().value(), "One");
    EXPECT_EQ(one.next().value(), " two");
  }
  // What does not lie side by side comes in batches of its own.
  Pieces gaps(some, text);
  for (const char* word : {"ne", "two", "three"}) {
    std::array<std::uint32_t, 4> ends;
    const auto batch = gaps.next(ends).value();
    ASSERT_EQ(batch.count, 1);
    EXPECT_EQ(std::string(batch.begin, ends[0]), word);
  }
}

TEST(TextKernels, GiveTheSame) {
  tests::RandomNumbers random(2);
  std::string text;
  for (int c = 0; c < 256; ++c) text += static_cast<char>(c);
  while (text.size() < 64 * 64) text += static_cast<char>(random.below(256));
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  std::array<Masks, 64> expected;
  countermark_text_kernel_portable.classify(bytes, expected.size(), expected.data());
  std::array<Bits, 64> words{0, ~Bits{0}, 1, Bits{1} << 63};
  for (std::size_t i = 4; i < words.size(); ++i) words[i] = random.next() & random.next();
  std::vector<std::uint32_t> numbers(64 * words.size());
  numbers.resize(
      countermark_text_kernel_portable.positions(words.data(), words.size(), 1000, numbers.data()));
  for (const TextKernel* kernel : supported_kernels()) {
    std::array<Masks, 64> found;
    kernel->classify(bytes, found.size(), found.data());
    for (std::size_t i = 0; i < found.size(); ++i)
      EXPECT_TRUE(
          std::equal(std::begin(found[i].of), std::end(found[i].of), std::begin(expected[i].of)))
          << kernel->name << ", block " << i;
    std::vector<std::uint32_t> positions(64 * words.size());
    positions.resize(kernel->positions(words.data(), words.size(), 1000, positions.data()));
    EXPECT_EQ(positions, numbers) << kernel->name;
  }
}

}  // namespace
}  // namespace countermark::text
