"""Tokenizers of type Unigram and WordLevel with what other programs make of
texts, into tests/assets/{unigram,unigram-bytes,wordlevel}-tiny/tokenizer.json and
tests/assets/vocabulary_golden.json. Usage: make_vocabulary_golden.py, with
sentencepiece, protobuf and tokenizers.

The ids of the Unigram models are sentencepiece's own; those of the word-level
model are looked up here. A text on which the tokenizer.json, as the tokenizers
package reads it, does not mean the same (sentencepiece drops spaces at the end)
is left out."""
import base64
import io
import json
import pathlib
import re

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Tokenizer

assets = pathlib.Path(__file__).parents[1] / "assets"
texts = json.loads((assets / "text_golden.json").read_text())["strings"]
CORPUS = """The quick brown fox jumps over the lazy dog.
She sells sea shells on the sea shore, and the shells she sells are sea shells.
How many roads must a man walk down before you call him a man?
Numbers such as 1984, 3.14 and 1,000,000 stand beside words.
Der schnelle braune Fuchs springt über den faulen Hund.
Le renard brun rapide saute par-dessus le chien paresseux, déjà vu.
\ube60\ub978 \uac08\uc0c9 \uc5ec\uc6b0\uac00 \uac8c\uc73c\ub978 \uac1c\ub97c \ub6f0\uc5b4\ub118\ub294\ub2e4.
def add(a, b): return a + b
It isn't what we'd call easy; they're not what I'll want.
The capital of France is Paris. The capital of Italy is Rome.""".split("\n")


def trained(**options):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS * 20), model_writer=out,
        model_type="unigram", hard_vocab_limit=False, **options)
    return out.getvalue()


def unigram(name, model):
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model)
    normalizers = []
    if charsmap := proto.normalizer_spec.precompiled_charsmap:
        normalizers.append({
            "type": "Precompiled",
            "precompiled_charsmap": base64.b64encode(charsmap).decode()})
    normalizers.append({"type": "Replace", "pattern": {"Regex": " {2,}"},
                        "content": " "})
    space = {"type": "Metaspace", "replacement": "\u2581",
             "prepend_scheme": "always", "split": True}
    decoders = [{"type": "ByteFallback"}] if any(
        piece.type == 6 for piece in proto.pieces) else []
    file = {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [
            {"id": i, "content": piece.piece, "single_word": False,
             "lstrip": False, "rstrip": False, "normalized": False,
             "special": True}
            for i, piece in enumerate(proto.pieces) if piece.type in (2, 3)],
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": space, "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": decoders + [space]},
        "model": {"type": "Unigram", "unk_id": proto.trainer_spec.unk_id,
                  "vocab": [[p.piece, p.score] for p in proto.pieces],
                  "byte_fallback": bool(decoders)}}
    put(name, file, sentencepiece.SentencePieceProcessor(
        model_proto=model).encode)


def wordlevel(name):
    pattern = re.compile(r"\w+|[^\w\s]+")
    words = sorted({w for line in CORPUS for w in pattern.findall(line)})
    vocabulary = {"[UNK]": 0} | {w: i + 1 for i, w in enumerate(words)}
    file = {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary,
                  "unk_token": "[UNK]"}}
    put(name, file, lambda text: [vocabulary.get(w, 0)
                                  for w in pattern.findall(text)])


golden = {}


def put(name, file, encode):
    folder = assets / name
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(file))
    known = Tokenizer.from_str(json.dumps(file))
    rows = []
    for text in texts + CORPUS:
        ids = encode(text)
        if known.encode(text).ids == ids:
            rows.append({"text": text, "ids": ids, "decoded": known.decode(ids)})
    print(name, len(file["model"]["vocab"]), "pieces,", len(rows), "of",
          len(texts + CORPUS), "texts")
    golden[name] = rows


unigram("unigram-tiny", trained(vocab_size=300))
unigram("unigram-bytes-tiny",
        trained(vocab_size=500, byte_fallback=True,
                normalization_rule_name="identity"))
wordlevel("wordlevel-tiny")
(assets / "vocabulary_golden.json").write_text(json.dumps(golden, indent=0))
