# SPDX-License-Identifier: Apache-2.0
"""Keys: files and their permission, derivation, and that the secret stays inside."""

from __future__ import annotations

import copy
import json
import os
import pickle
import stat
import unittest

import countermark
from countermark import Key
from support import Case, call


class Keys(Case):
    def test_master_and_epoch(self) -> None:
        master = Key.generate()
        self.assertEqual((master.kind, master.key_id, master.model_id, master.epoch_id),
                         ("master", None, None, None))
        epoch = master.epoch("chat-3", "2026-11")
        self.assertEqual((epoch.kind, epoch.model_id, epoch.epoch_id), ("epoch", "chat-3", "2026-11"))
        self.assertRegex(epoch.key_id, "^[0-9a-f]{16}$")
        self.assertEqual(master.epoch("chat-3", "2026-11").key_id, epoch.key_id)
        self.assertNotEqual(master.epoch("chat-3", "2026-12").key_id, epoch.key_id)
        self.assertNotEqual(Key.generate().epoch("chat-3", "2026-11").key_id, epoch.key_id)
        self.refused("key", epoch.epoch, "chat-3", "2026-12")
        self.refused("invalid-argument", master.epoch, "", "2026-11")
        self.refused("invalid-argument", master.epoch, "m", "x" * 256)

    def test_files(self) -> None:
        for key in (Key.generate(), Key.generate().epoch("two\nlines", "é")):
            path = self.folder / key.kind
            key.save(path)
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
            read = Key.load(str(path))
            self.assertEqual((read.kind, read.key_id, read.model_id), (key.kind, key.key_id, key.model_id))
            before = path.read_bytes()
            self.assertEqual(self.refused("exists", key.save, path).file, str(path))
            self.assertEqual(path.read_bytes(), before)
            shown = json.loads(call("key", "show", "-k", path, "--json"))
            self.assertEqual((shown["kind"], shown.get("keyId")), (key.kind, key.key_id))

    def test_a_key_that_others_can_read_is_refused(self) -> None:
        path = self.folder / "key"
        Key.generate().save(path)
        for mode in (0o640, 0o604, 0o620, 0o601):
            path.chmod(mode)
            self.assertEqual(self.refused("permission", Key.load, path).file, str(path))
        path.chmod(0o400)
        Key.load(path)

    def test_pipes_are_taken_as_they_are(self) -> None:
        path = self.folder / "key"
        Key.generate().save(path)
        reader, writer = os.pipe()
        os.write(writer, path.read_bytes())
        os.close(writer)
        self.assertEqual(Key.load(f"/dev/fd/{reader}").kind, "master")
        os.close(reader)

    def test_text(self) -> None:
        path = self.folder / "key"
        Key.generate().epoch("m", "e").save(path)
        text = path.read_text()
        self.assertEqual(Key.parse(text).key_id, Key.load(path).key_id)
        secret = text.split("CM-SECRET-KEY-1")[1].strip()
        for damaged in (text.replace(secret[5], "B" if secret[5] == "A" else "A"), text[:-9], text + text, "", "\0"):
            error = self.refused("key", Key.parse, damaged)
            self.assertNotIn(secret[:8], str(error))
            self.assertIsNone(error.file)
        self.assertIsNotNone(self.refused("key", Key.parse, text[:-9]).offset)
        self.refused("io", Key.load, self.folder / "nowhere")
        for wrong in (None, 1, b"CM-SECRET-KEY-1"):
            self.assertRaises(TypeError, Key.parse, wrong)

    def test_the_secret_stays_inside(self) -> None:
        path = self.folder / "key"
        key = Key.generate().epoch("m", "e")
        key.save(path)
        secret = path.read_text().split("CM-SECRET-KEY-1")[1].strip()
        seen = [repr(key), str(key), f"{key}"]
        for name in dir(key):
            seen.append(repr(getattr(key, name)))
        self.assertNotIn(secret[:8], "".join(seen))
        self.assertIn(key.key_id, repr(key))
        for leak in (pickle.dumps, copy.copy, copy.deepcopy):
            self.assertRaises(TypeError, leak, key)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            self.assertRaises(TypeError, pickle.dumps, key, protocol)


class Errors(Case):
    def test_an_error_survives_pickling(self) -> None:
        error = self.refused("io", Key.load, self.folder / "nowhere")
        self.assertIsInstance(error, ValueError)
        again = pickle.loads(pickle.dumps(error))
        self.assertEqual((str(again), again.code, again.file, again.field, again.offset),
                         (str(error), "io", str(self.folder / "nowhere"), None, None))
        self.assertIsInstance(again, countermark.Error)

    def test_file_names_are_bytes(self) -> None:
        path = os.fsdecode(os.fsencode(str(self.folder)) + b"/\xff")
        self.assertEqual(self.refused("io", Key.load, path).file, path)


if __name__ == "__main__":
    unittest.main()
