# SPDX-License-Identifier: Apache-2.0
"""Writes `foreign-marks.json`, `foreign-published.json` and `foreign-draws.json` in `tests/vectors`; `--check` only
compares them.

Deterministic, as `make_vectors.py`. A `reading` says how something that the sources' description leaves open was
taken; `alternatives` are the same inputs under the other reading, for whoever has to decide.
"""

from __future__ import annotations

import itertools
import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any, Iterator, Mapping, NamedTuple, Sequence

from foreign import draws, golden, kgw, marks, sbw, synthid, vllm, vllm_goldens
from foreign.integers import i64
from foreign.marks import Profile, list_seed, parse_key, profile, raw, reads
from foreign.published import published
from scenarios import Mixer

FOLDER = Path(__file__).resolve().parent.parent / "vectors"
LARGE, I64, U64 = (1 << 32) + 42, (1 << 63) - 1, (1 << 64) - 1
DEFAULT = kgw.DEFAULT_KEY
IDS = 256000  # above every vocabulary, for schemes that know none
SYNTHID_KEYS = "ints:" + ",".join(map(str, synthid.DEFAULT_KEYS))
Case = dict[str, Any]
LIST_SCHEMES = {"hf-kgw/1", "lm-watermarking/1", "tgi-kgw/1", "three-bricks-greenlist/1"}

STREAM = "the stream words of the later revision, 0x53594E54 and block 0"
NO_STREAM = "stream words 0, as of the earlier revision"
GENERATED = "lefthash as the text is generated: key * sum of the context"
DETECTED = "lefthash as the source's detector has it: key * sum of the hashes"
WRAPPED_KEY = "the key's product wraps at 64 bits, where torch may refuse so large a key"


class Input(NamedTuple):
    scheme: str
    key: str
    changes: Mapping[str, Any]
    reading: str = ""

    def profile(self) -> Profile:
        return profile(self.scheme, **self.changes)


# --- foreign-marks.json ---------------------------------------------------------------------------------------

def vllm_inputs() -> Iterator[Input]:
    for width, key in ((4, 42), (4, 0), (4, U64), (4, 0x0123456789ABCDEF), (1, LARGE), (2, 42), (3, 7), (5, 42),
                       (8, U64), (16, I64)):
        yield Input("vllm-gumbel/philox4x32-10-v1", f"int:{key}", {"contextWidth": width})
    for width, key, mixing in ((4, 42, "1/10"), (2, 0, "1/2"), (5, U64, "1/4"), (1, LARGE, "1/10"), (16, I64, "1/10")):
        yield Input("vllm-dual-gumbel/philox4x32-10-v1", f"int:{key}", {"contextWidth": width, "mixing": mixing})
    for width, key, depth in ((4, 42, 32), (4, 42, 30), (4, U64, 1), (1, LARGE, 32), (2, 0, 32), (5, 42, 32),
                              (16, I64, 32)):
        yield Input("vllm-synthid/1", f"int:{key}", {"contextWidth": width, "depth": depth}, STREAM)


def sbw_inputs() -> Iterator[Input]:
    for width, key, gamma in ((4, 42, "1/2"), (4, DEFAULT, "1/4"), (1, LARGE, "1/2"), (2, 0, "1/10"), (5, I64, "1/4"),
                              (16, 7, "1/2")):
        changes = {"contextWidth": width, "gamma": gamma}
        yield Input("vllm-sbw/1", f"int:{key}", {**changes, "prf": "selfhash"})
        yield Input("vllm-sbw/1", f"int:{key}", {**changes, "prf": "lefthash"}, GENERATED)


