"""Opens a trained classifier with transformers, or its adapter with PEFT, and compares scores and labels with ours.

    python check_score.py --base www/public/models/tiny --trained out/adapter --scores ours.json --labels labels.json

`ours.json`: {"input_ids": [tokens], "scores": [num_labels]}. `labels.json`: a list of {"text", "labels": [{"label",
"probability"}]}, for which the text goes through transformers' own tokenizer. Prints one JSON object; exits 1 when a difference is
above --tolerance, or when the head was not loaded.
"""

import argparse
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import base_model  # noqa: F401, it silences the libraries
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer


class EncoderWithHead(torch.nn.Module):
    """As the model card says it: the head on the mean of the tokens."""

    def __init__(self, arguments, is_adapter):
        super().__init__()
        trained = Path(arguments.trained)
        self.config = AutoConfig.from_pretrained(trained)
        if is_adapter:
            self.encoder = PeftModel.from_pretrained(AutoModel.from_pretrained(arguments.base), trained)
            self.head = load_file(trained / "score.safetensors")["score.weight"]
        else:
            self.encoder = AutoModel.from_pretrained(trained, add_pooling_layer=False)
            self.head = load_file(trained / "model.safetensors")["score.weight"]

    def forward(self, input_ids, attention_mask=None, token_type_ids=None):
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        hidden = self.encoder(input_ids=input_ids, attention_mask=mask).last_hidden_state
        mean = (hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
        return SimpleNamespace(logits=mean @ self.head.T)


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("base", "trained", "scores", "labels"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--tolerance", type=float, default=1e-3)
    arguments = parser.parse_args()

    is_adapter = (Path(arguments.trained) / "adapter_config.json").exists()
    if AutoConfig.from_pretrained(arguments.trained).model_type == "bert":
        model = EncoderWithHead(arguments, is_adapter).eval()
    elif is_adapter:
        config = AutoConfig.from_pretrained(arguments.trained)
        base = AutoModelForSequenceClassification.from_pretrained(arguments.base, config=config, dtype=torch.float32)
        model = PeftModel.from_pretrained(base, arguments.trained).eval()
    else:
        model, loading = AutoModelForSequenceClassification.from_pretrained(arguments.trained, output_loading_info=True)
        model = model.eval()
        assert not any(loading.values()), loading
    names = [model.config.id2label[row] for row in range(len(model.config.id2label))]

    with open(arguments.scores) as file:
        case = json.load(file)
    theirs = model(input_ids=torch.tensor([case["input_ids"]])).logits[0]
    differences = {"max_score_diff": (theirs - torch.tensor(case["scores"])).abs().max().item(), "max_probability_diff": 0.0}

    tokenizer = AutoTokenizer.from_pretrained(arguments.trained)
    with open(arguments.labels) as file:
        texts = json.load(file)
    for row in texts:
        theirs = model(**tokenizer(row["text"], return_tensors="pt")).logits[0].softmax(-1)
        ours = {label["label"]: label["probability"] for label in row["labels"]}
        difference = max(abs(ours[name] - theirs[i].item()) for i, name in enumerate(names))
        differences["max_probability_diff"] = max(differences["max_probability_diff"], difference)

    # Written so that a NaN fails too.
    agree = all(difference <= arguments.tolerance for difference in differences.values())
    print(json.dumps({
        "opened_as": "PEFT adapter" if is_adapter else type(model).__name__, "labels": names, "texts": len(texts),
        "max_abs_score": max(abs(score) for score in case["scores"]), **differences, "ok": agree,
    }))
    sys.exit(0 if agree else 1)


if __name__ == "__main__":
    main()
