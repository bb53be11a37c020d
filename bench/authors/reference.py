"""What Transformer^2's public reference and common peers cost on this CPU.

    reference.py BENCH --reference DIR [options]     one bench, one JSON line
    reference.py all --reference DIR --out FILE      every bench, into FILE
    reference.py table FILE                          FILE as a Markdown table

BENCH is svd, compose, cem, reinforce, two_pass (adaptation.py), decode or
peft (serving.py). --reference is a checkout of SakanaAI/self-adaptive-llms at
03a41ae; it is imported, never copied. --llama-bin holds llama-bench and
llama-batched-bench, --llama-src the llama.cpp tree they come from (for its
converter and gguf-py); without them decode leaves llama.cpp out. Each option
has a variable of its name: T2_REFERENCE, T2_WORK, T2_SMOLLM2, T2_LLAMA_BIN,
T2_LLAMA_SRC.
"""
import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import torch

import adaptation
import serving
from common import THREADS, Rows, machine_facts, machine_speed, timed

HERE = Path(__file__).resolve().parent
BENCHES = dict(
    svd=adaptation.bench_svd, compose=adaptation.bench_compose,
    cem=adaptation.bench_cem, reinforce=adaptation.bench_reinforce,
    two_pass=adaptation.bench_two_pass, hidden=adaptation.bench_hidden,
    decode=serving.bench_decode, peft=serving.bench_peft)
NEED_REFERENCE = {"compose", "cem", "reinforce", "two_pass", "hidden", "all"}


def run_one(args):
    torch.set_num_threads(THREADS)
    rows, before = Rows(), machine_speed()
    took, _ = timed(BENCHES[args.bench], args, rows)
    return dict(bench=args.bench, wall_s=round(took, 1),
                when=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                facts=machine_facts(), speed_before=before,
                speed_after=machine_speed(), rows=rows.rows)


def run_all(args):
    """Each bench in a process of its own; FILE grows as they end."""
    done = []
    for bench in BENCHES:
        out = subprocess.run([sys.executable, __file__, bench, *sys.argv[2:]],
                             check=True, stdout=subprocess.PIPE, text=True)
        done.append(json.loads(out.stdout.splitlines()[-1]))
        print(f"{bench}: {done[-1]['wall_s']} s", file=sys.stderr)
        lines = ",\n".join(json.dumps(one) for one in done)
        args.out.write_text(f"[\n{lines}\n]\n")


def table(path):
    print("| bench | model | dtype | what | median | min | max | n | unit |")
    print("|---|---|---|---|---|---|---|---|---|")
    for one in json.loads(path.read_text()):
        for row in one["rows"]:
            cells = [one["bench"]] + [row[key] for key in (
                "model", "dtype", "what", "median", "min", "max", "n", "unit")]
            print("| " + " | ".join(map(str, cells)) + " |")


def parse(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)

    def folder(name, default=None, **more):
        value = os.environ.get("T2_" + name.upper().replace("-", "_"), default)
        parser.add_argument(f"--{name}", type=Path,
                            default=value and Path(value), **more)

    parser.add_argument("bench", choices=[*BENCHES, "all", "table"])
    parser.add_argument("file", nargs="?", type=Path, help="for table")
    folder("reference")
    folder("work", "bench-work", help="scratch folder")
    folder("smollm2", HERE.parent.parent / "tests" / "assets" / "smollm2")
    folder("llama-bin")
    folder("llama-src")
    parser.add_argument("--out", type=Path, help="for all")
    parser.add_argument("--shapes", default="S,M")
    parser.add_argument("--dtypes", default="bf16,fp32")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args(argv)
    args.shapes, args.dtypes = args.shapes.split(","), args.dtypes.split(",")
    if args.bench in NEED_REFERENCE and not args.reference:
        parser.error(f"{args.bench} needs --reference")
    if args.llama_bin and not args.llama_src:
        parser.error("--llama-bin needs --llama-src")
    if args.bench == "all" and not args.out:
        parser.error("all needs --out")
    if args.bench == "table" and not args.file:
        parser.error("table needs FILE")
    return args


def main():
    args = parse(sys.argv[1:])
    if args.bench == "table":
        return table(args.file)
    args.work.mkdir(parents=True, exist_ok=True)
    if args.bench == "all":
        return run_all(args)
    print(json.dumps(run_one(args)))


if __name__ == "__main__":
    main()
