#!/usr/bin/env bash
# Feeds what reads the files of strangers with files that nobody has thought of:
# clang's libFuzzer, with the address and undefined-behaviour sanitizers, from
# the tests' own files. Ends with an error and the input where one is found.
#   tools/fuzz.sh [SECONDS]    of each target; 60 without
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1:-60} in
  -h | --help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *[!0-9]*) echo "fuzz.sh: expected a number of seconds, found '$1'" >&2; exit 2 ;;
esac
seconds=${1:-60}
tools/setup.sh --fuzz
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz
# Small files mutate faster; LibFuzzer keeps what it learns in the first folder.
corpus=build/fuzz/corpus/gguf
mkdir -p "$corpus" build/fuzz/findings
build/fuzz/bin/t2_fuzz_gguf -max_total_time="$seconds" -timeout=10 \
  -rss_limit_mb=1024 -max_len=16384 -print_final_stats=1 -verbosity=0 \
  -artifact_prefix=build/fuzz/findings/ \
  "$corpus" tests/assets/gguf/broken
