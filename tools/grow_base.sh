#!/usr/bin/env bash
# Trains the base model of `t2 demo` again: a corpus of 260,000 conversations,
# 18 million tokens, to the same bits on the same kind of machine. About half an
# hour on two cores; a run that was stopped goes on where it was.
#   tools/grow_base.sh [FOLDER]     default: assets/t2-mini, which must be empty
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-assets/t2-mini}
build=${T2_BUILD_FOLDER:-build/release}
unset T2_BUILD_FOLDER # t2 takes T2_* variables for its options
cmake --build "$build" --target t2 demo_corpus >/dev/null
corpus=build/corpus.jsonl
"$build/bin/demo_corpus" pretrain 260000 --seed 1 >"$corpus"
"$build/bin/t2" pretrain --data "$corpus" --out "$out" \
  --checkpoint build/base.checkpoint \
  --vocabulary 1200 --hidden 160 --layers 4 --heads 5 --kv-heads 5 \
  --intermediate 448 --max-length 512 --batch 2048 --steps 9000 \
  --learning-rate 0.003 --warmup 0.02 --weight-decay 0.05 --beta2 0.95 \
  --validation 0.003 --validate-every 500 --checkpoint-every 500 \
  --log-every 50 --seed 1
