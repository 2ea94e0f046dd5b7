# SPDX-License-Identifier: Apache-2.0
"""The draw of countermark/1 on the device of the logits: docs/mark.md as PyTorch operations.

    sampler = DeviceSampler(service.profile, capacity=256, device="cuda")
    sampler.begin(slot, response.secret_schedule(), temperature=0.8, top_p=0.95)
    drawn = sampler.draw(logits, slots, history, lengths, marking=service.marking)

For engines whose logits never come to the host. Words are those of countermark.Response bit for
bit, tokens those of Service.sample (docs/sampler.md) but where the two best candidates come to
some fifteen digits of one another. Nothing in draw waits for the device or brings a number of it
back. The keys of the responses lie in the device's memory while their slots are in use, and until
these are used again.

Not here, unlike in Response: channels, a bounded history, re-draws (attempts). Repeated contexts
are found in the tokens themselves, so that nothing has to be committed or rewound: a context is
repeated when its tokens were followed by a token before, whoever drew that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from countermark._countermark import Profile

KINDS = ("marked", "short-context", "repeated", "history-full", "no-identity", "redraw",
         "one-candidate", "greedy", "off", "failed", "error")
_MARKED, _SHORT, _REPEATED, _, _NAMELESS, _, _ONE, _GREEDY, _OFF, _, _ERROR = range(len(KINDS))

_MAX_WIDTH = 16
_ROUND_KEYS = 44  # words
_LOW = 0xFFFFFFFF
# Logits that are drawn from at once, and blocks that are encrypted at once: either takes a few
# hundred MB for as long as it lasts, however many rows there are.
_ENTRIES = 1 << 22
_BLOCKS = 1 << 20


def _times2(a: int) -> int:
    return a << 1 ^ (a >> 7) * 0x11B


def _substitution() -> list[int]:
    """FIPS 197, 5.1.1: the inverse in GF(2^8) by powers of 3, then the affine map."""
    powers = [1]
    for _ in range(254):
        powers.append(powers[-1] ^ _times2(powers[-1]))
    inverse = {power: powers[-i % 255] for i, power in enumerate(powers)}
    box = []
    for value in range(256):
        of = inverse.get(value, 0)
        spread = of ^ of << 1 ^ of << 2 ^ of << 3 ^ of << 4
        box.append((spread ^ spread >> 8) & 0xFF ^ 0x63)
    return box


def _signed(word: int) -> int:
    return word - (1 << 32) if word >> 31 else word


class _Aes:
    """AES-128 encryption of many blocks, each under its own key. Blocks are four int32 words.

    The tables lie in the device's memory and are read at addresses that depend on the key, as in
    every form of AES without instructions for it.
    """

    def __init__(self, device: torch.device) -> None:
        box = _substitution()
        columns = []  # what a byte of row r adds to its column: substituted, times (2, 1, 1, 3)
        for row in range(4):
            for byte in box:
                factors = (_times2(byte), byte, byte, byte ^ _times2(byte))
                columns.append(_signed(sum(factor << 8 * ((i + row) % 4)
                                           for i, factor in enumerate(factors))))
        self.columns = torch.tensor(columns, dtype=torch.int32, device=device)
        self._box = torch.tensor(box, dtype=torch.uint8, device=device)
        # After the shift of rows, byte 4 c + r comes from column c + r.
        self._shift = torch.tensor([4 * ((c + r) % 4) + r for c in range(4) for r in range(4)],
                                   device=device)
        self._row = torch.tensor([256 * r for r in range(4)] * 4, device=device)
        constants = [1]
        for _ in range(9):
            constants.append(_times2(constants[-1]))
        self._constants = torch.tensor(constants, dtype=torch.int32, device=device)
        self._rotate = torch.tensor([1, 2, 3, 0], device=device)

    def expand(self, keys: torch.Tensor) -> torch.Tensor:
        """The round keys, [..., 44], of keys [..., 4] (FIPS 197, 5.2)."""
        words = [keys[..., i] for i in range(4)]
        for number in range(10):
            last = words[-1][..., None].contiguous().view(torch.uint8)[..., self._rotate]
            word = self._box[last.long()].view(torch.int32)[..., 0] ^ self._constants[number]
            for i in range(4):
                word = word ^ words[4 * number + i]
                words.append(word)
        return torch.stack(words, dim=-1)

    def encrypt(self, round_keys: torch.Tensor, blocks: torch.Tensor) -> torch.Tensor:
        """blocks [..., 4] under round_keys [..., 44], which are broadcast."""
        state = blocks ^ round_keys[..., :4]
        for number in range(1, 10):
            index = state.view(torch.uint8)[..., self._shift].long() + self._row
            parts = self.columns[index.view(*index.shape[:-1], 4, 4)]
            state = (parts[..., 0] ^ parts[..., 1] ^ parts[..., 2] ^ parts[..., 3]
                     ^ round_keys[..., 4 * number:4 * number + 4])
        last = self._box[state.view(torch.uint8)[..., self._shift].long()].view(torch.int32)
        return last ^ round_keys[..., 40:]


class _Plan(NamedTuple):
    """By row: the kind, the layer of a marked draw, and what the words are made from."""
    kinds: torch.Tensor
    layers: torch.Tensor
    round_keys: torch.Tensor  # [rows, 44]
    base: torch.Tensor  # [rows, 4]: the block of token 0


class Draws(NamedTuple):
    """What the rows have come to, on the device."""
    tokens: torch.Tensor  # int64; -1 in a row without a candidate
    kinds: torch.Tensor  # int64, indices into KINDS
    layers: torch.Tensor  # int64; -1 where the draw is not marked


class DeviceSampler:
    """Draws rows of logits of up to `capacity` responses at once, each in a slot of its own.

    For one thread and one stream of the device at a time. A slot is filled by begin, which forgets
    whoever had it before. About 800 bytes a slot and layer.
    """

    def __init__(self, profile: Profile, *, capacity: int, device: torch.device | str,
                 min_p_first: bool = False, use_triton: bool = False) -> None:
        """min_p_first: min-p cuts before top-k and top-p, as in vLLM, not after them. use_triton:
        words by the kernel of countermark.device_triton, which needs Triton. Raises ImportError."""
        self.device = torch.device(device)
        self.capacity = capacity
        self._min_p_first = min_p_first
        layers = profile.layers
        self._layers = len(layers)
        widths = sorted({layer.width for layer in layers})
        self._widths = widths

        def on_device(values: object) -> torch.Tensor:
            return torch.tensor(values, device=self.device)

        # Contexts as blocks: token w - h + 4 b + j of the window, which is 16 tokens and a zero.
        self._message = on_device([[[_MAX_WIDTH - h + 4 * b + j if 4 * b + j < h else _MAX_WIDTH
                                     for j in range(4)] for b in range(_MAX_WIDTH // 4)]
                                   for h in widths])
        # R of the route by width; where a layer's share ends, and its width, by layer.
        remaining, at, ends, of_layer = 1 << 16, [], [], []
        for index, h in enumerate(widths):
            at.append(remaining)
            end = 0
            for layer in layers:
                if layer.width == h:
                    end += layer.share
                    ends.append(end)
                    of_layer.append(index)
            remaining -= end
        self._remaining, self._ends, self._of_layer = map(on_device, (at, ends, of_layer))
        self._width = on_device(widths)
        self._aes = _Aes(self.device)
        self._kernel: Callable[..., torch.Tensor] | None = None
        if use_triton:
            from countermark.device_triton import words
            self._kernel = words
        header = np.frombuffer(b"cm/1 context", dtype=np.int32).tolist()
        self._headers = torch.tensor([header + [h] for h in widths], dtype=torch.int32, device=self.device)

        def table(*shape: int, dtype: torch.dtype = torch.int32) -> torch.Tensor:
            return torch.zeros((capacity, *shape), dtype=dtype, device=self.device)

        self._kinds = table(dtype=torch.int64)  # of every draw; 0: may be marked
        self._round_keys = table(2 + self._layers, _ROUND_KEYS)  # contexts', plain, the layers'
        self._initial = table(len(widths), 4)  # IV by width
        self._is_named = table(self._layers, dtype=torch.bool)
        self._tags = table(self._layers, 3)
        self._options = table(4, dtype=torch.float64)  # temperature, top-k, top-p, min-p
        self._options_on_host = np.zeros((capacity, 4))
        self._counts = torch.zeros(len(KINDS), dtype=torch.int64, device=self.device)

    def to_device(self, values: np.ndarray) -> torch.Tensor:
        """A copy on the device, which nobody waits for."""
        host = torch.from_numpy(values)
        if self.device.type == "cuda":
            host = host.pin_memory()
        return host.to(self.device, non_blocking=True)

    def begin(self, slot: int, schedule: bytes, *, temperature: float = 1.0, top_k: int = 0,
              top_p: float = 1.0, min_p: float = 0.0) -> None:
        """Gives a slot to the response whose secret_schedule this is, and says how it is sampled.

        The response is of a service with this profile. What it has written so far plays no part:
        that is told to draw. Options as in Service.sample. Raises ValueError.
        """
        if not 0 <= slot < self.capacity:
            raise ValueError(f"slot: expected 0 to {self.capacity - 1}")
        if not (0 <= temperature < float("inf") and 0 <= top_k < 1 << 32 and 0 < top_p <= 1
                and 0 <= min_p <= 1):
            raise ValueError("temperature, top_k, top_p or min_p is out of its range")
        words = self.to_device(np.frombuffer(schedule, dtype=np.int32).copy())
        layers = words[9:].view(self._layers, 8)
        keys = torch.cat([words[1:9].view(2, 4), layers[:, :4]])
        self._kinds[slot] = words[0]
        self._round_keys[slot] = self._aes.expand(keys)
        self._initial[slot] = self._aes.encrypt(self._round_keys[slot, 0], self._headers)
        self._is_named[slot] = layers[:, 4] != 0
        self._tags[slot] = layers[:, 5:]
        self._options_on_host[slot] = temperature, top_k, top_p, min_p
        self._options[slot] = self.to_device(self._options_on_host[slot].copy())

    def _route(self, slots: torch.Tensor, history: torch.Tensor, lengths: torch.Tensor) -> tuple[
            torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """By row: layer, state, width, and the last 16 tokens, oldest first."""
        last = lengths[:, None] + torch.arange(-_MAX_WIDTH, 0, device=self.device)
        window = history.gather(1, last.clamp(0, history.shape[1] - 1))
        message = torch.nn.functional.pad(window, (0, 1))[:, self._message].to(torch.int32)
        state = self._initial[slots]
        keys = self._round_keys[slots, 0][:, None]
        for block in range((self._widths[-1] + 3) // 4):
            # Wider contexts have more blocks.
            first = sum(h <= 4 * block for h in self._widths)
            following = self._aes.encrypt(keys, state[:, first:] ^ message[:, first:, block])
            state = torch.cat([state[:, :first], following], dim=1)
        coins = (state[..., 3].long() & _LOW) * self._remaining >> 32
        # The first share that holds its width's coin. (A width that is passed has none that does.)
        layers = (coins[:, self._of_layer] < self._ends).int().argmax(dim=1)
        index = self._of_layer[layers]
        chosen = state.gather(1, index[:, None, None].expand(-1, -1, 4))[:, 0]
        return layers, chosen, self._width[index], window

    def _plan(self, slots: torch.Tensor, history: torch.Tensor, lengths: torch.Tensor, marking: bool) -> _Plan:
        slots, lengths = slots.long(), lengths.long()
        history = history.long() if history.shape[1] > 0 else history.new_zeros((len(history), 1)).long()
        layers, states, widths, window = self._route(slots, history, lengths)
        # Whether the last h tokens stand before an earlier one, too.
        size = history.shape[1]
        place = torch.arange(size, device=self.device)
        same = (place >= widths[:, None]) & (place < lengths[:, None])
        for back in range(1, min(self._widths[-1], size - 1) + 1):
            matches = history[:, :size - back] == window[:, _MAX_WIDTH - back, None]
            same[:, back:] &= matches | (widths < back)[:, None]
        is_named = self._is_named[slots].gather(1, layers[:, None])[:, 0]
        kinds = torch.where(is_named, _MARKED, _NAMELESS)
        kinds = torch.where(same.any(dim=1), _REPEATED, kinds)
        kinds = torch.where(lengths < widths, _SHORT, kinds)
        if not marking:
            kinds = torch.full_like(kinds, _OFF)
        own = self._kinds[slots]
        kinds = torch.where(own > 0, own, kinds)

        is_marked = kinds == _MARKED
        round_keys = self._round_keys[slots, torch.where(is_marked, 2 + layers, 1)]
        tags = self._tags[slots, layers]
        marked = torch.cat([states[:, :1], states[:, 1:] ^ tags], dim=1)
        zero = torch.zeros_like(lengths)
        plain = torch.stack([zero, lengths & _LOW, lengths >> 32, zero], dim=1).to(torch.int32)
        base = torch.where(is_marked[:, None], marked, plain)
        return _Plan(kinds, torch.where(is_marked, layers, -1), round_keys, base)

    def _blocks(self, plan: _Plan, quads: torch.Tensor) -> torch.Tensor:
        """The words of tokens 4 q to 4 q + 3: [rows, blocks, 4] for quads [blocks] or [rows, blocks]."""
        parts = []
        step = max(1, _BLOCKS // max(1, len(plan.base)))
        for start in range(0, quads.shape[-1], step):
            part = quads[..., start:start + step].to(torch.int32)
            blocks = plan.base[:, None].repeat(1, part.shape[-1], 1)
            blocks[..., 0] ^= part
            parts.append(self._aes.encrypt(plan.round_keys[:, None], blocks))
        return torch.cat(parts, dim=1)

    def _words(self, plan: _Plan, tokens: torch.Tensor) -> torch.Tensor:
        """int64 [rows, n] of tokens [rows, n]."""
        blocks = self._blocks(plan, tokens >> 2)
        return blocks.gather(2, (tokens & 3)[..., None])[..., 0].long() & _LOW

    def _all_words(self, plan: _Plan, size: int) -> torch.Tensor:
        quads = torch.arange((size + 3) // 4, device=self.device)
        return self._blocks(plan, quads).flatten(1)[:, :size].long() & _LOW

    def words(self, slots: torch.Tensor, history: torch.Tensor, lengths: torch.Tensor,
              tokens: torch.Tensor, *, marking: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
        """The words, int64 [rows, n], that decide between tokens [rows, n], and the kinds of the draws.

        As Response.words of the same tokens written before; other arguments as for draw.
        """
        plan = self._plan(slots, history, lengths, marking)
        return self._words(plan, tokens.long() & _LOW), plan.kinds

    def draw(self, logits: torch.Tensor, slots: torch.Tensor, history: torch.Tensor, lengths: torch.Tensor,
             *, marking: bool = True, slots_on_host: Sequence[int] | np.ndarray | None = None,
             counted: torch.Tensor | None = None) -> Draws:
        """Draws a token a row and counts how; nothing else is remembered.

        logits: rows x vocabulary, floating, in nats. slots: the row's response. history: rows x
        any number of tokens that the response has written before, drafts that lead to the row
        included, of which the first lengths[row] count; the prompt is never part of them.
        marking is the service's switch, of now. slots_on_host names the slots that occur, in any
        order (None: any may). Rows where `counted` is false are drawn without being counted.

        O(vocabulary) a row; rows that are cut by top-p alone are sorted whole.
        """
        slots = slots.long()
        plan = self._plan(slots, history, lengths, marking)
        options = self._options[slots]
        on_host = self._options_on_host
        if slots_on_host is not None:
            on_host = on_host[np.unique(np.asarray(slots_on_host, dtype=np.int64))]
        step = max(1, _ENTRIES // logits.shape[1])
        parts = []
        for i in range(0, max(1, len(logits)), step):
            part = slice(i, i + step)
            parts.append(self._race(logits[part], options[part], on_host, _Plan(*(each[part] for each in plan))))
        tokens, kinds = (torch.cat(each) for each in zip(*parts))
        self._counts.scatter_add_(0, kinds, torch.ones_like(kinds) if counted is None else counted.long())
        return Draws(tokens, kinds, torch.where(kinds == _MARKED, plan.layers, -1))

    def _race(self, logits: torch.Tensor, options: torch.Tensor, on_host: np.ndarray, plan: _Plan) -> tuple[
            torch.Tensor, torch.Tensor]:
        """The tokens and kinds of some rows, whose options are [rows, 4]; on_host are all that may occur."""
        size = logits.shape[1]
        temperature, top_k, top_p, min_p = (option[:, None] for option in options.unbind(dim=1))
        is_greedy = temperature == 0
        # NaN is as if it were not there, and both zeros are one.
        scores = torch.where(logits.isnan(), -torch.inf, logits).float() + 0.0

        is_drawn = on_host[:, 0] > 0
        wanted = np.where((on_host[:, 1] == 0) | ~is_drawn, is_drawn * size, on_host[:, 1])  # of the best
        look = int(min(wanted.max(initial=1), size))
        is_ordered = look < size or bool((is_drawn & (on_host[:, 2] < 1)).any()) or bool(
            (is_drawn & (on_host[:, 1] > 0) & (on_host[:, 1] < size)).any())
        if is_ordered:
            # By falling logit, then by rising id: as integers that rank alike.
            bits = scores.view(torch.int32)
            order = torch.where(bits >= 0, bits, bits ^ 0x7FFFFFFF).long()
            keys = (order << 32) | (_LOW - torch.arange(size, device=self.device))
            keys = keys.topk(look).values if look < size else keys.sort(descending=True).values
            ids = _LOW - (keys & _LOW)
            scores = scores.gather(1, ids)
            largest = scores[:, :1]
            likeliest = ids[:, 0]
        else:
            largest = scores.amax(dim=1, keepdim=True)
            likeliest = scores.argmax(dim=1)
        weights = self._weights(scores, largest, torch.where(is_greedy, 1, temperature))
        is_likely = weights >= min_p
        if is_ordered:
            if self._min_p_first:
                weights = torch.where(is_likely, weights, 0)
            weights = self._truncate(weights, top_k, top_p)
        weights = torch.where(is_likely, weights, 0)

        if self._kernel is not None:
            words = self._kernel(plan.round_keys, plan.base, self._aes.columns,
                                 ids if is_ordered else None, weights)
        elif not is_ordered:
            words = self._all_words(plan, size)
        elif 4 * look <= size:
            words = self._words(plan, ids)
        else:
            words = self._all_words(plan, size).gather(1, ids)
        times = -torch.log((words.double() + 0.5) * 2.0**-32) / weights
        times = torch.where(weights > 0, times, torch.inf)
        if is_ordered:
            is_first = times == times.amin(dim=1, keepdim=True)
            tokens = torch.where(is_first, ids, size).amin(dim=1)
        else:
            tokens = times.argmin(dim=1)  # of equal ones the first

        kinds = torch.where((weights > 0).sum(dim=1) == 1, _ONE, plan.kinds)
        kinds = torch.where(is_greedy[:, 0], _GREEDY, kinds)
        kinds = torch.where(largest[:, 0] == -torch.inf, _ERROR, kinds)
        tokens = torch.where(is_greedy[:, 0], likeliest, tokens)
        return torch.where(kinds == _ERROR, -1, tokens), kinds

    @staticmethod
    def _weights(scores: torch.Tensor, largest: torch.Tensor, temperature: torch.Tensor) -> torch.Tensor:
        """Proportional to the probabilities, the likeliest's 1; 0 below e^-708."""
        powers = (scores.double() - largest.double()) / temperature
        weights = torch.where(powers < -708, 0, torch.exp(powers))
        return torch.where(scores == largest, 1.0, weights)  # also where both are infinite

    @staticmethod
    def _truncate(weights: torch.Tensor, top_k: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
        """What top-k and top-p keep of weights that fall."""
        rank = torch.arange(weights.shape[1], device=weights.device)
        weights = torch.where((top_k == 0) | (rank < top_k), weights, 0)
        mass = weights.cumsum(dim=1)
        before = torch.nn.functional.pad(mass[:, :-1], (1, 0))
        is_kept = (rank == 0) | (before < top_p * mass[:, -1:]) | (top_p == 1)
        return torch.where(is_kept, weights, 0)

    def counters(self) -> dict[str, int]:
        """Draws by kind since the start, "error" included. Waits for the device."""
        return dict(zip(KINDS, self._counts.tolist()))


def leave_only(logits: torch.Tensor, drawn: Draws) -> torch.Tensor:
    """logits, in place, with all but the drawn token at -inf; greedy rows and rows without a draw stay."""
    is_drawn = ((drawn.kinds != _GREEDY) & (drawn.tokens >= 0))[:, None]
    tokens = drawn.tokens.clamp(min=0)[:, None]
    values = torch.where(is_drawn, 0, logits.gather(1, tokens))
    return logits.masked_fill_(is_drawn, -torch.inf).scatter_(1, tokens, values)
