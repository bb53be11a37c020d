"""Asks transformers what it reads where a config.json says something twice, or
leaves it out, and writes config_cases.json: what model/model_config.hpp has to
agree with, or to refuse.

    python tests/model/make_config_cases.py     (needs transformers 5.23)

First stands a base, then each case: what of the base it changes, and what transformers makes of that: theta, the
scaling, the window ("mixed": of some layers only), heads of keys, their size;
null where it cannot be built. With `may_refuse` t2 may also refuse it.
"""

import copy
import itertools
import json
import pathlib

from transformers import LlamaConfig, MistralConfig, Qwen2Config

BASE = {
    "vocab_size": 100,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "max_position_embeddings": 512,
}
CLASSES = {"llama": LlamaConfig, "mistral": MistralConfig, "qwen2": Qwen2Config}

LLAMA3 = {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 128}
OTHER = {**LLAMA3, "factor": 4.0, "original_max_position_embeddings": 64}


def without(settings, key):
    return {name: value for name, value in settings.items() if name != key}


ROPES = [
    None,
    {},
    {"rope_type": "default"},
    {"rope_type": "default", "rope_theta": 5000.0},
    {"rope_theta": 7000.0},
    {"type": "default", "factor": 8.0},
    LLAMA3,
    {**OTHER, "rope_theta": 9000.0},
    {**without(LLAMA3, "rope_type"), "type": "llama3"},
    {**LLAMA3, "type": "linear"},
    {**without(LLAMA3, "rope_type"), "type": "llama3", "rope_type": "default"},
    without(LLAMA3, "original_max_position_embeddings"),
]


def cases():
    for scaling, parameters in itertools.product(ROPES, ROPES):
        for theta in [None, 300000.0]:
            case = {"rope_scaling": scaling, "rope_parameters": parameters}
            yield "llama", case if theta is None else {**case, "rope_theta": theta}
    for scaling in ROPES[3:]:
        yield "llama", {"rope_scaling": scaling}
        yield "qwen2", {"rope_parameters": scaling, "rope_theta": 1000000}
        yield "mistral", {"rope_scaling": scaling, "sliding_window": None}
        yield "llama", {"rope_scaling": scaling, "original_max_position_embeddings": 32}
    kinds = [None, ["full_attention"] * 2, ["sliding_attention"] * 2,
             ["full_attention", "sliding_attention"], ["full_attention"]]
    for kind in kinds:
        some = {} if kind is None else {"layer_types": kind}
        for window in [{}, {"sliding_window": None}, {"sliding_window": 16}]:
            yield "llama", {**some, **window}
            yield "mistral", {**some, **window}
            for use in [{}, {"use_sliding_window": False}, {"use_sliding_window": True}]:
                for first in [{}, *({"max_window_layers": n} for n in [0, 1, 2])]:
                    yield "qwen2", {**some, **window, **use, **first}
    for model_type in CLASSES:
        # Mistral's config has no null there; t2 takes it as the others do.
        if model_type != "mistral":
            yield model_type, {"num_key_value_heads": None}
        yield model_type, {"num_key_value_heads": "left out", "num_attention_heads": 32}
        yield model_type, {"head_dim": None}
        yield model_type, {"head_dim": 16}
        yield model_type, {"attention_bias": True}
        yield model_type, {"mlp_bias": True}
        yield model_type, {"hidden_act": "swish"}


def window_of(config):
    """What each decoder's masks are made of."""
    if config.model_type == "llama":
        return None
    if config.model_type == "mistral":
        return config.sliding_window
    kinds = set(config.layer_types)
    if kinds == {"full_attention"}:
        return None
    if config.sliding_window is None:
        raise ValueError("sliding layers without a window")
    return config.sliding_window if kinds == {"sliding_attention"} else "mixed"


def read(model_type, case):
    given = copy.deepcopy(case)
    given.pop("model_type")
    config = CLASSES[model_type].from_dict(given)
    # The rotary embedding standardizes once more before it computes.
    config.standardize_rope_params()
    config.validate()
    rope = config.rope_parameters
    scaling = None
    if rope["rope_type"] == "llama3":
        scaling = [rope["factor"], rope["low_freq_factor"], rope["high_freq_factor"],
                   rope["original_max_position_embeddings"]]
    elif rope["rope_type"] != "default":
        raise ValueError("a type that is not tried here")
    return {
        "theta": rope["rope_theta"],
        "scaling": scaling,
        "window": window_of(config),
        "kv_heads": config.num_key_value_heads,
        "head_dim": config.head_dim
        if getattr(config, "head_dim", None)
        else config.hidden_size // config.num_attention_heads,
        "biases": [
            model_type == "qwen2" or bool(model_type == "llama" and config.attention_bias),
            bool(model_type == "llama" and config.attention_bias),
            bool(model_type == "llama" and config.mlp_bias),
        ],
    }


def main():
    out = []
    for model_type, changes in cases():
        case = {"model_type": model_type, **BASE, **changes}
        case = {name: value for name, value in case.items() if value != "left out"}
        try:
            expected = read(model_type, case)
        except Exception:
            expected = None
        # Contradictions that transformers resolves silently.
        may_refuse = "layer_types" in changes or changes.get("mlp_bias") or (
            model_type == "mistral" and changes.get("attention_bias"))
        # A patch to the base: null takes a key away, and [null] is null.
        patch = {name: [None] if value is None else value for name, value in case.items()
                 if name not in BASE or BASE[name] != value}
        patch |= {name: None for name in BASE if name not in case}
        out.append([patch, expected, bool(may_refuse)])
    lines = ",\n".join(json.dumps(one) for one in [BASE, *out])
    path = pathlib.Path(__file__).with_name("config_cases.json")
    path.write_text("[\n" + lines + "\n]\n")


main()
