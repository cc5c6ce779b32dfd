"""Short coherent stories about Fernbrook: each plot is a function that picks its cast, things and words.

Every plot takes a `random.Random` and, optionally, a hero, and returns a list of sentences.
"""

from world import BY_NAME, CHARACTERS

THINGS = ["ball", "hat", "book", "key", "scarf", "drum", "spoon", "bell", "boat", "basket", "ribbon", "lamp", "cup",
          "shoe", "kite", "button"]
THING_COLOURS = ["red", "blue", "green", "yellow", "white", "black"]
TIMES = ["One morning", "One day", "One afternoon", "One sunny day", "One spring morning", "Early one morning",
         "One summer day", "On Monday", "On Friday", "On Sunday"]
ADJECTIVES = ["happy", "glad", "very happy", "proud"]


def story(rng, hero=None, plot=None):
    """One story as a paragraph."""
    hero = hero or rng.choice(CHARACTERS)
    plot = plot or rng.choice(list(PLOTS.values()))
    return " ".join(plot(rng, hero))


def friend_of(rng, hero):
    """Mostly the fixed friend, sometimes somebody else."""
    if rng.random() < 0.5:
        return BY_NAME[hero.friend]
    return rng.choice([c for c in CHARACTERS if c.name != hero.name])


def pronouns(hero, other):
    """Names the hero by pronoun only where it cannot be mistaken for the other character."""
    if hero.gender == other.gender:
        return hero.name, hero.name, f"{hero.name}'s"
    return hero.He, hero.him, hero.his


def opening(rng, hero):
    pick = rng.choice
    return pick([
        f"{hero.name} was a {hero.colour} {hero.kind} who lived {hero.home}." if hero.animal
        else f"{hero.name} was a {hero.kind} who lived {hero.home}.",
        f"{hero.the} lived {hero.home}.",
        f"In the village of Fernbrook lived {hero.the}.",
        f"Once there was a {hero.kind} called {hero.name}.",
    ])


def ending(rng, hero, other):
    pick = rng.choice
    return pick([
        f"{hero.name} and {other.name} were {pick(ADJECTIVES)}.",
        f"After that, {hero.name} and {other.name} were good friends.",
        f"Then {hero.name} and {other.name} went home.",
        f"It was a good day for {hero.name} and {other.name}.",
        f"{hero.name} smiled, and {other.name} smiled too.",
        "That night, they both slept well.",
        "They laughed all the way home.",
    ])


def lost_thing(rng, hero):
    pick, other = rng.choice, friend_of(rng, hero)
    He, him, his = pronouns(hero, other)
    thing, colour = pick(THINGS), pick(THING_COLOURS)
    first, second = rng.sample(["under the bed", "behind the door", "in the garden", "by the river", "near the school",
                                "on the bridge", "in the meadow"], 2)
    place = pick(["under the old oak", "in the grass", "behind the bakery", "next to the pond", "in the hay",
                  "on the hill"])
    lines = [opening(rng, hero)] if rng.random() < 0.6 else []
    lines += [
        f"{pick(TIMES)}, {hero.name} could not find {hero.his} {colour} {thing}.",
        f"{hero.He} looked {first}, but it was not there.",
        f"{hero.He} looked {second}, but it was not there.",
        pick([f"{hero.name} was sad.", f"{hero.name} began to cry.", f"{hero.name} sat down and was sad."]),
        f"Then {other.the} came and asked, \"{pick(['What is wrong', 'Why are you sad', 'What are you looking for'])}?\"",
        f"\"I lost my {thing},\" said {hero.name}.",
        f"{other.name} helped {him} look, and they found the {colour} {thing} {place}.",
        pick([f"\"Thank you!\" said {hero.name}.", f"\"Thank you, {other.name}!\" said {hero.name}."]),
        ending(rng, hero, other),
    ]
    return lines


