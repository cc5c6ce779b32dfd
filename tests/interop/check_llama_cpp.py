"""Opens GGUF files with llama.cpp and compares logits and greedy answers with those of the tab.

    python check_llama_cpp.py rows.json

`rows.json` is a list of rows: {"name", "model", "adapter" (or null), "logits": file of {"input_ids", "vocab_ids", "logits",
"base_logits"}, "of": which of the two, "answers": [{"prompt", "text"}], "tolerance"}; or {"name", "quantised", "merged"}: whether
ggml makes the bytes of `quantised` of the same model in f32. Prints one JSON object a row; exits 1 when one is not ok.

Logits are compared up to a constant, which no probability depends on. An answer counts as the same where it is, and where, at the
first token that is not, llama.cpp's two likeliest are less apart than twice the row's tolerance.
"""

import ctypes
import json
import math
import os
import sys
from pathlib import Path

import numpy as np
import xllamacpp
from gguf import GGUFReader

NEW_TOKENS = 40


def main():
    rows = json.loads(Path(sys.argv[1]).read_text())
    all_ok = True
    for row in rows:
        report = check_quantised(row) if "quantised" in row else check_row(row)
        all_ok &= report["ok"]
        print(json.dumps(report), flush=True)
    # Its threads would wait for each other at the end.
    os._exit(0 if all_ok else 1)


def check_row(row):
    server = open_server(row["model"], row["adapter"])
    ours = json.loads(Path(row["logits"]).read_text())
    difference = 0.0
    for length in (8, 24, len(ours["input_ids"])):
        theirs = log_probabilities(server, ours["input_ids"][:length])
        theirs = np.array([theirs[i] for i in ours["vocab_ids"]])
        expected = np.array(ours[row["of"]][length - 1])
        apart = (theirs - theirs.mean()) - (expected - expected.mean())
        difference = max(difference, float(np.abs(apart).max()))
    same, gaps, texts = 0, [], []
    for answer in row["answers"]:
        text, gap = greedy(server, answer["prompt"], answer["text"])
        same += gap is None
        gaps += [] if gap is None else [gap]
        texts.append(text)
    tolerance = row["tolerance"]
    # Written so that a NaN fails too.
    ok = difference <= tolerance and all(gap <= 2 * tolerance for gap in gaps)
    return {"row": row["name"], "logits": difference, "tolerance": tolerance, "same_answers": same,
            "answers": len(texts), "gaps": gaps, "texts": texts, "ok": ok}


def open_server(model, adapter):
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.n_ctx = 1024
    parameters.n_parallel = 1
    parameters.n_gpu_layers = 0
    parameters.warmup = False
    parameters.use_jinja = True
    # By itself it keeps keys and values in f16.
    parameters.cache_type_k = parameters.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    parameters.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    parameters.cpuparams.n_threads = os.cpu_count()
    if adapter:
        lora = xllamacpp.CommonAdapterLoraInfo()
        lora.path, lora.scale = adapter, 1.0
        parameters.lora_adapters = [lora]
    return xllamacpp.Server(parameters)


def log_probabilities(server, ids):
    """Logits of every token after these."""
    request = {"prompt": ids, "n_predict": 1, "temperature": 0, "n_probs": 1 << 20, "cache_prompt": False}
    answer = server.handle_completions(request)
    top = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    return {entry["id"]: entry["logprob"] for entry in top}


def greedy(server, prompt, expected):
    """The answer, and None where it is the expected one, else how far the two likeliest are apart where it leaves it."""
    request = {"messages": [{"role": "user", "content": prompt}], "max_tokens": NEW_TOKENS, "temperature": 0,
               "logprobs": True, "top_logprobs": 2, "cache_prompt": False}
    choice = server.handle_chat_completions(request)["choices"][0]
    text = choice["message"]["content"]
    if text.strip() == expected.strip():
        return text, None
    so_far = ""
    for token in choice["logprobs"]["content"]:
        so_far += token["token"]
        if not expected.strip().startswith(so_far.strip()):
            first, second = token["top_logprobs"][:2]
            return text, first["logprob"] - second["logprob"]
    # One stops where the other goes on.
    return text, math.inf


def check_quantised(row):
    """Whether ggml makes the same bytes of the tensors of the model in f32."""
    library = ctypes.CDLL(next(str(path) for path in Path(xllamacpp.__file__).parent.glob("*.so")))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    merged = {tensor.name: tensor for tensor in GGUFReader(row["merged"]).tensors}
    forms, other_bytes = {}, []
    for tensor in GGUFReader(row["quantised"]).tensors:
        forms[tensor.tensor_type.name] = forms.get(tensor.tensor_type.name, 0) + 1
        weights = np.ascontiguousarray(merged.pop(tensor.name).data, dtype=np.float32)
        rows, width = (1, weights.size) if weights.ndim == 1 else weights.shape
        out = np.zeros(tensor.data.nbytes, dtype=np.uint8)
        pointers = weights.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p)
        sizes = ctypes.c_int64(0), ctypes.c_int64(rows), ctypes.c_int64(width)
        library.ggml_quantize_chunk(ctypes.c_int(tensor.tensor_type.value), *pointers, *sizes, None)
        if out.tobytes() != tensor.data.tobytes():
            other_bytes.append(tensor.name)
    return {"row": row["name"], "forms": forms, "other_bytes": other_bytes, "ok": not other_bytes and not merged}


if __name__ == "__main__":
    main()
