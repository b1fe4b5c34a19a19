"""Random pictures of the world and random captions for them."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tools.emoji_world.vocabulary import LOOKS, SCENES, SECONDS, SUBJECTS, TAGGED

__all__ = ["Picture", "caption", "random_picture"]

_ADJECTIVES = (
    *("cute", "small", "big", "old", "lonely", "majestic", "beautiful", "colorful", "shiny"),
    *("friendly", "sleepy", "tiny", "giant", "quiet", "bright", "elegant", "wonderful", "simple"),
    *("young", "proud", "charming", "ancient", "modern", "weathered", "gentle", "graceful"),
)
_MOODS = (
    *("calm", "peaceful", "beautiful", "serene", "wide", "quiet", "lovely", "dreamy", "silent"),
    *("bright", "colorful", "still", "soft", "warm", "cool", "fresh", "vast", "gentle"),
)
_VERBS = (
    *("standing", "resting", "waiting", "sitting", "placed", "seen", "left alone", "shining"),
    *("looking around", "in front of the viewer", "glowing softly", "lying", "alone", "at rest"),
)
_OPENINGS = (
    *("a photo of", "a picture of", "an image of", "an illustration of", "a painting of"),
    *("a render of", "a view of", "a scene with", "a digital artwork of", "a drawing of"),
)
_TAILS = (
    *("highly detailed", "4k", "soft light", "award winning", "trending", "sharp", "vivid"),
    *("warm light", "clear sky", "in the morning", "cinematic", "concept art", "beautiful"),
    *("wide shot", "professional", "calm atmosphere", "gentle breeze", "soft shadows", "hd"),
    *("with soft colors", "clean composition", "natural light", "peaceful mood", "no people"),
)
_JOINTS = (
    *(", with {}", ", with {}", " next to {}", " beside {}", " and {}", ", featuring {}"),
    *(" near {}", " together with {}", ", {} in the foreground", ", {} beside it", ", {}"),
)


@dataclass(frozen=True)
class Picture:
    """What a picture shows; names from `vocabulary`, None for no subject."""

    scene: str = "plain"
    subject: str | None = None
    second: str | None = None
    look: str = "none"


def random_picture(rng: Random) -> Picture:
    """Draw a picture as training sees them: one in seven is a scene without a subject."""
    kind = rng.random()
    subject = second = None
    if kind > 0.14:
        subject = rng.choice(TAGGED) if rng.random() < 0.12 else rng.choice(list(SUBJECTS))
    if kind > 0.58:
        # Any subject may be the second one: of a pair that no caption ever had, a generator makes
        # a third thing.
        group = rng.random()
        second = rng.choice(TAGGED if group < 0.3 else SECONDS if group < 0.5 else list(SUBJECTS))
        second = None if second == subject else second
    look = "none" if rng.random() < 0.3 else rng.choice(list(LOOKS)[1:])
    return Picture(rng.choice(list(SCENES)), subject, second, look)


def caption(picture: Picture, rng: Random) -> str:
    """Put a picture into words; every draw gives others."""
    text = _scene_with_subjects(picture, rng)
    tags, openings = LOOKS[picture.look]
    if tags and rng.random() < 0.2:
        text, tags = f"{rng.choice(openings)} {text}", ()
    elif rng.random() < 0.2:
        text = f"{rng.choice(_OPENINGS)} {text}"
    tails = [rng.choice(_TAILS) for _ in range(rng.choice((0, 0, 0, 1, 1, 2)))]
    if tags and rng.random() < 0.15:
        text = f"{rng.choice(tags)}, {text}"
    elif tags:
        tails += rng.sample(tags, 1 if rng.random() < 0.75 else 2)
        rng.shuffle(tails)
    text = ", ".join([text, *tails])
    return text + "." if rng.random() < 0.2 else text


def _scene_with_subjects(picture: Picture, rng: Random) -> str:
    places, alone = SCENES[picture.scene]
    if picture.subject is None:
        return _noun(rng.choice(alone), _MOODS, rng)
    text = _noun(_word(picture.subject, rng), _ADJECTIVES, rng)
    if rng.random() < 0.25:
        text += f" {rng.choice(_VERBS)}"
    joint = ""
    if picture.second:
        second = _noun(_word(picture.second, rng), _ADJECTIVES, rng)
        joint = rng.choice(_JOINTS).format(second)
    place = rng.choice(places)
    place = f" {place}" if place else ""
    # "a castle with a robot by a lake" and "a castle by a lake, with a robot"
    return text + (joint + place if rng.random() < 0.4 else place + joint)


def _word(subject: str, rng: Random) -> str:
    return subject if rng.random() < 0.65 else rng.choice([subject, *SUBJECTS[subject][1:]])


def _noun(word: str, adjectives: tuple[str, ...], rng: Random) -> str:
    """The word with an adjective or none and the article that fits."""
    given = word.split()[0] in ("a", "an", "the")
    article, noun = word.split(maxsplit=1) if given else ("a", word)
    adjective = rng.choice(adjectives)
    if rng.random() < 0.3 and adjective not in noun:
        noun = f"{adjective} {noun}"
    if given and article == "the":
        return f"the {noun}"
    plural = noun.endswith("s") and not given and noun.split()[-1] not in ("hourglass", "bus",
        "cactus", "hippopotamus", "rhinoceros", "octopus")  # fmt: skip
    if plural or noun.endswith("water") or rng.random() < 0.08:
        return noun
    if rng.random() < 0.12:
        return f"the {noun}"
    vowel = noun.startswith(("a", "e", "i", "o", "umb", "hourglass"))
    return f"{'an' if vowel else 'a'} {noun}"
