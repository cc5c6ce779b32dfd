"""Writes the text that `tiny` learns from: text.jsonl for pretraining and chat.jsonl for conversation.

    python examples/tiny/make_text.py OUT_FOLDER [--seed 7]

The same seed writes the same bytes. Needs Python 3.9 or newer, no packages.
"""

import argparse
import json
import random
from pathlib import Path

import chat
import facts
from stories import story
from world import CHARACTERS

TEXT_ROWS = 7000
CHAT_ROWS = 7000

# How often each kind of paragraph appears in the pretraining text.
PARAGRAPHS = {
    story: 50,
    lambda rng: facts.about_character(rng, rng.choice(CHARACTERS)): 16,
    facts.about_things: 10, facts.dialogue: 10, facts.about_places: 4, facts.about_weather: 5,
    facts.about_reasons: 3, facts.counting: 2,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    rng = random.Random(arguments.seed)
    makers, weights = list(PARAGRAPHS), list(PARAGRAPHS.values())
    texts = [{"text": rng.choices(makers, weights=weights)[0](rng)} for _ in range(TEXT_ROWS)]
    conversations = [chat.conversation(rng) for _ in range(CHAT_ROWS)]
    for name, rows in [("text.jsonl", texts), ("chat.jsonl", conversations)]:
        path = arguments.out / name
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        print(f"{path}: {len(rows)} rows, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
