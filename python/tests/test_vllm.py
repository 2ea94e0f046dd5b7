# SPDX-License-Identifier: Apache-2.0
"""countermark.vllm_v1 and countermark.vllm_mrv2 against the interfaces of the released vLLM.

The interface classes, the loader and the builder of batch updates are vLLM's own files, fetched by
released.py; the server around them is made up here, after gpu_model_runner.py and
worker/gpu/model_runner.py. No vLLM server runs, and no GPU. Of V1, whose package needs more than
PyTorch, interface.py and state.py are imported with an empty package around them and a stand-in
for vllm.SamplingParams; Model Runner V2's package is imported whole.
"""

from __future__ import annotations

import importlib
import os
import pickle
import sys
import unittest
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar
from unittest import mock

import countermark
import released
from support import PROFILE, Case, master, own_layer

try:
    import numpy as np
    import torch
except ImportError as missing:
    raise unittest.SkipTest(f"torch is not installed: {missing}") from missing

VOCABULARY = 1_000
V1 = "vllm.v1.sample.logits_processor"
MRV2 = "vllm.v1.worker.gpu.sample.logits_processor"


def logits_after(tokens: list[int]) -> "torch.Tensor":
    """Of a toy model: a function of the last token, with a grammar that forbids every ninth id."""
    random = np.random.default_rng(tokens[-1] if tokens else VOCABULARY)
    row = 6 * torch.from_numpy(random.random(VOCABULARY, dtype=np.float32))
    row[::9] = -torch.inf
    return row


def params(temperature: float = 1.0, **more: Any) -> SimpleNamespace:
    """A SamplingParams, of which the mark reads these fields."""
    fields = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "extra_args": None, **more}
    return SimpleNamespace(temperature=temperature, **fields)


def config(capacity: int = 8, tensor_parallel: int = 1) -> SimpleNamespace:
    return SimpleNamespace(scheduler_config=SimpleNamespace(max_num_seqs=capacity),
                           parallel_config=SimpleNamespace(tensor_parallel_size=tensor_parallel))


class Spy:
    """A service that keeps the responses that it began, with room to follow them."""

    def __init__(self, service: countermark.Service) -> None:
        self.service = service
        self.responses: list[countermark.Response] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.service, name)

    def respond(self, **asked: Any) -> countermark.Response:
        self.responses.append(self.service.respond(**{**asked, "max_tokens": 2_000}))
        return self.responses[-1]


class Request:
    """A request as the made-up server sees it."""

    def __init__(self, account: str | None, length: int, prompt: list[int], options: dict[str, Any]) -> None:
        names = {"countermark_account": account, "countermark_cohort": "c1"}
        self.params = params(**options, extra_args={k: v for k, v in names.items() if v is not None})
        self.account = account
        self.length = length
        self.prompt = prompt
        self.output: list[int] = []
        self.response: countermark.Response

    def wanted(self, service: countermark.Service, logits: "torch.Tensor") -> int:
        """The token of Service.sample, in vLLM's order: temperature, min-p, top-k, top-p."""
        token = service.sample([self.response], self.scaled(logits),
                               temperature=1 if self.params.temperature else 0,
                               top_k=max(0, self.params.top_k), top_p=self.params.top_p)[0].token
        assert token is not None
        return token

    def scaled(self, logits: "torch.Tensor") -> "torch.Tensor":
        out = logits / (self.params.temperature or 1)
        mass = out.softmax(dim=-1)
        return out.masked_fill(mass < self.params.min_p * mass.amax(), -torch.inf)


