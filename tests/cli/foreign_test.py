#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Other systems' marks on the command line: written by `generate`, read by `detect`, refused where they do not fit.

Usage: foreign_test.py PROGRAM.
"""

from __future__ import annotations

import json
import unittest
from pathlib import Path

try:
    import jsonschema
except ImportError:
    jsonschema = None

from support import MODEL, ROOT, SEED, ProgramTest, key_file


class ForeignMarksTest(ProgramTest):
    key: Path

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.key = key_file(cls.folder / "epoch.key", "2026-11")

    # --- generate ---------------------------------------------------------------------------

    KEYS = {"int:": "int:1234567890123456789", "hex:": "hex:0123456789abcdef",
            "ints:": "ints:" + ",".join(map(str, range(100, 130)))}

    def schemes(self) -> list[list[str]]:
        """The id, the form of the key and the flag that a profile needs."""
        rows = [line.split() for line in self.call("profile", "schemes")[0].splitlines()]
        self.assertEqual(rows[0], ["countermark/1"])
        return rows[1:]

    def written(self, scheme: str, form: str, *flags: str) -> tuple[Path, Path]:
        """A key of the scheme and its default profile, for the embedded model."""
        value = {"sglang-dual-gumbel/1": "hex:0123456789abcdeffedcba9876543210", "textseal/1": "int:7"}
        key = self.file("foreign.key", f"# theirs\n#id:lab\n{value.get(scheme, self.KEYS[form])}\n")
        profile = self.folder / "foreign.json"
        sizes = [part for flag in flags for part in (flag, "4096")]
        self.call("profile", "new", "--scheme", scheme, *sizes, "-t", MODEL / "tokenizer.json", "-o", profile,
                  "--force")
        return key, profile

    def test_every_foreign_scheme_writes(self) -> None:
        texts = set()
        rows = self.schemes()
        self.assertEqual(len(rows), 13)
        for scheme, form, *flags in rows:
            key, profile = self.written(scheme, form, *flags)
            checked = json.loads(self.call("profile", "check", "-p", profile, "--json")[0])
            self.assertEqual((checked["scheme"], checked["tokenizer"]), (scheme, True))
            self.assertIn(scheme, self.call("profile", "check", "-p", profile)[0])
            out, _ = self.call("generate", "-k", key, "-p", profile, "--prompt", "The server", "-n", 40, "--exact",
                               "--seed", SEED, "--json")
            answer = json.loads(out)
            self.assertEqual((answer["scheme"], answer["profile"], answer["keyId"], answer["slots"]),
                             (scheme, checked["profile"], "lab", []))
            self.assertGreater(answer["marked"], 20, scheme)
            texts.add(answer["text"])
            if jsonschema is not None:
                for name, value in (("generate-1", answer), ("profile-check-1", checked),
                                    ("foreign-profile-1", json.loads(profile.read_text()))):
                    jsonschema.validate(value, json.loads((ROOT / "docs" / "schemas" / f"{name}.json").read_text()))
        # Of one seed: hf-kgw, lm-watermarking and the others differ in their lists.
        self.assertEqual(len(texts), 13)

    def test_a_foreign_mark_can_be_left_out(self) -> None:
        key, profile = self.written("vllm-gumbel/philox4x32-10-v1", "int:")
        flags = ("generate", "-k", key, "-p", profile, "-n", 40, "--exact", "--seed", SEED)
        plain = json.loads(self.call(*flags, "--unmarked", "--json")[0])
        self.assertEqual(plain["marked"], 0)
        marked = self.call(*flags)[0]
        self.assertNotEqual(marked, plain["text"] + "\n")
        for kernel in json.loads(self.call("version", "--json")[0])["kernels"]:
            self.assertEqual(self.call(*flags, env={"COUNTERMARK_KERNEL": kernel})[0], marked)

    def test_keys_and_profiles_that_do_not_write(self) -> None:
        key, profile = self.written("hf-kgw/1", "int:", "--vocab-size")
        generate = ("generate", "-n", 5, "-p", profile)
        self.refused(2, *generate, "-k", key, "--account", "alice", says=("--account", "no identities"))
        self.refused(2, *generate, "-k", key, "--cohort", "c1", says=("--cohort",))
        self.refused(3, *generate, "-k", self.key, says=("epoch.key", "epoch key", "hf-kgw/1", "int:"))
        self.refused(3, "generate", "-k", key, says=("foreign.key", "another system's key", "--scheme"))
        other = self.file("hex.key", "hex:77aabbccdd77\n")
        err = self.refused(4, *generate, "-k", other, says=("hex.key", "int:", "hex:"))
        self.assertNotIn("77aabb", err)
        loose = self.file("loose-foreign.key", "int:777123\n", 0o644)
        self.refused(4, *generate, "-k", loose, says=("chmod 600",))
        err = self.refused(4, *generate, "-k", self.file("typo.key", "int:777x123\n"), says=("typo.key", "byte 4"))
        self.assertNotIn("777", err)
        small = json.loads(profile.read_text()) | {"vocabSize": 4095}
        small.pop("tokenizer")
        self.refused(3, "generate", "-k", key, "-p", self.file("small.json", json.dumps(small)), "-t",
                     MODEL / "tokenizer.json", says=("small.json", "vocabSize", "4095", "4096"))
        self.refused(3, "profile", "check", "-p", self.file("delta.json", json.dumps(small | {"delta": -1})),
                     says=("delta.json", "delta"))
        self.refused(2, "profile", "new", "--scheme", "hf-kgw/1", says=("--vocab-size",))
        self.refused(2, "profile", "new", "--scheme", "nobody/1", says=("nobody/1", "profile schemes"))
        self.refused(2, "profile", "new", "--scheme", "textseal/1", "--layer", "shared:2:65536:1", says=("--layer",))
        self.refused(2, "profile", "new", "--vocab-size", "5", says=("--vocab-size",))
        self.refused(3, "profile", "new", "--scheme", "hf-kgw/1", "--vocab-size", "3", says=("gamma",))

    def test_foreign_keys_are_named_and_never_printed(self) -> None:
        for name, content, form in (("lab", "#id:lab\nint:777123\n", "int"), ("", "ints:777123,777124\n", "ints"),
                                    ("", "hex:777123\n", "hex"), ("", "text:777123\n", "text")):
            key = self.file("shown.key", content)
            shown = json.loads(self.call("key", "show", "-k", key, "--json")[0])
            self.assertEqual((shown["kind"], shown["form"], shown["name"]), ("foreign", form, name))
            for verb in ("show", "check"):
                for flags in ([], ["--json"]):
                    out, err = self.call("key", verb, "-k", key, *flags)
                    self.assertNotIn("777", out + err)
        self.assertEqual(self.call("key", "check", "-k", key)[0], "ok: foreign key\n")

    # --- detect -----------------------------------------------------------------------------

    def golden_text(self) -> Path:
        """vLLM's own marked text, under key 42."""
        vectors = json.loads((ROOT / "tests" / "vectors" / "foreign-published.json").read_text())
        return self.file("golden.jsonl", json.dumps({"id": "golden", "ids": vectors["sequences"]["golden"]}) + "\n")

    def profile_of(self, name: str, **fields: object) -> Path:
        return self.file(f"{name}.json", json.dumps(fields))

    def test_a_deployed_mark_is_found_by_its_rank(self) -> None:
        text = self.golden_text()
        profile = self.profile_of("gumbel", scheme="vllm-gumbel/philox4x32-10-v1")
        key = self.file("published.key", "# vLLM's default\nint:42\n")
        flags = ("detect", "-k", key, "-p", profile, "--ids-field", "ids", "--json", text)
        out, err = self.call(*flags)
        result = json.loads(out)
        self.assertEqual((result["verdict"], result["reasons"]), ("inconclusive", ["too-few-decoys"]))
        self.assertEqual(result["nullModel"]["reasons"], ["public-key"])
        self.assertLess(result["log10P"], -60)
        self.assertEqual(err.count("--decoys"), 2)
        self.assertNotIn("asPublished", result)
        out, err = self.call(*flags, "--alpha", "1e-2", "--decoys", 100, "--as-published")
        result = json.loads(out)
        self.assertEqual((result["verdict"], result["lineUp"]["rank"], err), ("detected", 1, ""))
        published = result["asPublished"]
        self.assertEqual((published["by"], published["scored"]), ("vLLM", 64))
        self.assertAlmostEqual(published["statistic"], 296.272957878563, places=8)
        self.assertAlmostEqual(published["pValue"] / 7.1281962809e-61, 1, places=8)
        lines = self.call("detect", "-k", key, "-p", profile, "--ids-field", "ids", "--as-published", text)[0]
        self.assertRegex(lines, r"log10 p +-60\.1.* of a model: public-key; the rank among decoys decides")
        self.assertRegex(lines, r"as published +by vLLM: 64 scored, statistic 296\.273, log10 p -60\.15")
        self.assertNotIn("by chance", lines)

    def test_several_tests_at_once(self) -> None:
        """Every key under every profile that takes it, corrected for all of them."""
        text = self.golden_text()
        one = self.profile_of("one", scheme="vllm-gumbel/philox4x32-10-v1")
        two = self.profile_of("two", scheme="vllm-synthid/1", depth=8)
        hexed = self.profile_of("hexed", scheme="sglang-gumbel/1")
        keys = [self.file(f"{i}.key", f"#id:key-{i}\nint:{10**17 + i}\n") for i in range(2)]
        keys.append(self.file("hex.key", "hex:0123456789abcdef\n"))
        flags = [part for key in (*keys, self.key) for part in ("-k", key)]
        flags += [part for path in (one, two, hexed, MODEL / "profile.json") for part in ("-p", path)]
        out, _ = self.call("detect", *flags, "--ids-field", "ids", "--json", text)
        results = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([(r["scheme"].split("/")[0], r["keyId"][:5]) for r in results[:5]],
                         [("vllm-gumbel", "key-0"), ("vllm-gumbel", "key-1"), ("vllm-synthid", "key-0"),
                          ("vllm-synthid", "key-1"), ("sglang-gumbel", "")])
        self.assertEqual(results[5]["scheme"], "countermark/1")
        for index, result in enumerate(results):
            self.assertEqual((result["hypotheses"], result["ledger"]["test"]), (6, index))
            self.assertEqual(result["ledger"]["tests"], results[0]["ledger"]["tests"])
        alone = json.loads(self.call("detect", "-k", keys[0], "-p", one, "--ids-field", "ids", "--json", text)[0])
        self.assertNotIn("ledger", alone)
        self.assertAlmostEqual(results[0]["log10P"], min(0, alone["log10P"] + 0.77815), places=3)
        lines, _ = self.call("detect", *flags, "--ids-field", "ids", text)
        self.assertEqual(lines.count("of 6, all p-values corrected for them"), 6)
        again, _ = self.call("detect", *flags, "--ids-field", "ids", "--json", "--decoys", 30, "--threads", 1, text)
        for threads in (2, 5):
            self.assertEqual(self.call("detect", *flags, "--ids-field", "ids", "--json", "--decoys", 30, "--threads",
                                       threads, text)[0], again)

    def test_exit_status_counts_models_without_decoys_as_no_verdict(self) -> None:
        text = self.golden_text()
        profile = self.profile_of("gumbel", scheme="vllm-gumbel/philox4x32-10-v1")
        key = self.file("published.key", "int:42\n")
        flags = ("detect", "-k", key, "-p", profile, "--ids-field", "ids", "--exit-status", text)
        self.call(*flags, code=5)
        self.call(*flags, "--alpha", ".1", "--decoys", 20)
        other = self.file("other.key", "int:43\n")
        self.call("detect", "-k", other, *flags[3:], "--alpha", ".1", "--decoys", 20, code=10)

    def test_keys_and_profiles_that_do_not_read(self) -> None:
        text = self.golden_text()
        kgw = {"scheme": "hf-kgw/1", "vocabSize": 1000}
        integer = self.file("integer.key", "int:7777777777\n")
        bad_profiles: dict[str, tuple[dict[str, object], tuple[str, ...]]] = {
            "gamma": ({**kgw, "gamma": "0/4"}, ("gamma", "between 0 and 1")),
            "depth": ({"scheme": "hf-synthid/1", "depth": 0}, ("depth", "1")),
            "cuda": ({**kgw, "device": "cuda"}, ("device", "CUDA")),
            "unsized": ({"scheme": "hf-kgw/1"}, ("vocabSize",)),
            "unknown": ({**kgw, "gama": "1/4"}, ("gama",)),
            "another": ({**kgw, "scheme": "hf-kgw/2"}, ("scheme", "does not know")),
        }
        for name, (fields, says) in bad_profiles.items():
            bad = self.profile_of(f"bad-{name}", **fields)
            self.refused(3, "detect", "-k", integer, "-p", bad, "--ids-field", "ids", text,
                         says=(f"bad-{name}.json", *says))
        gumbel = self.profile_of("gumbel", scheme="vllm-gumbel/philox4x32-10-v1")
        synthid = self.profile_of("synthid", scheme="hf-synthid/1", depth=3)
        for name, content, profile, code, says in (
            ("negative", "int:-7777777777", gumbel, 4, "not a negative one"),
            ("form", "hex:7777777777", gumbel, 4, "takes a key written int:"),
            ("typo", "int:7777777777x", gumbel, 4, "byte 4"),
            ("several", "int:7777777777\nint:7777777778", gumbel, 4, "second line"),
            ("ints", "ints:7777777777,8", synthid, 3, "depth is 3"),
            ("short", "hex:0123456789abcdef", self.profile_of("dual", scheme="sglang-dual-gumbel/1"), 4, "32"),
            ("ours", self.key.read_text(), gumbel, 4, "not a key of the scheme of"),
        ):
            bad = self.file(f"bad-{name}.key", content + "\n")
            err = self.refused(code, "detect", "-k", bad, "-p", profile, "--ids-field", "ids", text, says=(says,))
            self.assertNotIn("77777777", err)
        loose = self.file("loose.key", "int:7777777777\n", 0o644)
        self.refused(4, "detect", "-k", loose, "-p", gumbel, text, says=("loose.key", "chmod 600"))
        # What is given is looked for, or refused.
        unused = self.file("unused.key", "hex:0123456789abcdef\n")
        self.refused(4, "detect", "-k", integer, "-k", unused, "-p", gumbel, "--ids-field", "ids", text,
                     says=("unused.key", "no profile that was given"))
        self.refused(4, "detect", "-k", integer, "-p", gumbel, "-p", MODEL / "profile.json", "--ids-field", "ids",
                     text, says=("integer.key", "not a key of the scheme of", "profile.json"))
        self.refused(4, "detect", "-k", integer, "-k", unused, "-p", gumbel, "-p", MODEL / "profile.json",
                     "--ids-field", "ids", text, says=("profile.json", "no key that was given"))
        self.refused(2, "detect", "-k", integer, "-p", gumbel, "--account", "alice", "--ids-field", "ids", text,
                     says=("gumbel.json", "has no accounts"))
        # The text's ids, and text without a tokenizer.
        small = self.profile_of("small", scheme="hf-kgw/1", vocabSize=100)
        self.refused(3, "detect", "-k", integer, "-p", small, "--ids-field", "ids", text,
                     says=("golden.jsonl", "ids", "token id 124 at index 7", "vocabulary of 100"))
        self.refused(3, "detect", "-k", integer, "-p", gumbel, ROOT / "LICENSE", says=("LICENSE", "no tokenizer"))


if __name__ == "__main__":
    unittest.main(verbosity=1)