def sglang_inputs() -> Iterator[Input]:
    a, b = 0x0123456789ABCDEF, 0xFEDCBA9876543210
    for width, key in ((4, a), (4, b), (4, 42), (1, 0), (2, LARGE), (5, I64), (16, U64), (64, a)):
        yield Input("sglang-gumbel/1", f"hex:{key:016x}", {"contextWidth": width})
    for width, first, second, mixing in ((4, a, b, "1/2"), (4, 0x1111222233334444, 0x9999AAAABBBBCCCC, "1/2"),
                                         (1, 0, U64, "1/4"), (2, 42, LARGE, "1/10"), (16, I64, 7, "1/2")):
        yield Input("sglang-dual-gumbel/1", f"hex:{first:016x}{second:016x}",
                    {"contextWidth": width, "mixing": mixing})


def hf_inputs() -> Iterator[Input]:
    for key, vocabulary, gamma in ((DEFAULT, 50257, "1/4"), (42, 128, "1/2"), (0, 32000, "1/10"),
                                   (LARGE, 128256, "1/4"), (-DEFAULT, 32000, "1/4"), (7, 128256, "1/2")):
        yield Input("hf-kgw/1", f"int:{key}", {"vocabSize": vocabulary, "gamma": gamma})
    for key in (I64, U64):
        yield Input("hf-kgw/1", f"int:{key}", {"vocabSize": 32000})
    for width, key, vocabulary, gamma in ((4, DEFAULT, 50257, "1/4"), (1, 42, 128, "1/2"), (2, LARGE, 32000, "1/10"),
                                          (5, I64, 128256, "1/4"), (16, -DEFAULT, 32000, "1/2"), (4, 0, 128, "1/4")):
        yield Input("hf-kgw/1", f"int:{key}", {"contextWidth": width, "prf": "selfhash", "vocabSize": vocabulary,
                                               "gamma": gamma})
    for key, vocabulary, gamma in ((DEFAULT, 50257, "1/2"), (42, 128, "1/4"), (0, 32000, "1/10"),
                                   (LARGE, 128256, "1/2")):
        yield Input("tgi-kgw/1", f"int:{key}", {"vocabSize": vocabulary, "gamma": gamma})


def lm_inputs() -> Iterator[Input]:
    settings = ((4, False, DEFAULT, 50257, "1/4"), (4, True, DEFAULT, 32000, "1/4"), (1, False, 42, 128, "1/2"),
                (2, True, LARGE, 32000, "1/10"), (5, False, -DEFAULT, 32000, "1/10"), (16, False, 0, 128256, "1/2"),
                (16, True, LARGE, 128, "1/10"), (5, False, I64, 32000, "1/4"))
    for prf in kgw.LM_PRFS:
        for width, self_salt, key, vocabulary, gamma in settings:
            if prf == "minskipgram" and width == 1:  # has no pair of tokens
                width, self_salt = 2, False
            yield Input("lm-watermarking/1", f"int:{key}",
                        {"contextWidth": width, "prf": prf, "selfSalt": self_salt, "vocabSize": vocabulary,
                         "gamma": gamma})
        if prf != "minskipgram":
            yield Input("lm-watermarking/1", f"int:{DEFAULT}",
                        {"contextWidth": 1, "prf": prf, "selfSalt": True, "vocabSize": 128, "gamma": "1/2"})
    yield Input("lm-watermarking/1", f"int:{U64}", {"prf": "multiplicative", "vocabSize": 32000})


def three_bricks_inputs() -> Iterator[Input]:
    for width, key, vocabulary, gamma, salt in ((1, 0, 32000, "1/2", 35317), (2, 0, 32000, "1/4", 35317),
                                                (4, 42, 50257, "1/2", 35317), (5, LARGE, 128256, "1/10", 35317),
                                                (16, I64, 128, "1/4", 35317), (4, U64, 32000, "1/2", 35317),
                                                (2, 1, 128, "1/2", 2)):
        yield Input("three-bricks-greenlist/1", f"int:{key}",
                    {"contextWidth": width, "vocabSize": vocabulary, "gamma": gamma, "saltKey": salt})


