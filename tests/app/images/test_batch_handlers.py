"""The batch of pictures, without a page."""

import json
from itertools import pairwise
from zipfile import ZipFile

import gradio as gr
import pytest
from PIL import Image

from app.images.batch_handlers import ImageBatchHandlers
from app.widgets.batch_handlers import COUNTING, SAME
from lineas_core import UserError
from lineas_core.pictures import read_recipe
from tests.app.fakes import MARKUP, ME, USUAL, image_studio

PROMPTS = f"A lake\n\nA hill\nA lake\n{MARKUP}"


def _paint(handlers, prompts=PROMPTS, seeds=SAME, seed=3, strength=0.5):
    return handlers.paint(prompts, seeds, strength, "robot", [], seed, *USUAL, ME)


def _archive(view, folder):
    """The archive, copied as Gradio does before the generator goes on."""
    with ZipFile(view.download.value["path"]) as archive:
        archive.extractall(folder)
        return archive.namelist()


def test_every_prompt_is_painted_twice_and_saved_with_its_recipe(tmp_path):
    steps = _paint(ImageBatchHandlers(image_studio()), seeds=COUNTING)
    first, *_, last = [next(steps), next(steps), next(steps), next(steps), next(steps)]
    names = _archive(last, tmp_path)
    assert "<b>0 of 3 prompts</b>" in first.progress
    assert "2 blanks dropped" not in last.progress
    assert "1 blank dropped (line 2)" in last.progress
    assert "1 duplicate dropped (line 4)" in last.progress
    assert last.result.count("<figure>") == 3
    assert MARKUP not in last.result
    assert len(names) == 6
    recipes = [read_recipe(tmp_path / name) for name in names]
    assert [recipe.seed for recipe in recipes] == [3, 3, 4, 4, 5, 5]
    assert [recipe.prompt for recipe in recipes][::2] == ["A lake", "A hill", MARKUP]
    with Image.open(tmp_path / names[1]) as steered:
        assert "parameters" in steered.text
        assert json.loads(steered.text["lineas"])["maps"][0][1] == 0.5


def test_the_result_only_grows_so_that_the_page_is_sent_what_is_new():
    views = [*_paint(ImageBatchHandlers(image_studio()))]
    results = [view.result for view in views]
    assert all(longer.startswith(shorter) for shorter, longer in pairwise(results))


def test_a_stopped_batch_can_be_downloaded(tmp_path):
    handlers = ImageBatchHandlers(image_studio())
    steps = _paint(handlers)
    next(steps), next(steps)
    handlers.stop(ME)
    last = next(steps)
    assert "2 of 3 prompts are done" in last.progress
    assert len(_archive(last, tmp_path)) == 4
    assert [last.start.visible, last.stop.visible] == [True, False]


def test_what_fails_on_the_way_keeps_what_is_done(tmp_path, monkeypatch):
    studio = image_studio()
    steps = _paint(ImageBatchHandlers(studio))
    next(steps), next(steps)

    def fail(*_, **__):
        raise UserError("E_MEMORY", "memory ran out", remedy="Close other programs.")

    monkeypatch.setattr(type(studio.pictures), "paint", fail)
    assert len(_archive(next(steps), tmp_path)) == 2
    with pytest.raises(gr.Error, match="Memory ran out"):
        next(steps)


@pytest.mark.parametrize(
    ("prompts", "seed", "reason"),
    [
        ("", 1, "0 prompts were given"),
        ("\n".join(map(str, range(201))), 1, "201 prompts were given"),
        ("a\n" + "b" * 2001, 1, "prompts.txt, line 2"),
        ("a\nb", 2**53, "Seed is"),
        ("a", None, "Seed is"),
    ],
)
def test_bad_input_is_one_sentence(prompts, seed, reason):
    with pytest.raises(gr.Error, match=reason):
        [*_paint(ImageBatchHandlers(image_studio()), prompts, COUNTING, seed)]


def test_an_empty_box_gets_examples_and_a_full_one_stays():
    handlers = ImageBatchHandlers(image_studio())
    asked, examples = handlers.first_prompts("", "robot")
    assert asked == ""
    assert examples.splitlines()[0].endswith(", with a robot")
    assert handlers.first_prompts("mine", "robot") == gr.skip()
