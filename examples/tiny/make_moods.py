"""Writes a sample of labelled texts for `tiny`: two sentences about somebody in Fernbrook, who is happy, sad, afraid or hungry.

    python examples/tiny/make_moods.py [OUT_FILE] [--seed 7]

Who, when and where says nothing about the mood, and no sentence names it; what happens has to be understood. The texts are made
of words that `tiny` knows.
"""

import argparse
import json
import random
from pathlib import Path

from make_samples import ROOT
from stories import THING_COLOURS, THINGS, TIMES
from world import CHARACTERS

ROWS = 280
# The most frequent first, so that guessing it always is a baseline to beat.
SHARES = {"happy": 34, "sad": 26, "afraid": 22, "hungry": 18}
PLACES = ["at home", "by the river", "near the mill", "in the garden", "in the meadow", "on the farm", "on the bridge", "in the forest"]
EVENTS = {
    "happy": [
        "{name} got a {colour} {thing} as a present.", "{friend} told a funny story, and {name} laughed.",
        "{name} found {his} {colour} {thing} again.", "{name} and {friend} sang a song and danced.",
        "{friend} came to play with {name}.", "It was {name}'s birthday, and {friend} brought a {thing}.",
        "{name} saw a big rainbow and jumped for joy.", "{name} smiled, and {friend} smiled too.",
    ],
    "sad": [
        "{name} lost {his} {colour} {thing} and could not find it.", "{name} sat down and began to cry.",
        "The {colour} {thing} of {name} was broken.", "{friend} did not come to play with {name}.",
        "{friend} forgot {name}'s birthday.", "{name} was alone and did not want to play.",
        "The wind took {name}'s {thing}, and it was gone.", "{friend} went away, and {name} cried.",
    ],
    "afraid": [
        "{name} heard a loud noise and hid.", "{name} saw a big shadow and ran away.",
        "There was a voice in the dark, and {name} hid under a blanket.", "{name} heard the thunder and ran to {friend}.",
        "{name} heard a strange sound and did not want to go outside.", "Something was behind the door, and {name} could not move.",
        "It was dark, and {name} called for {friend}.", "{name} ran home as fast as {he} could and closed the door.",
    ],
    "hungry": [
        "{name} wanted to eat {food}, but there was nothing to eat.", "{name} asked {friend} for some {food}.",
        "{name} ate two plates and wanted more.", "{name} looked for {food} all day.",
        "{name} could not wait for the {food}.", "{name} had not had any bread that day.",
        "{friend} made a soup, and {name} ate it all.", "{name} smelled warm bread and went to the bakery.",
    ],
}
NEUTRAL = [
    "{time}, {name} was {place}.", "{time}, {name} and {friend} were {place}.", "{time}, {name} went out to meet {friend}.",
    "{name} lived {home}.", "{time}, {name} sat {place} with {friend}.", "{the} had {colour2} {coat}.",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", default=ROOT / "www/public/samples/tiny-moods.jsonl")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()

    rng = random.Random(arguments.seed)
    rows = {}
    while len(rows) < ROWS:
        mood = rng.choices(list(SHARES), weights=list(SHARES.values()))[0]
        rows.setdefault(text(rng, mood), mood)
    with arguments.out.open("w", encoding="utf-8") as file:
        for said, mood in rows.items():
            file.write(json.dumps({"text": said, "label": mood}) + "\n")


def text(rng, mood):
    hero = rng.choice(CHARACTERS)
    friend = rng.choice([c for c in CHARACTERS if c.name != hero.name])
    words = {
        "name": hero.name, "friend": friend.name, "he": hero.he, "his": hero.his, "food": hero.food, "home": hero.home,
        "the": hero.the, "coat": hero.coat, "colour2": hero.colour, "thing": rng.choice(THINGS),
        "colour": rng.choice(THING_COLOURS), "time": rng.choice(TIMES), "place": rng.choice(PLACES),
    }
    event = rng.choice(EVENTS[mood]).format(**words)
    # Now and then the event stands alone.
    return event if rng.random() < 0.2 else f"{rng.choice(NEUTRAL).format(**words)} {event}"


if __name__ == "__main__":
    main()
