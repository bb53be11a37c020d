#!/usr/bin/env python3
"""What mixtures of one batch cost, in one run: 32 decoding rows over 8 mixtures
beside 32 rows under one and under the base, on the shape of SmolLM2-135M with
random weights in bfloat16; the ceiling that the plan's flops set; and the
truncated delta plan, its throughput beside its KL per token to the exact plan
on the trained experts of assets/. Prints JSON.

    cmake --build --preset release --target engine_bench delta_rank_bench random_model
    python3 bench/mixtures.py [--build build/release] [--repeats 5]
"""
import argparse
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONFIG = ROOT / "tests/assets/smollm2/config.json"


def flops(config, targets):
    """Multiplications of one token's linear maps: base and factored."""
    h, inner = config["hidden_size"], config["intermediate_size"]
    dim = h // config["num_attention_heads"]
    kv = config["num_key_value_heads"] * dim
    attention = [(h, h), (kv, h), (kv, h), (h, h)]
    mlp = [(inner, h), (inner, h), (h, inner)]
    thin = lambda maps: sum(min(m, n) * (m + n) for m, n in maps)
    full = lambda maps: sum(m * n for m, n in maps)
    layers, head = config["num_hidden_layers"], config["vocab_size"] * h
    base = layers * (full(attention) + full(mlp)) + head
    adapted = thin(mlp) + (thin(attention) if targets == "all"
                           else full(attention))
    return base, layers * adapted + head


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    p.add_argument("--work", type=pathlib.Path, default=pathlib.Path("/tmp/t2-peers"))
    p.add_argument("--repeats", type=int, default=5)
    o = p.parse_args()
    model = o.work / "bfloat16"
    if not (model / "model.safetensors.index.json").exists():
        subprocess.run([o.build / "bin/random_model", CONFIG, model, "bfloat16"],
                       check=True)
    out = subprocess.run(
        [o.build / "bin/engine_bench", "--benchmark_format=json",
         f"--benchmark_repetitions={o.repeats}",
         "--benchmark_report_aggregates_only=true",
         "--benchmark_filter=^decode/rows:32|^decode_mixtures|^decode_truncated"],
        env=os.environ | {"T2_BENCH_MODEL": str(model),
                          "T2_BENCH_DTYPE": "bfloat16",
                          "T2_BENCH_SVD": str(model / "svd")},
        check=True, capture_output=True, text=True).stdout
    rate = {one["run_name"].removesuffix("/real_time"): one["tokens_per_second"]
            for one in json.loads(out)["benchmarks"]
            if one.get("aggregate_name") == "median"}
    base = rate["decode/rows:32"]
    config = json.loads(CONFIG.read_text())
    rows = []
    for number, targets in ((1, "mlp"), (2, "all")):
        key = "decode_mixtures/plan:{}/mixtures:{}/targets:" + str(number)
        one, eight = rate[key.format(1, 1)], rate[key.format(2, 8)]
        plain, thin = flops(config, targets)
        rows.append(dict(targets=targets, unit="tokens/s", base=base,
                         one_mixture=one, one_over_base=one / base,
                         eight_mixtures=eight, eight_over_one=eight / one,
                         ceiling_by_flops=plain / thin,
                         eight_mixtures_delta_plan=rate[key.format(3, 8)]))
    kl = json.loads(subprocess.run(
        [o.build / "bin/delta_rank_bench", ROOT / "assets/t2-mini",
         ROOT / "assets/experts"],
        check=True, capture_output=True, text=True).stdout)
    exact = rows[1]["eight_mixtures"]
    rank = config["hidden_size"]
    truncated = [
        dict(part=part, rank=int(part * rank),
             tokens_per_second=rate[f"decode_truncated/rank:{int(part * rank)}"],
             over_exact=rate[f"decode_truncated/rank:{int(part * rank)}"] / exact,
             kl_per_token=next(k["kl"] for k in kl["ranks"]
                               if abs(k["rank"] / k["of"] - part) < 1e-9))
        for part in (0.0625, 0.125, 0.25, 0.5)]
    print(json.dumps(dict(config=str(CONFIG), dtype="bfloat16", rows=rows,
                          truncated=truncated,
                          kl_of_the_base=kl["kl_of_the_base"]), indent=1))


if __name__ == "__main__":
    main()
