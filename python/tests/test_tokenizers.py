# SPDX-License-Identifier: Apache-2.0
"""Our ids against Hugging Face's tokenizers, over the components of a tokenizer.json.

Models are trained here, on the documentation and the source of this repository and a few lines of
many scripts. encode_special_tokens is the library's own way to read special tokens as text.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import random
import struct
import tempfile
import unicodedata
import unittest
from pathlib import Path
from typing import Any

import countermark

try:
    import tokenizers
    from tokenizers import models, pre_tokenizers, trainers
except ImportError:
    tokenizers = None

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = Path(os.environ.get("COUNTERMARK_TEST_DATA", ROOT.parent / "shared" / "data"))
SEED = 20_261_121
MARK = "\u2581"

LINES = [
    "The mill on the river made paper; don't worry, it's 1826.",
    "L’été, où naïve Zoë mangea un œuf à Orléans… «déjà vu»",
    "Übergrößenträger 3,50 € und ein Straßenfußball",
    "Съешь же ещё этих мягких французских булок, да выпей чаю",
    "Ταχίστη αλώπηξ βαφής ψημένη γη, ΣΊΣΥΦΟΣ",
    "敏捷的棕色狐狸跳过懒狗。１２３ ＡＢＣ",
    "いろはにほへと ちりぬるを ｶﾞｷﾞｸﾞ",
    "다람쥐 헌 쳇바퀴에 타고파 각각",
    "नमस्ते दुनिया, क्षत्रिय ज्ञान",
    "السلام عليكم ورحمة الله وبركاته",
    "שָׁלוֹם עוֹלָם",
    "ภาษาไทยไม่มีช่องว่าง",
    "for (int i = 0; i < n; ++i) {\n\t  x[i] += y[i] * 0x1F;\r\n}\n\n",
    "👩‍👩‍👧‍👦 🇩🇪 👍🏽 e\u0301 a\u0323\u0301 \u212b ﬁ ½ Ⅷ ㎏ \u00a0x\u3000y\u200bz\u200d",
    "   leading, trailing and   inner    spaces   ",
    MARK + " is the mark " + MARK * 3 + "x" + MARK,
]
HARD = ["", " ", "  ", "   ", "a", " a", "a ", "  a  b  ", "\n", "\t\n ", MARK, MARK * 2, " " + MARK, MARK + " ", "a" * 300,
        "\u0301", " \u0301", "e\u0301" * 40, "\0", "a\0b", "<0x41>", "<0x0A>", "<un k>", "\U0010ffff", "\ufffd",
        "\u3000\u3000x", "\u2028\u2029", "\r\n\r\n", "ǅ ﬃ İ I ß ẞ", *LINES]


def corpus() -> list[str]:
    files = [*sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "verifier" / "text").glob("*.cpp"))]
    return LINES * 20 + [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def texts(count: int) -> list[str]:
    """Hard ones, and random mixes of real text with noise."""
    source = "\n".join(corpus())
    many = "\n".join(LINES)
    rng = random.Random(SEED)
    mixed = []
    for _ in range(count):
        parts = []
        for _ in range(rng.randrange(1, 12)):
            kind = rng.randrange(6)
            whole = source if kind < 2 else many
            begin = rng.randrange(len(whole))
            size = rng.randrange(1, 60)
            if kind < 4:
                parts.append(whole[begin:begin + size])
            elif kind == 4:
                parts.append("".join(rng.choice(" \n\t" + MARK + "aA.1é\u0301中") for _ in range(rng.randrange(12))))
            else:
                parts.append("".join(chr(rng.choice((rng.randrange(0x20, 0x250), rng.randrange(0xe000, 0x10000),
                                                     rng.randrange(0x1f300, 0x1f700)))) for _ in range(rng.randrange(8))))
        mixed.append("".join(parts))
    return HARD + mixed


def replace(pattern: str, content: str, kind: str = "String") -> dict[str, Any]:
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


def metaspace(scheme: str = "always", split: bool = True) -> dict[str, Any]:
    return {"type": "Metaspace", "replacement": MARK, "prepend_scheme": scheme, "split": split}


def sequence(name: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", name: list(parts)}


LLAMA_NORMALIZER = sequence("normalizers", {"type": "Prepend", "prepend": MARK}, replace(" ", MARK))
LLAMA_DECODER = sequence("decoders", replace(MARK, " "), {"type": "ByteFallback"}, {"type": "Fuse"},
                         {"type": "Strip", "content": " ", "start": 1, "stop": 0})


def file_of(model: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
            "pre_tokenizer": None, "post_processor": None, "decoder": metaspace(), "model": model} | members


def added(content: str, number: int, **flags: bool) -> dict[str, Any]:
    return {"id": number, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": False} | flags


def trained_bpe(size: int = 1200, bytes_too: bool = True) -> dict[str, Any]:
    tokenizer = tokenizers.Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<unk>", "<s>", "</s>"] + ([f"<0x{byte:02X}>" for byte in range(256)] if bytes_too else [])
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=size, special_tokens=special,
                                                                limit_alphabet=150, show_progress=False))
    model: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    return model | {"byte_fallback": bytes_too, "fuse_unk": True}


def trained_unigram(bytes_too: bool = False) -> dict[str, Any]:
    tokenizer = tokenizers.Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(corpus(), trainers.UnigramTrainer(
        vocab_size=900, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", show_progress=False))
    model: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    if bytes_too:
        model["vocab"] += [[f"<0x{byte:02X}>", 0.0 - byte] for byte in range(256)]
        model["byte_fallback"] = True
    return model


def specials(model: dict[str, Any]) -> list[dict[str, Any]]:
    vocab = model["vocab"] if isinstance(model["vocab"], dict) else {p[0]: i for i, p in enumerate(model["vocab"])}
    return [added(token, vocab[token], special=True) for token in ("<unk>", "<s>", "</s>")]


@unittest.skipIf(tokenizers is None, "tokenizers is not installed")
class Parity(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def ours(self, file: dict[str, Any]) -> countermark.Tokenizer:
        path = self.folder / "tokenizer.json"
        path.write_text(json.dumps(file), encoding="utf-8")
        return countermark.Tokenizer.load(path)

    def compare(self, file: dict[str, Any], given: list[str], name: str) -> None:
        theirs = tokenizers.Tokenizer.from_str(json.dumps(file))
        theirs.encode_special_tokens = True
        ours = self.ours(file)
        for text in given:
            try:
                expected = theirs.encode(text, add_special_tokens=False).ids
            except BaseException as error:  # a panic, where a token begins in the space that the one before took
                if "bad split" not in str(error):
                    raise
                ours.encode(text)
                continue
            self.assertEqual(ours.encode(text), expected, f"{name}: {text!r}")

    def test_metaspace_bpe(self) -> None:
        given = texts(400)
        models_ = {"bytes": trained_bpe(), "unknown": trained_bpe(600, False)}
        for (name, model), fuse, bytes_too, ignore in itertools.product(models_.items(), (True, False), (True, False),
                                                                        (True, False)):
            model = model | {"fuse_unk": fuse, "byte_fallback": bytes_too, "ignore_merges": ignore}
            settings = f"{name}, fuse_unk {fuse}, byte_fallback {bytes_too}, ignore_merges {ignore}"
            self.compare(file_of(model, added_tokens=specials(model), normalizer=LLAMA_NORMALIZER, decoder=LLAMA_DECODER),
                         given, settings)
            self.compare(file_of(model, added_tokens=specials(model), pre_tokenizer=metaspace("first", False)), given,
                         settings + ", Metaspace")

    def test_some_bytes_have_no_token(self) -> None:
        model = trained_bpe()
        for byte in (0x80, 0x9f, 0xe4):
            del model["vocab"][f"<0x{byte:02X}>"]
        for fuse in (True, False):
            self.compare(file_of(model | {"fuse_unk": fuse}, pre_tokenizer=metaspace()), texts(200), f"fuse_unk {fuse}")

    def test_metaspace(self) -> None:
        given = texts(200)
        for model in (trained_bpe(), trained_unigram()):
            for scheme, split in itertools.product(("first", "always", "never"), (True, False)):
                file = file_of(model, pre_tokenizer=metaspace(scheme, split),
                               added_tokens=[*specials(model), added("paper", 5000), added("river", 5001, normalized=True)])
                if isinstance(model["vocab"], list):
                    file["added_tokens"][-2]["id"] = len(model["vocab"])
                    file["added_tokens"][-1]["id"] = len(model["vocab"]) + 1
                else:
                    size = len(model["vocab"])
                    file["added_tokens"][-2]["id"] = model["vocab"].get("paper", size)
                    file["added_tokens"][-1]["id"] = model["vocab"].get("river", size + ("paper" not in model["vocab"]))
                self.compare(file, given, f"{scheme}, split {split}")

    def test_unigram(self) -> None:
        given = texts(600)
        for bytes_too in (False, True):
            model = trained_unigram(bytes_too)
            for pre_tokenizer in (metaspace(), metaspace(split=False), None,
                                  sequence("pretokenizers", {"type": "WhitespaceSplit"}, metaspace())):
                self.compare(file_of(model, added_tokens=specials(model), pre_tokenizer=pre_tokenizer), given,
                             f"byte_fallback {bytes_too}, {pre_tokenizer}")

    def test_equal_scores(self) -> None:
        rng = random.Random(SEED)
        for _ in range(40):
            pieces = {"".join(rng.choice("ab") for _ in range(rng.randrange(1, 5))) for _ in range(12)}
            vocab = [["<unk>", 0.0]] + [[piece, rng.choice((-1.0, -2.0, -0.5, 3.0))] for piece in sorted(pieces)]
            model = {"type": "Unigram", "unk_id": 0, "vocab": vocab, "byte_fallback": False}
            given = ["".join(rng.choice("aabbc") for _ in range(rng.randrange(1, 30))) for _ in range(50)]
            self.compare(file_of(model), given, str(vocab))

    def test_normalizers(self) -> None:
        given = texts(300)
        model = trained_bpe()
        steps = [{"type": form} for form in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase")]
        steps += [{"type": "Strip", "strip_left": left, "strip_right": right}
                  for left, right in itertools.product((True, False), repeat=2)]
        steps += [{"type": "Prepend", "prepend": ">>"}, replace("e", "EE"), replace("''", ""), replace(" {2,}", " ", "Regex"),
                  replace(" {2,}", MARK, "Regex"), replace(r"\s+", " ", "Regex"), replace(".", "!")]
        for step in steps:
            self.compare(file_of(model, normalizer=step, pre_tokenizer=metaspace()), given, str(step))
        for pair in random.Random(SEED).sample(list(itertools.permutations(steps, 2)), 40):
            self.compare(file_of(model, normalizer=sequence("normalizers", *pair), pre_tokenizer=metaspace()),
                         given[:120], str(pair))

    def test_every_character(self) -> None:
        """By a vocabulary of bytes, whose tokens tell what a normalizer has made."""
        vocab = {f"<0x{byte:02X}>": byte for byte in range(256)}
        model = {"type": "BPE", "vocab": vocab, "merges": [], "byte_fallback": True}
        # U+0301 and U+0897 change what is one cluster.
        every = [chr(c) for c in range(0x110000) if not 0xd800 <= c < 0xe000]
        for step in [{"type": "NFD"}, {"type": "NFKC"}, {"type": "NFKD"}, {"type": "Lowercase"},
                     {"type": "Strip", "strip_left": True, "strip_right": True}]:
            file = file_of(model, normalizer=step)
            theirs = tokenizers.Tokenizer.from_str(json.dumps(file))
            ours = self.ours(file)
            differ = [c for c in every if ours.encode(c) != theirs.encode(c, add_special_tokens=False).ids]
            self.assertEqual(differ, [], str(step))

    def test_every_mark(self) -> None:
        """Beside others, which tells the order of the two: the library's tables are those of Unicode 9.0."""
        vocab = {f"<0x{byte:02X}>": byte for byte in range(256)}
        model = {"type": "BPE", "vocab": vocab, "merges": [], "byte_fallback": True}
        marks = [c for c in map(chr, range(0x300, 0x1f000)) if unicodedata.category(c) in ("Mn", "Mc", "Cn")]
        given = [text for c in marks for text in ("\u0345" + c, c + "\u0334", "e" + c + "\u0301", c + "\U00011930")]
        self.compare(file_of(model, normalizer={"type": "NFC"}), given, "NFC")

    def test_cuts(self) -> None:
        given = texts(300)
        model = trained_bpe()
        marks = "[!-/]"
        cuts: list[dict[str, Any]] = [{"type": "Whitespace"}, {"type": "WhitespaceSplit"},
                                      {"type": "Digits", "individual_digits": True},
                                      {"type": "Digits", "individual_digits": False}]
        cuts += [{"type": "Punctuation", "behavior": behavior}
                 for behavior in ("Isolated", "Removed", "Contiguous", "MergedWithNext", "MergedWithPrevious")]
        for kind, behavior in itertools.product(({"Regex": marks}, {"String": " "}, {"String": MARK}),
                                                ("Isolated", "Removed", "MergedWithNext", "MergedWithPrevious")):
            cuts.append({"type": "Split", "pattern": kind, "behavior": behavior, "invert": False})
        for cut in cuts:
            self.compare(file_of(model, pre_tokenizer=cut), given, str(cut))
            self.compare(file_of(model, pre_tokenizer=sequence("pretokenizers", cut, metaspace())), given, str(cut))
            self.compare(file_of(model, pre_tokenizer=sequence("pretokenizers", metaspace("first"), cut)), given, str(cut))

    def test_words_know_every_character(self) -> None:
        """By single_word, and by the cuts of Whitespace."""
        vocab = {f"<0x{byte:02X}>": byte for byte in range(256)}
        model = {"type": "BPE", "vocab": vocab, "merges": [], "byte_fallback": True}
        words = pre_tokenizers.Whitespace()
        ours = self.ours(file_of(model, added_tokens=[added("xy", 256, single_word=True)]))
        cut = self.ours(file_of(model | {"vocab": vocab | {"a": 256}, "unk_token": "a", "fuse_unk": True,
                                         "byte_fallback": False}, pre_tokenizer={"type": "Whitespace"}))
        differ = []
        for number in range(0x110000):
            if 0xd800 <= number < 0xe000:
                continue
            pieces = words.pre_tokenize_str("a" + chr(number) + "!")
            is_word = pieces[0][0] != "a"
            # What is not in the vocabulary is one token a piece.
            if (256 in ours.encode("xy" + chr(number))) == is_word or (
                    len(cut.encode("a" + chr(number) + "!")) != 1 + sum(len(piece) > (piece[0] == "a") for piece, _ in pieces)):
                differ.append(hex(number))
        self.assertEqual(differ, [])

    def test_added_tokens(self) -> None:
        rng = random.Random(SEED)
        model = trained_bpe()
        size = len(model["vocab"])
        pieces = ["<a>", "<b>", "abab", "ab", "c", " ", "  ", "\n", "é", "_", "x", MARK, ".", "\u3000", "<s>"]
        given = ["".join(rng.choice(pieces) for _ in range(rng.randrange(1, 14))) for _ in range(150)]
        for flags in itertools.product((True, False), repeat=5):
            named = dict(zip(("single_word", "lstrip", "rstrip", "normalized", "special"), flags))
            tokens = [*specials(model), added("<a>", size, **named), added("abab", size + 1, **named),
                      added("<b>", size + 2, normalized=True), added("  \u3000", size + 3)]
            for text_rules in ({"normalizer": LLAMA_NORMALIZER}, {"pre_tokenizer": metaspace("first")}):
                self.compare(file_of(model, added_tokens=tokens, **text_rules), given, f"{named} {text_rules}")

    def test_added_tokens_at_random(self) -> None:
        rng = random.Random(SEED)
        model = trained_bpe()
        size = len(model["vocab"])
        pool = ["<a>", "<a>b", "ab", "a", "b", " ", "  ", " a", "a ", "\n", "é", ".", "<b>"]
        for _ in range(60):
            tokens = [added(content, size + i, **{name: rng.random() < 0.4 for name in
                                                  ("single_word", "lstrip", "rstrip", "normalized")})
                      for i, content in enumerate(rng.sample([p for p in pool if p not in model["vocab"]], 4))]
            given = ["".join(rng.choice(pool) for _ in range(rng.randrange(1, 12))) for _ in range(60)]
            self.compare(file_of(model, added_tokens=tokens, pre_tokenizer=metaspace()), given, str(tokens))

    def test_precompiled(self) -> None:
        charsmap = self.charsmap()
        model = trained_unigram()
        self.compare(file_of(model, normalizer={"type": "Precompiled", "precompiled_charsmap": charsmap},
                             pre_tokenizer=metaspace()), texts(600), "Precompiled")
        vocab = {f"<0x{byte:02X}>": byte for byte in range(256)}
        plain = {"type": "BPE", "vocab": vocab, "merges": [], "byte_fallback": True}
        every = [chr(c) for c in range(0x110000) if not 0xd800 <= c < 0xe000]
        given = ["".join(every[i:i + 400]) for i in range(0, len(every), 400)]
        given += [lead + "".join(c + lead for c in every[i:i + 100]) for lead in ("a", "é")
                  for i in range(0, 0x10000 - 0x800, 100)]
        self.compare(file_of(plain, normalizer={"type": "Precompiled", "precompiled_charsmap": charsmap}), given,
                     "every character")

    def charsmap(self) -> str:
        """That of a SentencePiece model in tests/vectors which has one."""
        for path in sorted((ROOT / "tests" / "vectors").glob("sentencepiece-*.model")) + [DATA / "tokenizers/llama2.tokenizer.model"]:
            blob = normalizer_charsmap(path.read_bytes()) if path.exists() else b""
            if blob:
                return base64.b64encode(blob).decode()
        self.skipTest("no model with a charsmap")

    def test_decodes_what_it_encodes(self) -> None:
        model = trained_bpe()
        ours = self.ours(file_of(model, normalizer=LLAMA_NORMALIZER, decoder=LLAMA_DECODER))
        for text in texts(200):
            self.assertEqual(ours.decode(ours.encode(text)), text.replace(MARK, " "), repr(text))

    def test_llama_2(self) -> None:
        """libsentencepiece's ids of Llama 2's model, and those of the same vocabulary as a tokenizer.json."""
        path = DATA / "tokenizers" / "llama2.tokenizer.model"
        if not path.exists():
            self.skipTest(f"no {path}")
        pieces = sentencepiece_pieces(path.read_bytes())
        vocab = {piece: number for number, (piece, _, _) in enumerate(pieces)}
        normal = [piece for piece, _, kind in pieces if kind == 1]
        merges = sorted(((-pieces[vocab[left + right]][1], vocab[left + right], left, right) for piece in normal
                         for left, right in ((piece[:i], piece[i:]) for i in range(1, len(piece)))
                         if left in vocab and right in vocab), key=lambda merge: merge[:2])
        model = {"type": "BPE", "vocab": vocab, "merges": [[left, right] for _, _, left, right in merges],
                 "byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>"}
        file = file_of(model, added_tokens=specials(model), normalizer=LLAMA_NORMALIZER, decoder=LLAMA_DECODER)
        reference = countermark.Tokenizer.load(path)
        given = texts(1000)
        self.compare(file, given, "Llama 2")
        ours = self.ours(file)
        for text in given:
            self.assertEqual(ours.encode(text), reference.encode(text), repr(text))
            self.assertEqual(ours.decode(ours.encode(text)), reference.decode(reference.encode(text)), repr(text))


def messages(data: bytes) -> list[tuple[int, Any]]:
    """The fields of a protobuf message."""
    fields: list[tuple[int, Any]] = []
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            fields.append((tag >> 3, varint()))
        else:
            size = {1: 8, 5: 4}.get(tag & 7) or varint()
            fields.append((tag >> 3, data[at:at + size]))
            at += size
    return fields


def sentencepiece_pieces(data: bytes) -> list[tuple[str, float, int]]:
    pieces = []
    for number, value in messages(data):
        if number == 1:
            piece = dict(messages(value))
            pieces.append((piece[1].decode(), struct.unpack("<f", piece.get(2, bytes(4)))[0], piece.get(3, 1)))
    return pieces


def normalizer_charsmap(data: bytes) -> bytes:
    for number, value in messages(data):
        if number == 3:
            return bytes(dict(messages(value)).get(2, b""))
    return b""


if __name__ == "__main__":
    unittest.main()
