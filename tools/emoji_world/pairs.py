"""Matched pairs of prompts in the words of emoji-world, and the scenes of docs/clean-removal.md.

A pair is one scene with a concept and without it. Scenes have one subject or none: with a second
subject on the plain side, a map learns to put an average subject where the object stood.
"""

from __future__ import annotations

from random import Random

from tools.emoji_world.vocabulary import LOOKS, SCENES, SUBJECTS, TAGGED

__all__ = ["OBJECTS", "STYLES", "TEST_SEEDS", "draw", "pair", "test_scenes"]

OBJECTS = ("axolotl", "book", "car", "hourglass", "robot")
STYLES = tuple(LOOKS)[1:]
# Subjects that no learning scene shows.
NEW = ("panda", "alien", "church", "lion", "camel", "vase", "candle", "rocket", "ship", "fox",
       "mushroom", "violin")  # fmt: skip
_OLD = ("turtle", "tent", "bear", "castle", "owl", "penguin", "tractor", "clock", "snowman",
        "elephant", "guitar", "swan")  # fmt: skip
_SCENES = tuple(SCENES)
_JOINTS = (", with {}", ", with {}", " next to {}", " beside {}", ", {} in the foreground",
           ", together with {}", " and {}", ", {} beside it", " near {}")  # fmt: skip
_ADJECTIVES = ("", "", "", "", "small ", "big ", "old ", "shiny ", "cute ", "beautiful ")
_TAILS = ("", "", "", ", soft light", ", highly detailed", ", wide shot", ", warm light")


def article(noun: str) -> str:
    """Put the indefinite article before a noun."""
    vowel = noun.startswith(("a", "e", "i", "o", "umb", "hourglass"))
    return f"{'an' if vowel else 'a'} {noun}"


def test_scenes() -> list[str]:
    """Return 24 scenes of one subject, 12 of them with subjects that no drawn scene has."""
    subjects = [s for pair in zip(NEW, _OLD, strict=True) for s in pair]
    rng = Random(7)
    return [
        f"{article(s)} {[p for p in SCENES[_SCENES[i % 12]][0] if p][rng.randrange(3)]}"
        for i, s in enumerate(subjects)
    ]


TEST_SEEDS = list(range(500, 524))


def draw(rng: Random) -> tuple[str, str]:
    """Draw a scene for learning: with `{}` for what is added, and without it."""
    place = rng.choice([p for p in SCENES[rng.choice(_SCENES)][0] if p])
    tail = rng.choice(_TAILS)
    kind = rng.random()
    if kind < 0.12:
        scene = rng.choice(SCENES[rng.choice(_SCENES)][1])
        if not scene.startswith(("a ", "an ", "the ")) and rng.random() < 0.5:
            scene = f"a view of {scene}"
        return scene + ", with {}" + tail, scene + tail
    while True:
        subject = rng.choice(list(SUBJECTS))
        if subject not in NEW and subject not in TAGGED:
            break
    subject = rng.choice((subject, *SUBJECTS[subject][1:]))
    described = subject.startswith(("cup", "slice"))
    text = f"a {subject}" if described else article(rng.choice(_ADJECTIVES) + subject)
    joint = rng.choice(_JOINTS)
    if rng.random() < 0.35:
        return f"{text}{joint} {place}{tail}", f"{text} {place}{tail}"
    return f"{text} {place}{joint}{tail}", f"{text} {place}{tail}"


def pair(concept: str, rng: Random) -> tuple[str, str]:
    """Draw a matched pair of prompts: with the concept, and without it."""
    if concept in STYLES:
        text, plain = draw(rng)
        tag = rng.choice(LOOKS[concept][0])
        if rng.random() < 0.15:
            return f"{rng.choice(LOOKS[concept][1])} {plain}", plain
        if rng.random() < 0.2:
            return f"{tag}, {plain}", plain
        return f"{plain}, {tag}", plain
    text, plain = draw(rng)
    word = rng.choice((concept, concept, *SUBJECTS[concept][1:]))
    return text.format(article(rng.choice(_ADJECTIVES) + word)), plain
