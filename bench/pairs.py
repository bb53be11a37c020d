#!/usr/bin/env python3
"""Two builds beside each other: the same benchmarks in alternating pairs, so that
both meet the same machine, and of each the paired 95 % interval of the ratio of
their speeds (above 1: AFTER is faster). Prints JSON; exit code 1 where a lower end
lies below --least. Needs a quiet machine, a model (bench/random_model writes one)
and nothing but Python.

    cmake --build build/release --target engine_bench training_bench t2
    bench/pairs.py BEFORE/bin AFTER/bin --model MODEL [--pairs 15] [--least 0.95]

Where the clock is too noisy, --instructions adds a pair of instruction counts
(valgrind's callgrind over one decode), which are repeatable.
"""
import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

# Two-sided 95 % points of Student's t by degrees of freedom.
T95 = [0, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
       2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086]

ENGINE = ("^decode/|^prefill/tokens:512|"
          "^decode_mixtures/plan:3/mixtures:8/targets:1")
TRAINING = "lora2:0/kl:1"


def environment(model, dtype, svd):
    return os.environ | {"T2_BENCH_MODEL": str(model), "T2_BENCH_DTYPE": dtype,
                         "T2_BENCH_SVD": svd}


def benchmarks(program, pattern, env, seconds):
    """Seconds of an iteration by name."""
    out = subprocess.run(
        [program, "--benchmark_format=json", f"--benchmark_filter={pattern}",
         f"--benchmark_min_time={seconds}"],
        env=env, check=True, capture_output=True, text=True).stdout
    unit = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
    return {one["name"].removesuffix("/real_time"):
            one["real_time"] * unit[one["time_unit"]]
            for one in json.loads(out)["benchmarks"]}


def start_up(folder, model, dtype):
    """Seconds until a daemon that has seen the model is ready."""
    with tempfile.TemporaryDirectory() as temporary:
        env = os.environ | {"T2_STORE_PATH": temporary + "/store.db",
                            "T2_SERVER_SOCKET": temporary + "/socket",
                            "T2_MODEL_DTYPE": dtype,
                            "T2_MODEL_SVD_CACHE": str(model) + "-svd"}
        begin = time.perf_counter()
        daemon = subprocess.Popen([folder / "t2d", "--model-path", model],
                                  env=env, stderr=subprocess.PIPE, text=True)
        for line in daemon.stderr:
            if " ready: " in line:
                break
        else:
            sys.exit("t2d did not become ready")
        seconds = time.perf_counter() - begin
        daemon.terminate()
        daemon.communicate()
        return seconds


def measure(folder, given, env):
    out = benchmarks(folder / "engine_bench", ENGINE, env, given.seconds)
    if (folder / "training_bench").exists():
        out |= benchmarks(folder / "training_bench", TRAINING, env, given.seconds)
    if (folder / "t2d").exists():
        out["start-up"] = start_up(folder, given.model, given.dtype)
    return out


def instructions(folder, env):
    """Of one decode: thousands, by callgrind."""
    with tempfile.TemporaryDirectory() as temporary:
        told = subprocess.run(
            ["valgrind", "--tool=callgrind",
             f"--callgrind-out-file={temporary}/out", folder / "engine_bench",
             "--benchmark_filter=^decode/rows:1", "--benchmark_min_time=0.001"],
            env=env | {"OMP_NUM_THREADS": "1"}, check=True,
            capture_output=True, text=True).stderr
        return int(told.split("Collected : ")[1].split()[0])


def interval(ratios):
    """Geometric mean, and where it lies."""
    logs = [math.log(r) for r in ratios]
    mean = statistics.fmean(logs)
    n = len(logs)
    half = 0.0
    if n > 1:
        point = T95[n - 1] if n <= len(T95) else 1.96
        half = point * statistics.stdev(logs) / math.sqrt(n)
    return [round(math.exp(x), 3) for x in (mean, mean - half, mean + half)]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=pathlib.Path)
    parser.add_argument("after", type=pathlib.Path)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--svd", default="random", help="random: factors are drawn")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.5,
                        help="of each benchmark in each run")
    parser.add_argument("--least", type=float, default=0.95)
    parser.add_argument("--instructions", action="store_true")
    given = parser.parse_args()
    env = environment(given.model, given.dtype, given.svd)
    both = {"before": given.before.resolve(), "after": given.after.resolve()}
    seconds = {side: [] for side in both}
    for pair in range(given.pairs):
        order = list(both) if pair % 2 == 0 else list(both)[::-1]
        for side in order:
            seconds[side].append(measure(both[side], given, env))
        print(f"pair {pair + 1} of {given.pairs}", file=sys.stderr)
    out = {"cores": os.cpu_count(), "pairs": given.pairs, "dtype": given.dtype,
           "benchmarks": {}}
    low = []
    for name in seconds["before"][0]:
        if name not in seconds["after"][0]:
            continue
        a = [one[name] for one in seconds["before"]]
        b = [one[name] for one in seconds["after"]]
        ratio, least, most = interval([x / y for x, y in zip(a, b)])
        out["benchmarks"][name] = {
            "before_ms": round(1e3 * statistics.median(a), 3),
            "after_ms": round(1e3 * statistics.median(b), 3),
            "speed_ratio": ratio, "interval": [least, most]}
        if least < given.least:
            low.append(name)
    if given.instructions:
        counts = {side: instructions(folder, env) for side, folder in both.items()}
        out["instructions"] = counts | {
            "ratio": round(counts["before"] / counts["after"], 4)}
    out["below"] = low
    json.dump(out, sys.stdout, indent=1)
    print()
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
