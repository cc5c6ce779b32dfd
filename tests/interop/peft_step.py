"""Times LoRA steps of PyTorch + PEFT on one thread, the peer of `cargo xtask bench --peer peft`.

    python peft_step.py --base SmolLM2-135M-Instruct.Q4_1.gguf --steps 5

Rank 16, alpha 32, the seven linears, one row of --sequence tokens, float32, AdamW; a step is forward, backward
and update. Prints one JSON object: step_ms and losses per step, peak_rss_bytes.
"""

import argparse
import json
import resource
import sys
import time

import torch
import torch.nn.functional as F
from base_model import open_model
from peft import LoraConfig, get_peft_model

LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--sequence", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    base = open_model(arguments.base)
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=32, target_modules=LINEARS))
    model.train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=2e-4, weight_decay=0.0)
    vocab_size = model.config.vocab_size
    input_ids = torch.tensor([[(i * 7919 + 11) % vocab_size for i in range(arguments.sequence)]])

    step_ms, losses = [], []
    for _ in range(arguments.steps):
        started = time.perf_counter()
        logits = model(input_ids=input_ids, use_cache=False).logits
        loss = F.cross_entropy(logits[0, :-1], input_ids[0, 1:])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        step_ms.append((time.perf_counter() - started) * 1000)

    # Linux counts ru_maxrss in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    print(json.dumps({
        "step_ms": [round(t, 1) for t in step_ms], "losses": losses,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
        "threads": torch.get_num_threads(), "sequence": arguments.sequence, "torch": torch.__version__,
    }))


if __name__ == "__main__":
    main()
