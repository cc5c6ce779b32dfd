"""The small world that `tiny` knows: the village of Fernbrook, who lives there, and plain facts about things."""

from dataclasses import dataclass

VILLAGE = "Fernbrook"


@dataclass(frozen=True)
class Character:
    name: str
    kind: str  # "cat", "girl", "baker"
    gender: str  # "she" or "he"
    colour: str  # of the fur, the feathers or the hair
    coat: str  # what has that colour: "fur", "hair", …
    home: str  # after "lives": "in the mill"
    food: str  # after "likes to eat"
    likes: str  # after "likes to"
    friend: str  # name
    note: str  # one more sentence, true of this character only
    animal: bool

    @property
    def he(self):
        return self.gender

    @property
    def him(self):
        return {"she": "her", "he": "him"}[self.gender]

    @property
    def his(self):
        return {"she": "her", "he": "his"}[self.gender]

    @property
    def He(self):
        return self.gender.capitalize()

    @property
    def His(self):
        return self.his.capitalize()

    @property
    def the(self):
        """The name with the kind, "Pip the cat"; for the children the name alone."""
        return self.name if self.kind in ("girl", "boy") else f"{self.name} the {self.kind}"


CHARACTERS = [
    Character("Mia", "girl", "she", "red", "hair", "in the red house", "apples", "fly kites", "Tom",
              "She has a cat called Pip.", False),
    Character("Tom", "boy", "he", "brown", "hair", "in the mill", "pears", "climb trees", "Mia",
              "He has a dog called Bruno.", False),
    Character("Lena", "baker", "she", "yellow", "hair", "in the bakery", "honey cake", "sing songs", "Anna",
              "She bakes bread every morning.", False),
    Character("Carl", "farmer", "he", "grey", "hair", "on the farm", "carrot soup", "tell jokes", "Ben",
              "He grows carrots and corn.", False),
    Character("Anna", "teacher", "she", "black", "hair", "next to the school", "plums", "read books", "Lena",
              "She teaches the children to read.", False),
    Character("Ben", "fisherman", "he", "white", "hair", "in the boat house", "fish pie", "row his boat", "Carl",
              "He catches fish in the river.", False),
    Character("Pip", "cat", "he", "grey", "fur", "in the red house", "fish", "sleep in the sun", "Bruno",
              "He belongs to Mia.", True),
    Character("Bruno", "dog", "he", "brown", "fur", "in the mill", "bones", "run after sticks", "Pip",
              "He belongs to Tom.", True),
    Character("Dot", "hen", "she", "white", "feathers", "on the farm", "corn", "dig in the sand", "Bella",
              "She lays an egg every day.", True),
    Character("Bella", "cow", "she", "black", "fur", "on the farm", "grass", "stand in the meadow", "Dot",
              "She gives milk to the village.", True),
    Character("Olly", "owl", "he", "brown", "feathers", "in the old oak", "berries", "look at the moon", "Nut",
              "He sleeps all day and is awake at night.", True),
    Character("Rosa", "fox", "she", "red", "fur", "in the forest", "grapes", "dance in the snow", "Olly",
              "She knows every path in the forest.", True),
    Character("Hop", "frog", "he", "green", "skin", "in the pond", "flies", "jump over stones", "Daisy",
              "He can jump very far.", True),
    Character("Nut", "squirrel", "she", "orange", "fur", "in the pine tree", "nuts", "hide things", "Rosa",
              "She hides nuts for the winter.", True),
    Character("Daisy", "duck", "she", "yellow", "feathers", "on the pond", "bread", "swim", "Hop",
              "She has five little ducklings.", True),
    Character("Max", "horse", "he", "white", "fur", "in the stable", "carrots", "pull the cart", "Carl",
              "He pulls the cart to the market.", True),
]
BY_NAME = {c.name: c for c in CHARACTERS}
PEOPLE = [c for c in CHARACTERS if not c.animal]
ANIMALS = [c for c in CHARACTERS if c.animal]

# (thing with its article, singular or plural verb, colour)
COLOURS = [
    ("the sky", "is", "blue"), ("the grass", "is", "green"), ("snow", "is", "white"), ("the sun", "is", "yellow"),
    ("the night", "is", "black"), ("the river", "is", "blue"), ("milk", "is", "white"), ("coal", "is", "black"),
    ("the moon", "is", "white"), ("butter", "is", "yellow"), ("chocolate", "is", "brown"),
    ("apples", "are", "red"), ("cherries", "are", "red"), ("bananas", "are", "yellow"), ("lemons", "are", "yellow"),
    ("carrots", "are", "orange"), ("pumpkins", "are", "orange"), ("plums", "are", "purple"),
    ("grapes", "are", "purple"), ("leaves", "are", "green"), ("frogs", "are", "green"), ("roses", "are", "red"),
    ("tomatoes", "are", "red"), ("strawberries", "are", "red"), ("rain clouds", "are", "grey"),
    ("elephants", "are", "grey"), ("bears", "are", "brown"), ("stones", "are", "grey"), ("eggs", "are", "white"),
]
COLOUR_NAMES = ["blue", "green", "white", "yellow", "black", "red", "brown", "orange", "purple", "grey"]

