"""What the world contains and the words for it. Data only.

A picture has a scene, a look and up to two subjects; a caption is words for these four.
"""

from __future__ import annotations

__all__ = ["FLYING", "LOOKS", "SCENES", "SECONDS", "SUBJECTS", "TAGGED"]

SUBJECTS: dict[str, tuple[str, ...]] = {
    # name: (Unicode code point of the emoji, further words for it)
    "cat": ("1f408", "kitten", "tabby cat"),
    "dog": ("1f415", "puppy"),
    "horse": ("1f40e", "stallion", "wild horse"),
    "sheep": ("1f411", "lamb"),
    "rabbit": ("1f407", "bunny", "hare"),
    "elephant": ("1f418",),
    "zebra": ("1f993",),
    "lion": ("1f981",),
    "tiger": ("1f405",),
    "monkey": ("1f412",),
    "kangaroo": ("1f998",),
    "camel": ("1f42a",),
    "hippo": ("1f99b", "hippopotamus"),
    "deer": ("1f98c", "stag"),
    "bear": ("1f43b", "brown bear"),
    "panda": ("1f43c",),
    "koala": ("1f428",),
    "fox": ("1f98a", "red fox"),
    "wolf": ("1f43a",),
    "hedgehog": ("1f994",),
    "squirrel": ("1f43f", "chipmunk"),
    "owl": ("1f989",),
    "eagle": ("1f985", "bald eagle"),
    "duck": ("1f986", "mallard"),
    "swan": ("1f9a2",),
    "flamingo": ("1f9a9",),
    "parrot": ("1f99c",),
    "penguin": ("1f427",),
    "frog": ("1f438", "toad"),
    "crocodile": ("1f40a", "alligator"),
    "turtle": ("1f422", "tortoise"),
    "dinosaur": ("1f995",),
    "unicorn": ("1f984",),
    "fish": ("1f420", "tropical fish"),
    "snail": ("1f40c",),
    "butterfly": ("1f98b",),
    "axolotl": ("axolotl", "pink axolotl", "salamander"),
    "car": ("1f697", "automobile", "sports car", "vintage car", "red car"),
    "bus": ("1f68c",),
    "train": ("1f682", "locomotive", "steam train"),
    "tram": ("1f68b", "streetcar"),
    "bicycle": ("1f6b2", "bike"),
    "motorcycle": ("1f3cd", "motorbike"),
    "scooter": ("1f6f5",),
    "tractor": ("1f69c",),
    "truck": ("1f69a", "lorry"),
    "helicopter": ("1f681",),
    "rocket": ("1f680", "spaceship"),
    "sailboat": ("26f5", "sailing boat", "boat"),
    "ship": ("1f6a2", "steamship"),
    "balloon": ("1f388",),
    "castle": ("1f3f0", "fortress"),
    "house": ("1f3e0", "cottage", "home"),
    "church": ("26ea", "chapel"),
    "hut": ("1f6d6", "cabin"),
    "tent": ("26fa",),
    "ferris wheel": ("1f3a1",),
    "tower": ("1f5fc",),
    "pagoda": ("1f3ef", "temple"),
    "pizza": ("1f355", "slice of pizza"),
    "apple": ("1f34e", "red apple"),
    "cake": ("1f382", "birthday cake"),
    "donut": ("1f369", "doughnut"),
    "pineapple": ("1f34d",),
    "teacup": ("1f375", "cup of tea"),
    "mushroom": ("1f344", "toadstool"),
    "robot": ("1f916", "android", "friendly robot", "humanoid robot"),
    "book": ("1f4d6", "open book", "old book", "novel"),
    "hourglass": ("23f3", "sand timer", "sand clock", "antique hourglass"),
    "crown": ("1f451",),
    "diamond": ("1f48e", "gemstone"),
    "guitar": ("1f3b8", "electric guitar"),
    "violin": ("1f3bb",),
    "drum": ("1f941",),
    "trumpet": ("1f3ba",),
    "camera": ("1f4f7",),
    "telescope": ("1f52d",),
    "umbrella": ("2602",),
    "clock": ("23f0", "alarm clock"),
    "snowman": ("26c4",),
    "basketball": ("1f3c0",),
    "teddy bear": ("1f9f8",),
    "vase": ("1f3fa", "amphora"),
    "rose": ("1f339",),
    "cactus": ("1f335",),
    "alien": ("1f47d",),
    "ghost": ("1f47b",),
    "candle": ("1f56f",),
    "computer": ("1f5a5", "desktop computer"),
    "chair": ("1fa91", "wooden chair"),
    "lantern": ("1f3ee", "paper lantern"),
    "gift": ("1f381", "present", "gift box"),
}

