"""Writes a sample of prompts for `tiny`: questions about who lives in Fernbrook, without answers.

    python examples/tiny/make_brief.py [OUT_FILE] [--seed 5]

`tiny` answers them with 4 to 30 words. With the objective `grpo` and the reward `length` it learns to answer with about as many
as it is asked for.
"""

import argparse
import json
import random
from pathlib import Path

import chat
from make_samples import ROOT

ROWS = 64


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", default=ROOT / "www/public/samples/tiny-brief.jsonl")
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()

    rng = random.Random(arguments.seed)
    questions = {}
    while len(questions) < ROWS:
        questions.setdefault(chat.who(rng)[0])
    with arguments.out.open("w", encoding="utf-8") as file:
        for question in questions:
            file.write(json.dumps({"prompt": question}) + "\n")


if __name__ == "__main__":
    main()
