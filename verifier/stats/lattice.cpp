// SPDX-License-Identifier: Apache-2.0
// P(S >= s) = sum over x >= s of F(x) / W, F the convolution of all weights, W the product of their
// sums. F spans more powers of ten than a double has and its tail is lost in it, so the weights are
// tilted first: a(v) = w(v) q^(m - v), m the largest value of the law, q <= 1 such that the tilted
// sum has its mean at s. Then, with M the largest sum and A the convolution of the a(v),
//
//   F(x) = A(x) q^(x - M),   P(S >= s) = q^(s - M) / W  sum over x >= s of A(x) q^(x - s),
//
// and only A near s counts. Any q is right; it is found in doubles, by bisection.
//
// All terms are positive, so no digit is ever lost and errors only add up: a convolution of n terms
// adds n units of 2^-53 to those of its factors. They are counted, together with what the windows
// leave out, and the result is raised by both.
#include "verifier/stats/lattice.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <numeric>
#include <utility>

#include "verifier/stats/decimal.h"

namespace countermark::stats {
namespace {

// Of the mass that a window leaves out on either side, relative to all.
constexpr double kLeftOut = 0x1p-100;
// And of what underflows: many times a million masses of 2^-1022.
constexpr double kUnderflow = 0x1p-200;

// Of a sum of variables: mass[i] 2^twos stands at first + i.
struct Row {
  std::uint64_t first = 0;
  std::vector<double> mass{};
  std::int64_t twos = 0;
  double units = 0;     // relative error of each mass, in 2^-53
  double left_out = 0;  // relative to all mass

  double total() const { return std::accumulate(mass.begin(), mass.end(), 0.0); }
};

// Between 1 and 2 in all, without what does not count on either side.
void trim(Row& row) {
  const double total = row.total();
  const double most = total * kLeftOut;
  double left = 0;
  std::size_t begin = 0;
  while (left + row.mass[begin] <= most) left += row.mass[begin++];
  double right = 0;
  std::size_t end = row.mass.size();
  while (right + row.mass[end - 1] <= most) right += row.mass[--end];
  row.mass.erase(row.mass.begin() + static_cast<std::ptrdiff_t>(end), row.mass.end());
  row.mass.erase(row.mass.begin(), row.mass.begin() + static_cast<std::ptrdiff_t>(begin));
  row.first += begin;
  // Twice what was seen to be left out covers the error of having summed it.
  row.left_out += (left + right > 0 ? 4 * kLeftOut : 0);
  const int twos = std::ilogb(total);
  row.twos += twos;
  for (double& mass : row.mass) mass = std::ldexp(mass, -twos);
}

// out[k] += sum over i of a[i] b[k - i], four rows at once and eight columns at once, which
// compilers make vectors of: a[i] in the order of i for each k.
void add_products(const std::vector<double>& a, const std::vector<double>& b,
                  std::vector<double>& out) {
  constexpr std::size_t kRows = 4;
  constexpr std::size_t kColumns = 8;
  // Zeros around b, so that no row has an edge; and behind a and out.
  const std::size_t columns = (b.size() + kRows - 1 + kColumns - 1) / kColumns * kColumns;
  std::vector<double> padded(columns + kRows - 1);
  std::copy(b.begin(), b.end(), padded.begin() + kRows - 1);
  std::vector<double> sums(out.size() + kRows + columns - b.size());
  for (std::size_t i = 0; i < a.size(); i += kRows) {
    std::array<double, kRows> factors{};
    std::copy_n(a.begin() + static_cast<std::ptrdiff_t>(i), std::min(kRows, a.size() - i),
                factors.begin());
    double* __restrict const to = sums.data() + i;
    const double* __restrict const from = padded.data() + kRows - 1;
    for (std::size_t k = 0; k < columns; k += kColumns)
      for (std::size_t c = k; c < k + kColumns; ++c)
        to[c] = to[c] + factors[0] * from[c] + factors[1] * *(from + c - 1) +
                factors[2] * *(from + c - 2) + factors[3] * *(from + c - 3);
  }
  std::copy_n(sums.begin(), out.size(), out.begin());
}

Row convolve(const Row& a, const Row& b) {
  if (a.mass.size() > b.mass.size()) return convolve(b, a);
  Row out;
  out.first = a.first + b.first;
  out.twos = a.twos + b.twos;
  out.mass.resize(a.mass.size() + b.mass.size() - 1);
  add_products(a.mass, b.mass, out.mass);
  out.units = a.units + b.units + static_cast<double>(a.mass.size()) + 4;
  out.left_out = a.left_out + b.left_out + kUnderflow;
  trim(out);
  return out;
}

Row power(Row base, std::uint64_t count) {
  while (count % 2 == 0) {
    base = convolve(base, base);
    count /= 2;
  }
  Row out = base;
  for (count /= 2; count > 0; count /= 2) {
    base = convolve(base, base);
    if (count % 2 == 1) out = convolve(out, base);
  }
  return out;
}

// A law less its lowest value, in steps of what all laws have in common.
struct Law {
  std::vector<double> weights{};  // the last is not 0
  std::uint64_t count = 0;

