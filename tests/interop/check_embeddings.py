"""Opens a trained encoder with sentence-transformers, its adapter with PEFT, and compares embeddings with ours.

    python check_embeddings.py --base ~/.cache/loralet/models/minilm --trained out/adapter --embedding ours.json

`ours.json`: {"input_ids": [tokens], "scores": [hidden]}, the tuned embedding of the tokens. Prints one JSON object; exits 1 when a
difference is above --tolerance, when the adapter changes nothing, or when a weight was not loaded.
"""

import argparse
import json
import sys
from pathlib import Path

import base_model  # noqa: F401, it silences the libraries
import torch
from peft import PeftModel
from sentence_transformers import SentenceTransformer

SENTENCES = ["The grumbler is on fire.", "The engine is on fire."]


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("base", "trained", "embedding"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--tolerance", type=float, default=1e-3)
    arguments = parser.parse_args()
    with open(arguments.embedding) as file:
        case = json.load(file)
    ours = torch.tensor(case["scores"])

    base = SentenceTransformer(arguments.base, device="cpu")
    is_adapter = (Path(arguments.trained) / "adapter_config.json").exists()
    differences = {}
    if is_adapter:
        tuned = SentenceTransformer(arguments.base, device="cpu")
        tuned.load_adapter(arguments.trained)
        bert = SentenceTransformer(arguments.base, device="cpu")[0].auto_model
        by_peft = PeftModel.from_pretrained(bert, arguments.trained).eval()
        differences["max_diff_peft"] = (embed(by_peft, case) - ours).abs().max().item()
    else:
        tuned = SentenceTransformer(arguments.trained, device="cpu")
    differences["max_diff"] = (embed(tuned[0].auto_model.eval(), case) - ours).abs().max().item()
    moved = (embed(base[0].auto_model.eval(), case) - ours).abs().max().item()
    # Written so that a NaN fails too.
    agree = all(difference <= arguments.tolerance for difference in differences.values()) and moved > 10 * arguments.tolerance
    print(json.dumps({
        "opened_as": "PEFT adapter" if is_adapter else "SentenceTransformer", "hidden": len(ours), **differences,
        "moved_from_base": moved, "cosine_base": cosine(base), "cosine_tuned": cosine(tuned), "ok": agree,
    }))
    sys.exit(0 if agree else 1)


def embed(model, case):
    hidden = model(input_ids=torch.tensor([case["input_ids"]])).last_hidden_state[0]
    return torch.nn.functional.normalize(hidden.mean(0), dim=0)


def cosine(model):
    """Of what a docker says and what it means."""
    said, meant = model.encode(SENTENCES, convert_to_tensor=True, normalize_embeddings=True)
    return round((said @ meant).item(), 4)


if __name__ == "__main__":
    main()
