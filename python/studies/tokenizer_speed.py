# SPDX-License-Identifier: Apache-2.0
"""How fast tokenizers of the same vocabulary are on the same text, each in one thread.

    tokenizer_speed.py BENCH RANKS DOCUMENTS [--megabytes 24] [--ascii .98] [--rounds 3]

BENCH is Countermark's own (`countermark_bench`, which takes ids in C++: a list of Python would take
as long as the encoding). RANKS is a rank file of tiktoken, cut as Llama 3 cuts. DOCUMENTS is JSON
Lines with a field `text`: taken are documents of all of the file that are ASCII but for a share,
each once. They are encoded one by one, by the call of each library that is fastest in one thread.
In each round each library (those that take over four times as long as ours: in the first alone)
begins anew, encodes all of them once (cold) and again (warm); the fastest round counts, in
processor time. Ids are compared by their CRC-32. A library that is not installed is left out with
a message. None of them is a dependency of Countermark.
"""

from __future__ import annotations

import argparse
import base64
import dataclasses
import importlib.metadata
import json
import math
import os
import subprocess
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np

PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
           r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")

SLOW = 4  # times as long as ours: one round is enough

Encode = Callable[[list[str]], list[object]]  # arrays or lists of ids, one after the other


@dataclasses.dataclass
class Times:
    cold: float = math.inf  # seconds
    warm: float = math.inf
    crc: int = 0

    def add(self, cold: float, warm: float, crc: int) -> None:
        self.cold = min(self.cold, cold)
        self.warm = min(self.warm, warm)
        self.crc = crc


def documents(file: Path, ascii_share: float, megabytes: float) -> list[str]:
    texts: list[str] = []
    for line in file.open():
        text = json.loads(line)["text"]
        if text and "\0" not in text and len(text.encode("ascii", "ignore")) >= ascii_share * len(text):
            texts.append(text)
    every = max(1, round(sum(map(len, texts)) / (megabytes * 1e6)))
    return list(dict.fromkeys(texts[::every]))


def ranks_of(file: Path) -> dict[bytes, int]:
    pairs = (line.split() for line in file.read_bytes().splitlines())
    return {base64.b64decode(token): int(rank) for token, rank in pairs}


def alphabet() -> dict[int, str]:
    """How the files of byte-level tokenizers spell bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + i) for i, byte in enumerate(others)}


ALPHABET = alphabet()


def spell(token: bytes) -> str:
    return "".join(ALPHABET[byte] for byte in token)


def tokenizer_json(ranks: dict[bytes, int]) -> str:
    """The same vocabulary for Hugging Face's library: every way to split a token is a merge."""
    spelled = {token: spell(token) for token in ranks}
    merges = [
        (rank, [spelled[token[:cut]], spelled[token[cut:]]]) for token, rank in ranks.items()
        for cut in range(1, len(token)) if token[:cut] in ranks and token[cut:] in ranks
    ]
    merges.sort(key=lambda merge: merge[0])
    split = {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated", "invert": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, level]}, "post_processor": None,
        "decoder": level,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": True,
            "vocab": {spelled[token]: rank for token, rank in ranks.items()},
            "merges": [merge for _, merge in merges],
        },
    })


class Vocabulary:
    def __init__(self, file: Path) -> None:
        self.ranks = ranks_of(file)
        self.json = tokenizer_json(self.ranks)


def by_tiktoken(vocabulary: Vocabulary) -> Encode:
    import tiktoken
    encoding = tiktoken.Encoding("bench", pat_str=PATTERN, mergeable_ranks=vocabulary.ranks,
                                 special_tokens={})
    return lambda texts: [encoding.encode_ordinary(text) for text in texts]


def by_tokendagger(vocabulary: Vocabulary) -> Encode:
    import tokendagger
    encoding = tokendagger.Encoding("bench", pat_str=PATTERN, mergeable_ranks=vocabulary.ranks,
                                    special_tokens={})
    return lambda texts: [encoding.encode_ordinary(text) for text in texts]


