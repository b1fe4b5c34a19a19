"""The buttons that save, as plain functions, with a studio that paints at once."""

import base64
from io import BytesIO

import gradio as gr
import pytest
from PIL import Image

from app.images.save_handlers import SaveHandlers
from app.studio.settings import STRIP
from lineas_core.pictures import read_recipe
from tests.app.fakes import image_studio

ASKED = {"map_id": "mine", "further": [], "prompt": "A valley", "seed": 7}


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
    file = handlers.picture(0.75, **ASKED)
    assert file.name == "mine+0.75_seed7.png"
    recipe = read_recipe(_saved(file, tmp_path))
    assert (recipe.prompt, recipe.seed, recipe.maps) == ("A valley", 7, [("mine", 0.75)])


def test_a_picture_and_a_strip_are_those_of_their_steps(handlers, tmp_path):
    asked = ASKED | {"steps": 4, "guidance": 2.5, "steer_steps": "0-1"}
    for file in (handlers.picture(0.75, **asked), handlers.strip(**asked)):
        recipe = read_recipe(_saved(file, tmp_path))
        assert (recipe.num_inference_steps, recipe.guidance_scale) == (4, 2.5)
        assert recipe.steer_at == [0, 1]


def test_every_map_is_in_the_name(handlers):
    file = handlers.picture(-0.5, **ASKED | {"further": [("robot", 0.25)]})
    assert file.name.startswith("mine-0.5_img-src")
    assert file.name.endswith("+0.25_seed7.png")


def test_a_strip_is_one_picture_with_the_strength_of_each(handlers, tmp_path):
    file = handlers.strip(**ASKED)
    assert file.name == "mine_strip_seed7.png"
    path = _saved(file, tmp_path)
    ((_, strengths),) = read_recipe(path).maps
    assert tuple(strengths) == STRIP
    with Image.open(BytesIO(path.read_bytes())) as image:
        assert image.width > 9 * 8


def test_what_cannot_be_painted_cannot_be_saved(handlers):
    for wrong in ({"map_id": None}, {"prompt": " "}, {"seed": None}):
        with pytest.raises(gr.Error):
            handlers.picture(1.0, **ASKED | wrong)
        with pytest.raises(gr.Error):
            handlers.strip(**ASKED | wrong)
