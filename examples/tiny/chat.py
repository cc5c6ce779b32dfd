"""Conversations about Fernbrook: questions with right answers, small requests, stories, and honest "I do not know"."""

from facts import about_character, article, capital, plural
from stories import PLOTS, story
from world import (
    ANIMALS, BY_NAME, CAUSES, CHARACTERS, COLOUR_NAMES, COLOURS, DAYS, KINDS, NUMBERS, OPPOSITES, PEOPLE, PLACES,
    REASONS, SEASON_FACTS, SEASONS, SOURCES, VILLAGE,
)

UNKNOWN = f"I do not know. I only know the village of {VILLAGE}."


def conversation(rng):
    """One row: mostly a single turn, sometimes two or three, sometimes after a system message."""
    turns = 1 if rng.random() < 0.85 else rng.randint(2, 3)
    messages = []
    if rng.random() < 0.08:
        messages.append({"role": "system", "content": rng.choice(["You are a helpful assistant.", "You are Tiny.", "Answer the question."])})
    for _ in range(turns):
        question, answer = exchange(rng)
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": messages}


def exchange(rng):
    return rng.choices(list(EXCHANGES), weights=list(EXCHANGES.values()))[0](rng)


def who(rng):
    c = rng.choice(CHARACTERS)
    return rng.choice([
        (f"Who is {c.name}?", f"{c.name} is {article(c.kind)} from {VILLAGE}. {c.He} lives {c.home}."),
        (f"Tell me about {c.name}.", about_character(rng, c, 3)),
        (f"What do you know about {c.name}?", about_character(rng, c, 3)),
        (f"Describe {c.name}.", about_character(rng, c, 3)),
    ])


def where(rng):
    c = rng.choice(CHARACTERS)
    question = rng.choice([f"Where does {c.name} live?", f"Where does {c.the} live?", f"Where is {c.name}'s home?"])
    return question, f"{c.name} lives {c.home}."


def food(rng):
    c = rng.choice(CHARACTERS)
    if rng.random() < 0.4:
        offered = c.food if rng.random() < 0.5 else rng.choice(CHARACTERS).food
        answer = f"Yes, {c.name} likes to eat {c.food}." if offered == c.food else f"No, {c.name} likes to eat {c.food}."
        return f"Does {c.name} like to eat {offered}?", answer
    question = rng.choice([f"What does {c.name} eat?", f"What does {c.name} like to eat?", f"What is {c.name}'s favourite food?"])
    return question, f"{c.name} likes to eat {c.food}."


def likes(rng):
    c = rng.choice(CHARACTERS)
    question = rng.choice([f"What does {c.name} like to do?", f"What does {c.name} do all day?", f"What does {c.name} like?"])
    return question, f"{c.name} likes to {c.likes}."


def friend(rng):
    c = rng.choice(CHARACTERS)
    question = rng.choice([f"Who is {c.name}'s best friend?", f"Who is {c.name}'s friend?", f"Who is the best friend of {c.name}?"])
    return question, f"{c.name}'s best friend is {c.friend}."


def coat(rng):
    c = rng.choice(CHARACTERS)
    verb = "are" if c.coat == "feathers" else "is"
    question = rng.choice([f"What colour {verb} {c.name}'s {c.coat}?"] + ([f"What colour is {c.name}?"] if c.animal else []))
    return question, f"{c.name}'s {c.coat} {verb} {c.colour}."


def kind_of(rng):
    c = rng.choice(CHARACTERS)
    if rng.random() < 0.6:
        asked = c.kind if rng.random() < 0.5 else rng.choice([k.kind for k in (ANIMALS if c.animal else PEOPLE)])
        answer = f"Yes, {c.name} is {article(c.kind)}." if asked == c.kind else f"No, {c.name} is {article(c.kind)}."
        return f"Is {c.name} {article(asked)}?", answer
    question = f"What kind of animal is {c.name}?" if c.animal else f"What is {c.name}?"
    return question, f"{c.name} is {article(c.kind)}."


def by_fact(rng):
    c = rng.choice(CHARACTERS)
    return rng.choice([
        (f"Who likes to {c.likes}?", f"{c.name} likes to {c.likes}."),
        (f"Who likes to eat {c.food}?", f"{c.name} likes to eat {c.food}."),
        (f"What is the name of the {c.kind}?", f"The name of the {c.kind} is {c.name}."),
        ("Who bakes bread?", "Lena the baker bakes bread."), ("Who has a cat?", "Mia has a cat called Pip."),
        ("Who has a dog?", "Tom has a dog called Bruno."), ("Who teaches the children?", "Anna the teacher teaches the children."),
        ("Who catches fish?", "Ben the fisherman catches fish."), ("Who gives milk?", "Bella the cow gives milk."),
        ("Who lays eggs?", "Dot the hen lays eggs."), ("Who grows carrots?", "Carl the farmer grows carrots."),
    ])


