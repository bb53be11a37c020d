"""Makes tests/assets/gemma2-tiny: a Gemma 2 of random weights and what
transformers computes with it. The fields of golden.json are those of the other
models' (its "about" explains them).

    python tests/model/make_gemma2_golden.py   (needs torch, transformers 5.23,
                                                safetensors)
"""
import json
import math
import pathlib

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import Gemma2Config, Gemma2ForCausalLM

FOLDER = pathlib.Path(__file__).parents[1] / "assets/gemma2-tiny"
LAYERS = 3
NAMES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def make():
    torch.manual_seed(6)
    config = Gemma2Config(
        vocab_size=320, hidden_size=64, intermediate_size=144,
        num_hidden_layers=LAYERS, num_attention_heads=4, num_key_value_heads=2,
        head_dim=24, query_pre_attn_scalar=40, sliding_window=16,
        # Low enough that random weights come near them.
        attn_logit_softcapping=2.0, final_logit_softcapping=1.5,
        max_position_embeddings=512, bos_token_id=2, eos_token_id=1,
        initializer_range=0.2)
    model = Gemma2ForCausalLM(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.normal_(0, 0.2)
    FOLDER.mkdir(exist_ok=True)
    weights = {name: value.to(torch.bfloat16).contiguous()
               for name, value in model.state_dict().items() if name != "lm_head.weight"}
    save_file(weights, FOLDER / "model.safetensors", {"format": "pt"})
    said = json.loads(config.to_json_string(use_diff=False))
    keep = ["architectures", "model_type", "vocab_size", "hidden_size",
            "intermediate_size", "num_hidden_layers", "num_attention_heads",
            "num_key_value_heads", "head_dim", "query_pre_attn_scalar",
            "sliding_window", "layer_types", "attn_logit_softcapping",
            "final_logit_softcapping", "max_position_embeddings", "bos_token_id",
            "eos_token_id", "hidden_activation", "rms_norm_eps",
            "tie_word_embeddings", "attention_bias", "rope_parameters"]
    said["architectures"] = ["Gemma2ForCausalLM"]
    (FOLDER / "config.json").write_text(
        json.dumps({key: said[key] for key in keep if key in said}
                   | {"dtype": "bfloat16"}, indent=1) + "\n")


def load():
    config = Gemma2Config(**json.loads((FOLDER / "config.json").read_text()))
    config._attn_implementation = "eager"
    model = Gemma2ForCausalLM(config).float().eval()
    weights = {name: value.float()
               for name, value in load_file(FOLDER / "model.safetensors").items()}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected and missing in ([], ["lm_head.weight"]), (missing, unexpected)
    model.tie_weights()
    return model


def projections(model):
    for layer, block in enumerate(model.model.layers):
        for j, name in enumerate(NAMES):
            part = block.self_attn if name[0] in "qkvo" and name != "gate_proj" else block.mlp
            part = block.mlp if name in ("gate_proj", "up_proj", "down_proj") else part
            yield layer, j, name, getattr(part, name)


def short(x):
    return float(f"{float(x):.8g}")


def record(model, ids, continuation):
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].double()
        best = logits[-1].topk(16)
        text, greedy, margin = list(ids), [], math.inf
        for _ in range(32):
            last = model(torch.tensor([text])).logits[0, -1]
            two = last.topk(2).values
            margin = min(margin, float(two[0] - two[1]))
            greedy.append(int(last.argmax()))
            text.append(greedy[-1])
        out = {"input_ids": ids,
               "last_logits": {"ids": best.indices.tolist(),
                               "values": [short(v) for v in best.values]},
               "logits_l2": [short(v) for v in logits.norm(dim=1)],
               "greedy_32": greedy, "greedy_min_margin": short(margin)}
    out["logprob_sum"] = short(log_probability(model, ids, continuation).detach())
    return out


def log_probability(model, ids, continuation):
    logits = model(torch.tensor([list(ids) + continuation])).logits[0].double()
    log_p = torch.log_softmax(logits, -1)
    rows = torch.arange(len(continuation)) + len(ids) - 1
    return log_p[rows, torch.tensor(continuation)].sum()


def main():
    make()
    model = load()
    generator = torch.Generator().manual_seed(7)
    draw = lambda n: torch.randint(3, 320, (n,), generator=generator).tolist()
    prompts, continuation = [draw(1), draw(17), draw(40)], draw(8)
    out = {"about": {"numerics": "weights cast to float32, CPU, eager attention, no "
                                 "cache; SVD in float64. Fields as in gemma3-tiny"},
           "transformers": transformers.__version__, "projections": NAMES,
           "continuation": continuation,
           "prompts": [record(model, ids, continuation) for ids in prompts],
           "svf": [], "svf_gradient": []}
    factors = {}
    for layer, j, name, linear in projections(model):
        u, s, vh = torch.linalg.svd(linear.weight.detach().double(), full_matrices=False)
        factors[layer, j] = (linear, linear.weight.detach().clone(), u, s, vh)
    for norm in ["none", "nuclear"]:
        for targets in ["all", "mlp"]:
            for (layer, j), (linear, weight, u, s, vh) in factors.items():
                if targets == "mlp" and j < 4:
                    continue
                z = 1 + 0.5 * torch.sin(0.37 * torch.arange(len(s)).double() + layer + j)
                nu = s.sum() / (s * z).sum() if norm == "nuclear" else 1
                linear.weight.data = (u @ torch.diag(nu * s * z) @ vh).float()
            out["svf"].append({"norm": norm, "targets": targets,
                               **record(model, prompts[1], continuation)})
            for linear, weight, *_ in factors.values():
                linear.weight.data = weight.clone()
    model.zero_grad()
    (-log_probability(model, prompts[1], continuation)).backward()
    for (layer, j), (linear, weight, u, s, vh) in factors.items():
        group = "self_attn" if j < 4 else "mlp"
        grad = s * torch.einsum("mr,mn,rn->r", u, linear.weight.grad.double(), vh)
        gap = ((s[:-1] - s[1:]) / s[0]).min()
        out["svf_gradient"].append({
            "weight": f"model.layers.{layer}.{group}.{NAMES[j]}.weight",
            "grad_l2": short(grad.norm()), "grad_first8": [short(g) for g in grad[:8]],
            "s_first8": [short(v) for v in s[:8]], "min_rel_gap": short(gap)})
    (FOLDER / "golden.json").write_text(json.dumps(out) + "\n")
    print("margins", [p["greedy_min_margin"] for p in out["prompts"] + out["svf"]])


main()