class Vllm(Case):
    """What both runners' tests share."""

    module: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def setUpClass(cls) -> None:
        imports = released.imports("vllm", *cls.packages)
        imports.__enter__()
        cls.addClassCleanup(imports.__exit__, None, None, None)
        cls.addClassCleanup(sys.modules.pop, cls.module, None)
        if cls.packages:
            sys.modules["vllm"].SamplingParams = SimpleNamespace
        cls.door = importlib.import_module(cls.module)
        cls.requests = importlib.import_module("countermark.vllm_requests")

    def setUp(self) -> None:
        super().setUp()
        self.key = master().epoch("model", "2026-11")
        self.service = countermark.Service(self.key, may_leak_timing=True)
        self.spy = Spy(self.service)
        self.deployment = SimpleNamespace(service=self.spy, transcripts=None)
        patch = mock.patch.object(self.requests.Deployment, "from_environment", return_value=self.deployment)
        self.from_environment = patch.start()
        self.addCleanup(patch.stop)
        self.random = np.random.default_rng(3)

    def request(self, i: int) -> Request:
        options = [{}, {"top_p": 0.95}, {"top_k": 40, "temperature": 1.5}, {"temperature": 0.0, "top_p": 0.5},
                   {"temperature": 0.8, "top_p": 0.9, "min_p": 0.2}, {"top_k": -1}][i % 6]
        # Some end early, so that their places are taken by others.
        length = 150 if i % 6 < 3 else int(self.random.integers(3, 60))
        prompt = self.random.integers(0, VOCABULARY, self.random.integers(1, 9)).tolist()
        return Request([None, "alice", "bob"][i % 3], length, prompt, options)

    def p(self, ids: list[int], account: str, key: countermark.Key | None = None) -> float:
        """log10 of the p-value of the claimed account's own layer."""
        return own_layer(ids, account, key or self.key, countermark.Profile.defaults())

    def check_texts(self, requests: list[Request]) -> None:
        """What was written for an account is found for it, and for no other account or key."""
        other = master("other").epoch("model", "2026-11")
        found = 0
        for request in requests:
            if request.length < 150:
                continue
            for claimed in ("alice", "bob"):
                if claimed == request.account:
                    self.assertLess(self.p(request.output, claimed), -6)
                    found += 1
                else:
                    self.assertGreater(self.p(request.output, claimed), -6)
                self.assertGreater(self.p(request.output, claimed, other), -6)
        self.assertGreaterEqual(found, 4)

    def check_names(self, watermark: type) -> None:
        for names in (None, {}, {"countermark_account": "alice"}, {"countermark_account": None, "other": 5}):
            watermark.validate_params(params(extra_args=names))
        for name in ("", 5, "\ud800", ["alice"]):
            for key in ("countermark_account", "countermark_cohort"):
                with self.assertRaises(ValueError):
                    watermark.validate_params(params(extra_args={key: name}))


