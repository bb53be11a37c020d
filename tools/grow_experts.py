#!/usr/bin/env python3
"""Grows the experts of `t2 demo` by reinforcement, with LoRA beside them at the
same budget of answers, and measures each on questions that it has not seen.

    tools/grow_experts.py [--families math,code,reasoning] [--methods svf,lora]
                          [--seeds 1,2,3] [--work FOLDER] [--out FOLDER]

A run that is in WORK/results.jsonl is not made again, and one that was stopped
goes on from its checkpoint. Seed 1's experts and the curves of their training
go to OUT (assets/experts), the figures of all runs to OUT/results.jsonl, and a
table of them to standard output. About a minute a run on two cores.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / os.environ.get("T2_BUILD_FOLDER", "build/release")
MODEL = ROOT / "assets/t2-mini"
# 40 steps of 24 prompts, four answers each. What differs between the methods is
# the rate: z is about 1, and LoRA's B starts at 0.
RECIPE = ["--objective", "reinforce", "--steps", "40", "--batch", "24",
          "--samples", "4", "--kl-weight", "0.1", "--max-answer-tokens", "64",
          "--validate-every", "10", "--checkpoint-every", "10"]
METHOD = {"svf": ["--targets", "all", "--learning-rate", "0.02"],
          "lora": ["--rank", "16", "--alpha", "32", "--learning-rate", "0.005"]}
SIZES = {"train": 1500, "validation": 150, "test": 500}


def data(work, family):
    files = {}
    for portion, count in SIZES.items():
        files[portion] = work / f"{family}.{portion}.jsonl"
        if not files[portion].exists():
            lines = subprocess.run(
                [BUILD / "bin/demo_corpus", family, portion, str(count)],
                check=True, capture_output=True).stdout
            files[portion].write_bytes(lines)
    return files


def t2(work, *arguments):
    environment = {k: v for k, v in os.environ.items()
                   if not k.startswith("T2_")}
    return subprocess.run(
        [BUILD / "bin/t2", *map(str, arguments), "--json",
         "--model-path", MODEL, "--model-dtype", "float32",
         "--store", work / "store.db",
         "--model-svd-cache", work / "svd", "--socket", work / "t2.sock"],
        check=True, stdout=subprocess.PIPE, env=environment).stdout


def run(work, out, family, method, seed):
    files = data(work, family)
    name = f"{family}-{method}-{seed}"
    extra = ["--output", work / name] if method == "lora" else []
    told = json.loads(t2(
        work, "expert", "train", name, "--method", method,
        "--data", files["train"], "--validation-data", files["validation"],
        "--test", files["test"], "--seed", seed, *RECIPE, *METHOD[method],
        "--checkpoint", work / f"{name}.checkpoint",
        "--curves", work / f"{name}.jsonl", *extra))
    if method == "svf" and seed == 1:
        out.mkdir(parents=True, exist_ok=True)
        t2(work, "expert", "export", name, out / f"{family}.safetensors")
        (out / f"{family}.svg").write_bytes(
            (work / f"{name}.svg").read_bytes())
    test = told["provenance"]["metrics"]["tests"][files["test"].stem]
    # Rewards are +1 and -1: half a difference of them is one of accuracies.
    return {"family": family, "method": method, "seed": seed,
            "questions": test["questions"],
            "base": (1 + test["base_reward"]) / 2,
            "trained": (1 + test["reward"]) / 2,
            "gain": test["difference"] / 2,
            "low": test["low"] / 2, "high": test["high"] / 2}


def table(results):
    rows = ["| family | method | seed | base | trained | gain, 95 % interval |",
            "|---|---|---|---|---|---|"]
    for r in sorted(results, key=lambda r: (r["family"], r["method"] != "svf",
                                            r["seed"])):
        rows.append(
            f"| {r['family']} | {r['method']} | {r['seed']} "
            f"| {100 * r['base']:.1f} % | {100 * r['trained']:.1f} % "
            f"| {100 * r['gain']:+.1f} [{100 * r['low']:+.1f}, "
            f"{100 * r['high']:+.1f}] |")
    return "\n".join(rows)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--families", default="math,code,reasoning")
    parser.add_argument("--methods", default="svf,lora")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--work", type=pathlib.Path,
                        default=ROOT / "build/experts")
    parser.add_argument("--out", type=pathlib.Path,
                        default=ROOT / "assets/experts")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cmake", "--build", BUILD, "--target", "t2", "demo_corpus"],
                   check=True, stdout=subprocess.DEVNULL)
    log = given.work / "results.jsonl"
    results = [json.loads(line) for line in
               (log.read_text().splitlines() if log.exists() else [])]
    done = {(r["family"], r["method"], r["seed"]) for r in results}
    for seed in map(int, given.seeds.split(",")):
        for method in given.methods.split(","):
            for family in given.families.split(","):
                if (family, method, seed) in done:
                    continue
                print(f"{family}, {method}, seed {seed}", file=sys.stderr)
                results.append(run(given.work, given.out, family, method, seed))
                with log.open("a") as kept:
                    kept.write(json.dumps(results[-1]) + "\n")
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "results.jsonl").write_text(
        "".join(json.dumps(r) + "\n" for r in results))
    print(table(results))


if __name__ == "__main__":
    main()
