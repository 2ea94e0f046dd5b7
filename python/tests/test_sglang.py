# SPDX-License-Identifier: Apache-2.0
"""countermark.sglang under the interface of the released SGLang, whose server needs a GPU.

SGLang's own code are here CustomLogitProcessor with its serialization, SamplingParams,
apply_custom_logit_processor and the reason of an aborted request. The scheduler around them, `Server`,
is ours: it does to requests what SGLang's does, as far as a processor can see it.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import gc
import logging
import random
import sys
import types
import unittest
import weakref
from array import array
from typing import Any
from unittest import mock

import countermark
import released
from support import PROFILE, Case, master, own_layer

try:
    import dill  # noqa: F401
    import msgspec  # noqa: F401
    import numpy as np
    import orjson  # noqa: F401
    import torch
except ImportError as missing:
    raise unittest.SkipTest(f"what SGLang's interface needs is not installed: {missing}") from missing

VOCABULARY = 1_000
door: types.ModuleType
CustomLogitProcessor: Any
SamplingParams: Any
ProcessorEntry: Any
apply_custom_logit_processor: Any
truncate: Any


def setUpModule() -> None:
    """SGLang's modules, for as long as these tests run."""
    global door, CustomLogitProcessor, SamplingParams, ProcessorEntry
    global apply_custom_logit_processor, truncate
    modules = contextlib.ExitStack()
    unittest.addModuleCleanup(modules.close)
    modules.enter_context(released.imports(
        "sglang", "sglang", "sglang.srt", "sglang.srt.sampling", "sglang.srt.managers"))
    modules.callback(sys.modules.pop, "countermark.sglang", None)
    import countermark.sglang
    from sglang.srt.sampling import custom_logit_processor, sampling_params

    door = countermark.sglang
    CustomLogitProcessor = custom_logit_processor.CustomLogitProcessor
    SamplingParams = sampling_params.SamplingParams
    ProcessorEntry = released.definitions(
        "sglang", "sglang/srt/sampling/sampling_batch_info.py", "ProcessorEntry",
        dataclasses=dataclasses, __name__=__name__).ProcessorEntry
    apply_custom_logit_processor = released.definitions(
        "sglang", "sglang/srt/layers/sampler.py", "apply_custom_logit_processor", torch=torch,
        logger=logging.getLogger("sglang")).apply_custom_logit_processor
    truncate = released.definitions(
        "sglang", "sglang/srt/layers/sampler.py", "top_k_top_p_min_p_sampling_from_probs_torch",
        torch=torch,
    ).top_k_top_p_min_p_sampling_from_probs_torch
    log = logging.getLogger("countermark")
    unittest.addModuleCleanup(log.setLevel, log.level)
    log.setLevel(logging.CRITICAL)
    schedule_batch = types.ModuleType("sglang.srt.managers.schedule_batch")
    schedule_batch.FINISH_ABORT = released.definitions(  # type: ignore[attr-defined]
        "sglang", "sglang/srt/managers/schedule_batch.py", "BaseFinishReason",
        "FINISH_ABORT").FINISH_ABORT
    sys.modules[schedule_batch.__name__] = schedule_batch


class Req:
    """What of SGLang's request a processor can see."""

    def __init__(self, custom: dict[str, Any] | None, processor: str | None, **sampling: Any) -> None:
        params = SamplingParams(custom_params=custom, **sampling)
        if processor is not None and isinstance(params.custom_params, dict):
            params = copy.copy(params)
            params.custom_params = params.custom_params | {"__req__": weakref.proxy(self)}
        self.sampling_params = params
        self.custom_logit_processor = processor
        self.rid = f"rid-{id(self)}"
        self.origin_input_ids = array("q", [1, 2, 3])
        self.output_ids = array("q")
        self.retraction_count = 0
        self.extend_batch_idx = 0
        self.to_finish: Any = None


class BatchInfo:
    """What of SGLang's SamplingBatchInfo apply_custom_logit_processor reads."""

    device = "cpu"

    def __init__(self, reqs: list[Req]) -> None:
        rows: dict[str, list[int]] = {}
        for i, req in enumerate(reqs):
            if req.custom_logit_processor is not None:
                rows.setdefault(req.custom_logit_processor, []).append(i)
        self.custom_params = [req.sampling_params.custom_params for req in reqs]
        self.custom_logit_processor = {
            hash(text): ProcessorEntry(CustomLogitProcessor.from_str(text), of, torch.tensor(of))
            for text, of in rows.items()}

    def __len__(self) -> int:
        return len(self.custom_params)