  std::size_t most() const { return weights.size() - 1; }
};

struct Laws {
  std::vector<Law> laws{};
  std::uint64_t least = 0;  // of the sum
  std::uint64_t step = 0;
};

Laws reduced(std::span<const LatticeTerm> terms) {
  Laws out;
  std::vector<std::size_t> lowest;
  for (const LatticeTerm& term : terms) {
    const auto first = std::find_if(term.weights.begin(), term.weights.end(),
                                    [](std::uint64_t weight) { return weight != 0; });
    assert(first != term.weights.end());
    const auto low = static_cast<std::size_t>(first - term.weights.begin());
    lowest.push_back(low);
    out.least += low * term.count;
    for (std::size_t v = low; v < term.weights.size(); ++v)
      if (term.weights[v] != 0) out.step = std::gcd(out.step, v - low);
  }
  for (std::size_t t = 0; t < terms.size(); ++t) {
    if (terms[t].count == 0 || out.step == 0) continue;
    Law law{{}, terms[t].count};
    for (std::size_t v = lowest[t]; v < terms[t].weights.size(); v += out.step)
      law.weights.push_back(static_cast<double>(terms[t].weights[v]));
    while (law.weights.back() == 0) law.weights.pop_back();
    if (law.most() > 0) out.laws.push_back(std::move(law));
  }
  return out;
}

// Tilted weights, the largest value's as it is.
std::vector<double> tilted(const Law& law, double q) {
  std::vector<double> out = law.weights;
  double factor = 1;
  for (std::size_t v = out.size(); v-- > 0; factor *= q) out[v] *= factor;
  return out;
}

double tilted_mean(const std::vector<Law>& laws, double q) {
  double mean = 0;
  for (const Law& law : laws) {
    const std::vector<double> weights = tilted(law, q);
    double total = 0;
    double sum = 0;
    for (std::size_t v = 0; v < weights.size(); ++v) {
      total += weights[v];
      sum += weights[v] * static_cast<double>(v);
    }
    mean += static_cast<double>(law.count) * (sum / total);
  }
  return mean;
}

// At or above the mean, q <= 1. At the very end any small q will do.
double tilt_for(const std::vector<Law>& laws, double statistic) {
  double low = 0x1p-120;
  double high = 1;
  if (tilted_mean(laws, high) >= statistic) return high;
  for (int i = 0; i < 60; ++i) {
    const double middle = std::sqrt(low * high);
    (tilted_mean(laws, middle) >= statistic ? low : high) = middle;
  }
  return high;
}

Row convolved(const std::vector<Law>& laws, double q) {
  std::vector<Row> rows;
  for (const Law& law : laws) {
    Row row{0, tilted(law, q)};
    row.units = static_cast<double>(law.most()) + 2;
    row.left_out = kUnderflow;
    trim(row);
    rows.push_back(power(std::move(row), law.count));
  }
  // Short rows first.
  while (rows.size() > 1) {
    std::stable_sort(rows.begin(), rows.end(),
                     [](const Row& a, const Row& b) { return a.mass.size() < b.mass.size(); });
    std::vector<Row> next;
    for (std::size_t i = 0; i + 1 < rows.size(); i += 2)
      next.push_back(convolve(rows[i], rows[i + 1]));
    if (rows.size() % 2 == 1) next.push_back(std::move(rows.back()));
    rows = std::move(next);
  }
  return std::move(rows.front());
}

}  // namespace

PValue lattice_tail(std::span<const LatticeTerm> terms, std::uint64_t statistic) {
  const Laws all = reduced(terms);
  if (statistic <= all.least) return {};
  std::uint64_t most = 0;
  for (const Law& law : all.laws) most += law.most() * law.count;
  assert(all.step != 0);
  // In steps above the least sum; between two of them the upper one.
  const std::uint64_t s = (statistic - all.least + all.step - 1) / all.step;
  assert(s <= most);

  const double q = tilt_for(all.laws, static_cast<double>(s));
  const Row row = convolved(all.laws, q);
  // From the top, by Horner's scheme.
  double sum = 0;
  for (std::uint64_t x = row.first + row.mass.size(); x-- > std::max(row.first, s);)
    sum = sum * q + row.mass[x - row.first];
  assert(row.first <= s || q == 1);
  const double units = row.units + 2 * static_cast<double>(row.mass.size() + 1);
  assert(units < 0x1p33);  // 1e-6
  const double bound = sum * (1 + units * 0x1.1p-53) + 4 * row.left_out;

  Float log = -logarithm(Float(q)) * (most - s) + logarithm(Float(2)) * row.twos;
  for (const Law& law : all.laws)
    log -=
        logarithm(Float(std::accumulate(law.weights.begin(), law.weights.end(), 0.0))) * law.count;
  return round_up(to_decimal({log, Float(bound)}));
}

}  // namespace countermark::stats