def textseal_inputs() -> Iterator[Input]:
    for prf in ("gumbelmax", "textseal", "greenlist"):
        for width, key in ((1, "int:42"), (2, "int:42"), (4, "int:0"), (5, f"int:{LARGE}"), (10, "int:-7")):
            yield Input("textseal/1", key, {"prf": prf, "contextWidth": width})
    yield Input("textseal/1", "ints:42,1000000007", {"prf": "textseal", "contextWidth": 2, "mixing": "1/10"})
    yield Input("textseal/1", "int:42", {"prf": "greenlist", "gamma": "1/10"})
    yield Input("textseal/1", "int:42", {"prf": "greenlist", "gamma": "1/4", "contextWidth": 2})
    for gamma in ("1234/8191", "3911/5000"):
        yield Input("textseal/1", "int:42", {"prf": "greenlist", "gamma": gamma})
    yield Input("textseal/1", f"int:{I64}", {"prf": "gumbelmax"}, WRAPPED_KEY)


def synthid_inputs() -> Iterator[Input]:
    mixer = Mixer(21)
    wide = "ints:" + ",".join(str(i64(mixer.next()) >> 1) for _ in range(16))
    for scheme in ("hf-synthid/1", "synthid-text/2025-06"):
        for width, key in ((4, SYNTHID_KEYS), (1, "ints:0"), (2, "ints:42"), (5, wide), (16, SYNTHID_KEYS),
                           (4, f"ints:{I64},{-I64 - 1},-1,{LARGE}")):
            yield Input(scheme, key, {"contextWidth": width, "depth": len(parse_key(key))})
    for size in (1024, 1000):
        yield Input("hf-synthid/1", SYNTHID_KEYS, {"tableSize": size})


def inputs() -> Iterator[Input]:
    for group in (vllm_inputs, sbw_inputs, sglang_inputs, hf_inputs, lm_inputs, three_bricks_inputs, textseal_inputs,
                  synthid_inputs):
        yield from group()


def contexts(mixer: Mixer, scheme: str, width: int, bound: int) -> list[list[int]]:
    """With the paddings of a text's first tokens, where the scheme has them."""
    out = [[0] * width, [bound - 1] * width, [(i + 1) % bound for i in range(width)]]
    if scheme.startswith("vllm"):
        out += [[vllm.PAD] * (width - k) + [mixer.below(bound) for _ in range(k)] for k in range(min(width, 4))]
    if "synthid" in scheme and width > 1:
        out.append([0] * (width - 1) + [5])
    out += [[mixer.below(bound) for _ in range(width)] for _ in range(3)]
    return out if width else [[]]


def pairs(mixer: Mixer, given: Profile, key: str) -> Iterator[tuple[list[int], int]]:
    bound, width = given.get("vocabSize", IDS), reads(given)
    salted = marks.is_self_salted(given)
    for context in contexts(mixer, given["scheme"], width, bound):
        if given["scheme"] in LIST_SCHEMES and not salted:  # both ends of the list and of the rest
            order = kgw.permutation(list_seed(given, parse_key(key), context, 0), bound)
            count = kgw.green_count(bound, Fraction(given["gamma"]))
            tokens = [order[0], order[count - 1], order[count], order[-1], mixer.below(bound)]
        elif width == 0:
            tokens = [0, 1, bound - 1] + [mixer.below(bound) for _ in range(17)]
        else:
            tokens = [0, bound - 1, mixer.below(bound), mixer.below(bound)]
            tokens += [t for t in (7, 8, 50256, 65543) if width == 4 and t < bound and not salted]
            if "gamma" in given:  # and one that is green, where one is soon found
                draws = [mixer.below(bound) for _ in range(30)]
                tokens += list(itertools.islice((t for t in draws if raw(given, key, context, t) == [1]), 1))
        for token in tokens:
            yield context, token


def entry(source: Input, mixer: Mixer) -> Case:
    given = source.profile()
    tuples = [{"context": context, "token": token, "raw": raw(given, source.key, context, token)}
              for context, token in pairs(mixer, given, source.key)]
    return {"profile": given, "key": source.key, **({"reading": source.reading} if source.reading else {}),
            "tuples": tuples}


