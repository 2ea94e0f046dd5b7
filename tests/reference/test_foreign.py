# SPDX-License-Identifier: Apache-2.0
"""The references of other systems' marks against values published for, or computed from, their sources."""

from __future__ import annotations

import hashlib
import json
import math
import struct
import sys
import unittest
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import make_foreign_vectors
from foreign import golden, kgw, marks, murmur3, philox, sbw, sglang, synthid, tails, textseal, three_bricks, vllm, vllm_goldens
from foreign.marks import profile, raw
from foreign.published import published
from foreign.torch_generator import Generator

CONTEXT = [100, 2000, 30000, 7]
KEY = kgw.DEFAULT_KEY
QUARTER, HALF = Fraction(1, 4), Fraction(1, 2)


def bits(g: list[int]) -> str:
    return "".join(map(str, g))


class TorchGenerator(unittest.TestCase):
    def test_permutations(self) -> None:
        for seed, n, expected in (
                (0, 10, [4, 1, 7, 5, 3, 9, 0, 8, 6, 2]),
                (0, 50257, [32487, 28000, 28825, 16393, 15419, 19980, 16112, 14510]),
                (0, 32000, [16044, 23812, 2929, 1741, 20611, 16229, 22309, 2697]),
                (42, 50257, [11486, 49380, 17873, 14459, 12097, 4312, 25709, 48681]),
                (42, 32000, [29542, 16981, 22098, 16283, 27062, 22660, 20816, 12806]),
                (15485863, 50257, [11143, 24953, 16461, 1065, 22072, 14429, 17607, 3162]),
                (15485863, 32000, [958, 17083, 30553, 27350, 1329, 24091, 15003, 13468]),
                (2971215073, 50257, [46686, 31391, 19607, 48174, 49791, 1767, 48872, 31307]),
                (2971215073, 32000, [11957, 4669, 2315, 8121, 8276, 23804, 3294, 31476])):
            with self.subTest(seed=seed, n=n):
                permutation = Generator(seed).randperm(n)
                self.assertEqual(permutation[:8], expected[:8])
                self.assertEqual(sorted(permutation), list(range(n)))
                for first in (0, 1, 5, n - 1, n):
                    self.assertEqual(Generator(seed).randperm(n, first), permutation[:first])
        self.assertEqual(Generator(0).randperm(10)[8:], [6, 2])

    def test_only_the_low_half_of_a_seed_matters(self) -> None:
        self.assertEqual(Generator((1 << 32) + 42).randperm(100), Generator(42).randperm(100))
        self.assertEqual(Generator(-1).randperm(100), Generator((1 << 64) - 1).randperm(100))
        for seed in (1 << 64, -(1 << 63) - 1):
            self.assertRaises(ValueError, Generator, seed)

    def test_uniforms(self) -> None:
        generator = Generator(0)
        self.assertEqual([f"{generator.rand32():.4f}" for _ in range(4)], ["0.4963", "0.7682", "0.0885", "0.1320"])
        generator = Generator(42)
        self.assertEqual([generator.rand32() for _ in range(4)], list(map(float.fromhex, (
            "0x1.c3b8ccp-1", "0x1.d47b66p-1", "0x1.880d7p-2", "0x1.eb2a1cp-1"))))

    def test_integers(self) -> None:
        generator = Generator(0)
        self.assertEqual(bits([generator.randint(0, 2) for _ in range(16)]), "0110111111100100")


