# SPDX-License-Identifier: Apache-2.0
"""The package as it is installed: version, files, exported symbols, types, the examples of its page."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import textwrap
import unittest
from pathlib import Path

import countermark
import countermark._countermark as compiled
from support import ROOT, Case, call, run_page

INSTALLED = Path(countermark.__file__).parent


class Package(Case):
    def test_one_version(self) -> None:
        self.assertEqual(countermark.__version__, importlib.metadata.version("countermark"))
        self.assertIn(countermark.__version__, call("version"))

    def test_it_is_not_the_source_tree(self) -> None:
        self.assertNotEqual(INSTALLED, ROOT / "python" / "countermark")
        names = {path.name for path in INSTALLED.iterdir() if path.name != "__pycache__"}
        sources = {path.name for path in (ROOT / "python" / "countermark").iterdir() if path.suffix != ".pyc"}
        self.assertEqual(names, (sources - {"__pycache__"}) | {Path(compiled.__file__).name, "_countermark.pyi"})

    def test_the_wheel_holds_the_package_alone(self) -> None:
        files = importlib.metadata.files("countermark")
        tops = {file.parts[0] for file in files}
        self.assertEqual({top for top in tops if not top.endswith(".dist-info")}, {"countermark"})

    def test_it_exports_nothing_but_its_entry(self) -> None:
        done = subprocess.run(["nm", "-D", "--defined-only", compiled.__file__], capture_output=True, text=True,
                              check=True)
        self.assertEqual([line.split()[-1] for line in done.stdout.splitlines()], ["PyInit__countermark"])

    def test_everything_public_says_what_it_is(self) -> None:
        for name in countermark.__all__:
            thing = getattr(countermark, name)
            if not isinstance(thing, type):
                continue
            self.assertTrue(thing.__doc__, name)
            for member, value in vars(thing).items():
                if not member.startswith("_") and (callable(value) or isinstance(value, staticmethod)):
                    self.assertTrue(getattr(value, "__doc__", ""), f"{name}.{member}")

    def test_types(self) -> None:
        program = self.folder / "program.py"
        program.write_text(textwrap.dedent("""
            import pathlib
            import countermark
            from countermark import Detection, Detector, Key, Profile, Tokenizer

            key: Key = Key.generate().epoch("m", "e")
            key.save(pathlib.Path("epoch.key"))
            profile: Profile = Profile.load("profile.json")
            tokenizer: Tokenizer | None = Tokenizer.of(profile, "profile.json")
            widths: list[int] = [layer.width for layer in profile.layers]
            found: Detection = Detector(key, profile, tokenizer, account="a").detect([1, 2], prompt="x")
            p: str | None = found["pValue"]
            ids: list[int] = tokenizer.encode("text") if tokenizer else []
            code: str = countermark.Error("message", "io").code
            deployment: countermark.Deployment = countermark.Deployment.from_environment()
            if deployment.transcripts is not None:
                queued: bool = deployment.transcripts.write(id="1", profile=profile.digest, ids=ids, text=None)
                lost: int = deployment.transcripts.counters()["dropped"]
            accounts: list[str | None] = [record["account"] for record in countermark.read_transcripts("served.jsonl")]
            service: countermark.Service = countermark.Service(key, profile, log=print)
            response: countermark.Response = service.respond(account="a", max_tokens=3)
            row: memoryview = memoryview(b"")
            draws: list[countermark.Draw] = service.sample([response], row, temperature=[0.8], top_k=5, ids=[[1, 2]])
            response.commit([draw.token for draw in draws if draw.token is not None])
            response.commit(row)
            address, begun = service.llama_sampler(4096, max_tokens=3)
            marked: int = service.counters()["marked"] + address
            with countermark.TranscriptWriter(pathlib.Path("served.jsonl")) as writer:
                writer.write(id="2", profile=service.profile.digest, ids=row, text="", slots=begun.slots)
            mark: countermark.ForeignMark = countermark.ForeignMark(
                countermark.ForeignProfile.load("foreign.json"), countermark.ForeignKey.load("foreign.key"))
            largest: int = int(mark.raw_values([1, 2, 3, 4], row).max())
            positions: list[int] = mark.scores([1, 2], prompt=row).positions.tolist()
            foreign = countermark.ForeignKey.parse("int:42")
            panel: countermark.Panel = countermark.Panel([(key, profile, tokenizer), (foreign, mark.profile)], alpha=1e-3)
            verdicts: list[str] = [one["verdict"] for one in panel.detect("text")]
            reasons: list[str] = Detector(foreign, mark.profile).detect(row)["nullModel"].get("reasons", [])
            theirs: float = Detector(foreign, mark.profile, as_published=True).detect(row)["asPublished"]["statistic"]
            version: str = countermark.__version__
            service.sample([response], row, temperature="hot")  # type: ignore[arg-type]
            countermark.Service(key, log="a file")  # type: ignore[arg-type]
            service.counters()["marked"].upper()  # type: ignore[attr-defined]
            print(key.key_id.upper())  # type: ignore[union-attr]
            Detector(profile, key)  # type: ignore[arg-type]
            countermark.Panel([(profile, key)])  # type: ignore[list-item]
            mark.raw_values([1], [2], "b")  # type: ignore[arg-type]
            found["pvalue"]  # type: ignore[typeddict-item]
            deployment.transcripts.close()  # type: ignore[union-attr]
        """))
        self.check_types(program)

    def test_types_of_its_own(self) -> None:
        # What mypy passes over in a package that is only imported. Engines need not be there.
        self.check_types("--follow-imports=skip", "--ignore-missing-imports", "--allow-subclassing-any",
                         "--no-warn-unused-ignores", "-p", "countermark")

    def check_types(self, *what: object) -> None:
        done = subprocess.run([sys.executable, "-m", "mypy", "--strict", *map(str, what)], cwd=self.folder,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_examples_of_its_page(self) -> None:
        os.symlink(ROOT / "corpora", self.folder / "corpora")
        run_page("python.md", self.folder)


if __name__ == "__main__":
    unittest.main()