def alternative(case: Case) -> Case | None:
    """The same inputs read the other way."""
    given, keys = case["profile"], parse_key(case["key"])

    def other(context: Sequence[int], token: int) -> tuple[str, marks.Raw] | None:
        reading = case.get("reading")
        if reading == STREAM:
            g = vllm.g_bits(keys[0], context, token, given["depth"], 0)
            return NO_STREAM, ["".join(map(str, g))]
        if reading == GENERATED:
            seed = sbw.lefthash_detector_seed(keys[0], context)
            return DETECTED, [int(sbw.is_green(seed, token, Fraction(given["gamma"])))]
        return None

    read = [other(item["context"], item["token"]) for item in case["tuples"]]
    if read[0] is None:
        return None
    tuples = [{**item, "raw": value} for item, (_, value) in zip(case["tuples"], read)]
    return {**case, "reading": read[0][0], "tuples": tuples}


# --- foreign-published.json -----------------------------------------------------------------------------------

VOCABULARY = 1009  # small, since a list is made for every token that is read
PROMPT = [11, 202, 303, 404, 5, 60, 707, 808]
LISTS = {"vocabSize": VOCABULARY}
SIMPLE_1 = {**LISTS, "contextWidth": 1, "prf": "additive", "selfSalt": False, "gamma": "1/2"}
SOURCES: Mapping[str, Input] = {
    "vllm-gumbel": Input("vllm-gumbel/philox4x32-10-v1", "int:42", {}),
    "vllm-gumbel-2": Input("vllm-gumbel/philox4x32-10-v1", f"int:{LARGE}", {"contextWidth": 2}),
    "vllm-dual": Input("vllm-dual-gumbel/philox4x32-10-v1", "int:42", {}),
    "vllm-dual-half": Input("vllm-dual-gumbel/philox4x32-10-v1", "int:7", {"contextWidth": 2, "mixing": "1/2"}),
    "vllm-synthid": Input("vllm-synthid/1", "int:42", {}, STREAM),
    "vllm-sbw-selfhash": Input("vllm-sbw/1", "int:42", {}),
    "vllm-sbw-lefthash": Input("vllm-sbw/1", f"int:{DEFAULT}", {"contextWidth": 1, "prf": "lefthash"}),
    "sglang": Input("sglang-gumbel/1", "hex:0123456789abcdef", {}),
    "sglang-2": Input("sglang-gumbel/1", "hex:2a", {"contextWidth": 2}),
    "sglang-dual": Input("sglang-dual-gumbel/1", "hex:0123456789abcdeffedcba9876543210", {"contextWidth": 2}),
    "hf-lefthash": Input("hf-kgw/1", f"int:{DEFAULT}", LISTS),
    "hf-selfhash": Input("hf-kgw/1", f"int:{DEFAULT}", {**LISTS, "contextWidth": 4, "prf": "selfhash"}),
    "lm-selfhash": Input("lm-watermarking/1", f"int:{DEFAULT}", LISTS),
    "lm-selfhash-all": Input("lm-watermarking/1", f"int:{DEFAULT}", {**LISTS, "dedup": "none"}),
    "lm-simple-1": Input("lm-watermarking/1", f"int:{DEFAULT}", SIMPLE_1),
    "lm-simple-1-all": Input("lm-watermarking/1", f"int:{DEFAULT}", {**SIMPLE_1, "dedup": "none"}),
    "lm-skipgram": Input("lm-watermarking/1", "int:35317",
                         {**LISTS, "contextWidth": 5, "prf": "skipgram", "selfSalt": False}),
    "hf-synthid": Input("hf-synthid/1", SYNTHID_KEYS, {}),
    "synthid-text": Input("synthid-text/2025-06", SYNTHID_KEYS, {}),
    "synthid-one": Input("synthid-text/2025-06", "ints:42", {"contextWidth": 1, "depth": 1}),
    "three-bricks-none": Input("three-bricks-greenlist/1", "int:0", {**LISTS, "dedup": "none"}),
    "three-bricks-v1": Input("three-bricks-greenlist/1", "int:0", {**LISTS, "dedup": "context"}),
    "three-bricks-v2": Input("three-bricks-greenlist/1", "int:0", {**LISTS, "dedup": "tuple"}),
    "three-bricks-tenth": Input("three-bricks-greenlist/1", "int:42",
                                {**LISTS, "contextWidth": 2, "gamma": "1/10"}),
    "textseal-gumbelmax": Input("textseal/1", "int:42", {"dedup": "tuple"}),
    "textseal-gumbelmax-v1": Input("textseal/1", "int:42", {"dedup": "context"}),
    "textseal-gumbelmax-none": Input("textseal/1", "int:42", {"dedup": "none"}),
    "textseal-dual": Input("textseal/1", "int:42", {"prf": "textseal", "contextWidth": 2}),
    "textseal-dual-tenth": Input("textseal/1", "ints:42,7", {"prf": "textseal", "mixing": "1/10", "dedup": "none"}),
    "textseal-greenlist": Input("textseal/1", "int:42", {"prf": "greenlist", "dedup": "context"}),
}