def hungry(rng, hero):
    pick, other = rng.choice, friend_of(rng, hero)
    lines = [opening(rng, hero)] if rng.random() < 0.6 else []
    lines += [
        f"{pick(TIMES)}, {hero.name} was very hungry.",
        f"{hero.He} wanted to eat {hero.food}, but there was nothing to eat at home.",
        pick([f"So {hero.he} went to the market, and there {hero.he} met {other.the}.",
              f"So {hero.he} walked to the bridge, and there {hero.he} met {other.the}.",
              f"So {hero.he} went to see {other.the}."]),
        f"\"I am hungry,\" said {hero.name}.",
        pick([f"\"I have some {hero.food},\" said {other.name}, \"and you can have it.\"",
              f"\"Here is some {hero.food} for you,\" said {other.name}."]),
        pick([f"{hero.name} ate and ate and was not hungry anymore.",
              f"They sat down and shared the {hero.food}."]),
        pick([f"\"Thank you, {other.name},\" said {hero.name}.", f"\"You are a good friend,\" said {hero.name}."]),
    ]
    return lines


def rain(rng, hero):
    pick, other = rng.choice, friend_of(rng, hero)
    place = pick(["in the meadow", "by the river", "on the hill", "near the pond", "in the garden"])
    shelter = pick(["under the old oak", "under the bridge", "into the mill", "into the bakery", "into the stable"])
    lines = [
        pick([f"It was a sunny morning, and {hero.name} and {other.name} played {place}.",
              f"{pick(TIMES)}, {hero.name} and {other.name} played {place}."]),
        pick(["Then grey clouds came, and it began to rain.", "Suddenly the sky turned grey, and it began to rain."]),
        pick([f"\"I am getting wet!\" said {hero.name}.", f"\"Oh no, rain!\" said {hero.name}."]),
        f"They ran {shelter} and waited.",
        pick(["The rain was loud, but they were dry.", f"{other.name} told a funny story while they waited.",
              f"They sang a song, and {hero.name} was not sad anymore."]),
        pick(["After a while, the rain stopped and the sun came out.", "Soon the rain stopped."]),
        pick(["There was a big rainbow in the sky.", f"There were puddles everywhere, and {hero.name} jumped into them.",
              "The grass was wet and green."]),
        ending(rng, hero, other),
    ]
    return lines


def snow(rng, hero):
    pick, other = rng.choice, friend_of(rng, hero)
    lines = [
        pick([f"One winter morning, {hero.name} woke up and looked outside.", f"It was winter, and {hero.name} looked outside."]),
        pick(["Everything was white, because it had snowed all night.", "There was snow on every house and every tree."]),
        f"{hero.name} ran to {other.name} and said, \"Come and play in the snow!\"",
        pick(["They made a big snowman with a carrot for a nose.", "They built a little house of snow.",
              "They threw snowballs and laughed."]),
        pick([f"After a while, {hero.name} was cold.", f"Then {other.name} said, \"I am cold.\""]),
        pick(["So they went inside and sat by the fire.", "So they went home and drank warm milk."]),
        pick(["Soon they were warm again.", "Outside, the snow fell and fell."]),
        ending(rng, hero, other),
    ]
    return lines


def wind(rng, hero):
    pick, other = rng.choice, friend_of(rng, hero)
    thing, colour = pick(["hat", "kite", "scarf", "ribbon"]), pick(THING_COLOURS)
    tree = pick(["a tall tree", "the old oak", "the pine tree", "an apple tree"])
    lines = [opening(rng, hero)] if rng.random() < 0.5 else []
    lines += [
        f"{pick(TIMES)}, the wind was very strong.",
        f"It took {hero.name}'s {colour} {thing} and blew it into {tree}.",
        pick([f"{hero.name} jumped, but the {thing} was too high.", f"{hero.name} could not reach it."]),
        f"{other.the} saw this and said, \"I will help you.\"",
        pick([f"{other.name} found a long stick and pushed the {thing} out of the tree.",
              f"{other.name} shook the tree, and the {thing} fell down.",
              f"{other.name} went up the tree and came back with the {thing}."]),
        f"\"You are so {pick(['kind', 'clever', 'brave'])}!\" said {hero.name}.",
        ending(rng, hero, other),
    ]
    return lines


def birthday(rng, hero):
    pick, other = rng.choice, BY_NAME[hero.friend]
    lines = [
        pick([f"It was {other.name}'s birthday.", f"{pick(TIMES)}, it was {other.name}'s birthday."]),
        f"{hero.name} wanted to give {other.name} a present.",
        f"\"What does {other.name} like?\" thought {hero.name}.",
        f"{hero.He} knew that {other.name} liked {other.food}.",
        pick([f"So {hero.he} went to the market and got some {other.food}.", f"So {hero.he} looked for some {other.food} and put it in a basket."]),
        pick([f"When {other.name} saw the {other.food}, {other.he} jumped for joy.",
              f"\"This is for you,\" said {hero.name}, and {other.name} was very happy."]),
        pick([f"They ate the {other.food} together.", "They sang a song and danced."]),
        pick(["It was the best birthday of all.", f"\"Thank you, {hero.name}!\" said {other.name}."]),
    ]
    return lines


