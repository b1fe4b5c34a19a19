import math
import re

import gradio as gr
import pytest
import torch

from app.explain.handlers import ExplainHandlers
from app.studio.maps import MapEntry
from lineas_core import AffineMap, SteeringMaps
from tests.app.fakes import FakeStudio

MAPS = SteeringMaps(
    {
        "first": AffineMap(torch.tensor([1.0, 0.5]), torch.tensor([0.0, 0.2])),
        "<second>": AffineMap(torch.tensor([2.0, 1.0]), torch.tensor([-3.0, 1.0])),
    }
)


class MappedStudio(FakeStudio):
    def steering(self, entry):  # noqa: ARG002
        return MAPS


@pytest.fixture
def handlers():
    return ExplainHandlers(
        MappedStudio([MapEntry(k, k.title(), "tiny", "yours", None, {}) for k in ("one", "two")])
    )


def _heights(drawing):
    return [float(h) for h in re.findall(r'height="([\d.]+)"', drawing)]


def test_the_menu_keeps_a_choice_that_is_still_there(handlers):
    # It is left out: the user may choose another one before the answer arrives.
    assert handlers.library("two").constructor_args.keys() == {"choices"}
    assert handlers.library("gone").value == "one"


def test_the_coordinate_that_is_shifted_furthest_is_drawn(handlers):
    coordinate, _ = handlers.draw("one", 1)
    assert "number 0 of <code>&lt;second&gt;</code>, ω = 2.00, b = -3.00" in coordinate
    # The page is 12 wide and high from -6 to 6: T(-6) = -15 and T(6) = 9.
    assert 'd="M0.00 175.00L100.00 -25.00"' in coordinate


def test_bars_shrink_with_the_strength_and_vanish_at_zero(handlers):
    full, half, none = (_heights(handlers.draw("one", lam)[1]) for lam in (1, 0.5, 0))
    assert max(full) == 100
    assert half[2:] == pytest.approx([height / 2 for height in full[2:]])  # shares do not shrink
    assert set(none) == {0.0}


@pytest.mark.parametrize("strength", [math.nan, math.inf, 1.5])
def test_a_strength_that_is_none_is_refused(handlers, strength):
    with pytest.raises(gr.Error, match="λ"):
        handlers.draw("one", strength)


def test_nothing_is_drawn_without_a_map(handlers):
    assert not any(isinstance(value, str) for value in handlers.draw(None, 1))
