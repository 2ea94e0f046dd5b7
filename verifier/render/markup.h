// SPDX-License-Identifier: Apache-2.0
// What goes into SVG and HTML: text that stays text, and numbers that are the same everywhere.
#pragma once

#include <string>
#include <string_view>

namespace countermark::render {

// `text` as content or as the value of an attribute in double quotes, of XML and of HTML. What is
// not UTF-8, and what XML forbids, becomes U+FFFD.
std::string escaped(std::string_view text);

// The same for text under test, which may be made to deceive who looks at it: control characters
// and those that turn the direction of writing are spelled out ("U+202E" in angle quotes). Line
// feeds and tabs stay.
std::string escaped_visibly(std::string_view text);

// `value` with up to `decimals` decimals, without zeros at the end: "3.5", "-0.25", "0".
std::string number(double value, int decimals);

}  // namespace countermark::render
