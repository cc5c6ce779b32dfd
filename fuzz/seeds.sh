#!/bin/sh
# Writes what each target begins with, made of the suite's fixtures and of earlier findings, to fuzz/corpus.
set -e
cd "$(dirname "$0")/.."
fixtures=tests/fixtures
corpus=fuzz/corpus

join() { # several files as one input
    out=$1; shift
    first=1
    : > "$out"
    for part; do
        [ $first = 1 ] || printf '\n=====\n' >> "$out"
        first=0
        [ "$part" = - ] || cat "$part" >> "$out"
    done
}

for target in $(ls fuzz/fuzz_targets | sed 's/\.rs$//'); do
    mkdir -p $corpus/$target
    [ -d tests/native/hostile/findings/$target ] && cp tests/native/hostile/findings/$target/* $corpus/$target/
done

cp $fixtures/weights/*.gguf $corpus/gguf_header/
cp $fixtures/weights/llama3.gguf $fixtures/weights/own-factors.gguf $fixtures/weights/q8_0.gguf $corpus/gguf/
cp $fixtures/weights/tokenizer-*.gguf $corpus/gguf/
for file in $fixtures/weights/f16/model.safetensors $fixtures/llama/random_lora/adapter_model.safetensors \
    $fixtures/score/adapter_classify/adapter_model.safetensors; do
    name=$(echo "$file" | tr / -)
    cp "$file" $corpus/safetensors_header/$name
    cp "$file" $corpus/safetensors/$name
done
sharded=$fixtures/weights/bf16-sharded
sed 's/-of-00003/-of-00002/g; s/model-00003/model-00002/g' $sharded/model.safetensors.index.json > $corpus/index
join $corpus/folder/sharded $fixtures/weights/f32/config.json - $fixtures/weights/f32/tokenizer_config.json - $corpus/index \
    $sharded/model-00001-of-00003.safetensors $sharded/model-00002-of-00003.safetensors
rm $corpus/index
for model in cases/model bert/random_bert llama/random_llama; do
    [ -f $fixtures/$model/config.json ] || continue
    join $corpus/folder/$(echo $model | tr / -) $fixtures/$model/config.json - - - - $fixtures/$model/model.safetensors
done
cp $fixtures/cases/model/tokenizer.json $corpus/tokenizer/cases
cp $fixtures/data/bpe_tokenizer.json $corpus/tokenizer/bpe
for adapter in cases/last_layers cases/regex_targets score/adapter_classify; do
    join $corpus/adapter/$(echo $adapter | tr / -) $fixtures/$adapter/adapter_config.json $fixtures/$adapter/adapter_model.safetensors
done
cp $fixtures/gguf_lora/*.gguf $corpus/adapter/
join $corpus/adapter/mlx $fixtures/mlx/adapter/adapter_config.json $fixtures/mlx/adapter/adapters.safetensors
(cd $fixtures/cases/last_layers && python3 -m zipfile -c ../../../../$corpus/zip/last_layers adapter_config.json adapter_model.safetensors)
cp $fixtures/cases/model/chat_template.jinja $corpus/template/cases
cp $fixtures/reasoning/chat_template.jinja $corpus/template/reasoning
python3 - $fixtures/data $corpus/template <<'PYTHON'
import json, pathlib, sys
source, out = map(pathlib.Path, sys.argv[1:])
def templates(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("template", "chat_template", "source") and isinstance(inner, str):
                yield inner
            else:
                yield from templates(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from templates(inner)
for name in ("chat_templates.json", "tool_templates.json"):
    for i, template in enumerate(templates(json.loads((source / name).read_text()))):
        (out / f"{name}-{i}").write_text(template)
PYTHON
data() { printf '%b' "$2" > "$corpus/data/$1"; }
data csv 'a.csv\nprompt,completion\nq,"a, ""b"""\n"x\ny",z\n'
data semicolons 'a.csv\nsep=;\nprompt;completion\nq;a\n'
data tsv 'a.tsv\ntext\tlabel\na b c d e f g h\tgood\nmail me@example.com +49 170 1234567\tbad\n'
data jsonl 'a.jsonl\n{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes <|im_end|>"}]}\n{"messages": []}\n'
data json 'a.json\n[{"prompt": "a", "chosen": "b", "rejected": "c"}, {"prompt": NaN, "chosen": "d", "rejected": "e"}]\n'
data columns 'a.json\n{"prompt": {"0": "a", "1": "b"}, "completion": {"0": "c", "1": "d"}}\n'
data split 'a.json\n{"columns": ["prompt", "completion"], "index": [0], "data": [["a", "b"]]}\n'
data list 'a.json\n{"sentence1": ["a", "b"], "sentence2": ["c", "d"], "score": [0.1, 0.9]}\n'
data train 'a.json\n{"train": [{"text": "a"}], "test": [{"text": "b"}]}\n'
data text 'a.txt\nA text.\n\n\nAnother one.\n<|endoftext|>\nsk-abcdefghijklmnopqrstuv1234\n'
data markdown 'a.md\n# A head\n\nprompt,completion\na,b\n'
data python "a.csv\nmessages\n\"[{'role': 'user', 'content': \"\"it's\"\"}, {'role': 'assistant', 'content': 'b'}]\"\n"
data sharegpt 'a.json\n[{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b", "weight": 0}], "tools": "[]"}]\n'
data utf16 'a.csv\n\377\376t\0e\0x\0t\0\n\0a\0\n\0'
data utf16_plain 'a.csv\nt\0e\0x\0t\0\n\0a\0b\0\n\0'
data marks 'a.jsonl\n\357\273\277{"text": "a"}\n\357\273\277{"text": "b"}\n'
python3 - $corpus/tokenizer <<'PYTHON'
import base64, json, pathlib, struct, sys
out = pathlib.Path(sys.argv[1])
charsmap = base64.b64encode(struct.pack("<I", 1024) + bytes(1024) + b"a\0").decode()
models = {
    "unigram": {"type": "Unigram", "unk_id": 0, "byte_fallback": True, "vocab": [["<unk>", 0], ["a", -1.5], ["ab", -2.0], ["<0x41>", -3]]},
    "word_piece": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": {"[UNK]": 0, "a": 1, "##b": 2}},
    "word_level": {"type": "WordLevel", "unk_token": "u", "vocab": {"u": 0, "Hello": 1}},
    "pairs": {"type": "BPE", "unk_token": "u", "fuse_unk": True, "byte_fallback": True, "continuing_subword_prefix": "#", "end_of_word_suffix": "$", "vocab": {"u": 0, "a": 1, "#b": 2, "ab": 3}, "merges": ["a #b"]},
}
normalizers = [
    {"type": "Precompiled", "precompiled_charsmap": charsmap}, {"type": "NFKC"}, {"type": "Lowercase"}, {"type": "StripAccents"},
    {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
    {"type": "Replace", "pattern": {"Regex": "a+"}, "content": "b"}, {"type": "Strip", "strip_left": True, "strip_right": True},
    {"type": "Prepend", "prepend": "_"}, {"type": "Nmt"}, {"type": "ByteLevel"},
]
splits = [
    {"type": "Whitespace"}, {"type": "BertPreTokenizer"}, {"type": "Metaspace", "replacement": "_", "prepend_scheme": "always", "split": True},
    {"type": "CharDelimiterSplit", "delimiter": "l"}, {"type": "Digits", "individual_digits": True}, {"type": "UnicodeScripts"},
    {"type": "Split", "pattern": {"Regex": "l*"}, "behavior": "MergedWithPrevious", "invert": True}, {"type": "FixedLength", "length": 3},
    {"type": "Punctuation", "behavior": "Contiguous"}, {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
]
decoders = [{"type": "WordPiece", "prefix": "##", "cleanup": True}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "CTC", "pad_token": "a", "word_delimiter_token": "|", "cleanup": True},
    {"type": "Strip", "content": " ", "start": 1, "stop": 1}, {"type": "BPEDecoder", "suffix": "$"}]
template = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "u", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {"u": {"id": "u", "ids": [0], "tokens": ["u"]}}}
added = {"id": 9, "content": "<s>", "single_word": False, "lstrip": True, "rstrip": True, "normalized": True, "special": True}
for name, model in models.items():
    for i, (normalizer, split) in enumerate(zip(normalizers, splits)):
        file = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [added], "normalizer": {"type": "Sequence", "normalizers": [normalizer]},
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split]}, "post_processor": template if i % 2 else None,
            "decoder": decoders[i % len(decoders)], "model": model}
        (out / f"{name}-{i}").write_text(json.dumps(file))
PYTHON
python3 - $corpus/checkpoint/some <<'PYTHON'
import json, pathlib, struct, sys
run = {"recipe": {"train": {"max_steps": 3}}, "done": 2, "optimizer_updates": 2, "data_digest": "0", "base_digest": "1"}
names = ("values", "first_moment", "second_moment")
tensors = {name: {"dtype": "F32", "shape": [4], "data_offsets": [16 * i, 16 * i + 16]} for i, name in enumerate(names)}
header = json.dumps({"__metadata__": {"loralet": json.dumps(run)}, **tensors}).encode()
pathlib.Path(sys.argv[1]).write_bytes(struct.pack("<Q", len(header)) + header + bytes(48))
PYTHON
printf '{"train": {"max_steps": 3, "learning_rate": 1e-4}, "lora": {"rank": 4}, "data": {"fix": ["redact"], "mapping": {"text": "a"}}}' > $corpus/recipe/some
