# SPDX-License-Identifier: Apache-2.0
"""The mark in a server that loads its adapter by name: settings from the environment, control by files.

An engine that takes a class's name and nothing else leaves no other place for them. The operator
acts on files, too: there is no port, no signal and no request that reaches the mark.
"""

from __future__ import annotations

import atexit
import functools
import logging
import os
import stat
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from countermark._countermark import Key, Profile, Service, TranscriptWriter
from countermark.error import Error

LOG = logging.getLogger("countermark")
LOOK_EVERY = 1.0  # seconds between two looks at the files
METRICS_EVERY = 5.0  # seconds between two writings of the metrics
PATIENCE = 5.0  # seconds that the end waits for a file system that does not answer


class _Seen(NamedTuple):
    """What tells one content of a file's name from another."""

    device: int
    inode: int
    size: int
    changed: int  # nanoseconds; a chmod counts
    regular: bool


def _make_lines_visible() -> None:
    """The line of the start is for every log; servers configure their own loggers only, and often
    none that others inherit. What the operator has set stays."""
    if LOG.level == logging.NOTSET:
        LOG.setLevel(logging.INFO)
    if not LOG.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
        LOG.addHandler(handler)


def _seen(path: Path) -> _Seen | None:
    """None when nothing is there."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return _Seen(status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns,
                 stat.S_ISREG(status.st_mode))


def _write_whole(path: Path, text: str) -> None:
    """In one step: who reads meanwhile has the old text or the new one. For all to read."""
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(number, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError:
        os.unlink(name)
        raise


def _go_on_in_child(deployment: weakref.ref[Deployment]) -> None:
    """What is registered stays for ever; the deployment need not."""
    alive = deployment()
    if alive is not None:
        alive._go_on_in_child()


class Deployment:
    """A service with what an operator sets and does around it.

    key: path of an epoch key file. It is looked at once a second: a file put in its place is the
        key from then on, a file removed revokes the key. A bad one is reported, counted, and
        changes nothing. While a file with the same name and ".off" exists, marking is off.
    profile: path of the profile.
    policy: "serve-unmarked" or "refuse", as of Service.
    metrics: path of a Prometheus text file for node_exporter's textfile collector, written in one
        step every five seconds.
    transcripts: path for TranscriptWriter; the adapter writes to it.

    Raises Error when the key, the profile or the transcripts are bad, and OSError when the metrics
    cannot be written: the server must not start. Logs by logging.getLogger("countermark"), to
    standard error where nobody has set it up, and never a key. The files are looked at on a thread
    of its own, never on the engine's step. A forked process goes on by itself, with the same files
    but without metrics.
    """

    service: Service
    profile: Profile
    transcripts: TranscriptWriter | None

    def __init__(
        self,
        key: str | os.PathLike[str],
        profile: str | os.PathLike[str],
        *,
        policy: str = "serve-unmarked",
        metrics: str | os.PathLike[str] | None = None,
        transcripts: str | os.PathLike[str] | None = None,
    ) -> None:
        self._key_path = Path(key)
        self._off_path = Path(f"{os.fspath(key)}.off")
        self._metrics_path = None if metrics is None else Path(metrics)
        # Looked at before it is read: what changes in between is seen as a change.
        self._key_seen = _seen(self._key_path)
        self._key_refused: _Seen | None = None  # reported
        self._key_failures = 0
        self.profile = Profile.load(profile)
        self.service = Service(Key.load(key), self.profile, policy=policy, log=LOG.warning)
        self.service.marking = not self._off_path.exists()
        self._transcripts_path = transcripts
        self.transcripts = None if transcripts is None else TranscriptWriter(transcripts)
        try:
            self._write_metrics()
        except OSError:
            self._close_transcripts()
            raise
        self._metrics_fail = False
        self._look_fails = False
        self._closed = threading.Event()
        _make_lines_visible()
        LOG.info("%s", self.service.describe())
        self._start_to_watch()
        atexit.register(self.close)  # engines end without asking
        os.register_at_fork(after_in_child=functools.partial(_go_on_in_child, weakref.ref(self)))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Deployment:
        """From COUNTERMARK_KEY and COUNTERMARK_PROFILE, which must be set, and COUNTERMARK_POLICY,
        COUNTERMARK_METRICS, COUNTERMARK_TRANSCRIPTS, which may be."""
        for name in ("COUNTERMARK_KEY", "COUNTERMARK_PROFILE"):
            if not environment.get(name):
                raise Error(f"{name}: is not set", "invalid-argument", field=name)
        return cls(
            environment["COUNTERMARK_KEY"],
            environment["COUNTERMARK_PROFILE"],
            policy=environment.get("COUNTERMARK_POLICY") or "serve-unmarked",
            metrics=environment.get("COUNTERMARK_METRICS") or None,
            transcripts=environment.get("COUNTERMARK_TRANSCRIPTS") or None,
        )

    def metrics(self) -> str:
        """Service.metrics() with the keys that were refused and the transcripts, by what became of them."""
        lines = [
            "# HELP countermark_key_failures_total Key files that could not be taken.",
            "# TYPE countermark_key_failures_total counter",
            f"countermark_key_failures_total {self._key_failures}",
        ]
        if self.transcripts is not None:
            lines += [
                "# HELP countermark_transcripts_total Records of answers, by what became of them.",
                "# TYPE countermark_transcripts_total counter",
                *(f'countermark_transcripts_total{{outcome="{outcome}"}} {count}'
                  for outcome, count in self.transcripts.counters().items()),
            ]
        return self.service.metrics() + "\n".join(lines) + "\n"

    def close(self) -> None:
        """Ends the thread, writes the transcripts that wait and the last metrics. The service goes on.

        Done at the interpreter's end, too, but not when a signal kills it.
        """
        if self._closed.is_set():
            return
        self._closed.set()
        atexit.unregister(self.close)
        self._watcher.join(PATIENCE)
        self._close_transcripts()
        if not self._watcher.is_alive():
            self._try_metrics()

    def __enter__(self) -> Deployment:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def _start_to_watch(self) -> None:
        self._watcher = threading.Thread(target=self._watch, name="countermark", daemon=True)
        self._watcher.start()

    def _go_on_in_child(self) -> None:
        """Threads do not survive a fork, and a revoked key must not, either."""
        if self._closed.is_set():
            return
        self._closed = threading.Event()
        self._metrics_path = None  # the parent's
        if self._transcripts_path is not None:
            self._parents_transcripts = self.transcripts  # whose end would wait for a thread that is not here
            try:
                self.transcripts = TranscriptWriter(self._transcripts_path)
            except Error as error:
                self.transcripts = None
                LOG.error("no transcripts in this process: %s", error)
        self._start_to_watch()

    def _close_transcripts(self) -> None:
        if self.transcripts is not None:
            self.transcripts.close()

    def _watch(self) -> None:
        next_metrics = time.monotonic() + METRICS_EVERY
        while not self._closed.wait(LOOK_EVERY):
            self._look()
            if time.monotonic() >= next_metrics:
                self._try_metrics()
                next_metrics = time.monotonic() + METRICS_EVERY

    def _look(self) -> None:
        try:
            self._look_at_the_switch()
            self._look_at_the_key()
            self._look_fails = False
        except OSError as error:  # a folder that may not be searched any more: nothing is known
            if not self._look_fails:
                LOG.error("cannot look at the key's files, nothing changes: %s", error)
            self._look_fails = True

    def _look_at_the_switch(self) -> None:
        try:
            self._off_path.stat()
            marking = False
        except FileNotFoundError:
            marking = True
        if marking != self.service.marking:
            self.service.marking = marking
            LOG.warning("marking is %s: %s", "on" if marking else "off", self.service.describe())

    def _look_at_the_key(self) -> None:
        seen = _seen(self._key_path)
        if seen == self._key_seen:
            return
        refused, self._key_refused = self._key_refused, None
        if seen is None:
            self._key_seen = seen
            self.service.revoke_key()
            LOG.warning("the key file is gone, the key is revoked: %s", self.service.describe())
            return
        try:
            # Reading a pipe would wait for somebody to write.
            if not seen.regular:
                raise Error(f"{self._key_path}: expected a regular file", "io", os.fspath(self._key_path))
            self.service.set_key(Key.load(self._key_path))
        except Error as error:
            self._key_refused = seen
            if seen != refused:
                self._key_failures += 1
                LOG.error("the new key is refused, key %s stays: %s", self.service.key_id or "-", error)
            if error.code == "io":  # no descriptor, a disk that does not answer: not the file's fault
                return
        else:
            LOG.warning("a new key: %s", self.service.describe())
        self._key_seen = seen

    def _write_metrics(self) -> None:
        if self._metrics_path is not None:
            _write_whole(self._metrics_path, self.metrics())

    def _try_metrics(self) -> None:
        try:
            self._write_metrics()
            self._metrics_fail = False
        except OSError as error:
            if not self._metrics_fail:
                LOG.error("the metrics cannot be written: %s", error)
            self._metrics_fail = True