class LmWatermarking(unittest.TestCase):
    def test_table(self) -> None:
        table = kgw.hash_table(kgw.LM_TABLE_SEED)
        self.assertEqual(table[:8], [250534, 296009, 268311, 356494, 845733, 336025, 288590, 910463])
        self.assertEqual(table[-4:], [938826, 128624, 123226, 70416])
        self.assertEqual(list(map(kgw.hashint, CONTEXT)), [978388, 558176, 781553, 910464])

    def test_all_prfs(self) -> None:
        published = {
            "multiplicative": (650406246000000000, [3561, 15996, 40028, 41793, 5787, 26771]),
            "additive": (497204603341, [7100, 4085, 2371, 5040, 30737, 10308]),
            "minfunc": (108401041, [33157, 36153, 48593, 47611, 861, 19855]),
            "simple-skip": (573255762785, [32850, 48174, 48450, 1480, 15147, 10886]),
            "skipgram": (878495, [15686, 24707, 38345, 46050, 14223, 12515]),
            "anchored-skipgram": (235007954440, [46582, 576, 34936, 21452, 49739, 45969]),
            "minhash": (267512, [30127, 13333, 13240, 29170, 14720, 42930]),
            "anchored-minhash": (-7427377627616110720, [5898, 36198, 19205, 45322, 23291, 32922]),
            "minskipgram": (174563083016, [46670, 3058, 32447, 31919, 15481, 9529]),
            "noncomm": (2813240289, [32499, 11769, 20226, 12607, 13855, 16378]),
            "position": (1457653312464, [43205, 18358, 23868, 11580, 48701, 4940]),
        }
        self.assertEqual(published.keys(), kgw.LM_PRFS.keys())
        for name, (value, first) in published.items():
            with self.subTest(name):
                self.assertEqual(kgw.LM_PRFS[name](CONTEXT, KEY), value)
                permutation = kgw.permutation(kgw.seed_of(value), 50257)
                self.assertEqual(permutation[:6], first)
                self.assertEqual([t for t in first if kgw.is_green(kgw.seed_of(value), t, 50257, QUARTER)], first)
        self.assertEqual(kgw.seed_of(-7427377627616110720), 11019366446093440895)
        self.assertEqual(kgw.LM_PRFS["additive"]([7], KEY), published["minfunc"][0])  # lefthash of the last token

    def test_size_of_the_list(self) -> None:
        self.assertEqual(kgw.green_count(50257, QUARTER), 12564)
        permutation = kgw.permutation(108401041, 50257)
        self.assertTrue(kgw.is_green(108401041, permutation[12563], 50257, QUARTER))
        self.assertFalse(kgw.is_green(108401041, permutation[12564], 50257, QUARTER))


class Transformers(unittest.TestCase):
    def test_table(self) -> None:
        self.assertEqual(kgw.hash_table(KEY)[:8], [138280, 994103, 467886, 915329, 149437, 806681, 915993, 784932])

    def test_selfhash(self) -> None:
        value = kgw.hf_selfhash(CONTEXT, KEY)
        self.assertEqual((value, kgw.seed_of(value)), (-8905597034947482609, 9541147038762069006))

    def test_lefthash(self) -> None:
        self.assertEqual(kgw.hf_lefthash(CONTEXT, KEY), 108401041)


class SynthId(unittest.TestCase):
    keys = synthid.DEFAULT_KEYS

    def test_table(self) -> None:
        table = synthid.table()
        self.assertEqual(bits(list(table[:64])), "0110111111100100000101100111101010110110010111110101111010011010")
        self.assertEqual(sum(table), 32743)
        self.assertEqual(hashlib.sha256(table).hexdigest(),
                         "a3e9e18ea34546849c5136cf9b06c7bfd03e50e601da14af47cd926f9e623a85")

    def test_table_hash(self) -> None:
        self.assertEqual(synthid.hf_context_hash(CONTEXT), -5723378418949431364)
        for token, expected in ((7, "000001100001111000100100100101"), (8, "010010101110111100110110101011"),
                                (65543, "000001100001111000100100100101"), (50256, "100010101100001101100001100011")):
            self.assertEqual(bits(synthid.hf_g(self.keys, CONTEXT, token)), expected)
        self.assertEqual(synthid.hf_context_hash([0] * 4), -4106384379532733411)
        self.assertEqual(bits(synthid.hf_g(self.keys, [0] * 4, 5)), "011100101101100010001101010101")

    def test_hash_without_a_table(self) -> None:
        self.assertEqual(synthid.initial_hash(self.keys), 0x1666331A16941AB7)
        self.assertEqual(synthid.context_hash(self.keys, CONTEXT), -5195276322152728110)
        for token, expected in ((7, "010101110110011011100111001011"), (8, "001101010110011000011111000010"),
                                (65544, "010111000101101111001111000011"), (50256, "010111011000101111101111000111")):
            self.assertEqual(bits(synthid.g(self.keys, CONTEXT, token)), expected)
        self.assertEqual(synthid.context_hash(self.keys, [0] * 4), -3578282282736030157)
        self.assertEqual(bits(synthid.g(self.keys, [0] * 4, 5)), "101101011001010110000100111111")

    def test_history(self) -> None:
        """A repeat counts again once 1024 contexts lie between; a hash of 0 is known from the start."""
        between = list(range(1, 1024))
        self.assertEqual(synthid.first_occurrences([-1, *between, -1]), [True] * 1024 + [False])
        self.assertEqual(synthid.first_occurrences([-1, *between, 1024, -1]), [True] * 1026)
        self.assertEqual(synthid.first_occurrences([0, 5, 5]), [False, True, False])


