// SPDX-License-Identifier: Apache-2.0
// Charts as SVG, of the size of a report's page: what every command draws with.
//
// Plain numbers in, bytes out: the same numbers give the same bytes. A picture needs nothing from
// outside, reads in light and in dark viewers, and says its title and note to screen readers.
// Values beyond an axis are drawn at its end; none may be NaN. Thread-safe; no errors.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace countermark::render {

struct Axis {
  std::string title{};
  double least = 0;
  double most = 1;
  bool powers = false;  // values are exponents of ten; whole ones are labelled
};

// What is around the data. Text is escaped here.
struct Frame {
  std::string title{};
  std::string note{};  // below the title, smaller
  Axis x{};
  Axis y{};
};

struct Point {
  double x = 0;
  double y = 0;
};

struct Series {
  std::string name{};
  std::vector<Point> points{};
  bool reference = false;  // what is expected: dashed
};

// Where a count is expected, and between which ends chance leaves it.
struct Band {
  double expected = 0;
  double least = 0;
  double most = 0;
};

// A chart that to_svg puts on a page.
struct Picture {
  std::string title{};
  std::string note{};
  std::string body{};  // SVG elements, without their document
  double height = 0;
};

// Bins of one width from end to end of the x axis.
Picture histogram(const Frame& frame, std::span<const std::uint64_t> counts, const Band& band);

Picture lines(const Frame& frame, std::span<const Series> series);

// Dots, those above the threshold stressed, and the threshold as a line.
Picture dots(const Frame& frame, std::span<const Point> points, double threshold,
             const std::string& threshold_name);

// The true key among decoys, along the x axis; there is no y axis.
Picture strip(const Frame& frame, std::span<const double> decoys, double key);

// One document, the pictures one below the other.
std::string to_svg(std::span<const Picture> pictures);

// The end of an axis that begins at 0 and has to hold `most`: a round number.
double axis_end(double most);

}  // namespace countermark::render
