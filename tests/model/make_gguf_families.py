#!/usr/bin/env python3
"""Writes tests/assets/gguf/FAMILY-tiny.gguf from tests/assets/FAMILY-tiny, with
the names, layouts and keys of llama.cpp's convert_hf_to_gguf. What has to come out
is the folders' golden.json. Needs gguf, numpy and ml_dtypes."""
import json
import math
import pathlib
import struct

import gguf
import ml_dtypes
import numpy as np

assets = pathlib.Path(__file__).resolve().parents[1] / "assets"
kinds = {"F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}


def weights(folder):
    out = {}
    for path in sorted(folder.glob("*.safetensors")):
        data = path.read_bytes()
        size = struct.unpack("<Q", data[:8])[0]
        for name, at in json.loads(data[8:8 + size]).items():
            if name == "__metadata__":
                continue
            begin, end = at["data_offsets"]
            values = np.frombuffer(data[8 + size + begin:8 + size + end],
                                   kinds[at["dtype"]])
            out[name] = values.reshape(at["shape"])
    return out


def pairs(rows, heads):
    """As LlamaModel.permute: the two halves of a head, row by row."""
    shape = rows.shape
    return rows.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]) \
        .swapaxes(1, 2).reshape(shape)


llama = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm",
    "lm_head": "output", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "self_attn.qkv_proj": "attn_qkv", "mlp.gate_up_proj": "ffn_up"}
gemma3 = llama | {
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm"}
gpt2 = {"wte": "token_embd", "wpe": "position_embd", "ln_f": "output_norm",
        "ln_1": "attn_norm", "ln_2": "ffn_norm", "attn.c_attn": "attn_qkv",
        "attn.c_proj": "attn_output", "mlp.c_fc": "ffn_up",
        "mlp.c_proj": "ffn_down"}


def write(folder, architecture, names):
    c = json.loads((folder / "config.json").read_text())
    heads = c.get("num_attention_heads", c.get("n_head"))
    kv = c.get("num_key_value_heads") or heads
    hidden = c.get("hidden_size", c.get("n_embd"))
    head_dim = c.get("head_dim") or hidden // heads
    w = gguf.GGUFWriter(assets / "gguf" / (folder.name + ".gguf"), architecture)
    w.add_context_length(c.get("max_position_embeddings", c.get("n_positions")))
    w.add_embedding_length(hidden)
    w.add_block_count(c.get("num_hidden_layers", c.get("n_layer")))
    w.add_feed_forward_length(
        c.get("intermediate_size", c.get("n_inner")) or 4 * hidden)
    w.add_head_count(heads)
    if architecture == "gpt2":
        w.add_layer_norm_eps(c["layer_norm_epsilon"])
    else:
        w.add_head_count_kv(kv)
        w.add_layer_norm_rms_eps(c["rms_norm_eps"])
        rope = c.get("rope_parameters") or c.get("rope_scaling") or {}
        w.add_rope_freq_base(c.get("rope_theta") or rope.get("rope_theta"))
        if architecture in ("llama", "phi3"):
            w.add_rope_dimension_count(head_dim)
        if c.get("head_dim"):
            w.add_key_length(head_dim)
            w.add_value_length(head_dim)
    if architecture in ("gemma3", "phi3"):
        w.add_sliding_window(c.get("sliding_window") or 0)
    if architecture == "gemma3":
        w.add_attention_scale(1 / math.sqrt(c["query_pre_attn_scalar"]))
        w.add_sliding_window_pattern(
            [kind == "sliding_attention" for kind in c["layer_types"]])
    rope = c.get("rope_scaling") or c.get("rope_parameters") or {}
    if rope.get("rope_type") == "llama3":
        old = rope["original_max_position_embeddings"]
        base = c.get("rope_theta") or rope["rope_theta"]
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        factors = []
        for i in range(0, head_dim, 2):
            wavelength = 2 * math.pi * base ** (i / head_dim)
            if wavelength < old / high:
                factors.append(1.0)
            elif wavelength > old / low:
                factors.append(rope["factor"])
            else:
                smooth = (old / wavelength - low) / (high - low)
                factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
        w.add_tensor("rope_freqs.weight", np.array(factors, np.float32))
    for name, values in weights(folder).items():
        stem, kind = name.removeprefix("transformer.").rsplit(".", 1)
        if stem.endswith(".attn") and architecture == "gpt2":
            continue  # mask buffers
        layer = ""
        for prefix in ("model.layers.", "h."):
            if stem.startswith(prefix):
                number, stem = stem.removeprefix(prefix).split(".", 1)
                layer = f"blk.{number}."
        if stem not in names:
            raise SystemExit(f"{folder.name}: {name}?")
        exact = values.dtype
        values = values.astype(np.float32)
        if architecture == "llama" and stem.endswith("q_proj"):
            values = pairs(values, heads)
        if architecture == "llama" and stem.endswith("k_proj"):
            values = pairs(values, kv)
        if architecture == "gemma3" and stem.endswith("norm"):
            values = values + 1
        if architecture == "gpt2" and values.ndim == 2 and \
                stem not in ("wte", "wpe"):
            values = values.T
        values = np.ascontiguousarray(values)
        stored = layer + names[stem] + "." + kind
        if values.ndim == 1 or exact == np.float32:
            w.add_tensor(stored, values)
        elif exact == np.float16:
            w.add_tensor(stored, values.astype(np.float16))
        else:
            kind = gguf.GGMLQuantizationType.BF16
            w.add_tensor(stored, gguf.quantize(values, kind), raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


for name, architecture, names in [
        ("llama3-tiny", "llama", llama), ("qwen2-tiny", "qwen2", llama),
        ("qwen3-tiny", "qwen3", llama), ("gemma3-tiny", "gemma3", gemma3),
        ("phi3-tiny", "phi3", llama), ("gpt2-tiny", "gpt2", gpt2)]:
    write(assets / name, architecture, names)
