"""Writes a sample data set for fine-tuning `tiny`: questions about Fernbrook answered by a duck.

    python examples/tiny/make_samples.py [OUT_FILE] [--seed 3]

Only the manner of the answers is new, and it is made of words that `tiny` knows, so a minute of LoRA is enough to see
it, also in answers to other questions.
"""

import argparse
import json
import random
from pathlib import Path

import chat

ROOT = Path(__file__).resolve().parents[2]
ROWS = 300
MAKERS = [
    chat.where, chat.food, chat.friend, chat.coat, chat.colour, chat.animal, chat.opposite, chat.source, chat.calendar,
    chat.place, chat.by_fact, chat.who, chat.small_talk, chat.kind_of, chat.count, chat.reason, chat.unknown,
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", default=ROOT / "www/public/samples/tiny-duck.jsonl")
    parser.add_argument("--seed", type=int, default=3)
    arguments = parser.parse_args()

    rows = make_rows(random.Random(arguments.seed), ROWS, lambda answer, rng: as_duck(answer))
    with arguments.out.open("w", encoding="utf-8") as file:
        for question, answer in rows.items():
            messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
            file.write(json.dumps({"messages": messages}) + "\n")


def make_rows(rng, count, said):
    """`count` different questions, each with its answer as `said(answer, rng)` has it."""
    rows = {}
    while len(rows) < count:
        question, answer = rng.choice(MAKERS)(rng)
        answer = said(answer, rng)
        rows.setdefault(question, answer)
    return rows


def as_duck(answer):
    return f"Quack, quack! {answer}"


if __name__ == "__main__":
    main()