class RunnerV1(Vllm):
    module = "countermark.vllm_v1"
    packages = ("vllm", "vllm.v1", "vllm.v1.sample", V1)

    def setUp(self) -> None:
        super().setUp()
        self.interface = importlib.import_module(f"{V1}.interface")
        self.state = importlib.import_module(f"{V1}.state")

    def make(self, capacity: int = 8, device: str = "cpu", **more: Any) -> Any:
        return self.door.Watermark(config(capacity, **more), torch.device(device), False)

    def test_is_what_vllm_takes(self) -> None:
        self.assertTrue(issubclass(self.door.Watermark, self.interface.LogitsProcessor))
        watermark = self.make()
        # Among those that run after temperature, for random rows.
        self.assertEqual(self.state.LogitsProcessors([watermark]).argmax_invariant, [watermark])

    def change(self, batch: list[Request | None], builder: Any, waiting: list[Request]) -> None:
        """vLLM's persistent batch between two steps: finished ones leave, others come, holes are filled."""
        for index, request in enumerate(batch):
            leaves = request is not None and (len(request.output) >= request.length
                                              or self.random.random() < 0.01)
            if leaves:
                builder.removed_append(index)
                if len(request.output) < request.length:
                    waiting.append(request)  # preempted: comes back with what it has written
                batch[index] = None
        while waiting and (None in batch or len(batch) < 6):
            hole = builder.pop_removed()
            if hole is None:
                hole = len(batch)
                batch.append(None)
            request = waiting.pop(0)
            batch[hole] = request
            builder.added.append((hole, request.params, request.prompt, request.output))
        while (hole := builder.peek_removed()) is not None:
            while batch and batch[-1] is None:
                batch.pop()
            if hole >= len(batch):
                break
            builder.pop_removed()
            builder.moved.append((len(batch) - 1, hole, self.interface.MoveDirectionality.UNIDIRECTIONAL))
            batch[hole] = batch.pop()
        if len(batch) > 1 and self.random.random() < 0.2:
            builder.moved.append((0, len(batch) - 1, self.interface.MoveDirectionality.SWAP))
            batch[0], batch[-1] = batch[-1], batch[0]

    def test_draws_the_service_s_tokens(self) -> None:
        waiting = [self.request(i) for i in range(24)]
        everyone = list(waiting)
        watermark, builder = self.make(capacity=6), self.state.BatchUpdateBuilder()
        batch: list[Request | None] = []
        compared = dropped = 0
        while any(len(request.output) < request.length for request in everyone):
            begun = len(self.spy.responses)
            self.change(batch, builder, waiting)
            update = builder.get_and_reset(len(batch))
            watermark.update_state(update)
            for (_, _, _, output), response in zip(update.added if update else (), self.spy.responses[begun:]):
                request, = (each for each in everyone if each.output is output)
                request.response = response
                response.commit(output)
            raw = [logits_after(request.output) for request in batch]
            logits = torch.stack([request.scaled(row) for request, row in zip(batch, raw)])
            before = logits.clone()
            after = watermark.apply(logits)
            self.assertEqual(after.shape, before.shape)
            for row, request in enumerate(batch):
                if request.params.temperature == 0:
                    self.assertTrue(torch.equal(after[row], before[row]))
                    token = int(before[row].argmax())
                else:
                    token = int(after[row].argmax())
                    self.assertEqual(token, request.wanted(self.service, raw[row]))
                    self.assertEqual((float(after[row, token]), int(after[row].isfinite().sum())), (0, 1))
                    self.assertTrue(before[row, token].isfinite())
                compared += 1
                if self.random.random() < 0.05:
                    dropped += 1  # as of a prompt that is not read to its end
                    continue
                request.output.append(token)
                request.response.commit(token)
        self.assertGreater(compared, 2_000)
        self.assertGreater(dropped, 50)
        self.assertGreater(len(self.spy.responses), len(everyone))  # some were preempted
        self.assertEqual(sum(watermark.requests.sampler.counters().values()), compared)
        self.check_texts(everyone)

    def test_long_answers_and_lists_that_shrink(self) -> None:
        watermark = self.make(capacity=2)
        output = list(range(1500))
        watermark.update_state(self.interface.BatchUpdate(1, [], [(0, params(), [1], output)], []))
        response, = self.spy.responses
        for tokens in (output, output[:900], [*output[:900], 5, 6, 7]):
            output[:] = tokens
            response.rewind(0)
            response.commit(output)
            row = logits_after(output)[None]
            wanted, = self.service.sample([response], row)
            self.assertEqual(int(watermark.apply(row.clone()).argmax()), wanted.token)

    def test_rows_that_it_does_not_know_are_vllm_s(self) -> None:
        watermark = self.make()
        rows = torch.stack([logits_after([i]) for i in range(3)])
        self.assertTrue(torch.equal(watermark.apply(rows.clone()), rows))
        # The second one's last token is still a placeholder.
        watermark.update_state(self.interface.BatchUpdate(
            2, [], [(0, params(), [1], []), (1, params(), [1], [4, -1])], []))
        after = watermark.apply(rows.clone())
        self.assertEqual(int(after[0].isfinite().sum()), 1)
        self.assertTrue(torch.equal(after[1:], rows[1:]))

    def test_nothing_is_read_from_the_device(self) -> None:
        watermark = self.make(device="meta")
        output: list[int] = []
        watermark.update_state(self.interface.BatchUpdate(2, [], [(0, params(), [1], output),
                                                                  (1, params(top_p=0.5), None, [])], []))
        for rows in (2, 3):
            output.append(1)
            self.assertEqual(watermark.apply(torch.empty((rows, 50), device="meta")).shape, (rows, 50))

    def test_names_come_from_the_request(self) -> None:
        self.check_names(self.door.Watermark)

    def test_workers_that_draw_the_same_rows_agree(self) -> None:
        told: list[Any] = []  # by the first worker, read by the second

        def group_of(rank: int) -> SimpleNamespace:
            def broadcast_object(mine: Any, src: int) -> Any:
                if rank == src:
                    told.append(pickle.dumps(mine))
                    return mine
                self.assertIsNone(mine)
                return pickle.loads(told.pop(0))

            return SimpleNamespace(rank_in_group=rank, broadcast_object=broadcast_object)

        parallel_state = ModuleType("vllm.distributed.parallel_state")
        stand_ins = {"vllm.distributed": ModuleType("vllm.distributed"), parallel_state.__name__: parallel_state}
        workers = []
        with mock.patch.dict(sys.modules, stand_ins):
            for rank in range(2):
                parallel_state.get_tp_group = lambda: group_of(rank)  # type: ignore[attr-defined]
                workers.append(self.make(tensor_parallel=2))
        self.assertEqual(self.from_environment.call_count, 1)
        output = [1, 2, 3]
        marking = []
        for step in range(40):
            if step == 20:
                self.service.marking = False  # seen when the next request begins, by all
            if step % 8 == 0:
                update = self.interface.BatchUpdate(1, [], [(0, params(top_p=0.9), None, output)], [])
                for watermark in workers:
                    watermark.update_state(update)
            row = logits_after(output)[None]
            token, other = (int(watermark.apply(row.clone()).argmax()) for watermark in workers)
            self.assertEqual(token, other)
            output.append(token)
            marking.append(workers[0].requests.sampler.counters()["off"])
        self.assertEqual((marking[23], marking[39]), (0, 16))
        # What the first worker may not serve no worker serves.
        self.spy.service = countermark.Service(self.key, may_leak_timing=True, policy="refuse")
        self.spy.revoke_key()
        for watermark in workers:
            self.refused("key", watermark.update_state, update)

    def test_without_a_key(self) -> None:
        watermark = self.make()
        self.service.revoke_key()
        watermark.update_state(self.interface.BatchUpdate(1, [], [(0, params(), None, [])], []))
        watermark.apply(logits_after([])[None])
        self.assertEqual(watermark.requests.sampler.counters()["failed"], 1)
        self.spy.service = countermark.Service(self.key, may_leak_timing=True, policy="refuse")
        self.spy.revoke_key()
        self.refused("key", self.make().update_state,
                     self.interface.BatchUpdate(1, [], [(0, params(), None, [])], []))

    def test_the_switch(self) -> None:
        watermark = self.make()
        watermark.update_state(self.interface.BatchUpdate(1, [], [(0, params(), None, [1, 2, 3])], []))
        for marking in (True, False, True):
            self.service.marking = marking
            watermark.apply(logits_after([3])[None])
        counted = watermark.requests.sampler.counters()
        self.assertEqual((counted["off"], sum(counted.values())), (1, 3))

    def test_draws_come_to_the_service_s_counters(self) -> None:
        watermark = self.make()
        update = self.interface.BatchUpdate(1, [], [(0, params(), None, [])], [])
        for step in range(4):
            watermark.update_state(update)
            watermark.apply(logits_after([])[None])
            if step == 1:
                self.assertEqual(self.service.counters()["short-context"], 0)
            if step > 0:
                watermark.requests._next_count = 0  # the interval is over
        self.assertEqual(self.service.counters()["short-context"], 3)
        self.assertEqual(self.service.counters()["responses"], 4)

    def test_from_the_environment(self) -> None:
        mock.patch.stopall()
        self.key.save(self.folder / "epoch.key")
        environment = {"COUNTERMARK_KEY": str(self.folder / "epoch.key"), "COUNTERMARK_PROFILE": str(PROFILE)}
        with mock.patch.dict(os.environ, environment):
            deployment = self.make().requests._deployment
            self.addCleanup(deployment.close)
            self.assertEqual(deployment.service.key_id, self.key.key_id)
            self.assertEqual(deployment.service.profile, countermark.Profile.load(PROFILE))
            for name in environment:
                with mock.patch.dict(os.environ), self.assertRaises(Exception):
                    del os.environ[name]
                    self.make()

    def test_transcripts_are_not_promised(self) -> None:
        self.deployment.transcripts = object()
        self.refused("unsupported", self.make)


