#!/usr/bin/env bash
# A 1B Llama shape (with the vocabulary of the small tokenizer at hand) with
# random weights in bfloat16 under a memory limit of
# 20 GiB: loads, decomposes the attention projections, decodes. A few minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset release >/dev/null
cmake --build --preset release --target t2 random_model
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
build/release/bin/random_model bench/shapes/llama-1b.json "$work/model" bfloat16
cp tests/assets/smollm2/tokenizer*.json "$work/model/"
ulimit -v $((20 * 1024 * 1024))
t2() {
  /usr/bin/time -f "%e s, %M KiB at most" build/release/bin/t2 \
    --model-path "$work/model" --store "$work/store.db" \
    --model-svd-cache "$work/svd" --socket "$work/t2.sock" "$@"
}
t2 model svd --targets attention
t2 ask --max-tokens 32 "Once upon a time"
