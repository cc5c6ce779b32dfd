"""Writes a sample of raw text for `tiny`: short letters that the people and animals of Fernbrook send each other.

    python examples/tiny/make_letters.py [OUT_FILE] [--seed 11]

`tiny` has read stories and no letters. With the objective `text` it learns how one begins, what stands in it and how it ends.
"""

import argparse
import json
import random
from pathlib import Path

from make_samples import ROOT
from stories import THING_COLOURS, THINGS
from world import BY_NAME, CHARACTERS, DAYS, PLACES

ROWS = 160
WEATHER = ["The sun shines.", "It rains, and the path is wet.", "It is cold, and the snow falls.", "The wind blows."]
THANKS = ["Thank you for the {colour} {thing}!", "I found your {colour} {thing}.", "I have a {colour} {thing} for you."]
ASKS = [
    "Do you want to come to {place} on {day}?", "On {day}, I will be at {place}.", "Can you meet me at {place} on {day}?",
    "Please bring some {food} on {day}.",
]
ENDS = ["Your friend, {name}.", "Many hugs from {name}.", "See you soon, {name}."]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", default=ROOT / "www/public/samples/tiny-letters.jsonl")
    parser.add_argument("--seed", type=int, default=11)
    arguments = parser.parse_args()

    rng = random.Random(arguments.seed)
    letters = {}
    while len(letters) < ROWS:
        letters.setdefault(letter(rng))
    with arguments.out.open("w", encoding="utf-8") as file:
        for text in letters:
            file.write(json.dumps({"text": text}) + "\n")


def letter(rng):
    writer = rng.choice(CHARACTERS)
    friend = BY_NAME[writer.friend] if rng.random() < 0.5 else rng.choice([c for c in CHARACTERS if c != writer])
    words = {
        "name": writer.name, "food": friend.food, "thing": rng.choice(THINGS), "colour": rng.choice(THING_COLOURS),
        "place": rng.choice(list(PLACES)), "day": rng.choice(DAYS),
    }
    body = [rng.choice(WEATHER), rng.choice(THANKS), rng.choice(ASKS)]
    parts = [f"Dear {friend.name},", *rng.sample(body, rng.randint(2, 3)), rng.choice(ENDS)]
    return " ".join(parts).format(**words)


if __name__ == "__main__":
    main()