def marked(mixer: Mixer, source: Input, length: int, bound: int, choices: int) -> list[int]:
    """The best of a few random tokens at every place: the mark under a flat distribution over them."""
    given = source.profile()
    history = list(PROMPT) if source.scheme.startswith("sglang") else []
    if given["firstPosition"] == 0:
        history += [vllm.PAD] * reads(given)
    start, share = len(history), Fraction(given.get("mixing", 1))
    for _ in range(length):
        candidates = [mixer.below(bound) for _ in range(choices)]
        in_share = mixer.below(1000) < 1000 * share
        if len(history) < reads(given):
            history.append(candidates[0])
            continue
        key_b = in_share == source.scheme.startswith("vllm")  # there the share is key B's, in TextSeal it is key A's
        context = history[len(history) - reads(given) :]
        values = [raw(given, source.key, context, token)[-1 if key_b else 0] for token in candidates]
        counts = [value.count("1") if isinstance(value, str) else value for value in values]
        history.append(candidates[counts.index(max(counts))])
    return history[start:]


def sequences() -> dict[str, list[int]]:
    mixer = Mixer(22)
    loop = [mixer.below(VOCABULARY) for _ in range(60)]
    long = [mixer.below(VOCABULARY) for _ in range(1100)]
    out = {"random": [mixer.below(VOCABULARY) for _ in range(200)],
           "few-ids": [mixer.below(12) for _ in range(150)],
           "loop": loop * 3 + loop[:20],
           "long": long + long[:100] + long[600:700],  # repeats beyond and within SynthID's history of 1024
           "golden": golden.generate(lambda position: 42), "golden-dual": golden.generate_dual(42, 0.1)}
    for name, source in SOURCES.items():
        if not name.endswith(("-all", "-v1", "-v2")):
            tenth = name == "three-bricks-tenth"
            out["by-" + name] = marked(mixer, source, 300 if tenth else 80 + mixer.below(60), VOCABULARY,
                                       40 if tenth else 4)
    return out


def of_sequence(name: str, given: Mapping[str, list[int]]) -> list[str]:
    base = next(base for base in (name, name.rsplit("-", 1)[0], name.rsplit("-", 1)[0] + "-none")
                if "by-" + base in given)
    names = ["random", "few-ids", "loop", "by-" + base]
    if "synthid" in name:
        names.append("long")
    if name == "vllm-gumbel":
        names += ["golden", "by-sglang"]
    if name == "vllm-dual":
        names.append("golden-dual")
    return names