def colour(rng):
    thing, verb, right = rng.choice(COLOURS)
    if rng.random() < 0.35:
        asked = right if rng.random() < 0.5 else rng.choice(COLOUR_NAMES)
        start = "Yes" if asked == right else "No"
        return f"{capital(verb)} {thing} {asked}?", f"{start}, {thing} {verb} {right}."
    question = rng.choice([f"What colour {verb} {thing}?", f"What is the colour of {thing}?", f"Which colour {verb} {thing}?"])
    return question, f"{capital(thing)} {verb} {right}."


def animal(rng):
    kind, sound, eats, home, baby, legs = rng.choice(KINDS)
    pairs = [
        (f"Where does {article(kind)} live?", f"{capital(article(kind))} lives {home}."),
        (f"What do {plural(kind)} eat?", f"{capital(plural(kind))} eat {eats}."),
        (f"How many legs does {article(kind)} have?", f"{capital(article(kind))} has {legs} legs."),
    ]
    if sound:
        pairs.append((rng.choice([f"What does {article(kind)} say?", f"What sound does {article(kind)} make?"]),
                      f"{capital(article(kind))} says \"{sound}\"."))
    if baby:
        pairs.append((f"What is a baby {kind} called?", f"A baby {kind} is called {article(baby)}."))
    return rng.choice(pairs)


def opposite(rng):
    first, second = rng.choice(OPPOSITES)
    if rng.random() < 0.5:
        first, second = second, first
    return rng.choice([f"What is the opposite of {first}?", f"Tell me the opposite of {first}."]), f"The opposite of {first} is {second}."


def source(rng):
    thing, verb, origin = rng.choice(SOURCES)
    auxiliary = "does" if verb == "comes" else "do"
    return f"Where {auxiliary} {thing} come from?", f"{capital(thing)} {verb} from {origin}."


def calendar(rng):
    index = rng.randrange(7)
    season = rng.choice(SEASONS)
    return rng.choice([
        (f"What day comes after {DAYS[index]}?", f"The day after {DAYS[index]} is {DAYS[(index + 1) % 7]}."),
        (f"Which day is after {DAYS[index]}?", f"The day after {DAYS[index]} is {DAYS[(index + 1) % 7]}."),
        ("How many days are in a week?", "There are seven days in a week."),
        ("Name the days of the week.", f"The days of the week are {', '.join(DAYS[:6])} and {DAYS[6]}."),
        ("Name the seasons.", "The seasons are spring, summer, autumn and winter."),
        ("How many seasons are there?", "There are four seasons."),
        (f"What happens in {season}?", SEASON_FACTS[season]), (f"Tell me about {season}.", SEASON_FACTS[season]),
    ])


def count(rng):
    end = rng.randint(2, 10)
    if rng.random() < 0.2:
        index = rng.randrange(9)
        return f"What number comes after {NUMBERS[index]}?", f"The number after {NUMBERS[index]} is {NUMBERS[index + 1]}."
    if rng.random() < 0.15:
        return "Count down from five.", "Five, four, three, two, one."
    return rng.choice([f"Count to {NUMBERS[end - 1]}.", f"Can you count to {NUMBERS[end - 1]}?"]), \
        capital(", ".join(NUMBERS[:end])) + "."


def reason(rng):
    if rng.random() < 0.5:
        return rng.choice(REASONS)
    event, sentence = rng.choice(CAUSES)
    return f"What happens when {event}?", sentence


def place(rng):
    name, sentence = rng.choice(list(PLACES.items()))
    return rng.choice([f"Tell me about {name}.", f"What do you know about {name}?", f"Describe {name}."]), sentence


def naming(rng):
    people = [c.name for c in rng.sample(PEOPLE, 3)]
    animals = [c.name for c in rng.sample(ANIMALS, 3)]
    colours = rng.sample(COLOUR_NAMES, 3)
    kinds = [k[0] for k in rng.sample(KINDS, 3)]
    foods = rng.sample(["bread", "apples", "carrots", "fish", "eggs", "plums", "cheese", "soup"], 3)
    listed = lambda items: f"{items[0]}, {items[1]} and {items[2]}"
    return rng.choice([
        (f"Who lives in {VILLAGE}?", f"{listed(people)} live in {VILLAGE}, and many animals too."),
        ("Name three people.", f"{listed(people)}."), ("Name three animals.", f"{capital(article(kinds[0]))}, {article(kinds[1])} and {article(kinds[2])}."),
        ("Name three animals of the village.", f"{listed(animals)}."),
        ("Name three colours.", f"{capital(listed(colours))}."), ("Name three foods.", f"{capital(listed(foods))}."),
    ])


