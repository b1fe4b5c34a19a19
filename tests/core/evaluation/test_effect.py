"""What steering did, on drawn pictures whose right answer is known."""

import numpy as np
import pytest
from PIL import Image

from lineas_core.evaluation.counterfactual import Concept
from lineas_core.evaluation.effect import effects, goal_of

CAR, STYLE = Concept(("with a car", "car")), Concept(("low-poly style", "low-poly"))
PROMPT = "A church, with a car"


def _scene(box=None, opacity=1.0, light=0.0):
    """A sky over a meadow; with a box of a colour in the place of the object."""
    pixels = np.full((64, 64, 3), (120, 170, 220), dtype=float)
    pixels[32:] = (90, 160, 70)
    pixels += light
    if box:
        place = pixels[34:50, 10:34]
        place[:] = (1 - opacity) * place + opacity * np.array(box)
    return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))


RED, WHITE = (200, 30, 40), (250, 250, 250)
PLAIN, WITH, OTHER = _scene(), _scene(RED), _scene(WHITE)


def test_what_is_left_of_an_object_and_how_the_rest_changed():
    goal = goal_of(CAR, PROMPT, more=False)
    assert goal.prompts == ("A church", "A church, with a book")
    ghost = _scene(RED, opacity=0.4)
    tinted = _scene(RED, light=12)
    untouched, half_gone, gone, lit = effects(
        WITH, [WITH, ghost, PLAIN, tinted], goal, [PLAIN, OTHER]
    )
    assert untouched.way == pytest.approx(0, abs=1e-6)
    assert half_gone.way == pytest.approx(0.6, abs=0.02)
    assert gone.way == pytest.approx(1, abs=1e-6)
    assert (untouched.rest, gone.rest) == (0, 0)
    assert 0 < gone.changed < 0.2
    assert lit.rest == pytest.approx(12 / 255, rel=0.05)


def test_an_object_that_is_added_goes_the_same_way_back():
    goal = goal_of(CAR, "A church", more=True)
    assert goal.prompts == (PROMPT, "A church, with a book")
    faint = _scene(RED, opacity=0.25)
    nothing, some, there = effects(PLAIN, [PLAIN, faint, WITH], goal, [WITH, OTHER])
    assert [nothing.way, some.way, there.way] == pytest.approx([0, 0.25, 1], abs=0.02)
    assert some.rest == 0


def test_a_style_is_measured_over_the_whole_picture():
    goal = goal_of(STYLE, "A church, low-poly style", more=False)
    assert goal.prompts == ("A church",)
    dark = _scene(light=-60)
    start, end = effects(dark, [dark, PLAIN], goal, [PLAIN])
    assert (start.way, end.way) == pytest.approx((0, 1), abs=1e-4)
    assert start.rest is None


def test_without_a_goal_only_the_change_is_known():
    assert goal_of(CAR, "A church", more=False) is None  # nothing to remove
    assert goal_of(CAR, PROMPT, more=True) is None  # how more of it looks is not known
    assert goal_of(CAR, "A car and a fox", more=False) is None  # not understood
    (found,) = effects(PLAIN, [_scene(light=5)], None)
    assert found.changed == pytest.approx(5 / 255, rel=0.01)
    assert (found.way, found.rest) == (None, None)


def test_an_object_that_the_model_left_out_has_no_figure():
    goal = goal_of(CAR, PROMPT, more=False)
    (found,) = effects(PLAIN, [_scene(light=5)], goal, [PLAIN, OTHER])
    assert (found.way, found.rest) == (None, None)
    assert found.changed > 0
