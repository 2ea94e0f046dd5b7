# SPDX-License-Identifier: Apache-2.0
"""Other systems' marks through the Python door: keys, profiles, values, scores, several tests at once."""

from __future__ import annotations

import copy
import json
import pickle
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy

import countermark
from countermark import Detector, ForeignKey, ForeignMark, ForeignProfile, Key, Panel
from support import PROFILE, ROOT, TOKENIZER, Answers, Case, call

KEYS = {"int": "int:123456789123456", "ints": "ints:654,400,836", "hex": "hex:0123456789abcdef",
        "text": "text:a pass phrase"}
VLLM = '{"scheme":"vllm-gumbel/philox4x32-10-v1"}'


def bits(raw: int | str) -> int:
    """A raw value as the vector files write it: an integer, or g values from depth 0 on."""
    return raw if isinstance(raw, int) else int(raw[::-1], 2)


class Profiles(Case):
    def test_what_it_says(self) -> None:
        profile = ForeignProfile.parse('{"scheme":"hf-kgw/1","prf":"selfhash","contextWidth":4,"vocabSize":100}')
        self.assertEqual((profile.scheme, profile.context_tokens, profile.tokenizer), ("hf-kgw/1", 3, None))
        self.assertEqual(json.loads(profile.to_json())["firstPosition"], 3)
        self.assertEqual(repr(profile), f"<countermark.ForeignProfile hf-kgw/1, {profile.digest}>")
        again = ForeignProfile.parse(profile.to_json())
        self.assertEqual((again, hash(again), again.digest), (profile, hash(profile), profile.digest))
        self.assertNotEqual(profile, ForeignProfile.parse(VLLM))
        self.assertNotEqual(profile, 1)

    def test_files(self) -> None:
        path = self.folder / "profile.json"
        path.write_text(VLLM)
        self.assertEqual(ForeignProfile.load(str(path)), ForeignProfile.parse(VLLM))
        self.assertEqual(self.refused("unsupported", ForeignProfile.load, PROFILE).field, "scheme")
        path.write_text('{"scheme":"hf-kgw/1"}')
        wrong = self.refused("invalid-input", ForeignProfile.load, path)
        self.assertEqual((wrong.file, wrong.field), (str(path), "vocabSize"))
        self.refused("unsupported", ForeignProfile.parse, '{"scheme":"hf-kgw/2"}')


class Keys(Case):
    def test_it_never_shows_its_secret(self) -> None:
        for form, text in KEYS.items():
            key = ForeignKey.parse(f"#id:lab\n{text}\n")
            self.assertEqual((key.form, key.name), (form, "lab"))
            self.assertEqual((repr(key), str(key)), (f"<countermark.ForeignKey {form}, lab>",) * 2)
            self.assertEqual(repr(ForeignKey.parse(text)), f"<countermark.ForeignKey {form}>")
            for take in (copy.copy, copy.deepcopy, pickle.dumps):
                self.assertRaises(TypeError, take, key)
        self.assertEqual({name for name in dir(ForeignKey) if not name.startswith("_")},
                         {"form", "load", "name", "parse"})

    def test_files(self) -> None:
        path = self.folder / "key"
        path.write_text(KEYS["hex"])
        path.chmod(0o644)
        self.assertEqual(self.refused("permission", ForeignKey.load, path).file, str(path))
        path.chmod(0o600)
        self.assertEqual(ForeignKey.load(str(path)).form, "hex")
        self.assertEqual(self.refused("key", ForeignKey.parse, "int:12x4").offset, 4)
        ours = self.folder / "ours"
        Key.generate().epoch("m", "e").save(ours)
        self.assertEqual(self.refused("key", ForeignKey.load, ours).file, str(ours))


