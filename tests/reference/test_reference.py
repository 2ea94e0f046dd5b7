# SPDX-License-Identifier: Apache-2.0
"""Tests of the reference itself: published values, the files it writes, and the laws that the mark claims.

Run: python3 -m unittest discover -s tests/reference. All inputs are fixed, so a passing test stays passing; the
tolerances of statistical tests are 5 standard errors, a chance below 1e-6 when the inputs were chosen.
"""

from __future__ import annotations

import hashlib
import re
import sys
import unittest
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import aes
import check_mac_bound
import check_score_bound
import countermark
import make_vectors
from countermark import (ALL_SHARES, CELLS, DEFAULT_LAYERS, Keys, Layer, check_layers, context_mac, draw, mark_word,
                         plain_word, route, score, slot_of_nonce, stream_tag)
from embedder import History, Plan, sample
from scenarios import (EDGE_TOKENS, RESPONSES, Mixer, generate, histories, profiles, replay, respond,
                       toy_model)
from verifier import read_document, tally

KEYS = make_vectors.KEYS
TAGS = {i: stream_tag(KEYS, i, name, 0) for i, name in enumerate((b"", b"cohort-a", b"account-7"))}
PLAIN_KEY = bytes(range(16))


class PublishedValues(unittest.TestCase):
    def test_fips_197(self) -> None:
        aes.check_published_vectors()

    def test_vectors_of_the_specification(self) -> None:
        self.assertEqual(KEYS.context.hex(), "96d7ae8b229c1062c125a38fa396cd4f")
        self.assertEqual([key.hex() for key in KEYS.candidate[:3]], [
            "6df5de6f8e1695dd5f338bb16f9ec846", "33b683b54ed6597782e4e9d8133d02ca", "20b08d70ba67b1e30a332a1cc6fdc40b"])
        self.assertEqual(TAGS[2].hex(), "dcba92d0fb57fd2808a9de90")
        s = context_mac(KEYS, [1, 2, 3, 4])
        self.assertEqual(s.hex(), "f100e0b38d0fb84fa25faa1167d83698")
        words = [mark_word(KEYS, 2, s, TAGS[2], token) for token in (0, 1, 7, 8, 50256, CELLS - 1)]
        self.assertEqual(words, [2569037125, 4033848748, 643692584, 3065217693, 3667263588, 2419510211])
        self.assertEqual([score(word) for word in words], [955960, 2936245, 170252, 1311383, 2016544, 868838])
        self.assertEqual(context_mac(KEYS, [1, 2]).hex(), "dbcf46d05fb0c3025cf825bd2d19677f")
        self.assertEqual([score(word) for word in (0, 1, 2, 1 << 31, CELLS - 2, CELLS - 1)],
                         [0, 0, 0, 726812, 22531337, 23258154])