def by_tokenizers(vocabulary: Vocabulary) -> Encode:
    import tokenizers
    tokenizer = tokenizers.Tokenizer.from_str(vocabulary.json)
    return lambda texts: [
        encoded.ids for encoded in tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    ]


def by_fastokens(vocabulary: Vocabulary) -> Encode:
    import fastokens
    tokenizer = fastokens.Tokenizer.from_json_str(vocabulary.json)
    return lambda texts: [np.frombuffer(tokenizer.encode_batch_flat(texts)[0], np.uint32)]


def by_gigatoken(vocabulary: Vocabulary) -> Encode:
    import gigatoken
    tokenizer = gigatoken.Tokenizer.from_json(vocabulary.json)
    return lambda texts: [tokenizer.encode(text) for text in texts]


LIBRARIES = {"tiktoken": by_tiktoken, "tokendagger": by_tokendagger, "tokenizers": by_tokenizers,
             "fastokens": by_fastokens, "gigatoken": by_gigatoken}


def crc_of(ids: Iterable[object]) -> int:
    crc = 0
    for each in ids:
        crc = zlib.crc32(np.asarray(each, np.uint32).tobytes(), crc)
    return crc


def timed(encode: Encode, texts: list[str]) -> tuple[float, list[object]]:
    begin = time.process_time()
    ids = encode(texts)
    return time.process_time() - begin, ids


def ours(bench: Path, file: Path, size: int) -> tuple[float, float, int]:
    seconds: dict[str, float] = {}
    crc = 0
    command = [str(bench), "--benchmark_filter=encode_documents_.*/llama3", "--benchmark_format=json",
               "--benchmark_min_time=0"]
    reply = subprocess.run(command, env=os.environ | {"COUNTERMARK_BENCH_DOCUMENTS": str(file)},
                           check=True, capture_output=True, text=True)
    for each in json.loads(reply.stdout)["benchmarks"]:
        if "error_message" in each:
            raise RuntimeError(each["error_message"])
        seconds[each["name"].split("/")[0]] = size / each["bytes_per_second"]
        crc = int(each["crc32"])
    return seconds["encode_documents_cold"], seconds["encode_documents_warm"], crc


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bench", type=Path)
    parser.add_argument("ranks", type=Path)
    parser.add_argument("documents", type=Path)
    parser.add_argument("--megabytes", type=float, default=24)
    parser.add_argument("--ascii", type=float, default=.98)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    texts = documents(options.documents, options.ascii, options.megabytes)
    size = sum(len(text.encode()) for text in texts)
    vocabulary = Vocabulary(options.ranks)
    print(f"{size / 1e6:.1f} MB in {len(texts)} documents")
    times: dict[str, Times] = {}
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"".join(text.encode() + b"\0" for text in texts))
        file.flush()
        for _ in range(options.rounds):
            for name, make in LIBRARIES.items():
                if name in times and times[name].cold > SLOW * times["countermark"].cold:
                    continue
                try:
                    encode = make(vocabulary)
                except ImportError:
                    print(f"{name} is not installed")
                    continue
                cold, ids = timed(encode, texts)
                warm, ids = timed(encode, texts)
                times.setdefault(name, Times()).add(cold, warm, crc_of(ids))
            times.setdefault("countermark", Times()).add(*ours(options.bench, Path(file.name), size))
    mine = times["countermark"]
    print(f"{'library':14}{'version':>10}{'cold MB/s':>11}{'ours is':>9}{'warm MB/s':>11}{'ours is':>9}  ids")
    for name, each in sorted(times.items(), key=lambda item: item[1].cold, reverse=True):
        version = "" if name == "countermark" else importlib.metadata.version(name)
        verdict = "the same" if each.crc == mine.crc else "DIFFER"
        print(f"{name:14}{version:>10}{size / each.cold / 1e6:11.1f}{each.cold / mine.cold:8.2f}x"
              f"{size / each.warm / 1e6:11.1f}{each.warm / mine.warm:8.2f}x  {verdict}")


if __name__ == "__main__":
    main()
