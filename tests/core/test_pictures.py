import json

import pytest
from PIL import Image

from lineas_core import AffineMap, SteeringMaps, UserError
from lineas_core.pictures import Recipe, paint, save_png, strip
from tests.fakes import tiny_image_model

RECIPE = Recipe("a castle, by a lake", 7, "dmd2", 512, "LCMScheduler", [("ukiyo-e", 0.5)])


def test_a_file_says_how_it_was_made_in_the_words_of_other_tools(tmp_path):
    file = save_png(Image.new("RGB", (8, 8), "red"), tmp_path / "new" / "a.png", RECIPE)
    with Image.open(file) as image:
        texts = image.text
        assert image.getpixel((0, 0)) == (255, 0, 0)
    assert texts["parameters"] == (
        "a castle, by a lake\nSteps: 1, Sampler: LCM, CFG scale: 0, Seed: 7, Size: 512x512, "
        'Model: dmd2, LinEAS: "ukiyo-e: 0.5"'
    )
    facts = json.loads(texts["lineas"])
    assert facts["maps"] == [["ukiyo-e", 0.5]]
    assert facts["prompt"] == "a castle, by a lake"


def test_a_name_that_would_end_its_pair_is_quoted():
    line = Recipe("a", 0, "C:\\models, mine", 64, "OtherScheduler").parameters
    assert 'Model: "C:\\\\models, mine"' in line
    assert "Sampler: OtherScheduler" in line


@pytest.mark.parametrize("prompt", ["Ukiyo-e 浮世絵 🦊", "half a pair \ud83e", "two\nlines"])
def test_any_prompt_can_be_written(prompt, tmp_path):
    recipe = Recipe(prompt, 0, "tiny", 8, "LCMScheduler")
    with Image.open(save_png(Image.new("RGB", (8, 8)), tmp_path / "a.png", recipe)) as image:
        assert json.loads(image.text["lineas"])["prompt"] == prompt


def test_no_file_is_overwritten(tmp_path):
    files = [save_png(Image.new("RGB", (8, 8)), tmp_path / "a.png", RECIPE) for _ in range(3)]
    assert [file.name for file in files] == ["a.png", "a-2.png", "a-3.png"]


def test_a_disk_that_refuses_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="the picture was not saved"):
        save_png(Image.new("RGB", (8, 8)), tmp_path / "file" / "a.png", RECIPE)


def test_a_strip_shows_every_picture_whole_under_its_strength():
    colours = ["red", "green", "blue"]
    images = [Image.new("RGB", (64, 64), colour) for colour in colours]
    sheet = strip(images, ["-1", "original", "+0.5"])
    assert sheet.size == (3 * 64 + 2 * 2, 64 + 16)
    for column, image in enumerate(images):
        left = column * 66
        assert sheet.crop((left, 16, left + 64, 80)).tobytes() == image.tobytes()
        label = sheet.crop((left, 0, left + 64, 16))
        assert len(label.getcolors()) > 1
        assert label.getpixel((0, 0)) == ((0, 0, 0) if column == 1 else (255, 255, 255))


def test_a_strip_is_painted_in_two_batches_where_the_memory_is_short(monkeypatch):
    model, sizes = tiny_image_model(), []
    maps = SteeringMaps({n: AffineMap.identity(w) for n, w in _widths(model).items()})
    expected = paint(model, [maps], [[0.0], [0.5], [1.0]], "a b", 3)
    real = model.generate

    def short(prompts, *, seeds):
        sizes.append(len(prompts))
        if len(prompts) > 1:
            raise MemoryError
        return real(prompts, seeds=seeds)

    monkeypatch.setattr(model, "generate", short)
    images = paint(model, [maps], [[0.0], [0.5], [1.0]], "a b", 3)
    assert sizes == [3, 1, 1, 1]
    assert [image.tobytes() for image in images] == [image.tobytes() for image in expected]


def _widths(model):
    return {n: len(model.network.get_submodule(n).weight) for n in model.default_modules}
