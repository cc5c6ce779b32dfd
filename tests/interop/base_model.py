"""Opens a base model for the comparisons: a GGUF file, dequantised, or a Hugging Face folder; float32, on the CPU."""

import os
import warnings
from pathlib import Path

# Dequantising a GGUF draws its own progress bar; it must be told before the import.
os.environ.setdefault("TQDM_DISABLE", "1")

import torch  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402
from transformers.utils import logging  # noqa: E402

warnings.filterwarnings("ignore")
logging.set_verbosity_error()
logging.disable_progress_bar()


def open_model(path):
    directory, options = location(path)
    return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, **options).eval()


def open_tokenizer(path):
    directory, options = location(path)
    return AutoTokenizer.from_pretrained(directory, **options)


def location(path):
    path = Path(path)
    if path.suffix == ".gguf":
        return path.parent, {"gguf_file": path.name}
    return path, {}
