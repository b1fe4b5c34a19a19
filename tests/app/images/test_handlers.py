"""The events of the Images tab as plain functions, with a studio that paints at once."""

import base64
import html
import json
import math
import re
from dataclasses import replace
from functools import partial
from io import BytesIO
from types import SimpleNamespace

import gradio as gr
import pytest
from PIL import Image

from app.images.endpoint import PictureEndpoint
from app.images.handlers import ImageHandlers
from app.studio.opening import warm_up
from app.studio.settings import SEED, STRIP, Settings
from lineas_core.models.denoising import Denoising
from tests.app.fakes import MARKUP, ME, image_studio, is_skip


@pytest.fixture
def studio():
    return image_studio()


ASKED = {
    **{"strength": 0.6, "map_id": "robot", "further": [], "prompt": "A valley", "seed": 1},
    **{"steps": None, "guidance": None, "steer_steps": None},
}


def _generate(handlers, shown="", **asked):
    return handlers.generate(shown, **{**ASKED, **asked}, request=ME)


def _measure(handlers, measured="", **asked):
    return [*handlers.measure(measured, **{**ASKED, **asked}, request=ME)]


def test_the_pair_comes_first_and_then_the_strip(studio):
    working, pair, strip = _generate(ImageHandlers(studio))
    assert "Painting" in working.note
    assert [image.getpixel((0, 0)) for image, _ in pair.pair] == [100, 160]
    assert pair.pair[1][1] == "0.6"
    assert pair.strip == []  # no strip of another prompt beside these
    assert [label for _, label in strip.strip] == [
        *("-1", "-0.75", "-0.5", "-0.25", "original", "+0.25", "+0.5", "+0.75", "+1")
    ]
    assert studio.pictures.batches == [[(0,), (0.6,)], [(lam,) for lam in STRIP]]
    assert strip.shown


def test_a_strip_that_is_shown_stays_while_the_slider_moves(studio):
    handlers = ImageHandlers(studio)
    *_, (*_, shown, _, _, _) = _generate(handlers)
    (((_, (steered, _)), strip, note, still, *curve, _),) = _generate(
        handlers, shown=shown, strength=0.5
    )
    assert all(map(is_skip, curve))
    assert steered.getpixel((0, 0)) == 150
    assert is_skip(strip)
    assert still == shown
    assert "Painting" not in note


def test_a_pair_comes_with_the_link_of_its_own_settings(studio):
    chosen = {"further": [("mine", 0.25)], "steps": 4, "steer_steps": "0-1"}
    working, pair, strip = _generate(ImageHandlers(studio), prompt="A valley ", **chosen)
    assert is_skip(working.result)  # the pair before is still shown
    assert pair.result == strip.result
    made = Settings(["robot", "mine"], [0.6, 0.25], "A valley", 1, 4, None, (0, 1))
    assert Settings.from_link(pair.result[1:]) == made


def test_another_seed_takes_the_old_strip_away(studio):
    handlers = ImageHandlers(studio)
    *_, (*_, shown, _, _, _) = _generate(handlers)
    _, pair, strip = _generate(handlers, shown=shown, seed=2)
    assert pair.strip == []
    assert pair.shown == ""
    assert strip.shown not in ("", shown)


def test_another_version_of_a_map_gets_another_strip(studio):
    handlers = ImageHandlers(studio)
    *_, strip = _generate(handlers)
    studio.entries[1] = replace(studio.entries[1], metadata={"sha256": "another"})
    *_, anew = _generate(handlers, shown=strip[4])
    assert not is_skip(anew[2])


def test_a_newer_wish_saves_the_strip_of_the_older(studio):
    handlers = ImageHandlers(studio)
    handlers.new_request(ME)
    run = _generate(handlers)
    next(run), next(run)
    handlers.new_request(ME)
    assert list(run) == []
    run = _generate(handlers, strength=0.7)
    assert "Painting" in next(run).note
    handlers.new_request(ME)
    assert list(run) == []  # not even the picture


