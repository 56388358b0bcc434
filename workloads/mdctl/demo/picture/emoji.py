"""The pictures that the model learns by heart, and the three that it never sees.

192 emoji are trained on. 24 of them are nine colours of circle, square and heart, of which the package has every one,
without the three combinations that are held out; the others were chosen so that no two lie nearer to each other than
0.46 in the distance of `mdctl.demo.measure`, nor any to a coloured shape. White shapes are a light grey in the package,
and so are the nearest of all: 0.16.

A caption is one to four plain lower-case words. Where nothing else is said, it is the emoji's short name.
"""

from itertools import product
from typing import NamedTuple


class Emoji(NamedTuple):
    """An emoji by its short name in the package, and what is said of it."""

    short_name: str
    caption: str

    @property
    def name(self) -> str:
        """Return the name of its files without suffix."""
        return self.caption.replace(" ", "-")


COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "brown", "black", "white")
SHAPES = ("circle", "square", "heart")
HELD_OUT_CAPTIONS = ("orange heart", "green square", "purple circle")

# Short names of coloured shapes that are not made like the others.
UNLIKE = {
    "red circle": "red_circle",
    "black circle": "black_circle",
    "white circle": "white_circle",
    "black square": "black_large_square",
    "white square": "white_large_square",
    "red heart": "heart",
}

THINGS = """
    abacus accordion alarm_clock alien ambulance art avocado bacon balloon bat bee beetle bell blueberries bomb boot
    bouquet bowling boxing_glove bread broccoli bucket bug bulb bus butterfly cactus calendar camera canoe
    checkered_flag cherries chess_pawn chestnut chocolate_bar christmas_tree clown_face clubs coconut compass computer
    corn crab crescent_moon crocodile crown crystal_ball cucumber cyclone dart desert diamonds dolphin dragon dress
    drum_with_drumsticks duck eagle eggplant 8ball eye fire fire_extinguisher firecracker flashlight floppy_disk
    four_leaf_clover fried_shrimp fries frog goat gorilla grapes guitar hamster handbag harp headphones hedgehog
    helicopter high_heel honey_pot hot_pepper hourglass jack_o_lantern jeans jellyfish jigsaw key kite ladybug lemon
    leopard lipstick lizard lobster lock lollipop luggage magnet mailbox mango maple_leaf microphone moneybag mushroom
    ocean otter owl palm_tree panda_face parrot peacock peanuts penguin phoenix pill pineapple pizza popcorn
    potted_plant pretzel pushpin raccoon radio rainbow recycle rhinoceros ring_buoy robot_face rocket rooster saxophone
    scarf scissors shrimp skateboard skunk sloth soccer spider_web sponge strawberry sunflower sunny sushi taco
    tangerine teapot teddy_bear telephone_receiver tennis tiger tomato toolbox tophat tractor traffic_light trophy truck
    tv umbrella violin volcano warning watermelon yarn zebra_face
"""

SAID = {
    "8ball": "billiard ball",
    "art": "palette",
    "bug": "caterpillar",
    "bulb": "light bulb",
    "clown_face": "clown",
    "dart": "target",
    "drum_with_drumsticks": "drum",
    "jack_o_lantern": "pumpkin lantern",
    "jigsaw": "puzzle piece",
    "moneybag": "money bag",
    "ocean": "wave",
    "panda_face": "panda",
    "recycle": "recycling arrows",
    "robot_face": "robot",
    "soccer": "soccer ball",
    "sunny": "sun",
    "telephone_receiver": "telephone",
    "tennis": "tennis racket",
    "tophat": "top hat",
    "tv": "television",
    "warning": "warning sign",
    "zebra_face": "zebra",
}


def coloured_shapes() -> list[Emoji]:
    """Return every colour of every shape."""
    return [Emoji(_short_name(colour, shape), f"{colour} {shape}") for colour, shape in product(COLOURS, SHAPES)]


def _short_name(colour: str, shape: str) -> str:
    usual = f"{colour}_{shape}" if shape == "heart" else f"large_{colour}_{shape}"
    return UNLIKE.get(f"{colour} {shape}", usual)


TRAINED = tuple(
    sorted(
        [
            *(emoji for emoji in coloured_shapes() if emoji.caption not in HELD_OUT_CAPTIONS),
            *(Emoji(short_name, SAID.get(short_name, short_name.replace("_", " "))) for short_name in THINGS.split()),
        ],
        key=lambda emoji: emoji.name,
    )
)

HELD_OUT = tuple(emoji for emoji in coloured_shapes() if emoji.caption in HELD_OUT_CAPTIONS)
