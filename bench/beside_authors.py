#!/usr/bin/env python3
"""t2 beside the authors' published procedure, on the shape of SmolLM2-135M with
random weights, in one run: a policy-gradient step, the evaluations of a CEM
iteration, pass 1, and the search for a hidden mixture. Prints JSON with both
figures and their ratio (above 1: t2 is faster).

    tools/setup.sh --peers
    cmake --build --preset release --target engine_bench search_bench training_bench random_model
    .venv-peers/bin/python bench/beside_authors.py --reference CHECKOUT
        [--dtypes bf16,fp32] [--repeats 3] [--only training,search,passes,hidden]

CHECKOUT: SakanaAI/self-adaptive-llms at 03a41ae. About 30 minutes on two cores.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONFIG = ROOT / "tests/assets/smollm2/config.json"
TORCH_NAMES = {"bf16": "bfloat16", "fp32": "float32"}


def theirs(o, bench, dtype):
    """Medians of the reference's benchmark by label, and its peak memory."""
    out = subprocess.run(
        [sys.executable, ROOT / "bench/authors/reference.py", bench,
         "--reference", o.reference, "--work", o.work, "--shapes", "M",
         "--dtypes", dtype, "--repeats", str(o.repeats)],
        check=True, stdout=subprocess.PIPE, text=True).stdout
    found = json.loads(out.splitlines()[-1])
    return ({row["what"]: row["median"] for row in found["rows"]},
            found["facts"]["peak_rss_mb"])


def ours(o, program, dtype, pattern):
    """Medians of our benchmarks by name: seconds and counters."""
    model = o.work / f"t2-{dtype}"
    if not (model / "model.safetensors.index.json").exists():
        subprocess.run([o.build / "bin/random_model", CONFIG, model,
                        TORCH_NAMES[dtype]], check=True)
    out = subprocess.run(
        [o.build / "bin" / program, "--benchmark_format=json",
         f"--benchmark_repetitions={o.repeats}",
         "--benchmark_report_aggregates_only=true",
         f"--benchmark_filter={pattern}"],
        env=os.environ | {"T2_BENCH_MODEL": str(model),
                          "T2_BENCH_DTYPE": TORCH_NAMES[dtype],
                          "T2_BENCH_SVD": str(model / "svd")},
        check=True, capture_output=True, text=True).stdout
    found = {}
    for one in json.loads(out)["benchmarks"]:
        if one.get("aggregate_name") == "median":
            name = one["run_name"].removesuffix("/real_time")
            found[name.removesuffix("/process_time")] = one
    return found


def row(what, dtype, mine, peer, unit="s"):
    return dict(what=what, dtype=dtype, unit=unit, t2=mine, authors=peer,
                ratio=peer / mine if mine and peer else None)


def training(o, dtype):
    peer, peak = theirs(o, "reinforce", dtype)
    rows = []
    for kl, name in ((0, "REINFORCE step"), (1, "REINFORCE step, KL")):
        fields = {label: peer[f"{name}: {label}"]
                  for label in ("total", "rest", "backward")}
        references = peer.get(f"{name}: compute_ref_logprobs", 0) or 0
        for targets, label in ((0, "MLP"), (1, "all projections")):
            # A process of its own: the peak is that of this benchmark.
            key = f"step/svf_mlp0_all1_lora2:{targets}/kl:{kl}"
            mine = ours(o, "training_bench", dtype, f"^{key}/")
            mine = next(v for k, v in mine.items() if k.startswith(key))
            what = f"policy gradient, batch 8, {label}" + (", KL" if kl else "")
            # The authors adapt the MLP; all projections are set beside that.
            rows.append(row(f"{what}: forward and backward", dtype,
                            mine["forward_backward_s"],
                            fields["rest"] + fields["backward"] + references))
            rows.append(row(f"{what}: whole step", dtype,
                            mine["real_time"] / 1e3, fields["total"]))
            rows.append(row(f"{what}: peak memory", dtype, mine["peak_mb"],
                            peak, "MB"))
    return rows


