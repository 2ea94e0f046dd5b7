// SPDX-License-Identifier: Apache-2.0
#include "verifier/render/heat_map.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string_view>

#include "verifier/render/markup.h"

namespace countermark::render {
namespace {

// A token is of the last class whose bound its p does not exceed.
constexpr std::array<std::pair<double, std::string_view>, 7> kClasses{{
    {1, "above .5"},
    {0.5, ".5 or less"},
    {0.2, ".2 or less"},
    {0.1, ".1 or less"},
    {0.05, ".05 or less"},
    {0.01, ".01 or less"},
    {0.001, ".001 or less"},
}};

// Text keeps a contrast of at least 4.5 : 1 to every class, in both schemes.
constexpr std::string_view kStyle = R"(
:root{color-scheme:light dark;--ink:#1c1c22;--soft:#555560;--paper:#fff;--edge:#d5d5dd;--mark:#7a3200;
--h1:#fff3d6;--h2:#ffe3a8;--h3:#ffcd77;--h4:#fbb155;--h5:#f4934a;--h6:#ec7a4d}
@media(prefers-color-scheme:dark){:root{--ink:#ececf1;--soft:#b4b4be;--paper:#17171c;--edge:#3a3a44;
--mark:#ffc28a;--h1:#2b2619;--h2:#3d3219;--h3:#54401a;--h4:#6d4a1a;--h5:#87501c;--h6:#a04f22}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:52rem;padding:1.5rem;font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
h1{font-size:1.35rem;margin:0 0 .8rem;overflow-wrap:anywhere}h2{font-size:1.05rem;margin:1.4rem 0 .5rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.note{border-left:4px solid var(--mark);padding:.1rem .8rem;margin:.8rem 0}
.text{white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate;border:1px solid var(--edge);border-radius:6px;padding:1rem;line-height:1.9}
.t{border-radius:2px}.t:hover{outline:2px solid var(--soft)}
.h1{background:var(--h1)}.h2{background:var(--h2)}.h3{background:var(--h3)}.h4{background:var(--h4)}.h5{background:var(--h5)}.h6{background:var(--h6)}
.part{display:inline-block;width:.4em;height:1em;vertical-align:-.1em;border:1px dotted var(--soft)}
.u{color:var(--soft)}.prompt{color:var(--soft);font-style:italic}
.t:hover::after{content:attr(data-s);position:fixed;left:50%;bottom:1rem;transform:translateX(-50%);z-index:1;white-space:pre;
font:14px/1.5 system-ui,sans-serif;color:var(--paper);background:var(--ink);padding:.3rem .8rem;border-radius:4px}
mark{color:inherit;background:none;border-bottom:3px solid var(--mark);padding-bottom:1px;-webkit-box-decoration-break:clone;box-decoration-break:clone}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
table{border-collapse:collapse;font-size:.9rem}th,td{padding:.15rem .8rem .15rem 0;text-align:right;border-bottom:1px solid var(--edge)}
th{color:var(--soft);font-weight:500}td.w,th.w{text-align:left;white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate}
.swatch{display:inline-block;width:1.6em;height:1em;vertical-align:-.1em;border:1px solid var(--edge);margin-right:.5em}
summary{cursor:pointer}
)";

std::size_t class_of(double p) {
  std::size_t out = 0;
  while (out + 1 < kClasses.size() && p <= kClasses[out + 1].first) ++out;
  return out;
}

// Three significant digits.
std::string p_text(double p) {
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, p, std::chars_format::general, 3);
  return {buffer, end.ptr};
}

std::string token_html(const HeatToken& token, std::size_t index) {
  std::string text = escaped_visibly(token.text);
  if (token.prompt) return text;
  const std::string part = token.text.empty() ? " part" : "";
  if (!token.score)
    return "<span class=\"t u" + part + "\" data-s=\"not scored\">" + text + "</span>";
  return "<span class=\"t h" + std::to_string(class_of(token.score->p)) + part +
         "\" data-s=\"token " + std::to_string(index) + ": score " + number(token.score->value, 3) +
         ", p " + p_text(token.score->p) + "\">" + text + "</span>";
}

std::string text_html(const HeatMap& map) {
  std::string out = "<h2>Text</h2>\n<div class=\"text\" dir=\"auto\">";
  auto span = map.spans.begin();
  bool prompt = false;
  const auto change_prompt = [&](bool to) {
    if (to != prompt) out += to ? "<span class=\"prompt\">" : "</span>";
    prompt = to;
  };
  for (std::size_t i = 0; i < map.tokens.size(); ++i) {
    change_prompt(map.tokens[i].prompt);
    if (span != map.spans.end() && span->begin == i)
      out += "<mark title=\"" + escaped_visibly(span->note) +
             "\"><span class=\"hidden\">[marked span, " + escaped_visibly(span->note) +
             ":] </span>";
    out += token_html(map.tokens[i], i);
    if (span != map.spans.end() && span->end == i + 1) {
      out += "<span class=\"hidden\"> [end of the marked span]</span></mark>";
      ++span;
    }
  }
  change_prompt(false);
  return out + "</div>\n";
}

std::string legend_html(const HeatMap& map) {
  std::array<std::uint64_t, kClasses.size()> at_most{};
  std::uint64_t scored = 0;
  for (const HeatToken& token : map.tokens) {
    if (!token.score) continue;
    ++scored;
    for (std::size_t i = 0; i <= class_of(token.score->p); ++i) ++at_most[i];
  }
  std::string out =
      "<h2>Legend</h2>\n<table>\n<thead><tr><th class=\"w\" scope=\"col\">p of a token</th>"
      "<th scope=\"col\">tokens</th><th scope=\"col\">share</th><th scope=\"col\">without the mark"
      "</th></tr></thead>\n<tbody>\n";
  for (std::size_t i = 1; i < kClasses.size(); ++i) {
    const double share =
        scored == 0 ? 0 : static_cast<double>(at_most[i]) / static_cast<double>(scored);
    out += "<tr><td class=\"w\"><span class=\"swatch h" + std::to_string(i) + "\"></span>" +
           std::string(kClasses[i].second) + "</td><td>" + std::to_string(at_most[i]) +
           "</td><td>" + number(100 * share, 1) + " %</td><td>" +
           number(100 * kClasses[i].first, 1) + " % at most</td></tr>\n";
  }
  return out +
         "</tbody>\n</table>\n<p>Of one token p says little; the verdict adds all of them up. Grey "
         "tokens are not scored. <mark>Underlined</mark>: a span that is marked, after correction "
         "for every window that was tried.</p>\n";
}

std::string table_html(const HeatMap& map) {
  std::string out =
      "<details>\n<summary>All scored tokens as a table</summary>\n<table>\n<thead><tr>"
      "<th scope=\"col\">token</th><th class=\"w\" scope=\"col\">text</th><th scope=\"col\">score"
      "</th><th scope=\"col\">p</th></tr></thead>\n<tbody>\n";
  for (std::size_t i = 0; i < map.tokens.size(); ++i) {
    const HeatToken& token = map.tokens[i];
    if (!token.score) continue;
    out += "<tr><td>" + std::to_string(i) + "</td><td class=\"w\">" + escaped_visibly(token.text) +
           "</td><td>" + number(token.score->value, 3) + "</td><td>" + p_text(token.score->p) +
           "</td></tr>\n";
  }
  return out + "</tbody>\n</table>\n</details>\n";
}

}  // namespace

std::string to_html(const HeatMap& map) {
  const std::string title = escaped_visibly(map.title);
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
      title + "</title>\n<style>" + std::string(kStyle) +
      "</style>\n</head>\n<body>\n<main>\n<h1>" + title + "</h1>\n<dl>\n";
  for (const auto& [name, value] : map.facts)
    out += "<dt>" + escaped_visibly(name) + "</dt><dd>" + escaped_visibly(value) + "</dd>\n";
  out += "</dl>\n";
  for (const std::string& note : map.notes)
    out += "<p class=\"note\">" + escaped_visibly(note) + "</p>\n";
  out += text_html(map) + legend_html(map) + table_html(map);
  return out + "</main>\n</body>\n</html>\n";
}

}  // namespace countermark::render
