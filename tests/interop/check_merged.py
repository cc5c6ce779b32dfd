"""Opens a merged model with transformers and compares its logits with ours.

    python check_merged.py --base out/merged --logits ours.json

`ours.json`: {"input_ids": [tokens], "vocab_ids": [n indices], "logits": [tokens][n], …}. Prints one JSON object; exits 1 when a
difference is above --tolerance, or when a weight was not loaded.
"""

import argparse
import json
import sys

import base_model  # noqa: F401, it silences the libraries
import torch
from transformers import AutoModelForCausalLM


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True)
    parser.add_argument("--logits", required=True)
    parser.add_argument("--tolerance", type=float, default=1e-3)
    arguments = parser.parse_args()

    with open(arguments.logits) as file:
        case = json.load(file)
    model, loading = AutoModelForCausalLM.from_pretrained(arguments.base, dtype=torch.float32, output_loading_info=True)
    theirs = model.eval()(input_ids=torch.tensor([case["input_ids"]])).logits[0][:, case["vocab_ids"]]
    difference = (theirs - torch.tensor(case["logits"])).abs().max().item()
    # Written so that a NaN fails too.
    ok = difference <= arguments.tolerance and not any(loading.values())
    print(json.dumps({"logits": difference, "tolerance": arguments.tolerance, "ok": ok}))
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
