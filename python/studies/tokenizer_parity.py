# SPDX-License-Identifier: Apache-2.0
"""Whether our ids are those of the libraries, family by family, over megabytes of real text and noise.

    tokenizer_parity.py [--megabytes 200] [--fuzz-minutes 0] [--families NAME...] [--data DATA]

Text is what Debian's packages document, translate and compile (tests/studies/debian_text.py names
them) and, a sixth of it, noise: characters of every plane, and real text cut and joined anywhere.
With --fuzz-minutes new inputs are made for so long instead, each read by every family: noise,
mutated. An input that differs is kept beside the program's other output, in differs-FAMILY.txt.

Vocabularies are Llama 3's ranks, where DATA has them, for the families that tiktoken reads, and
trained on the text for the others. Compared with `tokenizers` are all families but SentencePiece's
own, which are compared with sentencepiece; it and tiktoken are left out where they are missing. Prints bytes and documents that differ; ends with 1 if any does.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

os.environ.setdefault("RAYON_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tests" / "studies"))

import countermark
import debian_text
import tokenizers
from tokenizers import models, trainers
from tokenizer_speed import PATTERN as LLAMA_3
from tokenizer_speed import ranks_of, tokenizer_json

try:
    import sentencepiece
except ImportError:
    sentencepiece = None
try:
    import tiktoken
except ImportError:
    tiktoken = None

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = Path(os.environ.get("COUNTERMARK_TEST_DATA", ROOT.parent / "shared" / "data")) / "tokenizers"
SEED = 20_261_121
DOCUMENT = 50_000  # characters
MARK = "\u2581"

# As tiktoken writes them: its possessive counts are no others, and its classes are those of Unicode 16.0, as ours.
GPT_2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
QWEN_2 = LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}")
GPT_4 = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|"
         r"\s*[\r\n]|\s+(?!\S)|\s")
GPT_4O = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
          r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
          r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = [r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
            r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"""
            r""" ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""]


def noise(rng: random.Random, source: list[str], count: int) -> str:
    parts = []
    for _ in range(count):
        if rng.random() < 0.6:
            text = rng.choice(source)
            begin = rng.randrange(len(text))
            parts.append(text[begin:begin + rng.randrange(1, 80)])
        else:
            low, high = rng.choice(((0, 0x80), (0x80, 0x250), (0x250, 0x3000), (0x3000, 0xd800), (0xe000, 0x20000),
                                    (0x20, 0x21), (0x9, 0xe)))
            parts.append("".join(chr(rng.randrange(low, high)) for _ in range(rng.randrange(1, 12))))
    return "".join(parts)


def mutated(rng: random.Random, text: str) -> str:
    """With a few stretches repeated, dropped, moved or in another case."""
    for _ in range(rng.randrange(6)):
        begin = rng.randrange(len(text) + 1)
        part = text[begin:begin + rng.randrange(1, 12)]
        head, tail = text[:begin], text[begin + len(part):]
        text = rng.choice((head + part * rng.randrange(2, 40) + tail, head + tail, tail + part + head,
                           head + part.swapcase() + tail))
    return text


def repository() -> Iterator[str]:
    """For a machine without those packages."""
    for path in sorted([*ROOT.rglob("*.md"), *ROOT.glob("verifier/**/*.cpp"), *ROOT.glob("verifier/**/*.h")]):
        yield path.read_text(encoding="utf-8")[:DOCUMENT]


def documents(size: float) -> list[str]:
    """About `size` bytes, a sixth of them noise."""
    texts: list[str] = []
    held = 0
    for text in chain(debian_text.documents(DOCUMENT), repository()):
        texts.append(text)
        held += len(text.encode())
        if held > size * 5 / 6:
            break
    source = list(texts)
    rng = random.Random(SEED)
    while held < size:
        texts.append(noise(rng, source, 200))
        held += len(texts[-1].encode())
    return texts


def replace(pattern: str, content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": pattern}, "content": content}


def file_of(model: dict[str, Any], **members: Any) -> str:
    return json.dumps({"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
                       "pre_tokenizer": None, "post_processor": None, "decoder": None, "model": model} | members)


def byte_level(cuts: list[str], texts: list[str], ranks: dict[bytes, int] | None, **model: Any) -> str:
    """The vocabulary of the ranks, or one trained on the texts."""
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": not cuts}
    parts = [{"type": "Split", "pattern": {"Regex": cut}, "behavior": "Isolated", "invert": False} for cut in cuts]
    rules = {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [*parts, level]}, "decoder": level}
    if ranks is not None:
        return json.dumps(json.loads(tokenizer_json(ranks)) | rules)
    tokenizer = tokenizers.Tokenizer.from_str(file_of({"type": "BPE", "vocab": {}, "merges": []}, **rules))
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=8000, show_progress=False, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet()))
    file: dict[str, Any] = json.loads(tokenizer.to_str())
    file["model"] |= model
    return json.dumps(file)


def metaspace_bpe(texts: list[str]) -> str:
    tokenizer = tokenizers.Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=8000, show_progress=False, limit_alphabet=1000,
        special_tokens=["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]))
    model = json.loads(tokenizer.to_str())["model"] | {"byte_fallback": True, "fuse_unk": True}
    rules = {"normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": MARK}, replace(" ", MARK)]},
             "decoder": {"type": "Sequence", "decoders": [replace(MARK, " "), {"type": "ByteFallback"}, {"type": "Fuse"}]}}
    return file_of(model, **rules)


def unigram(texts: list[str]) -> str:
    mark = {"type": "Metaspace", "replacement": MARK, "prepend_scheme": "always", "split": True}
    tokenizer = tokenizers.Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    # The trainer takes every character into the vocabulary.
    common = {character for character, _ in Counter("".join(texts)).most_common(1500)}
    texts = ["".join(character for character in text if character in common) for text in texts]
    tokenizer.train_from_iterator(texts, trainers.UnigramTrainer(
        vocab_size=4000, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False))
    return file_of(json.loads(tokenizer.to_str())["model"], pre_tokenizer=mark, decoder=mark,
                   normalizer={"type": "NFKC"})


Encode = Callable[[str], list[int]]


def with_spaces(file: str) -> str:
    """With tokens for runs of spaces, as GPT-NeoX has them."""
    parsed: dict[str, Any] = json.loads(file)
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True, "special": False}
    first = len(parsed["model"]["vocab"])
    parsed["added_tokens"] = [{"id": first + i, "content": " " * (24 - i), **flags} for i in range(23)]
    return json.dumps(parsed | {"normalizer": {"type": "NFC"}})


def sentencepiece_unigram(texts: list[str]) -> bytes:
    model = io.BytesIO()
    lines = (line[:1000] for text in texts for line in text.split("\n"))
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=lines, model_writer=model, vocab_size=4000, byte_fallback=True,
                                             character_coverage=0.99, hard_vocab_limit=False, minloglevel=2)
    return model.getvalue()


def families(texts: list[str], data: Path) -> Iterator[tuple[str, str | bytes, dict[str, Any]]]:
    """Names, files, and what a library beside `tokenizers` needs."""
    path = data / "llama3.tiktoken.model"
    ranks = ranks_of(path) if path.exists() else None
    for name, cuts, pattern in (("gpt-2", [], GPT_2), ("llama-3", [LLAMA_3], LLAMA_3), ("gpt-4", [GPT_4], GPT_4),
                                ("gpt-4o", [GPT_4O], GPT_4O)):
        yield name, byte_level(cuts, texts, ranks), {"pat_str": pattern, "mergeable_ranks": ranks} if ranks else {}
    yield "gpt-neox", with_spaces(byte_level([], texts, None)), {}
    yield "qwen", json.dumps(json.loads(byte_level([QWEN_2], texts, None)) | {"normalizer": {"type": "NFC"}}), {}
    yield "deepseek", byte_level(DEEPSEEK, texts, None), {}
    yield "metaspace", metaspace_bpe(texts), {}
    yield "unigram", unigram(texts), {}
    path = data / "llama2.tokenizer.model"
    if sentencepiece is not None and path.exists():
        yield "spm llama-2", path.read_bytes(), {}
    if sentencepiece is not None:
        yield "spm unigram", sentencepiece_unigram(texts), {}


def libraries(name: str, file: str | bytes, ranks: dict[str, Any]) -> dict[str, Encode]:
    if isinstance(file, bytes):
        return {"sentencepiece": sentencepiece.SentencePieceProcessor(model_proto=file).encode}
    theirs = tokenizers.Tokenizer.from_str(file)
    theirs.encode_special_tokens = True
    found: dict[str, Encode] = {"tokenizers": lambda text: theirs.encode(text, add_special_tokens=False).ids}
    if ranks and tiktoken is not None:
        found["tiktoken"] = tiktoken.Encoding(name, special_tokens={}, **ranks).encode_ordinary
    return found


def compare(name: str, ours: Encode, theirs: dict[str, Encode], texts: list[str], spent: dict[str, float]) -> dict[str, int]:
    """Texts that differ, by library; their first is kept."""
    differ = dict.fromkeys(theirs, 0)
    for text in texts:
        ids = list(ours(text))
        for library, encode in theirs.items():
            begin = time.monotonic()
            same = ids == encode(text)
            spent[library] = spent.get(library, 0) + time.monotonic() - begin
            if not same and not sum(differ.values()):
                Path(f"differs-{name.replace(' ', '-')}.txt").write_bytes(text.encode())
            differ[library] += not same
    return differ


def fuzz(readers: dict[str, tuple[Encode, dict[str, Encode]]], texts: list[str], minutes: float, seed: int) -> int:
    rng = random.Random(seed)
    end = time.monotonic() + minutes * 60
    inputs = size = total = 0
    while time.monotonic() < end:
        made = [mutated(rng, noise(rng, texts, rng.randrange(1, 30))) for _ in range(100)]
        for name, (ours, theirs) in readers.items():
            for library, count in compare(name, ours, theirs, made, {}).items():
                total += count
                if count:
                    print(f"{name:12} {library:14} {count} of 100 differ", flush=True)
        inputs += len(made)
        size += sum(len(text.encode()) for text in made)
    print(f"fuzz: {minutes:g} minutes, {inputs} inputs, {size} bytes, each by {len(readers)} families: {total} differ")
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=200)
    parser.add_argument("--fuzz-minutes", type=float, default=0)
    parser.add_argument("--seed", type=int, default=SEED, help="of the fuzz")
    parser.add_argument("--families", nargs="*")
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    texts = documents(options.megabytes * 1e6)
    size = sum(len(text.encode()) for text in texts)
    sample = texts[::max(1, size // 2_000_000)]
    print(f"{size / 1e6:.1f} MB in {len(texts)} documents", flush=True)
    total = 0
    readers: dict[str, tuple[Encode, dict[str, Encode]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, file, ranks in families(sample, options.data):
            if options.families and name not in options.families:
                continue
            path = Path(folder) / ("tokenizer.json" if isinstance(file, str) else "tokenizer.model")
            path.write_bytes(file.encode() if isinstance(file, str) else file)
            ours = countermark.Tokenizer.load(path).encode
            theirs = libraries(name, file, ranks)
            readers[name] = ours, theirs
            if options.fuzz_minutes:
                continue
            spent: dict[str, float] = {}
            for library, count in compare(name, ours, theirs, texts, spent).items():
                print(f"{name:12} {library:14} {size:>12} bytes, {count} differ, {spent[library]:.0f} s", flush=True)
                total += count
    if options.fuzz_minutes:
        total = fuzz(readers, texts, options.fuzz_minutes, options.seed)
    print(f"all: {total} differ")
    sys.exit(total > 0)


if __name__ == "__main__":
    main()
