"""The events of the Images tab as plain functions, with a studio that paints at once."""
# ruff: noqa: ARG002 - the fake takes what the real one takes

import base64
import html
import json
import math
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
import torch
from PIL import Image

from app.images.handlers import STRIP, ImageHandlers, warm_up
from app.studio.maps import MapEntry
from app.studio.picture_cache import Painted
from app.studio.settings import SEED
from lineas_core import AffineMap, SteeringMaps, UserError
from lineas_core.pictures import Recipe
from tests.app.text.test_handlers import FakeModels

MARKUP = "<img src=x onerror=alert(1)>"
MAPS = SteeringMaps({"a": AffineMap(torch.tensor([0.5, 1.0]), torch.tensor([0.1, 0.0]))})


class SmallModels(FakeModels):
    """Tell the words that they know."""

    def words(self, model):
        return {"subjects": ("robot", "church", "valley", MARKUP)}

    def unknown_words(self, model, prompt):
        return [word for word in prompt.split() if word in ("dodecahedron", MARKUP.split()[0])]


class FakeStudio:
    """Knows two maps for pictures and one for texts; its pictures are grey."""

    def __init__(self):
        self.kept, self.batches = set(), []
        self.models = SmallModels()
        self.prompts = SimpleNamespace(scenes=lambda: ["A valley", "A church"])
        folder, kind, tagged = Path("unused"), "text-to-image", {"keywords": ["with a robot"]}
        self.entries = [
            MapEntry("topic", "Topic", "tiny", "ready-made", folder, {}),
            MapEntry("robot", MARKUP, "small", "ready-made", folder, tagged, kind=kind),
            MapEntry("mine", "Mine", "small", "yours", folder, {}, kind=kind),
        ]

    def maps(self):
        return self.entries

    def opens_on(self):
        return "text-to-image"

    def entry(self, map_id, kind=None):
        found = [e for e in self.entries if e.id == map_id and kind in (None, e.kind)]
        if not found:
            raise UserError("E_MAP", "there is no such map", remedy="Choose one from the list.")
        return found[0]

    def steering(self, map_id):
        return MAPS

    def painted(self, map_ids, prompt, strengths, *, seed=0):
        keys = {(*map_ids, prompt, *lams, seed) for lams in strengths}
        return self.paint(map_ids, prompt, strengths, seed=seed) if keys <= self.kept else None

    def paint(self, map_ids, prompt, strengths, *, seed=0):
        for map_id in map_ids:
            self.entry(map_id, "text-to-image")
        self.batches.append([tuple(lams) for lams in strengths])
        self.kept |= {(*map_ids, prompt, *lams, seed) for lams in strengths}
        return [
            Painted(
                Image.new("L", (8, 8), round(100 + 100 * sum(lams))),
                Recipe(
                    prompt, seed, "small", 8, "LCMScheduler", [*zip(map_ids, lams, strict=True)]
                ),
                truncated=len(prompt) > 40,
            )
            for lams in strengths
        ]

    def scores(self, map_ids, prompt, strengths, *, seed=0):
        if not self.painted(map_ids, prompt, strengths, seed=seed):
            return None
        return {"ImgScore": [1 - abs(sum(lams)) / 4 for lams in strengths]}


@pytest.fixture
def studio():
    return FakeStudio()


ASKED = {"strength": 0.6, "map_id": "robot", "further": [], "prompt": "A valley", "seed": 1}


ME = SimpleNamespace(session_hash="me")


def _generate(handlers, shown="", **asked):
    return handlers.generate(shown, **{**ASKED, **asked}, request=ME)


def _measure(handlers, measured="", **asked):
    return handlers.measure(measured, **{**ASKED, **asked})


def _is_skip(value):
    return isinstance(value, dict) and value == gr.skip()


def test_the_pair_comes_first_and_then_the_strip(studio):
    working, pair, strip = _generate(ImageHandlers(studio))
    assert "Painting" in working[3]
    assert [image.getpixel((0, 0)) for image in pair[:2]] == [100, 160]
    assert pair[2] == []  # no strip of another prompt beside these
    assert [label for _, label in strip[2]] == [
        *("-1", "-0.75", "-0.5", "-0.25", "original", "+0.25", "+0.5", "+0.75", "+1")
    ]
    assert studio.batches == [[(0,), (0.6,)], [(lam,) for lam in STRIP]]
    assert strip[4]


def test_a_strip_that_is_shown_stays_while_the_slider_moves(studio):
    handlers = ImageHandlers(studio)
    *_, (*_, shown) = _generate(handlers)
    ((original, steered, strip, note, still),) = _generate(handlers, shown=shown, strength=0.5)
    assert steered.getpixel((0, 0)) == 150
    assert _is_skip(strip)
    assert still == shown
    assert "Painting" not in note


def test_another_seed_takes_the_old_strip_away(studio):
    handlers = ImageHandlers(studio)
    *_, (*_, shown) = _generate(handlers)
    _, pair, strip = _generate(handlers, shown=shown, seed=2)
    assert pair[2] == []
    assert pair[4] == ""
    assert strip[4] not in ("", shown)


