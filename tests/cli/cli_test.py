#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The commands as a person or a script meets them: output, exit codes, bad input, files.

Usage: cli_test.py PROGRAM. Runs the real program in a fresh folder. It does not test statistics;
those are tested in the library.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import stat
import unittest
from pathlib import Path

try:
    import jsonschema
except ImportError:
    jsonschema = None

from support import MODEL, PROGRAM, ROOT, SEED, ProgramTest, key_file

DATA = Path(os.environ.get("COUNTERMARK_TEST_DATA", ROOT.parent / "shared" / "data"))
VERBS = (["key"], ["key", "new"], ["key", "show"], ["key", "check"], ["profile"], ["profile", "new"],
         ["profile", "check"], ["profile", "schemes"], ["generate"], ["detect"], ["scan"], ["merge"],
         ["plan"], ["audit"], ["calibrate"], ["selftest"], ["version"])


class CliTest(ProgramTest):
    key: Path
    text: Path

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.key = key_file(cls.folder / "epoch.key", "2026-11")
        cls.text = cls.folder / "alice.txt"
        cls.call("generate", "-k", cls.key, "--account", "alice", "--cohort", "c1", "--prompt",
                 "The server", "-n", 300, "--exact", "--seed", SEED, "-o", cls.text)

    # --- help -------------------------------------------------------------------------------

    def test_top_help_fits_a_screen(self) -> None:
        out, _ = self.call("--help")
        self.assertLessEqual(len(out.splitlines()), 24, out)

    def test_every_verb_has_two_examples(self) -> None:
        for verb in VERBS:
            out, _ = self.call(*verb, "--help")
            examples = [line for line in out.split("Examples:")[1].splitlines() if "countermark" in line]
            self.assertEqual(len(examples), 2, verb)
            for line in out.splitlines():
                self.assertLessEqual(len(line), 110, line)

    def test_usage_errors_are_2(self) -> None:
        self.refused(2)
        self.refused(2, "nonsense")
        self.refused(2, "detect")
        self.refused(2, "detect", "-k", self.key, "--alpha", "7", self.text)
        self.refused(2, "key", "new", says=("-o FILE",))
        self.refused(2, "key", "new", "--model", "m", "-o", "x.key")
        self.refused(2, "generate", "-k", self.key, "--top-p", "0", says=("top-p",))
        self.refused(2, "generate", "-k", self.key, "--temperature=-1", says=("temperature",))
        self.refused(2, "generate", "-k", self.key, "-n", "100000", says=("positions",))
        self.refused(2, "detect", "-k", self.key, "--decoys", "5", "--decoy-seed", "xyz", self.text,
                     says=("--decoy-seed",))

    # --- keys -------------------------------------------------------------------------------

    def test_keys_are_private_and_never_printed(self) -> None:
        self.assertEqual(stat.S_IMODE(self.key.stat().st_mode), 0o600)
        secret = self.key.read_text().splitlines()[-1]
        self.assertTrue(secret.startswith("CM-SECRET-KEY-1"))
        for verb in ("show", "check"):
            for flags in ([], ["--json"]):
                out, err = self.call("key", verb, "-k", self.key, *flags)
                self.assertNotIn(secret[15:31], out + err)
        shown = json.loads(self.call("key", "show", "-k", self.key, "--json")[0])
        self.assertEqual((shown["kind"], shown["model"], shown["epoch"]), ("epoch", "demo", "2026-11"))
        self.assertRegex(shown["keyId"], "^[0-9a-f]{16}$")

    def test_an_epoch_derives_from_a_master(self) -> None:
        master = self.folder / "master.key"
        self.call("key", "new", "-o", master)
        ids = []
        for name in ("one.key", "two.key"):
            self.call("key", "new", "--from", master, "--model", "m", "--epoch", "e", "-o", name)
            ids.append(self.call("key", "show", "-k", name)[0])
        self.assertEqual(ids[0], ids[1])
        self.refused(4, "detect", "-k", master, self.text, says=("master key", "key new --from"))
        self.refused(4, "key", "new", "--from", self.key, "--model", "m", "--epoch", "e", "-o", "x.key")

    def test_a_key_that_others_can_read_is_refused(self) -> None:
        for mode in (0o640, 0o604, 0o644):
            loose = self.file("loose.key", self.key.read_bytes(), mode)
            self.refused(4, "key", "check", "-k", loose, says=("loose.key", "chmod 600"))

    def test_a_key_may_come_from_a_pipe(self) -> None:
        out, _ = self.call("key", "show", "-k", "-", stdin=self.key.read_bytes())
        self.assertIn("2026-11", out)

    def test_bad_keys(self) -> None:
        good = self.key.read_text()
        secret = good.splitlines()[-1]
        for name, content in {
            "empty": "", "comment": "# nothing\n", "cut": good[:-9], "typo": good.replace(secret[40], "7" if secret[40] != "7" else "6"),
            "two": good + secret + "\n", "foreign": "int:42\n", "binary": "\x00\xff\x80",
        }.items():
            bad = self.file(f"bad-{name}.key", content)
            err = self.refused(4, "detect", "-k", bad, self.text, says=(f"bad-{name}.key",))
            for start in range(15, len(secret) - 12):
                self.assertNotIn(secret[start:start + 12], err)
        self.refused(6, "detect", "-k", "no-such.key", self.text, says=("no-such.key",))

    def test_nothing_is_overwritten_without_force(self) -> None:
        before = self.key.read_bytes()
        self.refused(2, "key", "new", "-o", self.key, says=("exists", "--force"))
        self.refused(2, "generate", "-k", self.key, "-o", self.text, says=("exists",))
        self.assertEqual(self.key.read_bytes(), before)
        spare = self.file("spare.txt", "x")
        self.call("detect", "-k", self.key, "-o", spare, "--force", self.text)
        self.assertIn("detected", spare.read_text())

    # --- profiles ---------------------------------------------------------------------------

    def test_profile_new_and_check(self) -> None:
        self.call("profile", "new", "-t", MODEL / "tokenizer.json", "-o", "p.json")
        checked = json.loads(self.call("profile", "check", "-p", "p.json", "--json")[0])
        self.assertTrue(checked["tokenizer"])
        out, _ = self.call("profile", "new", "--layer", "shared:2:65536:1")
        self.assertEqual(len(json.loads(out)["layers"]), 1)
        self.refused(2, "profile", "new", "--layer", "shared:2", says=("--layer",))
        self.refused(3, "profile", "new", "--layer", "shared:2:5:1", says=("65536",))

    def test_the_name_says_how_a_rank_file_is_read(self) -> None:
        lines = (f"{base64.b64encode(bytes([b])).decode()} {b}\n" for b in range(256))
        ranks = self.file("tokenizer.model", "".join(lines))
        self.refused(3, "profile", "new", "-t", ranks,
                     says=("tokenizer.model", "tokenizer.name", "'tokenizer'", "llama3"))
        self.call("profile", "new", "-t", ranks, "--name", "llama3", "-o", "ranks.json")
        self.call("profile", "check", "-p", "ranks.json")
        self.call("detect", "-k", self.key, "-p", "ranks.json", ROOT / "LICENSE")
        named = self.file("cl100k_base.tiktoken", ranks.read_bytes())
        self.call("profile", "new", "-t", named)

    def test_bad_profiles(self) -> None:
        good = json.loads((MODEL / "profile.json").read_text())
        text = json.dumps(good)

        def changed(**fields: object) -> str:
            return json.dumps({**good, **fields})

        layer = dict(good["layers"][0])
        cases = {
            "empty": ("", "byte 0"), "cut": (text[:-5], "byte"), "trailing": (text + "x", "byte"),
            "duplicate": (text[:-1] + ',"scheme":"x"}', "scheme"),
            "unknown": (changed(extra=1), "extra"), "scheme": (changed(scheme="other/1"), "scheme"),
            "shares": (changed(layers=[{**layer, "share": 5}]), "65536"),
            "width": (changed(layers=[{**layer, "width": 17}]), "layers[0].width"),
            "type": (changed(layers="x"), "layers"), "utf8": (b"{\"scheme\":\"\xff\"}", "byte"),
            "digest": (changed(tokenizer={**good["tokenizer"], "sha256": "abc"}), "tokenizer.sha256"),
        }
        for name, (content, says) in cases.items():
            bad = self.file(f"bad-{name}.json", content)
            self.refused(3, "detect", "-k", self.key, "-p", bad, self.text,
                         says=(f"bad-{name}.json", says))

    def test_the_wrong_tokenizer_is_refused(self) -> None:
        wrong = self.file("other-tokenizer.json", (MODEL / "tokenizer.json").read_bytes() + b" ")
        self.refused(3, "detect", "-k", self.key, "-t", wrong, self.text,
                     says=("other-tokenizer.json", "SHA-256"))

    def test_bad_tokenizers_and_models(self) -> None:
        tokenizer = (MODEL / "tokenizer.json").read_bytes()
        bad = self.file("cut-tokenizer.json", tokenizer[: len(tokenizer) // 2])
        self.refused(3, "profile", "new", "-t", bad, says=("cut-tokenizer.json", "byte"))
        self.refused(3, "profile", "new", "-t", self.file("junk.model", b"\x00\x01junk" * 9),
                     says=("junk.model",))
        weights = (MODEL / "weights.safetensors").read_bytes()
        for name, content in {"cut": weights[:-1000], "header": weights[:100], "empty": b"",
                              "size": b"\xff" * 8 + weights[8:]}.items():
            model = self.file(f"{name}.safetensors", content)
            self.refused(3, "generate", "-k", self.key, "-m", model, says=(f"{name}.safetensors",))

    # --- generate and detect ----------------------------------------------------------------

    def test_marked_text_is_found(self) -> None:
        out, _ = self.call("detect", "-k", self.key, "--account", "alice", "--cohort", "c1", self.text)
        self.assertIn("alice.txt:1: detected", out)
        self.assertRegex(out, r"account +alice: detected")

    def test_json_matches_its_schema(self) -> None:
        out, _ = self.call("detect", "-k", self.key, "--account", "alice", "--decoys", 20, "--json",
                           self.text)
        result = json.loads(out)
        self.assertEqual(result["verdict"], "detected")
        self.assertEqual(result["lineUp"]["rank"], 1)
        if jsonschema is None:
            self.skipTest("python3-jsonschema is not installed")
        schema = json.loads((ROOT / "docs" / "schemas" / "detect-1.json").read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(result, schema)

    def test_the_same_bytes_through_every_kernel_and_thread_count(self) -> None:
        lines = [self.text.read_text().strip()] * 3 + ["A text without a mark, of some length."] * 50
        many = self.file("many.jsonl", "".join(json.dumps({"text": line}) + "\n" for line in lines))
        flags = ("detect", "-k", self.key, "--account", "alice", "--json", "--decoys", 3, many)
        reference, _ = self.call(*flags, "--threads", 1)
        self.assertEqual(len(reference.splitlines()), 53)
        for threads in (2, 5):
            self.assertEqual(self.call(*flags, "--threads", threads)[0], reference)
        for kernel in json.loads(self.call("version", "--json")[0])["kernels"]:
            env = {"COUNTERMARK_KERNEL": kernel}
            self.assertEqual(self.call(*flags, env=env)[0], reference)
            self.assertEqual(json.loads(self.call("version", "--json", env=env)[0])["kernel"], kernel)
            self.assertIn("all checks passed", self.call("selftest", env=env)[0])

    def test_an_unavailable_kernel_is_an_error(self) -> None:
        out, err = self.call("version", code=3, env={"COUNTERMARK_KERNEL": "abacus"})
        self.assertIn("portable", err)

    def test_embedding_with_tables_has_to_be_asked_for(self) -> None:
        env = {"COUNTERMARK_KERNEL": "portable"}
        _, err = self.call("generate", "-k", self.key, "-n", 5, code=3, env=env)
        self.assertIn("--allow-table-aes", err)
        out, _ = self.call("generate", "-k", self.key, "--account", "alice", "--cohort", "c1",
                           "--prompt", "The server", "-n", 300, "--exact", "--seed", SEED,
                           "--allow-table-aes", env=env)
        self.assertEqual(out, self.text.read_text())

    def test_exit_status(self) -> None:
        human = self.file("human.txt", (ROOT / "LICENSE").read_text())
        short = self.file("short.txt", "Too short.")
        self.call("detect", "-k", self.key, "--exit-status", self.text, human)
        self.call("detect", "-k", self.key, "--exit-status", human, code=10)
        self.call("detect", "-k", self.key, "--exit-status", short, human, code=5)
        self.call("detect", "-k", self.key, short, human)

    def test_generated_json_reads_back_as_text_and_as_ids(self) -> None:
        self.call("generate", "-k", self.key, "--account", "bob", "--prompt", "A table holds", "-n", 300,
                  "--exact", "--seed", "ab", "--json", "-o", "bob.jsonl")
        for flags in ([], ["--ids-field", "ids"]):
            out, _ = self.call("detect", "-k", self.key, "--account", "bob", "--json", *flags, "bob.jsonl")
            self.assertEqual(json.loads(out)["verdict"], "detected", flags)
        ids = json.loads(out)
        self.assertEqual(ids["tokens"], 300)

    def test_transcripts_are_judged_as_answers_are(self) -> None:
        answer = json.loads(self.call("generate", "-k", self.key, "--account", "bob", "--prompt", "A table holds",
                                      "-n", 100, "--exact", "--seed", "ab", "--json")[0])
        record = {"schema": "countermark.transcript/1", "id": "1", "time": "2026-11-21T10:02:35.123Z",
                  "account": "bob", "cohort": None, "epoch": "2026-11", "slots": answer["slots"],
                  "profile": answer["profile"], "keyId": answer["keyId"], "promptIds": [1, 2, 3],
                  "ids": answer["ids"], "text": answer["text"], "marked": answer["marked"], "finish": "length"}
        for name, change in (("kept", {}), ("shown", {"promptIds": answer["ids"]}), ("foreign", {"schema": "x/1"})):
            self.file(f"{name}.jsonl", json.dumps({**record, **change}) + "\n")
        for flags in ([], ["--ids-field", "ids"]):
            def judged(name: str) -> dict[str, object]:
                out, _ = self.call("detect", "-k", self.key, "--account", "bob", "--json", *flags, f"{name}.jsonl")
                return json.loads(out)

            self.assertEqual((judged("kept")["id"], judged("kept")["verdict"]), ("1", "detected"))
            # What the author was shown is left out, and only a transcript says so by ids.
            self.assertEqual(judged("shown")["verdict"], "inconclusive", flags)
            # Of 100 tokens; how many contexts repeat (some ten) depends on the key, which is drawn anew.
            self.assertGreater(judged("shown")["dropped"]["promptContext"], 70)
            self.assertEqual(judged("foreign")["dropped"]["promptContext"], 0)

    def test_an_account_list_is_searched(self) -> None:
        accounts = self.file("accounts.txt", "# all\n" + "".join(f"user-{i}\n" for i in range(500)) + "alice\n")
        result = json.loads(self.call("detect", "-k", self.key, "--accounts", accounts, "--json", self.text)[0])
        self.assertEqual(result["accountsSearched"], 501)
        self.assertEqual([s["identity"] for s in result["streams"] if s["layer"] == "account"], ["alice"])

    def test_bad_records(self) -> None:
        good = json.dumps({"id": "good", "text": self.text.read_text()}) + "\n"
        cases = {
            "json": '{"text": "a\n', "type": '{"text": 5}\n', "missing": '{"other": "x"}\n',
            "array": "[1, 2]\n", "utf8": b'{"text": "\xff"}\n', "ids": '{"ids": [1, -2]}\n',
        }
        for name, record in cases.items():
            record = record if isinstance(record, bytes) else record.encode()
            bad = self.file(f"bad-{name}.jsonl", good.encode() + record + good.encode())
            flags = ["--ids-field", "ids"] if name == "ids" else []
            if name == "ids":
                bad = self.file("bad-ids.jsonl", b'{"ids": [1, 2]}\n' + record)
            self.refused(3, "detect", "-k", self.key, *flags, "-o", "result.json", bad,
                         says=(f"bad-{name}.jsonl", "record 2", "byte"))
            out, err = self.call("detect", "-k", self.key, *flags, "--skip-bad", "--json", bad)
            self.assertEqual(len(out.splitlines()), 1 if name == "ids" else 2)
            self.assertIn("skipped 1 bad record", err)
        outside = self.file("outside.jsonl", '{"ids": [1, 99999999]}\n')
        self.refused(3, "detect", "-k", self.key, "--ids-field", "ids", outside,
                     says=("outside.jsonl", "99999999", "index 1"))
        self.refused(3, "detect", "-k", self.key, self.file("bad.txt", b"fine \xff"),
                     says=("bad.txt", "byte 5"))
        self.refused(3, "detect", "-k", self.key, self.file("x.parquet", b"PAR1"), says=("x.parquet",))
        self.refused(6, "detect", "-k", self.key, "no-such.txt", says=("no-such.txt",))

    def test_every_format_gives_the_same(self) -> None:
        text = self.text.read_text()
        line = (json.dumps({"text": text}) + "\n").encode()
        row = '"' + text.replace('"', '""') + '"\r\n'
        files = {
            "d/a.jsonl": line, "d/b.jsonl.gz": gzip.compress(line), "d/c.json": b"[" + line + b"]",
            "d/d.csv": "text\r\n" + row, "d/e.tsv": "n\ttext\n1\t" + row, "d/f.txt": text,
        }
        (self.folder / "d").mkdir()
        for name, content in files.items():
            self.file(name, content)
        self.file("d/g.md", "left alone")
        self.refused(3, "detect", "-k", self.key, "d/*.xml", says=("no file matches",))
        for inputs in (["d"], ["d/*.*s*", "d/*.txt"], sorted(files)):
            out, _ = self.call("detect", "-k", self.key, "--json", *inputs)
            results = [json.loads(line) for line in out.splitlines()]
            self.assertEqual([Path(result["input"]).name for result in results],
                             [Path(name).name for name in files])
            self.assertEqual(len({(result["statistic"], result["pValue"]) for result in results}), 1)

    def test_a_damaged_file_is_no_bad_record(self) -> None:
        line = (json.dumps({"text": self.text.read_text()}) + "\n").encode()
        cut = self.file("cut.jsonl.gz", gzip.compress(line * 3)[:-9])
        self.refused(3, "detect", "-k", self.key, "--skip-bad", cut, says=("cut.jsonl.gz", "byte", "truncated"))
        self.refused(6, "detect", "-k", self.key, "--skip-bad", "none.jsonl", says=("none.jsonl",))
        plain = self.file("plain.jsonl.gz", line)
        self.refused(3, "detect", "-k", self.key, plain, says=("plain.jsonl.gz", "expected gzip"))

    def test_a_pipe_is_read(self) -> None:
        out, _ = self.call("detect", "-k", self.key, "-", stdin=self.text.read_bytes())
        self.assertIn("detected", out)

    def test_other_models_run(self) -> None:
        checkpoint = DATA / "models" / "stories260K.bin"
        llama = DATA / "tokenizers" / "llama2.tokenizer.model"
        if not checkpoint.exists():
            self.skipTest("the data folder with stories260K.bin is not here")
        self.call("profile", "new", "-t", llama, "-o", "llama.json")
        # Its vocabulary of 512 is not the tokenizer's 32,000.
        self.refused(3, "generate", "-k", self.key, "-p", "llama.json", "-m", checkpoint, says=("512",))
        out, _ = self.call("detect", "-k", self.key, "-p", "llama.json", ROOT / "LICENSE")
        self.assertIn("not-detected", out)

    def test_secrets_never_reach_the_command_line(self) -> None:
        for verb in VERBS:
            out, _ = self.call(*verb, "--help")
            self.assertNotRegex(out, re.compile("--(secret|passphrase|master)", re.I))


if __name__ == "__main__":
    unittest.main(verbosity=1)