# (animal, sound, food, home, baby, legs)
KINDS = [
    ("cat", "meow", "fish", "in a house", "kitten", "four"),
    ("dog", "woof", "bones", "in a kennel", "puppy", "four"),
    ("cow", "moo", "grass", "in a barn", "calf", "four"),
    ("hen", "cluck", "corn", "in a henhouse", "chick", "two"),
    ("duck", "quack", "bread", "on a pond", "duckling", "two"),
    ("horse", "neigh", "hay", "in a stable", "foal", "four"),
    ("sheep", "baa", "grass", "in a meadow", "lamb", "four"),
    ("pig", "oink", "potatoes", "in a sty", "piglet", "four"),
    ("frog", "croak", "flies", "in a pond", "tadpole", "four"),
    ("owl", "hoot", "mice", "in a tree", "owlet", "two"),
    ("bee", "buzz", "honey", "in a hive", None, "six"),
    ("mouse", "squeak", "cheese", "in a hole", None, "four"),
    ("bird", "tweet", "seeds", "in a nest", "chick", "two"),
    ("bear", "growl", "honey", "in a cave", "cub", "four"),
    ("rabbit", None, "carrots", "in a burrow", None, "four"),
    ("squirrel", None, "nuts", "in a tree", None, "four"),
    ("fox", None, "berries", "in a den", "cub", "four"),
    ("fish", None, "worms", "in the water", None, "no"),
    ("spider", None, "flies", "in a web", None, "eight"),
]

OPPOSITES = [
    ("big", "small"), ("hot", "cold"), ("day", "night"), ("up", "down"), ("happy", "sad"), ("fast", "slow"),
    ("old", "new"), ("wet", "dry"), ("long", "short"), ("good", "bad"), ("open", "closed"), ("full", "empty"),
    ("light", "dark"), ("loud", "quiet"), ("clean", "dirty"), ("strong", "weak"),
]

SOURCES = [
    ("milk", "comes", "cows"), ("honey", "comes", "bees"), ("wool", "comes", "sheep"), ("rain", "comes", "clouds"),
    ("eggs", "come", "hens"), ("apples", "come", "apple trees"), ("bread", "comes", "the bakery"),
    ("flour", "comes", "the mill"), ("carrots", "come", "the farm"), ("fish", "come", "the river"),
]

DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
SEASONS = ["spring", "summer", "autumn", "winter"]
SEASON_FACTS = {
    "spring": "In spring, the flowers grow and the birds build nests.",
    "summer": "In summer, the sun is hot and the children swim in the river.",
    "autumn": "In autumn, the leaves fall and the apples are ripe.",
    "winter": "In winter, it is cold and the snow falls.",
}
NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]

# (question, answer): why things happen
REASONS = [
    ("Why is the path wet?", "The path is wet because it rained."),
    ("Why do we wear coats in winter?", "We wear coats in winter because it is cold."),
    ("Why do people sleep?", "People sleep because they are tired."),
    ("Why do we eat?", "We eat because we are hungry."),
    ("Why do we drink water?", "We drink water because we are thirsty."),
    ("Why did the snow melt?", "The snow melted because the sun was warm."),
    ("Why does the kite fly?", "The kite flies because the wind blows."),
    ("Why did the glass break?", "The glass broke because it fell on the floor."),
    ("Why do flowers need rain?", "Flowers need rain because they drink water."),
    ("Why does Nut hide nuts?", "Nut hides nuts because there is no food in winter."),
    ("Why does Olly sleep in the day?", "Olly sleeps in the day because he is awake at night."),
    ("Why do we use an umbrella?", "We use an umbrella because we want to stay dry."),
    ("Why is it dark at night?", "It is dark at night because the sun is gone."),
    ("Why do birds build nests?", "Birds build nests because they lay eggs in them."),
]

# (what happens, sentences that follow from it)
CAUSES = [
    ("it rains", "When it rains, the path gets wet and the frogs are happy."),
    ("it snows", "When it snows, the village is white and the children build a snowman."),
    ("the sun shines", "When the sun shines, it is warm and the flowers open."),
    ("the wind blows", "When the wind blows, the leaves dance and the kites fly."),
    ("it is cold", "When it is cold, people wear coats and sit by the fire."),
    ("it is hot", "When it is hot, people drink water and sit under the trees."),
    ("night comes", "When night comes, the moon shines and the children sleep."),
    ("morning comes", "When morning comes, the birds sing and Lena bakes bread."),
    ("you water a seed", "When you water a seed, a plant grows."),
    ("you drop a glass", "When you drop a glass, it breaks."),
    ("ice gets warm", "When ice gets warm, it melts and turns into water."),
]

# Places, with a sentence about each.
PLACES = {
    "the river": "The river is blue and runs through the village.",
    "the mill": "The mill stands by the river and makes flour.",
    "the bakery": "The bakery smells of warm bread.",
    "the farm": "The farm has a cow, a hen and a big field.",
    "the school": "The school has a small bell and ten chairs.",
    "the pond": "The pond is behind the farm, and ducks swim on it.",
    "the forest": "The forest is dark and quiet and full of trees.",
    "the old oak": "The old oak is the biggest tree in the village.",
    "the bridge": "The bridge is made of stone and goes over the river.",
    "the market": "The market is open on Saturday.",
    "the hill": "The hill is high, and the wind is strong there.",
    "the meadow": "The meadow is green and full of flowers.",
    "the stable": "The stable is next to the farm.",
}
