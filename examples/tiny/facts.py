"""Paragraphs that state the facts of Fernbrook, and its small talk, for pretraining."""

from stories import friend_of
from world import (
    CAUSES, CHARACTERS, COLOURS, DAYS, KINDS, NUMBERS, OPPOSITES, PLACES, REASONS, SEASON_FACTS, SEASONS, SOURCES,
    VILLAGE,
)


def capital(text):
    return text[0].upper() + text[1:]


def article(noun):
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def plural(noun):
    return {"mouse": "mice", "sheep": "sheep", "fish": "fish", "fox": "foxes"}.get(noun, noun + "s")


def from_source(rng):
    thing, verb, source = rng.choice(SOURCES)
    return f"{capital(thing)} {verb} from {source}."


def about_character(rng, c, sentences=None):
    """Who somebody is: an opening and some of the facts, in any order."""
    first = rng.choice([
        f"{c.name} is {article(c.colour)} {c.kind} from {VILLAGE}." if c.animal else f"{c.name} is {article(c.kind)} from {VILLAGE}.",
        f"{c.name} is {article(c.kind)}.",
    ])
    facts = [
        f"{c.He} lives {c.home}.", f"{c.He} likes to eat {c.food}.", f"{c.He} likes to {c.likes}.",
        f"{c.His} {c.coat} {'are' if c.coat == 'feathers' else 'is'} {c.colour}.", f"{c.His} best friend is {c.friend}.",
        c.note,
    ]
    count = sentences or rng.randint(2, 5)
    return " ".join([first] + rng.sample(facts, count))


def about_things(rng):
    makers = [colour_fact, kind_fact, from_source, opposite_fact, day_fact]
    return " ".join(dict.fromkeys(maker(rng) for maker in rng.sample(makers, rng.randint(2, 4))))


def colour_fact(rng):
    thing, verb, colour = rng.choice(COLOURS)
    return f"{capital(thing)} {verb} {colour}."


def kind_fact(rng):
    kind, sound, food, home, baby, legs = rng.choice(KINDS)
    facts = [f"{capital(article(kind))} lives {home}.", f"{capital(plural(kind))} eat {food}.",
             f"{capital(article(kind))} has {legs} legs."]
    if sound:
        facts.append(f"{capital(article(kind))} says \"{sound}\".")
    if baby:
        facts.append(f"A baby {kind} is called {article(baby)}.")
    return " ".join(rng.sample(facts, 2))


def opposite_fact(rng):
    first, second = rng.choice(OPPOSITES)
    if rng.random() < 0.5:
        first, second = second, first
    return f"The opposite of {first} is {second}."


def day_fact(rng):
    index = rng.randrange(7)
    return f"The day after {DAYS[index]} is {DAYS[(index + 1) % 7]}."


def counting(rng):
    end = rng.randint(3, 10)
    return f"Count to {NUMBERS[end - 1]}: {', '.join(NUMBERS[:end])}."


def about_places(rng):
    sentences = rng.sample(list(PLACES.values()), rng.randint(2, 4))
    return " ".join(sentences)


def about_weather(rng):
    sentences = rng.sample([sentence for _, sentence in CAUSES], rng.randint(1, 3))
    return " ".join(sentences + ([SEASON_FACTS[rng.choice(SEASONS)]] if rng.random() < 0.5 else []))


def about_reasons(rng):
    return " ".join(answer for _, answer in rng.sample(REASONS, rng.randint(2, 3)))


def dialogue(rng):
    one = rng.choice(CHARACTERS)
    two = friend_of(rng, one)
    place = rng.choice(list(PLACES))
    greeting = rng.choice(["Good morning", "Hello", "Good evening"])
    lines = [f"\"{greeting}, {two.name},\" said {one.name}.", f"\"{greeting}, {one.name},\" said {two.name}."]
    lines += rng.choice([
        [f"\"Where are you going?\" asked {one.name}.", f"\"I am going to {place},\" said {two.name}."],
        [f"\"What do you like to eat?\" asked {one.name}.", f"\"I like to eat {two.food},\" said {two.name}."],
        [f"\"What do you like to do?\" asked {one.name}.", f"\"I like to {two.likes},\" said {two.name}."],
        [f"\"Where do you live?\" asked {one.name}.", f"\"I live {two.home},\" said {two.name}."],
        [f"\"How are you?\" asked {one.name}.", f"\"I am fine, thank you,\" said {two.name}."],
    ])
    if rng.random() < 0.5:
        lines.append(rng.choice([f"\"Goodbye, {two.name},\" said {one.name}.", f"\"See you soon,\" said {one.name}.",
                                 "Then they walked on together."]))
    return " ".join(lines)
