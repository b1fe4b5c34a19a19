import math
from pathlib import Path

import pytest

from app.studio.maps import MapEntry
from app.studio.mix import MOST_FURTHER, Mix, checked_pairs
from lineas_core import UserError
from tests.app.fakes import MARKUP, image_studio

ROBOT, NIGHT = (MapEntry(k, k, "small", "yours", Path("unused"), {}) for k in ("robot", "night"))


def test_the_first_map_moves_and_the_others_stay():
    mix = Mix((ROBOT, NIGHT, NIGHT), (0.5, -1))
    assert mix.ids == ("robot", "night", "night")
    assert mix.at(0.25) == (0.25, 0.5, -1)
    assert mix.original == (0, 0, 0)


@pytest.mark.parametrize("further", [(), []])
def test_one_map_is_a_mix(further):
    studio = image_studio()
    assert studio.mix("robot", further) == studio.mix("robot") == Mix((studio.entry("robot"),))
    assert studio.mix("robot").at(-1) == (-1,)


def test_a_mix_holds_the_maps_that_a_request_names():
    mix = image_studio().mix("robot", [("mine", 0.5), ["robot", -1]])
    assert (mix.ids, mix.fixed) == (("robot", "mine", "robot"), (0.5, -1))


@pytest.mark.parametrize(
    "further",
    [
        [("a", 0.1)] * (MOST_FURTHER + 1),
        ["ab"],  # two letters are not a pair
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
        checked_pairs(further)


@pytest.mark.parametrize("strength", [math.nan, math.inf, 1.01, -2, True, None, "0.5", MARKUP])
def test_a_strength_is_a_number_from_minus_one_to_one(strength):
    with pytest.raises(UserError, match="Give a number from -1 to 1"):
        checked_pairs([("night", strength)])
    with pytest.raises(UserError, match="Give a number from -1 to 1"):
        Mix((ROBOT,)).at(strength)