class VectorFiles(unittest.TestCase):
    def test_regenerating_gives_the_same_bytes(self) -> None:
        files = make_vectors.build()
        for name, text in files.items():
            with self.subTest(name):
                self.assertEqual((make_vectors.FOLDER / name).read_bytes(), text.encode("ascii"))
        self.assertLess(sum(map(len, files.values())), 600_000)

    def test_frozen(self) -> None:
        """`countermark/1` is frozen: a vector file that differs from its pinned digest is another scheme."""
        pinned = dict(reversed(line.split()) for line in (make_vectors.FOLDER / "countermark-1.sha256").open())
        present = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                   for path in make_vectors.FOLDER.glob("countermark-1-*.json")}
        self.assertEqual(present, pinned)
        self.assertEqual(set(present), set(f"countermark-1-{name}.json" for name in make_vectors.FILES))

    def test_coins_at_the_edges_of_shares(self) -> None:
        """The deciding coin's distance from the least one beyond the first share of its width, and the layer."""
        found = {}
        for name, tokens in EDGE_TOKENS.items():
            layers = profiles(KEYS)[name]
            routed, coins = route(KEYS, layers, tokens)
            first = next(layer.share for layer in layers if layer.width == routed.width)
            found[name] = routed.layer, coins[-1].c - -(-first * CELLS // coins[-1].open_shares)
        self.assertEqual([found.pop(name) for name in ("coin-at", "coin-below", "rest-at", "rest-below")],
                         [(1, 0), (0, -1), (2, 0), (1, -1)])
        self.assertEqual([layer for layer, _ in found.values()], [1, 1])  # past shares of 0, and before one

    def test_responses_show_every_kind_of_draw(self) -> None:
        kinds = Counter(step["kind"] for case in RESPONSES for step in respond(KEYS, case) if step["op"] == "draw")
        self.assertEqual(set(kinds), {"mark", "short", "repeated", "full", "identity", "redraw", "one"})
        self.assertGreaterEqual(min(kinds.values()), 5, kinds)


class Parsing(unittest.TestCase):
    def test_bad_ids_and_masters_are_refused(self) -> None:
        for master, model, epoch in ((bytes(31), "m", "e"), (bytes(32), "", "e"), (bytes(32), "m", ""),
                                     (bytes(32), "\u00e9" * 128, "e")):
            self.assertRaises(ValueError, Keys, master, model, epoch)

    def test_bad_profiles_are_refused(self) -> None:
        for rows in ((), ((2, 65535, 1),), ((3, 1, 1), (2, 65535, 1)), ((0, ALL_SHARES, 1),), ((17, ALL_SHARES, 1),),
                     ((2, ALL_SHARES, 0),), ((1, -1, 1), (2, 65537, 1)), ((1, 3855, 1),) * 17):
            self.assertRaises(ValueError, check_layers, [Layer("x", *row) for row in rows])


class Route(unittest.TestCase):
    def test_thresholds_of_the_coin_are_exact(self) -> None:
        """#{c : c * R >> 32 < T} = ceil(T * 2^32 / R): a share is met within 2^-32, whatever R is."""
        mixer = Mixer(9)
        for _ in range(1000):
            rest = 1 + mixer.below(ALL_SHARES)
            share = mixer.below(rest + 1)
            count = -(-share * CELLS // rest)
            self.assertTrue(count == 0 or (count - 1) * rest >> 32 < share)
            self.assertTrue(count == CELLS or count * rest >> 32 >= share)

    def test_realised_shares(self) -> None:
        n, mixer = 4000, Mixer(10)
        counts = [0, 0, 0]
        for _ in range(n):
            counts[route(KEYS, DEFAULT_LAYERS, [mixer.below(50257) for _ in range(3)])[0].layer] += 1
        for count, layer in zip(counts, DEFAULT_LAYERS):
            p = layer.share / ALL_SHARES
            self.assertLess(abs(count - n * p), 5 * (n * p * (1 - p)) ** 0.5)

    def test_layer_depends_on_its_own_context_only(self) -> None:
        mixer = Mixer(11)
        for layers in profiles(KEYS).values():
            for _ in range(10):
                tokens = [mixer.below(1000) for _ in range(20)]
                routed = route(KEYS, layers, tokens)[0]
                self.assertEqual(route(KEYS, layers, tokens[20 - routed.width :])[0], routed)

    def test_zero_share_layers_are_never_chosen(self) -> None:
        layers = profiles(KEYS)["zero-shares"]
        seen = {route(KEYS, layers, [t, t + 1, t + 2, t + 3, t + 4])[0].layer for t in range(60)}
        self.assertEqual(seen, {2, 4})


class Draws(unittest.TestCase):
    def test_ties_go_to_the_lowest_id(self) -> None:
        self.assertEqual(draw({9: 5, 3: 5, 4: 5}, {9: 0.25, 3: 0.25, 4: 0.25}).token, 3)

    def test_plain_when_not_marked(self) -> None:
        probabilities = {token: 0.125 for token in range(8)}
        words = {token: plain_word(PLAIN_KEY, 3, 1, token) for token in range(8)}
        routed = route(KEYS, DEFAULT_LAYERS, [1, 2, 3])[0]
        plan = Plan("mark", routed)
        self.assertTrue(sample(KEYS, plan, TAGS, probabilities, PLAIN_KEY, 3)[1])
        self.assertEqual(sample(KEYS, plan, TAGS, probabilities, PLAIN_KEY, 3, 1), (draw(words, probabilities), False))
        self.assertFalse(sample(KEYS, plan, {}, probabilities, PLAIN_KEY, 3)[1])
        self.assertFalse(sample(KEYS, plan, TAGS, {7: 1.0}, PLAIN_KEY, 3)[1])
        self.assertEqual(sample(KEYS, Plan("repeated", routed), TAGS, probabilities, PLAIN_KEY, 3, 1)[0].token,
                         draw(words, probabilities).token)

    def test_frequencies_are_the_probabilities(self) -> None:
        n, probabilities = 1500, {0: 0.5, 1: 0.3, 2: 0.15, 7: 0.05}
        for marked in (True, False):
            counts = dict.fromkeys(probabilities, 0)
            for i in range(n):
                plan = Plan("mark", route(KEYS, DEFAULT_LAYERS, [i, 2, i])[0]) if marked else Plan("short", None)
                counts[sample(KEYS, plan, TAGS, probabilities, PLAIN_KEY, i)[0].token] += 1
            for token, p in probabilities.items():
                self.assertLess(abs(counts[token] - n * p), 5 * (n * p * (1 - p)) ** 0.5)

    def test_slots_are_uniform(self) -> None:
        counts = [0] * 8
        for i in range(4000):
            counts[slot_of_nonce(KEYS, 2, 8, i.to_bytes(16, "little"))] += 1
        self.assertLess(sum((count - 500) ** 2 / 500 for count in counts), 7 + 5 * 14 ** 0.5)


class Score(unittest.TestCase):
    def test_bound(self) -> None:
        report = check_score_bound.check(check_score_bound.sample_words(20_000))
        self.assertGreaterEqual(report.words, 20_000)
        self.assertTrue(report.holds, report)

    def test_table_of_the_specification(self) -> None:
        """The page alone must do: its rows are those that the score is computed with."""
        page = (Path(__file__).resolve().parents[2] / "docs" / "mark.md").read_text()
        rows = {}
        for cells in re.findall("^" + r"\| (\d+) " * 8 + r"\|$", page, re.M):
            for start in (0, 4):
                index, *row = map(int, cells[start : start + 4])
                rows[index] = tuple(row)
        self.assertEqual(tuple(rows[i] for i in range(16)), countermark._SCORE_ROWS)

    def test_mean_over_random_tokens_is_one(self) -> None:
        mixer, n = Mixer(12), 4000
        tokens = [mixer.below(CELLS) for _ in range(n)]
        for layer in range(3):
            count, total = tally(KEYS, read_document(KEYS, DEFAULT_LAYERS, tokens), layer, TAGS[layer])
            self.assertLess(abs(total / (1 << 20) - count), 5 * count ** 0.5)


class RealKey(unittest.TestCase):
    def test_distances_stay_below_the_proved_bound(self) -> None:
        for what, measured, bound in check_mac_bound.checks():
            self.assertLess(bound, 1, "a bound that says nothing")
            self.assertLessEqual(measured, bound, what)
            self.assertGreater(measured, 0, what)

    def test_without_headers_there_is_no_bound(self) -> None:
        self.assertGreater(check_mac_bound.mac_distance(4, 2, check_mac_bound.extending), 0.9)


class HistoryLaws(unittest.TestCase):
    def test_rewound_equals_rebuilt(self) -> None:
        tables = profiles(KEYS)
        for name, profile, capacity, script in histories():
            with self.subTest(name):
                history, kept = History(KEYS, tables[profile], capacity), []
                for operation, argument in script:
                    if operation in ("commit", "channel"):
                        kept.append((operation, argument))
                        history.commit(argument) if operation == "commit" else history.start_channel()
                    elif operation == "rewind":
                        history.rewind(argument)
                        del kept[argument:]
                        rebuilt = History(KEYS, tables[profile], capacity)
                        for redone, token in kept:
                            rebuilt.commit(token) if redone == "commit" else rebuilt.start_channel()
                        self.assertEqual((rebuilt.tokens, rebuilt.channel, rebuilt.seen, rebuilt.log, rebuilt.events),
                                         (history.tokens, history.channel, history.seen, history.log, history.events))

    def test_every_reason_occurs_in_the_scripts(self) -> None:
        tables = profiles(KEYS)
        reasons = {step["plan"] for _, profile, capacity, script in histories()
                   for step in replay(KEYS, tables[profile], capacity, script)}
        self.assertEqual(reasons, {"mark", "short", "repeated", "full"})

    def test_detector_scores_what_the_embedder_marked(self) -> None:
        wide = (profiles(KEYS)["three-widths"], dict.fromkeys(range(5), TAGS[0]))
        for layers, tags in ((DEFAULT_LAYERS, TAGS), wide):
            history = History(KEYS, layers, 1 << 20)
            marked = generate(KEYS, history, tags, PLAIN_KEY, 250)
            read = read_document(KEYS, layers, history.tokens)
            self.assertEqual([p.first for p in read], marked)
            self.assertTrue(50 < sum(marked) < 250)
            for layer in tags:
                n, total = tally(KEYS, read, layer, tags[layer])
                self.assertTrue(n < 20 or total / (1 << 20) > n + 3 * n ** 0.5)

    def test_detector_scores_all_that_was_marked_when_some_draws_are_plain(self) -> None:
        """Re-draws, a missing identity and a full history only take marks away, never move them."""
        history, marked, tags = History(KEYS, DEFAULT_LAYERS, 60), [], {0: TAGS[0], 2: TAGS[2]}
        for position in range(250):
            model = toy_model(history.tokens[-1] if history.tokens else 0)
            drawn, flag = sample(KEYS, history.plan(), tags, model, PLAIN_KEY, position, int(position % 5 == 4))
            history.commit(drawn.token)
            marked.append(flag)
        firsts = [p.first for p in read_document(KEYS, DEFAULT_LAYERS, history.tokens)]
        self.assertTrue(all(first for first, flag in zip(firsts, marked) if flag))
        self.assertTrue(0 < sum(marked) < sum(firsts))

    def test_speculation_gives_the_same_text(self) -> None:
        """Drafts of random length and quality, small history; rows drawn ahead, kept while they equal the draft."""
        for capacity in (1 << 20, 40):
            plain, mixer = History(KEYS, DEFAULT_LAYERS, capacity), Mixer(13)
            flags = generate(KEYS, plain, TAGS, PLAIN_KEY, 150)
            ahead = History(KEYS, DEFAULT_LAYERS, capacity)
            drawn_flags: list[bool] = []
            while len(ahead.tokens) < 150:
                start = len(ahead.tokens)
                draft = [t if mixer.below(4) else (t + 1) % 24 for t in plain.tokens[start : start + mixer.below(6)]]
                rows = []
                for j in range(len(draft) + 1):
                    last = ([0] + ahead.tokens + draft[:j])[-1]
                    rows.append(sample(KEYS, ahead.plan(draft[:j]), TAGS, toy_model(last), PLAIN_KEY, start + j))
                for j, (row_drawn, flag) in enumerate(rows):
                    ahead.commit(row_drawn.token)
                    drawn_flags.append(flag)
                    if j < len(draft) and row_drawn.token != draft[j]:
                        break
            self.assertEqual(ahead.tokens[:150], plain.tokens)
            self.assertEqual(drawn_flags[:150], flags)


if __name__ == "__main__":
    unittest.main()
