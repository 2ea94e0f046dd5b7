# SPDX-License-Identifier: Apache-2.0
"""Export the embedded model for inference engines.

--hf writes a folder for Hugging Face transformers and all that reads its folders, --gguf a file
for llama.cpp. Weights are widened from F16 to float32, so that an engine computes with the numbers
that golden.json was made from. As in `countermark generate`, a text begins with <|endoftext|>, and
special tokens spelled in a text stay text. There is no chat template, since the model continues and
does not answer. It trusts its input: the C++ reader is the one that validates.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

MODEL = Path(__file__).resolve().parent / "model"


@dataclass(frozen=True)
class Model:
    """Shape and weights (float32, Hugging Face names and layout), and the parsed tokenizer."""

    shape: dict[str, int | float]
    begin: int
    end: int
    tensors: dict[str, np.ndarray]
    tokenizer: dict

    def token(self, token_id: int) -> str:
        return next(t for t, i in self.tokenizer["model"]["vocab"].items() if i == token_id)


def load_model() -> Model:
    with safe_open(str(MODEL / "weights.safetensors"), framework="numpy") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name).astype(np.float32) for name in sorted(file.keys())}
    shape = {name: json.loads(metadata[name]) for name in (
        "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
        "num_key_value_heads", "vocab_size", "max_position_embeddings", "rope_theta",
        "rms_norm_eps")}
    tokenizer = json.loads((MODEL / "tokenizer.json").read_text(encoding="utf-8"))
    return Model(shape, int(metadata["bos_token_id"]), int(metadata["eos_token_id"]), tensors,
                 tokenizer)


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def begin_with(token: str, token_id: int) -> dict:
    """A post-processor that puts the token before every text.

    transformers 5 passes over add_bos_token in tokenizer_config.json where there is a
    tokenizer.json, so it has to be here. It changes the file's digest, and no id of a text.
    """
    first = {"SpecialToken": {"id": token, "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    second = {"Sequence": {"id": "B", "type_id": 0}}
    return {"type": "TemplateProcessing", "single": [first, text], "pair": [first, text, second],
            "special_tokens": {token: {"id": token, "ids": [token_id], "tokens": [token]}}}


def export_hugging_face(model: Model, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    ids = {"bos_token_id": model.begin, "eos_token_id": model.end, "pad_token_id": model.end}
    write_json(folder / "config.json", {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "dtype": "float32",
        "hidden_act": "silu", "attention_bias": False, "mlp_bias": False,
        "tie_word_embeddings": True, **model.shape, **ids})
    write_json(folder / "generation_config.json", ids)
    # Named, since the class that transformers has for Llama cuts text as SentencePiece does.
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "split_special_tokens": True,
        "clean_up_tokenization_spaces": False, "padding_side": "left",
        "model_max_length": model.shape["max_position_embeddings"],
        "bos_token": model.token(model.begin), "eos_token": model.token(model.end),
        "pad_token": model.token(model.end)})
    begin = begin_with(model.token(model.begin), model.begin)
    write_json(folder / "tokenizer.json", model.tokenizer | {"post_processor": begin})
    weights = folder / "model.safetensors"
    save_file(model.tensors, weights, metadata={"format": "pt"})
    weights.chmod(0o644)  # the library leaves it to its owner alone


def interleave(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of the pairs (i, i + head_dim / 2) of each head made neighbours.

    Hugging Face rotates the former, llama.cpp's Llama the latter.
    """
    return weight.reshape(heads, 2, -1, weight.shape[-1]).swapaxes(1, 2).reshape(weight.shape)


def export_gguf(model: Model, path: Path) -> None:
    # Here, so that a Hugging Face folder can be had without the package.
    import gguf

    shape = model.shape
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("countermark-embedded")
    writer.add_license("apache-2.0")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_vocab_size(shape["vocab_size"])
    writer.add_context_length(shape["max_position_embeddings"])
    writer.add_embedding_length(shape["hidden_size"])
    writer.add_feed_forward_length(shape["intermediate_size"])
    writer.add_block_count(shape["num_hidden_layers"])
    writer.add_head_count(shape["num_attention_heads"])
    writer.add_head_count_kv(shape["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(shape["rms_norm_eps"])
    writer.add_rope_dimension_count(shape["hidden_size"] // shape["num_attention_heads"])
    writer.add_rope_freq_base(shape["rope_theta"])

    vocabulary = model.tokenizer["model"]["vocab"]
    special = {token["id"] for token in model.tokenizer["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    # Its pattern is that of the ByteLevel pre-tokenizer in tokenizer.json.
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(sorted(vocabulary, key=vocabulary.get))
    writer.add_token_types([gguf.TokenType.CONTROL if i in special else gguf.TokenType.NORMAL
                            for i in range(len(vocabulary))])
    writer.add_token_merges([" ".join(pair) for pair in model.tokenizer["model"]["merges"]])
    writer.add_bos_token_id(model.begin)
    writer.add_eos_token_id(model.end)
    writer.add_pad_token_id(model.end)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)

    # Without an output.weight, llama.cpp takes the embedding's.
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, shape["num_hidden_layers"])
    heads = {"q_proj": shape["num_attention_heads"], "k_proj": shape["num_key_value_heads"]}
    for name, weight in model.tensors.items():
        projection = name.split(".")[-2]
        if projection in heads:
            weight = interleave(weight, heads[projection])
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Export the embedded model for inference engines.")
    parser.add_argument("--hf", type=Path, metavar="FOLDER", help="write a Hugging Face folder")
    parser.add_argument("--gguf", type=Path, metavar="FILE", help="write a GGUF file")
    args = parser.parse_args()
    if args.hf is None and args.gguf is None:
        parser.error("give --hf, --gguf or both")
    model = load_model()
    if args.hf is not None:
        export_hugging_face(model, args.hf)
    if args.gguf is not None:
        export_gguf(model, args.gguf)


if __name__ == "__main__":
    main()
