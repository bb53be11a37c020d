"""What transformers makes of prompts with their answers, into
tests/assets/seam_golden.json. Usage: make_seam_golden.py, with transformers.

prompt_ids: of the prompt, or of the conversation with its generation prompt.
answer_ids: what follows them where both are encoded as one text (of a
conversation: rendered with the assistant's turn, up to its end); null where a
token reaches across.
text: decode(prompt + answer) without decode(prompt)."""
import json
import pathlib

from transformers import PreTrainedTokenizerFast

assets = pathlib.Path(__file__).parents[1] / "assets"
PLAIN = [
    ("The capital of France is", " Paris."),
    ("The capital of France is", "Paris."),
    ("The capital of France is ", "Paris."),
    ("The capital of France is ", " Paris."),
    ("The capital of France is\n", "Paris."),
    ("The capital of France is\n", " Paris."),
    ("Question: 2 + 2?\nAnswer:", " 4"),
    ("x = ", "5"),
    ("x =", "  5"),
    ("the ca", "t sat"),
    ("", "Once"),
    ("def f():\n", "    return 1\n"),
    ("def f():", "\n    return 1\n"),
    ("caf", "\u00e9 \U0001f355"),
    ("\U0001f355", "\U0001f355 \uacf0"),
    ("a\n", "\nb"),
    ("a\n\n", "b"),
    ("a \n", " \n b"),
    ("tab\t", "\tb"),
]
CHATS = [[("user", "The capital of France?")],
         [("user", "Hi"), ("assistant", "Hello."), ("user", "And of Italy? ")]]
ANSWERS = ["Paris", "yes.", "4", "\uacf0"]

rows = []
for name in ("mistral-tokenizer", "smollm2", "stories260k-hf"):
    known = PreTrainedTokenizerFast.from_pretrained(assets / name)
    ends = {known.eos_token_id, known.convert_tokens_to_ids("<|im_end|>")}

    def put(prompt_ids, whole_ids, **given):
        n = len(prompt_ids)
        joined = whole_ids[:n] == prompt_ids
        rest = whole_ids[n:] if joined else None
        text = None
        if joined:
            before = known.decode(prompt_ids, skip_special_tokens=True)
            both = known.decode(whole_ids, skip_special_tokens=True)
            assert both.startswith(before), (both, before)
            text = both[len(before):]
        rows.append(dict(tokenizer=name, **given, prompt_ids=prompt_ids,
                         answer_ids=rest, text=text))

    for prompt, answer in PLAIN:
        ids = known.encode(prompt)
        if not ids:
            ids = [known.bos_token_id]
        put(ids, known.encode(prompt + answer), prompt=prompt, answer=answer)
    if not known.chat_template:
        continue
    for turns in CHATS:
        messages = [dict(role=r, content=c) for r, c in turns]
        ids = known.apply_chat_template(messages, add_generation_prompt=True,
                                        return_dict=False)
        for answer in ANSWERS:
            said = messages + [dict(role="assistant", content=answer)]
            whole = known.apply_chat_template(said, return_dict=False)
            last = max(i for i, t in enumerate(whole) if t in ends)
            put(ids, whole[:last], messages=messages, answer=answer)

(assets / "seam_golden.json").write_text(
    "[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n")
print(len(rows), sum(r["answer_ids"] is None for r in rows), "across")
