#!/usr/bin/env python3
"""What `tools/device_check.sh run` does, in the folder that `pack` made: parts in
order, each under a time limit, each with a file of its own; summary.txt and
summary.json are written anew after each, so that a run that is cut still tells.
"""
import argparse
import gzip
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from device_summary import as_text, benchmarks

HERE = pathlib.Path(__file__).resolve().parent
# Seconds: 355 in all.
PARTS = {"device": 35, "tests": 125, "agreement": 35, "bench_135m": 50,
         "bench_1b": 75, "sanitizer": 35}
# One process each: an error on a device spoils its process and no other.
SUITES = {"linear_weight": "*linear_weight_rows*", "kernels": "*/kernel.*",
          "plans": "*/plans.*",
          # One model of each kind of block; the others run the same operators.
          "golden": "*/golden.*-*mistral_tiny*:*qwen2*:*smollm3*:*phi3*",
          "engine": "engine_on*:*/agreement.*", "training": "lora.*",
          "targets": "*targets_of_a_model*",
          "plan_costs": "plan_costs.*"}
ENGINE_BENCH = "^(decode|decode_mixtures|build_dense)/|^prefill/tokens:512"
POLICY_STEP = "^step/svf_mlp0_all1_lora2:1/kl:1"


def torch_of_python():
    """What this Python's torch and its device are; prints JSON."""
    import torch
    said = dict(torch=torch.__version__, torch_build=torch.version.git_version,
                cuda=torch.version.cuda, folder=os.path.dirname(torch.__file__),
                visible=torch.cuda.is_available())
    if said["visible"]:
        card = torch.cuda.get_device_properties(0)
        said |= dict(card=card.name, memory_mb=card.total_memory >> 20,
                     multiprocessors=card.multi_processor_count)

        def seconds(run, times):
            run()
            torch.cuda.synchronize()
            begin = time.perf_counter()
            for _ in range(times):
                run()
            torch.cuda.synchronize()
            return (time.perf_counter() - begin) / times
        # What the card itself can do: the ceiling of every figure below.
        a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
        said["bf16_tflops"] = 2 * 8192**3 / seconds(lambda: a @ a, 10) / 1e12
        b = torch.empty(1 << 30, device="cuda", dtype=torch.uint8)
        c = torch.empty_like(b)
        said["copy_gb_per_s"] = 2 * b.numel() / seconds(lambda: c.copy_(b), 10) / 1e9
        small = a[:64, :64].clone()
        said["launch_us"] = seconds(lambda: small.add_(1), 1000) * 1e6
    print(json.dumps(said))


class Cut(Exception):
    """A part's time is over."""