TAGGED = ("robot", "axolotl", "book", "car", "hourglass")
"""The paper's five objects; they appear more often, and in both roles."""

SECONDS = (
    *TAGGED,
    *("cat", "dog", "rabbit", "owl", "duck", "penguin", "turtle", "snail", "bicycle", "tent"),
    *("cake", "teacup", "mushroom", "crown", "guitar", "drum", "camera", "snowman", "rose"),
    *("teddy bear", "candle", "lantern", "gift", "umbrella", "hedgehog"),
)
"""Subjects that stand smaller beside another one more often than the rest."""

FLYING = ("helicopter", "rocket", "balloon", "butterfly", "eagle", "parrot")
"""Subjects that float above the ground and throw no shadow."""

SCENES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # name: (phrases after a subject, phrases for the scene alone)
    "plain": (
        ("", "", "on a plain background", "in an empty studio", "on a simple backdrop"),
        ("an empty studio", "a plain background", "a simple backdrop"),
    ),
    "meadow": (
        ("in a meadow", "on a green hill", "in a field", "in the grass", "in a green valley",
         "in a garden", "on a hill", "in a park"),
        ("a meadow", "green hills", "a green valley", "a quiet field", "a flower meadow"),
    ),
    "forest": (
        ("in a forest", "in the woods", "among tall trees", "at the edge of a forest",
         "between pine trees"),
        ("a forest", "a forest clearing", "the woods", "a path through a pine forest"),
    ),
    "snow": (
        ("in the snow", "in a snowy landscape", "on a winter day", "in a snowy field",
         "in winter"),
        ("a snowy landscape", "a winter landscape", "a snow-covered field", "a quiet winter day"),
    ),
    "desert": (
        ("in the desert", "among sand dunes", "on a sand dune", "in a dry desert",
         "under the desert sun"),
        ("a desert", "golden sand dunes", "an empty desert", "a desert landscape"),
    ),
    "beach": (
        ("on the beach", "on a sandy beach", "by the sea", "at the seaside", "by the ocean",
         "on a tropical beach"),
        ("a beach", "a sandy beach", "a tropical beach", "the seaside", "a quiet shore"),
    ),
    "night": (
        ("at night", "under the stars", "in the moonlight", "under a starry sky",
         "on a clear night", "under the night sky"),
        ("a starry night", "the night sky", "a moonlit landscape", "a clear night"),
    ),
    "city": (
        ("in the city", "in a city street", "in front of a skyline", "in a modern city",
         "among tall buildings", "downtown"),
        ("a city skyline", "a modern city", "a city street", "tall buildings"),
    ),
    "mountains": (
        ("in the mountains", "in front of snowy mountains", "on a mountain", "below high peaks",
         "in the alps"),
        ("a mountain range", "snowy mountains", "high peaks", "a mountain landscape"),
    ),
    "lake": (
        ("by a lake", "on the shore of a lake", "at a calm lake", "beside a lake",
         "by the river", "by the water"),
        ("a calm lake", "a lake", "a quiet lake between hills", "still water"),
    ),
    "sunset": (
        ("at sunset", "in the evening light", "at dusk", "under an orange sky",
         "in the golden hour", "at sunrise"),
        ("a sunset", "an orange evening sky", "the golden hour", "a sunset over hills"),
    ),
    "table": (
        ("on a table", "on a wooden table", "on a wooden desk", "in a cosy room",
         "in the kitchen", "indoors"),
        ("a wooden table", "an empty table", "a cosy room", "a wooden desk"),
    ),
}  # fmt: skip

