#!/usr/bin/env bash
# Overloads t2d for a while, with clients of which a fifth misbehave: the demo
# model, a small queue, little room for keys and values, and requests coming at
# twice the rate that it can answer. Prints JSON; fails where an answer was not
# whole, or differs from the first to the same prompt (in float32, where batches
# agree), memory grew by more than a tenth after the first minute, or t2d does
# not answer or stop in order afterwards.
#   bench/soak.sh [BUILD [MINUTES]]
#     BUILD     folder of a build, such as build/asan (default: build/release)
#     MINUTES   of the load (default: 10)
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/release} minutes=${2:-10}
seconds=$(awk "BEGIN { print int($minutes * 60) }")

work=$(mktemp -d)
daemon='' sampler=''
clean_up() {
  [ -z "$sampler" ] || kill "$sampler" 2>/dev/null || true
  [ -z "$daemon" ] || kill -KILL "$daemon" 2>/dev/null || true
  rm -rf "$work"
}
trap clean_up EXIT
cat >"$work/t2.toml" <<TOML
[model]
path = "$PWD/assets/t2-mini"
svd_cache = "$work/svd"
dtype = "float32"
[engine]
kv_bytes = "8MiB"
dense_bytes = "8MiB"
max_context = 512
max_sequences = 16
[store]
path = "$work/store.db"
[server]
socket = "$work/t2.sock"
queue = 8
TOML
export T2_CONFIG=$work/t2.toml
t2() { "$build/bin/t2" "$@"; }
say() { echo "soak.sh: $*" >&2; }

# What asan keeps of freed memory would look like growth.
ASAN_OPTIONS=${ASAN_OPTIONS:-quarantine_size_mb=8} \
  "$build/bin/t2d" 2>"$work/t2d.log" &
daemon=$!
until grep -q ' ready: ' "$work/t2d.log"; do
  kill -0 "$daemon" 2>/dev/null || { cat "$work/t2d.log" >&2; exit 1; }
  sleep 0.1
done
for expert in math code reasoning; do
  t2 expert import "$expert" "assets/experts/$expert.safetensors" >/dev/null
done

load=(--models base,auto,expert:math,expert:code --prompt-tokens 24
  --max-tokens 32 --ignore-eos --prompts 64 --json)
say "measuring what it can do"
t2 bench serve --concurrency 8 --seconds 10 "${load[@]}" >"$work/capacity.json"
capacity=$(python3 -c 'import json, sys
print(json.load(open(sys.argv[1]))["requests_per_second"])' "$work/capacity.json")
rate=$(awk "BEGIN { print 2 * $capacity }")

# A line a second: seconds since the load began, bytes.
page=$(getconf PAGESIZE)
begin=$SECONDS
while read -r _ resident _ <"/proc/$daemon/statm"; do
  echo "$((SECONDS - begin)) $((resident * page))"
  sleep 1
done >"$work/memory" 2>/dev/null &
sampler=$!
say "$rate requests/s for $minutes min"
code=0
t2 bench serve --rate "$rate" --seconds "$seconds" --misbehave 0.2 --check \
  "${load[@]}" >"$work/load.json" || code=$?
kill "$sampler" 2>/dev/null && wait "$sampler" 2>/dev/null || true
sampler=''

answers=true
t2 ask --model base --max-tokens 4 "Once upon a time" >/dev/null || answers=false
kill -TERM "$daemon"
stopped=0
wait "$daemon" || stopped=$?
daemon=''
# Only sanitizers write such lines.
if grep -E 'ERROR: |runtime error:' "$work/t2d.log" >&2; then stopped=1; fi

python3 - "$work" "$rate" "$code" "$answers" "$stopped" <<'PY'
import json, sys
folder, rate, code, answers, stopped = sys.argv[1:]
load = json.load(open(f"{folder}/load.json"))
memory = [list(map(int, line.split())) for line in open(f"{folder}/memory")]
at_minute = {}
for at, size in memory:
    at_minute.setdefault(at // 60, size)
first_minute = [size for at, size in memory if at < 60]
growth = max(size for _, size in memory) / max(first_minute) - 1
print(json.dumps({
    "rate": float(rate), "seconds": load["seconds"],
    "requests": load["requests"], "dropped": load["dropped"],
    "misbehaved": load["misbehaved"], "check": load["check"],
    "requests_per_second": load["requests_per_second"],
    "latency_ms": load["latency_ms"], "first_problem": load["first_problem"],
    "rss": {"first": memory[0][1], "minute_1": at_minute.get(1),
            "end": memory[-1][1], "most": max(size for _, size in memory),
            "growth": round(growth, 3),
            "by_minute": list(at_minute.values())},
    "bench_exit": int(code), "answers_afterwards": answers == "true",
    "stopped_in_order": int(stopped) == 0}, indent=2))
sys.exit(0 if int(code) == 0 and answers == "true" and int(stopped) == 0
         and load["check"]["divergent"] == 0 and growth <= 0.1 else 1)
PY
