import math

import pytest

from app.studio.mix import MOST_FURTHER, Mix
from lineas_core import UserError

MARKUP = "<img src=x onerror=alert(1)>"


def test_the_first_map_moves_and_the_others_stay():
    mix = Mix.of("robot", [("vaporwave", 0.5), ["night", -1]])
    assert mix.maps == ("robot", "vaporwave", "night")
    assert mix.at(0.25) == (0.25, 0.5, -1)
    assert mix.original == (0, 0, 0)


@pytest.mark.parametrize("further", [(), []])
def test_one_map_is_a_mix(further):
    assert Mix.of("robot", further) == Mix.of("robot") == Mix(("robot",))
    assert Mix.of("robot").at(-1) == (-1,)


@pytest.mark.parametrize(
    "further",
    [
        [("a", 0.1)] * (MOST_FURTHER + 1),
        ["ab"],  # two letters are no pair
        [("a",)],
        [("a", 0.1, 0.2)],
        [None],
        None,
        "ab",
        {"a": 0.1},
        0.5,
    ],
)
def test_what_are_no_pairs_is_refused(further):
    with pytest.raises(UserError, match=f"at most {MOST_FURTHER} pairs"):
        Mix.of("robot", further)


@pytest.mark.parametrize("strength", [math.nan, math.inf, 1.01, -2, True, None, "0.5", MARKUP])
def test_a_strength_is_a_number_from_minus_one_to_one(strength):
    with pytest.raises(UserError, match="Give a number from -1 to 1"):
        Mix.of("robot", [("night", strength)])
    with pytest.raises(UserError, match="Give a number from -1 to 1"):
        Mix.of("robot").at(strength)
