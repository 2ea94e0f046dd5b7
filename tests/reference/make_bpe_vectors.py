#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/vectors/bpe-*.json: known answers for byte-level BPE from the upstream library.

Trains a tokenizer of 600 tokens on the sentences below, encodes awkward strings with it in four
variants, and records how the library's pattern classifies every code point. Needs the PyPI package
`tokenizers` (made with 0.23.3); the tests do not.

    python3 tests/reference/make_bpe_vectors.py
"""

import json
import pathlib
import random

import tokenizers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

OUT = pathlib.Path(__file__).resolve().parent.parent / "vectors"

SENTENCES = """
The mill on the river made paper for three hundred years, and every sheet carried its mark.
Don't worry: we'll see what they've found, I'm sure it's there, and you'd know if it weren't.
In 1826 the maker added the date, and a second mark, to each sheet; in 1900 they stopped.
A watermark is seen when the sheet is held against the light, and only then.
def encode(text):\n    for piece in pieces(text):\n        yield from merge(piece)\n    return None
Les filigranes français étaient très élaborés, où l'on voyait déjà l'été naître à Noël.
Die Mühle am Fluß schöpfte Papier für größere Bögen, übrigens auch für Köln.
Бумага с водяным знаком хранится в архиве, и знак виден только на свету.
透かしは紙を光に当てると見える。紙の水印在光下可见。 종이의 워터마크는 빛에 비추면 보인다.
Numbers such as 3.14159, 2,718,281 and 0x1F are split; so are e-mail@example.org and a/b/c.
العلامة المائية تظهر في الضوء. סימן מים נראה באור. คำที่ไม่มีช่องว่าง हिन्दी में लिखा हुआ
  indented   text\twith tabs\r\n\r\nand blank lines\n\n\nand trailing spaces   \n
