#!/usr/bin/env bash
# Installs what is missing, builds t2 and runs all its tests.
#   tools/test.sh [PRESET]     release (default), debug, asan, tsan (the actors' tests
#                              and the HTTP server's); see CONTRIBUTING.md
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}
case $preset in
  release | debug | asan | tsan) ;;
  -h | --help) sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) echo "test.sh: unknown preset '$preset' (expected release, debug, asan, tsan)" >&2; exit 2 ;;
esac

# The clients and the browser that the server is tried with test the whole, once.
case $preset in
  release | debug) tools/setup.sh --clients ;;
  *) tools/setup.sh ;;
esac
cmake --preset "$preset" >/dev/null
targets=() selection=()
case $preset in
  asan)
    # LibTorch and CAF keep what they allocate once until the process ends.
    export ASAN_OPTIONS=detect_leaks=1 LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp
    export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
    ;;
  tsan)
    export TSAN_OPTIONS=suppressions=$PWD/tests/tsan.supp:history_size=4
    targets=(--target t2_test_actors t2_test_http)
    selection=(-R '^(actors|http)$')
    ;;
esac
cmake --build --preset "$preset" "${targets[@]}"
# Test programs run one after the other: each uses all cores.
ctest --test-dir "build/$preset" --output-on-failure "${selection[@]}"
