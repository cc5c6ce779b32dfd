"""Goes on with a run of Loralet: TRL trains, Accelerate spreads the work over the GPUs.

    python train.py --config config.yaml

Every setting of config.yaml may also be given here, as in --learning_rate 1e-4; --help lists them all.
"""

from pathlib import Path

from datasets import load_dataset
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import ModelConfig, ScriptArguments, SFTConfig, SFTTrainer, TrlParser

ADAPTER = Path(__file__).parent / "adapter"


def main():
    script, training, model = TrlParser((ScriptArguments, SFTConfig, ModelConfig)).parse_args_and_config()
    rows = load_dataset(script.dataset_name)
    base = AutoModelForCausalLM.from_pretrained(model.model_name_or_path, dtype=model.dtype)
    trainer = SFTTrainer(
        model=PeftModel.from_pretrained(base, ADAPTER, is_trainable=True),
        args=training,
        train_dataset=rows["train"],
        eval_dataset=rows.get("validation"),
        processing_class=AutoTokenizer.from_pretrained(ADAPTER),
    )
    trainer.train()
    trainer.save_model()


if __name__ == "__main__":
    main()
