// SPDX-License-Identifier: Apache-2.0
#include "verifier/render/chart.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "verifier/render/markup.h"

namespace countermark::render {
namespace {

// In pixels at the natural size: two thirds of a page's width.
constexpr double kWidth = 640;
constexpr double kHeight = 300;
constexpr double kStripHeight = 170;
constexpr double kLeft = 66;
constexpr double kRight = 22;
constexpr double kTop = 58;
constexpr double kBottom = 52;

// Colours that differ in lightness, too, and have contrast 4.5 : 1 to the paper where they are
// text.
constexpr std::string_view kChartStyle =
    "text{font:12px system-ui,sans-serif;fill:#1c1c22}.title{font-size:15px;font-weight:600}"
    ".note{fill:#555560}.paper{fill:#fff}.frame{stroke:#8a8a94;fill:none}"
    ".grid{stroke:#e4e4ea;fill:none}.data{fill:#2f6fb4}.curve{fill:none;stroke-width:2}"
    ".c0{stroke:#2f6fb4}.c1{stroke:#b3541e}.c2{stroke:#3c7d3c}.c3{stroke:#7a4fa3}"
    ".reference{stroke:#55555f;stroke-dasharray:5 4}.band{fill:#55555f;fill-opacity:.14}"
    ".faint{fill:#55555f;fill-opacity:.35}.stress{fill:#b3541e}.key{stroke:#b3541e;stroke-width:3}"
    ".up{font-size:9px}@media(prefers-color-scheme:dark){text{fill:#ececf1}.note{fill:#b4b4be}"
    ".paper{fill:#17171c}.frame{stroke:#84848f}.grid{stroke:#303038}.data{fill:#6ea8e6}"
    ".c0{stroke:#6ea8e6}.c1{stroke:#f09a5f}.c2{stroke:#84c784}.c3{stroke:#c29be6}"
    ".reference{stroke:#b4b4be}.band,.faint{fill:#b4b4be}.stress{fill:#f09a5f}"
    ".key{stroke:#f09a5f}}";
constexpr std::size_t kCurves = 4;

std::string at(double value) { return number(value, 2); }

std::string text_at(double x, double y, std::string_view attributes, const std::string& content) {
  return "<text x=\"" + at(x) + "\" y=\"" + at(y) + "\"" + std::string(attributes) + ">" + content +
         "</text>\n";
}

std::string line_at(double x1, double y1, double x2, double y2, std::string_view style) {
  return "<line class=\"" + std::string(style) + "\" x1=\"" + at(x1) + "\" y1=\"" + at(y1) +
         "\" x2=\"" + at(x2) + "\" y2=\"" + at(y2) + "\"/>\n";
}

std::string rectangle(double x, double y, double width, double height, std::string_view style) {
  return "<rect class=\"" + std::string(style) + "\" x=\"" + at(x) + "\" y=\"" + at(y) +
         "\" width=\"" + at(width) + "\" height=\"" + at(height) + "\"/>\n";
}

std::string circle(double x, double y, double radius, std::string_view style) {
  return "<circle class=\"" + std::string(style) + "\" cx=\"" + at(x) + "\" cy=\"" + at(y) +
         "\" r=\"" + at(radius) + "\"/>\n";
}

// 1, 2 or 5 times a power of ten, not below `least`.
double round_step(double least) {
  const double power = std::pow(10.0, std::floor(std::log10(least) + 1e-9));
  for (const double times : {1.0, 2.0, 5.0})
    if (times * power >= least * (1 - 1e-9)) return times * power;
  return 10 * power;
}

struct Tick {
  double value = 0;
  std::string label{};
};

std::vector<Tick> ticks(const Axis& axis) {
  constexpr double kMostTicks = 8;
  const double length = axis.most - axis.least;
  const double step =
      axis.powers ? std::max(1.0, std::ceil(length / kMostTicks)) : round_step(length / kMostTicks);
  const int decimals = static_cast<int>(std::clamp(-std::floor(std::log10(step) + 1e-9), 0.0, 9.0));
  std::vector<Tick> out;
  for (double i = std::ceil(axis.least / step - 1e-9); i * step <= axis.most + 1e-9 * length; ++i) {
    const double value = i * step;
    std::string label = number(value, decimals);
    if (axis.powers)
      label = value == 0
                  ? "1"
                  : std::string("10<tspan class=\"up\" dy=\"-5\">").append(label) + "</tspan>";
    out.push_back({value, std::move(label)});
  }
  return out;
}

// A frame on its way to a picture: where its numbers lie on the paper.
class Drawing {
 public:
  Drawing(const Frame& frame, double height, bool with_y = true)
      : frame_(&frame), height_(height), left_(with_y ? kLeft : kRight) {
    out_ = text_at(kRight, 24, " class=\"title\"", escaped(frame.title));
    if (!frame.note.empty()) out_ += text_at(kRight, 42, " class=\"note\"", escaped(frame.note));
    for (const Tick& tick : ticks(frame.x)) {
      const double place = x(tick.value);
      out_ += line_at(place, kTop, place, bottom(), "grid");
      out_ += text_at(place, bottom() + 17, " text-anchor=\"middle\"", tick.label);
    }
    out_ += text_at((left_ + kWidth - kRight) / 2, height - 12,
                    " class=\"note\" text-anchor=\"middle\"", escaped(frame.x.title));
    if (with_y) add_y();
  }

  double x(double value) const { return left_ + share(frame_->x, value) * (right() - left_); }
  double y(double value) const { return bottom() - share(frame_->y, value) * (bottom() - kTop); }
  double left() const { return left_; }
  double right() const { return kWidth - kRight; }
  double bottom() const { return height_ - kBottom; }

