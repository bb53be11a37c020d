#!/usr/bin/env python3
"""Decode at batch 1 on a machine with busy neighbours: tokens a second alone,
beside one and beside two processes of the same priority that never sleep, for
each way to wait (engine.spin, OMP_WAIT_POLICY). One run, the ways in turn, so
that they meet the same machine; prints JSON with medians and their ratio to
being alone. Needs a quiet machine and nothing but Python.

    cmake --build --preset release --target t2d
    bench/neighbours.py MODEL [--rounds 5] [--tokens 128] [--threads 0]
"""
import argparse
import http.client
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def environment_of(way):
    """"default", "passive", or "spin N"; LibTorch's own way is "spin 300000"."""
    if way.startswith("spin "):
        return {"GOMP_SPINCOUNT": way.removeprefix("spin ")}
    return {"default": {}, "passive": {"OMP_WAIT_POLICY": "passive"}}[way]


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("t2")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Daemon:
    def __init__(self, build, model, threads, way, folder):
        self.socket = str(folder / "t2.sock")
        env = {k: v for k, v in os.environ.items()
               if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
        env |= way | {"T2_STORE_PATH": str(folder / "store.db"),
                      "T2_SERVER_SOCKET": self.socket,
                      "T2_MODEL_SVD_CACHE": str(folder.parent / "svd")}
        self.process = subprocess.Popen(
            [build / "bin/t2d", "--model-path", model,
             "--threads", str(threads)],
            env=env, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if " ready: " in line:
                return
        sys.exit("t2d did not become ready")

    def rate(self, tokens):
        """Tokens a second between the first and the last."""
        connection = UnixConnection(self.socket)
        connection.request("POST", "/v1/completions", json.dumps(
            {"model": "base", "prompt": "Once upon a time", "stream": True,
             "max_tokens": tokens, "ignore_eos": True}))
        response = connection.getresponse()
        times = [time.perf_counter() for line in response
                 if line.startswith(b"data: {")]
        return (tokens - 1) / (times[-1] - times[0])

    def stop(self):
        self.process.terminate()
        self.process.wait()


def neighbours(count):
    return [subprocess.Popen([sys.executable, "-c", "while True: pass"])
            for _ in range(count)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--build", type=pathlib.Path,
                        default=ROOT / "build/release")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--ways", default="default,spin 300000,passive")
    parser.add_argument("--beside", default="0,1,2",
                        help="numbers of neighbours, none first")
    given = parser.parse_args()
    ways = given.ways.split(",")
    counts = [int(count) for count in given.beside.split(",")]
    rates = {way: {count: [] for count in counts} for way in ways}
    with tempfile.TemporaryDirectory() as work:
        daemons = {}
        try:
            for at, way in enumerate(ways):
                folder = pathlib.Path(work) / str(at)
                folder.mkdir()
                daemons[way] = Daemon(given.build, given.model, given.threads,
                                      environment_of(way), folder)
                daemons[way].rate(16)
            for _ in range(given.rounds):
                for count in counts:
                    busy = neighbours(count)
                    try:
                        for way in ways:
                            rates[way][count].append(
                                daemons[way].rate(given.tokens))
                    finally:
                        for one in busy:
                            one.kill()
                            one.wait()
        finally:
            for daemon in daemons.values():
                daemon.stop()
    out = {"model": given.model, "cores": os.cpu_count(),
           "tokens": given.tokens, "rounds": given.rounds, "ways": {}}
    for way, by_count in rates.items():
        middle = {n: statistics.median(all) for n, all in by_count.items()}
        out["ways"][way] = {
            "tokens_per_second": {f"beside {n}": round(rate, 2)
                                  for n, rate in middle.items()},
            "of_alone": {f"beside {n}": round(rate / middle[counts[0]], 3)
                         for n, rate in middle.items()}}
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