class Vllm(unittest.TestCase):
    def test_key_split(self) -> None:
        self.assertEqual(vllm.split_key(42), (0x0083FC6A8FB9D18C, 0xDBA381CE1FB887AD))

    def test_words(self) -> None:
        for key, context, tokens, words in (
                (42, [1, 2, 3, 4], [7, 8], [425429266, 2706218805]),
                (42, [4, 5, 6, 7], [7, 8], [2494036831, 3424185538]),
                (42, [-1] * 4, [0, 1, 7, 8, 50256], [4197411589, 28483919, 3152641195, 521883383, 3786963970]),
                (0x0123456789ABCDEF, [1, 2, 3, 4], [0, 1, 7, 8, 50256],
                 [3815641526, 3483082719, 2384190532, 1660680781, 799575891]),
                (42, [1, 2], [0, 1, 7, 8, 50256], [4287894083, 463484383, 1071134488, 2143802888, 3129481046]),
                (42, [1, 2, 3, 4, 5], [0, 1, 7, 8, 50256],
                 [472763794, 4293921223, 3211277280, 810111416, 265873143])):
            self.assertEqual([philox.word(key, context, token) for token in tokens], words)
        self.assertEqual([vllm.cell(42, [1, 2, 3, 4], t) for t in (7, 8)], [1661833, 10571167])
        self.assertEqual([vllm.cell(42, [4, 5, 6, 7], t) for t in (7, 8)], [9742331, 13375724])

    def test_uniform(self) -> None:
        """Never 0 or 1: the float32 before (m + 1) / 2^24."""
        for m in (0, 1, 2, 1 << 23, (1 << 23) - 1, (1 << 24) - 2, (1 << 24) - 1, 1661833, 10571167):
            edge, = struct.unpack("<I", struct.pack("<f", (m + 1) * 2.0**-24))
            self.assertEqual(vllm.uniform(m), struct.unpack("<f", struct.pack("<I", edge - 1))[0])



    def test_goldens_of_the_source(self) -> None:
        for each in vllm_goldens.GOLDENS:
            with self.subTest(each.name):
                numbers = published(vllm_goldens.profile(each), vllm_goldens.detection_key(each),
                                              vllm_goldens.generate(each))
                self.assertEqual(numbers["n"], each.n)
                self.assertTrue(math.isclose(numbers["statistic"], each.statistic, rel_tol=1e-9))
                self.assertTrue(math.isclose(numbers["p"], each.p, rel_tol=1e-9), numbers)

    def test_golden(self) -> None:
        """Generation and detection of 64 tokens, as the source's own test has them."""
        tokens = golden.generate(lambda position: 42)
        self.assertEqual(tokens, [
            46, 24, 45, 80, 14, 26, 22, 124, 21, 45, 16, 30, 5, 89, 0, 10, 27, 70, 80, 62, 1, 11, 117, 53, 10, 45, 94,
            37, 43, 22, 78, 49, 119, 9, 22, 118, 82, 75, 32, 24, 84, 27, 122, 66, 78, 64, 124, 17, 91, 12, 51, 15, 75,
            64, 127, 45, 112, 15, 83, 114, 121, 109, 24, 77])
        for key, statistic, p in ((42, 296.272957878563, 7.1281962809e-61), (43, 63.250967165856, .520844793689)):
            numbers = published(profile("vllm-gumbel/philox4x32-10-v1"), f"int:{key}", tokens)
            self.assertEqual(numbers["n"], 64)
            self.assertAlmostEqual(numbers["statistic"] / statistic, 1, delta=1e-11)
            self.assertAlmostEqual(numbers["p"] / p, 1, delta=1e-9)

    def test_synthid_words(self) -> None:
        """Depth d is bit d of a word, whose stream may be set apart."""
        plain = vllm.g_bits(42, [1, 2, 3, 4], 7, 32, 0)
        self.assertEqual(sum(bit << d for d, bit in enumerate(plain)), 425429266)
        self.assertNotEqual(vllm.g_bits(42, [1, 2, 3, 4], 7, 32), plain)
        self.assertEqual(vllm.g_bits(42, [1, 2, 3, 4], 7, 5, 0), plain[:5])


