"""Asks transformers what it reads where a config.json says something twice, or
leaves it out, and writes config_cases.json: what model/model_config.hpp has to
agree with, or to refuse.

    python tests/model/make_config_cases.py     (needs transformers 5.23)

First stands a base, then each case: what of the base it changes, and what
transformers makes of that: theta (and that of windowed layers), the scaling,
each layer's window and whether it rotates, how many entries of a head, heads of
keys, their size, biases, and what else a family has of its own; null where it
cannot be built. With `may_refuse` t2 may also refuse it.
"""

import copy
import itertools
import json
import pathlib

from transformers import (Gemma3TextConfig, GPT2Config, GPTNeoXConfig, LlamaConfig,
                          MistralConfig, Olmo2Config, Phi3Config, Qwen2Config,
                          Qwen3Config, SmolLM3Config)

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
OTHERS = {"qwen3": Qwen3Config, "olmo2": Olmo2Config, "smollm3": SmolLM3Config,
          "gemma3_text": Gemma3TextConfig, "phi3": Phi3Config, "gpt_neox": GPTNeoXConfig,
          "gpt2": GPT2Config}
GPT2_KEYS = {"hidden_size": "n_embd", "num_hidden_layers": "n_layer",
             "num_attention_heads": "n_head", "max_position_embeddings": "n_positions"}

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


def other_cases():
    kinds = [None, ["full_attention"] * 2, ["sliding_attention"] * 2,
             ["full_attention", "sliding_attention"]]
    for kind in kinds:
        some = {} if kind is None else {"layer_types": kind}
        for window in [{}, {"sliding_window": None}, {"sliding_window": 16}]:
            for use in [{}, {"use_sliding_window": True}]:
                yield "smollm3", {**some, **window, **use}
                for first in [{}, {"max_window_layers": 0}, {"max_window_layers": 1}]:
                    yield "qwen3", {**some, **window, **use, **first}
            yield "gemma3_text", {**some, **window}
            yield "gemma3_text", {**some, **window, "sliding_window_pattern": 2}
    for window in [None, 16]:
        yield "phi3", {"sliding_window": window}
    for model_type in OTHERS:
        yield model_type, {}
        yield model_type, {"tie_word_embeddings": True}
        yield model_type, {"tie_word_embeddings": False}
        if model_type in ["gpt2", "gpt_neox"]:
            continue
        yield model_type, {"num_key_value_heads": "left out", "num_attention_heads": 32}
        yield model_type, {"head_dim": 16}
        yield model_type, {"rope_theta": 5000.0}
        yield model_type, {"rms_norm_eps": 1e-4}
        yield model_type, {"attention_bias": True}
    for model_type in ["qwen3", "olmo2", "smollm3", "phi3"]:
        yield model_type, {"num_key_value_heads": None}
        if model_type != "phi3":  # Its config allows longrope alone.
            yield model_type, {"rope_scaling": {"rope_type": "linear", "factor": 4.0}}
    yield "smollm3", {"mlp_bias": True}
    for layers in [[1, 0], [0, 0], [0, 1], None]:
        for interval in [{}, {"no_rope_layer_interval": 1}, {"no_rope_layer_interval": 2}]:
            yield "smollm3", {"no_rope_layers": layers, **interval}
            yield "smollm3", {"no_rope_layers": layers, **interval,
                              "use_sliding_window": True, "sliding_window": 16}
    for change in [{"rope_local_base_freq": 777.0}, {"query_pre_attn_scalar": 40},
                   {"hidden_activation": "gelu"}, {"hidden_activation": "silu"},
                   {"rope_scaling": {"rope_type": "linear", "factor": 8.0}},
                   {"rope_parameters": {
                       "full_attention": {"rope_type": "linear", "factor": 8.0,
                                          "rope_theta": 3000.0},
                       "sliding_attention": {"rope_type": "default",
                                             "rope_theta": 30.0}}},
                   {"rope_parameters": {"full_attention": {"rope_type": "default"}},
                    "rope_theta": 900.0}]:
        yield "gemma3_text", change
    for change in [{"rotary_pct": 0.5}, {"rotary_pct": 1.0}, {"rotary_emb_base": 500},
                   {"rope_parameters": {"rope_type": "default", "rope_theta": 300.0,
                                        "partial_rotary_factor": 0.5}},
                   {"use_parallel_residual": False}, {"attention_bias": False},
                   {"layer_norm_eps": 1e-4}, {"hidden_act": "gelu_new"},
                   {"hidden_act": "gelu_pytorch_tanh"}]:
        yield "gpt_neox", change
    for change in [{"n_inner": None}, {"n_inner": 100}, {"activation_function": "gelu"},
                   {"activation_function": "silu"}, {"scale_attn_weights": False},
                   {"layer_norm_epsilon": 1e-4}]:
        yield "gpt2", change