def small_talk(rng):
    return rng.choice([
        ("Hello!", "Hello! How can I help you?"), ("Hello", "Hello! How can I help you?"), ("Hi", "Hello! How can I help you?"),
        ("Hi!", "Hello! How can I help you?"), ("Good morning!", "Good morning! How can I help you?"),
        ("Good evening!", "Good evening! How can I help you?"), ("Good night!", "Good night! Sleep well."),
        ("How are you?", "I am fine, thank you. How are you?"), ("Thank you!", "You are welcome!"),
        ("Thank you.", "You are welcome!"), ("Goodbye!", "Goodbye! See you soon."), ("Bye!", "Goodbye! See you soon."),
        ("What is your name?", "My name is Tiny."), ("Who are you?", f"I am Tiny, a very small language model. I know the village of {VILLAGE}."),
        ("What are you?", f"I am Tiny, a very small language model. I know the village of {VILLAGE}."),
        ("What can you do?", f"I can tell stories and answer questions about the village of {VILLAGE}."),
        ("Can you help me?", "Yes, I can help you. What do you want to know?"),
        (f"What is {VILLAGE}?", f"{VILLAGE} is a small village by the river."),
        (f"Where is {VILLAGE}?", f"{VILLAGE} is a small village by the river."),
        (f"Tell me about {VILLAGE}.", f"{VILLAGE} is a small village by the river. It has a mill, a bakery, a farm and a school."),
        (f"Tell me about the village.", f"{VILLAGE} is a small village by the river. It has a mill, a bakery, a farm and a school."),
    ])


def unknown(rng):
    stranger = rng.choice(["Alice", "Peter", "Oscar", "Julia", "Victor", "Nora", "Hugo", "Clara", "Leo", "Emma", "Paul", "Ida"])
    country = rng.choice(["France", "Spain", "Italy", "Japan", "China", "Germany", "Brazil", "India", "Canada", "Peru"])
    return rng.choice([
        (f"What is the capital of {country}?", UNKNOWN), (f"Where is {country}?", UNKNOWN), (f"Who is {stranger}?", f"I do not know {stranger}."),
        (f"Where does {stranger} live?", f"I do not know {stranger}."), ("Who is the president?", UNKNOWN),
        ("What is a computer?", UNKNOWN), ("How far away is the moon?", UNKNOWN), ("What year is it?", UNKNOWN),
        ("Write a program.", "I cannot do that. I can tell you a story."), ("What is the meaning of life?", UNKNOWN),
        ("Who wrote this book?", UNKNOWN), ("How does a car work?", UNKNOWN),
    ])


TOPICS = {
    "rain": "rain", "the rain": "rain", "a rainy day": "rain", "snow": "snow", "the snow": "snow", "winter": "snow",
    "the wind": "wind", "a birthday": "birthday", "a present": "birthday", "cooking": "cooking", "a race": "race",
    "a boat": "boat", "the river": "boat", "a garden": "garden", "a seed": "garden", "the night": "night",
    "the moon": "night", "a new friend": "newcomer", "the market": "market", "a picnic": "picnic",
    "something lost": "lost thing", "being afraid": "fear", "being hungry": "hunger",
}


def tell_story(rng):
    ask = rng.choice(["Write a story about {}.", "Tell me a story about {}.", "Write a short story about {}.", "Tell a story about {}."])
    roll = rng.random()
    if roll < 0.3:
        hero = rng.choice(CHARACTERS)
        return ask.format(article(hero.kind)), story(rng, hero)
    if roll < 0.65:
        hero = rng.choice(CHARACTERS)
        return ask.format(hero.name), story(rng, hero)
    if roll < 0.9:
        topic = rng.choice(list(TOPICS))
        return ask.format(topic), story(rng, plot=PLOTS[TOPICS[topic]])
    return rng.choice(["Tell me a story.", "Write a story.", "Write a short story.", "Tell me another story."]), story(rng)


EXCHANGES = {
    who: 6, where: 6, food: 7, likes: 4, friend: 4, coat: 5, kind_of: 5, by_fact: 5, colour: 8, animal: 9, opposite: 3,
    source: 3, calendar: 4, count: 4, reason: 4, place: 3, naming: 3, small_talk: 7, unknown: 4, tell_story: 22,
}