def published_cases(given: Mapping[str, list[int]]) -> Iterator[Case]:
    for name, source in SOURCES.items():
        for sequence in of_sequence(name, given):
            prompts = [[], PROMPT] if source.scheme.startswith("sglang") else [[]]
            for prompt in prompts:
                numbers = published(source.profile(), source.key, given[sequence], prompt)
                yield {"name": f"{name} on {sequence}{' with its prompt' if prompt else ''}",
                       "profile": source.profile(), "key": source.key,
                       **({"reading": source.reading} if source.reading else {}),
                       "prompt": prompt, "sequence": sequence, **numbers}
    # Shares of 0 and 1 are single keys, which are another scheme's.
    for each in vllm_goldens.GOLDENS:
        if each.mixing not in ("0", "1"):
            used, key, name = vllm_goldens.profile(each), vllm_goldens.detection_key(each), f"vllm {each.name}"
            yield {"name": name, "profile": used, "key": key, "prompt": [], "sequence": name,
                   **published(used, key, given[name])}


# --- files ----------------------------------------------------------------------------------------------------

MARKS = ("Other systems' marks: raw values of tuples. `context` holds exactly the previous tokens that are read, "
         "oldest first, 4294967295 where vLLM pads; a self-salted scheme's contextWidth counts the token itself. "
         "`reading`: what the description leaves open, and how it is taken; `alternatives`: the same inputs, read otherwise.")
PUBLISHED = ("What the sources' own detectors print for `sequence` (12 digits), flaws included: n tokens scored, "
             "statistic, and p, z, decision or weighted mean. Not ours to decide by.")
DRAWS = ("What the sources' own samplers draw. The logit of token t of the vocabulary at position i is "
         "((37 t + 17 i) mod 131 - 56) / 16; `options`: temperature, top-k, top-p. `kinds`: m marked, r repeated "
         "context, s short context, o one candidate. Ordinary randomness is AES of `plainKey` and the position. "
         "`laws`: of two positions the tokens and probabilities that are drawn from.")


def _lines(items: Sequence[Any]) -> str:
    return "[\n" + ",\n".join(json.dumps(item, separators=(",", ":")) for item in items) + "\n]"


def build() -> dict[str, str]:
    mixer = Mixer(20)
    cases = [entry(source, mixer) for source in inputs()]
    alternatives = [case for case in map(alternative, cases) if case]
    given = sequences()
    given |= {f"vllm {each.name}": vllm_goldens.generate(each) for each in vllm_goldens.GOLDENS
              if each.mixing not in ("0", "1")}
    rows = ",\n".join(f'{json.dumps(name)}: {json.dumps(ids, separators=(",", ":"))}' for name, ids in given.items())
    head = '{\n"schema": "countermark.vectors/1",\n"topic": "%s",\n"comment": %s,\n'
    return {
        "foreign-marks.json": head % ("foreign-marks", json.dumps(MARKS))
        + f'"cases": {_lines(cases)},\n"alternatives": {_lines(alternatives)}\n}}\n',
        "foreign-published.json": head % ("foreign-published", json.dumps(PUBLISHED))
        + f'"sequences": {{\n{rows}\n}},\n"cases": {_lines(list(published_cases(given)))}\n}}\n',
        "foreign-draws.json": head % ("foreign-draws", json.dumps(DRAWS))
        + f'"plainKey": "{draws.PLAIN_KEY.hex()}",\n"cases": {_lines(list(draws.cases()))}\n}}\n',
    }


def main() -> int:
    stale = 0
    for name, text in build().items():
        path = FOLDER / name
        if "--check" in sys.argv[1:]:
            same = path.exists() and path.read_bytes() == text.encode("ascii")
            stale += not same
            print(f"{'same' if same else 'DIFFERS'}  {name}")
        else:
            path.write_bytes(text.encode("ascii"))
            print(f"{len(text):7d} bytes, {len(json.loads(text)['cases']):4d} cases  {name}")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
