# SPDX-License-Identifier: Apache-2.0
"""How fast other systems' marks are read, beside the detectors that their systems bring.

    detectors.py [--tokens 4000] [--vocabulary 50257] [--seconds 2]

One thread each, the same text and key, in one run. A text is drawn at random from a vocabulary in
which the r-th token has weight 1 / (r + 10); of two such tokens the one is taken that the mark
prefers. Ours is countermark.Detector: all of a verdict but decoys, Python call and JSON included.
Theirs: transformers' WatermarkDetector; the g values, mask and mean of its SynthID processor, which
is what there is of a detector; vLLM's and SGLang's detectors. "torch" is the least that can be
written with torch.randperm: seeds computed beforehand, one permutation for each different seed, and
a look-up of its tokens.

Tokens a second of processor time. All readers of a text take turns, so that a neighbour on the
machine who slows down its memory or clock does so to all of them: the median of a reader's calls,
at least three, behind one that warms up. p is what each reports. Exits 1 where ours is less than 50
times as fast as a detector of theirs, or 5 times as fast as torch's permutations alone.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import statistics
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import countermark
import numpy as np
import torch
import transformers

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "python" / "tests"))

import released  # noqa: E402

DETECTOR_RATIO, TORCH_RATIO = 50, 5
KEY = 0x42B2AE3D27D4EB4F
HEX_KEY = f"{KEY:016x}"
SYNTHID_KEYS = list(range(KEY, KEY + 30 * 977, 977))
Read = Callable[[], str]


def seconds_of(readers: list[Read], least: float) -> list[tuple[float, str]]:
    """Of each its median call, and what it says; `least` seconds for each, in turns."""
    said = [read() for read in readers]
    times: list[list[float]] = [[] for _ in readers]
    spent = [0.0] * len(readers)
    while waiting := [i for i in range(len(readers)) if spent[i] < least or len(times[i]) < 3]:
        for i in waiting:
            end = spent[i] + least / 20
            while spent[i] < end:
                begin = time.process_time()
                readers[i]()
                times[i].append(time.process_time() - begin)
                spent[i] += times[i][-1]
    return [(statistics.median(each), what) for each, what in zip(times, said)]


def mark_of(scheme: str, key: str, **fields: Any) -> countermark.ForeignMark:
    return countermark.ForeignMark(countermark.ForeignProfile.parse(json.dumps({"scheme": scheme, **fields})),
                                   countermark.ForeignKey.parse(key))


def text_of(mark: countermark.ForeignMark, vocabulary: int, tokens: int) -> list[int]:
    random = np.random.default_rng(1)
    weights = 1 / (np.arange(1, vocabulary) + 10)
    draws = random.choice(np.arange(1, vocabulary), (tokens, 2), p=weights / weights.sum())
    width = mark.profile.context_tokens
    ids = [int(pair[0]) for pair in draws[:width]]
    for pair in draws[width:]:
        values = mark.raw_values(np.tile(ids[len(ids) - width:], (2, 1)), pair)
        if "synthid" in mark.profile.scheme:
            values = np.bitwise_count(values)
        ids.append(int(pair[values.argmax()]))
    return ids


def log10(p: float) -> str:
    return f"{math.log10(p):.2f}" if p > 0 else "p = 0"


def transformers_kgw(ids: list[int], vocabulary: int, scheme: str, width: int) -> Read:
    config = types.SimpleNamespace(bos_token_id=0, is_encoder_decoder=False, vocab_size=vocabulary)
    detector = transformers.WatermarkDetector(
        config, "cpu", transformers.WatermarkingConfig(hashing_key=KEY, seeding_scheme=scheme, context_width=width),
        ignore_repeated_ngrams=True)
    tokens = torch.tensor([ids])

    def read() -> str:
        detector._get_ngram_score_cached.cache_clear()
        return log10(float(detector(tokens, return_dict=True).p_value[0]))
    return read


def torch_lists(ids: list[int], vocabulary: int, scheme: str, width: int) -> Read:
    """Of transformers' seeds, which are not part of what is timed."""
    processor = transformers.WatermarkLogitsProcessor(vocabulary, "cpu", hashing_key=KEY, seeding_scheme=scheme,
                                                      context_width=width)
    by_seed: dict[int, list[int]] = {}
    for i in range(width - (scheme == "selfhash"), len(ids)):
        window = ids[i - width + 1:i + 1] if scheme == "selfhash" else ids[i - width:i]
        processor.set_seed(torch.tensor(window))
        by_seed.setdefault(processor.rng.initial_seed(), []).append(ids[i])
    seeds = [(seed, torch.tensor(tokens)) for seed, tokens in by_seed.items()]
    generator = torch.Generator()
    green = torch.zeros(vocabulary, dtype=torch.bool)
    size = vocabulary // 4

    def read() -> str:
        greens = 0
        for seed, tokens in seeds:
            listed = torch.randperm(vocabulary, generator=generator.manual_seed(seed))[:size]
            green[listed] = True
            greens += int(green[tokens].sum())
            green[listed] = False
        return f"{greens} green"
    return read