  Drawing& operator+=(const std::string& element) {
    out_ += element;
    return *this;
  }

  Picture picture() && {
    out_ += line_at(left_, bottom(), right(), bottom(), "frame");
    return {frame_->title, frame_->note, std::move(out_), height_};
  }

 private:
  static double share(const Axis& axis, double value) {
    return std::clamp((value - axis.least) / (axis.most - axis.least), 0.0, 1.0);
  }

  void add_y() {
    for (const Tick& tick : ticks(frame_->y)) {
      const double place = y(tick.value);
      out_ += line_at(left_, place, right(), place, "grid");
      out_ += text_at(left_ - 8, place + 4, " text-anchor=\"end\"", tick.label);
    }
    const std::string middle = at((kTop + bottom()) / 2);
    out_ += text_at(
        16, (kTop + bottom()) / 2,
        " class=\"note\" text-anchor=\"middle\" transform=\"rotate(-90 16 " + middle + ")\"",
        escaped(frame_->y.title));
    out_ += line_at(left_, kTop, left_, bottom(), "frame");
  }

  const Frame* frame_;
  double height_;
  double left_;
  std::string out_{};
};

}  // namespace

double axis_end(double most) {
  if (most <= 0) return 1;
  const double power = std::pow(10.0, std::floor(std::log10(most) + 1e-9));
  for (const double times : {1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0})
    if (times * power >= most * (1 - 1e-9)) return times * power;
  return 10 * power;
}

Picture histogram(const Frame& frame, std::span<const std::uint64_t> counts, const Band& band) {
  Drawing out(frame, kHeight);
  out += rectangle(out.left(), out.y(band.most), out.right() - out.left(),
                   out.y(band.least) - out.y(band.most), "band");
  const double width = (out.right() - out.left()) / static_cast<double>(counts.size());
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double top = out.y(static_cast<double>(counts[i]));
    out += rectangle(out.left() + static_cast<double>(i) * width + 0.5, top, width - 1,
                     out.bottom() - top, "data");
  }
  out += line_at(out.left(), out.y(band.expected), out.right(), out.y(band.expected), "reference");
  return std::move(out).picture();
}

Picture lines(const Frame& frame, std::span<const Series> series) {
  Drawing out(frame, kHeight);
  std::size_t curve = 0;
  double legend = kTop + 16;
  for (const Series& one : series) {
    const std::string style =
        one.reference ? "curve reference" : "curve c" + std::to_string(curve++ % kCurves);
    std::string points;
    for (const Point& point : one.points)
      points += (points.empty() ? "" : " ") + at(out.x(point.x)) + "," + at(out.y(point.y));
    out +=
        std::string("<polyline class=\"").append(style).append("\" points=\"") + points + "\"/>\n";
    if (one.name.empty()) continue;
    out += line_at(out.left() + 12, legend - 4, out.left() + 38, legend - 4, style);
    out += text_at(out.left() + 46, legend, "", escaped(one.name));
    legend += 17;
  }
  return std::move(out).picture();
}

Picture dots(const Frame& frame, std::span<const Point> points, double threshold,
             const std::string& threshold_name) {
  Drawing out(frame, kHeight);
  for (const Point& point : points)
    out += circle(out.x(point.x), out.y(point.y), point.y > threshold ? 4 : 3,
                  point.y > threshold ? "stress" : "data");
  out += line_at(out.left(), out.y(threshold), out.right(), out.y(threshold), "reference");
  out += text_at(out.right() - 4, out.y(threshold) - 6, " text-anchor=\"end\"",
                 escaped(threshold_name));
  return std::move(out).picture();
}

Picture strip(const Frame& frame, std::span<const double> decoys, double key) {
  Drawing out(frame, kStripHeight, false);
  // Spread over the height by the golden ratio, so that dots that are near are told apart.
  constexpr double kGolden = 0.6180339887498949;
  const double middle = (kTop + out.bottom()) / 2;
  const double room = out.bottom() - kTop - 20;
  for (std::size_t i = 0; i < decoys.size(); ++i) {
    const double turn = static_cast<double>(i + 1) * kGolden;
    out += circle(out.x(decoys[i]), middle + (turn - std::floor(turn) - 0.5) * room, 2, "faint");
  }
  out += line_at(out.x(key), kTop, out.x(key), out.bottom(), "key");
  const bool left = out.x(key) > (out.left() + out.right()) / 2;
  out +=
      text_at(out.x(key) + (left ? -7 : 7), kTop + 12, left ? " text-anchor=\"end\"" : "", "key");
  return std::move(out).picture();
}

std::string to_svg(std::span<const Picture> pictures) {
  double height = 0;
  std::string titles;
  std::string notes;
  for (const Picture& picture : pictures) {
    height += picture.height;
    titles += (titles.empty() ? "" : "; ") + escaped(picture.title);
    notes += (notes.empty() ? "" : "; ") + escaped(picture.note);
  }
  std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + at(kWidth) +
                    "\" height=\"" + at(height) + "\" viewBox=\"0 0 " + at(kWidth) + " " +
                    at(height) + "\" role=\"img\" aria-labelledby=\"title note\">\n" +
                    "<title id=\"title\">" + titles + "</title>\n<desc id=\"note\">" + notes +
                    "</desc>\n<style>" + std::string(kChartStyle) + "</style>\n" +
                    rectangle(0, 0, kWidth, height, "paper");
  double top = 0;
  for (const Picture& picture : pictures) {
    out += "<g transform=\"translate(0 " + at(top) + ")\">\n" + picture.body + "</g>\n";
    top += picture.height;
  }
  return out + "</svg>\n";
}

}  // namespace countermark::render