def test_nothing_is_painted_while_a_number_is_typed_or_a_model_is_missing(studio):
    handlers = ImageHandlers(studio)
    assert list(_generate(handlers, strength=None)) == []
    assert list(_generate(handlers, seed=None)) == []
    assert list(_generate(handlers, map_id=None)) == []
    studio.models.missing = {"small"}
    assert list(_generate(handlers)) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"prompt": "  "}, "The prompt is empty"),
        ({"prompt": "x" * 2001}, "2,001 characters"),
        ({"strength": math.nan}, "λ is nan"),
        ({"strength": MARKUP}, "Give a number from -1 to 1"),
        ({"seed": "x"}, "Seed is 'x'"),
        ({"seed": -1}, "Seed is -1"),
        ({"steps": 0}, "Number of steps is 0"),
        ({"steps": 2.5}, "Give a whole number from 1 to 100"),
        ({"guidance": math.inf}, "Guidance is inf"),
        ({"steer_steps": "first"}, "Give one step or a range such as 0-1"),
        ({"steer_steps": "3-1"}, "Give the first and the last step"),
        ({"steer_steps": MARKUP}, "The steered steps are '<img"),
        ({"map_id": "gone"}, "no such map"),
    ],
)
def test_what_cannot_be_painted_is_one_sentence(studio, change, sentence):
    handlers = ImageHandlers(studio)
    list(_generate(handlers))
    with pytest.raises(gr.Error) as caught:
        list(_generate(handlers, **change))
    assert sentence in html.unescape(str(caught.value))
    assert "<img" not in str(caught.value)


def test_a_page_that_has_no_prompt_yet_is_no_error(studio):
    handlers = ImageHandlers(studio)
    assert list(_generate(handlers, prompt="")) == []
    assert _measure(handlers, prompt="") == []
    assert len(list(_generate(handlers))) == 3


def test_a_prompt_that_was_emptied_is_complained_about_once(studio):
    handlers = ImageHandlers(studio)
    list(_generate(handlers))
    with pytest.raises(gr.Error):
        list(_generate(handlers, prompt=" "))
    assert _measure(handlers, prompt=" ") == []  # `generate` has said so


def test_unknown_words_and_a_cut_prompt_are_told_and_no_error(studio):
    prompt = f"A church, {MARKUP} and a dodecahedron in a lighthouse of glass"
    *_, (_, _, note, *_) = _generate(ImageHandlers(studio), prompt=prompt)
    assert "<s>dodecahedron</s>" in note
    assert 'data-word="lighthouse" data-known="house"' in note
    assert "church" not in note
    assert "was truncated" in note
    assert "<img" not in note


def test_a_chip_replaces_an_unknown_word_and_no_part_of_another(studio):
    chip = gr.EventData(None, {"word": "hut", "known": "house"})
    asked, replaced = ImageHandlers(studio).replace_word("Hut by a hutch, a hut.", chip)
    assert asked == "Hut by a hutch, a hut."
    assert replaced == "house by a hutch, a house."


def test_further_concepts_keep_their_strength_along_the_strip(studio):
    *_, (pair, strip, *_) = _generate(ImageHandlers(studio), further=[("mine", 0.25)])
    assert [image.getpixel((0, 0)) for image, _ in pair] == [100, 185]
    assert studio.pictures.batches[1] == [(lam, 0.25) for lam in STRIP]
    assert strip[4][1] == "0"  # not the original: the other concept acts


@pytest.mark.parametrize(
    ("further", "sentence"),
    [
        ([("mine", 0.1)] * 3, "at most 2 pairs"),
        ([("mine", 2)], "λ is 2"),
        (["mine"], "at most 2 pairs"),
        ([("gone", 0.5)], "no such map"),
    ],
)
def test_further_concepts_are_checked(studio, further, sentence):
    with pytest.raises(gr.Error, match=sentence):
        list(_generate(ImageHandlers(studio), further=further))


def test_figures_follow_the_pictures_and_the_curve_is_drawn_once(studio):
    handlers = ImageHandlers(studio)
    assert _measure(handlers) == []  # nothing is painted yet
    list(_generate(handlers))
    figures, curve = _measure(handlers)
    assert "0.85" in figures.figures
    assert is_skip(figures.curve)
    assert "<svg" in curve.curve
    assert is_skip(curve.figures)
    (figures,) = _measure(handlers, curve.measured)
    assert "0.85" in figures.figures


