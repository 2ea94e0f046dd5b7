#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every JSON output against its schema in docs/schemas, and against the goldens in tests/goldens.

Goldens in .jsonl are not printed by the program: an input, and what the library and the Python package write, whose
own tests compare them.

Usage: schema_test.py PROGRAM. A golden is one line as the program prints it, under the key of the vectors; the version
and the names of kernels, which differ between programs and machines, are compared by the schemas only.
`schema_test.py PROGRAM --write` writes the goldens anew: a change of an output, to be looked at.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, Callable, Iterator

import jsonschema

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "tests" / "support"))

from key_text import key_of_the_vectors

PROGRAM = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else Path("countermark")
SCHEMAS = {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "docs" / "schemas").glob("*.json"))}
GOLDENS = ROOT / "tests" / "goldens"
# By the place of their object.
A_TEST = re.compile(r"/tests/\d+(/streams/\d+)?")  # of a scan or an audit
OPTIONAL = {"": ("lineUp", "tokenizer", "asPublished", "ledger"), "/tokenizer": ("file",),
            "/asPublished": ("weightedMean", "decision")}
MACHINE_FIELDS = ("version", "kernel", "kernels", "checks")


def schema_of(value: dict[str, Any]) -> dict[str, Any]:
    """By the `schema` field; a profile has none and carries its scheme alone."""
    profile = "profile/1" if value.get("scheme") == "countermark/1" else "foreign-profile/1"
    return SCHEMAS[value.get("schema", profile).removeprefix("countermark.").replace("/", "-")]


def key_file(folder: Path) -> Path:
    path = folder / "vectors.key"
    path.write_text(key_of_the_vectors() + "\n")
    path.chmod(0o600)
    return path


def foreign_files(folder: Path) -> None:
    """Profiles and keys of other systems' marks."""
    for name, fields in {
        "gumbel": {"scheme": "vllm-gumbel/philox4x32-10-v1"}, "dual": {"scheme": "vllm-dual-gumbel/philox4x32-10-v1"},
        "sbw": {"scheme": "vllm-sbw/1"}, "kgw": {"scheme": "hf-kgw/1", "vocabSize": 4096},
        "synthid": {"scheme": "hf-synthid/1", "depth": 3},
    }.items():
        (folder / f"{name}.json").write_text(json.dumps(fields))
    for name, key in {"default": "int:42", "long": "#id:lab-7\nint:5577006791947779410", "three": "ints:654,400,836"}.items():
        path = folder / f"{name}.key"
        path.write_text(key + "\n")
        path.chmod(0o600)


def planned_audit(folder: Path, key: Path, call: Callable[..., str]) -> str:
    """Of two planned tests one, the other's alpha kept."""
    (folder / "prompts.txt").write_text("The server\n")
    digest = hashlib.sha256((folder / "prompts.txt").read_bytes()).hexdigest()
    (folder / "asked.jsonl").write_text("".join(
        json.dumps({**json.loads(line), "promptsSha256": digest}) + "\n"
        for line in (folder / "answers.jsonl").read_text().splitlines()))
    call("plan", "--test", "unsupervised-open=4e-7", "--test", "unsupervised-closed=6e-7", "--reading", "licence.txt",
         "--prompts-file", "prompts.txt", "-k", key, "--decoys", 20, "-o", "plan.json")
    return call("audit", "--plan", "plan.json", "-k", key, "--answers", "asked.jsonl", "--ids-field", "ids", "--json")


