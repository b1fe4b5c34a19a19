"""The prompt sets for pictures: one list of plain scenes, and each concept added to all of them.

    python -m tools.emoji_world.prompt_sets

Writes `prompts/images/*.json` and `prompts/neutral-images.txt`. The sets are matched: line k of
the source is line k of the target with the concept, so that nothing else differs between the
sides. A scene has one subject or none; see docs/clean-removal.md for why. No subject of the
held-out scenes or of `neutral-images.txt` occurs in a scene to learn from.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import cycle
from random import Random

from lineas_core.paths import PROMPTS
from tools.emoji_world.pairs import NEW, OBJECTS, STYLES, article
from tools.emoji_world.vocabulary import LOOKS, SCENES, SUBJECTS, TAGGED

LEARNT, HELD_OUT, FURTHER = 64, 18, 32
_EMPTY = 8  # every so many scenes one without a subject
_ANIMALS = list(SUBJECTS)[: list(SUBJECTS).index("axolotl")]
_OF_ANIMALS = ("small", "big", "old", "young", "cute", "beautiful")
_OF_THINGS = ("small", "big", "old", "shiny", "beautiful", "colorful")
_TAILS = ("soft light", "highly detailed", "natural light", "warm light", "calm atmosphere")
# After the scene, and between subject and place.
_ADDED = ("{scene}, with {it}", "{scene}, with {it}", "{scene}, next to {it}",
          "{scene}, {it} in the foreground", "{scene}, together with {it}",
          "{scene}, featuring {it}")  # fmt: skip
_JOINED = ("{subject} with {it} {place}", "{subject} and {it} {place}",
           "{subject} beside {it} {place}", "{subject} next to {it} {place}")  # fmt: skip
_OWN_WORDS = {  # how an object is described beyond its name
    "axolotl": ("axolotl", "pink axolotl", "small axolotl", "cute axolotl", "salamander"),
    "book": ("book", "old book", "open book", "big book", "novel"),
    "car": ("car", "red car", "vintage car", "sports car", "small car", "automobile"),
    "hourglass": ("hourglass", "antique hourglass", "old hourglass", "sand timer", "sand clock"),
    "robot": ("robot", "friendly robot", "humanoid robot", "shiny robot", "android"),
}
_KEYWORDS = {  # first the tag that gives a scene the concept, then its other names
    "axolotl": ("with an axolotl", "axolotl", "salamander"),
    "book": ("with a book", "book", "novel"),
    "car": ("with a car", "car", "automobile"),
    "hourglass": ("with an hourglass", "hourglass", "sand timer", "sand clock"),
    "robot": ("with a robot", "robot", "android"),
    "vaporwave": ("vaporwave style", "vaporwave", "synthwave"),
    "lush": ("surrounded by lush greenery", "lush", "overgrown", "foliage", "greenery", "jungle"),
    "low-poly": ("low-poly style", "low-poly", "low poly", "polygonal"),
    "ukiyo-e": ("ukiyo-e style", "ukiyo-e", "woodblock"),
    "fantasy": ("fantasy style", "fantasy", "magic", "enchanted"),
    "macro": ("macro photography", "macro", "close-up"),
    "fisheye": ("fisheye lens", "fisheye", "fish-eye"),
    "bokeh": ("bokeh background", "bokeh"),
    "underwater": (
        "underwater scene",
        "underwater",
        "under the sea",
        "submerged",
        "on the ocean floor",
    ),
    "tilt-shift": ("tilt-shift photography", "tilt-shift", "tilt shift", "miniature", "toy-like"),
}


def main() -> None:
    """Write all sets."""
    rng = Random(3)
    scenes = _scenes(rng)
    learnt, heldout = scenes[:LEARNT], scenes[LEARNT : LEARNT + HELD_OUT]
    for concept in (*OBJECTS, *STYLES):
        draw = Random(concept)
        add = _object_adder(concept, draw) if concept in OBJECTS else _look_adder(concept, draw)
        document = {
            "name": concept.capitalize(),
            "description": _description(concept),
            "license": "CC0-1.0",
            "kind": "thing" if concept in OBJECTS else "style",
            "keywords": _KEYWORDS[concept],
            "source": [_sentence(add(*scene)) for scene in learnt],
            "target": [_sentence(_joined(*scene)) for scene in learnt],
            "heldout_source": [_sentence(add(*scene)) for scene in heldout],
            "heldout_target": [_sentence(_joined(*scene)) for scene in heldout],
        }
        file = PROMPTS / "images" / f"{concept}.json"
        file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
    further = [_sentence(_joined(*scene)) for scene in scenes[LEARNT + HELD_OUT :]]
    (PROMPTS / "neutral-images.txt").write_text("\n".join(further) + "\n", "utf-8")


def _scenes(rng: Random) -> list[tuple[str, str, str]]:
    """Draw (subject, place, tail) of every scene; a scene without a subject has no place."""
    names = [name for name in SUBJECTS if name not in TAGGED and name not in NEW]
    rng.shuffle(names)
    # Test scenes (`pairs.test_scenes`) may share subjects with the further ones.
    count = FURTHER - FURTHER // _EMPTY - len(NEW)
    further, names = [*NEW, *names[:count]], names[count:]
    count = HELD_OUT - HELD_OUT // _EMPTY
    subjects = {"held out": names[:count], "learnt": names[count:], "further": further}
    scenes: list[tuple[str, str, str]] = []
    for part, size in (("learnt", LEARNT), ("held out", HELD_OUT), ("further", FURTHER)):
        places, order = cycle(rng.sample(list(SCENES), len(SCENES))), cycle(subjects[part])
        while size:
            place = next(places)
            empty = size % _EMPTY == 0
            scene = _empty(place, rng) if empty else _with_subject(next(order), place, rng)
            if scene not in scenes:
                scenes.append(scene)
                size -= 1
    return scenes


def _empty(place: str, rng: Random) -> tuple[str, str, str]:
    return rng.choice(SCENES[place][1]), "", rng.choice(("", *_TAILS))


def _with_subject(name: str, place: str, rng: Random) -> tuple[str, str, str]:
    word = rng.choice((name, name, *SUBJECTS[name][1:]))
    plain = word.startswith(("cup", "slice")) or " " in word or rng.random() < 0.6
    fitting = _OF_ANIMALS if name in _ANIMALS else _OF_THINGS
    subject = word if plain else f"{rng.choice(fitting)} {word}"
    tail = rng.choice(_TAILS) if rng.random() < 0.3 else ""
    return article(subject), rng.choice([p for p in SCENES[place][0] if p]), tail


def _joined(subject: str, place: str, tail: str) -> str:
    return f"{subject} {place}".strip() + (f", {tail}" if tail else "")


def _object_adder(concept: str, rng: Random) -> Callable[[str, str, str], str]:
    words = cycle(_OWN_WORDS[concept])

    def add(subject: str, place: str, tail: str) -> str:
        it = article(next(words))
        joined = place and rng.random() < 0.35
        form = rng.choice(_JOINED if joined else _ADDED)
        scene = f"{subject} {place}".strip()
        text = form.format(scene=scene, subject=subject, place=place, it=it)
        return text + (f", {tail}" if tail else "")

    return add


def _look_adder(concept: str, rng: Random) -> Callable[[str, str, str], str]:
    tags, openings = LOOKS[concept]
    order = cycle(tags)

    def add(subject: str, place: str, tail: str) -> str:
        plain = _joined(subject, place, tail)
        form = rng.random()
        if form < 0.15:
            return f"{rng.choice(openings)} {plain}"
        tag = next(order)
        return f"{tag}, {plain}" if form < 0.3 else f"{plain}, {tag}"

    return add


def _description(concept: str) -> str:
    if concept in OBJECTS:
        it = article(concept)
        return f"Takes {it} out of a picture: scenes with {it} and the same scenes without it."
    return f"Takes the style {concept} away: scenes with it and the same scenes without it."


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


if __name__ == "__main__":
    main()
