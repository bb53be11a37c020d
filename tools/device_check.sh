#!/usr/bin/env bash
# Shows within six minutes what t2 does on a GPU, on a machine that has one, a
# Python with torch 2.11 (CUDA 13) and nothing else that t2 is built from.
#   tools/device_check.sh pack [--limit MIB]
#       here: builds, and puts all that is needed into build/device_check;
#       fails above the limit (40)
#   tools/device_check.sh run [--device cuda|cpu] [--out DIR] [--parts A,B]
#                       [--times N] [--all]
#       there, from a copy of that folder (device_check.sh run) or of the project:
#       tests, agreement with the CPU, benchmarks, compute-sanitizer, each under a
#       time limit of its own; writes at most 8 files, summary.txt first
#         --device  cuda (default); cpu shows that the script works
#         --out     where the files go (device_check_results)
#         --parts   of: device tests agreement bench_135m bench_1b sanitizer
#         --times   the time limits, so many times (1; on the CPU 3)
#         --all     on the CPU too what is left out there: the 1B shape
# PYTHON names the Python whose torch is meant (python3).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
usage() { sed -n '2,19s/^# \{0,1\}//p' "$0"; }
verb=${1:-}
shift || true
case $verb in
  -h | --help) usage; exit 0 ;;
  run)
    packed=$here
    [ -d "$packed/bin" ] || packed=$here/../build/device_check
    if [ ! -d "$packed/bin" ]; then
      echo "device_check.sh: expected what 'pack' made in build/device_check, found nothing" >&2
      exit 2
    fi
    exec "${PYTHON:-python3}" "$packed/device_check.py" "$@"
    ;;
  pack) ;;
  *) echo "device_check.sh: expected pack or run, found '$verb' (--help)" >&2; exit 2 ;;
esac

limit=40
while (($#)); do
  case $1 in
    --limit) limit=${2:?--limit wants MiB}; shift 2 ;;
    *) echo "device_check.sh: unknown argument '$1' (expected --limit)" >&2; exit 2 ;;
  esac
done
cd "$here/.."
programs=(t2_test_model t2_test_engine engine_bench training_bench random_model)
cmake --preset release >/dev/null
cmake --build --preset release --target "${programs[@]}"
torch=$(sed -n 's/^LIBTORCH_DIR:PATH=//p' build/release/CMakeCache.txt)

out=build/device_check
rm -rf "$out"
mkdir -p "$out"/{bin,lib,bench/shapes,tests/assets}
for program in "${programs[@]}"; do
  strip -o "$out/bin/$program" "build/release/bin/$program"
done
# No path of this machine: LibTorch is that machine's.
for program in "$out"/bin/*; do
  echo "file(RPATH_REMOVE FILE \"$program\")"
done >"$out/rpath.cmake"
cmake -P "$out/rpath.cmake"
rm "$out/rpath.cmake"
# Every shared library but LibTorch's and those that each machine has: the C
# library, and GCC's, which come with whatever runs torch there.
LD_LIBRARY_PATH=$torch/lib ldd "$out"/bin/* |
  awk -v torch="$torch/" '$2 == "=>" && $3 ~ /^\// && index($3, torch) != 1 {print $3}' |
  grep -vE '/(lib(c|m|dl|rt|pthread|stdc\+\+|gcc_s|gomp|util)\.so|nvidia/|ld-linux)' | sort -u |
  while read -r library; do
    strip -o "$out/lib/$(basename "$library")" "$library"
  done
cp -r tests/assets/*-tiny tests/assets/llama-smol-tiny-lora tests/assets/stories260k-hf \
  "$out/tests/assets/"
cp tests/assets/smollm2/config.json "$out/bench/shapes/llama-135m.json"
cp bench/shapes/llama-1b.json "$out/bench/shapes/"
cp tools/device_check.sh bench/device_check.py bench/device_summary.py "$out/"

glibc=$(objdump -T "$out"/bin/* "$out"/lib/* | grep -oE 'GLIBC_[0-9.]+' | sort -Vu | tail -1)
libstdcxx=$(objdump -T "$out"/bin/* "$out"/lib/* | grep -oE 'GLIBCXX_[0-9.]+' | sort -Vu | tail -1)
gzip -n9 "$out"/bin/*
commit=$(git describe --always --dirty 2>/dev/null || echo unknown)
version=$(sed -n "s/^__version__ = '\(.*\)'/\1/p" "$torch/version.py")
build=$(sed -n "s/^git_version = '\(.*\)'/\1/p" "$torch/version.py")
printf '{"commit": "%s", "torch": "%s", "torch_build": "%s", "glibc": "%s", "libstdc++": "%s"}\n' \
  "$commit" "$version" "$build" "$glibc" "$libstdcxx" >"$out/built.json"
kib=$(du -sk "$out" | cut -f1)
printf 'device_check.sh: %s, %d.%d MiB, built against torch %s, needs %s and %s\n' \
  "$out" $((kib / 1024)) $((kib % 1024 * 10 / 1024)) "$version" "$glibc" "$libstdcxx"
if ((kib > limit * 1024)); then
  echo "device_check.sh: expected at most $limit MiB" >&2
  exit 1
fi
