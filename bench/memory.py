#!/usr/bin/env python3
"""What a daemon holds in memory, MiB, at each stage of its life: the base alone, an
expert live, after a search, during a training and after it. `resident` is all of it,
`anonymous` without pages of mapped files, which the system takes back when it wants.
`kv` and `dense` are what the cache of keys and values, and copies of weights under
a mixture, take of their budgets. Prints JSON. Needs the model (t2 model add smollm2)
and nothing but Python.

    cmake --build --preset release --target t2 t2d
    bench/memory.py [--model smollm2] [--dtype float32] [--build build/release]
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
ASSETS = ROOT / "assets/smollm2"
MIB = 1 << 20


def memory_of(pid):
    wanted = {"VmRSS": "resident", "RssAnon": "anonymous"}
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    found = {wanted[line.split(":")[0]]: int(line.split()[1]) // 1024
             for line in lines if line.split(":")[0] in wanted}
    return found


class Peak:
    """The most a process has while something runs."""

    def __init__(self, pid):
        self.pid, self.most, self.runs = pid, {}, True

    def __enter__(self):
        def look():
            while self.runs:
                for key, value in memory_of(self.pid).items():
                    self.most[key] = max(self.most.get(key, 0), value)
                time.sleep(0.05)
        self.thread = threading.Thread(target=look)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.runs = False
        self.thread.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--dense-bytes", default="64MiB")
    parser.add_argument("--kv-bytes", default="256MiB")
    parser.add_argument("--steps", default="3", help="of the training")
    options = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="t2-memory-"))
    settings = ["--model-path", options.model, "--model-dtype", options.dtype,
                "--store", str(work / "store.db"), "--socket", str(work / "t2.sock")]
    daemon = subprocess.Popen(
        [options.build / "bin/t2d", *settings, "--engine-dense-bytes",
         options.dense_bytes, "--engine-kv-bytes", options.kv_bytes,
         "--search-population", "8", "--search-iterations", "1"],
        stderr=subprocess.PIPE, text=True)
    for line in daemon.stderr:
        if " ready: " in line:
            break
    else:
        sys.exit("t2d did not become ready")
    threading.Thread(target=daemon.stderr.read, daemon=True).start()

    def t2(*arguments):
        done = subprocess.run([options.build / "bin/t2", *map(str, arguments), *settings],
                              capture_output=True, text=True)
        if done.returncode not in (0, 1):
            sys.exit(f"t2 {arguments[0]}: {done.stderr}")
        return done.stdout

    stages = []

    def stage(name, peak=None):
        time.sleep(1)
        held = memory_of(daemon.pid)
        if peak:
            held["peak"] = peak.most
        stages.append(dict(stage=name, **held))
        print(name, held, file=sys.stderr)

    question = "Review: the film is a joy from beginning to end. Is this review positive or negative?"
    stage("ready")
    t2("ask", question, "--max-tokens", "16")
    stage("the base has answered")
    t2("expert", "import", "sentiment", ASSETS / "sentiment.safetensors")
    t2("ask", question, "--model", "expert:sentiment", "--max-tokens", "16")
    stage("an expert is live")
    examples = work / "examples.jsonl"
    reviews = (ASSETS / "reviews.jsonl").read_text().splitlines()
    examples.write_text("\n".join(reviews[:5]) + "\n")
    t2("task", "add", "reviews", "--examples", examples)
    with Peak(daemon.pid) as peak:
        t2("adapt", "reviews")
    stage("after a search", peak)
    with Peak(daemon.pid) as peak:
        t2("expert", "train", "fresh", "--data", ASSETS / "reviews.jsonl", "--objective",
           "next-token", "--targets", "mlp", "--batch", "8", "--steps", options.steps,
           "--max-answer-tokens", "4", "--checkpoint", work / "fresh.checkpoint")
    stage("after a training", peak)
    daemon.terminate()
    daemon.wait()
    print(json.dumps(dict(model=options.model, dtype=options.dtype,
                          kv_bytes=options.kv_bytes, dense_bytes=options.dense_bytes,
                          mib=stages), indent=1))


if __name__ == "__main__":
    main()
