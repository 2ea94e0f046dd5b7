# SPDX-License-Identifier: Apache-2.0
"""What a suspect model, whose weights are at hand, predicts while it reads a text: for `countermark audit`.

    python -m countermark.predict MODEL reading.jsonl -o predictions.safetensors

Reading mode: the text's own tokens are fed to the model, and at each the most probable next ones are
kept (countermark.predictions/1, docs/formats.md). No key is at hand, and nothing is drawn. Weights
are safetensors alone and no code of the model's is run: a suspect is not to be trusted.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import countermark
from countermark.alignment import AlignedWork, Alignment, have_same_ids
from countermark.error import Error
from countermark.models import Model, add_flags, libraries, too_little_memory
from countermark.predictions import SCHEMA, Work, read_sha256
from countermark.program import Progress, ended, whole
from countermark.reading import Encode, Special, Text, Window, Windows, read_text, sha256_of

SAVE_SECONDS = 15.0  # between savings: what a killed process loses at most, and one batch
MOST_LENGTH = 2048  # of a window by default: longer contexts cost more than they tell
MOST = (1 << 31) - 1  # of what is counted


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m countermark.predict", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Reads a text with a model and writes what it predicts at each token, for countermark audit.",
        epilog="A run that was stopped goes on where it was when it is repeated.\n"
               "Exit codes: 0 done; 2 usage, 3 bad input, 4 permission, 6 I/O, 130 interrupted.\n\n"
               "Examples:\n"
               "  python -m countermark.predict suspect/ reading.jsonl -o predictions.safetensors\n"
               "  python -m countermark.predict suspect/ served.jsonl --ids-field ids --dtype bfloat16 \\\n"
               "      --limit-tokens 1000000 -o predictions.safetensors\n"
               "  python -m countermark.predict suspect/ served.jsonl --transcripts -o own.safetensors")
    parser.add_argument("model", metavar="MODEL", help="folder of a transformers model, or its name on the hub")
    parser.add_argument("text", metavar="TEXTFILE", help=".txt, one document, or .jsonl, one a line")
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="predictions to write")
    parser.add_argument("--force", action="store_true", help="replace FILE")
    parser.add_argument("--text-field", metavar="PATH", help="of a .jsonl [text]")
    parser.add_argument("--ids-field", metavar="PATH", help="token ids instead: no tokenizer is needed")
    parser.add_argument("--transcripts", action="store_true",
                        help="TEXTFILE is a log of what was served: each prompt and its answer, by their ids")
    parser.add_argument("-t", "--tokenizer", metavar="FILE",
                        help="tokenizer of the text and of the mark; a model with another one reads the text by its own, "
                             "and what it predicts is kept where both cut alike (of unmarked text) [the model's tokenizer.json]")
    parser.add_argument("--add-special-tokens", action="store_true",
                        help="put what the model's tokenizer puts around a text around each document")
    parser.add_argument("--limit-tokens", type=whole(1, MOST), metavar="N", help="read the text's first N alone")
    parser.add_argument("--top-k", type=whole(1, MOST), default=32, metavar="N", help="predictions a position [32]")
    parser.add_argument("--max-length", type=whole(2, MOST), metavar="N",
                        help=f"tokens of a window [the model's, {MOST_LENGTH} at most]")
    parser.add_argument("--stride", type=whole(0, MOST), metavar="N",
                        help="tokens that a window of a longer document reads again, for their context [a quarter]")
    parser.add_argument("--batch-tokens", type=whole(1, MOST), default=4096, metavar="N", help="read at once [4096]")
    add_flags(parser)
    flags = parser.parse_args(arguments)
    if (flags.ids_field is not None) + (flags.text_field is not None) + flags.transcripts > 1:
        parser.error("--text-field, --ids-field, --transcripts: expected one of them")
    return flags


def most_probable(logits: Any, top_k: int) -> tuple[np.ndarray, np.ndarray]:
    """ids and natural logarithms of probabilities, rows x top_k each, of rows x vocabulary of logits.

    The softmax is over the whole row, in float32. By falling probability as it is written, then by
    rising id: bits of a float that is not negative sort as it does, so one integer holds both.
    """
    import torch

    minus = torch.log_softmax(logits.float(), dim=-1).abs_()
    key = minus.view(torch.int32).to(torch.int64)
    key <<= 32
    key |= torch.arange(logits.shape[-1], device=logits.device)
    kept = torch.topk(key, top_k, largest=False, sorted=True).values.cpu().numpy()
    return (kept & 0xFFFFFFFF).astype(np.int32), 0 - (kept >> 32).astype(np.int32).view(np.float32)


class Reader:
    """Feeds windows of the text to the model."""

    def __init__(self, model: Any, text: Text, head: Sequence[int], top_k: int) -> None:
        self._model, self._text, self._top_k = model, text, top_k
        self._head = np.array(head, dtype=np.int32)
        self._elements = 1 << (20 if model.device.type == "cpu" else 24)  # of logits at once, 24 bytes each

    def read(self, windows: Sequence[Window], write: Callable[[int, np.ndarray, np.ndarray], None]) -> None:
        """Predictions of one batch. Short rows are filled up behind their end, which no position before sees."""
        import torch

        rows = [np.concatenate([self._head if w.continues else self._head[:0], self._text.ids[w.context:w.end]])
                for w in windows]
        filled: np.ndarray = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
        for filling, row in zip(filled, rows):
            filling[:len(row)] = row
        with torch.inference_mode():
            logits = self._model(input_ids=torch.from_numpy(filled).to(self._model.device), use_cache=False).logits
            at_once = max(1, self._elements // logits.shape[-1])
            for window, row, predicted in zip(windows, rows, logits):
                begin = len(row) - (window.end - window.first)
                for i in range(begin, len(row), at_once):
                    ids, log_probs = most_probable(predicted[i:min(i + at_once, len(row))], self._top_k)
                    if not np.isfinite(log_probs).all():
                        raise Error(f"token {window.first + i - begin} of the text: the model's predictions are not "
                                    "finite: another --dtype?", "invalid-input")
                    write(window.first + i - begin, ids, log_probs)


def alignment_of(suspect: Model, tokenizer_file: Path) -> Alignment | None:
    """None where the suspect's tokens are the text's, as far as the files say."""
    own = suspect.tokenizer_file
    if not (own.exists() and tokenizer_file.exists()) or sha256_of(own) == sha256_of(tokenizer_file) \
            or have_same_ids(own, tokenizer_file):
        return None
    return Alignment(countermark.Tokenizer.load(tokenizer_file), countermark.Tokenizer.load(own), suspect.vocabulary)


def predict(flags: argparse.Namespace) -> None:
    torch, _ = libraries()
    source = Path(flags.text)
    input_sha256 = sha256_of(source)
    suspect = Model.of(flags)
    if flags.top_k > suspect.vocabulary:
        raise Error(f"--top-k: the model has {suspect.vocabulary} tokens", "invalid-argument", field="top-k")
    special = suspect.special() if flags.add_special_tokens else Special()
    max_length = flags.max_length or min(suspect.positions or MOST_LENGTH, MOST_LENGTH)
    if suspect.positions is not None and max_length > suspect.positions:
        raise Error(f"--max-length: the model reads {suspect.positions} tokens", "invalid-argument", field="max-length")
    stride = max_length // 4 if flags.stride is None else flags.stride
    if len(special.head) + stride >= max_length:
        raise Error(f"--stride: expected less than the window's {max_length} tokens, special ones included",
                    "invalid-argument", field="stride")

    tokenizer_file = Path(flags.tokenizer) if flags.tokenizer else suspect.folder / "tokenizer.json"
    metadata = {"schema": SCHEMA, "suspect": suspect.name, "suspectSha256": suspect.sha256}
    if suspect.revision is not None:
        metadata["suspectRevision"] = suspect.revision
    if flags.tokenizer or tokenizer_file.exists():
        metadata["tokenizerSha256"] = sha256_of(tokenizer_file)
    encode: Encode | None = None
    has_ids = flags.transcripts or flags.ids_field is not None
    if not has_ids and "tokenizerSha256" in metadata:
        encode = countermark.Tokenizer.load(tokenizer_file).encode
    elif not has_ids:
        raise Error(f"{suspect.folder}: has no tokenizer.json: give a tokenizer with -t FILE, or token ids with "
                    "--ids-field", "invalid-argument", str(suspect.folder))
    alignment = alignment_of(suspect, tokenizer_file)
    if alignment and flags.transcripts:
        raise Error(f"{suspect.tokenizer_file}: is another tokenizer than the log's. Which places of marked text count "
                    "would depend on the key: there is no valid test", "unsupported", str(suspect.tokenizer_file))
    if flags.tokenizer and not suspect.tokenizer_file.exists():
        print(f"countermark.predict: {suspect.folder}: has no tokenizer.json: its ids are taken for those of "
              f"{tokenizer_file}", file=sys.stderr)
    text = read_text(source, encode, text_field=flags.text_field or "text", ids_field=flags.ids_field,
                     transcripts=flags.transcripts, special=Special() if alignment else special,
                     limit=flags.limit_tokens,
                     vocabulary=alignment.text_vocabulary if alignment else suspect.vocabulary)
    metadata |= {"inputSha256": input_sha256, "readSha256": read_sha256(text),
                 "documents": str(text.documents), "tokens": str(len(text.ids))}
    read, rows = text, None
    if alignment:
        read, rows, lost = alignment.read(text, special)
        metadata |= {"alignedFrom": sha256_of(suspect.tokenizer_file), "notAligned": str(lost)}
    metadata["settings"] = json.dumps({
        "topK": flags.top_k, "maxLength": max_length, "stride": stride, "batchTokens": flags.batch_tokens,
        "textField": flags.text_field, "idsField": flags.ids_field, "transcripts": flags.transcripts,
        "limitTokens": flags.limit_tokens,
        "head": list(special.head), "tail": list(special.tail), **suspect.settings(),
    }, separators=(",", ":"))

    windows = Windows(read, max_length=max_length, stride=stride, head=len(special.head),
                      batch_tokens=flags.batch_tokens)
    work = Work(Path(flags.out), metadata, text, flags.top_k, force=flags.force, sparse=alignment is not None)
    write = AlignedWork(work, alignment, rows).write if alignment and rows is not None else work.write
    try:
        if work.done < len(windows):
            reader = Reader(suspect.load(), read, special.head, flags.top_k)
            done, saved = windows.predicted(work.done), time.monotonic()
            progress = Progress("countermark.predict", "read", "tokens", done, len(read.ids))
            for batch in range(work.done, len(windows)):
                reader.read(windows[batch], write)
                progress.show(windows.predicted(batch + 1))
                if time.monotonic() - saved >= SAVE_SECONDS:
                    work.save(batch + 1)
                    saved = time.monotonic()
            progress.end()
        work.finish(len(windows))
    except torch.OutOfMemoryError:
        raise too_little_memory("batch-tokens") from None
    finally:
        work.close()


def main(arguments: Sequence[str] | None = None) -> int:
    flags = parse(arguments)
    return ended("predict", flags.out, lambda: predict(flags))


if __name__ == "__main__":
    sys.exit(main())