def logits_after(tokens: Any) -> torch.Tensor:
    """Of a toy model: uniform in [0, 6), a function of the last two tokens."""
    seed = [int(token) for token in tokens[-2:]] or VOCABULARY
    return torch.from_numpy(6 * np.random.default_rng(seed).random(VOCABULARY, dtype=np.float32))


def kept_by_sglang(logits: torch.Tensor, params: Any) -> torch.Tensor:
    """The row without what SGLang's own truncation drops."""
    scaled = (logits / params.temperature)[None]
    _, weights, ids, _ = truncate(
        torch.softmax(scaled, dim=-1), torch.tensor([params.top_k]), torch.tensor([params.top_p]),
        torch.tensor([params.min_p]), params.min_p > 0, None, None, return_filtered_probs=True)
    row = torch.full_like(logits, -torch.inf)
    kept = ids[weights > 0]
    row[kept] = logits[kept]
    return row


class Server:
    """Steps of a batch as SGLang takes them, overlapped (its default) or not."""

    def __init__(self, is_overlapped: bool = False) -> None:
        self.is_overlapped = is_overlapped
        self.running: dict[Req, array[int]] = {}  # with the tokens that the model has seen
        self.pending: list[tuple[Req, int, bool]] = []
        self.drawn_by_us = 0

    def process(self) -> None:
        for req, token, keep in self.pending:
            if keep and req in self.running:
                req.output_ids.append(token)
        self.pending = []

    def prefill(self, *reqs: Req, is_middle_chunk: bool = False) -> None:
        for req in reqs:
            req.extend_batch_idx += 1
            self.running[req] = array("q", req.output_ids)
        self.step(list(reqs), keep=not is_middle_chunk)

    def retract(self, req: Req) -> None:
        """As reset_for_retract; a result that has not been processed is dropped."""
        del self.running[req]
        req.retraction_count += 1
        req.extend_batch_idx = 0

    def step(self, reqs: list[Req] | None = None, keep: bool = True) -> None:
        reqs = list(self.running) if reqs is None else reqs
        logits = torch.stack([logits_after(self.running[req]) for req in reqs])
        before = logits.clone()
        apply_custom_logit_processor(logits, BatchInfo(reqs))
        results = []
        for row, had, req in zip(logits, before, reqs):
            probabilities = torch.softmax(row / req.sampling_params.temperature, dim=-1)
            token = int(torch.multinomial(probabilities, 1)) if req.sampling_params.top_k > 1 else int(row.argmax())
            if int(torch.isfinite(row).sum()) == 1:
                self.drawn_by_us += 1
            else:
                assert torch.equal(row, had)
            if keep:
                self.running[req].append(token)
            results.append((req, token, keep))
        if self.is_overlapped:
            self.process()
            self.pending = results
        else:
            self.pending = results
            self.process()

    def end(self, req: Req) -> None:
        self.running.pop(req)


class Fixed:
    """A service whose responses to an account are always the same ones."""

    def __init__(self, service: countermark.Service) -> None:
        self.service = service
        self.sample = service.sample

    def respond(self, **keywords: Any) -> countermark.Response:
        account = keywords.get("account") or "nobody"
        return self.service.respond(nonce=account.encode(), plain_key=bytes(16), **keywords)


