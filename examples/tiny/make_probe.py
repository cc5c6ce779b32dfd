"""Writes the general text that lies beside `tiny`: loralet-probe.* to notice forgetting by, loralet-general.* to mix in.

    python examples/tiny/make_probe.py [OUT_FOLDER] [--seed 5]

General English is foreign to `tiny`, so what it might forget is its own world: paragraphs and questions as it was trained on.
Nothing is in both sets.
"""

import argparse
import json
import random
from pathlib import Path

import chat
import facts
from make_samples import MAKERS, ROOT
from stories import story
from world import CHARACTERS

TEXTS = [story, facts.about_places, facts.about_weather, facts.dialogue, lambda rng: facts.about_character(rng, rng.choice(CHARACTERS))]
# Of the probe, then of the rows to mix in.
SETS = {"probe": (12, 24), "general": (60, 120)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", default=ROOT / "www/public/models/tiny")
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()

    rng = random.Random(arguments.seed)
    used = set()
    for name, (texts, questions) in SETS.items():
        paragraphs = different(rng, texts, lambda: (rng.choice(TEXTS)(rng), None), used)
        answers = different(rng, questions, lambda: rng.choice(MAKERS + [chat.tell_story])(rng), used)
        rows = [{"prompt": question, "completion": answer} for question, answer in answers]
        text = "\n\n\n".join(paragraph for paragraph, _ in paragraphs) + "\n"
        (arguments.out / f"loralet-{name}.txt").write_text(text, encoding="utf-8")
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (arguments.out / f"loralet-{name}.jsonl").write_text(lines, encoding="utf-8")


def different(rng, count, make, used):
    """`count` pairs whose first texts have not been used."""
    pairs = []
    while len(pairs) < count:
        pair = make()
        if pair[0] not in used:
            used.add(pair[0])
            pairs.append(pair)
    return pairs


if __name__ == "__main__":
    main()
