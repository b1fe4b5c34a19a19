"""The buttons that save, as plain functions, with a studio that paints at once."""

import base64
from dataclasses import replace
from io import BytesIO

import gradio as gr
import pytest
from PIL import Image

from app.images.handlers import ImageHandlers
from app.images.save_handlers import SaveHandlers
from app.studio.settings import STRIP, Settings
from app.studio.studio import Studio
from app.ui import build_demo
from lineas_core.pictures import read_recipe
from tests.app.fakes import ME, image_studio

SHOWN = Settings(["mine"], [0.5], "A valley", 7)


@pytest.fixture
def handlers():
    return SaveHandlers(image_studio())


def _saved(file, tmp_path):
    head, _, content = file.content.partition(",")
    assert head == "data:image/png;base64"
    path = tmp_path / file.name
    path.write_bytes(base64.b64decode(content))
    return path


def test_a_picture_is_named_after_its_settings_and_contains_them(handlers, tmp_path):
    file = handlers.picture(SHOWN.query, 0.75)
    assert file.name == "mine+0.75_seed7.png"
    recipe = read_recipe(_saved(file, tmp_path))
    assert (recipe.prompt, recipe.seed, recipe.maps) == ("A valley", 7, [("mine", 0.75)])


def test_a_picture_and_a_strip_are_those_of_their_steps(handlers, tmp_path):
    shown = replace(SHOWN, steps=4, guidance=2.5, steer_steps=(0, 1)).query
    for file in (handlers.picture(shown, 0.75), handlers.strip(shown)):
        recipe = read_recipe(_saved(file, tmp_path))
        assert (recipe.num_inference_steps, recipe.guidance_scale) == (4, 2.5)
        assert recipe.steer_at == [0, 1]


def test_every_map_is_in_the_name(handlers):
    shown = replace(SHOWN, maps=["mine", "robot"], strengths=[1, 0.25])
    file = handlers.picture(shown.query, -0.5)
    assert file.name.startswith("mine-0.5_img-src")
    assert file.name.endswith("+0.25_seed7.png")


def test_a_strip_is_one_picture_with_the_strength_of_each(handlers, tmp_path):
    file = handlers.strip(SHOWN.query)
    assert file.name == "mine_strip_seed7.png"
    path = _saved(file, tmp_path)
    assert read_recipe(path).identities == [("mine", None)]
    ((_, strengths),) = read_recipe(path).maps
    assert tuple(strengths) == STRIP
    with Image.open(BytesIO(path.read_bytes())) as image:
        assert image.width > 9 * 8


def test_what_is_saved_is_what_is_shown_whatever_is_typed_meanwhile(handlers, tmp_path):
    """The boxes do not come along, so that an emptied one does not matter either."""
    pictures = ImageHandlers(image_studio())
    others = {"steps": None, "guidance": None, "steer_steps": "0-1"}
    *_, canvas = pictures.generate("", 0.5, "mine", [], "A valley", 7, **others, request=ME)
    for file in (handlers.picture(canvas.result, None), handlers.strip(canvas.result)):
        recipe = read_recipe(_saved(file, tmp_path))
        assert (recipe.prompt, recipe.seed, recipe.steer_at) == ("A valley", 7, [0, 1])
    assert handlers.picture(canvas.result, None).name == "mine+0.5_seed7.png"


def test_only_the_slider_is_read_when_a_picture_is_saved(tmp_path):
    demo = build_demo(Studio(tmp_path))
    names = ("SaveHandlers.picture", "SaveHandlers.strip")
    saves = [each for each in demo.fns.values() if getattr(each.fn, "__qualname__", "") in names]
    read = [[type(box) for box in each.inputs if box.visible] for each in saves]
    assert read == [[gr.Slider], []]


def test_what_is_not_shown_cannot_be_saved(handlers):
    for wrong in ("", replace(SHOWN, maps=["gone"]).query):
        with pytest.raises(gr.Error):
            handlers.picture(wrong, 1.0)
        with pytest.raises(gr.Error):
            handlers.strip(wrong)