def outputs(folder: Path) -> dict[str, str]:
    """What the program prints now: name of the golden -> its text."""
    def call(*arguments: object) -> str:
        done = subprocess.run([PROGRAM, *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout

    key = key_file(folder)
    call("key", "new", "-o", "master.key")
    foreign = folder / "foreign.key"
    foreign.write_text("#id:lab\nint:42\n")
    foreign.chmod(0o600)
    # Beside the tokenizer's own name for itself, so that the file says nothing of this machine.
    (folder / "tokenizer.json").write_bytes((ROOT / "corpora" / "model" / "tokenizer.json").read_bytes())
    foreign_profile = call("profile", "new", "--scheme", "lm-watermarking/1", "--vocab-size", 4096, "-t",
                           "tokenizer.json")
    (folder / "foreign.json").write_text(foreign_profile)
    answers = folder / "answers.jsonl"
    answers.write_bytes((GOLDENS / "answers.jsonl").read_bytes())
    ids = ("--ids-field", "ids", "answers.jsonl")
    (folder / "accounts.txt").write_text("alice\nbob\n")
    (folder / "short.txt").write_text("Too short.\n")
    (folder / "licence.txt").write_bytes((ROOT / "LICENSE").read_bytes())
    foreign_files(folder)
    model = ROOT / "corpora" / "model"
    (folder / "scores.jsonl").write_text("".join(json.dumps({
        "schema": "countermark.scores/1", "id": f"{kind}{i}", "account": "alice", "served": i % 7 + lift,
        "regenerated": [(3 * i + j) % 7 for j in range(4)], "neverServed": kind == "control"}) + "\n"
        for kind, lift in (("served", 2), ("control", 0)) for i in range(70)))
    published = ("--as-published", "--json", "-t", model / "tokenizer.json")
    return {
        "key-show": call("key", "show", "-k", key, "--json"),
        "key-foreign": call("key", "show", "-k", foreign, "--json"),
        "key-check": call("key", "check", "-k", "master.key", "--json"),
        "profile": call("profile", "new"),
        "profile-check": call("profile", "check", "-p", model / "profile.json", "--json"),
        "foreign-profile": foreign_profile,
        "foreign-profile-check": call("profile", "check", "-p", "foreign.json", "--json"),
        "generate-foreign": call("generate", "-k", foreign, "-p", "foreign.json", "--prompt", "The server", "-n", 40,
                                 "--seed", "00", "--json"),
        "generate": call("generate", "-k", key, "--account", "alice", "--cohort", "c1", "--prompt", "The server",
                         "-n", 40, "--seed", "00", "--json"),
        "detect": call("detect", "-k", key, "--json", *ids),
        "detect-claimed": call("detect", "-k", key, "--account", "alice", "--cohort", "c1", "--decoys", 20, "--json",
                               *ids),
        "detect-searched": call("detect", "-k", key, "--accounts", "accounts.txt", "--json", *ids),
        "detect-short": call("detect", "-k", key, "--json", "short.txt"),
        "detect-model": call("detect", "-k", "default.key", "-p", "gumbel.json", "--decoys", 100, "--alpha", ".02",
                             *published, *ids),
        "detect-means": call("detect", "-k", "three.key", "-p", "synthid.json", *published, *ids),
        "detect-panel": call("detect", "-k", key, "-k", "long.key", "-p", model / "profile.json", "-p", "gumbel.json",
                             "-p", "dual.json", "-p", "sbw.json", "-p", "kgw.json", *published, *ids),
        "scan": call("scan", "-k", key, "--decoys", 20, "--documents", "documents.jsonl", "--json", *ids),
        "scan-documents": (folder / "documents.jsonl").read_text(),
        "scan-claimed": call("scan", "-k", key, "--account", "alice", "--decoys", 0, "--json", *ids),
        "scan-panel": call("scan", "-k", key, "-k", "long.key", "-p", model / "profile.json", "-p", "gumbel.json", "-p",
                           "dual.json", "-p", "sbw.json", "-p", "kgw.json", "--decoys", 20, "--json", "-t",
                           model / "tokenizer.json", *ids),
        "audit-served": call("audit", "--scores", "scores.jsonl", "--json"),
        "audit": call("audit", "--scores", "scores.jsonl", "-k", key, "--answers", "answers.jsonl", "--ids-field", "ids",
                      "--account", "alice", "--decoys", 20, "--json"),
        "audit-planned": planned_audit(folder, key, call),
        "audit-model": call("audit", "-k", "default.key", "-p", "gumbel.json", "--answers", "answers.jsonl", "--ids-field",
                            "ids", "--decoys", 20, "--json", "-t", model / "tokenizer.json"),
        "audit-looked-at": call("audit", "-k", key, "--answers", "answers.jsonl", "--ids-field", "ids", "--decoys", 20,
                                "--looks", "looks.jsonl", "--json"),
        "looks": (folder / "looks.jsonl").read_text(),
        "audit-entered": call("audit", "--scores", "scores.jsonl", "--ledger", "ledger.jsonl", "--json"),
        "ledger": (folder / "ledger.jsonl").read_text(),
        "plan": call("plan", *(part for test in (
            "served-response=2e-7", "supervised-open=1e-7:200000", "unsupervised-open", "unsupervised-open-mass",
            "marked-open=1e-7", "supervised-closed=1e-7:20000", "unsupervised-closed=1e-7",
        ) for part in ("--test", test)), "-k", key, "-p", model / "profile.json", "--account", "alice", "--cohort", "c1",
            "--decoy-seed", "00FF", "--reading", "licence.txt", "--marked-reading", "answers.jsonl", "--prompts-file",
            "short.txt", "--transcripts", "answers.jsonl", "--quoted", "accounts.txt", "--quoted", "licence.txt",
            "--suspect", "student-7b", "--note", "before the key is opened", "-o", "-"),
        "calibrate": call("calibrate", "-k", key, "--decoys", 20, "--json", *ids),
        "calibration-study": call("calibrate", "-k", key, "--study", "--keys", 5, "--pieces", 3, "--json", "licence.txt"),
        "selftest": call("selftest", "--json"),
        "version": call("version", "--json"),
    }


def values(text: str) -> list[dict[str, Any]]:
    """One value, or one a line."""
    return [json.loads(text)] if text.startswith("{\n") else [json.loads(line) for line in text.splitlines()]


def nodes(schema: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(schema, dict):
        yield at, schema
        for name, part in schema.items():
            yield from nodes(part, f"{at}/{name}")
    elif isinstance(schema, list):
        for index, part in enumerate(schema):
            yield from nodes(part, f"{at}/{index}")


class SchemaTest(unittest.TestCase):
    now: dict[str, str]

    @classmethod
    def setUpClass(cls) -> None:
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.now = outputs(Path(temporary.name))

    def test_schemas_are_strict_and_described(self) -> None:
        for name, schema in SCHEMAS.items():
            jsonschema.Draft202012Validator.check_schema(schema)
            for at, part in nodes(schema):
                if "properties" in part and isinstance(part.get("type"), str):
                    self.assertIs(part["additionalProperties"], False, name + at)
                    for field, what in part["properties"].items():
                        self.assertTrue("description" in what or "$ref" in what, f"{name}{at}: {field}")
            self.assertIn("description", schema, name)

    def test_every_output_has_its_schema(self) -> None:
        used = set()
        for name, text in self.now.items():
            for value in values(text):
                with self.subTest(name):
                    jsonschema.validate(value, schema_of(value))
                    used.add(schema_of(value)["title"])
                    if "policy" in value:
                        jsonschema.validate(value["policy"], SCHEMAS["policy-1"])
                        used.add(SCHEMAS["policy-1"]["title"])
        for path in GOLDENS.glob("*.jsonl"):
            for value in values(path.read_text()):
                with self.subTest(path.name):
                    jsonschema.validate(value, schema_of(value))
                    used.add(schema_of(value)["title"])
        self.assertEqual(used, {schema["title"] for schema in SCHEMAS.values()})

    def test_goldens_have_their_schemas_and_are_printed_now(self) -> None:
        self.assertEqual({path.stem for path in GOLDENS.glob("*.json")}, set(self.now))
        for name, text in self.now.items():
            golden = values((GOLDENS / f"{name}.json").read_text())
            printed = values(text)
            for value in golden:
                jsonschema.validate(value, schema_of(value))
            for value in golden + printed:
                for field in MACHINE_FIELDS:
                    value.pop(field, None)
            self.assertEqual(golden, printed, name)
            self.assertEqual([list(value) for value in golden], [list(value) for value in printed], name)

    def test_the_schemas_refuse_what_is_no_output(self) -> None:
        """Of each golden: a foreign field, a missing one, and a value of another type."""
        for path in (*GOLDENS.glob("*.json"), *GOLDENS.glob("*.jsonl")):
            for value in values(path.read_text()):
                schema = schema_of(value)
                valid = jsonschema.Draft202012Validator(schema).is_valid
                self.assertFalse(valid({**value, "extra": 1}), path.name)
                for at, part in list(nodes(value)):
                    for field in part:
                        where = [step for step in at.split("/") if step]
                        changed = copy.deepcopy(value)
                        target: Any = changed
                        for step in where:
                            target = target[int(step) if isinstance(target, list) else step]
                        target[field] = {"other": "type"}
                        self.assertFalse(valid(changed), f"{path.name}{at}: {field} of another type")
                        del target[field]
                        optional = field in OPTIONAL.get(at, ()) or field == "z" and "decision" not in target
                        if A_TEST.fullmatch(at) and value.get("schema", "").startswith(("countermark.scan/", "countermark.audit/")):
                            optional = field in ("statistic", "log10E", "lineUp")
                        if value.get("schema") == "countermark.scores/1":
                            optional = field == "keyId"
                        self.assertTrue(optional or not valid(changed), f"{path.name}{at}: no {field}")


def write() -> None:
    with tempfile.TemporaryDirectory() as name:
        for golden, text in outputs(Path(name)).items():
            (GOLDENS / f"{golden}.json").write_text(text)


if __name__ == "__main__":
    if "--write" in sys.argv:
        write()
    else:
        unittest.main(argv=sys.argv[:1], verbosity=1)
