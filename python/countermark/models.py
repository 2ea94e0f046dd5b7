# SPDX-License-Identifier: Apache-2.0
"""A transformers model whose weights are at hand: for the programs that read with one, or write.

Weights are safetensors alone and no code of the model's is run: it may be a suspect's, who is not to be trusted.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
from pathlib import Path
from typing import Any

import countermark
from countermark.error import Error
from countermark.program import printable
from countermark.reading import Special, sha256_of

HUB_FILES = ("*.json", "*.safetensors", "*.model")


def libraries() -> tuple[Any, Any]:
    """torch and transformers, where they are installed."""
    try:
        import torch
        import transformers
    except ImportError as error:
        raise Error(f"{error}: pip install torch transformers", "unsupported") from None
    return torch, transformers


def add_flags(parser: argparse.ArgumentParser) -> None:
    """How a model computes, and which of a name's it is."""
    parser.add_argument("--device", choices=("cpu", "cuda"), help="[cuda where there is one]")
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16", "float16"), default="auto",
                        help="to compute with [auto: the model's own]")
    parser.add_argument("--revision", metavar="NAME", help="of a model on the hub")


def too_little_memory(flag: str) -> Error:
    return Error(f"the device has too little memory: fewer --{flag}, or a narrower --dtype", "invalid-argument",
                 field=flag)


def special_of(file: Path) -> Special:
    """What the tokenizer of a tokenizer.json puts before and behind a text."""
    import tokenizers

    try:
        encoded = tokenizers.Tokenizer.from_file(str(file)).encode("a")
    except Exception as error:  # the library raises no narrower one
        raise Error(f"{file}: {printable(str(error))}", "invalid-input", str(file)) from None
    own = [i for i, added in enumerate(encoded.special_tokens_mask) if not added] or [len(encoded.ids)]
    return Special(encoded.ids[:own[0]], encoded.ids[own[-1] + 1:])


class Model:
    """A model's folder, its digest and its configuration; weights are loaded when they are needed."""

    def __init__(self, name: str, revision: str | None, dtype: str, device: str | None) -> None:
        torch, transformers = libraries()
        if not sys.stderr.isatty():
            transformers.utils.logging.disable_progress_bar()
        transformers.utils.logging.set_verbosity_error()
        self.folder, self.revision = self._folder(name, revision)
        self.name = name if self.revision else self.folder.resolve().name
        files = [self.folder / "config.json", *sorted(self.folder.glob("*.safetensors"), key=os.fsencode)]
        if not files[0].is_file() or len(files) == 1:
            raise Error(f"{self.folder}: expected config.json and *.safetensors", "invalid-input", str(self.folder))
        if (self.folder / "adapter_config.json").exists():
            raise Error(f"{self.folder}: is an adapter: merge it into its model", "unsupported", str(self.folder))
        sums = "".join(f"{sha256_of(file)}  {file.name}\n" for file in files)
        self.sha256 = hashlib.sha256(os.fsencode(sums)).hexdigest()
        try:
            config = transformers.AutoConfig.from_pretrained(self.folder, trust_remote_code=False)
            text = config.get_text_config()
            self.vocabulary = int(text.vocab_size)
            own = getattr(config, "dtype", None) or getattr(text, "dtype", None) or "float32"
            self.dtype: Any = getattr(torch, str(own if dtype == "auto" else dtype).removeprefix("torch."))
        except (OSError, ValueError, LookupError, AttributeError, TypeError) as error:
            said = printable(str(error))
            raise Error(f"{self.folder}/config.json: {said}", "unsupported", str(self.folder)) from None
        self.positions: int | None = getattr(text, "max_position_embeddings", None)
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise Error("--device cuda: there is none", "invalid-argument", field="device")

    @classmethod
    def of(cls, flags: argparse.Namespace) -> Model:
        """As the flags of add_flags say, and the argument `model`."""
        return cls(flags.model, flags.revision, flags.dtype, flags.device)

    def settings(self) -> dict[str, str]:
        """How it computes, for the record."""
        torch, transformers = libraries()
        return {"dtype": str(self.dtype).removeprefix("torch."), "device": self.device, "torch": torch.__version__,
                "transformers": transformers.__version__, "countermark": countermark.__version__}

    @property
    def tokenizer_file(self) -> Path:
        """Which need not be there."""
        return self.folder / "tokenizer.json"

    @staticmethod
    def _folder(name: str, revision: str | None) -> tuple[Path, str | None]:
        """A hub's copy lies in a folder with the revision's name."""
        if Path(name).is_dir():
            if revision is not None:
                raise Error("--revision: is for a model on the hub", "invalid-argument", field="revision")
            return Path(name), None
        if not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", name):
            raise Error(f"{name}: no such folder", "io", name)
        import huggingface_hub

        try:
            folder = Path(huggingface_hub.snapshot_download(name, revision=revision, allow_patterns=list(HUB_FILES)))
        except (OSError, ValueError) as error:
            raise Error(f"{name}: no such folder, and the hub: {printable(str(error))}", "io", name) from None
        return folder, folder.name

    def special(self) -> Special:
        """What its tokenizer puts before and behind a text."""
        return special_of(self.tokenizer_file)

    def load(self) -> Any:
        import transformers

        try:
            loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(
                self.folder, dtype=self.dtype, use_safetensors=True, trust_remote_code=False, output_loading_info=True)
        except (OSError, ValueError, LookupError, RuntimeError, ImportError) as error:
            raise Error(f"{self.folder}: {printable(str(error))}", "unsupported", str(self.folder)) from None
        model, how = loaded
        if how["missing_keys"]:  # which would be random
            raise Error(f"{self.folder}: no weights for {sorted(how['missing_keys'])[0]}", "invalid-input",
                        str(self.folder))
        return model.to(self.device).eval()