def transformers_synthid(ids: list[int]) -> Read:
    processor = transformers.SynthIDTextWatermarkLogitsProcessor(
        ngram_len=5, keys=SYNTHID_KEYS, sampling_table_size=2**16, sampling_table_seed=0, context_history_size=1024,
        device=torch.device("cpu"))
    tokens = torch.tensor([ids])

    def read() -> str:
        g = processor.compute_g_values(tokens)
        mask = processor.compute_context_repetition_mask(tokens)
        return f"mean {float((g * mask[..., None]).sum() / (30 * mask.sum())):.4f}"
    return read


def vllms(ids: list[int], dual: bool) -> Read:
    with released.imports("vllm", "vllm", "vllm.config", "vllm.v1", "vllm.v1.worker", "vllm.v1.worker.gpu",
                          "vllm.v1.worker.gpu.sample"):
        module = importlib.import_module("vllm.v1.watermarking")
    detector = (module.DualKeyGumbelWatermarkDetector if dual else module.GumbelWatermarkDetector)(KEY)
    return lambda: log10(detector.detect(ids).p_value)


def sglangs(ids: list[int]) -> Read:
    with released.imports("sglang", "sglang", "sglang.srt", "sglang.srt.sampling"):
        module = importlib.import_module("sglang.srt.sampling.watermarking.detector")
    detector = module.WatermarkDetector(HEX_KEY)
    return lambda: f"{detector.detect_tokens(ids).combined.log_p_value / math.log(10):.2f}"


def ours(mark: countermark.ForeignMark, key: str, ids: list[int]) -> Read:
    detector = countermark.Detector(countermark.ForeignKey.parse(key), mark.profile)
    tokens = np.array(ids)
    return lambda: f"{detector.detect(tokens)['log10P']:.2f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=4000)
    parser.add_argument("--vocabulary", type=int, default=50_257)
    parser.add_argument("--seconds", type=float, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    size = arguments.vocabulary
    integer, integers, digits = f"int:{KEY}", "ints:" + ",".join(map(str, SYNTHID_KEYS)), f"hex:{HEX_KEY}"
    vllm = "philox4x32-10-v1"
    # Mark, key, and who reads it beside us: name, reader of a text, bar.
    rows: list[tuple[countermark.ForeignMark, str, list[tuple[str, Callable[[list[int]], Read], int]]]] = []
    for scheme, width in (("lefthash", 1), ("selfhash", 4)):
        rows.append((
            mark_of("hf-kgw/1", integer, prf=scheme, vocabSize=size, contextWidth=width), integer,
            [("transformers", lambda ids, s=scheme, w=width: transformers_kgw(ids, size, s, w), DETECTOR_RATIO),
             ("torch", lambda ids, s=scheme, w=width: torch_lists(ids, size, s, w), TORCH_RATIO)]))
    rows.append((mark_of("hf-synthid/1", integers), integers, [("transformers", transformers_synthid, DETECTOR_RATIO)]))
    rows.append((mark_of(f"vllm-gumbel/{vllm}", integer), integer,
                 [("vLLM", lambda ids: vllms(ids, False), DETECTOR_RATIO)]))
    rows.append((mark_of(f"vllm-dual-gumbel/{vllm}", integer), integer,
                 [("vLLM", lambda ids: vllms(ids, True), DETECTOR_RATIO)]))
    rows.append((mark_of("sglang-gumbel/1", digits), digits, [("SGLang", sglangs, DETECTOR_RATIO)]))

    print(f"countermark {countermark.__version__}, torch {torch.__version__}, transformers {transformers.__version__}, "
          f"vllm {released.WHEELS['vllm'][0]}, sglang {released.WHEELS['sglang'][0]}; {arguments.tokens:,} tokens, "
          f"vocabulary {size:,}, one thread")
    print("| scheme | ours, tokens/s | log10 p | theirs | tokens/s | reports | times | bar |\n|---|---|---|---|---|---|---|---|")
    passed = True
    for mark, key, readers in rows:
        ids = text_of(mark, size, arguments.tokens)
        (took, said), *others = seconds_of(
            [ours(mark, key, ids), *(reader(ids) for _, reader, _ in readers)], arguments.seconds)
        prf = json.loads(mark.profile.to_json()).get("prf", "")
        for (name, _, bar), (theirs, report) in zip(readers, others):
            ratio = theirs / took
            passed = passed and ratio >= bar
            print(f"| `{mark.profile.scheme}` {prf} | {len(ids) / took:,.0f} | {said} | {name} | {len(ids) / theirs:,.0f} "
                  f"| {report} | {ratio:.1f} | {bar}{'' if ratio >= bar else ' FAIL'} |", flush=True)
    print("PASS" if passed else "FAIL")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