class Marks(Case):
    def test_the_vectors_of_every_scheme(self) -> None:
        vectors = json.loads((ROOT / "tests" / "vectors" / "foreign-marks.json").read_text())
        schemes = set()
        for case in vectors["cases"]:
            profile = ForeignProfile.parse(json.dumps(case["profile"]))
            mark = ForeignMark(profile, ForeignKey.parse(case["key"]))
            tokens = [each["token"] for each in case["tuples"]]
            contexts = numpy.array([each["context"] for each in case["tuples"]], numpy.int64)
            for key in range(mark.keys):
                expected = numpy.array([bits(each["raw"][key]) for each in case["tuples"]], numpy.uint64)
                for given in (contexts, contexts.ravel().tolist()):
                    values = mark.raw_values(given, tokens, key)
                    self.assertEqual(values.dtype, numpy.uint64)
                    numpy.testing.assert_array_equal(values, expected)
            schemes.add(profile.scheme)
        self.assertEqual(len(schemes), 13)

    def test_bad_input(self) -> None:
        mark = ForeignMark(ForeignProfile.parse(VLLM), ForeignKey.parse("int:42"))
        self.assertEqual(repr(mark), "<countermark.ForeignMark vllm-gumbel/philox4x32-10-v1>")
        self.assertEqual(mark.profile, ForeignProfile.parse(VLLM))
        for field, arguments in {"contexts": ([1, 2, 3], [4]), "tokens": ([1, 2, 3, 4], [-1]),
                                 "key": ([1, 2, 3, 4], [5], 1)}.items():
            self.assertEqual(self.refused("invalid-argument", mark.raw_values, *arguments).field, field)
        self.assertEqual(self.refused("invalid-argument", mark.scores, [-1]).field, "ids")
        self.assertEqual(self.refused("invalid-argument", mark.scores, [], prompt=[-1]).field, "prompt")
        self.assertRaises(TypeError, mark.scores, "text")
        self.refused("key", ForeignMark, mark.profile, ForeignKey.parse(KEYS["hex"]))
        self.refused("key", ForeignMark, mark.profile, ForeignKey.parse("int:-1"))
        synthid = ForeignProfile.parse('{"scheme":"hf-synthid/1","depth":2}')
        self.refused("mismatch", ForeignMark, synthid, ForeignKey.parse(KEYS["ints"]))
        listed = ForeignProfile.parse('{"scheme":"hf-kgw/1","vocabSize":100}')
        self.refused("mismatch", ForeignMark(listed, ForeignKey.parse("int:42")).scores, [1, 100])

    def test_scores_are_what_the_verdict_sums(self) -> None:
        random = numpy.random.default_rng(1)
        ids, prompt = random.integers(0, 40, 400), random.integers(0, 40, 60)
        for scheme, key in (("vllm-gumbel/philox4x32-10-v1", "int:7"), ("vllm-dual-gumbel/philox4x32-10-v1", "int:7"),
                            ("hf-kgw/1", "int:7"), ("synthid-text/2025-06", "ints:1,2"), ("sglang-gumbel/1", "hex:7")):
            given: dict[str, Any] = {"scheme": scheme, "contextWidth": 2 if scheme != "hf-kgw/1" else 1}
            given |= {"vocabSize": 40} if scheme == "hf-kgw/1" else {"depth": 2} if "ynth" in scheme else {}
            profile, secret = ForeignProfile.parse(json.dumps(given)), ForeignKey.parse(key)
            mark = ForeignMark(profile, secret)
            for shown in (None, prompt):
                text = mark.scores(ids, shown)
                found = Detector(secret, profile).detect(ids, prompt=shown)
                self.assertEqual(str(text.scores.sum()), found["statistic"])
                self.assertEqual(len(text.scores), found["scored"])
                numpy.testing.assert_array_equal(ids[text.positions], text.tokens)
                self.assertEqual(text.contexts.shape, (found["scored"], given["contextWidth"]))
                at = text.positions >= given["contextWidth"]
                before = ids[text.positions[at].astype(int)[:, None] + numpy.arange(-given["contextWidth"], 0)]
                numpy.testing.assert_array_equal(text.contexts[at], before)
                if mark.keys == 1 and "hf-kgw" in scheme:
                    numpy.testing.assert_array_equal(mark.raw_values(text.contexts, text.tokens), text.scores)
        with self.assertRaises(ValueError):
            text.scores[0] = 1  # read-only