class Sbw(unittest.TestCase):
    """No vector is published: only that the coin is one, and that the two seeds of `lefthash` differ."""

    def test_share_of_green(self) -> None:
        for gamma in (Fraction(1, 10), QUARTER, HALF):
            green = sum(sbw.is_green(sbw.selfhash_seed(42, [c, t]), t, gamma) for c in range(40) for t in range(100))
            self.assertLess(abs(green - 4000 * gamma), 5 * (4000 * gamma * (1 - gamma)) ** 0.5)

    def test_padding_is_minus_one(self) -> None:
        self.assertEqual(sbw.lefthash_seed(42, [vllm.PAD, 2]), 42)
        self.assertEqual(sbw.hash32(vllm.PAD), sbw.hash32(-1))

    def test_detector_misses_lefthash(self) -> None:
        self.assertNotEqual(sbw.lefthash_seed(42, [1, 2]), sbw.lefthash_detector_seed(42, [1, 2]))


class SgLang(unittest.TestCase):
    a, b = 0x0123456789ABCDEF, 0xFEDCBA9876543210

    def test_published(self) -> None:
        first, second = [1, 2, 3, 4], [4, 3, 2, 1]
        self.assertEqual([murmur3.murmur(c) for c in (first, second)], [1145416960, 47748951])
        tokens = [0, 1, 17, 8191, 8192, 16396]
        self.assertEqual([sglang.word(self.a, first, t) for t in tokens],
                         [1293512163, 858402549, 2305555132, 2450309311, 227333036, 2684237202])
        self.assertEqual([sglang.word(self.b, second, t) for t in tokens],
                         [221641642, 4015047244, 843143906, 1076944989, 3882127500, 2413234263])
        for keys in ((self.a, self.b), (0x1111222233334444, 0x9999AAAABBBBCCCC)):
            self.assertEqual([sglang.coin_is_a(*keys, c, HALF) for c in (first, second)], [True, False])
        self.assertEqual(sglang.dual_word(self.a, self.b, first, 17, HALF), 2305555132)
        self.assertEqual(sglang.dual_word(self.a, self.b, second, 17, HALF), 843143906)

    def test_colliding_contexts(self) -> None:
        self.assertEqual(murmur3.murmur([55826, 167495]), murmur3.murmur([62387, 187178]))

    def test_largest_score(self) -> None:
        self.assertAlmostEqual(sglang.score((1 << 32) - 1), 33 * math.log(2), places=12)


class TextSeal(unittest.TestCase):
    tokens = [0, 1, 7, 8, 50256, 128000]

    def test_published(self) -> None:
        for key, context, expected in ((42, [7], [3820, 736, 7746, 4771, 3927, 6260]),
                                       (12387, [7], [4758, 4123, 1138, 3440, 5198]),
                                       (42, [30000, 7], [7183, 1162, 747, 6254, 5510, 3383]),
                                       (42, CONTEXT, [4214, 3483, 5426, 1406, 5280, 3974])):
            self.assertEqual([textseal.level(key, context, t) for t, _ in zip(self.tokens, expected)], expected)

    def test_law_of_a_score(self) -> None:
        scores = [textseal.score(h) for h in range(textseal.LEVELS)]
        mean = sum(scores) / len(scores)
        self.assertEqual(f"{mean:.5f} {sum((s - mean) ** 2 for s in scores) / len(scores):.5f} {max(scores):.2f}",
                         "0.99934 0.99410 9.01")

    def test_collisions(self) -> None:
        """What the source's form makes equal under every key, and the keys that are shifts of each other."""
        for key in (42, 12387, 7):
            for c1, c2, x in ((1000, 2000, 3000), (900, 17, 5), (50000, 100, 128000)):
                self.assertEqual(textseal.level(key, [c1, c2], x), textseal.level(key, [c1 - 821, c2 + 61], x + 76))
                self.assertEqual(textseal.level(key, [c1], x), textseal.level(key + 183, [c1 - 16780], x + 763))


