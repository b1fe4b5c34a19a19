"""The prompt without a concept, by the phrases in which people mention one."""

import json

import pytest

from lineas_core import PromptSet
from lineas_core.evaluation.counterfactual import Concept
from lineas_core.paths import PROMPTS

CAR = Concept(("with a car", "car", "automobile"))
LOW_POLY = Concept(("low-poly style", "low-poly", "low poly"))


@pytest.mark.parametrize(
    ("prompt", "without", "with_another"),
    [
        ("A church, with a car", "A church", "A church, with a book"),
        ("A church, WITH A CAR, 4k.", "A church, 4k.", "A church, with a book, 4k."),
        (
            "A fox next to a small red car in a forest",
            "A fox in a forest",
            "A fox, with a book in a forest",
        ),
        ("A fox and two automobiles", "A fox", "A fox, with a book"),
        ("A fox, a car in the foreground", "A fox", "A fox, with a book"),
        ("A fox, an old car beside it, 4k", "A fox, 4k", "A fox, with a book, 4k"),
        ("a fox and a car, with a car", "a fox", "a fox, with a book"),
        ("A picture of a red car parked on the beach", "On the beach", "A book on the beach"),
        ("A church", "A church", "A church"),
    ],
)
def test_an_object_is_removed_with_its_joint_or_replaced(prompt, without, with_another):
    assert CAR.removed(prompt) == without
    assert CAR.replaced(prompt) == with_another


@pytest.mark.parametrize(
    "prompt",
    [
        "A car",
        "A car and a fox in a forest",  # the fox would become the main subject
        "A fox looking at a car",
        "A fox, with a car glowing softly",
    ],
)
def test_an_object_that_the_scene_depends_on_is_left_alone(prompt):
    assert CAR.removed(prompt) is None
    assert CAR.replaced(prompt) is None


@pytest.mark.parametrize(
    ("prompt", "without"),
    [
        ("A church, low-poly style", "A church"),
        ("A church, in Low-Poly style, 4k", "A church, 4k"),
        ("Low-poly, a church", "A church"),
        ("A low poly render of a fox with a lantern", "A fox with a lantern"),
        ("A low-poly owl on a hill", "An owl on a hill"),
        ("An owl, geometric low-poly art", "An owl"),
        ("A fox, with a car in low-poly style", "A fox, with a car"),
        ("a low-poly church, low-poly style", "a church"),
        ("low-poly", None),
    ],
)
def test_a_style_is_removed_and_the_scene_stays(prompt, without):
    assert LOW_POLY.removed(prompt) == without


def test_only_whole_words_mention_a_concept():
    assert CAR.mentioned("A Car.")
    assert CAR.mentioned("Three cars")
    assert not CAR.mentioned("A carpet on a carousel")
    assert CAR.removed("A carpet, with a car") == "A carpet"


def test_the_tag_tells_a_thing_from_a_style_where_the_kind_is_unknown():
    assert (CAR.is_thing, LOW_POLY.is_thing) == (True, False)
    assert Concept(("robot",), kind="thing").is_thing
    assert (CAR.noun, Concept(("with an axolotl",)).noun) == ("car", "axolotl")


def test_another_object_is_another_one():
    book = Concept(("with a book", "book"))
    assert book.replaced("A church, with a book") == "A church, with a lantern"


@pytest.mark.parametrize(("template", "word"), [("thing", "teapot"), ("style", "watercolor")])
def test_what_a_set_of_one_word_adds_to_a_scene_is_removed_again(template, word):
    lines = (PROMPTS / "templates" / f"{template}.txt").read_text().splitlines()
    scenes = ["A church on a hill", "A fox", "An old boat", "A tiger", "A lake"]
    prompts = PromptSet.about(word, lines, scenes[: len(lines)], remove=True)
    concept = Concept(prompts.keywords, template)
    for scene, prompt in zip(prompts.target, prompts.source, strict=True):
        assert concept.removed(prompt).lower() == scene.lower()
    assert concept.removed(concept.added("A church.")) == "A church"


@pytest.mark.parametrize("file", sorted((PROMPTS / "images").glob("*.json")), ids=lambda f: f.stem)
def test_the_shipped_prompts_are_understood(file):
    prompts = json.loads(file.read_text())
    concept = Concept(prompts["keywords"])
    assert concept.is_thing == (prompts["kind"] == "thing")
    assert not any(map(concept.mentioned, prompts["target"]))
    without = [concept.removed(prompt) for prompt in prompts["source"]]
    understood = [prompt for prompt in without if prompt]
    assert len(understood) > 0.6 * len(without)
    assert not any(map(concept.mentioned, understood))


def test_a_long_prompt_takes_no_time():
    for filling in (" ", "a ", ", ", "with ", "a-"):
        CAR.removed("A car" + filling * (2000 // len(filling)) + " car")
        LOW_POLY.removed("A fox" + filling * (2000 // len(filling)) + " low-poly")
