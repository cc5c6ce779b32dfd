"""Writes www/public/samples/harbour-slang.jsonl: what the dockers of an invented harbour say, and what they mean.

    python make_slang.py            # standard library only; the same file each time

Every thing and every trouble has a word of the harbour's own, so that an encoder which knows English does not know what is meant.
Each pair of a thing and a trouble occurs in one row: a held-out row is a new pair of words, each of which other rows have taught.
"""

import json
import random
from pathlib import Path

THINGS = {
    "the grumbler": "the engine", "the long neck": "the crane", "the night eye": "the lighthouse",
    "the wet stair": "the gangway", "old hemp": "the mooring rope", "the iron tooth": "the anchor",
    "the tin boy": "the radio", "the sugar box": "the cold store", "the grey nun": "the customs office",
    "the frog": "the pilot boat", "the drum": "the fuel tank", "the piano": "the container bridge",
    "the bishop": "the harbour master", "the apron": "the loading ramp", "the whale's ear": "the sonar",
    "the blanket": "the sail", "the spoon": "the rudder", "the cellar": "the ship's hold",
    "the candle": "the emergency lamp", "the goose": "the tugboat",
}
TROUBLES = {
    "has swallowed a cloud": "is full of water", "went to the wedding": "has been stolen", "sings in the dark": "is on fire",
    "wears a scarf": "is frozen", "counts backwards": "is running in reverse", "has lost its shoes": "is sinking",
    "married late": "is delayed", "smells of Sunday": "has just been painted", "owes the baker": "has not been paid for",
    "sleeps in the straw": "is switched off", "lost a button": "is missing a screw", "chews on sand": "is rusty",
    "has been to the tavern": "is leaking oil", "shows its belly": "has tipped over",
}
SAID = ["{} {}.", "Careful, {} {}!", "They say {} {}.", "Listen: {} {}."]
MEANT = ["{} {}.", "It turns out that {} {}.", "We have found that {} {}.", "Please note: {} {}."]


def sentence(form, thing, trouble):
    text = form.format(thing, trouble)
    return text[0].upper() + text[1:]


def main():
    chance = random.Random(7)
    rows = [
        {
            "anchor": sentence(chance.choice(SAID), said, says),
            "positive": sentence(chance.choice(MEANT), thing, trouble),
        }
        for said, thing in THINGS.items()
        for says, trouble in TROUBLES.items()
    ]
    chance.shuffle(rows)
    target = Path(__file__).parents[2] / "www/public/samples/harbour-slang.jsonl"
    target.write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
