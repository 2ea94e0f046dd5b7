# SPDX-License-Identifier: Apache-2.0
"""The same words through every door, and the same token through every door on the CPU.

A door is a class in DOORS (and in WORDS, if it tells words): made once a key, asked for the draws of
many cases. A new one adds itself there and is compared in all the tests. Tokens are compared with
those of countermark.Service on numpy, words with those of the independent tests/reference.
COUNTERMARK_LIBRARY names libcountermark.so.1; a door that is not there is skipped and says so.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import dataclasses
import json
import os
import subprocess
import sys
import types
import unittest
import weakref
from array import array
from collections.abc import Iterator
from typing import Any
from unittest import mock

import countermark
import released
from support import PROFILE, ROOT, Case, master

try:
    import numpy as np
except ImportError as missing:
    raise unittest.SkipTest(f"numpy is not installed: {missing}") from missing

KEYS, CASES_OF_A_KEY = 5, 80


@dataclasses.dataclass
class Draw:
    """One draw to be made, and all that decides it."""

    committed: list[int]
    row: np.ndarray
    account: str | None
    cohort: str | None
    nonce: bytes
    plain_key: bytes
    options: dict[str, float]  # temperature, top_k, top_p, min_p: those that are not the default
    path: list[int]  # drafts after what is committed, and
    attempt: int  # the attempt: for words only
    tokens: list[int]  # whose words are asked for

    @property
    def response(self) -> dict[str, Any]:
        return {"account": self.account, "cohort": self.cohort, "nonce": self.nonce,
                "plain_key": self.plain_key, "max_tokens": len(self.committed) + 8}


def draws(seed: int, with_options: bool) -> Iterator[Draw]:
    """Random cases: short and repeated contexts, rows with ties and holes, of a few tokens or many."""
    rng = np.random.default_rng(seed)
    for _ in range(CASES_OF_A_KEY):
        vocabulary = int(rng.choice([2, 17, 400, 3000]))
        row = rng.normal(0, rng.choice([0.1, 2, 8]), vocabulary).astype(np.float32)
        if rng.random() < 0.3:
            row = np.round(row)
        if rng.random() < 0.3:
            row[rng.random(vocabulary) < 0.9] = -np.inf
            row[int(rng.integers(vocabulary))] = 1
        options: dict[str, float] = {}
        if with_options:
            options["temperature"] = float(rng.choice([0, 0.3, 0.7, 1, 1.5]))
            kind = rng.integers(4)  # top_k and top_p together mean something else in SGLang
            if kind == 1:
                options["top_k"] = int(rng.integers(2, vocabulary + 1))
            elif kind == 2:
                options["top_p"] = float(rng.uniform(0.3, 1))
            if rng.random() < 0.3:
                options["min_p"] = float(rng.uniform(0, 0.2))
        yield Draw(
            committed=rng.integers(0, rng.choice([2, vocabulary]), int(rng.integers(0, 12))).tolist(),
            row=row, account=[None, "alice", "böb"][rng.integers(3)],
            cohort=[None, "c1"][rng.integers(2)], nonce=rng.bytes(int(rng.integers(1, 20))),
            plain_key=rng.bytes(16), options=options,
            path=rng.integers(0, vocabulary, int(rng.integers(0, 3))).tolist(),
            attempt=int(rng.integers(0, 2)), tokens=rng.integers(0, 2**20, 5).tolist())


class Numpy:
    """countermark.Service, which the others are compared with."""

    takes_options = True

    def __init__(self, key: countermark.Key, key_text: str) -> None:
        self.service = countermark.Service(key, countermark.Profile.load(PROFILE))

    def begin(self, draw: Draw) -> countermark.Response:
        response = self.service.respond(**draw.response)
        response.commit(draw.committed)
        return response

    def rows(self, draw: Draw) -> Any:
        return draw.row[None]

    def token(self, draw: Draw) -> int | None:
        made, = self.service.sample([self.begin(draw)], self.rows(draw), **draw.options)
        return made.token

    def words(self, draw: Draw) -> list[int]:
        return self.begin(draw).words(draw.tokens, draw.path, draw.attempt)[0]


class Torch(Numpy):
    """countermark.Service on a torch tensor."""

    def rows(self, draw: Draw) -> Any:
        try:
            import torch
        except ImportError as missing:
            raise unittest.SkipTest(f"torch is not installed: {missing}") from missing
        return torch.from_numpy(draw.row)[None]


class Candidates(Numpy):
    """countermark.Service on what an engine has kept of a row, in any order."""

    def token(self, draw: Draw) -> int | None:
        kept = np.flatnonzero(np.isfinite(draw.row))[::-1].copy()
        made, = self.service.sample([self.begin(draw)], draw.row[kept], ids=[kept], **draw.options)
        return made.token


class _ServiceOptions(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("policy", ctypes.c_uint32),
                ("key", ctypes.c_char_p), ("key_size", ctypes.c_size_t),
                ("profile", ctypes.c_char_p), ("profile_size", ctypes.c_size_t),
                ("log", ctypes.c_void_p), ("user", ctypes.c_void_p),
                ("may_leak_timing", ctypes.c_uint32), ("reserved", ctypes.c_uint32)]


class _ResponseOptions(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("unmarked", ctypes.c_uint32),
                ("account", ctypes.c_char_p), ("cohort", ctypes.c_char_p),
                ("nonce", ctypes.c_char_p), ("nonce_size", ctypes.c_size_t),
                ("plain_key", ctypes.c_char_p), ("max_tokens", ctypes.c_uint64),
                ("max_contexts", ctypes.c_uint64)]


class _Row(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("type", ctypes.c_uint32),
                ("response", ctypes.c_void_p), ("logits", ctypes.c_void_p), ("size", ctypes.c_uint64),
                ("ids", ctypes.c_void_p), ("temperature", ctypes.c_double), ("top_p", ctypes.c_double),
                ("min_p", ctypes.c_double), ("top_k", ctypes.c_uint32), ("attempt", ctypes.c_uint32),
                ("parent", ctypes.c_uint32), ("draft", ctypes.c_uint32)]


class _Draw(ctypes.Structure):
    _fields_ = [("token", ctypes.c_uint32), ("status", ctypes.c_int32), ("kind", ctypes.c_uint32),
                ("layer", ctypes.c_uint32)]


class C:
    """countermark.h, by ctypes."""

    takes_options = True

    def __init__(self, key: countermark.Key, key_text: str) -> None:
        where = os.environ.get("COUNTERMARK_LIBRARY")
        if where is None:
            raise unittest.SkipTest("COUNTERMARK_LIBRARY does not name libcountermark.so.1")
        self.library = ctypes.CDLL(where)
        text, profile = key_text.encode(), PROFILE.read_bytes()
        options = _ServiceOptions(ctypes.sizeof(_ServiceOptions), 0, text, len(text), profile, len(profile))
        self.service, self.workspace = ctypes.c_void_p(), ctypes.c_void_p()
        self.call("cm_service_create", ctypes.byref(options), ctypes.byref(self.service), None)
        weakref.finalize(self, self.library.cm_service_free, self.service)
        self.call("cm_workspace_create", 1, ctypes.c_uint64(3000), 0, ctypes.byref(self.workspace), None)
        weakref.finalize(self, self.library.cm_workspace_free, self.workspace)

    def call(self, name: str, *arguments: Any) -> None:
        status = getattr(self.library, name)(*arguments)
        assert status == 0, f"{name}: {status}"

    @staticmethod
    def response_options(draw: Draw) -> _ResponseOptions:
        names = [None if name is None else name.encode() for name in (draw.account, draw.cohort)]
        return _ResponseOptions(ctypes.sizeof(_ResponseOptions), 0, *names, draw.nonce, len(draw.nonce),
                                draw.plain_key, len(draw.committed) + 8)

    @contextlib.contextmanager
    def begin(self, draw: Draw) -> Iterator[ctypes.c_void_p]:
        options, response = self.response_options(draw), ctypes.c_void_p()
        self.call("cm_response_create", self.service, ctypes.byref(options), ctypes.byref(response), None)
        try:
            for token in draw.committed:
                self.call("cm_commit", response, ctypes.c_uint32(token))
            yield response
        finally:
            self.library.cm_response_free(response)

    def token(self, draw: Draw) -> int:
        with self.begin(draw) as response:
            row = _Row(ctypes.sizeof(_Row), 0, response, draw.row.ctypes.data, len(draw.row), None,
                       **{"temperature": 1.0, **draw.options})
            made = _Draw()
            self.call("cm_sample", self.service, self.workspace, ctypes.byref(row), 1,
                      ctypes.byref(made), None)
            return made.token

    def words(self, draw: Draw) -> list[int]:
        path, tokens = ((ctypes.c_uint32 * len(part))(*part) for part in (draw.path, draw.tokens))
        out = (ctypes.c_uint32 * len(tokens))()
        with self.begin(draw) as response:
            self.call("cm_words", response, path, len(path), draw.attempt, tokens,
                      ctypes.c_uint64(len(tokens)), out, None)
        return list(out)


class Transformers(Numpy):
    """countermark.transformers, where generate() calls it."""

    takes_options = False

    def __init__(self, key: countermark.Key, key_text: str) -> None:
        super().__init__(key, key_text)
        try:
            import torch
            import transformers  # noqa: F401
        except ImportError as missing:
            raise unittest.SkipTest(f"transformers is not installed: {missing}") from missing
        from countermark.transformers import Watermark

        self.torch = torch
        self.watermark = Watermark(self.service)

    def token(self, draw: Draw) -> int:
        prompt = self.torch.tensor([[0, 1, 2]])
        row = self.torch.from_numpy(draw.row)[None]
        processor = self.watermark.construct_processor(len(draw.row))
        begun = self.service.respond(**draw.response)
        processor._begin = lambda rows, width: processor.__dict__.update(
            _responses=[begun], _prompt=width, _written=np.empty((1, 0), dtype=np.int64),
            _ended=np.zeros(1, dtype=bool))
        out = processor(prompt, row)
        if draw.committed:
            out = processor(self.torch.cat([prompt, self.torch.tensor([draw.committed])], dim=1), row)
        return int(out[0].argmax())


class LlamaCpp(Numpy):
    """A sampler in a chain of the real libllama, made by countermark.Service."""

    takes_options = False

    def __init__(self, key: countermark.Key, key_text: str) -> None:
        super().__init__(key, key_text)
        try:
            from llama_cpp import llama_cpp
        except ImportError as missing:
            raise unittest.SkipTest(f"llama-cpp-python is not installed: {missing}") from missing
        self.llama = llama_cpp
        self.init = ctypes.cast(llama_cpp.llama_sampler_init, ctypes.c_void_p).value

    def sampler(self, draw: Draw) -> int:
        return self.service.llama_sampler(self.init, **draw.response)[0]

    def token(self, draw: Draw) -> int:
        llama = self.llama
        chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        llama.llama_sampler_chain_add(chain, ctypes.cast(self.sampler(draw), llama.llama_sampler_p_ctypes))
        try:
            if draw.committed:
                self.apply(chain, draw.row)  # what is accepted before the first draw is the prompt
            for token in draw.committed:
                llama.llama_sampler_accept(chain, token)
            return self.apply(chain, draw.row)
        finally:
            llama.llama_sampler_free(chain)

    def apply(self, chain: Any, row: np.ndarray) -> int:
        entries = np.zeros(len(row), dtype=[("id", np.int32), ("logit", np.float32), ("p", np.float32)])
        entries["id"], entries["logit"] = np.arange(len(row)), row
        data = ctypes.cast(entries.ctypes.data, ctypes.POINTER(self.llama.llama_token_data))
        array = self.llama.llama_token_data_array(data=data, size=len(row), selected=-1, sorted=False)
        self.llama.llama_sampler_apply(chain, ctypes.byref(array))
        return array.selected


class LlamaCppInC(LlamaCpp):
    """The same, made by cm_llama_sampler_create."""

    def __init__(self, key: countermark.Key, key_text: str) -> None:
        super().__init__(key, key_text)
        self.c = C(key, key_text)

    def sampler(self, draw: Draw) -> int:
        options, out = self.c.response_options(draw), ctypes.c_void_p()
        self.c.call("cm_llama_sampler_create", self.c.service, ctypes.byref(options),
                    ctypes.c_void_p(self.init), ctypes.byref(out), None)
        assert out.value is not None
        return out.value


class OnDevice(Numpy):
    """countermark.device on CPU tensors: what the vLLM adapters draw with."""

    def __init__(self, key: countermark.Key, key_text: str) -> None:
        super().__init__(key, key_text)
        try:
            import torch
        except ImportError as missing:
            raise unittest.SkipTest(f"torch is not installed: {missing}") from missing
        from countermark.device import DeviceSampler

        self.torch = torch
        self.sampler = DeviceSampler(self.service.profile, capacity=1, device="cpu")

    def token(self, draw: Draw) -> int:
        begun = self.service.respond(**draw.response)
        self.sampler.begin(0, begun.secret_schedule(), **draw.options)  # type: ignore[arg-type]
        history = self.torch.tensor([draw.committed], dtype=self.torch.int64)
        made = self.sampler.draw(self.torch.from_numpy(draw.row)[None], self.torch.tensor([0]), history,
                                 self.torch.tensor([len(draw.committed)]))
        return int(made.tokens[0])


class SGLang(Numpy):
    """countermark.sglang, where SGLang's sampler calls it."""

    def __init__(self, key: countermark.Key, key_text: str) -> None:
        super().__init__(key, key_text)
        try:
            import dill  # noqa: F401
            import msgspec  # noqa: F401
            import orjson  # noqa: F401
            import torch
        except ImportError as missing:
            raise unittest.SkipTest(f"what SGLang's interface needs is not installed: {missing}") from missing
        with released.imports("sglang", "sglang", "sglang.srt", "sglang.srt.sampling"):
            import countermark.sglang as door
            from sglang.srt.sampling.sampling_params import SamplingParams
        del sys.modules["countermark.sglang"]  # its base class is gone with SGLang's modules
        self.torch, self.door, self.parameters = torch, door, SamplingParams

    def token(self, draw: Draw) -> int:
        params = self.parameters(max_new_tokens=100, **draw.options)
        req = types.SimpleNamespace(sampling_params=params, output_ids=array("q", draw.committed),
                                    retraction_count=0, extend_batch_idx=1)
        service = types.SimpleNamespace(sample=self.service.sample,
                                        respond=lambda **_: self.service.respond(**draw.response))

        deployment = types.SimpleNamespace(service=service, transcripts=None)

        class Proxy:
            def __getattr__(self, name: str) -> Any:
                return getattr(req, name)

        with mock.patch.object(self.door, "_deployment", lambda: deployment):
            out = self.door.Watermark()(self.torch.from_numpy(draw.row.copy())[None], [{"__req__": Proxy()}])
        return int(out[0].argmax())