def test_the_first_figure_is_what_is_left_and_the_right_answer_is_shown(studio):
    handlers, prompt = ImageHandlers(studio), "A valley, with a robot"
    list(_generate(handlers, prompt=prompt))
    figures, curve = _measure(handlers, prompt=prompt)
    text = re.sub("<[^>]*>", "", figures.figures)
    assert text.startswith("40% of the robot is left. The rest of the picture changed by 3%.")
    assert "The same scene without the robot" in figures.goal
    assert "“A valley”" in figures.goal
    assert "<img src=x" not in figures.figures + figures.goal + curve.curve
    assert "left at λ +0.5: 0.50" in curve.curve


def test_a_prompt_without_the_concept_says_so_and_has_no_right_answer(studio):
    handlers = ImageHandlers(studio)
    list(_generate(handlers))
    figures, _ = _measure(handlers)
    text = re.sub("<[^>]*>", "", figures.figures)
    assert text.startswith("The concept is not in the prompt; the picture changed by 6%.")
    assert "<img" not in figures.goal


def test_figures_of_a_picture_that_is_no_longer_wanted_are_not_shown(studio):
    handlers = ImageHandlers(studio)
    list(_generate(handlers))
    run = handlers.measure("", **ASKED, request=ME)
    next(run)
    list(_generate(handlers, strength=0.7))
    assert list(run) == []
    assert _measure(handlers) == []  # an event that starts late
    assert _measure(handlers, strength=0.7)


def test_the_curve_of_another_prompt_goes_with_its_strip(studio):
    working, pair, strip = _generate(ImageHandlers(studio))
    assert is_skip(working.curve)
    assert (pair.curve, pair.measured) == (strip.curve, strip.measured) == ("", "")


def test_only_maps_for_pictures_are_listed(studio):
    menu = ImageHandlers(studio).library(None, "/")
    assert [value for _, value in menu.choices] == ["robot", "mine"]
    assert menu.value == "robot"


def test_a_scene_stays_when_the_concept_changes_and_so_does_what_somebody_wrote(studio):
    handlers = ImageHandlers(studio)
    robot = "A church, with a robot"
    assert handlers.choose("robot", "").prompt == ["", "A valley, with a robot"]
    assert handlers.choose("robot", "A church").prompt == ["A church", robot]
    assert handlers.choose("mine", robot).prompt == [robot, "A church"]
    assert is_skip(handlers.choose("robot", "My own words").prompt)


def test_a_prompt_that_was_restored_comes_with_its_map_and_stays(studio):
    handlers, restored = ImageHandlers(studio), ["robot", "A church"]
    for shown in ("", "A church"):
        assert handlers.choose("robot", shown, restored).prompt == [shown, "A church"]
    assert is_skip(handlers.choose("robot", "My own words", restored).prompt)
    assert handlers.choose("mine", "", restored).prompt == ["", "A valley"]
    assert handlers.choose("robot", "", ["robot", ""]).prompt == ["", "A valley, with a robot"]


def test_what_depends_on_the_map_shows_no_markup(studio):
    summary, facts, _, examples, words, model, *_ = ImageHandlers(studio).choose("robot", "")
    assert examples["samples"][1] == ["A church, with a robot"]
    assert model == "small"
    assert "<li>church</li>" in words
    assert "<img" not in summary + facts + words


def test_the_first_visitor_finds_all_painted(studio):
    warm_up(studio)  # the fake opens on pictures
    handlers = ImageHandlers(studio)
    _, prompt = handlers.choose("robot", "").prompt
    studio.pictures.batches.clear()
    ((_, strip, note, *_),) = _generate(handlers, strength=1.0, prompt=prompt, seed=SEED)
    assert len(strip) == len(STRIP)
    assert "Painting" not in note


def test_an_empty_library_names_the_next_step(studio):
    assert "Learn one" in ImageHandlers(studio).choose(None, "")[0]


def test_a_click_on_the_strip_is_its_strength(studio):
    assert ImageHandlers(studio).strength_at(SimpleNamespace(index=2)) == -0.5


