#!/usr/bin/env bash
# A 1B Llama shape (with the vocabulary of the small tokenizer at hand) with
# random weights in bfloat16 under a memory limit of
# 20 GiB: loads, decomposes the attention projections, decodes. A few minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset release >/dev/null
cmake --build --preset release --target t2 random_model
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/config.json" <<'JSON'
{"architectures": ["LlamaForCausalLM"], "model_type": "llama",
 "vocab_size": 49152, "hidden_size": 2048, "intermediate_size": 8192,
 "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8,
 "head_dim": 64, "rms_norm_eps": 1e-05, "rope_theta": 500000.0,
 "rope_scaling": {"rope_type": "llama3", "factor": 32.0,
   "low_freq_factor": 1.0, "high_freq_factor": 4.0,
   "original_max_position_embeddings": 8192},
 "max_position_embeddings": 131072, "tie_word_embeddings": true,
 "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2,
 "torch_dtype": "bfloat16"}
JSON
build/release/bin/random_model "$work/config.json" "$work/model" bfloat16
cp tests/assets/smollm2/tokenizer*.json "$work/model/"
ulimit -v $((20 * 1024 * 1024))
t2() {
  /usr/bin/time -f "%e s, %M KiB at most" build/release/bin/t2 \
    --model-path "$work/model" --store "$work/store.db" \
    --model-svd-cache "$work/svd" --socket "$work/t2.sock" "$@"
}
t2 model svd --targets attention
t2 ask --max-tokens 32 "Once upon a time"
