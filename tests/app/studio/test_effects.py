"""What the page measures of its pictures, with a tiny model that keeps the layout."""

from dataclasses import replace

import pytest

from app.studio.maps import read_map
from app.studio.models import Models
from app.studio.pictures import Pictures
from lineas_core import LearnConfig, PromptSet, learn, save_maps
from tests.fakes import save_model, tiny_image_model

PROMPT, WITHOUT = "a b c, with d", "a b c"


@pytest.fixture(scope="module", params=["layout", "per-pixel"])
def entry(request, tmp_path_factory):
    """A map that removes "d" from the pictures of a tiny model with this kind of noise."""
    root = tmp_path_factory.mktemp(request.param)
    model = tiny_image_model(_one_step={"timestep": 399, "noise": request.param})
    model.name = save_model(model, root / "model")
    prompts = PromptSet(("a, with d", "b, with d"), ("a", "b"), keywords=("with d", "d"))
    config = LearnConfig(iterations=3, learning_rate=0.5)
    maps = learn(model, prompts.source, prompts.target, config=config)
    save_maps(maps, root / "letters", prompts=prompts)
    return read_map("letters", "yours", root / "letters")


def test_the_right_answer_is_painted_once_and_only_where_the_layout_stays(entry):
    pictures, rows = Pictures(Models()), [(-1.0,), (0.0,), (0.5,), (1.0,)]
    assert pictures.effects([entry], PROMPT, rows) is None  # not painted
    painted = pictures.paint([entry], PROMPT, rows)
    more, untouched, *less = pictures.effects([entry], PROMPT, rows)
    assert untouched.changed == 0
    assert all(effect.changed > 0 for effect in (more, *less))
    assert more.way is None
    answer = pictures.right_answer([entry], PROMPT, (1.0,))
    if "per-pixel" in entry.model:
        assert answer is None
        assert less[0].way is None
        return
    goal, (without, another) = answer
    assert goal.prompts == (WITHOUT, "a b c, with a book")
    assert without.recipe.prompt == WITHOUT
    assert [untouched.way, untouched.rest] == pytest.approx([0, 0], abs=1e-6)
    assert all(effect.way is not None for effect in less)
    assert without is pictures.right_answer([entry], PROMPT, (0.5,))[1][0]
    assert another.image.tobytes() != without.image.tobytes() != painted[1].image.tobytes()


def test_a_further_map_acts_on_both_pictures_that_are_compared(entry):
    pictures, further = Pictures(Models()), replace(entry, title="other")
    pictures.paint([entry, further], PROMPT, [(0.0, 0.5)])
    (untouched,) = pictures.effects([entry, further], PROMPT, [(0.0, 0.5)])
    assert untouched.changed == 0


def test_a_map_without_keywords_has_no_goal(entry):
    pictures = Pictures(Models())
    bare = replace(entry, metadata={})
    pictures.paint([bare], PROMPT, [(1.0,)])
    (found,) = pictures.effects([bare], PROMPT, [(1.0,)])
    assert found.way is None
    assert found.changed > 0
