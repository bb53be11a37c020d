#!/usr/bin/env python3
"""Writes block_samples.json: random blocks of every quantised type and the values
that the gguf package (PyPI, 0.19) gives them. Usage: make_block_samples.py OUT"""
import json
import sys

import numpy as np
from gguf import GGMLQuantizationType as T
from gguf import GGML_QUANT_SIZES
from gguf.quants import dequantize

# Where the half-precision scales of a block begin: those must stay finite.
HALVES = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0],
          T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2],
          T.Q6_K: [208], T.IQ4_NL: [0]}
rng = np.random.default_rng(1)
samples = {}
for kind, halves in HALVES.items():
    size, width = GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (4 if size == 32 else 2, width), dtype=np.uint8)
    for i, block in enumerate(blocks):
        for at in halves:
            # Ordinary scales, and one below the smallest normal number.
            value = rng.standard_normal() * (0.02 if i else 2e-6)
            block[at:at + 2] = np.frombuffer(np.float16(value).tobytes(), np.uint8)
    values = dequantize(blocks, kind).astype('<f4')
    samples[kind.name] = {'bytes': blocks.tobytes().hex(), 'values': values.tobytes().hex()}
for kind, bits in (('F16', np.arange(0, 65536, 97, dtype=np.uint16)),
                   ('BF16', np.arange(0, 65536, 97, dtype=np.uint16))):
    values = (bits.view(np.float16).astype(np.float32) if kind == 'F16'
              else (bits.astype(np.uint32) << 16).view(np.float32))
    keep = np.isfinite(values)
    samples[kind] = {'bytes': bits[keep].tobytes().hex(),
                     'values': values[keep].astype('<f4').tobytes().hex()}
json.dump({'about': 'gguf.quants.dequantize of random blocks; values are float32, little-endian',
           'samples': samples}, open(sys.argv[1], 'w'), indent=0)