def cooking(rng, hero):
    pick, other = rng.choice, friend_of(rng, hero)
    dish, first, second, third = pick([
        ("a soup", "carrots", "potatoes", "water"), ("a cake", "eggs", "flour", "honey"),
        ("a pie", "apples", "butter", "flour"), ("bread", "flour", "water", "salt"),
        ("a cake", "plums", "flour", "milk"), ("a salad", "tomatoes", "leaves", "salt"),
    ])
    short = dish.removeprefix("a ")
    lines = [
        f"{pick(TIMES)}, {hero.name} wanted to make {dish}.",
        f"{hero.He} had {first} and {second}, but {hero.he} had no {third}.",
        f"So {hero.he} went to {other.the} and asked, \"Do you have some {third}?\"",
        f"\"Yes, I have,\" said {other.name}, \"and I will help you.\"",
        pick([f"They put everything into a big pot." if short in ("soup", "salad") else "They mixed everything in a big bowl.",
              f"They washed their hands and began to work."]),
        pick([f"Soon the whole house smelled of {short}." if short != "salad" else "The salad was green and fresh.",
              f"After some time, the {short} was ready."]),
        pick([f"It was very good, and they ate it all.", f"They shared the {short} with the whole village.",
              f"{hero.name} ate two plates, and {other.name} ate three."]),
        ending(rng, hero, other),
    ]
    return lines


def mending(rng, hero):
    pick, other = rng.choice, friend_of(rng, hero)
    thing, place, tool = pick([
        ("the cart", "on the way to the market", "a new wheel"), ("the bridge", "near the mill", "some wood"),
        ("the fence", "on the farm", "some wood"), ("the boat", "on the river", "a piece of wood"),
        ("the door", "of the school", "a hammer"), ("the roof", "of the bakery", "a ladder"),
    ])
    lines = [
        f"{pick(TIMES)}, {hero.name} saw that {thing} {place} was broken.",
        f"\"{pick(['Oh no', 'Oh dear', 'Look'])}!\" said {hero.name}. \"We must fix {thing}.\"",
        f"{hero.name} tried, but the work was too hard for one.",
        f"So {hero.he} called {other.the}, and {other.name} came with {tool}.",
        pick(["They worked all day.", "They worked until the sun went down.", "They pushed and pulled and worked hard."]),
        f"In the evening, {thing} was as good as new.",
        pick([f"\"Together we are strong,\" said {other.name}.", f"\"We did it!\" said {hero.name}.",
              "Everyone in the village thanked them."]),
    ]
    return lines


def fear(rng, hero):
    pick, other = rng.choice, friend_of(rng, hero)
    He, him, his = pronouns(hero, other)
    what, truth = pick([
        ("a loud noise", "It was only the thunder."), ("a strange sound", "It was only the wind."),
        ("something behind the door", "It was only a little mouse."), ("a big shadow", "It was only a tree in the moonlight."),
        ("a voice in the dark", "It was only a frog."),
    ])
    verb = "saw" if "shadow" in what else "heard"
    lines = [opening(rng, hero)] if rng.random() < 0.5 else []
    lines += [
        pick([f"One night, {hero.name} {verb} {what}.", f"It was dark, and {hero.name} {verb} {what}."]),
        pick([f"{hero.name} was afraid and could not sleep.", f"{hero.name} was afraid and hid under a blanket."]),
        f"{hero.He} ran to {other.name} and said, \"I am afraid.\"",
        f"\"Do not be afraid,\" said {other.name}. \"Let us go and look.\"",
        pick(["They took a lamp and went outside.", "They went slowly, step by step."]),
        truth,
        pick([f"{hero.name} laughed and was not afraid anymore.", f"\"I was afraid of nothing,\" said {hero.name}, and they laughed."]),
        pick(["Then they went to sleep.", f"{hero.name} slept well that night."]),
    ]
    return lines