""".strip("\n").split("\n")

CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'LL", "'Ve", "\u2019s", "'x",
                "''s", "'ss", "'lll", "'r", "'l", "' s", "'s's", "'\u017f"]
SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\v", "\f", "\x1c", "\x1f", "\x85", "\xa0",
          "\u1680", "\u180e", "\u2000", "\u2003", "\u200a", "\u200b", "\u200c", "\u200d",
          "\u2028", "\u2029", "\u202f", "\u205f", "\u2060", "\u3000", "\ufeff"]
WORDS = ["sheet", "Mark", "1826", "\u0665\u0667", "\u096a\u096b", "\u2163", "\u00bd", "\u00b2",
         "\u4e00\u4e8c", "\u3007", "e\u0301", "\u0301", "n\u0303o", "Z\u0351\u0366algo\u0301",
         "\u0939\u093f\u0928\u094d\u0926\u0940", "\u0e04\u0e33\u0e17\u0e35\u0e48", "\u1100\u1161",
         "\ud55c\uad6d\uc5b4", "\u0627\u0644\u0639\u064e", "\U0001f468\u200d\U0001f469\u200d\U0001f467",
         "\U0001f44d\U0001f3fd", "\U0001f1e9\U0001f1ea", "#\ufe0f\u20e3", "\U0001d400", "\U00020000",
         "\U00031350", "\U0002ebf0", "\U0001e4d0", "\u1c89", "\U00010d40", "\U000e0041", "\ue000",
         "\U0010ffff", "\ufffe", "\ufffd", "\x00", "\x01\x02", "\x7f", "\x9f", "\u01c5", "\ufb01",
         "\u0131\u0130", "_", "__init__", "a_b", "<|endoftext|>", "<|pad|>", "...", "\u2026", "--",
         "\u2014", "$1", "\u20ac", "\u00ad", "\u034f", "3.14", "0x1F", "1,000", "x2y", "\u02b0"]
TEXTS = ["", "\n\n\n", " \n \n ", "   leading", "trailing   ", "a  b", "a   b", "a \n b", "a\n\n b",
         "  \n\tx", "x \t y", "\xa0 a", "a \xa0b", "a\u3000 b", "a \u3000b", "\u2003\u2003a",
         "a\u200b b", "a \u200bb", " \u180ea", "a\u180e b", "\u180e\u180e", " 's", "it 's", "it's",
         "don't don''t", "I'll've", "1's", "'s1", "\u0301a", " \u0301", "a\u0301 \u0301",
         "the the the", "mark" * 50, "a" * 300, "sheet" * 40 + " ", " " * 200, "\n" * 99 + "x",
         "\u4e00" * 100, "\U0001f600" * 40, "<|endoftext|>", "a<|endoftext|>b", "<|pad|><|pad|>",
         "<|endoftext|> the", "endoftext", "The mill\x00on the river", "\x00", "\x00\x00 \x00",
         "\r", "\r\n \r\n", "a\rb", "tab\tsep\t\tx", "e\u0301\u0301\u0301 e \u0301"]


def train():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>"], show_progress=False)
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    # One special token inside the model's vocabulary and one outside it.
    tokenizer.add_special_tokens([AddedToken("<|pad|>", special=True)])
    return tokenizer


def cases():
    texts = list(TEXTS) + CONTRACTIONS + WORDS + SPACES
    texts += ["it" + c + " so" for c in CONTRACTIONS]
    texts += ["a" + s + "b" + s + s + "1" + s + "." + s for s in SPACES]
    texts += [s + "the" for s in SPACES] + [" " + s + "mark" for s in SPACES]
    texts += [w + " " + w for w in WORDS]
    texts += SENTENCES
    draw = random.Random(20240607)
    pool = WORDS + SPACES + CONTRACTIONS + ["the", " sheet", "in 19", "mill", ".", ",", " "]
    texts += ["".join(draw.choices(pool, k=draw.randint(2, 24))) for _ in range(150)]
    return list(dict.fromkeys(texts))


def classes():
    """Runs of [first code point, class] over all of Unicode, by how GPT-2's pattern joins them."""
    split = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str
    runs = []
    for code in list(range(0xD800)) + list(range(0xE000, 0x110000)):
        one = [k for k, head in (("L", "a"), ("N", "1"), ("O", "!")) if len(split(head + chr(code))) == 1]
        kind = one[0] if one else "S"
        if not runs or runs[-1][1] != kind:
            runs.append([code, kind])
    return runs


def without_special(document):
    """The same tokenizer as one that treats special tokens in text as ordinary text."""
    document = json.loads(json.dumps(document))
    document["added_tokens"] = []
    return Tokenizer.from_str(json.dumps(document))


def variant(document, add_prefix_space, ignore_merges):
    document = json.loads(json.dumps(document))
    document["pre_tokenizer"]["add_prefix_space"] = add_prefix_space
    document["model"]["ignore_merges"] = ignore_merges
    if ignore_merges:
        # Tokens that no merges lead to: only a whole piece can be one of these.
        for token in ["Ġwatermark", "1826", "ĠPapier", "filigranes"]:
            document["model"]["vocab"].setdefault(token, len(document["model"]["vocab"]) + 2)
    return document


def main():
    document = json.loads(train().to_str())
    texts = cases() + ["a watermark", "watermark", "in 1826", "filigranes"]
    results = []
    for add_prefix_space in (False, True):
        for ignore_merges in (False, True):
            changed = variant(document, add_prefix_space, ignore_merges)
            tokenizer = without_special(changed)
            results.append({"add_prefix_space": add_prefix_space, "ignore_merges": ignore_merges,
                            "vocab": changed["model"]["vocab"] if ignore_merges else None,
                            "ids": [tokenizer.encode(t).ids for t in texts]})
    (OUT / "bpe-tokenizer.json").write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    vectors = {"tokenizers": tokenizers.__version__, "texts": texts, "variants": results}
    (OUT / "bpe-cases.json").write_text(json.dumps(vectors, separators=(",", ":")) + "\n")
    runs = {"tokenizers": tokenizers.__version__, "classes": classes()}
    (OUT / "bpe-classes.json").write_text(json.dumps(runs, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