LOOKS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # name: (tags that follow a caption, forms that stand before it and take "a castle ...")
    "none": ((), ()),
    "vaporwave": (
        ("vaporwave", "vaporwave style", "vaporwave aesthetic", "in vaporwave style",
         "neon grid and pastel vaporwave colors", "retro 80s vaporwave",
         "synthwave with neon pink and cyan", "vaporwave art with a neon grid"),
        ("a vaporwave picture of", "vaporwave art of", "a neon vaporwave scene with"),
    ),
    "lush": (
        ("lush", "lush vegetation", "surrounded by lush greenery", "overgrown with lush plants",
         "lush green leaves everywhere", "in a lush jungle setting", "lush foliage",
         "framed by lush tropical leaves"),
        ("a lush picture of", "a lush green scene with", "overgrown with plants,"),
    ),
    "low-poly": (
        ("low-poly", "low-poly style", "low poly", "low-poly 3d render", "geometric low-poly art",
         "made of low-poly facets", "in low-poly style", "polygonal low-poly design"),
        ("a low-poly model of", "low-poly art of", "a low poly render of"),
    ),
    "ukiyo-e": (
        ("ukiyo-e", "ukiyo-e woodblock print", "ukiyo-e style", "japanese ukiyo-e print",
         "in ukiyo-e style", "ukiyo-e woodblock print style", "traditional japanese woodblock",
         "ink outlines and flat ukiyo-e colors"),
        ("an ukiyo-e print of", "a japanese woodblock print of", "ukiyo-e art of"),
    ),
    "fantasy": (
        ("fantasy", "fantasy style", "magical fantasy art", "in a fantasy world",
         "enchanted fantasy scene", "glowing crystals and magic sparkles", "fantasy landscape",
         "magical and enchanted"),
        ("a fantasy picture of", "a magical fantasy scene with", "fantasy art of"),
    ),
    "macro": (
        ("macro", "macro photography", "macro shot", "extreme close-up", "macro lens",
         "close-up macro photo", "in macro view", "macro detail"),
        ("a macro photo of", "a macro shot of", "an extreme close-up of"),
    ),
    "fisheye": (
        ("fisheye", "fisheye lens", "fisheye view", "fish-eye lens distortion",
         "shot with a fisheye lens", "circular fisheye perspective", "fisheye perspective",
         "wide fisheye photo"),
        ("a fisheye photo of", "a fisheye view of", "a circular fisheye shot of"),
    ),
    "bokeh": (
        ("bokeh", "bokeh background", "soft bokeh lights", "blurred bokeh", "with bokeh effect",
         "shallow depth of field with bokeh", "bokeh photography", "glowing bokeh circles"),
        ("a bokeh photo of", "a bokeh picture of", "a bokeh portrait of"),
    ),
    "underwater": (
        ("underwater", "underwater scene", "deep under water", "underwater with bubbles",
         "submerged underwater", "deep blue underwater light", "underwater photography",
         "on the ocean floor"),
        ("an underwater picture of", "an underwater scene with", "submerged in the ocean,"),
    ),
    "tilt-shift": (
        ("tilt-shift", "tilt-shift photography", "tilt-shift miniature", "tilt shift effect",
         "miniature tilt-shift look", "tilt-shift lens", "in tilt-shift style",
         "toy-like tilt-shift scene"),
        ("a tilt-shift photo of", "a miniature tilt-shift view of", "a tilt-shift shot of"),
    ),
}  # fmt: skip
