# SPDX-License-Identifier: Apache-2.0
"""Profiles and tokenizers, and what is taken for token ids."""

from __future__ import annotations

import array
import hashlib
import json
import unittest

import numpy

from countermark import Profile, Tokenizer
from support import PROFILE, TOKENIZER, Case, call

try:
    import torch
except ImportError:
    torch = None


class Profiles(Case):
    def test_defaults(self) -> None:
        profile = Profile.defaults()
        self.assertEqual([(layer.name, layer.width, layer.share, layer.slots) for layer in profile.layers],
                         [("shared", 2, 32768, 1), ("cohort", 2, 8192, 1), ("account", 3, 24576, 8)])
        self.assertIsNone(profile.tokenizer)
        self.assertEqual(profile.scheme, "countermark/1")
        self.assertEqual(profile.digest, hashlib.sha256(profile.to_json().encode()).hexdigest())
        self.assertEqual(Profile.parse(profile.to_json()), profile)
        self.assertEqual(hash(Profile.parse(profile.to_json())), hash(profile))
        self.assertNotEqual(Profile.load(PROFILE), profile)
        self.assertNotEqual(profile, None)

    def test_the_digest_of_every_door(self) -> None:
        profile = Profile.load(PROFILE)
        checked = json.loads(call("profile", "check", "-p", PROFILE, "--json"))
        self.assertEqual(profile.digest, checked["profile"])
        self.assertEqual(profile.tokenizer.sha256, hashlib.sha256(TOKENIZER.read_bytes()).hexdigest())
        self.assertEqual(profile.tokenizer.file, TOKENIZER.name)

    def test_bad_ones(self) -> None:
        layer = {"name": "shared", "width": 2, "share": 65536, "slots": 1}
        Profile.parse(json.dumps({"scheme": "countermark/1", "layers": [layer]}))
        bad = {"scheme": "countermark/1", "layers": [{**layer, "width": 17}]}
        self.assertIn("width", self.refused("invalid-input", Profile.parse, json.dumps(bad)).field)
        self.refused("invalid-input", Profile.parse, "{")
        self.refused("unsupported", Profile.parse, json.dumps({**bad, "scheme": "countermark/2"}))
        path = self.folder / "profile.json"
        path.write_text(json.dumps(bad))
        self.assertEqual(self.refused("invalid-input", Profile.load, path).file, str(path))


class Tokenizers(Case):
    def test_round_trip(self) -> None:
        tokenizer = Tokenizer.load(TOKENIZER)
        self.assertEqual(tokenizer.vocab_size, 4096)
        for text in ("", "The server", "naïve 日本 \0 end\n", "<|endoftext|>"):
            ids = tokenizer.encode(text)
            self.assertTrue(all(0 <= i < 4096 for i in ids))
            self.assertEqual(tokenizer.decode(ids), text)
        self.assertEqual(tokenizer.sha256, Profile.load(PROFILE).tokenizer.sha256)
        self.assertRaises(UnicodeEncodeError, tokenizer.encode, "\ud800")

    def test_ids_may_end_inside_a_character(self) -> None:
        tokenizer = Tokenizer.load(TOKENIZER)
        ids = tokenizer.encode("日")[:-1]
        self.assertRaises(UnicodeDecodeError, tokenizer.decode, ids)
        cut = tokenizer.decode(ids, "surrogateescape").encode("utf-8", "surrogateescape")
        self.assertTrue("日".encode().startswith(cut))

    def test_of_a_profile(self) -> None:
        profile = Profile.load(PROFILE)
        self.assertEqual(Tokenizer.of(profile, PROFILE).sha256, profile.tokenizer.sha256)
        self.assertIsNone(Tokenizer.of(Profile.defaults(), PROFILE))
        other = self.folder / "tokenizer.json"
        other.write_bytes(TOKENIZER.read_bytes() + b"\n")
        self.assertEqual(Tokenizer.of(Profile.defaults(), PROFILE, other).vocab_size, 4096)
        error = self.refused("mismatch", Tokenizer.of, profile, PROFILE, other)
        self.assertEqual((error.file, error.field), (str(other), "tokenizer.sha256"))
        self.refused("io", Tokenizer.load, self.folder / "nowhere")


class TokenIds(Case):
    """Of any function that takes them; decode is one."""

    def setUp(self) -> None:
        super().setUp()
        self.tokenizer = Tokenizer.load(TOKENIZER)
        self.text = "The server answers every request in turn."
        self.ids = self.tokenizer.encode(self.text)

    def test_sequences(self) -> None:
        for ids in (self.ids, tuple(self.ids), [numpy.int32(i) for i in self.ids], array.array("i", self.ids)):
            self.assertEqual(self.tokenizer.decode(ids), self.text)
        self.assertEqual(self.tokenizer.decode(range(0)), "")
        self.assertEqual(self.tokenizer.decode([]), "")

    def test_arrays(self) -> None:
        for kind in (numpy.int32, numpy.int64, numpy.uint32, numpy.uint64):
            ids = numpy.array(self.ids, kind)
            self.assertEqual(self.tokenizer.decode(ids), self.text)
            self.assertEqual(self.tokenizer.decode(numpy.repeat(ids, 2)[::2]), self.text)
            self.assertEqual(self.tokenizer.decode(ids[::-1].copy()[::-1]), self.text)
            self.assertEqual(self.tokenizer.decode(numpy.array([], kind)), "")
            ids.flags.writeable = False
            self.assertEqual(self.tokenizer.decode(ids), self.text)

    @unittest.skipIf(torch is None, "torch is not installed")
    def test_tensors(self) -> None:
        for kind in (torch.int32, torch.int64):
            ids = torch.tensor([self.ids, self.ids], dtype=kind)
            self.assertEqual(self.tokenizer.decode(ids[1]), self.text)
            self.assertEqual(self.tokenizer.decode(ids.T[:, 0]), self.text)
            self.assertRaises(TypeError, self.tokenizer.decode, ids)
        self.assertRaises(TypeError, self.tokenizer.decode, torch.tensor([1.0]))

    def test_what_is_no_id(self) -> None:
        for bad in (-1, 1 << 32, 1 << 80, -(1 << 80)):
            error = self.refused("invalid-argument", self.tokenizer.decode, [1, bad])
            self.assertEqual(error.field, "ids")
            self.assertIn(f"token 1 is {bad}", str(error))
        self.refused("invalid-argument", self.tokenizer.decode, numpy.array([0, -1]))
        self.refused("invalid-argument", self.tokenizer.decode, numpy.array([1 << 32]))
        self.refused("mismatch", self.tokenizer.decode, [4096])

    def test_what_is_no_array_of_ids(self) -> None:
        matrix = numpy.zeros((2, 2), numpy.int32)
        for bad in (matrix, matrix.astype(float)[0], numpy.zeros(2, bool), numpy.zeros(2, numpy.int16),
                    numpy.int64(1), b"ids", "ids", 1, None, {1: 2}, {1}, [1.0], ["1"], [None], [[1]]):
            with self.assertRaises(TypeError, msg=repr(bad)):
                self.tokenizer.decode(bad)


if __name__ == "__main__":
    unittest.main()
