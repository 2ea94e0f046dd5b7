# SPDX-License-Identifier: Apache-2.0
"""Write golden.json: what another implementation must reproduce.

Logits of the stored F16 weights computed in float32 by PyTorch, and token ids
of awkward texts by the reference tokenizer. It does not say how close is close
enough: summation orders differ, so the reader sets the tolerance.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from load import load_model, load_tokenizer

PROMPTS = (
    "The server reads its configuration file once, when it starts, and every change needs",
    "Return true if the object is an instance of the class, or of a subclass of it. "
    "Otherwise the function returns",
    "A transaction that has been committed is durable: its effects survive a crash of the "
    "system, because the log",
)

TEXTS = (
    "", " ", "a", "Hello, world!", "The quick brown fox jumps over the lazy dog.",
    "I don't think they're sure we'll see what you've done; I'd say she's right.",
    "DON'T SHOUT, IT'S RUDE. WE'LL SEE.", "it’s a typographic apostrophe’s test",
    "In 2026, 1234567890 tokens cost $3.50 (about 0.28%).", "3.14159e-10 0x1F600 v15.20-rc1",
    "two  spaces   three    four", " leading space", "trailing space ", "trailing spaces   ",
    "line one\nline two\n\nline four\n", "\n\n\n", "\ttab\tseparated\t\tvalues", " \t \n mixed ",
    "carriage\r\nreturn\r", "café naïve résumé Ångström Zürich", "cafe\u0301 combining",
    "\u00a0no-break\u00a0space\u2003em\u3000ideographic", "日本語のテキストです。", "中文字符，没有空格。",
    "한국어 문장입니다.", "Привет, мир! Ελληνικά עברית العربية", "emoji 😀🎉 👩‍👩‍👧 🇫🇷 👍🏽",
    "snake_case camelCase kebab-case x->y != z ** 2", "<|endoftext|>", "a<|endoftext|>b",
    "pg_catalog.pg_class SELECT * FROM t WHERE a >= 10;", "'s 't 're 've 'm 'll 'd 'S",
    "²½Ⅷ٣ numerals", "zero\u200bwidth\ufeffmark \u0000\u0007control",
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write golden.json beside the model.")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    args = parser.parse_args()
    torch.set_num_threads(1)
    net, tokenizer = load_model(args.model), load_tokenizer(args.model)

    sequences = []
    for prompt in PROMPTS:
        ids = [0, *tokenizer.encode(prompt, add_special_tokens=False).ids]
        with torch.no_grad():
            logits = net(torch.tensor([ids]))[0]
        top = logits[-1].topk(10)
        sequences.append({
            "text": prompt, "ids": ids,
            "top": [[int(i), float(v)] for v, i in zip(top.values, top.indices)],
            "sum_last_position": float(logits[-1].double().sum()),
            "sum_of_absolute_values_last_position": float(logits[-1].double().abs().sum()),
            "sum_all_positions": float(logits.double().sum())})
    cases = [{"text": text, "ids": tokenizer.encode(text, add_special_tokens=False).ids}
             for text in TEXTS]
    for case in cases:
        assert tokenizer.decode(case["ids"], skip_special_tokens=False) == case["text"]
    golden = {
        "schema": "countermark.modelGolden/1",
        "logits": "float32 from the F16 weights as stored; sums of logits in float64; "
                  "ids begin with <|endoftext|>",
        "sequences": sequences,
        "tokenizer": cases,
    }
    text = json.dumps(golden, ensure_ascii=True, indent=None, separators=(",", ":"))
    text = text.replace('{"text"', '\n{"text"')
    (args.model / "golden.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