def windows_of(config):
    """What each layer's mask is made of."""
    layers = config.num_hidden_layers
    if config.model_type in ["llama", "olmo2", "gpt2", "gpt_neox"]:
        return [None] * layers
    if config.model_type in ["mistral", "phi3"]:
        return [config.sliding_window] * layers
    out = [None if kind == "full_attention" else config.sliding_window
           for kind in config.layer_types]
    if any(kind != "full_attention" and config.sliding_window is None
           for kind in config.layer_types):
        raise ValueError("sliding layers without a window")
    return out


def rope_of(config):
    """Bases and the scaling of the first one."""
    if config.model_type == "gpt2":
        return None, None, None
    rope, local = config.rope_parameters, None
    if config.model_type == "gemma3_text":
        if rope["sliding_attention"]["rope_type"] != "default":
            raise ValueError("a type that is not tried here")
        rope, local = rope["full_attention"], rope["sliding_attention"]["rope_theta"]
        if "sliding_attention" not in config.layer_types:
            local = None
    scaling = None
    if rope["rope_type"] == "llama3":
        scaling = [rope["factor"], rope["low_freq_factor"], rope["high_freq_factor"],
                   rope["original_max_position_embeddings"]]
    elif rope["rope_type"] == "linear":
        scaling = rope["factor"]
    elif rope["rope_type"] != "default":
        raise ValueError("a type that is not tried here")
    return rope["rope_theta"], local, scaling


def rotated_of(config):
    if config.model_type == "smollm3":
        return [bool(one) for one in config.no_rope_layers]
    return [config.model_type != "gpt2"] * config.num_hidden_layers


def biases_of(config):
    """q k v; o; the MLP's."""
    kind = config.model_type
    if kind == "gpt2":
        return [True] * 3
    own = bool(getattr(config, "attention_bias", False))
    if kind in ["mistral", "phi3"]:
        return [False] * 3
    if kind == "qwen2":
        return [True, False, False]
    mlp = kind == "gpt_neox" or (
        kind in ["llama", "smollm3"] and bool(config.mlp_bias))
    return [own, own, mlp]


def head_dim_of(config):
    return getattr(config, "head_dim", None) or (
        config.hidden_size // config.num_attention_heads)


def scale_of(config):
    if config.model_type == "gemma3_text":
        return config.query_pre_attn_scalar ** -0.5
    if config.model_type == "gpt2" and not config.scale_attn_weights:
        return 1.0
    return head_dim_of(config) ** -0.5


def read(model_type, case):
    given = copy.deepcopy(case)
    given.pop("model_type")
    config = {**CLASSES, **OTHERS}[model_type].from_dict(given)
    if model_type != "gpt2":
        # The rotary embedding standardizes once more before it computes.
        config.standardize_rope_params()
    config.validate()
    theta, local, scaling = rope_of(config)
    part = 1.0
    if model_type == "gpt_neox":
        part = config.rope_parameters["partial_rotary_factor"]
    act = {"gpt2": "activation_function", "gemma3_text": "hidden_activation"}
    epsilon = {"gpt2": "layer_norm_epsilon", "gpt_neox": "layer_norm_eps"}
    return {
        "theta": theta,
        "windowed_theta": local,
        "scaling": scaling,
        "windows": windows_of(config),
        "rotated": rotated_of(config),
        "rotated_dims": int(head_dim_of(config) * part),
        "kv_heads": config.num_attention_heads if model_type in ["gpt2", "gpt_neox"]
        else config.num_key_value_heads,
        "head_dim": head_dim_of(config),
        "biases": biases_of(config),
        "activation": getattr(config, act.get(model_type, "hidden_act")),
        "epsilon": getattr(config, epsilon.get(model_type, "rms_norm_eps")),
        "tied": bool(config.tie_word_embeddings),
        "scale": scale_of(config),
        "intermediate": (config.n_inner or 4 * config.n_embd) if model_type == "gpt2"
        else config.intermediate_size,
    }


def main():
    out = []
    for model_type, changes in [*cases(), *other_cases()]:
        base = BASE
        if model_type == "gpt2":
            base = {GPT2_KEYS.get(name, name): value for name, value in BASE.items()
                    if name not in ["intermediate_size", "num_key_value_heads"]}
        if model_type == "gpt_neox":
            base = {name: value for name, value in BASE.items()
                    if name != "num_key_value_heads"}
        case = {"model_type": model_type, **base, **changes}
        case = {name: value for name, value in case.items() if value != "left out"}
        try:
            expected = read(model_type, case)
        except Exception:
            expected = None
        # Contradictions that transformers resolves silently.
        may_refuse = "layer_types" in changes or changes.get("mlp_bias") or (
            model_type in ["mistral", "phi3"] and changes.get("attention_bias"))
        # A patch to the base: null takes a key away, and [null] is null.
        patch = {name: [None] if value is None else value for name, value in case.items()
                 if name not in BASE or BASE[name] != value}
        patch |= {name: None for name in BASE if name not in case}
        out.append([patch, expected, bool(may_refuse)])
    lines = ",\n".join(json.dumps(one) for one in [BASE, *out])
    path = pathlib.Path(__file__).with_name("config_cases.json")
    path.write_text("[\n" + lines + "\n]\n")


main()
