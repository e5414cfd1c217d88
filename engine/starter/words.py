"""The words of the starter pack: English nouns with a regular plural, and pseudo-words that sound like them.

Every word belongs to exactly one split, decided by a hash of the word itself, so no list leaks into another.
"""

from __future__ import annotations

import functools
import hashlib
import random
import string
from typing import Literal

__all__ = ["NOUNS", "Split", "draw_word", "nouns", "pseudo_word", "split_of"]

Split = Literal["train", "router", "heldout"]

_NOUNS = """
planet comet meteor galaxy rocket orbit crater nebula cosmos beacon signal antenna satellite module engine
river stream canyon valley island desert forest meadow mountain glacier harbor lagoon prairie swamp ocean
pebble boulder cavern cliff ravine summit ridge plateau horizon thunder tempest breeze drizzle blizzard
tiger zebra monkey donkey rabbit badger beaver otter walrus dolphin turtle lizard python spider beetle
hornet falcon sparrow pigeon parrot penguin pelican ostrich toucan robin magpie heron eagle kitten puppy
pony camel hamster gerbil ferret squirrel raccoon panther leopard jaguar cheetah gorilla panda koala wombat
kangaroo lemur herring lobster oyster scallop anchovy mackerel sturgeon minnow tadpole cricket hamlet apple
orange banana lemon cherry apricot walnut almond peanut carrot pepper radish turnip cabbage lettuce pumpkin
cucumber zucchini spinach parsley saffron ginger garlic onion shallot leek lentil noodle dumpling biscuit
muffin pancake waffle pretzel cracker sandwich burger pastry cookie brownie pudding custard yogurt butter
cheese omelet kettle teapot saucer platter goblet spatula ladle skillet blender toaster freezer oven griddle
napkin apron hammer chisel wrench ratchet anvil shovel bucket ladder pulley lever hinge bracket screw washer
rivet nozzle needle thimble button zipper ribbon velvet cotton blanket pillow cushion mattress curtain
carpet sofa bench jacket sweater mitten glove helmet bonnet sandal slipper sneaker boot collar sleeve pocket
buckle garment mirror candle lantern torch lamp chandelier cabinet drawer closet wardrobe shelter cottage
castle palace temple chapel tower bridge tunnel fountain statue column pillar arch balcony terrace corridor
hallway staircase attic cellar garage kitchen pantry bedroom window chimney gutter roof fence gate orchard
garden vineyard pasture barn village city town suburb district county province country nation empire kingdom
republic colony border frontier market bakery grocery pharmacy library museum gallery theater stadium arena
academy college school nursery clinic hospital station airport runway hangar factory warehouse brewery mill
quarry mine refinery depot terminal doctor nurse surgeon dentist lawyer banker baker butcher farmer miller
tailor weaver potter carpenter plumber mason painter sculptor singer dancer actor author poet editor printer
teacher student pupil scholar captain sailor pilot soldier sergeant general admiral officer guard knight
duke prince princess baron emperor wizard witch giant pirate bandit hermit monk pilgrim traveler tourist
neighbor cousin uncle nephew sister brother father mother friend partner rival enemy champion winner loser
player referee captive stranger citizen mayor senator guitar violin cello piano trumpet trombone clarinet
bassoon flute harp banjo drum cymbal organ whistle melody rhythm chorus anthem ballad sonata symphony opera
concert orchestra quartet verse stanza riddle legend fable story novel chapter paragraph sentence letter
number symbol comma colon bracelet necklace pendant earring locket emerald diamond ruby sapphire topaz pearl
crystal marble granite copper silver nickel cobalt carbon oxygen magnet battery circuit sensor monitor
keyboard printout camera lens tripod telescope microscope compass sextant barometer pencil crayon marker
eraser ruler notebook folder envelope parcel package stamp ticket receipt coupon voucher wallet purse basket
hamper crate barrel bottle pitcher flask vial canister carton suitcase backpack satchel bicycle scooter
tractor wagon carriage chariot trolley trailer ferry yacht canoe kayak galleon frigate submarine airplane
glider helicopter balloon parachute propeller rudder anchor paddle mast cabin cockpit passenger lion
wolfhound terrier spaniel poodle bulldog stallion mare colt lamb rooster chicken gosling duckling turkey
daisy tulip violet orchid lily poppy dahlia marigold sunflower thistle clover willow maple cedar spruce
juniper birch aspen cypress sequoia bamboo fern moss mushroom acorn blossom petal twig branch trunk root
seed morning evening midnight moment minute second hour decade century season winter summer autumn holiday
festival birthday wedding party banquet parade carnival circus puppet marionette juggler acrobat magician
clown costume mask wig fan umbrella raincoat puddle rainbow cloud shadow sunrise sunset twilight moonbeam
problem answer question puzzle mystery secret promise treaty contract bargain penalty reward medal trophy
banner pennant shield dagger arrow quiver crossbow cannon musket bullet target castaway fortress dungeon
rampart engineer chemist physicist botanist pathway avenue highway street alley driveway crossing corner
square circle triangle hexagon octagon pyramid cube sphere cone cylinder angle degree vector matrix formula
theorem equation idea theory method pattern model sample example lesson lecture seminar exam diploma
glossary body muscle tendon elbow ankle shoulder finger thumb knuckle eyebrow nostril kidney liver artery
tissue hobby rally berry jury duty fairy canary dairy diary ivy jelly lobby navy pansy penny fox box tax wax
bus gas glass dress brush dish wish bush crash flash peach coach lunch couch match patch watch sketch ditch
crutch hatch pouch torchlight bonus census focus virus walkway actress waitress hostess compress fortune
treasure adventure picture creature feature mixture texture jungle cobbler gadget widget goblin dragon
phantom vampire monster unicorn mermaid griffin phoenix candy taffy lolly caramel toffee fudge nougat
sherbet sorbet sundae soda coffee cocoa nectar syrup ladybug firefly dragonfly butterfly bumblebee
caterpillar centipede scorpion tarantula tablet laptop router server cable socket plug switch speaker
headset joystick pixel cursor icon menu doorbell doorknob keyhole padlock skylight fireplace bookcase
flowerpot teaspoon saucepan snowball snowflake icicle igloo sleigh mukluk avalanche
"""
NOUNS: tuple[str, ...] = tuple(_NOUNS.split())