class Panels(Answers):
    """The lines of the command line, from several keys and profiles."""

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def setUp(self) -> None:
        super().setUp()
        tokenizer = {"file": str(TOKENIZER), "sha256": self.tokenizer.sha256, "name": "demo"}
        self.profiles = [PROFILE] + [
            self.file(f"{name}.json", json.dumps({"scheme": scheme, "tokenizer": tokenizer, **more}))
            for name, scheme, more in (("vllm", "vllm-gumbel/philox4x32-10-v1", {}),
                                       ("kgw", "hf-kgw/1", {"vocabSize": 4096}))]
        self.keys = [self.key_path, self.file("large.key", "#id:lab\nint:13835058055282163713\n"),
                     self.file("public.key", "int:15485863\n")]
        self.tests = [(self.keys[0], self.profiles[0]), (self.keys[1], self.profiles[1]),
                      (self.keys[2], self.profiles[1]), (self.keys[1], self.profiles[2]),
                      (self.keys[2], self.profiles[2])]

    def agrees(self, *flags: object, **claim: Any) -> None:
        panel = Panel.load(self.tests, **claim)
        given = [part for key in self.keys for part in ("-k", key)]
        given += [part for profile in self.profiles for part in ("-p", profile)]
        for field, option in (("text", "--text-field"), ("ids", "--ids-field")):
            lines = call("detect", *given, "--json", option, field, *flags, self.answers_path)
            expected = [json.loads(line) for line in lines.splitlines()]
            self.assertEqual(len(expected), 5 * len(self.answers))
            for i, answer in enumerate(self.answers):
                for ours, theirs in zip(panel.detect(answer[field], prompt=answer["prompt"], id=answer["id"]),
                                        expected[5 * i:5 * i + 5], strict=True):
                    self.assertEqual({**ours, "input": theirs["input"], "field": theirs["field"]}, theirs)

    def test_the_command_line(self) -> None:
        self.agrees()
        self.agrees("--decoys", 30, "--decoy-seed", "00ff", "--alpha", "0.2", decoys=30, decoy_seed=b"\x00\xff",
                    alpha=0.2)
        self.agrees("--as-published", as_published=True)

    def test_one_test_is_a_detector(self) -> None:
        answer = self.answers[0]["text"]
        for key, profile in self.tests:
            self.assertEqual(Panel.load([(key, profile)]).detect(answer), [Detector.load(key, profile).detect(answer)])
        both = Panel([(self.key, self.profile, self.tokenizer), (self.key, self.profile)])
        ids = self.answers[0]["ids"]
        self.assertEqual([found["hypotheses"] for found in both.detect(ids)], [2, 2])
        self.refused("mismatch", both.detect, answer)

    def test_threads(self) -> None:
        panel = Panel.load(self.tests)
        texts = [answer["text"][:size] for answer in self.answers for size in range(0, 300, 30)]
        expected = [panel.detect(text) for text in texts]
        with ThreadPoolExecutor(8) as pool:
            self.assertEqual(list(pool.map(panel.detect, texts)), expected)

    def test_what_does_not_belong_together(self) -> None:
        vllm, key = ForeignProfile.load(self.profiles[1]), ForeignKey.load(self.keys[1])
        self.refused("key", Panel, [(self.key, vllm)])
        self.refused("key", Panel, [(key, self.profile)])
        self.refused("key", Panel.load, [(self.key_path, self.profiles[1])])
        self.assertEqual(self.refused("invalid-argument", Panel, []).field, "tests")
        for claim in ({"account": "a"}, {"cohort": "c"}, {"accounts": ["a"]}):
            self.refused("invalid-argument", Detector, key, vllm, **claim)
        self.refused("mismatch", Detector, key, vllm, self.other_tokenizer())
        self.assertRaises(TypeError, Panel, [(vllm, key)])

    def other_tokenizer(self) -> countermark.Tokenizer:
        return countermark.Tokenizer.load(self.file("tokenizer.json", TOKENIZER.read_text() + "\n"))


if __name__ == "__main__":
    unittest.main()
