"""Makes everything of `tiny` but its weights, and random weights to start training from.

    python examples/tiny/make_tokenizer.py TEXT_FOLDER START_FOLDER [--model www/public/models/tiny]

Trains a byte-level BPE tokenizer of 1024 entries on the output of make_text.py, and writes tokenizer, chat template
and config into the model's folder and, with a random model.safetensors, into START_FOLDER.
Needs numpy, safetensors and tokenizers (tests/interop/requirements.txt).
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

ROOT = Path(__file__).resolve().parents[2]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
    "head_dim": 32,
    "hidden_act": "silu",
    "hidden_size": 128,
    "initializer_range": 0.02,
    "intermediate_size": 352,
    "max_position_embeddings": 512,
    "mlp_bias": False,
    "num_attention_heads": 4,
    "num_hidden_layers": 5,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "float16",
    "use_cache": True,
    "vocab_size": 1024,
}
TOKENIZER_CONFIG = {
    "add_bos_token": False,
    "add_prefix_space": False,
    "bos_token": "<|im_start|>",
    "clean_up_tokenization_spaces": False,
    "eos_token": "<|im_end|>",
    "model_max_length": 512,
    "pad_token": "<|im_end|>",
    "tokenizer_class": "PreTrainedTokenizerFast",
    "unk_token": "<|endoftext|>",
}
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("start", type=Path)
    parser.add_argument("--model", type=Path, default=ROOT / "www/public/models/tiny")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()

    files = write_small_files(arguments.text, arguments.model)
    arguments.start.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy(file, arguments.start / file.name)
    parameters = write_random_weights(arguments.start / "model.safetensors", arguments.seed)
    print(f"{arguments.start}: {parameters / 1e6:.2f} M random parameters")


def write_small_files(text, model):
    model.mkdir(parents=True, exist_ok=True)
    train_tokenizer(text).save(str(model / "tokenizer.json"), pretty=False)
    generation = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    for name, value in [("config.json", CONFIG), ("tokenizer_config.json", TOKENIZER_CONFIG), ("generation_config.json", generation)]:
        (model / name).write_text(json.dumps(value, indent=2) + "\n")
    (model / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    names = ["tokenizer.json", "config.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja"]
    return [model / name for name in names]


def train_tokenizer(text):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=CONFIG["vocab_size"], special_tokens=SPECIAL, show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(lines(text), trainer)
    assert tokenizer.get_vocab_size() == CONFIG["vocab_size"]
    return tokenizer


def lines(text):
    for row in (text / "text.jsonl").read_text(encoding="utf-8").splitlines():
        yield json.loads(row)["text"]
    for row in (text / "chat.jsonl").read_text(encoding="utf-8").splitlines():
        for message in json.loads(row)["messages"]:
            # The template's role line, so that "assistant" and "user" get tokens of their own.
            yield message["role"] + "\n" + message["content"]


def write_random_weights(path, seed):
    rng = numpy.random.default_rng(seed)
    c = CONFIG
    hidden, ffn, layers = c["hidden_size"], c["intermediate_size"], c["num_hidden_layers"]
    q, kv = c["num_attention_heads"] * c["head_dim"], c["num_key_value_heads"] * c["head_dim"]
    # Projections that write into the residual stream start smaller the deeper the model.
    small = 0.02 / (2 * layers) ** 0.5
    random = lambda rows, columns, std=0.02: (rng.standard_normal((rows, columns)) * std).astype(numpy.float32)
    ones = lambda: numpy.ones(hidden, dtype=numpy.float32)
    tensors = {"model.embed_tokens.weight": random(c["vocab_size"], hidden), "model.norm.weight": ones()}
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        tensors |= {
            prefix + "self_attn.q_proj.weight": random(q, hidden), prefix + "self_attn.k_proj.weight": random(kv, hidden),
            prefix + "self_attn.v_proj.weight": random(kv, hidden), prefix + "self_attn.o_proj.weight": random(hidden, q, small),
            prefix + "mlp.gate_proj.weight": random(ffn, hidden), prefix + "mlp.up_proj.weight": random(ffn, hidden),
            prefix + "mlp.down_proj.weight": random(hidden, ffn, small),
            prefix + "input_layernorm.weight": ones(), prefix + "post_attention_layernorm.weight": ones(),
        }
    save_file(tensors, path, metadata={"format": "pt"})
    return sum(tensor.size for tensor in tensors.values())


if __name__ == "__main__":
    main()
