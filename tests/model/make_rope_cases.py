"""Asks transformers for rotary frequencies and writes rope_cases.json: what
model/rotary.hpp has to agree with.

    python tests/model/make_rope_cases.py     (needs torch, transformers 5.23)

Each case: what stands in config.json beside BASE, the frequencies of a text of 64
tokens, and what cosines and sines are multiplied with.
"""
import json
import pathlib

from transformers import LlamaConfig, Phi3Config
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

BASE = {"vocab_size": 100, "hidden_size": 96, "intermediate_size": 64,
        "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 4096}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024}
LONG = {"rope_type": "longrope", "original_max_position_embeddings": 512,
        "short_factor": [1 + 0.05 * i for i in range(12)],
        "long_factor": [2 + 0.5 * i for i in range(12)]}


def cases():
    yield "llama", {"rope_scaling": {"rope_type": "linear", "factor": 3.0}}
    yield "llama", {"rope_scaling": {"rope_type": "dynamic", "factor": 4.0}}
    yield "llama", {"rope_scaling": {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 1024}}
    for more in [{}, {"beta_fast": 16, "beta_slow": 2}, {"truncate": False},
                 {"attention_factor": 1.25}, {"mscale": 1.0, "mscale_all_dim": 0.8},
                 {"mscale": 0.7}, {"factor": 1.0}, {"beta_fast": 1, "beta_slow": 1},
                 {"original_max_position_embeddings": 32}]:
        yield "llama", {"rope_scaling": {**YARN, **more}}
    yield "llama", {"rope_scaling": YARN, "rope_theta": 1000000.0}
    yield "llama", {"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}
    yield "llama", {"rope_scaling": YARN, "original_max_position_embeddings": 2048}
    yield "phi3", {"rope_scaling": LONG}
    yield "phi3", {"rope_scaling": {**LONG, "attention_factor": 1.1}}
    yield "phi3", {"rope_scaling": {**LONG, "factor": 2.0}}
    yield "phi3", {"rope_scaling": LONG, "max_position_embeddings": 131072}
    yield "phi3", {"rope_scaling": LONG, "original_max_position_embeddings": 1024}
    yield "phi3", {"partial_rotary_factor": 0.5, "rope_scaling": {
        **LONG, "short_factor": LONG["short_factor"][:6],
        "long_factor": LONG["long_factor"][:6]}}


def main():
    out = [BASE]
    for model_type, changes in cases():
        config = {"llama": LlamaConfig, "phi3": Phi3Config}[model_type](
            **json.loads(json.dumps({**BASE, **changes, "pad_token_id": 0})))
        frequencies, magnitude = ROPE_INIT_FUNCTIONS[
            config.rope_parameters["rope_type"]](config, "cpu", seq_len=64)
        out.append([{"model_type": model_type, **changes}, frequencies.tolist(),
                    float(magnitude)])
    path = pathlib.Path(__file__).with_name("rope_cases.json")
    path.write_text("[\n" + ",\n".join(json.dumps(one) for one in out) + "\n]\n")


main()
