"""Opens an adapter, or a merged model, with mlx-lm and compares logits with ours.

    python check_mlx.py --base folder [--adapter out/mlx] --logits ours.json [--of logits]

`ours.json`: {"input_ids": [tokens], "vocab_ids": [n indices], "logits": [tokens][n], "base_logits": …}. Prints one JSON object;
exits 1 when a difference is above --tolerance, or when the adapter changes nothing.
"""

import argparse
import json
import sys

import mlx.core as mx
import numpy as np
from mlx_lm import load


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True)
    parser.add_argument("--adapter")
    parser.add_argument("--logits", required=True)
    parser.add_argument("--tolerance", type=float, default=1e-3)
    arguments = parser.parse_args()

    with open(arguments.logits) as file:
        case = json.load(file)
    model, _ = load(arguments.base, adapter_path=arguments.adapter)
    # By itself it computes with what the weights are stored in.
    model.set_dtype(mx.float32)
    theirs = model(mx.array([case["input_ids"]]))[0]
    theirs = np.array(theirs)[:, case["vocab_ids"]]
    difference = float(np.abs(theirs - np.array(case["logits"])).max())
    moved = float(np.abs(theirs - np.array(case["base_logits"])).max())
    # Written so that a NaN fails too.
    ok = difference <= arguments.tolerance and moved > 10 * arguments.tolerance
    print(json.dumps({"logits": difference, "tolerance": arguments.tolerance, "moved_from_base": moved, "ok": ok}))
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
