"""Compares what llama.cpp computes of GGUF files with what the tab computes, and the files' bytes with ggml's.

    python check_llama_cpp.py rows.json

`rows.json`: {"probe": file of {"input_ids", "vocab_ids"}, "prompts": [text], "sides": {name: side}, "rows": [row]}.

A side is what the tab computed, {"logits": file, "of": which logits of it, "answers": [text]}, or a file that llama.cpp opens,
{"model", "adapter" (or null), "answers": whether it is asked for answers}. A row is one of these:

- {"name", "left": a side of llama.cpp, "right": any side, "tolerance", "arithmetic": a side of llama.cpp (or null)}: two sides.
- {"name", "quantised", "merged"}: whether ggml makes the bytes of `quantised` of the same model in f32, so that llama.cpp's own
  quantisation of it computes the same.
- {"name", "quantised", "in_f32"}: whether gguf, llama.cpp's package, makes the numbers of `in_f32` of the blocks.

Weights in blocks llama.cpp multiplies with activations that it first rounds to eight bits. "arithmetic" names the same weights in
f32: how far llama.cpp's two computations of them are apart is what its rounding does, and is added to the row's tolerance.

Logits are compared up to a constant, which no probability depends on. An answer counts as the same where it is, and where, at the
first token that is not, llama.cpp's two likeliest are less apart than twice the tolerance. Prints one JSON object a row; exits 1
when one is not ok.
"""

import ctypes
import gc
import json
import math
import os
import sys
from pathlib import Path

import numpy as np
import xllamacpp
from gguf import GGUFReader
from gguf.quants import dequantize

NEW_TOKENS = 40
LENGTHS = (8, 24, 48)


def main():
    case = json.loads(Path(sys.argv[1]).read_text())
    sides = {}
    all_ok = True
    for row in case["rows"]:
        if "merged" in row:
            report = check_quantised(row)
        elif "in_f32" in row:
            report = check_expanded(row)
        else:
            for name in (row["left"], row["right"], row["arithmetic"]):
                if name and name not in sides:
                    sides[name] = open_side(case, case["sides"][name])
            report = compare(row, sides)
        all_ok &= report["ok"]
        print(json.dumps(report), flush=True)
    # Its threads would wait for each other at the end.
    os._exit(0 if all_ok else 1)


def compare(row, sides):
    left, right = sides[row["left"]], sides[row["right"]]
    difference = apart(left, right)
    rounding = apart(left, sides[row["arithmetic"]]) if row["arithmetic"] else 0.0
    tolerance = row["tolerance"] + rounding
    same, gaps = 0, []
    answers = list(zip(left["answers"], right["answers"]))
    for ours, theirs in answers:
        gap = leaves_at(ours, theirs["text"])
        same += gap is None
        gaps += [] if gap is None else [gap]
    # Written so that a NaN fails too.
    ok = difference <= tolerance and all(gap <= 2 * tolerance for gap in gaps)
    return {"row": row["name"], "logits": difference, "rounding": rounding if row["arithmetic"] else None,
            "tolerance": tolerance, "same_answers": same, "answers": len(answers), "gaps": gaps, "ok": ok}


def apart(left, right):
    differences = []
    for a, b in zip(left["logits"], right["logits"], strict=True):
        differences.append(np.abs((a - a.mean()) - (b - b.mean())).max())
    return float(max(differences))


def leaves_at(answer, expected):
    """None where an answer is the expected one, else how far the two likeliest are apart where it leaves it."""
    if answer["text"].strip() == expected.strip():
        return None
    so_far = ""
    for token, gap in answer["tokens"]:
        so_far += token
        if not expected.strip().startswith(so_far.strip()):
            return gap
    # One stops where the other goes on.
    return math.inf


def open_side(case, side):
    probe = json.loads(Path(case["probe"]).read_text())
    if "model" not in side:
        case = json.loads(Path(side["logits"]).read_text())
        logits = [np.array(case[side["of"]][length - 1]) for length in LENGTHS]
        return {"logits": logits, "answers": [{"text": text} for text in side["answers"]]}
    server = open_server(side["model"], side["adapter"])
    logits = []
    for length in LENGTHS:
        theirs = log_probabilities(server, probe["input_ids"][:length])
        logits.append(np.array([theirs[i] for i in probe["vocab_ids"]]))
    answers = [greedy(server, prompt) for prompt in case["prompts"]] if side["answers"] else []
    del server
    gc.collect()
    return {"logits": logits, "answers": answers}


def library():
    return ctypes.CDLL(next(str(path) for path in Path(xllamacpp.__file__).parent.glob("*.so")))


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


def greedy(server, prompt):
    """An answer with its tokens, each with how far the two likeliest were apart."""
    request = {"messages": [{"role": "user", "content": prompt}], "max_tokens": NEW_TOKENS, "temperature": 0,
               "logprobs": True, "top_logprobs": 2, "cache_prompt": False}
    choice = server.handle_chat_completions(request)["choices"][0]
    tokens = []
    for token in choice["logprobs"]["content"]:
        first, second = token["top_logprobs"][:2]
        tokens.append((token["token"], first["logprob"] - second["logprob"]))
    return {"text": choice["message"]["content"], "tokens": tokens}


def check_quantised(row):
    """Whether ggml makes the same bytes of the tensors of the model in f32."""
    ggml = library()
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    merged = {tensor.name: tensor for tensor in GGUFReader(row["merged"]).tensors}
    forms, other_bytes = {}, []
    for tensor in GGUFReader(row["quantised"]).tensors:
        forms[tensor.tensor_type.name] = forms.get(tensor.tensor_type.name, 0) + 1
        weights = np.ascontiguousarray(merged.pop(tensor.name).data, dtype=np.float32)
        rows, width = (1, weights.size) if weights.ndim == 1 else weights.shape
        out = np.zeros(tensor.data.nbytes, dtype=np.uint8)
        pointers = weights.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p)
        sizes = ctypes.c_int64(0), ctypes.c_int64(rows), ctypes.c_int64(width)
        ggml.ggml_quantize_chunk(ctypes.c_int(tensor.tensor_type.value), *pointers, *sizes, None)
        if out.tobytes() != tensor.data.tobytes():
            other_bytes.append(tensor.name)
    return {"row": row["name"], "forms": forms, "other_bytes": other_bytes, "ok": not other_bytes and not merged}


def check_expanded(row):
    """How far the numbers of a file in f32 are from those that gguf makes of the blocks."""
    expanded = {tensor.name: tensor.data for tensor in GGUFReader(row["in_f32"]).tensors}
    difference = 0.0
    for tensor in GGUFReader(row["quantised"]).tensors:
        theirs = dequantize(tensor.data, tensor.tensor_type)
        difference = max(difference, float(np.abs(theirs - expanded.pop(tensor.name).reshape(theirs.shape)).max()))
    return {"row": row["name"], "expanded": difference, "ok": difference <= 1e-6 and not expanded}


if __name__ == "__main__":
    main()
