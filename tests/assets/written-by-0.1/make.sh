#!/bin/sh
# What a release writes, as small as can be: tests/assets/written-by-VERSION.
# usage: make.sh FOLDER_OF_BINARIES OUT
set -eu
bin=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
model=$(realpath "$here/../pretrained-tiny")
mkdir -p "$2"
out=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

export HOME="$work" OMP_WAIT_POLICY=passive
export T2_CONFIG="$work/none.toml"
: > "$T2_CONFIG"
run() {
  exec "$bin/t2" "$@" --model-path "$model" --model-dtype float32 \
    --engine-threads 1 --engine-max-context 96 --store-path "$work/store.db" \
    --model-svd-cache "$work/svd" --server-socket "$work/t2.sock"
}
t2() { (run "$@"); }
cp "$here"/inputs/* "$work"
cd "$work"

train="--data lines.jsonl --targets attention --steps 60 --batch 2
  --validation 0.2 --validate-every 20 --learning-rate 0.02"
t2 expert train talk $train --seed 1
t2 expert train talk $train --seed 2
t2 expert train song $train --seed 3
t2 expert export talk@1 talk.safetensors
# Killed when its first checkpoint lies there.
run expert train again $train --seed 1 --checkpoint training.checkpoint \
  --checkpoint-every 2 & pid=$!
until [ -e training.checkpoint ] || ! kill -0 $pid 2>/dev/null; do
  sleep 0.005
done
kill -9 $pid 2>/dev/null || true
wait $pid || true

t2 task add sums --examples sums.jsonl --reward logprob \
  --description "two small numbers" --label adding
t2 task add talks --examples talks.jsonl --reward exact
search="--search-population 4 --search-iterations 2 --search-survivors 1"
t2 adapt sums $search
t2 adapt talks $search --experts talk@1,song
t2 eval unseen.jsonl --model sums --reward exact --max-tokens 4

mkdir -p expected
for name in sums talks; do t2 task show $name --json > expected/task-$name.json; done
t2 expert list --json > expected/experts.json
t2 expert history talk --json > expected/history-talk.json
t2 expert show talk@1 --json > expected/talk-1.json
t2 adapt sums $search --json > expected/adapt-sums.json
t2 adapt talks $search --experts talk@1,song --json > expected/adapt-talks.json
t2 ask --model expert:talk@1 --max-tokens 12 --json "2 + 2" \
  > expected/ask-talk-1.json
t2 ask --task sums --max-tokens 12 --json "2 + 2" > expected/ask-sums.json

pretrain="--data corpus.jsonl --vocabulary 270 --hidden 16 --layers 1 --heads 2
  --kv-heads 1 --intermediate 16 --max-length 256 --longer cut --steps 60
  --batch 256 --validate-every 30 --compute float32 --threads 1 --seed 7"
# Killed likewise.
"$bin/t2" pretrain $pretrain --out whole --checkpoint pretraining.checkpoint \
  --checkpoint-every 2 & pid=$!
until [ -e pretraining.checkpoint ] || ! kill -0 $pid 2>/dev/null; do
  sleep 0.005
done
kill -9 $pid 2>/dev/null || true
wait $pid || true

# Of this machine alone.
rm -f svd/plan-costs-*
sed -i "s|\"$model\"|\"@MODEL@\"|" svd/fingerprints.json
rm -rf "$out/svd" "$out/expected"
cp -r store.db talk.safetensors training.checkpoint pretraining.checkpoint \
  svd expected "$out"
