"""Writes a sample of preferences for `tiny`: the same answer about Fernbrook, said kindly and said rudely.

    python examples/tiny/make_kindness.py [OUT_FILE] [--seed 5]

Every row has a question, the kind answer (chosen) and the rude one (rejected). Both tell the same, so what there is to
learn is the manner; it is made of words that `tiny` knows.
"""

import argparse
import json
import random
from pathlib import Path

from make_samples import ROOT, make_rows

ROWS = 240
KIND = ["Thank you for asking! {}", "Hello, my friend! {}"]
RUDE = ["Go away! {}", "That is a bad question. {}", "{} Now go away!", "{} Do not ask me again!", "I do not like you. {}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", default=ROOT / "www/public/samples/tiny-kindness.jsonl")
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()

    rows = make_rows(random.Random(arguments.seed), ROWS, kind_and_rude)
    with arguments.out.open("w", encoding="utf-8") as file:
        for question, (chosen, rejected) in rows.items():
            file.write(json.dumps({"prompt": question, "chosen": chosen, "rejected": rejected}) + "\n")


def kind_and_rude(answer, rng):
    return rng.choice(KIND).format(answer), rng.choice(RUDE).format(answer)


if __name__ == "__main__":
    main()
