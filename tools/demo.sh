#!/usr/bin/env bash
# Installs what is missing, builds t2, and shows it at work on the small
# model that ships with it: t2 demo. Arguments go to `t2 demo`.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh
cmake --preset release >/dev/null
cmake --build --preset release --target t2 t2d
exec build/release/bin/t2 demo "$@"