def search(o, dtype):
    peer, _ = theirs(o, "cem", dtype)
    mine = ours(o, "engine_bench", dtype, "^cem_iteration/")
    total = peer["CEM iteration: total"]
    return [
        row("320 evaluations (32 candidates x 10 shots), answers generated",
            dtype, mine["cem_iteration/generate:1"]["real_time"] / 1e3, total),
        row("320 evaluations, references scored (t2's screen)", dtype,
            mine["cem_iteration/generate:0"]["real_time"] / 1e3, total)]


def passes(o, dtype):
    peer, _ = theirs(o, "two_pass", dtype)
    mine = ours(o, "engine_bench", dtype, "^(pass_1|query_prefill|answer_64)/")
    seconds = {k: v["real_time"] / 1e3 for k, v in mine.items()}
    rows = []
    for n in (1, 8):
        first = seconds[f"pass_1/queries:{n}"]
        share = first / seconds[f"answer_64/rows:{n}"]
        rows.append(row(f"pass 1 of a query of 32 tokens, {n} at once", dtype,
                        first, peer[f"two-pass, batch {n}: classify_samples"]))
        rows.append(row(f"pass 1 / pass 2 (64 tokens), {n} at once", dtype,
                        share,
                        peer[f"two-pass, batch {n}: first pass / second pass"],
                        "x"))
        prefill = seconds[f"query_prefill/queries:{n}"]
        rows.append(dict(what=f"pass 1 / prefill of its query, {n} at once",
                         dtype=dtype, unit="x", t2=first / prefill))
    return rows


def hidden(o, dtype):
    """How good each search's find is on unseen texts of a hidden mixture, after
    how many seconds: the reference iteration by iteration, t2 whole searches
    (cross-fitting included) of 1, 2, … iterations."""
    out = subprocess.run(
        [sys.executable, ROOT / "bench/authors/reference.py", "hidden",
         "--reference", o.reference, "--work", o.work, "--dtypes", dtype,
         "--repeats", "6"],
        check=True, stdout=subprocess.PIPE, text=True).stdout
    ceiling, *steps = json.loads(out.splitlines()[-1])["rows"]
    peer = [(row["settings"]["seconds"], row["median"]) for row in steps]
    mine = json.loads(subprocess.run(
        [o.build / "bin/search_bench", o.work / f"hidden-{dtype}",
         TORCH_NAMES[dtype], "4"],
        check=True, stdout=subprocess.PIPE, text=True).stdout)
    best = max(score for _, score in peer)
    reached = lambda trace: next((s for s, score in trace if score >= best),
                                 None)
    found = [(s["seconds"], s["held_out"]) for s in mine["searches"]]
    return [row("hidden mixture: seconds to the best held-out score of the "
                "authors' 6 iterations", dtype, reached(found), reached(peer)),
            dict(what="hidden mixture: held-out score by seconds", dtype=dtype,
                 unit="nats/token", base=mine["base"],
                 hidden=ceiling["median"], t2=found, authors=peer)]


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--reference", type=pathlib.Path, required=True)
    p.add_argument("--work", type=pathlib.Path,
                   default=pathlib.Path("/tmp/t2-authors"))
    p.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    p.add_argument("--dtypes", default="bf16,fp32")
    p.add_argument("--repeats", type=int, default=3)
    p.add_argument("--only", default="training,search,passes,hidden")
    o = p.parse_args()
    o.work.mkdir(parents=True, exist_ok=True)
    benches = dict(training=training, search=search, passes=passes,
                   hidden=hidden)
    rows = []
    for name in o.only.split(","):
        for dtype in o.dtypes.split(","):
            rows += benches[name](o, dtype)
    print(json.dumps(dict(config=str(CONFIG), rows=rows), indent=1))


if __name__ == "__main__":
    main()