class ThreeBricks(unittest.TestCase):
    def test_published(self) -> None:
        for context, seed, uniforms, permutation in (
                ([7], 7, ["0x1.11e15ep-1", "0x1.972620p-3", "0x1.518432p-1", "0x1.5053ecp-1"],
                 [29615, 28406, 15093, 23734, 20683, 11927]),
                ([30000, 7], 1059510007, ["0x1.802ba0p-4", "0x1.3dafd6p-1", "0x1.bd4a88p-3", "0x1.6abcbcp-1"],
                 [19642, 20272, 18197, 13532, 7195, 14457]),
                (CONTEXT, 4407551460489307, ["0x1.e87ee6p-1", "0x1.fb7a7cp-2", "0x1.9a69acp-2", "0x1.8882e4p-1"],
                 [19059, 454, 21049, 7170, 8880, 7692])):
            self.assertEqual(three_bricks.seed_of(0, context), seed)
            generator = Generator(seed)
            self.assertEqual([generator.rand32() for _ in range(4)], list(map(float.fromhex, uniforms)))
            self.assertEqual(Generator(seed).randperm(32000)[:6], permutation)
        generator = Generator(7)
        self.assertEqual([generator.rand32() for _ in range(32000)][31999], float.fromhex("0x1.f44fd0p-2"))
        self.assertEqual(4407551460489307 & (1 << 32) - 1, 186759259)


class PublishedNumbers(unittest.TestCase):
    def test_hf_formula(self) -> None:
        for z, p, true in ((1, ".2645", ".1587"), (2, ".0392", ".0228"), (3, ".00162", ".00135"),
                           (4, "1.88e-5", "3.17e-5"), (5, "6.1e-8", "2.9e-7"), (6, "5.6e-11", "9.9e-10"),
                           (8, "1.0e-18", "6.2e-16"), (10, "1.1e-28", "7.6e-24")):
            for computed, printed in ((tails.hf_tail(z), p), (tails.normal_tail(z), true)):
                digits = len(printed.split("e")[0].replace(".", "").lstrip("0"))
                self.assertEqual(float(f"{float(computed):.{digits - 1}e}"), float(printed), (z, printed))
        self.assertAlmostEqual(float(tails.hf_tail(-1) + tails.hf_tail(1)), 1, places=15)
        self.assertEqual((tails.hf_tail(0), tails.hf_printed(0), tails.hf_printed(8)), (0.5, 0.5, 0))
        self.assertAlmostEqual(tails.hf_printed(3) / float(tails.hf_tail(3)), 1, delta=1e-9)

    def test_gamma_tail(self) -> None:
        self.assertEqual(f"{float(tails.gamma_tail(4096, 4096)):.16f}", "0.4979221728062154")
        shape, total = Fraction(6400, 82), 281.19
        density = lambda x: x ** (shape.numerator / tails.mpf(shape.denominator) - 1) * tails.mp.exp(-x)
        whole = tails.mp.gamma(tails.mpf(shape.numerator) / shape.denominator)
        by_quadrature = tails.mp.quad(density, [total, total + 100, total + 300, tails.mp.inf]) / whole
        self.assertAlmostEqual(float(tails.gamma_tail(shape, total) / by_quadrature), 1, delta=1e-12)

    def test_binomial_tail(self) -> None:
        """I_gamma(s, 1 + n - s), and what a normal tail makes of it where z first reaches 4."""
        self.assertEqual(float(tails.binomial_tail(10, 0, QUARTER)), 1)
        incomplete = tails.mp.betainc(30, 171, 0, tails.mpf(1) / 10, regularized=True)
        self.assertAlmostEqual(float(tails.binomial_tail(200, 30, Fraction(1, 10)) / incomplete), 1, delta=1e-12)
        for gamma, n, ratio in ((QUARTER, 10, "13"), (QUARTER, 20, "5.8"), (QUARTER, 50, "3.9"), (QUARTER, 100, "2.0"),
                                (QUARTER, 200, "1.9"), (QUARTER, 1000, "1.5"), (Fraction(1, 10), 10, "52"),
                                (Fraction(1, 10), 100, "9.8"), (Fraction(1, 20), 20, "81"),
                                (Fraction(1, 20), 200, "6.0")):
            green = next(k for k in range(n) if tails.z_of(k, n, gamma) >= 4)
            found = float(tails.binomial_tail(n, green, gamma) / tails.normal_tail(4))
            digits = len(ratio.replace(".", ""))
            self.assertEqual(float(f"{found:.{digits - 1}e}"), float(ratio), (gamma, n, found))

    def test_repeats_count_unless_they_are_left_out(self) -> None:
        """Seven n-grams of which two are distinct."""
        tokens = [5, 6, 5, 6, 5, 6, 5, 6]
        for dedup, n in (("none", 7), ("tuple", 2)):
            given = profile("hf-kgw/1", vocabSize=128, dedup=dedup)
            self.assertEqual(published(given, "int:42", tokens)["n"], n)
        given = profile("lm-watermarking/1", prf="additive", contextWidth=1, selfSalt=False, vocabSize=128)
        self.assertEqual(published(given, "int:42", tokens)["n"], 2)

    def test_floors_and_skips(self) -> None:
        given = profile("three-bricks-greenlist/1", vocabSize=128)
        self.assertEqual(published(given, "int:0", list(range(12)))["n"], 10)
        given = profile("textseal/1", prf="textseal", contextWidth=2)
        self.assertEqual(published(given, "int:42", list(range(12)))["n"], 9)


