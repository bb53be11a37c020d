#!/usr/bin/env python3
"""tests/assets/pretrained-tiny/golden.json: what transformers makes of a model
that `t2 pretrain` wrote.

    t2 pretrain --data tests/assets/pretrained-tiny/corpus.jsonl \
      --out tests/assets/pretrained-tiny --vocabulary 320 --hidden 32 \
      --layers 2 --heads 4 --kv-heads 2 --intermediate 48 --max-length 96 \
      --steps 400 --batch 256 --learning-rate 5e-3 --validation 0 \
      --log-every 100 --dtype float32 --compute float32 \
      --threads 1
    tests/pretraining/make_pretrained_golden.py tests/assets/pretrained-tiny
    tests/pretraining/make_pretrained_golden.py assets/t2-mini \
      tests/assets/t2-mini-golden.json

Needs torch and transformers; the tests do not.
"""
import json
import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = pathlib.Path(sys.argv[1])
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

conversations = [
    [{"role": "user", "content": "What is 12 + 30?"},
     {"role": "assistant", "content": "12 + 30 = 42"}],
    [{"role": "system", "content": "짧게 답하세요."},
     {"role": "user", "content": "사과 3개와 배 4개는 모두 몇 개인가요?"},
     {"role": "assistant", "content": "3 + 4 = 7\n답: 7개"},
     {"role": "user", "content": "고마워요 🦜"}],
]
texts = ["1234 apples\n\n  and tabs\t", "한국어와 English, 뷁!", "é<|end|>x"]

record = {"tokens": [], "conversations": []}
for text in texts:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    record["tokens"].append(
        {"text": text, "ids": ids, "decoded": tokenizer.decode(ids)})
for messages in conversations:
    add = messages[-1]["role"] == "user"
    rendered = tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=add)
    ids = tokenizer(rendered, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    record["conversations"].append({
        "messages": messages, "add_generation_prompt": add,
        "rendered": rendered, "ids": ids,
        "last_logits": logits[-1].tolist(),
        "logits_l2": logits.norm(dim=-1).tolist()})

# Loss: the sum over all tokens but the first; gradients of it.
ids = torch.tensor([record["conversations"][0]["ids"]])
log_p = torch.log_softmax(model(ids).logits[0, :-1].double(), -1)
loss = -log_p.gather(1, ids[0, 1:, None]).sum()
loss.backward()
record["loss"] = loss.item()
record["gradients"] = {
    name: {"norm": p.grad.norm().item(),
           "begin": p.grad.flatten()[:8].tolist()}
    for name, p in model.named_parameters()}
record["eos"] = model.generation_config.eos_token_id
out = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else folder / "golden.json"
out.write_text(
    json.dumps(record, ensure_ascii=False, indent=1) + "\n")