def race(rng, hero):
    pick, other = rng.choice, friend_of(rng, hero)
    goal = pick(["the bridge", "the old oak", "the school", "the hill", "the mill"])
    lines = [
        f"{pick(TIMES)}, {hero.name} said to {other.name}, \"Let us race to {goal}!\"",
        "\"One, two, three, go!\" they said, and they ran.",
        pick([f"{hero.name} was fast, but {other.name} was faster.", f"At first, {hero.name} was ahead."]),
        f"Then {pick([hero, other]).name} fell over a stone." ,
    ]
    fallen = BY_NAME[lines[-1].split()[1]]
    runner = other if fallen is hero else hero
    lines += [
        f"{runner.name} stopped and went back.",
        pick([f"\"Are you hurt?\" asked {runner.name}.", f"\"Let me help you up,\" said {runner.name}."]),
        pick([f"\"I am fine, thank you,\" said {fallen.name}.", f"{fallen.name} stood up and smiled."]),
        f"They walked to {goal} together, and nobody lost the race.",
    ]
    return lines


def boat_trip(rng, hero):
    pick, other = rng.choice, friend_of(rng, hero)
    sight = pick(["a big silver fish", "a duck with five ducklings", "a frog on a stone", "two white birds", "a little island"])
    lines = [
        f"{pick(TIMES)}, {hero.name} and {other.name} went to the river.",
        pick(["They sat in a small boat and rowed away.", "Ben gave them his boat, and they rowed away."])
        if "Ben" not in (hero.name, other.name) else "They sat in Ben's boat and rowed away.",
        pick(["The water was clear and blue.", "The sun was warm, and the water was quiet."]),
        f"They saw {sight}.",
        pick([f"\"Look!\" said {hero.name}. \"How beautiful!\"", f"{other.name} was so happy that {other.he} clapped." if not other.animal
              else f"{other.name} was so happy that {other.he} jumped."]),
        pick(["Then they were hungry and ate some bread.", "They stayed on the river for a long time."]),
        pick(["In the evening, they rowed back home.", "When the sun went down, they rowed home."]),
    ]
    return lines


def garden(rng, hero):
    pick, other = rng.choice, friend_of(rng, hero)
    plant, small = pick([("pumpkin", "seed"), ("sunflower", "seed"), ("apple tree", "seed"), ("carrot", "seed"),
                         ("rose", "seed"), ("bean", "bean")])
    lines = [
        pick([f"In spring, {hero.name} found a little {small}.", f"{pick(TIMES)}, {hero.name} found a little {small}."]),
        f"{hero.He} put it into the ground and gave it water.",
        f"\"Nothing is growing,\" said {hero.name} the next day.",
        f"\"You must wait,\" said {other.the}.",
        f"So {hero.name} waited, and {hero.he} gave it water every day.",
        pick(["The sun was warm, and the rain came.", "First there was one leaf, and then there were two."]),
        f"In summer, there was a big {plant} in the garden.",
        pick([f"{hero.name} was proud and showed it to everyone.", f"\"You were right,\" said {hero.name} to {other.name}."]),
    ]
    return lines


def night(rng, hero):
    pick, other = rng.choice, friend_of(rng, hero)
    lines = [opening(rng, hero)] if rng.random() < 0.5 else []
    lines += [
        f"One night, {hero.name} could not sleep.",
        pick([f"{hero.He} went outside and looked at the moon.", f"{hero.He} sat by the window and looked at the sky."]),
        f"{other.name} was awake too.",
        pick(["\"Let us count the stars,\" " f"said {other.name}.", f"\"The moon is so bright,\" said {other.name}."]),
        pick(["They counted one, two, three, four, five stars.", "There were so many stars in the sky."]),
        pick([f"Soon {hero.name} was tired.", f"Then {hero.name} closed {hero.his} eyes."]),
        pick([f"\"Good night, {other.name},\" said {hero.name}.", f"\"Good night, {hero.name},\" said {other.name}."]),
        pick(["The village was quiet, and everyone slept.", "The moon shone over the village all night."]),
    ]
    return lines


