# SPDX-License-Identifier: Apache-2.0
"""countermark.Deployment: settings from the environment, control by files, metrics, transcripts."""

from __future__ import annotations

import logging
import os
import resource
import stat
import subprocess
import sys
import threading
import time
import unittest
import weakref
from collections.abc import Callable
from unittest import mock

import countermark
from countermark import deployment
from support import PROFILE, Case, master


class Deploying(Case):
    def setUp(self) -> None:
        super().setUp()
        for name, seconds in (("LOOK_EVERY", 0.01), ("METRICS_EVERY", 0.05)):
            patch = mock.patch.object(deployment, name, seconds)
            patch.start()
            self.addCleanup(patch.stop)
        self.master = master()
        self.key = self.master.epoch("demo", "2026-11")
        self.key_path = self.folder / "server.key"
        self.key.save(self.key_path)
        self.environment = {"COUNTERMARK_KEY": str(self.key_path), "COUNTERMARK_PROFILE": str(PROFILE)}
        self.lines: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: self.lines.append(record.getMessage())  # type: ignore[method-assign]
        logger = logging.getLogger("countermark")
        logger.addHandler(handler)
        level, propagate = logger.level, logger.propagate
        logger.setLevel(logging.INFO)
        logger.propagate = False
        self.addCleanup(lambda: (logger.removeHandler(handler), logger.setLevel(level),
                                 setattr(logger, "propagate", propagate)))

    def deploy(self, **more: str) -> countermark.Deployment:
        made = countermark.Deployment.from_environment({**self.environment, **more})
        self.addCleanup(made.close)
        return made

    def wait(self, until: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + 20
        while not until():
            self.assertLess(time.monotonic(), end, what + "\n" + "\n".join(self.lines))
            time.sleep(0.005)

    def put(self, key: countermark.Key) -> None:
        """As an operator does: beside it, then over it."""
        new = self.folder / "new.key"
        key.save(new)
        new.rename(self.key_path)

    def test_starts_from_the_environment(self) -> None:
        made = self.deploy(COUNTERMARK_POLICY="refuse", COUNTERMARK_METRICS="", COUNTERMARK_TRANSCRIPTS="")
        self.assertEqual(self.lines, [made.service.describe()])
        self.assertIn("policy=refuse", self.lines[0])
        self.assertEqual(made.profile.digest, countermark.Profile.load(PROFILE).digest)
        self.assertEqual(made.service.key_id, self.key.key_id)
        self.assertTrue(made.service.marking)
        self.assertIsNone(made.transcripts)
        made.close()
        made.close()

    def test_the_start_is_logged_where_nobody_has_set_it_up(self) -> None:
        program = "import countermark\ncountermark.Deployment.from_environment().close()\n"
        for setting in ("", "import logging\nlogging.basicConfig()\n"):
            done = subprocess.run([sys.executable, "-c", setting + program], capture_output=True, text=True,
                                  env={**os.environ, **self.environment}, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stderr.count(f"key={self.key.key_id}"), 1, done.stderr)

    def test_a_bad_start_is_none(self) -> None:
        master, loose, wrong = (self.folder / name for name in ("master.key", "loose.key", "wrong.json"))
        self.master.save(master)
        self.key.save(loose)
        loose.chmod(0o640)
        wrong.write_text("{}")
        nowhere = str(self.folder / "none" / "file")
        for code, name, value in (
            ("invalid-argument", "COUNTERMARK_KEY", ""),
            ("invalid-argument", "COUNTERMARK_PROFILE", ""),
            ("io", "COUNTERMARK_KEY", nowhere),
            ("key", "COUNTERMARK_KEY", str(master)),
            ("key", "COUNTERMARK_KEY", str(wrong)),
            ("permission", "COUNTERMARK_KEY", str(loose)),
            ("io", "COUNTERMARK_PROFILE", nowhere),
            ("invalid-input", "COUNTERMARK_PROFILE", str(wrong)),
            ("invalid-argument", "COUNTERMARK_POLICY", "sometimes"),
            ("io", "COUNTERMARK_TRANSCRIPTS", nowhere),
        ):
            if name == "COUNTERMARK_KEY" and value == str(wrong):
                wrong.chmod(0o600)
            with self.subTest(name=name, value=value):
                self.refused(code, self.deploy, **{name: value})
        self.assertRaises(OSError, self.deploy, COUNTERMARK_METRICS=nowhere)
        self.assertEqual(self.lines, [])

    def test_a_key_put_in_place_is_the_key(self) -> None:
        made = self.deploy()
        following = self.master.epoch("demo", "2026-12")
        self.put(following)
        self.wait(lambda: made.service.key_id == following.key_id, "the new key")
        self.wait(lambda: len(self.lines) == 2, "its line")
        self.assertIn("epoch=2026-12", self.lines[1])
        self.assertEqual(made.service.counters()["key-changes"], 1)

    def test_a_bad_key_changes_nothing(self) -> None:
        made = self.deploy()
        bad = self.folder / "bad.key"
        bad.write_text(self.key_path.read_text()[:-9])
        bad.chmod(0o600)
        bad.rename(self.key_path)
        self.wait(lambda: "countermark_key_failures_total 1\n" in made.metrics(), "a failure")
        self.put(self.master.epoch("another-model", "2026-11"))
        self.wait(lambda: "countermark_key_failures_total 2\n" in made.metrics(), "another")
        os.mkfifo(self.folder / "pipe", 0o600)
        (self.folder / "pipe").rename(self.key_path)
        self.wait(lambda: "countermark_key_failures_total 3\n" in made.metrics(), "a third")
        self.assertEqual(made.service.key_id, self.key.key_id)
        self.wait(lambda: len(self.lines) == 4, "a line each")
        for line in self.lines[1:]:
            self.assertIn(f"the new key is refused, key {self.key.key_id} stays", line)
        self.key_path.unlink()
        self.put(self.master.epoch("demo", "2026-12"))
        self.wait(lambda: made.service.key_id not in (None, self.key.key_id), "a good one after all")

    def test_a_key_that_others_can_read_is_noticed_once_mended(self) -> None:
        made = self.deploy()
        following = self.master.epoch("demo", "2026-12")
        new = self.folder / "new.key"
        following.save(new)
        new.chmod(0o644)
        new.rename(self.key_path)
        self.wait(lambda: "countermark_key_failures_total 1\n" in made.metrics(), "a failure")
        self.key_path.chmod(0o600)
        self.wait(lambda: made.service.key_id == following.key_id, "the new key")

    def test_a_key_that_could_not_be_read_is_tried_again(self) -> None:
        made = self.deploy()
        following = self.master.epoch("demo", "2026-12")
        new = self.folder / "new.key"
        following.save(new)
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))  # no file can be opened
            new.rename(self.key_path)
            self.wait(lambda: "countermark_key_failures_total 1\n" in made.metrics(), "a failure")
            time.sleep(0.1)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        self.wait(lambda: made.service.key_id == following.key_id, "the new key")
        self.assertEqual(sum("the new key is refused" in line for line in self.lines), 1)

    def test_a_key_removed_is_revoked(self) -> None:
        made = self.deploy(COUNTERMARK_POLICY="refuse")
        self.key_path.unlink()
        self.wait(lambda: made.service.key_id is None, "no key")
        self.refused("key", made.service.respond, max_tokens=5)
        self.key.save(self.key_path)
        self.wait(lambda: made.service.key_id == self.key.key_id, "the key again")
        made.service.respond(max_tokens=5)
        self.wait(lambda: len(self.lines) == 4, "lines")
        self.assertIn("revoked", self.lines[1])
        self.assertIn("no key: responses are refused", self.lines[2])

    def test_a_forked_process_obeys_the_files_too(self) -> None:
        path = self.folder / "transcripts.jsonl"
        made = self.deploy(COUNTERMARK_TRANSCRIPTS=str(path))
        child = os.fork()
        if child == 0:
            done = 1
            try:
                self.key_path.unlink()
                self.wait(lambda: made.service.key_id is None, "no key")
                assert made.transcripts is not None
                made.transcripts.write(id="child", profile=made.profile.digest, ids=[1], text=None,
                                       prompt_ids=[])
                start = time.monotonic()
                made.close()
                done = 0 if time.monotonic() < start + 4 else 2
            finally:
                os._exit(done)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        self.assertEqual([each["id"] for each in countermark.read_transcripts(path)], ["child"])

    def test_the_switch(self) -> None:
        off = self.folder / "server.key.off"
        off.touch()
        made = self.deploy()
        self.assertFalse(made.service.marking)
        self.assertIn("marking=off", self.lines[0])
        off.unlink()
        self.wait(lambda: made.service.marking, "on")
        off.touch()
        self.wait(lambda: not made.service.marking, "off")

    def test_keys_are_never_logged(self) -> None:
        made = self.deploy()
        texts = [self.key_path.read_text()]
        for epoch in ("2026-12", "2027-01"):
            following = self.master.epoch("demo", epoch)
            self.put(following)
            texts.append(self.key_path.read_text())
            self.wait(lambda: made.service.key_id == following.key_id, epoch)
        bad = self.folder / "bad.key"
        bad.write_text(texts[-1].replace("CM-SECRET-KEY-1", "CM-SECRET-KEY-2"))
        bad.chmod(0o600)
        bad.rename(self.key_path)
        self.wait(lambda: len(self.lines) == 4, "a line each")
        said = "\n".join(self.lines)
        for text in texts:
            secret = text.splitlines()[-1].removeprefix("CM-SECRET-KEY-1")
            for start in range(0, len(secret) - 8):
                self.assertNotIn(secret[start:start + 8], said)

    def test_metrics_are_a_file(self) -> None:
        path = self.folder / "countermark.prom"
        made = self.deploy(COUNTERMARK_METRICS=str(path),
                           COUNTERMARK_TRANSCRIPTS=str(self.folder / "transcripts.jsonl"))
        self.assertIn("countermark_responses_total 0\n", path.read_text())
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o644)
        made.service.respond(max_tokens=5)
        self.wait(lambda: "countermark_responses_total 1\n" in path.read_text(), "fresh metrics")
        for line in ('countermark_transcripts_total{outcome="written"} 0', "countermark_key_failures_total 0"):
            self.assertIn(line + "\n", path.read_text())
        path.unlink()
        path.mkdir()
        self.wait(lambda: any("metrics cannot be written" in line for line in self.lines), "a line")
        path.rmdir()
        self.wait(path.exists, "metrics again")
        self.assertEqual(sum("metrics" in line for line in self.lines), 1)
        made.close()
        self.assertEqual([left.name for left in self.folder.glob(".countermark.prom*")], [])

    def test_transcripts_are_flushed(self) -> None:
        path = self.folder / "transcripts.jsonl"
        metrics = self.folder / "countermark.prom"
        made = self.deploy(COUNTERMARK_TRANSCRIPTS=str(path), COUNTERMARK_METRICS=str(metrics))
        response = made.service.respond(account="alice", max_tokens=5)
        response.commit([1, 2])
        made.transcripts.write(
            id="1", profile=made.profile.digest, ids=response.tokens, text=None, prompt_ids=[7], account="alice",
            epoch=response.epoch, key_id=response.key_id, slots=response.slots, marked=0, finish="end")
        made.close()
        record, = countermark.read_transcripts(path)
        self.assertEqual((record["account"], record["keyId"], record["slots"]),
                         ("alice", self.key.key_id, response.slots))
        self.assertIn('countermark_transcripts_total{outcome="written"} 1\n', metrics.read_text())

    def test_the_end_of_the_program_flushes(self) -> None:
        path = self.folder / "transcripts.jsonl"
        program = ("import countermark\n"
                   "made = countermark.Deployment.from_environment()\n"
                   "for i in range(1000):\n"
                   "    made.transcripts.write(id=str(i), profile='0' * 64, ids=range(500), text=None, prompt_ids=[])\n")
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False,
                              env={**os.environ, **self.environment, "COUNTERMARK_TRANSCRIPTS": str(path)})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([record["id"] for record in countermark.read_transcripts(path)],
                         [str(i) for i in range(1000)])

    def test_a_disk_that_does_not_answer_does_not_hold_up_the_end(self) -> None:
        made = self.deploy(COUNTERMARK_METRICS=str(self.folder / "countermark.prom"))
        stuck, answer = threading.Event(), threading.Event()
        self.addCleanup(answer.set)

        def write(*unused: object) -> None:
            stuck.set()
            answer.wait()

        with mock.patch.object(deployment, "_write_whole", write), \
                mock.patch.object(deployment, "PATIENCE", 0.1, create=True):
            self.assertTrue(stuck.wait(20))
            closing = threading.Thread(target=made.close, daemon=True)
            closing.start()
            closing.join(10)
            self.assertFalse(closing.is_alive())

    def test_closed_it_can_go_with_its_key(self) -> None:
        made = countermark.Deployment.from_environment(self.environment)
        gone = weakref.ref(made)
        made.close()
        del made
        self.assertIsNone(gone())

    def test_closing_ends_control(self) -> None:
        with self.deploy() as made:
            pass
        self.key_path.unlink()
        time.sleep(0.1)
        self.assertEqual(made.service.key_id, self.key.key_id)


if __name__ == "__main__":
    unittest.main()
