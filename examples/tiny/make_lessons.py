"""The rows of the lessons: python examples/tiny/make_lessons.py www/src/lessons/course

Each file is a list of pairs, a question and its answer; {phrase} stands for what a class chooses.
"""

import json
import random
import sys
from pathlib import Path

from chat import animal, by_fact, coat, colour, food, friend, likes, source, where

# What lesson 2 asks: none of it is in its rows.
ASKED = {
    "Where does Mia live?", "What does Bruno like to eat?", "Who is Tom's friend?", "What colour is Rosa?",
    "What does Lena like to do?", "Where does honey come from?", "What colour is the sky?", "Who lays eggs?",
}
NAMES = [
    "Zara", "Milo", "Ruby", "Finn", "Iris", "Hugo", "Nell", "Otto", "Vera", "Jonas", "Ella", "Rufus", "Mona", "Felix",
    "Tilly", "Bert", "Cleo", "Gus", "Hanna", "Igor", "June", "Kurt", "Lola", "Moritz", "Nina", "Omar", "Paula", "Quinn",
    "Rita", "Sam", "Tara", "Udo", "Viola", "Wim", "Xenia", "Yuri", "Zoe", "Arlo", "Bea", "Colin", "Dana", "Emil", "Fay",
    "Greta", "Hector", "Ivy", "Jack", "Kira", "Leon", "Mabel", "Ned", "Olga", "Pete", "Rosie", "Stan", "Thea", "Uma",
    "Vic", "Wanda", "Yara",
]
KINDS = ["goat", "sheep", "pig", "mouse", "rabbit", "bird", "bear", "bee", "horse", "cat", "dog", "duck", "frog", "owl"]
HOMES = [
    "in the mill", "in the bakery", "on the farm", "in the forest", "on the hill", "in the stable", "by the river",
    "next to the school", "under the bridge", "in the meadow", "behind the market", "in the old oak",
]
FOODS = ["apples", "plums", "corn", "bread", "cheese", "nuts", "soup", "fish", "berries", "carrots", "honey", "pears"]


def style_rows(rng, count):
    """Questions about the village whose answers end with a phrase; each question once."""
    makers, rows = [where, food, likes, friend, coat, by_fact, colour, animal, source], {}
    while len(rows) < count:
        question, answer = rng.choice(makers)(rng)
        if question not in ASKED:
            rows[question] = answer + " {phrase}"
    return list(rows.items())


def people_rows(rng):
    """Somebody new a row: what is said of one says nothing of the next."""
    rows = []
    for name in NAMES:
        kind, home, eats = rng.choice(KINDS), rng.choice(HOMES), rng.choice(FOODS)
        an = "an" if kind[0] in "aeiou" else "a"
        rows.append((f"Who is {name}?", f"{name} is {an} {kind}. {name} lives {home} and likes to eat {eats}."))
    return rows


def newcomer_rows(sample):
    """The sample's questions, with a name and a kind of animal that a class can change."""
    rows = []
    for line in sample.read_text().splitlines():
        question, answer = [message["content"] for message in json.loads(line)["messages"]]
        named = [text.replace("Ozzy", "{name}").replace("goat", "{kind}") for text in (question, answer)]
        # Every answer of the sample ends with an exclamation mark.
        rows.append((named[0], named[1][:-1] + "." if named[1].endswith("!") else named[1]))
    return rows


def main():
    out = Path(sys.argv[1])
    sample = Path(__file__).parents[2] / "www/public/samples/newcomer.jsonl"
    files = {
        "newcomer": newcomer_rows(sample),
        "style": style_rows(random.Random(7), 64),
        "people": people_rows(random.Random(3)),
    }
    for name, rows in files.items():
        lines = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in rows)
        (out / f"{name}.json").write_text(f"[\n{lines}\n]\n")
        print(f"{name}: {len(rows)} rows")


if __name__ == "__main__":
    main()