def lost_baby(rng, hero):
    pick = rng.choice
    baby, cry, mother, home = pick([
        ("duckling", "quack", "Daisy", "pond"), ("lamb", "baa", "the sheep", "meadow"), ("chick", "peep", "Dot", "farm"),
        ("kitten", "meow", "the old cat", "barn"),
    ])
    if hero.name in ("Daisy", "Dot"):
        baby, cry, mother, home = "lamb", "baa", "the sheep", "meadow"
    place = pick(["in the forest", "near the bridge", "behind the mill", "by the road"])
    lines = [
        f"{pick(TIMES)}, {hero.name} heard a small voice {place}.",
        f"\"{cry.capitalize()}, {cry}!\" said the voice.",
        f"It was a little {baby}.",
        pick([f"\"Where is your mother?\" asked {hero.name}.", f"\"Are you lost?\" asked {hero.name}."]),
        pick([f"The {baby} was cold and afraid.", f"The little {baby} began to cry."]),
        f"{hero.name} took the {baby} to the {home}.",
        f"There was {mother}, who had looked for the {baby} everywhere.",
        pick([f"\"Thank you, {hero.name}!\" said {mother}.", f"{mother[0].upper() + mother[1:]} was very glad, and so was {hero.name}."]),
    ]
    return lines


def newcomer(rng, hero):
    pick = rng.choice
    animal, name = pick([("mouse", "Tilly"), ("rabbit", "Sam"), ("bird", "Lulu"), ("pig", "Otto"), ("sheep", "Wendy"),
                         ("bear", "Bobo"), ("bee", "Zizi")])
    first, second = rng.sample(["the river", "the mill", "the bakery", "the school", "the pond", "the old oak", "the market"], 2)
    lines = [
        f"{pick(TIMES)}, a {animal} called {name} came to Fernbrook.",
        f"{name} did not know anyone and was a little shy.",
        f"{hero.the} saw {name} and said, \"Hello! Who are you?\"",
        f"\"I am {name}, and I am new here,\" said the {animal}.",
        f"\"Come with me,\" said {hero.name}. \"I will show you the village.\"",
        f"They went to {first}, and then they went to {second}.",
        pick([f"In the evening, {name} was not shy anymore.", f"{name} liked the village very much."]),
        f"\"I am glad that you are my friend,\" said {name} to {hero.name}.",
    ]
    return lines


def market(rng, hero):
    pick, other = rng.choice, friend_of(rng, hero)
    first, second = rng.sample(["apples", "eggs", "carrots", "plums", "nuts", "pears", "tomatoes", "cherries"], 2)
    count = pick(["two", "three", "four", "five", "six"])
    lines = [
        f"On Saturday, {hero.name} went to the market.",
        f"{hero.He} had a basket and {count} coins.",
        f"{hero.He} bought {first} and {second}.",
        f"On the way home, {hero.he} met {other.the}.",
        pick([f"{other.name} looked sad and hungry.", f"\"I forgot to buy something to eat,\" said {other.name}."]),
        f"\"Take some of my {pick([first, second])},\" said {hero.name}.",
        pick([f"{other.name} smiled and said, \"You are very kind.\"", f"\"Thank you,\" said {other.name}. \"You are very kind.\""]),
        pick(["They sat on the bridge and ate together.", "They walked home together."]),
    ]
    return lines


def picnic(rng, hero):
    pick, other = rng.choice, friend_of(rng, hero)
    thief = pick(["a bird", "a mouse", "a little pig", "a sheep"])
    short = thief.split()[-1]
    lines = [
        f"{pick(TIMES)}, {hero.name} and {other.name} had a picnic in the meadow.",
        f"{hero.name} brought {hero.food}, and {other.name} brought {other.food}.",
        f"They put everything on a {pick(THING_COLOURS)} blanket and went to wash their hands." if not (hero.animal or other.animal)
        else f"They put everything on a {pick(THING_COLOURS)} blanket and went to get water.",
        f"When they came back, {thief} was eating the {pick([hero, other]).food}!",
        pick([f"\"Stop!\" said {hero.name}.", f"\"Hey! That is our food!\" said {other.name}."]),
        f"\"I am sorry,\" said the {short}. \"I was so hungry.\"",
        pick([f"{other.name} said, \"Then sit down and eat with us.\"", f"{hero.name} was kind and gave the {short} some more."]),
        "So the three of them had a picnic together.",
    ]
    return lines


PLOTS = {
    "lost thing": lost_thing, "hunger": hungry, "rain": rain, "snow": snow, "wind": wind, "birthday": birthday,
    "cooking": cooking, "mending": mending, "fear": fear, "race": race, "boat": boat_trip, "garden": garden,
    "night": night, "lost baby": lost_baby, "newcomer": newcomer, "market": market, "picnic": picnic,
}
