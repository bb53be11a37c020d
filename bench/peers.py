#!/usr/bin/env python3
"""t2 beside transformers on the same random weights, in one run: decode at
batch 1, 8 and 32, decomposition of a layer, and one iteration of adapting a
task (32 candidates x 5 shots, likelihoods of the reference answers). Prints
JSON with both figures and their ratio (above 1: t2 is faster).

    tools/setup.sh --peers
    cmake --build --preset release --target engine_bench random_model
    .venv-peers/bin/python bench/peers.py [--config CONFIG.json] [--dtype bfloat16]
        [--llama SOURCES]    llama.cpp, with build/bin/llama-batched-bench

The source package of llama-cpp-python has llama.cpp's in vendor/:

    cmake -B build -DCMAKE_BUILD_TYPE=Release -DLLAMA_CURL=OFF
    cmake --build build --target llama-batched-bench
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import torch
import transformers

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj",
               "gate_proj", "up_proj", "down_proj")


def timed(run, repeats):
    run()
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def ours(build, model, dtype, repeats):
    """What engine_bench measures, by name: median seconds or a rate."""
    out = subprocess.run(
        [build / "bin/engine_bench", "--benchmark_format=json",
         f"--benchmark_repetitions={repeats}",
         "--benchmark_report_aggregates_only=true",
         "--benchmark_filter=^decode/|search_iteration/targets:1|decompose"],
        env=os.environ | {"T2_BENCH_MODEL": str(model), "T2_BENCH_DTYPE": dtype,
                          "T2_BENCH_SVD": str(model / "svd")},
        check=True, capture_output=True, text=True).stdout
    found = {}
    for one in json.loads(out)["benchmarks"]:
        if one.get("aggregate_name") == "median":
            found[one["run_name"].removesuffix("/real_time")] = one
    return found


def decode_rate(model, batch, repeats):
    """Tokens a second between the first and the 33rd token after 64."""
    ids = torch.randint(3, 500, (batch, 64))

    def run(new):
        model.generate(ids, attention_mask=torch.ones_like(ids),
                       max_new_tokens=new, min_new_tokens=new, do_sample=False,
                       pad_token_id=0)

    return 32 * batch / (timed(lambda: run(33), repeats) -
                         timed(lambda: run(1), repeats))


def llama_rates(sources, folder, dtype, repeats):
    """Tokens a second of llama-batched-bench by batch, after 64 tokens."""
    path = folder / "model.gguf"
    if not path.exists():
        for file in ("tokenizer.json", "tokenizer_config.json"):
            source = ROOT / "tests/assets/smollm2" / file
            if source.exists():
                (folder / file).write_bytes(source.read_bytes())
        subprocess.run(
            [sys.executable, sources / "convert_hf_to_gguf.py", folder,
             "--outfile", path, "--outtype",
             {"bfloat16": "bf16", "float32": "f32"}[dtype]],
            check=True, stdout=sys.stderr)
    found = {}
    for _ in range(repeats):
        out = subprocess.run(
            [sources / "build/bin/llama-batched-bench", "-m", path,
             "-t", str(torch.get_num_threads()), "-npp", "64", "-ntg", "64",
             "-npl", "1,8,32", "-c", "4096", "--output-format", "jsonl"],
            check=True, capture_output=True, text=True).stdout
        for line in out.splitlines():
            if line.startswith("{"):
                one = json.loads(line)
                found.setdefault(one["pl"], []).append(one["speed_tg"])
    return {batch: statistics.median(rates) for batch, rates in found.items()}


def svd_of_a_layer(model, repeats):
    weights = [m.weight.float() for n, m in model.model.layers[0].named_modules()
               if n.rsplit(".", 1)[-1] in PROJECTIONS]
    return timed(lambda: [torch.linalg.svd(w, full_matrices=False)
                          for w in weights], repeats)


def search_iteration(model, candidates=32, shots=5):
    """The published way: for every candidate rebuild the MLP's weights from
    U, s * z, V, then read the shots. One candidate is timed, and scaled."""
    modules = [m for n, m in model.named_modules()
               if n.rsplit(".", 1)[-1] in PROJECTIONS[4:]]
    factors = []
    for m in modules:
        u, s, v = torch.linalg.svd(m.weight.float(), full_matrices=False)
        factors.append([x.to(m.weight.dtype) for x in (u, s, v)])
    originals = [m.weight.data.clone() for m in modules]
    ids = torch.randint(3, 500, (shots, 48))

    def one():
        for m, (u, s, v) in zip(modules, factors):
            z = 1 + 0.1 * torch.randn_like(s)
            m.weight.data = (u * (s * z)) @ v
        logits = model(ids).logits[:, 31:-1].float()
        return logits.log_softmax(-1).gather(2, ids[:, 32:, None]).sum()

    seconds = timed(one, 3) * candidates
    for m, w in zip(modules, originals):
        m.weight.data = w
    return seconds


@torch.inference_mode()
def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--config", type=pathlib.Path,
                         default=ROOT / "tests/assets/smollm2/config.json")
    options.add_argument("--dtype", choices=("bfloat16", "float32"),
                         default="bfloat16")
    options.add_argument("--build", type=pathlib.Path,
                         default=ROOT / "build/release")
    options.add_argument("--work", type=pathlib.Path,
                         default=pathlib.Path("/tmp/t2-peers"))
    options.add_argument("--llama", type=pathlib.Path)
    options.add_argument("--repeats", type=int, default=5)
    o = options.parse_args()

    folder = o.work / o.dtype
    if not (folder / "model.safetensors.index.json").exists():
        subprocess.run([o.build / "bin/random_model", o.config, folder, o.dtype],
                       check=True)
    t2 = ours(o.build, folder, o.dtype, o.repeats)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=getattr(torch, o.dtype)).eval()
    llama = {}
    if o.llama:
        llama = llama_rates(o.llama, folder, o.dtype, o.repeats)
    rows = []
    for batch in (1, 8, 32):
        rate = t2[f"decode/rows:{batch}"]["tokens_per_second"]
        peer = decode_rate(model, batch, o.repeats)
        rows.append(dict(what=f"decode, batch {batch}", unit="tokens/s",
                         t2=rate, transformers=peer, ratio=rate / peer))
        if batch in llama:
            rows[-1] |= dict(llama_cpp=llama[batch],
                             ratio_to_llama_cpp=rate / llama[batch])
    for what, name, peer in (
            ("SVD of a layer", "decompose_layer",
             svd_of_a_layer(model, o.repeats)),
            ("search iteration, 32 x 5, MLP", "search_iteration/targets:1",
             search_iteration(model))):
        mine = t2[name]["real_time"] / 1e3
        rows.append(dict(what=what, unit="s", t2=mine, transformers=peer,
                         ratio=peer / mine))
    print(json.dumps(dict(
        config=str(o.config), dtype=o.dtype, threads=torch.get_num_threads(),
        torch=torch.__version__, transformers=transformers.__version__,
        rows=rows), indent=1))


if __name__ == "__main__":
    main()