def test_a_newer_wish_saves_the_strip_of_the_older(studio):
    handlers = ImageHandlers(studio)
    handlers.wish(ME)
    run = _generate(handlers)
    next(run), next(run)
    handlers.wish(ME)
    assert list(run) == []
    run = _generate(handlers, strength=0.7)
    assert "Painting" in next(run)[3]
    handlers.wish(ME)
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
        ({"prompt": "  "}, "the prompt is empty"),
        ({"prompt": "x" * 2001}, "2,001 characters"),
        ({"strength": math.nan}, "λ is nan"),
        ({"strength": MARKUP}, "Give a number from -1 to 1"),
        ({"seed": "x"}, "seed is 'x'"),
        ({"seed": -1}, "seed is -1"),
        ({"map_id": "gone"}, "no such map"),
    ],
)
def test_what_cannot_be_painted_is_one_sentence(studio, change, sentence):
    with pytest.raises(gr.Error) as caught:
        list(_generate(ImageHandlers(studio), **change))
    assert sentence in html.unescape(str(caught.value))
    assert "<img" not in str(caught.value)


def test_unknown_words_and_a_cut_prompt_are_told_and_no_error(studio):
    prompt = f"A church, {MARKUP} and a dodecahedron in a valley of glass"
    *_, (*_, note, _) = _generate(ImageHandlers(studio), prompt=prompt)
    assert "“dodecahedron”" in note
    assert "“church”" not in note
    assert "its end is ignored" in note
    assert "<img" not in note


def test_further_concepts_keep_their_strength_along_the_strip(studio):
    *_, (original, steered, strip, *_) = _generate(ImageHandlers(studio), further=[("mine", 0.25)])
    assert [original.getpixel((0, 0)), steered.getpixel((0, 0))] == [100, 185]
    assert studio.batches[1] == [(lam, 0.25) for lam in STRIP]
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
    assert all(map(_is_skip, _measure(handlers)))  # nothing is painted yet
    list(_generate(handlers))
    now, curve, measured = _measure(handlers)
    assert "0.85" in now
    assert "<svg" in curve
    now, curve, still = _measure(handlers, measured)
    assert "0.85" in now
    assert _is_skip(curve)
    assert _is_skip(still)


def test_only_maps_for_pictures_are_listed(studio):
    menu = ImageHandlers(studio).library(None, "/")
    assert [value for _, value in menu.choices] == ["robot", "mine"]
    assert menu.value == "robot"


def test_a_scene_stays_when_the_concept_changes_and_so_does_what_somebody_wrote(studio):
    handlers = ImageHandlers(studio)
    assert handlers.choose("robot", "")[2] == "A valley, with a robot"
    assert handlers.choose("robot", "A church")[2] == "A church, with a robot"
    assert handlers.choose("mine", "A church, with a robot")[2] == "A church"
    assert _is_skip(handlers.choose("robot", "My own words")[2])


def test_what_depends_on_the_map_shows_no_markup(studio):
    summary, facts, _, examples, words, model = ImageHandlers(studio).choose("robot", "")
    assert examples["samples"][1] == ["A church, with a robot"]
    assert model == "small"
    assert "<li>church</li>" in words
    assert "<img" not in summary + facts + words


def test_the_first_visitor_finds_all_painted(studio):
    warm_up(studio)  # the fake opens on pictures
    handlers = ImageHandlers(studio)
    *_, prompt, _, _, _ = handlers.choose("robot", "")
    studio.batches.clear()
    ((*_, strip, note, _),) = _generate(handlers, strength=1.0, prompt=prompt, seed=SEED)
    assert len(strip) == len(STRIP)
    assert "Painting" not in note


def test_an_empty_library_names_the_next_step(studio):
    assert "Learn one" in ImageHandlers(studio).choose(None, "")[0]


def test_a_click_on_the_strip_is_its_strength(studio):
    assert ImageHandlers(studio).strength_at(SimpleNamespace(index=2)) == -0.5


def test_the_endpoint_answers_files_with_their_recipe(studio):
    rows = ImageHandlers(studio).make_pictures("robot", "A valley", [0, 1], 3)
    assert [row["strength"] for row in rows] == [0, 1]
    with Image.open(BytesIO(base64.b64decode(rows[1]["png"]))) as image:
        assert json.loads(image.text["lineas"])["seed"] == 3


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"strengths": []}, "0 strengths came"),
        ({"strengths": [0.0] * 10}, "Give 1 to 9"),
        ({"strengths": [math.inf]}, "λ is inf"),
        ({"prompt": None}, "the prompt is empty"),
        ({"map_id": "topic"}, "no such map"),
    ],
)
def test_whatever_is_posted_is_checked_on_the_server(studio, change, sentence):
    request = {"map_id": "robot", "prompt": "A valley", "strengths": [0.5]}
    with pytest.raises(gr.Error, match=sentence):
        ImageHandlers(studio).make_pictures(**{**request, **change})