def test_other_steps_and_guidance_are_other_pictures(studio):
    handlers = ImageHandlers(studio)
    *_, usual = _generate(handlers)
    chosen = {"steps": 4, "guidance": 2.5, "steer_steps": "0-1"}
    *_, other = _generate(handlers, shown=usual.shown, **chosen)
    recipe = json.loads(other.strip[0][0].info["lineas"])
    assert (recipe["num_inference_steps"], recipe["guidance_scale"]) == (4, 2.5)
    assert recipe["steer_at"] == [0, 1]
    assert _measure(handlers, measured="", **chosen)
    for name in chosen:
        one_less = chosen | {name: None}
        assert not _measure(handlers, measured="", **one_less)  # not what is shown
        *_, another = _generate(handlers, shown=other.shown, **one_less)
        assert another.shown not in (other.shown, usual.shown)
        *_, other = _generate(handlers, shown=another.shown, **chosen)


def test_a_range_that_is_being_typed_is_no_error_of_the_figures(studio):
    handlers = ImageHandlers(studio)
    list(_generate(handlers))
    assert _measure(handlers, steer_steps="0-") == []


def test_steps_and_guidance_are_offered_where_a_model_takes_others(studio):
    handlers, known = ImageHandlers(studio), studio.pictures.known
    assert not any(box["visible"] for box in handlers.offer_steps("small"))  # not known yet
    known["small"] = Denoising(4, 3.5)
    steps, guidance, steer_steps = handlers.offer_steps("small")
    assert steer_steps["visible"]
    assert (steps["visible"], steps["placeholder"]) == (True, "4")
    assert (guidance["visible"], guidance["placeholder"]) == (True, "3.5")
    assert "value" not in steps | guidance | steer_steps
    for denoising, visible in (
        (Denoising(4, None), [True, False, True]),
        (Denoising(2, 0.0, timesteps=(999, 399)), [False, False, True]),
        (Denoising(1, 0.0, timesteps=(399,)), [False, False, False]),
    ):
        known["small"] = denoising
        assert [box["visible"] for box in handlers.offer_steps("small")] == visible


def test_another_model_clears_steps_and_guidance_unless_they_are_restored(studio):
    choose = ImageHandlers(studio).choose
    for before, restored, cleared in (
        ("small", [], False),
        ("other", [], True),
        ("other", ["robot", ""], False),
        ("other", ["mine", ""], True),
    ):
        view = choose("robot", "", restored, before)
        assert [each.get("value", "kept") is None for each in view[-3:]] == [cleared] * 3


def test_the_endpoint_answers_files_with_their_recipe(studio):
    rows = PictureEndpoint(studio).make_pictures("robot", "A valley", [0, 1], 3)
    assert [row["strength"] for row in rows] == [0, 1]
    with Image.open(BytesIO(base64.b64decode(rows[1]["png"]))) as image:
        assert json.loads(image.text["lineas"])["seed"] == 3


def test_the_endpoint_paints_in_a_number_of_steps(studio):
    paint = partial(PictureEndpoint(studio).make_pictures, "robot", "A valley", [1], steps=3)
    (row,) = paint(guidance=2, steer_steps=[0, 1])
    with Image.open(BytesIO(base64.b64decode(row["png"]))) as image:
        assert "Steps: 3" in image.text["parameters"]
        assert "LinEAS steps: 0-1" in image.text["parameters"]


def test_the_endpoint_tells_what_of_a_prompt_is_not_read_or_not_known(studio):
    paint = partial(PictureEndpoint(studio).make_pictures, "robot", strengths=[0, 1])
    assert [row["notes"] for row in paint("A valley")] == [[], []]
    long = "A dodecahedron beside a lighthouse in a valley"
    for row in paint(long):
        cut, unknown = row["notes"]
        assert "was truncated" in cut
        assert "“dodecahedron”, “lighthouse” (it knows “house”)" in unknown


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"strengths": []}, "0 strengths were given"),
        ({"strengths": [0.0] * 10}, "Give 1 to 9"),
        ({"strengths": [math.inf]}, "λ is inf"),
        ({"prompt": None}, "The prompt is empty"),
        ({"map_id": "topic"}, "no such map"),
    ],
)
def test_whatever_is_posted_is_checked_on_the_server(studio, change, sentence):
    request = {"map_id": "robot", "prompt": "A valley", "strengths": [0.5]}
    with pytest.raises(gr.Error, match=sentence):
        PictureEndpoint(studio).make_pictures(**{**request, **change})
