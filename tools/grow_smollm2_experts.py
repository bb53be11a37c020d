#!/usr/bin/env python3
"""Grows the experts that `t2 demo` shows on SmolLM2-135M-Instruct on the answers
to public questions, and measures each on questions that it has not seen.

    tools/grow_smollm2_experts.py --data FOLDER [--experts sentiment,departments]
                                  [--work FOLDER] [--out FOLDER]

FOLDER holds the tasks as JSONL (docs/formats.md): sst2-train and sst2-test
(Stanford Sentiment Treebank, two classes), clinc-domain-train and -test
(CLINC150, the domain of a query), trec-train and -test (question kinds). The
data are not part of the project; the prompts are those of RECIPES below. A run
that is in WORK/results.jsonl is not made again, and one that was stopped goes on
from its checkpoint. About five minutes a run on two cores.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / os.environ.get("T2_BUILD_FOLDER", "build/release")
COMMON = ["--objective", "next-token", "--targets", "mlp", "--batch", "16",
          "--learning-rate", "0.01", "--steps", "40", "--validation", "0.02",
          "--validate-every", "10", "--checkpoint-every", "10", "--seed", "1"]
# The last line of each prompt.
RECIPES = {
    # Is this review positive or negative? Answer with one word.
    "sentiment": ("sst2", ["--max-answer-tokens", "4"]),
    # Which department handles this: auto and commute, banking, credit cards,
    # home, kitchen and dining, meta, small talk, travel, utility, work? Answer
    # with the department.
    "departments": ("clinc-domain", ["--max-answer-tokens", "6"]),
    # What kind of answer does it ask for: abbreviation, description, entity,
    # person, place or number? Answer with one word.
    "question-kinds": ("trec", ["--max-answer-tokens", "4"]),
}


def t2(work, *arguments):
    environment = {k: v for k, v in os.environ.items()
                   if not k.startswith("T2_")}
    return subprocess.run(
        [BUILD / "bin/t2", *map(str, arguments), "--json",
         "--model-path", "smollm2", "--model-dtype", "float32",
         "--store", work / "store.db", "--socket", work / "t2.sock"],
        check=True, stdout=subprocess.PIPE, env=environment).stdout


def run(work, out, data, name):
    task, options = RECIPES[name]
    told = json.loads(t2(
        work, "expert", "train", name, "--data", data / f"{task}-train.jsonl",
        "--test", data / f"{task}-test.jsonl",
        "--checkpoint", work / f"{name}.checkpoint",
        "--curves", work / f"{name}.jsonl", *COMMON, *options))
    t2(work, "expert", "export", name, out / f"{name}.safetensors")
    (out / f"{name}.svg").write_bytes((work / f"{name}.svg").read_bytes())
    test = told["provenance"]["metrics"]["tests"][f"{task}-test"]
    # Rewards are +1 and -1: half a difference of them is one of accuracies.
    return {"expert": name, "data": task, "questions": test["questions"],
            "base": (1 + test["base_reward"]) / 2,
            "trained": (1 + test["reward"]) / 2,
            "gain": test["difference"] / 2,
            "low": test["low"] / 2, "high": test["high"] / 2}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--experts", default=",".join(RECIPES))
    parser.add_argument("--work", type=pathlib.Path,
                        default=ROOT / "build/grow_smollm2")
    parser.add_argument("--out", type=pathlib.Path,
                        default=ROOT / "assets/smollm2")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    given.out.mkdir(parents=True, exist_ok=True)
    results = given.work / "results.jsonl"
    made = ({json.loads(line)["expert"] for line in results.open()}
            if results.exists() else set())
    for name in given.experts.split(","):
        if name in made:
            continue
        print(f"{name} ...", file=sys.stderr, flush=True)
        figures = run(given.work, given.out, given.data, name)
        with results.open("a") as file:
            print(json.dumps(figures), file=file)
        print(json.dumps(figures)[:400])


if __name__ == "__main__":
    main()
