"""Golden values of LoRA: an adapter as PEFT saves it, and PEFT's logits.

    .venv-peers/bin/python tests/model/make_lora_golden.py

Writes tests/assets/llama-smol-tiny-lora. Made with peft 0.21.2.
"""
import json
import pathlib

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

assets = pathlib.Path(__file__).parent.parent / "assets"
torch.manual_seed(7)
model = AutoModelForCausalLM.from_pretrained(assets / "llama-smol-tiny",
                                             dtype=torch.float32)
model.config._name_or_path = "llama-smol-tiny"
model.name_or_path = "llama-smol-tiny"
peft = get_peft_model(model, LoraConfig(
    r=4, lora_alpha=12, target_modules=["q_proj", "v_proj", "down_proj"],
    task_type="CAUSAL_LM"))
with torch.no_grad():
    for name, value in peft.named_parameters():
        if "lora_B" in name:
            value.normal_(0, 0.3)
peft.eval()
golden = json.loads((assets / "llama-smol-tiny" / "golden.json").read_text())
ids = golden["prompts"][1]["input_ids"]
with torch.no_grad():
    logits = peft(input_ids=torch.tensor([ids])).logits[0]
    base = peft.get_base_model()
    with peft.disable_adapter():
        plain = peft(input_ids=torch.tensor([ids])).logits[0]
log_p = torch.log_softmax(logits.double(), -1)
loss = -sum(log_p[i, ids[i + 1]] for i in range(len(ids) - 1))

# ∂loss/∂A and ∂loss/∂B, as norms.
peft.train()
out = peft(input_ids=torch.tensor([ids])).logits[0]
total = torch.nn.functional.cross_entropy(
    out[:-1], torch.tensor(ids[1:]), reduction="sum")
total.backward()
gradients = {name.replace(".default", ""): value.grad.norm().item()
             for name, value in peft.named_parameters()
             if value.grad is not None}
folder = assets / "llama-smol-tiny-lora"
peft.save_pretrained(folder)
(folder / "README.md").unlink(missing_ok=True)
(folder / "golden.json").write_text(json.dumps({
    "made_with": "tests/model/make_lora_golden.py",
    "input_ids": ids,
    "last_logits": [float(f"{x:.7g}") for x in logits[-1].tolist()],
    "difference_from_base": (logits - plain).norm().item(),
    "loss": loss.item(),
    "gradient_norms": gradients,
}, indent=1) + "\n")