class Marks(unittest.TestCase):
    def test_profiles_and_contexts_are_checked(self) -> None:
        self.assertRaises(ValueError, profile, "vllm-gumbel/philox4x32-10-v1", gamma="1/2")
        self.assertRaises(ValueError, raw, profile("tgi-kgw/1"), "int:1", [1, 2], 3)
        self.assertRaises(ValueError, raw, profile("tgi-kgw/1"), "int:1", [1], 50257)
        for scheme, key in (("vllm-gumbel/philox4x32-10-v1", 1 << 64), ("vllm-gumbel/philox4x32-10-v1", -1)):
            self.assertRaises(ValueError, raw, profile(scheme), f"int:{key}", [1, 2, 3, 4], 5)
        self.assertRaises(ValueError, raw, profile("hf-kgw/1", prf="selfhash"), f"int:{1 << 63}", [], 5)

    def test_keys(self) -> None:
        self.assertEqual(marks.parse_key("hex:0123456789abcdeffedcba9876543210"), [SgLang.a, SgLang.b])
        self.assertEqual(marks.parse_key("ints:654,400"), [654, 400])
        self.assertRaises(ValueError, marks.parse_key, "text:secret")


class VectorFiles(unittest.TestCase):
    def test_regenerating_gives_the_same_bytes(self) -> None:
        for name, text in make_foreign_vectors.build().items():
            with self.subTest(name):
                self.assertEqual((make_foreign_vectors.FOLDER / name).read_bytes(), text.encode("ascii"))
                self.assertLess(len(text), 700_000)

    def test_every_scheme_is_covered(self) -> None:
        """Each with two widths and three keys at least, and each green mark with both colours."""
        cases = json.loads((make_foreign_vectors.FOLDER / "foreign-marks.json").read_text())["cases"]
        for scheme in marks.RAW:
            own = [case for case in cases if case["profile"]["scheme"] == scheme]
            self.assertGreaterEqual(len({case["key"] for case in own}), 3, scheme)
            self.assertGreaterEqual(len({case["profile"]["contextWidth"] for case in own}),
                                    1 if scheme == "tgi-kgw/1" else 2, scheme)
            for case in own:
                if "gamma" in case["profile"]:
                    colours = {item["raw"][0] for item in case["tuples"]}
                    self.assertEqual(colours, {0, 1}, case["profile"])
        prfs = {case["profile"]["prf"] for case in cases if case["profile"]["scheme"] == "lm-watermarking/1"}
        self.assertEqual(prfs, kgw.LM_PRFS.keys())


if __name__ == "__main__":
    unittest.main()
