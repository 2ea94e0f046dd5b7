#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/vectors/sentencepiece-*: two tiny models and known answers from the upstream library.

One is unigram with a normalization table, the other BPE with bytes for unknown characters. Needs
the PyPI package `sentencepiece` (made with 0.2.3); the tests do not.

    python3 tests/reference/make_sentencepiece_vectors.py
"""

import contextlib
import io
import json
import pathlib
import random
import tempfile

import sentencepiece

from make_bpe_vectors import CONTRACTIONS, OUT, SENTENCES, SPACES, TEXTS, WORDS

# From code points to code points, in hexadecimal: a few rules of different lengths.
RULES = """
A0\t20
3000\t20
200B\t
FB01\t66 69
65 301\tE9
41 42 43 44\t78
"""


def train(**options):
    model = io.BytesIO()
    # The model keeps the name of its rules: a relative one says nothing about the machine.
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        pathlib.Path("rules.tsv").write_text(RULES.strip("\n") + "\n")
        if options.pop("normalize"):
            options["normalization_rule_tsv"] = "rules.tsv"
        else:
            options["normalization_rule_name"] = "identity"
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(SENTENCES * 3), model_writer=model, minloglevel=2,
            num_threads=1, **options)
    return model.getvalue()


def main():
    models = {
        "unigram": train(normalize=True, model_type="unigram", vocab_size=270,
                         user_defined_symbols=["<sep>", "1826"]),
        "bpe": train(normalize=False, model_type="bpe", vocab_size=500, byte_fallback=True,
                     remove_extra_whitespaces=False, character_coverage=0.98),
    }
    texts = TEXTS + CONTRACTIONS + SPACES + WORDS + SENTENCES
    texts += ["<s>", "</s>", "<unk>", "a</s>b", "<sep>", "a<sep>b 1826", "ABCDE ABCABCD", "<0x41>"]
    draw = random.Random(20240607)
    pool = WORDS + SPACES + ["the", " sheet", "in 1826", "mill", "<sep>", "e\u0301", " "]
    texts += ["".join(draw.choices(pool, k=draw.randint(2, 24))) for _ in range(100)]
    texts = list(dict.fromkeys(texts))
    results = {}
    for name, model in models.items():
        (OUT / f"sentencepiece-{name}.model").write_bytes(model)
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        ids = [processor.encode(text) for text in texts]
        results[name] = {"ids": ids, "decoded": [processor.decode(i) for i in ids]}
    vectors = {"sentencepiece": sentencepiece.__version__, "texts": texts, "models": results}
    (OUT / "sentencepiece-cases.json").write_text(json.dumps(vectors, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
