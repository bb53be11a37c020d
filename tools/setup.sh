#!/usr/bin/env bash
# Installs what t2 is built from: Debian packages (needs root, or sudo), and
# LibTorch out of its wheel into a private virtual environment (.venv).
# Running it again does nothing when all is there.
#   tools/setup.sh [--cuda] [--peers] [--clients] [--fuzz]
#     --cuda    LibTorch with its CUDA libraries, and nvcc (about 5 GB)
#     --peers   what bench/peers.py compares with: transformers and all of
#               Python's torch, in .venv-peers (about 5 GB)
#     --clients what the server is tried with: openai, schemathesis, and selenium,
#               in .venv-clients, with Chromium
#     --fuzz    clang 16 with libFuzzer, for tools/fuzz.sh
set -euo pipefail
cd "$(dirname "$0")/.."

cuda=0 peers=0 clients=0 fuzz=0
for argument in "$@"; do
  case $argument in
    --cuda) cuda=1 ;;
    --peers) peers=1 ;;
    --clients) clients=1 ;;
    --fuzz) fuzz=1 ;;
    -h | --help) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "setup.sh: unknown argument '$argument' (expected --cuda, --peers, --clients, --fuzz)" >&2; exit 2 ;;
  esac
done

packages=(
  ca-certificates g++ cmake ninja-build ccache pkg-config git
  libcaf-dev libboost1.81-dev libboost-program-options1.81-dev
  libssl-dev libtomlplusplus-dev nlohmann-json3-dev libspdlog-dev libsqlite3-dev
  libgtest-dev librapidcheck-dev libbenchmark-dev
  bubblewrap libseccomp-dev
  python3-venv curl
)
((clients == 0)) || packages+=(chromium chromium-driver)
((fuzz == 0)) || packages+=(clang-16 libclang-rt-16-dev)
# A rustup toolchain serves as well as Debian's.
command -v cargo >/dev/null || packages+=(cargo-web rustc-web)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null |
    grep -qx installed || missing+=("$package")
done
if ((${#missing[@]})); then
  as_root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || {
      echo "setup.sh: these packages are missing and installing them needs root: ${missing[*]}" >&2
      exit 1
    }
    as_root=(sudo)
  fi
  echo "setup.sh: installing ${#missing[@]} Debian packages"
  "${as_root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -qqy \
    --no-install-recommends "${missing[@]}" >/dev/null
fi

[ -x .venv/bin/pip ] || python3 -m venv .venv
have() { .venv/bin/python -c "import importlib.metadata as m, sys; sys.exit(m.version('$1') != '$2')" 2>/dev/null; }
pip() { .venv/bin/pip install -q --disable-pip-version-check "$@"; }
torch=2.11.0
if ((cuda)); then
  have nvidia-cublas 13.1.0.3 && have torch $torch || pip "torch==$torch"
  have nvidia-cuda-nvcc 13.0.88 ||
    pip 'cuda-toolkit[nvcc,cccl,crt]==13.0.2' 'nvidia-nvvm==13.0.*'
elif ! have torch $torch || ! have nvidia-cuda-runtime 13.0.96; then
  echo "setup.sh: installing LibTorch $torch into .venv"
  pip --no-deps "torch==$torch" nvidia-cuda-runtime==13.0.96 \
    nvidia-cuda-cupti==13.0.85
fi
if ((peers)); then
  # Python's torch wants all its CUDA libraries even on a CPU: kept apart.
  [ -x .venv-peers/bin/pip ] || python3 -m venv .venv-peers
  .venv-peers/bin/pip install -q --disable-pip-version-check "torch==$torch" \
    transformers==5.23.0 peft==0.21.2 safetensors tokenizers numpy sentencepiece
fi
if ((clients)); then
  [ -x .venv-clients/bin/pip ] || python3 -m venv .venv-clients
  .venv-clients/bin/pip install -q --disable-pip-version-check \
    openai==3.57.0 schemathesis==4.32.5 selenium==4.51.0
fi