class SGLang(Case):
    def setUp(self) -> None:
        super().setUp()
        self.key = master().epoch("model", "2026-11")
        self.key.save(self.folder / "epoch.key")
        for replaced in (
            mock.patch.dict("os.environ", COUNTERMARK_KEY=str(self.folder / "epoch.key"),
                            COUNTERMARK_PROFILE=str(PROFILE)),
            mock.patch.object(door, "get_spec", lambda: types.SimpleNamespace(speculative_algorithm=None)),
            mock.patch.object(door, "get_parallel",
                              lambda: types.SimpleNamespace(attn_tp_size=1, attn_cp_size=1)),
        ):
            replaced.start()
            self.addCleanup(replaced.stop)
        self.addCleanup(self.close)
        torch.manual_seed(1)
        self.text = door.Watermark.to_str()

    def close(self) -> None:
        if door._deployment.cache_info().currsize:
            door._deployment().close()
        door._deployment.cache_clear()

    def req(self, account: str | None = None, **sampling: Any) -> Req:
        custom = {} if account is None else {"countermark_account": account}
        return Req(custom, self.text, **sampling)

    def fix(self) -> Fixed:
        fixed = Fixed(door._service())
        replaced = mock.patch.object(door, "_service", lambda: fixed)
        replaced.start()
        self.addCleanup(replaced.stop)
        return fixed

    def own_layer(self, ids: Any, account: str) -> float:
        """log10 of the p-value of the account's own layer."""
        return own_layer(np.asarray(ids), account, self.key, countermark.Profile.load(PROFILE))

    def test_serialized_it_is_a_name(self) -> None:
        self.assertLess(len(self.text), 300)
        self.assertIs(type(CustomLogitProcessor.from_str(self.text)), door.Watermark)
        self.assertEqual(door.Watermark.to_str(), self.text)

    def test_requests_come_and_go_in_a_batch(self) -> None:
        for is_overlapped in (False, True):
            server = Server(is_overlapped)
            random.seed(2)
            waiting = [self.req(f"account-{i}", max_new_tokens=200) for i in range(9)]
            running, done = [], []
            unmarked = Req(None, None)
            server.prefill(unmarked)
            while waiting or running:
                if waiting and (not running or random.random() < 0.05):
                    running.append(waiting.pop())
                    server.prefill(running[-1])
                order = list(server.running)
                random.shuffle(order)
                server.step(order)
                for req in [req for req in running if len(req.output_ids) >= 200]:
                    server.end(req)
                    running.remove(req)
                    done.append(req)
            for req in done:
                name = req.sampling_params.custom_params["countermark_account"]
                self.assertLess(self.own_layer(req.output_ids, name), -6)
                self.assertGreater(self.own_layer(req.output_ids, "somebody"), -6)
            self.assertGreater(self.own_layer(unmarked.output_ids, "account-0"), -6)
            other = master("other").epoch("model", "2026-11")
            found = countermark.Detector(other, countermark.Profile.load(PROFILE)).detect(
                np.asarray(done[0].output_ids))
            self.assertGreater(found["log10P"], -6)

    def test_it_draws_what_the_service_draws(self) -> None:
        service = self.fix()
        options = [{}, {"temperature": 0.7}, {"top_k": 20}, {"top_p": 0.9}, {"min_p": 0.1},
                   {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.02},
                   {"top_k": 20, "top_p": 0.95}, {"temperature": 0.6, "top_k": 300, "top_p": 0.5}]
        for is_overlapped in (False, True):
            server = Server(is_overlapped)
            reqs = [self.req(f"account-{i}", max_new_tokens=500, **each) for i, each in enumerate(options)]
            server.prefill(*reqs)
            for _ in range(60):
                server.step()
            server.process()
            for i, req in enumerate(reqs):
                response = service.respond(account=f"account-{i}", max_tokens=500)
                for token in req.output_ids:
                    row = kept_by_sglang(logits_after(response.tokens), req.sampling_params)
                    draw, = service.sample([response], row, temperature=req.sampling_params.temperature)
                    self.assertEqual(draw.token, token)
                    response.commit(token)

    def test_overlapped_or_not_the_answer_is_the_same(self) -> None:
        self.fix()
        answers = []
        for is_overlapped in (False, True):
            server = Server(is_overlapped)
            req, other = self.req("alice", max_new_tokens=99), self.req("bob", max_new_tokens=99)
            server.prefill(req, is_middle_chunk=True)  # a prompt in two parts
            server.prefill(req)
            server.prefill(other)
            for step in range(60):
                if step in (20, 21, 40):
                    server.retract(req)
                    server.step()
                    server.prefill(req)
                server.step()
            server.process()
            answers.append(list(req.output_ids[:50]))
        self.assertEqual(*answers)
        self.assertLess(self.own_layer(answers[0], "alice"), self.own_layer(answers[0], "bob"))

    def test_tokens_that_are_taken_back_or_replaced(self) -> None:
        service = self.fix()
        server = Server()
        req = self.req("alice", max_new_tokens=99)
        server.prefill(req)
        for _ in range(20):
            server.step()
        for tokens in (req.output_ids[:12], array("q", [1, 2, 3]), array("q", [1, 2, 4, 5, 6, 7])):
            server.retract(req)
            req.output_ids = tokens
            expected = service.respond(account="alice", max_tokens=99)
            expected.commit(tokens)
            draw, = service.sample([expected], logits_after(tokens))
            server.prefill(req)
            self.assertEqual(req.output_ids[-1], draw.token)

    def test_a_request_that_has_ended_leaves_nothing(self) -> None:
        server = Server()
        reqs = [self.req("alice") for _ in range(4)]
        server.prefill(*reqs)
        server.step()
        self.assertEqual(len(door._answers), 4)
        while reqs:
            server.end(reqs.pop())
        gc.collect()
        self.assertEqual(len(door._answers), 0)
        self.assertEqual(door._service().counters()["responses"], 4)

    @unittest.skipUnless(hasattr(countermark, "TranscriptWriter"), "there are no transcripts")
    def test_a_request_that_has_ended_is_recorded(self) -> None:
        path = self.folder / "served.jsonl"
        with mock.patch.dict("os.environ", COUNTERMARK_TRANSCRIPTS=str(path)):
            deployment = door._deployment()
        server = Server(is_overlapped=True)
        reqs = [self.req("alice", max_new_tokens=30), self.req("bob")]
        server.prefill(*reqs)
        for step in range(30):
            if step == 20:
                server.retract(reqs[0])
                server.step()
                server.prefill(reqs[0])
            server.step()
        server.process()
        answers = {req.rid: list(req.output_ids) for req in reqs}
        while reqs:
            server.end(reqs.pop())
        gc.collect()
        deployment.close()
        records = {record["id"]: record for record in countermark.read_transcripts(path)}
        self.assertEqual({name: record["ids"] for name, record in records.items()}, answers)
        for record in records.values():
            self.assertEqual(record["promptSha256"], countermark.prompt_sha256([1, 2, 3]))
            self.assertEqual((record["keyId"], record["epoch"], record["text"]),
                             (self.key.key_id, "2026-11", None))
            self.assertTrue(0 < record["marked"] <= 29, record["marked"])  # the first has no context
        self.assertEqual({record["account"] for record in records.values()}, {"alice", "bob"})

    def test_what_is_left_alone(self) -> None:
        server = Server()
        greedy = [self.req("alice", temperature=0.0), self.req("alice", top_k=1)]
        beams = self.req("alice", beam_width=2)
        no_parameters = Req(None, self.text)
        server.prefill(*greedy, beams, no_parameters)
        server.step()
        self.assertEqual(server.drawn_by_us, 0)
        self.assertEqual([req.output_ids[0] for req in greedy], [int(logits_after([]).argmax())] * 2)
        self.assertEqual(door._service().counters()["responses"], 0)
        server.prefill(self.req("alice"))
        self.assertEqual(server.drawn_by_us, 1)

    def test_long_answers_go_on_without_it(self) -> None:
        with mock.patch.object(door.Watermark, "max_tokens", 10):
            server = Server()
            server.prefill(self.req("alice", max_new_tokens=None))
            for _ in range(20):
                server.step()
        self.assertEqual(server.drawn_by_us, 10)

    def test_rows_of_other_types(self) -> None:
        processor = door.Watermark()
        for dtype in (torch.float16, torch.bfloat16):
            req = self.req("alice")
            params = [req.sampling_params.custom_params]
            rows = logits_after([]).to(dtype)[None]
            out = processor(rows.clone(), params)
            self.assertEqual(out.dtype, dtype)
            self.assertEqual(int(torch.isfinite(out).sum()), 1)
            self.assertTrue(torch.isfinite(rows[0, out[0].argmax()]))

    def test_a_request_that_cannot_begin_ends_alone(self) -> None:
        service = countermark.Service(self.key, countermark.Profile.load(PROFILE), policy="refuse")
        deployment = types.SimpleNamespace(service=service, transcripts=None)
        with mock.patch.object(door, "_deployment", lambda: deployment):
            server = Server()
            good, bad = self.req("alice"), Req({"countermark_account": 7}, self.text)
            server.prefill(good, bad)
            self.assertIsNone(good.to_finish)
            self.assertEqual(bad.to_finish.to_json()["status_code"], 400)
            self.assertIn("countermark_account", bad.to_finish.to_json()["message"])
            service.revoke_key()
            late = self.req("alice")
            server.prefill(late)
            server.step()
            self.assertEqual(late.to_finish.to_json()["status_code"], 503)
            self.assertEqual(service.counters()["refused"], 1)
            self.assertIsNone(good.to_finish)

    def test_a_server_that_cannot_be_marked_is_refused(self) -> None:
        with mock.patch.object(door, "get_spec",
                               lambda: types.SimpleNamespace(speculative_algorithm="EAGLE")):
            with self.assertRaisesRegex(RuntimeError, "speculative"):
                CustomLogitProcessor.from_str(self.text)
        with mock.patch.object(door, "get_parallel",
                               lambda: types.SimpleNamespace(attn_tp_size=2, attn_cp_size=1)):
            with self.assertRaisesRegex(RuntimeError, "every rank"):
                CustomLogitProcessor.from_str(self.text)
        (self.folder / "epoch.key").write_text("CM-SECRET-KEY-1-no\n")
        with self.assertRaises(countermark.Error) as caught:
            CustomLogitProcessor.from_str(self.text)
        self.assertNotIn("CM-SECRET-KEY-1-no", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