class Check:
    def __init__(self, options):
        self.options, self.out = options, options.out
        self.out.mkdir(parents=True, exist_ok=True)
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="t2-device-"))
        self.bin = self.work / "bin"
        self.bin.mkdir()
        for packed in sorted((HERE / "bin").glob("*.gz")):
            program = self.bin / packed.stem
            program.write_bytes(gzip.decompress(packed.read_bytes()))
            program.chmod(0o755)
        self.log = open(self.out / "log.txt", "w")
        self.summary = dict(device=options.device, host=platform.node(),
                            began=time.strftime("%Y-%m-%d %H:%M:%S"),
                            built=json.loads((HERE / "built.json").read_text()),
                            parts=[])
        self.env = dict(os.environ)

    def run(self, command, env=None, on_line=None, limit=1000):
        """A program's lines as they come; its exit status. Cut after `limit` seconds
        and at the part's end."""
        until = min(self.until, time.time() + limit)
        self.log.write(f"\n$ {' '.join(map(str, command))}\n")
        process = subprocess.Popen(
            [str(c) for c in command], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace",
            env=self.env | (env or {}), cwd=self.work, start_new_session=True)
        end = lambda *_: os.killpg(process.pid, signal.SIGKILL)
        signal.signal(signal.SIGALRM, end)
        signal.setitimer(signal.ITIMER_REAL, max(0.1, until - time.time()))
        for line in process.stdout:
            self.log.write(line)
            self.log.flush()
            if on_line:
                on_line(line.rstrip("\n"))
        status = process.wait()
        signal.setitimer(signal.ITIMER_REAL, 0)
        if status == -signal.SIGKILL and time.time() >= until - 0.2:
            raise Cut()
        return status

    def write(self, name, value):
        (self.out / name).write_text(
            value if isinstance(value, str) else json.dumps(value, indent=1))

    # --- parts: each returns what it found, and says what failed ---------------

    def device(self, part):
        lines = []
        status = self.run([sys.executable, __file__, "--torch"], on_line=lines.append)
        found = [line for line in lines if line.startswith('{"torch"')]
        if status or not found:
            part["failed"].append("this Python has no torch: " + (lines or [""])[-1])
            return
        said = json.loads(found[-1])
        self.summary |= dict(of_torch=said)
        if said["torch_build"] != self.summary["built"]["torch_build"]:
            part["failed"].append(
                f"expected torch {self.summary['built']['torch']}, found {said['torch']}")
        if self.options.device != "cpu" and not said["visible"]:
            part["failed"].append("torch sees no GPU")
        torch = pathlib.Path(said["folder"])
        folders = [torch / "lib", HERE / "lib"]
        folders += sorted(torch.parent.glob("nvidia/*/lib"))
        self.env |= dict(LD_LIBRARY_PATH=":".join(map(str, folders)),
                         T2_TEST_DEVICE=self.options.device,
                         T2_TEST_SOURCE=str(HERE),
                         # Not every CPU is good at the other.
                         T2_BENCH_DTYPE="float32" if self.options.device == "cpu"
                         else "bfloat16",
                         T2_BENCH_DEVICE=self.options.device, T2_BENCH_SVD="random",
                         TMPDIR=str(self.work), TEST_TMPDIR=str(self.work))
        # Every symbol must be there, not only those that a test comes to.
        for program in sorted(self.bin.iterdir()):
            flag = {"t2_test_model": "--gtest_list_tests",
                    "t2_test_engine": "--gtest_list_tests",
                    "random_model": "--help"}.get(program.name, "--benchmark_list_tests")
            found = []
            if self.run([program, flag], dict(LD_BIND_NOW="1"), found.append) not in (0, 2):
                part["failed"].append(f"{program.name} does not start: {(found or [''])[-1]}")

    def suite(self, filter, part, found, share=0.5, program="t2_test_model"):
        running, said = None, []

        def on_line(line):
            nonlocal running
            mark = re.match(r"\[ +(RUN|OK|FAILED|SKIPPED) +\] (\S+)", line)
            if not mark or "." not in mark[2]:
                said.append(line)
            elif mark[1] == "RUN":
                running = mark[2]
                said.clear()
            elif running == mark[2].rstrip(","):
                found[running] = {"OK": "passed"}.get(mark[1], mark[1].lower())
                if found[running] == "failed":
                    part["failed"].append(running + ": " + " | ".join(said[:6]))
                running = None
        try:
            status = self.run([self.bin / program, f"--gtest_filter={filter}",
                               f"--gtest_output=json:{self.work}/report.json"],
                              dict(OMP_WAIT_POLICY="passive"), on_line,
                              limit=(self.until - time.time()) * share)
        except Cut:  # what is left is for the suites behind it
            if running:
                found[running] = "cut"
            part["cut"] = True
            return
        if running:
            found[running] = "crashed"
            part["failed"].append(f"{running}: ended with {status}: " + " | ".join(said[-3:]))
        elif status not in (0, 1):
            part["failed"].append(f"{filter}: ended with {status}: " + " | ".join(said[-3:]))

    def tests(self, part):
        results = part["results"] = {}
        for name, filter in SUITES.items():
            found = results[name] = {}
            try:
                self.suite(filter, part, found, program="t2_test_engine"
                           if name == "engine" else "t2_test_model")
            finally:
                self.write("tests.json", results)
            if not found:
                part["failed"].append(f"{name}: no test ran")

    def agreement(self, part):
        found, errors = {}, {}
        try:
            (self.work / "report.json").unlink(missing_ok=True)
            self.suite("*/device_agreement.*:device_rules.*", part, found, share=1)
        finally:
            report = self.work / "report.json"
            for suite in json.loads(report.read_text())["testsuites"] if report.exists() else []:
                for test in suite["testsuite"]:
                    if "error" in test:
                        errors[test["name"]] = float(test["error"])
            part |= dict(results=dict(agreement=found), errors=errors)
            self.write("agreement.json", dict(tests=found, largest_relative_errors=errors))
        if not found:
            part["failed"].append("no test ran")

    def bench(self, part, shape):
        model = self.work / shape
        figures = part["figures"] = []
        if self.run([self.bin / "random_model", HERE / f"bench/shapes/llama-{shape}.json",
                     model, "bfloat16"]):
            part["failed"].append("random_model failed")
            return
        report = self.work / "bench.json"
        try:
            for program, filter in (("engine_bench", ENGINE_BENCH), ("training_bench", POLICY_STEP)):
                report.unlink(missing_ok=True)
                # The step comes last and is wanted: it gets a third of the time.
                left = self.until - time.time()
                limit = left * 0.6 if program == "engine_bench" else left
                try:
                    status = self.run(
                        [self.bin / program, f"--benchmark_filter={filter}",
                         "--benchmark_min_time=0.2", f"--benchmark_out={report}",
                         "--benchmark_out_format=json"],
                        dict(T2_BENCH_MODEL=str(model), T2_BENCH_LIMIT=f"{limit:.0f}"),
                        limit=0.8 * left if program == "engine_bench" else left)
                    if status:
                        part["failed"].append(f"{program} ended with {status}")
                except Cut:
                    part["cut"] = True
                finally:
                    figures += benchmarks(report)
        finally:
            shutil.rmtree(model, ignore_errors=True)
            for one in figures:
                if one.get("error_occurred"):
                    part["left_out"].append(f"{one['name']}: {one['error_message']}")
            self.write(f"bench_{shape}.json", figures)

    def sanitizer(self, part):
        tool = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
        if not pathlib.Path(tool).exists():
            part["state"] = "left out: no compute-sanitizer here"
            return
        said = []
        try:
            status = self.run(
                [tool, "--tool", "memcheck", "--error-exitcode", "9",
                 self.bin / "t2_test_model",
                 "--gtest_filter=*/plans.a_linear*:*/kernel.scale_rows*"], on_line=said.append)
        finally:
            part["said"] = [line for line in said if "=====" in line][-5:]
        if any("not supported" in line for line in said):
            part["state"] = "left out: compute-sanitizer does not take this device"
        elif status:
            part["failed"].append(f"ended with {status}: " + " | ".join(part["said"]))

    # --- the whole ---------------------------------------------------------------

    def left_out(self, name):
        on_cpu = self.options.device == "cpu"
        if on_cpu and name == "sanitizer":
            return "nothing for it on the CPU"
        if on_cpu and name == "bench_1b" and not self.options.all:
            return "takes 10 GB and minutes on a CPU (--all)"
        failed = any(p["failed"] for p in self.summary["parts"] if p["name"] == "device")
        if name != "device" and failed:
            return "the device part failed"
        return None

    def all(self):
        for name in self.options.parts:
            begin = time.time()
            # A CPU only shows that the script works: six minutes do not bind it.
            limit = round(PARTS[name] * self.options.times)
            self.until = begin + limit
            part = dict(name=name, state="running", limit=limit, failed=[], left_out=[])
            self.summary["parts"].append(part)
            self.tell()
            why = self.left_out(name)
            try:
                if why:
                    part["state"] = "left out: " + why
                elif name.startswith("bench_"):
                    self.bench(part, name.removeprefix("bench_"))
                else:
                    getattr(self, name)(part)
            except Cut:
                part["cut"] = True
            except Exception as trouble:  # one part's trouble is not the next one's
                part["failed"].append(f"{type(trouble).__name__}: {trouble}")
            if part["state"] == "running":
                part["state"] = "failed" if part["failed"] else "passed"
                if part.get("cut"):
                    part["state"] = ("failed, and " if part["failed"] else "") + \
                        "cut by its time limit"
            part["seconds"] = round(time.time() - begin, 1)
            self.tell()
        shutil.rmtree(self.work, ignore_errors=True)
        print((self.out / "summary.txt").read_text())
        parts = self.summary["parts"]
        return 1 if any(p["failed"] for p in parts) else 3 if any(
            p.get("cut") for p in parts) else 0

    def tell(self):
        self.write("summary.json", self.summary)
        self.write("summary.txt", as_text(self.summary))


def main():
    if sys.argv[1:] == ["--torch"]:
        return torch_of_python()
    p = argparse.ArgumentParser(prog="device_check.sh run")
    p.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    p.add_argument("--out", type=pathlib.Path, default=pathlib.Path("device_check_results"))
    p.add_argument("--times", type=float,
                   help="the parts' time limits so many times; 1, on a CPU 3")
    p.add_argument("--parts", default=list(PARTS), type=lambda text: text.split(","))
    p.add_argument("--all", action="store_true")
    options = p.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        p.error(f"expected parts of {', '.join(PARTS)}, found {', '.join(unknown)}")
    if "device" not in options.parts:  # it says where LibTorch is
        options.parts.insert(0, "device")
    if options.times is None:
        options.times = 3 if options.device == "cpu" else 1
    options.out = options.out.resolve()
    return Check(options).all()


if __name__ == "__main__":
    sys.exit(main())
