"""Writes a sample of rated answers for `tiny`: questions about Fernbrook, each with one answer that is liked or is not.

    python examples/tiny/make_rated.py [OUT_FILE] [--seed 13]

As in `make_kindness.py`, what is liked is the manner. No question is there twice, so no two answers can be compared, which is
what the objective `kto` is for.
"""

import argparse
import json
import random
from pathlib import Path

from make_kindness import kind_and_rude
from make_samples import ROOT, make_rows

ROWS = 240


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", default=ROOT / "www/public/samples/tiny-rated.jsonl")
    parser.add_argument("--seed", type=int, default=13)
    arguments = parser.parse_args()

    rng = random.Random(arguments.seed)
    rows = make_rows(rng, ROWS, kind_and_rude)
    with arguments.out.open("w", encoding="utf-8") as file:
        for question, (kind, rude) in rows.items():
            label = rng.random() < 0.5
            file.write(json.dumps({"prompt": question, "completion": kind if label else rude, "label": label}) + "\n")


if __name__ == "__main__":
    main()