class Reference:
    """tests/reference, which shares nothing with the code; it runs by itself, as its module is countermark, too."""

    PROGRAM = """
import json, sys
from countermark import DEFAULT_LAYERS, Keys, Layer
from embedder import History, kind_of_draw, tags_of, words_of
given = json.load(sys.stdin)
keys = Keys(bytes.fromhex(given["master"]), "model", "epoch")
layers = [Layer(*layer) for layer in given["layers"]]
out = []
for draw in given["draws"]:
    history = History(keys, layers, 1000)
    for token in draw["committed"]:
        history.commit(token)
    plan = history.plan(draw["path"])
    tags = tags_of(keys, layers, draw["cohort"], draw["account"], bytes.fromhex(draw["nonce"]))
    is_marked = kind_of_draw(plan, tags, 2, draw["attempt"]) == "mark"
    words = words_of(keys, plan if is_marked else None, tags, draw["tokens"], bytes.fromhex(draw["plain_key"]),
                     len(draw["committed"]) + len(draw["path"]), draw["attempt"])
    out.append([words[token] for token in draw["tokens"]])
print(json.dumps(out))
"""

    def words_of_all(self, master_text: str, all_draws: list[Draw]) -> list[list[int]]:
        body = master_text.strip().splitlines()[-1].removeprefix("CM-SECRET-KEY-1")
        secret = base64.b32decode(body + "=" * (-len(body) % 8))[1:33]
        profile = countermark.Profile.load(PROFILE)
        given = {
            "master": secret.hex(),
            "layers": [[layer.name, layer.width, layer.share, layer.slots] for layer in profile.layers],
            "draws": [{"committed": draw.committed, "path": draw.path, "attempt": draw.attempt,
                       "tokens": draw.tokens, "account": draw.account or "", "cohort": draw.cohort or "",
                       "nonce": draw.nonce.hex(), "plain_key": draw.plain_key.hex()} for draw in all_draws]}
        done = subprocess.run([sys.executable, "-c", self.PROGRAM], input=json.dumps(given), text=True,
                              capture_output=True, check=False, cwd=ROOT / "tests" / "reference",
                              env={**os.environ, "PYTHONPATH": "."})
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