class RunnerV2(Vllm):
    module = "countermark.vllm_mrv2"
    most_tokens = 400
    capacity = 6

    def setUp(self) -> None:
        super().setUp()
        self.interface = importlib.import_module(MRV2)
        self.loader = importlib.import_module(f"{MRV2}.loader")

    def states(self, device: str = "cpu") -> Any:
        def buffer(*shape: int) -> SimpleNamespace:
            host = torch.zeros(shape, dtype=torch.int32)
            return SimpleNamespace(np=host.numpy(), gpu=host.to(device))

        return self.interface.LogitsProcRequestState(
            device=torch.device(device), max_num_reqs=self.capacity, vocab_size=VOCABULARY,
            all_token_ids=buffer(self.capacity, self.most_tokens), prompt_len=buffer(self.capacity),
            prefill_len=buffer(self.capacity), total_len=buffer(self.capacity))

    def test_is_what_vllm_loads(self) -> None:
        name = "countermark.vllm_mrv2:Watermark"
        loaded, = self.loader._load_v2_logitsprocs_by_fqcns([name])
        self.assertIs(loaded, self.door.Watermark)
        validate = self.loader.build_custom_logits_processors_params_validator([name])
        validate(params())
        refusal = importlib.import_module("vllm.exceptions").VLLMValidationError  # an answer 400
        with self.assertRaisesRegex(refusal, "countermark_account: expected a name"):
            validate(params(extra_args={"countermark_account": ""}))
        self.check_names(loaded)

    def context(self, rows: list[tuple[int, int, int, int]], slots: list[int], bounds: list[int],
                device: str = "cpu") -> Any:
        """rows: slot, place among the request's rows, token that was fed, its position."""
        slot, place, fed, position = (torch.tensor(column, device=device) for column in zip(*rows))
        return self.interface.LogitsContext(
            expanded_idx_mapping=slot.int(), idx_mapping=torch.tensor(slots, device=device).int(),
            idx_mapping_np=np.array(slots, dtype=np.int32), expanded_local_pos=place.int(),
            input_ids=fed.int(), pos=position, seq_lens_upper_bound_np=np.array(bounds, dtype=np.int32))

    def admit(self, watermark: Any, states: Any, slot: int, request: Request) -> None:
        """A request takes a slot, over what the last one has left there."""
        tokens = request.prompt + request.output
        states.all_token_ids.gpu[slot, :len(tokens)] = torch.tensor(tokens).int()
        for field, value in ((states.prompt_len, len(request.prompt)), (states.prefill_len, len(tokens)),
                             (states.total_len, len(tokens))):
            field.np[slot] = value  # the same memory as .gpu here
        self.assertEqual(watermark.add_request(slot, request.params), request.params.temperature > 0)
        watermark.apply_staged_writes()
        request.response = self.spy.responses[-1]
        request.response.commit(request.output)

    def guess(self, request: Request) -> list[int]:
        """Drafts: right ones, as a good drafter's, and a wrong one at the end, more often than not."""
        drafts: list[int] = []
        ahead = request.response.copy()
        for _ in range(self.random.integers(0, 4)):
            row = request.scaled(logits_after(request.output + drafts))
            token = self.service.sample([ahead], row, top_k=max(0, request.params.top_k),
                                        top_p=request.params.top_p,
                                        temperature=1 if request.params.temperature else 0)[0].token
            if self.random.random() < 0.3:
                token = (token + 1) % VOCABULARY
            drafts.append(token)
            ahead.commit(token)
        return drafts

    def test_draws_the_service_s_tokens_and_matches_drafts(self) -> None:
        waiting = [self.request(i) for i in range(18)]
        everyone = list(waiting)
        states = self.states()
        watermark = self.door.Watermark(config(self.capacity), states)
        free = list(range(self.capacity))
        running: dict[int, Request] = {}
        compared = accepted = rejected = uncounted = 0
        while running or waiting:
            while free and waiting:
                slot = free.pop()
                running[slot] = waiting.pop(0)
                self.admit(watermark, states, slot, running[slot])
            slots = self.random.permutation(list(running)).tolist()
            rows, logits, bounds, paths = [], [], [], {}
            for slot in slots:
                request = running[slot]
                is_partial = self.random.random() < 0.03  # of the prompt, or of what it comes back with
                drafts = [] if is_partial else self.guess(request)
                tokens = request.prompt + request.output
                end = int(self.random.integers(0, len(tokens))) if is_partial else len(tokens)
                paths[slot] = (len(rows), drafts, is_partial)
                for place, token in enumerate([(tokens + [0])[end - 1], *drafts]):
                    rows.append((slot, place, token, end - 1 + place))
                    logits.append(logits_after(request.output + drafts[:place]))
                    uncounted += is_partial
                bounds.append(min(self.most_tokens, end + len(drafts) + int(self.random.integers(0, 3))))
            raw = torch.stack(logits)
            after = watermark.apply(raw.clone(), self.context(rows, slots, bounds))
            for slot in slots:
                request, (first, drafts, is_partial) = running[slot], paths[slot]
                if is_partial:
                    continue
                for place in range(len(drafts) + 1):
                    row = first + place
                    if request.params.temperature == 0:
                        self.assertTrue(torch.equal(after[row], raw[row]))
                    else:
                        self.assertEqual(int(after[row].isfinite().sum()), 1)
                    token = int(after[row].argmax())
                    self.assertEqual(token, self.of_path(request, raw[row], drafts[:place]))
                    compared += 1
                # Draw-and-match: up to the first draw that no draft foresaw.
                for place in range(len(drafts) + 1):
                    token = int(after[first + place].argmax())
                    at = len(request.prompt) + len(request.output)
                    states.all_token_ids.gpu[slot, at] = token
                    states.total_len.gpu[slot] = at + 1
                    request.output.append(token)
                    request.response.commit(token)
                    if place == len(drafts) or token != drafts[place]:
                        rejected += place < len(drafts)
                        break
                    accepted += 1
                is_over = len(request.output) >= request.length
                if is_over or self.random.random() < 0.01:
                    if not is_over:
                        waiting.append(request)  # preempted
                    free.append(slot)
                    del running[slot]
        self.assertGreater(min(accepted, rejected), 200)
        self.assertGreater(uncounted, 10)
        self.assertGreater(len(self.spy.responses), len(everyone))
        self.assertEqual(sum(watermark.requests.sampler.counters().values()), compared)
        self.check_texts(everyone)

    def of_path(self, request: Request, logits: "torch.Tensor", path: list[int]) -> int:
        ahead = request.response.copy()
        ahead.commit(path)
        token, = self.service.sample([ahead], request.scaled(logits), top_p=request.params.top_p,
                                     top_k=max(0, request.params.top_k),
                                     temperature=1 if request.params.temperature else 0)
        return token.token

    def test_nothing_is_read_from_the_device(self) -> None:
        states = self.states(device="meta")
        watermark = self.door.Watermark(config(self.capacity), states)
        watermark.add_request(2, params(temperature=0.5, top_p=0.9, min_p=0.1))
        watermark.add_request(4, params())
        logits = torch.empty((3, 50), device="meta")
        context = self.context([(2, 0, 7, 9), (2, 1, 8, 10), (4, 0, 5, 3)], [2, 4], [11, 4], device="meta")
        self.assertEqual(watermark.apply(logits, context).shape, (3, 50))


if __name__ == "__main__":
    unittest.main()
