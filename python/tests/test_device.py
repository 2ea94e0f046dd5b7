# SPDX-License-Identifier: Apache-2.0
"""countermark.device: the words of the vectors and of Response, the tokens of Service.sample.

On CPU tensors, and on tensors without data, from which nothing can be read. No GPU is used.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import unittest
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import countermark
from support import ROOT, Case, master

try:
    import numpy as np
    import torch
except ImportError as missing:
    raise unittest.SkipTest(f"torch is not installed: {missing}") from missing

from countermark.device import KINDS, DeviceSampler, leave_only


def load_reference() -> ModuleType:
    """tests/reference/countermark.py, which has this package's name."""
    folder = ROOT / "tests" / "reference"
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location("countermark_reference", folder / "countermark.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module


REFERENCE = load_reference()


def schedule(keys: Any, tags: dict[int, bytes], layers: int, plain_key: bytes = bytes(16),
             kind: str = "marked") -> bytes:
    """What Response.secret_schedule hands out, of the reference's keys and tags."""
    out = KINDS.index(kind).to_bytes(4, "little") + keys.context + plain_key
    for i in range(layers):
        out += keys.candidate[i] + (i in tags).to_bytes(4, "little") + tags.get(i, bytes(12))
    return out


def sampler_of(layers: list[dict[str, Any]], capacity: int = 1) -> DeviceSampler:
    profile = SimpleNamespace(layers=[SimpleNamespace(**layer) for layer in layers])
    return DeviceSampler(profile, capacity=capacity, device="cpu")


def padded(lists: list[list[int]]) -> tuple["torch.Tensor", "torch.Tensor"]:
    """History and lengths; what is beyond the length is rubbish."""
    size = max([len(tokens) for tokens in lists] + [0])
    history = torch.full((len(lists), size), 77, dtype=torch.int64)
    for row, tokens in zip(history, lists):
        row[:len(tokens)] = torch.tensor(tokens, dtype=torch.int64)
    return history, torch.tensor([len(tokens) for tokens in lists])


class Vectors(unittest.TestCase):
    def vectors(self, topic: str) -> dict[str, Any]:
        found = json.loads((ROOT / "tests" / "vectors" / f"countermark-1-{topic}.json").read_text())
        if "master" in found:
            self.keys = REFERENCE.Keys(bytes.fromhex(found["master"]), found["model"], found["epoch"])
        return found

    def words(self, sampler: DeviceSampler, written: list[int], tokens: list[int]) -> tuple[list[int], str]:
        words, kinds = sampler.words(torch.tensor([0]), *padded([written]), torch.tensor([tokens]))
        return words[0].tolist(), KINDS[kinds[0]]

    def test_routes(self) -> None:
        found = self.vectors("route")
        of_profile = {}
        for name, layers in found["profiles"].items():
            of_profile[name] = sampler = sampler_of(layers)
            tags = {i: bytes([i]) * 12 for i in range(len(layers))}
            sampler.begin(0, schedule(self.keys, tags, len(layers)))
        for case in found["cases"]:
            words, kind = self.words(of_profile[case["profile"]], case["tokens"], [1, 2**32 - 1])
            if case["layer"] is None:
                self.assertEqual(kind, "short-context", case)
            elif kind != "repeated":
                self.assertEqual(kind, "marked", case)
                wanted = [REFERENCE.mark_word(self.keys, case["layer"], bytes.fromhex(case["S"]),
                                              bytes([case["layer"]]) * 12, token) for token in (1, 2**32 - 1)]
                self.assertEqual(words, wanted, case)

    def one_layer(self, case: dict[str, Any], identity: bytes) -> DeviceSampler:
        """All contexts as wide as the case's go to its layer."""
        layers = [{"width": len(case["context"]), "share": 65536 * (i == case["layer"])} for i in range(16)]
        sampler = sampler_of(layers)
        tag = REFERENCE.stream_tag(self.keys, case["layer"], identity, case["slot"])
        sampler.begin(0, schedule(self.keys, {case["layer"]: tag}, 16))
        return sampler

    def test_words(self) -> None:
        for case in self.vectors("word")["cases"]:
            sampler = self.one_layer(case, bytes.fromhex(case["identity"]))
            self.assertEqual(self.words(sampler, case["context"], [case["token"]]), ([case["word"]], "marked"))

    def test_draws(self) -> None:
        plain = 0
        for case in self.vectors("draw")["cases"]:
            tokens = [token for token, _ in case["candidates"]]
            if case["marked"]:
                sampler = self.one_layer(case, bytes.fromhex(case["identity"]))
                words, kind = self.words(sampler, case["context"], tokens)
                self.assertEqual((words, kind), (case["words"], "marked"))
            elif case["attempt"] == 0:
                sampler = sampler_of([{"width": 2, "share": 65536}])
                sampler.begin(0, schedule(self.keys, {}, 1, bytes.fromhex(case["plainKey"]), "off"))
                position = int(case["position"])
                signed = position - 2**64 if position >> 63 else position
                words, kinds = sampler.words(torch.tensor([0]), torch.zeros(1, 0), torch.tensor([signed]),
                                             torch.tensor([tokens]))
                self.assertEqual(words[0].tolist(), case["words"])
                plain += 1
        self.assertGreater(plain, 10)

    def test_responses(self) -> None:
        # Up to the first change of channel, with room for all contexts: the rest is out of scope.
        found = self.vectors("response")
        names = {"mark": "marked", "short": "short-context", "repeated": "repeated", "identity": "no-identity"}
        compared = 0
        for case in found["cases"]:
            if case["capacity"] < 200:
                continue
            layers = found["profiles"][case["layers"]]
            sampler = sampler_of(layers)
            tags = {int(i): bytes.fromhex(tag) for i, tag in case["tags"].items()}
            sampler.begin(0, schedule(self.keys, tags, len(layers), bytes.fromhex(case["plainKey"])))
            written: list[int] = []
            for op in case["ops"]:
                if op["op"] == "channel":
                    break
                if op["op"] == "commit":
                    written.append(op["token"])
                elif op["op"] == "rewind":
                    del written[op["to"]:]
                elif op["attempt"] == 0 and op["kind"] in names:
                    self.assertEqual(self.words(sampler, written + op["path"], [0])[1], names[op["kind"]], op)
                    compared += 1
        self.assertGreater(compared, 20)


def profiles(random: "np.random.Generator", count: int) -> list[countermark.Profile]:
    """Widths 1 to 16, up to 16 layers, several a width, some without a share."""
    out = [countermark.Profile.defaults()]
    for _ in range(count):
        widths = sorted(random.integers(1, 17, random.integers(1, 17)).tolist())
        shares = np.diff(np.sort(random.integers(0, 65537, len(widths) - 1)), prepend=0, append=65536)
        layers = [{"name": str(random.choice(["shared", "cohort", "account"])), "width": width,
                   "share": int(share), "slots": int(random.choice([1, 8, 65536]))}
                  for width, share in zip(widths, shares)]
        out.append(countermark.Profile.parse(json.dumps({"scheme": "countermark/1", "layers": layers})))
    return out


class Device(Case):
    def setUp(self) -> None:
        super().setUp()
        self.key = master().epoch("model", "2026-11")
        self.random = np.random.default_rng(5)

    def serve(self, profile: countermark.Profile | None = None) -> countermark.Service:
        return countermark.Service(self.key, profile, may_leak_timing=True)

    def respond(self, service: countermark.Service, **more: Any) -> countermark.Response:
        names = {"account": self.random.choice(["alice", "bob", None]), "cohort": self.random.choice(["c", None]),
                 "max_tokens": 200, **more}
        return service.respond(**{name: None if value is None else value for name, value in names.items()})

    def test_words_are_those_of_the_response(self) -> None:
        compared = {kind: 0 for kind in KINDS}
        for profile in profiles(self.random, 24):
            service = self.serve(profile)
            rows = 48
            sampler = DeviceSampler(service.profile, capacity=rows, device="cpu")
            slots = torch.from_numpy(self.random.permutation(rows))
            histories, wanted = [], []
            # Few different tokens, so that contexts repeat; any token, so that all bits are used.
            ids = np.array([0, 1, 2**31, 2**32 - 1], dtype=np.uint64)
            tokens = self.random.integers(0, 2**32, (rows, 9))
            for i in range(rows):
                response = self.respond(service, marked=bool(self.random.random() < 0.9))
                length, drafts = self.random.integers(0, 40), self.random.integers(0, 6)
                written = (self.random.choice(ids[:self.random.integers(1, 5)], length + drafts)
                           if i % 2 else self.random.integers(0, 2**32, length + drafts)).tolist()
                response.commit(written[:length])
                wanted.append(response.words(tokens[i], path=written[length:]))
                histories.append(written)
                sampler.begin(int(slots[i]), response.secret_schedule())
            words, kinds = sampler.words(slots, *padded(histories), torch.from_numpy(tokens))
            for i in range(rows):
                self.assertEqual((words[i].tolist(), KINDS[kinds[i]]), wanted[i])
                compared[KINDS[kinds[i]]] += 1
        for kind in ("marked", "short-context", "repeated", "no-identity", "off"):
            self.assertGreater(compared[kind], 20, compared)

    def rows(self, count: int, size: int) -> "torch.Tensor":
        """Of all sharpnesses, some with ties, some with what is never drawn."""
        logits = self.random.normal(size=(count, size)) * self.random.choice([0.1, 1, 4, 30], (count, 1))
        logits[::3] = np.round(logits[::3])
        logits[1::5, self.random.integers(0, size, size // 2)] = -np.inf
        logits[2::7, self.random.integers(0, size, 5)] = np.nan
        return torch.from_numpy(logits.astype(np.float32))

    def options(self, count: int) -> list[dict[str, Any]]:
        choice = self.random.choice
        out = [{"temperature": float(choice([0, 0.3, 0.7, 1, 2])), "top_k": int(choice([0, 0, 1, 7, 50, 5000])),
                "top_p": float(choice([1, 1, 0.95, 0.5, 0.01])), "min_p": float(choice([0, 0, 0.05, 1]))}
               for _ in range(count)]
        whole = self.random.random() < 0.5  # of a batch, so that rows are not sorted
        return [{**each, "top_k": 0, "top_p": 1.0} for each in out] if whole else out

    def check_rows(self, service: countermark.Service, logits: "torch.Tensor", length: int = 30) -> int:
        """Compares a batch with Service.sample; how many rows it had."""
        rows = len(logits)
        sampler = DeviceSampler(service.profile, capacity=rows + 3, device="cpu")
        slots = torch.from_numpy(self.random.permutation(rows + 3)[:rows])
        responses = [self.respond(service) for _ in range(rows)]
        histories = [self.random.integers(0, 4, self.random.integers(0, length)).tolist() for _ in range(rows)]
        options = self.options(rows)
        for slot, response, written, option in zip(slots.tolist(), responses, histories, options):
            response.commit(written)
            sampler.begin(slot, response.secret_schedule(), **option)
        on_host = slots.numpy() if self.random.random() < 0.5 else None
        drawn = sampler.draw(logits, slots, *padded(histories), slots_on_host=on_host)
        before = service.counters()
        draws = service.sample(responses, logits, **{name: [option[name] for option in options]
                                                     for name in options[0]})
        for i, draw in enumerate(draws):
            found = (int(drawn.tokens[i]), KINDS[drawn.kinds[i]], int(drawn.layers[i]))
            wanted = (-1 if draw.token is None else draw.token, draw.kind,
                      -1 if draw.layer is None else draw.layer)
            self.assertEqual(found, wanted, (i, options[i]))
        after = service.counters()
        self.assertEqual(sampler.counters(), {kind: after[kind] - before[kind] for kind in KINDS})
        return rows

    def test_tokens_are_those_of_the_service(self) -> None:
        service, compared = self.serve(), 0
        for size in (2, 3, 5, 64, 997, 1003) * 8:
            compared += self.check_rows(service, self.rows(64, size))
        self.assertGreater(compared, 3000)
        counted = service.counters()
        for kind in ("marked", "short-context", "repeated", "no-identity", "one-candidate", "greedy"):
            self.assertGreater(counted[kind], 50, counted)

    def test_other_profiles_and_types(self) -> None:
        for profile in profiles(self.random, 5):
            for dtype in (torch.float16, torch.bfloat16):
                self.check_rows(self.serve(profile), self.rows(32, 200).to(dtype))

    def test_odd_rows(self) -> None:
        nothing, inf = [torch.nan, -torch.inf] * 4, torch.inf
        for row in (nothing, [inf, 0, inf, torch.nan, -inf, inf, 1, inf], [0.0, -0.0] * 4, [-inf] * 7 + [3],
                    [0, -708.5] * 4, [0, -709.5] * 4, [3e38, -3e38] * 4):
            self.check_rows(self.serve(), torch.tensor([row] * 40))

    def test_no_rows(self) -> None:
        sampler = DeviceSampler(countermark.Profile.defaults(), capacity=1, device="cpu")
        nobody = torch.empty(0, dtype=torch.int64)
        for on_host in (None, []):
            drawn = sampler.draw(torch.empty(0, 50), nobody, torch.empty(0, 3), nobody, slots_on_host=on_host)
            self.assertEqual([len(each) for each in drawn], [0, 0, 0])

    def test_more_than_is_done_at_once(self) -> None:
        with mock.patch("countermark.device._BLOCKS", 100), mock.patch("countermark.device._ENTRIES", 1000):
            for _ in range(4):
                self.check_rows(self.serve(), self.rows(16, 333))

    def test_min_p_before_top_p(self) -> None:
        # As if the engine had cut by min-p before.
        service = self.serve()
        sampler = DeviceSampler(service.profile, capacity=1, device="cpu", min_p_first=True)
        differ = 0
        for _ in range(300):
            response = self.respond(service)
            logits = 2 * self.rows(1, 50).nan_to_num(nan=0, neginf=0).clamp(-2, 2)
            sampler.begin(0, response.secret_schedule(), top_p=0.8, min_p=0.1)
            token = int(sampler.draw(logits, torch.tensor([0]), *padded([[]])).tokens)
            masked = logits.masked_fill(logits.softmax(1) < 0.1 * logits.softmax(1).amax(), -torch.inf)
            wanted, = service.sample([response], masked, top_p=0.8)
            self.assertEqual(token, wanted.token)
            differ += token != service.sample([response], logits, top_p=0.8, min_p=0.1)[0].token
        self.assertGreater(differ, 0)

    def test_slots_are_used_again(self) -> None:
        service = self.serve()
        sampler = DeviceSampler(service.profile, capacity=2, device="cpu")
        written = [5, 6, 7, 8]
        for account in ("alice", None, "bob"):
            response = service.respond(account=account, cohort="c", max_tokens=9)
            response.commit(written)
            sampler.begin(1, response.secret_schedule(), temperature=0 if account is None else 1)
            words, kinds = sampler.words(torch.tensor([1]), *padded([written]), torch.tensor([[1, 2]]))
            self.assertEqual((words[0].tolist(), KINDS[kinds[0]]), response.words([1, 2]))
        # Nobody's slot draws as if greedily, and is left alone.
        row = torch.tensor([[1.0, 3.0, 2.0]])
        drawn = sampler.draw(row, torch.tensor([0]), *padded([written]))
        self.assertEqual((int(drawn.tokens), KINDS[drawn.kinds[0]]), (1, "greedy"))

    def test_keys_policies_and_the_switch(self) -> None:
        service = self.serve()
        sampler = DeviceSampler(service.profile, capacity=3, device="cpu")
        first = service.respond(account="alice", max_tokens=9)
        service.set_key(master().epoch("model", "2026-12"))
        second = service.respond(account="alice", max_tokens=9)
        service.revoke_key()
        responses = [first, second, service.respond(account="alice", max_tokens=9)]
        written = [5, 6, 7, 8]
        for slot, response in enumerate(responses):
            response.commit(written)
            sampler.begin(slot, response.secret_schedule())
        kinds_seen = []
        for marking in (True, False, True):
            service.marking = marking
            words, kinds = sampler.words(torch.arange(3), *padded([written] * 3), torch.tensor([[1, 2]] * 3),
                                         marking=marking)
            for slot, response in enumerate(responses):
                self.assertEqual((words[slot].tolist(), KINDS[kinds[slot]]), response.words([1, 2]))
                kinds_seen.append(KINDS[kinds[slot]])
        self.assertEqual(kinds_seen[3:6], ["off", "off", "failed"])
        self.assertEqual(kinds_seen[2], "failed")

    def test_says_what_is_wrong(self) -> None:
        service = self.serve()
        sampler = DeviceSampler(service.profile, capacity=3, device="cpu")
        response = service.respond(max_tokens=9)
        for slot, options in ((3, {}), (-1, {}), (0, {"temperature": -1}), (0, {"temperature": float("nan")}),
                              (0, {"top_p": 0}), (0, {"min_p": 2}), (0, {"top_k": -1})):
            with self.assertRaises(ValueError):
                sampler.begin(slot, response.secret_schedule(), **options)

    def test_one_token_is_left(self) -> None:
        service = self.serve()
        sampler = DeviceSampler(service.profile, capacity=3, device="cpu")
        for slot, temperature in enumerate((1, 0, 1)):
            sampler.begin(slot, service.respond(max_tokens=9).secret_schedule(), temperature=temperature)
        logits = torch.tensor([[0.0, 1, 2], [0, 1, 2], [-torch.inf] * 3])
        drawn = sampler.draw(logits, torch.arange(3), *padded([[], [], []]),
                             counted=torch.tensor([True, False, True]))
        left = leave_only(logits.clone(), drawn)
        self.assertEqual(left[0].tolist(), [0 if i == drawn.tokens[0] else -torch.inf for i in range(3)])
        self.assertEqual(left[1:].tolist(), logits[1:].tolist())
        counted = {kind: count for kind, count in sampler.counters().items() if count}
        self.assertEqual(counted, {"short-context": 1, "error": 1})

    def test_nothing_is_read_from_the_device(self) -> None:
        # Tensors of the device "meta" have no data: what asks for a number raises.
        service = self.serve()
        for options in ({}, {"top_k": 5}, {"top_p": 0.9, "min_p": 0.1}):
            sampler = DeviceSampler(service.profile, capacity=4, device="meta")
            for slot in range(4):
                sampler.begin(slot, service.respond(max_tokens=9).secret_schedule(), **options)
            logits = torch.empty((3, 100), device="meta")
            history = torch.empty((3, 20), dtype=torch.int32, device="meta")
            slots = torch.empty(3, dtype=torch.int32, device="meta")
            drawn = sampler.draw(logits, slots, history, slots, counted=slots > 0)
            self.assertEqual(leave_only(logits, drawn).shape, logits.shape)
            self.assertEqual(drawn.tokens.device.type, "meta")
            with self.assertRaises(NotImplementedError):
                sampler.counters()


if __name__ == "__main__":
    unittest.main()
