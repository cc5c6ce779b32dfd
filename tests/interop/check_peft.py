"""Opens an adapter with PEFT on its base and compares the logits with ours.

    python check_peft.py --base model.gguf --adapter out/adapter --logits ours.json

`ours.json` is one case or a list of cases: {"input_ids": [tokens], "vocab_ids": [n indices],
"logits": [tokens][n], "base_logits": [tokens][n] (optional, with the adapter detached)}.
Prints one JSON object; exits 1 when a difference is above --tolerance or the adapter changes nothing.
"""

import argparse
import json
import sys

import torch
from base_model import open_model
from peft import PeftModel


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True)
    parser.add_argument("--adapter", required=True)
    parser.add_argument("--logits", required=True)
    parser.add_argument("--tolerance", type=float, default=1e-3)
    arguments = parser.parse_args()

    with open(arguments.logits) as file:
        cases = json.load(file)
    cases = cases if isinstance(cases, list) else [cases]
    base = open_model(arguments.base)
    model = PeftModel.from_pretrained(base, arguments.adapter).eval()

    report = {"cases": len(cases), "tokens": 0, "max_abs_diff": 0.0, "mean_abs_diff": 0.0, "base_max_abs_diff": None,
              "adapter_max_effect": 0.0, "max_abs_logit": 0.0, "tolerance": arguments.tolerance}
    for case in cases:
        input_ids = torch.tensor([case["input_ids"]])
        ours = torch.tensor(case["logits"])
        theirs = model(input_ids=input_ids).logits[0][:, case["vocab_ids"]]
        with model.disable_adapter():
            untuned = model(input_ids=input_ids).logits[0][:, case["vocab_ids"]]
        difference = (theirs - ours).abs()
        report["tokens"] += input_ids.shape[1]
        report["max_abs_diff"] = max(report["max_abs_diff"], largest(difference))
        report["mean_abs_diff"] += difference.mean().item() / len(cases)
        report["adapter_max_effect"] = max(report["adapter_max_effect"], largest(theirs - untuned))
        report["max_abs_logit"] = max(report["max_abs_logit"], largest(theirs))
        if case.get("base_logits"):
            base_difference = largest(untuned - torch.tensor(case["base_logits"]))
            report["base_max_abs_diff"] = max(report["base_max_abs_diff"] or 0.0, base_difference)

    settings = model.peft_config["default"]
    report |= {"rank": settings.r, "alpha": settings.lora_alpha, "target_modules": sorted(settings.target_modules)}
    differences = [report["max_abs_diff"], report["base_max_abs_diff"] or 0.0]
    # Written so that a NaN fails too.
    report["ok"] = all(d <= arguments.tolerance for d in differences) and report["adapter_max_effect"] > 0.0
    print(json.dumps(report))
    sys.exit(0 if report["ok"] else 1)


def largest(tensor):
    return tensor.abs().max().item()


if __name__ == "__main__":
    main()