_ONSETS = """
b bl br c ch cl cr d dr f fl fr g gl gr h j k l m n p pl pr qu r s sh sk sl sp st t th tr v w y z
"""
_VOWELS = "a e i o u a e i o ai ea ee oa ou"
_CODAS = "b ck d f g k l ll m n nd ng nt p r rd rk rn s sh ss st t th x ch y tch"
_SHARES: tuple[tuple[Split, int], ...] = (("heldout", 20), ("router", 50), ("train", 100))


def split_of(word: str) -> Split:
    """The one split a word belongs to: 20 % heldout, 30 % router, 50 % train, by its hash."""
    place = hashlib.sha256(word.encode()).digest()[0] * 100 // 256
    return next(split for split, bound in _SHARES if place < bound)


@functools.cache
def nouns(split: Split) -> tuple[str, ...]:
    """The real nouns of a split, in a fixed order."""
    return tuple(word for word in NOUNS if split_of(word) == split)


def pseudo_word(rng: random.Random) -> str:
    """A word of 3 to 11 letters that need not exist: pronounceable, or mere letters, some from few kinds."""
    while True:
        if rng.random() < 0.5:
            letters = string.ascii_lowercase if rng.random() < 0.7 else rng.sample(string.ascii_lowercase, 4)
            word = "".join(rng.choices(letters, k=rng.randint(3, 11)))
        else:
            syllables = (
                rng.choice(_ONSETS.split()) + rng.choice(_VOWELS.split()) for _ in range(rng.randint(1, 4))
            )
            word = "".join(syllables) + (rng.choice(_CODAS.split()) if rng.random() < 0.7 else "")
        if 3 <= len(word) <= 11:
            return word


def draw_word(split: Split, rng: random.Random, real: float = 0.5) -> str:
    """One word of ``split``: a real noun with probability ``real``, otherwise a pseudo-word."""
    if rng.random() < real:
        return rng.choice(nouns(split))
    while True:
        word = pseudo_word(rng)
        if split_of(word) == split:
            return word
