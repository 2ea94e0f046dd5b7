# SPDX-License-Identifier: Apache-2.0
"""countermark.Service and countermark.Response: what an engine calls at each step."""

from __future__ import annotations

import sys
import threading
import unittest

import countermark
from support import Case, master, own_layer

try:
    import numpy as np
except ImportError:
    np = None  # type: ignore[assignment]
try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]

VOCABULARY = 2_000


def logits_after(tokens: list[int]) -> "np.ndarray":
    """Of a toy model: uniform in [0, 6), a function of the last token."""
    seed = tokens[-1] if tokens else VOCABULARY
    return 6 * np.random.default_rng(seed).random(VOCABULARY, dtype=np.float32)


@unittest.skipIf(np is None, "numpy is not installed")
class Serving(Case):
    def setUp(self) -> None:
        super().setUp()
        self.key = master().epoch("model", "2026-11")
        self.lines: list[str] = []

    def serve(self, **more: object) -> countermark.Service:
        return countermark.Service(self.key, log=self.lines.append, may_leak_timing=True, **more)

    def write(self, service: countermark.Service, length: int = 200, **more: object) -> list[int]:
        response = service.respond(account="alice", cohort="c1", max_tokens=length, **more)
        for _ in range(length):
            draw, = service.sample([response], logits_after(response.tokens))
            response.commit(draw.token)
        return response.tokens

    def p(self, key: countermark.Key, ids: list[int], account: str = "alice") -> float:
        """log10 of the p-value of the claimed account's own layer."""
        return own_layer(ids, account, key, countermark.Profile.defaults())

    def test_its_text_carries_the_mark(self) -> None:
        ids = self.write(self.serve())
        self.assertLess(self.p(self.key, ids), -10)
        self.assertGreater(self.p(self.key, ids, "bob"), -6)
        other = master("other").epoch("model", "2026-11")
        self.assertGreater(self.p(other, ids), -6)

    def test_a_batch_is_its_rows(self) -> None:
        service = self.serve()
        made = [service.respond(account=name, max_tokens=50, nonce=name.encode(), plain_key=bytes(16))
                for name in ("a", "b", "c")]
        alone = [response.copy() for response in made]
        for step in range(50):
            rows = np.stack([logits_after(response.tokens) for response in made])
            temperatures = [1.0, 0.7, 0.0]
            draws = service.sample(made, rows, temperature=temperatures, top_k=[0, 50, 0], top_p=0.95)
            for i, draw in enumerate(draws):
                again, = service.sample([alone[i]], rows[i], temperature=temperatures[i],
                                        top_k=50 if i == 1 else 0, top_p=0.95)
                self.assertEqual((draw.token, draw.kind, draw.layer), (again.token, again.kind, again.layer))
                made[i].commit(draw.token)
                alone[i].commit([again.token])
        self.assertEqual(draws[2].kind, "greedy")
        self.assertIsNone(draws[2].layer)
        self.assertEqual(len(made[0]), 50)

    def test_every_type_is_read_in_place(self) -> None:
        service = self.serve()
        response = service.respond(account="a", max_tokens=9)
        response.commit([1, 2, 3])
        half = (np.arange(VOCABULARY) % 97 / 16).astype(np.float16)
        expected, = service.sample([response], half.astype(np.float32), top_k=40)
        found, = service.sample([response], half, top_k=40)
        self.assertEqual(found.token, expected.token)
        # Rows of a larger array, and one row of it.
        wide = np.zeros((4, VOCABULARY + 5), dtype=np.float32)
        wide[2, :VOCABULARY] = half
        found, = service.sample([response], wide[2:3, :VOCABULARY], top_k=40)
        self.assertEqual(found.token, expected.token)
        # Candidates that the engine has kept.
        kept = np.argsort(-half.astype(np.float32), kind="stable")[:40]
        found, = service.sample([response], half[kept], ids=[kept])
        self.assertEqual(found.token, expected.token)

    @unittest.skipIf(torch is None, "torch is not installed")
    def test_torch_tensors(self) -> None:
        service = self.serve()
        response = service.respond(account="a", max_tokens=9)
        response.commit([1, 2, 3])
        rows = torch.arange(VOCABULARY).remainder(97).float().div(16)[None]
        expected, = service.sample([response], rows.numpy())
        for tensor in (rows, rows.half(), rows.bfloat16(), torch.cat([rows, rows])[:1]):
            found, = service.sample([response], tensor)
            self.assertEqual(found.token, expected.token, tensor.dtype)

    def test_drafts_that_are_not_committed(self) -> None:
        service = self.serve()
        response = service.respond(account="a", max_tokens=9, nonce=b"n", plain_key=bytes(16))
        response.commit([1, 2, 3])
        later = response.copy()
        later.commit([10, 11])
        row = logits_after([11])
        wanted, = service.sample([later], row)
        draws = service.sample([response] * 3, np.stack([row] * 3), parents=[-1, 0, 1], drafts=[0, 10, 11])
        self.assertEqual((draws[2].token, draws[2].kind), (wanted.token, wanted.kind))
        self.assertEqual(response.words([5, 6], path=[10, 11]), later.words([5, 6]))
        self.assertEqual(service.sample([response], row, attempts=1)[0].kind, "redraw")

    def test_rewind_and_channels(self) -> None:
        service = self.serve()
        response = service.respond(account="a", max_tokens=20)
        response.commit([1, 2, 3])
        point, words = response.point, response.words([7])
        response.commit(4)
        response.start_channel()
        self.assertEqual(response.words([7])[1], "short-context")
        response.rewind(point)
        self.assertEqual(response.words([7]), words)
        self.refused("invalid-argument", response.rewind, 99)
        before = response.tokens
        self.refused("invalid-argument", response.commit, list(range(18)))
        self.assertEqual(response.tokens, before)

    def test_keys_change_and_marking_is_switched(self) -> None:
        service = self.serve()
        first = service.respond(max_tokens=5)
        following = master().epoch("model", "2026-12")
        service.set_key(following)
        self.assertEqual((first.key_id, first.epoch), (self.key.key_id, "2026-11"))
        self.assertEqual(service.key_id, following.key_id)
        self.assertLess(self.p(following, self.write(service)), -10)
        self.refused("mismatch", service.set_key, master().epoch("other", "1"))
        service.marking = False
        self.assertGreater(self.p(following, self.write(service)), -6)
        self.assertEqual(service.counters()["off"], 200)
        service.marking = True
        service.revoke_key()
        self.assertIsNone(service.key_id)
        self.write(service, 10)
        self.assertEqual(service.counters()["failed"], 10)
        nobodys = service.respond(max_tokens=1)
        self.assertEqual((nobodys.key_id, nobodys.epoch, nobodys.slots), (None, None, []))
        self.assertEqual(self.lines, ["no key: responses are served unmarked"])
        self.assertIn('countermark_draws_total{kind="off"} 200', service.metrics())
        self.assertEqual(service.counters()["key-changes"], 2)

    def test_draws_that_were_made_elsewhere(self) -> None:
        service = self.serve()
        service.add_draws({"marked": 5, "error": 1})
        service.add_draws({"marked": 5, "no-identity": 2})
        counted = service.counters()
        self.assertEqual((counted["marked"], counted["no-identity"], counted["error"]), (10, 2, 1))
        self.assertIn('countermark_draws_total{kind="marked"} 10', service.metrics())
        self.refused("invalid-argument", service.add_draws, {"responses": 1})
        self.assertEqual(service.counters(), counted)

    def test_refuses_by_policy(self) -> None:
        service = self.serve(policy="refuse")
        service.revoke_key()
        self.refused("key", service.respond, max_tokens=5)
        service.respond(max_tokens=5, marked=False)
        self.assertEqual(service.counters()["refused"], 1)

    def test_a_bad_start_is_no_start(self) -> None:
        self.refused("key", countermark.Service, master())
        self.refused("invalid-argument", countermark.Service, self.key, policy="sometimes")
        with self.assertRaises(TypeError):
            countermark.Service("CM-SECRET-KEY-1")

    def test_bad_calls_say_what_is_wrong(self) -> None:
        service, row = self.serve(), logits_after([])
        response = service.respond(max_tokens=5)
        for field, call in (
            ("temperature", lambda: service.sample([response], row, temperature=-1)),
            ("top_p", lambda: service.sample([response], row, top_p=[0.5, 0.5])),
            ("logits", lambda: service.sample([response, response], row)),
            ("logits", lambda: service.sample([response], row.astype(np.float64))),
            ("logits", lambda: service.sample([response], row[None, ::2])),
            ("logits", lambda: service.sample([response], row[None, None])),
            ("ids", lambda: service.sample([response], row, ids=[[1, 2]])),
            ("parents", lambda: service.sample([response], row, parents=[])),
            ("parents", lambda: service.sample([response], row, parents=[2**32])),
            ("parents", lambda: service.sample([response], row, parents=[0])),
            ("max_tokens", lambda: service.respond(max_tokens=0)),
            ("nonce", lambda: service.respond(max_tokens=1, nonce=b"")),
            ("plain_key", lambda: service.respond(max_tokens=1, plain_key=b"short")),
            ("account", lambda: service.respond(max_tokens=1, account="")),
        ):
            error = self.refused("invalid-argument", call)
            self.assertIn(field, str(error))
        self.refused("invalid-argument", service.sample, [None], row)
        other = self.serve().respond(max_tokens=5)
        self.refused("invalid-argument", service.sample, [other], row)
        nothing = np.full((2, 10), np.nan, dtype=np.float32)
        nothing[1] = 0
        draws = service.sample([response, response], nothing)
        self.assertEqual((draws[0].token, draws[0].kind), (None, "error"))
        self.assertIn("infinity", draws[0].error)
        self.assertIsNotNone(draws[1].token)

    def test_what_a_log_raises_stops_nothing(self) -> None:
        def broken(line: str) -> None:
            raise RuntimeError(line)

        service = countermark.Service(self.key, log=broken, may_leak_timing=True)
        service.revoke_key()
        seen: list[object] = []
        hook, sys.unraisablehook = sys.unraisablehook, seen.append
        try:
            service.respond(max_tokens=5)
        finally:
            sys.unraisablehook = hook
        self.assertEqual(len(seen), 1)

    def test_a_list_that_changes_meanwhile_does_no_harm(self) -> None:
        service, row = self.serve(), logits_after([])
        responses = [service.respond(max_tokens=5) for _ in range(8)]

        class Clearing(list):  # type: ignore[type-arg]
            def __getitem__(self, i: int) -> list[int]:  # type: ignore[override]
                responses.clear()
                return list(range(VOCABULARY))

        draws = service.sample(responses, np.stack([row] * 8), ids=Clearing([0] * 8))
        self.assertEqual(responses, [])
        self.assertGreater(len({draw.token for draw in draws}), 1)

    def test_threads_share_a_service(self) -> None:
        service = self.serve()
        written: list[list[int]] = [[] for _ in range(4)]

        def work(i: int) -> None:
            written[i] = self.write(service, 100, nonce=b"n", plain_key=bytes(16))

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(written.count(written[0]), 4)
        self.assertEqual(service.counters()["responses"], 4)

    def test_describes_itself(self) -> None:
        service = self.serve()
        for part in ("scheme=countermark/1", self.key.key_id, "epoch=2026-11", "policy=serve-unmarked"):
            self.assertIn(part, service.describe())
        self.assertEqual(service.profile.digest, countermark.Profile.defaults().digest)


if __name__ == "__main__":
    unittest.main()
