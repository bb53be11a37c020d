#!/usr/bin/env bash
# Grows the three experts of `t2 demo` again, to the same bytes on the same kind
# of machine: next-token objective on 600 documents of each kind.
#   tools/grow_demo_experts.sh [FOLDER]     default: assets/experts
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-assets/experts}
build=${T2_BUILD_FOLDER:-build/release}
unset T2_BUILD_FOLDER # t2 takes T2_* variables for its options
cmake --build "$build" --target t2 demo_texts >/dev/null
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
t2() {
  "$build/bin/t2" --model-path assets/stories260k --store "$work/store.db" \
    --model-svd-cache "$work/svd" --socket "$work/t2.sock" --threads 1 "$@"
}
for kind in dialogue list refrain; do
  "$build/bin/demo_texts" "$kind" train 600 >"$work/$kind.jsonl"
  t2 expert train "$kind" --data "$work/$kind.jsonl" --targets all \
    --norm none --steps 200 --batch 16 --learning-rate 0.01 --seed 79
  t2 expert export "$kind" "$out/$kind.safetensors"
done