DOORS: list[Any] = [Torch, Candidates, C, Transformers, LlamaCpp, LlamaCppInC, OnDevice, SGLang]
WORDS: list[Any] = [Numpy, C]


class Doors(Case):
    def setUp(self) -> None:
        super().setUp()
        self.keys = []
        for number in range(KEYS):
            owner = master(str(number))
            owner.save(self.folder / f"{number}.master")
            key = owner.epoch("model", "epoch")
            key.save(self.folder / f"{number}.key")
            self.keys.append((key, (self.folder / f"{number}.key").read_text()))

    def compared(self, door: Any, number: int) -> tuple[Numpy, Any]:
        key, text = self.keys[number]
        try:
            return Numpy(key, text), door(key, text)
        except unittest.SkipTest as why:
            self.skipTest(f"{door.__name__}: {why}")

    def test_tokens_of_rows(self) -> None:
        # Temperature 1 and no truncation: all that a door after an engine's own samplers can see.
        for door in DOORS:
            with self.subTest(door.__name__):
                for number in range(KEYS):
                    plain, other = self.compared(door, number)
                    for draw in draws(number, with_options=False):
                        self.assertEqual(other.token(draw), plain.token(draw), draw)

    def test_tokens_of_rows_with_options(self) -> None:
        for door in DOORS:
            if not door.takes_options:
                continue
            with self.subTest(door.__name__):
                for number in range(KEYS):
                    plain, other = self.compared(door, number)
                    for draw in draws(100 + number, with_options=True):
                        self.assertEqual(other.token(draw), plain.token(draw), draw)

    def test_words(self) -> None:
        cases = [list(draws(200 + number, with_options=False)) for number in range(KEYS)]
        expected = [Reference().words_of_all((self.folder / f"{number}.master").read_text(), cases[number])
                    for number in range(KEYS)]
        for door in WORDS:
            with self.subTest(door.__name__):
                for number in range(KEYS):
                    _, other = self.compared(door, number)
                    self.assertEqual([other.words(draw) for draw in cases[number]], expected[number])


if __name__ == "__main__":
    unittest.main()
